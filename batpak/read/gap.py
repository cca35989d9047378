"""Gaps: what a cursor would have delivered, had compaction not removed it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batpak.arguments import is_count
from batpak.errors import InvalidArgument

CAPACITY: Final = 256
CAPACITY_MAX: Final = 1 << 20


class Gap(Struct, frozen=True):
    """Events that were removed before a cursor came to them, and none between them delivered."""

    first: int  # sequence of the first of them
    last: int
    count: int
    delivered_next: int | None  # sequence of what came behind them; None: nothing yet


class Gaps:
    """The newest gaps of one cursor.

    Args:
        capacity: How many are kept; the oldest makes room. 0: none.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity: Final = capacity
        self.lost = 0
        """How many made room for others, and were not taken before."""
        self._kept: deque[Gap] = deque()
        self._open: Gap | None = None  # what has nothing behind it yet

    def take(self) -> list[Gap]:
        """All of them, oldest first; they are not kept any longer."""
        self.close(None)
        taken: list[Gap] = []
        while self._kept:
            taken.append(self._kept.popleft())
        return taken

    def pass_by(self, removed: Iterable[int]) -> None:
        """The cursor passes these events."""
        for sequence in removed:
            known = self._open or Gap(sequence, sequence, 0, None)
            self._open = replace(known, last=sequence, count=known.count + 1)

    def close(self, delivered_next: int | None) -> None:
        """An event is delivered behind what was passed."""
        known, self._open = self._open, None
        if known is None:
            return
        self._kept.append(replace(known, delivered_next=delivered_next))
        if len(self._kept) > self.capacity:
            self._kept.popleft()
            self.lost += 1


def capacity_of(value: object) -> int:
    """How many gaps a cursor keeps.

    Raises:
        InvalidArgument: It is no such number.
    """
    if not is_count(value) or value > CAPACITY_MAX:
        raise InvalidArgument("gap_capacity", f"must be 0..{CAPACITY_MAX:,}")
    return value
