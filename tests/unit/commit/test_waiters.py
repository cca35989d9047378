"""Waiters: whoever sleeps until something is so is woken when it is, and nobody else pays.

Would slip through without it: a wake-up between the look and the sleep that is lost, and costs a
second each time; callers that give up and stay in the list for ever; somebody who
is not found under the keys of an event that it waits for.
"""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from types import FrameType
from typing import Any

import pytest

from batpak import wire
from batpak.commit.request import Request
from batpak.commit.unit import Call, Unit
from batpak.commit.waiters import EVENTS_MAX, Waiters, keys_of
from batpak.coordinate import Coordinate
from batpak.payload import EventPayload
from batpak.platform import REAL
from batpak.region import KindFilter, Region
from tests.facts import Counted, Said


def test_who_finds_it_so_does_not_sleep_and_joins_nobody() -> None:
    waiters = Waiters(REAL)

    assert waiters.until(lambda: True, 0)
    assert not waiters.until(lambda: False, 0)
    assert not waiters.calls


def test_a_time_limit_ends_the_sleep_and_nothing_is_left_behind() -> None:
    waiters = Waiters(REAL)
    began = time.monotonic()

    assert not waiters.until(lambda: False, 0.05)
    assert time.monotonic() - began >= 0.05
    assert not waiters.calls


def test_a_call_is_called_by_the_next_wake_and_only_by_that() -> None:
    waiters, called = Waiters(REAL), list[str]()

    waiters.join(lambda: called.append("once"))
    left = lambda: called.append("left")  # noqa: E731  it has to be the same object twice
    waiters.join(left)
    waiters.leave(left)
    waiters.leave(left)
    waiters.wake()
    waiters.wake()

    assert called == ["once"]


def test_a_call_that_joins_again_is_called_by_the_wake_after() -> None:
    waiters, called = Waiters(REAL), list[int]()

    def again() -> None:
        called.append(len(called))
        waiters.join(again)

    waiters.join(again)
    waiters.wake()
    assert called == [0]
    waiters.wake()
    assert called == [0, 1]


def test_what_the_question_raises_passes_through_and_leaves_nobody_behind() -> None:
    waiters = Waiters(REAL)
    answers = iter([False])

    with pytest.raises(StopIteration):
        waiters.until(lambda: next(answers), 1)

    assert not waiters.calls


def test_no_wake_up_is_lost_in_races_of_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for the other, and does not look again by itself."""
    monkeypatch.setattr("batpak.commit.waiters.PATIENCE_S", 60.0)
    waiters, rounds = Waiters(REAL), 2_000
    at = [0]

    def is_at(turn: int) -> bool:
        return at[0] == turn

    def play(mine: int) -> None:
        for turn in range(mine, 2 * rounds, 2):
            assert waiters.until(partial(is_at, turn), 20)
            at[0] += 1
            waiters.wake()

    threads = [threading.Thread(target=play, args=(mine,)) for mine in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert at == [2 * rounds]
    assert not waiters.calls


# ------------------------------------------------------------------------------------------ keys


def unit(*events: tuple[str, str, EventPayload]) -> Unit:
    return Unit(
        tuple(
            Request(Coordinate(entity, scope), wire.encode(payload))
            for entity, scope, payload in events
        ),
        0,
    )


REGIONS = {
    "all": Region(),
    "room": Region(entity="room"),
    "room:1": Region(entity="room:1:"),
    "acme": Region(scope="acme"),
    "counted": Region(kinds=Counted),
    "said or counted": Region(kinds=[Said, Counted]),
    "said in rooms": Region(entity="rooms", kinds=Said),
    "a category": Region(kinds=KindFilter.category(0xE), versions=(1, 2)),
}


def woken_by(*units: Unit) -> set[str]:
    waiters, called = Waiters(REAL), list[str]()
    for name, region in REGIONS.items():
        waiters.join(partial(called.append, name), keys_of(region))
    waiters.published(units)
    return set(called)


def test_a_publication_wakes_those_who_may_care_and_nobody_else() -> None:
    everybody = {"all", "a category"}
    assert woken_by(unit(("room:1:x", "s", Said(text="a")))) == {
        *everybody, "room", "room:1", "said or counted",
    }  # fmt: skip
    assert woken_by(unit(("room", "acme", Counted(n=1)))) == {
        *everybody, "room", "acme", "counted", "said or counted",
    }  # fmt: skip
    assert woken_by(unit(("rooms", "s", Counted(n=1)))) == {
        *everybody, "said in rooms", "counted", "said or counted",
    }  # fmt: skip
    assert woken_by(unit(("a", "b", Said(text="a"))), unit(("x:", "acme", Said(text="b")))) == {
        *everybody, "acme", "said or counted",
    }  # fmt: skip


def test_a_publication_of_very_many_events_wakes_everybody() -> None:
    assert woken_by(unit(*[("a", "b", Counted(n=n)) for n in range(EVENTS_MAX + 1)])) == {*REGIONS}


def test_who_has_left_is_called_under_none_of_its_keys() -> None:
    waiters, called = Waiters(REAL), list[str]()
    keys = keys_of(REGIONS["said or counted"])
    stays = partial(called.append, "stays")
    leaves = partial(called.append, "leaves")
    for call in (leaves, stays):
        waiters.join(call, keys)
    waiters.leave(leaves, keys)
    waiters.leave(leaves, keys)
    waiters.wake()
    assert set(called) == {"stays"}
    waiters.leave(stays, keys)
    assert not waiters.keyed


def test_a_signal_handler_may_join_and_leave_at_any_line_of_the_same() -> None:
    """Each line of `join` and `leave` is interrupted by both; no lock is taken, and nobody lost."""
    keys = keys_of(REGIONS["said or counted"])
    lines = {name: getattr(Waiters, name).__code__ for name in ("join", "leave", "_drop")}
    for turn in range(1, 40):
        waiters, called, left = Waiters(REAL), list[str](), [turn]
        stays, other = partial(called.append, "stays"), partial(called.append, "other")

        def interrupt(waiters: Waiters = waiters, other: Call = other, stays: Call = stays) -> None:
            waiters.join(other, keys)
            waiters.join(stays, keys)
            waiters.leave(other, keys)
            waiters.wake()

        def trace(
            frame: FrameType,
            event: str,
            _arg: Any,  # noqa: ANN401
            left: list[int] = left,
            act: Call = interrupt,
        ) -> Any:  # noqa: ANN401  of the kind that `settrace` takes
            if frame.f_code not in lines.values():
                return None
            if event == "line":
                left[0] -= 1
                if left[0] == 0:
                    sys.settrace(None)
                    act()
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            mine = partial(called.append, "mine")
            waiters.join(mine, keys)
            waiters.leave(mine, keys)
        finally:
            sys.settrace(before)
        if left[0] <= 0:  # it was interrupted
            waiters.wake()
            assert called.count("stays") > 1
            called.clear()
        waiters.leave(stays, keys)
        waiters.wake()
        assert not called
        assert not waiters.keyed


def test_to_join_those_of_a_key_does_not_copy_them() -> None:
    waiters, keys = Waiters(REAL), keys_of(REGIONS["room"])
    calls = [partial(str, n) for n in range(3)]
    waiters.join(calls[0], keys)
    among = waiters.keyed["room"]
    waiters.join(calls[1], keys)
    waiters.join(calls[2], keys)
    waiters.leave(calls[1], keys)
    assert waiters.keyed["room"] is among
    assert list(among) == [calls[0], calls[2]]


def test_what_is_due_is_called_when_that_is_asked_for_once() -> None:
    waiters, called = Waiters(REAL), list[str]()
    waiters.join(partial(waiters.due.append, partial(called.append, "due")))
    waiters.wake()
    assert called == []
    waiters.call_due()
    waiters.call_due()
    assert called == ["due"]


def test_who_stays_is_called_by_each_wake_until_it_goes() -> None:
    waiters, called = Waiters(REAL), list[str]()

    def call() -> None:
        called.append("again")

    waiters.stay(call)
    waiters.wake()
    waiters.wake()
    waiters.go(call)
    waiters.go(call)
    waiters.wake()

    assert called == ["again", "again"]
    assert not waiters.staying
