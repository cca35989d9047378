"""Logical time: strictly increasing, whatever the wall clock does.

Without this, a clock that is set back would make a later event look earlier.
"""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from batpak import clock
from batpak.clock import COUNTER_MAX, WALL_MS_MAX, Hlc, next_time


@given(st.lists(st.integers(0, WALL_MS_MAX), min_size=2, max_size=50))
def test_time_increases_strictly_under_any_wall_clock(readings: list[int]) -> None:
    times = [Hlc(0, 0)]
    for now_ms in readings:
        times.append(Hlc(*next_time(times[-1].wall_ms, times[-1].counter, now_ms)))

    assert all(a < b for a, b in pairwise(times))
    assert all(time.wall_ms >= now for time, now in zip(times[1:], readings, strict=True))


def test_time_follows_a_clock_that_goes_forward() -> None:
    assert next_time(5, 3, 6) == (6, 0)


def test_time_counts_on_while_the_clock_stands_still_or_goes_back() -> None:
    assert next_time(5, 3, 5) == (5, 4)
    assert next_time(5, 3, 1) == (5, 4)


def test_a_full_counter_borrows_a_millisecond() -> None:
    assert next_time(5, COUNTER_MAX, 5) == (6, 0)


def test_recorded_at_is_aware_and_in_utc() -> None:
    assert Hlc(1_500, 9).recorded_at == dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=dt.UTC)
    assert Hlc(WALL_MS_MAX, 0).recorded_at.year == 9999


def test_the_wall_clock_counts_nanoseconds_since_1970() -> None:
    now = dt.datetime.now(dt.UTC).timestamp()

    assert abs(clock.wall_ns() / 1e9 - now) < 5


def test_the_monotonic_clock_never_goes_back() -> None:
    readings = [clock.monotonic_ns() for _ in range(1000)]

    assert readings == sorted(readings)
