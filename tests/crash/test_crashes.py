"""Every way a crash can leave a disk, under several programs and at each level of durability.

A program runs once, on a simulated machine. Then the power is cut at its operations, in thousands
of distinct ways, and each machine is started again and held against a list of what the program had
done and been told. Would slip through without it: an acknowledged event that is gone, half a batch,
an honest crash after which a store does not open, a retry that stores a second event, a recovery
that is not the same twice.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Final, NamedTuple

import pytest

from batpak.append import BatchItem
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError
from batpak.event import StoredEvent
from batpak.journal.active import ActiveFile
from batpak.reader import StoreReader
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.handles import SimDirectory, SimWriteFile
from batpak.testing.platform import SimPlatform
from tests.facts import Said

DEFAULT: Final = 250  # distinct images of one program at one level
SLOW: Final = 25_000
SEED: Final = 20_261_121

# A machine that was cut off has nobody to close its store, or to drain it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Diary:
    """What a program has done, in order, and what it knows of it."""

    def __init__(self, sim: SimPlatform, config: StoreConfig) -> None:
        self.sim, self.config = sim, config
        self.units: list[list[str]] = []  # of texts; each is stored whole or not at all
        self.answered: list[tuple[int, int]] = []  # after so many operations: units acknowledged
        self.durable: list[tuple[int, int]] = []  # likewise, and known to be durable

    def open(self) -> Store:
        return Store.open("store", self.config, platform=self.sim)

    def store(self, store: Store, *sizes: int, keyed: bool = False) -> None:
        """Append one event, or a batch of several."""
        number = len(self.units)
        items = [
            BatchItem(
                Coordinate(f"writer:{(number + n) % 3}", "acme"),
                Said(text=f"{number} {n} " + "x" * size),
            )
            for n, size in enumerate(sizes)
        ]
        self.units.append([text_of(item) for item in items])
        self.attempt(store, items, f"unit {number}" if keyed else None)

    def attempt(self, store: Store, items: list[BatchItem], key: str | None) -> None:
        payload = items[0].payload
        if len(items) == 1 and isinstance(payload, Said):
            store.append(items[0].coord, payload, idempotency_key=key)
        else:
            store.append_batch(items, idempotency_key=key)
        self.told(durable=self.config.durability is Durability.COMMIT)

    def sync(self, store: Store) -> None:
        store.sync()
        self.told(durable=True)

    def close(self, store: Store) -> None:
        store.close()
        self.told(durable=True)

    def told(self, *, durable: bool) -> None:
        now = len(self.sim.operations), len(self.units)
        self.answered.append(now)
        if durable:
            self.durable.append(now)


def text_of(item: BatchItem) -> str:
    assert isinstance(item.payload, Said)
    return item.payload.text


# -------------------------------------------------------------------------------- the programs


def singles(diary: Diary) -> None:
    with diary.open() as store:
        for n in range(8):
            diary.store(store, 100 * n)
        diary.sync(store)


def batches(diary: Diary) -> None:
    with diary.open() as store:
        diary.store(store, 10, 10, 10)
        diary.store(store, 1500, 20, 900)
        diary.store(store, 50)
        diary.store(store, 5, 5, 5, 5, 5)


def rotations(diary: Diary) -> None:
    """Several files; a batch that is larger than one; the sealer has its turns."""
    with diary.open() as store:
        for n in range(4):
            diary.store(store, 1500)
            diary.store(store, 10)
            if n == 2:
                diary.sim.run_background()
        diary.store(store, 3000, 10, 3000)
        diary.store(store, 20)
        diary.store(store, 20, 20)
        diary.sim.run_background()


def reopened(diary: Diary) -> None:
    for n in range(3):
        store = diary.open()
        diary.store(store, 700 * n)
        diary.store(store, 10, 1200)
        diary.close(store)


def keyed(diary: Diary) -> None:
    with diary.open() as store:
        for n in range(6):
            diary.store(store, *([300] * (n % 3 + 1)), keyed=True)


PROGRAMS: Final[dict[str, Callable[[Diary], None]]] = {
    "singles": singles,
    "batches": batches,
    "rotations": rotations,
    "reopened": reopened,
    "keyed": keyed,
}


# --------------------------------------------------------------------------------- the oracles


class Seen(NamedTuple):
    """All that a store shows of its events."""

    texts: list[str]
    records: list[bytes]


def seen(store: StoreReader) -> Seen:
    """What is there, held against itself: dense sequences, versions without a gap, sound chains."""
    events: list[StoredEvent[Said]] = list(store.by_fact(Said))
    versions: dict[str, int] = {}
    for event in events:
        entity = event.coordinate.entity
        versions[entity] = versions.get(entity, 0) + 1
        assert event.version == versions[entity]
    assert [event.sequence for event in events] == list(range(len(events)))
    assert {entity: store.version(entity) for entity in versions} == versions
    return Seen([event.payload.text for event in events], [event.record for event in events])


def last_by(moments: list[tuple[int, int]], at: int) -> int:
    """How many units there were at the last of some moments, by an operation."""
    return max((units for moment, units in moments if moment <= at), default=0)


def hold(after: SimPlatform, diary: Diary) -> None:
    """Start a machine again and hold it against what the program had done."""
    origin = after.origin
    assert origin is not None
    with Store.open("store", diary.config, platform=after) as store:
        found = seen(store)
        assert store.verify().ok
        whole = prefix_of(diary.units, found.texts)
        moments = diary.answered if origin.model is CrashModel.KILL else diary.durable
        assert whole >= last_by(moments, origin.at), "something that was told is gone"
    with Store.open_read_only("store", diary.config, platform=after) as reader:
        assert reader.open_report.clean
        assert seen(reader) == found
        assert reader.verify().ok
    with Store.open("store", diary.config, platform=after) as store:
        store.append(Coordinate("writer:0", "acme"), Said(text="on it goes"))
        store.sync()
        assert seen(store).texts == [*found.texts, "on it goes"]


def prefix_of(units: list[list[str]], texts: list[str]) -> int:
    """How many whole units some texts are; they must be the first ones, in order."""
    for count in range(len(units) + 1):
        if list(chain.from_iterable(units[:count])) == texts:
            return count
    raise AssertionError(f"no whole units: {[text[:8] for text in texts]}")


def config_of(durability: Durability) -> StoreConfig:
    return StoreConfig(
        lifecycle_events=False,
        durability=durability,
        sync_every_n_events=4,
        limits=Limits(segment_max_bytes=4 << 10),
    )


def played(program: str, durability: Durability, *, mapped: bool) -> Diary:
    diary = Diary(SimPlatform(seed=SEED, mapped=mapped), config_of(durability))
    PROGRAMS[program](diary)
    return diary


@pytest.mark.parametrize("limit", [DEFAULT, pytest.param(SLOW, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mapped", [False, True], ids=["by position", "mapped"])
@pytest.mark.parametrize("durability", Durability, ids=lambda level: level.name)
@pytest.mark.parametrize("program", PROGRAMS)
def test_whatever_a_crash_leaves_is_a_whole_prefix_with_all_that_was_told(
    program: str, durability: Durability, mapped: bool, limit: int
) -> None:
    diary = played(program, durability, mapped=mapped)
    states = 0

    for after in diary.sim.crashes(limit=limit, seed=SEED):
        hold(after, diary)
        states += 1

    assert states >= min(limit, DEFAULT) // 2


@pytest.mark.parametrize("durability", Durability, ids=lambda level: level.name)
def test_a_program_with_keys_that_is_run_again_after_a_crash_stores_each_unit_once(
    durability: Durability,
) -> None:
    diary = played("keyed", durability, mapped=False)

    for after in diary.sim.crashes(limit=150, seed=SEED):
        again = Diary(after, diary.config)
        keyed(again)

        with Store.open_read_only("store", platform=after) as reader:
            assert seen(reader).texts == list(chain.from_iterable(diary.units))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_crash_inside_a_recovery_takes_nothing_away(program: str) -> None:
    diary = played(program, Durability.COMMIT, mapped=False)

    for after in diary.sim.crashes(limit=12, seed=SEED):
        assert after.origin is not None
        due = last_by(diary.durable, after.origin.at)
        Store.open("store", diary.config, platform=after)
        for twice in after.crashes([CrashModel.SUBSET, CrashModel.TORN], limit=12, seed=SEED):
            with Store.open("store", diary.config, platform=twice) as store:
                assert prefix_of(diary.units, seen(store).texts) >= due
                assert store.verify().ok


# ------------------------------------------------------------------------ tests of these tests


def unsynced(*_: object, **__: object) -> None:
    """A sync that says that all is well, and does nothing."""


@pytest.mark.parametrize(
    ("program", "cls", "name"),
    [
        ("singles", ActiveFile, "sync"),
        ("batches", ActiveFile, "sync"),
        ("rotations", SimDirectory, "sync"),
        ("reopened", SimWriteFile, "sync"),
    ],
)
def test_a_store_that_leaves_a_sync_out_is_found_out(
    program: str, cls: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cls, name, unsynced)
    diary = played(program, Durability.COMMIT, mapped=False)
    monkeypatch.undo()
    faults: list[BaseException] = []

    for after in diary.sim.crashes(limit=DEFAULT, seed=SEED):
        try:
            hold(after, diary)
        except (AssertionError, BatpakError) as fault:
            faults.append(fault)

    assert len(faults) > DEFAULT // 20
