"""One frame of the Rust original: an event, or a mark around a batch.

    u32 length | u32 CRC-32 of the body | body: a MessagePack map {event, entity, scope}

    event     {header, payload, hash_chain}; hash_chain is nil in marks, else
              {prev_hash, event_hash}
    header    event_id, correlation_id, causation_id | nil (bin 16), timestamp_us,
              position {wall_ms, counter, depth, lane, sequence}, payload_size, event_kind, flags,
              content_hash

Payload and hashes are arrays of small integers. Read as well: `bin` in their place, keys in another
order, further keys, structs as arrays of their fields, and a header without content_hash. The
checksum covers the body only, so frames that have changed places are not noticed; the event hash
covers the payload only.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Final, TypeAlias, cast

import msgspec
from msgspec import Meta, Struct

from batpak import codec
from batpak.digest import HASH_BYTES, ZERO_HASH, blake3_of, content_hash, crc32
from batpak.disk.seam import Mapped
from batpak.faults import Damage
from batpak.ids import ID_BYTES
from batpak.journal.frame import Fault
from batpak.kind import RAW_MAX

PREFIX_BYTES: Final = 8
BODY_BYTES_MAX: Final = 256 << 20
BATCH_MAX: Final = 1_000_000
BEGIN: Final = 0x0006
COMMIT: Final = 0x0007
MARKS: Final = frozenset({BEGIN, COMMIT})
MARK_ENTITY: Final = "_batch"
MARK_SCOPE: Final = "_system"

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Kind: TypeAlias = Annotated[int, Meta(ge=0, le=RAW_MAX)]
Flags: TypeAlias = Annotated[int, Meta(ge=0, le=0xFF)]
Size: TypeAlias = Annotated[int, Meta(ge=0, le=BODY_BYTES_MAX)]
Id: TypeAlias = Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
Stored: TypeAlias = msgspec.Raw
"""Bytes, or an array of small integers: `_bytes` looks at them faster than a decoder does."""

_PREFIX: Final = struct.Struct(">II")
_prefix_at: Final = _PREFIX.unpack_from
_NIL: Final = b"\xc0"
_ORDER: Final[Mapping[str, tuple[str, ...]]] = {  # where structs stand as arrays
    "frame": ("event", "entity", "scope"),
    "event": ("header", "payload", "hash_chain"),
    "header": (
        "event_id",
        "correlation_id",
        "causation_id",
        "timestamp_us",
        "position",
        "payload_size",
        "event_kind",
        "flags",
        "content_hash",
    ),
    "position": ("wall_ms", "counter", "depth", "lane", "sequence"),
    "hash_chain": ("prev_hash", "event_hash"),
}


class Position(Struct, frozen=True, gc=False):
    """When and where, as its writer saw it."""

    wall_ms: Count
    counter: Count
    sequence: Count  # of the entity, from 0
    depth: Count = 0
    lane: Count = 0


class EventHeader(Struct, frozen=True, gc=False):
    """What a frame says of its event."""

    event_id: Id
    correlation_id: Id
    timestamp_us: int
    position: Position
    payload_size: Size
    event_kind: Kind
    flags: Flags
    causation_id: Id | None = None
    content_hash: Stored = msgspec.Raw()


class Links(Struct, frozen=True, gc=False):
    """Of an event to the one before it in its entity."""

    prev_hash: Stored
    event_hash: Stored


class _Event(Struct, frozen=True, gc=False):
    header: EventHeader
    payload: Stored
    hash_chain: Links | None = None


class _Body(Struct, frozen=True, gc=False):
    event: _Event
    entity: str
    scope: str


class _Glance(Struct, frozen=True, gc=False):
    event_id: Id
    event_kind: Kind
    payload_size: Size


class _GlancedEvent(Struct, frozen=True, gc=False):
    header: _Glance
    hash_chain: msgspec.Raw


class _GlancedBody(Struct, frozen=True, gc=False):
    event: _GlancedEvent


class Glance(Struct, frozen=True, gc=False):
    """What is asked of every frame before any event is read."""

    event_id: bytes
    kind: int
    count: int  # of the items of a batch, in the mark that begins it


class Frame(Struct, frozen=True, gc=False):
    """An event, with its payload as it was given to the original."""

    event_id: bytes
    correlation_id: bytes
    causation_id: bytes | None
    timestamp_us: int
    wall_ms: int
    counter: int
    clock: int  # of the entity, from 0
    depth: int
    lane: int
    kind: int
    flags: int
    entity: str
    scope: str
    payload: bytes
    prev_hash: bytes
    event_hash: bytes

    @property
    def is_mark(self) -> bool:
        """Whether it begins or ends a batch, and is no event."""
        return self.kind in MARKS


_decode: Final = codec.decoder(_Body).decode
_glance: Final = codec.decoder(_GlancedBody).decode
_decode_any: Final = codec.decoder(object).decode


def body_at(data: Mapped, at: int, end: int) -> bytes | Fault | None:
    """The body of the frame at an offset; None if the bytes up to `end` are too few for it.

    `data` may be a mapped file.
    """
    if at + PREFIX_BYTES > end:
        return None
    length, checksum = _prefix_at(data, at)
    if length > BODY_BYTES_MAX:
        return Fault(Damage.SEGMENT, f"a frame of {length:,} bytes is larger than any")
    start = at + PREFIX_BYTES
    if start + length > end:
        return None
    if not length:
        return Fault(Damage.FRAME, "a frame of no bytes")
    body = data[start : start + length]
    if crc32(body) != checksum:
        return Fault(Damage.CRC, "the checksum of the frame does not match")
    return body


def glance(body: bytes) -> Glance | Fault:
    """The little that tells events from marks."""
    try:
        found = _glance(body).event
    except codec.UNREADABLE:  # perhaps one of the rare spellings
        frame = decode(body)
        if isinstance(frame, Fault):
            return frame
        count = int.from_bytes(frame.payload, "big") if frame.is_mark else 0
        return Glance(frame.event_id, frame.kind, count)
    head = found.header
    if head.event_kind not in MARKS and bytes(found.hash_chain) == _NIL:
        return Fault(Damage.CHAIN, "an event without its hashes")
    return Glance(head.event_id, head.event_kind, head.payload_size)


def decode(body: bytes) -> Frame | Fault:
    """All of a frame, its payload held against its hashes. Of a mark, `payload` is its count."""
    try:
        try:
            found = _decode(body)
        except codec.UNREADABLE:
            found = _decode(codec.encode_in_order(_as_maps(_decode_any(body), "frame")))
        return _checked(found)
    except codec.UNREADABLE as error:
        return Fault(Damage.FRAME, f"the frame does not decode: {error}")


def _checked(found: _Body) -> Frame | Fault:
    event, head = found.event, found.event.header
    place, links = head.position, event.hash_chain
    if head.event_kind in MARKS:
        payload, prev, own = head.payload_size.to_bytes(4, "big"), ZERO_HASH, ZERO_HASH
    else:
        if links is None:
            return Fault(Damage.CHAIN, "an event without its hashes")
        stored, stated = bytes(links.event_hash), bytes(head.content_hash)
        prev, own = bytes(links.prev_hash), _small(stored) or _bytes(stored)
        prev = _small(prev) or _bytes(prev)
        same = stated in (stored, b"", _NIL) or _bytes(stated) == own
        if not same or len(prev) != HASH_BYTES or len(own) != HASH_BYTES:
            return Fault(Damage.CHAIN, "the hashes of the event contradict each other")
        read = _payload(bytes(event.payload), own)
        if read is None:
            return Fault(Damage.CHAIN, "the payload is not the one that the hash is of")
        payload = read
    return Frame(
        head.event_id,
        head.correlation_id,
        head.causation_id,
        head.timestamp_us,
        place.wall_ms,
        place.counter,
        place.sequence,
        place.depth,
        place.lane,
        head.event_kind,
        head.flags,
        found.entity,
        found.scope,
        payload,
        prev,
        own,
    )


def _payload(stored: bytes, due: bytes) -> bytes | None:
    """The bytes that a hash is of; None: these are others.

    Its retention writes a payload as the value that the bytes mean. They are made from it again.
    """
    data = _small(stored)
    if data is not None and blake3_of(data).digest() == due:
        return data
    with suppress(ValueError, TypeError):
        data = _bytes(stored)
        if content_hash(data) == due:
            return data
    value = _decode_any(stored)
    for spell in (codec.encode, codec.encode_in_order):
        data = spell(value)
        if content_hash(data) == due:
            return data
    return None


def _bytes(stored: bytes) -> bytes:
    """The bytes that are stored as such, or as an array of small integers.

    Raises:
        DecodeError, TypeError, ValueError: They are neither.
    """
    found = _small(stored)
    if found is not None:
        return found
    value = _decode_any(stored)
    if type(value) is bytes:
        return value
    if type(value) is list:
        return bytes(cast("list[int]", value))
    raise codec.DecodeError(f"bytes are stored as a {type(value).__name__}")


def _small(stored: bytes) -> bytes | None:
    """An array of small integers as bytes, if it is spelt as the original spells it.

    A number below 128 is one byte, any other has 0xcc before it; so without these it is the bytes.
    A list of numbers would take many times as long. What is spelt otherwise and looks like that is
    told by the hash.
    """
    first = stored[0]
    if first == 0xDC:
        count, items = stored[1] << 8 | stored[2], stored[3:]
    elif first & 0xF0 == 0x90:
        count, items = first & 0x0F, stored[1:]
    else:
        return None
    data = items.translate(None, b"\xcc")
    if len(data) != count and b"\xcc\xcc" in items:  # that is 0xcc itself
        data = b"\xcc".join([part.translate(None, b"\xcc") for part in items.split(b"\xcc\xcc")])
    return data if len(data) == count else None


def _as_maps(value: object, name: str) -> object:
    """A struct that stands as an array, and those inside it, as maps."""
    if isinstance(value, list):
        fields = _ORDER[name]
        items = cast("list[object]", value)
        # One that is left out by the writer has no place in an array, so the number decides.
        value = dict(zip(fields, items, strict=False)) if len(items) >= len(fields) - 1 else None
    if not isinstance(value, dict):
        return value
    plain = cast("dict[str, object]", value)  # whatever another key is, it is none of _ORDER
    return {key: _as_maps(one, key) if key in _ORDER else one for key, one in plain.items()}


def encode(frame: Frame) -> bytes:
    """A frame as the original writes it, length and checksum included."""
    is_mark = frame.is_mark
    size = int.from_bytes(frame.payload, "big") if is_mark else len(frame.payload)
    body = codec.encode_in_order(
        {
            "event": {
                "header": {
                    "event_id": frame.event_id,
                    "correlation_id": frame.correlation_id,
                    "causation_id": frame.causation_id,
                    "timestamp_us": frame.timestamp_us,
                    "position": {
                        "wall_ms": frame.wall_ms,
                        "counter": frame.counter,
                        "depth": frame.depth,
                        "lane": frame.lane,
                        "sequence": frame.clock,
                    },
                    "payload_size": size,
                    "event_kind": frame.kind,
                    "flags": frame.flags,
                    "content_hash": list(frame.event_hash),
                },
                "payload": [] if is_mark else list(frame.payload),
                "hash_chain": None
                if is_mark
                else {"prev_hash": list(frame.prev_hash), "event_hash": list(frame.event_hash)},
            },
            "entity": frame.entity,
            "scope": frame.scope,
        }
    )
    return _PREFIX.pack(len(body), crc32(body)) + body
