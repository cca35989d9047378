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

from batpak import record
from batpak.clock import WALL_MS_MAX
from batpak.coordinate import Coordinate
from batpak.digest import ZERO_HASH
from batpak.errors import FutureVersion, InvalidCoordinate
from batpak.faults import Damage
from batpak.journal import frame
from batpak.journal.frame import Fault, Frame, Why

SEARCH_FACTOR: Final = 8  # bytes given to CRC while searching, as a multiple of what is searched
PIECE_BYTES: Final = 4 << 10  # looked at in one piece, so memory does not grow with the file
ZEROS_BYTES: Final = 64 << 10  # likewise, of what is probably zeros

_U64: Final = struct.Struct(">Q")


class Stop(NamedTuple):
    """Where a scan ended."""

    offset: int  # bytes from the start of the file; the first one not taken in
    why: Why | Fault


class Read(NamedTuple):
    """A frame and where it ends."""

    frame: Frame
    end: int


class Placed(NamedTuple):
    """A frame and where it begins."""

    offset: int
    frame: Frame


Unit: TypeAlias = list[Placed]


class Chain:
    """What the next frame of a log has to continue.

    Args:
        store_id: 16 bytes.
        hashed: Whether event hashes are computed anew, which costs more than all the rest.
        sequence: Due next.
        chain_head: event_hash of the event before that, or zeros.
    """

    def __init__(
        self, store_id: bytes, *, hashed: bool, sequence: int = 0, chain_head: bytes = ZERO_HASH
    ) -> None:
        self.store_id, self.hashed = store_id, hashed
        self.sequence, self.chain_head = sequence, chain_head
        self.wall_ms, self.counter, self.id_hi = 0, -1, 0
        self.durable_through = 0
        self.item, self.count = 0, 1  # position due inside the unit; 0: a unit begins
        self._coordinates: set[tuple[str, str]] = set()

    def fault(self, found: Frame) -> Fault | None:
        """What about this frame does not continue the log, or None."""
        if found.type != record.EVENT:
            raise FutureVersion(f"the frame type of event {found.sequence}", found.type, 1)
        if found.sequence != self.sequence:
            return Fault(Damage.ORDER, f"sequence {found.sequence} where {self.sequence} is due")
        if found.batch_index != self.item or (self.item and found.batch_count != self.count):
            return Fault(Damage.BATCH, "an item of a batch is out of its place")
        if found.batch_index >= found.batch_count:
            return Fault(Damage.BATCH, "an item of a batch is beyond its count")
        if (found.wall_ms, found.counter) <= (self.wall_ms, self.counter):
            return Fault(Damage.ORDER, "the clock does not increase")
        if found.wall_ms > WALL_MS_MAX:
            return Fault(Damage.ORDER, "the clock is beyond the year 9999")
        if found.id_hi <= self.id_hi:
            return Fault(Damage.ORDER, "the event id does not increase")
        if not _is_uuid7(found.event_id):
            return Fault(Damage.ORDER, "the event id is none that a store gives")
        if not self.durable_through <= found.durable_through <= found.sequence:
            return Fault(Damage.ORDER, "the durable-through stamp cannot be")
        if self.hashed and found.event_hash != found.expected_hash(self.store_id, self.chain_head):
            return Fault(Damage.CHAIN, "the event hash does not match")
        return self._coordinate_fault(found)

    def _coordinate_fault(self, found: Frame) -> Fault | None:
        named = found.entity, found.scope
        if named not in self._coordinates:
            try:
                Coordinate(*named)
            except InvalidCoordinate as error:
                return Fault(Damage.FRAME, f"the coordinate cannot be: {error.reason.value}")
            self._coordinates.add(named)
        return None

    def advance(self, found: Frame) -> None:
        """Take a frame in."""
        self.sequence = found.sequence + 1
        self.chain_head = found.event_hash
        self.wall_ms, self.counter, self.id_hi = found.wall_ms, found.counter, found.id_hi
        self.durable_through = found.durable_through
        self.count = found.batch_count
        self.item = (found.batch_index + 1) % max(found.batch_count, 1)


def _is_uuid7(event_id: bytes) -> bool:
    ms = int.from_bytes(event_id[:6], "big")
    return event_id[6] >> 4 == 0x7 and event_id[8] >> 6 == 0b10 and ms <= WALL_MS_MAX + 1


def link_fault(found: Frame, version: int, last_hash: bytes) -> Fault | None:
    """Check the link inside an entity that has had `version` events, the last with that hash."""
    if found.version != version + 1:
        return Fault(Damage.CHAIN, f"version {found.version} where {version + 1} is due")
    if found.prev_hash != last_hash:
        return Fault(Damage.CHAIN, "the link to the entity's previous event does not match")
    return None


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
        data: memoryview,
        start: int,
        end: int,
        segment_seed: int,
        chain: Chain,
        *,
        mark: int | None = None,
    ) -> None:
        self._data, self._end, self._seed, self._chain = data, end, segment_seed, chain
        self.unit = start  # end of the last whole unit
        self.sequence = chain.sequence  # due there
        self.chain_head = chain.chain_head  # there
        self.open_unit: Unit = []  # frames behind it, of a unit that is not complete
        self.stop = Stop(start, Why.END)
        self.mark = mark
        self.passed = (chain.sequence, chain.chain_head) if mark == start else None
        """Sequence due and chain head at the mark, if a unit ends there."""

    def __iter__(self) -> Iterator[Unit]:
        unit: Unit = []
        offset = self.unit
        while isinstance(read := self._read(offset), Read):
            self._chain.advance(read.frame)
            unit.append(Placed(offset, read.frame))
            offset = read.end
            if not self._chain.item:
                self.unit, self.sequence = offset, self._chain.sequence
                self.chain_head = self._chain.chain_head
                if offset == self.mark:
                    self.passed = self.sequence, self.chain_head
                yield unit
                unit = []
        self.open_unit = unit
        self.stop = Stop(offset, Why.OPEN_UNIT if unit and read is Why.END else read)

    def goes_on(self) -> bool:
        """Whether there is a whole frame right behind the end that was given."""
        at = self._end
        return isinstance(frame.body_at(self._data, at, len(self._data), at, self._seed), bytes)

    def _read(self, offset: int) -> Read | Why | Fault:
        """The frame at an offset, if there is one and it continues the chain."""
        body = frame.body_at(self._data, offset, self._end, offset, self._seed)
        if isinstance(body, Why):
            return body
        found = frame.decode(body)
        if isinstance(found, Fault):
            return found
        return self._chain.fault(found) or Read(found, offset + 8 + len(body))


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
    data: memoryview, start: int, end: int, segment_seed: int, sequence: int
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
        numbered = bytes(data[at + record.SEQUENCE_AT : min(at + record.SEQUENCE_AT + 8, end)])
        if len(numbered) == 8 and sequence < _U64.unpack(numbered)[0] <= sequence_max:
            length = int.from_bytes(data[begin : begin + 4], "big")
            budget -= length if length <= end - begin else 0
            if budget < 0:
                yield None
                return
            body = frame.body_at(data, begin, end, begin, segment_seed)
            if isinstance(body, bytes):
                yield begin, body
                step = len(body)
        at = _next_mark(data, at + step, end)


def _next_mark(data: memoryview, start: int, end: int) -> int | None:
    """Where the beginning of a body might be."""
    for begin in range(start, end, PIECE_BYTES):
        stop = min(begin + PIECE_BYTES + len(record.MARK) - 1, end)
        found = bytes(data[begin:stop]).find(record.MARK)
        if found >= 0:
            return begin + found
    return None


def content_end(data: memoryview, start: int) -> int:
    """Where the last byte behind `start` ends that is not zero; `start` if there is none."""
    end = len(data)
    while end > start:
        begin = max(start, end - ZEROS_BYTES)
        content = bytes(data[begin:end]).rstrip(b"\0")
        if content:
            return begin + len(content)
        end = begin
    return start


def rest_of(data: memoryview, stop: int, end: int, segment_seed: int, sequence: int) -> Rest:
    """Look behind a stop for evidence of what was durable. Arguments as in `later_frames`."""
    first: int | None = None
    stamp = 0
    if content_end(data[:end], stop) == stop:
        return Rest(RestKind.EMPTY, None, 0)
    for later in later_frames(data, stop, end, segment_seed, sequence):
        if later is None:
            return Rest(RestKind.UNSEARCHED, first, stamp)
        first = later[0] if first is None else first
        stamp = max(stamp, _U64.unpack_from(later[1], record.STAMP_AT)[0])
    return Rest(RestKind.JUNK if first is None else RestKind.FRAMES, first, stamp)
