"""The lane under a failing disk, a power cut and an interrupt, at every single point.

Would slip through without it: an acknowledged event that a power cut takes, a refused write whose
bytes stay behind, a sync that is tried again after it failed, an interrupt that leaves the store
half way.
"""

from __future__ import annotations

import dis
import errno
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any, Final

import pytest
from msgspec.structs import replace

from batpak.append import AppendReceipt
from batpak.config import Durability
from batpak.errors import (
    BatpakError,
    DurabilityUnknown,
    InvalidArgument,
    StorageFailed,
    StorePoisoned,
)
from batpak.reader import StoreReader
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.facts import FAST, PLAIN, SMALL, USER, Counted, Said
from tests.memory_disk import MemoryDisk, nothing

BIG: Final = Said(text="x" * 900)  # four of them fill a segment of SMALL
SCRIPT: Final = 7

# After a crash nobody is left to close the store, or to drain it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class PowerCut(BaseException):
    """The machine is gone. Nothing of ours may catch it and go on."""


def play(disk: MemoryDisk, acknowledged: list[AppendReceipt]) -> None:
    """Open, append over a rotation, close; open again, append, close."""
    for _ in range(2):
        with Store.open("store", SMALL, platform=disk.platform()) as store:
            for _ in range(SCRIPT):
                acknowledged.append(store.append(USER, BIG))  # noqa: PERF401  one at a time


def operations_of_a_whole_run() -> list[tuple[str, str]]:
    disk = MemoryDisk()
    play(disk, [])
    return disk.operations


OPERATIONS: Final = operations_of_a_whole_run()


def assert_kept(disk: MemoryDisk, acknowledged: list[AppendReceipt], attempted: int) -> None:
    """Everything acknowledged is there, in order; at most one more; the store goes on."""
    with Store.open("store", SMALL, platform=disk.platform()) as store:
        found = [event.event_id for event in store.by_fact(Said)]
        assert found[: len(acknowledged)] == [one.event_id for one in acknowledged]
        assert len(acknowledged) <= len(found) <= attempted
        assert store.append(USER, BIG).version == len(found) + 1
        assert store.verify().ok
    with Store.open_read_only("store", platform=disk.platform()) as again:
        assert again.open_report.clean
        assert again.verify().ok


@pytest.mark.parametrize("keep_unsynced", [False, True])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_power_cut_at_any_operation_keeps_what_was_acknowledged(
    moment: str, keep_unsynced: bool
) -> None:
    for cut in range(len(OPERATIONS)):
        disk = MemoryDisk()
        acknowledged: list[AppendReceipt] = []
        off = False

        def hook(index: int, operation: str, name: str, /, cut: int = cut) -> None:
            nonlocal off
            off = off or index >= cut
            if off:
                raise PowerCut(index, operation, name)

        setattr(disk, moment, hook)
        with pytest.raises(PowerCut):
            play(disk, acknowledged)

        survived = disk.cut(keep_unsynced=keep_unsynced)

        try:
            assert verify_path("store", survived.platform()).ok
        except StorageFailed:
            assert not acknowledged  # the power went before there was a store
        assert_kept(survived, acknowledged, len(acknowledged) + 1)


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_refusal_at_any_operation_is_typed_and_loses_nothing(number: int, sticky: bool) -> None:
    for bad in range(len(OPERATIONS)):
        disk = MemoryDisk()
        acknowledged: list[AppendReceipt] = []

        def refuse(index: int, operation: str, name: str, /, bad: int = bad) -> None:
            if index == bad or (sticky and index > bad):
                raise OSError(number, "refused", f"{operation} {name}")

        disk.before = refuse
        with suppress(BatpakError):
            play(disk, acknowledged)
        disk.before = nothing
        disk.locks.clear()

        assert_kept(disk.cut(keep_unsynced=False), acknowledged, 2 * SCRIPT)
        assert_kept(disk, acknowledged, 2 * SCRIPT)


def open_in(disk: MemoryDisk) -> Store:
    return Store.open("store", PLAIN, platform=disk.platform())


def refusing(operation: str, number: int = errno.EIO) -> Callable[[int, str, str], None]:
    def refuse(index: int, which: str, name: str, /) -> None:
        if which == operation and name.endswith(".fbat"):
            raise OSError(number, "refused", str(index))

    return refuse


def test_a_full_disk_is_cut_back_and_the_same_handle_goes_on() -> None:
    disk = MemoryDisk()
    with open_in(disk) as store:
        first = store.append(USER, Counted(n=0))
        before = disk.files()["000001.fbat"]
        disk.before = refusing("write", errno.ENOSPC)

        with pytest.raises(StorageFailed) as caught:
            store.append(USER, Counted(n=1), idempotency_key="k")

        assert caught.value.full
        assert caught.value.retryable
        assert disk.files()["000001.fbat"] == before
        disk.before = nothing
        again = store.append(USER, Counted(n=2), idempotency_key="k")  # the key is still free
        assert (again.sequence, again.version) == (first.sequence + 1, first.version + 1)
        assert store.verify().ok


def test_a_write_that_ends_in_the_middle_is_cut_back() -> None:
    disk = MemoryDisk()
    with open_in(disk) as store:
        before = disk.files()["000001.fbat"]
        disk.write_max = 10
        taken = 0

        def refuse(index: int, operation: str, name: str, /) -> None:
            nonlocal taken
            taken += operation == "write"
            if operation == "write" and taken == 5:
                raise OSError(errno.EIO, "refused", f"{index} {name}")

        disk.before = refuse
        with pytest.raises(StorageFailed):
            store.append(USER, Counted(n=1))

        assert disk.files()["000001.fbat"] == before
        disk.before = nothing
        assert store.append(USER, Counted(n=2)).sequence == 0  # in pieces of ten bytes
        assert store.verify().ok


def test_a_cut_that_fails_poisons() -> None:
    disk = MemoryDisk()
    with open_in(disk) as store:
        kept = store.append(USER, Counted(n=0))

        def refuse(index: int, operation: str, name: str, /) -> None:
            if operation in ("write", "truncate"):
                raise OSError(errno.EIO, "refused", f"{index} {name}")

        disk.before = refuse
        with pytest.raises(StorageFailed):
            store.append(USER, Counted(n=1))
        disk.before = nothing

        with pytest.raises(StorePoisoned):
            store.append(USER, Counted(n=2))
        assert store.get(kept.event_id).payload == Counted(n=0)


def test_a_failed_sync_poisons_and_is_never_tried_again() -> None:
    disk = MemoryDisk()
    store = open_in(disk)
    kept = store.append(USER, Counted(n=0))
    disk.before = refusing("fdatasync")

    with pytest.raises(DurabilityUnknown) as caught:
        store.append(USER, Counted(n=1), idempotency_key="k")
    done = len(disk.operations)
    disk.before = nothing
    with pytest.raises(StorePoisoned):
        store.append(USER, Counted(n=1), idempotency_key="k")
    assert [event.sequence for event in store.query()] == [kept.sequence]
    store.close()

    assert (caught.value.first_sequence, caught.value.last_sequence) == (1, 1)
    assert disk.operations[done:] == []  # close writes nothing either
    with open_in(disk) as again:
        receipt = again.append(USER, Counted(n=1), idempotency_key="k")
        assert receipt.sequence == 1
        assert again.count() == 2


def test_a_failed_close_says_so_and_frees_the_directory() -> None:
    disk = MemoryDisk()
    store = Store.open("store", FAST, platform=disk.platform())
    store.append(USER, Counted(n=0))
    disk.before = refusing("fdatasync")

    with pytest.raises(DurabilityUnknown):
        store.close()

    disk.before = nothing
    with open_in(disk) as again:
        assert not again.open_report.clean
        assert again.count() == 1


def test_a_failed_sync_at_a_rotation_names_all_that_is_open() -> None:
    disk = MemoryDisk()
    store = Store.open("store", SMALL_FAST, platform=disk.platform())
    sequence = 0
    while len(disk.files()["000001.fbat"]) < 4 << 10:
        sequence = store.append(USER, BIG).sequence
    disk.before = refusing("fdatasync")

    with pytest.raises(DurabilityUnknown) as caught:
        store.append(USER, BIG)

    assert (caught.value.first_sequence, caught.value.last_sequence) == (0, sequence)
    with pytest.raises(StorePoisoned):
        store.append(USER, BIG)
    store.close()


SMALL_FAST: Final = type(SMALL)(
    lifecycle_events=False, durability=FAST.durability, limits=SMALL.limits
)


def test_no_space_for_a_new_segment_changes_nothing() -> None:
    disk = MemoryDisk()
    with Store.open("store", SMALL, platform=disk.platform()) as store:
        for _ in range(4):
            store.append(USER, BIG)
        while len(disk.files()["000001.fbat"]) < 4 << 10:
            store.append(USER, BIG)
        done = store.version(USER.entity)

        def refuse(index: int, operation: str, name: str, /) -> None:
            if operation == "write" and name.endswith(".tmp"):
                raise OSError(errno.ENOSPC, "refused", f"{index} {name}")

        disk.before = refuse
        with pytest.raises(StorageFailed) as caught:
            store.append(USER, BIG)
        disk.before = nothing

        assert caught.value.full
        assert store.append(USER, BIG).version == done + 1
        assert "000002.fbat" in disk.files()
        assert store.verify().ok


def test_a_lock_file_that_was_removed_stops_the_next_durable_append() -> None:
    disk = MemoryDisk()
    store = Store.open("store", SMALL, platform=disk.platform())
    store.append(USER, BIG)
    del disk.names[".batpak.lock"]
    before = disk.files()["000001.fbat"]

    with pytest.raises(StorePoisoned, match="lock file was replaced"):
        store.append(USER, BIG)

    assert disk.files()["000001.fbat"] == before
    store.close()


def test_a_lock_file_that_was_removed_stops_the_next_rotation() -> None:
    disk = MemoryDisk()
    config = replace(SMALL, durability=Durability.OS)
    store = Store.open("store", config, platform=disk.platform())
    del disk.names[".batpak.lock"]

    while len(disk.files()["000001.fbat"]) < 4 << 10:
        store.append(USER, BIG)
    with pytest.raises(StorePoisoned):
        store.append(USER, BIG)

    assert "000002.fbat" not in disk.files()
    store.close()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interrupt_at_any_operation_leaves_a_store_that_goes_on(moment: str) -> None:
    opened = next(
        i for i, (what, name) in enumerate(OPERATIONS) if (what, name) == ("write", "000001.fbat")
    )
    for at in range(opened, len(OPERATIONS)):
        disk = MemoryDisk()
        acknowledged: list[AppendReceipt] = []

        def interrupt(index: int, operation: str, name: str, /, at: int = at) -> None:
            if index == at:
                raise KeyboardInterrupt(operation, name)

        setattr(disk, moment, interrupt)
        with suppress(KeyboardInterrupt):
            play(disk, acknowledged)
        disk.before = disk.after = nothing

        disk.locks.clear()
        assert_kept(disk, acknowledged, 2 * SCRIPT)


TRACED: Final = sys.version_info[:2] != (3, 12)  # whose `sys.settrace` shows no bytecodes
ROOMS: Final = ("batpak/commit/", "batpak/index/", "batpak/journal/layout", "tests/memory_disk")
POINTS: Final = ("CALL", "RESUME", "JUMP_BACKWARD")


@cache
def breakable(code: CodeType) -> frozenset[int]:
    """The offsets before which CPython lets a signal handler run: behind calls, in loops."""
    steps = list(dis.get_instructions(code))
    return frozenset(
        step.offset for before, step in pairwise(steps) if before.opname.startswith(POINTS)
    )


def interrupted_append(store: Store, at: int) -> int:
    """Append with a KeyboardInterrupt at point number `at`; how many points there were."""
    seen = 0

    def trace(here: FrameType, event: str, _: Any) -> Any:  # noqa: ANN401  as sys.settrace has it
        nonlocal seen
        if not any(room in here.f_code.co_filename for room in ROOMS):
            return None
        here.f_trace_opcodes, here.f_trace_lines = True, False
        if event == "opcode" and here.f_lasti in breakable(here.f_code):
            seen += 1
            if seen == at:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        with suppress(KeyboardInterrupt):
            store.append(USER, Counted(n=1), idempotency_key="k")
    finally:
        sys.settrace(None)
    return seen


def rows(store: StoreReader) -> list[int]:
    return [event.sequence for event in store.query()]


@pytest.mark.skipif(not TRACED, reason="3.12 shows no bytecodes to a trace function set inside it")
def test_an_interrupt_at_any_point_of_the_lane_leaves_a_whole_log() -> None:
    with open_in(MemoryDisk()) as store:
        points = interrupted_append(store, 0)
    assert points > 10  # newer interpreters trace fewer of them

    for at in range(1, points + 1):
        disk = MemoryDisk()
        store = open_in(disk)
        store.append(USER, Counted(n=0))
        interrupted_append(store, at)
        seen = rows(store)  # what an interrupted call has done is done when it raises
        again = store.append(USER, Counted(n=1), idempotency_key="k")
        assert again.sequence == 1, f"at point {at}"
        assert again.replayed == (seen == [0, 1]), f"at point {at}"
        assert store.append(USER, Counted(n=2)).version == 3
        assert rows(store) == [0, 1, 2]
        assert [event.version for event in store.stream("user:1")] == [1, 2, 3]
        store.close()
        with Store.open_read_only("store", platform=disk.platform()) as kept:
            assert kept.open_report.clean
            assert kept.verify().ok
            assert rows(kept) == [0, 1, 2]


def test_an_append_from_inside_an_append_is_refused() -> None:
    disk = MemoryDisk()
    refusals: list[InvalidArgument] = []
    told: list[tuple[str, str]] = []
    with open_in(disk) as store:

        def reenter(index: int, operation: str, name: str, /) -> None:
            if operation == "reserve":
                return
            disk.before = nothing
            told.append((operation, name))
            try:
                store.append(USER, Counted(n=index))
            except InvalidArgument as error:
                refusals.append(error)

        disk.before = reenter
        store.append(USER, Counted(n=1))

        assert told == [("write", "000001.fbat")]
        assert [error.argument for error in refusals] == ["thread"]
        assert store.count() == 1
