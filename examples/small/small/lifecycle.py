"""Teaches: what an open found, and what the store itself writes about its life.

$ python -m small lifecycle
first: new, 0 events
health: ok
then: closed in order, 3 events, nothing torn
opened, clean
ordered
closed after 2 events
opened, clean
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, Store
from batpak.system import CloseCompleted, OpenCompleted
from small.gen.shop import Ordered


def main(folder: Path) -> None:
    """Open a store twice, and look at the reports and at the log."""
    with Store.open(folder / "shop.store") as store:
        report = store.open_report
        print(f"first: {'new' if report.events == 0 else 'old'}, {report.events} events")
        print(f"health: {store.health.state}")
        store.append(Coordinate("cart:ada", "shop"), Ordered(item="blue cup", cents=950))

    with Store.open(folder / "shop.store") as store:
        report = store.open_report
        how = "closed in order" if report.clean else "not closed"
        torn = "nothing torn" if report.torn is None else f"{report.torn.bytes} bytes torn"
        print(f"then: {how}, {report.events} events, {torn}")

        for event in store.query():
            match event.payload:
                case OpenCompleted(clean=clean):
                    print(f"opened, {'clean' if clean else 'after a crash'}")
                case CloseCompleted(written=written):
                    print(f"closed after {written} events")
                case _:
                    print("ordered")
