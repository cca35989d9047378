"""The header of a segment: which store, which place in it, and where the file before it ended.

    0     4      8             8 + n    12 + n
    | FBAT | n   | map, n bytes | crc    | first frame …
      4 B   u32                   u32

crc    CRC-32 of all bytes before it.
map    string keys in the order of `Header`, in the one spelling of MessagePack.

The frame of a header is older than version 2, so that one reader can tell the versions apart.
Big-endian throughout. Reference: docs/reference/file-format.md, "Segment header".
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from msgspec import Struct

from batpak import codec, digest
from batpak.clock import STAMP_NS_MAX
from batpak.disk.seam import Directory
from batpak.disk.whole import read_all
from batpak.errors import CorruptStore, FutureVersion, InvalidArgument
from batpak.faults import Damage
from batpak.journal import layout

MAGIC: Final = b"FBAT"
VERSION: Final = 2
HEADER_BYTES_MAX: Final = 1 << 20
STORE_ID_BYTES: Final = 16
SALT_BYTES: Final = 8
SALT_WITHIN: Final = 256  # bytes of a file, in which its salt is

_FIRST_READ: Final = 1 << 10
_PREFIX: Final = struct.Struct(">4sI")
_CRC: Final = struct.Struct(">I")


class Link(NamedTuple):
    """How the file before this one ended."""

    segment_id: int
    frames_end: int  # bytes from the start of that file
    chain_head: bytes  # event_hash of its last event


class Origin(NamedTuple):
    """Whom the first file of a fork continues."""

    store_id: bytes
    first_sequence: int  # of the first event that is not theirs
    chain_head: bytes  # event_hash of the one before it


class Ending(NamedTuple):
    """Where a file ends that was written in one piece: it says so itself."""

    frames_end: int
    next_sequence: int
    chain_head: bytes


class Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The map, key for key.

    A file that compaction has written stands for others: `replaces` has how each of those ended,
    from its own number on without a gap, and `sealed` how it ends itself.
    """

    version: int
    store_id: bytes
    segment_id: int
    created_ns: int
    first_sequence: int
    salt: bytes
    prev: Link | None
    replaces: list[Link] | None
    sealed: Ending | None
    epoch: int
    origin: Origin | None

    @property
    def last_id(self) -> int:
        """The number behind which the log goes on in another file."""
        return self.segment_id if self.replaces is None else self.replaces[-1].segment_id


class _Version(Struct):
    """All that is read of a header before its version is known."""

    version: int
    store_id: bytes | None = None


_DECODE: Final = codec.decoder(Header).decode
_DECODE_VERSION: Final = codec.decoder(_Version).decode


def encode(
    *,
    store_id: bytes,
    segment_id: int,
    created_ns: int,
    first_sequence: int,
    salt: bytes,
    prev: Link | None,
    replaces: list[Link] | None = None,
    sealed: Ending | None = None,
    epoch: int = 0,
    origin: Origin | None = None,
) -> bytes:
    """The bytes of a new segment's header. Its length is the offset of the first frame."""
    body = codec.encode(
        Header(
            version=VERSION,
            store_id=store_id,
            segment_id=segment_id,
            created_ns=min(created_ns, STAMP_NS_MAX),
            first_sequence=first_sequence,
            salt=salt,
            prev=prev,
            replaces=replaces,
            sealed=sealed,
            epoch=epoch,
            origin=origin,
        )
    )
    data = _PREFIX.pack(MAGIC, len(body)) + body
    return data + _CRC.pack(digest.crc32(data))


class Ends(NamedTuple):
    """The two ends of a segment file: all that an open reads of most of them."""

    header: Header
    start: int  # of the first frame
    size: int  # of the file, in bytes
    tail: bytes  # the last bytes of the file


def read(directory: Directory, name: str, tail_bytes: int = 0) -> Ends:
    """Read the header of a segment file, and so many of its last bytes.

    Raises:
        CorruptStore, FutureVersion, InvalidArgument: See `decode`.
        StorageFailed: The system refused.
    """
    path = layout.path_of(directory, name)
    with layout.asking("read", path):
        file = directory.open(name)
        try:
            size = file.size()
            data = read_all(file, 0, _FIRST_READ)
            whole = int.from_bytes(data[4:8], "big") + _PREFIX.size + _CRC.size
            if _FIRST_READ < whole <= HEADER_BYTES_MAX + _PREFIX.size + _CRC.size:
                data = read_all(file, 0, whole)
            tail = b""
            if tail_bytes:
                begin = max(0, size - tail_bytes)
                tail = read_all(file, begin, size - begin)
        finally:
            file.close()
    if size > layout.SEGMENT_BYTES_MAX:
        detail = f"{size:,} bytes are more than a segment can have"
        raise CorruptStore(path, layout.SEGMENT_BYTES_MAX, Damage.SEGMENT, detail)
    return Ends(*decode(data, path), size, tail)


def is_alone(directory: Directory, found: layout.Listing) -> bool:
    """Whether a directory holds the header of segment 1 and nothing that would come after it.

    Raises:
        CorruptStore, FutureVersion, InvalidArgument, StorageFailed: See `read`.
    """
    if found.has_head or list(found.segments) != [1]:
        return False
    return read(directory, layout.segment_name(1)).start == found.segments[1]


def decode(data: bytes | memoryview, path: str) -> tuple[Header, int]:
    """Read a header from the start of a file; return it and the offset of the first frame.

    Args:
        data: The file, or at least its first HEADER_BYTES_MAX + 12 bytes.
        path: For messages.

    Raises:
        CorruptStore: It is no header, is damaged, or is not spelt as `encode` spells it.
        FutureVersion: It is whole and from a newer version of the format.
        InvalidArgument: It is of version 1, which this code does not read.
    """
    if len(data) < _PREFIX.size or bytes(data[:4]) != MAGIC:
        raise _corrupt(path, "does not begin with a segment header")
    length = _PREFIX.unpack_from(data)[1]
    end = _PREFIX.size + length
    if length > HEADER_BYTES_MAX or end + _CRC.size > len(data):
        raise _corrupt(path, f"the header is cut, or its length of {length:,} bytes is wrong")
    body = bytes(data[_PREFIX.size : end])
    if _CRC.unpack_from(data, end)[0] != digest.crc32(data[:end]):
        _refuse_version_1(body, path)
        raise _corrupt(path, "the checksum of the header does not match")
    try:
        version = _DECODE_VERSION(body).version
        if version > VERSION:
            raise FutureVersion(path, version, VERSION)
        header = _DECODE(body)
    except (codec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _corrupt(path, f"the header is not as described: {error}") from error
    if codec.encode(header) != body or not _is_plausible(header):
        raise _corrupt(path, "the header is not as this format writes it")
    return header, end + _CRC.size


def _is_plausible(header: Header) -> bool:
    prev, origin = header.prev, header.origin
    return (
        header.version == VERSION
        and len(header.store_id) == STORE_ID_BYTES
        and len(header.salt) == SALT_BYTES
        and min(header.segment_id - 1, header.created_ns, header.first_sequence, header.epoch) >= 0
        and (prev is None or len(prev.chain_head) == digest.HASH_BYTES)
        and (
            origin is None
            or (len(origin.store_id), len(origin.chain_head), origin.first_sequence)
            == (STORE_ID_BYTES, digest.HASH_BYTES, header.first_sequence)
        )
        and (header.replaces is None) == (header.sealed is None)
        and (header.replaces is None or _stands_for(header, header.replaces))
    )


def _stands_for(header: Header, replaced: list[Link]) -> bool:
    """Whether a file can be the one that compaction made of these."""
    sealed, numbers = header.sealed, [link.segment_id for link in replaced]
    return (
        sealed is not None
        and bool(numbers)
        and numbers == list(range(header.segment_id, header.segment_id + len(numbers)))
        and all(len(link.chain_head) == digest.HASH_BYTES for link in replaced)
        and sealed.chain_head == replaced[-1].chain_head
        and sealed.next_sequence >= header.first_sequence
        and min(sealed.frames_end, *(link.frames_end for link in replaced)) >= 0
    )


def _refuse_version_1(body: bytes, path: str) -> None:
    """Version 1 has no checksum and no store id; a damaged version 2 is not taken for it."""
    try:
        found = _DECODE_VERSION(body)
    except (codec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if found.version == 1 and found.store_id is None:
        raise InvalidArgument(
            "path",
            f"{path} is a segment of format version 1, written by the Rust batpak",
            hint="`batpak import` brings it over; RustSource.open reads it in place",
        )


def _corrupt(path: str, detail: str) -> CorruptStore:
    return CorruptStore(path, 0, Damage.SEGMENT, detail)
