"""Teaches: a worker handles each event at least once, and goes on where it stood.

$ python -m small cursor_worker
mailed: blue cup, red cup
the process ends, and another one begins
mailed: green cup
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from batpak import AtLeastOnce, Coordinate, EventPayload, Region, Store, StoredEvent
from small.gen.shop import Ordered

ADA = Coordinate("cart:ada", "shop")
ORDERS = Region(kinds=Ordered)


def mail(store: Store, count: int) -> list[str]:
    """Run the worker until it has handled so many events."""
    mailed: list[str] = []
    done = threading.Event()

    def handle(events: Sequence[StoredEvent[EventPayload]], _witness: AtLeastOnce | None) -> None:
        mailed.extend(one.payload.item for one in events if isinstance(one.payload, Ordered))
        if len(mailed) == count:
            done.set()

    with store.cursor_worker(ORDERS, handle, checkpoint_id="mail"):
        done.wait(10)
    return mailed


def main(folder: Path) -> None:
    """Mail two orders, restart, and mail the third alone."""
    with Store.open(folder / "shop.store") as store:
        store.append(ADA, Ordered(item="blue cup", cents=950))
        store.append(ADA, Ordered(item="red cup", cents=950))
        print("mailed:", ", ".join(mail(store, 2)))

    print("the process ends, and another one begins")
    with Store.open(folder / "shop.store") as store:
        store.append(ADA, Ordered(item="green cup", cents=950))
        print("mailed:", ", ".join(mail(store, 1)))
