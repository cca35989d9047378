"""Coordinates: every rule in both components, and which one is reported first.

Without this, bytes from a file could make a coordinate that a user could not, and a path or a
separator could slip into names that other tools take apart.
"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak import codec
from batpak.coordinate import Coordinate
from batpak.errors import InvalidCoordinate
from batpak.faults import CoordinateFault

F = CoordinateFault
BAD = [
    ("", F.EMPTY),
    ("a" * 1025, F.TOO_LONG),
    ("é" * 513, F.TOO_LONG),
    ("a\ud800", F.NOT_UTF8),
    ("a\x00b", F.NUL),
    ("a\nb", F.CONTROL),
    ("a\x7f", F.CONTROL),
    ("a\x9f", F.CONTROL),
    ("a/b", F.PATH),
    ("a..b", F.PATH),
    ("a|b", F.SEPARATOR),
    ("a=b", F.SEPARATOR),
]
GOOD = [
    "a",
    "a" * 1024,
    "é" * 512,
    "order:1",
    "a b@c\\d.e",
    "*",
    ":",
    "日本",
    "batpak:store",
    "\xa0",
]


@pytest.mark.parametrize(("value", "reason"), BAD, ids=lambda value: ascii(value)[:20])
def test_a_broken_rule_is_named_with_its_component(value: str, reason: CoordinateFault) -> None:
    with pytest.raises(InvalidCoordinate) as entity:
        Coordinate(value, "scope")
    with pytest.raises(InvalidCoordinate) as scope:
        Coordinate("entity", value)

    assert (entity.value.component, entity.value.reason) == ("entity", reason)
    assert (scope.value.component, scope.value.reason) == ("scope", reason)


@pytest.mark.parametrize("value", GOOD, ids=lambda value: ascii(value)[:20])
def test_anything_else_is_legal_and_kept_as_given(value: str) -> None:
    coordinate = Coordinate(value, value)

    assert (coordinate.entity, coordinate.scope) == (value, value)


@pytest.mark.parametrize(
    ("entity", "scope", "component", "reason"),
    [
        ("a/b", "", "scope", F.EMPTY),
        ("", "", "entity", F.EMPTY),
        ("a/b", "b" * 1025, "scope", F.TOO_LONG),
        ("a=b", "a\x00b", "entity", F.SEPARATOR),
        ("a\x00/=\n", "s", "entity", F.NUL),
        ("a/=\n", "s", "entity", F.CONTROL),
        ("a=/", "s", "entity", F.PATH),
    ],
)
def test_of_two_broken_rules_the_first_in_order_is_named(
    entity: str, scope: str, component: str, reason: CoordinateFault
) -> None:
    with pytest.raises(InvalidCoordinate) as refused:
        Coordinate(entity, scope)

    assert (refused.value.component, refused.value.reason) == (component, reason)


def test_decoded_bytes_get_the_same_checks() -> None:
    decode = codec.decoder(Coordinate).decode
    legal = codec.encode(Coordinate("order:1", "shop"))

    assert decode(legal) == Coordinate("order:1", "shop")
    with pytest.raises(msgspec.ValidationError, match="must not contain '/'"):
        decode(legal.replace(b"order:1", b"order/1"))


@given(st.text(), st.text())
def test_any_two_texts_make_a_coordinate_or_a_typed_error(entity: str, scope: str) -> None:
    try:
        coordinate = Coordinate(entity, scope)
    except InvalidCoordinate as refused:
        assert refused.component in {"entity", "scope"}  # noqa: PT017  either way is right
        return

    assert str(coordinate) == f"{entity}@{scope}"


def test_the_library_keeps_one_prefix_for_itself() -> None:
    assert Coordinate("batpak:store", "s").reserved
    assert not Coordinate("batpak", "batpak:lifecycle").reserved
