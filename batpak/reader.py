"""StoreReader: everything that can be asked of a store, and all that a read-only open offers.

Queries, waits, projections and feeds are in modules of their own names; here is what is asked of
entities, causes and the store itself, and how a handle ends.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar, overload
from uuid import UUID

from batpak.append import AppendReceipt, Cause
from batpak.append_receipt import verify_receipt
from batpak.arguments import count_of, limit_of, text_of
from batpak.config import Signing
from batpak.diagnostics import Diagnostics
from batpak.disk.seam import StrPath
from batpak.errors import (
    EventNotFound,
    ForkedStoreError,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    StoreReadOnly,
)
from batpak.event import IndexEntry, StoredEvent
from batpak.feeds import Feeds
from batpak.ids import EventId
from batpak.index import query
from batpak.journal.segment import Tip
from batpak.note import CheckpointNote
from batpak.opened import Opened
from batpak.override import override
from batpak.payload import EventPayload
from batpak.proof import Proof
from batpak.read import ancestry, causes, claims, path
from batpak.read.ancestry import Ancestry
from batpak.read.causes import CausalPath, Impacts
from batpak.region import Region
from batpak.report import (
    Ancestor,
    ForkReport,
    Health,
    HealthState,
    OpenReport,
    Progress,
    SnapshotReport,
    Stats,
    VerifyReport,
)
from batpak.signing.verdict import Invalid, TrustVerdict
from batpak.upkeep.draft import draft
from batpak.upkeep.fork import diverge
from batpak.upkeep.snapshot import Point, copy, take
from batpak.upkeep.stats import stats_of
from batpak.upkeep.verify import Look, look, verify_log
from batpak.wire import TYPED, Form, Q, form_of

T = TypeVar("T")

# fmt: off
_VERBS: Final = frozenset((
    "append", "append_raw", "append_batch", "append_denial", "submit", "submit_batch", "try_submit",
    "try_submit_batch", "outbox", "visibility_fence", "pressure", "compact", "sync",
    "import_events", "checkpoint", "cursor_worker", "react", "cursor_checkpoints", "reset_cursor",
))
# fmt: on
_ALL: Final = Region.all()


class StoreReader(Feeds):
    """A store, for reading. Made by `Store.open_read_only`; `Store` adds the writing verbs.

    Any thread may use it at any time. Iterators belong to one thread at a time.
    """

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened)
        self._pid, self._opener_pid = opened.platform.pid, opened.platform.pid()
        self._unclosed = weakref.finalize(self, _give_back, opened, self._opener_pid)

    @property
    def open_report(self) -> OpenReport:
        """What the open found, and what it did about it."""
        return self._opened.report

    @property
    def store_id(self) -> UUID:
        """The id that the store was given when it was made."""
        return self._opened.report.store_id

    @property
    def retention_epoch(self) -> int:
        """How often compaction has removed events or payloads from this log."""
        return self._table.epoch

    # ------------------------------------------------------------------------------- entities

    def version(self, entity: str) -> int:
        """How many events an entity has had, removed ones included; 0 for an unknown one."""
        self._alive()
        name = text_of("entity", entity)
        return self._fetch.healing(lambda: self._table.version(name))

    def entities(self, prefix: str | None = None, *, scope: str | None = None) -> Iterator[str]:
        """The names of entities in byte order.

        Args:
            prefix: Only those in this namespace, as `Region.entity` has it.
            scope: Only those with an event in this scope.
        """
        self._alive()
        wanted = Region(entity=prefix, scope=scope)
        ask = partial(query.entities, self._table, wanted.entity, wanted.scope)
        return self._while_open(self._fetch.healing(ask))

    def _while_open(self, found: Iterator[T]) -> Iterator[T]:
        for one in found:
            self._alive()
            yield one

    # -------------------------------------------------------------------- ancestors and causes

    @overload
    def walk_ancestors(
        self, event: EventId | IndexEntry, *, limit: int | None = None
    ) -> Ancestry[EventPayload]: ...

    @overload
    def walk_ancestors(
        self, event: EventId | IndexEntry, *, limit: int | None = None, form: Form[Q]
    ) -> Ancestry[Q]: ...

    def walk_ancestors(
        self,
        event: EventId | IndexEntry,
        *,
        limit: int | None = None,
        form: Form[Any] = TYPED,
    ) -> Ancestry[Any]:
        """An event and the events of its entity before it, newest first, each link verified.

        `end` says why the walk ended; only GENESIS means that it saw all of them.
        """
        self._alive()
        entry, limit = self._entry(event), limit_of("limit", limit)
        form, table = form_of(form), self._table

        def walk() -> Ancestry[Any]:
            place = None if entry is None else table.locate(entry.sequence)
            return ancestry.walk(self._fetch, table, place, limit, form)

        return self._fetch.healing(walk)

    def why(self, event: EventId | IndexEntry, *, limit: int = 1000) -> CausalPath:
        """An event, the event that caused it, and so on up to the root.

        Raises:
            EventNotFound: There is no such event.
        """
        anchor, at_most = self._anchor(event), count_of("limit", limit)
        return self._fetch.healing(lambda: causes.why(self._fetch, self._table, anchor, at_most))

    def impact(
        self, event: EventId | IndexEntry, *, limit: int = 1000, max_depth: int | None = None
    ) -> Impacts:
        """Everything that an event caused, directly or not, in sequence order.

        Raises:
            EventNotFound: There is no such event.
        """
        anchor = self._anchor(event)
        at_most, deep = count_of("limit", limit), limit_of("max_depth", max_depth)
        return Impacts(self._fetch, self._table, anchor, at_most, deep)

    def _anchor(self, event: EventId | IndexEntry) -> IndexEntry:
        self._alive()
        entry = self._entry(event)
        if entry is None or causes.is_dropped(entry):
            which = event.event_id if isinstance(event, IndexEntry) else event
            raise EventNotFound(which, dropped=entry is not None)
        return entry

    def _entry(self, event: object) -> IndexEntry | None:
        which = event.event_id if isinstance(event, IndexEntry) else event
        if not isinstance(which, UUID):
            raise InvalidArgument("event", "must be an event id or an entry")
        wanted = EventId(which)
        return self._fetch.healing(lambda: causes.find(self._fetch, self._table, wanted))

    # --------------------------------------------------------------------------------- health

    def verify(
        self, *, since: CheckpointNote | None = None, progress: Progress | None = None
    ) -> VerifyReport:
        """Recompute every checksum, hash and link of the log as it is now. Changes nothing.

        Every checkpoint is held against the log, too.

        Args:
            since: A note that was kept elsewhere; the report says whether the log goes on from it.
                Where the config has keys, one of them has to have signed it.
            progress: Told at first, and every few MiB, how many bytes are looked at, of how many.

        Raises:
            StorageFailed: The system refused.
            FutureVersion: Something in the directory is newer than this code.
        """
        self._alive()
        if type(since) not in (CheckpointNote, type(None)):
            raise InvalidArgument("since", "must be a CheckpointNote")
        with self._until_closed():
            config = self._opened.config
            unsigned = not config.believed and config.signing is Signing.OPTIONAL
            believed = None if unsigned else config.believed
            directory = self._opened.directory
            return self._still(
                lambda: verify_log(directory, self._look(), since, believed, progress)
            )

    def verify_receipt(
        self, receipt: AppendReceipt, *, accept_unsigned: bool = False
    ) -> TrustVerdict:
        """Whether a key of the config has signed a receipt, and the log has what it says.

        Args:
            receipt: Perhaps from a stranger.
            accept_unsigned: Whether one that nobody has signed may pass, as `Unsigned`. Where the
                config says that signing is required, it may not.

        Raises:
            InvalidArgument: No receipt.
            CorruptStore: The event that it names cannot be read.
        """
        self._alive()
        config = self._opened.config
        may_be_unsigned = accept_unsigned and config.signing is Signing.OPTIONAL
        verdict = verify_receipt(receipt, config.believed, accept_unsigned=may_be_unsigned)
        if isinstance(verdict, Invalid):
            return verdict
        store_id = self._owner(receipt.sequence)
        reason = self._fetch.healing(
            lambda: claims.contradiction(self._fetch, self._table, store_id, receipt)
        )
        return verdict if reason is None else Invalid(reason)

    def prove(self, event: Cause, note: CheckpointNote) -> Proof:
        """Proof that the log of a note has an event, for somebody who has no store.

        It holds the payload of the event, and of each event behind it, up to the note, all but the
        payload. With a signed note and the public key it is verified offline.

        Args:
            event: Its id, an entry, a receipt, or the event itself.
            note: Taken after it was stored.

        Raises:
            EventNotFound: There is no such event.
            InvalidArgument: The note is of another log, or older than the event, or it was erased.
            TooLarge: There are too many events in between.
            CorruptStore: One of them cannot be read.
        """
        which = EventId(event.event_id) if isinstance(event, StoredEvent | AppendReceipt) else event
        anchor = self._anchor(which)
        if type(note) is not CheckpointNote:
            raise InvalidArgument("note", "must be a CheckpointNote")
        owner = self._owner(anchor.sequence)
        return path.prove(self._fetch, self._table, owner, anchor.sequence, note)

    def _owner(self, sequence: int) -> UUID:
        """Under whose id an event was stored: ours, or that of an origin."""
        if sequence >= self._table.bound:
            return self.store_id
        part, _ = self._table.locate(sequence)
        return self._opened.log.segments.store_id_of(part.segment_id)

    def _still(self, act: Callable[[], T]) -> T:
        """Call a function while no file takes the name of another one."""
        return act()

    def _look(self) -> Look:
        return look(self._opened.directory, self._table.bound)

    def stats(self) -> Stats:
        """What is in the store. Reads names and counts, no payloads."""
        self._alive()
        with self._until_closed():
            directory, table = self._opened.directory, self._table
            return self._fetch.healing(lambda: stats_of(directory, table))

    def snapshot(
        self, dest: StrPath, *, cursors: bool = False, progress: Progress | None = None
    ) -> SnapshotReport:
        """Copy the log as it is at one moment to a new directory, which opens as the same store.

        Appends go on meanwhile. `dest` is complete or not there, whatever happens; opening it is
        the way to restore it.

        Args:
            dest: Where there is nothing yet, or an empty directory. Its parent has to exist.
            cursors: Whether the checkpoints of consumers are copied as well.
            progress: Told after each file how many bytes are copied, of how many.

        Raises:
            InvalidArgument: There is something at `dest` by now, or it lies in the store or around.
            StorageFailed: The system refused: no room, for one. What was copied is removed.
            CorruptStore: A file of this store is shorter than what was written to it.
            StoreClosed, ForkedStoreError: This handle does not work; StorePoisoned and
                DurabilityUnknown as `Store.sync`.
        """
        self._alive()
        opened = self._opened
        try:
            with draft(opened.platform, dest, opened.directory) as target:
                return copy(self._point(cursors=cursors), target, progress)
        except StorageFailed:
            self._alive()  # if it was closed meanwhile, that is what is wrong
            raise

    def fork(self, dest: StrPath) -> ForkReport:
        """Copy the log as it is now to a new directory, where it goes its own way.

        What is stored there has another store id; what was stored before keeps the one it has.
        Receipts and notes of this store hold there up to the fork, and for nothing behind it. No
        checkpoints come along.

        Args:
            dest: As for `snapshot`.

        Raises:
            As `snapshot`.
        """
        self._alive()
        opened = self._opened
        try:
            with draft(opened.platform, dest, opened.directory) as target:
                return diverge(self._point(cursors=False), target, opened.platform)
        except StorageFailed:
            self._alive()
            raise

    @property
    def lineage(self) -> tuple[Ancestor, ...]:
        """The stores that this one was forked from, the oldest first."""
        return tuple(
            Ancestor(
                store_id=UUID(bytes=origin.store_id),
                sequence=origin.first_sequence,
                head=origin.chain_head,
            )
            for origin in (segment.header.origin for segment in self._opened.log.segments)
            if origin is not None
        )

    def _point(self, *, cursors: bool) -> Point:
        """Where a snapshot is taken."""
        return self._noted(self._opened.log.tip, cursors=cursors)

    def _noted(self, tip: Tip, *, cursors: bool) -> Point:
        opened = self._opened
        log, platform = opened.log, opened.platform
        return take(
            opened.directory,
            log.store_id,
            log.segments,
            log.table,
            tip,
            platform,
            cursors=cursors,
        )

    @contextmanager
    def _until_closed(self) -> Generator[None]:
        """Say that the handle was closed where a close from elsewhere took the files away.

        Also if nothing was refused: the number of a descriptor may have been given to another file.
        """
        try:
            yield
        except StorageFailed:
            if not self._fetch.closed:
                raise
        if self._fetch.closed:
            raise StoreClosed from None

    @property
    def health(self) -> Health:
        """Whether this handle works, and if not, why."""
        if self._pid() != self._opener_pid:
            return Health(HealthState.FORKED)
        return Health(HealthState.CLOSED if self._fetch.closed else HealthState.OK)

    def diagnostics(self) -> Diagnostics:
        """Everything that helps to see how this handle is doing."""
        self._alive()
        opened, health = self._opened, self.health
        config = opened.config
        return Diagnostics(
            stats=StoreReader.stats(self),
            frontier=self._frontier(),
            health=health.state,
            cause=None if health.cause is None else str(health.cause),
            open_report=opened.report,
            open_files=opened.log.segments.open_files,
            cache_hits=self._states.hits,
            cache_misses=self._states.misses,
            subscriptions=self._subscribed(),
            open_verify=config.open_verify,
            signing=config.signing,
            limits=config.limits,
        )

    def close(self) -> None:
        """Give the directory back. Twice is harmless; iterators that are not done end here.

        Workers finish the batch in hand first, for `Limits.close_timeout_s` at most.
        A close that an exception from outside (Ctrl-C) has cut short may be repeated.
        """
        if self._pid() != self._opener_pid:
            self._fetch.closed = True
            self._opened.abandon()
            self._unclosed.detach()
            return
        try:
            self._opened.stop_workers()
            self._end()
        finally:
            if self._fetch.closed:  # else somebody is inside an append and needs the files
                self._opened.release()
                self._unclosed.detach()

    def _end(self) -> None:
        """What has to happen before the lock is given back; then nothing is read any more."""
        self._fetch.closed = True
        self._opened.waiters.tell()

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

    @override
    def _alive(self) -> None:
        pid = self._pid
        if pid() != self._opener_pid:
            raise ForkedStoreError(self._opener_pid)
        if self._fetch.closed:
            raise StoreClosed


class ReadOnlyStore(StoreReader):
    """A store that was opened for reading: asked to write, it says so.

    Not in `StoreReader`, since a class with `__getattr__`, or a child of one, is slow in all of its
    attributes, and `Store` is a child of that.
    """

    if not TYPE_CHECKING:  # for type checkers a reader has no writing verb at all

        def __getattr__(self, name: str) -> NoReturn:
            if name in _VERBS:
                raise StoreReadOnly(name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _give_back(opened: Opened, opener_pid: int) -> None:
    """A handle was lost without `close`, or the process ends: say so, and free the directory.

    What was submitted is stored first; no closing event is written.
    """
    if opened.released:  # the open was interrupted when the handle was made
        return
    if opened.platform.pid() != opener_pid:
        opened.abandon()
        return
    try:
        opened.stop_workers()
        if opened.drain_writer is not None:
            opened.drain_writer()
    finally:
        opened.release()
        # Last: a process that takes warnings for errors goes no further.
        warnings.warn(f"unclosed store {opened.report.path}", ResourceWarning, stacklevel=2)
