"""Virtual time, and threads that run when it is their turn."""

from __future__ import annotations

import pytest

from batpak.clock import WALL_MS_MAX
from batpak.commit.worker import Worker
from batpak.config import Durability, StoreConfig
from batpak.errors import WaitTimeout
from batpak.platform import REAL
from batpak.store import Store
from batpak.testing.clock import SimClock
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from tests.facts import PLAIN, SMALL, USER, Counted, Said

INTERVAL = StoreConfig(lifecycle_events=False, durability=Durability.INTERVAL)


# ------------------------------------------------------------------------------------------ time


def test_every_read_moves_the_clock_a_little() -> None:
    clock = SimClock(wall_ns=5_000)

    assert [clock.wall_ns() for _ in range(3)] == [6_000, 7_000, 8_000]
    assert [clock.monotonic_ns() for _ in range(2)] == [1_000, 2_000]


def test_the_wall_clock_can_be_set_back_frozen_and_thrown_far_and_the_other_one_cannot() -> None:
    clock = SimClock()
    clock.set(1_000_000)
    clock.jump(-2_000_000)
    early = clock.wall_ns()
    clock.frozen = True
    clock.jump(10_000_000)
    frozen = {clock.wall_ns() for _ in range(5)}
    clock.set(10**30)

    assert early == 0
    assert len(frozen) == 1
    assert clock.wall_ns() == WALL_MS_MAX * 1_000_000
    assert clock.monotonic_ns() < clock.monotonic_ns()
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_time_passes_by_both_clocks() -> None:
    sim = SimPlatform()
    wall, monotonic = sim.wall_ns(), sim.monotonic_ns()
    sim.clock.advance(10**9)

    assert 10**9 < sim.wall_ns() - wall < 2 * 10**9
    assert 10**9 < sim.monotonic_ns() - monotonic < 2 * 10**9


# --------------------------------------------------------------------------------------- threads


def test_a_thread_does_nothing_before_its_turn_and_all_there_is_in_it() -> None:
    sim = SimPlatform()
    done: list[int] = []
    worker = Worker(sim, "test", lambda: done.append(1))

    worker.wake()
    before = done.copy()
    sim.run_background()
    worker.wake()
    sim.run_background()
    sim.run_background()
    worker.stop(5)

    assert (before, done) == ([], [1, 1])
    assert not sim.turns.threads


def test_one_thread_that_wakes_another_makes_it_work_in_the_same_turn() -> None:
    sim = SimPlatform()
    done: list[str] = []
    second = Worker(sim, "second", lambda: done.append("second"))
    second.wake()
    sim.run_background()

    def wake() -> None:
        done.append("first")
        second.wake()

    first = Worker(sim, "first", wake)
    first.wake()
    sim.run_background()

    assert done == ["second", "first", "second"]


def test_waiting_with_a_time_limit_costs_virtual_time_only() -> None:
    sim = SimPlatform()
    lock = sim.raw_lock()
    lock.acquire()
    began, began_really = sim.monotonic_ns(), REAL.monotonic_ns()

    taken = lock.acquire(timeout=3600)

    assert not taken
    assert sim.monotonic_ns() - began >= 3600 * 10**9
    assert REAL.monotonic_ns() - began_really < 10**9


def test_a_submission_is_committed_by_whoever_waits_for_it() -> None:
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        ticket = store.submit(USER, Counted(n=1))
        done = ticket.done()

        assert (done, ticket.result(60).sequence) == (False, 0)


def test_a_submission_is_committed_when_the_background_has_its_turn() -> None:
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        ticket = store.submit(USER, Counted(n=1))
        sim.run_background()

        assert ticket.done()


def test_a_ticket_that_nobody_can_answer_times_out_by_the_virtual_clock() -> None:
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        ticket = store.submit(USER, Counted(n=1))
        sim.turns.threads.clear()  # as if the drain thread had died

        with pytest.raises(WaitTimeout):
            ticket.result(60)


def test_the_timer_syncs_when_the_background_has_its_turn() -> None:
    sim = SimPlatform()
    with Store.open("store", INTERVAL, platform=sim) as store:
        store.append(USER, Counted(n=1))
        before = sim.crash(CrashModel.SYNCED)
        sim.run_background()
        after = sim.crash(CrashModel.SYNCED)

    counts: list[int] = []
    for machine in (before, after):
        with Store.open("store", INTERVAL, platform=machine) as store:
            counts.append(store.count())
    assert counts == [0, 1]


def test_a_sealed_file_gets_its_footer_when_the_background_has_its_turn() -> None:
    sim = SimPlatform()
    with Store.open("store", SMALL, platform=sim) as store:
        while "store/000002.fbat" not in sim.files():
            store.append(USER, Said(text="x" * 500))
        before = len(sim.files()["store/000001.fbat"])
        sim.run_background()

        assert len(sim.files()["store/000001.fbat"]) > before


def test_the_same_program_on_the_same_machine_leaves_the_same_trace_to_the_byte() -> None:
    digests: list[str] = []
    for seed in (1, 1, 2):
        sim = SimPlatform(seed=seed)
        with Store.open("store", SMALL, platform=sim) as store:
            for n in range(30):
                store.submit(USER, Said(text="x" * 300 + str(n)))
                if n % 7 == 0:
                    sim.run_background()
        digests.append(sim.trace_digest())

    assert digests[0] == digests[1] != digests[2]
