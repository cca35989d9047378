"""Events as an index is told of them, and what commits them to a part that grows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from batpak.event import framed_name
from batpak.index.row import NO_ROW, Change, EntityHead, Scope
from batpak.index.row import Row as StoredRow
from batpak.index.tail import Tail
from batpak.platform import RawLock
from batpak.record import pack_name

SEGMENT: Final = 3
FIRST: Final = 40
START: Final = 151
SIZE: Final = 300  # bytes of each frame


class Event(Struct, frozen=True):
    """One event."""

    entity: str = "a"
    scope: str = "s"
    kind: int = 0xE701
    size: int = 1
    key: bytes | None = None
    correlation: int | None = None
    cause: int | None = None


def empty_tail(lock: Callable[[], RawLock] = threading.Lock) -> Tail:
    """A part without an event."""
    return Tail(SEGMENT, FIRST, START, lock)


def end_of(row: int) -> int:
    """Where the frame of a row ends."""
    return START + (row + 1) * SIZE


def id_of(row: int) -> int:
    """The first half of the id of a row."""
    return (row + 5) << 20


def change_of(tail: Tail, events: Sequence[Event]) -> Change:
    """What one commit of these events does to a part, as the stage would say it."""
    heads: dict[str, EntityHead] = {}
    scopes: dict[str, Scope] = {}
    keys: dict[bytes, int] = {}
    entities: list[str] = []
    rows: list[StoredRow] = []
    for row, event in enumerate(events, tail.count):
        head = heads.get(event.entity) or tail.heads.get(event.entity)
        if head is None:
            code, previous, version = tail.entity_count + len(entities), NO_ROW, 0
            entities.append(event.entity)
        else:
            code, previous, version = head.code, head.row, head.version
        scope = tail.scopes_by_name.get(event.scope) or scopes.get(event.scope)
        if scope is None:
            scope = scopes[event.scope] = Scope(
                len(tail.scopes_by_name) + len(scopes),
                pack_name(event.scope),
                framed_name(event.scope.encode()),
            )
        heads[event.entity] = EntityHead(version + 1, bytes(32), code, row, b"", b"")
        if event.key is not None:
            keys[event.key] = row
        rows.append(
            (
                end_of(row),
                event.size,
                event.kind,
                id_of(row),
                code,
                scope.code,
                previous,
                event.correlation,
                event.cause,
                event.key,
            )
        )
    return Change(tail.count, rows, heads, keys, scopes, tail.entity_count, entities)


def tail_of(events: Sequence[Event]) -> Tail:
    """A part to which these were committed one by one."""
    tail = empty_tail()
    for event in events:
        tail.publish(change_of(tail, [event]))
    return tail
