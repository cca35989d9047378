"""Cursors: every event of a region once, in order, from history into the present.

Would slip through without it: an event that is skipped or given twice where history meets what is
appended meanwhile, a cursor that steps over what it cannot read, a follower that is never woken.
"""

from __future__ import annotations

import gc
import random
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak.append import BatchItem
from batpak.config import Durability
from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument, StoreClosed, StoreReadOnly, UnknownKind
from batpak.kind import EventKind
from batpak.read.cursor import Cursor
from batpak.region import KindFilter, Region
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from batpak.wire import Form
from tests.facts import FAST, SMALL, USER, Counted, Said

OTHER = Coordinate("user:2", "acme")
REGIONS = [
    Region.all(),
    Region(kinds=KindFilter.user()),
    Region(kinds=Counted),
    Region(kinds=(Counted, Said), entity="user"),
    Region(entity="user:2"),
    Region(scope="acme", kinds=Said),
    Region(versions=(2, 5)),
]
SMALL_FAST = replace(SMALL, durability=Durability.OS)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("store", FAST, platform=SimPlatform()) as opened:
        yield opened


def fill(store: Store, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        fact = Counted(n=n) if n % 3 else Said(text=str(n))
        store.append(OTHER if n % 5 == 0 else USER, fact)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from(REGIONS))
def test_slices_at_random_times_are_the_query_in_the_end(seed: int, region: Region) -> None:
    rng = random.Random(seed)  # noqa: S311  to be repeated
    with Store.open("store", SMALL_FAST, platform=SimPlatform()) as store:
        cursor, seen = store.cursor_guaranteed(region), list[int]()
        for n in range(40):
            if rng.random() < 0.5:
                fill(store, rng.randrange(1, 12), n)
            else:
                size = rng.randrange(6)
                some = cursor.poll_batch(size)
                assert len(some) <= size
                seen += [event.sequence for event in some]
        while some := cursor.poll_batch(7):
            seen += [event.sequence for event in some]

        assert seen == [event.sequence for event in store.query(region)]
        assert cursor.position == store.frontier().visible
        assert cursor.lag == 0


def test_nothing_asked_for_is_nothing_given_and_nothing_moved(store: Store) -> None:
    fill(store, 3)
    cursor = store.cursor_guaranteed()

    assert cursor.poll_batch(0) == []
    assert (cursor.position, cursor.lag) == (0, 3)
    with pytest.raises(InvalidArgument):
        cursor.poll_batch(-1)


def test_a_cursor_begins_behind_a_sequence_and_counts_what_it_has_not_looked_at(
    store: Store,
) -> None:
    fill(store, 6)
    cursor = store.cursor_guaranteed(Region(kinds=Counted), after=1)

    assert (cursor.position, cursor.lag) == (2, 4)
    first = cursor.poll()
    assert first is not None
    assert first.sequence == 2
    assert [event.sequence for event in cursor.poll_batch(9)] == [4, 5]
    assert cursor.poll() is None
    with pytest.raises(InvalidArgument):
        store.cursor_guaranteed(after=-1)


def test_what_the_region_does_not_match_is_passed(store: Store) -> None:
    fill(store, 10)
    cursor = store.cursor_guaranteed(Region(entity="nobody"))

    assert cursor.poll() is None
    assert (cursor.position, cursor.lag) == (10, 0)


def test_rewind_goes_back_to_the_last_commit(store: Store) -> None:
    fill(store, 6)
    cursor = store.cursor_guaranteed()
    cursor.poll_batch(2)
    cursor.commit()
    ahead = cursor.poll_batch(2)
    cursor.rewind()

    assert cursor.position == 2
    assert cursor.poll_batch(2) == ahead


def test_the_forms_of_a_cursor_are_those_of_a_query(store: Store) -> None:
    fill(store, 4)

    forms: tuple[Form[Any], ...] = (Form.TYPED, Form.DICT, Form.RAW)
    for form in forms:
        assert store.cursor_guaranteed(form=form).poll_batch(9) == list(store.query(form=form))


def test_what_cannot_be_read_stays_in_front_and_what_was_before_it_is_given(store: Store) -> None:
    unknown = EventKind.custom(0xE, 0x7FE)
    fill(store, 3)
    store.append_raw(USER, unknown, b"\x01")
    fill(store, 1)
    cursor = store.cursor_guaranteed()

    assert len(cursor.poll_batch(9)) == 3
    for _ in range(3):
        with pytest.raises(UnknownKind):
            cursor.poll_batch(9)
        assert cursor.position == 3


def test_a_reader_without_the_right_to_write_follows_as_well(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        fill(store, 5)

    with Store.open_read_only(tmp_path / "store") as reader:
        cursor = reader.cursor_guaranteed(Region(kinds=Counted))
        assert [event.sequence for event in cursor.follow(idle_timeout_s=0)] == [1, 2, 4]
        with pytest.raises(InvalidArgument, match="checkpoint_id"):
            reader.cursor_guaranteed(checkpoint_id="mine")
        with pytest.raises(StoreReadOnly):
            getattr(reader, "cursor_worker")(Region.all(), print)  # noqa: B009  no type checker lets it pass


@pytest.mark.parametrize("idle_s", [None, 30])
def test_on_a_handle_that_only_reads_following_ends_with_the_log(
    tmp_path: Path, idle_s: float | None
) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        fill(store, 5)
        assert store.cursor_guaranteed().is_live
    with Store.open_read_only(tmp_path / "store") as reader:
        cursor, began = reader.cursor_guaranteed(), time.monotonic()
        assert not cursor.is_live
        assert len(list(cursor.follow(idle_s))) == reader.count()
        assert list(cursor.follow(idle_s)) == []
        assert time.monotonic() - began < 20


def test_following_crosses_from_history_into_the_present_under_writers(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        fill(store, 50)
        region = Region(kinds=(Counted, Said))

        def write(where: str) -> None:
            for n in range(0, 100, 4):
                store.append_batch(
                    [BatchItem(Coordinate(where, "acme"), Counted(n=n + m)) for m in range(4)]
                )

        threads = [threading.Thread(target=write, args=(f"writer:{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        seen = list[int]()
        for event in store.cursor_guaranteed(region).follow():
            seen.append(event.sequence)
            if len(seen) == 350:
                break
        for thread in threads:
            thread.join()

        assert seen == list(range(350))


def test_a_follower_ends_when_nothing_comes_even_if_others_get_something(store: Store) -> None:
    cursor = store.cursor_guaranteed(Region(entity="nobody"))
    fill(store, 3)

    assert list(cursor.follow(idle_timeout_s=0.5)) == []
    with pytest.raises(InvalidArgument):
        cursor.follow(idle_timeout_s=-1)


def test_a_follower_ends_when_the_store_is_closed(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")  # with an opening event
    cursor, seen = store.cursor_guaranteed(), list[int]()
    reader = threading.Thread(
        target=lambda: seen.extend(event.sequence for event in cursor.follow())
    )
    reader.start()
    fill(store, 3)
    while len(seen) < 4:
        time.sleep(0.001)
    store.close()
    reader.join(5)

    assert not reader.is_alive()
    assert seen in ([0, 1, 2, 3], [0, 1, 2, 3, 4, 5])  # perhaps with what a close says
    with pytest.raises(StoreClosed):
        cursor.poll()


def test_one_thread_at_a_time_uses_a_cursor(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        cursor = store.cursor_guaranteed()
        waiting = threading.Thread(target=lambda: list(cursor.follow()))
        waiting.start()
        refused = None
        while refused is None:
            try:
                cursor.poll()
            except InvalidArgument as error:
                refused = error
        assert refused.argument == "thread"
        for act in (cursor.commit, cursor.rewind, lambda: cursor.seek(0)):
            with pytest.raises(InvalidArgument, match="thread"):
                act()
        store.close()
        waiting.join(5)


def test_who_asked_is_told_once_and_at_the_end_too(tmp_path: Path) -> None:
    told: list[str] = []
    with Store.open(tmp_path / "store", FAST) as store:
        fill(store, 1, 1)
        cursor = store.cursor_guaranteed(Region(kinds=Counted))
        leave = cursor.on_ready(lambda: told.append("there was something"))
        assert told == ["there was something"]
        leave()
        assert cursor.poll() is not None
        leave = cursor.on_ready(lambda: told.append("taken back"))
        leave()
        leave()
        cursor.on_ready(lambda: told.append("something came"))
        store.append(USER, Said(text="of no interest"))
        assert told[1:] == []
        fill(store, 2, 1)
        assert told[1:] == ["something came"]
        assert len(cursor.poll_batch(5)) == 2
        with pytest.raises(InvalidArgument):
            cursor.on_ready(None)  # type: ignore[arg-type]  # refused
        cursor.on_ready(lambda: told.append("closed"))
        cursor.close()
        assert told[2:] == ["closed"]
        store.cursor_guaranteed(Region(entity="nobody")).on_ready(lambda: told.append("end"))
        assert told[3:] == ["end"]
        ended = store.cursor_guaranteed(after=store.count() - 1)
        ended.on_ready(lambda: told.append("end of all"))
        assert not store._opened.waiters.staying
    assert told[4:] == ["end of all"]
    assert not store._opened.waiters.keyed


def test_a_callback_that_appends_does_not_stand_in_its_own_way(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        cursor = store.cursor_guaranteed()

        def answer() -> None:
            if cursor.poll() is not None and store.count() < 10:
                cursor.on_ready(answer)
                fill(store, 1)

        cursor.on_ready(answer)
        fill(store, 1)
        assert store.count() == 10
        cursor.close()
        cursor.close()


def test_a_cursor_that_is_dropped_is_gone_at_once(store: Store) -> None:
    cursor = store.cursor_guaranteed(checkpoint_id="mine")
    cursor.poll()
    gone = weakref.ref(cursor)
    gc.disable()
    try:
        del cursor
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("at_most", [1, 2, 50])
def test_an_interrupt_steps_over_no_event(store: Store, at_most: int) -> None:
    fill(store, 7, 1)
    codes = Cursor._take.__code__, Cursor._read.__code__
    last = max(line for *_, line in Cursor._take.__code__.co_lines() if line)  # it returns

    for turn in range(1, 60):
        cursor, left, seen = store.cursor_guaranteed(Region(kinds=Counted)), [turn], list[int]()

        def trace(frame: FrameType, event: str, _: Any, left: list[int] = left) -> Any:  # noqa: ANN401  of `settrace`
            if frame.f_code not in codes:
                return None
            if event == "line" and frame.f_lineno != last:
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        with suppress(KeyboardInterrupt):
            while found := cursor.poll_batch(at_most):
                seen.extend(one.sequence for one in found)
        sys.settrace(before)
        seen.extend(one.sequence for one in cursor.poll_batch(50))
        assert seen == [0, 1, 3, 4, 6]


def test_a_place_that_the_log_does_not_have_is_not_saved(store: Store) -> None:
    fill(store, 2)
    with store.cursor_guaranteed(after=100, checkpoint_id="mine") as cursor:
        assert cursor.poll() is None
        with pytest.raises(InvalidArgument, match="position: the log ends before it"):
            cursor.commit()
    assert store.cursor_checkpoints() == ()


def test_a_closed_cursor_gives_nothing_and_leaves_the_place_of_its_successor_alone(
    store: Store,
) -> None:
    fill(store, 5)
    closed = store.cursor_guaranteed(checkpoint_id="mine")
    closed.poll()
    closed.close()
    closed.close()

    with store.cursor_guaranteed(checkpoint_id="mine") as next_one:
        next_one.poll_batch(4)
        next_one.commit()
        for act in (closed.poll, closed.commit):
            with pytest.raises(InvalidArgument, match="cursor: is closed"):
                act()

    assert closed.closed
    assert list(closed.follow()) == []
    assert [one.position for one in store.cursor_checkpoints()] == [4]


def test_closing_a_cursor_ends_who_follows_it(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        fill(store, 2)
        cursor = store.cursor_guaranteed()
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.extend(e.sequence for e in cursor.follow()))
        thread.start()
        while cursor.lag:
            time.sleep(0.001)
        cursor.close()
        thread.join(30)

    assert not thread.is_alive()
    assert seen == [0, 1]
