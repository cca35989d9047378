"""repairs: damaged stores are repaired, and the power goes meanwhile.

Every byte that was given up is in `quarantine/` before it is taken away, what is kept is all that
verifies, and a log that opens says what it lost. Would slip through without it: a repair that
deletes, that skips over damage, or that is half done and looks whole.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Final

from batpak.config import Durability
from batpak.disk import posix
from batpak.errors import CorruptStore
from batpak.journal import layout
from batpak.store import Store
from batpak.system import Repaired
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from batpak.upkeep.repair import repair
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.oracle import prefix_of, seen
from tests.proof.workload import Diary, played

PLACES: Final = {Size.DEFAULT: 6, Size.LONG: 400}
STATES: Final = {Size.DEFAULT: 40, Size.LONG: 2_000}


def damaged(diary: Diary, random: Random) -> tuple[SimPlatform, str]:
    """The machine of a program, where one byte of the truth is another one."""
    sim = diary.sim.crash(CrashModel.SYNCED)
    name = random.choice([n for n in sim.files() if n.endswith((".fbat", "HEAD"))])
    data = bytearray(sim.files()[name])
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    with sim.pause():
        directory = sim.open_dir(posix.full_path("store"), create=False)
        layout.replace(directory, name.removeprefix("store/"), bytes(data))
        directory.close()
    return sim, name


def repaired(program: str, tally: Tally, size: Size) -> None:
    """At several places, and at the operations of each repair."""
    diary = played(program, Durability.COMMIT, mapped=False, seed=SEED)
    for place in range(PLACES[size]):
        random = Random(f"{SEED}:{program}:{place}")  # noqa: S311  can be repeated
        sim, name = damaged(diary, random)
        before = {n: d for n, d in sim.files().items() if n.endswith(".fbat")}
        began = len(sim.operations)
        with tally.case((place, name)):
            try:
                report = repair("store", accept_loss=True, platform=sim)
            except CorruptStore:
                assert name == "store/000001.fbat", "there was something to keep"
                continue
            kept = report.events if report.repaired else None
            require(sim.crash(CrashModel.KILL), diary, kept)
            if not report.repaired:
                continue
        for after in sim.crashes(limit=STATES[size], seed=SEED + place):
            assert after.origin is not None
            if after.origin.at < began:
                continue
            tally.count("states")
            with tally.case((place, name, after.origin)):
                require_kept(after, before, report.offset or 0)
                repair("store", accept_loss=True, platform=after)
                require(after, diary, report.events)


def require(sim: SimPlatform, diary: Diary, kept: int | None) -> None:
    """It opens, verifies, is a beginning of what the program did, and says that it was cut."""
    with Store.open("store", diary.config, platform=sim) as store:
        assert store.verify().ok
        found = seen(store)
        gone = sorted(diary.dropped, key=_place)[: found.dropped]
        prefix_of(diary.units, sorted([*found.texts, *gone], key=_place))
        records = [e.sequence for e in store.query() if isinstance(e.payload, Repaired)]
        if kept is None:
            assert not records
        else:
            before = len(list(store.query(before=kept))) + found.dropped
            assert before == kept, "less is kept than verifies, or more"
            assert records[:1] == [kept], "it does not say what it lost"


def _place(text: str) -> tuple[int, ...]:
    """Of a text in the program: its unit, and its number in there."""
    return tuple(map(int, text.split()[:2]))


def require_kept(after: SimPlatform, before: dict[str, bytes], offset: int) -> None:
    """Every byte behind the cut is in its file still, or in quarantine."""
    files = after.files()
    exhibits = {data for path, data in files.items() if "/quarantine/" in path}
    for path, data in before.items():
        if files.get(path) != data:
            behind = data[offset:].rstrip(b"\0")
            assert data in exhibits or behind in exhibits or not behind, f"{path} is gone"


JOBS: Final = [
    Job("repairs", program, partial(repaired, program))
    for program in ("rotations", "mixed", "compacted")
]
