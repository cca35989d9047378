"""A repair keeps the longest beginning that verifies, and loses nothing that it does not name.

Would slip through without it: a repair that skips over damage, that deletes, that does something
without consent, or that leaves a log which opens and does not say what was given up.
"""

from __future__ import annotations

import errno
from contextlib import suppress

import pytest

from batpak.coordinate import Coordinate
from batpak.disk import posix
from batpak.errors import BatpakError, CorruptStore, InvalidArgument, StorageFailed, StoreLocked
from batpak.journal import layout
from batpak.note import CheckpointNote
from batpak.report import NoteFault
from batpak.store import Store
from batpak.system import Repaired
from batpak.testing.crash import CrashModel
from batpak.testing.image import Operation
from batpak.testing.platform import SimPlatform
from batpak.upkeep.repair import repair
from tests.facts import SMALL, Counted

EVENTS = 70


def closed(seed: int = 0) -> tuple[SimPlatform, CheckpointNote]:
    """A machine with a closed store of several files, and a note of its end."""
    sim = SimPlatform(seed=seed)
    with Store.open("store", SMALL, platform=sim) as store:
        for n in range(EVENTS):
            store.append(Coordinate(f"user:{n % 3}", "acme"), Counted(n=n))
        return sim, store.checkpoint()


def spoil(sim: SimPlatform, name: str, data: bytes | None) -> None:
    """Put other bytes in the place of a file, durably; None: take it away."""
    with sim.pause():
        directory = sim.open_dir(posix.full_path("store"), create=False)
        if data is None:
            directory.unlink(name)
            directory.sync()
        else:
            layout.replace(directory, name, data)
        directory.close()


def flipped(sim: SimPlatform, name: str, at: float = 0.5) -> None:
    data = bytearray(sim.files()[f"store/{name}"])
    data[int(len(data) * at)] ^= 1
    spoil(sim, name, bytes(data))


def numbers(store: Store) -> list[int]:
    return [event.payload.n for event in store.query() if isinstance(event.payload, Counted)]


def test_a_whole_store_needs_none_and_nothing_is_done() -> None:
    sim, _ = closed()
    files, operations = sim.files(), len(sim.operations)

    report = repair("store", platform=sim)

    assert (report.finding, report.events, report.repaired) == (None, EVENTS, False)
    assert len(sim.operations) == operations
    assert repair("store", accept_loss=True, platform=sim).quarantine == ()
    assert sim.files() == files


def test_without_consent_it_says_what_would_go_and_changes_nothing() -> None:
    sim, _ = closed()
    flipped(sim, "000002.fbat")
    operations = len(sim.operations)

    report = repair("store", platform=sim)

    assert report.finding is not None
    assert report.cut is not None
    assert report.cut.endswith("store/000002.fbat")
    assert report.offset is not None
    assert report.offset < len(sim.files()["store/000002.fbat"]) / 2
    assert report.first_lost == report.events
    assert report.last_lost == EVENTS - 1
    assert report.quarantine == ()
    assert not report.repaired
    assert len(sim.operations) == operations
    with Store.open_read_only("store", SMALL, platform=sim) as reader:
        assert not reader.verify().ok


def test_with_consent_it_keeps_what_verifies_and_moves_the_rest() -> None:
    sim, note = closed()
    flipped(sim, "000002.fbat")
    before = sim.files()

    report = repair("store", accept_loss=True, platform=sim)

    assert report.repaired
    assert report.offset is not None
    moved = {name: sim.files()[f"store/{name}"] for name in report.quarantine}
    assert moved == {
        f"quarantine/000002-{report.offset}-1.bin": before["store/000002.fbat"][report.offset :],
        "quarantine/000003-0-1.bin": before["store/000003.fbat"],
        "quarantine/000004-0-1.bin": before["store/000004.fbat"],
    }
    assert report.size == sum(map(len, moved.values()))
    with Store.open("store", SMALL, platform=sim) as store:
        assert numbers(store) == list(range(report.events))
        last = store.get(report.events)
        assert last.payload == Repaired(
            file="000002.fbat",
            offset=report.offset,
            events=EVENTS - report.events,
            size=report.size,
            detail=report.finding.detail if report.finding else "",
        )
        assert store.verify().ok
        assert store.verify(since=note).note is NoteFault.ROLLED_BACK
        store.append(Coordinate("user:1", "acme"), Counted(n=1000))
        assert store.verify().ok


def test_a_note_from_before_says_that_the_log_was_rolled_back() -> None:
    sim, note = closed()
    flipped(sim, "000001.fbat")
    repair("store", accept_loss=True, platform=sim)

    with Store.open_read_only("store", SMALL, platform=sim) as store:
        assert store.verify(since=note).note is NoteFault.ROLLED_BACK


@pytest.mark.parametrize("name", ["000002.fbat", "000003.fbat", "HEAD"])
@pytest.mark.parametrize("how", ["gone", "cut", "flipped", "of another store"])
def test_whatever_was_done_to_a_file_what_is_before_it_stays(name: str, how: str) -> None:
    sim, _ = closed()
    data = sim.files()[f"store/{name}"]
    if how == "gone":
        spoil(sim, name, None)
    elif how == "cut":
        spoil(sim, name, data[: len(data) // 3])
    elif how == "flipped":
        flipped(sim, name, 0.3)
    else:
        spoil(sim, name, closed(seed=1)[0].files()[f"store/{name}"])

    report = repair("store", accept_loss=True, platform=sim)

    least = {"000002.fbat": 20, "000003.fbat": 40, "HEAD": EVENTS}[name]
    assert least <= report.events <= EVENTS
    with Store.open("store", SMALL, platform=sim) as store:
        assert numbers(store) == list(range(report.events))
        assert store.verify().ok
    assert repair("store", platform=sim).finding is None


def test_a_store_whose_first_file_says_nothing_is_left_as_it_is() -> None:
    sim, _ = closed()
    spoil(sim, "000001.fbat", b"FBAT")
    files = sim.files()

    with pytest.raises(CorruptStore, match=r"000001\.fbat"):
        repair("store", accept_loss=True, platform=sim)

    assert {n: d for n, d in sim.files().items() if "lock" not in n} == {
        n: d for n, d in files.items() if "lock" not in n
    }


def test_what_is_no_store_or_is_open_is_refused() -> None:
    sim, _ = closed()
    with Store.open("store", SMALL, platform=sim), pytest.raises(StoreLocked):
        repair("store", platform=sim)
    with Store.open_read_only("store", SMALL, platform=sim), pytest.raises(StoreLocked):
        repair("store", accept_loss=True, platform=sim)
    with pytest.raises(StorageFailed):
        repair("nowhere", platform=sim)
    with pytest.raises(InvalidArgument):
        repair("", platform=sim)


@pytest.mark.parametrize("name", ["000001.fbat", "000002.fbat", "000003.fbat"])
def test_a_crash_anywhere_leaves_the_damage_or_the_repair_and_nothing_is_gone(name: str) -> None:
    """A store that opens says at its end what was given up; one that does not is repaired again."""
    sim, _ = closed()
    flipped(sim, name)
    before = sim.files()
    began = len(sim.operations)
    kept = repair("store", accept_loss=True, platform=sim).events
    states = 0
    for after in sim.crashes([CrashModel.KILL, CrashModel.SUBSET, CrashModel.NAMES], limit=160):
        assert after.origin is not None
        if after.origin.at < began:
            continue
        states += 1
        files = after.files()
        if not whole(files, before):
            held = b"".join(data for path, data in files.items() if "/quarantine/" in path)
            assert lost_bytes(before, files, name) <= len(held), after.origin
        done = repair("store", accept_loss=True, platform=after)
        with Store.open("store", SMALL, platform=after) as store:
            assert numbers(store) == list(range(kept)), after.origin
            assert done.finding is None or done.events >= kept
            assert isinstance(store.get(kept).payload, Repaired), after.origin
            assert store.verify().ok
    assert states > 20


def whole(files: dict[str, bytes], before: dict[str, bytes]) -> bool:
    return all(files.get(path) == data for path, data in before.items() if ".fbat" in path)


def lost_bytes(before: dict[str, bytes], files: dict[str, bytes], name: str) -> int:
    """Bytes of later files that have no name any more."""
    return sum(
        len(data)
        for path, data in before.items()
        if path.endswith(".fbat") and path > f"store/{name}" and path not in files
    )


def test_a_refused_call_leaves_a_store_that_can_be_repaired() -> None:
    damaged, _ = closed()
    flipped(damaged, "000002.fbat")
    for n in range(1, 500, 4):
        sim = damaged.crash(CrashModel.KILL)
        sim.fail_at(n, errno.ENOSPC)
        with suppress(BatpakError):
            repair("store", accept_loss=True, platform=sim)
        sim.faults.clear()
        repair("store", accept_loss=True, platform=sim)
        with Store.open("store", SMALL, platform=sim) as store:
            assert len(numbers(store)) >= 20, f"call {n}"
            assert store.verify().ok
            assert any(isinstance(event.payload, Repaired) for event in store.query())
        if not sim.fired:
            return
    raise AssertionError("it never ended")


def kinds(operations: list[Operation]) -> list[str]:
    return [f"{one.kind} {one.path}" for one in operations]


def test_bytes_are_kept_durably_before_anything_is_taken_away() -> None:
    sim, _ = closed()
    flipped(sim, "000002.fbat")
    began = len(sim.operations)
    repair("store", accept_loss=True, platform=sim)

    done = kinds(list(sim.operations)[began:])
    last_kept = max(n for n, one in enumerate(done) if one == "syncdir store/quarantine")
    first_gone = min(
        n
        for n, one in enumerate(done)
        if one in ("replace store/000002.fbat", "unlink store/000003.fbat")
    )
    assert last_kept < first_gone
