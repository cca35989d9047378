"""What the typed domain adds: payloads, checks, moves, and what `apply` costs beyond an append.

There is no peer for moves. A payload is held against a msgspec struct with the same fields.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from batpak import AppendReceipt, BatchItem, Coordinate, Form, StoredEvent, registry, wire
from batpak.cache.row import NoCache
from batpak.checks import Problems
from batpak.payload import EventPayload
from batpak.seal import SEAL
from batpak.testing import MemoryLedger, sample
from batpak.wire import Q
from shop.gen.common import Currency, Money
from shop.gen.orders import (
    Carrier,
    CustomerId,
    OrderId,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderShipped,
)
from shop.gen.orders.order_machine import OrderMachine, PaidOrder
from tests.bench.line import OURS, AtMost, Line, Times
from tests.bench.rounds import Plan, measure

STRUCT = "a plain msgspec struct"
ALONE = "its event alone"
WHOLE = "apply, over a ledger that does nothing"
ENCODE = "check and encode, the append's part of it"
FLAT = "four scalar fields"
NESTED = "seven fields, two structs in a tuple, three decimals, a map"
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


class Plain(Struct, frozen=True, kw_only=True, gc=False):
    """`OrderShipped` as it would be without batpak."""

    order_id: UUID
    carrier: Carrier
    tracking: str | None = None
    shipped_at: dt.datetime


def lines(plan: Plan) -> list[Line]:
    """Microseconds a call, for each of the four."""
    orders = [_paid(number) for number in range(len(plan.work))]
    return [_payload(plan), _checks(plan), _build(plan, orders), _apply(plan, orders)]


def _payload(plan: Plan) -> Line:
    line = Line("moves", "make a payload of four fields", OURS, aims=[Times(OURS, STRUCT, 1 / 1.1)])
    order_id, count = OrderId(UUID(int=1)), range(len(plan.work))

    def ours() -> float:
        began = time.perf_counter()
        for _ in count:
            OrderShipped(order_id=order_id, carrier=Carrier.DHL, tracking="JD1", shipped_at=NOON)
        return _each(began, count)

    def plain() -> float:
        began = time.perf_counter()
        for _ in count:
            Plain(order_id=order_id, carrier=Carrier.DHL, tracking="JD1", shipped_at=NOON)
        return _each(began, count)

    return measure(line, plan.rounds, [(OURS, ours), (STRUCT, plain)])


def _checks(plan: Plan) -> Line:
    line = Line(
        "moves",
        "check a payload before it is stored",
        FLAT,
        aims=[AtMost(FLAT, 1), AtMost(NESTED, 3.2)],
    )
    shipped = OrderShipped(
        order_id=OrderId(UUID(int=1)), carrier=Carrier.DHL, tracking="JD1", shipped_at=NOON
    )
    count = range(len(plan.work))

    def checked(event: EventPayload) -> Callable[[], float]:
        entry = registry.of_class(type(event))
        if entry is None or entry.check is None:
            raise RuntimeError("a generated event has a check")
        check = entry.check

        def run() -> float:
            began = time.perf_counter()
            for _ in count:
                check(event, Problems())
            return _each(began, count)

        return run

    return measure(line, plan.rounds, [(FLAT, checked(shipped)), (NESTED, checked(_placed(1)))])


def _build(plan: Plan, orders: list[PaidOrder]) -> Line:
    line = Line("moves", "make a move of four fields", OURS, aims=[AtMost(OURS, 0.5)])

    def ours() -> float:
        began = time.perf_counter()
        for order in orders:
            _ = order.ship(carrier=Carrier.DHL, tracking="JD1", shipped_at=NOON)
        return _each(began, orders)

    def alone() -> float:
        began = time.perf_counter()
        for order in orders:
            OrderShipped(
                order_id=order.data.order_id, carrier=Carrier.DHL, tracking="JD1", shipped_at=NOON
            )
        return _each(began, orders)

    return measure(line, plan.rounds, [(OURS, ours), (ALONE, alone)])


def _apply(plan: Plan, orders: list[PaidOrder]) -> Line:
    """Over a ledger that does nothing, so that what is left is the machine's own part."""
    line = Line("moves", "apply a move, beyond the append", OURS, aims=[AtMost(OURS, 1.5)])
    moves = [o.ship(carrier=Carrier.DHL, tracking="JD1", shipped_at=NOON) for o in orders]
    machine = OrderMachine(Nothing())
    encoded: list[float] = []
    whole: list[float] = []

    def beyond() -> float:
        began = time.perf_counter()
        for move in moves:
            wire.encode(move.event)
        encoded.append(_each(began, moves))
        began = time.perf_counter()
        for move in moves:
            machine.apply(move)
        whole.append(_each(began, moves))
        return whole[-1] - encoded[-1]

    measure(line, plan.rounds, [(OURS, beyond)])
    line.samples[WHOLE], line.samples[ENCODE] = whole[1:], encoded[1:]
    return line


class Nothing:
    """A ledger that has nothing and takes everything."""

    store_id = UUID(int=1)
    projection_cache = NoCache()
    retention_epoch = 0

    def version(self, _entity: str) -> int:
        return 0

    def append(self, *_: object, **__: object) -> AppendReceipt:
        return TAKEN

    def append_batch(self, items: Iterable[BatchItem], **_: object) -> tuple[AppendReceipt, ...]:
        return tuple(TAKEN for _ in items)

    def stream(
        self, entity: str, *, first_version: int = 1, form: Form[Q]
    ) -> Iterator[StoredEvent[Q]]:
        del first_version
        return MemoryLedger().stream(entity, form=form)


TAKEN = MemoryLedger().append(Coordinate("order:1", "shop.orders"), sample(OrderShipped))


def _paid(number: int) -> PaidOrder:
    """An order that waits to be shipped."""
    order = OrderMachine(MemoryLedger()).replay(OrderId(UUID(int=number)), _history(number))
    if not isinstance(order, PaidOrder):
        raise TypeError(order)
    return PaidOrder(SEAL, order.coordinate, order.version, order.data, Nothing.store_id)


def _history(number: int) -> tuple[OrderPlaced, OrderPaid]:
    placed = _placed(number)
    paid = OrderPaid(
        order_id=placed.order_id, payment_id=UUID(int=2), amount=placed.total, paid_at=NOON
    )
    return placed, paid


def _placed(number: int) -> OrderPlaced:
    euros = Money(amount=Decimal("12.50"), currency=Currency.EUR)
    line = OrderLine(sku="BOOK-1", quantity=1, unit_price=euros)
    return OrderPlaced(
        order_id=OrderId(UUID(int=number)),
        customer_id=CustomerId(UUID(int=1)),
        lines=(line, line),
        total=Money(amount=Decimal("25.00"), currency=Currency.EUR),
        labels={"gift": "yes"},
        placed_at=NOON,
    )


def _each(began: float, done: Sized) -> float:
    """Microseconds a call."""
    return (time.perf_counter() - began) / len(done) * 1e6
