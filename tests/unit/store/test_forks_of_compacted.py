"""Copies of stores that were compacted, and compactions of copies.

Would slip through without it: files of two stores in one, a fork that forgets whom it continues, a
copy that has half of a file before and half of the one after.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from batpak.config import Durability
from batpak.journal import header
from batpak.journal.header import Header
from batpak.report import Ancestor
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from tests.facts import SMALL, USER, Counted

CONFIG = replace(SMALL, durability=Durability.OS)


def open_at(sim: SimPlatform, name: str = "store") -> Store:
    return Store.open(name, CONFIG, platform=sim)


def fill(store: Store, count: int = 60) -> None:
    for n in range(count):
        store.append(USER, Counted(n=n))


def numbers(store: Store) -> list[bytes]:
    return [event.record for event in store.query()]


@pytest.mark.parametrize("drop", [False, True])
def test_a_fork_can_be_compacted_and_stays_that_fork(drop: bool) -> None:
    sim = SimPlatform()
    with open_at(sim) as store:
        fill(store)
        note = store.checkpoint()
        store.fork("fork")
        origin = Ancestor(store_id=note.store_id, sequence=note.events, head=note.head)
    with open_at(sim, "fork") as fork:
        fill(fork)
        own = fork.checkpoint()
        due = numbers(fork)
        if drop:
            fork.compact(retain=lambda event: event.sequence not in (3, 70))
            gone = [record for n, record in enumerate(due) if n not in (3, 70)]
            assert numbers(fork)[: len(gone)] == gone
        else:
            fork.compact()
            assert numbers(fork) == due
        assert fork.lineage == (origin,)
        for since in (note, own):
            report = fork.verify(since=since)
            assert (report.ok, report.note) == (True, None)
    ids: dict[int, Header] = {}
    for name, data in sim.files().items():
        if name.startswith("fork/") and name.endswith(".fbat"):
            current, _ = header.decode(data, name)
            ids[current.segment_id] = current
    by_store = [one.store_id for _, one in sorted(ids.items())]
    assert by_store[0] == note.store_id.bytes
    assert set(by_store[1:]) == {own.store_id.bytes}, "one file of theirs, and ours"
    assert ids[min(n for n, one in ids.items() if one.store_id == own.store_id.bytes)].origin
    with open_at(sim, "fork") as fork:
        assert fork.lineage == (origin,)
        assert fork.open_report.rebuilt == ()
        fork.fork("again")
    with open_at(sim, "again") as again:
        assert [one.store_id for one in again.lineage] == [note.store_id, own.store_id]
        again.compact(min_segments=1)
        assert again.verify(since=own).ok


def test_copies_of_a_compacted_store_are_what_it_is() -> None:
    sim = SimPlatform()
    with open_at(sim) as store:
        fill(store)
        note = store.checkpoint()
        store.compact(retain=lambda event: event.sequence % 5 != 0)
        fill(store, 30)
        due, epoch = numbers(store), store.retention_epoch
        report = store.snapshot("copy")
        store.fork("fork")
        assert report.files[0].name == "000001.fbat"
    for name in ("copy", "fork"):
        with open_at(sim, name) as copy:
            assert numbers(copy) == due
            assert copy.retention_epoch == epoch
            assert copy.verify(since=note).note is None
            fill(copy, 40)
            copy.compact()
            assert numbers(copy)[: len(due)] == due
            assert copy.verify().ok


def test_copies_while_files_are_merged_all_the_time_are_whole(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", CONFIG) as store:
        fill(store)
        stop, failed = threading.Event(), list[BaseException]()

        def merge() -> None:
            try:
                while not stop.is_set():
                    fill(store, 25)
                    store.compact()
            except BaseException as error:  # noqa: BLE001  it is asserted below
                failed.append(error)

        thread = threading.Thread(target=merge)
        thread.start()
        try:
            reports = [store.snapshot(tmp_path / f"copy{n}") for n in range(4)]
            store.fork(tmp_path / "fork")
        finally:
            stop.set()
            thread.join()
        assert failed == []
        due = numbers(store)
    for n, report in enumerate(reports):
        with Store.open(tmp_path / f"copy{n}", CONFIG) as copy:
            assert numbers(copy) == due[: report.sequence]
            assert copy.verify().ok
    with Store.open(tmp_path / "fork", CONFIG) as fork:
        assert fork.verify().ok
