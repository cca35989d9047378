"""A time limit: how long a caller waits, and who was first to decide about what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from batpak.errors import WaitTimeout
from batpak.faults import WriteState


class Limit:
    """The time that one call has, from now on.

    A unit in line is begun by the lane or given up by its caller, whichever is first, and not both:
    so time that runs out means either that nothing is stored, or nothing at all.

    Args:
        timeout_s: How long.
        now: The clock, in nanoseconds, which never goes back.
    """

    __slots__ = ("_end", "_lane_first", "_now", "_stood", "timeout_s")

    def __init__(self, timeout_s: float, now: Callable[[], int]) -> None:
        self.timeout_s: Final = timeout_s
        self._now, self._end = now, now() + round(timeout_s * 1e9)
        self._stood = False  # whether it had to stand in line
        self._lane_first: dict[None, bool] = {}

    @property
    def rest_s(self) -> float:
        """How much of it is left; 0: none."""
        return max(0.0, (self._end - self._now()) / 1e9)

    def begin(self) -> bool:
        """Whether the lane may store the unit now. It asks, perhaps twice, and gets one answer.

        A unit that found the lane free may, however little time it was given.
        """
        return self._lane_first.setdefault(None, not self._stood or self.rest_s > 0)

    def give_up(self) -> bool:
        """Whether the time is over, and the lane has not begun: then it never will."""
        self._stood = True
        return not self.rest_s and not self._lane_first.setdefault(None, False)

    def late(self, waiting_for: str, state: WriteState | None = None) -> WaitTimeout:
        """What to raise when it is over."""
        return WaitTimeout(waiting_for, self.timeout_s, state)
