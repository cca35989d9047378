"""The newest file, for writing: room is found first, then whole frames, then a sync."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from batpak.config import Durability, StoreConfig, SyncMode
from batpak.disk.seam import Directory
from batpak.disk.whole import write_all
from batpak.journal import layout
from batpak.journal.segment import Segment

# Bytes reserved ahead: the first step, and the largest; each is twice the one before.
STEPS: Final = 1 << 20, 16 << 20
STEPS_FILLED: Final = 64 << 10, 1 << 20
_ZEROS: Final = bytes(64 << 10)


class ActiveFile:
    """The file that grows. Its segment reads through the same map.

    Args:
        directory: Where it is.
        segment: The same file, for reading.
        config: Of the handle: what a sync may leave out, and whether every append is synced. Then
            room is written to before it is used, so that a sync finds every block in its place, and
            has only data to write.

    `reserved` says up to where there is room. Where room cannot be promised it says so all the
    same, and a write may be refused.

    Raises:
        StorageFailed: The system refused.
    """

    def __init__(self, directory: Directory, segment: Segment, config: StoreConfig) -> None:
        self._segment, self._data_only = segment, config.sync_mode is SyncMode.DATA
        self._fill = config.durability is Durability.COMMIT
        self._step, self._step_max = STEPS_FILLED if self._fill else STEPS
        self.reserved = 0
        with layout.asking("open", segment.path):
            self._file = directory.append(segment.name)

    def reserve_for(self, end: int) -> None:
        """Make sure that there is room up to `end`, and some more.

        Raises:
            StorageFailed: There is not, or the system refused. Nothing changed.
        """
        if end <= self.reserved:
            return
        size = -(-end // self._step) * self._step
        with layout.asking("reserve", self._segment.path):
            try:
                mapped = self._file.reserve(size)
            except OSError:  # no room for a whole step; perhaps for what is needed
                size = end
                mapped = self._file.reserve(size)
            if self._fill and mapped is not None:
                for at in range(end, size, len(_ZEROS)):
                    write_all(self._file, at, _ZEROS[: size - at])
        self.reserved = size
        self._step = min(self._step * 2, self._step_max)
        if mapped is not None:
            self._segment.show(mapped)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: The system refused; some of it may have been written.
        """
        if self._file.write(offset, data) != len(data):
            write_all(self._file, offset, data)

    def sync(self) -> None:
        """Return once everything written is durable.

        Raises:
            OSError: The system refused; what is durable is not known.
        """
        self._file.sync(data_only=self._data_only)

    def cut(self, end: int) -> None:
        """Make the file end there, durably.

        Raises:
            OSError: The system refused, or the file did not take that size.
        """
        self.reserved = 0
        self._file.truncate(end)
        self._file.sync(data_only=False)
        if self._file.size() != end:
            raise OSError(None, "the file did not take its old size")

    def undo(self, offset: int, size: int) -> None:
        """Take a refused write back: erase what it may have left, then cut the file there.

        Each is durable before the next. Without the first, a later crash could give the blocks of
        the part that was cut off back to a hole in the file, with a frame in them that fits there.

        Raises:
            OSError: The system refused.
        """
        left = min(self._file.size() - offset, size)
        if left > 0:
            with suppress(OSError):  # no room even for that, on a disk that copies on write
                write_all(self._file, offset, bytes(left))
            self._file.sync(data_only=False)
        self.cut(offset)

    def size(self) -> int:
        """The size of the file in bytes, with what is reserved.

        Raises:
            OSError: The system refused.
        """
        return self._file.size()

    def finish(self, end: int, pieces: Iterable[bytes]) -> None:
        """Cut the file to its end and write what stands behind it; not durable.

        Raises:
            OSError: The system refused. What lies before `end` is as it was.
        """
        self.reserved = 0
        self._file.truncate(end)
        layout.write_pieces(self._file, end, pieces)

    def close(self) -> None:
        """Give the descriptor back. Twice is harmless."""
        with suppress(OSError):
            self._file.close()
