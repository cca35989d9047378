"""Teaches: go on while events are stored; many share one sync, in the order of the calls.

$ python -m small submit_pipeline
100 submitted, answered in order: True
syncs for them: fewer than 100
when the line is full: try again later, or wait
"""

from __future__ import annotations

from pathlib import Path

from batpak import Busy, Coordinate, Limits, Store, StoreConfig
from small.gen.shop import Paid

ADA = Coordinate("cart:ada", "shop")


def main(folder: Path) -> None:
    """Submit a hundred events without waiting for one of them, then ask for the answers."""
    with Store.open(folder / "shop.store") as store:
        before = store.diagnostics().syncs
        tickets = [store.submit(ADA, Paid(cents=n)) for n in range(100)]
        receipts = [ticket.result(timeout_s=10) for ticket in tickets]
        in_order = [receipt.version for receipt in receipts] == list(range(1, 101))
        print(f"{len(receipts)} submitted, answered in order: {in_order}")
        syncs = store.diagnostics().syncs - before
        print(f"syncs for them: {'fewer than 100' if syncs < 100 else syncs}")

    small = StoreConfig(limits=Limits(queue_capacity=1))
    with Store.open(folder / "shop.store", small) as store:
        answers = [store.try_submit(ADA, Paid(cents=n)) for n in range(50)]
        if any(isinstance(answer, Busy) for answer in answers):
            print("when the line is full: try again later, or wait")
