"""The lane under a disk that refuses, and an interrupt at every single point between two bytecodes.

Would slip through without it: a refused write whose bytes stay behind, a sync that is tried again
after it failed, a handle that goes on writing without its lock, an interrupt that leaves the store
half way.
"""

from __future__ import annotations

import dis
import errno
import sys
from contextlib import suppress
from functools import cache
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any, Final

import pytest
from msgspec.structs import replace

from batpak.config import Durability, StoreConfig
from batpak.errors import (
    DurabilityUnknown,
    InvalidArgument,
    StorageFailed,
    StorePoisoned,
)
from batpak.journal import layout
from batpak.reader import StoreReader
from batpak.store import Store
from batpak.testing.disk import Call, nothing
from batpak.testing.handles import SimLock
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, PLAIN, SMALL, USER, Counted, Said

BIG: Final = Said(text="x" * 900)  # four of them fill a segment of SMALL
SMALL_FAST: Final = replace(SMALL, durability=Durability.OS)
FIRST: Final = "store/000001.fbat"
SECOND: Final = "store/000002.fbat"

# After a crash nobody is left to close the store, or to drain it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(params=[False, True], ids=["by position", "mapped"])
def sim(request: pytest.FixtureRequest) -> SimPlatform:
    return SimPlatform(mapped=request.param)


def open_in(sim: SimPlatform, config: StoreConfig = PLAIN) -> Store:
    return Store.open("store", config, platform=sim)


def fill(store: Store) -> None:
    """Append until the next append begins a new file."""
    for _ in range(4):
        store.append(USER, BIG)


def test_a_full_disk_is_cut_back_and_the_same_handle_goes_on(sim: SimPlatform) -> None:
    with open_in(sim) as store:
        first = store.append(USER, Counted(n=1))
        before = sim.files()[FIRST].rstrip(b"\0")  # without what is reserved
        sim.fail_at(1, errno.ENOSPC, sticky=True, kind="write")
        done = sim.calls

        with pytest.raises(StorageFailed) as caught:
            store.append(USER, Counted(n=1), idempotency_key="k")

        assert caught.value.full
        assert caught.value.retryable
        kinds = [call.kind for call in sim.trace[done:]]
        assert kinds[-3:] == ["truncate", "sync", "size"]  # the cut is durable, and seen to be
        assert sim.files()[FIRST] == before
        sim.faults.clear()
        again = store.append(USER, Counted(n=2), idempotency_key="k")  # the key is still free
        assert (again.sequence, again.version) == (first.sequence + 1, first.version + 1)
        assert store.verify().ok


def test_a_write_that_ends_in_the_middle_is_cut_back(sim: SimPlatform) -> None:
    with open_in(sim) as store:
        store.append(USER, Counted(n=1))
        before = sim.files()[FIRST].rstrip(b"\0")
        sim.disk.write_max = 10
        sim.fail_at(5, errno.EIO, kind="write")
        with pytest.raises(StorageFailed):
            store.append(USER, Counted(n=1))

        assert sim.files()[FIRST] == before
        assert store.append(USER, Counted(n=2)).sequence == 1  # in pieces of ten bytes
        assert store.verify().ok


def test_a_cut_that_fails_poisons(sim: SimPlatform) -> None:
    with open_in(sim) as store:
        kept = store.append(USER, Counted(n=0))
        sim.fail_at(1, errno.EIO, sticky=True, kind=("write", "truncate"))
        with pytest.raises(DurabilityUnknown):
            store.append(USER, Counted(n=1))
        sim.faults.clear()

        with pytest.raises(StorePoisoned):
            store.append(USER, Counted(n=2))
        assert store.get(kept.event_id).payload == Counted(n=0)


def test_a_failed_sync_poisons_and_is_never_tried_again(sim: SimPlatform) -> None:
    store = open_in(sim)
    kept = store.append(USER, Counted(n=0))
    sim.fail_at(1, errno.EIO, kind="sync")

    with pytest.raises(DurabilityUnknown) as caught:
        store.append(USER, Counted(n=1), idempotency_key="k")
    done = len(sim.operations)
    with pytest.raises(StorePoisoned):
        store.append(USER, Counted(n=1), idempotency_key="k")
    assert [event.sequence for event in store.query()] == [kept.sequence]
    store.close()

    assert (caught.value.first_sequence, caught.value.last_sequence) == (1, 1)
    assert [one.kind for one in sim.operations[done:]] == ["lock"]  # is given back, and no more
    with open_in(sim) as again:
        receipt = again.append(USER, Counted(n=1), idempotency_key="k")
        assert receipt.sequence == 1
        assert again.count() == 2


def test_a_failed_close_says_so_and_frees_the_directory(sim: SimPlatform) -> None:
    store = open_in(sim, FAST)
    store.append(USER, Counted(n=0))
    sim.fail_at(1, errno.EIO, kind="sync")

    with pytest.raises(DurabilityUnknown):
        store.close()

    with open_in(sim) as again:
        assert not again.open_report.clean
        assert again.count() == 1


def test_a_failed_sync_at_a_rotation_names_all_that_is_open(sim: SimPlatform) -> None:
    store = open_in(sim, SMALL_FAST)
    fill(store)
    sim.fail_at(1, errno.EIO, kind="sync")

    with pytest.raises(DurabilityUnknown) as caught:
        store.append(USER, BIG)

    assert (caught.value.first_sequence, caught.value.last_sequence) == (0, 3)
    with pytest.raises(StorePoisoned):
        store.append(USER, BIG)
    store.close()
    assert SECOND not in sim.files()


def test_no_space_for_a_new_segment_changes_nothing(sim: SimPlatform) -> None:
    with open_in(sim, SMALL) as store:
        fill(store)
        before, done = sim.files(), store.version(USER.entity)
        sim.fail_at(1, errno.ENOSPC, sticky=True, kind="write")
        with pytest.raises(StorageFailed) as caught:
            store.append(USER, BIG)
        sim.faults.clear()

        assert caught.value.full
        assert {path: sim.files()[path] for path in before} == before
        assert SECOND not in sim.files()
        assert store.append(USER, BIG).version == done + 1
        assert SECOND in sim.files()
        assert store.verify().ok


def remove_lock_file(sim: SimPlatform, store: Store) -> None:
    with sim.pause():
        sim.open_dir(store.open_report.path, create=False).unlink(layout.LOCK)


def test_a_lock_file_that_was_removed_stops_the_next_durable_append(sim: SimPlatform) -> None:
    store = open_in(sim, SMALL)
    store.append(USER, BIG)
    remove_lock_file(sim, store)
    before = sim.files()[FIRST]

    with pytest.raises(StorePoisoned, match="lock file was replaced"):
        store.append(USER, BIG)

    assert sim.files()[FIRST] == before
    store.close()


def test_a_lock_file_that_was_removed_stops_the_next_rotation(sim: SimPlatform) -> None:
    store = open_in(sim, SMALL_FAST)
    remove_lock_file(sim, store)

    fill(store)
    with pytest.raises(StorePoisoned):
        store.append(USER, BIG)

    assert SECOND not in sim.files()
    store.close()


TRACED: Final = sys.version_info < (3, 12)  # from then on `sys.settrace` shows few bytecodes
ROOMS: Final = (
    "batpak/commit/",
    "batpak/index/",
    "batpak/journal/layout",
    "batpak/testing/handles",
)
POINTS: Final = ("CALL", "RESUME", "JUMP_BACKWARD")


@cache
def breakable(code: CodeType) -> frozenset[int]:
    """The offsets before which CPython lets a signal handler run: behind calls, in loops.

    Who handles what is raised there is told by the call. Where that is somebody else than behind
    it, as in front of the end of a `with`, a trace function cannot raise what a handler does.
    """
    known = dis.Bytecode(code)
    entries: list[Any] = vars(known)["exception_entries"]  # of which typeshed does not know

    def handler_of(offset: int) -> int | None:
        found = (entry.target for entry in entries if entry.start <= offset < entry.end)
        return next(found, None)

    return frozenset(
        step.offset
        for before, step in pairwise(known)
        if before.opname.startswith(POINTS) and handler_of(before.offset) == handler_of(step.offset)
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


@pytest.mark.skipif(not TRACED, reason="3.12 shows few bytecodes to a trace function set inside")
def test_an_interrupt_at_any_point_of_the_lane_leaves_a_whole_log() -> None:
    with open_in(SimPlatform()) as store:
        points = interrupted_append(store, 0)
    assert points > 10  # newer interpreters trace fewer of them

    for at in range(1, points + 1):
        sim = SimPlatform(mapped=at % 2 == 0)
        store = open_in(sim)
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
        with Store.open_read_only("store", platform=sim) as kept:
            assert kept.open_report.clean
            assert kept.verify().ok
            assert rows(kept) == [0, 1, 2]


def test_an_append_from_inside_an_append_is_refused(sim: SimPlatform) -> None:
    refusals: list[str] = []
    calls: list[Call] = []
    with open_in(sim) as store:

        def reenter(call: Call) -> None:
            sim.disk.before = nothing
            calls.append(call)
            with pytest.raises(InvalidArgument) as caught:
                store.append(USER, Counted(n=call.number))
            refusals.append(caught.value.argument)
            sim.disk.before = reenter

        store.append(USER, Counted(n=0))
        sim.disk.before = reenter
        store.append(USER, Counted(n=1))
        sim.disk.before = nothing

        assert [(call.kind, call.path) for call in calls] == [("write", FIRST), ("sync", FIRST)]
        assert refusals == ["thread", "thread"]
        assert store.count() == 2


def test_a_close_whose_last_event_cannot_be_stored_says_so(sim: SimPlatform) -> None:
    """It begins a new file for it, and the directory does not sync; nothing else would tell."""
    config = replace(SMALL, lifecycle_events=True)
    store = Store.open("store", config, platform=sim)
    store.append(USER, Said(text="x" * 5000))
    sim.fail_at(1, errno.EIO, kind="syncdir")

    with pytest.raises(StorageFailed):
        store.close()

    with Store.open("store", config, platform=sim) as again:
        assert not again.open_report.clean
        assert again.count() >= 2


def test_a_lock_that_the_system_says_nothing_of_refuses_the_append_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Store.open("store", SMALL, platform=SimPlatform()) as store:
        with monkeypatch.context() as patch:
            patch.setattr(SimLock, "intact", refused)
            with pytest.raises(StorageFailed, match="look at the lock"):
                store.append(USER, Counted(n=1))
        assert store.append(USER, Counted(n=1)).sequence == 0


def refused(lock: SimLock) -> bool:
    raise OSError(errno.EIO, "no answer", str(lock))
