"""Visibility fences: one step for every reader, no trace if not, and never a wait for oneself.

Would slip through without it: a version or a link that begins again inside a fence or behind one, a
writer that slips in between, a fence that nobody closes and that stops everybody for ever, a ticket
that its own thread waits for, a key that a cancelled fence has used up.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from msgspec.structs import replace

from batpak.append import BatchItem, PriorItem, RawPayload
from batpak.commit.fence import FenceError
from batpak.commit.request import Request
from batpak.commit.ticket import interrupted_receipt
from batpak.commit.unit import Unit
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.diagnostics import WorkerState
from batpak.errors import (
    DurabilityUnknown,
    ForkedStoreError,
    IdempotencyConflict,
    InvalidArgument,
    PayloadInvalid,
    StorageFailed,
    StoreClosed,
    StorePoisoned,
    TooLarge,
    UnknownParent,
    VersionConflict,
    WaitTimeout,
)
from batpak.event import StoredEvent
from batpak.faults import FenceState, KeyFault, WriteState
from batpak.fence import VisibilityFence
from batpak.ids import EventId
from batpak.kind import EventKind
from batpak.override import override
from batpak.platform import REAL
from batpak.read.reactor import ReactionBatch, Reactor
from batpak.read.restart import OnFailure, RestartPolicy
from batpak.read.witness import AtLeastOnce
from batpak.read.worker import Step, WorkerFailed
from batpak.region import Region
from batpak.report import Busy, BusyReason, CompactionReport, Watermark
from batpak.store import Store
from batpak.system import EventParked
from batpak.testing.disk import Call
from batpak.testing.faults import Part, Partial
from batpak.testing.handles import SimWriteFile
from batpak.testing.platform import SimPlatform
from batpak.testing.watched import watched
from batpak.wire import RAW, encode
from tests.facts import FAST, PLAIN, USER, Counted, Said

OTHER = Coordinate("user:2", "acme")


@pytest.fixture
def sim() -> SimPlatform:
    return SimPlatform()


@pytest.fixture
def store(sim: SimPlatform) -> Iterator[Store]:
    with Store.open("store", PLAIN, platform=sim) as opened:
        yield opened


def numbers(store: Store) -> list[int]:
    return [event.payload.n for event in store.by_fact(Counted)]


# -------------------------------------------------------------------------------- in one step


def test_nothing_is_seen_before_the_commit_and_all_of_it_after(store: Store) -> None:
    store.append(USER, Counted(n=0))
    seen: list[tuple[int, int, int]] = []

    def look() -> None:
        seen.append((store.count(), store.version("user:1"), store.stats().events))

    with store.visibility_fence() as fence:
        tickets = [fence.append(USER, Counted(n=n)) for n in (1, 2)]
        batch = fence.append_batch([BatchItem(OTHER, Counted(n=3))])
        look()
        states = [fence.state]
        assert not any(ticket.done() for ticket in tickets)
    look()
    states.append(fence.state)

    assert seen == [(1, 1, 1), (4, 3, 4)]
    assert states == [FenceState.ACTIVE, FenceState.COMMITTED]
    assert [ticket.result().version for ticket in tickets] == [2, 3]
    assert [one.sequence for one in batch.result()] == [3]
    assert numbers(store) == [0, 1, 2, 3]
    first, second = (store.get(ticket.result().event_id, form=RAW) for ticket in tickets)
    assert second.prev_hash == first.event_hash
    assert store.verify().ok


def test_a_fence_is_one_unit_in_one_write_with_one_sync(store: Store, sim: SimPlatform) -> None:
    with store.visibility_fence() as fence:
        for n in range(20):
            fence.append(USER, Counted(n=n))
        done = sim.calls
        receipts = fence.commit()

    assert [call.kind for call in sim.trace[done:]] == ["reserve", "write", "sync"]
    assert [one.sequence for one in receipts] == list(range(20))
    assert {one.durability for one in receipts} == {Durability.COMMIT}


def test_who_only_serves_the_line_does_not_end_an_open_fence(store: Store) -> None:
    with store.visibility_fence() as fence:
        ticket = fence.append(USER, Counted(n=1))
        store._lane.commit(Unit((), threading.get_ident()))  # as the thread that drains the line
        assert fence.state is FenceState.ACTIVE
        assert not ticket.done()
        fence.commit()

    assert numbers(store) == [1]
    assert ticket.result().sequence == 0


def test_nobody_is_stored_with_who_only_serves_the_line_while_a_fence_is_open(store: Store) -> None:
    me = threading.get_ident()
    store.append(USER, Counted(n=0))
    with store.visibility_fence() as fence:
        fence.append(USER, Counted(n=1))

        def fill_the_line() -> None:  # while this holds the lane, both stand in line behind it
            store._lane.put(Unit((), me))
            store._lane.put(Unit((Request(OTHER, encode(Counted(n=2))),), me))

        store._lane.hold(fill_the_line)
        store._lane.commit(Unit((), me))
        assert fence.state is FenceState.ACTIVE
        assert numbers(store) == [0]

    assert numbers(store) == [0, 1]


def test_a_subscription_is_told_in_order_after_the_tickets(store: Store) -> None:
    told: list[int] = []
    with store.subscribe_lossy() as live, store.visibility_fence() as fence:
        tickets = [fence.append(USER, Counted(n=n)) for n in range(3)]
        assert live.recv(0) is None
        tickets[0].add_done_callback(lambda: told.append(store.count()))
        fence.commit()
        heard = [live.recv(0) for _ in range(3)]

    assert told == [3]
    assert [None if one is None else one.sequence for one in heard] == [0, 1, 2]


def test_what_is_staged_is_judged_at_once_with_what_was_staged_before(store: Store) -> None:
    store.append(USER, Counted(n=0))
    with store.visibility_fence() as fence:
        fence.append(USER, Counted(n=1), expected_version=1)
        fence.append(USER, Counted(n=2), expected_version=2)
        with pytest.raises(VersionConflict) as conflict:
            fence.append(USER, Counted(n=9), expected_version=2)
        with pytest.raises(VersionConflict) as in_batch:
            fence.append_batch(
                [
                    BatchItem(USER, Counted(n=9), expected_version=3),
                    BatchItem(USER, Counted(n=9), expected_version=3),
                ]
            )
        with pytest.raises(UnknownParent):
            fence.append(USER, Counted(n=9), caused_by=EventId(uuid4()))
        with pytest.raises(PayloadInvalid):
            fence.append_batch([BatchItem(USER, RawPayload(Counted.KIND, b"\xc1"))])
        with pytest.raises(InvalidArgument):
            fence.append(USER, Counted(n=9), flags=256)

    assert (conflict.value.actual, in_batch.value.actual) == (3, 4)
    assert in_batch.value.item_index == 1
    assert numbers(store) == [0, 1, 2]


def test_a_ticket_is_the_cause_of_what_is_staged_later(store: Store) -> None:
    root = store.append(OTHER, Counted(n=0))
    with store.visibility_fence() as fence:
        first = fence.append(USER, Counted(n=1), caused_by=root)
        then = fence.append(USER, Counted(n=2), caused_by=first)
        batch = fence.append_batch(
            [
                BatchItem(USER, Counted(n=3)),
                BatchItem(USER, Counted(n=4), caused_by=PriorItem(0)),
                BatchItem(USER, Counted(n=5), caused_by=root),
            ],
            caused_by=then,
        )

    one, two, *more = first.result(), then.result(), *batch.result()
    assert one.causation_id == root.event_id
    assert two.causation_id == one.event_id
    assert [it.causation_id for it in more] == [two.event_id, more[0].event_id, root.event_id]
    assert {it.correlation_id for it in (one, two, *more)} == {root.correlation_id}
    with store.visibility_fence() as later:
        again = later.append(USER, Counted(n=6), caused_by=then)
        with (
            Store.open("elsewhere", PLAIN, platform=SimPlatform(seed=7)) as elsewhere,
            elsewhere.visibility_fence() as foreign,
        ):
            undecided = foreign.append(USER, Counted(n=1))
            with pytest.raises(InvalidArgument):
                later.append(USER, Counted(n=7), caused_by=undecided)
            foreign.commit()
            for stage in (
                lambda: later.append(USER, Counted(n=7), caused_by=undecided),
                lambda: later.append_batch([BatchItem(USER, Counted(n=7))], caused_by=undecided),
            ):
                with pytest.raises(UnknownParent):  # not when all of it is committed
                    stage()
    assert again.result().causation_id == two.event_id


def test_a_fence_may_be_empty(store: Store, sim: SimPlatform) -> None:
    before = sim.calls
    with store.visibility_fence() as fence:
        pass
    with store.visibility_fence() as again:
        assert again.commit() == ()

    assert fence.state is again.state is FenceState.COMMITTED
    assert sim.calls == before
    assert store.append(USER, Counted(n=0)).sequence == 0


# ----------------------------------------------------------------------------------------- keys


def test_a_key_of_the_log_answers_at_once_and_stages_nothing(store: Store) -> None:
    first = store.append(USER, Counted(n=0), idempotency_key="k")
    with store.visibility_fence() as fence:
        again = fence.append(USER, Counted(n=0), idempotency_key="k", expected_version=9)
        assert again.done()
        assert (again.result().claim, again.result().replayed) == (first.claim, True)
        with pytest.raises(IdempotencyConflict) as other:
            fence.append(USER, Counted(n=1), idempotency_key="k")
        cause = fence.append(USER, Counted(n=2), caused_by=again)
        assert fence.commit() == (cause.result(),)

    assert other.value.reason is KeyFault.DIFFERS
    assert cause.result().causation_id == first.event_id
    assert numbers(store) == [0, 2]


def test_a_key_that_was_staged_is_that_event(store: Store) -> None:
    with store.visibility_fence() as fence:
        first = fence.append(USER, Counted(n=0), idempotency_key="k")
        again = fence.append(USER, Counted(n=0), idempotency_key="k")
        with pytest.raises(IdempotencyConflict, match="an earlier item") as other:
            fence.append(USER, Counted(n=1), idempotency_key="k")
        fence.append(USER, Counted(n=2))

    assert other.value.reason is KeyFault.DIFFERS
    assert (first.result().replayed, again.result().replayed) == (False, True)
    assert first.result().claim == again.result().claim
    assert numbers(store) == [0, 2]


@pytest.mark.parametrize("more", [0, 1])
def test_a_batch_of_a_fence_is_known_by_its_key_for_ever(store: Store, more: int) -> None:
    items = [BatchItem(USER, Counted(n=n)) for n in range(2)]
    with store.visibility_fence() as fence:
        batch = fence.append_batch(items, idempotency_key="batch")
        same = fence.append_batch(items, idempotency_key="batch")
        with pytest.raises(IdempotencyConflict) as early:
            fence.append_batch(items[:1], idempotency_key="batch")
        for n in range(more):
            fence.append(OTHER, Counted(n=10 + n))

    again = store.append_batch(items, idempotency_key="batch")
    with pytest.raises(IdempotencyConflict) as fewer:
        store.append_batch(items[:1], idempotency_key="batch")
    with pytest.raises(IdempotencyConflict) as longer:
        store.append_batch([*items, items[0]], idempotency_key="batch")

    assert [it.claim for it in again] == [it.claim for it in batch.result()]
    assert [it.claim for it in same.result()] == [it.claim for it in batch.result()]
    faults = {error.value.reason for error in (early, fewer, longer)}
    assert faults == {KeyFault.COUNT}
    assert store.count() == 2 + more


def test_a_cancelled_fence_leaves_its_keys_free(store: Store) -> None:
    fence = store.visibility_fence()
    ticket = fence.append(USER, Counted(n=0), idempotency_key="k")
    fence.cancel()

    error = ticket.exception()
    assert isinstance(error, FenceError)
    assert error.state is FenceState.CANCELLED
    assert not store.append(USER, Counted(n=1), idempotency_key="k").replayed


# ------------------------------------------------------------------------------- nobody else writes


def test_nothing_else_is_stored_while_it_is_open(store: Store) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.append(USER, Counted(n=9)),
        lambda: store.append_raw(USER, EventKind.custom(0xE, 0x7F0), b"\x01"),
        lambda: store.append_batch([BatchItem(USER, Counted(n=9))]),
        lambda: store.submit(USER, Counted(n=9)),
        lambda: store.submit_batch([BatchItem(USER, Counted(n=9))]),
        lambda: flushed(store),
        store.visibility_fence,
    ]
    with store.visibility_fence() as fence:
        fence.append(USER, Counted(n=0))
        for call in calls:
            with pytest.raises(FenceError) as caught:
                call()
            assert caught.value.state is FenceState.ACTIVE
            assert caught.value.retryable
            assert caught.value.thread == threading.get_ident()
        for busy in (
            store.try_submit(USER, Counted(n=9)),
            store.try_submit_batch([BatchItem(USER, Counted(n=9))]),
        ):
            assert isinstance(busy, Busy)
            assert busy.reason is BusyReason.FENCE
            assert busy.retry_after_ms >= 1
        assert store.append_batch([]) == ()
        assert store.pressure().is_idle
        store.sync()
        store.checkpoint()

    assert numbers(store) == [0]
    assert store.append(USER, Counted(n=1)).version == 2


def flushed(store: Store) -> object:
    """What is refused stays in the outbox."""
    outbox = store.outbox()
    outbox.stage(USER, Counted(n=9))
    try:
        return outbox.flush()
    finally:
        assert len(outbox) == 1
        outbox.clear()


def test_what_stands_in_line_when_it_opens_is_stored_before_it(store: Store) -> None:
    tickets = [store.submit(USER, Counted(n=n)) for n in range(3)]
    with store.visibility_fence() as fence:
        assert [ticket.result(0).version for ticket in tickets] == [1, 2, 3]
        fence.append(USER, Counted(n=3), expected_version=3)

    assert numbers(store) == [0, 1, 2, 3]


def test_writers_and_fences_of_many_threads_are_stored_whole_or_refused() -> None:
    stored: list[int] = []
    refused: list[FenceState] = []
    with Store.open("store", FAST, platform=SimPlatform()) as store:

        def write(me: int) -> None:
            for n in range(30):
                where = Coordinate(f"writer:{me}", "acme")
                try:
                    if n % 3:
                        store.append(where, Counted(n=me))
                        stored.append(1)
                    else:
                        with store.visibility_fence() as fence:
                            for _ in range(5):
                                fence.append(where, Counted(n=me))
                        stored.append(5)
                except FenceError as error:
                    refused.append(error.state)

        threads = [threading.Thread(target=write, args=(me,)) for me in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sum(stored) == store.count() > 0
        assert set(refused) <= {FenceState.ACTIVE}
        assert store.verify().ok


def test_a_fence_may_be_used_by_any_thread(store: Store) -> None:
    with store.visibility_fence() as fence:
        fence.append(USER, Counted(n=0))
        thread = threading.Thread(target=lambda: fence.append(USER, Counted(n=1)))
        thread.start()
        thread.join(10)

    assert numbers(store) == [0, 1]


# --------------------------------------------------------------------------------------- no trace


def test_a_cancelled_fence_leaves_no_trace(store: Store, sim: SimPlatform) -> None:
    before = store.append(USER, Counted(n=0))
    calls = sim.calls
    fence = store.visibility_fence()
    fence.append(USER, Counted(n=1))
    with pytest.raises(ZeroDivisionError), fence:
        raise ZeroDivisionError

    assert fence.state is FenceState.CANCELLED
    assert sim.calls == calls, "something was written"
    after = store.append(USER, Counted(n=2))
    assert (after.sequence, after.version) == (1, 2)
    assert store.get(after.event_id, form=RAW).prev_hash == before.event_hash
    assert store.verify().ok


def test_a_fence_that_is_over_says_how_it_ended(store: Store) -> None:
    committed, cancelled = store.visibility_fence(), None
    committed.commit()
    cancelled = store.visibility_fence()
    cancelled.cancel()
    cancelled.cancel()

    for fence, state in (
        (committed, FenceState.COMMITTED),
        (cancelled, FenceState.CANCELLED),
    ):
        for call in (
            lambda fence=fence: fence.append(USER, Counted(n=0)),
            lambda fence=fence: fence.append_batch([BatchItem(USER, Counted(n=0))]),
            fence.commit,
        ):
            with pytest.raises(FenceError) as caught:
                call()
            assert caught.value.state is state
            assert not caught.value.retryable
    with pytest.raises(FenceError):
        committed.cancel()
    assert store.count() == 0


def test_a_fence_that_is_left_open_stops_nobody_for_ever(sim: SimPlatform) -> None:
    config = replace(PLAIN, limits=Limits(fence_timeout_s=5))
    with Store.open("store", config, platform=sim) as store:
        fence = store.visibility_fence()
        ticket = fence.append(USER, Counted(n=0))
        sim.clock.advance(4_000_000_000)
        busy = store.try_submit(USER, Counted(n=1))
        assert isinstance(busy, Busy)
        assert busy.retry_after_ms <= 1001, "it is over after one more second"
        sim.clock.advance(2_000_000_000)

        assert store.append(USER, Counted(n=1)).version == 1

        assert fence.state is FenceState.EXPIRED
        error = ticket.exception()
        assert isinstance(error, FenceError)
        assert error.state is FenceState.EXPIRED
        with pytest.raises(FenceError):
            fence.commit()
        slow = store.visibility_fence()
        sim.clock.advance(6_000_000_000)
        assert not isinstance(store.try_submit(USER, Counted(n=2)), Busy)
        store.sync()
        with store.visibility_fence() as late:
            sim.clock.advance(6_000_000_000)
            late.append(USER, Counted(n=3))  # nobody else has wanted to write
        too_late = store.visibility_fence()
        sim.clock.advance(6_000_000_000)
        with pytest.raises(FenceError), too_late:
            store.append(USER, Counted(n=4))

    assert slow.state is FenceState.EXPIRED
    with Store.open_read_only("store", platform=sim) as reader:
        assert [event.payload.n for event in reader.by_fact(Counted)] == [1, 2, 3, 4]


def test_a_fence_that_is_lost_stops_nobody_at_all(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    fences = [store.visibility_fence()]
    ticket = fences[0].append(USER, Counted(n=0))
    with pytest.warns(ResourceWarning, match="left open"):
        fences.clear()

    assert store.append(USER, Counted(n=1)).version == 1
    assert isinstance(ticket.exception(), FenceError)
    (said,) = [vars(record) for record in caplog.records if "left open" in record.message]
    assert (said["store_id"], said["sequence"]) == (str(store.store_id), 0)
    assert said["path"] == store.open_report.path


def test_closing_cancels_it(sim: SimPlatform) -> None:
    store = Store.open("store", PLAIN, platform=sim)
    fence = store.visibility_fence()
    ticket = fence.append(USER, Counted(n=0))
    store.close()

    assert fence.state is FenceState.CANCELLED
    assert isinstance(ticket.exception(), FenceError)
    for call in (fence.commit, lambda: fence.append(USER, Counted(n=0))):
        with pytest.raises(StoreClosed):
            call()
    fence.cancel()
    again = Store.open("store", PLAIN, platform=sim)
    inner = again.visibility_fence()
    inner.append(USER, Counted(n=0))
    with pytest.raises(StoreClosed), inner:  # else nobody would know that nothing is stored
        again.close()
    with Store.open_read_only("store", platform=sim) as reader:
        assert reader.count() == 0
        assert reader.open_report.clean


def test_a_fence_is_of_the_process_that_opened_it(tmp_path: Path) -> None:
    pids = [4711]
    platform = replace(REAL, pid=lambda: pids[-1])
    with Store.open(tmp_path / "store", PLAIN, platform=platform) as store:
        fence = store.visibility_fence()
        fence.append(USER, Counted(n=0))
        pids.append(4712)  # a forked child
        for call in (
            lambda: fence.append(USER, Counted(n=1)),
            lambda: fence.append_batch([]),
            fence.commit,
            fence.cancel,
        ):
            with pytest.raises(ForkedStoreError):
                call()
        with pytest.raises(ZeroDivisionError), fence:
            raise ZeroDivisionError  # its end does not get in the way
        pids.pop()
        assert fence.state is FenceState.ACTIVE
        assert len(fence.commit()) == 1


# ---------------------------------------------------------------------------------------- waiting


def test_a_ticket_of_an_open_fence_is_not_waited_for_without_end(store: Store) -> None:
    with store.visibility_fence() as fence:
        ticket = fence.append(USER, Counted(n=0))
        for ask in (ticket.result, ticket.exception):
            with pytest.raises(InvalidArgument) as caught:
                ask()
            assert caught.value.argument == "timeout_s"
            with pytest.raises(WaitTimeout):
                ask(0)
    assert ticket.result().sequence == 0


@pytest.mark.parametrize("mark", Watermark)
def test_who_has_a_fence_open_does_not_wait_without_end_for_what_is_behind_it(
    tmp_path: Path, mark: Watermark
) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        store.append(USER, Counted(n=0))
        with store.visibility_fence() as fence:
            fence.append(USER, Counted(n=1))
            ends: list[int] = []
            other = threading.Thread(
                target=lambda: ends.append(store.wait_for(mark, 1).of(mark)), daemon=True
            )
            other.start()  # another thread may: this one can go on
            ends_it = threading.Timer(2, store.close)
            ends_it.start()
            with pytest.raises(FenceError) as caught:
                store.wait_for(mark, 1)
            ends_it.cancel()
            assert caught.value.state is FenceState.ACTIVE
            with pytest.raises(WaitTimeout):
                store.wait_for(mark, 1, timeout_s=0.01)
            assert store.wait_for(mark, 0).of(mark) == 1
            fence.commit()
        other.join(5)
        assert ends == [2]
        assert store.wait_for(mark, 1).of(mark) == 2


def test_a_commit_waits_for_what_it_is_told_to(sim: SimPlatform) -> None:
    with Store.open("store", FAST, platform=sim) as store:
        with store.visibility_fence() as fence:
            fence.append(USER, Counted(n=0))
            (receipt,) = fence.commit(wait_for=Watermark.DURABLE)
        assert receipt.durability is Durability.COMMIT
        assert store.frontier().durable == 1
        with store.applier("slow"), store.visibility_fence() as fence:
            fence.append(USER, Counted(n=1))
            with pytest.raises(WaitTimeout) as late:
                fence.commit(wait_for=Watermark.APPLIED, timeout_s=0.01)
        assert late.value.state is WriteState.COMMITTED
        stored = interrupted_receipt(late.value)
        assert stored is not None
        assert stored.sequence == 1
        assert fence.state is FenceState.COMMITTED


def test_a_commit_that_is_not_begun_in_time_leaves_it_open(tmp_path: Path) -> None:
    held, go = threading.Event(), threading.Event()

    def wait(call: Call) -> None:
        if call.kind == "sync" and call.path.endswith(".fbat") and threads:
            held.set()
            go.wait(10)

    threads: list[threading.Thread] = []
    with Store.open(tmp_path / "store", FAST, platform=watched(REAL, before=wait)) as store:
        store.append(USER, Counted(n=0))
        fence = store.visibility_fence()
        fence.append(USER, Counted(n=1))
        threads.append(threading.Thread(target=store.sync))
        threads[0].start()
        assert held.wait(10)
        with pytest.raises(WaitTimeout) as caught:
            fence.commit(timeout_s=0.01)
        go.set()
        threads[0].join(10)
        assert caught.value.state is WriteState.NOT_WRITTEN
        assert fence.state is FenceState.ACTIVE
        assert store.count() == 1
        assert len(fence.commit(timeout_s=10)) == 1


# --------------------------------------------------------------------------------------- failures


def test_a_refused_write_leaves_it_open_to_be_committed_again(
    store: Store, sim: SimPlatform
) -> None:
    fence = store.visibility_fence()
    ticket = fence.append(USER, Counted(n=0))
    sim.fail_at(1, Partial(Part.HALF, errno.ENOSPC), kind="write")
    with pytest.raises(StorageFailed):
        fence.commit()

    assert fence.state is FenceState.ACTIVE
    assert not ticket.done()
    assert store.count() == 0
    fence.append(USER, Counted(n=1), expected_version=1)
    assert [one.version for one in fence.commit()] == [1, 2]
    assert ticket.result().version == 1
    sim.fail_at(1, errno.EIO, kind="write")
    with pytest.raises(StorageFailed), store.visibility_fence() as block:
        block.append(USER, Counted(n=2))
    assert block.state is FenceState.CANCELLED
    assert store.append(USER, Counted(n=2)).version == 3


def test_a_refused_sync_leaves_it_unknown(sim: SimPlatform) -> None:
    store = Store.open("store", PLAIN, platform=sim)
    fence = store.visibility_fence()
    ticket = fence.append(USER, Counted(n=0), idempotency_key="k")
    sim.fail_at(1, errno.EIO, kind="sync")
    with pytest.raises(DurabilityUnknown), fence:
        pass

    assert fence.state is FenceState.UNKNOWN
    assert isinstance(ticket.exception(), DurabilityUnknown)
    with pytest.raises(FenceError):
        fence.cancel()
    with pytest.raises(StorePoisoned):
        store.visibility_fence()
    store.close()
    with Store.open("store", PLAIN, platform=sim) as again:
        assert again.append(USER, Counted(n=0), idempotency_key="k").sequence == 0
        assert again.count() == 1


def test_an_interrupted_commit_is_finished_and_known(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence = store.visibility_fence()
    tickets = [fence.append(USER, Counted(n=n)) for n in range(3)]
    write = SimWriteFile.write

    def interrupted(file: SimWriteFile, offset: int, data: bytes) -> int:
        monkeypatch.setattr(SimWriteFile, "write", write)
        write(file, offset, data)
        raise KeyboardInterrupt

    monkeypatch.setattr(SimWriteFile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        fence.commit()

    first = interrupted_receipt(caught.value)
    assert first is not None
    assert first == tickets[0].result()
    assert fence.state is FenceState.COMMITTED
    assert store.count() == 3


# ----------------------------------------------------------------------------------------- limits


def test_a_fence_has_limits_of_its_own(sim: SimPlatform) -> None:
    limits = Limits(
        payload_max_bytes=100,
        batch_max_bytes=150,
        batch_max_items=2,
        fence_max_items=4,
        fence_max_bytes=300,
    )
    with Store.open("store", replace(PLAIN, limits=limits), platform=sim) as store:
        with store.visibility_fence() as fence:
            for n in range(4):
                fence.append(USER, Counted(n=n))
            with pytest.raises(TooLarge) as items:
                fence.append(USER, Counted(n=4))
            with pytest.raises(TooLarge):
                fence.append_batch([BatchItem(USER, Counted(n=4))])
        with store.visibility_fence() as fence:
            for _ in range(3):
                fence.append(USER, Said(text="x" * 80))
            with pytest.raises(TooLarge) as size:
                fence.append(USER, Said(text="x" * 80))
            with pytest.raises(TooLarge):
                fence.append_batch([BatchItem(USER, Counted(n=4))] * 3)

    assert (items.value.what, items.value.limit) == ("number of items in a fence", 4)
    assert (size.value.what, size.value.limit) == ("fence", 300)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fence_max_items": 0},
        {"fence_max_items": 1_000_001},
        {"fence_max_bytes": (8 << 20) - 1},
        {"fence_max_bytes": (1 << 30) + 1},
        {"fence_timeout_s": 0.05},
        {"fence_timeout_s": 86_401},
        {"fence_timeout_s": "60"},
    ],
    ids=str,
)
def test_limits_of_fences_have_bounds(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(InvalidArgument) as caught:
        StoreConfig(limits=Limits(**wrong))
    assert caught.value.argument == f"limits.{name}"


# ---------------------------------------------------------------------------------------- workers


class Echo(Reactor[Counted]):
    """One answer to each number."""

    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})

    @override
    def react(
        self, event: StoredEvent[Counted], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        assert witness is not None
        out.push(OTHER, Said(text=str(event.payload.n)))


def fail(_events: object, _witness: object) -> None:
    raise ZeroDivisionError


def test_a_worker_waits_for_the_end_of_a_fence_and_spends_nothing(tmp_path: Path) -> None:
    met = threading.Event()

    with Store.open(tmp_path / "store", FAST) as store:

        def answer(_events: object, _witness: object) -> None:
            met.set()
            store.append(OTHER, Said(text="by hand"))

        fence = store.visibility_fence()
        fence.append(USER, Counted(n=0))
        numbers_only = Region(kinds=Counted)
        never = RestartPolicy.never()
        with (
            store.react(Echo(), checkpoint_id="echo", restart=never) as echo,
            store.cursor_worker(numbers_only, answer, name="by hand", restart=never) as by_hand,
            store.cursor_worker(
                numbers_only,
                fail,
                checkpoint_id="parks",
                restart=never,
                on_failure=OnFailure.PARK,
            ) as parks,
        ):
            fence.commit()
            assert until(lambda: store.count() == 4), "none of them was done"
            fence = store.visibility_fence()
            store_first = fence.append(USER, Counted(n=1))
            fence.commit()
            fence = store.visibility_fence()
            met.clear()
            assert store_first.result().version == 2
            time.sleep(0.05)
            assert {one.state for one in (echo, by_hand, parks)} == {WorkerState.RUNNING}
            fence.cancel()
            assert until(lambda: store.count() == 8), "somebody has not gone on"
            assert [one.restarts for one in (echo, by_hand, parks)] == [0, 0, 0]
        assert [event.payload.sequence for event in store.by_fact(EventParked)] != []


def test_a_worker_does_not_wait_for_a_fence_of_its_own_handler(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:

        def answer(_events: object, _witness: object) -> None:
            with store.visibility_fence():
                store.append(OTHER, Said(text="never"))

        store.append(USER, Counted(n=0))
        worker = store.cursor_worker(Region(kinds=Counted), answer, name="stuck")
        with pytest.raises(WorkerFailed) as caught:
            worker.join(10)
        assert isinstance(caught.value.cause, FenceError)
        assert store.count() == 1


def test_a_worker_asks_now_and_then_whether_a_fence_of_another_store_is_over() -> None:
    sim, asked = SimPlatform(), 0
    brief = replace(PLAIN, limits=Limits(fence_timeout_s=1.0))

    with Store.open("store", PLAIN, platform=sim) as store:
        store.append(USER, Counted(n=0))
        with Store.open("other", brief, platform=sim) as other:

            def answer(_events: object, _witness: object) -> Step:
                nonlocal asked
                asked += 1
                assert asked < 100, "it asks all the time"
                other.append(OTHER, Said(text="late"))
                return Step.STOP

            fence = other.visibility_fence()
            worker = store.cursor_worker(Region(kinds=Counted), answer, name="asks")
            worker.join(10)

            assert (fence.state, other.count()) == (FenceState.EXPIRED, 1)
            assert asked > 1
            assert worker.restarts == 0


def test_a_close_does_not_wait_for_workers_that_wait_for_a_fence(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", FAST)
    store.append(USER, Counted(n=0))
    fence = store.visibility_fence()
    worker = store.react(Echo(), checkpoint_id="echo")
    time.sleep(0.05)
    began = time.monotonic()
    store.close()

    assert time.monotonic() - began < 3
    assert worker.state is WorkerState.STOPPED
    assert fence.state is FenceState.CANCELLED


class Remover(threading.Thread):
    """Drops the first event of a store, and says when only its announcement is left to write."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store, self.built = store, threading.Event()
        self.done: CompactionReport | BaseException | None = None
        self.start()

    @override
    def run(self) -> None:
        def progress(done: int, _: int) -> None:
            if done:
                self.built.set()

        try:
            self.done = self._store.compact(retain=lambda one: one.sequence != 0, progress=progress)
        except BaseException as error:  # noqa: BLE001  it is looked at
            self.done = error


def test_a_removal_waits_for_the_end_of_a_fence_that_it_meets(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        store.append(USER, Counted(n=0))
        with store.visibility_fence() as fence:
            fence.append(OTHER, Counted(n=1))
            remover = Remover(store)
            assert remover.built.wait(10)
            remover.join(0.05)
            assert remover.is_alive(), remover.done
        remover.join()

        assert isinstance(remover.done, CompactionReport)
        assert remover.done.dropped == 1
        assert numbers(store) == [1]
        assert store.verify().ok


def test_a_removal_is_refused_at_once_to_who_has_a_fence_open(store: Store) -> None:
    store.append(USER, Counted(n=0))
    asked: list[object] = []
    own: list[VisibilityFence] = []

    def erases(event: object) -> bool:
        asked.append(event)
        return True

    def opens(_: object) -> bool:
        own.append(store.visibility_fence())
        return True

    with store.visibility_fence(), pytest.raises(FenceError) as caught:
        store.compact(tombstone=erases)
    assert caught.value.state is FenceState.ACTIVE
    assert not asked, "in vain"
    with pytest.raises(FenceError):
        store.compact(tombstone=opens)
    own[0].cancel()
    assert numbers(store) == [0]


def test_a_close_ends_a_removal_that_waits_for_a_fence(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", FAST)
    store.append(USER, Counted(n=0))
    fence = store.visibility_fence()
    remover = Remover(store)
    assert remover.built.wait(10)
    remover.join(0.05)
    began = time.monotonic()
    store.close()
    remover.join()

    assert time.monotonic() - began < 3
    assert isinstance(remover.done, StoreClosed)
    assert fence.state is FenceState.CANCELLED
    with Store.open(tmp_path / "store", FAST) as again:
        assert numbers(again) == [0]


def until(holds: Callable[[], bool]) -> bool:
    stop = time.monotonic() + 10
    while not holds() and time.monotonic() < stop:
        time.sleep(0.002)
    return holds()
