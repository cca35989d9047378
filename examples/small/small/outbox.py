"""Teaches: gather events while something is decided, and store all of them or none.

$ python -m small outbox
2 events gathered, 0 stored
stored together: True
the letter was caused by the order: True
flushed once more: nothing is left
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, Region, Store
from small.gen.shop import Ordered, Thanked

ADA = Coordinate("cart:ada", "shop")


def main(folder: Path) -> None:
    """Stage an order and a letter for it; store both in one batch."""
    with Store.open(folder / "shop.store") as store:
        outbox = store.outbox()
        order = outbox.stage(ADA, Ordered(item="blue cup", cents=950))
        outbox.stage(ADA, Thanked(words="Dear Ada, thank you."), caused_by=order)
        stored = store.count(Region(kinds=[Ordered, Thanked]))
        print(f"{len(outbox)} events gathered, {stored} stored")

        first, second = outbox.flush()
        print(f"stored together: {second.sequence == first.sequence + 1}")
        print(f"the letter was caused by the order: {second.causation_id == first.event_id}")
        print(f"flushed once more: {'nothing is left' if not outbox.flush() else 'again'}")
