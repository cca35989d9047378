"""Store: a reader that also writes. One process writes a directory at a time.

with Store.open("orders") as store:
    store.append(Coordinate("order:1", "shop"), OrderPlaced(...), expected_version=0)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from batpak import wire
from batpak.append import AppendReceipt, BatchItem, Cause, RawPayload
from batpak.commit import request
from batpak.commit.lane import Lane
from batpak.commit.request import Request
from batpak.commit.ticket import AppendTicket, BatchTicket
from batpak.commit.unit import Unit
from batpak.config import StoreConfig
from batpak.coordinate import Coordinate
from batpak.diagnostics import Diagnostics, percentile_us
from batpak.disk.seam import StrPath
from batpak.errors import InvalidArgument, StorePoisoned
from batpak.flow import watched
from batpak.guard import trace
from batpak.guard.verdict import Denial
from batpak.journal.active import ActiveFile
from batpak.journal.segment import Tip
from batpak.kind import EventKind
from batpak.note import CheckpointNote
from batpak.opened import Opened, open_log
from batpak.override import override
from batpak.payload import EventPayload
from batpak.platform import REAL, Platform
from batpak.proof import Proof
from batpak.reader import ReadOnlyStore, StoreReader
from batpak.report import Frontier, Health, HealthState
from batpak.system import CloseCompleted, OpenCompleted
from batpak.upkeep.verify import Look
from batpak.wire import Encoded
from batpak.workers import Workers

_SYSTEM: Final = Coordinate("batpak:store", "batpak:lifecycle")


class Store(StoreReader, Workers):
    """A store, for reading and writing. Made by `Store.open`."""

    def __init__(self, opened: Opened, lane: Lane, config: StoreConfig) -> None:
        super().__init__(opened)
        self._lane, self._config = lane, config
        self._keep_checkpoints()
        self._payload_bytes_max = config.limits.payload_max_bytes
        self._thread_id = opened.platform.thread_id

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
                first = Request(_SYSTEM, wire.encode(_open_completed(opened)))
                lane.commit(Unit((first,), opened.platform.thread_id()))
        except BaseException:
            opened.release()
            raise
        return watched(Store)(opened, lane, config)

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
        return watched(ReadOnlyStore)(opened)

    def append(
        self,
        coord: Coordinate,
        payload: EventPayload | Encoded,
        *,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> AppendReceipt:
        """Store one event.

        On return it is visible to every reader of this handle, and durable to the level of the
        receipt. A refused or failed append consumes no sequence, version, id or key.

        Args:
            coord: Where. Names that begin with `batpak:` are the store's own.
            payload: What; an instance of a registered class, or what a machine has made of one.
            expected_version: How many events the entity must have; 0: it must not exist.
            idempotency_key: 1..255 bytes. The same key with the same kind, coordinate and content
                returns the receipt of the first append, for ever.
            caused_by: An event of this store. Its correlation is taken over.
            correlation_id: The conversation. None: that of `caused_by`, else the event's own id.
            flags: One byte, stored as given.
            extensions: Opaque bytes under names like `app.trace`, covered by the event hash.

        Raises:
            InvalidArgument, InvalidCoordinate, InvalidKind, PayloadInvalid, TooLarge: The call
                cannot succeed as written.
            IdempotencyConflict, VersionConflict, UnknownParent: The log says otherwise.
            StorageFailed: The system refused; the write was undone.
            DurabilityUnknown: A sync was refused. Only an open can tell; repeating is safe with a
                key.
            StoreClosed, StorePoisoned, ForkedStoreError: This handle does not write.
            SigningError: The event is stored; its receipt could not be signed.
        """
        lane, pid, thread_id = self._lane, self._pid, self._thread_id
        if lane.ended or pid() != self._opener_pid:
            self._writable()
        one = request.check(
            coord,
            payload,
            expected_version,
            idempotency_key,
            caused_by,
            correlation_id,
            flags,
            extensions,
            self._payload_bytes_max,
        )
        return lane.commit(Unit((one,), thread_id(), len(one.payload.data)))[0]

    def append_raw(
        self,
        coord: Coordinate,
        kind: EventKind,
        data: bytes,
        *,
        payload_version: int = 1,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> AppendReceipt:
        """Store one event whose payload is encoded already. Otherwise as `append`.

        Args:
            coord: Where.
            kind: Which event it is.
            data: Exactly one MessagePack value. Of a kind that this program has a class for, it has
                to be what that class encodes to.
            payload_version: Of the schema that `data` follows.
            expected_version: As in `append`; likewise the rest.
            idempotency_key: See there.
            caused_by: See there.
            correlation_id: See there.
            flags: See there.
            extensions: See there.
        """
        self._writable()
        one = request.check(
            coord,
            RawPayload(kind, data, payload_version),
            expected_version,
            idempotency_key,
            caused_by,
            correlation_id,
            flags,
            extensions,
            self._payload_bytes_max,
        )
        return self._lane.commit(self._unit(one))[0]

    def append_batch(
        self,
        items: Iterable[BatchItem],
        *,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
    ) -> tuple[AppendReceipt, ...]:
        """Store several events as one: all of them or none, for every reader and after any crash.

        They get consecutive sequences. On return all are visible, and durable to the level of the
        receipts. No items: no receipts, and nothing happens.

        Args:
            items: In order. `caused_by=PriorItem(i)` names an earlier one; an expected version
                counts the earlier ones in.
            idempotency_key: Of the batch, instead of keys of its items.
            caused_by: For items that name no cause.
            correlation_id: For items that name none.

        Raises:
            As `append`, with `item_index` where it is about one item.
        """
        self._writable()
        batch = self._batch(items, idempotency_key, caused_by, correlation_id)
        return self._lane.commit(batch) if batch.requests else ()

    def append_denial(
        self,
        coord: Coordinate,
        denial: Denial,
        *,
        pipeline: str | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        idempotency_key: str | bytes | None = None,
        extensions: Mapping[str, bytes] | None = None,
    ) -> AppendReceipt:
        """Store that gates refused something, as a `DenialRecorded` beside its subject.

        It is on the entity `batpak:denial:` and that of the subject, whose version stays as it is.
        `Denial.of` makes it a denial again.

        Args:
            coord: The subject: where the event would have been stored.
            denial: From a set of gates.
            pipeline: What the program calls the place where it was judged.
            caused_by: As in `append`; likewise the rest.
            correlation_id: See there.
            idempotency_key: See there.
            extensions: See there.

        Raises:
            As `append`, and InvalidArgument for a denial that no set of gates gave.
        """
        self._writable()
        request.check_place(coord)
        place, record = trace.denial_record(coord, denial, pipeline)
        one = request.check(
            place,
            record,
            None,
            idempotency_key,
            caused_by,
            correlation_id,
            0,
            extensions,
            self._payload_bytes_max,
            own=True,
        )
        return self._lane.commit(self._unit(one))[0]

    def submit(
        self,
        coord: Coordinate,
        payload: EventPayload,
        *,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> AppendTicket:
        """Put one event in line and return at once; a thread of the store commits it.

        What one thread submits and appends is stored in the order of its calls. When the line is
        full, this call commits some of it first. Arguments as in `append`, and checked here.

        Raises:
            As `append` for what can be told without the log; the ticket raises the rest.
        """
        self._writable()
        one = request.check(
            coord,
            payload,
            expected_version,
            idempotency_key,
            caused_by,
            correlation_id,
            flags,
            extensions,
            self._payload_bytes_max,
        )
        unit = self._unit(one)
        ticket = AppendTicket(unit, self._opened.platform, self._lane.hurry, self._lane.receipts)
        self._lane.submit(unit)
        return ticket

    def submit_batch(
        self,
        items: Iterable[BatchItem],
        *,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
    ) -> BatchTicket:
        """Put a batch in line and return at once. See `append_batch` and `submit`."""
        self._writable()
        unit = self._batch(items, idempotency_key, caused_by, correlation_id)
        ticket = BatchTicket(unit, self._opened.platform, self._lane.hurry, self._lane.receipts)
        self._lane.submit(unit)
        return ticket

    def sync(self) -> Frontier:
        """Make everything durable that was written before this call.

        Raises:
            DurabilityUnknown: The sync was refused. Only an open can tell what is on the disk.
            StoreClosed, StorePoisoned, ForkedStoreError: This handle does not write.
        """
        self._writable()
        self._lane.sync()
        return Store.frontier(self)  # past `batpak.flow`: the caller has asked for one thing

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

    @override
    def frontier(self) -> Frontier:
        """How far the log has come: one picture of one moment."""
        self._alive()
        tip = self._lane.tip
        return Frontier(tip.sequence, tip.durable, self._table.bound)

    @property
    @override
    def health(self) -> Health:
        """Whether this handle works, and if not, why."""
        health = super().health
        poison = self._lane.poison
        if health.state is HealthState.OK and poison is not None:
            return Health(HealthState.POISONED, poison)
        return health

    def diagnostics(self) -> Diagnostics:
        """Everything that helps to see how this handle is doing."""
        self._alive()
        lane, config, health = self._lane, self._config, self.health
        syncs = list(lane.syncs)
        return Diagnostics(
            stats=Store.stats(self),
            frontier=Store.frontier(self),
            health=health.state,
            cause=None if health.cause is None else str(health.cause),
            durability=config.durability,
            sync_mode=config.sync_mode,
            open_report=self.open_report,
            queued=lane.queued,
            groups=lane.groups,
            units=lane.units,
            syncs=len(syncs),
            sync_p50_us=percentile_us(syncs, 0.50),
            sync_p99_us=percentile_us(syncs, 0.99),
            workers=tuple(worker.health for worker in self._opened.staff.copy()),
        )

    def _writable(self) -> None:
        self._alive()
        if self._lane.poison is not None:
            raise StorePoisoned(self._lane.poison)

    def _unit(self, one: Request) -> Unit:
        return Unit((one,), self._thread_id(), one.size)

    def _batch(
        self,
        items: Iterable[BatchItem],
        idempotency_key: str | bytes | None,
        caused_by: Cause | None,
        correlation_id: UUID | None,
    ) -> Unit:
        requests, size = request.check_batch(
            items,
            idempotency_key=idempotency_key,
            caused_by=caused_by,
            correlation_id=correlation_id,
            limits=self._config.limits,
        )
        return Unit(
            requests,
            self._thread_id(),
            size,
            batch=True,
            batch_key=idempotency_key is not None,
        )

    @override
    def _look(self) -> Look:
        if self._lane.closed:
            return super()._look()
        return self._lane.hold(super()._look)  # names and HEAD of one moment

    @override
    def _end(self) -> None:
        try:
            self._lane.close(self._last_unit if self._config.lifecycle_events else None)
        finally:
            if self._lane.closed:
                super()._end()

    def _last_unit(self, tip: Tip) -> Unit:
        fact = CloseCompleted(written=tip.sequence, durable=tip.durable)
        return self._unit(Request(_SYSTEM, wire.encode(fact)))


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
