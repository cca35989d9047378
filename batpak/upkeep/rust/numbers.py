"""Numbers: the global sequence of every event of a store of the Rust original.

No frame has it. An index file that fits the frames knows the numbers up to a place, and those
behind it count on. Else the footers know those of their own files, and others count on from the one
before. Else the events are counted as they stand. An index is only a map from ids to numbers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, pairwise

from msgspec import Struct

from batpak.errors import CorruptStore
from batpak.faults import Damage
from batpak.journal.v1.index import Index
from batpak.journal.v1.ranges import Hidden
from batpak.journal.v1.row import Numbered, NumberedRows
from batpak.upkeep.rust.scan import Scan

FRAMES = "frames"
FOOTERS = "footers"


class Numbers(Struct, frozen=True):
    """Of each row its number, and the rows in the order of their numbers."""

    of: array[int]
    order: Sequence[int]
    source: str  # where they are from: the name of an index, `footers` or `frames`


def assign(scan: Scan, indexes: Sequence[tuple[str, Index]], hidden: Hidden) -> Numbers:
    """Number every event.

    Raises:
        CorruptStore: Some numbers are hidden, and nothing says surely which events those are.
    """
    for name, index in indexes:
        found = _by_index(scan, index)
        if found is not None:
            return _ordered(found, name)
    if any(file.footer is not None for file in scan.files):
        found = _by_footers(scan)
        if found is not None:
            return _ordered(found, FOOTERS)
        if hidden:
            path, detail = scan.files[0].path, "the footers contradict the frames"
            raise CorruptStore(path, 0, Damage.ORDER, f"{detail}, and some events are hidden")
    return Numbers(array("Q", range(len(scan))), range(len(scan)), FRAMES)


def _ordered(numbers: array[int], source: str) -> Numbers:
    order: Sequence[int] = range(len(numbers))
    if any(one > after for one, after in pairwise(numbers)):
        order = sorted(order, key=numbers.__getitem__)
    return Numbers(numbers, order, source)


def _by_index(scan: Scan, index: Index) -> array[int] | None:
    """All numbers, if an index has a row for each event up to its place, and no other."""
    covered = {file.number: len(file.data) for file in scan.files}
    if covered.get(index.segment, -1) < index.offset:
        return None
    taken = _Rows([index.rows])
    numbers = array("Q")
    after = index.next_sequence
    for row in range(len(scan)):
        file, offset = scan.place_of(row)
        if (file.number, offset) < (index.segment, index.offset):
            number = taken.take(scan.id_of(row))
            if number is None or number >= index.next_sequence:
                return None
        else:
            number, after = after, after + 1
        numbers.append(number)
    return numbers if taken.all_taken and len(set(numbers)) == len(numbers) else None


def _by_footers(scan: Scan) -> array[int] | None:
    """All numbers, if the footers have a row for each event of their files, and no other."""
    taken = _Rows([file.footer.rows for file in scan.files if file.footer is not None])
    numbers = array("Q")
    after = 0
    for row in range(len(scan)):
        number = taken.take(scan.id_of(row))
        if number is None:
            if scan.place_of(row)[0].footer is not None:
                return None
            number = after
        if number >= after:
            after = number + 1
        numbers.append(number)
    return numbers if taken.all_taken and len(set(numbers)) == len(numbers) else None


class _Rows:
    """Rows to be taken by id. They come in the order of the frames, but for a few."""

    def __init__(self, parts: Sequence[NumberedRows]) -> None:
        self._parts = [part for part in parts if len(part)]
        self._ends = list(accumulate(map(len, self._parts)))
        self._in_order: Iterator[Numbered] = chain.from_iterable(self._parts)  # as far as they are
        self._next, self._taken = 0, bytearray(self._ends[-1] if self._ends else 0)
        self._left = len(self._taken)
        self._by_id: dict[bytes, list[int]] | None = None

    @property
    def all_taken(self) -> bool:
        """Whether no row is left over."""
        return not self._left

    def take(self, event_id: bytes) -> int | None:
        """The number of the next event with an id; None: no row has it, or no more."""
        if not self._left:
            return None
        due = next(self._in_order, None)
        if due is not None and due.event_id == event_id:
            self._next += 1
            self._left -= 1
            return due.sequence
        if due is not None:
            self._in_order = iter(())
            self._taken[: self._next] = bytes([1]) * self._next
        at = self._next
        while at < len(self._taken) and self._taken[at]:
            at += 1
        self._next = at
        found = self._row(at) if at < len(self._taken) else None
        if found is None or found.event_id != event_id:
            at = self._search(event_id)
            if at < 0:
                return None
            found = self._row(at)
        self._taken[at] = 1
        self._left -= 1
        return found.sequence

    def _row(self, at: int) -> Numbered:
        part = bisect_right(self._ends, at)
        return self._parts[part][at - (self._ends[part - 1] if part else 0)]

    def _search(self, event_id: bytes) -> int:
        if self._by_id is None:
            self._by_id = defaultdict(list)
            for at in range(len(self._taken)):
                self._by_id[self._row(at).event_id].append(at)
        places = self._by_id.get(event_id, ())
        return next((at for at in places if not self._taken[at]), -1)
