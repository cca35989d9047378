"""Asyncio: awaitable forms of what a store does. Only this imports asyncio; nothing imports this.

    receipt = await aio.append(store, coordinate, payload)
    await aio.wait_for(store, Watermark.APPLIED, receipt)
    async for event in aio.follow(cursor):
        ...

There is no second store and no second meaning: a call goes into the line as that of any thread, and
the loop never waits for the disk. To cancel an await gives up the wait, never the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, Final
from uuid import UUID
from weakref import WeakSet

from batpak.append import AppendReceipt, BatchItem, Cause
from batpak.arguments import require_some, seconds_of, timeout_of
from batpak.commit.fence import FenceError
from batpak.commit.ticket import R, Ticket, remember
from batpak.commit.waiters import LONG_PATIENCE_S, PATIENCE_S
from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument, StoreClosed, WaitTimeout
from batpak.event import Q, StoredEvent
from batpak.faults import FenceState, WriteState
from batpak.payload import EventPayload
from batpak.read.cursor import Cursor
from batpak.read.projection import CONSISTENT, Fold, Freshness, S
from batpak.read.source import Source
from batpak.read.subscription import EndReason, Notification, Subscription, SubscriptionEnded
from batpak.reader import StoreReader
from batpak.report import Busy, BusyReason, Frontier, Watermark
from batpak.store import Store
from batpak.waits import mark_of

ANOTHER: Final = "one task follows a cursor; make another one for this"

IN_A_ROW: Final = 32  # given before others have their turn

_awaited: Final = WeakSet[Cursor[Any]]()  # the cursors for which a task sleeps


async def append(
    store: Store,
    coord: Coordinate,
    payload: EventPayload,
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
    """Store one event. See `Store.append`. While the line is full, the task sleeps.

    It does not for an open fence: another task of the same loop may have to commit that.

    What is wrong with the arguments is raised by the await. If it is cancelled, the event is stored
    all the same, unless the task was sleeping in front of a full line.

    With a time limit, or for DURABLE, it is appended by another thread.
    """
    require_some("store", store, Store)
    ends = _Ends(wait_for, timeout_s)
    if ends.needs_thread:
        act = partial(store.append, wait_for=ends.of_append, timeout_s=timeout_s)
        receipt = await asyncio.to_thread(
            act,
            coord,
            payload,
            expected_version=expected_version,
            idempotency_key=idempotency_key,
            caused_by=caused_by,
            correlation_id=correlation_id,
            flags=flags,
            extensions=extensions,
        )
    else:
        receipt = await _taken(
            lambda: store.try_submit(
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
    await ends.applied(store, (receipt,))
    return receipt


async def append_batch(
    store: Store,
    items: Iterable[BatchItem],
    *,
    idempotency_key: str | bytes | None = None,
    caused_by: Cause | None = None,
    correlation_id: UUID | None = None,
    wait_for: Watermark | None = None,
    timeout_s: float | None = None,
) -> tuple[AppendReceipt, ...]:
    """Store several events as one. See `Store.append_batch`, and `append` here."""
    require_some("store", store, Store)
    require_some("items", items, Iterable)
    ends, items = _Ends(wait_for, timeout_s), tuple(items)
    if ends.needs_thread:
        act = partial(store.append_batch, wait_for=ends.of_append, timeout_s=timeout_s)
        receipts = await asyncio.to_thread(
            act,
            items,
            idempotency_key=idempotency_key,
            caused_by=caused_by,
            correlation_id=correlation_id,
        )
    else:
        receipts = await _taken(
            lambda: store.try_submit_batch(
                items,
                idempotency_key=idempotency_key,
                caused_by=caused_by,
                correlation_id=correlation_id,
            )
        )
    await ends.applied(store, receipts)
    return receipts


class _Ends:
    """What an append waits for, and how long."""

    def __init__(self, wait_for: Watermark | None, timeout_s: float | None) -> None:
        mark = None if wait_for is None else mark_of("wait_for", wait_for)
        self._timeout_s = timeout_of("timeout_s", timeout_s)
        self._began = asyncio.get_running_loop().time()
        self._for_applied = mark is Watermark.APPLIED
        self.of_append = None if self._for_applied else mark
        self.needs_thread = timeout_s is not None or mark is Watermark.DURABLE

    async def applied(self, store: Store, receipts: tuple[AppendReceipt, ...]) -> None:
        """Wait for that in the loop: it may be long."""
        if not self._for_applied or not receipts:
            return
        limit, waited_s = self._timeout_s, asyncio.get_running_loop().time() - self._began
        rest_s = None if limit is None else max(0.0, limit - waited_s)
        try:
            await wait_for(store, Watermark.APPLIED, receipts[-1], timeout_s=rest_s)
        except WaitTimeout as late:
            error = _longer(late, limit or 0.0, WriteState.COMMITTED)
            remember(error, receipts)
            raise error from None
        except BaseException as error:
            remember(error, receipts)
            raise


async def _taken(submit: Callable[[], Ticket[R] | Busy]) -> R:
    """Submit as soon as there is room in line; the result."""
    while True:
        ticket = submit()
        if not isinstance(ticket, Busy):
            return await result(ticket)
        await _room(ticket)


async def _room(busy: Busy) -> None:
    """Sleep until the line may have room.

    Raises:
        FenceError: A fence is in the way, as it is for `Store.append`; its owner may be waiting.
    """
    if busy.reason is BusyReason.FENCE:
        raise FenceError(FenceState.ACTIVE)
    await asyncio.sleep(busy.retry_after_ms / 1000)


async def result(ticket: Ticket[R]) -> R:
    """Wait until a submission is decided. See `Ticket.result`.

    Raises:
        InvalidArgument: It is of a fence that is open: this task may be the one to commit it.
    """
    require_some("ticket", ticket, Ticket)
    ticket.hasten()
    done = asyncio.Event()
    ticket.add_done_callback(_setter(done))
    await done.wait()
    return ticket.result()


async def wait_for(
    store: StoreReader,
    mark: Watermark,
    at: int | AppendReceipt,
    *,
    timeout_s: float | None = None,
    applier: str | None = None,
) -> Frontier:
    """Wait until a bound is past an event. See `StoreReader.wait_for`."""
    require_some("store", store, StoreReader)
    loop = asyncio.get_running_loop()
    end = None if timeout_s is None else loop.time() + seconds_of("timeout_s", timeout_s)
    while True:
        moved = asyncio.Event()
        first = Watermark.WRITTEN if mark is Watermark.DURABLE else mark  # then it takes a sync
        leave = store.once_moved(_setter(moved), mark=first, at=at, applier=applier)
        try:
            try:
                return store.wait_for(mark, at, timeout_s=0, applier=applier)
            except WaitTimeout as late:
                rest_s = None if end is None else max(0.0, end - loop.time())
                if rest_s == 0:
                    raise _longer(late, timeout_s or 0.0) from None
                written = late.target is not None and store.frontier().written > late.target
            if mark is Watermark.DURABLE and written:  # it takes a sync, and the loop does not wait
                return await asyncio.to_thread(store.wait_for, mark, at, timeout_s=rest_s)
            with suppress(TimeoutError):
                patience_s = PATIENCE_S if rest_s is None else min(PATIENCE_S, rest_s)
                async with asyncio.timeout(patience_s):  # 3.11's `wait_for` can lose a cancel
                    await moved.wait()
        finally:
            leave()


async def project(
    store: StoreReader,
    projection: Fold[S, Q],
    source: Source,
    *,
    freshness: Freshness = CONSISTENT,
    upto: int | None = None,
) -> S | None:
    """Fold the relevant events, in another thread. See `StoreReader.project`.

    Raises:
        InvalidArgument: The projection has raised StopIteration, which cannot leave that thread.
        As `StoreReader.project` otherwise.
    """
    require_some("store", store, StoreReader)

    def fold() -> S | None:
        try:
            return store.project(projection, source, freshness=freshness, upto=upto)
        except StopIteration as error:  # a future refuses it, and the task would wait for ever
            raise InvalidArgument("projection", "has raised StopIteration") from error

    return await asyncio.to_thread(fold)


async def follow(cursor: Cursor[Q]) -> AsyncIterator[StoredEvent[Q]]:
    """One event after the other; waits for those that are still to come.

    It ends when the store or the cursor is closed; on a handle that only reads, at the end of the
    log. If it is cancelled, nothing is passed over: an
    event is taken from the cursor only to be given at once.

    Raises:
        InvalidArgument: Another task waits for the same cursor.
        As the `poll` of the cursor otherwise.
    """
    require_some("cursor", cursor, Cursor)
    given = count(1)
    while not cursor.closed:
        try:
            found = cursor.poll()
        except StoreClosed:
            return
        if found is None:
            if not cursor.is_live:
                return
            if cursor in _awaited:
                raise InvalidArgument("cursor", "another task waits for it", hint=ANOTHER)
            _awaited.add(cursor)
            try:
                await _ready(cursor)
            finally:
                _awaited.discard(cursor)
        else:
            yield found
            await _breathe(next(given))


async def commit(cursor: Cursor[Q]) -> None:
    """Take what was read so far for done. See `Cursor.commit`.

    With a checkpoint another thread waits for the disk: nobody uses the cursor meanwhile. If the
    await is cancelled, the position is saved all the same.

    Raises:
        As the `commit` of the cursor.
    """
    require_some("cursor", cursor, Cursor)
    await asyncio.to_thread(cursor.commit)


async def notifications(subscription: Subscription) -> AsyncIterator[Notification]:
    """One notification after the other; waits for those that are still to come. Lossy, as it is.

    It ends when the subscription or the store is closed; on a handle that only reads, at once.

    Raises:
        SubscriptionEnded: Its buffer was too small, and its policy is to end then.
        As `Subscription.recv` otherwise.
    """
    require_some("subscription", subscription, Subscription)
    given = count(1)
    while True:
        try:
            found = subscription.recv(0)
        except SubscriptionEnded as end:
            if end.reason is EndReason.CLOSED:
                return
            raise
        if found is None:
            if not subscription.is_live:
                return
            await _ready(subscription)
        else:
            yield found
            await _breathe(next(given))


async def _breathe(given: int) -> None:
    """Let others have the loop now and then, however much there is to give."""
    if given % IN_A_ROW == 0:
        await asyncio.sleep(0)


async def _ready(feed: Cursor[Q] | Subscription) -> None:
    """Sleep until it may have something, and leave nothing behind."""
    ready = asyncio.Event()
    leave = feed.on_ready(_setter(ready))
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(LONG_PATIENCE_S):
                await ready.wait()
    finally:
        leave()


def _longer(late: WaitTimeout, waited_s: float, state: WriteState | None = None) -> WaitTimeout:
    """The error of a look, as one of the whole wait."""
    whole = WaitTimeout(late.waiting_for, waited_s, state)
    whole.target, whole.reached = late.target, late.reached
    return whole


def _setter(event: asyncio.Event) -> Callable[[], None]:
    """What sets an event of the running loop, from any thread and also after the loop is gone."""
    loop = asyncio.get_running_loop()

    def set_it() -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(event.set)

    return set_it
