"""From rows to events: the one read path. What a row says is confirmed by its frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from batpak import record, wire
from batpak.coordinate import Coordinate
from batpak.errors import CorruptStore, FutureVersion, StorageFailed, StoreClosed
from batpak.event import IndexEntry, Q, StoredEvent
from batpak.faults import Damage
from batpak.index.query import Rows
from batpak.index.row import Part
from batpak.index.sealed import Sealed
from batpak.index.table import Table
from batpak.journal.frame import Fault
from batpak.journal.segment import Segment, Segments
from batpak.record import ENTITY_AT, HEAD, KIND_AT, unpack_what
from batpak.wire import FORMS, RAW, Decode, Form

STEP: Final = 512  # rows read before the next blocks are looked at
DENSE: Final = 8  # one row in so many: then blocks are checked ahead, not frames
COORDINATES_MAX: Final = 1 << 16  # kept, so that equal ones are not validated again


class Fetch:
    """Reads events of one log. After `closed` is set, nothing is read any more."""

    def __init__(self, segments: Segments, table: Table) -> None:
        self.closed = False
        self._segments, self._table = segments, table
        self._decoders: dict[Form[Any], dict[int, Decode]] = {form: {} for form in FORMS}
        self._coordinates: dict[tuple[str, str], Coordinate] = {}

    # ----------------------------------------------------------------------------- many events

    def events(
        self, chunks: Iterator[Rows], form: Form[Q], *, entity: str | None = None
    ) -> Iterator[StoredEvent[Q]]:
        """Events one by one, read as they are asked for.

        Args:
            chunks: The rows, in order.
            form: Of the payloads.
            entity: That all of them have to belong to.

        Raises:
            StoreClosed: The handle was closed meanwhile.
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: An event cannot be read as it
                was. Nothing is skipped.
        """
        named = None if entity is None else record.pack_name(entity)
        decoders = self._decoders[form]
        for part, rows in chunks:
            segment, first = self._segments.of(part.segment_id), part.first
            for at in range(0, len(rows), STEP):
                some = rows[at : at + STEP]
                starts, ends, sizes = _places(part, some)
                mapped = self._data(segment, max(ends[0], ends[-1]))
                sure = self._check_ahead(segment, part, some)
                for row, start, end, size in zip(some, starts, ends, sizes, strict=False):
                    if self.closed:
                        raise StoreClosed
                    if not sure:
                        segment.check(start, end, part.block_crcs)
                    body = mapped[start + 8 : end]
                    what, key_ref, sequence = unpack_what(body, KIND_AT)
                    if (
                        sequence != first + row
                        or key_ref
                        or (named is not None and not body.startswith(named, ENTITY_AT))
                    ):
                        body, size = self._again(part, row, body, form, named)  # noqa: PLW2901
                        what = unpack_what(body, KIND_AT)[0]
                    try:
                        payload = decoders[what](body[-size:])
                    except KeyError:
                        payload = self._decode(what, body, size, form, part, row)
                    except wire.UNDECODABLE as error:
                        payload = self._decode_again(error, what, body, size, form)
                    yield StoredEvent(cast("Q", payload), body)

    def _data(self, segment: Segment, end: int) -> Any:  # noqa: ANN401  bytes of a file
        try:
            return segment.data(end)
        except StorageFailed:
            if self.closed:  # between the look and the read
                raise StoreClosed from None
            raise

    def _check_ahead(self, segment: Segment, part: Part, rows: Sequence[int]) -> bool:
        """Check whole blocks where many of their frames will be read; whether all are right.

        If not, each frame is checked when it is read.
        """
        if segment.good is None:
            return True
        low, high = min(rows[0], rows[-1]), max(rows[0], rows[-1])
        if len(rows) * DENSE < high - low:
            return False
        offsets = part.offsets
        return segment.check_run(offsets[low], offsets[high + 1], part.block_crcs)

    # ------------------------------------------------------------------------------- one event

    def event(self, part: Part, row: int, form: Form[Q]) -> StoredEvent[Q]:
        """One event. Raises as `events`."""
        body, size = self.body(part, row), part.sizes[row]
        what, key_ref, _ = unpack_what(body, KIND_AT)
        if key_ref:
            body, size = self._again(part, row, body, form, None)
        try:
            payload = self._decoders[form][what](body[-size:])
        except KeyError:
            payload = self._decode(what, body, size, form, part, row)
        except wire.UNDECODABLE as error:
            payload = self._decode_again(error, what, body, size, form)
        return StoredEvent(cast("Q", payload), body)

    def body(self, part: Part, row: int) -> bytes:
        """The record of a row, checked, and confirmed to be the one that was asked for.

        Raises:
            CorruptStore, StorageFailed, StoreClosed: It cannot be read.
        """
        if self.closed:
            raise StoreClosed
        segment, offsets = self._segments.of(part.segment_id), part.offsets
        try:
            body = segment.record(offsets[row], offsets[row + 1], part.block_crcs)
        except StorageFailed:
            if self.closed:
                raise StoreClosed from None
            raise
        if unpack_what(body, KIND_AT)[2] != part.first + row:
            body, _ = self._again(part, row, body, RAW, None)
        return body

    def entry(self, part: Part, row: int) -> IndexEntry:
        """What the index, and the fixed head of the frame, know of a row."""
        body = self.body(part, row)
        coordinate = self._coordinate(part.entity_at(row), part.scope_at(row))
        return IndexEntry(body[HEAD], coordinate, part.sizes[row])

    def entries(self, chunks: Iterator[Rows]) -> Iterator[IndexEntry]:
        """Those of many rows."""
        entry = self.entry
        for part, rows in chunks:
            for row in rows:
                yield entry(part, row)

    def coordinate_of(self, part: Part, row: int) -> Coordinate:
        """Where the event of a row lives."""
        return self._coordinate(part.entity_at(row), part.scope_at(row))

    def _coordinate(self, entity: str, scope: str) -> Coordinate:
        known = self._coordinates.get((entity, scope))
        if known is None:
            if len(self._coordinates) >= COORDINATES_MAX:
                self._coordinates.clear()
            known = self._coordinates[entity, scope] = Coordinate(entity, scope)
        return known

    # ----------------------------------------------------------------------- what is not expected

    def _again(
        self, part: Part, row: int, body: bytes, form: Form[Q], named: bytes | None
    ) -> tuple[bytes, int]:
        """The frame does not confirm the row: the index is made anew, once; then it is damage."""
        sequence = part.first + row
        if isinstance(part, Sealed) and part.distrust():
            segment, offsets = self._segments.of(part.segment_id), part.offsets
            body = segment.record(offsets[row], offsets[row + 1], part.block_crcs)
        _, key_ref, found = unpack_what(body, KIND_AT)
        if found != sequence:
            raise self._corrupt(part, row, f"it says that it is event {found}")
        if named is not None and not body.startswith(named, ENTITY_AT):
            raise self._corrupt(part, row, "it is another entity's")
        if key_ref and form is not RAW:
            raise FutureVersion(f"the payload encryption of event {sequence}", key_ref, 0)
        return body, part.sizes[row]

    def _corrupt(self, part: Part, row: int, detail: str) -> CorruptStore:
        segment = self._segments.of(part.segment_id)
        whole = f"the frame of event {part.first + row} is not as it was written: {detail}"
        return segment.corrupt(part.offsets[row], Fault(Damage.FRAME, whole))

    def _decode(
        self, what: int, body: bytes, size: int, form: Form[Q], part: Part, row: int
    ) -> object:
        """Decode the first payload of a kind and version."""
        sequence = part.first + row
        decode = wire.decoder(what >> 16, what & 0xFFFF, form, sequence)
        self._decoders[form][what] = decode
        try:
            return decode(body[-size:])
        except wire.UNDECODABLE as error:
            return self._decode_again(error, what, body, size, form)

    def _decode_again(
        self, error: Exception, what: int, body: bytes, size: int, form: Form[Q]
    ) -> object:
        """The payload does not decode: unless the index is wrong about its size, it is damage."""
        sequence = unpack_what(body, KIND_AT)[2]
        failed = wire.decode_failed(error, what >> 16, what & 0xFFFF, sequence)
        try:
            payload = record.decode_parts(body).payload
            if len(payload) == size:
                raise failed from error
            return self._decoders[form][what](payload)
        except wire.UNDECODABLE:
            raise failed from error


def _places(part: Part, rows: Sequence[int]) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Where the frames of some rows begin and end, and the sizes of their payloads."""
    offsets, sizes = part.offsets, part.sizes
    if isinstance(rows, range) and rows.step == 1:
        bounds = offsets[rows.start : rows.stop + 1]
        return bounds[:-1], bounds[1:], sizes[rows.start : rows.stop]
    return (
        [offsets[row] for row in rows],
        [offsets[row + 1] for row in rows],
        [sizes[row] for row in rows],
    )
