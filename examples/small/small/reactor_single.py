"""Teaches: a reactor of one event. What follows is stored once, caused by its source.

$ python -m small reactor_single
Thank you for 950
caused by the payment: True
run over the same log again: still 1 letter
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

from batpak import (
    AtLeastOnce,
    Coordinate,
    EventKind,
    ReactionBatch,
    Reactor,
    Region,
    Store,
    StoredEvent,
    Watermark,
    override,
)
from small.gen.shop import Paid, Thanked


@final
class Thanks(Reactor[Paid]):
    """A letter for every payment."""

    NAME: ClassVar[str] = "thanks"  # part of the key under which a letter is stored
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Paid.KIND})

    @override
    def react(
        self, event: StoredEvent[Paid], out: ReactionBatch, _witness: AtLeastOnce | None, /
    ) -> None:
        letter = Thanked(words=f"Thank you for {event.payload.cents}")
        out.push(event.coordinate, letter)


def main(folder: Path) -> None:
    """Pay, and have the letter written by a reactor."""
    with Store.open(folder / "shop.store") as store:
        paid = store.append(Coordinate("cart:ada", "shop"), Paid(cents=950))
        with store.react(Thanks(), checkpoint_id="thanks"):
            store.wait_for(Watermark.VISIBLE, paid.sequence + 1, timeout_s=10)
        (letter,) = store.by_fact(Thanked)
        print(letter.payload.words)
        print("caused by the payment:", letter.causation_id == paid.event_id)

        store.reset_cursor("thanks", position=0)
        with store.react(Thanks(), checkpoint_id="thanks") as worker:
            while worker.lag:
                worker.wait(0.005)
        print(f"run over the same log again: still {store.count(Region(kinds=Thanked))} letter")
