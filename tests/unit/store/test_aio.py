"""Asyncio: tasks get what threads get, the loop never waits, and to cancel an await undoes nothing.

Would slip through without it: a loop that stands still for a sync; an await that was cancelled and
took the event with it, or left a thread, a callback or a half-made batch behind.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import ClassVar, Final

import pytest
from msgspec.structs import replace

from batpak import aio
from batpak.append import BatchItem
from batpak.commit.fence import FenceError
from batpak.config import Durability, Limits
from batpak.errors import InvalidArgument, StoreClosed, VersionConflict, WaitTimeout
from batpak.event import StoredEvent
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.projection import Projection
from batpak.read.subscription import Overflow, Subscription, SubscriptionEnded
from batpak.report import Watermark
from batpak.store import Store
from tests.facts import FAST, PLAIN, USER, Counted

FACT: Final = Counted(n=1)


class Sum(Projection[Counted]):
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})

    @override
    def initial(self) -> Counted:
        return Counted(n=0)

    @override
    def apply(self, state: Counted, event: StoredEvent[EventPayload], /) -> Counted:
        assert isinstance(event.payload, Counted)
        return Counted(n=state.n + event.payload.n)


def syncing_threads(store: Store, monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The threads that have waited for the disk, from now on."""
    seen: set[int] = set()
    sync = store._lane._sync

    def noted() -> None:
        seen.add(threading.get_ident())
        sync()

    monkeypatch.setattr(store._lane, "_sync", noted)
    return seen


def test_a_thousand_awaited_appends_are_stored_and_the_loop_waits_for_no_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> list[int]:
        receipts = await asyncio.gather(
            *[aio.append(store, USER, Counted(n=n)) for n in range(1000)]
        )
        assert {receipt.durability for receipt in receipts} == {Durability.COMMIT}
        return [receipt.sequence for receipt in receipts]

    config = replace(PLAIN, limits=Limits(queue_capacity=300))
    with Store.open(tmp_path / "s", config) as store:
        threads = syncing_threads(store, monkeypatch)
        sequences = asyncio.run(main())
        assert sorted(sequences) == list(range(1000))
        assert sorted(event.payload.n for event in store.by_fact(Counted)) == list(range(1000))
        assert threads
        assert threading.get_ident() not in threads


def test_a_task_never_waits_for_a_fence_that_it_has_to_commit_itself(tmp_path: Path) -> None:
    async def main() -> int:
        with store.visibility_fence() as fence:
            ticket = fence.append(USER, FACT)
            with pytest.raises(FenceError):
                await aio.append(store, USER, FACT)
            with pytest.raises(FenceError):
                await aio.append_batch(store, [BatchItem(USER, FACT)])
            with pytest.raises(InvalidArgument):
                await aio.result(ticket)
            await asyncio.to_thread(fence.commit)
        return (await aio.result(ticket)).sequence

    with Store.open(tmp_path / "s", PLAIN) as store:
        assert asyncio.run(asyncio.wait_for(main(), 10)) == 0
        assert store.count() == 1


def test_what_a_store_refuses_the_await_raises(tmp_path: Path) -> None:
    async def main() -> None:
        batch = [BatchItem(USER, FACT), BatchItem(USER, FACT, expected_version=1)]
        assert len(await aio.append_batch(store, iter(batch))) == 2
        with pytest.raises(VersionConflict):
            await aio.append(store, USER, FACT, expected_version=7)
        with pytest.raises(VersionConflict):
            await aio.append_batch(store, [BatchItem(USER, FACT, expected_version=7)])
        with pytest.raises(InvalidArgument):
            await aio.append(store, USER, FACT, flags=-1)
        ticket = store.submit(USER, Counted(n=5))
        assert await aio.result(ticket) == await aio.result(ticket) == ticket.result()
        assert await aio.project(store, Sum(), USER.entity) == Counted(n=7)

    with Store.open(tmp_path / "s", FAST) as store:
        asyncio.run(main())


def test_an_await_that_is_cancelled_leaves_the_commit_whole(tmp_path: Path) -> None:
    async def main() -> None:
        batch = [BatchItem(USER, Counted(n=n)) for n in range(3)]
        tasks = [asyncio.create_task(aio.append_batch(store, batch)) for _ in range(50)]
        await asyncio.sleep(0)  # each has submitted
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(task.cancelled() for task in tasks) > 0

    with Store.open(tmp_path / "s", PLAIN) as store:
        asyncio.run(main())
        store.sync()
        assert store.count() == 150
        store.verify().raise_for_damage()


@pytest.mark.parametrize("mark", Watermark)
def test_a_task_waits_for_each_mark_and_wakes_when_it_is_past(
    tmp_path: Path, mark: Watermark, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        waiting = asyncio.create_task(aio.wait_for(store, mark, 1, timeout_s=30))
        await aio.append(store, USER, FACT)
        await asyncio.sleep(0.01)
        assert not waiting.done()
        receipt = await aio.append(store, USER, FACT)
        assert (await waiting).of(mark) == 2
        assert (await aio.wait_for(store, mark, receipt, timeout_s=0)).of(mark) == 2
        with pytest.raises(WaitTimeout) as caught:
            await aio.wait_for(store, mark, 2, timeout_s=0.02)
        assert (caught.value.waited_s, caught.value.target, caught.value.reached) == (0.02, 2, 2)

    with Store.open(tmp_path / "s", FAST) as store:
        threads = syncing_threads(store, monkeypatch)
        asyncio.run(main())
        assert threading.get_ident() not in threads
        assert not store._opened.waiters.calls


def test_a_wait_ends_with_the_store_and_one_that_is_cancelled_leaves_nothing(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        waiting = [
            asyncio.create_task(aio.wait_for(store, Watermark.VISIBLE, 5)),
            asyncio.create_task(aio.wait_for(store, Watermark.APPLIED, 0, applier="stalled")),
        ]
        given_up = asyncio.create_task(aio.wait_for(store, Watermark.VISIBLE, 5))
        await asyncio.sleep(0.01)
        assert len(store._opened.waiters.calls) == 3
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert len(store._opened.waiters.calls) == 2
        with pytest.raises(InvalidArgument):
            await aio.wait_for(store, Watermark.VISIBLE, 5, timeout_s=-1)
        store.close()
        for task in waiting:
            with pytest.raises(StoreClosed):
                await task

    with Store.open(tmp_path / "s", FAST) as store:
        store.applier("stalled")
        asyncio.run(main())


def test_following_gives_each_event_once_and_ends_with_the_store(tmp_path: Path) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        cursor = store.cursor_guaranteed()

        async def read(at_most: int) -> None:
            async for event in aio.follow(cursor):
                seen.append(event.sequence)
                if len(seen) == at_most:
                    return

        reading = asyncio.create_task(read(40))
        await asyncio.gather(*[aio.append(store, USER, FACT) for _ in range(50)])
        await reading
        stopped = asyncio.create_task(read(1000))
        await asyncio.sleep(0.01)
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)
        last = asyncio.create_task(read(1000))
        await aio.append(store, USER, FACT)
        while len(seen) < 51:
            await asyncio.sleep(0.001)
        store.close()
        await last
        return seen

    with Store.open(tmp_path / "s", FAST) as store:
        assert asyncio.run(main()) == list(range(51))


async def received(feed: Subscription) -> list[int]:
    return [one.sequence async for one in aio.notifications(feed)]


async def drained(feed: Subscription) -> None:
    while feed.pending:
        await asyncio.sleep(0.001)


def test_notifications_come_in_order_and_end_with_the_subscription(tmp_path: Path) -> None:
    async def main() -> list[int]:
        feed = store.subscribe_lossy()
        reading = asyncio.create_task(received(feed))
        await asyncio.gather(*[aio.append(store, USER, FACT) for _ in range(50)])
        await drained(feed)
        await aio.append(store, USER, FACT)
        await drained(feed)
        feed.close()
        return await reading

    with Store.open(tmp_path / "s", FAST) as store:
        assert asyncio.run(main()) == list(range(51))


def test_notifications_end_with_the_store_or_with_what_was_lost(tmp_path: Path) -> None:
    async def main() -> None:
        small = store.subscribe_lossy(capacity=1, overflow=Overflow.DISCONNECT)
        endless = store.subscribe_lossy()
        reading = asyncio.create_task(received(endless))
        await asyncio.sleep(0.01)
        for _ in range(3):
            store.append(USER, FACT)
        with pytest.raises(SubscriptionEnded, match="2 events were lost"):
            await received(small)
        rest = asyncio.create_task(received(store.subscribe_lossy()))
        await asyncio.sleep(0.01)
        store.close()
        assert await reading == [0, 1, 2]
        assert await rest == []

    with Store.open(tmp_path / "s", FAST) as store:
        asyncio.run(main())


def test_a_loop_that_has_ended_is_not_called(tmp_path: Path) -> None:
    async def main() -> None:
        store.submit(USER, FACT).result()
        waiting = asyncio.create_task(aio.wait_for(store, Watermark.VISIBLE, 5))
        await asyncio.sleep(0.01)
        store.once_moved(aio._setter(asyncio.Event()))
        waiting.cancel()

    with Store.open(tmp_path / "s", FAST) as store:
        asyncio.run(main())
        assert store.append(USER, FACT).sequence == 1
