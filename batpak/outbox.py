"""Outbox: events that are gathered in memory, and stored as one batch that can be repeated.

stage     each item is checked and encoded at once, and gets a key if it has none
flush     all of them as one batch; they leave the outbox when they are stored

Every item has a key, so a flush whose outcome is not known is simply repeated: what is stored
already is answered with its receipts. It passes nothing on to other systems.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

from batpak.append import AppendReceipt, BatchItem, Cause, PriorItem, RawPayload
from batpak.commit import request
from batpak.commit.alone import Alone
from batpak.commit.request import Request
from batpak.commit.ticket import BatchTicket
from batpak.commit.unit import Storing, Unit
from batpak.config import Limits
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError, IdempotencyConflict, InvalidArgument, TooLarge
from batpak.faults import KeyFault
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.platform import Platform
from batpak.report import Watermark

KEY_BYTES = 16


class _Item(NamedTuple):
    item: BatchItem
    request: Request


class Outbox:
    """Made by `Store.outbox`. For one thread at a time; it can be used again after a flush.

    As a context manager it is flushed at the end of the block; if that is left by an exception,
    what is staged is discarded.
    """

    def __init__(
        self,
        limits: Limits,
        platform: Platform,
        *,
        correlation_id: UUID | None,
        caused_by: Cause | None,
        writable: Callable[[], None],
        store: Storing,
        submit: Callable[[Unit], BatchTicket],
    ) -> None:
        self._limits, self._platform = limits, platform
        self._correlation_id, self._caused_by = correlation_id, caused_by
        self._writable, self._store, self._submit = writable, store, submit
        self._staged: dict[bytes, _Item] = {}  # by key, in order
        self._size = 0  # bytes of payloads and extensions
        self._flights: list[Unit] = []  # flushes whose outcome was not looked at yet
        self._alone = Alone("this outbox", platform.thread_id)

    # ------------------------------------------------------------------------------------ staging

    def stage(
        self,
        coord: Coordinate,
        payload: EventPayload,
        *,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | PriorItem | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> PriorItem:
        """Add an event. Nothing is stored yet.

        Args:
            coord: As in `Store.append`; likewise the rest.
            payload: See there.
            expected_version: See there; earlier items count.
            idempotency_key: See there. None: it gets one.
            caused_by: See there; or an earlier item.
            correlation_id: See there.
            flags: See there.
            extensions: See there.

        Returns:
            What names it as the cause of a later item.

        Raises:
            TooLarge: It is one more than a batch may have, or they are too large together.
            IdempotencyConflict: An earlier item has the key.
            InvalidArgument: What was submitted before is not decided yet; ask its ticket first.
            As `Store.append` for what can be told without the log, with `item_index`.
        """
        return self._add(
            BatchItem(
                coord,
                payload,
                expected_version=expected_version,
                idempotency_key=idempotency_key,
                caused_by=caused_by,
                correlation_id=correlation_id,
                flags=flags,
                extensions=extensions,
            )
        )

    def stage_raw(
        self,
        coord: Coordinate,
        kind: EventKind,
        data: bytes,
        *,
        payload_version: int = 1,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | PriorItem | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> PriorItem:
        """Add an event whose payload is encoded already. See `stage`, and `Store.append_raw`."""
        return self._add(
            BatchItem(
                coord,
                RawPayload(kind, data, payload_version),
                expected_version=expected_version,
                idempotency_key=idempotency_key,
                caused_by=caused_by,
                correlation_id=correlation_id,
                flags=flags,
                extensions=extensions,
            )
        )

    def _add(self, given: BatchItem) -> PriorItem:
        with self._alone:
            self._writable()
            self._require_decided()
            staged, limits = self._staged, self._limits
            index = len(staged)
            try:
                if index == limits.batch_max_items:
                    raise TooLarge("number of items in an outbox", index + 1, index)
                item = self._filled(given)
                one = request.check_item(item, index, limits.payload_max_bytes)
                key, size = one.key or b"", self._size + one.size
                if key in staged:
                    raise IdempotencyConflict(key, KeyFault.DUPLICATE)
                if size > limits.batch_max_bytes:
                    raise TooLarge("outbox", size, limits.batch_max_bytes)
            except BatpakError as error:
                error.item_index = index
                raise
            staged[key], self._size = _Item(item, one), size
            return PriorItem(index)

    def _filled(self, item: BatchItem) -> BatchItem:
        """An item with a key, and with what was said of the whole outbox."""
        key, cause, talk = item.idempotency_key, item.caused_by, item.correlation_id
        return BatchItem(
            item.coord,
            item.payload,
            expected_version=item.expected_version,
            idempotency_key=self._platform.entropy(KEY_BYTES) if key is None else key,
            caused_by=self._caused_by if cause is None else cause,
            correlation_id=self._correlation_id if talk is None else talk,
            flags=item.flags,
            extensions=item.extensions,
        )

    def __len__(self) -> int:
        self._settle()
        return len(self._staged)

    @property
    def items(self) -> tuple[BatchItem, ...]:
        """What is staged, with the keys: for `append_batch` of another handle, after an open."""
        self._settle()
        return tuple(one.item for one in self._staged.values())

    def clear(self) -> None:
        """Discard what is staged.

        Raises:
            InvalidArgument: What was submitted before is not decided yet; ask its ticket first.
        """
        with self._alone:
            self._require_decided()
            self._discard()

    # ------------------------------------------------------------------------------------ flushing

    def flush(
        self, *, wait_for: Watermark | None = None, timeout_s: float | None = None
    ) -> tuple[AppendReceipt, ...]:
        """Store what is staged as one batch. Nothing staged: no receipts, and nothing happens.

        If it fails all stays staged, and the flush can be repeated: whatever the outcome of the
        first one was, each item is stored once.

        Args:
            wait_for: As in `Store.append`, of all of them.
            timeout_s: See there.

        Raises:
            As `Store.append_batch`.
        """
        with self._alone:
            self._writable()
            unit = self._unit()
            if unit is None:
                return ()
            try:
                return self._store(unit, wait_for, timeout_s)
            finally:
                self._settle()

    def submit_flush(self) -> BatchTicket:
        """Put what is staged in line as one batch, and return at once; see `Store.submit_batch`.

        The items leave the outbox when they are stored. Until that is decided nothing can be added.

        Raises:
            As `Store.submit_batch`.
        """
        with self._alone:
            self._writable()
            unit = self._unit() or Unit((), self._platform.thread_id(), batch=True)
            try:
                return self._submit(unit)
            except BatpakError:  # it does not stand in line
                self._flights = [one for one in self._flights if one is not unit]
                raise

    def _unit(self) -> Unit | None:
        """A flush of what is staged, noted as one."""
        self._settle()
        if not self._staged:
            return None
        requests = tuple(one.request for one in self._staged.values())
        unit = Unit(requests, self._platform.thread_id(), self._size, batch=True)
        self._flights.append(unit)
        return unit

    def _settle(self) -> None:
        """Let go of what is known to be stored."""
        if any(unit.receipts for unit in self._flights):
            self._flights = []
            self._discard()
        else:
            self._flights = [unit for unit in self._flights if not unit.done]

    def _discard(self) -> None:
        self._staged, self._size = {}, 0

    def _require_decided(self) -> None:
        self._settle()
        if self._flights:
            raise InvalidArgument("outbox", "a flush of it is under way: ask its ticket first")

    # ----------------------------------------------------------------------------------------- use

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.flush()
        else:
            self._discard()

    def __del__(self) -> None:
        if len(self):
            warnings.warn(f"{len(self)} events were staged and not flushed", ResourceWarning, 2)
