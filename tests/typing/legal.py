"""What a user writes, and no checker rejects: the other half of the cases of misuse.

Without this, signatures so narrow that nobody could use them would pass for safe ones.
"""

# ruff: noqa: ARG002  a hook takes what the schema says, whether it needs it or not
from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never, final
from uuid import UUID

from msgspec.structs import replace

from batpak import (
    AtLeastOnce,
    Coordinate,
    Denial,
    EventPayload,
    Form,
    Ledger,
    ReactionBatch,
    Region,
    StaleState,
    Step,
    Store,
    StoredEvent,
    Transition,
    override,
)
from batpak.testing import MemoryLedger, sample, strict_moves
from dungeon.door import ClosedDoor, DoorId, DoorMachine, Hero, KeyId, LockedDoor, OpenDoor
from tests.golden.cases_out.gates.expected.depot.parcels import hooks as p
from tests.golden.cases_out.gates.expected.orders import (
    CancelReason,
    Carrier,
    OrderCancelled,
    OrderEvent,
    OrderId,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
)
from tests.golden.cases_out.gates.expected.orders import hooks as h
from tests.golden.cases_out.gates.expected.orders.contexts import Checkout, Desk
from tests.golden.cases_out.gates.expected.orders.handlers import (
    OrderHandler,
    OrderListener,
    OrderReactor,
)
from tests.golden.cases_out.gates.expected.orders.order_machine import (
    CancelledOrder,
    DraftOrder,
    OrderMachine,
    OrderState,
    PaidOrder,
    PlacedOrder,
    ShippedOrder,
)
from tests.golden.cases_out.gates.expected.orders.projections import (
    RevenueProjection,
    RevenueState,
)
from tests.golden.cases_out.gates.expected.orders.testing import OrderScenario

# ------------------------------------------------------------------------------------ hooks


@final
class Hooks(h.OrdersHooks):
    @h.override
    def gate_credit_ok(self, ctx: h.Checkout, event: h.OrderPlaced, /) -> h.CreditOkVerdict:
        if event.customer_id in ctx.blocked:
            return "CREDIT_HOLD"
        return "CREDIT_LIMIT" if event.total.amount > ctx.credit_limit.amount else h.PERMIT

    @h.override
    def evolve_order_ship(self, state: h.Paid, event: h.OrderShipped, /) -> h.Shipped:
        return sample(h.Shipped, order_id=state.order_id, label=event.carrier.value)


@final
class ParcelHooks(p.ParcelsHooks):
    @override
    def gate_careful(
        self, ctx: p.Scale, state: p.Full | p.Sealed, event: p.Repacked, /
    ) -> p.CarefulVerdict:
        return "SEALED" if isinstance(state, p.Sealed) else p.PERMIT

    @override
    def gate_a_gate_whose_name_is_as_long_as_names_of_gates_can_be_it_seems(
        self, state: p.Full | p.Sealed, event: p.Lost, /
    ) -> p.AGateWhoseNameIsAsLongAsNamesOfGatesCanBeItSeemsVerdict:
        return "NOBODY_HAS_EVER_HEARD_OF_IT"

    @override
    def gate_noted(self, event: p.Noted, /) -> p.NotedVerdict:
        return p.PERMIT

    @override
    def evolve_parcel_lose(self, state: p.Full | p.Sealed, event: p.Lost, /) -> p.Gone:
        return sample(p.Gone, parcel_id=event.parcel_id, weight=state.weight)


# ------------------------------------------------------------------------------------ moves


def cancel(
    orders: OrderMachine, order: PlacedOrder | PaidOrder, desk: Desk, at: dt.datetime
) -> CancelledOrder | Denial:
    """The usual loop: one gate set for a move with several sources."""
    while True:
        move = order.cancel(reason=CancelReason.STOCK, cancelled_at=at)
        verdict = orders.cancel_gates.evaluate(desk, move)
        if isinstance(verdict, Denial):
            return verdict
        try:
            return orders.commit(verdict, flags=1, extensions={"app.trace": b"1"})
        except StaleState:
            fresh = orders.load(order.data.order_id)
            if not isinstance(fresh, PlacedOrder | PaidOrder):
                raise
            order = fresh


def ship_if_paid(orders: OrderMachine, order_id: OrderId, at: dt.datetime) -> ShippedOrder | None:
    order = orders.load(order_id)
    if isinstance(order, PaidOrder):
        return orders.apply(order.ship(carrier=Carrier.DHL, shipped_at=at))
    return None


def describe(order: OrderState) -> str:
    match order:
        case DraftOrder():
            return "a draft"
        case PlacedOrder(data=placed):
            return f"waiting for {placed.total.amount}"
        case PaidOrder(data=paid):
            return f"paid at {paid.paid_at}"
        case ShippedOrder(data=shipped):
            return shipped.label
        case CancelledOrder(data=cancelled):
            return cancelled.reason.value
        case _:
            assert_never(order)


def amount(event: OrderEvent) -> Decimal:
    match event:
        case OrderPlaced(total=total):
            return total.amount
        case OrderPaid(amount=paid):
            return paid.amount
        case OrderShipped() | OrderCancelled():
            return Decimal(0)
        case _:
            assert_never(event)


def any_ledger(ledger: Ledger, store: Store, memory: MemoryLedger) -> list[OrderMachine]:
    return [OrderMachine(one, Hooks()) for one in (ledger, store, memory)]


# --------------------------------------------------------------------------------- folds


@final
class Revenue(RevenueProjection):
    @override
    def on_order_paid(self, state: RevenueState, event: StoredEvent[OrderPaid], /) -> RevenueState:
        return RevenueState(orders=state.orders + 1, net=state.net + event.payload.amount.amount)

    @override
    def on_order_refunded(
        self, state: RevenueState, event: StoredEvent[OrderRefunded], /
    ) -> RevenueState:
        return replace(state, net=state.net - event.payload.amount.amount)


def net(store: Store, entity: str) -> Decimal:
    revenue = store.project(Revenue(), entity)
    return Decimal(0) if revenue is None else revenue.net


# --------------------------------------------------------------------------------- dispatch


@final
class Journal(OrderHandler[str]):
    @override
    def on_order_placed(self, event: StoredEvent[OrderPlaced], /) -> str:
        return str(event.payload.total)

    @override
    def on_order_paid(self, event: StoredEvent[OrderPaid], /) -> str:
        return str(event.payload.amount)

    @override
    def on_order_shipped(self, event: StoredEvent[OrderShipped], /) -> str:
        return event.payload.carrier.value

    @override
    def on_order_cancelled(self, event: StoredEvent[OrderCancelled], /) -> str:
        return event.payload.reason.value


@final
class ParcelBell(OrderListener):
    @override
    def on_order_shipped(self, event: StoredEvent[OrderShipped], /) -> None:
        print("ding", event.payload.tracking)


def tell(store: Store, at: Coordinate) -> list[str]:
    journal, bell = Journal(), ParcelBell()
    for event in store.by_fact(OrderShipped):
        bell.dispatch(event)
    return [journal.dispatch(one) for one in store.stream(at.entity) if journal.handles(one)]


@final
class Refunding(OrderReactor):
    @override
    def on_order_placed(
        self, event: StoredEvent[OrderPlaced], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None: ...

    @override
    def on_order_paid(
        self, event: StoredEvent[OrderPaid], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        out.push(event.coordinate, event.payload)

    @override
    def on_order_shipped(
        self, event: StoredEvent[OrderShipped], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None: ...

    @override
    def on_order_cancelled(
        self, event: StoredEvent[OrderCancelled], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None: ...


def handle(events: Sequence[StoredEvent[EventPayload]], witness: AtLeastOnce | None) -> Step:
    keys = [witness.operation_key(event, "mail") for event in events] if witness else []
    return Step.CONTINUE if keys else Step.STOP


def once(events: Sequence[StoredEvent[EventPayload]], witness: AtLeastOnce) -> None:
    print([witness.once(event) for event in events])


def once_raw(events: Sequence[StoredEvent[bytes]], witness: AtLeastOnce) -> None:
    print([witness.once(event).key + event.payload for event in events])


def follow(store: Store) -> None:
    bell = ParcelBell()
    with (
        store.cursor_worker(Region.all(), handle),
        store.cursor_worker(Region.all(), once, checkpoint_id="once"),
        store.cursor_worker(Region.all(), once_raw, checkpoint_id="raw", form=Form.RAW),
        store.react(Refunding(), checkpoint_id="refunds"),
        store.cursor_worker(Region(kinds=bell.KINDS), handle, checkpoint_id="mail"),
    ):
        for event in store.cursor_guaranteed().follow(idle_timeout_s=1):
            if bell.handles(event):
                bell.dispatch(event)


# ------------------------------------------------------------------------------------- tests


@strict_moves()
def rules(at: dt.datetime, order_id: OrderId, placed: OrderPlaced, checkout: Checkout) -> PaidOrder:
    orders = OrderScenario(Hooks())
    total = placed.total

    orders.given(order_id).when(
        DraftOrder,
        lambda order: order.place(
            customer_id=placed.customer_id,
            customer_email=placed.customer_email,
            lines=placed.lines,
            total=total,
            placed_at=at,
        ),
        checkout,
    ).denied("TOTAL_MISMATCH")
    paid: PaidOrder = (
        orders.given(order_id, placed)
        .when(PlacedOrder, lambda o: o.pay(payment_id=UUID(int=1), amount=total, paid_at=at), None)
        .stores(sample(OrderPaid, order_id=order_id, amount=total))
    )
    shipped: ShippedOrder = (
        orders.given(order_id, placed, sample(OrderPaid))
        .when(PaidOrder, lambda order: order.ship(carrier=Carrier.UPS, shipped_at=at))
        .stores(sample(OrderShipped))
    )
    assert shipped.version == 3
    return paid


# ---------------------------------------------------------------------------------- by hand


def doors(machine: DoorMachine, door_id: DoorId, hero: Hero) -> OpenDoor | Denial:
    door = machine.load(door_id)
    if isinstance(door, LockedDoor):
        verdict = machine.unlock_gates.evaluate(hero, door.unlock(key=KeyId(1)))
        if isinstance(verdict, Denial):
            return verdict
        door = machine.commit(verdict)
    if isinstance(door, ClosedDoor):
        opening: Transition[ClosedDoor, OpenDoor, object] = door.open()
        print(opening.source, replace(door.data, opened=1))
        return machine.apply(door.open())
    raise LookupError
