"""copies: the power goes while a store is copied, at any of its operations.

Whatever is left of the disk, the copy is there whole or not at all, what was being built of it does
not open as a store that has less, it is there for good once its maker was told so, and the source
has lost nothing. Would slip through without it: a backup that opens and has holes.
"""

from __future__ import annotations

from functools import partial
from itertools import chain, count
from typing import Final
from uuid import UUID

from batpak.config import Durability, StoreConfig
from batpak.errors import BatpakError, StorageFailed
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.disk import Call, nothing
from batpak.testing.image import ROOT
from batpak.testing.platform import SimPlatform
from tests.proof.crash import due_after
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.oracle import hold, prefix_of, seen
from tests.proof.workload import Diary, config_of

RECENT: Final = 20  # operations
LIMIT: Final = {Size.DEFAULT: 90, Size.LONG: 20_000}  # distinct images of one job


class Copying(Diary):
    """A program that copies its store, too."""

    def __init__(self, sim: SimPlatform, config: StoreConfig) -> None:
        super().__init__(sim, config)
        self.copies: dict[str, tuple[int, int]] = {}  # name -> after how many operations, its units

    def copy(self, store: Store, name: str) -> None:
        """Take a snapshot, and write down that it is there."""
        units = len(self.units)
        report = store.snapshot(name, cursors=True)
        assert report.sequence == sum(map(len, self.units[:units])), "another moment"
        self.copies[name] = len(self.sim.operations), units

    def fork(self, store: Store, name: str) -> None:
        """Fork it, likewise."""
        units = len(self.units)
        report = store.fork(name)
        assert report.sequence == sum(map(len, self.units[:units])), "another moment"
        self.copies[name] = len(self.sim.operations), units


def snapshots(diary: Copying) -> None:
    """Of an empty store, of one of several files, and of one that was made so."""
    with diary.open() as store:
        diary.copy(store, "none")
        diary.store(store, 100)
        diary.copy(store, "first")
        diary.store(store, 1500, 20, 900)
        diary.store(store, 3000)
        with store.cursor_guaranteed(checkpoint_id="mine") as cursor:
            cursor.poll_batch(2)
            cursor.commit()
        diary.store(store, 3000)
        diary.copy(store, "second")
        diary.store(store, 10)
        diary.sim.run_background()
        diary.copy(store, "third")
        diary.fork(store, "side")


def played(durability: Durability, *, mapped: bool) -> Copying:
    diary = Copying(SimPlatform(seed=SEED, mapped=mapped), config_of(durability))
    snapshots(diary)
    return diary


def whole_or_absent(durability: Durability, mapped: bool, tally: Tally, size: Size) -> None:
    """Whatever a crash leaves, each copy is whole or absent, and the source is what it was."""
    diary = played(durability, mapped=mapped)
    for after in diary.sim.crashes(limit=LIMIT[size], seed=SEED):
        tally.count("states")
        with tally.case(after.origin):
            assert after.origin is not None
            moment = after.origin.at
            there = {path.rpartition("/")[2] for path in after.disk.names(ROOT)}
            most = 0
            for name, (told, units) in diary.copies.items():
                if name in there and told < moment - RECENT:  # it was looked at nearer to its end
                    most = max(most, units)
                elif name in there:
                    require_whole(after, name, diary, units)
                    same = id_of(after, name) == id_of(after, "store")
                    assert same == (name != "side"), "the wrong id"
                    most = max(most, units)
                else:
                    assert told > moment, f"{name} was told to be there"
            drafts = sorted(there - {*diary.copies, "store"})
            for name in drafts:
                require_shut(after, name, diary)
            wanted = due_after(after, diary)
            hold(after, diary, wanted._replace(least=max(wanted.least, most)), thorough=False)
            again(after, diary, drafts)


def require_whole(after: SimPlatform, name: str, diary: Copying, units: int) -> None:
    """A copy has just what it was told to have, and was closed in order."""
    with Store.open_read_only(name, diary.config, platform=after) as copy:
        assert seen(copy).texts == list(chain.from_iterable(diary.units[:units])), name
        assert copy.open_report.clean, f"{name} is not clean"
        assert copy.verify().ok, f"{name} is damaged"


def id_of(after: SimPlatform, name: str) -> UUID:
    with Store.open_read_only(name, platform=after) as store:
        return store.store_id


def require_shut(after: SimPlatform, name: str, diary: Copying) -> None:
    """What was being built does not open; unless it is whole, and has only not got its name."""
    units = diary.copies[name.partition(".tmp-")[0]][1]
    for act in (Store.open_read_only, partial(Store.open, create=False)):
        try:
            with act(name, diary.config, platform=after) as half:
                assert prefix_of(diary.units, seen(half).texts) == units, f"{name} opens half"
                assert half.verify().ok, f"{name} opens, and is damaged"
        except BatpakError:
            continue


def torn(tally: Tally, _size: Size) -> None:
    """The only file of a copy, cut at any byte while it is written."""
    diary = played(Durability.COMMIT, mapped=False)
    at, name = next(
        (n, one.path.partition("/")[0])
        for n, one in enumerate(diary.sim.operations)
        if one.kind == "write" and one.path.startswith("first.tmp-")
    )
    choice = 0
    for choice in count():
        try:
            after = diary.sim.crash(CrashModel.ORDERED, at, choice)
        except IndexError:
            break
        tally.count("states")
        with tally.case(after.origin):
            require_shut(after, name, diary)
    assert choice > len(diary.sim.operations[at].data)


def again(after: SimPlatform, diary: Copying, drafts: list[str]) -> None:
    """The next one to the same place removes what was left."""
    if not drafts:
        return
    name = drafts[0].partition(".tmp-")[0]
    with Store.open("store", diary.config, platform=after) as store:
        store.snapshot(name)
        with Store.open_read_only(name, diary.config, platform=after) as copy:
            assert seen(copy).records == seen(store).records
    left = [path for path in after.disk.names(ROOT) if f"/{name}.tmp-" in path]
    assert not left, "a leftover stays"


def appends_inside(durability: Durability, tally: Tally, size: Size) -> None:
    """Appends, rotations and seals between any two calls of a copy are not in it."""
    config = config_of(durability)
    for n in range(0, 60, 3 if size is Size.DEFAULT else 1):
        sim = SimPlatform(seed=SEED, mapped=bool(n % 2))
        diary = Copying(sim, config)
        with tally.case(f"call {n}"), diary.open() as store:
            diary.store(store, 3000)
            diary.store(store, 3000)
            diary.store(store, 100)
            at = sim.calls + n
            inside = partial(append_at, at, diary, store)
            sim.disk.before = inside
            try:
                report = store.snapshot("copy")
            finally:
                sim.disk.before = nothing
            tally.count("steps")
            held = prefix_of(diary.units, texts_of(sim, diary))
            assert report.sequence == held, "another moment than was told"
            diary.store(store, 10)
            assert store.verify().ok


def append_at(at: int, diary: Copying, store: Store, call: Call) -> None:
    """Between two calls: enough to begin another file, and to seal the one before."""
    if call.number >= at and "copy" in call.path:
        diary.sim.disk.before = nothing
        for _ in range(3):
            diary.store(store, 2500)
        diary.sim.run_background()


def texts_of(sim: SimPlatform, diary: Copying) -> list[str]:
    with Store.open_read_only("copy", diary.config, platform=sim) as copy:
        assert copy.verify().ok
        assert copy.open_report.clean
        return seen(copy).texts


def refused(tally: Tally, size: Size) -> None:
    """Every call refused in turn: the copy is whole or gone, and the store goes on."""
    for n in range(1, 1_000, 3 if size is Size.DEFAULT else 1):
        sim = SimPlatform(seed=SEED, mapped=bool(n % 2))
        diary = Copying(sim, config_of(Durability.COMMIT))
        with tally.case(f"call {n}"), diary.open() as store:
            diary.store(store, 100)
            diary.store(store, 3000)
            diary.store(store, 3000)
            sim.fail_at(n, 28)
            try:
                diary.copy(store, "copy")
            except StorageFailed:
                assert sim.fired
            sim.faults.clear()
            there = {path.rpartition("/")[2] for path in sim.disk.names(ROOT)}
            assert there <= {"store", "copy"}, "a draft stays"
            if "copy" in there:
                require_whole(sim, "copy", diary, 3)
            diary.store(store, 10)
            assert store.verify().ok
        if not sim.fired:
            return
        tally.count("faults")


JOBS: Final = [
    *(
        Job(
            "copies",
            f"snapshots {durability.name} {'mapped' if mapped else 'by position'}",
            partial(whole_or_absent, durability, mapped),
        )
        for durability in (Durability.COMMIT, Durability.OS)
        for mapped in (False, True)
    ),
    Job("copies", "appends inside COMMIT", partial(appends_inside, Durability.COMMIT)),
    Job("copies", "refused calls", refused),
    Job("copies", "torn files", torn),
]
