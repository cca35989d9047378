"""The format of a store a second time, from its reference: read and written plainly, and slowly.

It shares nothing with the engine but the hash functions and the names of verdicts. Whoever holds
both against each other finds what one of them believes wrongly, also if a line of the engine is
broken, and the stores that are written here do not come from a broken one.
Reference: docs/reference/file-format.md.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias, cast

import blake3

from batpak.faults import Damage
from batpak.journal.frame import Why
from tests.proof.fuzz_msgpack import Bad, pack, unpack

ZERO: Final = bytes(32)
BODY_MAX: Final = 17 << 20
HEADER_MAX: Final = 1 << 20
HEADER_KEYS: Final = (
    "version", "store_id", "segment_id", "created_ns", "first_sequence", "salt", "prev",
    "replaces", "sealed", "epoch", "origin",
)  # fmt: skip
MARK: Final = b"\x95\xc4\xa6"
KEPT: Final = 1 << 12  # what was read lately: most of an input is as it was in the last one
YEAR_9999: Final = 253_402_300_799_999  # its last millisecond

_HEAD: Final = struct.Struct(">BBHHIIIQIQQ16s16s16s32s32sQ")
_NO_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/|=]|\.\.")


def is_name(text: str) -> bool:
    """Whether an entity or a scope can be called so."""
    try:
        return 0 < len(text.encode()) <= 1024 and _NO_NAME.search(text) is None
    except UnicodeEncodeError:
        return False


def hashed(*parts: bytes) -> bytes:
    """BLAKE3 of the parts, back to back."""
    return blake3.blake3(b"".join(parts)).digest()


# ----------------------------------------------------------------------------------- one event


class Event(NamedTuple):
    """What a frame says: the seventeen fields of its head, and the four parts behind it."""

    type: int
    flags: int
    kind: int
    payload_version: int
    key_ref: int
    item: int
    items: int  # of its unit
    wall_ms: int
    counter: int
    sequence: int
    version: int
    event_id: bytes
    correlation_id: bytes
    causation_id: bytes
    prev_hash: bytes
    event_hash: bytes
    stamp: int
    entity: str
    scope: str
    opt: list[Any] | None
    payload: bytes

    @property
    def head(self) -> bytes:
        """The fixed fields as they are stored."""
        return _HEAD.pack(*self[:17])

    def record(self) -> bytes:
        """It as bytes, without its place."""
        return pack([self.head, self.entity, self.scope, self.opt, self.payload])

    @property
    def content_hash(self) -> bytes:
        """Of its payload, which a stub has instead of that."""
        return hashed(self.payload) if self.type == 1 else self.payload

    def hash_behind(self, store_id: bytes, log_prev: bytes) -> bytes:
        """The event hash that it has to have there."""
        entity, scope, opt = self.entity.encode(), self.scope.encode(), pack(self.opt)
        return hashed(
            b"batpak.event.v2\0", store_id, log_prev, self.prev_hash, self.head[1:94],
            len(entity).to_bytes(2, "big"), entity, len(scope).to_bytes(2, "big"), scope,
            len(opt).to_bytes(4, "big"), opt, self.content_hash,
        )  # fmt: skip


@lru_cache(maxsize=KEPT)
def event_of(body: bytes) -> Event:
    """A record, which is spelt in one way only.

    Raises:
        Bad: It is none.
    """
    parts = unpack(body)
    match parts:
        case [bytes(head), str(entity), str(scope), opt, bytes(payload)]:
            if len(head) != 166 or not _is_opt(opt) or pack(parts) != body:
                raise Bad("another spelling")
            fields: list[Any] = [*_HEAD.unpack(head), entity, scope, opt, payload]
            found = Event(*fields)
        case _:
            raise Bad("not five parts")
    if found.type not in (1, 2, 3) or not found.payload_version or not found.version:
        raise Bad("a type that there is not, or a version 0")
    if found.type != 1 and len(found.payload) != 32:
        raise Bad("a stub has something else than a hash for its payload")
    return found


def _is_opt(opt: object) -> bool:
    match opt:
        case None:
            return True
        case [(bytes() | None) as key, (list() | None) as extensions] if key or extensions:
            names: list[str] = []
            for one in extensions or ():
                match one:
                    case [str(name), bytes()]:
                        names.append(name)
                    case _:
                        return False
            return (
                key != b""
                and len(key or b"") <= 255
                and names == sorted(set(names))
                and (extensions is None or bool(names))
            )
        case _:
            return False


# -------------------------------------------------------------------------------------- one file


class Place(NamedTuple):
    """What a frame is bound to, beside its offset."""

    store_id: bytes
    segment_id: int
    salt: bytes

    def crc(self, offset: int, body: bytes) -> int:
        """The checksum of a frame."""
        where = struct.pack(">Q8sQI", self.segment_id, self.salt, offset, len(body))
        return zlib.crc32(b"FBAT2" + self.store_id + where + body)

    def frame(self, offset: int, body: bytes) -> bytes:
        """A record, as a frame at an offset."""
        return struct.pack(">II", len(body), self.crc(offset, body)) + body

    def body_at(self, data: bytes, at: int, end: int) -> bytes | Why:
        """The record of the frame at an offset, or why there is none."""
        if end - at < 8:
            return Why.SHORT_HEADER if at < end else Why.END
        length, crc = struct.unpack_from(">II", data, at)
        if length == 0:
            return Why.ZERO
        if length > BODY_MAX:
            return Why.LENGTH
        if at + 8 + length > end:
            return Why.SHORT_BODY
        body = data[at + 8 : at + 8 + length]
        return body if self.crc(at, body) == crc else Why.CRC


Fields: TypeAlias = dict[str, Any]


def header_bytes(fields: Fields) -> bytes:
    """A segment header around its map."""
    return sealed_header(pack(fields))


def sealed_header(body: bytes) -> bytes:
    """A segment header around any bytes, with a right length and checksum."""
    data = b"FBAT" + struct.pack(">I", len(body)) + body
    return data + struct.pack(">I", zlib.crc32(data))


@lru_cache(maxsize=KEPT)
def header_map_of(body: bytes) -> Fields:
    """The map of a header.

    Raises:
        Bad: It is none, or of another version.
    """
    fields = unpack(body)
    if not isinstance(fields, dict) or tuple(cast("Fields", fields)) != HEADER_KEYS:
        raise Bad("other keys")
    found = cast("Fields", fields)
    match found:
        case {"version": int(2), "store_id": bytes(store_id), "salt": bytes(salt), "prev": prev}:
            due = (store_id, 16), (salt, 8), *(() if prev is None else ((_last_hash(prev), 32),))
            numbers = [found[key] for key in ("segment_id", "created_ns", "first_sequence")]
            if found["origin"] is not None:
                due += _origin(found["origin"], found["first_sequence"])
            right = all(type(n) is int and n >= 0 for n in numbers) and numbers[0] > 0
            if not right or any(len(one) != size for one, size in due):
                raise Bad("values")
            _require_rewritten(found)
        case _:
            raise Bad("types")
    if type(found["epoch"]) is not int or found["epoch"] < 0 or pack(found) != body:
        raise Bad("an epoch, or another spelling")
    return found


def _origin(origin: object, first_sequence: object) -> tuple[tuple[bytes, int], ...]:
    match origin:
        case [bytes(theirs), int() as first, bytes(last)] if type(first) is int:
            if first != first_sequence:
                raise Bad("another place")
            return (theirs, 16), (last, 32)
        case _:
            raise Bad("no origin")


def _require_rewritten(found: Fields) -> None:
    """A file stands for others and says where it ends, or neither.

    Raises:
        Bad: It says something else.
    """
    match found["replaces"], found["sealed"]:
        case (None, None):
            return
        case [[_, *_] as ends, [int(frames_end), int(stop), bytes(head)]]:
            hashes = [_last_hash(end) for end in ends]
            numbers = [cast("list[Any]", end)[0] for end in ends]
            due = list(range(found["segment_id"], found["segment_id"] + len(ends)))
            sizes = [frames_end, stop, *(cast("list[Any]", end)[1] for end in ends)]
            if (
                numbers != due
                or any(len(one) != 32 for one in hashes)
                or hashes[-1] != head
                or min(sizes) < 0
                or stop < found["first_sequence"]
                or any(type(one) is not int for one in (*numbers, *sizes))
            ):
                raise Bad("what it stands for")
        case _:
            raise Bad("what it stands for")


def header_of(data: bytes) -> tuple[Fields, int]:
    """The map of a header, and where the first frame begins.

    Raises:
        Bad: It is none, or of another version.
    """
    length = int.from_bytes(data[4:8], "big")
    if data[:4] != b"FBAT" or length > HEADER_MAX or len(data) < 12 + length:
        raise Bad("no header")
    body, crc = data[8 : 8 + length], data[8 + length : 12 + length]
    if crc != struct.pack(">I", zlib.crc32(data[: 8 + length])):
        raise Bad("checksum")
    return header_map_of(body), 12 + length


def _last_hash(prev: object) -> bytes:
    match prev:
        case [int() as number, int() as end, bytes(last)] if bool not in (type(number), type(end)):
            return last
        case _:
            raise Bad("no link")


class Head(NamedTuple):
    """The seven values of HEAD, in stored order."""

    store_id: bytes
    state: int
    segment_id: int
    frames_end: int
    next_sequence: int
    chain_head: bytes
    written_ns: int


def head_bytes(head: Head) -> bytes:
    """The file."""
    return sealed_head(pack(list(head)))


def sealed_head(body: bytes, version: int = 1) -> bytes:
    """The file around any bytes, with a right length and checksum."""
    data = b"FBHD" + struct.pack(">HH", version, len(body) & 0xFFFF) + body
    return data + struct.pack(">I", zlib.crc32(data))


def head_of(data: bytes) -> Head:
    """What the file says.

    Raises:
        Bad: It is no HEAD, or of another version.
    """
    if len(data) < 12 or data[-4:] != struct.pack(">I", zlib.crc32(data[:-4])):
        raise Bad("checksum")
    body = data[8:-4]
    if data[:6] != b"FBHD\0\1" or data[6:8] != struct.pack(">H", len(body) & 0xFFFF):
        raise Bad("no HEAD")
    values = unpack(body)
    match values:
        case [bytes(store_id), int(state), _, _, _, bytes(chain_head), _]:
            numbers = [values[n] for n in (1, 2, 3, 4, 6)]
        case _:
            raise Bad("types")
    if any(type(n) is not int or n < 0 for n in numbers):
        raise Bad("numbers")
    sizes = len(store_id), len(chain_head), len(body) < 1 << 16
    if sizes != (16, 32, True) or state > 1 or values[2] == 0 or pack(values) != body:
        raise Bad("values")
    return Head(*cast("list[Any]", values))


# --------------------------------------------------------------------------------- a walk of frames


class Walk(NamedTuple):
    """Whole units, each frame with its place; what is loose behind them; and why it ended."""

    units: list[list[tuple[int, int, Event]]]
    loose: list[tuple[int, int, Event]]
    stop: int
    why: Why | Damage | None  # None: a frame of a type that is still to come
    unit: int  # where the last whole unit ends
    sequence: int  # due there
    chain_head: bytes  # there
    due: int  # sequence behind the loose ones


class _Due:
    """What the next frame continues."""

    def __init__(self, sequence: int, chain_head: bytes) -> None:
        self.sequence, self.chain_head = sequence, chain_head
        self.clock, self.id_hi, self.stamp = (0, -1), 0, 0
        self.item, self.count = 0, 1

    def fault(self, event: Event, store_id: bytes, *, rehash: bool) -> Damage | None:
        """What is wrong with an event at this place."""
        high, low = struct.unpack(">QQ", event.event_id)
        unit = (event.item, event.items if self.item else 0) == (
            self.item,
            self.count * (self.item > 0),
        )
        if event.sequence != self.sequence:
            return Damage.ORDER
        if not unit or event.item >= event.items:
            return Damage.BATCH
        clock = event.wall_ms, event.counter
        is_uuid7 = high >> 12 & 0xF == 7 and low >> 62 == 2 and high >> 16 <= YEAR_9999 + 1
        if clock <= self.clock or event.wall_ms > YEAR_9999 or high <= self.id_hi or not is_uuid7:
            return Damage.ORDER
        if not self.stamp <= event.stamp <= event.sequence:
            return Damage.ORDER
        if rehash and event.hash_behind(store_id, self.chain_head) != event.event_hash:
            return Damage.CHAIN
        return None if is_name(event.entity) and is_name(event.scope) else Damage.FRAME

    def advance(self, event: Event) -> None:
        """Go on behind an event."""
        self.sequence, self.chain_head = event.sequence + 1, event.event_hash
        self.clock, self.stamp = (event.wall_ms, event.counter), event.stamp
        self.id_hi = int.from_bytes(event.event_id[:8], "big")
        self.count, self.item = event.items, (event.item + 1) % event.items


def walk(
    data: bytes, start: int, end: int, place: Place, sequence: int, last: bytes, *, rehash: bool
) -> Walk:
    """Read frames from `start` on, as long as each continues what is before it."""
    due, at = _Due(sequence, last), start
    whole = start, sequence, last
    units: list[list[tuple[int, int, Event]]] = []
    unit: list[tuple[int, int, Event]] = []
    why: Why | Damage | None
    while True:
        body = place.body_at(data, at, end)
        if isinstance(body, Why):
            why = Why.OPEN_UNIT if unit and body is Why.END else body
            break
        try:
            event = event_of(body)
        except Bad:
            why = Damage.FRAME
            break
        why = None if event.type != 1 else due.fault(event, place.store_id, rehash=rehash)
        if event.type != 1 or why is not None:
            break
        due.advance(event)
        unit.append((at, at + 8 + len(body), event))
        at += 8 + len(body)
        if not due.item:
            units.append(unit)
            unit, whole = [], (at, due.sequence, due.chain_head)
    return Walk(units, unit, at, why, *whole, due.sequence)


class Testimony(NamedTuple):
    """What lies behind a stop."""

    kind: str  # "zeros", "junk", "frames", "too much"
    stamp: int = 0  # the largest durable-through among the frames


def behind(data: bytes, stop: int, end: int, place: Place, sequence: int) -> Testimony:
    """What the bytes behind a stop testify."""
    if not data[stop:end].strip(b"\0"):
        return Testimony("zeros")
    kind, stamp, budget = "junk", 0, 8 * (end - stop)
    last = sequence + (end - stop) // 184
    at = data.find(MARK, stop + 9, end)
    while at >= 0:
        step, begin = 1, at - 8
        number = data[at + 33 : min(at + 41, end)]
        if len(number) == 8 and sequence < int.from_bytes(number, "big") <= last:
            length = int.from_bytes(data[begin : at - 4], "big")
            budget -= length if length <= end - begin else 0
            if budget < 0:
                return Testimony("too much", stamp)
            body = place.body_at(data, begin, end)
            if isinstance(body, bytes) and len(body) >= 169:  # it has a head
                kind, step = "frames", len(body)
                stamp = max(stamp, int.from_bytes(body[161:169], "big"))
        at = data.find(MARK, at + step, end)
    return Testimony(kind, stamp)


# ----------------------------------------------------------------------------------- mended damage


def frames_of(data: bytes, start: int) -> Iterable[tuple[int, int]]:
    """Where each frame begins and ends, as far as their lengths go."""
    at = start
    while len(data) - at > 8:
        length = int.from_bytes(data[at : at + 4], "big")
        if not 0 < length <= len(data) - at - 8:
            return
        yield at, at + 8 + length
        at += 8 + length


def mended(data: bytes, *, rehash: bool) -> bytes:
    """A segment whose header and frames have right checksums, and right hashes if so wished."""
    length = int.from_bytes(data[4:8], "big")
    if len(data) < 12 or length > len(data) - 12:
        return data
    data = sealed_header(data[8 : 8 + length]) + data[12 + length :]
    try:
        fields, start = header_of(data)
    except Bad:
        return data
    place = Place(fields["store_id"], fields["segment_id"], fields["salt"])
    last = ZERO if fields["prev"] is None else fields["prev"][2]
    out, end = bytearray(data), start
    for at, end in frames_of(data, start):
        body = data[at + 8 : end]
        if rehash:
            try:
                event = event_of(body)
            except Bad:
                pass
            else:
                last = event.hash_behind(place.store_id, last)
                if last != event.event_hash:
                    body = event._replace(event_hash=last).record()
        out[at:end] = place.frame(at, body)
    return bytes(out)
