"""EventKind: sixteen bits, one object per number, and no way in but two.

Without this, a number that belongs to the library could be written by a user, and `is` and `==`
could disagree about kinds.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak.errors import InvalidKind
from batpak.faults import KindFault
from batpak.kind import EventKind

USER = [category for category in range(16) if category not in (0x0, 0xD)]


@given(st.sampled_from(USER), st.integers(0, 0xFFF))
def test_a_kind_is_its_category_and_its_id(category: int, type_id: int) -> None:
    kind = EventKind.custom(category, type_id)

    assert (kind.category, kind.type_id, kind.reserved) == (category, type_id, False)
    assert kind == category << 12 | type_id
    assert kind is EventKind.from_wire(int(kind))


@pytest.mark.parametrize(
    ("category", "type_id", "reason"),
    [
        (0x0, 1, KindFault.RESERVED),
        (0xD, 1, KindFault.RESERVED),
        (-1, 1, KindFault.CATEGORY),
        (0x10, 1, KindFault.CATEGORY),
        (0x1, -1, KindFault.TYPE_ID),
        (0x1, 0x1000, KindFault.TYPE_ID),
    ],
)
def test_what_a_user_may_not_write_is_refused_with_its_reason(
    category: int, type_id: int, reason: KindFault
) -> None:
    with pytest.raises(InvalidKind) as refused:
        EventKind.custom(category, type_id)

    assert refused.value.reason is reason


@pytest.mark.parametrize("raw", [0x0000, 0x0008, 0xD001, 0xFFFF])
def test_stored_numbers_are_kinds_whoever_wrote_them(raw: int) -> None:
    kind = EventKind.from_wire(raw)

    assert kind == raw
    assert kind.reserved == (raw >> 12 in (0x0, 0xD))


@pytest.mark.parametrize("raw", [-1, 0x1_0000, 2**64])
def test_what_is_no_16_bit_number_is_no_kind(raw: int) -> None:
    with pytest.raises(InvalidKind):
        EventKind.from_wire(raw)


def test_the_constructor_is_closed() -> None:
    closed = cast("Any", EventKind)

    with pytest.raises(TypeError):
        closed(0x2001)
    with pytest.raises(InvalidKind, match="use custom or from_wire"):
        closed(0x2001, object())


def test_copies_and_pickles_are_the_same_object() -> None:
    kind = EventKind.custom(0x2, 0x001)

    assert copy.copy(kind) is kind
    assert copy.deepcopy(kind) is kind
    assert pickle.loads(pickle.dumps(kind)) is kind  # noqa: S301  our own bytes


def test_a_kind_is_written_as_four_hex_digits() -> None:
    kind = EventKind.custom(0x2, 0x00A)

    assert (str(kind), repr(kind), f"{kind:#06x}") == ("0x200a", "EventKind(0x200a)", "0x200a")
