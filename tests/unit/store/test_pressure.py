"""Pressure: who must not wait is told that the line is full, and nothing of it is taken.

Would slip through without it: a `try_submit` that commits for others, or takes what it has refused;
a picture of the line that counts what is no longer in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from batpak.append import BatchItem
from batpak.commit.ticket import AppendTicket
from batpak.config import Limits
from batpak.errors import InvalidArgument, StoreClosed
from batpak.report import Busy, WriterPressure
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, USER, Counted, Said

LIMITS = Limits(queue_capacity=8, pressure_pct=50, payload_max_bytes=100, queue_max_bytes=1000)


@pytest.fixture
def held() -> Iterator[Store]:
    """A store whose own threads have had no turn: what is submitted waits for the next append."""
    with Store.open("store", replace(FAST, limits=LIMITS), platform=SimPlatform()) as opened:
        yield opened


def test_a_line_that_fills_answers_busy_and_takes_nothing(held: Store) -> None:
    tickets = [held.try_submit(USER, Counted(n=n)) for n in range(7)]

    assert [isinstance(one, AppendTicket) for one in tickets] == [True] * 4 + [False] * 3
    busy = tickets[-1]
    assert isinstance(busy, Busy)
    assert busy.retry_after_ms >= 1
    assert (busy.pressure.queued, busy.pressure.capacity) == (4, 8)
    assert isinstance(held.try_submit_batch([BatchItem(USER, Counted(n=9))]), Busy)
    assert held.count() == 0, "somebody has waited"

    held.append(USER, Counted(n=100))

    assert [event.payload.n for event in held.by_fact(Counted)] == [0, 1, 2, 3, 100]
    again = held.try_submit_batch([BatchItem(USER, Counted(n=9))])
    assert not isinstance(again, Busy)
    assert again.result()[0].sequence == 5


def test_bytes_fill_a_line_as_well_as_calls(held: Store) -> None:
    line = replace(LIMITS, queue_capacity=1000)
    with Store.open("big", replace(FAST, limits=line), platform=SimPlatform()) as store:
        answers = [store.try_submit(USER, Said(text="x" * 60)) for _ in range(40)]
        taken = [one for one in answers if not isinstance(one, Busy)]
        assert len(taken) == 16, "the bytes are looked at every so many calls"
        assert store.pressure().utilization >= 0.5
    assert held.pressure().is_idle


def test_the_pressure_is_what_stands_in_line(held: Store) -> None:
    assert held.pressure() == WriterPressure(0, 8, 0, 1000)
    assert (held.pressure().utilization, held.pressure().headroom) == (0, 1)

    for n in range(2):
        held.submit(USER, Counted(n=n))

    now = held.pressure()
    assert (now.queued, now.is_idle, now.utilization, now.headroom) == (2, False, 0.25, 0.75)
    assert 0 < now.queued_bytes < 20
    assert WriterPressure(9, 8, 0, 1000).headroom == 0
    held.append(USER, Counted(n=2))
    assert held.pressure().is_idle


def test_what_is_wrong_is_raised_busy_or_not(held: Store) -> None:
    wrong: Any = held
    for _ in range(6):
        with pytest.raises(InvalidArgument):
            wrong.try_submit(USER, Counted(n=1), flags="x")
        with pytest.raises(InvalidArgument):
            wrong.try_submit_batch([1])
        held.try_submit(USER, Counted(n=1))
    held.close()
    for ask in (lambda: held.try_submit(USER, Counted(n=1)), held.pressure):
        with pytest.raises(StoreClosed):
            ask()
