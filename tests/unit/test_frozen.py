"""Which classes have values that can change inside.

Without this what is judged, and what a handle knows, could be changed behind somebody's back; or
every event would pay for the few that have a map.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw, Struct

from batpak.frozen import is_changeable


class Leaf(Struct, frozen=True):
    at: datetime
    what: tuple[int | str, ...] | None
    who: frozenset[UUID]


class Tree(Struct, frozen=True):
    leaves: tuple[Leaf, ...]
    left: Tree | None
    price: Decimal


class Named(Struct, frozen=True):
    names: Mapping[str, int]


class Deep(Struct, frozen=True):
    pairs: tuple[tuple[int, Named | None], ...]


class Loose(Struct):
    one: int


class Holder(Struct, frozen=True):
    loose: Loose


class Listed(Struct, frozen=True):
    some: list[int]


class Anything(Struct, frozen=True):
    any: Any


class Unread(Struct, frozen=True):
    raw: Raw


@pytest.mark.parametrize("cls", [Leaf, Tree])
def test_scalars_tuples_and_frozen_structs_stay_as_they_are(cls: type) -> None:
    assert not is_changeable(cls)


@pytest.mark.parametrize("cls", [Named, Deep, Loose, Holder, Listed, Anything, Unread])
def test_a_dict_a_list_or_what_is_not_known_can_change(cls: type) -> None:
    assert is_changeable(cls)


def test_a_class_whose_annotations_say_nothing_can_change() -> None:
    class Lost(Struct, frozen=True):
        what: Nowhere  # type: ignore[name-defined]  # noqa: F821  that is the point

    assert is_changeable(Lost)
