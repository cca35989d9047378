"""Segments for reading: one file each, mapped, and all of them by number.

What is read was checked: by this process when it wrote it, or by the checksum of the frame, which
binds it to this store, this file and this place, or by the checksum of its block of 64 KiB. A block
is worth checking as a whole once some frames of it have been read.
"""

from __future__ import annotations

import errno
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from msgspec import Struct

from batpak import codec, record
from batpak.digest import crc32
from batpak.disk.seam import Directory, Mapped, ReadFile
from batpak.disk.whole import read_all
from batpak.errors import CorruptStore, StorageFailed, StoreClosed
from batpak.faults import Damage
from batpak.journal import frame, layout
from batpak.journal.frame import Fault, Why
from batpak.journal.header import MAGIC, SALT_WITHIN, Header

BLOCK: Final = 64 << 10
TOUCHES: Final = 16  # frames of a block that are checked one by one
VERIFIED: Final = 255  # the block is right, as it was at that moment
_DAMAGED: Final = 254  # it is not: its frames are checked one by one, each time
FILES_MAX: Final = 64
GONE: Final = frozenset({errno.ENOENT, errno.ESTALE})
"""With these a file refuses whose place another one has taken."""


class Tip(Struct, frozen=True, gc=False):
    """The end of the log: what the next event continues. Replaced as a whole."""

    sequence: int  # due next
    chain_head: bytes
    wall_ms: int
    counter: int
    id_hi: int  # first half of the last event id
    end: int  # of the frames of the newest segment, in bytes
    durable: int  # how many events are known durable


class Segment:
    """One file. `end` grows while it is the newest; bytes below it never change.

    It is opened when it is first read, and again after `close`. Whatever readers share is replaced
    as a whole, never changed, and a file is closed when its last reader lets go of it: so none of
    them is ever left with the descriptor of something else.

    Args:
        directory: Where it is.
        header: As read from it.
        start: Of the first frame, in bytes.
        end: Of the last published frame, in bytes.
        trusted: Whether this process wrote or verified everything below `end`.
        segment_id: Under which the handle knows it, if not under its number.
    """

    def __init__(
        self,
        directory: Directory,
        header: Header,
        start: int,
        end: int,
        *,
        trusted: bool,
        segment_id: int | None = None,
    ) -> None:
        self.header, self.start, self.end = header, start, end
        self.segment_id = header.segment_id if segment_id is None else segment_id
        self.name = layout.segment_name(header.segment_id)
        self.path = layout.path_of(directory, self.name)
        self.seed = frame.seed(header)
        self.good: bytearray | None = None if trusted else bytearray(-(-end // BLOCK))
        """Per block: VERIFIED, or how many of its frames were checked. None: all was verified."""
        self.in_use: deque[Segment] = deque()  # shared by all segments of one log
        self.lost: deque[int] = deque(maxlen=1)  # likewise: one whose place another file has taken
        self.files_max = FILES_MAX
        self.closed = False
        self.columns: dict[str, memoryview] = {}
        """Views of the map that somebody else keeps; they go when it goes."""
        self._directory = directory
        self._file: ReadFile | None = None
        self._mapped: Mapped = b""
        self._pinned: Mapped | None = None

    def data(self, end: int) -> Mapped:
        """The file, mapped, at least up to `end`.

        Raises:
            CorruptStore: It is shorter than that.
            StorageFailed: The system refused.
            StoreClosed: The log was closed.
        """
        mapped = self._mapped
        if len(mapped) >= end:
            return mapped
        return self._map(end)

    def _map(self, end: int) -> Mapped:
        mapped = self._map_anew()
        if len(mapped) < end:
            detail = f"the file ends at {len(mapped)}, and its frames go on to {end}"
            raise CorruptStore(self.path, len(mapped), Damage.SEGMENT, detail)
        self._mapped = mapped
        return mapped

    def whole(self) -> memoryview:
        """The file as it is now, mapped.

        Raises:
            StorageFailed: The system refused.
            StoreClosed: The log was closed.
        """
        return memoryview(self._map_anew())

    def pin(self) -> None:
        """Keep the file for whoever still reads this, whatever becomes of its name.

        Raises:
            StorageFailed: The system refused.
            StoreClosed: The log was closed.
        """
        self._pinned = self._map_anew()

    def load(self) -> None:
        """Keep a copy of the file as it is now, read piece by piece and not mapped.

        Where a disk cannot read a mapped page, the process ends; a read is only refused.

        Raises:
            StorageFailed: The system refused.
        """
        with layout.asking("read", self.path):
            file = self._open()
            self._pinned = read_all(file, 0, file.size())

    def hold(self) -> None:
        """Keep the file open until `close`, whatever becomes of its name.

        Raises:
            StorageFailed: The system refused.
        """
        with layout.asking("open", self.path):
            self._open()

    def _map_anew(self) -> Mapped:
        try:
            if self._pinned is not None:
                return self._pinned
            if not self.closed:
                with layout.asking("read", self.path):
                    return self._open().map()
        except StorageFailed:
            if not self.closed:  # else it was closed between the look and the read
                raise
        raise StoreClosed

    def show(self, mapped: Mapped) -> None:
        """Read through the map that the writer writes to."""
        self._mapped = mapped

    def opened_again(self) -> ReadFile:
        """The file, opened once more: whatever its name leads to later, this is what it was.

        Raises:
            StorageFailed: The system refused.
        """
        with layout.asking("open", self.path):
            return self._found()

    def _found(self) -> ReadFile:
        """The file that has the name; it is another one if somebody else has compacted the log."""
        try:
            file = self._directory.open(self.name)
            begin = file.pread(0, min(SALT_WITHIN, self.start))
            if begin.startswith(MAGIC) and self.header.salt not in begin:
                file.close()
                raise OSError(errno.ESTALE, "a compaction has put another file in its place")
        except OSError as error:
            if error.errno in GONE:
                self.lost.append(self.segment_id)
            raise
        return file

    def _open(self) -> ReadFile:
        """The file; the one that was opened longest ago is let go of if there are too many."""
        file = self._file
        if file is None:
            file = self._file = self._found()
            self.in_use.append(self)
            while len(self.in_use) > self.files_max:
                self.in_use.popleft().close()
        return file

    # --------------------------------------------------------------------------------- checking

    def record(self, offset: int, end: int, block_crcs: Sequence[int] | None) -> bytes:
        """The record in the frame that fills [offset, end), checked.

        Raises:
            CorruptStore: There is no such frame, though one was committed there.
            StorageFailed: The system refused.
        """
        data = self.data(end)
        if self.good is not None:
            self.check(offset, end, block_crcs)
        return data[offset + 8 : end]

    def check(self, offset: int, end: int, block_crcs: Sequence[int] | None) -> None:
        """Make sure that the frame that fills [offset, end) is right.

        Raises:
            CorruptStore: It is not.
            StorageFailed: The system refused.
        """
        good = self.good
        if good is None:
            return
        first, last = offset >> 16, (end - 1) >> 16
        if not 0 <= first <= last < len(good):
            raise self.missing(offset, Why.END)
        if good[first] == VERIFIED == good[last] and last - first < 2:
            return
        known = good[first : last + 1]
        if known.count(VERIFIED) == len(known):
            return
        if block_crcs is not None and max(known) >= TOUCHES:
            if self._check_blocks(first, last, block_crcs):
                return
        else:
            for block in range(first, last + 1):
                good[block] = max(good[block], min(good[block] + 1, TOUCHES))
        self.check_frame(offset, end)

    def check_run(self, start: int, end: int, block_crcs: Sequence[int] | None) -> bool:
        """Check the blocks that [start, end) lies in, each once; whether all of them are right.

        Raises:
            StorageFailed: The system refused.
        """
        if self.good is None:
            return True
        return block_crcs is not None and self._check_blocks(
            start >> 16, (end - 1) >> 16, block_crcs
        )

    def _check_blocks(self, first: int, last: int, block_crcs: Sequence[int]) -> bool:
        good = self.good
        if good is None:
            return True
        right = True
        for block in range(first, last + 1):
            if good[block] == VERIFIED:
                continue
            begin, stop = block << 16, min((block + 1) << 16, self.end)
            if good[block] != _DAMAGED and crc32(self.data(stop)[begin:stop]) == block_crcs[block]:
                good[block] = VERIFIED
            else:
                good[block] = _DAMAGED
                right = False
        return right

    def check_frame(self, offset: int, end: int) -> None:
        """Make sure that one frame fills [offset, end), whatever is known of its blocks.

        Raises:
            CorruptStore: None does.
            StorageFailed: The system refused.
        """
        found = frame.body_at(self.data(end), offset, self.end, offset, self.seed)
        if isinstance(found, Why):
            raise self.missing(offset, found)
        if offset + 8 + len(found) != end:
            detail = f"a frame that ends at {offset + 8 + len(found)}, and not at {end}"
            raise CorruptStore(self.path, offset, Damage.FRAME, detail)

    def missing(self, offset: int, why: Why) -> CorruptStore:
        """That a frame which was committed is not there, as the exception that callers see."""
        return CorruptStore(self.path, offset, Damage.CRC, f"no frame, but {why.value}")

    def corrupt(self, offset: int, fault: Fault) -> CorruptStore:
        """What is wrong at an offset, as the exception that callers see."""
        return CorruptStore(self.path, offset, fault.reason, fault.detail)

    @property
    def is_open(self) -> bool:
        """Whether it holds a file."""
        return self._file is not None

    def close(self) -> None:
        """Let go of the file. Who is reading it at this moment still can. Twice is harmless."""
        self._file, self._mapped = None, b""
        self.columns.clear()


class Segments:
    """The files of one log, oldest first. Confirms for the index what its hits point to."""

    def __init__(self, files_max: int = FILES_MAX) -> None:
        self._files: list[Segment] = []
        self._known: dict[int, Segment] = {}
        self._retired: WeakValueDictionary[int, Segment] = WeakValueDictionary()
        self._merges = 0
        self._in_use: deque[Segment] = deque()
        self.lost: deque[int] = deque(maxlen=1)
        """Not empty: a file was not found that has to be read; somebody has compacted the log."""
        self._files_max = files_max

    def add(self, segment: Segment) -> None:
        """Take in the file that comes next. Those already there serve reads meanwhile."""
        self.adopt(segment)
        self._files.append(segment)

    def adopt(self, segment: Segment) -> None:
        """Know a file: one more, or one that will take the place of others."""
        segment.in_use, segment.files_max = self._in_use, self._files_max
        segment.lost = self.lost
        self._known[segment.segment_id] = segment

    def renew_newest(self, segment: Segment) -> None:
        """Put another view of the newest file in its place: another inode has its name."""
        self._files.pop().close()
        self.add(segment)

    def renew(self, segment: Segment) -> None:
        """Put another view of a file in its place."""
        at = self._files.index(self.of(segment.segment_id))
        self.adopt(segment)
        self._files[at] = segment

    def take_over(self, others: Segments) -> None:
        """Take the files of somebody else, who has looked again, in the place of all of these.

        Those that are not among them are there for whoever still reads them.
        """
        for old in self._files:
            if old.segment_id not in others._known:
                self._retired[old.segment_id] = old
        self._in_use, self._files, self._known = others._in_use, others._files, others._known
        self.lost = others.lost

    def fresh_id(self) -> int:
        """Under which a file is to be known that takes the number of another one."""
        self._merges += 1
        return -self._merges

    def merged(self, sources: Sequence[Segment], segment: Segment) -> None:
        """Put one file in the place of several that follow each other. Twice is harmless.

        Those are pinned, and there for whoever still reads them, but for nobody else.
        """
        files = self._files
        if segment in files:
            return
        for old in sources:
            self._retired[old.segment_id] = old
            self._known.pop(old.segment_id, None)
            with suppress(ValueError, IndexError):  # another thread opens or closes files meanwhile
                self._in_use.remove(old)
        at = files.index(sources[0])  # last: if all of this is done again, it is from here
        self._files = [*files[:at], segment, *files[at + len(sources) :]]

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Segment]:
        """All of them as they are now."""
        return iter(tuple(self._files))

    @property
    def open_files(self) -> int:
        """How many of them are open for reading."""
        return sum(segment.is_open for segment in set(self._in_use.copy()))

    @property
    def newest(self) -> Segment:
        """The file that grows."""
        return self._files[-1]

    def of(self, segment_id: int) -> Segment:
        """The file with a number, as the index knows it.

        Raises:
            StorageFailed: It is not known any more; only to observers.
        """
        segment = self._known.get(segment_id) or self._retired.get(segment_id)
        if segment is None:  # an observer has exchanged it twice
            why = "a compaction has put another file in its place"
            raise StorageFailed("read", f"file {segment_id}", errno.ESTALE, why)
        return segment

    def store_id_of(self, segment_id: int) -> UUID:
        """Whose the events of a file are: this store's, or one's that it was forked from."""
        return UUID(bytes=self.of(segment_id).header.store_id)

    def head(self, segment_id: int, offset: int, sequence: int, entity: str) -> tuple[int, bytes]:
        """Version and event hash of an event; see `index.row.Frames`."""
        segment = self.of(segment_id)
        body = self._confirmed(segment, offset, sequence)
        if not body.startswith(record.pack_name(entity), record.ENTITY_AT):
            raise segment.corrupt(offset, Fault(Damage.ORDER, "the event of another entity"))
        version, event_hash = record.unpack_link(body, record.VERSION_AT)
        return version, event_hash

    def version(self, segment_id: int, offset: int, sequence: int) -> int:
        """The version of an event; see `index.row.Frames`."""
        body = self._confirmed(self.of(segment_id), offset, sequence)
        version: int = record.unpack_link(body, record.VERSION_AT)[0]
        return version

    def _confirmed(self, segment: Segment, offset: int, sequence: int) -> bytes:
        """The record of the frame that begins at an offset, if it is that event."""
        length, known = 0, segment.start <= offset <= segment.end - 4
        if known:  # what is mapped may end before it
            length = int.from_bytes(segment.data(offset + 4)[offset : offset + 4], "big")
        end = offset + 8 + length
        if not known or end > segment.end or length < record.ENTITY_AT:
            raise segment.corrupt(offset, Fault(Damage.FRAME, "there is no frame here"))
        body = segment.record(offset, end, None)
        if record.unpack_what(body, record.TYPE_AT)[3] != sequence:
            raise segment.corrupt(offset, Fault(Damage.ORDER, "another event"))
        return body

    def key(self, segment_id: int, offset: int, end: int) -> bytes | None:
        """The idempotency key of the event whose frame fills that range."""
        segment = self.of(segment_id)
        body = segment.record(offset, end, None)
        try:
            opt = record.decode_parts(body).opt
        except (codec.DecodeError, UnicodeDecodeError) as error:  # its neighbours are right
            raise segment.corrupt(offset, Fault(Damage.FRAME, "no frame ends there")) from error
        return None if opt is None else opt[0]

    def close(self) -> None:
        """Give all files back. What still reads them meets StoreClosed."""
        for segment in self._files:
            segment.closed = True
            segment.close()


def block_crcs(data: Mapped, end: int) -> array[int]:
    """(blocks,) the CRC-32 of each 64 KiB of a file up to the end of its frames."""
    return array(
        "I", [crc32(data[begin : min(begin + BLOCK, end)]) for begin in range(0, end, BLOCK)]
    )
