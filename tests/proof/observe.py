"""An observer beside every program, looking between any two of its calls of the disk.

And the other way round: a writer that does something between any two calls of a look. The observer
sees each event once, in order, in whole units; all that was acknowledged and nothing that was
refused, unless it says so; and in the end what the store has. It changes nothing on the way. Would
slip through without it: half a batch, an event twice after a recovery, a file whose end is missed,
an observer that stands still for ever where a file was cut or exchanged.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random
from typing import Final

from batpak.config import Durability
from batpak.errors import StorageFailed
from batpak.observer import Observer
from batpak.payload import EventPayload
from batpak.read.cursor import Cursor
from batpak.recovery.gone import RolledBack
from batpak.store import Store
from batpak.testing.disk import Call, nothing
from batpak.testing.platform import SimPlatform
from tests.proof.family import SEED, EnoughSeen, Job, Size, Tally
from tests.proof.oracle import prefix_of, seen, text_of
from tests.proof.workload import LARGE, PROGRAMS, Diary, config_of

STEP: Final = 23  # by default something happens at every so many calls, unless …
FIRST: Final = "one event"  # … this was all that happened before
FRESH: Final = 11  # by default a new observer comes at every so many calls
TORN_SMALL: Final = 90  # bytes that a write takes at most: less than any frame has
TORN: Final = {"footed": 40_000}


class Watching:
    """Somebody who observes what a diary's program does.

    Args:
        diary: Of the program.
        tally: What is found.
        pace: Looks at one in so many calls, at random.
        fresh: Begins anew at every so many looks.
    """

    def __init__(self, diary: Diary, tally: Tally, pace: int, fresh: int | None) -> None:
        self._diary, self._tally, self._pace, self._fresh = diary, tally, pace, fresh
        self._random = Random(SEED)  # noqa: S311  to be repeated
        self._looks = 0
        self.texts: list[str] = []
        self.given = 0  # events, the store's own as well
        self.rolled_back = 0
        self._observer: Observer | None = None
        self._cursor: Cursor[EventPayload] | None = None

    def look(self, call: Call | str) -> None:
        """What happens between two calls of the program."""
        if self._random.randrange(self._pace):
            return
        sim = self._diary.sim
        operations, locks = len(sim.operations), repr(sim.disk.locks)
        try:
            with sim.pause(), self._tally.case(call):
                self._tally.count("looks")
                self._looks += 1
                self._observe()
                now = len(sim.operations), repr(sim.disk.locks)
                assert now == (operations, locks), "it writes"
        except EnoughSeen:  # the program ends, and is left alone
            sim.disk.before = nothing
            raise

    def step(self, *, anew: bool) -> None:
        """Look while the hook of the disk is somebody else's; or begin anew, and look then."""
        if anew:
            self.end()
            assert self._begin()
        self._read()

    def _observe(self) -> None:
        if self._observer is None and not self._begin():
            return
        self._read()
        diary = self._diary
        told = diary.answered[-1][1] if diary.answered else 0
        units = diary.units_at(len(diary.sim.operations))
        least = len(diary.units_at(len(diary.sim.operations), told))
        whole = prefix_of(units, self.texts)
        assert whole >= least, f"{least} units were told, {whole} are seen"
        if self._fresh is not None and not self._looks % self._fresh:
            self.end()

    def _begin(self) -> bool:
        try:
            observer = Store.observe("store", self._diary.config, platform=self._diary.sim)
        except StorageFailed as error:
            if error.errno != errno.ENOENT or self.texts:
                raise
            return False
        self._observer = observer
        self._cursor = observer.cursor_guaranteed(after=self.given - 1 if self.given else None)
        return True

    def _read(self) -> None:
        assert self._observer is not None
        try:
            bounds = self._observer.refresh()
        except RolledBack as gone:
            self._go_back(gone)
            return
        assert self._cursor is not None
        for event in self._cursor.poll_batch(4096):
            assert event.sequence == self.given, "not the next one"
            self.given += 1
            text = text_of(event.payload)
            if text is not None:
                self.texts.append(text)
        assert bounds.durable <= bounds.visible == self.given, "not all that is visible"

    def _go_back(self, gone: RolledBack) -> None:
        assert gone.shown == self.given, "not what was shown"
        self.rolled_back += 1
        del self.texts[gone.kept :]
        self.given = gone.kept
        self.end()
        assert self._begin()
        self._read()

    def end(self) -> None:
        """Observe no more."""
        if self._observer is not None:
            self._observer.close()
        self._observer = None

    def finish(self) -> None:
        """The program has ended: what was seen is what there is."""
        self._pace = 1
        self.look("the end")
        with self._tally.case("the end"), self._diary.sim.pause():
            assert self._observer is not None or self._begin()
            assert self._observer is not None
            with Store.open_read_only("store", platform=self._diary.sim) as reader:
                assert seen(self._observer) == seen(reader), "not what the store has"
                ends = self._observer.frontier().durable, reader.frontier().visible
                assert ends[0] == ends[1], "closed, not durable"
                gone = {*self._diary.dropped, *self._diary.erased}
                left = [text for text in self.texts if text not in gone]
                assert left == seen(reader).texts, "not what was stored"
            assert self._observer.verify().ok


def beside(
    program: str, mapped: bool, torn: bool, pace: int, fresh: int | None, tally: Tally, size: Size
) -> None:
    """One program, and one who observes it."""
    for durability in (Durability.COMMIT, Durability.OS) if size is Size.LONG else (Durability.OS,):
        diary = Diary(SimPlatform(seed=SEED, mapped=mapped), config_of(durability))
        diary.sim.disk.write_max = TORN.get(program, TORN_SMALL) if torn else None
        watching = Watching(diary, tally, pace, fresh)
        diary.sim.disk.before = watching.look
        try:
            PROGRAMS[program](diary)
            watching.finish()
        finally:
            diary.sim.disk.before = nothing
            watching.end()
        tally.count("runs")
        if program == "refused" and pace == 1 and fresh is None and not torn:
            with tally.case("the end"):
                assert watching.rolled_back, "nothing was shown that was taken back"


Act = Callable[[Diary, Store], Store]
"""What a writer does in one go; with which handle it goes on."""


def write(*units: tuple[int, ...]) -> Act:
    """Store units."""

    def act(diary: Diary, store: Store) -> Store:
        for sizes in units:
            diary.store(store, *sizes)
        return store

    return act


def refuse(diary: Diary, store: Store) -> Store:
    """Have a write refused, and store something else there."""
    diary.store(store, 10)  # the next write is none of another file's
    diary.sim.run_background()
    diary.refuse(store, (20,), (300,), (30, 30))
    diary.store(store, 25)
    return store


def reopen(diary: Diary, store: Store) -> Store:
    """Close the store, and open it again."""
    diary.close(store)
    store = diary.open()
    diary.store(store, 10)
    return store


def reopen_large(diary: Diary, store: Store) -> Store:
    """Likewise, when the last file has a footer."""
    diary.store(store, LARGE)
    return reopen(diary, store)


def recover(diary: Diary, store: Store) -> Store:
    """Be killed; the next process recovers the log and goes on."""
    diary.kill(store)
    store = diary.open()
    diary.store(store, 10)
    return store


def merge(diary: Diary, store: Store) -> Store:
    """Make one file of all that are complete."""
    diary.compact(store)
    diary.store(store, 10)
    return store


def drop(diary: Diary, store: Store) -> Store:
    """Likewise, without some of the events."""
    diary.drop(store, 3000)
    return store


def erase(diary: Diary, store: Store) -> Store:
    """Likewise, with some of their payloads erased."""
    diary.erase(store, 3000)
    return store


def close(diary: Diary, store: Store) -> Store:
    """Close the store."""
    diary.close(store)
    return store


def open_again(diary: Diary, store: Store) -> Store:  # noqa: ARG001  it is closed
    """Open a store that was closed, and go on in several files."""
    return ACTS["files"](diary, diary.open())


ACTS: Final[dict[str, Act]] = {
    FIRST: write((50,)),
    "a batch": write((50, 60, 70)),
    "files": write((3000,), (3000,), (10,), (3000, 3000), (20,)),
    "refuse": refuse,
    "reopen": reopen,
    "reopen large": reopen_large,
    "recover": recover,
    "merge": merge,
    "drop": drop,
    "erase": erase,
}
REMOVALS: Final = {"drop", "erase"}


def meet(first: str, second: str) -> bool:
    """Whether two acts are tried together: one removal, and of what was seen before."""
    if second in REMOVALS and first in {*REMOVALS, "files"}:
        return False
    return "erase" not in (first, second) or bool({first, second} & {FIRST, "merge", "recover"})


class Inside:
    """A writer that does something at one of the calls of a look.

    Args:
        diary: Of the writer.
        store: Its handle.
        act: What it does.
        at: Before which call, from 1.
    """

    def __init__(self, diary: Diary, store: Store, act: Act, at: int) -> None:
        self._diary, self.store, self._act, self._left = diary, store, act, at
        diary.sim.disk.before = self._meet

    @property
    def is_done(self) -> bool:
        """Whether there was such a call."""
        return self._left <= 0

    def _meet(self, _: Call) -> None:
        self._left -= 1
        if not self._left:
            self.stop()
            self.store = self._act(self._diary, self.store)

    def finish(self) -> None:
        """Do it now, if there was no such call; then something more, and close the store."""
        if not self.is_done:
            self.store = self._act(self._diary, self.store)
        ACTS[FIRST](self._diary, self.store).close()

    def stop(self) -> None:
        """Let the calls be."""
        self._diary.sim.disk.before = nothing


def inside(anew: bool, few: bool, act: Act, other: Act, tally: Tally, size: Size) -> None:
    """A writer does one thing before a look, and another one before each call of it in turn."""
    for at in count(1, STEP if few and size is Size.DEFAULT else 1):
        diary = Diary(SimPlatform(seed=SEED, mapped=at % 2 == 0), config_of(Durability.OS))
        watching = Watching(diary, tally, 1, None)
        store = ACTS["files"](diary, diary.open())
        watching.look("before")
        writer = Inside(diary, act(diary, store), other, at)
        try:
            with tally.case(f"call {at}"):
                tally.count("looks")
                watching.step(anew=anew)
            writer.stop()
            watching.look(f"after call {at}")
            ended = not writer.is_done
            writer.finish()
            watching.finish()
        finally:
            writer.stop()
            writer.store.close()
            watching.end()
        if ended:
            return


JOBS: Final = (
    [
        Job(
            "observe",
            f"{program} {'mapped' if mapped else 'by position'}, {name}",
            partial(beside, program, mapped, torn, pace, fresh),
        )
        for program in PROGRAMS
        for mapped in (False, True)
        for name, torn, pace, fresh in (
            ("each call", False, 1, None),
            ("now and then", False, 9, None),
            ("torn, and new ones", True, 2, FRESH),
        )
    ]
    + [
        Job(
            "observe",
            f"inside {name}: {first}, then {second}",
            partial(inside, anew, anew or first != FIRST, ACTS[first], ACTS[second]),
        )
        for name, anew in (("a look", False), ("an open", True))
        for first in ACTS
        for second in ACTS
        if meet(first, second)
    ]
    + [
        Job(
            "observe",
            f"inside {name}: closed, then opened",
            partial(inside, anew, False, close, open_again),
        )
        for name, anew in (("a look", False), ("an open", True))
    ]
)
