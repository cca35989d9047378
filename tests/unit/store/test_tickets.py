"""Submissions: in the order of the calls, answered once each, and by nobody's accident.

Would slip through without it: an append that overtakes a submission of the same thread, a neighbour
that pays for a refusal, a ticket that nobody answers because the store was closed in between, a
callback that is called twice, inside the lane, or ever deeper inside other callbacks.
"""

from __future__ import annotations

import errno
import gc
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from msgspec.structs import replace

from batpak.append import AppendReceipt, BatchItem
from batpak.commit.ticket import AppendTicket
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import (
    BatpakError,
    ForkedStoreError,
    IdempotencyConflict,
    InvalidArgument,
    StoreClosed,
    TooLarge,
    UnknownParent,
    VersionConflict,
    WaitTimeout,
)
from batpak.faults import KeyFault, WriteState
from batpak.ids import EventId
from batpak.platform import REAL
from batpak.store import Store
from batpak.testing.handles import SimWriteFile
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, PLAIN, USER, Counted, Said

ROOT: Final = Path(__file__).parents[3]

OTHER: Final = Coordinate("user:2", "acme")


@pytest.fixture
def held() -> Iterator[Store]:
    """A store whose own threads have had no turn: what is submitted waits for the next append."""
    with Store.open("store", PLAIN, platform=SimPlatform()) as opened:
        yield opened


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do something in so many threads at once; what one of them raises is raised."""
    barrier = threading.Barrier(count)

    def run(me: int) -> None:
        barrier.wait(10)
        work(me)

    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(run, me) for me in range(count)]:
            done.result(60)


def until(holds: Callable[[], bool]) -> bool:
    stop = time.monotonic() + 10
    while not holds() and time.monotonic() < stop:
        time.sleep(0.002)
    return holds()


# ---------------------------------------------------------------------------------------- order


def test_a_submission_that_found_the_lane_taken_is_stored_as_soon_as_it_is_free(
    tmp_path: Path,
) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        lane, taken, go = store._lane, threading.Event(), threading.Event()

        def act() -> bool:
            taken.set()
            return go.wait(10)

        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(lane.hold, act)
            assert taken.wait(10)
            ticket = store.submit(USER, Counted(n=1))
            assert until(lambda: lane.queued == 3), "the drain thread has not come"
            time.sleep(0.05)  # it sleeps now, for a second if nobody wakes it
            began = time.monotonic()
            go.set()
            assert ticket.result(10).sequence == 0
            assert time.monotonic() - began < 0.5
            held.result(10)


@pytest.mark.parametrize("config", [FAST, PLAIN], ids=["OS", "COMMIT"])
def test_an_append_comes_after_all_that_its_thread_has_submitted(
    tmp_path: Path, config: StoreConfig
) -> None:
    with Store.open(tmp_path / "store", config) as store:
        tickets = [store.submit(USER, Counted(n=n)) for n in range(1000)]
        last = store.append(USER, Counted(n=1000), expected_version=1000)
        done = [ticket.done() for ticket in tickets]
        numbers = [event.payload.n for event in store.by_fact(Counted)]

    assert done == [True] * 1000
    assert [ticket.result(0).sequence for ticket in tickets] == list(range(1000))
    assert last.sequence == 1000
    assert numbers == list(range(1001))


def test_every_thread_keeps_its_order_among_others(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:

        def write(me: int) -> None:
            where = Coordinate(f"writer:{me}", "acme")
            for n in range(60):
                if n % 3:
                    store.submit(where, Counted(n=n))
                elif n % 2:
                    store.append(where, Counted(n=n), expected_version=n)
                else:
                    store.submit_batch([BatchItem(where, Counted(n=n), expected_version=n)])

        in_threads(8, write)
        store.sync()
        found = {
            entity: [e.payload.n for e in store.stream(entity) if isinstance(e.payload, Counted)]
            for entity in store.entities()
        }

    assert found == {f"writer:{me}": list(range(60)) for me in range(8)}


def test_a_lone_submission_is_committed_without_anybody_asking(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", PLAIN) as store:
        ticket = store.submit(USER, Counted(n=1))
        batch = store.submit_batch([BatchItem(USER, Counted(n=n)) for n in (2, 3)])

        assert until(lambda: store.count() == 3)
        receipt, receipts = ticket.result(10), batch.result(10)

    assert (receipt.sequence, receipt.durability) == (0, Durability.COMMIT)
    assert [one.sequence for one in receipts] == [1, 2]


# --------------------------------------------------------------------------------------- groups


def test_one_key_in_sixteen_threads_is_one_event_with_sixteen_equal_receipts(
    tmp_path: Path,
) -> None:
    receipts: list[AppendReceipt] = []

    with Store.open(tmp_path / "store", PLAIN) as store:

        def write(me: int) -> None:
            if me % 2:
                ticket = store.submit(USER, Counted(n=1), idempotency_key="one")
                receipts.append(ticket.result(10))
            else:
                receipts.append(store.append(USER, Counted(n=1), idempotency_key="one"))

        in_threads(16, write)
        events = list(store.query())

    assert len(events) == 1
    assert len(receipts) == 16
    assert {one.claim.head for one in receipts} == {receipts[0].head}
    assert all(one.claim == receipts[0].claim for one in receipts)
    assert sorted(one.replayed for one in receipts) == [False] + [True] * 15
    assert receipts[0].event_id == events[0].event_id


def test_one_key_with_two_payloads_is_one_event_and_the_other_is_refused(tmp_path: Path) -> None:
    stored: list[int] = []
    refused: list[IdempotencyConflict] = []

    with Store.open(tmp_path / "store", FAST) as store:

        def write(me: int) -> None:
            try:
                store.append(USER, Counted(n=me % 2), idempotency_key="one")
                stored.append(me % 2)
            except IdempotencyConflict as error:
                refused.append(error)

        in_threads(16, write)
        (event,) = store.by_fact(Counted)

    assert stored == [event.payload.n] * 8
    assert [(one.reason, one.differs) for one in refused] == [
        (KeyFault.DIFFERS, frozenset({"content"}))
    ] * 8


def test_of_many_callers_with_one_expectation_one_wins(tmp_path: Path) -> None:
    won: list[AppendReceipt] = []
    actual: list[int] = []

    with Store.open(tmp_path / "store", PLAIN) as store:

        def write(me: int) -> None:
            try:
                won.append(store.append(USER, Counted(n=me), expected_version=0))
            except VersionConflict as conflict:
                actual.append(conflict.actual)

        in_threads(16, write)

        assert store.count() == 1
    assert (len(won), actual) == (1, [1] * 15)


def test_callers_that_meet_share_writes_and_syncs(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", PLAIN) as store:

        def write(me: int) -> None:
            for n in range(30):
                store.append(Coordinate(f"writer:{me}", "acme"), Counted(n=n))

        in_threads(16, write)
        seen = store.diagnostics()
        durable = store.frontier().durable

    assert seen.units == durable == 480
    assert seen.syncs == seen.groups < 480 / 2
    assert seen.units_per_group > 2
    assert seen.sync_p50_us <= seen.sync_p99_us
    assert seen.pressure.is_idle


def test_a_group_is_one_write_and_one_sync_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[bool] = []
    sync = SimWriteFile.sync

    def spy(file: SimWriteFile, *, data_only: bool) -> None:
        syncs.append(data_only)
        sync(file, data_only=data_only)

    monkeypatch.setattr(SimWriteFile, "sync", spy)
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        for n in range(50):
            store.submit(USER, Counted(n=n))
        done, synced = sim.calls, len(syncs)

        store.append(USER, Counted(n=50))

        assert [call.kind for call in sim.trace[done:]] == ["reserve", "write", "sync"]
        assert syncs[synced:] == [True]
        assert (store.diagnostics().groups, store.diagnostics().units) == (1, 51)


def test_a_group_has_so_many_requests_at_most() -> None:
    config = StoreConfig(lifecycle_events=False, limits=Limits(group_max_requests=4))
    with Store.open("store", config, platform=SimPlatform()) as store:
        for n in range(11):
            store.submit(USER, Counted(n=n))

        assert store.append(USER, Counted(n=11)).sequence == 11
        assert store.diagnostics().groups == 3


def test_a_refusal_in_a_group_is_nobody_elses(held: Store) -> None:
    first = held.append(USER, Counted(n=0), idempotency_key="first")
    plain = [held.submit(USER, Counted(n=1), expected_version=1)]
    stale = held.submit(USER, Counted(n=2), expected_version=1)  # its neighbour was quicker
    orphan = held.submit(OTHER, Counted(n=2), caused_by=EventId(uuid4()))
    plain.append(held.submit(OTHER, Counted(n=3), expected_version=0))
    half = held.submit_batch(
        [
            BatchItem(OTHER, Counted(n=2), idempotency_key="half"),
            BatchItem(OTHER, Counted(n=2), idempotency_key="whole", expected_version=9),
        ]
    )
    again = held.submit(USER, Counted(n=0), idempotency_key="first")
    other = held.submit(USER, Counted(n=2), idempotency_key="first")
    plain.append(held.submit(OTHER, Counted(n=4), idempotency_key="half", expected_version=1))
    groups = held.diagnostics().groups

    last = held.append(USER, Counted(n=5), expected_version=2)

    assert held.diagnostics().groups == groups + 1
    assert [ticket.result(0).sequence for ticket in plain] == [1, 2, 3]
    assert last.sequence == 4
    assert again.result(0).claim == first.claim
    refused: list[tuple[BatpakError | BaseException | None, type[BatpakError]]] = [
        (stale.exception(0), VersionConflict),
        (orphan.exception(0), UnknownParent),
        (half.exception(0), VersionConflict),
        (other.exception(0), IdempotencyConflict),
    ]
    assert [type(error) for error, _ in refused] == [expected for _, expected in refused]
    numbers = [event.payload.n for event in held.by_fact(Counted)]
    assert numbers == [0, 1, 3, 4, 5]
    assert held.verify().ok


def test_a_group_that_fails_fails_for_everybody_in_it() -> None:
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        fine = store.submit(USER, Counted(n=0), idempotency_key="k")
        stale = store.submit(USER, Counted(n=1), expected_version=0)  # only with the first one
        sim.fail_at(1, errno.ENOSPC, sticky=True, kind="write")

        with pytest.raises(BatpakError) as caught:
            store.append(USER, Counted(n=2))
        sim.faults.clear()

        errors = [fine.exception(0), stale.exception(0), caught.value]
        assert {type(error).__name__ for error in errors} == {"StorageFailed"}
        assert len({id(error) for error in errors}) == 3  # each has one of its own to raise
        assert store.append(USER, Counted(n=1), expected_version=0).sequence == 0
        assert not store.append(USER, Counted(n=0), idempotency_key="k").replayed


# -------------------------------------------------------------------------------------- tickets


def test_a_submission_is_checked_by_the_caller(held: Store) -> None:
    with pytest.raises(InvalidArgument):
        held.submit(USER, Counted(n=1), flags=-1)
    with pytest.raises(TooLarge):
        held.submit(USER, Said(text="x" * (2 << 20)))
    with pytest.raises(TooLarge) as caught:
        held.submit_batch([BatchItem(USER, Counted(n=1))] * 257)

    assert caught.value.limit == 256
    assert held.diagnostics().pressure.queued == 0


def test_a_time_out_withdraws_nothing_and_a_result_can_be_asked_for_again() -> None:
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        ticket = store.submit(USER, Counted(n=1))
        sim.turns.threads.clear()  # else whoever waits lets them commit it

        for patience in (0, 0.01):
            with pytest.raises(WaitTimeout) as caught:
                ticket.result(patience)
            with pytest.raises(WaitTimeout):
                ticket.exception(patience)
            assert caught.value.state is WriteState.UNDECIDED
            assert caught.value.waited_s == patience
        assert not ticket.done()
        assert store.count() == 0
        assert store.append(USER, Counted(n=2)).sequence == 1

        assert ticket.result() is ticket.result(0)
        assert ticket.exception(0) is None
        assert store.get(ticket.result().event_id, Counted).payload.n == 1


def test_a_forked_child_does_not_wait_for_what_its_parent_has_in_line() -> None:
    pids = [4711]
    sim = SimPlatform(pid=lambda: pids[-1])
    with Store.open("store", PLAIN, platform=sim) as store:
        early, late = store.submit(USER, Counted(n=1)), store.submit(USER, Counted(n=2))
        early.result()
        waiting = store.submit(USER, Counted(n=3))
        pids.append(4712)  # a forked child: none of the threads that would decide it
        assert (early.result().sequence, late.done(), waiting.done()) == (0, True, False)
        for ask in (waiting.result, waiting.exception, waiting.hasten, lambda: waiting.result(1)):
            with pytest.raises(ForkedStoreError) as caught:
                ask()
            assert caught.value.opener_pid == 4711
        pids.pop()
        assert waiting.result().sequence == 2


def test_many_threads_may_wait_for_one_ticket(tmp_path: Path) -> None:
    platform = replace(REAL, thread=SimPlatform().thread)  # the store's own have no turn
    with Store.open(tmp_path / "store", PLAIN, platform=platform) as store:
        ticket = store.submit(USER, Counted(n=1))
        seen: list[int] = []

        def ask(me: int) -> None:
            if me == 7:
                time.sleep(0.05)
                store.append(USER, Counted(n=2))
            else:
                seen.append(ticket.result(10).sequence)

        began = time.monotonic()
        in_threads(8, ask)

    assert seen == [0] * 7
    assert time.monotonic() - began < 0.9  # woken, not found out by looking again


def test_a_callback_is_called_once_and_finds_the_event_stored(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with Store.open(tmp_path / "store", FAST) as store:

        def callback(ticket: AppendTicket) -> Callable[[], None]:
            def call() -> None:
                receipt = ticket.result(0)
                told.append((receipt.sequence, store.get(receipt.event_id).sequence))

            return call

        def write(me: int) -> None:
            for n in range(50):
                ticket = store.submit(USER, Counted(n=me * 100 + n))
                ticket.add_done_callback(callback(ticket))

        in_threads(6, write)
        store.sync()
        assert until(lambda: len(told) >= 300)
    time.sleep(0.02)

    assert sorted(told) == [(n, n) for n in range(300)]


def test_callbacks_are_called_in_order_and_one_that_fails_stops_nobody(
    held: Store, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[int] = []

    def fail() -> None:
        called.append(1)
        raise ZeroDivisionError

    ticket, refused = held.submit(USER, Counted(n=1)), held.submit(USER, Counted(n=1), flags=1)
    ticket.add_done_callback(lambda: called.append(0))
    ticket.add_done_callback(fail)
    ticket.add_done_callback(lambda: called.append(2))
    refused.add_done_callback(lambda: called.append(3))

    receipt = held.append(USER, Counted(n=2))

    assert called == [0, 1, 2, 3]
    assert receipt.sequence == 2
    (record,) = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "a callback failed")


def test_a_callback_may_append_however_many_there_are(
    held: Store, caplog: pytest.LogCaptureFixture
) -> None:
    stored: list[int] = []
    depth: list[int] = [0]
    deepest: list[int] = [0]

    def call() -> None:
        depth[0] += 1
        deepest[0] = max(deepest[0], depth[0])
        stored.append(held.append(OTHER, Counted(n=len(stored))).sequence)
        depth[0] -= 1

    for n in range(1000):
        held.submit(USER, Counted(n=n)).add_done_callback(call)

    last = held.append(USER, Counted(n=1000))

    assert last.sequence == 1000
    assert stored == list(range(1001, 2001))
    assert deepest == [1]
    assert caplog.records == []
    assert held.verify().ok


def test_a_chain_of_callbacks_that_submit_goes_on_by_itself(tmp_path: Path) -> None:
    numbers: list[int] = []
    with Store.open(tmp_path / "store", FAST) as store:

        def go_on() -> None:
            numbers.append(len(numbers))
            if len(numbers) < 300:
                store.submit(USER, Counted(n=len(numbers))).add_done_callback(go_on)

        store.submit(USER, Counted(n=0)).add_done_callback(go_on)
        assert until(lambda: len(numbers) == 300)

        assert [event.payload.n for event in store.by_fact(Counted)] == list(range(300))


def test_a_callback_of_a_done_ticket_is_called_at_once(held: Store) -> None:
    ticket = held.submit(USER, Counted(n=1))
    held.append(USER, Counted(n=2))
    called: list[int] = []

    ticket.add_done_callback(lambda: called.append(held.append(USER, Counted(n=3)).sequence))

    assert called == [2]


def test_only_a_failure_that_nobody_has_seen_is_logged(
    held: Store, caplog: pytest.LogCaptureFixture
) -> None:
    seen = held.submit(USER, Counted(n=1), expected_version=5)
    fine = held.submit(USER, Counted(n=1))
    dropped = held.submit(USER, Counted(n=1), expected_version=6)
    held.submit(USER, Counted(n=1), expected_version=7)  # dropped before it is decided
    held.append(USER, Counted(n=2))
    assert isinstance(seen.exception(), VersionConflict)
    del seen, fine, dropped
    gc.collect()

    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert all("nobody asked" in record.message for record in caplog.records)
    assert {record.name for record in caplog.records} == {"batpak.lane"}
    assert [expected in caplog.text for expected in ("expected 5", "5,")] == [False, False]


# ---------------------------------------------------------------------------------------- close


def test_closing_stores_what_stands_in_line_as_long_as_it_may() -> None:
    sim = SimPlatform()
    limits = Limits(close_timeout_s=1.0, group_max_requests=1)
    store = Store.open("store", replace(PLAIN, limits=limits), platform=sim)
    tickets: list[AppendTicket] = []

    def fill_the_line() -> None:  # while this holds the lane, nobody stores anything
        tickets.extend(store.submit(USER, Counted(n=n)) for n in range(5))

    store._lane.hold(fill_the_line)
    sync = SimWriteFile.sync

    def slow_sync(file: SimWriteFile, **how: bool) -> None:
        sim.clock.advance(700_000_000)
        sync(file, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimWriteFile, "sync", slow_sync)
        store.close()

    stored = [ticket.result(0).sequence for ticket in tickets[:2]]
    assert stored == [0, 1]
    for ticket in tickets[2:]:
        with pytest.raises(StoreClosed):
            ticket.result(0)
    with Store.open_read_only("store", platform=sim) as again:
        assert again.open_report.clean
        assert again.count() == 2


def test_closing_stores_what_was_submitted_before() -> None:
    sim = SimPlatform()
    store = Store.open("store", PLAIN, platform=sim)
    tickets = [store.submit(USER, Counted(n=n)) for n in range(500)]
    called: list[int] = []
    tickets[-1].add_done_callback(lambda: called.append(1))

    store.close()

    assert [ticket.result(0).sequence for ticket in tickets] == list(range(500))
    assert called == [1]
    with Store.open_read_only("store", platform=sim) as reader:
        assert reader.open_report.clean
        assert reader.count() == 500


@pytest.mark.parametrize("batch", [False, True])
def test_what_is_submitted_while_the_store_closes_is_answered(tmp_path: Path, batch: bool) -> None:
    store = Store.open(tmp_path / "store", FAST)
    called: list[int] = []

    def items() -> Iterator[BatchItem]:
        """The store is open when the submission begins, and closed before it stands in line."""
        yield BatchItem(USER, Counted(n=1))
        if batch:
            yield BatchItem(USER, Counted(n=2))
        store.close()

    ticket = store.submit_batch(items())
    ticket.add_done_callback(lambda: called.append(1))

    assert isinstance(ticket.exception(5), StoreClosed)
    assert called == [1]
    with pytest.raises(StoreClosed):
        store.submit(USER, Counted(n=3))
    with Store.open_read_only(tmp_path / "store") as reader:
        assert reader.count() == 0


@pytest.mark.parametrize("round_", range(5))
def test_closing_under_eight_submitting_threads_answers_every_ticket(
    tmp_path: Path, round_: int
) -> None:
    path = tmp_path / "store"
    store = Store.open(path, FAST)
    tickets: list[list[AppendTicket]] = [[] for _ in range(8)]

    def write(me: int) -> None:
        try:
            while True:
                tickets[me].append(store.submit(USER, Counted(n=me)))
        except StoreClosed:
            return

    def close(_: int) -> None:
        time.sleep(0.01 * (round_ + 1))
        store.close()

    in_threads(9, lambda me: close(me) if me == 8 else write(me))

    answers = [(ticket.exception(5), ticket) for mine in tickets for ticket in mine]
    assert {type(error) for error, _ in answers if error is not None} <= {StoreClosed}
    stored = sorted(ticket.result(0).sequence for error, ticket in answers if error is None)
    with Store.open_read_only(path) as reader:
        assert reader.open_report.clean
        assert [event.sequence for event in reader.query()] == stored


def test_a_callback_may_close_the_store(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = Store.open(path, FAST)
    done: list[str] = []

    def close() -> None:
        store.close()
        done.append(threading.current_thread().name)

    store.submit(USER, Counted(n=1)).add_done_callback(close)
    assert until(lambda: bool(done))

    with Store.open(path, FAST) as again:
        assert again.open_report.clean
        assert again.count() == 1


# --------------------------------------------------------------------------- hostile callbacks


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, RuntimeError])
def test_whatever_a_callback_raises_the_store_goes_on(
    tmp_path: Path, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    called = list[str]()

    def raise_it() -> None:
        called.append("first")
        raise error

    with Store.open(tmp_path / "s", FAST) as store:
        for _ in range(3):
            ticket = store.submit(USER, Counted(n=0))
            ticket.add_done_callback(raise_it)
            ticket.add_done_callback(lambda: called.append("second"))
            ticket.result(timeout_s=10)
        store.append(USER, Counted(n=1))
        assert store.submit(USER, Counted(n=2)).result(timeout_s=10).sequence == 4

    assert called == ["first", "second"] * 3
    assert "a callback failed" in caplog.text


def test_a_callback_may_wait_for_what_it_submits(tmp_path: Path) -> None:
    results: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
    with Store.open(tmp_path / "s", FAST) as store:

        def follow() -> None:
            try:
                later = store.submit(USER, Counted(n=1))
                results.put(later.result(timeout_s=10).sequence)
                batch = store.submit_batch([BatchItem(USER, Counted(n=2))] * 2)
                results.put(batch.result(timeout_s=10)[1].sequence)
            except BaseException as told:  # noqa: BLE001  looked at below
                results.put(told)

        for first in (0, 4):
            ticket = store.submit(USER, Counted(n=0))
            ticket.add_done_callback(follow)
            ticket.result(timeout_s=10)
            assert results.get(timeout=15) == first + 1
            assert results.get(timeout=15) == first + 3


@pytest.mark.parametrize("end", ["sys.exit(0)", "raise RuntimeError", "pass"])
def test_what_was_submitted_is_stored_when_the_process_ends_without_a_close(
    tmp_path: Path, end: str
) -> None:
    program = f"""
import sys
from batpak.store import Store
from tests.facts import PLAIN, FAST, USER, Counted
store = Store.open({str(tmp_path / "s")!r}, FAST)
for n in range(3000):
    store.submit(USER, Counted(n=n))
{end}
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60)

    with Store.open_read_only(tmp_path / "s") as reader:
        assert not reader.open_report.clean
        assert [one.payload.n for one in reader.by_fact(Counted)] == list(range(3000))
