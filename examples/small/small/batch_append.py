"""Teaches: several events as one. All of them are stored or none is.

$ python -m small batch_append
stored together, as 1 and 2
the second was caused by the first: True
again with the same key: replayed True, still 2 events
refused at item 1: cart:ben has 1 events, not 0
events of cart:ada: 1
"""

from __future__ import annotations

from pathlib import Path

from batpak import BatchItem, Coordinate, PriorItem, Region, Store, VersionConflict
from small.gen.shop import Ordered

ADA, BEN = Coordinate("cart:ada", "shop"), Coordinate("cart:ben", "shop")


def main(folder: Path) -> None:
    """Store a batch, repeat it safely, and see one refused as a whole."""
    pair = [
        BatchItem(ADA, Ordered(item="blue cup", cents=950)),
        BatchItem(BEN, Ordered(item="red cup", cents=950), caused_by=PriorItem(0)),
    ]
    with Store.open(folder / "shop.store") as store:
        first, second = store.append_batch(pair, idempotency_key="two cups")
        print(f"stored together, as {first.sequence} and {second.sequence}")
        print(f"the second was caused by the first: {second.causation_id == first.event_id}")

        again, _ = store.append_batch(pair, idempotency_key="two cups")
        orders = store.count(Region(kinds=Ordered))
        print(f"again with the same key: replayed {again.replayed}, still {orders} events")

        try:
            store.append_batch(
                [
                    BatchItem(ADA, Ordered(item="saucer", cents=300)),
                    BatchItem(BEN, Ordered(item="saucer", cents=300), expected_version=0),
                ]
            )
        except VersionConflict as error:
            print(
                f"refused at item {error.item_index}: {BEN.entity} has {error.actual} events, not 0"
            )
        print(f"events of cart:ada: {store.version(ADA.entity)}")
