"""A clock that tests move: every read takes a little time, and nothing else does."""

from __future__ import annotations

from typing import Final

from batpak.clock import WALL_MS_MAX

START_NS: Final = 1_735_689_600_000_000_000  # 2025-01-01, UTC
TICK_NS: Final = 1_000

_WALL_NS_MAX: Final = WALL_MS_MAX * 1_000_000


class SimClock:
    """Wall and monotonic time of one simulated machine.

    Args:
        wall_ns: What the wall clock shows first; nanoseconds since 1970.
    """

    def __init__(self, wall_ns: int = START_NS) -> None:
        self._wall_ns, self._monotonic_ns = wall_ns, 0
        self.tick_ns = TICK_NS
        """How far each read moves the clock that is read."""
        self.frozen = False
        """Whether the wall clock stands still, whatever happens. The monotonic one never does."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, clamped to the years 1970..9999 as the real clock is."""
        self._move(self.tick_ns)
        return min(max(self._wall_ns, 0), _WALL_NS_MAX)

    def monotonic_ns(self) -> int:
        """Nanoseconds since the machine was started. It never goes back."""
        self._monotonic_ns += self.tick_ns
        return self._monotonic_ns

    def set(self, wall_ns: int) -> None:
        """Set the wall clock, forwards or back."""
        self._wall_ns = wall_ns

    def jump(self, ns: int) -> None:
        """Move the wall clock, as somebody does who corrects it; negative: back."""
        self._wall_ns += ns

    def advance(self, ns: int) -> None:
        """Let time pass, by both clocks.

        Raises:
            ValueError: Time does not pass backwards; see `jump`.
        """
        if ns < 0:
            raise ValueError("time does not pass backwards")
        self._move(ns)
        self._monotonic_ns += ns

    def rebooted(self, down_ns: int) -> SimClock:
        """The clock of the same machine after it was off for so long."""
        after = SimClock(self._wall_ns)
        after.tick_ns, after.frozen = self.tick_ns, self.frozen
        after._move(down_ns)
        return after

    def _move(self, ns: int) -> None:
        if not self.frozen:
            self._wall_ns += ns
