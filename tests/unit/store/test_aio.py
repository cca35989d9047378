"""Asyncio: tasks get what threads get, the loop never waits, and to cancel an await undoes nothing.

Would slip through without it: a loop that stands still for a sync; an await that was cancelled and
took the event with it, or left a thread, a callback or a half-made batch behind.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import ClassVar, Final, cast

import pytest
from msgspec.structs import replace

from batpak import aio
from batpak.append import BatchItem
from batpak.cache.memory import MemoryCache
from batpak.commit.fence import FenceError
from batpak.commit.limit import Limit
from batpak.commit.ticket import interrupted_receipt
from batpak.config import Durability, Limits
from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument, StoreClosed, VersionConflict, WaitTimeout
from batpak.event import StoredEvent
from batpak.faults import WriteState
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.projection import Freshness, Projection
from batpak.read.subscription import Overflow, Subscription, SubscriptionEnded
from batpak.region import Region
from batpak.report import Frontier, Watermark
from batpak.store import Store
from batpak.waits import Wanted
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


def test_what_is_no_store_and_nothing_of_one_is_refused_with_its_name(tmp_path: Path) -> None:
    async def first(of: AsyncIterator[object]) -> object:
        return await anext(of)

    with Store.open(tmp_path / "s", FAST) as store:
        for argument, ask in (
            ("store", lambda wrong: aio.append(wrong, USER, FACT)),
            ("store", lambda wrong: aio.append_batch(wrong, [])),
            ("items", lambda wrong: aio.append_batch(store, wrong)),
            ("wait_for", lambda _: aio.append(store, USER, FACT, wait_for="durable")),  # type: ignore[arg-type]  # refused
            ("timeout_s", lambda _: aio.append_batch(store, [], timeout_s=-1)),
            ("store", lambda wrong: aio.wait_for(wrong, Watermark.VISIBLE, 0)),
            ("ticket", aio.result),
            ("store", lambda wrong: aio.project(wrong, Sum(), USER.entity)),
            ("projection", lambda wrong: aio.project(store, wrong, USER.entity)),
            ("cursor", lambda wrong: first(aio.follow(wrong))),
            ("cursor", aio.commit),
            ("subscription", lambda wrong: first(aio.notifications(wrong))),
        ):
            ask = cast("Callable[[object], Coroutine[object, object, object]]", ask)
            for wrong in (None, 3, object()):
                with pytest.raises(InvalidArgument) as caught:
                    asyncio.run(ask(wrong))
                assert caught.value.argument == argument
        assert store.count() == 0


def test_an_append_may_wait_for_more_than_to_be_visible(tmp_path: Path) -> None:
    async def main() -> None:
        receipt = await aio.append(store, USER, FACT, wait_for=Watermark.DURABLE)
        assert (receipt.durability, store.frontier().durable) == (Durability.COMMIT, 1)
        assert await aio.append_batch(store, [], wait_for=Watermark.APPLIED) == ()
        waiting = asyncio.create_task(
            aio.append_batch(store, [BatchItem(USER, FACT)] * 2, wait_for=Watermark.APPLIED)
        )
        while store.count() < 3:
            await asyncio.sleep(0.001)
        assert not waiting.done()
        applier.advance(2)
        assert [one.sequence for one in await asyncio.wait_for(waiting, 10)] == [1, 2]

        for limit in (0.01, 0):
            with pytest.raises(WaitTimeout, match="by 'view'") as caught:
                await aio.append(store, USER, FACT, wait_for=Watermark.APPLIED, timeout_s=limit)
            assert caught.value.state is WriteState.COMMITTED
            stored = interrupted_receipt(caught.value)
            assert stored is not None
            assert stored.sequence == store.count() - 1
        assert (await aio.append(store, USER, FACT, timeout_s=5)).sequence == 5

    with Store.open(tmp_path / "s", FAST) as store, store.applier("view") as applier:
        asyncio.run(main())


def test_who_gives_up_a_wait_of_an_append_still_has_its_receipt(tmp_path: Path) -> None:
    async def main() -> BaseException:
        waiting = asyncio.create_task(aio.append(store, USER, FACT, wait_for=Watermark.APPLIED))
        while not store.count():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await waiting
        return caught.value

    with Store.open(tmp_path / "s", FAST) as store, store.applier("view"):
        error = asyncio.run(main())
        stored = interrupted_receipt(error)
        assert stored is not None
        assert store.get(stored.event_id).sequence == 0


def test_what_is_not_begun_in_time_is_withdrawn(tmp_path: Path) -> None:
    async def main() -> None:
        begun, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            begun.set()
            go_on.wait(10)

        holding = asyncio.create_task(asyncio.to_thread(store._lane.hold, hold))
        await asyncio.to_thread(begun.wait, 10)
        try:
            with pytest.raises(WaitTimeout) as caught:
                await aio.append(store, USER, FACT, timeout_s=0.02)
        finally:
            go_on.set()
            await holding
        assert caught.value.state is WriteState.NOT_WRITTEN

    with Store.open(tmp_path / "s", FAST) as store:
        asyncio.run(main())
        assert store.count() == 0


def test_a_fold_takes_what_that_of_a_store_takes(tmp_path: Path) -> None:
    async def main() -> None:
        region = Region(kinds=Counted)
        assert await aio.project(store, Sum(), region) == Counted(n=6)
        assert await aio.project(store, Sum(), region, upto=2) == Counted(n=3)
        store.append(USER, Counted(n=4))
        old = Freshness.maybe_stale(60)
        assert await aio.project(store, Sum(), region, freshness=old) == Counted(n=6)
        assert await aio.project(store, Sum(), region) == Counted(n=10)

    config = replace(FAST, projection_cache=MemoryCache())
    with Store.open(tmp_path / "s", config) as store:
        store.append_batch([BatchItem(USER, Counted(n=n)) for n in (1, 2, 3)])
        asyncio.run(main())


def test_a_projection_that_raises_what_no_future_takes_ends_the_await(tmp_path: Path) -> None:
    class Ended(Sum):
        @override
        def apply(self, state: Counted, event: StoredEvent[EventPayload], /) -> Counted:
            return super().apply(next(iter([state][1:])), event)

    async def work(store: Store) -> None:
        with pytest.raises(InvalidArgument, match="StopIteration"):
            await asyncio.wait_for(aio.project(store, Ended(), USER.entity), 10)

    with Store.open(tmp_path / "s", PLAIN) as store:
        store.append(USER, Counted(n=1))
        asyncio.run(work(store))


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


def test_a_move_wakes_the_tasks_that_it_satisfies_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(aio.wait_for(store, Watermark.VISIBLE, n)) for n in range(20)]
        await asyncio.sleep(0.01)
        assert len(looks) == 20
        assert len(store._opened.waiters.calls) == 1
        for _ in range(10):
            store.append(USER, FACT)
        await asyncio.sleep(0.01)
        assert [task.done() for task in tasks] == [True] * 10 + [False] * 10
        assert len(looks) == 30
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert not store._opened.waiters.anybody

    looks: list[int] = []
    with Store.open(tmp_path / "s", FAST) as store:
        wait = store._wait

        def noted(wanted: Wanted, limit: Limit | None) -> Frontier:
            looks.append(wanted.sequence)
            return wait(wanted, limit)

        monkeypatch.setattr(store, "_wait", noted)
        asyncio.run(main())


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
        assert len(store._targets) == 3
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert len(store._targets) == 2
        with pytest.raises(InvalidArgument):
            await aio.wait_for(store, Watermark.VISIBLE, 5, timeout_s=-1)
        store.close()
        for task in waiting:
            with pytest.raises(StoreClosed):
                await task

    with Store.open(tmp_path / "s", FAST) as store, store.applier("stalled"):
        asyncio.run(main())


async def followed(store: Store) -> None:
    with store.cursor_guaranteed(Region(entity="nobody")) as cursor:
        async for _ in aio.follow(cursor):
            pass


async def waited(store: Store) -> None:
    await aio.wait_for(store, Watermark.VISIBLE, 1_000_000)


@pytest.mark.parametrize("ask", [followed, waited])
def test_a_cancel_that_comes_with_a_wake_is_not_lost(
    tmp_path: Path, ask: Callable[[Store], Coroutine[object, object, None]]
) -> None:
    async def main() -> None:
        for rounds in range(6):
            task = asyncio.ensure_future(ask(store))
            await asyncio.sleep(0.01)
            await asyncio.to_thread(store.append, USER, FACT)
            store._opened.waiters.tell()  # the wake is in the queue of the loop
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            for _ in range(20):
                await asyncio.sleep(0)
            assert task.cancelled()

    with Store.open(tmp_path / "s", FAST) as store:
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


def test_streams_cost_no_threads_wake_for_their_own_and_leave_nothing(tmp_path: Path) -> None:
    async def read(entity: str) -> None:
        async for event in aio.follow(store.cursor_guaranteed(Region(entity=entity))):
            looked.append((entity, event.sequence))  # noqa: PERF401  one at a time

    async def main() -> None:
        tasks = [asyncio.create_task(read(f"user:{n}")) for n in range(20)]
        await asyncio.sleep(0.01)
        assert threading.active_count() <= before
        assert (len(waiters.keyed), len(waiters.calls), len(waiters.staying)) == (40, 0, 0)
        await aio.append(store, USER, FACT)
        await asyncio.sleep(0.01)
        assert looked == [("user:1", 1)]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert not waiters.keyed

    looked: list[tuple[str, int]] = []
    with Store.open(tmp_path / "s", FAST) as store:
        store.submit(Coordinate("user:x", "acme"), FACT).result()
        waiters, before = store._opened.waiters, threading.active_count()
        asyncio.run(main())


def test_a_stream_with_much_to_give_lets_others_have_the_loop(tmp_path: Path) -> None:
    async def main() -> None:
        turns = [0]

        async def other() -> None:
            while True:
                turns[0] += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        most = 3 * aio.IN_A_ROW
        for stream in (aio.follow(store.cursor_guaranteed()), aio.notifications(feed)):
            turns[0] = 0
            for _ in range(most + 1):
                await anext(cast("AsyncIterator[object]", stream))
            assert turns[0] == 3
        beside.cancel()

    with Store.open(tmp_path / "s", FAST) as store:
        feed = store.subscribe_lossy()
        store.append_batch([BatchItem(USER, FACT)] * (4 * aio.IN_A_ROW))
        asyncio.run(main())


def test_a_task_saves_its_place_and_the_loop_waits_for_no_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with store.cursor_guaranteed(checkpoint_id="mine") as cursor:
            async for event in aio.follow(cursor):
                await aio.commit(cursor)
                if event.sequence == 1:
                    break
            assert (cursor.committed, cursor.is_committed) == (2, True)

    with Store.open(tmp_path / "s", FAST) as store:
        store.append_batch([BatchItem(USER, FACT)] * 3)
        threads = syncing_threads(store, monkeypatch)
        asyncio.run(main())
        assert [one.position for one in store.cursor_checkpoints()] == [2]
        assert threads
        assert threading.get_ident() not in threads


def test_two_tasks_do_not_wait_for_one_cursor(tmp_path: Path) -> None:
    async def main() -> None:
        with store.cursor_guaranteed() as cursor:
            first = asyncio.ensure_future(anext(aio.follow(cursor)))
            await asyncio.sleep(0.01)
            with pytest.raises(InvalidArgument, match="another task"):
                await anext(aio.follow(cursor))
            await aio.append(store, USER, FACT)
            assert (await first).sequence == 0

    with Store.open(tmp_path / "s", FAST) as store:
        asyncio.run(main())


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


def test_what_cannot_come_any_more_is_not_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        assert [event.sequence async for event in aio.follow(reader.cursor_guaranteed())] == [0, 1]
        assert [one async for one in aio.notifications(reader.subscribe_lossy())] == []

    with Store.open(tmp_path / "s", PLAIN) as store:
        store.append_batch([BatchItem(USER, FACT)] * 2)
    with Store.open_read_only(tmp_path / "s") as reader:
        asyncio.run(asyncio.wait_for(main(), 20))


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
