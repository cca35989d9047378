"""A store on a simulated machine: the power is cut at every operation, and nothing told is lost.

Would slip through without it: an acknowledged event that is gone, an honest crash after which a
store does not open, and a simulator that a store cannot run on.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import Final, NamedTuple

import pytest

from batpak.append import AppendReceipt
from batpak.config import StoreConfig
from batpak.errors import BatpakError, DurabilityUnknown, StorePoisoned
from batpak.override import override
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.faults import Kind
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, SMALL, USER, Said

COUNT: Final = 10
REFUSED: Final[tuple[Kind, ...]] = (
    "open_dir", "entries", "create", "append", "open", "replace", "unlink", "subdir", "syncdir",
    "lock", "reserve", "write", "sync", "truncate", "size", "pread", "map", "close",
)  # fmt: skip
TEXT: Final = "x" * 1_200  # so that a file of 4 KiB holds a few events

# After a power cut nobody is left to close the store.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning")


class Told(NamedTuple):
    """What a program was told, and how many operations there were by then."""

    operations: int
    receipt: AppendReceipt

    @override
    def __repr__(self) -> str:
        return f"{self.receipt.sequence} at {self.operations}"


def play(sim: SimPlatform, config: StoreConfig = SMALL) -> list[Told]:
    """A program that appends, through several files, and closes; what it was told."""
    told: list[Told] = []
    with suppress(BatpakError), Store.open("store", config, platform=sim) as store:
        for n in range(COUNT):
            receipt = store.append(USER, Said(text=f"{n}{TEXT}"))
            told.append(Told(len(sim.operations), receipt))
            if n == COUNT // 2:
                sim.run_background()
    return told


def assert_kept(after: SimPlatform, told: list[Told], config: StoreConfig = SMALL) -> None:
    """Everything that was told by the crash is there, equal and in order, and can be gone on from.

    Args:
        after: The machine.
        told: What the program was told, on the machine before.
        config: Of the store.
    """
    assert after.origin is not None
    due = [one.receipt for one in told if one.operations <= after.origin.at]
    with Store.open("store", config, platform=after) as store:
        found = list(store.by_fact(Said))

        assert [event.event_id for event in found[: len(due)]] == [one.event_id for one in due]
        assert [event.payload.text for event in found] == [f"{n}{TEXT}" for n in range(len(found))]
        assert [event.sequence for event in found] == list(range(len(found)))
        assert store.verify().ok
        store.append(USER, Said(text=f"{len(found)}{TEXT}"), expected_version=len(found))
        assert store.count() == len(found) + 1


@pytest.mark.parametrize(
    ("mapped", "models"),
    [(False, list(CrashModel)), (True, [CrashModel.KILL, CrashModel.SUBSET, CrashModel.TORN])],
    ids=["by position", "mapped"],
)
def test_whatever_a_crash_leaves_at_any_operation_every_acknowledged_event_is_there(
    mapped: bool, models: list[CrashModel]
) -> None:
    sim = SimPlatform(seed=1, mapped=mapped)
    told = play(sim)
    assert len(told) == COUNT
    assert "store/000003.fbat" in sim.files()

    for at in range(len(sim.operations) + 1):
        for model in models:
            assert_kept(sim.crash(model, at), told)


def test_hundreds_of_distinct_images_hold_every_acknowledged_event() -> None:
    sim = SimPlatform(seed=2)
    told = play(sim)
    count = 0

    for after in sim.crashes(limit=500, seed=3):
        assert_kept(after, told)
        count += 1

    assert count == 500


def test_a_second_crash_inside_recovery_loses_nothing_either() -> None:
    sim = SimPlatform(seed=4)
    told = play(sim)

    for after in sim.crashes([CrashModel.SUBSET, CrashModel.TORN], limit=15, seed=5):
        assert after.origin is not None
        due = [Told(0, one.receipt) for one in told if one.operations <= after.origin.at]
        Store.open("store", SMALL, platform=after)
        for again in after.crashes(limit=10, seed=6):
            assert_kept(again, due)


def test_a_killed_process_loses_nothing_that_was_written_in_os_mode() -> None:
    sim = SimPlatform(seed=7)
    told = play(sim, FAST)

    for at in range(len(sim.operations) + 1):
        assert_kept(sim.crash(CrashModel.KILL, at), told, FAST)


def test_in_os_mode_a_power_cut_does_lose_what_was_acknowledged() -> None:
    sim = SimPlatform(seed=8)
    with Store.open("store", FAST, platform=sim) as store:
        store.append(USER, Said(text="lost"))
        after = sim.crash(CrashModel.SYNCED)

    with Store.open("store", FAST, platform=after) as store:
        assert store.count() == 0  # else the simulator has no teeth


@pytest.mark.parametrize("same_boot", [True, False], ids=["the machine goes on", "power cut"])
def test_after_a_failed_sync_nothing_that_was_told_is_lost(same_boot: bool) -> None:
    for n in range(1, 100):
        sim = SimPlatform(seed=9)
        sim.fail_at(n, errno.EIO, kind=("sync", "syncdir"))
        told = play(sim)
        if not sim.fired:
            break
        after = sim
        if same_boot:  # what it finds in the cache is not on the disk
            after = sim.crash(CrashModel.KILL)
            with Store.open("store", SMALL, platform=after):
                pass
        due = [Told(0, one.receipt) for one in told]
        assert_kept(after.crash(CrashModel.SYNCED), due)
    else:
        pytest.fail("there is always another sync")


def test_a_failed_sync_ends_what_a_handle_writes_and_says_so() -> None:
    sim = SimPlatform()
    store = Store.open("store", SMALL, platform=sim)
    sim.fail_at(1, errno.EIO, kind="sync")
    with pytest.raises(DurabilityUnknown):
        store.append(USER, Said(text="perhaps"))
    with pytest.raises(StorePoisoned):
        store.append(USER, Said(text="never"))


def test_whatever_call_is_refused_what_was_told_is_there_afterwards() -> None:
    fired = 0
    for n in range(1, 1_000):
        sim = SimPlatform(seed=10)
        sim.fail_at(n, errno.ENOSPC, kind=REFUSED)
        told = play(sim)
        if not sim.fired:
            break
        fired += 1
        after = sim.crash(CrashModel.SYNCED)
        with Store.open("store", SMALL, platform=after) as store:
            found = {event.event_id for event in store.by_fact(Said)}
            assert {one.receipt.event_id for one in told} <= found
            assert store.verify().ok

    assert fired > 50


def test_a_reader_finds_what_a_writer_has_left_and_changes_nothing() -> None:
    sim = SimPlatform(seed=11)
    told = play(sim)
    done = len(sim.operations)

    with Store.open_read_only("store", SMALL, platform=sim) as store:
        assert [e.event_id for e in store.by_fact(Said)] == [t.receipt.event_id for t in told]

    assert len(sim.operations) == done
