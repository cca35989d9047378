"""Teaches: a handler has a method for each event of its group; to miss one is a type error.

$ python -m small handler
ada orders a blue cup
ada pays 950
ada gets a letter: Thank you
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from batpak import Coordinate, Store, StoredEvent, override
from small.gen.shop import Ordered, Paid, Thanked
from small.gen.shop.handlers import DayHandler


@final
class Diary(DayHandler[str]):
    """A line for whatever happens."""

    @override
    def on_ordered(self, event: StoredEvent[Ordered], /) -> str:
        return f"orders a {event.payload.item}"

    @override
    def on_paid(self, event: StoredEvent[Paid], /) -> str:
        return f"pays {event.payload.cents}"

    @override
    def on_thanked(self, event: StoredEvent[Thanked], /) -> str:
        return f"gets a letter: {event.payload.words}"


def main(folder: Path) -> None:
    """Let a few things happen, and write the diary of the day."""
    cart = Coordinate("cart:ada", "shop")
    diary = Diary()
    with Store.open(folder / "shop.store") as store:
        store.append(cart, Ordered(item="blue cup", cents=950))
        store.append(cart, Paid(cents=950))
        store.append(cart, Thanked(words="Thank you"))

        for event in store.query():
            if diary.handles(event):  # the store's own events are not for us
                print(event.coordinate.entity.removeprefix("cart:"), diary.dispatch(event))
