"""Segments for reading: one file each, mapped, and all of them as one log by sequence.

Every read of a frame checks its CRC, which binds it to this store, this file and this place.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from msgspec import Struct

from batpak.disk import Directory
from batpak.errors import CorruptStore, Damage
from batpak.journal import frame, layout
from batpak.journal.frame import Fault, Frame, Why
from batpak.journal.header import Header

FRESH_BYTES_MAX: Final = 16 << 10  # read anew rather than mapped anew, at the growing end


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

    Args:
        directory: Where it is.
        header: As read from it.
        start: Of the first frame, in bytes.
        end: Of the last published frame, in bytes.

    Raises:
        StorageFailed: The system refused to open it.
    """

    def __init__(self, directory: Directory, header: Header, start: int, end: int) -> None:
        self.header, self.start, self.end = header, start, end
        self.name = layout.segment_name(header.segment_id)
        self.path = layout.path_of(directory, self.name)
        self.seed = frame.seed(header)
        with layout.asking("open", self.path):
            self._file = directory.open(self.name)
        self._view = memoryview(b"")
        self._mapped = 0  # bytes of the view that are whole, published frames
        self._fresh = (0, b"")  # offset and bytes behind them

    def window(self, offset: int) -> tuple[memoryview | bytes, int]:
        """Bytes that hold the whole frame at `offset`, and the offset at which they begin.

        Raises:
            StorageFailed: The system refused.
        """
        if offset < self._mapped:
            return self._view, 0
        base, data = self._fresh
        if base <= offset < base + len(data):
            return data, base
        end = self.end
        with layout.asking("read", self.path):
            if end - self._mapped > FRESH_BYTES_MAX:
                self._view = self._file.view()
                self._mapped = min(end, len(self._view))
                return self._view, 0
            base = self._mapped
            data = layout.read_all(self._file, base, end - base)
        self._fresh = base, data
        return data, base

    def whole(self) -> memoryview:
        """The file as it is now, mapped.

        Raises:
            StorageFailed: The system refused.
        """
        with layout.asking("read", self.path):
            return self._file.view()

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
        """Give the file back. What is mapped stays readable. Twice is harmless."""
        self._file.close()


class Segments:
    """The files of one log, oldest first."""

    def __init__(self) -> None:
        self._files: list[Segment] = []
        self._first: list[int] = []

    def add(self, segment: Segment) -> None:
        """Take in the file that comes next. Those already there serve reads meanwhile."""
        self._files.append(segment)
        self._first.append(segment.header.first_sequence)

    def renew_newest(self, directory: Directory, end: int) -> None:
        """Open the newest file anew: another inode has its name, or it was cut to `end`."""
        old = self._files[-1]
        self._files[-1] = Segment(directory, old.header, old.start, end)
        old.close()

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
