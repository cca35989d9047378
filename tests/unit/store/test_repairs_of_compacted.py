"""A repair of a log that was compacted: what is left has to open, and to say what is gone.

Would slip through without it: a file that says where it ends and was cut before, stubs in a file
that may have none, removals that nobody announces any more, files that were replaced and come back.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak.cli.doctor import Weight, examine
from batpak.coordinate import Coordinate
from batpak.journal import header
from batpak.report import CompactionOutcome
from batpak.store import Store
from batpak.system import Compacted, Repaired
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from batpak.upkeep.repair import repair
from tests.facts import SMALL, Counted
from tests.unit.store.test_repairs import flipped, spoil

EVENTS = 100
GONE = {3, 30, 31}  # what a compaction has dropped


def fill(store: Store, first: int, stop: int) -> None:
    for n in range(first, stop):
        store.append(Coordinate(f"user:{n % 3}", "acme"), Counted(n=n))


def compacted(*, drop: bool = True) -> SimPlatform:
    """A closed store: one file that stands for several, some complete ones, and the newest."""
    sim = SimPlatform()
    with Store.open("store", SMALL, platform=sim) as store:
        fill(store, 0, 60)
        if drop:
            store.compact(retain=lambda event: event.sequence not in GONE)
        else:
            store.compact()
        fill(store, 60, EVENTS)
    return sim


def numbers(store: Store) -> list[int]:
    return [event.payload.n for event in store.query() if isinstance(event.payload, Counted)]


def require_whole(sim: SimPlatform, kept: int) -> None:
    """It opens with what was kept, says that it was cut, and goes on; also compacted again."""
    with Store.open("store", SMALL, platform=sim) as store:
        found = numbers(store)
        assert found == [n for n in range(EVENTS) if n not in GONE][: len(found)]
        assert isinstance(store.get(kept).payload, Repaired)
        assert store.verify().findings == ()
        fill(store, 1000, 1060)
        assert store.compact(min_segments=1).outcome is CompactionOutcome.PERFORMED
        assert numbers(store) == [*found, *range(1000, 1060)]
        assert store.verify().ok
    with Store.open("store", SMALL, platform=sim) as store:
        assert numbers(store) == [*found, *range(1000, 1060)]
    assert repair("store", platform=sim).finding is None


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7])
def test_a_file_that_stands_for_others_can_be_cut_anywhere(at: float) -> None:
    sim = compacted()
    epoch = header.decode(sim.files()["store/000001.fbat"], "a file")[0].epoch
    flipped(sim, "000001.fbat", at)

    report = repair("store", accept_loss=True, platform=sim)

    assert report.repaired
    assert report.events < 60
    current, _ = header.decode(sim.files()["store/000001.fbat"], "a file")
    assert current.epoch == epoch == 1
    require_whole(sim, report.events)


def test_one_of_which_nothing_can_be_kept_becomes_an_ordinary_file() -> None:
    sim = compacted()
    data = bytearray(sim.files()["store/000001.fbat"])
    data[header.decode(bytes(data), "a file")[1] + 20] ^= 1
    spoil(sim, "000001.fbat", bytes(data))

    report = repair("store", accept_loss=True, platform=sim)

    assert report.events == 0
    assert header.decode(sim.files()["store/000001.fbat"], "a file")[0].replaces is None
    require_whole(sim, 0)


def test_one_that_is_whole_stays_as_it_is_and_the_record_stands_behind_it() -> None:
    sim = compacted()
    before = sim.files()["store/000001.fbat"]
    current, _ = header.decode(before, "a file")
    flipped(sim, f"{current.last_id + 1:06d}.fbat", 0.01)

    report = repair("store", accept_loss=True, platform=sim)

    assert sim.files()["store/000001.fbat"] == before
    assert report.quarantine
    assert not [name for name in report.quarantine if "000001" in name]
    require_whole(sim, report.events)


def test_what_is_gone_is_announced_again_when_the_announcement_is_given_up() -> None:
    sim = compacted()
    with Store.open_read_only("store", SMALL, platform=sim) as reader:
        announced = next(reader.by_fact(Compacted))
    damaged = ""
    for name in sorted(name for name in sim.files() if name.endswith(".fbat"))[1:]:
        first = header.decode(sim.files()[name], "a file")[0].first_sequence
        if first <= announced.sequence:
            damaged = name.removeprefix("store/")
    flipped(sim, damaged, 0.01)

    report = repair("store", accept_loss=True, platform=sim)

    assert report.events <= announced.sequence
    with Store.open_read_only("store", SMALL, platform=sim) as reader:
        again = next(reader.by_fact(Compacted))
        assert again.payload == announced.payload
        assert again.sequence == report.events + 1
    require_whole(sim, report.events)


def cut_short(sim: SimPlatform) -> SimPlatform:
    """Where the power went after the new file had its name, and before the old ones were gone."""
    at = max(
        n
        for n, one in enumerate(sim.operations)
        if one.kind == "replace" and one.path == "store/000001.fbat"
    )
    for n in range(at + 1, len(sim.operations)):
        after = sim.crash(CrashModel.KILL, n)
        if "store/000002.fbat" in after.files():
            return after
    raise AssertionError("nothing was left over")


@pytest.mark.parametrize("name", ["000001.fbat", "the newest"])
def test_leftovers_of_a_cut_compaction_never_come_back(name: str) -> None:
    sim = cut_short(compacted())
    current, _ = header.decode(sim.files()["store/000001.fbat"], "a file")
    assert current.last_id > 1
    newest = f"{current.last_id + 1:06d}.fbat"
    flipped(sim, name if name != "the newest" else newest, 0.4 if name != "the newest" else 0.01)

    report = repair("store", accept_loss=True, platform=sim)

    assert report.repaired
    require_whole(sim, report.events)
    left = [int(path[6:12]) for path in sim.files() if path.endswith(".fbat")]
    with Store.open_read_only("store", SMALL, platform=sim) as reader:
        assert reader.open_report.removed_files == ()
    assert len(left) == len(set(left))


@pytest.mark.parametrize("name", ["000001.fbat", "the one behind it"])
def test_a_crash_of_such_a_repair_leaves_the_damage_or_the_repair(name: str) -> None:
    sim = compacted()
    if name != "000001.fbat":
        current, _ = header.decode(sim.files()["store/000001.fbat"], "a file")
        flipped(sim, f"{current.last_id + 1:06d}.fbat", 0.01)
    else:
        flipped(sim, name, 0.4)
    began = len(sim.operations)
    kept = repair("store", accept_loss=True, platform=sim).events
    states = 0
    for after in sim.crashes([CrashModel.KILL, CrashModel.SUBSET, CrashModel.NAMES], limit=60):
        assert after.origin is not None
        if after.origin.at < began:
            continue
        states += 1
        repair("store", accept_loss=True, platform=after)
        with Store.open("store", SMALL, platform=after) as store:
            assert isinstance(store.get(kept).payload, Repaired), after.origin
            assert (
                numbers(store) == [n for n in range(EVENTS) if n not in GONE][: len(numbers(store))]
            )
            assert store.verify().ok, after.origin
    assert states > 10


def test_the_doctor_counts_files_that_are_read_and_names_those_that_are_left(
    tmp_path: Path,
) -> None:
    sim = cut_short(compacted())
    (tmp_path / "store").mkdir()
    for name, data in sim.files().items():
        if name.startswith("store/") and "/" not in name.removeprefix("store/"):
            (tmp_path / name).write_bytes(data)
    with Store.open_read_only(tmp_path / "store", SMALL) as reader:
        segments = reader.open_report.segments

    remarks = examine(tmp_path / "store")

    assert f"in {segments} segments" in remarks[0].what
    (left,) = [one for one in remarks if "left over from a compaction" in one.what]
    assert left.weight is Weight.NOTE
    assert "000002.fbat" in left.what
