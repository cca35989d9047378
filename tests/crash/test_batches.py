"""Batches at every point where a machine, a disk or a person can stop them.

The disk of these tests takes a few bytes at a time, so "every call" is also every few bytes of a
batch: of one that is larger than a file, of one behind which a file ends, of several that are
written at once, and of single events beside them. Would slip through without it: half a batch after
an open, an acknowledged batch that is gone, an event that is taken for the rest of a batch in front
of it, a retry that stores a second one, a directory that stays locked after Ctrl-C.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, get_args

import pytest

from batpak.append import AppendReceipt, BatchItem, PriorItem
from batpak.commit.ticket import BatchTicket, interrupted_receipt
from batpak.config import Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError, StorageFailed, VersionConflict
from batpak.reader import StoreReader
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.disk import Call, nothing
from batpak.testing.faults import Kind
from batpak.testing.image import Operation
from batpak.testing.platform import SimPlatform
from batpak.upkeep.verify import verify_path
from tests.crash.test_retries import recorded_end
from tests.facts import FAST, SMALL, USER, Counted, Said

OTHER: Final = Coordinate("user:2", "acme")
PIECE: Final = 700  # bytes that one write takes
SIZES: Final = {  # of the texts of each unit, in the order in which they are stored
    "small": [20, 20, 20],
    "large": [2200, 30, 2200],  # passes the end of a file; the next one begins another
    "left": [500, 10],
    "right": [10, 10, 10, 300],
    "last": [400],
    "bare": [2900],  # in a second life, without a key; passes the end of a file
    "single": [20],
}
TINY: Final = 64  # bytes: less than any frame, header or HEAD
CHANGES: Final[tuple[Kind, ...]] = (
    "open_dir", "create", "replace", "unlink", "subdir", "syncdir", "reserve", "write", "sync",
    "truncate",
)  # fmt: skip
LASTING: Final = (*CHANGES, "lock", "close")  # calls that leave something behind them
EVERY: Final = get_args(Kind)


# After a power cut nobody is left to close the store, or to drain it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Raise:
    """A hook that raises at the n-th of some calls, and never again.

    Args:
        make: Makes what it raises.
        n: 1 is the next call.
        kinds: Which calls count.
    """

    def __init__(self, make: Callable[[], BaseException], n: int, kinds: Collection[Kind]) -> None:
        self._make, self._left, self._kinds = make, n, kinds

    @property
    def fired(self) -> bool:
        return self._left <= 0

    def __call__(self, call: Call, /) -> None:
        self._left -= call.kind in self._kinds
        if self._left == 0:
            self._left = -1
            raise self._make()


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


def key(name: str) -> str | None:
    return None if name == "bare" else name


def store_unit(store: Store, name: str) -> tuple[AppendReceipt, ...]:
    one, *more = batch = items(name)
    if more:
        return store.append_batch(batch, idempotency_key=key(name))
    assert isinstance(one.payload, Said)
    return (
        store.append(one.coord, one.payload, idempotency_key=key(name), extensions=one.extensions),
    )


class Run:
    """Two lives of a program that stores batches and single events; what it was told."""

    def __init__(self, sim: SimPlatform) -> None:
        self.sim = sim
        self.moments: dict[str, int] = {}  # operations there were when a unit was told
        self.doing = ""  # the unit whose call has not returned
        self._store: Store | None = None
        self._told: dict[str, tuple[AppendReceipt, ...]] = {}
        self._tickets: dict[str, BatchTicket] = {}

    def play(self) -> None:
        self._store = store = Store.open("store", SMALL, platform=self.sim)
        self._append("small")
        self._append("large")
        for name in ("left", "right"):
            with suppress(BatpakError):
                self._tickets[name] = store.submit_batch(items(name), idempotency_key=name)
        self._append("last")  # in one group with the two before
        with suppress(BatpakError):
            store.close()
        self._store = Store.open("store", SMALL, platform=self.sim)
        self._append("bare")
        self._append("single")
        self._store.close()

    def _append(self, name: str) -> None:
        assert self._store is not None
        self.doing = name
        with suppress(BatpakError):
            self._told[name] = store_unit(self._store, name)
        self.doing = ""
        for told in self.acknowledged:
            self.moments.setdefault(told, len(self.sim.operations))

    @property
    def acknowledged(self) -> dict[str, tuple[AppendReceipt, ...]]:
        """What calls have returned, and tickets."""
        tickets = self._tickets.items()
        done = {n: t.result(0) for n, t in tickets if t.done() and t.exception(0) is None}
        return {**self._told, **done}

    def end(self) -> None:
        """What a program does that has caught whatever it was."""
        self.sim.disk.before = self.sim.disk.after = nothing
        self.sim.faults.clear()
        if self._store is not None:
            with suppress(BatpakError):
                self._store.close()


def machine(*, mapped: bool = False) -> SimPlatform:
    """Files that are mapped take what they are given: a write is one copy."""
    sim = SimPlatform(mapped=mapped)
    sim.disk.write_max = None if mapped else PIECE
    return sim


def batches(store: StoreReader) -> dict[str, list[int]]:
    """The sequences of the items of each unit; nothing but whole units, each in one piece."""
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


def assert_kept(sim: SimPlatform, told: dict[str, tuple[AppendReceipt, ...]]) -> list[str]:
    """All that was told is there, whole; what comes later stays; a retry stores nothing twice.

    Returns:
        The names of the units that were found, in the order in which they are stored.
    """
    sim.disk.write_max = None
    with Store.open("store", SMALL, platform=sim) as store:
        found = batches(store)
        for name, receipts in told.items():
            assert [one.sequence for one in receipts] == found[name]
            assert [store.get(n).event_hash for n in found[name]] == [
                one.event_hash for one in receipts
            ]
        total = store.count()
        assert total == sum(map(len, found.values()))
        later = store.append(USER, Counted(n=1))
        assert later.sequence == total
        for name in SIZES:
            if key(name) is not None or name not in found:
                again = store_unit(store, name)
                assert [one.replayed for one in again] == [name in found] * len(again)
    with Store.open_read_only("store", platform=sim) as kept:
        assert kept.open_report.clean
        assert set(batches(kept)) == set(SIZES)
        assert kept.get(later.event_id).sequence == later.sequence
        assert kept.count() == 1 + sum(map(len, SIZES.values()))
        assert kept.verify().ok
    return sorted(found, key=found.__getitem__)


@cache
def whole_run(*, mapped: bool = False) -> Run:
    """The script on a machine that nothing happens to."""
    run = Run(machine(mapped=mapped))
    run.play()
    return run


def notable(calls: Iterable[Call | Operation]) -> list[int]:
    """The numbers of some calls, from 0: of the tiny writes that make a footer a few will do."""
    return [
        n
        for n, call in enumerate(calls)
        if call.kind != "write" or len(call.data) >= TINY or n % 10 == 0
    ]


def test_the_script_ends_a_file_inside_and_between_batches_and_writes_several_at_once() -> None:
    run = whole_run()
    files = [path for path in run.sim.files() if path.endswith(".fbat")]
    kinds = {call.kind for call in run.sim.trace}

    assert list(run.acknowledged) == ["small", "large", "last", "bare", "single", "left", "right"]
    assert run.moments["left"] == run.moments["right"] == run.moments["last"]
    assert len(files) == 3
    assert {"reserve", "write", "sync", "create", "truncate", "replace"} <= kinds
    assert max(len(call.data) for call in run.sim.trace) > 3 * PIECE


@pytest.mark.parametrize("model", CrashModel, ids=lambda model: model.name)
def test_a_power_cut_at_any_operation_leaves_whole_batches(model: CrashModel) -> None:
    run = whole_run()
    receipts, order, end = run.acknowledged, list(SIZES), len(run.sim.operations)

    for at in (*notable(run.sim.operations), end):
        told = {name: receipts[name] for name, by in run.moments.items() if by <= at}
        after = run.sim.crash(model, at)

        try:
            assert verify_path("store", after).ok
        except StorageFailed:
            assert not told  # the power went before there was a store
        found = assert_kept(after, told)

        assert found == order[: len(found)], f"at {at}"


@pytest.mark.parametrize("mapped", [False, True], ids=["by position", "mapped"])
@pytest.mark.parametrize(
    ("moment", "kinds"), [("before", EVERY), ("after", LASTING)], ids=["before", "after"]
)
def test_after_an_interrupt_at_any_call_it_is_known_what_was_stored(
    moment: str, kinds: tuple[Kind, ...], mapped: bool
) -> None:
    calls = [call for call in whole_run(mapped=mapped).sim.trace if call.kind in kinds]

    for n in notable(calls):
        run = Run(machine(mapped=mapped))
        setattr(run.sim.disk, moment, Raise(KeyboardInterrupt, n + 1, kinds))
        stored = None
        try:
            run.play()
        except KeyboardInterrupt as interrupt:  # and nothing else
            stored = interrupted_receipt(interrupt) is not None
        run.end()

        found = assert_kept(run.sim, run.acknowledged)

        assert stored is not None, f"{calls[n]}: nobody was told"
        known = {*run.acknowledged, run.doing} if stored else {*run.acknowledged}
        assert set(found) == known, f"{calls[n]}, in {run.doing!r}"


def assert_kept_twice(run: Run) -> None:
    """What was told outlives a refusal, with the process alone gone or the power as well."""
    run.end()
    cut_off = run.sim.crash(CrashModel.SYNCED)
    for sim in (cut_off, run.sim):
        assert_kept(sim, run.acknowledged)


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_refusal_of_any_change_leaves_whole_batches(number: int, sticky: bool) -> None:
    for n in notable(call for call in whole_run().sim.trace if call.kind in CHANGES):
        run = Run(machine())
        run.sim.fail_at(n + 1, number, sticky=sticky, kind=CHANGES)
        with suppress(BatpakError):
            run.play()

        assert run.sim.fired
        assert_kept_twice(run)


def test_a_change_that_is_made_and_told_as_refused_leaves_whole_batches() -> None:
    for n in notable(call for call in whole_run().sim.trace if call.kind in CHANGES):
        run = Run(machine())
        hook = run.sim.disk.after = Raise(lambda: OSError(errno.EIO, "late"), n + 1, CHANGES)
        with suppress(BatpakError):
            run.play()

        assert hook.fired
        assert_kept_twice(run)


@pytest.mark.parametrize("mapped", [False, True], ids=["by position", "mapped"])
def test_a_refused_reservation_is_a_refused_batch_and_the_same_handle_goes_on(mapped: bool) -> None:
    sim = SimPlatform(mapped=mapped)
    with Store.open("store", SMALL, platform=sim) as store:
        sim.fail_at(1, errno.ENOSPC, sticky=True, kind="reserve")
        before = sim.files()
        with pytest.raises(StorageFailed) as caught:
            store.append_batch(items("large"), idempotency_key="large")
        after = sim.files()
        sim.faults.clear()
        again = store.append_batch(items("large"), idempotency_key="large")

    assert caught.value.full
    assert after == before
    assert [(one.sequence, one.replayed) for one in again] == [(0, False), (1, False), (2, False)]


@pytest.mark.parametrize(("kind", "n"), [("write", 3), ("reserve", 1)])
def test_a_batch_that_failed_is_nowhere_when_its_neighbours_are_read_from_the_frames(
    tmp_path: Path, kind: Kind, n: int
) -> None:
    sim = machine()
    config = StoreConfig(
        lifecycle_events=False, durability=FAST.durability, limits=Limits(segment_max_bytes=4 << 10)
    )
    with Store.open("store", config, platform=sim) as store:
        sim.fail_at(n, errno.EIO, sticky=kind == "reserve", kind=kind)
        with pytest.raises(StorageFailed):
            store.append_batch(items("large"), idempotency_key="large")
        sim.faults.clear()
        with pytest.raises(VersionConflict):
            store.append_batch([BatchItem(USER, Counted(n=0), expected_version=1)])
        for number in range(100):
            assert store.append(USER, Counted(n=number)).sequence == number

    for path, data in sim.files().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    files = sorted(tmp_path.glob("store/*.fbat"))
    for file in files:
        os.truncate(file, recorded_end(file))  # only the frames
    with Store.open(tmp_path / "store", config) as store:
        assert [event.payload.n for event in store.by_fact(Counted)] == list(range(100))
        assert len(files) > 3
        assert store.count() == 100
        assert not store.append_batch(items("large"), idempotency_key="large")[0].replayed
        assert store.verify().ok
