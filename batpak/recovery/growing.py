"""The newest file of a log that somebody else writes, as far as it was read.

It is read by position, never mapped: its writer may cut it. What was read is kept in memory,
checked, so a reader never meets a byte that was not. It is opened by its name each time, for a
recovery puts a copy in its place. A length of zero, a checksum that does not match and a batch
that is not complete mean "not yet", unless what lies behind says that this was durable.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, TypeAlias, TypeVar

from batpak.digest import HASH_BYTES, crc32
from batpak.disk.posix import blank_map
from batpak.disk.seam import Directory, ReadFile
from batpak.disk.whole import read_all
from batpak.errors import StorageFailed
from batpak.index.tail import Tail
from batpak.journal import header, layout, scan
from batpak.journal.chain import Chain, link_fault
from batpak.journal.frame import PREFIX_BYTES, Fault, Why
from batpak.journal.header import Ends
from batpak.journal.scan import RestKind, Scan, Stop, Unit
from batpak.journal.segment import GONE, Segment
from batpak.kind import COMPACTED
from batpak.record import EVENT_HASH_AT, STAMP_AT
from batpak.recovery import decide, footer
from batpak.recovery.decide import Facts, Recorded, Refuse
from batpak.recovery.ends import refusal
from batpak.recovery.footer import NewLock

T = TypeVar("T")

Shown: TypeAlias = tuple[int, bytes]  # how many events, and the hash of the last

FIRST_BYTES: Final = 4 << 10  # read behind what is known: mostly there is nothing
STEP_BYTES: Final = 1 << 20
SEARCHED_BYTES: Final = 20 << 20  # behind a place that is not understood; a frame is not longer

_MORE: Final = frozenset({Why.END, Why.SHORT_HEADER, Why.SHORT_BODY, Why.OPEN_UNIT})
"""What a scan ends with that has not seen enough of the file."""


class Moved(Exception):
    """A file is not what it was a moment ago: all of them have to be looked at again."""


class Growing:
    """The newest file, as far as it was read.

    Args:
        directory: Where it is.
        ends: What was read of it first.
        lock: Makes a lock.
        segment_id: Under which the handle knows it.

    Raises:
        Moved: It is another file by now.
        StorageFailed: The system refused.
    """

    def __init__(self, directory: Directory, ends: Ends, lock: NewLock, segment_id: int) -> None:
        self.header, self.unit = ends.header, ends.start
        self.announced: list[bytes] = []
        """Payloads of records that say what compaction removes, as they come."""
        self._directory = directory
        self.segment = Segment(
            directory, ends.header, ends.start, ends.start, trusted=True, segment_id=segment_id
        )
        self.tail = Tail(segment_id, ends.header.first_sequence, ends.start, lock)
        self.tail.holds = self.segment
        self._chain = Chain(
            ends.header.store_id,
            hashed=True,
            sequence=ends.header.first_sequence,
            chain_head=decide.before_any(ends.header),
        )
        self._image = blank_map(STEP_BYTES)
        self._behind = 0, 0  # the place that was searched behind last, and a checksum of it
        self._stop = Stop(ends.start, Why.END)
        whole = self._asked(lambda file: read_all(file, 0, ends.start))
        if header.decode(whole, self.segment.path)[0] != ends.header:
            raise Moved
        self._put(0, whole)
        self._known = 0, whole  # what has to be there still, and where

    @property
    def due(self) -> Shown:
        """The sequence due next, and the event hash in front of it."""
        return self._chain.sequence, self._chain.chain_head

    @property
    def durable(self) -> int:
        """How many events were durable when the last one was written; it says so."""
        return max(self._chain.durable_through, self.header.first_sequence)

    def read(self) -> None:
        """Take in the units that have become whole.

        Raises:
            Moved: It is another file by now, or what was seen of it was taken back.
            CorruptStore: It cannot be what a writer has left there.
            StorageFailed: The system refused.
        """
        self._asked(self._read)

    def finish(self, recorded: Recorded) -> None:
        """Read it to its end, which the next file has recorded. Raises as `read`."""
        self.read()
        facts = Facts(
            file=self.segment.name,
            recorded=recorded,
            unit=self.unit,
            sequence=self._chain.sequence,
            chain_head=self._chain.chain_head,
            stop=self._stop,
            rest=None,
            bound=None,
            bound_holds=True,
        )
        self._require(decide.frames(facts))

    def _asked(self, act: Callable[[ReadFile], T]) -> T:
        with moving(), layout.asking("read", self.segment.path):
            file = self._directory.open(self.segment.name)
            try:
                return act(file)
            finally:
                file.close()

    def _require(self, verdict: decide.Verdict) -> None:
        if isinstance(verdict, Refuse):
            raise refusal(self._directory, verdict)

    def _read(self, file: ReadFile) -> None:
        at, known = self._known
        if read_all(file, at, len(known)) != known:
            raise Moved
        filled, size = self.unit, FIRST_BYTES
        while True:
            got = self._fill(file, filled, size)
            filled += got
            self._scan(filled)
            if got < size or self._stop.why not in _MORE:
                break
            size = max(min(4 * size, STEP_BYTES), filled - self.unit)
        if scan.content_end(self._image, self._stop.offset, filled) > self._stop.offset:
            self._search(file, filled)

    def _fill(self, file: ReadFile, offset: int, count: int) -> int:
        """Read so many bytes behind those that are known; how many there were."""
        data = read_all(file, offset, count)
        self._put(offset, data)
        return len(data)

    def _put(self, offset: int, data: bytes) -> None:
        end, image = offset + len(data), self._image
        if end > len(image):  # readers go on with the one they have
            self._image = blank_map(max(end, 2 * len(image)))
            self._image[:offset] = image[:offset]
        self._image[offset:end] = data
        self.segment.show(self._image)

    def _scan(self, filled: int) -> None:
        """Take in what is whole up to there."""
        chain = copy.copy(self._chain)
        walk = Scan(self._image, self.unit, filled, self.segment.seed, chain)
        for unit in walk:
            self._take(unit)
        self._stop = walk.stop
        if isinstance(walk.stop.why, Fault):
            raise self.segment.corrupt(walk.stop.offset, walk.stop.why)
        last = walk.last
        if last is None:
            return
        if walk.open_unit:
            stamp = last.offset + PREFIX_BYTES + STAMP_AT
            chain.return_to(last, int.from_bytes(self._image[stamp : stamp + 8], "big"))
        self._chain, self.unit = chain, walk.unit
        end = last.offset + PREFIX_BYTES + EVENT_HASH_AT + HASH_BYTES
        self._known = last.offset, self._image[last.offset : end]
        self.segment.end = walk.unit

    def _take(self, unit: Unit) -> None:
        for found in unit:
            due = self.tail.heads.get(found.entity)
            fault = None if due is None else link_fault(found, due.version, due.event_hash)
            if fault is not None:
                raise self.segment.corrupt(found.offset, fault)
            footer.take(self.tail, [found])
            if found.kind == COMPACTED:
                self.announced.append(self._image[found.end - found.size : found.end])

    def _search(self, file: ReadFile, filled: int) -> None:
        """Ask what lies behind a place that is no frame whether it was ever a durable one."""
        stop = self._stop
        behind = stop.offset, crc32(self._image[stop.offset : filled])
        if behind == self._behind:
            return
        end = filled + self._fill(file, filled, SEARCHED_BYTES)
        rest = scan.rest_of(self._image, stop.offset, end, self.segment.seed, self._chain.sequence)
        if rest.kind is RestKind.FRAMES and rest.stamp > self._chain.sequence:
            # They were written after this place was. So it is, by now, if it ever is going to be.
            end = self.unit + self._fill(file, self.unit, end - self.unit)
            self._scan(end)
            if self._stop.offset == stop.offset:
                walk = Scan(self._image, self.unit, self.unit, self.segment.seed, self._chain)
                facts = decide.facts(self.segment.name, walk, self._stop, rest, None, None)
                self._require(decide.frames(facts))
        self._behind = behind


@contextmanager
def moving() -> Generator[None]:
    """Take a file that is not there any more for one that has moved."""
    try:
        yield
    except StorageFailed as error:
        if error.errno in GONE:
            raise Moved from error
        raise
