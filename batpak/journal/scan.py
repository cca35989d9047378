"""Reading a segment from its first frame: whole units, then where it stopped and why.

A unit is what was committed at once: one event, or all items of a batch. A scan emits whole units
only; it judges nothing. Two kinds of stop are kept apart, because a crash makes only the first:

    Why      there is no frame here: the end, zeros, a bad length, a CRC that does not match
    Fault    there is a frame, its CRC is right, and it does not continue what is before it

Reference: docs/reference/file-format.md, "Recovery".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from batpak.digest import crc32
from batpak.disk.seam import Mapped
from batpak.journal import frame
from batpak.journal.chain import Chain, Placed, placed
from batpak.journal.frame import (
    BODY_BYTES_MAX,
    PREFIX_BYTES,
    Fault,
    Frame,
    Why,
    pack_place,
    unpack_prefix,
)
from batpak.record import ENTITY_AT, MARK, SEQUENCE_AT, STAMP_AT

SEARCH_FACTOR: Final = 8  # bytes given to CRC while searching, as a multiple of what is searched
PIECE_BYTES: Final = 4 << 10  # looked at in one piece, so memory does not grow with the file
_ZEROS: Final = bytes(PIECE_BYTES)

_U64: Final = struct.Struct(">Q")

Data: TypeAlias = Mapped | memoryview
Unit: TypeAlias = list[Placed]


class Stop(NamedTuple):
    """Where a scan ended."""

    offset: int  # bytes from the start of the file; the first one not taken in
    why: Why | Fault


class Scan:
    """One walk over the frames of one segment. Iterate once; then read the attributes.

    Args:
        data: The file.
        start: Of the first frame, in bytes.
        end: Where frames end at the latest.
        segment_seed: See `frame.seed`.
        chain: What the first frame has to continue. It is moved along.
        mark: An offset of interest.
    """

    def __init__(
        self,
        data: Data,
        start: int,
        end: int,
        segment_seed: int,
        chain: Chain,
        *,
        mark: int | None = None,
    ) -> None:
        self._data, self._end, self._seed, self._chain = data, end, segment_seed, chain
        self._start, self._sequence, self._chain_head = start, chain.sequence, chain.chain_head
        self.last: Placed | None = None  # of the last whole unit
        self.open_unit: Unit = []  # frames behind it, of a unit that is not complete
        self.stop = Stop(start, Why.END)
        self.mark = mark
        self.passed = (chain.sequence, chain.chain_head) if mark == start else None
        """Sequence due and chain head at the mark, if a unit ends there."""

    @property
    def unit(self) -> int:
        """Where the last whole unit ends."""
        return self._start if self.last is None else self.last.end

    @property
    def sequence(self) -> int:
        """Due there."""
        return self._sequence if self.last is None else self.last.sequence + 1

    @property
    def chain_head(self) -> bytes:
        """The event hash there."""
        return self._chain_head if self.last is None else self.last.event_hash

    def __iter__(self) -> Iterator[Unit]:
        chain, data, end, seed = self._chain, self._data, self._end, self._seed
        follow, mark = chain.follow, self.mark
        unit: Unit = []
        offset = self.unit
        while True:
            begin, read = offset + PREFIX_BYTES, None
            length, crc = unpack_prefix(data, offset) if begin <= end else (0, 0)
            stop = begin + length
            if 0 < length <= BODY_BYTES_MAX and stop <= end:
                body = bytes(data[begin:stop])
                if crc32(body, crc32(pack_place(offset, length), seed)) == crc:
                    read = follow(body, offset, stop) or self._look(body, offset, stop)
            if not isinstance(read, Placed):
                break
            unit.append(read)
            offset = stop
            if not chain.item:
                self.last = read
                if offset == mark:
                    self.passed = self.sequence, self.chain_head
                yield unit
                unit = []
        self.open_unit = unit
        self.stop = Stop(offset, read or self._why(offset, unit))

    def goes_on(self) -> bool:
        """Whether there is a whole frame right behind the end that was given."""
        return isinstance(self._body_at(self._end, len(self._data)), bytes)

    def _look(self, body: bytes, offset: int, end: int) -> Placed | Fault:
        """A frame that is not an ordinary one, if it continues the chain, which it moves then."""
        found = frame.decode(body)
        if not isinstance(found, Frame):
            return found
        fault = self._chain.fault(found)
        if fault is not None:
            return fault
        self._chain.advance(found)
        return placed(found, offset, end)

    def _why(self, offset: int, unit: Unit) -> Why:
        """Why there is no frame at an offset, behind some items of a unit."""
        found = self._body_at(offset, self._end)
        why = found if isinstance(found, Why) else Why.CRC  # it changed while we looked
        return Why.OPEN_UNIT if unit and why is Why.END else why

    def _body_at(self, offset: int, end: int) -> bytes | Why:
        return frame.body_at(self._data, offset, end, offset, self._seed)


class RestKind(Enum):
    """What lies behind the last frame that was understood."""

    EMPTY = "nothing, or zeros"
    JUNK = "bytes, and no frame among them"
    FRAMES = "frames further on"
    UNSEARCHED = "too much that looks like frames"


class Rest(NamedTuple):
    """The bytes behind a stop, and what they testify."""

    kind: RestKind
    frame_at: int | None  # the first valid frame among them
    stamp: int  # the largest durable-through among those


def later_frames(
    data: Data, start: int, end: int, segment_seed: int, sequence: int
) -> Iterator[tuple[int, bytes] | None]:
    """Yield every whole frame behind `start` as its offset and body; None if it costs too much.

    The cost is bounded by a multiple of the bytes searched, whatever they are.

    Args:
        data: The file.
        start: The first byte that was not understood.
        end: Of what is searched.
        segment_seed: See `frame.seed`.
        sequence: Due at `start`.
    """
    budget = SEARCH_FACTOR * (end - start)
    sequence_max = sequence + (end - start) // frame.FRAME_BYTES_MIN
    at = _next_mark(data, start + 9, end)
    while at is not None:
        begin, step = at - 8, 1
        numbered = bytes(data[at + SEQUENCE_AT : min(at + SEQUENCE_AT + 8, end)])
        if len(numbered) == 8 and sequence < _U64.unpack(numbered)[0] <= sequence_max:
            length = int.from_bytes(data[begin : begin + 4], "big")
            budget -= length if length <= end - begin else 0
            if budget < 0:
                yield None
                return
            body = frame.body_at(data, begin, end, begin, segment_seed)
            if isinstance(body, bytes) and len(body) >= ENTITY_AT:  # else it has no stamp
                yield begin, body
                step = len(body)
        at = _next_mark(data, at + step, end)


def _next_mark(data: Data, start: int, end: int) -> int | None:
    """Where the beginning of a body might be."""
    for begin in range(start, end, PIECE_BYTES):
        stop = min(begin + PIECE_BYTES + len(MARK) - 1, end)
        found = bytes(data[begin:stop]).find(MARK)
        if found >= 0:
            return begin + found
    return None


def content_end(data: Data, start: int, end: int | None = None) -> int:
    """Where the last byte from `start` to `end` ends that is not zero; `start` if there is none."""
    end = len(data) if end is None else end
    while end > start:
        begin = max(start, end - PIECE_BYTES)
        piece = bytes(data[begin:end])
        if piece != _ZEROS[: end - begin]:  # much faster than to strip a file of reserved room
            return begin + len(piece.rstrip(b"\0"))
        end = begin
    return start


def rest_of(data: Data, stop: int, end: int, segment_seed: int, sequence: int) -> Rest:
    """Look behind a stop for evidence of what was durable. Arguments as in `later_frames`."""
    first: int | None = None
    stamp = 0
    if content_end(data, stop, end) == stop:
        return Rest(RestKind.EMPTY, None, 0)
    for later in later_frames(data, stop, end, segment_seed, sequence):
        if later is None:
            return Rest(RestKind.UNSEARCHED, first, stamp)
        first = later[0] if first is None else first
        stamp = max(stamp, _U64.unpack_from(later[1], STAMP_AT)[0])
    return Rest(RestKind.JUNK if first is None else RestKind.FRAMES, first, stamp)
