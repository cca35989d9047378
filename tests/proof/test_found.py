"""What a long run has found once: each input is tried by every run from then on."""

from __future__ import annotations

import pytest

from tests.proof.fuzz import quiet
from tests.proof.fuzz_footer import parse_lying_footer
from tests.proof.fuzz_text import parse_condition

LIES = [  # scripts of `fuzz_footer`
    pytest.param("49c18c8a9c45686e2855ac7c33ed1477b220b58e91b7b5311401de49", id="beyond the file"),
    pytest.param("2891c462953038153adc3d6be3a3c35af7ea902b64748dc9ac548fff", id="a byte too early"),
    pytest.param("58e9a83e87ae0846659207c5a8c6ebd56ad3ea", id="a byte too early, in a query"),
    pytest.param("43f11ce7fb2752558de9a58747fbd0fccfd67b", id="beyond the file, in a query"),
]


@pytest.mark.parametrize("script", LIES)
def test_a_footer_that_lies_about_where_a_frame_begins_is_found_out(script: str) -> None:
    with quiet():
        assert parse_lying_footer(bytes.fromhex(script))


@pytest.mark.parametrize(
    "condition",
    [
        "not ('' < 'dhl' not in event.carriers)",
        "'post' == 'dhl' in event.carriers",
        "'post' < 'dhl' == event.carrier",
    ],
)
def test_a_chain_does_not_compare_a_text_with_what_becomes_a_member(condition: str) -> None:
    assert not parse_condition(condition.encode())
