"""Numbers for new events: a proposal that two branches rarely share.

The id is a digest of the event's full name, or the next free one after it. Taken are the numbers
of events and of retired events in the same category, over all packages.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Final

TYPE_ID_MAX: Final = 0xFFF


def propose(name: str, taken: Collection[int]) -> int | None:
    """Return an id for the event with this full name, or None if all are taken.

    Args:
        name: `shop.orders.OrderReturned`.
        taken: The ids of its category that are in use, also by retired events.
    """
    first = int.from_bytes(blake2b(name.encode()).digest()) % (TYPE_ID_MAX + 1)
    for step in range(TYPE_ID_MAX + 1):
        if (number := (first + step) % (TYPE_ID_MAX + 1)) not in taken:
            return number
    return None
