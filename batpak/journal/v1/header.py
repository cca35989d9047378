"""How a segment file of the Rust original begins: `FBAT`, a length, a MessagePack map. No checksum.

The number of a segment is in its file name; the one in the map is a repetition.
"""

from __future__ import annotations

import struct
from typing import Final

from msgspec import Struct

from batpak import codec
from batpak.errors import CorruptStore, InvalidArgument
from batpak.faults import Damage

MAGIC: Final = b"FBAT"
VERSION: Final = 1
HEADER_BYTES_MAX: Final = 4 << 10

_PREFIX: Final = struct.Struct(">4sI")


class Header(Struct, frozen=True):
    """The map behind the length."""

    version: int
    flags: int
    created_ns: int
    segment_id: int


class _Any(Struct, frozen=True):
    """Of any version: only ours, from 2 on, names a store."""

    version: int
    store_id: bytes | None = None


_DECODE: Final = codec.decoder(Header).decode
_DECODE_ANY: Final = codec.decoder(_Any).decode
_FIELDS: Final = ("version", "flags", "created_ns", "segment_id")


def encode(header: Header) -> bytes:
    """The bytes in front of the first frame, as the original writes them."""
    body = codec.encode_in_order({name: getattr(header, name) for name in _FIELDS})
    # It writes the time as nine bytes and the number in the shortest form; so does the encoder.
    return _PREFIX.pack(MAGIC, len(body)) + body


def decode(data: bytes, path: str) -> tuple[Header, int]:
    """Read a header; return it and the offset of the first frame.

    Args:
        data: The file, or its first HEADER_BYTES_MAX + 8 bytes.
        path: For messages.

    Raises:
        CorruptStore: It is no header of version 1.
        InvalidArgument: It is one of a store of this library.
    """
    if len(data) < _PREFIX.size or data[:4] != MAGIC:
        raise _corrupt(path, 0, "does not begin with a segment header")
    length = _PREFIX.unpack_from(data)[1]
    end = _PREFIX.size + length
    if length > HEADER_BYTES_MAX or end > len(data):
        raise _corrupt(path, 4, f"the header is cut, or its length of {length:,} bytes is wrong")
    body = data[_PREFIX.size : end]
    try:
        found = _DECODE_ANY(body)
    except codec.UNREADABLE as error:
        raise _corrupt(path, _PREFIX.size, f"the header does not decode: {error}") from error
    if found.store_id is not None:
        raise InvalidArgument(
            "path",
            f"{path} is a segment of a store of this library",
            hint="open it with Store.open_read_only",
        )
    if found.version != VERSION:
        detail = f"the header says version {found.version}, not {VERSION}"
        raise _corrupt(path, _PREFIX.size, detail)
    try:
        return _DECODE(body), end
    except codec.UNREADABLE as error:
        raise _corrupt(path, _PREFIX.size, f"the header does not decode: {error}") from error


def is_ours(data: bytes) -> bool:
    """Whether a file begins as a segment of the original does; damaged or not, but not of a v2."""
    try:
        decode(data, "")
    except (CorruptStore, InvalidArgument):
        return False
    return True


def _corrupt(path: str, offset: int, detail: str) -> CorruptStore:
    return CorruptStore(path, offset, Damage.SEGMENT, detail)
