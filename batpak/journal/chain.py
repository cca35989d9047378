"""The chain: what the next frame of a log has to continue, and whether it does.

Almost every frame is an ordinary one: `Chain.follow` takes it in after a few comparisons, without
spelling it anew. It is a frame that `frame.decode` and `Chain.fault` would let pass, because each
comparison leaves one spelling and no other:

    95 c4a6              an array of five, then a bin of 166: no shorter forms exist
    a1..bf, d9 20..ff    a name in its shortest form; which characters it has is looked at once
    c0, or 92 c4 k c0    no opt, or a key of 1..255 bytes and no extensions
    c4, c5 from 256 on, c6 from 65,536 on, to the last byte: the payload in its shortest form

Whatever is not ordinary goes the long way, which also finds the words for what is wrong.
Reference: docs/reference/file-format.md, "Recovery".
"""

from __future__ import annotations

import struct
from typing import Final

from msgspec import Struct

from batpak import codec
from batpak.clock import WALL_MS_MAX
from batpak.coordinate import Coordinate
from batpak.digest import HASH_BYTES, ZERO_HASH, content_hash
from batpak.errors import InvalidCoordinate
from batpak.event import framed_name, hash_prefix
from batpak.faults import Damage
from batpak.journal.frame import Fault, Frame
from batpak.kind import TOMBSTONE
from batpak.record import (
    DROPPED,
    ENTITY_AT,
    ERASED,
    EVENT,
    FLAGS_AT,
    MARK,
    NO_OPT,
    PREV_HASH_AT,
    pack_payload,
)

NAMES_MAX: Final = 1 << 16  # coordinates kept at hand

_ID_HI_MAX: Final = (WALL_MS_MAX + 1) << 16 | 0xFFFF
_unpack: Final = struct.Struct(">IxHH4xQQIQQQQQQQQ32s32sQ").unpack_from
_MARK: Final = int.from_bytes(MARK, "big") << 8 | EVENT
_STUBS: Final = {_MARK - EVENT + DROPPED: DROPPED, _MARK - EVENT + ERASED: ERASED}
_SMALL: Final = [NO_OPT + pack_payload(bytes(size)) for size in range(0x100)]
_NO_OPT: Final = len(NO_OPT).to_bytes(4, "big") + NO_OPT
_COVERED: Final = slice(FLAGS_AT, PREV_HASH_AT)


class Names(Struct, frozen=True, gc=False):
    """A coordinate, in every form that somebody needs. One object serves all its events."""

    entity: str
    scope: str
    entity_stored: bytes  # as a record has it, its MessagePack length before it
    entity_hashed: bytes  # as event_hash takes it, its length in two bytes before it
    scope_stored: bytes
    scope_hashed: bytes
    hashed: bytes  # both


class Placed(Struct, frozen=True, gc=False):
    """An event, where it is, and what an index needs to know of it."""

    offset: int  # where its frame begins, in bytes from the start of the file
    end: int  # where that ends
    size: int  # bytes of the payload; none of a stub
    kind: int  # as which it is read: that of tombstones, if it was erased
    sequence: int
    version: int
    wall_ms: int
    counter: int
    id_hi: int  # first eight bytes of the event id as a number, ascending
    correlation: int | None  # last eight bytes of a correlation id that is not the own id
    cause: int | None  # last eight bytes of a causation id
    key: bytes | None
    names: Names
    prev_hash: bytes
    event_hash: bytes
    type: int = EVENT

    @property
    def entity(self) -> str:
        """The stream it is in."""
        return self.names.entity

    @property
    def scope(self) -> str:
        """Its scope."""
        return self.names.scope


class Chain:
    """What the next frame of a log has to continue.

    Args:
        store_id: 16 bytes.
        hashed: Whether event hashes are computed anew, which costs as much as all the rest.
        sequence: Due next.
        chain_head: event_hash of the event before that, or zeros.
    """

    __slots__ = (
        "_hash_prefix",
        "_known",
        "_names_end",
        "_store_id",
        "chain_head",
        "count",
        "counter",
        "durable_through",
        "hashed",
        "id_hi",
        "item",
        "sequence",
        "stubs",
        "wall_ms",
    )

    def __init__(
        self, store_id: bytes, *, hashed: bool, sequence: int = 0, chain_head: bytes = ZERO_HASH
    ) -> None:
        self.store_id, self.hashed = store_id, hashed
        self.sequence: int = sequence
        self.chain_head = chain_head
        self.wall_ms, self.counter, self.id_hi = 0, -1, 0
        self.durable_through = 0
        self.stubs = False
        """Whether there may be stubs: only where compaction has written the file."""
        self.item: int = 0  # position due inside the unit; 0: a unit begins
        self.count: int = 1  # of the items of that unit
        self._known: dict[bytes, Names] = {}  # by their stored form; none begins with another
        self._names_end = ENTITY_AT  # where the names of the last event ended: a guess

    @property
    def store_id(self) -> bytes:
        """Whose log it is; 16 bytes."""
        return self._store_id

    @store_id.setter
    def store_id(self, store_id: bytes) -> None:
        self._store_id, self._hash_prefix = store_id, hash_prefix(store_id)

    # ---------------------------------------------------------------------------- the short way

    def follow(self, body: bytes, offset: int, end: int) -> Placed | None:
        """Take in an ordinary frame that continues the log. None: it was not, look closely.

        Args:
            body: Its CRC is right.
            offset: Where the frame begins.
            end: Where it ends.
        """
        if len(body) < ENTITY_AT:
            return None
        (
            mark, kind, payload_version, place, wall_ms, counter, sequence, version, id_hi, id_lo,
            correlation_hi, correlation, cause_hi, cause, prev_hash, own_hash, stamp,
        ) = _unpack(body)  # fmt: skip
        if not (
            sequence == self.sequence
            and (wall_ms > self.wall_ms or (wall_ms == self.wall_ms and counter > self.counter))
            and wall_ms <= WALL_MS_MAX
            and self.id_hi < id_hi <= _ID_HI_MAX
            and id_hi & 0xF000 == 0x7000
            and id_lo >> 62 == 0b10
            and self.durable_through <= stamp <= sequence
            and (mark == _MARK or (self.stubs and mark in _STUBS))
            and payload_version
            and version
        ):
            return None
        item, count = (0, 1) if place == 1 else (place >> 32, place & 0xFFFF_FFFF)
        if item != self.item or item >= count or (item and count != self.count):
            return None
        names = self._known.get(body[ENTITY_AT : self._names_end]) or self._names(body)
        if names is None:
            return None
        key: bytes | None = None
        opt, at = _NO_OPT, self._names_end + 3
        size = len(body) - at
        if not (0 <= size < 0x100 and body[at - 3 : at] == _SMALL[size]):
            found = _opt(body, at - 3)
            if found is None:
                return None
            key, opt, at = found
        type_, size = EVENT, len(body) - at
        if mark != _MARK:
            if size != HASH_BYTES:
                return None
            type_, size = _STUBS[mark], 0
        if self.hashed:
            content = content_hash(body[at:]) if type_ == EVENT else body[at:]
            before = self._hash_prefix, self.chain_head, prev_hash, body[_COVERED], names.hashed
            if content_hash(b"".join((*before, opt, content))) != own_hash:
                return None
        self.sequence, self.chain_head = sequence + 1, own_hash
        self.wall_ms, self.counter, self.id_hi = wall_ms, counter, id_hi
        self.durable_through = stamp
        if place != 1:
            self.count, self.item = count, item + 1 if item + 1 < count else 0
        return Placed(
            offset,
            end,
            size,
            TOMBSTONE if type_ == ERASED else kind,
            sequence,
            version,
            wall_ms,
            counter,
            id_hi,
            None if correlation == id_lo and correlation_hi == id_hi else correlation,
            cause if cause or cause_hi else None,
            key,
            names,
            prev_hash,
            own_hash,
            type_,
        )

    def _names(self, body: bytes) -> Names | None:
        """The coordinate of a record. None: it is not ordinary."""
        try:
            lead = body[ENTITY_AT]
            if 0xA0 < lead <= 0xBF:
                scope_at = lead + (ENTITY_AT - 0x9F)
            elif lead == 0xD9 and (lead := body[ENTITY_AT + 1]) > 0x1F:
                scope_at = lead + (ENTITY_AT + 2)
            else:
                return None
            lead = body[scope_at]
            if 0xA0 < lead <= 0xBF:
                end = lead + (scope_at - 0x9F)
            elif lead == 0xD9 and (lead := body[scope_at + 1]) > 0x1F:
                end = lead + (scope_at + 2)
            else:
                return None
        except IndexError:
            return None
        names = self._known.get(body[ENTITY_AT:end]) or self._learn(body, scope_at, end)
        self._names_end = end
        return names

    def _learn(self, body: bytes, scope_at: int, end: int) -> Names | None:
        """Look at a coordinate that was not met yet. None: it cannot be one."""
        known = self._known
        stored = body[ENTITY_AT:scope_at], body[scope_at:end]
        entity, scope = (name[1:] if name[0] < 0xD9 else name[2:] for name in stored)
        try:
            coordinate = Coordinate(entity.decode(), scope.decode())
        except (UnicodeDecodeError, InvalidCoordinate):
            return None
        hashed = framed_name(entity), framed_name(scope)
        names = Names(
            coordinate.entity,
            coordinate.scope,
            stored[0],
            hashed[0],
            stored[1],
            hashed[1],
            b"".join(hashed),
        )
        if len(known) >= NAMES_MAX:
            known.clear()
        known[body[ENTITY_AT:end]] = names
        return names

    # ----------------------------------------------------------------------------- the long way

    def fault(self, found: Frame) -> Fault | None:
        """What about this frame does not continue the log, or None."""
        if found.type != EVENT and not self.stubs:
            return Fault(Damage.FRAME, "a stub in a file that no compaction has written")
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
        if not _is_uuid7(found.id_hi, int.from_bytes(found.event_id[8:], "big")):
            return Fault(Damage.ORDER, "the event id is none that a store gives")
        if not self.durable_through <= found.durable_through <= found.sequence:
            return Fault(Damage.ORDER, "the durable-through stamp cannot be")
        if self.hashed and found.event_hash != found.expected_hash(self.store_id, self.chain_head):
            return Fault(Damage.CHAIN, "the event hash does not match")
        try:
            Coordinate(found.entity, found.scope)
        except InvalidCoordinate as error:
            return Fault(Damage.FRAME, f"the coordinate cannot be: {error.reason.value}")
        return None

    def advance(self, found: Frame) -> None:
        """Take a frame in."""
        self.sequence = found.sequence + 1
        self.chain_head = found.event_hash
        self.wall_ms, self.counter, self.id_hi = found.wall_ms, found.counter, found.id_hi
        self.durable_through = found.durable_through
        self.count = found.batch_count
        item = found.batch_index + 1
        self.item = item if item < found.batch_count else 0

    def return_to(self, last: Placed, durable_through: int) -> None:
        """Go back to the end of a unit, behind which another one was begun.

        Args:
            last: The last event of that unit.
            durable_through: Its stamp.
        """
        self.sequence, self.chain_head = last.sequence + 1, last.event_hash
        self.wall_ms, self.counter, self.id_hi = last.wall_ms, last.counter, last.id_hi
        self.durable_through = durable_through
        self.item = 0


def _opt(body: bytes, at: int) -> tuple[bytes | None, bytes, int] | None:
    """What begins at `at`: the key, opt as it is hashed, and where the payload begins.

    None: it is not ordinary.
    """
    try:
        key, opt = None, _NO_OPT
        if body[at] == 0xC0:
            at += 1
        elif body[at] == 0x92 and body[at + 1] == 0xC4 and body[at + 2]:
            begin, at = at, at + 4 + body[at + 2]
            key, opt = body[begin + 3 : at - 1], body[begin:at]
            if opt[-1] != 0xC0:
                return None
            opt = len(opt).to_bytes(4, "big") + opt
        else:
            return None
        lead, size, least = body[at], body[at + 1], 0
        if lead == 0xC4:
            at += 2
        elif lead == 0xC5:
            size, least, at = size << 8 | body[at + 2], 0x100, at + 3
        elif lead == 0xC6:
            size, least, at = int.from_bytes(body[at + 1 : at + 5], "big"), 0x1_0000, at + 5
        else:
            return None
    except IndexError:
        return None
    return (key, opt, at) if at + size == len(body) and size >= least else None


def _is_uuid7(hi: int, lo: int) -> bool:
    """Whether a store gives such ids: version 7, and not beyond the year 9999."""
    return hi & 0xF000 == 0x7000 and lo >> 62 == 0b10 and hi <= _ID_HI_MAX


def placed(found: Frame, offset: int, end: int) -> Placed:
    """What an index needs to know of a frame that went the long way."""
    names = found.entity.encode(), found.scope.encode()
    hashed = framed_name(names[0]), framed_name(names[1])
    correlation, cause = found.correlation_id, found.causation_id
    return Placed(
        offset,
        end,
        len(found.payload) if found.type == EVENT else 0,
        TOMBSTONE if found.type == ERASED else found.kind,
        found.sequence,
        found.version,
        found.wall_ms,
        found.counter,
        found.id_hi,
        None if correlation == found.event_id else int.from_bytes(correlation[8:], "big"),
        int.from_bytes(cause[8:], "big") if any(cause) else None,
        found.key,
        Names(
            found.entity,
            found.scope,
            codec.encode(found.entity),
            hashed[0],
            codec.encode(found.scope),
            hashed[1],
            b"".join(hashed),
        ),
        found.prev_hash,
        found.event_hash,
        found.type,
    )


def link_fault(found: Placed, version: int, last_hash: bytes) -> Fault | None:
    """Check the link inside an entity that has had `version` events, the last with that hash."""
    if found.version != version + 1:
        return Fault(Damage.CHAIN, f"version {found.version} where {version + 1} is due")
    if found.prev_hash != last_hash:
        return Fault(Damage.CHAIN, "the link to the entity's previous event does not match")
    return None
