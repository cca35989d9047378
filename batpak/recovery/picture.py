"""Picture: a log as it was taken at once, to be held against what was seen of it before."""

from __future__ import annotations

from typing import NamedTuple

from batpak.digest import HASH_BYTES
from batpak.errors import CorruptStore
from batpak.index.row import Part
from batpak.index.table import Table
from batpak.journal.head import Head
from batpak.journal.header import Header
from batpak.journal.segment import Segments
from batpak.kind import COMPACTED
from batpak.record import EVENT_HASH_AT, decode_parts
from batpak.recovery.growing import Growing, Shown


class Picture(NamedTuple):
    """A log, taken at once."""

    segments: Segments
    table: Table
    newest: Header
    growing: Growing | None  # None: the newest file is complete, and there is none behind it yet
    due: Shown  # at the end
    state: Head
    announced: list[bytes]  # what compactions have said that they remove

    def goes_through(self, at: Shown) -> bool:
        """Whether the log has had so many events, the last of them with that hash."""
        sequence, chain_head = at
        if sequence >= self.due[0]:
            return at == self.due
        if not sequence:
            return True
        part, row = self.table.locate(sequence - 1)
        try:
            found = _hash_of(self.segments, part, row)
        except (CorruptStore, IndexError):
            if not part.distrust():
                raise
            found = _hash_of(self.segments, part, row)
        return found == chain_head


def announced_in(segments: Segments, part: Part) -> list[bytes]:
    """What compactions have said in a complete file that they remove."""
    segment, offsets = segments.of(part.segment_id), part.offsets
    return [
        decode_parts(segment.record(offsets[row], offsets[row + 1], part.block_crcs)).payload
        for row in part.of_kind(COMPACTED)
    ]


def _hash_of(segments: Segments, part: Part, row: int) -> bytes:
    offsets = part.offsets
    body = segments.of(part.segment_id).record(offsets[row], offsets[row + 1], part.block_crcs)
    return body[EVENT_HASH_AT : EVENT_HASH_AT + HASH_BYTES]
