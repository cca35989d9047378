"""Waits: the five bounds keep their order, and who waits for one wakes when it is past.

Would slip through without it: a picture whose halves are of two moments; a caller that is told that
its event is durable, and loses it with the power; a forgotten consumer that holds everybody up, or
a stalled one that does not; a time limit after which nobody knows whether the event is stored.
"""

from __future__ import annotations

import errno
import gc
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Final, cast, final
from uuid import UUID
from warnings import catch_warnings, simplefilter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak import wire
from batpak.append import BatchItem
from batpak.commit.applier import Applier
from batpak.commit.ticket import AppendTicket, interrupted_receipt
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import (
    DurabilityUnknown,
    InvalidArgument,
    StoreClosed,
    StorePoisoned,
    WaitTimeout,
)
from batpak.event import StoredEvent
from batpak.faults import WriteState
from batpak.guard.proposal import Proposal
from batpak.guard.verdict import Denial
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.pipeline import Pipeline
from batpak.read.projection import Projection
from batpak.report import Frontier, Watermark
from batpak.store import Store
from batpak.testing import ledger as memory
from batpak.testing.crash import CrashModel
from batpak.testing.disk import nothing
from batpak.testing.ledger import MemoryLedger
from batpak.testing.platform import SimPlatform
from batpak.wire import RAW
from tests.facts import FAST, PLAIN, USER, Counted
from tests.unit.guard.grants import BUDGET, GrantPolicy, Incident, granted
from tests.unit.parcels import DESK, NOON, ParcelId, ParcelMachine

INTERVAL: Final = replace(FAST, durability=Durability.INTERVAL, sync_every_ms=60_000)
LEVELS: Final = [PLAIN, INTERVAL, FAST]
FACT: Final = Counted(n=1)
ODD: Final = EventKind.custom(0xE, 0x7C1)
WRITTEN, DURABLE, VISIBLE, EMITTED, APPLIED = Watermark


@final
class Sum(Projection[Counted]):
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})

    @override
    def initial(self) -> Counted:
        return Counted(n=0)

    @override
    def apply(self, state: Counted, event: StoredEvent[EventPayload], /) -> Counted:
        return Counted(n=state.n + event.version)


def stalled(store: object, ask: Callable[[Applier], object]) -> None:
    """Ask while there is an applier that has applied nothing."""
    with cast("Store", store).applier("stalled") as applier:
        ask(applier)


def until(holds: Callable[[], bool]) -> bool:
    stop = time.monotonic() + 10
    while not holds() and time.monotonic() < stop:
        time.sleep(0.002)
    return holds()


def asleep(store: Store) -> bool:
    """Whether somebody sleeps until the log moves on."""
    return until(lambda: bool(store._opened.waiters.calls))


def later(work: Callable[[], Frontier]) -> Future[Frontier]:
    """Do something in another thread."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


# ------------------------------------------------------------------------------------ the picture


def assert_in_order(now: Frontier, durability: Durability) -> None:
    assert now.written >= now.durable
    assert now.written >= now.visible >= now.emitted
    assert now.visible >= now.applied
    if durability is Durability.COMMIT:
        assert now.durable >= now.visible
    unsynced = now.durable < now.written
    assert (now.oldest_unsynced_age_ms is not None) == unsynced


@pytest.mark.parametrize("config", LEVELS, ids=lambda config: config.durability.name)
def test_the_bounds_keep_their_order_under_load_and_never_go_back(
    tmp_path: Path, config: StoreConfig
) -> None:
    seen: list[list[Frontier]] = [[], []]
    done = threading.Event()
    store = Store.open(tmp_path / "s", replace(config, sync_every_n_events=7))

    def look(into: list[Frontier]) -> None:
        while not done.is_set():
            into.append(store.frontier())
            time.sleep(0.0002)  # else nobody else has a turn

    def apply() -> None:
        while not done.is_set():
            with store.applier("slow") as slow:
                for _ in range(20):
                    bound = store.frontier().visible
                    if bound:
                        slow.advance(bound // 2)
                    time.sleep(0.0005)

    def write(me: int) -> None:
        for n in range(100):
            if n % 50 == 0:
                store.sync()
            elif n % 7 == 0:
                store.append_batch([BatchItem(USER, Counted(n=n)), BatchItem(USER, FACT)])
            else:
                store.append(Coordinate(f"user:{me}", "acme"), Counted(n=n))

    with ThreadPoolExecutor(6) as pool:
        others = [pool.submit(look, into) for into in seen] + [pool.submit(apply)]
        try:
            for work in [pool.submit(write, me) for me in range(3)]:
                work.result(60)
        finally:
            done.set()
        for other in others:
            other.result(60)
    with store:
        end = store.sync()
        assert end == Frontier(*[end.written] * 4)
    for pictures in seen:
        assert len({picture.visible for picture in pictures}) > 3
        for picture in pictures:
            assert_in_order(picture, config.durability)
        for one, two in pairwise(pictures):
            for mark in Watermark:
                assert one.of(mark) <= two.of(mark), mark


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(LEVELS),
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["append", "sync", "wait", "durable", "back"]), st.just("")),
            st.tuples(st.sampled_from(["come", "go"]), st.sampled_from("abc")),
            st.tuples(st.sampled_from("abc"), st.integers(0, 9)),
        ),
        max_size=30,
    ),
)
def test_whatever_is_done_no_bound_goes_back_and_each_is_what_it_says(
    config: StoreConfig, steps: list[tuple[str, object]]
) -> None:
    sim = SimPlatform()
    with Store.open("s", replace(config, sync_every_n_events=4), platform=sim) as store:
        appliers = {name: store.applier(name) for name in "a"}
        before = store.frontier()
        for step, what in steps:
            if step == "append":
                store.append(USER, FACT)
            elif step == "sync":
                store.sync()
            elif step == "wait" and before.written:
                assert store.wait_for(DURABLE, before.written - 1).durable >= before.written
            elif step == "durable":
                receipt = store.append(USER, FACT, wait_for=DURABLE)
                assert receipt.durability is Durability.COMMIT
                assert store.frontier().durable == receipt.sequence + 1
            elif step == "back":
                sim.clock.jump(-(10**12))
            elif step == "come" and str(what) not in appliers:
                appliers[str(what)] = store.applier(str(what))
            elif step == "go" and str(what) in appliers:
                appliers.pop(str(what)).close()
            elif isinstance(what, int) and step in appliers and what < before.visible:
                appliers[step].advance(what)
            now = store.frontier()
            assert_in_order(now, config.durability)
            assert now.written == now.visible
            assert all(before.of(mark) <= now.of(mark) for mark in Watermark)
            slowest = min((one.position for one in appliers.values()), default=now.visible)
            assert slowest <= now.applied
            if not appliers:
                assert now.applied == now.visible
            before = now


def test_the_age_of_what_is_not_durable_counts_from_the_oldest_of_it() -> None:
    sim = SimPlatform()
    sim.clock.tick_ns = 0
    with Store.open("s", FAST, platform=sim) as store:
        assert store.frontier().oldest_unsynced_age_ms is None
        store.append(USER, FACT)
        sim.clock.advance(5_000_000)
        store.append(USER, FACT)
        sim.clock.advance(2_000_000)
        sim.clock.jump(-(10**15))  # it is not told by the wall clock
        assert store.frontier().oldest_unsynced_age_ms == 7
        assert store.frontier().visible_minus_durable == 2
        assert store.sync().oldest_unsynced_age_ms is None
        store.append(USER, FACT)
        assert store.frontier().oldest_unsynced_age_ms == 0


# ---------------------------------------------------------------------------------------- waiting


@pytest.mark.parametrize("config", LEVELS, ids=lambda config: config.durability.name)
@pytest.mark.parametrize("mark", Watermark)
def test_an_event_that_is_not_written_yet_may_be_waited_for(
    tmp_path: Path, config: StoreConfig, mark: Watermark
) -> None:
    with Store.open(tmp_path / "s", config) as store:
        waiting = later(lambda: store.wait_for(mark, 1, timeout_s=30))
        assert asleep(store)

        store.append(USER, FACT)
        assert not waiting.done()
        receipt = store.append(USER, FACT)

        assert waiting.result(10).of(mark) > 1
        assert store.wait_for(mark, receipt, timeout_s=0).of(mark) == 2


@pytest.mark.parametrize("mark", Watermark)
def test_a_look_without_time_says_how_far_it_is(tmp_path: Path, mark: Watermark) -> None:
    with Store.open(tmp_path / "s", FAST) as store, store.applier("stalled"):
        store.append(USER, FACT)
        sequence = 0 if mark in (DURABLE, APPLIED) else 4

        with pytest.raises(WaitTimeout) as caught:
            store.wait_for(mark, sequence, timeout_s=0)

        error = caught.value
        assert (error.target, error.reached) == (sequence, store.frontier().of(mark))
        assert (error.state, error.retryable, error.waited_s) == (None, True, 0)
        by = " by 'stalled'" if mark is APPLIED else ""
        assert str(error) == f"event {sequence} to be {mark}{by} took longer than 0 s"
        assert store.frontier().durable == 0, "a look has synced"


def test_a_wall_clock_that_runs_backwards_changes_no_answer() -> None:
    sim = SimPlatform()
    with Store.open("s", FAST, platform=sim) as store:
        receipts = []
        for _ in range(20):
            sim.clock.jump(-(10**11))
            receipts.append(store.append(USER, FACT))
            assert store.wait_for(VISIBLE, receipts[-1], timeout_s=0).visible == len(receipts)
            began = sim.monotonic_ns()
            with pytest.raises(WaitTimeout):
                store.wait_for(VISIBLE, len(receipts), timeout_s=2)
            assert 2e9 <= sim.monotonic_ns() - began < 3e9
        assert store.wait_for(DURABLE, receipts[-1]).durable == 20


def test_who_waits_is_let_go_by_a_close_and_told(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", FAST)
    stalled = store.applier("stalled")
    store.append(USER, FACT)
    futures = [
        later(lambda mark=mark, at=at: store.wait_for(mark, at))  # type: ignore[misc]  # bound here
        for mark, at in ((VISIBLE, 5), (DURABLE, 5), (APPLIED, 0))
    ]
    assert until(lambda: len(store._opened.waiters.calls) == 3)

    store.close()

    for future in futures:
        with pytest.raises(StoreClosed):
            future.result(10)
    with pytest.raises(StoreClosed):
        store.wait_for(VISIBLE, 0)
    assert not stalled.closed, "it has held APPLIED back until then"


def test_a_poisoned_store_says_what_is_so_and_refuses_what_cannot_be() -> None:
    sim = SimPlatform()
    with Store.open("s", FAST, platform=sim) as store:
        first = store.append(USER, FACT, wait_for=DURABLE)
        second = store.append(USER, FACT)
        sim.fail_at(1, errno.EIO, kind="sync")
        with pytest.raises(DurabilityUnknown):
            store.sync()

        for mark in Watermark:
            assert store.wait_for(mark, first, timeout_s=0).of(mark) >= 1
        assert store.wait_for(APPLIED, second).applied == 2
        for mark, at in ((DURABLE, 1), (VISIBLE, 2), (APPLIED, 2)):
            with pytest.raises(StorePoisoned):
                store.wait_for(mark, at)
        with store.applier("late") as late:  # reading goes on, and so does this
            late.advance(1)
            assert store.wait_for(APPLIED, second, applier="late").applied == 2


def test_a_sync_that_is_refused_is_told_to_who_asked_for_it() -> None:
    asks: list[Callable[[Store], object]] = [
        lambda store: store.wait_for(DURABLE, 0),
        lambda store: store.append(USER, FACT, wait_for=DURABLE),
    ]
    for ask in asks:
        sim = SimPlatform()
        with Store.open("s", FAST, platform=sim) as store:
            store.append(USER, FACT)
            sim.fail_at(1, errno.EIO, kind="sync")
            with pytest.raises(DurabilityUnknown):
                ask(store)


def test_a_reader_waits_for_nothing_that_cannot_come(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        store.append(USER, FACT)
    with Store.open_read_only(tmp_path / "s") as reader:
        for mark in Watermark:
            assert reader.wait_for(mark, 0).of(mark) == 1
            with pytest.raises(InvalidArgument, match="only reads"):
                reader.wait_for(mark, 1)
        with reader.applier("view") as view:
            view.advance(0)
            assert reader.wait_for(APPLIED, 0, applier="view") == reader.frontier()


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.wait_for("durable", 0),
        lambda store: store.wait_for(DURABLE, -1),
        lambda store: store.wait_for(DURABLE, True),
        lambda store: store.wait_for(DURABLE, None),
        lambda store: store.wait_for(DURABLE, 0, timeout_s=-1),
        lambda store: store.wait_for(DURABLE, 0, timeout_s=float("nan")),
        lambda store: store.wait_for(DURABLE, 0, timeout_s="1"),
        lambda store: store.wait_for(DURABLE, 0, applier="a"),
        lambda store: store.wait_for(APPLIED, 0, applier="nobody"),
        lambda store: store.append(USER, FACT, wait_for="durable"),
        lambda store: store.append(USER, FACT, timeout_s=True),
        lambda store: store.append_batch([BatchItem(USER, FACT)], timeout_s=-0.1),
        lambda store: store.applier(""),
        lambda store: store.applier(3),
        lambda store: stalled(store, lambda applier: applier.advance(0)),
        lambda store: stalled(store, lambda applier: store.applier(applier.name)),
    ],
)
def test_what_cannot_be_waited_for_is_refused_and_nothing_is_stored(
    tmp_path: Path, ask: Callable[[object], object]
) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        with pytest.raises(InvalidArgument):
            ask(store)
        assert store.count() == 0


# --------------------------------------------------------------------------------------- appliers


def test_an_applier_that_nobody_has_any_more_holds_nobody_up_and_says_so(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        lost, kept = store.applier("lost"), store.applier("kept")
        kept.advance(store.append(USER, FACT).sequence)
        waiting = later(lambda: store.wait_for(APPLIED, 0))
        assert asleep(store)

        with catch_warnings(record=True) as caught:
            simplefilter("always")
            del lost
            gc.collect()

        assert waiting.result(10).applied == 1
        assert [(one.category, str(one.message)) for one in caught] == [
            (ResourceWarning, "unclosed applier 'lost'")
        ]
        with store.applier("lost"):  # its name is free again
            assert store.frontier().applied == 1
        kept.close()


def test_an_applier_that_was_closed_or_outlives_its_store_is_dropped_in_silence(
    tmp_path: Path,
) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        outliving, closed = store.applier("outliving"), store.applier("closed")
        closed.close()

    with catch_warnings(record=True) as caught:
        simplefilter("always")
        del outliving, closed
        gc.collect()

    assert [str(one.message) for one in caught if "applier" in str(one.message)] == []


def test_who_has_waited_in_vain_for_applied_is_told_for_whom(tmp_path: Path) -> None:
    with (
        Store.open(tmp_path / "s", FAST) as store,
        store.applier("slow") as slow,
        store.applier("slower") as slower,
    ):
        store.append_batch([BatchItem(USER, FACT)] * 3)
        slow.advance(1)
        slower.advance(0)
        for named, told in ((None, "slower"), ("slow", "slow")):
            with pytest.raises(WaitTimeout, match=f"event 2 to be applied by '{told}'"):
                store.wait_for(APPLIED, 2, applier=named, timeout_s=0)
        with pytest.raises(WaitTimeout, match="by 'slower'"):
            store.append(USER, FACT, wait_for=APPLIED, timeout_s=0.001)


def test_a_watcher_has_applied_a_state_when_it_is_asked_for_the_next_one(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        store.append(USER, FACT)
        with store.watch_projection(Sum(), USER.entity, applied_as="view") as view:
            second = store.append(USER, FACT)
            assert view.next(0) is not None
            with pytest.raises(WaitTimeout, match="by 'view'"):
                store.wait_for(APPLIED, second, timeout_s=0)
            assert view.next(0) is None
            assert store.wait_for(APPLIED, second, applier="view", timeout_s=0).applied == 2
            other = store.append(Coordinate("user:2", "acme"), FACT)  # nothing of the projection
            with pytest.raises(WaitTimeout):
                store.wait_for(APPLIED, other, timeout_s=0)
            assert view.next(0) is None
            assert store.wait_for(APPLIED, other, timeout_s=0).applied == 3
            with pytest.raises(InvalidArgument, match="applied_as"):
                store.watch_projection(Sum(), USER.entity, applied_as="view")
            store.append(USER, FACT)
        assert store.frontier().applied == 4, "a closed watcher holds nobody up"


def test_a_stalled_applier_holds_applied_back_and_its_close_lets_everybody_go(
    tmp_path: Path,
) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        receipt = store.append(USER, FACT)
        list(store.query())  # reading registers nothing
        assert store.wait_for(APPLIED, receipt, timeout_s=0).applied == 1
        stalled, quick = store.applier("stalled"), store.applier("quick")
        second = store.append(USER, FACT)
        quick.advance(1)
        assert store.frontier().applied == 1
        assert store.wait_for(APPLIED, second, applier="quick", timeout_s=0).visible == 2
        waiting = later(lambda: store.wait_for(APPLIED, second))
        assert asleep(store)

        stalled.close()
        stalled.close()

        assert waiting.result(10).applied == 2
        assert stalled.closed
        with pytest.raises(InvalidArgument, match="closed"):
            stalled.advance(0)


def test_applied_stands_still_while_a_new_applier_catches_up(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        for _ in range(5):
            store.append(USER, FACT)
        with store.applier("new") as new:
            store.append(USER, FACT)
            assert (store.frontier().applied, new.position) == (5, 0)
            with pytest.raises(WaitTimeout):
                store.wait_for(APPLIED, 0, applier="new", timeout_s=0)
            new.advance(2)
            new.advance(1)
            assert (store.frontier().applied, new.position, new.name) == (5, 3, "new")
            with store.applier("newer") as newer:
                newer.advance(5)
                assert store.frontier().applied == 5
                new.advance(5)
                assert store.frontier().applied == 6
        with store.applier("new") as new:  # its name is free again
            assert new.position == 0


def test_an_applier_that_is_closed_under_who_waits_for_it_alone_is_an_error(
    tmp_path: Path,
) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        store.append(USER, FACT)
        view = store.applier("view")
        waiting = later(lambda: store.wait_for(APPLIED, 0, applier="view"))
        assert asleep(store)

        view.close()

        with pytest.raises(InvalidArgument, match="closed before"):
            waiting.result(10)


def test_what_two_threads_say_of_one_applier_never_goes_back(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store, store.applier("view") as view:
        store.append_batch([BatchItem(USER, FACT)] * 200)
        seen: list[int] = []

        def say(first: int) -> None:
            for sequence in range(first, 200, 2):
                view.advance(sequence)
                seen.append(view.position)

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(say, first) for first in range(2)]:
                done.result(30)
        assert (view.position, max(seen)) == (200, 200)
        assert store.wait_for(APPLIED, 199, timeout_s=0).applied == 200


# ---------------------------------------------------------------------------- appends that wait


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("config", LEVELS, ids=lambda config: config.durability.name)
def test_what_was_waited_for_survives_a_power_cut_at_every_level(
    config: StoreConfig, mapped: bool
) -> None:
    sim = SimPlatform(mapped=mapped)
    told: list[tuple[int, int]] = []  # at which moment how many were said to be durable
    with Store.open("s", config, platform=sim) as store:
        for n in range(4):
            receipt = store.append(USER, Counted(n=n))
            if n % 2:
                store.wait_for(DURABLE, receipt)
                told.append((len(sim.operations), n + 1))
        batch = [BatchItem(USER, Counted(n=n)) for n in (4, 5)]
        receipts = store.append_batch(batch, wait_for=DURABLE)
        told.append((len(sim.operations), 6))
        sixth = wire.encode(Counted(n=6)).data
        raw = store.append_raw(USER, Counted.KIND, sixth, wait_for=DURABLE, timeout_s=5)
        told.append((len(sim.operations), 7))
        assert {one.durability for one in (*receipts, raw)} == {Durability.COMMIT}
        store.append(USER, Counted(n=7))
    for after in sim.crashes((CrashModel.SYNCED, CrashModel.SUBSET), limit=60):
        assert after.origin is not None
        due = max((count for at, count in told if at <= after.origin.at), default=0)
        with Store.open("s", config, platform=after) as store:
            assert store.count() >= due


def test_a_durable_append_is_not_visible_before_its_sync() -> None:
    sim = SimPlatform()
    with Store.open("s", FAST, platform=sim) as store:
        seen: list[int] = []
        sim.disk.before = lambda call: seen.append(store.count()) if call.kind == "sync" else None
        store.append(USER, FACT, wait_for=DURABLE)
        sim.disk.before = nothing
        assert seen == [0]
        assert store.append(USER, FACT).durability is Durability.OS


def test_a_repetition_that_waits_for_durable_makes_the_first_one_durable() -> None:
    with Store.open("s", FAST, platform=SimPlatform()) as store:
        first = store.append(USER, FACT, idempotency_key="k")
        again = store.append(USER, FACT, idempotency_key="k", wait_for=DURABLE)

        assert (first.durability, again.durability) == (Durability.OS, Durability.COMMIT)
        assert (again.replayed, store.frontier().durable) == (True, 1)


def test_a_wait_that_ends_after_the_commit_says_that_the_event_is_stored(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store, store.applier("stalled"):
        appends: list[Callable[[], object]] = [
            lambda: store.append(USER, FACT, wait_for=APPLIED, timeout_s=0.01),
            lambda: store.append_raw(USER, ODD, b"\x01", wait_for=APPLIED, timeout_s=0),
            lambda: store.append_batch([BatchItem(USER, FACT)], wait_for=APPLIED, timeout_s=0),
        ]
        for append in appends:
            before = store.count()
            with pytest.raises(WaitTimeout) as caught:
                append()
            error = caught.value
            assert (error.state, error.retryable) == (WriteState.COMMITTED, False)
            assert (error.target, error.reached) == (before, 0)
            assert store.count() == before + 1
            kept = interrupted_receipt(pickle.loads(pickle.dumps(error)))  # noqa: S301  our own
            assert kept is not None
            assert store.get(kept.event_id, form=RAW).sequence == kept.sequence == error.target


def test_a_close_and_a_ctrl_c_that_end_a_wait_leave_the_receipt_within_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path / "s", FAST)
    stalled = store.applier("stalled")
    pool = ThreadPoolExecutor(1)
    waiting = pool.submit(lambda: store.append(USER, FACT, wait_for=APPLIED))
    assert asleep(store)
    store.close()
    error = waiting.exception(10)
    assert isinstance(error, StoreClosed)
    assert (kept := interrupted_receipt(error)) is not None
    assert (kept.sequence, stalled.position) == (0, 0)
    pool.shutdown()

    with Store.open(tmp_path / "s", FAST) as store, store.applier("stalled"):

        def interrupt(*_: object) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(store._opened.waiters, "until", interrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            store.append(USER, FACT, wait_for=APPLIED)
        assert (kept := interrupted_receipt(caught.value)) is not None
        assert kept.sequence == store.count() - 1


# --------------------------------------------------------------------------- time limits in line


def hold(store: Store) -> Callable[[], None]:
    """Have another thread hold the lane until the answer is called."""
    held, go = threading.Event(), threading.Event()

    def act() -> None:
        held.set()
        go.wait(30)

    thread = threading.Thread(target=lambda: store._lane.hold(act))
    thread.start()
    assert held.wait(10)

    def let_go() -> None:
        go.set()
        thread.join(10)

    return let_go


def test_a_write_that_is_not_begun_in_time_is_withdrawn_for_good(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        let_go = hold(store)
        began = time.monotonic()

        with pytest.raises(WaitTimeout) as caught:
            store.append(USER, FACT, timeout_s=0.05)

        assert 0.05 <= time.monotonic() - began < 5
        assert (caught.value.state, caught.value.retryable) == (WriteState.NOT_WRITTEN, True)
        assert interrupted_receipt(caught.value) is None
        let_go()
        assert store.append(USER, FACT).sequence == 0


def test_who_finds_the_line_full_waits_as_long_as_it_may_and_then_nothing_is_in_line(
    tmp_path: Path,
) -> None:
    tiny = replace(PLAIN, limits=Limits(queue_capacity=4))
    with Store.open(tmp_path / "s", tiny) as store:
        let_go, tickets = hold(store), list[AppendTicket]()
        began = time.monotonic()

        def fill() -> None:
            while True:  # who holds the lane stands in line as well, and who will drain it
                tickets.append(store.submit(USER, Counted(n=len(tickets)), timeout_s=0.05))

        with pytest.raises(WaitTimeout) as caught:
            fill()
        with pytest.raises(WaitTimeout):
            store.submit_batch([BatchItem(USER, Counted(n=9))], timeout_s=0.05)

        assert caught.value.state is WriteState.NOT_WRITTEN
        assert 0.1 <= time.monotonic() - began < 5
        let_go()
        tickets.append(store.submit(USER, Counted(n=len(tickets)), timeout_s=5))
        taken = list(range(len(tickets)))
        assert [ticket.result(5).sequence for ticket in tickets] == taken
        assert [event.payload.n for event in store.by_fact(Counted)] == taken


def test_a_sync_does_not_stand_in_line_for_longer_than_it_may(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        store.append(USER, FACT)
        let_go = hold(store)
        with pytest.raises(WaitTimeout):
            store.sync(timeout_s=0.05)
        let_go()
        assert store.sync(timeout_s=0).durable == 1


def test_who_gives_up_does_not_leave_those_behind_asleep(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        for _ in range(20):
            let_go = hold(store)
            with ThreadPoolExecutor(3) as pool:
                hurried = pool.submit(lambda: store.append(USER, FACT, timeout_s=0.02))
                assert until(lambda: store._lane.queued >= 2)
                patient = [pool.submit(store.append, USER, FACT) for _ in range(2)]
                assert until(lambda: store._lane.queued >= 4)
                time.sleep(0.015)  # so that it gives up at about the moment when it is its turn
                began = time.monotonic()
                let_go()
                for one in patient:
                    one.result(10)
                assert time.monotonic() - began < 0.9, "somebody has slept until it looked again"
                assert isinstance(hurried.exception(10), WaitTimeout | None)


def test_a_free_lane_takes_a_write_that_has_no_time_at_all(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        assert store.append(USER, FACT, timeout_s=0).sequence == 0
        assert store.append(USER, FACT, timeout_s=1e300).sequence == 1


def test_a_time_limit_means_stored_or_not_and_never_both(tmp_path: Path) -> None:
    stored: list[int] = []
    late: list[int] = []
    states: set[WriteState | None] = set()

    def write(store: Store, me: int) -> None:
        for n in range(60):
            number = me * 1000 + n
            try:
                store.append(USER, Counted(n=number), timeout_s=(n % 5) * 0.0004)
                stored.append(number)
            except WaitTimeout as error:
                late.append(number)
                states.add(error.state)

    with Store.open(tmp_path / "s", PLAIN) as store:
        with ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(write, store, me) for me in range(6)]:
                done.result(60)
        found = [event.payload.n for event in store.by_fact(Counted)]
    assert states == {WriteState.NOT_WRITTEN}, "nobody was ever late, or nobody knows"
    assert sorted(found) == sorted(stored)
    assert len(found) + len(late) == 360


def test_a_wait_for_durable_does_not_stand_in_line_for_longer_than_it_may(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        store.append(USER, FACT)
        let_go = hold(store)
        with pytest.raises(WaitTimeout) as caught:
            store.wait_for(DURABLE, 0, timeout_s=0.05)
        assert (caught.value.state, caught.value.target, caught.value.reached) == (None, 0, 0)
        let_go()


def test_no_wait_leaves_anything_behind(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store, store.applier("stalled"):
        for n in range(50):
            with pytest.raises(WaitTimeout):
                store.append(USER, Counted(n=n), wait_for=APPLIED, timeout_s=0)
        gc.collect()
        assert not store._opened.waiters.calls
        assert store._lane.queued == 0


# ------------------------------------------------------------------- what stands before a store


def test_machines_and_pipelines_hand_a_wait_on_to_their_ledger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger, asked = MemoryLedger(), list[tuple[object, object]]()
    monkeypatch.setattr(memory, "_check_wait", lambda *given: asked.append(given))
    parcels = ParcelMachine(ledger)
    verdict = parcels.pack_gates.evaluate(DESK, parcels.new(ParcelId(UUID(int=7))).pack(note=None))
    assert not isinstance(verdict, Denial)

    packed = parcels.commit(verdict, wait_for=DURABLE, timeout_s=1)
    parcels.apply(packed.send(sent_at=NOON), wait_for=APPLIED, timeout_s=2)
    pipeline = Pipeline(GrantPolicy())
    permit = pipeline.evaluate(BUDGET, Proposal(granted()))
    assert not isinstance(permit, Denial)
    pipeline.commit(permit, ledger, USER, wait_for=VISIBLE, timeout_s=3)
    passing = Pipeline.bypass(Proposal(granted()), Incident())
    pipeline.commit_bypass(passing, ledger, USER, wait_for=EMITTED, timeout_s=4)

    assert asked == [(DURABLE, 1), (APPLIED, 2), (VISIBLE, 3), (EMITTED, 4)]


def test_a_move_whose_wait_ran_out_is_stored_and_applied_again_is_the_same(
    tmp_path: Path,
) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        parcels = ParcelMachine(store)
        verdict = parcels.pack_gates.evaluate(
            DESK, parcels.new(ParcelId(UUID(int=7))).pack(note=None)
        )
        assert not isinstance(verdict, Denial)
        move = parcels.commit(verdict).send(sent_at=NOON)
        with store.applier("stalled"), pytest.raises(WaitTimeout) as caught:
            parcels.apply(move, wait_for=APPLIED, timeout_s=0)
        assert caught.value.state is WriteState.COMMITTED

        sent = parcels.apply(move)

        assert (sent.version, store.count()) == (2, 2)


def test_a_ledger_in_memory_refuses_a_wait_as_a_store_does() -> None:
    ledger: Any = MemoryLedger()
    wrongs: list[dict[str, object]] = [{"wait_for": "durable"}, {"timeout_s": -1}]
    for wrong in wrongs:
        with pytest.raises(InvalidArgument):
            ledger.append(USER, FACT, **wrong)
        with pytest.raises(InvalidArgument):
            ledger.append_batch([BatchItem(USER, FACT)], **wrong)
    assert ledger.append(USER, FACT, wait_for=APPLIED, timeout_s=0).sequence == 0


def test_a_hook_is_called_once_when_the_lane_is_free_and_may_use_the_store(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        seen: list[int] = []

        def look() -> None:
            seen.append(store.append(USER, Counted(n=2)).sequence)

        applier = store.applier("view")
        moves: list[Callable[[], object]] = [
            lambda: store.append(USER, FACT),
            lambda: applier.advance(0),
            lambda: store.submit(USER, FACT).result(10),
            applier.close,
        ]
        for count, move in enumerate(moves):
            store.once_moved(look)
            move()
            assert until(lambda: len(seen) == count + 1), count  # noqa: B023  asked at once
        store.once_moved(look)()
        store.append(USER, FACT)
        assert len(seen) == len(moves), "it was taken back"

        store.once_moved(lambda: seen.append(-1))
    assert seen[-1] == -1, "the end is told"


def test_a_hook_that_raises_is_logged_and_fails_no_append(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        store.once_moved(lambda: cast("list[None]", []).pop())
        assert store.append(USER, Counted(n=1)).sequence == 0
        with pytest.raises(InvalidArgument, match="call: must be callable, not int"):
            store.once_moved(cast("Callable[[], None]", 5))

    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "a callback failed"
    ]
