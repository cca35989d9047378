"""Store: a reader that also writes. One process writes a directory at a time.

with Store.open("orders") as store:
    store.append(Coordinate("order:1", "shop"), OrderPlaced(...), expected_version=0)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from batpak import wire
from batpak.append import AppendReceipt, Cause
from batpak.commit import request
from batpak.commit.lane import Lane
from batpak.commit.request import Request
from batpak.config import StoreConfig
from batpak.coordinate import Coordinate
from batpak.disk import StrPath
from batpak.errors import InvalidArgument, StorePoisoned
from batpak.journal.segment import Tip
from batpak.override import override
from batpak.payload import EventPayload
from batpak.platform import REAL, Platform
from batpak.reader import Opened, StoreReader, open_log
from batpak.system import CloseCompleted, OpenCompleted
from batpak.upkeep.verify import Look

_SYSTEM: Final = Coordinate("batpak:store", "batpak:lifecycle")


class Store(StoreReader):
    """A store, for reading and writing. Made by `Store.open`."""

    def __init__(self, opened: Opened, lane: Lane, config: StoreConfig) -> None:
        super().__init__(opened)
        self._lane, self._config = lane, config
        self._payload_bytes_max = config.limits.payload_max_bytes

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
            InvalidArgument: No path, a big-endian host, or a store of format version 1.
            StoreLocked: Another handle holds the directory, in this process or another one.
            StorageFailed: The system refused.
            CorruptStore, FutureVersion: The bytes are damaged, or newer than this code.
        """
        config = _config(config)
        opened = open_log(path, platform, writable=True, create=create)
        try:
            lane = _lane(opened, config)
            opened.abandon_writer = lane.abandon
            if config.lifecycle_events:
                lane.commit(Request(_SYSTEM, wire.encode(_open_completed(opened))))
        except BaseException:
            opened.release()
            raise
        return Store(opened, lane, config)

    @staticmethod
    def open_read_only(
        path: StrPath, config: StoreConfig | None = None, *, platform: Platform = REAL
    ) -> StoreReader:
        """Open a store for reading. Nothing is created, changed or touched.

        An end that was torn by a crash is left out and reported. Many readers or one writer.

        Raises:
            As `open`; a missing directory or store is StorageFailed.
        """
        _config(config)  # so far all settings are about writing
        return StoreReader(open_log(path, platform, writable=False, create=False))

    def append(
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
    ) -> AppendReceipt:
        """Store one event.

        On return it is visible to every reader of this handle, and durable to the level of the
        receipt. A refused or failed append consumes no sequence, version, id or key.

        Args:
            coord: Where. Names that begin with `batpak:` are the store's own.
            payload: What; an instance of a registered class.
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
        """
        self._alive()
        if self._lane.poison is not None:
            raise StorePoisoned(self._lane.poison)
        return self._lane.commit(
            request.check(
                coord,
                payload,
                expected_version=expected_version,
                idempotency_key=idempotency_key,
                caused_by=caused_by,
                correlation_id=correlation_id,
                flags=flags,
                extensions=extensions,
                payload_bytes_max=self._payload_bytes_max,
            )
        )

    @override
    def _look(self) -> Look:
        return self._lane.hold(super()._look)  # names and HEAD of one moment

    @override
    def _end(self) -> None:
        try:
            self._lane.close(_close_completed if self._config.lifecycle_events else None)
        finally:
            if self._lane.closed:
                super()._end()


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
        opened.report.store_id,
        config,
        opened.platform,
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


def _close_completed(tip: Tip) -> Request:
    fact = CloseCompleted(written=tip.sequence, durable=tip.durable)
    return Request(_SYSTEM, wire.encode(fact))
