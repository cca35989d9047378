"""`visibility_ranges.fbv`: which numbers of the Rust original are hidden, for ever.

    `FBATVR` | u16 LE 1 | CRC-32 u32 LE of the rest | MessagePack {ranges: [{start, end}]}

Half-open, in global sequences. It is what keeps cancelled events cancelled, so a damaged one is
refused.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import Annotated, Final

from msgspec import Meta, Struct

from batpak import codec
from batpak.digest import crc32
from batpak.errors import CorruptStore, FutureVersion
from batpak.faults import Damage

NAME: Final = "visibility_ranges.fbv"
BYTES_MAX: Final = 64 << 20

_HEAD: Final = struct.Struct("<6sHI")


class _Range(Struct, frozen=True):
    start: Annotated[int, Meta(ge=0)]
    end: Annotated[int, Meta(ge=0)]


class _Ranges(Struct, frozen=True):
    ranges: list[_Range]


_DECODE: Final = codec.decoder(_Ranges).decode


class Hidden:
    """Ranges of numbers, in order and apart."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        merged: list[list[int]] = []
        for start, end in sorted(ranges):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            elif start < end:
                merged.append([start, end])
        self._starts, self._ends = [one[0] for one in merged], [one[1] for one in merged]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._ends[at]

    def __bool__(self) -> bool:
        return bool(self._starts)


def decode(data: bytes, path: str) -> Hidden:
    """Read the file.

    Raises:
        CorruptStore: It is damaged.
        FutureVersion: It is one of a later release.
    """
    if len(data) < _HEAD.size:
        raise _corrupt(path, "is too short")
    magic, version, checksum = _HEAD.unpack_from(data)
    if magic != b"FBATVR":
        raise _corrupt(path, "does not begin with FBATVR")
    body = data[_HEAD.size :]
    if crc32(body) != checksum:
        raise _corrupt(path, "the checksum does not match")
    if version > 1:
        raise FutureVersion(path, version, 1)
    if version != 1:
        raise _corrupt(path, f"says version {version}, not 1")
    try:
        found = _DECODE(body)
    except codec.UNREADABLE as error:
        raise _corrupt(path, f"does not decode: {error}") from error
    if any(one.start > one.end for one in found.ranges):
        raise _corrupt(path, "a range ends before it begins")
    return Hidden([(one.start, one.end) for one in found.ranges])


def _corrupt(path: str, detail: str) -> CorruptStore:
    return CorruptStore(path, 0, Damage.LAYOUT, detail)
