"""Appends: the verbs that store events, each a check, a unit, and the lane."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from uuid import UUID

from batpak.append import AppendReceipt, BatchItem, Cause, RawPayload
from batpak.commit import request
from batpak.commit.fence import Fence
from batpak.commit.lane import Lane
from batpak.commit.limit import Limit
from batpak.commit.request import Request
from batpak.commit.ticket import AppendTicket, BatchTicket, remember
from batpak.commit.unit import Unit
from batpak.config import StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import StoreClosed, StorePoisoned, WaitTimeout
from batpak.faults import WriteState
from batpak.fence import VisibilityFence
from batpak.guard import trace
from batpak.guard.verdict import Denial
from batpak.kind import EventKind
from batpak.opened import Opened
from batpak.outbox import Outbox
from batpak.override import override
from batpak.payload import EventPayload
from batpak.reader import StoreReader
from batpak.report import Busy, Frontier, Watermark, WriterPressure
from batpak.waits import Wanted, mark_of
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
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
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
            wait_for: Return only once the event has come so far: DURABLE makes it so in the same
                step, whatever the level of the handle; APPLIED waits for the appliers.
            timeout_s: How long the call may take to be begun, and to wait; a write that has begun
                is finished. None: as long as it takes.

        Raises:
            InvalidArgument, InvalidCoordinate, InvalidKind, PayloadInvalid, TooLarge: The call
                cannot succeed as written.
            FenceError: A visibility fence is open.
            IdempotencyConflict, VersionConflict, UnknownParent: The log says otherwise.
            StorageFailed: The system refused; the write was undone.
            DurabilityUnknown: A sync was refused. Only an open can tell; repeating is safe with a
                key.
            StoreClosed, StorePoisoned, ForkedStoreError: This handle does not write.
            SigningError: The event is stored; its receipt could not be signed.
            WaitTimeout: NOT_WRITTEN: the lane was not free in time, nothing is stored. COMMITTED:
                the event is stored and visible, and not applied everywhere yet. Whatever ends
                the wait for APPLIED, `interrupted_receipt` has the receipt.
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
        if wait_for is not None or timeout_s is not None:
            return self._stored(self._unit(one), wait_for, timeout_s)[0]
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
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
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
            wait_for: See there.
            timeout_s: See there.
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
        return self._stored(self._unit(one), wait_for, timeout_s)[0]

    def append_batch(
        self,
        items: Iterable[BatchItem],
        *,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
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
            wait_for: As in `append`, of all of them.
            timeout_s: See there.

        Raises:
            As `append`, with `item_index` where it is about one item.
        """
        self._writable()
        batch = self._batch(items, idempotency_key, caused_by, correlation_id)
        return self._stored(batch, wait_for, timeout_s) if batch.requests else ()

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
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
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
            wait_for: See there.
            timeout_s: See there.

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
        return self._stored(self._unit(one), wait_for, timeout_s)[0]

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
        timeout_s: float | None = None,
    ) -> AppendTicket:
        """Put one event in line and return at once; a thread of the store commits it.

        What one thread submits and appends is stored in the order of its calls. When the line is
        full, this call commits some of it first, or waits for who does: at most `timeout_s`.
        Arguments as in `append`, and checked here.

        Raises:
            FenceError: A visibility fence is open.
            WaitTimeout: The line stayed full; nothing is in line.
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
        put = partial(self._lane.submit, limit=self._limit(timeout_s))
        return self._ticket(self._unit(one), put)

    def submit_batch(
        self,
        items: Iterable[BatchItem],
        *,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        timeout_s: float | None = None,
    ) -> BatchTicket:
        """Put a batch in line and return at once. See `append_batch` and `submit`."""
        self._writable()
        unit = self._batch(items, idempotency_key, caused_by, correlation_id)
        return self._batch_ticket(unit, partial(self._lane.submit, limit=self._limit(timeout_s)))

    def try_submit(
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
    ) -> AppendTicket | Busy:
        """As `submit`, but never waits: where too much stands in line, nothing is taken.

        That is from `Limits.pressure_pct` of what the line may hold. Nor is anything taken while a
        visibility fence is open.

        Raises:
            As `submit`, busy or not.
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
        return self._lane.busy or self._ticket(self._unit(one), self._lane.put)

    def try_submit_batch(
        self,
        items: Iterable[BatchItem],
        *,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
    ) -> BatchTicket | Busy:
        """As `submit_batch`, but never waits. See `try_submit`."""
        self._writable()
        unit = self._batch(items, idempotency_key, caused_by, correlation_id)
        return self._lane.busy or self._batch_ticket(unit, self._lane.put)

    def outbox(
        self, *, correlation_id: UUID | None = None, caused_by: Cause | None = None
    ) -> Outbox:
        """A list of events in memory, to be stored as one batch that can be repeated safely.

        with store.outbox() as outbox:
            outbox.stage(order, OrderPlaced(...))
            outbox.stage(stock, StockTaken(...))

        Args:
            correlation_id: For items that name none.
            caused_by: For items that name no cause.
        """
        self._writable()
        return Outbox(
            self._config.limits,
            self._opened.platform,
            correlation_id=correlation_id,
            caused_by=caused_by,
            writable=self._writable,
            store=self._stored,
            submit=lambda unit: self._batch_ticket(unit, self._lane.submit),
        )

    def visibility_fence(self) -> VisibilityFence:
        """Open a fence: what is staged on it is stored, and seen, as one when it is committed.

        with store.visibility_fence() as fence:
            fence.append(order, OrderPlaced(...))
            fence.append_batch(lines)

        While it is open nothing else is stored by this handle: not by this thread either. Reads go
        on and see nothing of it.

        Raises:
            FenceError: Another one is open.
            StoreClosed, StorePoisoned, ForkedStoreError: This handle does not write.
        """
        self._writable()
        lane, platform = self._lane, self._opened.platform
        fence = Fence(self._thread_id(), self._config.limits, platform.monotonic_ns)
        try:
            lane.enter_fence(fence)
            return VisibilityFence(
                fence,
                lane,
                self._config.limits,
                platform,
                alive=self._alive,
                writable=self._writable,
                store=self._stored,
            )
        except BaseException:
            fence.lost = True  # it may be open, and nobody has it
            raise

    def pressure(self) -> WriterPressure:
        """How much stands in line."""
        self._alive()
        return self._lane.pressure

    def _ticket(self, unit: Unit, put: Callable[[Unit], None]) -> AppendTicket:
        lane, platform = self._lane, self._opened.platform
        ticket = AppendTicket(unit, platform, lane.hurry, lane.receipts, lane.facts)
        put(unit)
        return ticket

    def _batch_ticket(self, unit: Unit, put: Callable[[Unit], None]) -> BatchTicket:
        lane, platform = self._lane, self._opened.platform
        ticket = BatchTicket(unit, platform, lane.hurry, lane.receipts, lane.facts)
        put(unit)
        return ticket

    def _stored(
        self,
        unit: Unit,
        wait_for: Watermark | None,
        timeout_s: float | None,
        commit: Callable[[Unit], tuple[AppendReceipt, ...]] | None = None,
    ) -> tuple[AppendReceipt, ...]:
        """Commit a unit in time, and wait until its events have come as far as its caller wants."""
        mark = None if wait_for is None else mark_of("wait_for", wait_for)
        if mark is Watermark.APPLIED:
            self._appliers.refuse_own()
        limit = unit.limit = self._limit(timeout_s)
        unit.durable = mark is Watermark.DURABLE
        receipts = (commit or self._lane.commit)(unit)
        if receipts and mark is Watermark.APPLIED:  # all others are reached by a commit
            last = max(receipt.sequence for receipt in receipts)
            try:
                self._wait(Wanted(mark, last, state=WriteState.COMMITTED), limit)
            except BaseException as error:
                remember(error, receipts)
                raise
        return receipts

    @override
    def _frontier(self) -> Frontier:
        lane, table, appliers = self._lane, self._table, self._appliers
        while True:
            tip, bound = lane.tip, table.bound
            applied, since = appliers.applied(), lane.unsynced_ns
            if lane.tip is tip and table.bound == bound:  # so all of it was so at one moment
                break
        age_ms = None
        if tip.durable < tip.sequence:
            now = self._opened.platform.monotonic_ns()
            age_ms = 0 if since is None else max(0, now - since) // 1_000_000
        return Frontier(tip.sequence, tip.durable, bound, applied, age_ms)

    @override
    def _hope(self, wanted: Wanted) -> None:
        poison = self._lane.poison
        if wanted.sequence < self._table.bound and wanted.mark is not Watermark.DURABLE:
            super()._hope(wanted)
        elif poison is not None:
            raise StorePoisoned(poison)

    @override
    def _refuse_own_fence(self) -> None:
        self._lane.refuse_own_fence()

    @override
    def _hasten(self, wanted: Wanted, limit: Limit | None) -> None:
        lane = self._lane
        if lane.tip.durable > wanted.sequence or (limit is not None and not limit.rest_s):
            return
        with suppress(WaitTimeout, StoreClosed, StorePoisoned):  # it may be durable nevertheless
            lane.sync(limit)

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
            key_behind=request.key_behind(idempotency_key, len(requests)),
        )
