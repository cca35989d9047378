"""Segments for reading: one file each, mapped, and all of them as one log by sequence.

Every read of a frame checks its CRC, which binds it to this store, this file and this place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Final

from msgspec import Struct

from batpak.disk import Directory, ReadFile
from batpak.errors import CorruptStore, Damage
from batpak.journal import frame, layout
from batpak.journal.frame import Fault, Frame, Why
from batpak.journal.header import Header

FRESH_BYTES_MAX: Final = 16 << 10  # read anew rather than mapped anew, at the growing end
FILES_MAX: Final = 64  # open for reading at once; each takes two descriptors, one for its map
_NOTHING: Final = memoryview(b"")


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
    """

    def __init__(self, directory: Directory, header: Header, start: int, end: int) -> None:
        self.header, self.start, self.end = header, start, end
        self.name = layout.segment_name(header.segment_id)
        self.path = layout.path_of(directory, self.name)
        self.seed = frame.seed(header)
        self.in_use: deque[Segment] = deque()  # shared by all segments of one log
        self._directory = directory
        self._file: ReadFile | None = None
        self._mapped = _NOTHING  # whole, published frames
        self._fresh = (0, b"")  # offset and bytes behind them

    def window(self, offset: int) -> tuple[memoryview | bytes, int]:
        """Bytes that hold the whole frame at `offset`, and the offset at which they begin.

        Raises:
            StorageFailed: The system refused.
        """
        mapped = self._mapped
        if offset < len(mapped):
            return mapped, 0
        base, data = self._fresh
        if base <= offset < base + len(data):
            return data, base
        base, end = len(mapped), self.end
        with layout.asking("read", self.path):
            if end - base > FRESH_BYTES_MAX:
                mapped = self._mapped = self._open().view()[:end]
                return mapped, 0
            data = layout.read_all(self._open(), base, end - base)
        self._fresh = base, data
        return data, base

    def whole(self) -> memoryview:
        """The file as it is now, mapped.

        Raises:
            StorageFailed: The system refused.
        """
        with layout.asking("read", self.path):
            return self._open().view()

    def _open(self) -> ReadFile:
        """The file; the one that was opened longest ago is let go of if there are too many."""
        file = self._file
        if file is None:
            file = self._file = self._directory.open(self.name)
            self.in_use.append(self)
            while len(self.in_use) > FILES_MAX:
                self.in_use.popleft().close()
        return file

    def body(self, offset: int) -> bytes:
        """The body of the frame at `offset`, its CRC checked.

        Raises:
            CorruptStore: There is no such frame, though one was committed there.
            StorageFailed: The system refused.
        """
        data, base = self.window(offset)
        found = frame.body_at(data, offset - base, len(data), offset, self.seed)
        if isinstance(found, Why):
            raise self.missing(offset, found)
        return found

    def missing(self, offset: int, why: Why) -> CorruptStore:
        """That a frame which was committed is not there, as the exception that callers see."""
        return CorruptStore(self.path, offset, Damage.CRC, f"no frame, but {why.value}")

    def corrupt(self, offset: int, fault: Fault) -> CorruptStore:
        """What is wrong at an offset, as the exception that callers see."""
        return CorruptStore(self.path, offset, fault.reason, fault.detail)

    def close(self) -> None:
        """Let go of the file. Who is reading it at this moment still can. Twice is harmless."""
        self._file, self._mapped, self._fresh = None, _NOTHING, (0, b"")


class Segments:
    """The files of one log, oldest first."""

    def __init__(self) -> None:
        self._files: list[Segment] = []
        self._first: list[int] = []
        self._in_use: deque[Segment] = deque()

    def add(self, segment: Segment) -> None:
        """Take in the file that comes next. Those already there serve reads meanwhile."""
        segment.in_use = self._in_use
        self._files.append(segment)
        self._first.append(segment.header.first_sequence)

    def renew_newest(self, directory: Directory, end: int) -> None:
        """Open the newest file anew: another inode has its name, or it was cut to `end`."""
        old = self._files.pop()
        self._first.pop()
        old.close()
        self.add(Segment(directory, old.header, old.start, end))

    def __len__(self) -> int:
        return len(self._files)

    @property
    def newest(self) -> Segment:
        """The file that grows."""
        return self._files[-1]

    def of(self, sequence: int) -> Segment:
        """The file that holds an event."""
        return self._files[bisect_right(self._first, sequence) - 1]

    def span(self, sequence: int) -> tuple[Segment, int, int]:
        """The file that holds an event, its first sequence, and the one after its last.

        The newest file has no last: its end is beyond every sequence.
        """
        index = bisect_right(self._first, sequence)
        first = self._first
        stop = first[index] if index < len(first) else 1 << 63
        return self._files[index - 1], first[index - 1], stop

    def frame(self, sequence: int, offset: int) -> Frame:
        """The frame of one event, whole and checked.

        Raises:
            CorruptStore: What is there is not that event.
            StorageFailed: The system refused.
        """
        segment = self.of(sequence)
        found = frame.decode(segment.body(offset))
        if isinstance(found, Fault):
            raise segment.corrupt(offset, found)
        if found.sequence != sequence:
            detail = f"event {found.sequence} where {sequence} was written"
            raise segment.corrupt(offset, Fault(Damage.ORDER, detail))
        return found

    def close(self) -> None:
        """Give all files back."""
        for segment in self._files:
            segment.close()
