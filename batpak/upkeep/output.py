"""Output: the file that several become, built under a temporary name from what they have.

Bodies of events that stay are copied byte for byte; of the others everything but the payload is,
with its hash in its place. Nothing is held but a bounded piece of the frames, and one column.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from batpak import record
from batpak.digest import HASH_BYTES, content_hash
from batpak.disk.seam import Directory
from batpak.errors import BatpakError, CorruptStore, StoreClosed
from batpak.faults import Damage
from batpak.index import merged
from batpak.index.sealed import Sealed
from batpak.index.sidx import pieces
from batpak.index.table import Table
from batpak.journal import frame, layout
from batpak.journal.frame import Frame, unpack_prefix
from batpak.journal.rewritten import Rewritten, header_of
from batpak.journal.segment import Segment, Segments, block_crcs
from batpak.platform import Platform
from batpak.record import EVENT, EVENT_HASH_AT, TYPE_AT, WALL_MS_AT
from batpak.recovery import decide, footer
from batpak.recovery.decide import Recorded
from batpak.upkeep.groups import Source, offsets_of

ENDING: Final = 3  # pieces of a footer that say where its columns are
STEP: Final = 1024  # rows that are copied at once
SALT_BYTES: Final = 8


class Output(Struct, eq=False):
    """The file that a group has become, not in its place yet."""

    fresh: Rewritten
    segment: Segment
    part: Sealed
    epoch: int


class _Misled(Exception):
    """A footer was wrong, and has been made anew: work it out again."""


class Builder:
    """Makes such files.

    Args:
        directory: Of the store.
        segments: All of its log.
        table: The index of that.
        platform: The world.
        go_on: Raises StoreClosed when nothing is to be built any more.
    """

    def __init__(
        self,
        directory: Directory,
        segments: Segments,
        table: Table,
        platform: Platform,
        go_on: Callable[[], None],
    ) -> None:
        self._directory, self._segments, self._table = directory, segments, table
        self._platform, self._go_on = platform, go_on

    def build(self, group: Sequence[Source], tell: Callable[[int], None]) -> Output:
        """Write the file of a group under its temporary name, make it durable, read it back.

        Args:
            group: Files that follow each other.
            tell: Called now and then with how many bytes of frames are written.

        Raises:
            OSError, StorageFailed: The system refused; nothing is left of it.
            CorruptStore: A source is damaged, or the disk did not keep what it was given.
        """
        while True:
            try:
                return self._written(group, tell)
            except (_Misled, IndexError):
                made_anew = [source.part.distrust() for source in group]
                if not any(made_anew):
                    raise
                for source in group:
                    source.measure()

    def _written(self, group: Sequence[Source], tell: Callable[[int], None]) -> Output:
        headers = [source.segment.header for source in group]
        links = [link for source in group for link in source.links]
        epoch = max(one.epoch for one in headers)
        if any(source.changed for source in group):
            epoch = self._table.epoch + 1
        stop = group[-1].part.first + len(group[-1].part)
        data = header_of(
            headers[0],
            replaces=links,
            frames=sum(source.size for source in group),
            next_sequence=stop,
            epoch=epoch,
            created_ns=self._platform.wall_ns(),
            salt=self._platform.entropy(SALT_BYTES),
        )
        fresh = Rewritten(self._directory, data)
        try:
            offsets = offsets_of(group, fresh.start)
            sealed = fresh.header.sealed
            if sealed is None or offsets[-1] != sealed.frames_end:
                raise _Misled
            for records in self._told(group, tell):
                fresh.add(records)
            fresh.end_frames()
            recorded = Recorded(fresh.end, links[-1].chain_head, stop)
            segment = Segment(
                self._directory,
                fresh.header,
                fresh.start,
                fresh.end,
                trusted=False,
                segment_id=self._segments.fresh_id(),
            )
            part = self._finish(group, fresh, segment, recorded, offsets)
            self._read_back(group, fresh, offsets, recorded)
        except BaseException:
            if not self._closed():  # else another handle may be writing under that name
                fresh.abandon()
            raise
        return Output(fresh, segment, part, epoch)

    def _closed(self) -> bool:
        try:
            self._go_on()
        except BatpakError as error:
            return isinstance(error, StoreClosed)
        return False

    def _told(
        self, group: Sequence[Source], tell: Callable[[int], None]
    ) -> Iterator[Sequence[bytes]]:
        """The records of a group, as they are to be, some at a time."""
        size = 0
        for source in group:
            for rows in _steps(source):
                self._go_on()
                records = _records(source, rows)
                yield records
                size += sum(map(len, records)) + frame.PREFIX_BYTES * len(records)
                tell(size)

    def _finish(
        self,
        group: Sequence[Source],
        fresh: Rewritten,
        segment: Segment,
        recorded: Recorded,
        offsets: array[int],
    ) -> Sealed:
        """Write the footer, column by column, and make the file durable; the index over it."""
        parts, types = [one.part for one in group], [bytes(one.types) for one in group]
        told = pieces(
            merged.columns(parts, types, offsets, fresh.block_crcs),
            footer.identity(segment, recorded),
            first_wall_ms=_wall_ms(group[0], 0),
            last_wall_ms=_wall_ms(group[-1], len(parts[-1]) - 1),
        )
        size, ending = recorded.frames_end, deque[bytes](maxlen=ENDING)

        def counted() -> Iterator[bytes]:
            nonlocal size
            for piece in told:
                size += len(piece)
                ending.append(piece)
                yield piece

        fresh.finish(counted())
        read = footer.parsed(b"".join(ending), size)
        return footer.over_file(segment, read, size, recorded, self._platform.raw_lock)

    def _read_back(
        self,
        group: Sequence[Source],
        fresh: Rewritten,
        offsets: array[int],
        recorded: Recorded,
    ) -> None:
        """Make sure that the disk has what it was given, and that it is what the sources have.

        Raises:
            CorruptStore: It is not. The file is not used.
        """
        data = fresh.read_back()
        head, store_id = decide.before_any(fresh.header), fresh.header.store_id
        if block_crcs(data, recorded.frames_end) != fresh.block_crcs:
            raise self._spoilt(fresh, 0)
        first = 0
        for source in group:
            mapped = source.segment.data(source.segment.end)
            for rows in _steps(source):
                old = source.part.offsets[rows.start : rows.stop + 1]
                new = offsets[first : first + len(old)]
                bodies = [data[begin + 8 : end] for begin, end in pairwise(new)]
                were = [mapped[begin + 8 : end] for begin, end in pairwise(old)]
                if bodies != were:
                    types = source.types[rows.start : rows.stop]
                    for at, (body, was) in enumerate(zip(bodies, were, strict=True)):
                        if at:
                            head = _event_hash(bodies[at - 1])
                        if body != was and not _is_stub_of(body, was, types[at], store_id, head):
                            raise self._spoilt(fresh, new[at])
                head = _event_hash(bodies[-1])
                first += len(rows)
        if head != recorded.chain_head:
            detail = "the last event is not the one that is recorded"
            raise CorruptStore(group[-1].segment.path, recorded.frames_end, Damage.CHAIN, detail)

    def _spoilt(self, fresh: Rewritten, at: int) -> CorruptStore:
        path = layout.path_of(self._directory, fresh.name + layout.TEMPORARY)
        detail = "it did not come back from the disk as it was written"
        return CorruptStore(path, at, Damage.FRAME, detail)


def _steps(source: Source) -> Iterator[range]:
    """The rows of a file, a bounded piece of it at a time, checked."""
    part, segment = source.part, source.segment
    offsets, first = part.offsets, 0
    while first < len(part):
        most = min(first + STEP, len(part))
        stop = bisect_right(offsets, offsets[first] + layout.COPY_BYTES, first + 1, most + 1) - 1
        rows = range(first, max(stop, first + 1))
        first = rows.stop
        if not segment.check_run(offsets[rows.start], offsets[rows.stop], part.block_crcs):
            for row in rows:
                segment.check_frame(offsets[row], offsets[row + 1])
        yield rows


def _records(source: Source, rows: range) -> list[bytes]:
    """The records of some rows, as they are to be.

    Raises:
        _Misled: The footer led somewhere else.
    """
    data = source.segment.data(source.segment.end)
    places = list(pairwise(source.part.offsets[rows.start : rows.stop + 1]))
    records = [data[begin + 8 : end] for begin, end in places]
    lengths = [unpack_prefix(data, begin)[0] for begin, _ in places]
    if lengths != list(map(len, records)):  # then each frame ends where the next one begins
        raise _Misled
    if source.changed:
        types, sizes = source.types, source.part.sizes
        for at, row in enumerate(rows):
            body = records[at]
            if body[TYPE_AT] != types[row]:
                payload = record.decode_parts(body).payload
                if body[TYPE_AT] != EVENT or len(payload) != sizes[row]:
                    raise _Misled
                hashed = content_hash(payload)
                records[at] = record.stub_of(body, len(payload), types[row], hashed)
    return records


def _is_stub_of(body: bytes, was: bytes, stub: int, store_id: bytes, head: bytes) -> bool:
    """Whether a record is what is left of another one; its hash is still true."""
    left, whole = frame.decode(body), frame.decode(was)
    return (
        isinstance(left, Frame)
        and isinstance(whole, Frame)
        and stub == left.type != EVENT
        and left.content_hash == whole.content_hash
        and left.event_hash == whole.event_hash == left.expected_hash(store_id, head)
    )


def _event_hash(body: bytes) -> bytes:
    return body[EVENT_HASH_AT : EVENT_HASH_AT + HASH_BYTES]


def _wall_ms(source: Source, row: int) -> int:
    begin = source.part.offsets[row] + frame.PREFIX_BYTES + WALL_MS_AT
    return int.from_bytes(source.segment.data(begin + 8)[begin : begin + 8], "big")
