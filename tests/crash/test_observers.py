"""An observer beside real writers at full speed, which close, and are killed, again and again.

Would slip through without it: what a simulated machine has no notion of, such as a page that is
read while it is written, or a map of a file that is cut.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Final, NoReturn

import pytest

from batpak.append import BatchItem
from batpak.config import Durability, Limits, StoreConfig
from batpak.errors import StoreClosed
from batpak.observer import Observer
from batpak.payload import EventPayload
from batpak.read.cursor import Cursor
from batpak.store import Store
from tests.facts import USER, Counted

CONFIG: Final = StoreConfig(
    durability=Durability.OS, lifecycle_events=False, limits=Limits(segment_max_bytes=16 << 10)
)
TINY: Final = StoreConfig(
    durability=Durability.OS, lifecycle_events=False, limits=Limits(segment_max_bytes=4 << 10)
)
FEW: Final = StoreConfig(lifecycle_events=False, limits=Limits(fd_budget=4))
LIFE_S: Final = 0.4  # of a writer, at most
ROUND: Final = 2_000  # events until it closes the store, and opens it again


def compact_for_ever(store: Store) -> None:
    """Merge whatever is complete, again and again."""
    with suppress(StoreClosed):
        while True:
            store.compact()


def write_and_compact_for_ever(path: Path) -> NoReturn:
    """In the child: one thread appends at full speed, another one merges the files behind it."""
    try:
        with Store.open(path, TINY) as store:
            threading.Thread(target=compact_for_ever, args=(store,), daemon=True).start()
            for number in count(store.frontier().visible):
                store.append(USER, Counted(n=number))
    finally:
        os._exit(1)


def write_for_ever(path: Path) -> NoReturn:
    """In the child: each event says its own sequence."""
    try:
        while True:
            with Store.open(path, CONFIG) as store:
                number = store.frontier().visible
                for _ in range(ROUND):
                    if number % 7:
                        store.append(USER, Counted(n=number))
                        number += 1
                    else:
                        items = [BatchItem(USER, Counted(n=number + n)) for n in range(3)]
                        store.append_batch(items)
                        number += 3
    finally:
        os._exit(1)


def begin(path: Path, work: Callable[[Path], NoReturn] = write_for_ever) -> int:
    child = os.fork()
    if child == 0:
        work(path)
    return child


def take(observer: Observer, cursor: Cursor[EventPayload], given: int) -> int:
    """Look once, and hold what has come against what is due."""
    bound = observer.refresh().visible
    for event in cursor.poll_batch(bound - given + 1):
        assert event.sequence == given
        assert event.payload == Counted(n=given)
        given += 1
    assert bound <= given <= observer.frontier().visible, "not all that is visible"
    return given


def observe(path: Path, seconds: float) -> int:
    """Observe writers that come and go; how many events they have written."""
    rng = random.Random(7)  # noqa: S311  moments, not secrets
    Store.open(path, CONFIG).close()
    end, given, lives = time.monotonic() + seconds, 0, 0
    with Store.observe(path) as observer:
        cursor = observer.cursor_guaranteed()
        while time.monotonic() < end:
            child, until = begin(path), time.monotonic() + rng.uniform(0.1, LIFE_S)
            try:
                while time.monotonic() < until:
                    given = take(observer, cursor, given)
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            lives += 1
        given = take(observer, cursor, given)
        with Store.open_read_only(path) as reader:
            records = [event.record for event in reader.query()]
            assert records == [event.record for event in observer.query()]
            assert len(records) == given
    assert lives > 1
    return given


def observe_compactions(path: Path, seconds: float) -> int:
    """Observe a writer whose files are merged all the time; how many events it has written.

    One observer has every file open, as far as the budget goes, and one almost none; a third one
    begins anew all the time. An iterator is under way for the whole of it.
    """
    Store.open(path, TINY).close()
    child = begin(path, write_and_compact_for_ever)
    try:
        with Store.observe(path, TINY) as observer, Store.observe(path, FEW) as other:
            cursors = observer.cursor_guaranteed(), other.cursor_guaranteed()
            given, behind, opened, slow = 0, 0, 0, 0
            end = time.monotonic() + seconds
            events = other.query()
            while time.monotonic() < end:
                given = take(observer, cursors[0], given)
                behind = take(other, cursors[1], behind)
                for event in islice(events, 50):
                    assert event.sequence == slow
                    slow += 1
                if opened % 20 == 0:
                    events, slow = other.query(), 0
                opened += 1
                with Store.observe(path, FEW) as fresh:
                    assert fresh.frontier().visible >= given
                    assert fresh.count() == fresh.frontier().visible
                    if given:
                        assert fresh.get(given // 2).payload == Counted(n=given // 2)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with Store.open_read_only(path) as reader:
        assert len(list(path.glob("*.fbat"))) < given / 50, "nothing was merged"
        assert reader.verify().ok
        assert reader.count() >= given
    return given


def test_every_event_is_seen_once_beside_compactions(tmp_path: Path) -> None:
    assert observe_compactions(tmp_path / "s", 2.0) > ROUND / 10


@pytest.mark.slow
def test_every_event_is_seen_once_beside_compactions_for_a_minute(tmp_path: Path) -> None:
    assert observe_compactions(tmp_path / "s", 60.0) > ROUND


def test_every_event_is_seen_once_beside_writers_that_are_killed(tmp_path: Path) -> None:
    assert observe(tmp_path / "s", 2.0) > ROUND


@pytest.mark.slow
def test_every_event_is_seen_once_for_a_minute(tmp_path: Path) -> None:
    assert observe(tmp_path / "s", 60.0) > 20 * ROUND
