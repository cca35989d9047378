"""Teaches: open, append, read back, verify.

$ python -m small quickstart
stored as version 1 of cart:ada
a blue cup for 950
after opening again: 1 order, 950 paid
nothing is damaged
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, Store
from small.gen.shop import Ordered, Paid


def main(folder: Path) -> None:
    """Store two events and find them again."""
    cart = Coordinate("cart:ada", "shop")  # the entity, and a label to find it by

    with Store.open(folder / "shop.store") as store:
        receipt = store.append(cart, Ordered(item="blue cup", cents=950))
        store.append(cart, Paid(cents=950), caused_by=receipt)
        print(f"stored as version {receipt.version} of {receipt.coordinate.entity}")

        event = store.get(receipt.event_id, Ordered)
        print(f"a {event.payload.item} for {event.payload.cents}")

    with Store.open_read_only(folder / "shop.store") as reader:
        paid = sum(event.payload.cents for event in reader.by_fact(Paid))
        orders = sum(1 for _ in reader.by_fact(Ordered))
        print(f"after opening again: {orders} order, {paid} paid")
        print("nothing is damaged" if reader.verify().ok else "something is damaged")
