"""Three orders: one goes well, one is refused by the bank, and the money for one comes too late.

Run it: `python -m fulfilment.app fulfilment.store`.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from typing import Final, TypeVar, assert_never

from batpak import EventPayload, Region, Store, StoredEvent, StoreReader, new_id
from fulfilment.gen.orders import (
    DeadlineSet,
    OrderCancelled,
    OrderId,
    OrderSent,
    RefundRequested,
)
from fulfilment.gen.orders.order_machine import (
    CancelledOrder,
    DraftOrder,
    OrderMachine,
    OrderState,
    PaidOrder,
    PlacedOrder,
    SentOrder,
)
from fulfilment.outside import at_work, ring
from fulfilment.process import running

PATIENCE_S: Final = 10.0
P = TypeVar("P", bound=EventPayload)


def place(store: Store, sku: str, cents: int, pay_until: dt.datetime) -> OrderId:
    """Place an order. That is all that a customer does; everything else follows."""
    orders, order_id = OrderMachine(store), new_id(OrderId)
    orders.apply(orders.new(order_id).place(sku=sku, cents=cents, pay_until=pay_until))
    return order_id


def history(store: StoreReader, order_id: OrderId) -> Iterator[StoredEvent[EventPayload]]:
    """Return all that was said because an order was placed, by whomever, oldest first."""
    placed = next(iter(store.stream(f"order:{order_id.hex}")))
    return store.by_correlation(placed.correlation_id)


def awaited(store: StoreReader, order_id: OrderId, kind: type[P]) -> StoredEvent[P]:
    """Wait until something has happened to an order."""
    for event in store.cursor_guaranteed(Region(kinds=kind)).follow(PATIENCE_S):
        found = store.get(event.sequence, kind)
        if f":{order_id.hex}" in found.coordinate.entity:
            return found
    raise TimeoutError(f"no {kind.__name__} in {PATIENCE_S} s")


def describe(order: OrderState) -> str:
    """Say in a few words where an order stands. A new state makes this fail to type-check."""
    match order:
        case DraftOrder():
            return "not placed"
        case PlacedOrder(data=placed):
            return f"{placed.sku}: waits for {placed.cents} cents"
        case PaidOrder(data=paid):
            return f"{paid.sku}: waits for a parcel"
        case SentOrder(data=sent):
            return f"{sent.sku}: sent"
        case CancelledOrder(data=cancelled):
            return f"{cancelled.sku}: cancelled, {cancelled.reason.value}"
        case _:
            assert_never(order)


# -------------------------------------------------------------------------------------- a story


def tell(store: Store) -> list[str]:
    """Place the three orders; return what became of them, line by line."""
    now = dt.datetime.now(dt.UTC)
    tomorrow = now + dt.timedelta(days=1)
    with running(store):
        with at_work(store):
            lamp = place(store, "lamp", 4_000, tomorrow)
            awaited(store, lamp, OrderSent)
            palace = place(store, "palace", 400_000_000, tomorrow)
            awaited(store, palace, OrderCancelled)
        vase = place(store, "vase", 2_500, tomorrow)  # and nobody is in the bank
        awaited(store, vase, DeadlineSet)
        ring(store, tomorrow)
        awaited(store, vase, OrderCancelled)
        with at_work(store):
            awaited(store, vase, RefundRequested)

    said: list[str] = []
    for order_id in (lamp, palace, vase):
        said.append(describe(OrderMachine(store).load(order_id)))
        said += [f"  {type(event.payload).__name__}" for event in history(store, order_id)]
    return said


def main(path: str) -> None:
    """Tell the story in a store at `path`."""
    with Store.open(path) as store:
        for line in tell(store):
            print(line)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "fulfilment.store")
