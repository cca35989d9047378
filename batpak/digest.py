"""The only hash and the only checksum: BLAKE3 for content and chains, CRC-32 for accidents."""

from __future__ import annotations

import zlib
from typing import Final

import blake3

HASH_BYTES: Final = 32
ZERO_HASH: Final = bytes(HASH_BYTES)

blake3_of: Final = blake3.blake3
"""A BLAKE3 hasher that has taken these bytes; its `digest()` are 32. Where a call counts."""

crc32: Final = zlib.crc32
"""CRC-32 as in zlib: `crc32(data, start=0)`, an unsigned 32-bit number."""


def content_hash(payload: bytes) -> bytes:
    """The 32-byte BLAKE3 hash of payload bytes."""
    return blake3.blake3(payload).digest()


def joined_hash(*parts: bytes) -> bytes:
    """The 32-byte BLAKE3 hash of the parts, back to back. The caller frames their lengths."""
    return blake3.blake3(b"".join(parts)).digest()


def keyed_tag(key: bytes, data: bytes, size: int = 16) -> bytes:
    """A BLAKE3 tag over `data` that only a holder of the 32-byte `key` can make."""
    return blake3.blake3(data, key=key).digest(length=size)
