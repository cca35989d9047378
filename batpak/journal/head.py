"""HEAD: a lower bound of the log, replaced as a whole.

    0     4         6     8        8 + n
    | FBHD | version | n  | array   | crc |
      4 B    u16 = 1  u16   n bytes   u32

array  [store_id, state, segment_id, frames_end, next_sequence, chain_head, written_ns]
state  1: closed in order, the log ends exactly here.  0: open, the log ends here or later.
crc    CRC-32 of all bytes before it.

It is never a hint where to stop: with state 0 the log goes on as far as its frames are valid. What
it guards against is a log that is shorter than it once was. Big-endian.
Reference: docs/reference/file-format.md, "HEAD".
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from batpak import codec, digest
from batpak.clock import STAMP_NS_MAX
from batpak.disk.seam import Directory
from batpak.errors import CorruptStore, FutureVersion
from batpak.faults import Damage
from batpak.journal import layout

MAGIC: Final = b"FBHD"
VERSION: Final = 1
OPEN: Final = 0
CLEAN: Final = 1

_PREFIX: Final = struct.Struct(">4sHH")
_CRC: Final = struct.Struct(">I")


class Head(NamedTuple):
    """The seven values, in stored order."""

    store_id: bytes
    state: int
    segment_id: int
    frames_end: int  # bytes from the start of that segment
    next_sequence: int
    chain_head: bytes
    written_ns: int


_DECODE: Final = codec.decoder(Head).decode


def encode(head: Head) -> bytes:
    """The bytes of the file."""
    body = codec.encode(head._replace(written_ns=min(head.written_ns, STAMP_NS_MAX)))
    data = _PREFIX.pack(MAGIC, VERSION, len(body)) + body
    return data + _CRC.pack(digest.crc32(data))


def decode(data: bytes, path: str) -> Head:
    """Read the bytes of the file.

    Raises:
        CorruptStore: They are damaged, or not spelt as `encode` spells them.
        FutureVersion: They are whole and newer.
    """
    if len(data) < _PREFIX.size + _CRC.size:
        raise _corrupt(path, "is cut")
    if digest.crc32(data[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
        raise _corrupt(path, "the checksum does not match")
    magic, version, length = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise _corrupt(path, "does not begin as HEAD does")
    if version > VERSION:
        raise FutureVersion(path, version, VERSION)
    body = data[_PREFIX.size : -_CRC.size]
    try:
        head = _DECODE(body)
    except codec.DecodeError as error:
        raise _corrupt(path, f"is not as described: {error}") from error
    plausible = (
        version == VERSION
        and length == len(body)
        and len(head.store_id) == 16
        and head.state in (OPEN, CLEAN)
        and len(head.chain_head) == digest.HASH_BYTES
        and min(head.segment_id - 1, head.frames_end, head.next_sequence, head.written_ns) >= 0
    )
    if not plausible or codec.encode(head) != body:
        raise _corrupt(path, "is not as this format writes it")
    return head


def read(directory: Directory) -> Head:
    """Read HEAD.

    Raises:
        CorruptStore: It is damaged.
        FutureVersion: It is newer.
        StorageFailed: The system refused, a missing file included.
    """
    data = layout.read_small(directory, layout.HEAD, layout.HEAD_BYTES_MAX)
    return decode(data, layout.path_of(directory, layout.HEAD))


def write(directory: Directory, head: Head) -> None:
    """Replace HEAD; durable on return.

    Raises:
        StorageFailed: The system refused.
    """
    layout.replace(directory, layout.HEAD, encode(head))


def _corrupt(path: str, detail: str) -> CorruptStore:
    return CorruptStore(path, 0, Damage.HEAD, detail)
