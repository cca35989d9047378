"""Which names a schema may declare, and what they are called in snake case.

Without these tests a name could leave the output directory, hide a built-in of the generated
code, be a keyword, or collide with another one on a file system that ignores case.
"""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak_codegen import names

RULES = [
    names.package,
    names.class_name,
    names.lower_name,
    names.field_name,
    names.move_name,
    names.member_name,
    names.denial_code,
    names.id_prefix,
]


def test_the_keywords_are_those_of_python() -> None:
    assert frozenset(keyword.kwlist) == names.KEYWORDS


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (names.package, "shop.orders"),
        (names.package, "a1.x_y"),
        (names.package, "batpak.system"),
        (names.class_name, "HTTPPaid"),
        (names.class_name, "A" * 64),
        (names.lower_name, "paid_in_full"),
        (names.field_name, "a" * 63),
        (names.field_name, "type"),
        (names.field_name, "match"),
        (names.move_name, "pay"),
        (names.member_name, "DHL_2"),
        (names.denial_code, "TOO_LATE"),
        (names.id_prefix, "order-2"),
    ],
)
def test_a_proper_name_is_accepted(rule: names.Rule, name: str) -> None:
    assert rule(name) is None


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        *[
            (names.package, name)
            for name in ["", ".", "..", "a..b", "../a", "a/b", "/etc", "a.", "A"]
        ],
        *[(names.package, name) for name in ["con", "shop.aux", "com1.x", "lpt9", "nul"]],
        *[
            (names.package, name)
            for name in ["shop.class", "async", "batpak", "batpak.shop", "a.batpak"]
        ],
        *[
            (names.package, name)
            for name in ["a\n", "ﬁ", "\u0430", "a b", "C:", "a.b\x00", "a" * 300]
        ],
        *[
            (names.class_name, name)
            for name in ["order", "Ord_er", "O-1", "", "A" * 65, "None", "Ünit"]
        ],
        *[
            (names.lower_name, name)
            for name in ["A", "a__b", "a_", "_a", "", "a" * 64, "if", "ﬁ", "a\n"]
        ],
        (names.field_name, "self"),
        *[(names.move_name, name) for name in sorted(names.MOVES_TAKEN)],
        *[(names.member_name, name) for name in ["UNRECOGNIZED", "dhl", "_A", "", "A" * 65]],
        *[(names.denial_code, name) for name in ["GATE_DEFECT", "too_late", "1A"]],
        *[(names.id_prefix, name) for name in ["Order", "order:", "", "1", "a" * 65]],
    ],
)
def test_a_bad_name_is_refused_with_a_sentence(rule: names.Rule, name: str) -> None:
    problem = rule(name)

    assert problem
    assert len(problem) < 90


@given(st.text(max_size=30), st.sampled_from(RULES))
def test_only_plain_ascii_is_ever_a_name(name: str, rule: names.Rule) -> None:
    if rule(name) is None:
        assert name.isascii()
        assert not set(name) - set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
        )


@pytest.mark.parametrize("name", sorted(names.ANNOTATIONS))
def test_a_field_that_would_hide_a_type_is_known(name: str) -> None:
    assert names.hides_a_type(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Order", "order"),
        ("OrderPlaced", "order_placed"),
        ("HTTPPaid", "http_paid"),
        ("HttpPaid", "http_paid"),
        ("Order2Paid", "order2_paid"),
        ("A", "a"),
        ("ABC", "abc"),
        ("OrderV2", "order_v2"),
    ],
)
def test_snake_case_parts_words_where_a_reader_would(name: str, expected: str) -> None:
    assert names.snake(name) == expected


@given(st.from_regex(names.CLASS, fullmatch=True))
def test_snake_case_only_adds_underscores(name: str) -> None:
    assert names.snake(name).replace("_", "") == name.lower()
