"""Removed: the events that a reader would have met, had compaction left them there.

What is dropped is met by nobody. What is erased is met as a tombstone, by who asks for any kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from batpak.index import query
from batpak.index.query import Rows
from batpak.index.row import Part
from batpak.index.table import Table
from batpak.kind import TOMBSTONE, EventKind
from batpak.read.fetch import Fetch
from batpak.read.source import Source
from batpak.record import ERASED, EVENT, KIND_AT
from batpak.region import KindFilter, Region

_TOMBSTONE: Final = EventKind.from_wire(TOMBSTONE)


def removed(
    fetch: Fetch,
    table: Table,
    source: Source,
    kinds: frozenset[EventKind],
    start: int,
    stop: int,
) -> Iterator[int]:
    """Their sequences, ascending.

    Args:
        fetch: Of the log.
        table: Likewise.
        source: Whose events.
        kinds: Of them, those of these kinds. None of them: every kind.
        start: The first sequence.
        stop: The one behind the last.
    """
    if not table.epoch:
        return iter(())
    if fetch.again is None:
        return _removed(fetch, table, source, kinds, start, stop)
    ask = partial(_removed, fetch, table, source, kinds, start, stop)
    return iter(fetch.healing(lambda: list(ask())))


def _removed(
    fetch: Fetch,
    table: Table,
    source: Source,
    kinds: frozenset[EventKind],
    start: int,
    stop: int,
) -> Iterator[int]:
    wanted = KindFilter.any() if isinstance(source, str) else source.kinds

    def passes(kind: EventKind) -> bool:
        return (not kinds or kind in kinds) and wanted.matches(kind)

    for part, low, high in list(table.spans(start, stop)):
        if part.types is None:
            continue
        for found, rows, _ in _rows(table, source, part.first + low, part.first + high):
            types = found.types or b""
            for row in rows if types else ():
                if types[row] == EVENT:
                    continue
                if types[row] == ERASED and passes(_TOMBSTONE):
                    continue
                if passes(_kind(fetch, found, row, types[row])):
                    yield found.first + row


def _rows(table: Table, source: Source, start: int, stop: int) -> Iterator[Rows]:
    """Those of a source, whatever they are."""
    if isinstance(source, str):
        return query.entity_rows(table, source, start=start, stop=stop, dropped=True)
    anything = Region(entity=source.entity, scope=source.scope, versions=source.versions)
    return query.select(table, anything, start, stop, dropped=True)


def _kind(fetch: Fetch, part: Part, row: int, stub: int) -> EventKind:
    """As which the event was appended."""
    if stub == ERASED:
        return EventKind.from_wire(int.from_bytes(fetch.body(part, row)[KIND_AT:][:2], "big"))
    return EventKind.from_wire(part.kinds[row])
