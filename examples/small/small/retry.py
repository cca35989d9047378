"""Teaches: an operation with a key is stored once, however often it is repeated.

$ python -m small retry
first: stored as 1
after a restart: replayed, the same event
another amount under the key: refused
1 payment
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, IdempotencyConflict, Region, Store
from small.gen.shop import Paid

ADA = Coordinate("cart:ada", "shop")
KEY = "payment 4711"  # names the operation, not the attempt


def main(folder: Path) -> None:
    """Pay, forget the answer, and pay again."""
    with Store.open(folder / "shop.store") as store:
        first = store.append(ADA, Paid(cents=950), idempotency_key=KEY)
        print(f"first: stored as {first.sequence}")

    with Store.open(folder / "shop.store") as store:
        again = store.append(ADA, Paid(cents=950), idempotency_key=KEY)
        same = "the same event" if again.event_id == first.event_id else "another event"
        print(f"after a restart: {'replayed' if again.replayed else 'stored'}, {same}")

        try:
            store.append(ADA, Paid(cents=1), idempotency_key=KEY)
        except IdempotencyConflict:
            print("another amount under the key: refused")
        print(f"{store.count(Region(kinds=Paid))} payment")
