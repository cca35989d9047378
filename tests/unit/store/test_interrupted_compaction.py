"""Who comes in between: callbacks, signal handlers and Ctrl-C while files of the log are exchanged.

Would slip through without it: a thread that waits for itself for ever, and a handle that goes on
with files which are not there any more.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import pytest
from msgspec.structs import replace

from batpak.config import Durability
from batpak.errors import InvalidArgument, StorageFailed, StoreClosed
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.disk import Call, nothing
from batpak.testing.platform import SimPlatform
from tests.facts import SMALL, USER, Counted, Said
from tests.unit.commit.test_lane import breakable

QUIET: Final = replace(SMALL, durability=Durability.OS)
EVENTS: Final = 12  # in four files

OPERATIONS: Final[dict[str, Callable[[Store, int], object]]] = {
    "verify": lambda store, _: store.verify().raise_for_damage(),
    "snapshot": lambda store, n: store.snapshot(f"copy{n}"),
    "fork": lambda store, n: store.fork(f"fork{n}"),
    "compact": lambda store, _: store.compact(retain=lambda one: one.sequence % 3 != 1),
}
BETWEEN: Final[dict[str, Callable[[Store, int], object]]] = {
    **OPERATIONS,
    "appends": lambda store, n: [store.append(USER, Said(text="z" * 3000 + str(n))) for _ in "123"],
    "query": lambda store, _: store.count() == len(list(store.query())) or pytest.fail("torn"),
}


def opened(sim: SimPlatform) -> Store:
    store = Store.open("store", QUIET, platform=sim)
    for n in range(EVENTS):
        store.append(USER, Said(text="y" * 1200 + str(n)))
    return store


def in_time(work: Callable[[], object]) -> None:
    """Do something in a thread of its own, which has to come back."""
    ends: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
            ends.append(None)
        except BaseException as error:  # noqa: BLE001  it is raised below
            ends.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert ends, "it waits for itself"
    if ends[0] is not None:
        raise ends[0]


@pytest.mark.parametrize("inner", OPERATIONS)
@pytest.mark.parametrize("outer", OPERATIONS)
def test_a_callback_of_a_ticket_may_do_whatever_it_was_called_in(outer: str, inner: str) -> None:
    store = opened(SimPlatform())
    done: list[object] = []
    ticket = store.submit(USER, Counted(n=1))
    ticket.add_done_callback(lambda: done.append(OPERATIONS[inner](store, 2)))

    in_time(lambda: OPERATIONS[outer](store, 1))

    assert len(done) == 1
    store.close()


def test_a_callback_does_not_wait_until_a_long_verification_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sim, called = SimPlatform(), list[int]()
    with opened(sim) as store:

        def slowly(*given: object) -> object:
            assert not called, "called by who holds the names"
            sim.run_background()
            assert called, "nobody else has called it"
            return given

        store.submit(USER, Counted(n=1)).add_done_callback(lambda: called.append(1))
        monkeypatch.setattr("batpak.reader.verify_log", slowly)
        store.verify()
        assert called == [1]


@pytest.mark.parametrize("inner", BETWEEN)
@pytest.mark.parametrize("outer", OPERATIONS)
def test_a_signal_handler_is_served_or_refused_wherever_it_comes(outer: str, inner: str) -> None:
    sim = SimPlatform()
    store = opened(sim)
    refused: list[InvalidArgument] = []
    served: list[int] = []

    def handle(call: Call) -> None:
        sim.disk.before = nothing
        try:
            BETWEEN[inner](store, call.number)
            served.append(call.number)
        except InvalidArgument as error:
            refused.append(error)
        finally:
            sim.disk.before = handle if len(served) + len(refused) < 40 else nothing

    sim.disk.before = handle
    in_time(lambda: OPERATIONS[outer](store, 0))
    sim.disk.before = nothing

    assert served or refused
    assert all(one.argument == "thread" and "re-entrant" in str(one) for one in refused)
    assert served or inner != "query"
    assert not refused or inner != "query"
    assert store.verify().ok
    store.close()
    with Store.open_read_only("store", platform=sim) as again:
        assert again.open_report.clean
        assert again.verify().ok


def test_a_close_from_a_signal_handler_never_hangs() -> None:
    at = 0
    while closed_at(at):
        at += 3
    assert at > 20


def closed_at(at: int) -> bool:
    """Compact, and close inside call number `at` of the disk; whether there was such a call."""
    sim = SimPlatform()
    store, due = opened(sim), sim.calls + at
    closing: list[Call] = []

    def handle(call: Call) -> None:
        if call.number >= due:
            sim.disk.before = nothing
            closing.append(call)
            with suppress(InvalidArgument):
                store.close()

    def compact() -> None:
        with suppress(StoreClosed):
            OPERATIONS["compact"](store, 0)

    sim.disk.before = handle
    in_time(compact)
    sim.disk.before = nothing
    store.close()
    with Store.open("store", QUIET, platform=sim) as again:
        assert again.verify().ok
        assert rows(again) in (NOTHING_GONE, KEPT)
    return bool(closing)


# ------------------------------------------------------------------------------------- interrupts


ROOMS: Final = (
    "batpak/upkeep/compaction",
    "batpak/journal/rewritten",
    "batpak/journal/segment",
    "batpak/index/table",
    "batpak/commit/",
    "batpak/testing/handles",
)
LOCKING: Final = "_have"  # what is raised behind a call is raised in the block of its `with`
NOTHING_GONE: Final = list(range(EVENTS))
KEPT: Final = [n for n in range(EVENTS) if n % 3 != 1]


def interrupted(store: Store, error: type[BaseException], *points: int) -> int:
    """Compact, with exceptions at some points from where the first file is exchanged."""
    seen = 0
    inside = False

    def trace(here: FrameType, event: str, _: object) -> Any:  # noqa: ANN401  as sys.settrace
        nonlocal seen, inside
        name, room = here.f_code.co_name, here.f_code.co_filename
        inside = inside or (name in ("_exchange_files", "_commit") and ROOMS[0] in room)
        if not inside or name == LOCKING or not any(one in room for one in ROOMS):
            return None
        here.f_trace_opcodes, here.f_trace_lines = True, False
        if event == "opcode" and here.f_lasti in breakable(here.f_code):
            seen += 1
            if seen in points:
                raise error
        return trace

    sys.settrace(trace)
    try:
        with suppress(error):
            OPERATIONS["compact"](store, 0)
    finally:
        sys.settrace(None)
    return seen


def rows(store: Store) -> list[int]:
    return [one.sequence for one in store.query(before=EVENTS)]


def require_whole(sim: SimPlatform, store: Store, at: object) -> None:
    """The handle has the old files or the new ones, and so has the disk, and it goes on."""
    there = rows(store)
    assert there in (NOTHING_GONE, KEPT), at
    assert store.verify().ok, at
    with Store.open_read_only("store", platform=sim.crash(CrashModel.KILL)) as after:
        assert after.verify().ok, at
        assert [one.sequence for one in after.query(before=EVENTS)] == there, f"{at}: on the disk"
    store.snapshot("copy")
    with Store.open_read_only("copy", platform=sim) as copy:
        assert [one.record for one in copy.query()] == [one.record for one in store.query()], at
        assert copy.verify().ok, at
    sequence = store.append(USER, Counted(n=1)).sequence
    OPERATIONS["compact"](store, 0)
    assert rows(store) == KEPT, at
    assert sequence % 3 == 1 or store.get(sequence).payload == Counted(n=1)
    assert store.stats().segments <= 2, at
    with Store.open("store", QUIET, platform=sim.crash(CrashModel.SYNCED)) as after:
        assert rows(after) == KEPT, at
        assert after.verify().ok, at
    store.close()
    names = [name for name in sim.files() if name.startswith("store/") and "fbat" in name]
    assert len(names) == 2, f"{at}: {names}"


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="3.12 shows no bytecodes to a trace function"
)
@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_an_exception_from_outside_leaves_the_files_as_they_were_or_as_they_were_to_be(
    every: int,
) -> None:
    with opened(SimPlatform()) as store:
        points = interrupted(store, KeyboardInterrupt, 0)
    assert points > 50

    for at in range(1, points + 1, every):
        sim = SimPlatform()
        store = opened(sim)
        interrupted(store, SystemExit if at % 2 else KeyboardInterrupt, at)
        require_whole(sim, store, at)


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="3.12 shows no bytecodes to a trace function"
)
@pytest.mark.parametrize("every", [71, pytest.param(3, marks=pytest.mark.slow)])
def test_a_second_exception_while_the_first_is_answered_leaves_no_more(every: int) -> None:
    with opened(SimPlatform()) as store:
        points = interrupted(store, KeyboardInterrupt, 0)
    unknown = 0
    for at in range(1, points + 1, every):
        for behind in (1, 4, 11):
            sim = SimPlatform()
            store = opened(sim)
            interrupted(store, KeyboardInterrupt, at, at + behind)
            assert rows(store) in (NOTHING_GONE, KEPT)
            assert store.verify().ok
            if is_unsure(store):
                unknown += 1
                assert rows(store) == KEPT
                store.close()
            else:
                require_whole(sim, store, (at, behind))
    assert unknown < 10


def is_unsure(store: Store) -> bool:
    """Whether nobody knows if a sync of the directory was refused: compaction has ended then."""
    try:
        store.compact()
    except StorageFailed as error:
        return "cut short" in str(error)
    return False
