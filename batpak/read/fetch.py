"""From a row to its event: the one read path. Each time the CRC is checked, and who it is."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from batpak import codec, digest, wire
from batpak.clock import Hlc
from batpak.coordinate import Coordinate
from batpak.errors import CorruptStore, Damage, FutureVersion, InvalidCoordinate, StoreClosed
from batpak.event import StoredEvent
from batpak.ids import ID_BYTES, NO_ID, EventId
from batpak.index.table import Table
from batpak.journal import frame
from batpak.journal.frame import Why, uuid_of
from batpak.journal.segment import Segment, Segments
from batpak.payload import EventPayload

COORDINATES_MAX: Final = 1 << 16  # kept, so that equal ones are not validated again

_ID_AT: Final = len(frame.MARK) + 46
_NO_ID: Final = NO_ID


class Fetch:
    """Reads events of one log. After `closed` is set, nothing is read any more."""

    def __init__(self, segments: Segments, table: Table) -> None:
        self.closed = False
        self._segments, self._table = segments, table
        self._coordinates: dict[tuple[str, str], Coordinate] = {}

    def event_id(self, row: int) -> bytes:
        """The 16 bytes of the event id of a row, as its frame has them.

        Raises:
            CorruptStore: The frame is not there.
        """
        body = self._segments.of(row).body(self._table.offsets[row])
        return body[_ID_AT : _ID_AT + ID_BYTES]

    def event(self, row: int) -> StoredEvent[EventPayload]:
        """One event.

        Raises:
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: It cannot be read as it was.
        """
        return next(self.events((row,)))

    def events(self, rows: Iterable[int]) -> Iterator[StoredEvent[EventPayload]]:
        """Events one by one, read as they are asked for.

        Raises:
            StoreClosed: The handle was closed meanwhile.
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: An event cannot be read as it
                was. Nothing is skipped.
        """
        span, offsets = self._segments.span, self._table.offsets
        body_at, event_of = frame.body_at, self._event_of
        segment: Segment | None = None
        first = stop = 0
        for row in rows:
            if self.closed:
                raise StoreClosed
            if segment is None or not first <= row < stop:
                segment, first, stop = span(row)
            offset = offsets[row]
            data, base = segment.window(offset)
            body = body_at(data, offset - base, len(data), offset, segment.seed)
            if isinstance(body, Why):
                raise segment.missing(offset, body)
            try:
                event = event_of(body, row)
            except (codec.DecodeError, struct.error, _Misplaced, InvalidCoordinate) as error:
                detail = f"the frame of event {row} is not as it was written: {error}"
                raise CorruptStore(segment.path, offset, Damage.FRAME, detail) from error
            yield event

    def _event_of(self, body: bytes, row: int) -> StoredEvent[EventPayload]:
        parts = frame.decode_parts(body)
        opt, data = parts.opt, parts.payload
        (
            _,
            flags,
            kind,
            payload_version,
            key_ref,
            _,
            _,
            wall_ms,
            counter,
            sequence,
            version,
            event_id,
            correlation_id,
            causation_id,
            prev_hash,
            event_hash,
            _,
        ) = frame.unpack_head(parts.head)
        if sequence != row:
            raise _Misplaced(f"it says that it is event {sequence}")
        if key_ref:
            raise FutureVersion(f"the payload encryption of event {row}", key_ref, 0)
        coordinate = self._coordinate(parts.entity, parts.scope)
        payload = wire.decode(kind, payload_version, data, sequence)
        typed_id = EventId(uuid_of(event_id))
        return StoredEvent(
            payload=payload,
            coordinate=coordinate,
            kind=payload.KIND,
            payload_version=payload_version,
            sequence=sequence,
            version=version,
            event_id=typed_id,
            correlation_id=(typed_id if correlation_id == event_id else uuid_of(correlation_id)),
            causation_id=(None if causation_id == _NO_ID else EventId(uuid_of(causation_id))),
            hlc=Hlc(wall_ms, counter),
            flags=flags,
            idempotency_key=None if opt is None else opt[0],
            extensions={} if opt is None or opt[1] is None else dict(opt[1]),
            content_hash=digest.content_hash(data),
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


class _Misplaced(Exception):
    """The frame is whole and is not the one that was asked for."""
