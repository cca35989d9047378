"""Every way a crash can leave a disk, under every program and at each level of durability.

A program runs once, on a simulated machine. Then the power is cut at its operations, in thousands
of distinct ways, and each machine is started again and held against the diary. Some of them are cut
off once more inside their recovery. Would slip through without it: an acknowledged event that is
gone, half a batch, an honest crash after which a store does not open, a retry that stores a second
event, a recovery that is not the same twice.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Final

from batpak.config import Durability
from batpak.errors import CorruptStore
from batpak.journal import header
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.disk import Call
from batpak.testing.image import ROOT, Operation
from batpak.testing.platform import SimPlatform
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.oracle import Due, due, hold, prefix_of, seen, whole
from tests.proof.workload import PROGRAMS, Diary, config_of, keyed, played

LIMIT: Final = {Size.DEFAULT: 330, Size.LONG: 27_000}  # distinct images of one job
LIMITS: Final = {  # of programs whose images are large, or many
    "footed": {Size.DEFAULT: 100, Size.LONG: 5_000},
    "compacted": {Size.DEFAULT: 150, Size.LONG: 20_000},
    "erased": {Size.DEFAULT: 100, Size.LONG: 20_000},
}
THOROUGH: Final = 23  # every so many images
TWICE: Final = 8  # likewise, crashed again inside the recovery …
TWICE_IMAGES: Final = 2  # … in so many ways


def limit_of(program: str, size: Size) -> int:
    return LIMITS.get(program, LIMIT)[size]


def whole_prefix(
    program: str, durability: Durability, mapped: bool, lifecycle: bool, tally: Tally, size: Size
) -> None:
    """Whatever a crash leaves is a whole prefix with all that was told."""
    diary = played(program, durability, mapped=mapped, seed=SEED, lifecycle=lifecycle)
    images = diary.sim.crashes(limit=limit_of(program, size), seed=SEED)
    for number, after in enumerate(images):
        tally.count("states")
        with tally.case(after.origin):
            if number % TWICE == 0:
                crash_again(after, diary, tally)
            else:
                thorough = number % THOROUGH == 0
                hold(after, diary, due_after(after, diary), thorough=thorough)


def crash_again(after: SimPlatform, diary: Diary, tally: Tally) -> None:
    """A crash inside a recovery takes nothing away."""
    recovering = Store.open("store", diary.config, platform=after)
    wanted = due_after(after, diary)
    found = prefix_of(wanted.units, whole(seen(recovering), diary))
    assert found >= wanted.least
    assert after.origin is not None
    models = [CrashModel.KILL, CrashModel.SUBSET, CrashModel.TORN]
    for twice in after.crashes(models, limit=TWICE_IMAGES, seed=SEED + after.origin.at):
        tally.count("states")
        tally.count("states in a recovery")
        assert twice.origin is not None
        with tally.case((after.origin, twice.origin)):
            if twice.origin.at == len(after.operations):
                least = found  # it was recovered, and so made durable
            else:
                killed = {after.origin.model, twice.origin.model} == {CrashModel.KILL}
                least = due(diary, after.origin.at, killed=killed).least
            hold(twice, diary, Due(wanted.units, least), thorough=False)
    after.disk.locks.clear()
    recovering.close()


def due_after(after: SimPlatform, diary: Diary) -> Due:
    """What is due after the crash that this machine comes from."""
    assert after.origin is not None
    return due(diary, after.origin.at, killed=after.origin.model is CrashModel.KILL)


def stores_once(durability: Durability, tally: Tally, size: Size) -> None:
    """A program with keys that is run again after a crash stores each unit once."""
    diary = played("keyed", durability, mapped=False, seed=SEED)
    for after in diary.sim.crashes(limit=LIMIT[size] // 2, seed=SEED):
        tally.count("states")
        with tally.case(after.origin):
            keyed(Diary(after, diary.config))
            with Store.open_read_only("store", platform=after) as reader:
                assert seen(reader).texts == list(chain.from_iterable(diary.units))


def cut_twice(tally: Tally, size: Size) -> None:
    """A process is killed as a file takes the place of others, and the power goes in the open.

    The rename may not be durable then; what it stands for must be there until it is.
    """
    diary = played("compacted", Durability.COMMIT, mapped=False, seed=SEED)
    for at, one in enumerate(diary.sim.operations):
        if one.kind != "replace" or not one.path.endswith(".fbat") or one.dropped is None:
            continue
        killed = diary.sim.crash(CrashModel.KILL, at + 1)
        with Store.open("store", diary.config, platform=killed) as store:
            found = seen(store)
            names = [CrashModel.NAMES, CrashModel.SYNCED]
            for after in killed.crashes(names, limit=LIMIT[size], seed=SEED):
                tally.count("states")
                with (
                    tally.case((at, after.origin)),
                    Store.open("store", diary.config, platform=after) as again,
                ):
                    texts = whole(seen(again), diary)
                    assert texts == whole(found, diary), "gone with the power"


def lied_to(tally: Tally, size: Size) -> None:
    """A disk keeps another byte than it was given: the file is not used, and no event changes."""
    for number in range(24 if size is Size.DEFAULT else 2_000):
        sim = SimPlatform(seed=SEED)
        config = config_of(Durability.OS)
        with Store.open("store", config, platform=sim) as store:
            diary = Diary(sim, config)
            for n in range(9):
                diary.store(store, 1900 + n)
            found = seen(store)
            sim.disk.before = partial(_spoil, sim, number)
            tally.count("bytes")
            with tally.case(number):
                with suppress(CorruptStore):
                    store.compact()
                    raise AssertionError("what the disk made of it is taken for the log")
                assert seen(store) == found, "another event"
                assert store.verify().ok, "damage"
            sim.disk.before = lambda _: None


def _spoil(sim: SimPlatform, number: int, call: Call) -> None:
    """Change one byte of a file that is about to be read back, here or there among its frames."""
    if call.kind == "open" and call.path.endswith(".fbat.tmp"):
        data = sim.files()[call.path]
        (shelf,) = sim.disk.names(ROOT).values()
        inode = sim.disk.names(shelf)[call.path.rpartition("/")[2]]
        end = header.decode(data, call.path)[0].sealed
        assert end is not None
        at = 8 + (number * 7919) % (end.frames_end - 8)
        spoilt = bytes([data[at] ^ 0x10])
        sim.disk.change(Operation("write", call.path, inode, at, spoilt))


JOBS: Final = (
    [
        Job(
            "crash",
            f"{program} {durability.name} {'mapped' if mapped else 'by position'}",
            partial(whole_prefix, program, durability, mapped, program in {"singles", "reopened"}),
        )
        for program in PROGRAMS
        for durability in Durability
        for mapped in (False, True)
    ]
    + [
        Job("crash", f"keyed, run again {durability.name}", partial(stores_once, durability))
        for durability in Durability
    ]
    + [
        Job("crash", "compacted, cut twice", cut_twice),
        Job("crash", "compacted, by a disk that lies", lied_to),
    ]
)
