"""Teaches: write fast, and wait for the disk only where it matters.

$ python -m small wait_for_durable
a power cut could take back 3 events
waited for one: a power cut could take back 0 events
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, Durability, Store, StoreConfig, Watermark
from small.gen.shop import Ordered

CONFIG = StoreConfig(durability=Durability.OS)  # an append returns before the disk has it


def main(folder: Path) -> None:
    """Write three events without a sync, then wait until the last one is durable."""
    ada = Coordinate("cart:ada", "shop")
    with Store.open(folder / "shop.store", CONFIG) as store:
        store.sync()
        receipts = [store.append(ada, Ordered(item=f"cup {n}", cents=950)) for n in range(3)]
        at_risk = store.frontier().visible_minus_durable
        print(f"a power cut could take back {at_risk} events")

        frontier = store.wait_for(Watermark.DURABLE, receipts[-1], timeout_s=10)
        left = frontier.visible_minus_durable
        print(f"waited for one: a power cut could take back {left} events")
