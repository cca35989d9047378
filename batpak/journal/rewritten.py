"""Rewritten: a segment that is written in one piece, in the place of others.

It is written under a temporary name, a bounded number of bytes at a time, and read back before it
gets the name of the first of those. Its header says where it ends, so that is worked out before.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress

from batpak.digest import crc32
from batpak.disk.seam import Directory, Mapped
from batpak.disk.whole import write_all
from batpak.journal import header, layout
from batpak.journal.frame import PREFIX_BYTES, pack_place, pack_prefix, seed
from batpak.journal.header import Ending, Header, Link
from batpak.journal.segment import BLOCK


def header_of(
    first: Header,
    *,
    replaces: list[Link],
    frames: int,
    next_sequence: int,
    epoch: int,
    created_ns: int,
    salt: bytes,
) -> bytes:
    """The header of a file that stands for others.

    Args:
        first: The header of the first of them.
        replaces: How each of them ended.
        frames: Bytes of all its frames.
        next_sequence: Behind its last event.
        epoch: How often events were removed.
        created_ns: By the wall clock.
        salt: Unpredictable.
    """
    start = 0
    while True:  # the longer the numbers, the longer the header that has them
        sealed = Ending(start + frames, next_sequence, replaces[-1].chain_head)
        data = header.encode(
            store_id=first.store_id,
            segment_id=first.segment_id,
            created_ns=created_ns,
            first_sequence=first.first_sequence,
            salt=salt,
            prev=first.prev,
            replaces=replaces,
            sealed=sealed,
            epoch=epoch,
            origin=first.origin,
        )
        if len(data) <= start:
            return data
        start = len(data)


class Rewritten:
    """One such file, while it is being written.

    Args:
        directory: Where it is.
        data: Its header.

    Raises:
        OSError: The system refused.
    """

    def __init__(self, directory: Directory, data: bytes) -> None:
        self.header, self.start = header.decode(data, "a new file")
        self.name = layout.segment_name(self.header.segment_id)
        self.seed = seed(self.header)
        self.end = self.start  # of the frames that were added
        self.block_crcs = array("I")
        self._directory, self._temporary = directory, self.name + layout.TEMPORARY
        with suppress(FileNotFoundError):  # ours, from an interrupted replacement
            directory.unlink(self._temporary)
        self._file = directory.create(self._temporary)
        self._waiting, self._written = [data], 0
        self._crc = self._filled = 0  # of the block that is not full

    def add(self, records: Sequence[bytes]) -> None:
        """Write frames behind those that are there.

        Raises:
            OSError: The system refused.
        """
        waiting, start, at = self._waiting, self.seed, self.end
        for record in records:
            length = len(record)
            crc = crc32(record, crc32(pack_place(at, length), start))
            waiting += (pack_prefix(length, crc), record)
            at += length + PREFIX_BYTES
        self.end = at
        if at - self._written >= layout.COPY_BYTES:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._waiting)
        write_all(self._file, self._written, data)
        self._waiting, self._written = [], self._written + len(data)
        view, at = memoryview(data), 0
        while at < len(view):
            stop = min(at + BLOCK - self._filled, len(view))
            self._crc = crc32(view[at:stop], self._crc)
            self._filled += stop - at
            if self._filled == BLOCK:
                self.block_crcs.append(self._crc)
                self._crc = self._filled = 0
            at = stop

    def end_frames(self) -> None:
        """Write what waits; nothing is added any more.

        Raises:
            OSError: The system refused.
        """
        self._flush()
        if self._filled:
            self.block_crcs.append(self._crc)
            self._crc = self._filled = 0

    def finish(self, pieces: Iterable[bytes]) -> None:
        """Write what stands behind the frames, and make all of it durable.

        Raises:
            OSError: The system refused.
        """
        layout.write_pieces(self._file, self.end, pieces)
        self._file.sync(data_only=False)
        self._file.close()

    def read_back(self) -> Mapped:
        """The file as the disk has it.

        Raises:
            OSError: The system refused.
        """
        file = self._directory.open(self._temporary)
        try:
            return file.map()
        finally:
            file.close()

    def publish(self) -> None:
        """Give it its name, over the file that has it: the one step that decides.

        Raises:
            OSError: The system refused.
        """
        self._directory.replace(self._temporary, self.name)

    def is_published(self) -> bool:
        """Whether it has its name. For who was interrupted while giving it.

        Raises:
            StorageFailed: The system refused.
        """
        with layout.asking("read", layout.path_of(self._directory, self.name)):
            file = self._directory.open(self.name)
            try:
                return self.header.salt in file.pread(0, min(header.SALT_WITHIN, self.start))
            finally:
                file.close()

    def abandon(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._directory.unlink(self._temporary)
