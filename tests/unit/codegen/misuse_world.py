"""The misuse that checkers reject, done all the same: what Python makes of it.

Row by row as in tests/typing/cases, over the golden case `gates`. It runs in a process of its own,
because the classes here claim kinds that other examples claim too, and prints what came of it.
"""

# ruff: noqa: ARG002  what is misused takes what it takes
from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar, assert_never, cast, final
from uuid import UUID

from msgspec.structs import replace

from batpak import (
    BatchItem,
    Coordinate,
    Denial,
    EventKind,
    EventPayload,
    FormerPayload,
    GateSet,
    ReactionBatch,
    Receipt,
    Store,
    StoredEvent,
    Transition,
    abi,
    new_id,
)
from batpak.testing import MemoryLedger, sample, strict_moves
from batpak.testing.platform import SimPlatform
from tests.golden.cases_out.gates.expected.common.types import Currency, Money
from tests.golden.cases_out.gates.expected.orders import (
    CancelReason,
    CustomerId,
    OrderCancelled,
    OrderId,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
)
from tests.golden.cases_out.gates.expected.orders import hooks as h
from tests.golden.cases_out.gates.expected.orders.contexts import Checkout, Desk
from tests.golden.cases_out.gates.expected.orders.handlers import OrderHandler, OrderReactor
from tests.golden.cases_out.gates.expected.orders.order_machine import (
    DraftOrder,
    OrderMachine,
    PaidOrder,
    PlacedOrder,
    ShippedOrder,
)
from tests.golden.cases_out.gates.expected.orders.order_states import Placed, Shipped
from tests.unit.parcels import PackedParcel, ParcelId, ParcelMachine

NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
ORDER = new_id(OrderId)
EUROS = Money(amount=Decimal("5.00"), currency=Currency.EUR)
AT = Coordinate("order:1", "shop.orders")
PLACED = sample(OrderPlaced, order_id=ORDER, total=EUROS)
PAID = OrderPaid(order_id=ORDER, payment_id=UUID(int=1), amount=EUROS, paid_at=NOON)
LOOSE: Any = None  # stands for code that no checker has seen


class SeenV1(FormerPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x341)
    VERSION: ClassVar[int] = 1

    text: str


class Seen(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x341)
    VERSION: ClassVar[int] = 2

    words: str


@abi.upcast_from(SeenV1)
def upcast_seen_v1(old: SeenV1) -> Seen:
    return Seen(words=old.text)


class Answering(h.OrdersHooks):
    """Answers with anything."""

    def __init__(self, verdict: object = h.PERMIT) -> None:
        self.verdict = verdict

    @h.override
    def gate_credit_ok(self, ctx: h.Checkout, event: h.OrderPlaced, /) -> h.CreditOkVerdict:
        return cast("h.CreditOkVerdict", self.verdict)

    @h.override
    def evolve_order_ship(self, state: h.Paid, event: h.OrderShipped, /) -> h.Shipped:
        return sample(Shipped, order_id=state.order_id)


def loose(value: object) -> Any:  # noqa: ANN401  that is the point
    """The same value, of which no checker knows anything."""
    return value


def machine(verdict: object = h.PERMIT) -> OrderMachine:
    return OrderMachine(MemoryLedger(), Answering(verdict))


def placed() -> PlacedOrder:
    return cast("PlacedOrder", machine().replay(ORDER, [PLACED]))


def paid() -> PaidOrder:
    return cast("PaidOrder", machine().replay(ORDER, [PLACED, PAID]))


def pay(amount: Money = EUROS) -> Any:  # noqa: ANN401  a guarded move
    return placed().pay(payment_id=UUID(int=1), amount=amount, paid_at=NOON)


def sending() -> Any:  # noqa: ANN401  a move of another machine
    parcels, parcel_id = ParcelMachine(MemoryLedger()), new_id(ParcelId)
    packed = parcels.replay(parcel_id, [parcels.new(parcel_id).pack().event])
    assert isinstance(packed, PackedParcel)
    return packed.send(sent_at=NOON)


def store() -> Any:  # noqa: ANN401  a store
    return Store.open("store", platform=SimPlatform())


def stored(act: Callable[[Any], object]) -> object:
    """Do something with a store."""
    with store() as opened:
        return act(opened)


def append(event: object) -> object:
    return stored(lambda db: db.append(AT, event))


def cancelling() -> Any:  # noqa: ANN401  a guarded move
    late = NOON + dt.timedelta(days=2)
    return placed().cancel(reason=CancelReason.STOCK, cancelled_at=late)


def judged(verdict: object) -> object:
    """What place_gates say, with a Python gate that answers anything."""
    orders = machine(verdict)
    line = sample(OrderLine, unit_price=EUROS)
    move = orders.new(ORDER).place(
        customer_id=new_id(CustomerId),
        customer_email="ada@example.org",
        lines=(line,),
        total=EUROS,
        placed_at=NOON,
    )
    checkout = Checkout(credit_limit=EUROS, blocked=frozenset())
    answer = orders.place_gates.evaluate(checkout, move)
    return (answer.gate, answer.code, answer.message) if isinstance(answer, Denial) else answer


class Gate:
    """A gate that answers with anything."""

    def __init__(self, answer: Callable[[Any], object]) -> None:
        self.name, self.answer = "odd", answer

    def judge(self, ctx: object, state: object, event: object, /) -> Any:  # noqa: ANN401  so
        return self.answer(event)


@final
class OtherGates(GateSet[None, Placed, OrderPaid]):
    pass


def odd(answer: Callable[[Any], object]) -> object:
    (denial,) = OtherGates(Gate(answer)).evaluate_all(None, placed().data, pay().event)
    return denial.code, denial.message


def another_class(name: str, *bases: type, **words: bool) -> type:
    return type(name, bases, {"__annotations__": {}}, **words)


class Half(OrderHandler[None]):
    def on_order_placed(self, event: StoredEvent[OrderPlaced], /) -> None: ...  # type: ignore[explicit-override]  # as it may come


class Deaf(OrderReactor):
    def on_order_paid(self, event: Any, out: Any, witness: Any, /) -> None: ...  # type: ignore[explicit-override]  # noqa: ANN401  likewise


class Whole(OrderHandler[str]):
    def on_order_placed(self, event: Any, /) -> str: ...  # type: ignore[explicit-override, empty-body]  # noqa: ANN401  likewise
    def on_order_paid(self, event: Any, /) -> str: ...  # type: ignore[explicit-override, empty-body]  # noqa: ANN401  likewise
    def on_order_shipped(self, event: Any, /) -> str: ...  # type: ignore[explicit-override, empty-body]  # noqa: ANN401  likewise
    def on_order_cancelled(self, event: Any, /) -> str: ...  # type: ignore[explicit-override, empty-body]  # noqa: ANN401  likewise


def forgotten(of: Any) -> None:  # noqa: ANN401  a state or an event
    match of:
        case DraftOrder() | OrderPlaced():
            return
        case _:
            assert_never(of)


def dropped() -> None:
    with strict_moves():
        paid().ship(carrier=LOOSE, shipped_at=NOON)  # type: ignore[unused-awaitable]  # the misuse


def wrong_policy() -> object:
    receipt: Any = OtherGates().evaluate(None, loose(pay()))
    return machine().commit(receipt)


def read_as(fact: type) -> object:
    def act(db: Any) -> object:  # noqa: ANN401  a store
        receipt = db.append(AT, PAID)
        return db.get(receipt.event_id, fact)

    return stored(act)


def untyped(name: str) -> object:
    """An attribute of the payload that a read without a class gives."""

    def act(db: Any) -> object:  # noqa: ANN401  a store
        receipt = db.append(AT, sample(OrderCancelled))
        return getattr(db.get(receipt.event_id).payload, name)

    return stored(act)


def react_with_a_former_version() -> object:
    out = ReactionBatch()
    out.push(AT, loose(SeenV1(text="x")))
    return stored(lambda db: db.append_batch(out.items))


def assign(of: object, name: str) -> None:
    setattr(of, name, 1)


ROWS: dict[int, Callable[[], object]] = {
    1: lambda: loose(OrderCancelled)(ORDER, CancelReason.FRAUD, NOON),
    2: lambda: loose(OrderCancelled)(order_id=ORDER, reason=CancelReason.FRAUD),
    3: lambda: sample(OrderCancelled, why="x"),
    4: lambda: append(sample(OrderCancelled, cancelled_at="today")),
    5: lambda: append(sample(OrderShipped, carrier="dhl")),
    8: lambda: append(replace(PAID, amount=replace(EUROS, amount=1.5))),
    9: lambda: append(replace(PLACED, lines=[*PLACED.lines])),
    11: lambda: assign(PAID, "amount"),
    12: lambda: assign(EUROS, "amount"),
    15: lambda: loose(EventKind)(0x2001),
    16: lambda: another_class("Special", OrderPaid, frozen=True, kw_only=True),
    17: lambda: another_class("Thawed", EventPayload, kw_only=True),
    18: lambda: append({"order_id": "1"}),
    19: lambda: append(SeenV1(text="x")),
    20: lambda: stored(lambda db: db.append("order:1", PAID)),
    21: lambda: stored(lambda db: db.append_batch([BatchItem(AT, loose(SeenV1(text="x")))])),
    22: lambda: stored(lambda db: list(db.by_fact(SeenV1))),
    23: lambda: read_as(OrderShipped),
    24: lambda: untyped("amount"),
    25: lambda: loose(placed()).ship(carrier=None, shipped_at=NOON),
    26: lambda: loose(machine().new(ORDER)).ship(carrier=None, shipped_at=NOON),
    27: lambda: loose(machine().load(ORDER)).cancel(reason=CancelReason.FRAUD, cancelled_at=NOON),
    28: lambda: machine().load(loose("order:1")),
    29: lambda: loose(paid()).ship(order_id=ORDER, carrier=None, shipped_at=NOON),
    30: lambda: loose(paid()).ship(carrier=None),
    31: lambda: machine().apply(pay()),
    32: lambda: machine().apply(sending()),
    33: lambda: machine().apply(loose(PAID)),
    35: dropped,
    36: lambda: loose(Transition)(object(), paid(), ShippedOrder, sample(OrderShipped)),
    37: lambda: loose(PaidOrder)(object(), AT, 2, paid().data),
    38: lambda: loose(placed()).data.payment_id,
    39: lambda: assign(placed().data, "total"),
    40: lambda: assign(placed(), "version"),
    41: lambda: loose(machine().new(ORDER)).data.total,
    43: lambda: forgotten(placed()),
    44: lambda: forgotten(PAID),
    45: lambda: machine().commit(
        loose(machine().pay_gates.evaluate(None, pay(replace(EUROS, amount=Decimal(1)))))
    ),
    46: lambda: machine().commit(pay()),
    47: lambda: machine().commit(loose(Denial("paid_in_full", "AMOUNT_MISMATCH", "no"))),
    48: wrong_policy,
    49: lambda: loose(machine()).cancel_gates.evaluate(Desk(roles=frozenset()), pay()).message,
    50: lambda: machine().cancel_gates.evaluate(loose(Checkout), cancelling()),
    52: lambda: machine().apply(loose(machine().pay_gates.evaluate(None, pay()))),
    53: lambda: loose(Receipt)(pay()),
    60: lambda: odd(lambda _: None),
    61: lambda: odd(lambda _: True),
    62: lambda: odd(lambda event: event.shipped_at),
    63: loose(Half),
    64: loose(Half),
    65: lambda: (lambda handler: handler())(loose(Half)),
    69: lambda: loose(Whole()).dispatch(StoredEvent(sample(OrderRefunded), b"")),
    70: lambda: loose(Whole()).dispatch(StoredEvent(sending().event, b"")),
    71: loose(Deaf),
    73: react_with_a_former_version,
    74: another_class("NoEvolve", h.OrdersHooks),
    75: lambda: judged("CREDIT_LIMITS"),
    76: lambda: judged(None),
    79: lambda: OrderMachine(MemoryLedger(), loose(object())),
    80: lambda: loose(OrderMachine)(MemoryLedger()),
}


def main() -> None:
    """Do all of it, and print what came of each."""
    said: dict[int, str] = {}
    for row, misuse in ROWS.items():
        try:
            said[row] = repr(misuse())
        except Exception as error:  # noqa: BLE001  whatever it is
            said[row] = f"{type(error).__name__}: {error}"
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
