"""Many threads, one lane: one winner per version, dense sequences, whole batches only.

Without it two writers could both believe that they hold a version, or a reader could meet half a
batch, or an event below the bound that is not there yet.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from batpak import BatchItem, Coordinate, Store, VersionConflict
from tests.facts import FAST, Counted
from tests.kept import switching_every

THREADS = 8
ENTITIES = 10


@pytest.fixture
def quick_switches() -> Iterator[None]:
    with switching_every(1e-4):
        yield


def contend(store: Store, appends: int) -> tuple[Counter[tuple[str, int]], list[str]]:
    """Every thread appends so many events, each at the version that it has read before."""
    won: list[list[tuple[str, int]]] = [[] for _ in range(THREADS)]
    failed: list[str] = []

    def write(me: int) -> None:
        done = 0
        while done < appends:
            entity = f"hot:{(me + done) % ENTITIES}"
            version = store.version(entity)
            try:
                if done % 50 == 49:
                    where = Coordinate(entity, "pairs")
                    items = [BatchItem(where, Counted(n=n)) for n in (0, 1)]
                    one, two = store.append_batch(items)
                    won[me] += [(entity, one.version), (entity, two.version)]
                else:
                    receipt = store.append(
                        Coordinate(entity, "singles"), Counted(n=done), expected_version=version
                    )
                    won[me].append((entity, receipt.version))
            except VersionConflict as conflict:
                if conflict.actual == version:
                    failed.append(f"{entity}: a conflict about a version that holds")
                continue
            done += 1

    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            pairs = [event.payload for event in store.by_scope("pairs", reverse=True, limit=20)]
            whole = [fact.n for fact in pairs if isinstance(fact, Counted)]
            if whole != [1, 0] * (len(whole) // 2):
                failed.append(f"half a batch: {whole}")
            last = -1
            for event in store.query(after=max(0, store.count() - 200)):
                if last >= 0 and event.sequence != last + 1:
                    failed.append(f"{event.sequence} behind {last}")
                last = event.sequence

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(me,)) for me in range(THREADS)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    return Counter(one for mine in won for one in mine), failed


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("appends", [1000, pytest.param(5000, marks=pytest.mark.slow)])
def test_one_of_many_writers_wins_each_version_and_readers_see_whole_batches(
    tmp_path: Path, appends: int
) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        won, failed = contend(store, appends)
        sequences = [event.sequence for event in store.query()]
        versions = {entity: store.version(entity) for entity in store.entities()}

    assert failed == []
    assert set(won.values()) == {1}
    assert sequences == list(range(len(won)))
    for entity, version in versions.items():
        assert [(entity, n) in won for n in range(1, version + 1)] == [True] * version
