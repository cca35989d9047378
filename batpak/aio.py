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
from typing import Final
from uuid import UUID

from batpak.append import AppendReceipt, BatchItem, Cause
from batpak.arguments import seconds_of
from batpak.commit.fence import FenceError
from batpak.commit.ticket import R, Ticket
from batpak.coordinate import Coordinate
from batpak.errors import StoreClosed, WaitTimeout
from batpak.event import Q, StoredEvent
from batpak.faults import FenceState
from batpak.payload import EventPayload
from batpak.read.cursor import Cursor
from batpak.read.projection import Projection, S
from batpak.read.subscription import EndReason, Notification, Subscription, SubscriptionEnded
from batpak.reader import StoreReader
from batpak.report import Busy, BusyReason, Frontier, Watermark
from batpak.store import Store

PATIENCE_S: Final = 1.0  # between two looks of a task that was not woken


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
) -> AppendReceipt:
    """Store one event. See `Store.append`. While the line is full, the task sleeps.

    It does not for an open fence: another task of the same loop may have to commit that.

    What is wrong with the arguments is raised by the await. If it is cancelled, the event is stored
    all the same, unless the task was sleeping in front of a full line.
    """
    while True:
        ticket = store.try_submit(
            coord,
            payload,
            expected_version=expected_version,
            idempotency_key=idempotency_key,
            caused_by=caused_by,
            correlation_id=correlation_id,
            flags=flags,
            extensions=extensions,
        )
        if not isinstance(ticket, Busy):
            return await result(ticket)
        await _room(ticket)


async def append_batch(
    store: Store,
    items: Iterable[BatchItem],
    *,
    idempotency_key: str | bytes | None = None,
    caused_by: Cause | None = None,
    correlation_id: UUID | None = None,
) -> tuple[AppendReceipt, ...]:
    """Store several events as one. See `Store.append_batch`, and `append` here."""
    items = tuple(items)
    while True:
        ticket = store.try_submit_batch(
            items,
            idempotency_key=idempotency_key,
            caused_by=caused_by,
            correlation_id=correlation_id,
        )
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
    loop = asyncio.get_running_loop()
    end = None if timeout_s is None else loop.time() + seconds_of("timeout_s", timeout_s)
    while True:
        moved = asyncio.Event()
        leave = store.once_moved(_setter(moved))
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
                await asyncio.wait_for(moved.wait(), patience_s)
        finally:
            leave()


async def project(store: StoreReader, projection: Projection[S], entity: str) -> S | None:
    """Fold the events of one entity, in another thread. See `StoreReader.project`."""
    return await asyncio.to_thread(store.project, projection, entity)


async def follow(cursor: Cursor[Q]) -> AsyncIterator[StoredEvent[Q]]:
    """One event after the other; waits for those that are still to come.

    It ends when the store or the cursor is closed. If it is cancelled, nothing is passed over: an
    event is taken from the cursor only to be given at once.

    Raises:
        As the `poll` of the cursor.
    """
    ready = asyncio.Event()
    cursor.on_ready(_setter(ready))
    while not cursor.closed:
        ready.clear()
        try:
            found = cursor.poll()
        except StoreClosed:
            return
        if found is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(ready.wait(), PATIENCE_S)
        else:
            yield found


async def notifications(subscription: Subscription) -> AsyncIterator[Notification]:
    """One notification after the other; waits for those that are still to come. Lossy, as it is.

    It ends when the subscription or the store is closed.

    Raises:
        SubscriptionEnded: Its buffer was too small, and its policy is to end then.
        As `Subscription.recv` otherwise.
    """
    while True:
        try:
            found = subscription.recv(0)
        except SubscriptionEnded as end:
            if end.reason is EndReason.CLOSED:
                return
            raise
        if found is None:
            ready = asyncio.Event()
            subscription.on_ready(_setter(ready))
            await ready.wait()
        else:
            yield found


def _longer(late: WaitTimeout, waited_s: float) -> WaitTimeout:
    """The error of a look, as one of the whole wait."""
    whole = WaitTimeout(late.waiting_for, waited_s)
    whole.target, whole.reached = late.target, late.reached
    return whole


def _setter(event: asyncio.Event) -> Callable[[], None]:
    """What sets an event of the running loop, from any thread and also after the loop is gone."""
    loop = asyncio.get_running_loop()

    def set_it() -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(event.set)

    return set_it
