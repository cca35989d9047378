"""Waiters: whoever sleeps until something is so is woken when it is, and nobody else pays.

Would slip through without it: a wake-up between the look and the sleep that is lost, and costs a
second each time; callers that give up and stay in the list for ever.
"""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from batpak.commit.waiters import Waiters
from batpak.platform import REAL


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
