"""The index of the whole log: sealed parts, oldest first, then the one that grows.

One thread writes, under the lane; any number read without a lock. What a question sees is the parts
and the bound of the moment in which it is asked: parts only grow, and rows at or above the bound do
not exist for readers.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from batpak import codec
from batpak.digest import ZERO_HASH
from batpak.errors import CorruptStore
from batpak.event import framed_name
from batpak.index import sidx
from batpak.index.row import NO_ROW, EntityHead, Frames, Part
from batpak.index.tail import Tail


class Span(NamedTuple):
    """Some rows of one part."""

    part: Part
    start: int
    stop: int


class Table:
    """All parts of one log.

    Args:
        frames: What confirms a hit.
        parts: The sealed ones, oldest first.
        tail: The one that grows.
    """

    def __init__(self, frames: Frames, parts: list[Part], tail: Tail) -> None:
        self.frames: Final = frames
        self.tail = tail
        self.bound = 0
        self.epoch = 0
        """How often events were dropped or erased. Of parts that are asked later, or before."""
        self._parts: list[Part] = [*parts, tail]  # grown and exchanged in place, by two threads
        self._heads: dict[str, EntityHead] = {}  # of the file before the newest

    @property
    def parts(self) -> tuple[Part, ...]:
        """All of them as they are now, oldest first."""
        return tuple(self._parts)

    # ----------------------------------------------------------------- by the holder of the lane

    def rotate(self, tail: Tail) -> None:
        """Go on in a new segment. The old tail stays, to be read, until it is sealed.

        Twice is harmless.
        """
        old = self.tail
        old.freeze()
        self._heads = old.heads
        if self._parts[-1] is not tail:
            self._parts.append(tail)
        self.tail = tail

    def sealed(self, part: Part) -> None:
        """Put the sealed index of a segment in the place of the one in memory.

        The sealer calls it, perhaps while the holder of the lane rotates: so each of the two is one
        step, and neither can undo the other.
        """
        while True:
            parts = self._parts
            for at in range(len(parts) - 1, -1, -1):
                if parts[at].segment_id == part.segment_id:
                    parts[at] = part
                    break
            if self._parts is parts:
                return

    def merged(self, sources: Sequence[Part], part: Part, epoch: int) -> None:
        """Put one part in the place of several that follow each other. Twice is harmless.

        Who asks meanwhile sees the ones or the other: the list is replaced as a whole. What the
        sealer has exchanged in the old one while the new one was made is exchanged in that as well.
        """
        parts = self._parts
        known = parts.copy()
        if part not in known:
            at = known.index(sources[0])
            stop = at + len(sources)
            fresh = [*known[:at], part, *known[stop:]]
            self._parts = fresh
            for index in range(stop, len(known)):
                if parts[index] is not known[index]:
                    fresh[index - stop + at + 1] = parts[index]
        self.epoch = max(self.epoch, epoch)  # last: who has read it sees the new part

    def adopt(self, parts: list[Part], tail: Tail) -> None:
        """Have other parts, the last of which is `tail`: whoever only looks has looked again."""
        self._heads = {}
        self._parts, self.tail = parts, tail

    def head(self, entity: str) -> EntityHead:
        """Where an entity stands, as its next event has to continue it."""
        head = self.tail.heads.get(entity)
        if head is not None:
            return head
        older = self._heads.get(entity)
        if older is not None:
            return EntityHead(
                older.version, older.event_hash, -1, NO_ROW, older.stored, older.hashed
            )
        version, event_hash = 0, ZERO_HASH
        found = self._newest_of(entity, self._parts[:-1])
        if found is not None:
            version, event_hash = found
        return EntityHead(
            version, event_hash, -1, NO_ROW, codec.encode(entity), framed_name(entity.encode())
        )

    def _newest_of(
        self, entity: str, parts: Sequence[Part], bound: int = sys.maxsize
    ) -> tuple[int, bytes] | None:
        for part in reversed(parts):
            row = _last_of(part, entity, bound)
            if row is None:
                continue
            try:
                return self._head_at(part, row, entity)
            except (CorruptStore, IndexError):
                if not part.distrust():
                    raise
            row = _last_of(part, entity, bound)
            if row is not None:
                return self._head_at(part, row, entity)
        return None

    def _head_at(self, part: Part, row: int, entity: str) -> tuple[int, bytes]:
        return self.frames.head(part.segment_id, part.offsets[row], part.first + row, entity)

    # -------------------------------------------------------------------------------- by anybody

    def version(self, entity: str) -> int:
        """How many visible events an entity has."""
        bound, parts = self.bound, self._parts
        count = len(parts)  # a rotation may put another one behind them, in the same list
        tail = parts[count - 1]
        if isinstance(tail, Tail):
            head = tail.heads.get(entity)
            if head is not None and tail.first < bound:
                version, row = head.version, head.row
                if tail.first + row >= bound:
                    tail.catch_up()
                    while row != NO_ROW and tail.first + row >= bound:
                        row, version = tail.previous[row], version - 1
                return version
            count -= 1
        found = self._newest_of(entity, parts[:count], bound)
        return 0 if found is None else found[0]

    def version_of(self, part: Part, row: int) -> int:
        """The version that the event of a row has in its entity."""
        sequence = part.first + row
        try:
            return self.frames.version(part.segment_id, part.offsets[row], sequence)
        except (CorruptStore, IndexError):
            if not part.distrust():
                raise
            return self.frames.version(part.segment_id, part.offsets[row], sequence)

    def locate(self, sequence: int) -> tuple[Part, int]:
        """The part that has a sequence, and its row there."""
        parts = self._parts
        part = parts[-1]
        if sequence < part.first:
            part = parts[bisect_right(parts, sequence, key=_first) - 1]
        elif isinstance(part, Tail):
            part.ready()
        return part, sequence - part.first

    def with_id(self, id_hi: int) -> tuple[Part, int] | None:
        """The part and the row of the visible event whose id begins with these eight bytes."""
        bound, parts = self.bound, self._parts
        part = parts[-1]
        if id_hi < part.first_id:
            at = bisect_right(parts, id_hi, key=_first_id) - 1  # one part can have it
            if at < 0:
                return None
            part = parts[at]
        row = part.with_id(id_hi)
        return None if row is None or part.first + row >= bound else (part, row)

    def with_key(self, key: bytes) -> int | None:
        """The sequence of the event that has an idempotency key."""
        for part in reversed(self._parts):
            try:
                row = self._row_with(part, key)
            except (CorruptStore, IndexError):
                if not part.distrust():
                    raise
                row = self._row_with(part, key)
            if row is not None:
                return part.first + row
        return None

    def may_know(self, keys: Sequence[bytes]) -> bool:
        """Whether some of these idempotency keys may be there; if not, `with_key` has none."""
        if not self.tail.keys.keys().isdisjoint(keys):
            return True
        older = self._parts[:-1]
        if not older:
            return False
        hashes = sorted(map(sidx.hash_of, keys))
        try:
            return any(part.may_have(keys, hashes) for part in older)
        except (CorruptStore, IndexError):
            return True

    def _row_with(self, part: Part, key: bytes) -> int | None:
        """The row of one part that has an idempotency key; its frame says so."""
        rows = part.with_key(key)
        if isinstance(part, Tail):
            return rows[0] if rows else None
        offsets, number = part.offsets, part.segment_id
        for row in rows:
            if self.frames.key(number, offsets[row], offsets[row + 1]) == key:
                return row
        return None

    def spans(self, start: int, stop: int, *, reverse: bool = False) -> Iterator[Span]:
        """The rows of a range of sequences, part by part. What is asked is what is there now."""
        return iter(self._spans(start, min(stop, self.bound), reverse=reverse))

    def _spans(self, start: int, stop: int, *, reverse: bool) -> list[Span]:
        found: list[Span] = []
        for part in self._parts:
            low, high = max(start - part.first, 0), min(stop - part.first, len(part))
            if low < high:
                if isinstance(part, Tail):
                    part.ready()
                found.append(Span(part, low, high))
        return found[::-1] if reverse else found


def _last_of(part: Part, entity: str, bound: int) -> int | None:
    """The newest row of an entity below a bound. Who looks again has parts that go further."""
    row = part.last_of(entity)
    if row is None or part.first + row < bound:
        return row
    rows = part.of_entity(entity)
    below = bisect_left(rows, bound - part.first)
    return rows[below - 1] if below else None


def _first(part: Part) -> int:
    return part.first


def _first_id(part: Part) -> int:
    return part.first_id
