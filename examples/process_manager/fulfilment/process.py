"""Teaches: a process manager. It hears what has happened, and says what is to happen next.

It keeps nothing of its own: where an order stands is in the log, as the states of a machine. Each
answer is one atomic batch, caused by what it answers, and stored once; a process that was killed
goes on where it was.
"""

# ruff: noqa: ARG002  a reactor is handed a witness, whether it needs it or not
from __future__ import annotations

from typing import ClassVar, Final, final

from batpak import (
    AtLeastOnce,
    Coordinate,
    CursorWorker,
    EventPayload,
    Handle,
    ReactionBatch,
    RestartPolicy,
    StateData,
    Store,
    StoredEvent,
    Transition,
    override,
)
from fulfilment.gen.orders import (
    DeadlinePassed,
    DeadlineSet,
    GoodsReleased,
    GoodsReserved,
    OrderId,
    OrderPlaced,
    ParcelRequested,
    ParcelSent,
    PaymentRefused,
    PaymentRequested,
    PaymentTaken,
    Reason,
    RefundRequested,
)
from fulfilment.gen.orders.handlers import FulfilmentReactor
from fulfilment.gen.orders.order_machine import CancelledOrder, OrderMachine, PaidOrder, PlacedOrder

CHECKPOINT: Final = "fulfilment"


def payment(order_id: OrderId) -> Coordinate:
    """Return where what is said about the payment of an order is."""
    return Coordinate(f"payment:{order_id.hex}", "fulfilment.orders")


def goods(order_id: OrderId) -> Coordinate:
    """Return where what is said about its goods is."""
    return Coordinate(f"goods:{order_id.hex}", "fulfilment.orders")


def deadline(order_id: OrderId) -> Coordinate:
    """Return where what is said about its time is."""
    return Coordinate(f"deadline:{order_id.hex}", "fulfilment.orders")


@final
class Fulfilment(FulfilmentReactor):
    """A method for each event that the process answers; a new one is an error until it has one.

    An answer depends on where the order stands: money may come for one that is cancelled, a
    deadline pass for one that is paid. Where no `if` fits, nothing follows.
    """

    NAME: ClassVar[str] = "fulfilment"

    def __init__(self, orders: OrderMachine) -> None:
        self._orders = orders

    @override
    def on_order_placed(
        self, event: StoredEvent[OrderPlaced], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        order = event.payload
        order_id = order.order_id
        out.push(goods(order_id), GoodsReserved(order_id=order_id, sku=order.sku))
        out.push(payment(order_id), PaymentRequested(order_id=order_id, cents=order.cents))
        out.push(deadline(order_id), DeadlineSet(order_id=order_id, at=order.pay_until))

    @override
    def on_payment_taken(
        self, event: StoredEvent[PaymentTaken], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        order_id = event.payload.order_id
        order = self._orders.load(order_id)
        if isinstance(order, PlacedOrder):
            move(out, order.pay())
            out.push(goods(order_id), ParcelRequested(order_id=order_id, sku=order.data.sku))
        elif isinstance(order, CancelledOrder):  # too late: give it back
            out.push(payment(order_id), RefundRequested(order_id=order_id, cents=order.data.cents))

    @override
    def on_payment_refused(
        self, event: StoredEvent[PaymentRefused], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        self._give_up(event.payload.order_id, Reason.REFUSED, out)

    @override
    def on_deadline_passed(
        self, event: StoredEvent[DeadlinePassed], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        self._give_up(event.payload.order_id, Reason.LATE, out)

    @override
    def on_parcel_sent(
        self, event: StoredEvent[ParcelSent], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        order = self._orders.load(event.payload.order_id)
        if isinstance(order, PaidOrder):
            move(out, order.send(parcel=event.payload.parcel))

    def _give_up(self, order_id: OrderId, reason: Reason, out: ReactionBatch) -> None:
        """Cancel an order that nobody has paid, and undo what was done for it."""
        order = self._orders.load(order_id)
        if isinstance(order, PlacedOrder):
            move(out, order.cancel(reason=reason))
            out.push(goods(order_id), GoodsReleased(order_id=order_id))


def move(
    out: ReactionBatch, step: Transition[Handle[StateData], Handle[StateData], EventPayload]
) -> None:
    """Add a move of an order. If it has moved on meanwhile, the whole answer is refused.

    Then the worker asks for another one, which sees where the order stands now.
    """
    out.push(step.source.coordinate, step.event, expected_version=step.source.version)


def running(store: Store) -> CursorWorker:
    """Run the process, on a thread of the store, until the worker is stopped."""
    return store.react(
        Fulfilment(OrderMachine(store)),
        checkpoint_id=CHECKPOINT,
        restart=RestartPolicy.bounded(10, within_s=1.0),
    )
