"""Output: the file that several become, built under a temporary name from what they have.

Bodies of events that stay are copied byte for byte; of the others everything but the payload is,
with its hash in its place. Nothing is held but a bounded piece of the frames, and one column.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from batpak import record
from batpak.digest import HASH_BYTES, content_hash, crc32
from batpak.disk.seam import Directory
from batpak.errors import CorruptStore, StoreClosed
from batpak.faults import Damage
from batpak.index import merged
from batpak.index.sealed import Sealed
from batpak.index.sidx import pieces
from batpak.index.table import Table
from batpak.journal import frame, layout
from batpak.journal.frame import Frame, pack_place, unpack_prefix
from batpak.journal.rewritten import Rewritten, header_of
from batpak.journal.segment import Segment, Segments, block_crcs
from batpak.platform import Platform
from batpak.record import EVENT, EVENT_HASH_AT, SEQUENCE_AT, TYPE_AT, WALL_MS_AT
from batpak.recovery import decide, footer
from batpak.recovery.decide import Recorded
from batpak.upkeep.groups import Source, offsets_of

ENDING: Final = 3  # pieces of a footer that say where its columns are
STEP: Final = 4096  # rows whose blocks are checked at once
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
            fresh.add(self._told(group, tell))
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
        except StoreClosed:  # another handle may be writing under that name
            raise
        except BaseException:
            fresh.abandon()
            raise
        return Output(fresh, segment, part, epoch)

    def _told(self, group: Sequence[Source], tell: Callable[[int], None]) -> Iterator[bytes]:
        """The records of a group, as they are to be."""
        size = 0
        for source in group:
            for some in _steps(source):
                self._go_on()
                for one in _records(source, some):
                    size += len(one) + frame.PREFIX_BYTES
                    yield one
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
        data, seed = fresh.read_back(), fresh.seed
        whole = block_crcs(data, recorded.frames_end) == fresh.block_crcs
        head, store_id = decide.before_any(fresh.header), fresh.header.store_id
        places = pairwise(offsets)
        for source in group:
            segment, types, part = source.segment, source.types, source.part
            mapped = segment.data(segment.end)
            for row, (begin, end) in enumerate(pairwise(part.offsets)):
                at, stop = next(places)
                body, was = data[at + 8 : stop], mapped[begin + 8 : end]
                length, crc = unpack_prefix(data, at)
                right = (
                    length == len(body)
                    and crc32(body, crc32(pack_place(at, length), seed)) == crc
                    and (body == was or _is_stub_of(body, was, types[row], store_id, head))
                )
                if not (right and whole):
                    detail = "it did not come back from the disk as it was written"
                    path = layout.path_of(self._directory, fresh.name + layout.TEMPORARY)
                    raise CorruptStore(path, at, Damage.FRAME, detail)
                head = body[EVENT_HASH_AT : EVENT_HASH_AT + HASH_BYTES]
        if head != recorded.chain_head:
            detail = "the last event is not the one that is recorded"
            raise CorruptStore(group[-1].segment.path, recorded.frames_end, Damage.CHAIN, detail)


def _steps(source: Source) -> Iterator[range]:
    """The rows of a file, some at a time, checked."""
    part, segment = source.part, source.segment
    offsets = part.offsets
    for first in range(0, len(part), STEP):
        rows = range(first, min(first + STEP, len(part)))
        if not segment.check_run(offsets[rows.start], offsets[rows.stop], part.block_crcs):
            for row in rows:
                segment.check_frame(offsets[row], offsets[row + 1])
        yield rows


def _records(source: Source, rows: range) -> Iterator[bytes]:
    """The records of some rows, as they are to be.

    Raises:
        _Misled: The footer led somewhere else.
    """
    part, types, sizes = source.part, source.types, source.part.sizes
    data = source.segment.data(source.segment.end)
    sequence = part.first + rows.start
    for row, (begin, end) in zip(
        rows, pairwise(part.offsets[rows.start : rows.stop + 1]), strict=True
    ):
        body = data[begin + 8 : end]
        if body[SEQUENCE_AT : SEQUENCE_AT + 8] != sequence.to_bytes(8, "big"):
            raise _Misled
        sequence += 1
        if body[TYPE_AT] == types[row]:
            yield body
            continue
        payload = record.decode_parts(body).payload
        if body[TYPE_AT] != EVENT or len(payload) != sizes[row]:
            raise _Misled
        yield record.stub_of(body, len(payload), types[row], content_hash(payload))


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


def _wall_ms(source: Source, row: int) -> int:
    begin = source.part.offsets[row] + frame.PREFIX_BYTES + WALL_MS_AT
    return int.from_bytes(source.segment.data(begin + 8)[begin : begin + 8], "big")
