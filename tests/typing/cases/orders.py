"""Misuse of a generated domain. Every line marked `# E` is rejected, and no other line is.

After the mark: mypy's error codes, then pyright's rules. A dash: the checker accepts the line. A
number in the mark is a row of the table of misuse that must be rejected: see test_misuse.py.
"""
# fmt: off
# ruff: noqa
from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import ClassVar, assert_never, final
from uuid import UUID

from batpak import (
    AtLeastOnce, Coordinate, Denial, EventId, EventKind, EventPayload, Gate, GateSet, Handle, PERMIT,
    ReactionBatch, Receipt, Region, Store, StoredEvent, StoreReader, Transition, Verdict, override,
)
from batpak.abi import StateData

from shop.gen.common import Currency, Money
from shop.gen.orders import (
    CancelReason, Carrier, CustomerId, OrderCancelled, OrderEvent, OrderId, OrderLine, OrderPaid,
    OrderPlaced, OrderShipped,
)
from shop.gen.orders.handlers import OrderHandler, OrderListener, OrderReactor
from shop.gen.orders.order_gates import PayOrderGates, PlaceOrderGates
from shop.gen.orders.order_machine import (
    CancelledOrder, DraftOrder, OrderMachine, OrderState, PaidOrder, PayOrder, PlacedOrder,
    ShippedOrder,
)
from shop.gen.orders.order_states import Placed

# ------------------------------------------------------------------------------- payloads


def payloads(order_id: OrderId, customer_id: CustomerId, at: dt.datetime, euro: Money, line: OrderLine) -> None:
    OrderCancelled(order_id, CancelReason.FRAUD, at)  # E1: call-arg | reportCallIssue
    OrderCancelled(order_id=order_id, reason=CancelReason.FRAUD)  # E2: call-arg | reportCallIssue
    OrderCancelled(order_id=order_id, reason=CancelReason.FRAUD, cancelled_at=at, why="x")  # E3: call-arg | reportCallIssue
    OrderCancelled(order_id=order_id, reason=CancelReason.FRAUD, cancelled_at="today")  # E4: arg-type | reportArgumentType
    OrderShipped(order_id=order_id, carrier="dhl", shipped_at=at)  # E5: arg-type | reportArgumentType
    OrderShipped(order_id=UUID(int=1), carrier=Carrier.DHL, shipped_at=at)  # E6: arg-type | reportArgumentType
    OrderShipped(order_id=customer_id, carrier=Carrier.DHL, shipped_at=at)  # E7: arg-type | reportArgumentType
    Money(amount=1.5, currency=Currency.EUR)  # E8: arg-type | reportArgumentType
    OrderPlaced(
        order_id=order_id,
        customer_id=customer_id,
        lines=[line],  # E9: arg-type | reportArgumentType
        total=euro,
        labels={},
        placed_at=at,
    )
    event = OrderCancelled(order_id=order_id, reason=CancelReason.FRAUD, cancelled_at=at)
    event.reason = CancelReason.STOCK  # E11: misc | reportAttributeAccessIssue
    euro.amount += 1  # E12: misc | reportAttributeAccessIssue
    print(euro.currency == "eur")  # E13: comparison-overlap | reportUnnecessaryComparison
    EventKind(0x2001)  # E15: call-arg | reportCallIssue


class Special(OrderPaid, frozen=True, kw_only=True):  # E16: misc | reportGeneralTypeIssues
    pass


class Thawed(EventPayload, kw_only=True):  # E17: misc | reportGeneralTypeIssues
    pass


# ---------------------------------------------------------------------------------- store


def store(db: Store, reader: StoreReader, at: Coordinate, event_id: EventId, paid: OrderPaid) -> None:
    db.append(at, {"order_id": "1"})  # E18: arg-type | reportArgumentType
    db.append("order:1", paid)  # E20: arg-type | reportArgumentType
    reader.append(at, paid)  # E: attr-defined | reportAttributeAccessIssue
    stored: StoredEvent[OrderPaid] = db.get(event_id, OrderShipped)  # E23: arg-type,assignment | reportAssignmentType,reportArgumentType
    print(stored, db.get(event_id).payload.amount)  # E24: attr-defined | reportAttributeAccessIssue


# ------------------------------------------------------------------------------- typestate


@final
class DoorOpened(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0x3, 0x001)
    VERSION: ClassVar[int] = 1


@final
class Closed(StateData, frozen=True, kw_only=True, tag="Closed"):
    pass


@final
class Open(StateData, frozen=True, kw_only=True, tag="Open"):
    pass


@final
class OpenDoor(Handle[Open]):
    pass


@final
class ClosedDoor(Handle[Closed]):
    def open(self) -> Transition[ClosedDoor, OpenDoor, DoorOpened]:
        return self._move(OpenDoor, DoorOpened())


def typestate(orders: OrderMachine, draft: DraftOrder, placed: PlacedOrder, paid: PaidOrder, any_state: OrderState, door: ClosedDoor, at: dt.datetime, euro: Money) -> None:
    placed.ship(carrier=Carrier.DHL, shipped_at=at)  # E25: attr-defined | reportAttributeAccessIssue
    any_state.ship(carrier=Carrier.DHL, shipped_at=at)  # E26: union-attr | reportAttributeAccessIssue
    orders.load(placed.data.order_id).cancel(reason=CancelReason.FRAUD, cancelled_at=at)  # E27: union-attr | reportAttributeAccessIssue
    orders.load("order:1")  # E28: arg-type | reportArgumentType
    paid.ship(order_id=paid.data.order_id, carrier=Carrier.DHL, shipped_at=at)  # E29: call-arg | reportCallIssue
    paid.ship(carrier=Carrier.DHL)  # E30: call-arg | reportCallIssue
    pay = placed.pay(payment_id=UUID(int=1), amount=euro, paid_at=at)
    orders.apply(pay)  # E31: arg-type | reportArgumentType
    orders.apply(door.open())  # E32: arg-type | reportArgumentType
    orders.apply(OrderShipped(order_id=paid.data.order_id, carrier=Carrier.DHL, shipped_at=at))  # E33: arg-type | reportArgumentType
    again: PaidOrder = orders.apply(paid.ship(carrier=Carrier.DHL, shipped_at=at))  # E34: assignment | reportAssignmentType
    paid.ship(carrier=Carrier.DHL, shipped_at=at)  # E35: unused-awaitable | -
    Transition(paid, ShippedOrder, OrderShipped(order_id=paid.data.order_id, carrier=Carrier.DHL, shipped_at=at))  # E36: call-arg,arg-type | reportCallIssue,reportArgumentType
    PaidOrder(paid.coordinate, paid.version, paid.data)  # E37: call-arg,arg-type | reportCallIssue,reportArgumentType
    print(placed.data.payment_id, again)  # E38: attr-defined | reportAttributeAccessIssue
    placed.data.total = euro  # E39: misc | reportAttributeAccessIssue
    placed.version = 7  # E40: misc | reportAttributeAccessIssue
    draft.data.total  # E41: attr-defined | reportAttributeAccessIssue


class LoudOrder(PlacedOrder):  # E42: misc | reportGeneralTypeIssues
    pass


def forgets_a_state(order: OrderState) -> str:
    match order:
        case DraftOrder() | PlacedOrder():
            return "open"
        case PaidOrder() | ShippedOrder():
            return "ours"
        case _:
            assert_never(order)  # E43: arg-type | reportArgumentType


def forgets_an_event(event: OrderEvent) -> str:
    match event:
        case OrderPlaced() | OrderPaid() | OrderShipped():
            return "good news"
        case _:
            assert_never(event)  # E44: arg-type | reportArgumentType


# ---------------------------------------------------------------------------------- gates


@final
class OtherGates(GateSet[None, Placed, OrderPaid]):
    pass


def gates(orders: OrderMachine, pay: PayOrder, euro: Money) -> None:
    orders.commit(orders.pay_gates.evaluate(None, pay))  # E45: arg-type | reportArgumentType
    orders.commit(pay)  # E46: arg-type | reportArgumentType
    orders.commit(Denial("paid_in_full", "AMOUNT_MISMATCH", "no"))  # E47: arg-type | reportArgumentType
    OtherGates().evaluate(None, pay)  # E48: arg-type,call-overload | reportArgumentType,reportCallIssue
    orders.place_gates.evaluate(None, pay)  # E49: arg-type,call-overload | reportArgumentType,reportCallIssue
    orders.pay_gates.evaluate(euro, pay)  # E50: arg-type,call-overload | reportArgumentType,reportCallIssue
    orders.apply(orders.pay_gates.evaluate(None, pay))  # E52: arg-type | reportArgumentType
    Receipt(pay)  # E53: call-arg,arg-type | reportCallIssue,reportArgumentType


class Forgetful:
    name = "forgetful"

    def judge(self, ctx: None, state: Placed, event: OrderPaid, /) -> Verdict:  # E60: return | reportReturnType
        if event.amount == state.total:
            return PERMIT


class Unsure:
    name = "unsure"

    def judge(self, ctx: None, state: Placed, event: OrderPaid, /) -> bool:
        return True


class ShippedOnly:
    name = "shipped_only"

    def judge(self, ctx: None, state: Placed, event: OrderShipped, /) -> Verdict:
        return PERMIT


GateSet[None, Placed, OrderPaid](Unsure())  # E61: arg-type | reportArgumentType
GateSet[None, Placed, OrderPaid](ShippedOnly())  # E62: arg-type | reportArgumentType


# -------------------------------------------------------------------------------- handlers


@final
class NoCancel(OrderHandler[None]):  # E63: misc | reportGeneralTypeIssues
    @override
    def on_order_placed(self, event: StoredEvent[OrderPlaced], /) -> None: ...
    @override
    def on_order_paid(self, event: StoredEvent[OrderPaid], /) -> None: ...
    @override
    def on_order_shipped(self, event: StoredEvent[OrderShipped], /) -> None: ...


class Unfinished(OrderHandler[None]):
    @override
    def on_order_placed(self, event: StoredEvent[OrderPlaced], /) -> None: ...


def build(handler: type[OrderHandler[None]]) -> None: ...


Unfinished()  # E64: abstract | reportAbstractUsage
build(Unfinished)  # E65: type-abstract | -


@final
class Bell(OrderListener):
    @override
    def on_order_shipped(self, event: StoredEvent[OrderShipped], /) -> None: ...


@final
class WrongBell(OrderListener):
    @override
    def on_order_shipped(self, event: StoredEvent[OrderPaid], /) -> None: ...  # E: override | reportIncompatibleMethodOverride


Bell()


class WrongTypes(OrderHandler[str]):
    @override
    def on_order_paid(self, event: StoredEvent[OrderPlaced], /) -> str:  # E66: override | reportIncompatibleMethodOverride
        return ""

    @override
    def on_order_placed(self, event: StoredEvent[OrderPlaced], /) -> int:  # E67: override | reportIncompatibleMethodOverride
        return 1

    @override
    def on_order_lost(self, event: StoredEvent[OrderPlaced], /) -> str:  # E68: misc | reportGeneralTypeIssues
        return ""


def dispatches(handler: OrderHandler[str], anything: StoredEvent[EventPayload], door: StoredEvent[DoorOpened]) -> None:
    handler.dispatch(door)  # E70: arg-type | reportArgumentType
    handler.dispatch(anything)  # E: arg-type | reportArgumentType


@final
class Deaf(OrderReactor):  # E71: misc | reportGeneralTypeIssues
    @override
    def on_order_paid(self, event: StoredEvent[OrderPaid], out: ReactionBatch, witness: AtLeastOnce | None, /) -> None: ...


class Wrong(OrderReactor):
    @override
    def on_order_paid(self, event: StoredEvent[OrderPaid], out: ReactionBatch, /) -> None: ...  # E72: override | reportIncompatibleMethodOverride
    @override  # E: misc | -
    def react(self, event: StoredEvent[OrderEvent], out: ReactionBatch, witness: AtLeastOnce | None, /) -> None: ...  # E: - | reportIncompatibleMethodOverride


def reacts(store: Store, reader: StoreReader, bell: Bell, reactor: OrderReactor) -> None:
    store.react(bell)  # E: arg-type | reportArgumentType
    reader.react(reactor)  # E: attr-defined | reportAttributeAccessIssue
    AtLeastOnce("mine")  # E: call-arg | reportCallIssue


def works(store: Store, durable: Callable[[Sequence[StoredEvent[EventPayload]], AtLeastOnce], None]) -> None:
    store.cursor_worker(Region.all(), durable, checkpoint_id="mail")
    store.cursor_worker(Region.all(), durable)  # E: arg-type | reportCallIssue,reportArgumentType


def wiring(cancelled: CancelledOrder) -> None:
    OrderMachine()  # E: call-arg | reportCallIssue
    print(cancelled, PayOrderGates, PlaceOrderGates, Gate)
