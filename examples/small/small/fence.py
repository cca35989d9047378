"""Teaches: many writes that become visible in one step, or leave no trace.

$ python -m small fence
while it is open, others see 1 order
somebody else who writes: FenceError
afterwards: 3 orders
cancelled: 3 orders, and cart:ada goes on at version 3
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, FenceError, Region, Store
from small.gen.shop import Ordered

ADA, BEN = Coordinate("cart:ada", "shop"), Coordinate("cart:ben", "shop")
ORDERS = Region(kinds=Ordered)


def main(folder: Path) -> None:
    """Stage two orders and commit them; stage a third one and think better of it."""
    with Store.open(folder / "shop.store") as store:
        store.append(ADA, Ordered(item="blue cup", cents=950))

        with store.visibility_fence() as fence:
            fence.append(ADA, Ordered(item="saucer", cents=300))
            fence.append(BEN, Ordered(item="red cup", cents=950))
            print(f"while it is open, others see {store.count(ORDERS)} order")
            try:
                store.append(BEN, Ordered(item="spoon", cents=200))
            except FenceError as error:
                print(f"somebody else who writes: {type(error).__name__}")
        print(f"afterwards: {store.count(ORDERS)} orders")

        with store.visibility_fence() as fence:
            fence.append(ADA, Ordered(item="teapot", cents=4200))
            fence.cancel()
        count = store.count(ORDERS)
        receipt = store.append(ADA, Ordered(item="spoon", cents=200), expected_version=2)
        print(f"cancelled: {count} orders, and {ADA.entity} goes on at version {receipt.version}")
