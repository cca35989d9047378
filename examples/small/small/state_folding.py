"""Teaches: a state that follows from events, asked for again only when it has changed.

$ python -m small state_folding
ada owes 950
nothing new: None
ada owes 450
everybody owes 750
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from batpak import Coordinate, MemoryCache, Region, Store, StoreConfig, StoredEvent, override
from small.gen.shop import Ordered, Paid
from small.gen.shop.projections import DebtProjection, DebtState

ADA, BEN = Coordinate("cart:ada", "shop"), Coordinate("cart:ben", "shop")


@final
class Debt(DebtProjection):
    """Orders add to it, payments take away."""

    @override
    def on_ordered(self, state: DebtState, event: StoredEvent[Ordered], /) -> DebtState:
        return DebtState(cents=state.cents + event.payload.cents)

    @override
    def on_paid(self, state: DebtState, event: StoredEvent[Paid], /) -> DebtState:
        return DebtState(cents=state.cents - event.payload.cents)


def main(folder: Path) -> None:
    """Fold one cart, then all of them."""
    with Store.open(folder / "shop.store", StoreConfig(projection_cache=MemoryCache())) as store:
        store.append(ADA, Ordered(item="blue cup", cents=950))
        now = store.project_if_changed(Debt(), ADA.entity, since=0)
        print(f"ada owes {now.state.cents if now else 0}")

        store.append(BEN, Ordered(item="saucer", cents=300))  # none of hers
        newer = store.project_if_changed(Debt(), ADA.entity, since=now.generation if now else 0)
        print(f"nothing new: {newer}")

        store.append(ADA, Paid(cents=500))
        owed = store.project(Debt(), ADA.entity)
        print(f"ada owes {owed.cents if owed else 0}")
        everybody = store.project(Debt(), Region(scope="shop"))
        print(f"everybody owes {everybody.cents if everybody else 0}")
