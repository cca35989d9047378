"""Appends: the verbs that store events, each a check, a unit, and the lane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from batpak.append import AppendReceipt, BatchItem, Cause, RawPayload
from batpak.commit import request
from batpak.commit.lane import Lane
from batpak.commit.request import Request
from batpak.commit.ticket import AppendTicket, BatchTicket
from batpak.commit.unit import Unit
from batpak.config import StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import StorePoisoned
from batpak.guard import trace
from batpak.guard.verdict import Denial
from batpak.kind import EventKind
from batpak.opened import Opened
from batpak.payload import EventPayload
from batpak.reader import StoreReader
from batpak.wire import Encoded


class Appends(StoreReader):
    """A reader that also appends. `Store` adds how a handle is opened, synced and closed."""

    def __init__(self, opened: Opened, lane: Lane, config: StoreConfig) -> None:
        super().__init__(opened)
        self._lane, self._config = lane, config
        self._payload_bytes_max = config.limits.payload_max_bytes
        self._thread_id = opened.platform.thread_id

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
