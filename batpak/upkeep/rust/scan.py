"""Scan: every frame of a store of the Rust original, once, in the order of the files.

Checksums are checked, marks are paired, and what is not whole is left out and told: the end of a
file that was being written, and batches that were not completed. All else that is wrong is damage.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from batpak.errors import CorruptStore
from batpak.faults import Damage
from batpak.ids import ID_BYTES
from batpak.journal.frame import Fault
from batpak.journal.v1 import frame
from batpak.journal.v1.frame import BATCH_MAX, BEGIN, COMMIT, PREFIX_BYTES
from batpak.upkeep.rust.files import File

OPENED: Final = 0x0008  # the first event of a run of the writer
SEARCH_TIMES: Final = 4  # so many times its own size is looked at behind a torn end, at most

_MAYBE: Final = re.compile(rb"[\x83-\x8f](?:\xa5event|\xa6entity|\xa5scope)|\x93[\x83-\x8f\x93]")


class LeftOut(Struct, frozen=True):
    """What is in the files and is no event of the store."""

    file: str
    offset: int
    events: int  # whole ones
    reason: str


class Scan:
    """The events of all files, as columns: the file of each, its offset, its id, its batch."""

    def __init__(self) -> None:
        self.files: list[File] = []
        self.file = array("I")
        self.offset = array("Q")
        self.kind = array("H")
        self.batch = array("Q")  # 0: none; else the same for those of one
        self.ids = bytearray()
        self.left_out: list[LeftOut] = []
        self._open: _Batch | None = None
        self._batches = 0

    def __len__(self) -> int:
        return len(self.offset)

    def id_of(self, row: int) -> bytes:
        """The id of the event of a row."""
        return bytes(self.ids[row * ID_BYTES : (row + 1) * ID_BYTES])

    def place_of(self, row: int) -> tuple[File, int]:
        """Where the frame of a row is."""
        return self.files[self.file[row]], self.offset[row]

    def add(self, file: File) -> None:
        """Go through one more file.

        Raises:
            CorruptStore: It is damaged.
        """
        self.files.append(file)
        number, data, is_first = len(self.files) - 1, file.data, True
        at, end = file.start, file.end
        while at < end:
            body = frame.body_at(data, at, end)
            if not isinstance(body, bytes):
                self._torn(file, at, body)
                break
            found = frame.glance(body)
            if isinstance(found, Fault):
                raise CorruptStore(file.path, at, found.reason, found.detail)
            if is_first and found.kind == OPENED:
                self._drop("it was not completed when the writer stopped")
            is_first = False
            if found.kind == BEGIN:
                self._begin(file, at, found)
            elif found.kind == COMMIT:
                self._commit(file, at, found)
            elif self._open is not None:
                self._open.items.append((number, at, found.kind, found.event_id))
            else:
                self._keep(number, at, found.kind, found.event_id, 0)
            at += PREFIX_BYTES + len(body)
        if file.footer is None:  # it was not rotated, so what follows is of another run
            self._drop("it was not completed when the writer stopped")

    def end(self) -> None:
        """There are no more files."""
        self._drop("it was not completed when the writer stopped")

    def _keep(self, number: int, at: int, kind: int, event_id: bytes, batch: int) -> None:
        self.file.append(number)
        self.offset.append(at)
        self.kind.append(kind)
        self.batch.append(batch)
        self.ids += event_id

    def _begin(self, file: File, at: int, found: frame.Glance) -> None:
        self._drop("another batch begins inside it")
        if not 0 < found.count <= BATCH_MAX:
            detail = f"a batch of {found.count:,} events"
            raise CorruptStore(file.path, at, Damage.BATCH, detail)
        self._open = _Batch(found.event_id, found.count, file.path, at, [])

    def _commit(self, file: File, at: int, found: frame.Glance) -> None:
        batch = self._open
        if batch is None:
            reason = "a batch ends here that has not begun"
            self.left_out.append(LeftOut(file.path, at, 0, reason))
        elif batch.event_id != found.event_id:
            self._drop("another batch ends inside it")
        elif batch.count != len(batch.items):
            self._drop(f"it was to have {batch.count:,} events")
        else:
            self._batches += 1
            for number, offset, kind, event_id in batch.items:
                self._keep(number, offset, kind, event_id, self._batches)
            self._open = None

    def _drop(self, why: str) -> None:
        batch, self._open = self._open, None
        if batch is not None:
            reason = f"a batch is left out: {why}"
            self.left_out.append(LeftOut(batch.file, batch.offset, len(batch.items), reason))

    def _torn(self, file: File, at: int, why: Fault | None) -> None:
        """An end that was being written; anything else is damage.

        Raises:
            CorruptStore: There are frames behind it, or behind the last there should be a footer.
        """
        detail = "a frame is cut" if why is None else why.detail
        reason = Damage.FRAME if why is None else why.reason
        is_end = file.footer is None and reason is not Damage.SEGMENT
        if not is_end or any(True for _ in later_frames(file, at)):
            raise CorruptStore(file.path, at, reason, detail)
        rest = bytes(file.data[at:])
        how = "zeros" if not rest.strip(b"\0") else "an unfinished frame"
        reason_told = f"{len(rest):,} bytes at the end are left out: {how}"
        self.left_out.append(LeftOut(file.path, at, 0, reason_told))


class _Batch(Struct):
    """A batch whose end has not come."""

    event_id: bytes
    count: int
    file: str
    offset: int
    items: list[tuple[int, int, int, bytes]]


def later_frames(file: File, at: int) -> Iterator[int]:
    """Offsets behind one at which there is a whole frame.

    Raises:
        CorruptStore: There are too many places to look at, so this is no end that a crash has left.
    """
    data, end = file.data, file.end
    rest = bytes(data[at + 1 : end])
    allowed = SEARCH_TIMES * max(len(rest), 1 << 16)
    for match in _MAYBE.finditer(rest):
        start = at + 1 + match.start() - PREFIX_BYTES
        if start <= at:
            continue
        size = int.from_bytes(data[start : start + 4], "big")
        if not 0 < size <= end - start - PREFIX_BYTES:
            continue
        allowed -= size
        if allowed < 0:
            detail = "what is behind the last whole frame is no end that a crash has left"
            raise CorruptStore(file.path, at, Damage.FRAME, detail)
        if isinstance(frame.body_at(data, start, end), bytes):
            yield start
