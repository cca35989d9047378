"""Files: what a directory of the Rust original holds, each segment mapped and its ends known."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from batpak.disk.seam import Directory, Mapped
from batpak.errors import CorruptStore, FutureVersion, StorageFailed
from batpak.faults import Damage
from batpak.journal import layout
from batpak.journal.v1 import footer, header, index, ranges
from batpak.journal.v1.footer import Footer
from batpak.journal.v1.index import Index
from batpak.journal.v1.ranges import Hidden

_SEGMENT: Final = re.compile(r"([0-9]{6}|[1-9][0-9]{6,17})\.fbat")
_UNFINISHED: Final = "compaction.pending.json"
_SOURCE: Final = ".compact-src"
_KEYS: Final = "keyset.fbatk"
_READ: Final = frozenset({index.NAME, index.CHECKPOINT, ranges.NAME, layout.LOCK})


class File(NamedTuple):
    """One segment file."""

    number: int
    path: str
    data: Mapped
    start: int  # of the first frame
    footer: Footer | None

    @property
    def end(self) -> int:
        """Where frames have to end."""
        return len(self.data) if self.footer is None else self.footer.frames_end


class Found(NamedTuple):
    """What a directory holds."""

    segments: dict[int, str]  # number -> name, ascending
    names: frozenset[str]
    ignored: tuple[str, ...]  # cursors, caches, keys of operations and the rest


def look(directory: Directory) -> Found:
    """Read the directory once.

    Raises:
        StorageFailed: The system refused, or there is no segment.
        CorruptStore: A compaction is not finished; only the original can do that.
        FutureVersion: Its payloads are encrypted.
    """
    with layout.asking("list", directory.path):
        entries = directory.entries()
    segments: dict[int, str] = {}
    ignored: list[str] = []
    for entry in sorted(entries):
        match = _SEGMENT.fullmatch(entry.name) if entry.is_file else None
        if entry.name == _UNFINISHED or entry.name.endswith(_SOURCE):
            path = layout.path_of(directory, entry.name)
            detail = "a compaction was not finished: open the store once with the Rust library"
            raise CorruptStore(path, 0, Damage.LAYOUT, detail)
        if entry.name == _KEYS:
            raise FutureVersion(f"{directory.path}: encrypted payloads", 2, 1)
        if match:
            segments[int(match[1])] = entry.name
        elif entry.name not in _READ:
            ignored.append(entry.name)
    if not segments:
        raise StorageFailed("open", directory.path, None, "there is no store here")
    names = frozenset(entry.name for entry in entries)
    return Found(dict(sorted(segments.items())), names, tuple(ignored))


def is_one(directory: Directory) -> bool:
    """Whether a directory is a store of the original, judged by how its first segment begins.

    Raises:
        StorageFailed: The system refused.
    """
    found = layout.listing(directory)
    if not found.segments or found.has_head:
        return False
    name = layout.segment_name(next(iter(found.segments)))
    with layout.asking("read", layout.path_of(directory, name)):
        file = directory.open(name)
        try:
            return header.is_ours(file.pread(0, header.HEADER_BYTES_MAX))
        finally:
            file.close()


def load(directory: Directory, number: int, name: str) -> File:
    """Map a segment and read its ends.

    Raises:
        StorageFailed: The system refused.
        CorruptStore: It has no header of version 1, or a footer that does not fit it.
        FutureVersion: Its footer is one of a later release.
        InvalidArgument: It is one of a store of this library.
    """
    path = layout.path_of(directory, name)
    with layout.asking("read", path):
        file = directory.open(name)
        try:
            data = file.map() if file.size() else b""
        finally:
            file.close()
    _, start = header.decode(bytes(data[: header.HEADER_BYTES_MAX + 8]), path)
    return File(number, path, data, start, footer.read(data, start, path))


def hidden(directory: Directory, found: Found) -> Hidden:
    """Which numbers are hidden.

    Raises:
        StorageFailed: The system refused.
        CorruptStore: The file that says so is damaged.
        FutureVersion: It is one of a later release.
    """
    if ranges.NAME not in found.names:
        return Hidden([])
    data = layout.read_small(directory, ranges.NAME, ranges.BYTES_MAX)
    return ranges.decode(data, layout.path_of(directory, ranges.NAME))


def indexes(directory: Directory, found: Found) -> list[tuple[str, Index]]:
    """Those that can be read, the one that the original prefers first."""
    usable: list[tuple[str, Index]] = []
    for name, decode in ((index.NAME, index.decode), (index.CHECKPOINT, index.decode_checkpoint)):
        if name in found.names:
            try:
                one = decode(layout.read_small(directory, name, index.BYTES_MAX))
            except (StorageFailed, CorruptStore):
                continue  # the frames have it all
            if one is not None:
                usable.append((name, one))
    return usable
