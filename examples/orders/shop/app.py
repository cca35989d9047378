"""Teaches: a state machine, a gate, a projection, and what survives.

Run it twice: `python -m shop.app shop.store`. The second run finds what the first one stored.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import assert_never, final
from uuid import UUID, uuid4

from msgspec.structs import replace

from batpak import Denial, Store, StoredEvent, new_id, override
from shop.gen.common import Currency, Money
from shop.gen.orders import (
    CancelReason,
    Carrier,
    CustomerId,
    OrderCancelled,
    OrderId,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderShipped,
)
from shop.gen.orders.handlers import OrderHandler
from shop.gen.orders.order_machine import (
    CancelledOrder,
    DraftOrder,
    OrderMachine,
    OrderState,
    PaidOrder,
    PlacedOrder,
    ShippedOrder,
)
from shop.gen.orders.projections import BalanceProjection, BalanceState


def now() -> dt.datetime:
    """Return the time that goes into events. Gates and folds never ask for it themselves."""
    return dt.datetime.now(dt.UTC)


def euros(amount: str) -> Money:
    """Return an amount in euros from its text, so that no float comes near it."""
    return Money(amount=Decimal(amount), currency=Currency.EUR)


# ------------------------------------------------------------------------ the moves of an order


def place(
    orders: OrderMachine,
    lines: tuple[OrderLine, ...],
    total: Money,
    labels: Mapping[str, str] | None = None,
) -> PlacedOrder | Denial:
    """Place a new order. A gate refuses it unless the lines add up to the total."""
    move = orders.new(new_id(OrderId)).place(
        customer_id=new_id(CustomerId),
        lines=lines,
        total=total,
        labels=labels or {},
        placed_at=now(),
    )
    verdict = orders.place_gates.evaluate(None, move)
    if isinstance(verdict, Denial):
        return verdict
    return orders.commit(verdict)


def pay(orders: OrderMachine, order: PlacedOrder, amount: Money) -> PaidOrder | Denial:
    """Pay an order. A gate refuses anything but the full total."""
    move = order.pay(payment_id=uuid4(), amount=amount, paid_at=now())
    verdict = orders.pay_gates.evaluate(None, move)
    if isinstance(verdict, Denial):
        return verdict
    return orders.commit(verdict)


def ship(orders: OrderMachine, order: PaidOrder, carrier: Carrier) -> ShippedOrder:
    """Ship a paid order. There is no way to say this of an order that is not paid."""
    return orders.apply(order.ship(carrier=carrier, tracking="JD0001", shipped_at=now()))


def cancel(
    orders: OrderMachine, order: PlacedOrder | PaidOrder, reason: CancelReason
) -> CancelledOrder:
    """Cancel an order that has not left the house."""
    return orders.apply(order.cancel(reason=reason, cancelled_at=now()))


def describe(order: OrderState) -> str:
    """Say in a few words where an order stands. A new state makes this fail to type-check."""
    match order:
        case DraftOrder():
            return "a draft"
        case PlacedOrder(data=placed):
            return f"placed, waiting for {placed.total.amount} {placed.total.currency.value}"
        case PaidOrder(data=paid):
            return f"paid, {len(paid.lines)} line(s) to pack"
        case ShippedOrder(data=shipped):
            return f"shipped with {shipped.carrier.value}, {shipped.tracking or 'untracked'}"
        case CancelledOrder(data=cancelled):
            return f"cancelled: {cancelled.reason.value}"
        case _:
            assert_never(order)


# ---------------------------------------------------------------------------------- read models


@final
class Balance(BalanceProjection):
    """Folds the events of one order. Another event in the schema is an error here until folded."""

    @override
    def on_order_placed(
        self, state: BalanceState, event: StoredEvent[OrderPlaced], /
    ) -> BalanceState:
        return replace(state, owed=event.payload.total.amount)

    @override
    def on_order_paid(self, state: BalanceState, event: StoredEvent[OrderPaid], /) -> BalanceState:
        return replace(state, received=state.received + event.payload.amount.amount)

    @override
    def on_order_cancelled(
        self, state: BalanceState, event: StoredEvent[OrderCancelled], /
    ) -> BalanceState:
        return replace(state, owed=-state.received, cancelled_at=event.payload.cancelled_at)


@final
class Journal(OrderHandler[str]):
    """One line per event. A new event makes this class fail to type-check until it is handled."""

    @override
    def on_order_placed(self, event: StoredEvent[OrderPlaced], /) -> str:
        return f"placed for {event.payload.total.amount}"

    @override
    def on_order_paid(self, event: StoredEvent[OrderPaid], /) -> str:
        return f"paid {event.payload.amount.amount}"

    @override
    def on_order_shipped(self, event: StoredEvent[OrderShipped], /) -> str:
        return f"shipped with {event.payload.carrier.value}"

    @override
    def on_order_cancelled(self, event: StoredEvent[OrderCancelled], /) -> str:
        return f"cancelled: {event.payload.reason.value}"


# -------------------------------------------------------------------------------------- a story


def tell(store: Store) -> list[str]:
    """Place, pay, ship and cancel a few orders; return what happened, line by line."""
    orders = OrderMachine(store)
    said: list[str] = []
    book = OrderLine(sku="BOOK-1", quantity=2, unit_price=euros("12.50"))
    lamp = OrderLine(sku="LAMP-7", quantity=1, unit_price=euros("40.00"))

    wrong = place(orders, (book,), euros("20.00"))
    if isinstance(wrong, Denial):
        said.append(f"refused by {wrong.gate}: {wrong.message}")

    first = place(orders, (book, lamp), euros("65.00"), {"gift": "yes"})
    if isinstance(first, Denial):
        first.raise_()
    said.append(describe(first))

    short = pay(orders, first, euros("60.00"))
    if isinstance(short, Denial):
        said.append(f"refused by {short.gate}: {short.message}")

    paid = pay(orders, first, euros("65.00"))
    if isinstance(paid, Denial):
        paid.raise_()
    said.append(describe(paid))
    said.append(describe(ship(orders, paid, Carrier.DHL)))

    second = place(orders, (lamp,), euros("40.00"))
    if isinstance(second, Denial):
        second.raise_()
    said.append(describe(cancel(orders, second, CancelReason.CUSTOMER)))
    return said


def history(store: Store, order_id: OrderId) -> list[str]:
    """Return the journal of one order, oldest first."""
    journal = Journal()
    events = store.stream(f"order:{order_id.hex}")
    return [journal.dispatch(event) for event in events if journal.handles(event)]


def balances(store: Store) -> dict[UUID, BalanceState]:
    """Return the balance of every order that was ever placed."""
    found: dict[UUID, BalanceState] = {}
    for event in store.by_fact(OrderPlaced):
        balance = store.project(Balance(), event.coordinate.entity)
        if balance is not None:
            found[event.payload.order_id] = balance
    return found


def main(path: str) -> None:
    """Tell the story in a store at `path` and print what every order owes after it."""
    with Store.open(path) as store:
        for line in tell(store):
            print(line)
        print()
        for order_id, balance in balances(store).items():
            print(f"order {order_id}: owed {balance.owed}, received {balance.received}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "shop.store")
