"""RustSource: a store of the Rust original (0.7), read where it is. It is never written to."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self, final

from msgspec import Struct

from batpak.arguments import is_count
from batpak.coordinate import Coordinate
from batpak.disk.seam import Directory, Lock, StrPath
from batpak.errors import (
    CorruptStore,
    InvalidArgument,
    InvalidCoordinate,
    StorageFailed,
    StoreClosed,
)
from batpak.faults import CoordinateFault, Damage
from batpak.ids import ID_BYTES
from batpak.journal import layout
from batpak.journal.frame import Fault
from batpak.journal.v1 import frame
from batpak.journal.v1.frame import Frame
from batpak.journal.v1.ranges import Hidden
from batpak.kind import EventKind
from batpak.platform import REAL, Platform
from batpak.record import uuid_of
from batpak.upkeep.imported import ImportedEvent, RustPosition
from batpak.upkeep.rust import files, numbers
from batpak.upkeep.rust.numbers import Numbers
from batpak.upkeep.rust.scan import LeftOut, Scan

_IDS: Final = struct.Struct(f"{ID_BYTES}s")
NAMES_MAX: Final = 1 << 16  # kept, so that equal ones are not checked again


class RustReport(Struct, frozen=True, kw_only=True):
    """What an open of a store of the Rust original has found."""

    path: str
    locked: bool  # False: there was no lock file
    segments: int
    bytes: int  # of the segment files
    events: int  # that are visible
    hidden: int  # of a fence that was cancelled
    next_sequence: int  # behind the last number that is in use
    numbered_by: str  # the name of an index file, `footers` or `frames`
    kinds: dict[int, int]  # kind -> visible events
    left_out: tuple[LeftOut, ...]
    ignored_files: tuple[str, ...]  # cursors, caches and the rest: they are not read


@final
class RustSource:
    """A store of the Rust original. Made by `RustSource.open`. One thread at a time."""

    def __init__(
        self,
        directory: Directory,
        lock: Lock | None,
        scan: Scan,
        found: Numbers,
        hidden: Hidden,
        report: RustReport,
    ) -> None:
        self.report: Final = report
        self._directory, self._lock = directory, lock
        self._scan, self._numbers, self._hidden = scan, found, hidden
        self._names: dict[tuple[str, str], CoordinateFault | None] = {}
        self._closed = False

    @staticmethod
    def open(path: StrPath, *, platform: Platform = REAL) -> RustSource:
        """Look at every frame of a store: its checksum, and where it belongs. Nothing is changed.

        Left out, and told in `report`: an end that was being written, batches that were not
        completed, events that are hidden. What else is wrong is refused, here or, where only the
        payload shows it, when the event is read.

        Raises:
            InvalidArgument: No path, or a store of this library.
            StoreLocked: The original has it open.
            StorageFailed: The system refused, or there is no store.
            CorruptStore: It is damaged, or in the middle of a compaction.
            FutureVersion: It was written by a later release.
        """
        directory = layout.enter(platform, path, create=False)
        lock: Lock | None = None
        try:
            lock = _lock(directory, platform)
            found = files.look(directory)
            hidden = files.hidden(directory, found)
            scan = Scan()
            for number, name in found.segments.items():
                scan.add(files.load(directory, number, name))
            scan.end()
            given = numbers.assign(scan, files.indexes(directory, found), hidden)
            report = _report(directory.path, lock is not None, scan, given, hidden, found.ignored)
        except BaseException:
            if lock is not None:
                lock.release()
            directory.close()
            raise
        return RustSource(directory, lock, scan, given, hidden, report)

    def events(self, *, after: int | None = None) -> Iterator[ImportedEvent]:
        """The visible events in their global order.

        Args:
            after: Only behind this global sequence.

        Raises:
            InvalidArgument: `after` is no sequence.
            CorruptStore: While iterating; a payload is not the one that its hash is of.
            StoreClosed: While iterating; the source was closed.
        """
        return self._events(_behind(after))

    def frames(self, *, after: int | None = None) -> Iterator[tuple[int, Frame]]:
        """Global sequence and frame of the visible events. Raises as `events`."""
        found = self._read(_behind(after))
        return ((self._numbers.of[row], one) for row, one in found)

    def faults(self) -> Iterator[CorruptStore]:
        """Read every event, visible or not; what is wrong with those that are damaged.

        Raises:
            StoreClosed: While iterating; the source was closed.
        """
        for row in range(len(self._scan)):
            if self._closed:
                raise StoreClosed
            try:
                self._frame(row)
            except CorruptStore as error:
                yield error

    def close(self) -> None:
        """Give the directory back. Twice is harmless."""
        self._closed = True
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()
        self._directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, after: int) -> Iterator[tuple[int, Frame]]:
        numbers_of, hidden = self._numbers.of, self._hidden or ()
        for row in self._numbers.order:
            if self._closed:
                raise StoreClosed
            number = numbers_of[row]
            if number > after and number not in hidden:
                yield row, self._frame(row)

    def _events(self, after: int) -> Iterator[ImportedEvent]:
        repeats = self._repeats()
        firsts: dict[int, int] = {}
        last_batch = first = 0
        for row, found in self._read(after):
            number, batch = self._numbers.of[row], self._scan.batch[row]
            if batch and batch != last_batch:
                first = firsts.setdefault(batch, number)
            last_batch = batch
            event_id, correlation, cause = uuid_of(found.event_id), None, found.causation_id
            if found.correlation_id != found.event_id:
                correlation = uuid_of(found.correlation_id)
            yield ImportedEvent(
                event_id=event_id,
                sequence=number,
                entity=found.entity,
                scope=found.scope,
                kind=EventKind.from_wire(found.kind),
                payload=found.payload,
                flags=found.flags,
                version=found.clock + 1,
                correlation_id=correlation or event_id,
                causation_id=None if cause is None else uuid_of(cause),
                time_us=found.timestamp_us,
                batch=first if batch else None,
                repeat=repeats.get(row, 0),
                position=RustPosition(found.clock, found.lane, found.depth),
            )

    def _repeats(self) -> dict[int, int]:
        """Rows of events whose id an earlier visible one has: a key used again after a cancel."""
        scan = self._scan
        if len(set(_IDS.iter_unpack(scan.ids))) == len(scan):
            return {}
        seen: Counter[bytes] = Counter()
        found: dict[int, int] = {}
        for row in self._numbers.order:
            if self._numbers.of[row] not in self._hidden:
                event_id = scan.id_of(row)
                found[row] = seen[event_id]
                seen[event_id] += 1
        return {row: count for row, count in found.items() if count}

    def _frame(self, row: int) -> Frame:
        """One event, its payload checked.

        Raises:
            CorruptStore: It is not as it was written, or has a name that the original refuses.
        """
        file, at = self._scan.place_of(row)
        body = frame.body_at(file.data, at, file.end)
        found = frame.decode(body) if isinstance(body, bytes) else body
        if not isinstance(found, Frame):
            fault = found or Fault(Damage.FRAME, "a frame is cut")
            raise CorruptStore(file.path, at, fault.reason, fault.detail)
        names = (found.entity, found.scope)
        if names not in self._names:
            if len(self._names) >= NAMES_MAX:
                self._names.clear()
            self._names[names] = _fault_of(*names)
        fault_of = self._names[names]
        if fault_of is not None:
            detail = f"the entity or the scope is none that the original takes: {fault_of.value}"
            raise CorruptStore(file.path, at, Damage.FRAME, detail)
        return found


def _behind(after: object) -> int:
    """The sequence behind which events are asked for; -1: all of them."""
    if after is None:
        return -1
    if not is_count(after):
        raise InvalidArgument("after", "must be a sequence, 0 or more")
    return after


def is_rust(path: StrPath, platform: Platform = REAL) -> bool:
    """Whether a directory is a store of the Rust original; only its first bytes are read.

    Raises:
        InvalidArgument: No path.
        StorageFailed: The system refused.
    """
    directory = layout.enter(platform, path, create=False)
    try:
        return files.is_one(directory)
    finally:
        directory.close()


def _report(
    path: str, locked: bool, scan: Scan, given: Numbers, hidden: Hidden, ignored: tuple[str, ...]
) -> RustReport:
    visible = [row for row in given.order if given.of[row] not in hidden]
    return RustReport(
        path=path,
        locked=locked,
        segments=len(scan.files),
        bytes=sum(len(file.data) for file in scan.files),
        events=len(visible),
        hidden=len(scan) - len(visible),
        next_sequence=max(given.of, default=-1) + 1,
        numbered_by=given.source,
        kinds=dict(sorted(Counter(scan.kind[row] for row in visible).items())),
        left_out=tuple(scan.left_out),
        ignored_files=ignored,
    )


def _lock(directory: Directory, platform: Platform) -> Lock | None:
    """Keep a writer out, if there is a lock file that may be opened.

    Raises:
        StoreLocked: A writer is in.
    """
    try:
        return layout.lock(directory, platform.pid(), shared=True)
    except StorageFailed:  # of another user, or on a system without locks
        return None


def _fault_of(entity: str, scope: str) -> CoordinateFault | None:
    """What no store of the original can have in a name. `|` and `=` it can, and we can not."""
    try:
        Coordinate(entity.translate(_ALLOWED_THERE), scope.translate(_ALLOWED_THERE))
    except InvalidCoordinate as error:
        return error.reason
    return None


_ALLOWED_THERE: Final = str.maketrans("|=", "__")
