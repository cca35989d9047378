"""A row of an index of the Rust original: what a footer, and the index file, say of one event.

    id 16 LE | entity u32 | scope u32 | kind u16 | wall_ms u64 | clock u32 | lane u32 | depth u32
    | prev_hash 32 | event_hash 32 | (segment u64, in the index file only) | offset u64 | length u32
    | global sequence u64 | correlation 16 LE | causation 16 LE, zeros for none

Nothing is believed of a row but which number its event has: the rest is in the frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from batpak.ids import NO_ID
from batpak.journal.v1.frame import Frame

FOOTER_ROW: Final = struct.Struct("<16sIIHQIII32s32sQIQ16s16s")
INDEX_ROW: Final = struct.Struct("<16sIIHQIII32s32sQQIQ16s16s")


class Numbered(NamedTuple):
    """The global sequence of an event."""

    event_id: bytes
    sequence: int


class NumberedRows(Protocol):
    """Rows in their order: a list of them, or those of a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int, /) -> Numbered: ...

    def __iter__(self) -> Iterator[Numbered]: ...


class FileRows:
    """Rows as they stand in a file; each is looked at when it is asked for."""

    def __init__(self, layout: struct.Struct, rows: memoryview) -> None:
        self._size, self._rows = layout.size, rows
        self._pick = struct.Struct(f"<16s{layout.size - 40 - 16}xQ32x")

    def __len__(self) -> int:
        return len(self._rows) // self._size

    def __getitem__(self, at: int, /) -> Numbered:
        event_id, sequence = self._pick.unpack_from(self._rows, at * self._size)
        return Numbered(event_id[::-1], sequence)

    def __iter__(self) -> Iterator[Numbered]:
        whole = self._rows[: len(self) * self._size]
        for event_id, sequence in self._pick.iter_unpack(whole):
            yield Numbered(event_id[::-1], sequence)


def pack(frame: Frame, entity: int, scope: int, offset: int, length: int, sequence: int) -> bytes:
    """The row of a footer, with the places of the names in its table."""
    return FOOTER_ROW.pack(
        frame.event_id[::-1],
        entity,
        scope,
        frame.kind,
        frame.wall_ms,
        frame.clock,
        frame.lane,
        frame.depth,
        frame.prev_hash,
        frame.event_hash,
        offset,
        length,
        sequence,
        frame.correlation_id[::-1],
        (frame.causation_id or NO_ID)[::-1],
    )
