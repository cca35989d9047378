"""Readings of the wall clock that a log does not take as they are: counted, and told now and then.

A clock that was set back shows a time that the log has passed already; times of events go on from
there. One that shows a time before 1970, or beyond the year 9999, is taken for the nearest in them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

QUIET_NS: Final = 60_000_000_000  # between two records of one handle

log: Final = logging.getLogger("batpak.lane")


class Clamps:
    """Those of one lane.

    Args:
        monotonic_ns: By which it is known how long ago the last record was.
        facts: Which log it is, for the records.
    """

    def __init__(self, monotonic_ns: Callable[[], int], facts: Mapping[str, object]) -> None:
        self._monotonic_ns, self._facts = monotonic_ns, facts
        self.count = 0
        self._told_ns: int | None = None

    def note(self, now_ms: int, wall_ms: int, sequence: int) -> None:
        """Take note of a reading that is not used.

        Args:
            now_ms: What the clock shows.
            wall_ms: Of the last event.
            sequence: Of the next one.
        """
        self.count += 1
        now_ns = self._monotonic_ns()
        if self._told_ns is not None and now_ns - self._told_ns < QUIET_NS:
            return
        self._told_ns = now_ns
        if not now_ms:
            what = "the clock is before 1970"
        elif now_ms < wall_ms:
            what = f"the clock is {wall_ms - now_ms:,} ms behind the last event"
        else:
            what = "the clock is beyond the year 9999"
        facts = {**self._facts, "sequence": sequence, "readings": self.count}
        log.warning("%s; times of events go on from there", what, extra=facts)
