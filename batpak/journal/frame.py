r"""The frame: one event as bytes, bound to its place.

     0       4       8                                                        8 + length
     | length | crc   | body: MessagePack [head, entity, scope, opt, payload] |
       u32      u32     95 c4a6 …

    length   of the body, 1 .. BODY_BYTES_MAX. Zero is never a frame: it is "nothing here yet".
    crc      CRC-32("FBAT2" | store id | segment id u64 | salt | offset u64 | length u32 | body)
             A frame that was moved, or copied from another store, does not pass.
    head     bin, 166 bytes of fixed fields, so each sits at a constant distance:

       0  u8   type              94  32  prev_hash    of the entity's previous event
       1  u8   flags            126  32  event_hash
       2  u16  kind             158  u64 durable_through
       4  u16  payload_version
       6  u32  key_ref           (0: the payload is stored as it is)
      10  u32  batch_index, 14 u32 batch_count
      18  u64  wall_ms, 26 u32 counter
      30  u64  sequence, 38 u64 version
      46  16   event_id, 62 16 correlation_id, 78 16 causation_id (zeros: none)

    entity   str, scope str: the coordinate
    opt      nil, or [key bin | nil, extensions | nil], the extensions an array of [name, value]
             in ascending order of name, never empty
    payload  bin, last

durable_through counts the events that were known durable when this one was written. It is what
tells a torn end from damage after a crash. Fields 1..93 are covered by event_hash as they are.
One event has one spelling. Big-endian.
Reference: docs/reference/file-format.md, "Frames".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from msgspec import Struct

from batpak import codec, digest
from batpak.errors import Damage
from batpak.event import event_hash
from batpak.journal.header import Header

BODY_BYTES_MAX: Final = 17 << 20
HEAD_BYTES: Final = 166
COVERED: Final = slice(1, 94)
FRAME_BYTES_MIN: Final = 190
MARK: Final = b"\x95\xc4\xa6"  # how every body begins
EVENT: Final = 1
KEY_BYTES_MAX: Final = 255

_PREFIX: Final = struct.Struct(">II")
_PLACE: Final = struct.Struct(">QI")
_FIELDS: Final = struct.Struct(">BBHHIIIQIQQ16s16s16s")
_HEAD: Final = struct.Struct(">BBHHIIIQIQQ16s16s16s32s32sQ")
_SEED: Final = struct.Struct(">5s16sQ8s")
_U64: Final = struct.Struct(">Q")
_STUBS: Final = (2, 3)

Opt: TypeAlias = tuple[bytes | None, tuple[tuple[str, bytes], ...] | None]


class Parts(Struct, frozen=True, gc=False, array_like=True):
    """The five parts of a body."""

    head: bytes
    entity: str
    scope: str
    opt: Opt | None
    payload: bytes


pack_fields: Final = _FIELDS.pack
"""Fields 0..93 of the head, in order."""

unpack_head: Final = _HEAD.unpack
"""All fields of the head, in order."""

unpack_event: Final = struct.Struct(">xBHHI8xQIQQ16s16s16s32s32s8x").unpack
"""What a reader needs of the head: no type, no place in a batch, no stamp."""

decode_parts: Final = codec.decoder(Parts).decode
"""A body whose CRC is right, as its five parts. Says nothing of their spelling."""


_decode_uuid: Final = codec.decoder(UUID).decode


def uuid_of(raw: bytes) -> UUID:
    """A UUID from its 16 bytes; much faster than the constructor."""
    return _decode_uuid(b"\xc4\x10" + raw)


class Why(Enum):
    """Why there is no frame at an offset."""

    END = "the file ends"
    ZERO = "zeros"
    SHORT_HEADER = "fewer bytes than a length and a checksum"
    SHORT_BODY = "a length that reaches beyond the end"
    LENGTH = "a length that no frame has"
    CRC = "a checksum that does not match"
    OPEN_UNIT = "a batch that is not complete"


class Fault(NamedTuple):
    """What is wrong with a frame whose CRC is right. No crash writes such a frame."""

    reason: Damage
    detail: str


class Frame(Struct, frozen=True, gc=False):
    """Everything a frame says."""

    type: int
    flags: int
    kind: int
    payload_version: int
    key_ref: int
    batch_index: int
    batch_count: int
    wall_ms: int
    counter: int
    sequence: int
    version: int
    event_id: bytes
    correlation_id: bytes
    causation_id: bytes
    prev_hash: bytes
    event_hash: bytes
    durable_through: int
    head: bytes
    entity: str
    scope: str
    opt: Opt | None
    payload: bytes

    @property
    def key(self) -> bytes | None:
        """The idempotency key."""
        return None if self.opt is None else self.opt[0]

    @property
    def extensions(self) -> dict[str, bytes]:
        """The extensions, by name."""
        return {} if self.opt is None else dict(self.opt[1] or ())

    @property
    def id_hi(self) -> int:
        """The first eight bytes of the event id as a number: ascending with sequence."""
        return int.from_bytes(self.event_id[:8], "big")

    def expected_hash(self, store_id: bytes, log_prev: bytes) -> bytes:
        """The event_hash that this frame has to have behind that predecessor."""
        return event_hash(
            store_id,
            log_prev,
            self.prev_hash,
            self.head[COVERED],
            self.entity.encode(),
            self.scope.encode(),
            codec.encode(self.opt),
            digest.content_hash(self.payload),
        )


def seed(header: Header) -> int:
    """What the CRC of every frame of one segment starts from."""
    return digest.crc32(_SEED.pack(b"FBAT2", header.store_id, header.segment_id, header.salt))


def pack_opt(key: bytes | None, extensions: Mapping[str, bytes] | None) -> Opt | None:
    """The optional part in its one shape."""
    if key is None and not extensions:
        return None
    return key, tuple(sorted(extensions.items())) if extensions else None


def encode(parts: Parts, offset: int, segment_seed: int) -> bytes:
    """One frame for one place: bytes `offset` and on of the segment with this seed."""
    body = codec.encode(parts)
    place = _PLACE.pack(offset, len(body))
    crc = digest.crc32(body, digest.crc32(place, segment_seed))
    return _PREFIX.pack(len(body), crc) + body


def close_head(fields: bytes, prev_hash: bytes, own_hash: bytes, durable_through: int) -> bytes:
    """The whole head, from its packed fields and what comes after them."""
    return b"".join((fields, prev_hash, own_hash, _U64.pack(durable_through)))


def body_at(
    data: memoryview | bytes, at: int, end: int, offset: int, segment_seed: int
) -> bytes | Why:
    """The body of the frame at `at`, its CRC checked, or why there is none.

    Args:
        data: Some of a segment.
        at: Where in `data` the frame should begin.
        end: Where in `data` frames end.
        offset: Where in the file the frame should begin; the CRC binds it.
        segment_seed: See `seed`.
    """
    if end - at < _PREFIX.size:
        return Why.END if at >= end else Why.SHORT_HEADER
    length, crc = _PREFIX.unpack_from(data, at)
    if not length:
        return Why.ZERO
    if length > BODY_BYTES_MAX:
        return Why.LENGTH
    start = at + 8
    if length > end - start:
        return Why.SHORT_BODY
    body = bytes(data[start : start + length])
    if digest.crc32(body, digest.crc32(_PLACE.pack(offset, length), segment_seed)) != crc:
        return Why.CRC
    return body


def decode(body: bytes) -> Frame | Fault:
    """A body whose CRC is right, as a frame, if it is what `encode` would write.

    Order and links are not looked at; see `batpak.journal.scan`.
    """
    try:
        parts = decode_parts(body)
    except (codec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Fault(Damage.FRAME, f"the frame is not as described: {error}")
    head = parts.head
    if len(head) != HEAD_BYTES or codec.encode(parts) != body or not _is_canonical(parts.opt):
        return Fault(Damage.FRAME, "the frame is not as this format writes it")
    fields: tuple[Any, ...] = (
        *unpack_head(head),
        head,
        parts.entity,
        parts.scope,
        parts.opt,
        parts.payload,
    )
    found = Frame(*fields)
    if found.type != EVENT and found.type not in _STUBS:
        return Fault(Damage.FRAME, f"there is no frame type {found.type}")
    if not found.payload_version or not found.version:
        return Fault(Damage.FRAME, "a payload version or an entity version is 0")
    return found


def _is_canonical(opt: Opt | None) -> bool:
    if opt is None:
        return True
    key, extensions = opt
    if extensions is None:
        return key is not None and 1 <= len(key) <= KEY_BYTES_MAX
    names = [name for name, _ in extensions]
    return (
        bool(names)
        and names == sorted(set(names))
        and (key is None or 1 <= len(key) <= KEY_BYTES_MAX)
    )
