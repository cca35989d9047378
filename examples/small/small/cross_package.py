"""Teaches: a package of events that uses the types and events of another one.

$ python -m small cross_package
shop.Ordered 0xc001, parcels.ParcelSent 0xc011
to pack: blue cup, red cup
sent: blue cup, red cup
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from batpak import Coordinate, Store, StoredEvent, override
from small.gen.parcels import ParcelSent
from small.gen.parcels.handlers import CounterHandler
from small.gen.shop import Item, Ordered

ADA = Coordinate("cart:ada", "shop")


@final
class Counter(CounterHandler[None]):
    """What lies on the counter: what was ordered and not sent."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    @override
    def on_ordered(self, event: StoredEvent[Ordered], /) -> None:
        self.items.append(event.payload.item)

    @override
    def on_parcel_sent(self, event: StoredEvent[ParcelSent], /) -> None:
        self.items = [item for item in self.items if item not in event.payload.items]


def main(folder: Path) -> None:
    """Order in one package, send in the other."""
    print(f"shop.Ordered {Ordered.KIND}, parcels.ParcelSent {ParcelSent.KIND}")
    with Store.open(folder / "shop.store") as store:
        for colour in ("blue", "red"):
            store.append(ADA, Ordered(item=f"{colour} cup", cents=950))
        counter = Counter()
        for event in store.query():
            if counter.handles(event):
                counter.dispatch(event)
        print("to pack:", ", ".join(counter.items))

        store.append(ADA, ParcelSent(items=tuple(counter.items), insured_for=1900))
        (parcel,) = store.by_fact(ParcelSent)
        print("sent:", ", ".join(parcel.payload.items))
