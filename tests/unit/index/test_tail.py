"""The part that grows: a commit is taken in once, however often it is published.

Would slip through without it: rows that are lost or doubled where the waiting ones are caught up,
or when an exception from outside cuts a commit short and it is published again.
"""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from types import FrameType
from typing import Any, Final

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from batpak.errors import InvalidArgument
from batpak.index import tail as module
from batpak.index.row import NO_ID
from batpak.index.tail import Tail
from tests.unit.commit.test_lane import breakable
from tests.unit.index.rows import FIRST, START, Event, change_of, empty_tail, end_of, id_of, tail_of

ENTITIES: Final = ("b", "a:2", "a", "é:1", "ab")
SCOPES: Final = ("t", "s")
KINDS: Final = (0xE702, 0xF001)
PREFIXES: Final = (*ENTITIES, "a:2:x", "nobody")


def event(number: int) -> Event:
    return Event(
        entity=ENTITIES[(number * 3 + number // 7) % 5],
        scope=SCOPES[number // 2 % 2],
        kind=KINDS[number // 3 % 2],
        size=number,
        key=bytes([number]) if number % 3 == 0 else None,
        correlation=number % 2 if number % 4 == 3 else None,
        cause=number % 3 if number % 5 == 4 else None,
    )


def rows_of(events: Sequence[Event], name: str, value: object) -> list[int]:
    return [row for row, one in enumerate(events) if getattr(one, name) == value]


def under(events: Sequence[Event], prefix: str) -> list[int]:
    return [
        row
        for row, one in enumerate(events)
        if one.entity == prefix or one.entity.startswith(prefix + ":")
    ]


def check(tail: Tail, events: Sequence[Event]) -> None:
    """Ask everything there is to ask, and compare with a list of the events."""
    size = len(events)
    entities = list(dict.fromkeys(one.entity for one in events))
    scopes = list(dict.fromkeys(one.scope for one in events))
    assert len(tail) == tail.count == size
    assert tail.first_id == (id_of(0) if events else NO_ID)
    assert list(tail.offsets) == [START, *map(end_of, range(size))]
    assert list(tail.sizes) == [one.size for one in events]
    assert list(tail.kinds) == [one.kind for one in events]
    assert list(tail.ids) == [id_of(row) for row in range(size)]
    assert [tail.entity_at(row) for row in range(size)] == [one.entity for one in events]
    assert [tail.scope_at(row) for row in range(size)] == [one.scope for one in events]
    assert tail.entity_names() == entities
    assert tail.entity_count == len(entities)
    assert list(tail.entities()) == sorted(entities, key=str.encode)
    assert tail.scopes() == scopes
    for row in range(-1, size + 1):
        assert tail.with_id(id_of(row)) == (row if 0 <= row < size else None)
        assert tail.with_id(id_of(row) + 1) is None
    for entity in (*ENTITIES, "nobody"):
        rows = rows_of(events, "entity", entity)
        assert list(tail.of_entity(entity)) == rows
        assert tail.last_of(entity) == (rows[-1] if rows else None)
    for prefix in PREFIXES:
        codes = {entities.index(events[row].entity) for row in under(events, prefix)}
        assert set(tail.codes_under(prefix)) == codes
        assert list(tail.under(prefix)) == under(events, prefix)
    for scope in (*SCOPES, "nowhere"):
        assert tail.scope_code(scope) == (scopes.index(scope) if scope in scopes else None)
        assert list(tail.of_scope(scope)) == rows_of(events, "scope", scope)
    for kind in (*KINDS, 1):
        assert list(tail.of_kind(kind)) == rows_of(events, "kind", kind)
    assert tail.kind_counts() == {
        kind: len(rows_of(events, "kind", kind)) for kind in {one.kind for one in events}
    }
    assert tail.key_rows == {row: one.key for row, one in enumerate(events) if one.key is not None}
    for key in [bytes([number]) for number in range(size + 1)]:
        assert list(tail.with_key(key)) == rows_of(events, "key", key)
    for low in range(4):
        assert list(tail.correlated(low)) == rows_of(events, "correlation", low)
        assert list(tail.caused_by(low)) == rows_of(events, "cause", low)


def waiting(tail: Tail) -> int:
    return len(tail._chunk[1])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(1, 3)), max_size=12))
def test_commits_of_any_size_are_rows_however_often_they_are_published_or_asked_for(
    commits: list[tuple[int, bool, int]],
) -> None:
    tail, events = empty_tail(), list[Event]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CATCH_UP", 4)
        for size, ask, times in commits:
            fresh = [event(len(events) + number) for number in range(size)]
            before = waiting(tail)
            change = change_of(tail, fresh)
            for _ in range(times):
                tail.publish(change)
            events += fresh
            assert waiting(tail) in (before + size, size)
            assert (waiting(tail) == size) == (before == 0 or before >= 4)
            if ask:
                check(tail, events)
        check(tail, events)


ASKED: Final[dict[str, tuple[Callable[[Tail], object], object]]] = {
    "first_id": (lambda tail: tail.first_id, id_of(0)),
    "with_id": (lambda tail: tail.with_id(id_of(11)), 11),
    "of_entity": (lambda tail: list(tail.of_entity("a")), [4, 7]),
    "under": (lambda tail: list(tail.under("a")), [2, 4, 7, 10]),
    "under one": (lambda tail: list(tail.under("a:2")), [2, 10]),
    "of_scope": (lambda tail: list(tail.of_scope("s")), [2, 3, 6, 7, 10, 11]),
    "of_kind": (lambda tail: list(tail.of_kind(KINDS[1])), [3, 4, 5, 9, 10, 11]),
    "kind_counts": (lambda tail: tail.kind_counts(), {KINDS[0]: 6, KINDS[1]: 6}),
    "entity_at": (lambda tail: tail.entity_at(11), event(11).entity),
    "scope_at": (lambda tail: tail.scope_at(11), event(11).scope),
    "with_key": (lambda tail: list(tail.with_key(b"\x09")), [9]),
    "correlated": (lambda tail: list(tail.correlated(1)), [3, 7, 11]),
    "caused_by": (lambda tail: list(tail.caused_by(1)), [4]),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("caught", [0, 1, 11, 12])
def test_any_question_may_be_the_first_behind_a_commit(name: str, caught: int) -> None:
    events = [event(number) for number in range(12)]
    tail = tail_of(events[:caught])
    if caught:
        check(tail, events[:caught])
    for one in events[caught:]:
        tail.publish(change_of(tail, [one]))
    ask, answer = ASKED[name]

    assert ask(tail) == answer


def test_a_part_without_an_event_answers_nothing() -> None:
    tail = empty_tail()

    check(tail, [])
    tail.freeze()
    check(tail, [])
    assert (tail.segment_id, tail.first, tail.block_crcs) == (3, FIRST, None)
    assert tail.distrust() is False


def test_some_thousand_rows_wait_and_no_more() -> None:
    tail, events = empty_tail(), [event(0)] * 1000
    found: list[int] = []
    for _ in range(9):
        tail.publish(change_of(tail, events))
        found.append(waiting(tail))

    assert found == [1000, 2000, 3000, 4000, 5000, 1000, 2000, 3000, 4000]
    tail.catch_up()
    assert len(tail.sizes) == len(tail.kinds) == 9000
    assert list(tail.of_entity(event(0).entity)) == [*range(9000)]


def test_a_chunk_of_rows_ends_with_the_first_commit_that_finds_it_full() -> None:
    tail = empty_tail()
    tail.publish(change_of(tail, [event(0)] * 4095))
    found: list[int] = []
    for _ in range(3):
        tail.publish(change_of(tail, [event(0)]))
        found.append(waiting(tail))

    assert found == [4096, 1, 2]


def test_rows_are_sorted_by_kind_and_cause_once_and_only_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sorted_: list[tuple[int, ...]] = []
    group = module._group

    def noted(groups: dict[int, array[int]], values: Sequence[int | None], base: int) -> None:
        sorted_.append(tuple(value or 0 for value in values))
        group(groups, values, base)

    monkeypatch.setattr(module, "_group", noted)
    tail = empty_tail()
    tail.publish(change_of(tail, [Event(kind=7), Event(kind=8)]))

    assert [list(tail.of_kind(kind)) for kind in (7, 8, 7)] == [[0], [1], [0]]
    assert sorted_ == [(7, 8), (0, 0)]  # kinds, then the codes of scopes


def test_what_one_entity_or_none_has_is_found_without_a_look_at_every_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = [event(number) for number in range(20)]
    tail = tail_of(events)
    tail.catch_up()
    monkeypatch.setattr(tail, "entity_codes", None)

    assert list(tail.under("ab")) == under(events, "ab")
    assert list(tail.under("nobody")) == []


def test_a_frozen_part_keeps_its_answers_and_lets_go_of_the_rows() -> None:
    events = [event(number) for number in range(20)]
    tail = tail_of(events)

    tail.freeze()

    assert waiting(tail) == 0
    check(tail, events)
    tail.catch_up()
    check(tail, events)


class Noted:
    """A lock that says how often it was taken."""

    def __init__(self) -> None:
        self.taken = 0
        self.held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        del blocking, timeout
        assert not self.held
        self.taken, self.held = self.taken + 1, True
        return True

    def release(self) -> None:
        self.held = False

    def locked(self) -> bool:
        return self.held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


@pytest.mark.parametrize("ask", [Tail.catch_up, lambda tail: tail.of_kind(KINDS[0])])
def test_readers_that_bring_a_part_up_to_date_wait_for_each_other(
    ask: Callable[[Tail], object],
) -> None:
    lock = Noted()
    tail = empty_tail(lambda: lock)
    tail.publish(change_of(tail, [event(0)]))
    tail.catch_up()
    before = lock.taken

    ask(tail)

    assert lock.taken == before + 1
    assert not lock.held


def test_a_reader_that_finds_another_at_it_waits_and_is_not_taken_for_a_signal_handler() -> None:
    lock = threading.Lock()
    tail = empty_tail(lambda: lock)
    tail.publish(change_of(tail, [event(0)]))
    lock.acquire()
    threading.Timer(0.05, lock.release).start()

    assert len(tail.of_kind(event(0).kind)) == 1


@pytest.mark.parametrize("ask", [Tail.catch_up, lambda tail: tail.of_kind(KINDS[0])])
def test_a_signal_handler_that_comes_back_to_the_index_is_refused_and_never_waits_for_itself(
    ask: Callable[[Tail], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CATCH_UP", 8)
    tail, events = empty_tail(), [event(n) for n in range(16)]
    tail.publish(change_of(tail, events[:6]))
    group, said = module._group, list[InvalidArgument]()

    def interrupted(*rows: Any) -> None:  # noqa: ANN401  as of `_group`
        """As if a signal came before the first rows are sorted."""
        monkeypatch.setattr(module, "_group", group)
        for again in (tail.catch_up, lambda: tail.of_kind(KINDS[0])):
            with pytest.raises(InvalidArgument) as caught:
                again()
            said.append(caught.value)
        for some in (events[6:9], events[9:]):  # the second finds that more than enough wait
            tail.publish(change_of(tail, some))
        group(*rows)

    monkeypatch.setattr(module, "_group", interrupted)

    ask(tail)

    assert [(one.argument, one.reason[:11]) for one in said] == [("thread", "re-entrant:")] * 2
    check(tail, events)


def test_readers_that_are_up_to_date_take_no_lock() -> None:
    lock = Noted()
    tail = empty_tail(lambda: lock)
    tail.publish(change_of(tail, [event(0), event(1)]))
    check(tail, [event(0), event(1)])
    before = lock.taken

    tail.ready()
    assert tail.first_id == id_of(0)
    assert tail.with_id(id_of(1)) == 1

    assert lock.taken == before


TRACED: Final = sys.version_info < (3, 12)  # from then on `sys.settrace` shows few bytecodes


def interrupted(act: Callable[[], object], at: int) -> bool:
    """Do something, with a KeyboardInterrupt at point number `at` of the part; whether it came."""
    seen = 0

    def trace(here: FrameType, event: str, _: Any) -> Any:  # noqa: ANN401  as sys.settrace has it
        nonlocal seen
        if here.f_code.co_filename != module.__file__:
            return None
        here.f_trace_opcodes, here.f_trace_lines = True, False
        if event == "opcode" and here.f_lasti in breakable(here.f_code):
            seen += 1
            if seen == at:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        act()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.skipif(not TRACED, reason="3.12 shows few bytecodes to a trace function set inside")
@pytest.mark.parametrize("first", [1, 4, 5])
def test_a_commit_that_is_cut_short_anywhere_and_published_again_is_there_once(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CATCH_UP", 4)
    events = [event(number) for number in range(first + 3)]
    for at in count(1):
        tail = tail_of(events[:first])
        change = change_of(tail, events[first:])
        more = interrupted(partial(tail.publish, change), at)
        tail.publish(change)
        check(tail, events)
        if not more:
            break
    assert at > 5


@pytest.mark.skipif(not TRACED, reason="3.12 shows few bytecodes to a trace function set inside")
def test_an_answer_that_is_cut_short_anywhere_and_asked_for_again_is_right() -> None:
    events = [event(number) for number in range(9)]
    for at in count(1):
        tail = tail_of(events[:4])
        check(tail, events[:4])
        for one in events[4:]:
            tail.publish(change_of(tail, [one]))
        more = interrupted(tail.kind_counts, at)
        check(tail, events)
        if not more:
            break
    assert at > 20
