"""From rows to events: the one read path. What a row says is confirmed by its frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final, TypeVar, cast

from batpak import record, wire
from batpak.coordinate import Coordinate
from batpak.disk.seam import Mapped
from batpak.errors import (
    CorruptStore,
    EventNotFound,
    FutureVersion,
    StorageFailed,
    StoreClosed,
    UnknownKind,
)
from batpak.event import IndexEntry, Q, StoredEvent
from batpak.faults import Damage
from batpak.index.query import Rows
from batpak.index.row import Part
from batpak.index.table import Table
from batpak.journal.frame import Fault
from batpak.journal.segment import GONE, Segment, Segments
from batpak.kind import TOMBSTONE
from batpak.record import DROPPED, ENTITY_AT, EVENT, HEAD, TYPE_AT, unpack_what
from batpak.system import Tombstoned
from batpak.wire import FORMS, RAW, Decode, Form

T = TypeVar("T")

STEP: Final = 512  # rows read before the next blocks are looked at
DENSE: Final = 8  # one row in so many: then blocks are checked ahead, not frames
STORED: Final[Form[bytes]] = Form("STORED")
"""As RAW, but of stubs it gives what is stored: for those who look at headers only."""
COORDINATES_MAX: Final = 1 << 16  # kept, so that equal ones are not validated again


class Fetch:
    """Reads events of one log. After `closed` is set, nothing is read any more."""

    def __init__(self, segments: Segments, table: Table) -> None:
        self.closed = False
        self.again: Callable[[], object] | None = None
        """Looks for the files anew, where somebody else may have compacted the log."""
        self._segments, self._table = segments, table
        self._decoders: dict[Form[Any], dict[int, Decode]] = {form: {} for form in (*FORMS, STORED)}
        self._coordinates: dict[tuple[str, str], Coordinate] = {}

    def heal(self, error: BaseException, part: Part | None = None) -> bool:
        """Look again if a file was not found whose place another one has taken; whether it was.

        If it is the file of a part that is not asked any more, somebody has looked already.
        """
        if self.again is None or not isinstance(error, StorageFailed) or error.errno not in GONE:
            return False
        if part is None or part in self._table.parts:
            self.again()
        return True

    def healing(self, ask: Callable[[], T]) -> T:
        """Ask, and ask again if a file was not found because somebody has compacted the log."""
        while True:
            try:
                return ask()
            except StorageFailed as error:
                if not self.heal(error):
                    raise

    def steady(
        self,
        ask: Callable[[int, int], Iterator[Rows]],
        start: int,
        stop: int,
        *,
        reverse: bool = False,
    ) -> Iterator[Rows]:
        """The rows of a range of sequences, some of whose files may have to be looked for again.

        Args:
            ask: Gives the rows of a range.
            start: The first sequence.
            stop: The one behind the last.
            reverse: Whether they come newest first.
        """
        rows = self.healing(lambda: ask(start, stop))
        return rows if self.again is None else self._steady(rows, ask, start, stop, reverse)

    def _steady(
        self,
        rows: Iterator[Rows],
        ask: Callable[[int, int], Iterator[Rows]],
        start: int,
        stop: int,
        reverse: bool,
    ) -> Iterator[Rows]:
        while True:
            try:
                for some in rows:
                    yield some
                    last = some.part.first + some.rows[-1]
                    start, stop = (start, last) if reverse else (last + 1, stop)
            except StorageFailed as error:
                if not self.heal(error):
                    raise
                rows = ask(start, stop)
            else:
                return

    # ----------------------------------------------------------------------------- many events

    def events(
        self,
        chunks: Iterator[Rows],
        form: Form[Q],
        *,
        entity: str | None = None,
        handle: object = None,  # noqa: ARG002  held
    ) -> Iterator[StoredEvent[Q]]:
        """Events one by one, read as they are asked for.

        Args:
            chunks: The rows, in order.
            form: Of the payloads.
            entity: That all of them have to belong to.
            handle: Held as long as the iterator is: `for event in Store.open(path).query():`.

        Raises:
            StoreClosed: The handle was closed meanwhile.
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: An event cannot be read as it
                was. Nothing is skipped.
        """
        named = None if entity is None else record.pack_name(entity)
        decoders = self._decoders[form]
        renewed: Part | None = None
        for part, rows, renew in chunks:
            if part is renewed:  # what is left of it was read with its other rows
                continue
            first = part.first
            at, stop, last = 0, len(rows), -1
            while at < stop:
                some = rows[at : at + STEP]
                try:
                    segment = self._segments.of(part.segment_id)
                    starts, ends, sizes = self._places(part, some)
                    mapped = self._data(segment, part, max(ends[0], ends[-1]))
                    sure = self._check_ahead(segment, part, some)
                    for row, start, end, size in zip(some, starts, ends, sizes, strict=False):
                        if self.closed:
                            raise StoreClosed
                        if not sure:
                            self._check(segment, part, start, end)
                        body = mapped[start + 8 : end]
                        if len(body) < ENTITY_AT:
                            raise self._unconfirmed(part, row, "it is too short for an event")
                        type_, what, key_ref, sequence = unpack_what(body, TYPE_AT)
                        if sequence != first + row:
                            raise self._unconfirmed(part, row, f"it is event {sequence}")
                        if named is not None and not body.startswith(named, ENTITY_AT):
                            raise self._unconfirmed(part, row, "it is another entity's")
                        if type_ != EVENT and form is not STORED:
                            self._confirm(part, row)
                            if type_ == DROPPED:
                                raise self._unconfirmed(part, row, "it is a stub")
                            yield self._erased(body, what, form)
                            last = row
                            continue
                        if key_ref and form not in (RAW, STORED):
                            raise self._encrypted(part, row, key_ref)
                        try:
                            payload = decoders[what](body[-size:])
                        except KeyError:
                            payload = self._decode(what, body, size, form, part, row)
                        except wire.UNDECODABLE as error:
                            raise self._undecodable(part, row, body, size, error) from error
                        yield StoredEvent(payload, body)
                        last = row
                    at += STEP
                except _Unconfirmed:
                    rows, at, renewed = _behind(renew(), last, rows), 0, part  # noqa: PLW2901
                    stop = len(rows)
                except StorageFailed as error:
                    if not self.heal(error, part):
                        raise
                    rest = self._elsewhere(part, _behind(rows, last, rows))
                    yield from self.events(rest, form, entity=entity)
                    break

    def _elsewhere(self, part: Part, rows: Sequence[int]) -> Iterator[Rows]:
        """Where rows are by now whose file is gone; without those that were dropped meanwhile."""
        places = [self._table.locate(part.first + row) for row in rows]
        for found, some in groupby(places, key=lambda place: place[0]):
            types = found.types
            left = [row for _, row in some if types is None or types[row] != DROPPED]
            if left:
                yield Rows(found, left, partial(list, left))

    def _places(
        self, part: Part, rows: Sequence[int]
    ) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Where the frames of some rows begin and end; an index without them is made anew."""
        try:
            return _places(part, rows)
        except IndexError:
            if part.distrust():
                raise _Unconfirmed from None
            raise

    def _data(self, segment: Segment, part: Part, end: int) -> Mapped:
        """A file up to an end; an index that says that it goes on beyond that is made anew."""
        try:
            return segment.data(end)
        except CorruptStore:
            if part.distrust():
                raise _Unconfirmed from None
            raise

    def _check(self, segment: Segment, part: Part, start: int, end: int) -> None:
        """Make sure of a frame; an index that is wrong about its place is made anew."""
        try:
            segment.check(start, end, part.block_crcs)
        except CorruptStore:
            if part.distrust():
                raise _Unconfirmed from None
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
        """One event. Raises as `events`.

        Raises:
            EventNotFound: It was dropped.
        """
        while True:
            try:
                try:
                    return self._event(part, row, form)
                except _Unconfirmed:
                    return self._event(part, row, form)
            except StorageFailed as error:
                if not self.heal(error, part):
                    raise
                part, row = self._table.locate(part.first + row)

    def body(self, part: Part, row: int) -> bytes:
        """The record of a row, or the stub, checked, and confirmed to be the one asked for.

        Raises:
            CorruptStore, StorageFailed, StoreClosed: It cannot be read.
        """
        return self.event(part, row, STORED).record

    def event_hash(self, part: Part, row: int) -> bytes:
        """The hash of the event of a row, whether it can be read or not. Raises as `body`."""
        return self.event(part, row, STORED).event_hash

    def _event(self, part: Part, row: int, form: Form[Q]) -> StoredEvent[Q]:
        if self.closed:
            raise StoreClosed
        segment = self._segments.of(part.segment_id)
        try:
            offsets = part.offsets
            start, end, size = offsets[row], offsets[row + 1], part.sizes[row]
        except IndexError:
            if part.distrust():
                raise _Unconfirmed from None
            raise
        mapped = self._data(segment, part, end)
        self._check(segment, part, start, end)
        body: bytes = mapped[start + 8 : end]
        if len(body) < ENTITY_AT:
            raise self._unconfirmed(part, row, "it is too short for an event")
        type_, what, key_ref, sequence = unpack_what(body, TYPE_AT)
        if sequence != part.first + row:
            raise self._unconfirmed(part, row, f"it is event {sequence}")
        if type_ != EVENT and form is not STORED:
            self._confirm(part, row)
            if type_ == DROPPED:
                raise EventNotFound(sequence, dropped=True)
            return self._erased(body, what, form)
        if key_ref and form not in (RAW, STORED):
            raise self._encrypted(part, row, key_ref)
        try:
            payload = self._decoders[form][what](body[-size:])
        except KeyError:
            payload = self._decode(what, body, size, form, part, row)
        except wire.UNDECODABLE as error:
            raise self._undecodable(part, row, body, size, error) from error
        return StoredEvent(payload, body)

    def _erased(self, body: bytes, what: int, form: Form[Q]) -> StoredEvent[Q]:
        """An event whose payload was erased: what is left of it is a payload of its own kind."""
        content = record.decode_parts(body).payload
        left = Tombstoned(kind=what >> 16, payload_version=what & 0xFFFF, content_hash=content)
        stored = wire.encode(left)
        payload: Q = wire.decoder(TOMBSTONE, stored.version, form, None)(stored.data)
        return StoredEvent(payload, body)

    def entry(self, part: Part, row: int) -> IndexEntry:
        """What the index, and the fixed head of the frame, know of a row; also of a stub."""
        body = self.body(part, row)
        parts = record.decode_parts(body)
        coordinate = self._coordinate(parts.entity, parts.scope)
        size = len(parts.payload) if body[TYPE_AT] == EVENT else 0
        return IndexEntry(body[HEAD], coordinate, size)

    def entries(
        self,
        chunks: Iterator[Rows],
        *,
        handle: object = None,  # noqa: ARG002  held
    ) -> Iterator[IndexEntry]:
        """Those of many rows. See `events`."""
        entry = self.entry
        for part, rows, _ in chunks:
            for row in rows:
                yield entry(part, row)

    def _coordinate(self, entity: str, scope: str) -> Coordinate:
        known = self._coordinates.get((entity, scope))
        if known is None:
            if len(self._coordinates) >= COORDINATES_MAX:
                self._coordinates.clear()
            known = self._coordinates[entity, scope] = Coordinate(entity, scope)
        return known

    # ----------------------------------------------------------------------- what is not expected

    def _unconfirmed(self, part: Part, row: int, detail: str) -> Exception:
        """The frame does not confirm the row: the index is made anew, once; then it is damage."""
        if part.distrust():
            return _Unconfirmed()
        segment = self._segments.of(part.segment_id)
        whole = f"the frame of event {part.first + row} is not as it was written: {detail}"
        return segment.corrupt(part.offsets[row], Fault(Damage.FRAME, whole))

    def _confirm(self, part: Part, row: int) -> None:
        """Make sure of a frame that says what nobody knows: it may begin somewhere else."""
        try:
            self._segments.of(part.segment_id).check_frame(part.offsets[row], part.offsets[row + 1])
        except CorruptStore:
            if part.distrust():
                raise _Unconfirmed from None
            raise

    def _encrypted(self, part: Part, row: int, key_ref: int) -> FutureVersion:
        self._confirm(part, row)
        return FutureVersion(f"the payload encryption of event {part.first + row}", key_ref, 0)

    def _decode(self, what: int, body: bytes, size: int, form: Form[Q], part: Part, row: int) -> Q:
        """Decode the first payload of a kind and version."""
        try:
            decode = (
                cast("Decode", bytes)
                if form is STORED
                else wire.decoder(what >> 16, what & 0xFFFF, form, part.first + row)
            )
        except (UnknownKind, FutureVersion):
            self._confirm(part, row)
            raise
        self._decoders[form][what] = decode
        try:
            payload: Q = decode(body[-size:])
        except wire.UNDECODABLE as error:
            raise self._undecodable(part, row, body, size, error) from error
        return payload

    def _undecodable(
        self, part: Part, row: int, body: bytes, size: int, error: Exception
    ) -> Exception:
        """The payload does not decode: unless the index is wrong about its size, it is damage."""
        try:
            payload = record.decode_parts(body).payload
        except wire.UNDECODABLE as bad:
            return self._unconfirmed(part, row, str(bad))
        if len(payload) != size:
            return self._unconfirmed(part, row, f"its payload is not of {size} bytes")
        _, what, _, sequence = unpack_what(body, TYPE_AT)
        return wire.decode_failed(error, what >> 16, what & 0xFFFF, sequence)


class _Unconfirmed(Exception):
    """An index was wrong about a frame, and has been made anew: ask it again."""


def _behind(renewed: Sequence[int], last: int, before: Sequence[int]) -> Sequence[int]:
    """The rows that are still to be read, behind the last one that was; -1: none was."""
    if last < 0:
        return renewed
    if before[0] > before[-1]:
        return [row for row in renewed if row < last]
    return [row for row in renewed if row > last]


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
