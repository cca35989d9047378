r"""The footer of a sealed segment: an index of its frames, in columns that are mapped and cast.

    frames … | zeros to 64 | column | column | … | TOC | trailer, 48 bytes, the end of the file

    trailer   "SIDXv2\0\0" | frames_end u64 | footer_start u64 | toc_offset u64 | toc_len u32
              | toc_crc u32 | rows u32 | crc u32 of the 44 bytes before
    TOC       [store_id, segment_id, first_sequence, rows, chain_head, first_wall_ms, last_wall_ms,
              [[name, type, offset, bytes, crc], …]]

    off       u32 × rows + 1   where frames begin; the last one is where they end
    plen      u32 × rows       bytes of the payload; 0 of a stub
    kind      u16 × rows       that of tombstones, if the event was erased
    type      u8 × rows        only if some row is a stub: 1 an event, 2 dropped, 3 erased
    id_hi     u64 × rows       first half of the event id, ascending
    ent, sco  u32 × rows       code of the entity, of the scope: its place in the order of bytes

    X_name, X_noff  bytes, u32 × X + 1    the names, back to back in that order
    X_hash, X_code  u64 × X, u32 × X      first eight bytes of BLAKE3(name), ascending, and the code
    X_ptr, X_rows   u32 × X + 1, × rows   the rows of each code, ascending          (X: ent, sco)

    kind_vals, kind_ptr, kind_rows        u16 × K, u32 × K + 1, u32 × rows: likewise for kinds
    key_hash, key_row                     u64, u32: idempotency keys by BLAKE3, ascending
    cor_key, cor_row                      u64, u32: last half of a correlation id that is another's
    cau_key, cau_row                      u64, u32: last half of a causation id
    blk_crc   u32 × blocks     CRC-32 of each 64 KiB of the file up to the end of its frames

All little-endian, every column at a multiple of eight, all offsets from the start of the file. A
footer is a hint: whatever it says is confirmed by the frame it points to, and it can be made anew.
Reference: docs/reference/file-format.md, "Footers".
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import accumulate
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar, cast

from batpak import codec, digest
from batpak.index.tail import Tail
from batpak.record import EVENT

S = TypeVar("S", int, tuple[int, int], tuple[bytes, int])

MAGIC: Final = b"SIDXv2\0\0"
ALIGN: Final = 64
BLOCK: Final = 64 << 10
TOC_BYTES_MAX: Final = 1 << 20
TRAILER_BYTES: Final = 48
TAIL_BYTES: Final = 2 << 10  # read from the end of a file at first; enough for every TOC of ours
SORT_MAX: Final = 4 << 10  # rows in one call, so that no call is felt by who appends beside it

_TRAILER: Final = struct.Struct("<8sQQQIII")
_CRC: Final = struct.Struct("<I")
_SIZES: Final = {"B": 1, "H": 2, "I": 4, "Q": 8}


class BadFooter(Exception):
    """Why a footer cannot be used, in one line."""


Type: TypeAlias = Literal["B", "H", "I", "Q"]
Values: TypeAlias = "array[int] | bytes"
"""Of one column."""


class Column(NamedTuple):
    """Where a column is. The type is a code of `array`."""

    name: str
    type: Type
    offset: int
    bytes: int
    crc: int


class Toc(NamedTuple):
    """The table of contents, in stored order."""

    store_id: bytes
    segment_id: int
    first_sequence: int
    rows: int
    chain_head: bytes
    first_wall_ms: int
    last_wall_ms: int
    columns: list[Column]


class Footer(NamedTuple):
    """A footer that is sound as far as its table of contents goes."""

    toc: Toc
    frames_end: int
    columns: dict[str, Column]


class Identity(NamedTuple):
    """What a footer has to say of itself to belong to a segment."""

    store_id: bytes
    segment_id: int
    first_sequence: int
    rows: int
    chain_head: bytes
    frames_end: int


_DECODE: Final = codec.decoder(Toc).decode


def footer_start(frames_end: int) -> int:
    """Where the footer behind those frames begins."""
    return -(-frames_end // ALIGN) * ALIGN


# ------------------------------------------------------------------------------------- packing


def pack(
    tail: Tail,
    identity: Identity,
    *,
    first_wall_ms: int,
    last_wall_ms: int,
    block_crcs: array[int],
) -> list[bytes]:
    """The bytes from the end of the frames to the end of the file, in pieces.

    Runs beside an appender: it takes the whole index in many small steps.

    Args:
        tail: The index of the segment; it grows no more.
        identity: Of the segment.
        first_wall_ms: Of its first event; likewise of the last.
        last_wall_ms: See there.
        block_crcs: Of its frames.
    """
    columns = _columns(tail, block_crcs)
    return list(pieces(columns, identity, first_wall_ms=first_wall_ms, last_wall_ms=last_wall_ms))


def pieces(
    named: Iterable[tuple[str, Values]],
    identity: Identity,
    *,
    first_wall_ms: int,
    last_wall_ms: int,
) -> Iterator[bytes]:
    """Those bytes from the columns, each asked for when those before it were taken.

    The last three pieces are the table of contents and the trailer.
    """
    start = footer_start(identity.frames_end)
    yield bytes(start - identity.frames_end)
    at = start
    columns: list[Column] = []
    for name, values in named:
        data = values if isinstance(values, bytes) else values.tobytes()
        type_code = "B" if isinstance(values, bytes) else values.typecode
        columns.append(Column(name, cast("Type", type_code), at, len(data), digest.crc32(data)))
        padding = -len(data) % 8
        yield data
        yield bytes(padding)
        at += len(data) + padding
    toc = codec.encode(
        Toc(
            identity.store_id,
            identity.segment_id,
            identity.first_sequence,
            identity.rows,
            identity.chain_head,
            first_wall_ms,
            last_wall_ms,
            columns,
        )
    )
    trailer = _TRAILER.pack(
        MAGIC, identity.frames_end, start, at, len(toc), digest.crc32(toc), identity.rows
    )
    yield toc
    yield trailer
    yield _CRC.pack(digest.crc32(trailer))


def _columns(tail: Tail, block_crcs: array[int]) -> Iterable[tuple[str, Values]]:
    yield "off", tail.offsets
    yield "plen", tail.sizes
    yield "kind", tail.kinds
    if tail.stubs:
        yield "type", bytes([tail.stubs.get(row, EVENT) for row in range(len(tail.kinds))])
    yield "id_hi", tail.ids
    yield from _named("ent", tail.entity_names(), tail.entity_codes)
    yield from _named("sco", tail.scopes(), tail.scope_codes)
    kinds = sorted(set(tail.kinds))
    codes = {kind: code for code, kind in enumerate(kinds)}
    pointers, rows = placed(array("I", map(codes.__getitem__, tail.kinds)), len(kinds))
    yield "kind_vals", array("H", kinds)
    yield "kind_ptr", pointers
    yield "kind_rows", rows
    keyed = [(hash_of(key), row) for row, key in tail.key_rows.items()]
    yield from _pairs("key_hash", "key_row", keyed)
    for name, groups in (("cor", tail.correlations), ("cau", tail.causes)):
        pairs = [(low, row) for low, rows in groups.items() for row in rows]
        yield from _pairs(f"{name}_key", f"{name}_row", pairs)
    yield "blk_crc", block_crcs


def _named(prefix: str, names: list[str], codes: array[int]) -> Iterable[tuple[str, Values]]:
    """The columns of entities, or of scopes."""
    raw = [name.encode() for name in names]
    order = _sorted(zip(raw, range(len(raw)), strict=True))
    code_of = array("I", bytes(4 * len(raw)))
    for code, (_, old) in enumerate(order):
        code_of[old] = code
    own = array("I", map(code_of.__getitem__, codes))
    pointers, rows = placed(own, len(raw))
    hashed = _sorted((hash_of(name), code) for code, (name, _) in enumerate(order))
    yield prefix, own
    yield f"{prefix}_name", b"".join([name for name, _ in order])
    yield f"{prefix}_noff", array("I", accumulate((len(name) for name, _ in order), initial=0))
    yield f"{prefix}_hash", array("Q", [one for one, _ in hashed])
    yield f"{prefix}_code", array("I", [code for _, code in hashed])
    yield f"{prefix}_ptr", pointers
    yield f"{prefix}_rows", rows


def placed(codes: array[int], count: int) -> tuple[array[int], array[int]]:
    """The rows of each code: counted, then placed, without one large sort."""
    if count == 1:
        return array("I", (0, len(codes))), array("I", range(len(codes)))
    counts = [0] * count
    for code in codes:
        counts[code] += 1
    pointers = array("I", accumulate(counts, initial=0))
    place = list(pointers)
    rows = array("I", bytes(4 * len(codes)))
    for row, code in enumerate(codes):
        at = place[code]
        rows[at] = row
        place[code] = at + 1
    return pointers, rows


def _pairs(
    key_name: str, row_name: str, pairs: Iterable[tuple[int, int]]
) -> Iterable[tuple[str, Values]]:
    """Ascending. Keys begin with a random byte, so each bucket of those with the same is small."""
    buckets: list[list[int]] = [[] for _ in range(0x100)]
    for key, row in pairs:
        buckets[key >> 56].append(key << 32 | row)
    keys, rows = array("Q"), array("I")
    for bucket in buckets:
        ordered = _sorted(bucket)
        keys.extend([one >> 32 for one in ordered])
        rows.extend([one & 0xFFFF_FFFF for one in ordered])
    yield key_name, keys
    yield row_name, rows


def _sorted(items: Iterable[S]) -> list[S]:
    """Sorted in runs that are merged in Python: no call is long."""
    waiting = list(items)
    if len(waiting) <= SORT_MAX:
        return sorted(waiting)
    runs = [sorted(waiting[at : at + SORT_MAX]) for at in range(0, len(waiting), SORT_MAX)]
    return list(merge(*runs))


def hash_of(name: bytes) -> int:
    """First eight bytes of BLAKE3, as a little-endian number."""
    return int.from_bytes(digest.content_hash(name)[:8], "little")


# ------------------------------------------------------------------------------------- reading


def read(data: bytes, file_size: int) -> Footer | int:
    """The footer of a file from its last bytes, or how many of the last bytes it takes.

    Args:
        data: The last bytes of the file, TRAILER_BYTES or more of them if it has so many.
        file_size: Of the whole file.

    Raises:
        BadFooter: There is none, or it is damaged.
    """
    if len(data) < TRAILER_BYTES:
        raise BadFooter("the file ends before it")
    trailer = data[-TRAILER_BYTES:]
    crc: int = _CRC.unpack_from(trailer, _TRAILER.size)[0]
    magic, frames_end, start, toc_at, toc_len, toc_crc, rows = _TRAILER.unpack_from(trailer)
    if magic != MAGIC:
        raise BadFooter("the file does not end with one")
    if digest.crc32(trailer[: _TRAILER.size]) != crc:
        raise BadFooter("the checksum of its trailer does not match")
    if toc_len > TOC_BYTES_MAX or toc_at + toc_len != file_size - TRAILER_BYTES:
        raise BadFooter("its table of contents is not where it should be")
    if start != footer_start(frames_end) or not start <= toc_at:
        raise BadFooter("it does not begin where its frames end")
    needed: int = toc_len + TRAILER_BYTES
    if needed > len(data):
        return needed
    toc_bytes = data[-needed:-TRAILER_BYTES]
    if digest.crc32(toc_bytes) != toc_crc:
        raise BadFooter("the checksum of its table of contents does not match")
    try:
        toc = _DECODE(toc_bytes)
    except (codec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFooter(f"its table of contents is not as described: {error}") from error
    if toc.rows != rows:
        raise BadFooter("its trailer and its table of contents differ")
    columns: dict[str, Column] = {}
    for column in toc.columns:
        item = _SIZES.get(column.type)
        inside = start <= column.offset and 0 <= column.bytes <= toc_at - column.offset
        if item is None or not inside or column.offset % 8 or column.bytes % item:
            raise BadFooter(f"column {column.name!a} is not inside it")
        columns[column.name] = column
    return Footer(toc, frames_end, columns)


_LENGTHS: Final = (  # name, type, rows times, plus
    ("off", "I", 1, 1),
    ("plen", "I", 1, 0),
    ("kind", "H", 1, 0),
    ("id_hi", "Q", 1, 0),
    ("ent", "I", 1, 0),
    ("sco", "I", 1, 0),
    ("ent_rows", "I", 1, 0),
    ("sco_rows", "I", 1, 0),
    ("kind_rows", "I", 1, 0),
)
_PAIRED: Final = (  # two columns of one length, the second perhaps one longer
    ("ent_hash", "Q", "ent_code", "I", 0),
    ("ent_hash", "Q", "ent_ptr", "I", 1),
    ("ent_hash", "Q", "ent_noff", "I", 1),
    ("sco_hash", "Q", "sco_code", "I", 0),
    ("sco_hash", "Q", "sco_ptr", "I", 1),
    ("sco_hash", "Q", "sco_noff", "I", 1),
    ("kind_vals", "H", "kind_ptr", "I", 1),
    ("key_hash", "Q", "key_row", "I", 0),
    ("cor_key", "Q", "cor_row", "I", 0),
    ("cau_key", "Q", "cau_row", "I", 0),
)


def check(footer: Footer, identity: Identity) -> None:
    """Hold a footer against the segment it stands behind.

    Raises:
        BadFooter: It is another's, or its columns do not fit together.
    """
    toc = footer.toc
    said = Identity(
        toc.store_id,
        toc.segment_id,
        toc.first_sequence,
        toc.rows,
        toc.chain_head,
        footer.frames_end,
    )
    for name, is_, due in zip(Identity._fields, said, identity, strict=True):
        if is_ != due:
            raise BadFooter(f"it says another {name.replace('_', ' ')}")
    for name, type_code, times, plus in _LENGTHS:
        _require(footer, name, type_code, identity.rows * times + plus)
    for one, one_type, other, other_type, plus in _PAIRED:
        column = footer.columns.get(one)
        if column is None:
            raise BadFooter(f"column {one} is missing")
        count = column.bytes // _SIZES[one_type]
        _require(footer, one, one_type, count)
        _require(footer, other, other_type, count + plus)
    for name in ("ent_name", "sco_name"):
        _require(footer, name, "B", footer.columns[name].bytes if name in footer.columns else -1)
    if "type" in footer.columns:
        _require(footer, "type", "B", identity.rows)
    _require(footer, "blk_crc", "I", -(-identity.frames_end // BLOCK))


def _require(footer: Footer, name: str, type_code: str, count: int) -> None:
    column = footer.columns.get(name)
    if column is None:
        raise BadFooter(f"column {name} is missing")
    if column.type != type_code or column.bytes != count * _SIZES[type_code]:
        raise BadFooter(f"column {name} has not the length of its rows")
