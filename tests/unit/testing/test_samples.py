"""A sample is valid, is always the same, and says what it was told to say.

Without this, a test that names two fields would have to invent twelve, or would fail every other
day because the rest was drawn at random.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, NewType
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from batpak import Coordinate, EventKind, EventPayload, StateData
from batpak.errors import UsageError
from batpak.outcome import Pending, Retry
from batpak.testing import sample, survives
from shop.gen.common import Currency, Money
from shop.gen.orders import OrderCancelled, OrderId, OrderLine, OrderPaid, OrderPlaced, OrderShipped
from shop.gen.orders.order_states import Placed

ShelfId = NewType("ShelfId", UUID)


class Board(Struct, frozen=True, kw_only=True):
    width: int


class Shelved(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x321)
    VERSION: ClassVar[int] = 1

    shelf_id: ShelfId
    board: Board
    boards: tuple[Board, ...]
    labels: Mapping[str, str]
    tags: frozenset[str]
    note: str | None
    either: int | str
    at: dt.datetime
    weight: Decimal
    fragile: bool = True


class Full(StateData, frozen=True, kw_only=True):
    shelf_id: ShelfId


class Placing(Struct, frozen=True):
    """What has a field that is refused."""

    at: Coordinate


@pytest.mark.parametrize("cls", [OrderPlaced, OrderPaid, OrderShipped, OrderCancelled])
def test_a_sample_of_a_generated_event_survives(cls: type[EventPayload]) -> None:
    survives(sample(cls))


def test_what_is_given_is_in_it_and_the_rest_is_always_the_same() -> None:
    total = Money(amount=Decimal("9.99"), currency=Currency.USD)

    event = sample(OrderPlaced, total=total)

    assert event.total == total
    assert event == sample(OrderPlaced, total=total)
    assert sample(OrderPlaced, total=event.lines[0].unit_price) == sample(OrderPlaced)
    assert (event.note, event.labels, len(event.lines)) == (None, {}, 1)
    assert event.placed_at.tzinfo is dt.UTC


def test_types_and_state_data_have_samples_too() -> None:
    assert sample(OrderLine, sku="BOOK").quantity == 1
    assert sample(Placed, lines=(sample(OrderLine),)).lines == (sample(OrderLine),)
    assert isinstance(sample(Full).shelf_id, UUID)


def test_what_is_written_by_hand_is_read_from_its_types() -> None:
    event = sample(Shelved, note="mind the step")

    survives(event)
    assert (event.boards, event.labels, event.tags) == ((), {}, frozenset())
    assert (event.board, event.either) == (Board(width=0), 0)
    assert (event.note, event.weight, event.at.tzinfo) == ("mind the step", Decimal(0), dt.UTC)


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        sample(OrderPaid, colour="red")


def test_what_is_given_is_all_that_a_class_needs() -> None:
    assert sample(Coordinate, entity="a", scope="b") == Coordinate("a", "b")
    assert sample(Retry, attempt=1, max_attempts=2).after_ms == 0


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (Coordinate, "entity '': must not be empty"),
        (Placing, "entity '': must not be empty"),
        (Retry, "attempt: must be a number, 1 or more"),
        (Pending, "resume_token: must be 16 bytes"),
    ],
)
def test_a_class_that_refuses_the_simplest_says_why(cls: type[Struct], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        sample(cls)


def test_what_is_given_is_taken_as_it_is() -> None:
    with pytest.raises(AssertionError, match="an append refuses"):
        survives(sample(OrderLineHolder, line=sample(OrderLine, quantity=0)))


class OrderLineHolder(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x322)
    VERSION: ClassVar[int] = 1

    line: object


@settings(max_examples=2, deadline=None)
@given(st.uuids())
def test_a_sample_can_be_made_inside_a_property_test(order_id: UUID) -> None:
    assert sample(OrderCancelled, order_id=OrderId(order_id)).order_id == order_id
