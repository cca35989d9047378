"""Teaches: one counter in three forms: of typed payloads, of plain values, of stored bytes.

$ python -m small three_lanes
typed: 1250
dict: 1250
raw: 1250
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, cast

from msgspec import msgpack

from batpak import DictProjection, EventKind, RawProjection, Store, StoredEvent, override
from small.gen.shop import Ordered
from small.gen.shop.projections import DebtState
from small.state_folding import ADA, Debt  # the typed one: a wrong field would be a type error


class Counter:
    """What the other two have in common."""

    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Ordered.KIND})

    def initial(self) -> DebtState:
        """Begin with nothing."""
        return DebtState()

    def plus(self, state: DebtState, payload: object) -> DebtState:
        """Count one more order."""
        return DebtState(cents=state.cents + cast("dict[str, int]", payload)["cents"])


class Plain(Counter, DictProjection[DebtState]):
    """For a program without the class: what was stored, as Python has it."""

    @override
    def apply(self, state: DebtState, event: StoredEvent[object], /) -> DebtState:
        return self.plus(state, event.payload)


class Raw(Counter, RawProjection[DebtState]):
    """For a decoder of one's own."""

    @override
    def apply(self, state: DebtState, event: StoredEvent[bytes], /) -> DebtState:
        return self.plus(state, msgpack.decode(event.payload))


def main(folder: Path) -> None:
    """Count the same two orders three times."""
    with Store.open(folder / "shop.store") as store:
        for cents in (950, 300):
            store.append(ADA, Ordered(item="cup", cents=cents))
        print("typed:", (store.project(Debt(), ADA.entity) or DebtState()).cents)
        print("dict:", (store.project(Plain(), ADA.entity) or DebtState()).cents)
        print("raw:", (store.project(Raw(), ADA.entity) or DebtState()).cents)
