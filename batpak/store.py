"""Store: a reader that also writes. One process writes a directory at a time.

with Store.open("orders") as store:
    store.append(Coordinate("order:1", "shop"), OrderPlaced(...), expected_version=0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, cast

from msgspec.structs import asdict

from batpak import wire
from batpak.append import AppendReceipt, BatchItem, Cause
from batpak.arguments import is_count
from batpak.commit.lane import Lane
from batpak.commit.request import Request
from batpak.commit.unit import Unit
from batpak.compactions import Compactions
from batpak.config import OpenVerify, StoreConfig
from batpak.coordinate import LIFECYCLE
from batpak.diagnostics import WriterDiagnostics, percentile_us
from batpak.disk.seam import StrPath
from batpak.errors import BatpakError, InvalidArgument
from batpak.flow import watched
from batpak.ids import ID_BYTES
from batpak.journal.active import ActiveFile
from batpak.journal.segment import Tip
from batpak.note import CheckpointNote
from batpak.observer import Observer
from batpak.opened import Opened, observe_log, open_log
from batpak.override import override
from batpak.payload import EventPayload
from batpak.platform import REAL, Platform
from batpak.proof import Proof
from batpak.read import shapes
from batpak.read.fetch import Fetch
from batpak.reader import ReadOnlyStore, StoreReader
from batpak.record import EVENT_ID_AT
from batpak.region import Region, region_of
from batpak.report import Frontier, Health, HealthState
from batpak.system import CloseCompleted, EventShape, OpenCompleted
from batpak.upkeep import imported
from batpak.upkeep.imported import ImportedEvent
from batpak.upkeep.intake import ImportReport, Intake, Target
from batpak.upkeep.rust.source import RustSource
from batpak.upkeep.snapshot import Point
from batpak.upkeep.verify import Look
from batpak.workers import Workers

_ALL: Final = Region.all()


class Store(Compactions, Workers):
    """A store, for reading and writing. Made by `Store.open`."""

    def __init__(self, opened: Opened, lane: Lane, config: StoreConfig) -> None:
        super().__init__(opened, lane, config)
        self._brought: list[EventShape] = []  # what the sources of imports tell of their events
        self._keep_checkpoints()

    @staticmethod
    def open(
        path: StrPath,
        config: StoreConfig | None = None,
        *,
        create: bool = True,
        platform: Platform = REAL,
    ) -> Store:
        """Open a directory for writing; make a store there if there is none.

        On return everything that was acknowledged before is there and durable. An end that was
        torn by a crash is set aside in `quarantine/` and reported in `open_report`.

        Args:
            path: Of the directory. Its parent has to exist.
            config: Settings of this handle.
            create: Whether a directory, and a store in it, may be made.
            platform: The world; tests replace it.

        Raises:
            RegistryError: A payload class of this program cannot be decoded.
            SigningError: The config asks for signatures, and has no key.
            InvalidArgument: No path, a big-endian host, or a store of format version 1.
            StoreLocked: Another handle holds the directory, in this process or another one.
            StorageFailed: The system refused.
            CorruptStore, FutureVersion: The bytes are damaged, or newer than this code.
        """
        config = _config(config)
        opened = open_log(path, config, platform, writable=True, create=create)
        try:
            lane = _lane(opened, config)
            opened.abandon_writer, opened.drain_writer = lane.abandon, lane.drain
            if config.lifecycle_events:
                table = opened.log.table
                left_out = shapes.at_open(Fetch(opened.log.segments, table), table)
                first = _requests(_open_completed(opened), *left_out)
                lane.commit(Unit(first, opened.platform.thread_id()))
            return watched(Store)(opened, lane, config)
        except BaseException:
            opened.release()
            raise

    @staticmethod
    def open_read_only(
        path: StrPath, config: StoreConfig | None = None, *, platform: Platform = REAL
    ) -> StoreReader:
        """Open a store for reading. Nothing is created, changed or touched.

        An end that was torn by a crash is left out and reported. Many readers or one writer.

        Raises:
            As `open`; a missing directory or store is StorageFailed.
        """
        opened = open_log(path, _config(config), platform, writable=False, create=False)
        try:
            return watched(ReadOnlyStore)(opened)
        except BaseException:
            opened.release()
            raise

    @staticmethod
    def observe(
        path: StrPath, config: StoreConfig | None = None, *, platform: Platform = REAL
    ) -> Observer:
        """Read a store that another process may be writing. Nothing is locked, made or touched.

        It goes on through whatever the writer does: new files, a close, a crash, an open. It shows
        what is written, which may not be durable yet; see `Observer`.

        Args:
            path: Of the directory.
            config: Settings of this handle. With `OpenVerify.FULL` everything is verified first.
            platform: The world; tests replace it.

        Raises:
            RegistryError: A payload class of this program cannot be decoded.
            InvalidArgument: No path, a big-endian host, or a store of format version 1.
            StorageFailed: The system refused, or there is no store.
            CorruptStore, FutureVersion: The bytes are damaged, or newer than this code.
        """
        config = _config(config)
        observer = watched(Observer)(*observe_log(path, config, platform))
        if config.open_verify is OpenVerify.FULL:
            try:
                observer.verify().raise_for_damage()
            except BaseException:
                observer.close()
                raise
        return observer

    def sync(self, *, timeout_s: float | None = None) -> Frontier:
        """Make everything durable that was written before this call.

        Args:
            timeout_s: How long to wait for others that are committing. A sync that has begun is
                waited for. None: as long as it takes.

        Raises:
            WaitTimeout: Others were committing for all of that time.
            DurabilityUnknown: The sync was refused. Only an open can tell what is on the disk.
            StoreClosed, StorePoisoned, ForkedStoreError: This handle does not write.
        """
        self._writable()
        self._lane.sync(self._limit(timeout_s))
        return self._frontier()

    def import_events(
        self,
        source: StoreReader | RustSource | Iterable[ImportedEvent],
        *,
        namespace: str,
        region: Region = _ALL,
        after: int | None = None,
        transform: Callable[[ImportedEvent], BatchItem | None] | None = None,
        chunk: int = 1024,
    ) -> ImportReport:
        """Write the events of another store into this one, each of them once.

        Each becomes a new event: coordinate, kind, payload, flags, correlation and extensions stay,
        and where it is from stands beside it (`Origin.of`). Importing again writes what is not
        there yet, and nothing else; so an import that was cut is begun again. What was stored as
        one in the source is stored as one here. What a fork and its origin had before they parted
        is there already. Kinds of the library itself are left out; what a store tells about its
        events (`describe`) is told here as well, unless they are transformed.

        Args:
            source: Another store, open for reading or writing, as it is now; a store of the Rust
                original; or events, in order.
            namespace: A name of yours for the source. Under another one it is imported anew.
            region: Which events of the source.
            after: Only behind this sequence of the source: `high_water` of an earlier report.
            transform: What to append of an event, or None to leave it out. `event.item()` is what
                is appended without one.
            chunk: How many are written at once, as far as the limits of a batch allow.

        Raises:
            InvalidArgument: The source is this store, or an argument is malformed.
            InvalidCoordinate, InvalidKind, PayloadInvalid, TooLarge: An event of the source cannot
                be stored here. Of its chunk nothing is. TooLarge also if more was stored as one in
                the source than a fence may hold here.
            IdempotencyConflict: An event was imported before, and was something else then.
            CorruptStore: The source is damaged.
            As `append`.
        """
        self._writable()
        intake = Intake(
            Target(
                self.store_id,
                self._config.limits,
                self._take_in,
                self._id_with,
                self._id_at,
                self._has,
            ),
            namespace,
            region_of(region),
            transform,
            chunk,
        )
        if not isinstance(source, StoreReader):
            return intake.run(self._events_of(source, after))
        if source is self or source.store_id == self.store_id:
            raise InvalidArgument("source", "is the store that is written to, or a copy of it")
        if transform is None:
            self._brought += shapes.told_by(source.describe)
        return intake.run_records(StoreReader._records(source, region, after), source.store_id)

    def _events_of(self, source: object, after: int | None) -> Iterable[ImportedEvent]:
        if isinstance(source, RustSource):
            return source.events(after=after)
        if not isinstance(source, Iterable):
            raise InvalidArgument("source", f"a {type(source).__name__} is no source of events")
        if after is not None and not is_count(after):
            raise InvalidArgument("after", "must be a sequence, 0 or more")
        events = cast("Iterable[ImportedEvent]", source)
        return imported.behind(events, after)

    def _take_in(self, requests: tuple[Request, ...], size: int) -> tuple[AppendReceipt, ...]:
        self._writable()
        return self._lane.commit(Unit(requests, self._thread_id(), size, batch=True))

    def _id_with(self, key: bytes) -> bytes | None:
        """The id of the event that has an idempotency key."""
        sequence = self._table.with_key(key)
        if sequence is None:
            return None
        return self._id_at(sequence)

    def _id_at(self, sequence: int) -> bytes | None:
        """The id of the event with a sequence, whether it can be read or not."""
        if sequence >= self._table.bound:
            return None
        body = self._fetch.body(*self._table.locate(sequence))
        return body[EVENT_ID_AT : EVENT_ID_AT + ID_BYTES]

    def _has(self, event_id: bytes) -> bool:
        """Whether there is an event with an id, or was."""
        place = self._table.with_id(int.from_bytes(event_id[:8], "big"))
        return place is not None and self._id_at(place[0].first + place[1]) == event_id

    def checkpoint(self) -> CheckpointNote:
        """Sync, and say where the log stands, as a text to keep somewhere else.

        `verify(since=note)` proves later that the log still begins with everything it had then.
        The note is evidence only outside the store's own disk. It is signed if the config has a
        signer.

        Raises:
            SigningError: It could not be signed.
            As `sync`.
        """
        self._writable()
        tip, platform = self._lane.sync(), self._opened.platform
        note = CheckpointNote(
            store_id=self.open_report.store_id,
            events=tip.durable,
            head=tip.chain_head,
            taken_ms=platform.wall_ns() // 1_000_000,
        )
        signer = self._config.signer
        return note if signer is None else note.signed(signer)

    @override
    def prove(self, event: Cause, note: CheckpointNote | None = None) -> Proof:
        """Proof that this log has an event. See `StoreReader.prove`.

        Args:
            event: Its id, an entry, a receipt, or the event itself.
            note: Taken after it was stored. None: one is taken now, as `checkpoint` does.
        """
        return super().prove(event, Store.checkpoint(self) if note is None else note)

    @property
    @override
    def health(self) -> Health:
        """Whether this handle works, and if not, why."""
        health = super().health
        poison = self._lane.poison
        if health.state is HealthState.OK and poison is not None:
            return Health(HealthState.POISONED, poison)
        return health

    @override
    def diagnostics(self) -> WriterDiagnostics:
        """Everything that helps to see how this handle, and its writing, is doing."""
        lane, config = self._lane, self._config
        syncs = list(lane.syncs)
        return WriterDiagnostics(
            **asdict(super().diagnostics()),
            durability=config.durability,
            sync_mode=config.sync_mode,
            sync_every_n_events=config.sync_every_n_events,
            sync_every_ms=config.sync_every_ms,
            lifecycle_events=config.lifecycle_events,
            pressure=lane.pressure,
            groups=lane.groups,
            units=lane.units,
            syncs=len(syncs),
            sync_p50_us=percentile_us(syncs, 0.50),
            sync_p99_us=percentile_us(syncs, 0.99),
            clock_clamps=lane.clamps.count,
            workers=tuple(worker.health for worker in self._opened.staff.copy()),
        )

    @override
    def _look(self) -> Look:
        if self._lane.closed:
            return super()._look()
        return self._lane.hold(super()._look)  # names and HEAD of one moment

    @override
    def _point(self, *, cursors: bool) -> Point:
        self._writable()
        lane = self._lane
        return self._still(  # no file takes the number of others meanwhile
            lambda: lane.hold(lambda: self._noted(lane.synced(), cursors=cursors))
        )

    @override
    def close(self) -> None:
        """End the log in order, and give the directory back. See `StoreReader.close`.

        An open fence is cancelled. What stands in line is stored, for `Limits.close_timeout_s` at
        most; the rest is not, and its tickets say StoreClosed.

        Raises:
            InvalidArgument: A signal handler has interrupted an append with it; nothing is closed.
            StorePoisoned: The lock file was replaced; what another writer did is not touched. The
                handle is closed all the same, and likewise if it raises what follows.
            DurabilityUnknown: The last sync was refused.
            StorageFailed: `HEAD` could not be written: the next open reads the newest file again.
        """
        if self._pid() == self._opener_pid and self._lane.open_fence is not None:
            with suppress(BatpakError):  # workers may wait for it to be over
                self._lane.cancel_fence()
        super().close()

    @override
    def _end(self) -> None:
        try:
            self._compaction.stop()
            self._lane.close(self._last_unit if self._config.lifecycle_events else None)
        finally:
            if self._lane.closed:
                lock = self._opened.lock
                if lock is not None and not self._fetch.closed:
                    self._compaction.end(lock)
                super()._end()
            else:
                self._compaction.resume()

    def _last_unit(self, tip: Tip) -> Unit:
        first = self.open_report.next_sequence
        told = shapes.at_close(self._fetch, self._table, first, self._brought)
        last = CloseCompleted(written=tip.sequence, durable=tip.durable)
        return Unit(_requests(*told, last), self._thread_id())


def _requests(*facts: EventPayload) -> tuple[Request, ...]:
    return tuple(Request(LIFECYCLE, wire.encode(one)) for one in facts)


def _config(config: object) -> StoreConfig:
    if config is None:
        return StoreConfig()
    if not isinstance(config, StoreConfig):
        raise InvalidArgument("config", f"must be a StoreConfig, not {type(config).__name__}")
    return config


def _lane(opened: Opened, config: StoreConfig) -> Lane:
    log, lock = opened.log, opened.lock
    if lock is None:
        raise InvalidArgument("opened", "writing needs the lock")
    return Lane(
        opened.directory,
        lock,
        log.segments,
        log.table,
        log.tip,
        ActiveFile(opened.directory, log.segments.newest, config),
        opened.report.store_id,
        config,
        opened.platform,
        opened.waiters,
    )


def _open_completed(opened: Opened) -> OpenCompleted:
    report = opened.report
    return OpenCompleted(
        clean=report.clean,
        segments=report.segments,
        events=report.events,
        scanned_bytes=report.scanned_bytes,
        torn_bytes=0 if report.torn is None else report.torn.bytes,
        elapsed_ms=report.elapsed_ms,
    )
