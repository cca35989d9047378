"""All that a store does, at once, for a while: writers, readers, compactions, copies, a follower.

Without it two rooms that are right alone could meet at a moment for which neither is made. The
numbers of threads and the interval are those of the design.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from batpak import (
    AppendReceipt,
    BatchItem,
    Coordinate,
    Durability,
    EventNotFound,
    Limits,
    Region,
    Store,
    StoreConfig,
)
from tests.facts import Counted
from tests.kept import switching_every

WRITERS, READERS = 8, 4
DROPPED, ERASED = 13, 17  # every so many
LAST = 300  # events that a reader looks at
CONFIG = StoreConfig(
    durability=Durability.OS, limits=Limits(segment_max_bytes=8 << 10, fd_budget=4)
)


@pytest.fixture
def quickest_switches() -> Iterator[None]:
    with switching_every(1e-6):
        yield


class Crowd:
    """Threads that do one thing again and again, until the time is over or one of them fails."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.receipts: list[list[AppendReceipt]] = [[] for _ in range(WRITERS)]
        self.followed: list[int] = []
        self.done: Counter[str] = Counter()
        self.failed: list[BaseException] = []
        self._follower = store.cursor_guaranteed(Region(kinds=Counted))

    def run(self, seconds: float) -> None:
        acts: list[Callable[[], None]] = [self._compact, self._copy, self._follow, self._verify]
        acts += [self._writer(number) for number in range(WRITERS)]
        acts += [self._read] * READERS
        end = time.monotonic() + seconds

        def again(act: Callable[[], None]) -> None:
            try:
                while time.monotonic() < end and not self.failed:
                    act()
                    self.done[act.__name__] += 1
            except BaseException as error:  # noqa: BLE001  whatever it is, it has to be seen
                self.failed.append(error)

        threads = [threading.Thread(target=again, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _writer(self, number: int) -> Callable[[], None]:
        where, got, turn = Coordinate(f"busy:{number}", "crowd"), self.receipts[number], count()

        def write() -> None:
            n = next(turn)
            if n % 7 == 0:
                items = [BatchItem(where, Counted(n=n)) for _ in range(3)]
                got.extend(self.store.append_batch(items))
            elif n % 7 == 1:
                got.append(self.store.submit(where, Counted(n=n)).result())
            else:
                got.append(self.store.append(where, Counted(n=n), idempotency_key=f"{number} {n}"))

        return write

    def _read(self) -> None:
        store, visible = self.store, self.store.frontier().visible
        seen = [event.sequence for event in store.query(after=max(0, visible - LAST))]
        assert seen == sorted(set(seen))
        missing = set(range(max(1, visible - LAST + 1), visible)) - set(seen)
        assert all(sequence % DROPPED == 0 for sequence in missing)
        entity = f"busy:{visible % WRITERS}"
        version = store.version(entity)
        versions = [entry.version for entry in store.entries(Region(entity=entity))]
        assert versions == sorted(set(versions))
        assert version <= store.version(entity)

    def _compact(self) -> None:
        match self.done["_compact"] % 3:
            case 0:
                self.store.compact(
                    retain=lambda event: event.kind != Counted.KIND or event.sequence % DROPPED != 0
                )
            case 1:
                self.store.compact()
            case _:
                self.store.compact(
                    tombstone=lambda event: (
                        event.kind == Counted.KIND and event.sequence % ERASED == 0
                    )
                )

    def _copy(self) -> None:
        path = self.folder / "copy"
        report = self.store.snapshot(path)
        with Store.open_read_only(path) as copy:
            copy.verify().raise_for_damage()
            assert copy.frontier().visible == report.sequence
        shutil.rmtree(path)

    def _follow(self) -> None:
        self.followed += [event.sequence for event in self._follower.poll_batch(LAST)]

    def _verify(self) -> None:
        self.store.verify().raise_for_damage()


@pytest.mark.usefixtures("quickest_switches")
@pytest.mark.parametrize("seconds", [1.5, pytest.param(60, marks=pytest.mark.slow)])
def test_whatever_goes_on_at_once_every_receipt_holds_and_every_reader_sees_the_order(
    tmp_path: Path, seconds: float
) -> None:
    with Store.open(tmp_path / "store", CONFIG) as store:
        crowd = Crowd(store, tmp_path)
        crowd.run(seconds)

    assert crowd.failed == []
    assert crowd.done.keys() == {"write", "_read", "_compact", "_copy", "_follow", "_verify"}
    assert crowd.followed == sorted(set(crowd.followed))
    with Store.open(tmp_path / "store", CONFIG) as store:
        store.verify().raise_for_damage()
        for number, receipts in enumerate(crowd.receipts):
            versions = sorted(receipt.version for receipt in receipts)
            assert versions == list(range(1, store.version(f"busy:{number}") + 1))
            for receipt in receipts:
                try:
                    assert store.get(receipt.event_id).event_hash == receipt.event_hash
                except EventNotFound:
                    assert receipt.sequence % DROPPED == 0
