"""The frame: one record as bytes, bound to its place.

     0       4       8                                  8 + length
     | length | crc   | body: a record (`batpak.record`) |
       u32      u32

    length   of the body, 1 .. BODY_BYTES_MAX. Zero is never a frame: it is "nothing here yet".
    crc      CRC-32("FBAT2" | store id | segment id u64 | salt | offset u64 | length u32 | body)
             A frame that was moved, or copied from another store, does not pass.

Big-endian. Reference: docs/reference/file-format.md, "Frames".
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import Any, Final, NamedTuple

from msgspec import Struct

from batpak import codec, digest
from batpak.disk.seam import Mapped
from batpak.event import event_hash
from batpak.faults import Damage
from batpak.journal.header import Header
from batpak.record import (
    COVERED,
    DROPPED,
    ERASED,
    EVENT,
    HEAD_BYTES,
    KEY_BYTES_MAX,
    Opt,
    decode_parts,
    unpack_head,
)

BODY_BYTES_MAX: Final = 17 << 20
PREFIX_BYTES: Final = 8
FRAME_BYTES_MIN: Final = 184  # names of one byte each, no opt, an empty payload

_SEED: Final = struct.Struct(">5s16sQ8s")
_STUBS: Final = (DROPPED, ERASED)

pack_place: Final = struct.Struct(">QI").pack
"""What the CRC covers before the body: the offset of the frame and the length of the body."""

unpack_prefix: Final = struct.Struct(">II").unpack_from
"""Length and CRC."""

pack_prefix: Final = struct.Struct(">II").pack
"""Likewise, to be written."""

_crc32: Final = digest.crc32


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

    @property
    def content_hash(self) -> bytes:
        """Of the payload, also where that is gone."""
        return digest.content_hash(self.payload) if self.type == EVENT else self.payload

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
            self.content_hash,
        )


def seed(header: Header) -> int:
    """What the CRC of every frame of one segment starts from."""
    return digest.crc32(_SEED.pack(b"FBAT2", header.store_id, header.segment_id, header.salt))


def crc_of(offset: int, body: bytes, segment_seed: int) -> int:
    """The CRC of the frame that binds a body to an offset of the segment with this seed."""
    return _crc32(body, _crc32(pack_place(offset, len(body)), segment_seed))


def encode(record: bytes, offset: int, segment_seed: int) -> bytes:
    """One frame for one place: bytes `offset` and on of the segment with this seed."""
    length = len(record)
    crc = _crc32(record, _crc32(pack_place(offset, length), segment_seed))
    return pack_prefix(length, crc) + record


def body_at(
    data: Mapped | memoryview, at: int, end: int, offset: int, segment_seed: int
) -> bytes | Why:
    """The body of the frame at `at`, its CRC checked, or why there is none.

    Args:
        data: Some of a segment.
        at: Where in `data` the frame should begin.
        end: Where in `data` frames end.
        offset: Where in the file the frame should begin; the CRC binds it.
        segment_seed: See `seed`.
    """
    if end - at < PREFIX_BYTES:
        return Why.END if at >= end else Why.SHORT_HEADER
    length, crc = unpack_prefix(data, at)
    if not length:
        return Why.ZERO
    if length > BODY_BYTES_MAX:
        return Why.LENGTH
    start = at + PREFIX_BYTES
    if length > end - start:
        return Why.SHORT_BODY
    body = bytes(data[start : start + length])
    return body if crc_of(offset, body, segment_seed) == crc else Why.CRC


def decode(body: bytes) -> Frame | Fault:
    """A body whose CRC is right, as a frame, if it is spelt as this format spells it.

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
    if found.type != EVENT and len(found.payload) != digest.HASH_BYTES:
        return Fault(Damage.FRAME, "a stub has something else than a hash for its payload")
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
