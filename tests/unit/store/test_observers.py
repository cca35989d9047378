"""Observers: readers of a store that somebody else writes.

Would slip through without it: a lock that is taken, a byte that is written, damage that is taken
for something still to come, what was taken back and is shown, a wait that nobody ends.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from batpak import aio
from batpak.append import BatchItem
from batpak.config import Durability, OpenVerify
from batpak.errors import (
    CorruptStore,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    StoreReadOnly,
    WaitTimeout,
)
from batpak.index.tail import Tail
from batpak.journal.scan import Unit
from batpak.observer import Observer
from batpak.recovery import footer
from batpak.recovery.gone import RolledBack
from batpak.report import Mode, Watermark
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, PLAIN, SMALL, USER, Counted

SMALL_FAST = replace(SMALL, durability=Durability.OS)
SOON_S = 10.0


def fill(store: Store, count: int) -> None:
    for _ in range(count):
        store.append(USER, Counted(n=store.count()))


def numbers(observer: Observer) -> list[int]:
    return [event.payload.n for event in observer.query() if isinstance(event.payload, Counted)]


def segment(path: Path, number: int = 1) -> Path:
    return path / f"{number:06d}.fbat"


def test_what_is_written_is_seen_at_the_next_look_and_not_before() -> None:
    sim = SimPlatform()
    with (
        Store.open("store", FAST, platform=sim) as store,
        Store.observe("store", platform=sim) as observer,
    ):
        fill(store, 3)
        assert observer.count() == 0
        assert observer.refresh().visible == 3
        fill(store, 1)
        assert numbers(observer) == [0, 1, 2]
        assert observer.open_report.mode is Mode.OBSERVE
        assert not observer.open_report.locked
        assert observer.verify().events == 4
        assert observer.stats().events == 4  # `verify` has looked


def test_it_locks_and_changes_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", SMALL_FAST) as store:
        fill(store, 60)

    def files() -> dict[str, tuple[bytes, int]]:
        return {
            file.name: (file.read_bytes(), file.stat().st_mtime_ns)
            for file in (tmp_path / "s").iterdir()
        }

    before = files()
    with Store.observe(tmp_path / "s") as observer:
        assert numbers(observer) == list(range(60))
        observer.refresh()
        assert observer.verify().ok
        Store.open_read_only(tmp_path / "s").close()
        assert files() == before
        with Store.open(tmp_path / "s", SMALL_FAST) as store:
            fill(store, 1)
            assert observer.refresh().visible == 61
    with pytest.raises(StoreClosed):
        observer.refresh()


def test_it_has_no_writing_verbs(tmp_path: Path) -> None:
    Store.open(tmp_path / "s", PLAIN).close()

    with Store.observe(tmp_path / "s") as observer, pytest.raises(StoreReadOnly, match="append"):
        getattr(observer, "append")(USER, Counted(n=1))  # noqa: B009  no type checker lets it pass


def test_where_there_is_no_store_it_says_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(StorageFailed) as caught:
            Store.observe(path)
        assert caught.value.errno == errno.ENOENT


def test_it_goes_on_through_files_closes_and_opens() -> None:
    sim = SimPlatform()
    Store.open("store", SMALL_FAST, platform=sim).close()
    with Store.observe("store", platform=sim) as observer:
        cursor = observer.cursor_guaranteed()
        for n in range(4):
            with Store.open("store", SMALL_FAST, platform=sim) as store:
                fill(store, 30)
                store.append_batch([BatchItem(USER, Counted(n=0)) for _ in range(9)])
                if n % 2:
                    observer.refresh()
        assert observer.refresh().durable == 4 * 39
        assert [event.sequence for event in cursor.poll_batch(1000)] == list(range(4 * 39))
        with Store.open_read_only("store", platform=sim) as reader:
            assert [e.record for e in reader.query()] == [e.record for e in observer.query()]


def test_durable_is_what_is_known_to_be(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, FAST) as store, Store.observe(path) as observer:
        fill(store, 3)
        assert observer.refresh().durable == 0
        store.sync()
        assert observer.refresh().durable == 0  # nothing that is stored says so
        fill(store, 1)
        assert observer.refresh().durable == 3  # the next event does
        with pytest.raises(WaitTimeout):
            observer.wait_for(Watermark.DURABLE, 3, timeout_s=0.02)
        store.close()
        assert observer.wait_for(Watermark.DURABLE, 3, timeout_s=SOON_S).durable == 4


def test_whoever_waits_is_woken_by_a_writer_who_does_not_know_of_them(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, FAST) as store, Store.observe(path) as observer:
        subscription = observer.subscribe_lossy()
        cursor = observer.cursor_guaranteed()
        writer = threading.Timer(0.05, lambda: fill(store, 2))
        writer.start()
        assert observer.wait_for(Watermark.VISIBLE, 1, timeout_s=SOON_S).visible == 2
        events = cursor.follow(SOON_S)
        assert [next(events).sequence, next(events).sequence] == [0, 1]
        assert subscription.recv(SOON_S) is not None
        with pytest.raises(InvalidArgument, match="applier"):
            observer.wait_for(Watermark.APPLIED, 0, applier="nobody")
        writer.join()


def test_who_is_told_may_look(tmp_path: Path) -> None:
    told = threading.Event()
    with Store.open(tmp_path / "s", FAST) as store, Store.observe(tmp_path / "s") as observer:
        subscription = observer.subscribe_lossy()

        def look() -> None:
            observer.refresh()
            told.set()

        subscription.on_ready(look)
        fill(store, 1)
        assert told.wait(SOON_S)


def test_asyncio_follows_an_observer(tmp_path: Path) -> None:
    async def first(observer: Observer) -> int:
        async for event in aio.follow(observer.cursor_guaranteed()):
            return event.sequence
        return -1

    with Store.open(tmp_path / "s", FAST) as store, Store.observe(tmp_path / "s") as observer:
        writer = threading.Timer(0.05, lambda: fill(store, 1))
        writer.start()
        assert asyncio.run(asyncio.wait_for(first(observer), SOON_S)) == 0
        writer.join()


def test_a_follower_ends_when_the_observer_is_closed(tmp_path: Path) -> None:
    Store.open(tmp_path / "s", PLAIN).close()
    observer = Store.observe(tmp_path / "s")
    threading.Timer(0.05, observer.close).start()

    assert list(observer.cursor_guaranteed().follow()) == []


def test_damage_in_the_middle_is_damage_and_ends_the_observer(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, PLAIN) as store, Store.observe(path) as observer:
        fill(store, 5)
        with segment(path).open("r+b") as file:
            file.seek(segment(path).read_bytes().index(b"\x81\xa1n\x01"))
            file.write(b"\x82")
        with pytest.raises(CorruptStore) as caught:
            observer.refresh()
        assert caught.value.path == str(segment(path))
        with pytest.raises(CorruptStore):
            observer.count()
        with pytest.raises(CorruptStore):
            Store.observe(path)


def test_what_may_still_come_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, FAST) as store, Store.observe(path) as observer:
        fill(store, 3)
        data = segment(path).read_bytes()
        at = data.index(b"\x81\xa1n\x02")
        with segment(path).open("r+b") as file:
            file.seek(at)
            file.write(b"\x82")
            file.flush()
            assert observer.refresh().visible == 2
            file.seek(at)
            file.write(b"\x81")
        assert observer.refresh().visible == 3


def test_an_older_copy_in_the_place_of_a_store_is_told(tmp_path: Path) -> None:
    path, old = tmp_path / "s", tmp_path / "old"
    with Store.open(path, FAST) as store:
        fill(store, 3)
    shutil.copytree(path, old)
    with Store.open(path, FAST) as store:
        fill(store, 2)
    with Store.observe(path) as observer:
        cursor = observer.cursor_guaranteed()
        assert len(cursor.poll_batch(9)) == 5
        for file in old.iterdir():
            shutil.copy(file, path / file.name)
        with pytest.raises(RolledBack) as caught:
            observer.refresh()
        assert (caught.value.kept, caught.value.shown) == (3, 5)
        with pytest.raises(RolledBack):
            cursor.poll()
        with pytest.raises(RolledBack):
            observer.refresh()
    with Store.observe(path) as observer:
        assert numbers(observer) == [0, 1, 2]


def test_a_full_look_at_first_finds_what_an_open_does_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, SMALL_FAST) as store:
        fill(store, 60)
    with segment(path).open("r+b") as file:
        file.seek(segment(path).read_bytes().index(b"\x81\xa1n\x01"))
        file.write(b"\x82")

    with pytest.raises(CorruptStore):
        Store.observe(path, replace(PLAIN, open_verify=OpenVerify.FULL))


def test_files_that_lose_their_names_are_read_on(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, SMALL_FAST) as store, Store.observe(path) as observer:
        fill(store, 60)
        observer.refresh()
        due = [event.record for event in store.query()]
        with Store.observe(path) as other:
            (tmp_path / "other").write_bytes(b"one file that stands for two")
            (tmp_path / "other").rename(segment(path))
            segment(path, 2).unlink()
            assert [event.record for event in other.query()] == due
            assert [event.record for event in observer.query()] == due


def test_one_that_is_dropped_says_so_and_looks_no_more(tmp_path: Path) -> None:
    Store.open(tmp_path / "s", PLAIN).close()

    def wait_in_vain() -> None:
        observer = Store.observe(tmp_path / "s")
        with pytest.raises(WaitTimeout):
            observer.wait_for(Watermark.VISIBLE, 0, timeout_s=0.01)
        del observer
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed store"):
        wait_in_vain()
    for one in threading.enumerate():
        if one.name == "batpak-observe":  # it may have been in the middle of a look
            one.join(10)
            assert not one.is_alive()


def test_a_look_that_is_interrupted_leaves_no_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sim, taken = SimPlatform(), footer.take
    left = [0]

    def interrupted(tail: Tail, unit: Unit) -> None:
        taken(tail, unit)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(footer, "take", interrupted)
    with (
        Store.open("store", SMALL_FAST, platform=sim) as store,
        Store.observe("store", platform=sim) as observer,
    ):
        cursor, seen = observer.cursor_guaranteed(), list[int]()
        for at in range(1, 45, 4):
            fill(store, 22)
            left[0] = at
            with suppress(KeyboardInterrupt):
                observer.refresh()
            left[0] = 0
            seen += [event.sequence for event in cursor.poll_batch(1000)]
            if at % 8 == 1:
                observer.refresh()
        observer.refresh()
        seen += [event.sequence for event in cursor.poll_batch(1000)]
        assert seen == list(range(store.count()))
        assert [e.record for e in observer.query()] == [e.record for e in store.query()]
