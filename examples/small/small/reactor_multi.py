"""Teaches: a generated reactor has a method for each event of its group; to miss one is an error.

$ python -m small reactor_multi
We pack your blue cup
Thank you for 950
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from batpak import AtLeastOnce, Coordinate, ReactionBatch, Store, StoredEvent, Watermark, override
from small.gen.shop import Ordered, Paid, Thanked
from small.gen.shop.handlers import SalesReactor


@final
class Letters(SalesReactor):
    """A letter for what is ordered, and one for what is paid."""

    @override
    def on_ordered(
        self, event: StoredEvent[Ordered], out: ReactionBatch, _witness: AtLeastOnce | None, /
    ) -> None:
        out.push(event.coordinate, Thanked(words=f"We pack your {event.payload.item}"))

    @override
    def on_paid(
        self, event: StoredEvent[Paid], out: ReactionBatch, _witness: AtLeastOnce | None, /
    ) -> None:
        out.push(event.coordinate, Thanked(words=f"Thank you for {event.payload.cents}"))


def main(folder: Path) -> None:
    """Order and pay, and have both letters written by one reactor."""
    ada = Coordinate("cart:ada", "shop")
    with Store.open(folder / "shop.store") as store:
        with store.react(Letters(), checkpoint_id="letters"):
            store.append(ada, Ordered(item="blue cup", cents=950))
            paid = store.append(ada, Paid(cents=950))
            store.wait_for(Watermark.VISIBLE, paid.sequence + 2, timeout_s=10)
        for letter in store.by_fact(Thanked):
            print(letter.payload.words)
