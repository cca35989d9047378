"""Export: the events of a store as a store of the Rust original, in its own frames and footers.

What it has no place for stays behind, and is counted: extensions, and versions of payloads. Kinds
of the library itself stay behind too: they mean something else there. Its index file is not
written; it makes one when it closes the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batpak.digest import ZERO_HASH, content_hash
from batpak.disk import posix
from batpak.disk.seam import Directory, StrPath
from batpak.event import StoredEvent
from batpak.ids import ID_BYTES
from batpak.journal import layout
from batpak.journal.v1 import footer, frame, header, row
from batpak.journal.v1.frame import BEGIN, COMMIT, MARK_ENTITY, MARK_SCOPE, Frame
from batpak.journal.v1.header import Header
from batpak.platform import REAL, Platform
from batpak.record import decode_parts
from batpak.upkeep.draft import draft

SEGMENT_BYTES: Final = 64 << 20


class RustExport(Struct, frozen=True, kw_only=True):
    """What was written."""

    path: str
    events: int
    segments: int
    skipped_reserved: int  # events of the library itself
    without_extensions: int  # events whose extensions stayed behind
    without_version: int  # events whose payload is of another version than 1


def export(
    events: Iterable[StoredEvent[bytes]],
    path: StrPath,
    *,
    platform: Platform = REAL,
    segment_bytes: int = SEGMENT_BYTES,
) -> RustExport:
    """Write a store of the Rust original. It is complete and durable, or not there.

    Args:
        events: From the first on, in order.
        path: Of a directory that is empty, or not there.
        platform: The world.
        segment_bytes: How large a file grows before the next one is begun.

    Raises:
        InvalidArgument: The directory is not empty.
        StorageFailed: The system refused.
        As the events.
    """
    with draft(platform, path) as directory:
        report = _Export(directory, platform, segment_bytes).run(events)
    return replace(report, path=posix.full_path(path))


class _Export:
    def __init__(self, directory: Directory, platform: Platform, segment_bytes: int) -> None:
        self._directory, self._platform, self._limit = directory, platform, segment_bytes
        self._heads: dict[str, tuple[int, bytes]] = {}  # next clock, hash of the newest event
        self._sequence = self._segments = 0
        self._skipped = self._extended = self._versioned = 0
        self._begin()

    def run(self, events: Iterable[StoredEvent[bytes]]) -> RustExport:
        """Write all of them."""
        for batch in self._batches(events):
            if len(self._rows) and self._end >= self._limit:
                self._close()
                self._begin()
            self._write(batch)
        self._close()
        for number in range(self._segments, 0, -1):
            layout.publish(self._directory, layout.segment_name(number))
        return RustExport(
            path=self._directory.path,
            events=self._sequence,
            segments=self._segments,
            skipped_reserved=self._skipped,
            without_extensions=self._extended,
            without_version=self._versioned,
        )

    def _batches(self, events: Iterable[StoredEvent[bytes]]) -> Iterator[list[StoredEvent[bytes]]]:
        """What was stored as one, without what stays behind."""
        batch: list[StoredEvent[bytes]] = []
        begun = -1
        for event in events:
            if event.kind.reserved:
                self._skipped += 1
                continue
            first = event.sequence - int.from_bytes(event.head[10:14], "big")
            if batch and first != begun:
                yield batch
                batch = []
            begun = first
            batch.append(event)
        if batch:
            yield batch

    def _begin(self) -> None:
        self._segments += 1
        number, now = self._segments, self._platform.wall_ns()
        begin = header.encode(Header(header.VERSION, 0, now, number))
        self._pieces, self._end = [begin], len(begin)
        self._names: dict[str, int] = {}
        self._rows: list[bytes] = []

    def _close(self) -> None:
        self._pieces.append(footer.encode(list(self._names), self._rows, self._end))
        name = layout.segment_name(self._segments)
        layout.prepare(self._directory, name, b"".join(self._pieces))

    def _write(self, batch: list[StoredEvent[bytes]]) -> None:
        if len(batch) == 1:
            self._event(batch[0])
            return
        wall_ms = batch[-1].hlc.wall_ms
        batch_id = self._sequence.to_bytes(ID_BYTES, "big")
        self._add(_mark(BEGIN, batch_id, wall_ms, len(batch)))
        for event in batch:
            self._event(event)
        self._add(_mark(COMMIT, batch_id, wall_ms, 0))

    def _event(self, event: StoredEvent[bytes]) -> None:
        parts = decode_parts(event.record)
        entity, cause = parts.entity, event.causation_id
        clock, prev_hash = self._heads.get(entity, (0, ZERO_HASH))
        own = content_hash(parts.payload)
        self._heads[entity] = (clock + 1, own)
        time = event.hlc
        found = Frame(
            event.event_id.bytes,
            event.correlation_id.bytes,
            None if cause is None else cause.bytes,
            time.wall_ms * 1000,
            time.wall_ms,
            time.counter,
            clock,
            0,
            0,
            int(event.kind),
            event.flags,
            entity,
            parts.scope,
            parts.payload,
            prev_hash,
            own,
        )
        self._extended += parts.opt is not None and parts.opt[1] is not None
        self._versioned += event.payload_version != 1
        names = self._names
        place = names.setdefault(entity, len(names))
        scope = names.setdefault(parts.scope, len(names))
        at = self._end
        size = self._add(found)
        self._rows.append(row.pack(found, place, scope, at, size, self._sequence))
        self._sequence += 1

    def _add(self, one: Frame) -> int:
        data = frame.encode(one)
        self._pieces.append(data)
        self._end += len(data)
        return len(data)


def _mark(kind: int, batch_id: bytes, wall_ms: int, count: int) -> Frame:
    """What stands before a batch or behind it."""
    return Frame(
        batch_id,
        batch_id,
        None,
        wall_ms * 1000,
        wall_ms,
        0,
        0,
        0,
        0,
        kind,
        0,
        MARK_ENTITY,
        MARK_SCOPE,
        count.to_bytes(4, "big"),
        ZERO_HASH,
        ZERO_HASH,
    )
