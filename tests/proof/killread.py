"""What somebody has read is there when it is read again, whatever happens in between.

A program is stopped before each of its calls of the disk. What its own readers could see there has
to survive a power cut, if every append is synced. Then the process is killed, the next one opens
the store and reads, and the power is cut at each operation of that. Would slip through without it:
events that are visible before they are durable, a recovery that shows what only the cache had.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from batpak.config import Durability
from batpak.override import override
from batpak.report import HealthState
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.disk import Call
from batpak.testing.platform import SimPlatform
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.oracle import due, prefix_of, seen, whole
from tests.proof.workload import PROGRAMS, Diary, config_of, played

STEP: Final = 7  # by default every so many calls


class Reading(Diary):
    """A program in which somebody reads at every call of the disk."""

    def __init__(self, sim: SimPlatform, durability: Durability, tally: Tally) -> None:
        super().__init__(sim, config_of(durability))
        self.tally = tally
        self._reader: Store | None = None
        self._seen = 0  # events, at most
        sim.disk.before = self._look

    @override
    def open(self) -> Store:
        self._reader = None
        self._reader = super().open()
        return self._reader

    def _look(self, call: Call) -> None:
        reader, sim = self._reader, self.sim
        if reader is None or reader.health.state is HealthState.CLOSED:
            return
        with sim.pause(), self.tally.case(call):
            self.tally.count("looks")
            visible = reader.frontier().visible
            assert visible >= self._seen, f"{self._seen} events were visible, now {visible}"
            if visible == self._seen:
                return
            self._seen = visible
            found = seen(reader)
            gone = found.dropped + len(found.erased)
            assert len(found.texts) + gone + found.own == visible
            if self.config.durability is Durability.COMMIT:
                with Store.open_read_only("store", platform=sim.crash(CrashModel.SYNCED)) as after:
                    assert after.frontier().visible >= visible, "it was visible, and is gone"


def visible_is_durable(program: str, mapped: bool, tally: Tally, _size: Size) -> None:
    """At COMMIT nobody sees what a power cut takes back."""
    diary = Reading(SimPlatform(seed=SEED, mapped=mapped), Durability.COMMIT, tally)
    PROGRAMS[program](diary)
    tally.count("runs")


def kill_read_cut(program: str, durability: Durability, tally: Tally, size: Size) -> None:
    """What a recovery after a kill shows survives a power cut that follows it."""
    diary = played(program, durability, mapped=False, seed=SEED)
    moments = range(0, len(diary.sim.operations) + 1, 1 if size is Size.LONG else STEP)
    for at in moments:
        killed = diary.sim.crash(CrashModel.KILL, at)
        with tally.case(f"killed after {at} operations"):
            wanted = due(diary, at, killed=True)
            store = Store.open("store", diary.config, platform=killed)
            found = seen(store)
            assert prefix_of(wanted.units, whole(found, diary)) >= wanted.least
            for model in CrashModel:
                tally.count("states")
                with Store.open("store", diary.config, platform=killed.crash(model)) as again:
                    assert seen(again) == found, f"read, and gone after {model.name}"
            killed.disk.locks.clear()
            store.close()


JOBS: Final = [
    Job(
        "killread",
        f"{program} {'mapped' if mapped else 'by position'}",
        partial(visible_is_durable, program, mapped),
    )
    for program in PROGRAMS
    for mapped in (False, True)
] + [
    Job("killread", f"{program} {durability.name}", partial(kill_read_cut, program, durability))
    for program in PROGRAMS
    for durability in Durability
]
