"""StoreReader: everything that can be asked of a store, and all that a read-only open offers.

A read never waits for a writer. An iterator shows the log as it was when it was asked for, holds
no lock between items, and checks every frame it reads.
"""

from __future__ import annotations

import errno
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Self, overload
from uuid import UUID

from msgspec import Struct

from batpak import registry
from batpak.disk import Directory, Lock, StrPath
from batpak.errors import (
    EventNotFound,
    ForkedStoreError,
    InvalidArgument,
    KindMismatch,
    StorageFailed,
    StoreClosed,
    StoreLocked,
    StoreReadOnly,
)
from batpak.event import P, StoredEvent
from batpak.ids import EventId
from batpak.index import query
from batpak.journal import header, layout
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.platform import Platform
from batpak.read.fetch import Fetch, event_id
from batpak.read.projection import Projection, S, project
from batpak.recovery import restore
from batpak.recovery.restore import Recovered
from batpak.region import Region, kind_of
from batpak.report import Mode, OpenReport, VerifyReport
from batpak.upkeep.verify import Look, look, verify_log

_VERBS: Final = frozenset({"append"})


class Opened(Struct):
    """A locked and recovered log, with what has to be given back at the end."""

    platform: Platform
    directory: Directory
    lock: Lock | None
    log: Recovered
    report: OpenReport
    abandon_writer: Callable[[], None] | None = None

    def release(self) -> None:
        """Give everything back. Twice is harmless, also from two threads or interrupted."""
        self._close_files()
        lock, self.lock = self.lock, None  # one caller gets it; a lost one releases itself
        if lock is not None:
            lock.release()
        self.directory.close()

    def abandon(self) -> None:
        """Close the descriptors and leave the lock alone: it is the parent's."""
        self._close_files()
        if self.lock is not None:
            self.lock.abandon()
        self.directory.close()

    def _close_files(self) -> None:
        self.log.segments.close()
        if self.abandon_writer is not None:
            self.abandon_writer()


def open_log(path: StrPath, platform: Platform, *, writable: bool, create: bool) -> Opened:
    """Lock a directory and recover the log in it.

    Raises:
        RegistryError: A payload class of this program cannot be decoded. Nothing was touched.
        InvalidArgument: No path, a big-endian host, or a store of format version 1.
        StoreLocked: Another handle holds the directory.
        StorageFailed: The system refused, or there is no store and none may be made.
        CorruptStore, FutureVersion: The bytes are damaged, or newer than this code.
    """
    if sys.byteorder != "little":
        raise InvalidArgument("host", "a big-endian machine cannot open a store")
    registry.validate()
    began = platform.monotonic_ns()
    directory = layout.enter(platform, path, create=create)
    full = directory.path
    lock: Lock | None = None
    try:
        if writable and not create and not restore.is_store(directory):
            raise StorageFailed("open", full, errno.ENOENT, "there is no store here")
        lock = layout.lock(directory, platform.pid(), shared=not writable)
        log = restore.restore(directory, platform, writable=writable)
        if lock is None and layout.listing(directory).has_lock:
            raise StoreLocked(full, "reading", None)  # a writer came while we were looking
    except BaseException:
        if lock is not None:
            lock.release()
        directory.close()
        raise
    report = OpenReport(
        store_id=UUID(bytes=log.store_id),
        path=full,
        format_version=header.VERSION,
        mode=Mode.WRITE if writable else Mode.READ,
        locked=lock is not None,
        clean=log.clean,
        segments=len(log.segments),
        events=log.table.bound,
        next_sequence=log.tip.sequence,
        scanned_bytes=log.scanned_bytes,
        elapsed_ms=(platform.monotonic_ns() - began) // 1_000_000,
        torn=log.torn,
        dropped_batch_items=log.dropped_batch_items,
        ignored_files=log.ignored_files,
        unknown_kinds=log.unknown_kinds,
        head_checked=True,
    )
    return Opened(platform, directory, lock, log, report)


class StoreReader:
    """A store, for reading. Made by `Store.open_read_only`; `Store` adds the writing verbs.

    Any thread may use it at any time. Iterators belong to one thread at a time.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._table = opened.log.table
        self._fetch = Fetch(opened.log.segments, opened.log.table)
        self._pid, self._opener_pid = opened.platform.pid, opened.platform.pid()
        self._unclosed = weakref.finalize(self, _give_back, opened, self._opener_pid)

    @property
    def open_report(self) -> OpenReport:
        """What the open found, and what it did about it."""
        return self._opened.report

    @overload
    def get(self, which: EventId | int, fact: None = None) -> StoredEvent[EventPayload]: ...

    @overload
    def get(self, which: EventId | int, fact: type[P]) -> StoredEvent[P]: ...

    def get(
        self, which: EventId | int, fact: type[EventPayload] | None = None
    ) -> StoredEvent[EventPayload]:
        """One event, by id or by sequence.

        Args:
            which: An event id, or a sequence.
            fact: The payload class to expect.

        Raises:
            EventNotFound: There is no such event.
            KindMismatch: It is of another kind than `fact`.
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: It cannot be read as it was.
        """
        self._alive()
        row, wanted = self._find(which)
        expected = None if fact is None else kind_of("fact", fact)
        body = b"" if row is None else self._fetch.body(row)
        if row is None or (wanted is not None and event_id(body) != wanted):
            raise EventNotFound(which)
        if expected is not None and self._table.kinds[row] != expected:
            raise KindMismatch(expected, self._table.kinds[row], UUID(bytes=event_id(body)))
        return self._fetch.event(row, body)

    def _find(self, which: object) -> tuple[int | None, bytes | None]:
        """The only row it can be, and the id that has to be there."""
        if isinstance(which, UUID):
            return self._table.with_id(which.int >> 64), which.bytes
        if isinstance(which, int) and _is_count(which):
            return which if which < self._table.bound else None, None
        raise InvalidArgument("which", "must be an event id or a sequence")

    def stream(
        self,
        entity: str,
        *,
        first_version: int = 1,
        last_version: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[EventPayload]]:
        """The events of one entity in version order; nothing for an unknown one.

        Args:
            entity: Exact.
            first_version: At least 1.
            last_version: Included. None: up to the newest.
            limit: How many at most.
            reverse: Newest first.

        Raises:
            InvalidArgument: A number is out of range.
        """
        self._alive()
        if not _is_count(first_version) or first_version < 1:
            raise InvalidArgument("first_version", "must be at least 1")
        if last_version is not None and not _is_count(last_version):
            raise InvalidArgument("last_version", "must not be negative")
        rows = self._entity_rows(entity)[first_version - 1 : last_version]
        return self._read(rows, limit, reverse=reverse)

    def query(
        self,
        region: Region | None = None,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[EventPayload]]:
        """The events that a region matches, in sequence order.

        Args:
            region: What to look for. None: everything, the store's own events included.
            after: Only sequences above this one.
            before: Only sequences below this one.
            limit: How many at most.
            reverse: Newest first.

        Raises:
            InvalidArgument: A number is negative.
        """
        self._alive()
        rows = self._rows(Region.all() if region is None else region, after, before)
        return self._read(rows, limit, reverse=reverse)

    @overload
    def by_fact(
        self,
        fact: type[P],
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[P]]: ...

    @overload
    def by_fact(
        self,
        fact: EventKind,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[EventPayload]]: ...

    def by_fact(
        self,
        fact: type[EventPayload] | EventKind,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[EventPayload]]:
        """The events of one kind, in sequence order. Arguments as in `query`."""
        self._alive()
        rows = self._rows(Region(kinds=kind_of("fact", fact)), after, before)
        return self._read(rows, limit, reverse=reverse)

    def version(self, entity: str) -> int:
        """How many events an entity has; 0 for an unknown one."""
        self._alive()
        return self._table.version(_text("entity", entity))

    def count(self, region: Region | None = None) -> int:
        """How many events a region matches. No frame is read."""
        self._alive()
        return len(self._rows(Region.all() if region is None else region, None, None))

    def project(self, projection: Projection[S], entity: str) -> S | None:
        """Fold the relevant events of one entity. None: there are none.

        Raises:
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: An event cannot be read.
        """
        self._alive()
        rows: Sequence[int] = self._entity_rows(entity)
        if projection.KINDS:
            kinds = self._table.kinds
            rows = [row for row in rows if kinds[row] in projection.KINDS]
        return project(projection, self._fetch.events(rows))

    def verify(self) -> VerifyReport:
        """Recompute every checksum, hash and link of the log as it is now. Changes nothing.

        Raises:
            StorageFailed: The system refused.
            FutureVersion: Something in the directory is newer than this code.
        """
        self._alive()
        return verify_log(self._opened.directory, self._look())

    def _look(self) -> Look:
        return look(self._opened.directory, self._table.bound)

    def close(self) -> None:
        """Give the directory back. Twice is harmless; iterators that are not done end here.

        A close that an exception from outside (Ctrl-C) has cut short may be repeated.
        """
        if self._pid() != self._opener_pid:
            self._fetch.closed = True
            self._opened.abandon()
            self._unclosed.detach()
            return
        try:
            self._end()
        finally:
            if self._fetch.closed:  # else somebody is inside an append and needs the files
                self._opened.release()
                self._unclosed.detach()

    def _end(self) -> None:
        """What has to happen before the lock is given back; then nothing is read any more."""
        self._fetch.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @override
    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(f"a {name} cannot be copied or pickled; open the path where it is needed")

    if not TYPE_CHECKING:  # for type checkers a reader has no writing verb at all

        def __getattr__(self, name: str) -> NoReturn:
            if name in _VERBS:
                raise StoreReadOnly(name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _alive(self) -> None:
        if self._pid() != self._opener_pid:
            raise ForkedStoreError(self._opener_pid)
        if self._fetch.closed:
            raise StoreClosed

    def _entity_rows(self, entity: str) -> Sequence[int]:
        rows = self._table.entity_rows.get(_text("entity", entity))
        return () if rows is None else query.between(rows.rows, 0, self._table.bound)

    def _rows(self, region: object, after: int | None, before: int | None) -> Sequence[int]:
        if not isinstance(region, Region):
            raise InvalidArgument("region", f"must be a Region, not {type(region).__name__}")
        for name, value in (("after", after), ("before", before)):
            if value is not None and not _is_count(value):
                raise InvalidArgument(name, "must be a sequence, 0 or more")
        bound = self._table.bound
        start = 0 if after is None else after + 1
        return query.rows(
            self._table, region, start, bound if before is None else min(before, bound)
        )

    def _read(
        self, rows: Sequence[int], limit: int | None, *, reverse: bool
    ) -> Iterator[StoredEvent[EventPayload]]:
        if limit is not None and not _is_count(limit):
            raise InvalidArgument("limit", "must not be negative")
        ordered = reversed(rows) if reverse else rows
        return self._fetch.events(
            ordered if limit is None else islice(ordered, min(limit, len(rows)))
        )


def _text(argument: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(argument, f"must be text, not {type(value).__name__}")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _give_back(opened: Opened, opener_pid: int) -> None:
    """A handle was lost without `close`: say so, and free the directory for others."""
    if opened.platform.pid() != opener_pid:
        opened.abandon()
        return
    warnings.warn(f"unclosed store {opened.report.path}", ResourceWarning, stacklevel=2)
    opened.release()
