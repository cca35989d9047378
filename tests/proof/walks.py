"""clock: the wall clock goes back, stops, jumps or is set to another century, at any moment.

A machine lives through several runs of several walks each: a walk appends while its clock does one
of the things that clocks do. What is stored has to increase all the same, and to say what the wall
clock said wherever that is later; and what waits has to wait as long as it was told to.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Final

from batpak.append import AppendReceipt, BatchItem
from batpak.clock import WALL_MS_MAX, Hlc
from batpak.config import Durability, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import WaitTimeout
from batpak.platform import Thread
from batpak.store import Store
from batpak.testing.clock import SimClock
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from tests.facts import PLAIN, USER, Counted
from tests.proof.family import SEED, Job, Size, Tally

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
CENTURY: Final = 36_525 * DAY
YEAR_9999: Final = WALL_MS_MAX * 1_000_000
RUNS: Final = 4  # of a machine
WALKS: Final = 10  # of a run
STEPS: Final = 4  # of a walk

Shape = Callable[[SimClock, random.Random], None]


def goes_on(clock: SimClock, rng: random.Random) -> None:
    clock.advance(rng.randrange(SECOND))


def goes_back(clock: SimClock, rng: random.Random) -> None:
    clock.jump(-rng.choice((1, 1_000_000, SECOND, DAY)))


def is_reset(clock: SimClock, rng: random.Random) -> None:
    clock.set(rng.choice((0, -CENTURY, SECOND)))


def leaps(clock: SimClock, rng: random.Random) -> None:
    clock.jump(rng.choice((SECOND, DAY, CENTURY)))


def ends(clock: SimClock, rng: random.Random) -> None:
    clock.set(YEAR_9999 + rng.choice((-SECOND, 0, CENTURY)))


def stands_still(clock: SimClock, rng: random.Random) -> None:
    clock.frozen = rng.random() < 0.8


def saws(clock: SimClock, rng: random.Random) -> None:
    clock.jump(rng.choice((-DAY, DAY)))


SHAPES: Final[tuple[Shape, ...]] = (
    goes_on, goes_back, is_reset, leaps, stands_still, saws, goes_on, goes_back, leaps, saws, ends,
)  # fmt: skip


def walks(tally: Tally, size: Size, *, part: int, parts: int) -> None:
    """Machines whose clocks do what they like.

    Args:
        tally: Where it is written down.
        size: How many.
        part: Which of them, from 0.
        parts: Of so many parts.
    """
    machines = 1_000 if size is Size.LONG else 50
    for number in range(part, machines, parts):
        with tally.case(f"machine {number}"):
            live(random.Random(SEED + number), number)  # noqa: S311  what can be done again
            tally.count("walks", RUNS * WALKS)


def live(rng: random.Random, seed: int) -> None:
    """One machine through all its runs; some end with a close, some with a crash."""
    sim = SimPlatform(seed=seed, mapped=seed % 2 == 0)
    told: list[AppendReceipt] = []
    # The end of time is for ever: what comes after it has one millisecond, and a counter.
    shapes = SHAPES if seed % 10 == 0 else SHAPES[:-1]
    kept: list[Store] = []  # whoever collects one would end it in order
    for _ in range(RUNS):
        clock = sim.clock
        rng.choice(shapes)(clock, rng)
        store = Store.open("store", PLAIN, platform=sim)
        assert store.count() == len(told)
        for _ in range(WALKS):
            shape = rng.choice(shapes)
            clock.frozen = False
            for _ in range(STEPS):
                shape(clock, rng)
                step(store, clock, rng, told)
        if rng.random() < 0.7:
            store.close()
        else:
            kept.append(store)
            sim = sim.crash(rng.choice((CrashModel.KILL, CrashModel.SYNCED)))
    with Store.open("store", PLAIN, platform=sim) as store:
        increasing(store, told)


def step(store: Store, clock: SimClock, rng: random.Random, told: list[AppendReceipt]) -> None:
    """Append something, and hold its time against the wall clock's before and after."""
    last = told[-1].hlc if told else Hlc(0, -1)
    begin = clock.wall_ns() // 1_000_000
    coord, fact = Coordinate(f"walker:{rng.randrange(3)}", "acme"), Counted(n=len(told))
    which = rng.random()
    if which < 0.7:
        new: tuple[AppendReceipt, ...] = (store.append(coord, fact),)
    elif which < 0.85:
        new = store.append_batch([BatchItem(coord, fact), BatchItem(USER, fact)])
    else:
        new = (store.submit(coord, fact).result(1.0),)
    end = clock.wall_ns() // 1_000_000
    low, high = min(begin, end), max(begin, end)
    for receipt in new:
        now = receipt.hlc
        assert now > last, f"{now} after {last}"
        assert max(last.wall_ms, low) <= now.wall_ms <= max(last.wall_ms, high), f"{now}: {low}"
        assert now.counter == (last.counter + 1 if now.wall_ms == last.wall_ms else 0)
        last = now
    told.extend(new)


def increasing(store: Store, told: list[AppendReceipt]) -> None:
    """All that was told is there, in that order, and everything about it increases."""
    events = list(store.query())
    assert [event.event_hash for event in events] == [receipt.event_hash for receipt in told]
    assert [event.sequence for event in events] == list(range(len(told)))
    for before, after in pairwise(events):
        assert before.event_id < after.event_id, f"the ids of {before.sequence} and the next"
        assert before.hlc < after.hlc, f"the times of {before.sequence} and the next"
    assert all(event.event_id.version == 7 for event in events)
    assert all(1970 <= event.recorded_at.year <= 9999 for event in events)
    versions: dict[str, int] = {}
    for event in events:
        entity = event.coordinate.entity
        versions[entity] = versions.get(entity, 0) + 1
        assert event.version == versions[entity]
    assert store.verify().ok


# ------------------------------------------------------------------------------- limits of time


class Asleep:
    """A thread that never gets a turn."""

    def start(self) -> None:
        """Nothing happens."""

    def join(self, timeout: float | None = None) -> None:
        """It has done nothing, and will not."""

    def is_alive(self) -> bool:
        """It has begun, for all that anybody knows."""
        return True


def asleep(target: Callable[[], None], name: str) -> Thread:  # noqa: ARG001  whatever it is
    """Stands for a thread."""
    return Asleep()


def limits(tally: Tally, size: Size) -> None:
    """Waits of a ticket, and syncs at an interval, while the wall clock does what it likes."""
    for number in range(1_000 if size is Size.LONG else 60):
        rng = random.Random(SEED + number)  # noqa: S311  what can be done again
        with tally.case(f"a wait, {number}"):
            waits(rng)
            tally.count("time limits")
        with tally.case(f"an interval, {number}"):
            syncs_in_time(rng)
            tally.count("time limits")


def waits(rng: random.Random) -> None:
    """A ticket that nobody answers gives up after as long as it was told, and not before."""
    clock, shape = SimClock(), rng.choice(SHAPES)

    def monotonic_ns() -> int:
        shape(clock, rng) if shape is not goes_on else clock.jump(DAY)
        return clock.monotonic_ns()

    sim = SimPlatform(clock=clock, monotonic_ns=monotonic_ns, thread=asleep)
    store = Store.open("store", PLAIN, platform=sim)
    ticket = store.submit(USER, Counted(n=1))
    timeout_s = rng.choice((0.0, 0.001, 0.7, 3.5, 60.0))
    raised: WaitTimeout | None = None
    began = clock.monotonic_ns()
    try:
        ticket.result(timeout_s)
    except WaitTimeout as error:
        raised = error
    waited_s = (clock.monotonic_ns() - began) / SECOND
    assert raised is not None, "a ticket that nobody could answer has an answer"
    assert raised.waited_s == timeout_s
    assert timeout_s <= waited_s < timeout_s + 0.01, f"{waited_s} s instead of {timeout_s}"
    store.close()
    assert ticket.result(0.0).sequence == 0


def syncs_in_time(rng: random.Random) -> None:
    """What was written is durable as long after as was set, wherever the wall clock has gone."""
    every_ms = rng.choice((1, 50, 2_000))
    config = StoreConfig(
        lifecycle_events=False, durability=Durability.INTERVAL, sync_every_ms=every_ms
    )
    sim, shape = SimPlatform(), rng.choice(SHAPES)
    with Store.open("store", config, platform=sim) as store:
        for n in range(3):
            shape(sim.clock, rng)
            store.append(USER, Counted(n=n))
            assert store.frontier().durable == n, "synced too early"
            began = sim.clock.monotonic_ns()
            sim.run_background()
            waited_ms = (sim.clock.monotonic_ns() - began) / 1_000_000
            assert store.frontier().durable == n + 1, "not synced in time"
            assert every_ms <= waited_ms < every_ms + 1, f"after {waited_ms} ms, not {every_ms}"


PARTS: Final = 2
JOBS: Final = [
    *(
        Job("clock", f"walks, {part + 1} of {PARTS}", partial(walks, part=part, parts=PARTS))
        for part in range(PARTS)
    ),
    Job("clock", "limits of time", limits),
]
