"""Teaches: what an open found, and what the store itself writes about its life.

$ python -m small lifecycle
opening: 0 events in a new store
health: ok
opening: 4 events, closed in order, nothing torn
opened, clean
ordered
events here: Ordered
closed after 2 events
opened, clean
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, OpenReport, Store, StoreConfig
from batpak.system import CloseCompleted, OpenCompleted, ShapesRecorded
from small.gen.shop import Ordered


def observe(report: OpenReport) -> None:
    """Say what an open found. The store calls this once, before `Store.open` returns."""
    how = "closed in order" if report.clean else "not closed"
    torn = "nothing torn" if report.torn is None else f"{report.torn.bytes} bytes torn"
    found = f"events, {how}, {torn}" if report.events else "events in a new store"
    print(f"opening: {report.events} {found}")


def main(folder: Path) -> None:
    """Open a store twice, and look at the reports and at the log."""
    config = StoreConfig(on_open=observe)
    with Store.open(folder / "shop.store", config) as store:
        print(f"health: {store.health.state}")
        store.append(Coordinate("cart:ada", "shop"), Ordered(item="blue cup", cents=950))

    with Store.open(folder / "shop.store", config) as store:
        for event in store.query():
            match event.payload:
                case OpenCompleted(clean=clean):
                    print(f"opened, {'clean' if clean else 'after a crash'}")
                case CloseCompleted(written=written):
                    print(f"closed after {written} events")
                case ShapesRecorded(shapes=shapes):
                    print("events here:", ", ".join(shape.name for shape in shapes))
                case _:
                    print("ordered")
