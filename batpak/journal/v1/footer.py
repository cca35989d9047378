"""The footer of a file that the Rust original has finished: where the frames end, and numbers.

    names, a MessagePack array | n rows (`batpak.journal.v1.row`) | names at u64 | n u32 | `SDX2`

Little-endian. No checksum, so it has to fit the file exactly.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from batpak import codec
from batpak.disk.seam import Mapped
from batpak.errors import CorruptStore, FutureVersion
from batpak.faults import Damage
from batpak.journal.v1.row import FOOTER_ROW, FileRows, NumberedRows

MAGIC: Final = b"SDX2"
_NEWER: Final = b"SDX3"
_TRAILER: Final = struct.Struct("<QI4s")
_NAMES: Final = codec.decoder(list[str]).decode


class Footer(NamedTuple):
    """What a footer is good for."""

    frames_end: int
    rows: NumberedRows


def read(data: Mapped, start: int, path: str) -> Footer | None:
    """The footer of a file; None: it has none.

    Args:
        data: The whole file.
        start: Of the first frame.
        path: For messages.

    Raises:
        CorruptStore: It does not fit the file.
        FutureVersion: It is one of a later release.
    """
    at = len(data) - _TRAILER.size
    magic = data[-4:]
    if at < start or magic not in (MAGIC, _NEWER):
        return None
    if magic == _NEWER:
        raise FutureVersion(f"the footer of {path}", 3, 2)
    names_at, count, _ = _TRAILER.unpack(data[at:])
    rows_at = at - count * FOOTER_ROW.size
    if not start <= names_at < rows_at:
        raise CorruptStore(path, at, Damage.SEGMENT, "the footer does not fit the file")
    try:
        _NAMES(data[names_at:rows_at])
    except codec.UNREADABLE as error:
        detail = f"the names of the footer do not decode: {error}"
        raise CorruptStore(path, names_at, Damage.SEGMENT, detail) from error
    return Footer(names_at, FileRows(FOOTER_ROW, memoryview(data)[rows_at:at]))


def encode(names: Sequence[str], rows: Sequence[bytes], at: int) -> bytes:
    """A footer that begins at an offset."""
    return b"".join((codec.encode(names), *rows, _TRAILER.pack(at, len(rows), MAGIC)))
