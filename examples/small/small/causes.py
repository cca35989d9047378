"""Teaches: why something happened, and all that followed from it.

$ python -m small causes
Thanked because of Paid because of Ordered
Ordered led to: Paid, Thanked
one conversation of 3 events
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, Store
from small.gen.shop import Ordered, Paid, Thanked

ADA = Coordinate("cart:ada", "shop")


def main(folder: Path) -> None:
    """Store three events, each because of the one before, and ask in both directions."""
    with Store.open(folder / "shop.store") as store:

        def name(sequence: int) -> str:
            return type(store.get(sequence).payload).__name__

        order = store.append(ADA, Ordered(item="blue cup", cents=950))
        payment = store.append(ADA, Paid(cents=950), caused_by=order)
        letter = store.append(ADA, Thanked(words="Thank you"), caused_by=payment)

        path = store.why(letter.event_id)
        print(" because of ".join(name(entry.sequence) for entry in path.entries))
        effects = store.impact(order.event_id)
        print("Ordered led to:", ", ".join(name(one.entry.sequence) for one in effects))
        said = store.by_correlation(order.correlation_id)
        print(f"one conversation of {sum(1 for _ in said)} events")
