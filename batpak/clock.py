"""The only clock: wall time for people and ids, and the hybrid logical time of a store.

Source: Kulkarni et al. 2014, "Logical Physical Clocks". Time limits never use the wall clock.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Final

from msgspec import Struct

WALL_MS_MAX: Final = 253_402_300_799_999  # the last millisecond of the year 9999, UTC
COUNTER_MAX: Final = 0xFFFF_FFFF
STAMP_NS_MAX: Final = (1 << 64) - 1
"""What a file can say of when it was written: up to the year 2554. It is for people only."""

_WALL_NS_MAX: Final = WALL_MS_MAX * 1_000_000


class Hlc(Struct, frozen=True, order=True, gc=False):
    """A store's own time: strictly increasing in sequence order, whatever the wall clock does."""

    wall_ms: int
    counter: int

    @property
    def recorded_at(self) -> dt.datetime:
        """`wall_ms` as an aware UTC datetime, to the millisecond."""
        return _EPOCH + dt.timedelta(milliseconds=self.wall_ms)


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def next_time(wall_ms: int, counter: int, now_ms: int) -> tuple[int, int]:
    """What follows (wall_ms, counter) when the wall clock says `now_ms`: always later."""
    if now_ms > wall_ms:
        return now_ms, 0
    if counter < COUNTER_MAX:
        return wall_ms, counter + 1
    return wall_ms + 1, 0


def wall_ns() -> int:
    """Nanoseconds since 1970 by the wall clock, clamped to the years 1970..9999."""
    now = time.time_ns()
    return now if 0 <= now <= _WALL_NS_MAX else min(max(now, 0), _WALL_NS_MAX)


def monotonic_ns() -> int:
    """Nanoseconds by a clock that never goes back. Only differences mean something."""
    return time.monotonic_ns()
