"""Observers of a store whose files are merged, and lose events, while they look.

Would slip through without it: what was erased and is still shown, an iterator that is led into
another file, damage that is none, an observer that never finds its files again.
"""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from msgspec.structs import replace

from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import EventNotFound, StorageFailed
from batpak.event import StoredEvent
from batpak.observer import Observer
from batpak.payload import EventPayload
from batpak.store import Store
from batpak.system import Tombstoned
from batpak.testing.platform import SimPlatform
from tests.facts import SMALL, USER, Counted

CONFIG = replace(SMALL, durability=Durability.OS)
FEW = StoreConfig(lifecycle_events=False, limits=Limits(fd_budget=4))


def fill(store: Store, count: int) -> None:
    for _ in range(count):
        store.append(USER, Counted(n=store.frontier().visible))


@contextmanager
def observed(sim: SimPlatform) -> Generator[tuple[Store, Observer]]:
    """A store of sixty, and somebody who has seen them."""
    with (
        Store.open("store", CONFIG, platform=sim) as store,
        Store.observe("store", platform=sim) as observer,
    ):
        fill(store, 60)
        observer.refresh()
        yield store, observer


def numbers(observer: Observer) -> list[int]:
    return [event.payload.n for event in observer.query() if isinstance(event.payload, Counted)]


@pytest.mark.parametrize("mapped", [True, False])
def test_what_is_dropped_is_gone_at_the_next_look(mapped: bool) -> None:
    sim = SimPlatform(mapped=mapped)
    with observed(sim) as (store, observer):
        assert numbers(observer) == list(range(60))

        store.compact(retain=lambda event: event.sequence not in (3, 17))
        assert numbers(observer) == list(range(60)), "not before it looks"
        observer.refresh()

        due = [n for n in range(60) if n not in (3, 17)]
        assert numbers(observer) == due
        with pytest.raises(EventNotFound) as caught:
            observer.get(3)
        assert caught.value.dropped
        assert observer.retention_epoch == store.retention_epoch == 1
        store.compact(tombstone=lambda event: event.sequence == 5, min_segments=1)
        observer.refresh()
        assert isinstance(observer.get(5).payload, Tombstoned)
        assert observer.retention_epoch == 2
        with Store.observe("store", platform=sim) as other:
            assert other.retention_epoch == 2
            assert [e.record for e in other.query()] == [e.record for e in observer.query()]
        assert observer.verify().ok


def test_a_look_between_announcement_and_removal_is_not_the_last_one() -> None:
    sim = SimPlatform()
    with observed(sim) as (store, observer):
        started = len(sim.operations)
        looks = list[int]()

        def look(call: object) -> None:  # noqa: ARG001
            sim.disk.before = lambda _: None
            with sim.pause():
                looks.append(observer.refresh().visible)
            sim.disk.before = look

        sim.disk.before = look
        store.compact(retain=lambda event: event.sequence != 3)
        sim.disk.before = lambda _: None
        assert len(looks) > 10
        assert len(sim.operations) > started
        observer.refresh()
        assert numbers(observer) == [n for n in range(60) if n != 3]


def test_an_announcement_that_came_to_nothing_does_no_harm() -> None:
    sim = SimPlatform()
    store = Store.open("store", CONFIG, platform=sim)
    fill(store, 60)
    with Store.observe("store", platform=sim) as observer:
        sim.fail_at(1, errno.EIO, kind="replace")
        with pytest.raises(StorageFailed):
            store.compact(retain=lambda event: event.sequence != 3)
        for _ in range(3):
            observer.refresh()
        assert numbers(observer) == list(range(60))
        store.compact(retain=lambda event: event.sequence != 3)
        observer.refresh()
        assert numbers(observer) == [n for n in range(60) if n != 3]
        store.close()


def test_what_a_run_has_removed_that_was_cut_short_behind_its_commit_is_soon_gone() -> None:
    """The files that it merged are still there, and only an earlier one is another."""
    sim = SimPlatform()
    with observed(sim) as (store, observer):
        files = store.stats().segments
        sim.fail_at(1, errno.EIO, kind="syncdir")
        with pytest.raises(StorageFailed):
            store.compact(tombstone=lambda event: event.sequence == 30)
        assert isinstance(store.get(30).payload, Tombstoned)

        for _ in range(files):  # one more is asked about by each look
            observer.refresh()

        assert isinstance(observer.get(30).payload, Tombstoned)


def test_an_iterator_that_has_begun_keeps_its_files_over_a_complete_look(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, CONFIG) as store, Store.observe(path) as observer:
        fill(store, 60)
        observer.refresh()
        records = [event.record for event in observer.query()]
        slow, stream = observer.query(), observer.stream(USER.entity)
        begun = [next(slow).record, next(slow).record]

        store.compact(retain=lambda event: event.sequence % 2 == 0)
        observer.refresh()

        assert begun + [event.record for event in slow] == records
        assert [event.record for event in stream] == records
        late = [event.sequence for event in observer.query()]
        assert late == [event.sequence for event in store.query()]


def test_files_beyond_the_budget_are_found_again_where_they_went(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, CONFIG) as store, Store.observe(path, FEW) as observer:
        fill(store, 400)
        observer.refresh()
        due = [event.record for event in store.query()]
        slow, cursor = observer.query(), observer.cursor_guaranteed()
        some = [next(slow).record, next(slow).record]

        store.compact()

        assert some + [event.record for event in slow] == due
        assert [event.record for event in cursor.poll_batch(1000)] == due
        assert observer.get(200).record == due[200]
        fill(store, 100)
        observer.refresh()
        store.compact()
        assert observer.get(7).record == due[7]
        observer.refresh()
        assert observer.version(USER.entity) == 500
        assert numbers(observer) == list(range(500))
        assert observer.verify().ok


def test_what_goes_away_again_while_it_is_looked_for_is_looked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, CONFIG) as store, Store.observe(path, FEW) as observer:
        fill(store, 300)
        observer.refresh()
        due = [event.record for event in store.query()]
        store.compact()
        fill(store, 200)  # so that the look does not keep the first file open
        look, looks = observer._fetch.again, list[int]()

        def again() -> None:
            assert look is not None
            look()
            store.compact()
            looks.append(observer.frontier().visible)

        observer._fetch.again = again
        assert observer.get(7).record == due[7]
        assert looks == [500, 500]


def test_a_look_that_takes_everything_anew_shows_no_version_before_its_event() -> None:
    sim = SimPlatform()
    with observed(sim) as (store, observer):
        fill(store, 60)
        store.append(Coordinate("user:2", "acme"), Counted(n=120))
        store.compact()
        seen: list[tuple[int, int, int]] = []

        def trace(here: FrameType, event: str, _: object) -> Any:  # noqa: ANN401  as sys.settrace
            if here.f_code.co_name not in ("_take_anew", "adopt"):
                return None
            here.f_trace_opcodes = True
            if event in ("opcode", "line"):  # newer interpreters show few of the former
                sys.settrace(None)
                counts = observer.version(USER.entity), observer.version("user:2")
                seen.append((*counts, observer.frontier().visible))
                sys.settrace(trace)
            return trace

        sys.settrace(trace)
        try:
            observer.refresh()
        finally:
            sys.settrace(None)

    assert len(seen) > 10
    assert {(one, other) for one, other, visible in seen if visible == 60} == {(60, 0)}


def test_an_observer_copies_a_log_whose_files_are_merged_under_its_hand(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, CONFIG) as store, Store.observe(path) as observer:
        fill(store, 100)
        observer.refresh()
        store.compact(retain=lambda event: event.sequence != 3)

        observer.snapshot(tmp_path / "copy")
        observer.fork(tmp_path / "fork")

        for name in ("copy", "fork"):
            with Store.open_read_only(tmp_path / name) as other:
                assert other.verify().ok
                assert [e.record for e in other.query()] == [e.record for e in store.query()]


ASKED: dict[str, Callable[[Observer], object]] = {
    "entities": lambda observer: list(observer.entities()),
    "entities in a scope": lambda observer: list(observer.entities(scope=USER.scope)),
    "page": lambda observer: [event.record for event in observer.page(limit=300).items],
    "stats": lambda observer: replace(observer.stats(), segments=0, bytes=0),
    "stream": lambda observer: [event.record for event in observer.stream(USER.entity)],
    "walk_ancestors": lambda observer: observer.walk_ancestors(_newest(observer).event_id).events,
    "why": lambda observer: observer.why(_newest(observer).event_id).entries,
    "impact": lambda observer: list(observer.impact(observer.get(3).event_id)),
    "lineage": lambda observer: observer.lineage,
}


def _newest(observer: Observer) -> StoredEvent[EventPayload]:
    return observer.get(observer.frontier().visible - 1)


@pytest.mark.parametrize(("held", "times"), [(256, 1), (1, 2)])
def test_a_verification_keeps_its_files_and_begins_again_for_those_that_have_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, times: int
) -> None:
    monkeypatch.setattr("batpak.upkeep.verify.HELD_MAX", held)
    with (
        Store.open(tmp_path / "s", CONFIG) as store,
        Store.observe(tmp_path / "s") as observer,
    ):
        fill(store, 60)
        begun = list[int]()

        def compact(done: int, total: int) -> None:
            if done == 0:
                begun.append(total)
            if len(begun) == 1:
                store.compact(min_segments=1)

        report = observer.verify(progress=compact)

    assert report.ok
    assert (report.events, len(begun)) == (60, times)


def test_a_verification_that_never_finds_its_files_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batpak.observer.LOOKS_MAX", 3)
    monkeypatch.setattr("batpak.upkeep.verify.HELD_MAX", 1)
    with (
        Store.open(tmp_path / "s", CONFIG) as store,
        Store.observe(tmp_path / "s") as observer,
    ):
        fill(store, 60)

        def compact(done: int, total: int) -> None:
            if done == 0 and total:
                fill(store, 30)
                store.compact(min_segments=1)

        with pytest.raises(StorageFailed, match="change faster than they can be read") as caught:
            observer.verify(progress=compact)

    assert caught.value.errno == errno.EAGAIN


@pytest.mark.parametrize("what", ASKED)
def test_what_asks_files_beyond_the_budget_is_asked_again(what: str, tmp_path: Path) -> None:
    path, ask = tmp_path / "s", ASKED[what]
    with Store.open(path, CONFIG) as store:
        for n in range(150):
            store.append(Coordinate(f"user:{n % 40}", USER.scope), Counted(n=n))
        fill(store, 100)
        with Store.observe(path, FEW) as observer:
            before = ask(observer)
        with Store.observe(path, FEW) as observer:
            assert store.compact(min_segments=1).segments_after < 9
            assert ask(observer) == before


def test_files_that_others_stand_for_are_not_counted(tmp_path: Path) -> None:
    path, kept = tmp_path / "s", tmp_path / "kept"
    with Store.open(path, CONFIG) as store:
        fill(store, 200)
    shutil.copytree(path, kept)
    with Store.open(path, CONFIG) as store, Store.observe(path) as observer:
        store.compact()
        due = store.stats()
        assert due.segments < 4
        for file in kept.glob("*.fbat"):  # as a compaction leaves it that is cut short
            if not (path / file.name).exists():
                shutil.copy(file, path)
        assert len(list(path.glob("*.fbat"))) > 4
        assert store.stats() == due
        assert (observer.stats().segments, observer.stats().bytes) == (due.segments, due.bytes)
        with Store.observe(path) as other:
            assert other.stats() == due
