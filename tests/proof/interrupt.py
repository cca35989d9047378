"""A reader, and an exception from outside, at every line of the code that commits.

While one thread appends, another one may read between any two of its steps: it sees whole units,
more of them or the same as before. And an exception such as Ctrl-C may appear there: the unit is
stored or it is not, whoever asks is told which, and the log goes on. Would slip through without it:
an event that is visible before the index has it, a commit that is half forgotten, a lane that stays
taken. Bytecodes, and real signals, are tried by `tests/unit/commit` and `tests/interrupt`.
"""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from linecache import getline
from types import FrameType
from typing import Any, Final, NamedTuple

from batpak.append import BatchItem
from batpak.commit.ticket import interrupted_receipt
from batpak.config import Durability
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError, DurabilityUnknown, StorePoisoned
from batpak.override import override
from batpak.region import Region
from batpak.store import Store
from batpak.system import ShapesRecorded
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from tests.facts import Said
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.oracle import seen
from tests.proof.workload import config_of

ROOMS: Final = ("/batpak/commit/", "/batpak/index/tail.py", "/batpak/journal/active.py")
# The first two hold the lock that a reader of a tail takes; what the third raises goes nowhere.
OPAQUE: Final = {"catch_up", "_group_rows", "__del__"}
STEP: Final = 31  # by default at every so many lines, except where a unit says another number
MERGE_ROOMS: Final = (
    "/batpak/upkeep/compaction.py",
    "/batpak/upkeep/output.py",
    "/batpak/journal/rewritten.py",
)
MERGE_STEP: Final = 7
CLOSE_ROOMS: Final = ("/batpak/commit/", "/batpak/read/shapes.py", "/batpak/shape.py")
CLOSE_STEP: Final = 5
MERGED: Final = 12  # events, in several files
KEY: Final = "the unit"
BEFORE: Final = 2  # events that are there already


class Append:
    """One append on a store that has some events: with two of them it begins a new file."""

    def __init__(
        self, sizes: tuple[int, ...], durability: Durability, *, mapped: bool, before: int = BEFORE
    ) -> None:
        self.sim = SimPlatform(seed=SEED, mapped=mapped)
        self.store = Store.open("store", config_of(durability), platform=self.sim)
        self.items = [
            BatchItem(Coordinate(f"writer:{n % 2}", "acme"), Said(text=f"{n} " + "x" * size))
            for n, size in enumerate(sizes)
        ]
        self.before = before
        for n in range(before):
            self.store.append(Coordinate("writer:0", "acme"), Said(text="y" * 2100 + str(n)))

    def run(self) -> int:
        """The sequence of its first event."""
        return self.store.append_batch(self.items, idempotency_key=KEY)[0].sequence

    @property
    def after(self) -> int:
        """How many events there are when it is stored."""
        return self.before + len(self.items)


class Fenced(Append):
    """The same with a fence, which is opened, filled and committed."""

    @override
    def run(self) -> int:
        with self.store.visibility_fence() as fence:
            fence.append_batch(self.items, idempotency_key=KEY)
            return fence.commit()[0].sequence


@contextmanager
def at_each_line(
    do: Callable[[FrameType], None], rooms: tuple[str, ...] = ROOMS
) -> Generator[None]:
    """Call a function at each line of the code that commits, in this thread."""

    def trace(frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401  as sys.settrace
        name = frame.f_code.co_filename
        if not any(room in name for room in rooms) or frame.f_code.co_name in OPAQUE:
            return None
        if event == "line":
            do(frame)
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


def look(unit: Unit, durability: Durability, tally: Tally, _size: Size) -> None:
    """At every line a reader sees all of the unit, or nothing, and never less than before."""
    one = unit.kind(unit.sizes, durability, mapped=True)
    counts = [BEFORE]

    def read(frame: FrameType) -> None:
        with tally.case(f"{frame.f_code.co_name}:{frame.f_lineno}"):
            tally.count("looks")
            events = len(seen(one.store).texts)
            assert events in (BEFORE, one.after), f"{events} events: a part of a unit"
            assert one.store.count() == events >= counts[-1], "it goes back"
            counts.append(events)

    with at_each_line(read):
        one.run()
    assert counts[-1] == one.after, "never seen"
    one.store.close()


def stop(unit: Unit, durability: Durability, tally: Tally, size: Size) -> None:
    """An exception at any line: the outcome is known, a retry stores nothing twice."""
    step = 1 if size is Size.LONG else unit.steps.get(durability, STEP)
    for at in count(1, step):
        one = unit.kind(unit.sizes, durability, mapped=at % 4 == 1)
        with interrupted(at) as points:
            outcome = attempt(one)
        if points.left > 0:
            one.store.close()
            return
        tally.count("interrupts")
        with tally.case(f"line {at}, {points.place}"):
            hold(one, outcome)


def stop_refused_sync(tally: Tally, _size: Size) -> None:
    """An exception at any line while a sync is refused: what is told then survives a power cut.

    The exception may replace the refusal. Nobody knows then that the sync has failed, and another
    one would say that all is well.
    """
    for at in count(1):
        one = Append((10,), Durability.COMMIT, mapped=at % 4 == 1, before=1)
        one.sim.fail_at(1, errno.EIO, kind="sync")
        with interrupted(at) as points, suppress(BatpakError):
            attempt(one)
        if points.left > 0:
            one.store.close()
            return
        tally.count("interrupts")
        with tally.case(f"line {at}, {points.place}"):
            try:
                one.run()
            except (DurabilityUnknown, StorePoisoned):
                pass
            else:
                with Store.open_read_only("store", platform=one.sim.crash()) as after:
                    assert len(seen(after).texts) == one.after, "told, and gone"
            one.store.close()


class Merging:
    """A store with some complete files, and a compaction that drops one event in three."""

    def __init__(self, *, mapped: bool) -> None:
        self.sim = SimPlatform(seed=SEED, mapped=mapped)
        self.store = Store.open("store", config_of(Durability.OS), platform=self.sim)
        for n in range(MERGED):
            self.store.append(Coordinate("writer:0", "acme"), Said(text="y" * 900 + str(n)))
        self.sim.run_background()

    def run(self) -> None:
        self.store.compact(retain=lambda event: event.sequence % 3 != 1)

    def hold(self) -> None:
        """Whatever was cut short: the next compaction is done, and the log is whole."""
        store = self.store
        there = [event.sequence for event in store.query(before=MERGED)]
        assert store.verify().ok, "the files are of two minds"
        store.snapshot("copy")  # which needs every file by its name
        left = [n for n in range(MERGED) if n % 3 != 1 or n in there]
        assert there == left, "something else is gone"
        self.run()
        gone = store.stats().dropped
        assert gone, "the next compaction did nothing"
        due = [event.record for event in store.query()]
        with Store.open_read_only("store", platform=self.sim.crash(CrashModel.KILL)) as after:
            assert [event.record for event in after.query()] == due
            assert after.verify().ok
        store.append(Coordinate("writer:0", "acme"), Said(text="on it goes"))
        store.close()
        with Store.open("store", platform=self.sim) as store:
            assert store.verify().ok
            assert store.stats().dropped == gone


def stop_compaction(tally: Tally, size: Size) -> None:
    """An exception at any line of a compaction: it can be done again, and nothing else is gone.

    Not at lines that begin with `with`: where a block is left, the tracer comes in between its end
    and the release of its lock, where no signal handler and no other thread ever does.
    """
    for at in count(1, 1 if size is Size.LONG else MERGE_STEP):
        one = Merging(mapped=at % 2 == 1)
        with interrupted(at, MERGE_ROOMS) as points, suppress(KeyboardInterrupt):
            one.run()
        if points.left > 0:
            one.store.close()
            return
        tally.count("interrupts")
        with tally.case(f"line {at}, {points.place}"):
            one.hold()


def stop_close(tally: Tally, size: Size) -> None:
    """An exception at any line of a close: another one ends it, and each thing is said once.

    Likewise of the open after a stop, which has to say what a close has not.
    """
    config = config_of(Durability.OS, lifecycle_events=True)
    for at in count(1, 1 if size is Size.LONG else CLOSE_STEP):
        sim = SimPlatform(seed=SEED)
        store = Store.open("store", config, platform=sim)
        store.append(Coordinate("writer:0", "acme"), Said(text="y"))
        stopped = sim.crash(CrashModel.KILL)
        with interrupted(at, CLOSE_ROOMS) as closing, suppress(KeyboardInterrupt):
            store.close()
        again: Store | None = None
        with interrupted(at, CLOSE_ROOMS) as opening, suppress(KeyboardInterrupt):
            again = Store.open("store", config, platform=stopped)
            again.close()
        for one in filter(None, (store, again)):
            one.close()
        stopped.disk.locks.clear()  # that of an open that was cut short: it waits to be collected
        for world, points in ((sim, closing), (stopped, opening)):
            tally.count("interrupts", points.left <= 0)
            with tally.case(f"line {at}, {points.place}"):
                Store.open("store", config, platform=world).close()
                with Store.open_read_only("store", platform=world) as reader:
                    assert reader.count(Region(kinds=ShapesRecorded)) == 1, "not said once"
                    assert reader.count(Region(kinds=Said)) == 1
                    assert reader.verify().ok
        if closing.left > 0 and opening.left > 0:
            return


class Points:
    """How many lines there are before the one at which somebody interrupts."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.place = ""

    def meet(self, frame: FrameType) -> None:
        self.left -= 1
        if self.left == 0:
            self.place = f"{frame.f_code.co_name}:{frame.f_lineno}"
            raise KeyboardInterrupt


@contextmanager
def interrupted(at: int, rooms: tuple[str, ...] = ROOMS) -> Generator[Points]:
    """Raise KeyboardInterrupt at line number `at` of the code that commits."""
    points = Points(at)

    def meet(frame: FrameType) -> None:
        line = getline(frame.f_code.co_filename, frame.f_lineno)
        if rooms is ROOMS or not line.lstrip().startswith("with "):
            points.meet(frame)

    with at_each_line(meet, rooms):
        yield points


def attempt(one: Append) -> int | None:
    """The sequence of the first event, as the caller is told it; None: nothing was stored."""
    try:
        return one.run()
    except KeyboardInterrupt as error:
        receipt = interrupted_receipt(error)
        return None if receipt is None else receipt.sequence


def hold(one: Append, outcome: int | None) -> None:
    """The truth is what was said; a retry finds it; the log is whole, also after a kill."""
    store = one.store
    due = BEFORE if outcome is None else one.after
    assert len(seen(store).texts) == due, "not what the caller was told"
    again = store.append_batch(one.items, idempotency_key=KEY)
    assert [receipt.replayed for receipt in again] == [outcome is not None] * len(one.items)
    assert again[0].sequence == BEFORE
    assert len(seen(store).texts) == one.after, "stored twice, or not at all"
    with Store.open_read_only("store", platform=one.sim.crash(CrashModel.KILL)) as after:
        assert seen(after) == seen(store), "the files say something else"
    store.append(Coordinate("writer:0", "acme"), Said(text="on it goes"))
    store.close()
    with Store.open_read_only("store", platform=one.sim) as reader:
        assert reader.open_report.clean, "closed in order, and not clean"
        assert reader.verify().ok


class Unit(NamedTuple):
    """What is stored, and by default at every how many lines it is interrupted."""

    kind: type[Append]
    sizes: tuple[int, ...]
    steps: dict[Durability, int]


UNITS: Final = {
    "one": Unit(Append, (10,), {Durability.COMMIT: 1}),
    "a batch": Unit(Append, (10, 900), {Durability.INTERVAL: 3}),
    "a fence": Unit(Fenced, (10, 900), {Durability.OS: 3}),
}


def alone(work: Callable[[Tally, Size], None], tally: Tally, size: Size) -> None:
    """Do something in a thread of its own.

    An exception that is raised between two lines of a handler can stay the one that is being
    handled for as long as its thread lives, and with it all that it leads to.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work(tally, size)
        except BaseException as error:  # noqa: BLE001  it is raised below
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


WORKS: Final = {
    f"{name}, {durability.name}, {what.__name__}": partial(what, unit, durability)
    for name, unit in UNITS.items()
    for durability in Durability
    for what in (look, stop)
} | {
    "one, COMMIT, while a sync is refused": partial(stop_refused_sync),
    "a compaction": partial(stop_compaction),
    "a close that says what events are": partial(stop_close),
}

JOBS: Final = [Job("interrupt", name, partial(alone, work)) for name, work in WORKS.items()]
