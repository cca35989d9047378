"""VisibilityFence: a group of writes that is stored, and becomes visible, in one step.

stage     each call is checked and judged at once; what it says holds when the fence is committed
commit    one unit, as a batch is: whole or absent, for every reader and after any crash
cancel    nothing was written, so nothing is left: no number, version, key or byte

A fence never waits for itself: what could be waited for without end is refused while it is open.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import UUID

from batpak.append import AppendReceipt, BatchItem, Cause
from batpak.commit import request
from batpak.commit.fence import Fence, FenceError, Staged
from batpak.commit.lane import Lane
from batpak.commit.request import Request
from batpak.commit.ticket import AppendTicket, BatchTicket, remember
from batpak.commit.unit import Storing, Unit
from batpak.config import Limits
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError, InvalidArgument, StoreClosed
from batpak.faults import FenceState
from batpak.payload import EventPayload
from batpak.platform import Platform
from batpak.report import Watermark
from batpak.wire import Encoded


class VisibilityFence:
    """Made by `Store.visibility_fence`. Any thread may use it; items are staged in call order.

    As a context manager it is committed at the end of the block, and cancelled if that is left by
    an exception, or if the commit fails. One that is lost, or open for longer than
    `Limits.fence_timeout_s`, is cancelled when the next writer meets it.
    """

    def __init__(
        self,
        fence: Fence,
        lane: Lane,
        limits: Limits,
        platform: Platform,
        *,
        alive: Callable[[], None],
        writable: Callable[[], None],
        store: Storing,
    ) -> None:
        self._fence, self._lane, self._limits, self._platform = fence, lane, limits, platform
        self._alive, self._writable, self._store = alive, writable, store
        self._cancelled = False  # by its owner

    @property
    def state(self) -> FenceState:
        """Whether it is open, and if not, how it ended."""
        return self._fence.state

    def append(
        self,
        coord: Coordinate,
        payload: EventPayload | Encoded,
        *,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | AppendTicket | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> AppendTicket:
        """Stage one event. The ticket has its receipt once the fence is committed.

        A key that the log knows answers the ticket at once, and nothing is staged.

        Args:
            coord: As in `Store.append`; likewise the rest.
            payload: See there.
            expected_version: See there; what was staged before counts.
            idempotency_key: See there.
            caused_by: See there; or the ticket of an event that was staged before.
            correlation_id: See there.
            flags: See there.
            extensions: See there.

        Raises:
            FenceError: It is over.
            TooLarge: It has more than `Limits.fence_max_items` or `fence_max_bytes` with it.
            As `Store.append` for what is refused before anything is written.
        """
        self._writable()
        cause, item = self._cause_of(caused_by)
        one = request.check(
            coord,
            payload,
            expected_version,
            idempotency_key,
            cause,
            correlation_id,
            flags,
            extensions,
            self._limits.payload_max_bytes,
        )
        staged = self._staged((one,), one.size, item)
        ticket = _StagedTicket(staged, self._fence, self._platform, self._lane)
        self._lane.take(self._fence, staged)
        return ticket

    def append_batch(
        self,
        items: Iterable[BatchItem],
        *,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | AppendTicket | None = None,
        correlation_id: UUID | None = None,
    ) -> BatchTicket:
        """Stage several events. `PriorItem` counts the items of this batch.

        Args:
            items: As in `Store.append_batch`; likewise the rest.
            idempotency_key: See there.
            caused_by: See there; or the ticket of an event that was staged before.
            correlation_id: See there.

        Raises:
            As `append`, with `item_index` where it is about one item of the batch.
        """
        self._writable()
        cause, item = self._cause_of(caused_by)
        requests, size = request.check_batch(
            items,
            idempotency_key=idempotency_key,
            caused_by=cause,
            correlation_id=correlation_id,
            limits=self._limits,
        )
        staged = self._staged(requests, size, item)
        staged.unit.batch = True
        staged.unit.key_behind = request.key_behind(idempotency_key, len(requests))
        ticket = _StagedBatch(staged, self._fence, self._platform, self._lane)
        self._lane.take(self._fence, staged)
        return ticket

    def commit(
        self, *, wait_for: Watermark | None = None, timeout_s: float | None = None
    ) -> tuple[AppendReceipt, ...]:
        """Store all that was staged as one: on return all of it is visible. The fence is over then.

        Args:
            wait_for: As in `Store.append`, of all of it.
            timeout_s: See there.

        Returns:
            The receipts of what was staged, in order.

        Raises:
            FenceError: It was over already.
            StorageFailed: The system refused; the write was undone, and the fence is still open.
            DurabilityUnknown: The sync was refused. Only an open can tell what is stored.
            StoreClosed, StorePoisoned, ForkedStoreError: This handle does not write.
            SigningError: All is stored; the receipts could not be signed.
            WaitTimeout: NOT_WRITTEN: the lane was not free in time, and the fence is still open.
                COMMITTED: all is stored and visible, and not applied everywhere yet.
        """
        self._writable()
        self._fence.require_open()
        unit = Unit((), self._platform.thread_id(), batch=True, judged=True)
        try:
            return self._store(unit, wait_for, timeout_s, self._committed)
        except BaseException as error:
            if unit.receipts:
                remember(error, unit.receipts)
            raise

    def _committed(self, unit: Unit) -> tuple[AppendReceipt, ...]:
        self._lane.commit_fence(self._fence, unit)
        return self._lane.receipts(unit)

    def cancel(self) -> None:
        """Store nothing of it. Twice is harmless.

        Raises:
            FenceError: It is committed, or may be.
            ForkedStoreError: This is not the process that has opened the store.
        """
        fence = self._fence
        if fence.state is FenceState.ACTIVE:
            with suppress(StoreClosed):  # that has cancelled it
                self._alive()
                self._lane.cancel_fence(fence)
        if fence.state in (FenceState.COMMITTED, FenceState.UNKNOWN):
            raise FenceError(fence.state)
        self._cancelled = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None and not self._cancelled and self.state is not FenceState.COMMITTED:
                self.commit()
        finally:
            if self.state is FenceState.ACTIVE:
                with suppress(BatpakError):  # what is raised already says more
                    self.cancel()

    def __del__(self) -> None:
        fence = self._fence
        if fence.state is FenceState.ACTIVE:
            fence.lost = True
            warnings.warn("a visibility fence was left open", ResourceWarning, stacklevel=2)

    def _staged(self, requests: tuple[Request, ...], size: int, item: int | None) -> Staged:
        return Staged(Unit(requests, self._platform.thread_id(), size), item)

    def _cause_of(self, caused_by: Cause | AppendTicket | None) -> tuple[Cause | None, int | None]:
        """What a ticket stands for: an event, which is looked for as any other, or an item."""
        if not isinstance(caused_by, AppendTicket):
            return caused_by, None
        if isinstance(caused_by, _StagedTicket) and caused_by.fence is self._fence:
            taken = caused_by.staged.taken
            place = None if taken is None else taken.places[0]
            return (None, place) if place is None or isinstance(place, int) else (place, None)
        if not caused_by.done():
            raise InvalidArgument("caused_by", "is a ticket from elsewhere that is not decided yet")
        return caused_by.result(0), None


class _StagedTicket(AppendTicket):
    """Of an event that stands on a fence. Whoever ends that says what came of it."""

    def __init__(self, staged: Staged, fence: Fence, platform: Platform, lane: Lane) -> None:
        super().__init__(staged.unit, platform, fence.check_wait, lane.receipts, lane.facts)
        self.staged, self.fence = staged, fence
        self._asked = True


class _StagedBatch(BatchTicket):
    """Likewise, of a batch."""

    def __init__(self, staged: Staged, fence: Fence, platform: Platform, lane: Lane) -> None:
        super().__init__(staged.unit, platform, fence.check_wait, lane.receipts, lane.facts)
        self._asked = True
