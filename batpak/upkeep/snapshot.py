"""A snapshot: the log as it was at one moment, as a directory that opens as the same store.

    on the lane           sync; note the files, how far they go, and the checkpoints
    beside the appends    copy, each file durable before it has its name; HEAD, which says that the
                          log was closed there, is the last; then the directory gets its name

The files are opened on the lane, so whatever happens to their names meanwhile, what is copied is of
that moment. Bytes before the noted end never change. Nothing is linked: a footer that is written
later, or a cut, would reach into the copy.
Reference: docs/how-to/back-up-and-restore.md.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final
from uuid import UUID

from msgspec import Struct

from batpak.arguments import require_callable
from batpak.digest import blake3_of
from batpak.disk.seam import Directory, ReadFile
from batpak.disk.whole import write_all
from batpak.errors import CorruptStore
from batpak.faults import Damage
from batpak.index.sealed import Sealed
from batpak.index.table import Table
from batpak.journal import head, layout
from batpak.journal.head import Head
from batpak.journal.header import Header
from batpak.journal.segment import Segments, Tip
from batpak.platform import Platform
from batpak.report import CopiedFile, Progress, SnapshotReport

CHUNK_BYTES: Final = layout.COPY_BYTES


class Pinned(Struct, frozen=True):
    """A file, and how much of it belongs to the snapshot."""

    name: str
    path: str
    file: ReadFile
    size: int
    whole: bool = False  # its footer is written: nothing more is going to happen to it


class Point(Struct, frozen=True):
    """All that a snapshot is made of."""

    state: Head
    newest: Header  # of the file that the log ends in
    files: list[Pinned]
    cursors: dict[str, bytes]

    def close(self) -> None:
        """Give the files back. Twice is harmless."""
        for pinned in self.files:
            pinned.file.close()


def take(
    directory: Directory,
    store_id: bytes,
    segments: Segments,
    table: Table,
    tip: Tip,
    platform: Platform,
    *,
    cursors: bool,
) -> Point:
    """Note where the log stands. Nothing is being committed meanwhile, and all of it is durable.

    Raises:
        StorageFailed: The system refused.
        CorruptStore: A checkpoint is larger than any can be.
    """
    newest = segments.newest
    state = Head(
        store_id,
        head.CLEAN,
        newest.header.segment_id,
        newest.end,
        tip.sequence,
        tip.chain_head,
        platform.wall_ns(),
    )
    with_footer = {
        part.segment_id
        for part in table.parts
        if isinstance(part, Sealed) and not part.rebuilt  # else what is behind the frames may go
    }
    point = Point(state, newest.header, [], checkpoints(directory) if cursors else {})
    try:
        for segment in segments:
            file, size = segment.opened_again(), segment.end
            point.files.append(Pinned(segment.name, segment.path, file, size))
            if segment.segment_id in with_footer:
                with layout.asking("measure", segment.path):
                    size = max(size, file.size())
                point.files[-1] = Pinned(segment.name, segment.path, file, size, whole=True)
    except BaseException:
        point.close()
        raise
    return point


def checkpoints(directory: Directory) -> dict[str, bytes]:
    """Every checkpoint as it is. What one says was durable before it was written."""
    path = layout.path_of(directory, layout.CURSORS)
    with layout.asking("open", path), suppress(FileNotFoundError):
        shelf = directory.subdir(layout.CURSORS, create=False)
        try:
            return {
                entry.name: layout.read_small(shelf, entry.name, layout.CHECKPOINT_BYTES_MAX)
                for entry in shelf.entries()
                if entry.is_file and entry.name.endswith(layout.CHECKPOINT)
            }
        finally:
            shelf.close()
    return {}


def copy(point: Point, target: Directory, progress: Progress | None = None) -> SnapshotReport:
    """Write all of it into an empty directory, durably, and give the files back.

    Raises:
        StorageFailed: The system refused.
        CorruptStore: A file is shorter than what was written to it.
        InvalidArgument: `progress` cannot be called.
    """
    try:
        if progress is not None:
            require_callable("progress", progress)
        files: list[CopiedFile] = []
        for pinned in point.files:
            files.append(copied(target, pinned))
            if progress is not None:
                done = sum(file.size for file in files)
                progress(done, sum(one.size for one in point.files))
    finally:
        point.close()
    if point.cursors:
        with layout.asking("create", layout.path_of(target, layout.CURSORS)):
            shelf = target.subdir(layout.CURSORS, create=True)
        try:
            for name, data in point.cursors.items():
                layout.replace(shelf, name, data)
                files.append(_file(f"{layout.CURSORS}/{name}", data))
        finally:
            shelf.close()
    data = head.encode(point.state)
    layout.replace(target, layout.HEAD, data)  # which makes all names in there durable
    files.append(_file(layout.HEAD, data))
    return SnapshotReport(
        store_id=UUID(bytes=point.state.store_id),
        sequence=point.state.next_sequence,
        head=point.state.chain_head,
        bytes=sum(file.size for file in files),
        files=tuple(files),
    )


def copied(target: Directory, pinned: Pinned) -> CopiedFile:
    """Copy one file; it has its name only when it is whole and durable."""
    temporary, hasher, done = pinned.name + layout.TEMPORARY, blake3_of(b""), 0
    path = layout.path_of(target, temporary)
    with layout.asking("create", path):
        file = target.create(temporary)
    try:
        while done < pinned.size:
            with layout.asking("read", pinned.path):
                data = pinned.file.pread(done, min(CHUNK_BYTES, pinned.size - done))
            if not data:
                detail = "the file is shorter than what was written to it"
                raise CorruptStore(pinned.path, done, Damage.SEGMENT, detail)
            hasher.update(data)
            with layout.asking("write", path):
                write_all(file, done, data)
            done += len(data)
        with layout.asking("sync", path):
            file.sync(data_only=False)
    finally:
        with layout.asking("close", path):
            file.close()
    pinned.file.close()
    with layout.asking("replace", path):
        target.replace(temporary, pinned.name)
    return CopiedFile(name=pinned.name, size=done, blake3=hasher.digest())


def _file(name: str, data: bytes) -> CopiedFile:
    return CopiedFile(name=name, size=len(data), blake3=blake3_of(data).digest())
