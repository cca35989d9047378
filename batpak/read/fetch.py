"""From a row to its event: the one read path. Each time the CRC is checked, and who it is."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final, cast

from batpak import codec
from batpak.clock import Hlc
from batpak.coordinate import Coordinate
from batpak.digest import content_hash
from batpak.errors import (
    CorruptStore,
    Damage,
    FutureVersion,
    InvalidCoordinate,
    StorageFailed,
    StoreClosed,
)
from batpak.event import StoredEvent
from batpak.ids import ID_BYTES, NO_ID, EventId
from batpak.index.table import Table
from batpak.journal.frame import MARK, Why, body_at, decode_parts, unpack_event, uuid_of
from batpak.journal.segment import Segment, Segments
from batpak.payload import EventPayload
from batpak.wire import decode

COORDINATES_MAX: Final = 1 << 16  # kept, so that equal ones are not validated again

event_id_of: Final = cast("Callable[[bytes], EventId]", uuid_of)  # saves a call per event

_ID_AT: Final = len(MARK) + 46


class _Misplaced(Exception):
    """The frame is whole and is not the one that was asked for."""


_UNREADABLE: Final = (
    codec.DecodeError,
    UnicodeDecodeError,
    struct.error,
    _Misplaced,
    InvalidCoordinate,
)


def event_id(body: bytes) -> bytes:
    """The 16 bytes of the event id in the bytes of an event."""
    return body[_ID_AT : _ID_AT + ID_BYTES]


class Fetch:
    """Reads events of one log. After `closed` is set, nothing is read any more."""

    def __init__(self, segments: Segments, table: Table) -> None:
        self.closed = False
        self._segments, self._table = segments, table
        self._coordinates: dict[tuple[str, str], Coordinate] = {}

    def body(self, row: int) -> bytes:
        """The checked bytes of one event, for `event` and `event_id`.

        Raises:
            CorruptStore: They are not there.
        """
        return self._segments.of(row).body(self._table.offsets[row])

    def event(self, row: int, body: bytes) -> StoredEvent[EventPayload]:
        """One event, from its bytes.

        Raises:
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: It cannot be read as it was.
        """
        try:
            return self._event_of(body, row)
        except _UNREADABLE as error:
            raise self._corrupt(row, error) from error

    def events(self, rows: Iterable[int]) -> Iterator[StoredEvent[EventPayload]]:
        """Events one by one, read as they are asked for.

        Raises:
            StoreClosed: The handle was closed meanwhile.
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: An event cannot be read as it
                was. Nothing is skipped.
        """
        span, offsets, event_of = self._segments.span, self._table.offsets, self._event_of
        segment: Segment | None = None
        first = stop = seed = 0
        for row in rows:
            if self.closed:
                raise StoreClosed
            if segment is None or not first <= row < stop:
                segment, first, stop = span(row)
                seed = segment.seed
            offset = offsets[row]
            try:
                data, base = segment.window(offset)
            except StorageFailed:
                if self.closed:  # between the look above and the read
                    raise StoreClosed from None
                raise
            body = body_at(data, offset - base, len(data), offset, seed)
            if isinstance(body, Why):
                raise segment.missing(offset, body)
            try:
                event = event_of(body, row)
            except _UNREADABLE as error:
                raise self._corrupt(row, error) from error
            yield event

    def _corrupt(self, row: int, error: Exception) -> CorruptStore:
        detail = f"the frame of event {row} is not as it was written: {error}"
        path = self._segments.of(row).path
        return CorruptStore(path, self._table.offsets[row], Damage.FRAME, detail)

    def _event_of(self, body: bytes, row: int) -> StoredEvent[EventPayload]:
        parts = decode_parts(body)
        opt, data = parts.opt, parts.payload
        (
            flags,
            kind,
            payload_version,
            key_ref,
            wall_ms,
            counter,
            sequence,
            version,
            own_id,
            correlation_id,
            causation_id,
            prev_hash,
            event_hash,
        ) = unpack_event(parts.head)
        if sequence != row:
            raise _Misplaced(f"it says that it is event {sequence}")
        if key_ref:
            raise FutureVersion(f"the payload encryption of event {row}", key_ref, 0)
        coordinate = self._coordinate(parts.entity, parts.scope)
        payload = decode(kind, payload_version, data, sequence)
        typed_id = event_id_of(own_id)
        return StoredEvent(
            payload=payload,
            coordinate=coordinate,
            kind=payload.KIND,
            payload_version=payload_version,
            sequence=sequence,
            version=version,
            event_id=typed_id,
            correlation_id=(typed_id if correlation_id == own_id else uuid_of(correlation_id)),
            causation_id=(None if causation_id == NO_ID else event_id_of(causation_id)),
            hlc=Hlc(wall_ms, counter),
            flags=flags,
            idempotency_key=None if opt is None else opt[0],
            extensions={} if opt is None or opt[1] is None else dict(opt[1]),
            content_hash=content_hash(data),
            prev_hash=prev_hash,
            event_hash=event_hash,
        )

    def _coordinate(self, entity: str, scope: str) -> Coordinate:
        known = self._coordinates.get((entity, scope))
        if known is None:
            if len(self._coordinates) >= COORDINATES_MAX:
                self._coordinates.clear()
            known = self._coordinates[entity, scope] = Coordinate(entity, scope)
        return known
