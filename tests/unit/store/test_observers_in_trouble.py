"""Observers whose looks are interrupted, refused, or led to another store.

Would slip through without it: a thread that waits for itself, an observer of a directory that has
no name any more, one refusal of the system that ends an observer for good.
"""

from __future__ import annotations

import errno
import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest
from msgspec.structs import replace

from batpak.append import BatchItem
from batpak.config import Durability
from batpak.errors import CorruptStore, InvalidArgument, StorageFailed
from batpak.faults import Damage
from batpak.observer import Observer
from batpak.recovery.gone import RolledBack, StoreGone
from batpak.recovery.sight import Sight
from batpak.report import HealthState, Watermark
from batpak.store import Store
from batpak.testing.disk import Call, nothing
from batpak.testing.faults import Kind
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, SMALL, USER, Counted

CONFIG = replace(SMALL, durability=Durability.OS)
SOON_S = 10.0


def fill(store: Store, count: int) -> None:
    for _ in range(count):
        store.append(USER, Counted(n=store.frontier().visible))


def segment(path: Path) -> Path:
    return path / "000001.fbat"


def numbers(observer: Observer) -> list[int]:
    return [event.payload.n for event in observer.query() if isinstance(event.payload, Counted)]


# ------------------------------------------------------------------------- a handler inside a look


def test_who_interrupts_a_look_and_looks_sees_what_was_seen_before_it() -> None:
    sim = SimPlatform()
    with (
        Store.open("store", CONFIG, platform=sim) as store,
        Store.observe("store", platform=sim) as observer,
    ):
        fill(store, 3)
        observer.refresh()
        calls, seen = 0, list[list[int]]()

        def interrupt(_: Call) -> None:
            """As a signal handler does, which runs in the thread that looks."""
            nonlocal calls
            calls += 1
            bounds = observer.refresh()
            assert bounds.durable <= bounds.visible
            assert observer.stats().events == observer.count()
            seen.append(numbers(observer))

        for _ in range(3):
            store.append_batch([BatchItem(USER, Counted(n=store.count() + n)) for n in range(20)])
            sim.disk.before = _once(sim, interrupt)
            observer.refresh()
            sim.disk.before = nothing
        assert calls > 9
        bounds = [len(one) for one in seen]
        assert bounds == sorted(bounds)
        assert all(one == list(range(len(one))) for one in seen), "not what a reader may see"
        assert {one % 20 for one in bounds} == {3}, "half a batch"
        assert observer.refresh().visible == 63


def _once(sim: SimPlatform, hook: Callable[[Call], None]) -> Callable[[Call], None]:
    """A hook that is not called by what itself does."""

    def met(call: Call) -> None:
        sim.disk.before = nothing
        hook(call)
        sim.disk.before = met

    return met


def test_who_interrupts_a_look_and_has_to_look_again_is_told() -> None:
    sim = SimPlatform()
    with (
        Store.open("store", CONFIG, platform=sim) as store,
        Store.observe("store", platform=sim) as observer,
    ):
        fill(store, 3)

        def interrupt(_: Call) -> None:
            sim.disk.before = nothing
            with pytest.raises(InvalidArgument, match="re-entrant"):
                observer.snapshot("copy")

        sim.disk.before = interrupt
        assert observer.refresh().visible == 3
        assert sim.disk.before is nothing


# ------------------------------------------------------------------------- the directory is another


@pytest.mark.parametrize("simulated", [True, False])
def test_a_store_whose_place_another_one_has_taken_is_told(simulated: bool, tmp_path: Path) -> None:
    sim, path = SimPlatform(), str(tmp_path / "store")

    def opened() -> Store:
        return Store.open(path, FAST, platform=sim) if simulated else Store.open(path, FAST)

    with opened() as store:
        fill(store, 3)
    observer = Store.observe(path, platform=sim) if simulated else Store.observe(path)
    with observer:
        assert observer.refresh().visible == 3
        if simulated:
            parent, name = sim.open_parent(path)
            parent.replace(name, str(tmp_path / "old"))
        else:
            Path(path).rename(tmp_path / "old")
        with opened() as other:
            fill(other, 5)
            with pytest.raises(StoreGone, match="something else") as caught:
                observer.refresh()
            assert caught.value.replaced
            with pytest.raises(StoreGone):
                observer.count()
            with pytest.raises(StoreGone):
                observer.refresh()


def test_a_store_that_is_removed_is_told_to_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, FAST) as store:
        fill(store, 3)
    with Store.observe(path) as observer:
        events = observer.cursor_guaranteed().follow(SOON_S)
        assert [next(events).sequence for _ in range(3)] == [0, 1, 2]
        gone = threading.Timer(0.02, lambda: path.rename(tmp_path / "elsewhere"))
        gone.start()
        with pytest.raises(StoreGone, match="not there any more") as caught:
            next(events)
        assert not caught.value.replaced
        gone.join()


def test_a_store_that_is_about_to_be_removed_is_not_a_damaged_one(tmp_path: Path) -> None:
    path = _made(tmp_path / "s", 3)
    with Store.observe(path) as observer:
        segment(path).unlink()
        rest = threading.Timer(0.05, lambda: shutil.rmtree(path))
        rest.start()
        with pytest.raises(StoreGone, match="not there any more"):
            observer.refresh()
        rest.join()


def test_a_file_that_is_missing_and_stays_so_is_damage(tmp_path: Path) -> None:
    path = _made(tmp_path / "s", 3)
    with Store.observe(path) as observer:
        segment(path).unlink()
        with pytest.raises(CorruptStore, match="is missing"):
            observer.refresh()


def test_files_of_another_store_in_the_same_directory_are_told(tmp_path: Path) -> None:
    path = tmp_path / "s"
    Store.open(path, FAST).close()
    with Store.open(tmp_path / "other", FAST) as other:
        fill(other, 3)
    with Store.observe(path) as observer, Store.observe(path) as second:
        for file in path.iterdir():
            file.unlink()
        with pytest.raises(StoreGone, match="not there any more"):
            observer.refresh()
        shutil.copytree(tmp_path / "other", path, dirs_exist_ok=True)
        with pytest.raises(StoreGone, match="something else"):
            second.refresh()


# ------------------------------------------------------------------------------ the system refuses


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO, errno.ENOMEM])
def test_what_the_system_refuses_once_is_asked_for_again(code: int) -> None:
    sim = SimPlatform()
    with (
        Store.open("store", CONFIG, platform=sim) as store,
        Store.observe("store", platform=sim) as observer,
    ):
        kinds: tuple[Kind, ...] = ("open", "pread", "map", "intact", "size")
        for kind in kinds:
            for n in (1, 2, 3):
                fill(store, 30)
                sim.fail_at(n, code, kind=kind)
                with suppress(StorageFailed):
                    observer.refresh()
                sim.faults.clear()
                assert observer.count() <= store.count()
                assert observer.refresh().visible == store.count()
                assert numbers(observer) == list(range(store.count()))
        assert sim.fired


def test_who_waits_is_not_ended_by_what_the_system_refuses_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s"
    with Store.open(path, FAST) as store, Store.observe(path) as observer:
        look, left = Sight.look, [3]

        def refused(sight: Sight) -> bool:
            left[0] -= 1
            if left[0] >= 0:
                raise StorageFailed("open", str(path), errno.EMFILE, "Too many open files")
            return look(sight)

        monkeypatch.setattr(Sight, "look", refused)
        caplog.set_level(logging.INFO, "batpak.observe")
        fill(store, 2)
        assert observer.wait_for(Watermark.VISIBLE, 1, timeout_s=SOON_S).visible == 2
    assert [one.levelname for one in caplog.records] == ["WARNING", "INFO"], "once, not thrice"


def test_how_an_observer_is_doing_says_what_its_last_look_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    with Store.open(path, FAST) as store, Store.observe(path) as observer:
        fill(store, 2)
        refusal = StorageFailed("open", str(path), errno.EMFILE, "Too many open files")
        with monkeypatch.context() as patch:
            patch.setattr(Sight, "look", Mock(side_effect=refusal))
            with pytest.raises(StorageFailed):
                observer.refresh()
        told = observer.diagnostics()
        assert (told.health, told.cause) == (HealthState.OK, str(refusal))
        observer.refresh()
        assert observer.diagnostics().cause is None
        ended = CorruptStore(str(path), 0, Damage.HEAD, "it ends")
        monkeypatch.setattr(Sight, "look", Mock(side_effect=ended))
        with pytest.raises(CorruptStore):
            observer.refresh()
        assert observer.health.state is HealthState.CLOSED
        assert isinstance(observer.health.cause, CorruptStore)


def test_what_lasts_ends_an_observer_for_good(tmp_path: Path) -> None:
    path, old = tmp_path / "s", tmp_path / "old"
    shutil.copytree(_made(path, 3), old)
    _made(path, 2)
    with Store.observe(path) as observer, Store.observe(path) as other:
        for file in old.iterdir():
            shutil.copy(file, path / file.name)
        with pytest.raises(RolledBack):
            observer.refresh()
        (path / "HEAD").write_bytes(b"?" * 100)
        with pytest.raises(CorruptStore):
            other.refresh()
        for file in path.iterdir():
            file.unlink()
        for one, error in ((observer, RolledBack), (other, CorruptStore)):
            with pytest.raises(error):
                one.refresh()


def _made(path: Path, count: int) -> Path:
    with Store.open(path, FAST) as store:
        fill(store, count)
    return path
