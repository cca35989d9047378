"""Workers: every event handled, in order, by a thread that never stops without saying so.

Would slip through without it: an event that is passed without being handled, or handled before a
power cut can no longer take it back; a failure that joins as a success; a worker that outlives its
store, or that nobody can stop.
"""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from batpak import system
from batpak.config import Durability, Limits
from batpak.coordinate import Coordinate
from batpak.diagnostics import WorkerState
from batpak.errors import (
    ForkedStoreError,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    StorePoisoned,
    UnknownKind,
    VersionConflict,
    WaitTimeout,
)
from batpak.event import StoredEvent
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.read.restart import OnFailure, RestartPolicy
from batpak.read.witness import AtLeastOnce, ObservedOnce
from batpak.read.worker import CursorWorker, Step, WorkerFailed
from batpak.region import KindFilter, Region
from batpak.report import Watermark
from batpak.seal import Seal
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from batpak.wire import Form
from tests.facts import FAST, PLAIN, USER, Counted, Said

NUMBERS: Final = Region(kinds=Counted)
STRANGE: Final = EventKind.custom(0xE, 0x7FE)
ROOT: Final = Path(__file__).parents[3]
TRACE: Final = Coordinate("trace:1", "acme")
Events = Sequence[StoredEvent[EventPayload]]


def count(store: Store, *numbers: int) -> None:
    for n in numbers:
        store.append(USER, Counted(n=n))


def number(event: StoredEvent[EventPayload]) -> int:
    assert isinstance(event.payload, Counted)
    return event.payload.n


class Kept:
    """A handler that keeps what it is given, and fails at some of it.

    Args:
        failing: Number of an event -> how often it fails there.
    """

    def __init__(self, failing: dict[int, int] | None = None) -> None:
        self.batches: list[list[int]] = []
        self.witnesses: set[AtLeastOnce | None] = set()
        self.failing = {} if failing is None else failing

    def __call__(self, events: Events, witness: AtLeastOnce | None) -> None:
        self.witnesses.add(witness)
        numbers = [number(event) for event in events]
        self.batches.append(numbers)
        for n in numbers:
            if self.failing.get(n, 0):
                self.failing[n] -= 1
                raise ZeroDivisionError(f"at {n}")

    @property
    def numbers(self) -> list[int]:
        return [n for batch in self.batches for n in batch]


def until(store: Store, worker: CursorWorker) -> None:
    """Let a worker come to the end of the log, or to its own."""
    sim = store._opened.platform  # pyright: ignore[reportPrivateUsage]  whose turn it is
    assert isinstance(sim, SimPlatform)
    sim.run_background()
    assert worker.lag == 0 or worker.state is not WorkerState.RUNNING


@pytest.fixture
def sim() -> SimPlatform:
    return SimPlatform()


@pytest.fixture
def store(sim: SimPlatform) -> Iterator[Store]:
    with Store.open("store", PLAIN, platform=sim) as opened:
        yield opened


def test_history_and_the_present_are_handled_in_batches_in_order(
    store: Store, sim: SimPlatform
) -> None:
    count(store, *range(10))
    kept = Kept()
    worker = store.cursor_worker(NUMBERS, kept, batch_size=4)
    sim.run_background()
    count(store, 10, 11)
    store.append(USER, Said(text="not a number"))
    sim.run_background()

    assert kept.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [10, 11]]
    assert kept.witnesses == {None}
    assert (worker.state, worker.position, worker.lag) == (WorkerState.RUNNING, 13, 0)
    assert (worker.delivered, worker.restarts, worker.last_error) == (12, 0, None)
    assert store.diagnostics().workers == (worker.health,)
    worker.stop()
    worker.join()
    assert worker.state is WorkerState.STOPPED
    assert store.diagnostics().workers == ()


def test_a_worker_without_a_checkpoint_begins_at_the_beginning(store: Store) -> None:
    count(store, *range(3))
    for _ in range(2):
        kept = Kept()
        with store.cursor_worker(NUMBERS, kept) as worker:
            until(store, worker)
        assert kept.numbers == [0, 1, 2]


def test_a_worker_with_a_checkpoint_goes_on(sim: SimPlatform) -> None:
    kept = Kept()
    for first in (0, 5, 10):
        with Store.open("store", PLAIN, platform=sim) as store:
            count(store, *range(first, first + 5))
            with store.cursor_worker(NUMBERS, kept, checkpoint_id="mine", batch_size=2) as worker:
                until(store, worker)
                assert worker.name == "mine"
            assert [one.position for one in store.cursor_checkpoints()] == [first + 5]

    assert kept.numbers == list(range(15))


@pytest.mark.parametrize("step", [None, *Step])
def test_a_handler_says_what_happens_next(store: Store, step: Step | None) -> None:
    count(store, *range(6))
    seen: list[int] = []

    def handle(events: Events, witness: AtLeastOnce | None) -> Step | None:
        assert witness is not None
        seen.extend(map(number, events))
        return step if len(seen) == 4 else Step.CONTINUE

    worker = store.cursor_worker(NUMBERS, handle, checkpoint_id="mine", batch_size=2)
    until(store, worker)
    ends = step in (Step.STOP, Step.STOP_ROLLBACK)
    assert worker.state is (WorkerState.STOPPED if ends else WorkerState.RUNNING)
    worker.stop()
    worker.join()

    assert seen == list(range(4 if ends else 6))
    after = {Step.STOP: 4, Step.STOP_ROLLBACK: 2}.get(step, 6) if step else 6
    assert [one.position for one in store.cursor_checkpoints()] == [after]


def test_what_failed_once_is_delivered_again_from_the_last_commit(store: Store) -> None:
    count(store, *range(6))
    kept = Kept({3: 1})
    with store.cursor_worker(NUMBERS, kept, batch_size=2) as worker:
        until(store, worker)
        assert kept.batches == [[0, 1], [2, 3], [2, 3], [4, 5]]
        assert worker.restarts == 1
        assert isinstance(worker.last_error, ZeroDivisionError)
        assert worker.health.last_error == "ZeroDivisionError: at 3"


@pytest.mark.parametrize(
    ("policy", "attempts"),
    [(RestartPolicy.never(), 1), (RestartPolicy.once(), 2), (RestartPolicy.bounded(4, 60), 5)],
)
def test_what_always_fails_stops_the_worker_and_the_checkpoint_stays(
    store: Store, policy: RestartPolicy, attempts: int, caplog: pytest.LogCaptureFixture
) -> None:
    count(store, *range(6))
    kept = Kept({3: 99})
    worker = store.cursor_worker(NUMBERS, kept, checkpoint_id="mine", batch_size=2, restart=policy)
    until(store, worker)

    assert worker.state is WorkerState.FAILED
    with pytest.raises(WorkerFailed):
        worker.join()
    with pytest.raises(WorkerFailed) as caught:
        worker.join()
    error = caught.value
    assert (error.worker, error.sequence, error.attempts) == ("mine", 2, attempts)
    assert isinstance(error.cause, ZeroDivisionError)
    assert error.__cause__ is error.cause
    assert [one.position for one in store.cursor_checkpoints()] == [2]
    failures = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert [(one.name, one.__dict__["sequence"]) for one in failures] == [("batpak.worker", 2)]


def test_restarts_that_are_long_ago_do_not_count(store: Store, sim: SimPlatform) -> None:
    kept = Kept(dict.fromkeys(range(5), 1))
    policy = RestartPolicy.bounded(1, within_s=10)
    worker = store.cursor_worker(NUMBERS, kept, restart=policy)
    for n in range(3):
        count(store, n)
        sim.run_background()
        assert (worker.state, worker.restarts) == (WorkerState.RUNNING, n + 1)
        sim.clock.advance(11_000_000_000)
    count(store, 3)
    sim.run_background()
    count(store, 4)
    sim.run_background()
    assert worker.state is WorkerState.FAILED


def test_it_waits_before_it_begins_again_and_can_be_stopped_then(tmp_path: Path) -> None:
    failed = threading.Event()

    def fail(_events: Events, _witness: AtLeastOnce | None) -> None:
        failed.set()
        raise ZeroDivisionError

    with Store.open(tmp_path / "store", FAST) as store:
        count(store, 1)
        worker = store.cursor_worker(NUMBERS, fail, backoff_s=600)
        assert failed.wait(5)
        worker.stop()
        worker.join(5)
        assert worker.state is WorkerState.STOPPED


def test_leaving_the_block_raises_what_went_wrong_unless_something_else_did(store: Store) -> None:
    count(store, 1)
    with pytest.raises(WorkerFailed), store.cursor_worker(NUMBERS, Kept({1: 9})) as worker:
        until(store, worker)
    worker = store.cursor_worker(NUMBERS, Kept({1: 9}))
    until(store, worker)
    with pytest.raises(KeyError), worker:
        raise KeyError


def test_no_answer_but_a_step_is_taken(store: Store) -> None:
    count(store, 1)
    worker = store.cursor_worker(NUMBERS, lambda events, _witness: len(events))  # type: ignore[arg-type, return-value]  # refused
    until(store, worker)
    with pytest.raises(WorkerFailed) as caught:
        worker.join()
    assert isinstance(caught.value.cause, InvalidArgument)


def test_a_join_has_an_end_and_a_worker_does_not_join_itself(store: Store) -> None:
    refused: list[Exception] = []

    def handle(_events: Events, _witness: AtLeastOnce | None) -> None:
        try:
            worker.join()
        except InvalidArgument as error:
            refused.append(error)

    worker = store.cursor_worker(NUMBERS, handle)
    with pytest.raises(WaitTimeout):
        worker.join(0.01)
    count(store, 1)
    until(store, worker)
    assert len(refused) == 1


async def later(*_: object) -> None:
    raise AssertionError("nobody would await it")


def one_by_one(*given: object) -> Iterator[object]:
    yield from given


class Later:
    handle = staticmethod(later)

    async def __call__(self, *_: object) -> None:
        raise AssertionError("likewise")


def given(**named: object) -> Callable[[Store], object]:
    return lambda store: store.cursor_worker(NUMBERS, Kept(), **named)  # type: ignore[call-overload]  # refused


@pytest.mark.parametrize(
    ("argument", "act"),
    [
        ("region", lambda store: store.cursor_worker(None, Kept())),
        ("handler", lambda store: store.cursor_worker(NUMBERS, None)),
        ("handler", lambda store: store.cursor_worker(NUMBERS, later)),
        ("handler", lambda store: store.cursor_worker(NUMBERS, partial(later, 1))),
        ("handler", lambda store: store.cursor_worker(NUMBERS, Later().handle)),
        ("handler", lambda store: store.cursor_worker(NUMBERS, Later())),
        ("handler", lambda store: store.cursor_worker(NUMBERS, one_by_one)),
        ("applied_as", given(applied_as="")),
        ("applied_as", given(applied_as=3)),
        ("form", given(form=None)),
        ("name", given(name=7)),
        ("checkpoint_id", given(checkpoint_id="a/b")),
        ("batch_size", given(batch_size=0)),
        ("batch_size", given(batch_size=4097)),
        ("batch_size", given(batch_size=True)),
        ("restart", given(restart=3)),
        ("backoff_s", given(backoff_s=-1)),
        ("on_failure", given(on_failure="give up")),
        ("on_failure", given(on_failure=OnFailure.PARK)),
        ("max_restarts", lambda _: RestartPolicy(-1)),
        ("within_s", lambda _: RestartPolicy.bounded(1, -1)),
    ],
)
def test_what_is_malformed_is_refused_where_the_worker_is_asked_for(
    store: Store, argument: str, act: Callable[[Store], object]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        act(store)
    assert caught.value.argument == argument
    assert store.diagnostics().workers == ()
    store.reset_cursor("mine", position=0)


# ------------------------------------------------------------------------------------- durability


def test_with_a_checkpoint_nothing_is_handled_that_a_power_cut_could_take_back() -> None:
    for durability in Durability:
        sim = SimPlatform()
        config = replace(FAST, durability=durability, sync_every_n_events=5)
        handled: list[tuple[int, int]] = []  # and after how many operations
        with Store.open("store", config, platform=sim) as store:

            def handle(
                events: Events,
                _witness: AtLeastOnce | None,
                store: Store = store,
                sim: SimPlatform = sim,
                handled: list[tuple[int, int]] = handled,
            ) -> None:
                assert all(event.sequence < store.frontier().durable for event in events)
                handled.extend((event.sequence, len(sim.operations)) for event in events)

            store.cursor_worker(NUMBERS, handle, checkpoint_id="mine", batch_size=3)
            for n in range(13):
                count(store, n)
                if n % 2:
                    sim.run_background()

        assert [sequence for sequence, _ in handled] == list(range(len(handled)))
        assert len(handled) > 5
        tried = 0
        for after in sim.crashes(limit=300):
            assert after.origin is not None
            seen = [sequence for sequence, moment in handled if moment <= after.origin.at]
            again: list[int] = []
            with Store.open("store", PLAIN, platform=after) as store:
                assert store.count() >= len(seen)
                with store.cursor_worker(
                    NUMBERS,
                    lambda events, _witness, again=again: again.extend(e.sequence for e in events),  # type: ignore[misc]  # its own list
                    checkpoint_id="mine",
                ) as worker:
                    until(store, worker)
                assert again == list(range(store.count() - len(again), store.count()))
                assert sorted({*seen, *again}) == list(range(store.count()))  # none was skipped
            tried += 1
        assert tried > 50


@pytest.mark.parametrize("durability", [Durability.OS, Durability.INTERVAL])
def test_what_a_handler_has_stored_is_durable_before_its_source_is_passed(
    durability: Durability,
) -> None:
    """A reaction was lost by a power cut behind the checkpoint that said it was done."""
    sim = SimPlatform()
    config = replace(FAST, durability=durability, sync_every_n_events=1000)
    with Store.open("store", config, platform=sim) as store:

        def answer(events: Events, _witness: AtLeastOnce | None) -> None:
            for event in events:
                store.append(TRACE, Said(text=str(number(event))))

        store.cursor_worker(NUMBERS, answer, checkpoint_id="mine", batch_size=1)
        for n in range(4):
            count(store, n)
            sim.run_background()

    passed = 0
    for after in sim.crashes(limit=300):
        with Store.open("store", PLAIN, platform=after) as store:
            for one in store.cursor_checkpoints():
                sources = store.query(NUMBERS, before=one.position)
                answers = {e.payload.text for e in store.by_fact(Said)}
                assert {str(number(event)) for event in sources} <= answers
                passed += one.position or 0
    assert passed > 50


def test_a_worker_without_a_checkpoint_sees_what_every_reader_sees(sim: SimPlatform) -> None:
    kept = Kept()
    with Store.open("store", FAST, platform=sim) as store:
        count(store, 1)
        store.cursor_worker(NUMBERS, kept)
        sim.run_background()
        assert (kept.numbers, store.frontier().durable) == ([1], 0)


def test_a_poisoned_store_fails_a_worker_that_needs_it_to_be_durable(sim: SimPlatform) -> None:
    with Store.open("store", FAST, platform=sim) as store:
        kept = Kept()
        worker = store.cursor_worker(NUMBERS, kept, checkpoint_id="mine")
        count(store, 1)
        sim.fail_at(1, errno.EIO, kind="sync")
        sim.run_background()
        with pytest.raises(WorkerFailed) as caught:
            worker.join()
        assert isinstance(caught.value.cause, StorePoisoned)
        assert kept.numbers == []


def test_a_checkpoint_that_cannot_be_saved_fails_the_worker_and_parks_nothing(
    store: Store, sim: SimPlatform
) -> None:
    count(store, 1)
    sim.fail_at(1, errno.ENOSPC, kind="create")
    worker = store.cursor_worker(NUMBERS, Kept(), checkpoint_id="mine", on_failure=OnFailure.PARK)
    until(store, worker)

    with pytest.raises(WorkerFailed) as caught:
        worker.join()
    assert isinstance(caught.value.cause, StorageFailed)
    assert list(store.by_fact(system.EventParked)) == []


# ---------------------------------------------------------------------------------------- parking


def test_what_always_fails_is_parked_and_everything_else_is_handled(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    count(store, *range(10))
    kept = Kept({2: 99, 7: 99})
    with store.cursor_worker(
        NUMBERS, kept, checkpoint_id="mine", batch_size=5, on_failure=OnFailure.PARK
    ) as worker:
        until(store, worker)
        assert worker.position == store.frontier().visible
    parked = list(store.by_fact(system.EventParked))

    assert sorted({*kept.numbers}) == list(range(10))
    assert [event.payload.sequence for event in parked] == [2, 7]
    for event in parked:
        source = store.get(event.payload.sequence)
        assert event.payload.event_id == source.event_id == event.causation_id
        assert event.payload.error == "builtins.ZeroDivisionError"
        assert event.payload.checkpoint_id == "mine"
        assert event.correlation_id == source.correlation_id
        assert str(event.coordinate) == "batpak:parked:mine@acme"
    warned = [one.__dict__["sequence"] for one in caplog.records if "parked" in one.getMessage()]
    assert warned == [2, 7]
    assert kept.batches == [
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4],  # the restart
        [0], [1], [2], [3], [4],  # singly
        [5, 6, 7, 8, 9],  # the budget is used up
        [5], [6], [7], [8], [9],
    ]  # fmt: skip


def test_what_cannot_be_read_is_parked_as_well(store: Store) -> None:
    count(store, 0, 1)
    store.append_raw(USER, STRANGE, b"\x01")
    count(store, 3)
    region = Region(kinds=(Counted.KIND, STRANGE))
    kept = Kept()
    stopped = store.cursor_worker(region, kept, checkpoint_id="stops")
    until(store, stopped)
    with pytest.raises(WorkerFailed) as caught:
        stopped.join()
    assert (caught.value.sequence, type(caught.value.cause)) == (2, UnknownKind)

    kept = Kept()
    with store.cursor_worker(
        region, kept, checkpoint_id="mine", on_failure=OnFailure.PARK
    ) as worker:
        until(store, worker)
    (parked,) = store.by_fact(system.EventParked)
    assert kept.numbers == [0, 1, 3]
    assert (parked.payload.sequence, parked.payload.error) == (2, "batpak.errors.UnknownKind")


def test_what_is_parked_is_durable_before_it_is_passed() -> None:
    sim = SimPlatform()
    with Store.open("store", FAST, platform=sim) as store:
        count(store, *range(3))
        with store.cursor_worker(
            NUMBERS, Kept({1: 99}), checkpoint_id="mine", on_failure=OnFailure.PARK
        ) as worker:
            until(store, worker)

    passed = 0
    for after in sim.crashes(limit=400):
        with Store.open("store", PLAIN, platform=after) as store:
            for checkpoint in store.cursor_checkpoints():
                parked = store.count(Region(kinds=system.EventParked))
                assert checkpoint.error is None
                assert checkpoint.position is not None
                assert parked == 1 or checkpoint.position <= 1
                passed += parked
    assert passed


def test_an_event_that_is_parked_twice_has_one_record(store: Store) -> None:
    count(store, 0)
    for error in (ZeroDivisionError, KeyError):

        def fail(
            _events: Events,
            _witness: AtLeastOnce | None,
            error: type[Exception] = error,
        ) -> None:
            raise error

        with store.cursor_worker(
            NUMBERS, fail, checkpoint_id="mine", on_failure=OnFailure.PARK
        ) as worker:
            until(store, worker)
        store.reset_cursor("mine", position=0)

    (parked,) = store.by_fact(system.EventParked)
    assert parked.payload.error == "builtins.ZeroDivisionError"


def test_a_worker_that_fails_at_the_record_of_its_own_failure_stops(store: Store) -> None:
    count(store, 0)

    def fail(_events: Events, _witness: AtLeastOnce | None) -> None:
        raise ZeroDivisionError

    worker = store.cursor_worker(
        Region.all(), fail, checkpoint_id="mine", on_failure=OnFailure.PARK
    )
    until(store, worker)
    with pytest.raises(WorkerFailed):
        worker.join()
    assert store.count() == 2


# ---------------------------------------------------------------------------------------- witness


def test_the_witness_makes_one_key_for_each_effect_of_each_event(store: Store) -> None:
    count(store, 0, 1)
    keys: list[bytes] = []

    def handle(events: Events, witness: AtLeastOnce | None) -> None:
        assert witness is not None
        assert witness.checkpoint_id == "mine"
        for event in events:
            once = witness.once(event, "invoice")
            assert once.key == witness.operation_key(event, "invoice")
            assert (once.checkpoint_id, once.event_id) == ("mine", event.event_id)
            keys.append(once.key)
            keys.append(witness.operation_key(event, "mail"))
            keys.append(witness.operation_key(event))

    for _ in range(2):
        with store.cursor_worker(NUMBERS, handle, checkpoint_id="mine") as worker:
            until(store, worker)
        store.reset_cursor("mine", position=0)

    assert keys[:6] == keys[6:]
    assert len(set(keys)) == 6


def test_nobody_else_makes_a_witness() -> None:
    with pytest.raises(InvalidArgument):
        AtLeastOnce("mine", Seal())
    with pytest.raises(InvalidArgument):
        ObservedOnce("mine", None, b"", Seal())  # type: ignore[arg-type]  # refused for the seal


# ------------------------------------------------------------------------------------------- ends


# ---------------------------------------------------------------------------------- as an applier


@pytest.mark.parametrize("checkpoint_id", [None, "mine"])
def test_what_a_worker_has_committed_is_applied(
    store: Store, sim: SimPlatform, checkpoint_id: str | None
) -> None:
    count(store, 0, 1)
    seen: list[int] = []

    def handle(_: Events, __: AtLeastOnce | None) -> None:
        seen.append(store.frontier().applied)

    with store.cursor_worker(
        NUMBERS, handle, checkpoint_id=checkpoint_id, batch_size=2, applied_as="mine"
    ):
        count(store, 2)
        sim.run_background()
        assert seen == [2, 2], "what stood in the log is applied once it is done, and not before"
        assert store.frontier().applied == 3
        store.append(USER, Said(text="nothing that it is to handle"))
        sim.run_background()
        assert store.wait_for(Watermark.APPLIED, 3, applier="mine", timeout_s=0).applied == 4
    count(store, 3)
    assert store.frontier().applied == 5, "what has ended holds nobody up"

    if checkpoint_id is not None:  # it has applied what it was told before
        with store.cursor_worker(NUMBERS, handle, checkpoint_id=checkpoint_id, applied_as="mine"):
            assert store.wait_for(Watermark.APPLIED, 2, applier="mine", timeout_s=0).visible == 5
            with pytest.raises(WaitTimeout):
                store.wait_for(Watermark.APPLIED, 4, applier="mine", timeout_s=0)


@pytest.mark.parametrize("step", [Step.STOP, Step.STOP_ROLLBACK, None])
def test_a_worker_that_has_ended_is_no_applier_any_more(store: Store, step: Step | None) -> None:
    def handle(_: Events, __: AtLeastOnce | None) -> Step:
        if step is None:
            raise ZeroDivisionError
        return step

    worker = store.cursor_worker(NUMBERS, handle, restart=RestartPolicy.never(), applied_as="mine")
    with pytest.raises(InvalidArgument, match="applied_as"):
        store.cursor_worker(NUMBERS, handle, checkpoint_id="mine", applied_as="mine")
    count(store, 0)
    until(store, worker)

    assert worker.state is not WorkerState.RUNNING
    assert store.frontier().applied == 1
    with store.cursor_worker(NUMBERS, Kept(), checkpoint_id="mine", applied_as="mine"):
        pass  # both names are free


def test_a_handler_may_use_the_store_it_is_of(tmp_path: Path) -> None:
    done = threading.Event()
    with Store.open(tmp_path / "store", FAST) as store:

        def answer(events: Events, _witness: AtLeastOnce | None) -> Step:
            for event in events:
                n = number(event)
                if n == 20:
                    done.set()
                    return Step.STOP
                store.append(USER, Counted(n=n + 1), caused_by=event)
            return Step.CONTINUE

        with store.cursor_worker(NUMBERS, answer):
            count(store, 0)
            assert done.wait(10)
        assert [number(event) for event in store.query(NUMBERS)] == list(range(21))


def test_a_close_lets_the_batch_in_hand_finish(tmp_path: Path) -> None:
    begun, finished = threading.Event(), threading.Event()

    def handle(events: Events, _witness: AtLeastOnce | None) -> None:
        begun.set()
        finished.wait(0.2)
        for event in events:
            opened.append(TRACE, Said(text=str(number(event))))
        finished.set()

    opened = Store.open(tmp_path / "store", FAST)
    count(opened, 0, 1)
    worker = opened.cursor_worker(NUMBERS, handle, checkpoint_id="mine")
    assert begun.wait(5)
    opened.close()

    assert worker.state is WorkerState.STOPPED
    with Store.open(tmp_path / "store", FAST) as store:
        assert [one.position for one in store.cursor_checkpoints()] == [2]
        assert store.version("trace:1") == 2


def test_a_handler_that_meets_the_end_of_its_store_has_not_failed(tmp_path: Path) -> None:
    begun, closed = threading.Event(), threading.Event()

    def handle(_events: Events, _witness: AtLeastOnce | None) -> None:
        begun.set()
        closed.wait(5)
        opened.append(TRACE, Said(text="too late"))

    config = replace(FAST, limits=Limits(close_timeout_s=0.05))
    opened = Store.open(tmp_path / "store", config)
    count(opened, 0)
    worker = opened.cursor_worker(NUMBERS, handle, checkpoint_id="mine")
    assert begun.wait(5)
    opened.close()
    closed.set()
    worker.join(5)

    assert (worker.state, worker.last_error) == (WorkerState.STOPPED, None)
    with Store.open(tmp_path / "store", FAST) as store:
        assert store.cursor_checkpoints() == ()
        assert store.count(NUMBERS) == 1


def test_the_end_of_another_store_is_a_failure_like_any_other(store: Store, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "other", FAST)
    other.close()
    count(store, 0)

    def handle(_events: Events, _witness: AtLeastOnce | None) -> None:
        other.append(TRACE, Said(text="nobody takes it"))

    worker = store.cursor_worker(NUMBERS, handle)
    until(store, worker)
    with pytest.raises(WorkerFailed) as caught:
        worker.join()
    assert isinstance(caught.value.cause, StoreClosed)


def test_a_handler_may_close_its_own_store(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", FAST)
    count(store, 0)
    worker = store.cursor_worker(NUMBERS, lambda _events, _witness: store.close())
    worker.join(10)

    assert worker.state is WorkerState.STOPPED
    with pytest.raises(StoreClosed):
        count(store, 1)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_the_end_of_a_handler_that_leaves_the_program_is_a_failure_at_its_first_event(
    store: Store, error: BaseException
) -> None:
    count(store, 0, 1, 2, 3, 4)
    batches: list[int] = []

    def leave(events: Events, _witness: AtLeastOnce | None) -> None:
        batches.append(len(events))
        if len(batches) == 2:
            raise error

    worker = store.cursor_worker(NUMBERS, leave, checkpoint_id="mine", batch_size=2)
    until(store, worker)
    with pytest.raises(WorkerFailed) as caught:
        worker.join()
    assert caught.value.cause is error
    assert (caught.value.sequence, worker.position, worker.lag) == (2, 2, 3)
    assert [one.position for one in store.cursor_checkpoints()] == [2]
    assert batches == [2, 2], "it was not begun again"


def test_a_failure_names_the_worker_the_event_and_the_kind_of_error_and_no_more(
    store: Store,
) -> None:
    count(store, 7)
    told = {
        None: "worker stopped at event 0 after 1 attempt: ZeroDivisionError",
        "mail": "mail stopped at event 0 after 2 attempts: ZeroDivisionError",
    }
    for name, text in told.items():
        restart = RestartPolicy.never() if name is None else RestartPolicy.once()
        worker = store.cursor_worker(NUMBERS, Kept({7: 9}), name=name, restart=restart)
        with pytest.raises(WaitTimeout, match=f"the end of {worker.name} took"):
            worker.join(0)
        until(store, worker)
        with pytest.raises(WorkerFailed) as caught:
            worker.join()
        assert str(caught.value).splitlines()[0] == text


def test_a_forked_child_has_no_worker_and_is_told_so(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        worker = store.cursor_worker(NUMBERS, Kept())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, in later Pythons
            child = os.fork()
        if child == 0:
            status = 1
            try:
                worker.stop()
                worker.join(5)
            except ForkedStoreError:
                store.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert worker.state is WorkerState.RUNNING


UNCLOSED: Final = """
import sys
from batpak import Coordinate, Region, Store
from tests.facts import FAST, USER, Counted
store = Store.open(sys.argv[1], FAST)
store.append(USER, Counted(n=1))
def handle(events, witness): print("handled", flush=True)
worker = store.cursor_worker(Region(kinds=Counted), handle)
while not worker.delivered:
    pass
"""


def test_a_program_that_ends_without_a_close_ends_its_workers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", UNCLOSED, str(tmp_path / "store")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stdout == "handled\n"
    assert "ResourceWarning: unclosed store" in done.stderr
    assert done.stderr.count("Traceback") == 1


def test_who_was_about_to_be_woken_when_an_append_was_interrupted_is_woken(
    tmp_path: Path,
) -> None:
    calls: list[str] = []

    def interrupted() -> None:
        calls.append("called")
        if len(calls) == 1:
            raise KeyboardInterrupt

    with Store.open(tmp_path / "store", FAST) as store:
        kept = Kept()
        store._opened.waiters.stay(interrupted)  # in front of the worker
        worker = store.cursor_worker(NUMBERS, kept)
        with pytest.raises(KeyboardInterrupt):
            count(store, 1)
        while worker.lag:
            time.sleep(0.001)
        assert kept.numbers == [1]
        assert len(calls) > 1  # an interrupted publication is published again


def test_a_handler_that_would_wait_for_itself_is_refused_and_stores_nothing(store: Store) -> None:
    seen: list[str] = []

    def handle(events: Sequence[StoredEvent[EventPayload]], _: AtLeastOnce | None) -> Step:
        at = events[0].sequence
        acts: list[Callable[[], object]] = [
            lambda: store.append(USER, Said(text="more"), wait_for=Watermark.APPLIED, timeout_s=5),
            lambda: store.wait_for(Watermark.APPLIED, at, timeout_s=5),
            lambda: store.wait_for(Watermark.APPLIED, at, timeout_s=5, applier="me"),
        ]
        for act in acts:
            with pytest.raises(InvalidArgument, match="wait for itself"):
                act()
        store.append(USER, Said(text="more"))
        seen.append("done")
        return Step.STOP

    with store.cursor_worker(NUMBERS, handle, applied_as="me") as worker:
        count(store, 1)
        worker.join(20)
    assert seen == ["done"]
    assert store.count() == 2


def test_a_worker_is_behind_what_it_has_in_hand(store: Store) -> None:
    seen: list[tuple[int, int]] = []

    def handle(_events: Sequence[StoredEvent[EventPayload]], _: AtLeastOnce | None) -> Step:
        seen.append((worker.position, worker.lag))
        return Step.STOP

    worker = store.cursor_worker(NUMBERS, handle)
    count(store, 1)
    worker.join(20)
    assert seen == [(0, 1)]
    assert (worker.position, worker.lag) == (1, 0)


def test_raw_events_are_handled_as_they_are_stored(store: Store) -> None:
    store.append_raw(USER, STRANGE, b"\x07")
    seen: list[bytes] = []

    def handle(events: Sequence[StoredEvent[bytes]], _witness: AtLeastOnce | None) -> None:
        seen.extend(event.payload for event in events)

    with store.cursor_worker(Region(kinds=KindFilter.user()), handle, form=Form.RAW) as worker:
        until(store, worker)
    assert seen == [b"\x07"]


def test_writers_and_workers_run_beside_each_other(tmp_path: Path) -> None:
    kept = [Kept() for _ in range(3)]
    with Store.open(tmp_path / "store", FAST) as store:
        workers = [
            store.cursor_worker(NUMBERS, one, checkpoint_id=None if n else "mine", batch_size=7)
            for n, one in enumerate(kept)
        ]
        threads = [threading.Thread(target=lambda: count(store, *range(200))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while any(worker.position < 600 for worker in workers):
            time.sleep(0.001)
        logged = [number(event) for event in store.query(NUMBERS)]
    assert all(worker.state is WorkerState.STOPPED for worker in workers)
    assert [one.numbers for one in kept] == [logged] * 3


def test_refusals_of_the_log_are_failures_of_the_handler(store: Store) -> None:
    count(store, 0)

    def handle(_events: Events, _witness: AtLeastOnce | None) -> None:
        store.append(USER, Said(text="stale"), expected_version=9)

    worker = store.cursor_worker(NUMBERS, handle, restart=RestartPolicy.never())
    until(store, worker)
    with pytest.raises(WorkerFailed) as caught:
        worker.join()
    assert isinstance(caught.value.cause, VersionConflict)
