"""No reader ever sees an event before the one ahead of it, nor skips one, however it is written.

Histories of writers, of every way to write, of reopened and of compacted stores are drawn; between
any two acts every kind of reader takes some of what is there. And threads do the same at once. What
a reader should have is worked out from the list of what was acknowledged, by the region alone.
Would slip through without it: a bound that is published before its rows, a batch seen in two parts,
a cursor that passes what was committed while it looked, a place that is lost with a file.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batpak.append import AppendReceipt, BatchItem
from batpak.commit.fence import FenceError
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.event import StoredEvent
from batpak.payload import EventPayload
from batpak.read.cursor import Cursor
from batpak.read.subscription import Subscription
from batpak.read.witness import AtLeastOnce
from batpak.region import Region
from batpak.store import Store
from tests.facts import Counted, Said
from tests.kept import switching_every

CONFIG: Final = StoreConfig(
    lifecycle_events=False, durability=Durability.OS, limits=Limits(segment_max_bytes=4 << 10)
)
PLACES: Final = [Coordinate(e, s) for e in ("room:1", "room:2", "hall") for s in ("s", "t")]
REGIONS: Final = [Region.all(), Region(entity="room"), Region(scope="s", kinds=Counted)]
ITEMS: Final = st.tuples(
    st.sampled_from(PLACES),
    st.one_of(st.builds(Counted, n=st.integers(0, 9)), st.builds(Said, text=st.just("x" * 400))),
)
Item = tuple[Coordinate, EventPayload]
Write = Callable[[Store, list[Item]], list[AppendReceipt]]


def singly(store: Store, items: list[Item]) -> list[AppendReceipt]:
    return [store.append(*item) for item in items]


def together(store: Store, items: list[Item]) -> list[AppendReceipt]:
    return list(store.append_batch([BatchItem(*item) for item in items]))


def queued(store: Store, items: list[Item]) -> list[AppendReceipt]:
    tickets = [store.submit(*item) for item in items]
    return [ticket.result() for ticket in tickets]


def fenced(store: Store, items: list[Item]) -> list[AppendReceipt]:
    with store.visibility_fence() as fence:
        for item in items:
            fence.append(*item)
        return list(fence.commit())


WRITES: Final[list[Write]] = [singly, together, queued, fenced]


def take_back(store: Store) -> None:
    """Stage something in a fence, and let nobody see it."""
    with store.visibility_fence() as fence:
        fence.append(PLACES[0], Counted(n=-1))
        fence.cancel()


def merge(store: Store) -> None:
    store.compact(min_segments=1)


ASIDE: Final = [take_back, merge]  # what no reader is to notice


class Log:
    """What was acknowledged, in the order of its numbers."""

    def __init__(self) -> None:
        self.receipts: list[AppendReceipt] = []

    def due(self, region: Region, behind: int, before: int) -> list[int]:
        """Which events of a region a reader has to have seen of that stretch."""
        return [
            receipt.sequence
            for receipt in self.receipts[behind:before]
            if region.matches(receipt.coordinate, receipt.kind, receipt.version)
        ]


class Reader:
    """A cursor with a checkpoint, and a subscription that is too large to lose anything."""

    def __init__(self, name: str, region: Region) -> None:
        self.name, self.region = name, region
        self.pulled: list[int] = []  # by the cursor, over all the times that the store was open
        self.committed = 0  # of them
        self.told: list[int] = []  # by the subscription of this time
        self.told_from = 0

    def open(self, store: Store) -> None:
        del self.pulled[self.committed :]  # what was not committed comes again
        self.cursor: Cursor[EventPayload] = store.cursor_guaranteed(
            self.region, checkpoint_id=self.name
        )
        self.subscription: Subscription = store.subscribe_lossy(self.region, capacity=10_000)
        self.told, self.told_from = [], store.frontier().visible

    def look(self, log: Log, at_most: int) -> None:
        self.pulled += [event.sequence for event in self.cursor.poll_batch(at_most)]
        assert self.pulled == log.due(self.region, 0, self.cursor.position)
        if at_most % 3 == 0:
            self.cursor.commit()
            self.committed = len(self.pulled)
        for _ in range(at_most):
            if found := self.subscription.recv(0):
                assert found.missed == 0
                self.told.append(found.sequence)
        due = log.due(self.region, self.told_from, len(log.receipts))
        assert self.told == due[: len(self.told)]

    def look_to_the_end(self, log: Log) -> None:
        self.look(log, 10_000)
        everything = len(log.receipts)
        assert self.pulled == log.due(self.region, 0, everything)
        assert self.told == log.due(self.region, self.told_from, everything)


acts = st.one_of(
    st.tuples(st.sampled_from(WRITES), st.lists(ITEMS, min_size=1, max_size=8)),
    st.tuples(st.integers(0, len(REGIONS) - 1), st.integers(1, 7)),
    st.sampled_from(ASIDE),
    st.just("reopen"),
)


@settings(deadline=None)
@given(st.lists(acts, max_size=30))
def test_whoever_looks_whenever_sees_all_there_is_in_order(
    history: list[tuple[Write, list[Item]] | tuple[int, int] | Callable[[Store], None] | str],
) -> None:
    log = Log()
    readers = [Reader(f"reader-{n}", region) for n, region in enumerate(REGIONS)]
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder, "s"), CONFIG)
        try:
            for reader in readers:
                reader.open(store)
            for act in history:
                if isinstance(act, str):
                    store.close()
                    store = Store.open(Path(folder, "s"), CONFIG)
                    for reader in readers:
                        reader.open(store)
                elif not isinstance(act, tuple):
                    act(store)
                elif isinstance(act[0], int):
                    readers[act[0]].look(log, act[1])
                else:
                    log.receipts += act[0](store, act[1])
                assert store.frontier().visible == len(log.receipts)
            for reader in readers:
                reader.look_to_the_end(log)
        finally:
            store.close()


ROUNDS, THREADS = 3, 3


def write_some(store: Store, me: int, number: int) -> None:
    place = PLACES[me % len(PLACES)]
    for n in range(number):
        items: list[Item] = [(place, Counted(n=n)), (PLACES[n % 6], Said(text="x" * n))]
        while True:
            try:
                WRITES[n % len(WRITES)](store, items[: 1 + n % 2])
                break
            except FenceError:  # of another thread
                sleep(0)


class Threads:
    """Readers of a store, each in a thread, and all that they have seen."""

    def __init__(self, store: Store, seen: dict[str, list[int]]) -> None:
        self._store, self._seen = store, seen
        self.faults: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._watched, args=[read])
            for read in (self._follow, self._ask, self._listen)
        ]
        self._end = -1

    def begin(self) -> None:
        self.worker = self._store.cursor_worker(Region.all(), self._handle, checkpoint_id="worker")
        self._subscription = self._store.subscribe_lossy(capacity=100_000)
        self._from = self._store.frontier().visible
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Have them see the rest. No event comes any more."""
        self._end = self._store.frontier().visible
        for thread in self._threads:
            thread.join()
        while self.worker.lag and self.worker.last_error is None:
            sleep(0.001)
        self.worker.stop()
        self.worker.join()

    def _watched(self, read: Callable[[], None]) -> None:
        try:
            read()
        except BaseException as error:  # noqa: BLE001  reported by the test, in its own thread
            self.faults.append(error)

    def _handle(self, events: Sequence[StoredEvent[EventPayload]], _: AtLeastOnce | None) -> None:
        self._seen["worker"] += [event.sequence for event in events]

    def _follow(self) -> None:
        with self._store.cursor_guaranteed(checkpoint_id="cursor") as cursor:
            while cursor.position != self._end:
                self._seen["cursor"] += [event.sequence for event in cursor.poll_batch(50)]
            cursor.commit()

    def _ask(self) -> None:
        seen = self._seen["query"]
        while len(seen) != self._end:
            after = seen[-1] if seen else None
            found = [event.sequence for event in self._store.query(after=after)]
            assert all(b == a + 1 for a, b in pairwise(found))
            seen += found

    def _listen(self) -> None:
        seen: list[int] = []
        while self._from + len(seen) != self._end:
            if found := self._subscription.recv(0.01):
                seen.append(found.sequence)
        assert seen == list(range(self._from, self._end))


@pytest.mark.parametrize("number", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_readers_beside_writers_see_one_event_behind_the_other(tmp_path: Path, number: int) -> None:
    seen: dict[str, list[int]] = {"worker": [], "cursor": [], "query": []}

    written = 0
    with switching_every(1e-6):
        for round_ in range(ROUNDS):
            with Store.open(tmp_path / "s", CONFIG) as store:
                readers = Threads(store, seen)
                readers.begin()
                writers = [
                    threading.Thread(target=write_some, args=[store, me + round_, number])
                    for me in range(THREADS)
                ]
                for writer in writers:
                    writer.start()
                while any(writer.is_alive() for writer in writers):
                    merge(store)
                for writer in writers:
                    writer.join()
                written = store.frontier().visible
                readers.end()
                assert readers.faults == []

    assert written == ROUNDS * THREADS * number * 3 // 2
    for name, sequences in seen.items():
        assert sequences == list(range(written)), name
