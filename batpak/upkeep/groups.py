"""Groups: which files become one, and what their rows are to be.

Sizes are known before anything is written: a frame keeps its length, or is shortened to a stub.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from batpak.index.row import Part
from batpak.index.sealed import Sealed
from batpak.journal.header import Link
from batpak.journal.segment import Segment
from batpak.record import DROPPED, ERASED, EVENT, STUB_BYTES, payload_room

OUTPUT_BYTES_MAX: Final = 1 << 30  # of frames, in one file
LINKS_MAX: Final = 16 << 10  # files that one stands for: a header has room for more


class Source(Struct, eq=False):
    """A complete file, and what is to become of it."""

    segment: Segment
    known: Part  # as the index of the log has it
    part: Sealed
    links: list[Link]  # how the files ended that it stands for; its own end, if it is an original
    types: bytearray  # of its rows
    changed: bool = False  # whether one of those is another than it was
    size: int = 0  # bytes of its frames afterwards

    def become(self, rows: Sequence[int], stub: int) -> None:
        """Say that some of its rows are to be stubs."""
        for row in rows:
            self.types[row] = stub
        self.changed = self.changed or bool(rows)

    def measure(self) -> None:
        """Work out its size from what its rows are to be."""
        self.size = sum(self.lengths()) if self.changed else self.segment.end - self.segment.start

    def lengths(self) -> Iterator[int]:
        """How long each frame will be."""
        offsets, sizes, types = self.part.offsets, self.part.sizes, self.types
        before: Sequence[int] = self.part.types or b""
        for row, (begin, end) in enumerate(pairwise(offsets)):
            length = end - begin
            if types[row] != EVENT and (not before or before[row] == EVENT):
                length += STUB_BYTES - payload_room(sizes[row])
            yield length

    def count(self) -> dict[int, int]:
        """How many rows become stubs that were none, by what those are."""
        if not self.changed:
            return {DROPPED: 0, ERASED: 0}
        before = bytes(self.part.types or b"")
        return {stub: self.types.count(stub) - before.count(stub) for stub in (DROPPED, ERASED)}


def grouped(sources: Sequence[Source]) -> list[list[Source]]:
    """The sources in runs that are written anew, each as one file.

    A file that would stay as it is, alone, is in none of them.
    """
    groups: list[list[Source]] = []
    size = links = 0
    for source in sources:
        fits = size + source.size <= OUTPUT_BYTES_MAX and links + len(source.links) <= LINKS_MAX
        if groups and fits and _store_of(source) == _store_of(groups[-1][0]):
            groups[-1].append(source)
        else:
            groups.append([source])
            size = links = 0
        size += source.size
        links += len(source.links)
    return [group for group in groups if len(group) > 1 or group[0].changed]


def _store_of(source: Source) -> bytes:
    """Under whose id its frames are sealed: before a fork it was another one."""
    return source.segment.header.store_id


def offsets_of(group: Sequence[Source], start: int) -> array[int]:
    """Where the frames of a group begin in its file, and where the last one ends."""
    offsets = array("I", [start])
    at = start
    for source in group:
        if source.changed:
            for length in source.lengths():
                at += length
                offsets.append(at)
        else:
            shift = at - source.segment.start
            old = source.part.offsets
            offsets.extend([one + shift for one in old[1:]] if shift else old[1:])
            at = offsets[-1]
    return offsets
