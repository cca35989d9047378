"""Teaches: of two who decided by the same state, one is refused and decides again.

$ python -m small expected_version
Ben looks: 0 events
Ada is quicker
Ben is refused: cart:shared has 1 events now
Ben looks again: the last blue cup is gone
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, Store, VersionConflict
from small.gen.shop import Ordered

SHARED = Coordinate("cart:shared", "shop")
LAST = Ordered(item="blue cup", cents=950)


def main(folder: Path) -> None:
    """Let two people want the last cup."""
    with Store.open(folder / "shop.store") as store:
        seen_by_ben = store.version(SHARED.entity)
        print(f"Ben looks: {seen_by_ben} events")

        store.append(SHARED, LAST, expected_version=0)
        print("Ada is quicker")

        try:
            store.append(SHARED, LAST, expected_version=seen_by_ben)
        except VersionConflict as error:
            print(f"Ben is refused: {error.entity} has {error.actual} events now")

        sold = any(event.payload == LAST for event in store.stream(SHARED.entity))
        print(f"Ben looks again: the last blue cup is {'gone' if sold else 'there'}")
