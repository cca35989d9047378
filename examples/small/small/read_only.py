"""Teaches: a reader changes nothing, cannot append, and keeps writers out while it is open.

$ python -m small read_only
1 order of 950
a reader has no append
while somebody reads: StoreLocked
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, Store, StoreLocked, StoreReader
from small.gen.shop import Ordered


def total(reader: StoreReader) -> str:
    """Add up all orders. What takes a `StoreReader` cannot write; the type says so."""
    cents = [event.payload.cents for event in reader.by_fact(Ordered)]
    return f"{len(cents)} order of {sum(cents)}"


def main(folder: Path) -> None:
    """Read a store without writing to it."""
    with Store.open(folder / "shop.store") as store:
        store.append(Coordinate("cart:ada", "shop"), Ordered(item="blue cup", cents=950))

    with Store.open_read_only(folder / "shop.store") as reader:
        print(total(reader))
        print("a reader has", "an append" if isinstance(reader, Store) else "no append")
        try:
            Store.open(folder / "shop.store")
        except StoreLocked as error:
            print(f"while somebody reads: {type(error).__name__}")
