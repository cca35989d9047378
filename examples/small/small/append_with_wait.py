"""Teaches: an append can return only once the search index, or whatever it is, has the event.

$ python -m small append_with_wait
found at once: blue cup
while the index is stuck: committed, and not applied yet
"""

from __future__ import annotations

import threading
from pathlib import Path

from batpak import Applier, Coordinate, Region, Store, WaitTimeout, Watermark
from small.gen.shop import Ordered

ADA = Coordinate("cart:ada", "shop")


def index(store: Store, applier: Applier, into: set[str], stop: threading.Event) -> None:
    """Follow the log into a search index, and say how far it has come."""
    with store.cursor_guaranteed(Region(kinds=Ordered)) as cursor:
        for event in cursor.follow():
            if stop.is_set():
                return
            if isinstance(event.payload, Ordered):
                into.add(event.payload.item)
            applier.advance(event.sequence)


def main(folder: Path) -> None:
    """Append and find; then append while the index does not move."""
    found: set[str] = set()
    stop = threading.Event()
    with Store.open(folder / "shop.store") as store, store.applier("search") as applier:
        indexer = threading.Thread(target=index, args=(store, applier, found, stop))
        indexer.start()
        store.append(
            ADA, Ordered(item="blue cup", cents=950), wait_for=Watermark.APPLIED, timeout_s=10
        )
        print("found at once:", *found)

        stop.set()
        try:
            store.append(
                ADA, Ordered(item="red cup", cents=950), wait_for=Watermark.APPLIED, timeout_s=0.1
            )
        except WaitTimeout as late:
            print(f"while the index is stuck: {late.state}, and not applied yet")
        indexer.join()
