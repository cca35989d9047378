"""Causes: the graph that `caused_by` makes. Parents come before their children, so it has no loops.

The index gives candidates by half of an id; the fixed head of the frame decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from heapq import heappop, heappush

from msgspec import Struct

from batpak.event import IndexEntry
from batpak.ids import EventId
from batpak.index.table import Table
from batpak.override import override
from batpak.read.fetch import Fetch
from batpak.record import DROPPED


class CausalEnd(StrEnum):
    """Why a path ended."""

    ROOT = "root"  # nothing caused the last entry
    DROPPED = "dropped"  # what caused the last entry was dropped
    LIMIT = "limit"


class CausalPath(Struct, frozen=True):
    """An event, what caused it, what caused that, and so on."""

    entries: tuple[IndexEntry, ...]
    end: CausalEnd


class Impact(Struct, frozen=True):
    """An event that another one has caused, directly or not."""

    entry: IndexEntry
    parent: EventId
    depth: int  # 1: directly


def find(fetch: Fetch, table: Table, event_id: EventId) -> IndexEntry | None:
    """The entry of an event, if it is visible; also of one that was dropped."""
    place = table.with_id(event_id.int >> 64)
    if place is None:
        return None
    entry = fetch.entry(*place)
    return entry if entry.event_id == event_id else None


def is_dropped(entry: IndexEntry) -> bool:
    """Whether nobody reads the event any more: only a stub is left."""
    return entry.head[0] == DROPPED


def why(fetch: Fetch, table: Table, anchor: IndexEntry, limit: int) -> CausalPath:
    """From an event up to the one that nothing caused."""
    entries: list[IndexEntry] = []
    entry: IndexEntry | None = anchor
    while entry is not None and len(entries) < limit:
        entries.append(entry)
        cause = entry.causation_id
        if cause is None:
            return CausalPath(tuple(entries), CausalEnd.ROOT)
        entry = find(fetch, table, cause)
        if entry is not None and is_dropped(entry):
            return CausalPath(tuple(entries), CausalEnd.DROPPED)
    return CausalPath(tuple(entries), CausalEnd.LIMIT)


class Impacts(Iterator[Impact]):
    """What an event has caused, in sequence order. `truncated` says whether the limit cut it off.

    Shows the log as it was when it was asked for. A chain of causes ends in front of an event that
    was dropped; `dropped` counts those.
    """

    def __init__(
        self, fetch: Fetch, table: Table, anchor: IndexEntry, limit: int, max_depth: int | None
    ) -> None:
        self.truncated, self.dropped = False, 0
        self._fetch, self._table, self._bound = fetch, table, table.bound
        self._left, self._max_depth = limit, max_depth
        self._waiting: list[tuple[int, int, EventId]] = []
        self._push(anchor.event_id, 1)

    @override
    def __next__(self) -> Impact:
        if not self._waiting:
            raise StopIteration
        if not self._left:
            self.truncated = True
            raise StopIteration
        self._left -= 1
        sequence, depth, parent = heappop(self._waiting)
        entry = self._fetch.entry(*self._table.locate(sequence))
        self._push(entry.event_id, depth + 1)
        return Impact(entry, parent, depth)

    def _push(self, parent: EventId, depth: int) -> None:
        if self._max_depth is not None and depth > self._max_depth:
            return
        found = self._fetch.healing(lambda: self._caused(parent))
        for sequence, entry in found:
            if is_dropped(entry):
                self.dropped += 1
            else:
                heappush(self._waiting, (sequence, depth, parent))

    def _caused(self, parent: EventId) -> list[tuple[int, IndexEntry]]:
        low, found = parent.int & (1 << 64) - 1, list[tuple[int, IndexEntry]]()
        for part, _, stop in self._table.spans(0, self._bound):
            for row in part.caused_by(low):
                if row >= stop:
                    continue
                entry = self._fetch.entry(part, row)
                if entry.is_caused_by(parent):
                    found.append((part.first + row, entry))
        return found
