r"""The record: one event as bytes, without its place.

    95 c4a6 | head, 166 bytes | entity str | scope str | opt | payload bin
    the five parts of one MessagePack array; every fixed field sits at a constant distance

       head   0  u8   type              94  32  prev_hash    of the entity's previous event
                                              1: an event; 2, 3: a stub, dropped or erased
              1  u8   flags            126  32  event_hash
              2  u16  kind             158  u64 durable_through
              4  u16  payload_version
              6  u32  key_ref           (0: the payload is stored as it is)
             10  u32  batch_index, 14 u32 batch_count
             18  u64  wall_ms, 26 u32 counter
             30  u64  sequence, 38 u64 version
             46  16   event_id, 62 16 correlation_id, 78 16 causation_id (zeros: none)

    entity    str, scope str: the coordinate
    opt       nil, or [key bin | nil, extensions | nil], the extensions an array of [name, value]
              in ascending order of name, never empty
    payload   bin, last: who knows its length takes it from the end; of a stub its content hash

durable_through counts the events that were known durable when this one was written. It is what
tells a torn end from damage after a crash. Fields 1..93 are covered by event_hash as they are.
One event has one spelling. Big-endian. A frame (`batpak.journal.frame`) binds a record to its
place in a file. Reference: docs/reference/file-format.md, "Frames".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct

from batpak import codec

MARK: Final = b"\x95\xc4\xa6"  # how every record begins
HEAD_BYTES: Final = 166
COVERED: Final = slice(1, 94)  # of the head
EVENT: Final = 1
DROPPED: Final = 2  # a stub: nobody reads the event any more
ERASED: Final = 3  # a stub: it is read without its payload
KEY_BYTES_MAX: Final = 255
NO_OPT: Final = b"\xc0"

HEAD: Final = slice(len(MARK), len(MARK) + HEAD_BYTES)  # of the record
ENTITY_AT: Final = HEAD.stop

# Where the fields begin in a record.
TYPE_AT: Final = 3
FLAGS_AT: Final = 4
KIND_AT: Final = 5
PAYLOAD_VERSION_AT: Final = 7
BATCH_INDEX_AT: Final = 13
WALL_MS_AT: Final = 21
COUNTER_AT: Final = 29
SEQUENCE_AT: Final = 33
VERSION_AT: Final = 41
EVENT_ID_AT: Final = 49
CORRELATION_ID_AT: Final = 65
CAUSATION_ID_AT: Final = 81
PREV_HASH_AT: Final = 97
EVENT_HASH_AT: Final = 129
STAMP_AT: Final = 161

_FIELDS: Final = struct.Struct(">BBHHIIIQIQQ16s16s16s")
_HEAD: Final = struct.Struct(">BBHHIIIQIQQ16s16s16s32s32sQ")
_U64: Final = struct.Struct(">Q")

Opt: TypeAlias = tuple[bytes | None, tuple[tuple[str, bytes], ...] | None]


class Parts(Struct, frozen=True, gc=False, array_like=True):
    """The five parts of a record."""

    head: bytes
    entity: str
    scope: str
    opt: Opt | None
    payload: bytes


pack_fields: Final = _FIELDS.pack
"""Fields 0..93 of the head, in order."""

unpack_head: Final = _HEAD.unpack
"""All fields of the head, in order."""

unpack_told: Final = struct.Struct(">BBHH4xIIQ4xQQ16s16s16s72x").unpack
"""What is told of an event elsewhere, of its head: type, flags, kind, payload version, batch index
and count, wall_ms, sequence, version, and the ids of the event, its correlation and its cause."""

unpack_what: Final = struct.Struct(">BxII20xQ").unpack_from
"""Type, kind << 16 | payload version, key_ref and sequence, of a record from TYPE_AT on."""

unpack_link: Final = struct.Struct(">Q80x32s").unpack_from
"""Version and event hash of a record from VERSION_AT on."""

decode_parts: Final = codec.decoder(Parts).decode
"""A record whose checksum is right, as its five parts. Says nothing of their spelling."""

_decode_uuid: Final = codec.decoder(UUID).decode


def uuid_of(raw: bytes) -> UUID:
    """A UUID from its 16 bytes; much faster than the constructor."""
    return _decode_uuid(b"\xc4\x10" + raw)


def close_head(fields: bytes, prev_hash: bytes, own_hash: bytes, durable_through: int) -> bytes:
    """The whole head, from its packed fields and what comes after them."""
    return b"".join((fields, prev_hash, own_hash, _U64.pack(durable_through)))


def pack_opt(key: bytes | None, extensions: Mapping[str, bytes] | None) -> bytes:
    """The optional part as it is stored."""
    if key is None and not extensions:
        return NO_OPT
    if not extensions:
        return codec.encode((key, None))
    items = tuple(extensions.items())
    return codec.encode((key, items if len(items) == 1 else sorted(items)))


def pack_name(name: str) -> bytes:
    """An entity or a scope as it is stored."""
    return codec.encode(name)


def pack_payload(data: bytes) -> bytes:
    """What stands before the payload bytes: the MessagePack header of a bin of that length."""
    size = len(data)
    if size < 0x100:
        return b"\xc4" + size.to_bytes(1, "big")
    if size < 0x1_0000:
        return b"\xc5" + size.to_bytes(2, "big")
    return b"\xc6" + size.to_bytes(4, "big")


def stub_of(record: bytes, size: int, stub: int, content_hash: bytes) -> bytes:
    """The record of an event without its payload. Its event_hash stays true.

    Args:
        record: Of the event.
        size: Bytes of its payload.
        stub: DROPPED or ERASED.
        content_hash: Of its payload.
    """
    keep = len(record) - payload_room(size)
    return b"".join((record[:TYPE_AT], bytes([stub]), record[FLAGS_AT:keep], _BIN_32, content_hash))


def payload_room(size: int) -> int:
    """How many bytes of a record its payload takes, what stands before it included."""
    return size + (2 if size < 0x100 else 3 if size < 0x1_0000 else 5)


_BIN_32: Final = pack_payload(bytes(32))
STUB_BYTES: Final = len(_BIN_32) + 32
"""How many bytes of a record the hash takes that stands in the place of a payload."""
