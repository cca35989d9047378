"""Batches at every point where a machine, a disk or a person can stop them.

The disk of these tests takes a few bytes at a time, so "every operation" is also every few bytes of
a batch: of one that is larger than a file, of one behind which a file ends, and of several that are
written at once. Would slip through without it: half a batch after an open, an acknowledged batch
that is gone, an event that is taken for the rest of a batch in front of it, a retry that stores a
second one.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from batpak.append import AppendReceipt, BatchItem, PriorItem
from batpak.commit.ticket import BatchTicket, interrupted_receipt
from batpak.config import Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError, StorageFailed, VersionConflict
from batpak.reader import StoreReader
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.crash.test_retries import recorded_end
from tests.facts import FAST, SMALL, USER, Counted, Said
from tests.memory_disk import MemoryDisk, nothing

OTHER: Final = Coordinate("user:2", "acme")
PIECE: Final = 700  # bytes that one write takes
SIZES: Final = {  # of the texts of each batch
    "small": [20, 20, 20],
    "large": [2200, 30, 2200],  # passes the end of a file; the next one begins another
    "left": [500, 10],
    "right": [10, 10, 10, 300],
    "last": [400],
}


# After a power cut nobody is left to close the store, or to drain it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class PowerCut(BaseException):
    """The machine is gone. Nothing of ours may catch it and go on."""


def items(name: str) -> list[BatchItem]:
    return [
        BatchItem(
            OTHER if n % 2 else USER,
            Said(text=f"{name} {n} " + "x" * size),
            caused_by=PriorItem(n - 1) if n else None,
            flags=n,
            extensions={"app.name": name.encode()},
        )
        for n, size in enumerate(SIZES[name])
    ]


class Run:
    """One life of a program that stores five batches; what it was told."""

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk
        self.told: dict[str, tuple[AppendReceipt, ...]] = {}
        self.store: Store | None = None
        self.doing = ""  # the batch whose call has not returned
        self._tickets: dict[str, BatchTicket] = {}

    def play(self) -> None:
        self.store = store = Store.open("store", SMALL, platform=self.disk.platform())
        self._append("small")
        self._append("large")
        for name in ("left", "right"):
            with suppress(BatpakError):
                self._tickets[name] = store.submit_batch(items(name), idempotency_key=name)
        self._append("last")  # in one group with the two before
        store.close()

    def _append(self, name: str) -> None:
        assert self.store is not None
        self.doing = name
        with suppress(BatpakError):
            self.told[name] = self.store.append_batch(items(name), idempotency_key=name)
        self.doing = ""

    @property
    def acknowledged(self) -> dict[str, tuple[AppendReceipt, ...]]:
        """What calls have returned, and tickets."""
        tickets = self._tickets.items()
        done = {n: t.result(0) for n, t in tickets if t.done() and t.exception(0) is None}
        return {**self.told, **done}

    def end(self) -> None:
        """What a program does that has caught whatever it was."""
        self.disk.before = self.disk.after = nothing
        if self.store is not None:
            with suppress(BatpakError):
                self.store.close()
        self.disk.locks.clear()


def new_disk() -> MemoryDisk:
    disk = MemoryDisk()
    disk.write_max = PIECE
    return disk


def whole_run() -> MemoryDisk:
    disk = new_disk()
    run = Run(disk)
    run.play()
    assert set(run.acknowledged) == set(SIZES)
    return disk


WHOLE: Final = whole_run()
OPENED: Final = next(
    index for index, one in enumerate(WHOLE.operations) if one == ("write", "000001.fbat")
)


def batches(store: StoreReader) -> dict[str, list[int]]:
    """The sequences of the items of each batch; nothing but whole batches, each in one piece."""
    found: dict[str, list[int]] = defaultdict(list)
    for event in store.by_fact(Said):
        name, number, _ = event.payload.text.split(" ")
        assert int(number) == len(found[name]) == event.flags
        assert event.extensions == {"app.name": name.encode()}
        found[name].append(event.sequence)
    for name, sequences in found.items():
        assert len(sequences) == len(SIZES[name]), name
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    return found


def assert_kept(disk: MemoryDisk, told: dict[str, tuple[AppendReceipt, ...]]) -> set[str]:
    """All that was told is there, whole; what comes later stays; a retry stores nothing twice.

    Returns:
        The names of the batches that were found.
    """
    disk.write_max = None
    with Store.open("store", SMALL, platform=disk.platform()) as store:
        found = batches(store)
        for name, receipts in told.items():
            assert [one.sequence for one in receipts] == found[name]
            assert [store.get(n).event_hash for n in found[name]] == [
                one.event_hash for one in receipts
            ]
        count = store.count()
        assert count == sum(map(len, found.values()))
        later = store.append(USER, Counted(n=1))
        assert later.sequence == count
        for name in SIZES:
            again = store.append_batch(items(name), idempotency_key=name)
            assert [one.replayed for one in again] == [name in found] * len(again)
    with Store.open_read_only("store", platform=disk.platform()) as kept:
        assert kept.open_report.clean
        assert set(batches(kept)) == set(SIZES)
        assert kept.get(later.event_id).sequence == later.sequence
        assert kept.count() == 1 + sum(map(len, SIZES.values()))
        assert kept.verify().ok
    return set(found)


def test_the_script_ends_a_file_inside_and_between_batches_and_writes_several_at_once() -> None:
    assert len([name for name in WHOLE.names if name.endswith(".fbat")]) >= 2
    assert 40 < len(WHOLE.operations) < 150
    assert {"reserve", "write", "fdatasync", "create"} <= {what for what, _ in WHOLE.operations}


@pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning")  # nobody is left to close it
@pytest.mark.parametrize("keep_unsynced", [False, True])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_power_cut_at_any_operation_leaves_whole_batches(
    moment: str, keep_unsynced: bool
) -> None:
    for cut in range(len(WHOLE.operations)):
        disk = new_disk()
        run = Run(disk)
        off = False

        def hook(index: int, operation: str, name: str, /, cut: int = cut) -> None:
            nonlocal off
            off = off or index >= cut
            if off:
                raise PowerCut(index, operation, name)

        setattr(disk, moment, hook)
        with pytest.raises(PowerCut):
            run.play()
        told = run.acknowledged

        survived = disk.cut(keep_unsynced=keep_unsynced)

        try:
            assert verify_path("store", survived.platform()).ok
        except StorageFailed:
            assert not told  # the power went before there was a store
        assert_kept(survived, told)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_an_interrupt_at_any_operation_it_is_known_what_was_stored(moment: str) -> None:
    for at in range(OPENED, len(WHOLE.operations)):
        run = Run(new_disk())

        def interrupt(index: int, operation: str, name: str, /, at: int = at) -> None:
            if index == at:
                raise KeyboardInterrupt(operation, name)

        setattr(run.disk, moment, interrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            run.play()
        receipt = interrupted_receipt(caught.value)
        interrupted = set() if receipt is None else {run.doing}
        run.end()

        found = assert_kept(run.disk, run.acknowledged)

        assert found == set(run.acknowledged) | interrupted, f"at {at}: {run.doing}"


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_refusal_at_any_operation_leaves_whole_batches(number: int, sticky: bool) -> None:
    for bad in range(len(WHOLE.operations)):
        run = Run(new_disk())

        def refuse(index: int, operation: str, name: str, /, bad: int = bad) -> None:
            if index == bad or (sticky and index > bad):
                raise OSError(number, "refused", f"{operation} {name}")

        run.disk.before = refuse
        with suppress(BatpakError):
            run.play()
        run.end()

        told = run.acknowledged

        assert_kept(run.disk.cut(keep_unsynced=False), told)
        assert_kept(run.disk, told)


def test_a_refused_reservation_is_a_refused_batch_and_the_same_handle_goes_on() -> None:
    disk = MemoryDisk()
    with Store.open("store", SMALL, platform=disk.platform()) as store:

        def refuse(index: int, operation: str, name: str, /) -> None:
            if operation == "reserve":
                raise OSError(errno.ENOSPC, "refused", f"{index} {name}")

        disk.before = refuse
        before = disk.files()
        with pytest.raises(StorageFailed) as caught:
            store.append_batch(items("large"), idempotency_key="large")
        after = disk.files()
        disk.before = nothing
        again = store.append_batch(items("large"), idempotency_key="large")

    assert caught.value.full
    assert after == before
    assert [(one.sequence, one.replayed) for one in again] == [(0, False), (1, False), (2, False)]


@pytest.mark.parametrize("operation", ["write", "reserve"])
def test_a_batch_that_failed_is_nowhere_when_its_neighbours_are_read_from_the_frames(
    tmp_path: Path, operation: str
) -> None:
    disk = MemoryDisk()
    disk.write_max = PIECE
    config = StoreConfig(
        lifecycle_events=False, durability=FAST.durability, limits=Limits(segment_max_bytes=4 << 10)
    )
    with Store.open("store", config, platform=disk.platform()) as store:
        seen = 0

        def refuse(index: int, which: str, name: str, /) -> None:
            nonlocal seen
            seen += which == operation
            if which == operation and (operation == "reserve" or seen == 3):
                raise OSError(errno.EIO, "refused", f"{index} {name}")

        disk.before = refuse
        with pytest.raises(StorageFailed):
            store.append_batch(items("large"), idempotency_key="large")
        disk.before = nothing
        with pytest.raises(VersionConflict):
            store.append_batch([BatchItem(USER, Counted(n=0), expected_version=1)])
        for n in range(100):
            assert store.append(USER, Counted(n=n)).sequence == n

    path = tmp_path / "store"
    path.mkdir()
    for name, data in disk.files().items():
        (path / name).write_bytes(data)
    files = sorted(path.glob("*.fbat"))
    for file in files:
        os.truncate(file, recorded_end(file))  # only the frames
    with Store.open(path, config) as store:
        assert [event.payload.n for event in store.by_fact(Counted)] == list(range(100))
        assert len(files) > 3
        assert store.count() == 100
        assert not store.append_batch(items("large"), idempotency_key="large")[0].replayed
        assert store.verify().ok
