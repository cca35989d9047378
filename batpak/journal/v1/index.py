"""`index.fbati` and `index.ckpt`: the numbers of all events up to a place, kept for a quick open.

    index.fbati   `FBATIX` | u16 LE 4 | CRC-32 u32 LE of the rest | watermark segment, watermark
                  offset, next sequence u64, number of names u32, number of rows, length of the
                  names, length of the summary u64 | names, array | summary | rows
    index.ckpt    `FBATCK` | u16 LE 5 | CRC-32 u32 LE of the rest | MessagePack {global_sequence,
                  watermark_segment_id, watermark_offset, interner_strings, entries, ...}

Both can be made anew from the segments, so one that is not as described counts as missing.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final, NamedTuple, TypeAlias

from msgspec import Meta, Struct

from batpak import codec
from batpak.digest import crc32
from batpak.ids import ID_BYTES
from batpak.journal.v1.row import INDEX_ROW, FileRows, Numbered, NumberedRows

NAME: Final = "index.fbati"
CHECKPOINT: Final = "index.ckpt"
BYTES_MAX: Final = 4 << 30
VERSION: Final = 4
CHECKPOINT_VERSION: Final = 5

_HEAD: Final = struct.Struct("<6sHI")
_SIZES: Final = struct.Struct("<QQQIQQQ")

_Count: TypeAlias = Annotated[int, Meta(ge=0)]


class _Entry(Struct, frozen=True, gc=False):
    event_id: Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
    global_sequence: _Count


class _Checkpoint(Struct, frozen=True):
    global_sequence: _Count
    watermark_segment_id: _Count
    watermark_offset: _Count
    entries: list[_Entry]


_NAMES: Final = codec.decoder(list[str]).decode
_CHECKPOINT: Final = codec.decoder(_Checkpoint).decode


class Index(NamedTuple):
    """The numbers of every event before a place."""

    segment: int
    offset: int
    next_sequence: int
    rows: NumberedRows


def decode(data: bytes) -> Index | None:
    """`index.fbati`; None: it cannot be used."""
    body = _body(data, b"FBATIX", VERSION)
    if body is None or len(body) < _SIZES.size:
        return None
    segment, offset, after, names, count, names_size, summary = _SIZES.unpack_from(body)
    rows_at = _SIZES.size + names_size + summary
    if rows_at + count * INDEX_ROW.size != len(body):
        return None
    try:
        table = _NAMES(body[_SIZES.size : _SIZES.size + names_size])
    except codec.UNREADABLE:
        return None
    if len(table) != names:
        return None
    return Index(segment, offset, after, FileRows(INDEX_ROW, memoryview(body)[rows_at:]))


def decode_checkpoint(data: bytes) -> Index | None:
    """`index.ckpt`; None: it cannot be used."""
    body = _body(data, b"FBATCK", CHECKPOINT_VERSION)
    if body is None:
        return None
    try:
        found = _CHECKPOINT(body)
    except codec.UNREADABLE:
        return None
    rows = [Numbered(one.event_id, one.global_sequence) for one in found.entries]
    return Index(found.watermark_segment_id, found.watermark_offset, found.global_sequence, rows)


def _body(data: bytes, magic: bytes, version: int) -> bytes | None:
    if len(data) < _HEAD.size:
        return None
    found, number, checksum = _HEAD.unpack_from(data)
    body = data[_HEAD.size :]
    return body if (found, number, checksum) == (magic, version, crc32(body)) else None
