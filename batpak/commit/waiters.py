"""Waiters: who sleeps until the log has moved on, or will not any more.

Whoever moves something wakes everybody who sleeps then, once, and who stays each time. A wake only
wakes; what is so is asked of the log. So one that comes for nothing does no harm, and one that an
exception from outside has swallowed costs a sleeper `PATIENCE_S` at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from batpak.platform import Platform

PATIENCE_S: Final = 1.0  # between two looks of somebody who was not woken


class Waiters:
    """Those of one handle. Any thread may wait, join or wake."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.calls: deque[Callable[[], object]] = deque()
        """Of those who sleep. Empty almost always: the lane looks before it calls `wake`."""
        self.staying: deque[Callable[[], object]] = deque()
        """Of those who are woken each time, until they leave; likewise."""

    def join(self, call: Callable[[], object]) -> None:
        """Have a function called by the next wake, once, on the thread that moved something.

        The lane is held then: it may do no more than wake somebody. It may not raise.
        """
        self.calls.append(call)

    def leave(self, call: Callable[[], object]) -> None:
        """Take a function back, if it was not called yet."""
        with suppress(ValueError):
            self.calls.remove(call)

    def stay(self, call: Callable[[], object]) -> None:
        """Have a function called by each wake until it goes. As `join` otherwise."""
        self.staying.append(call)

    def go(self, call: Callable[[], object]) -> None:
        """Take back a function that has stayed."""
        with suppress(ValueError):
            self.staying.remove(call)

    def wake(self) -> None:
        """Call everybody who stays, and who has joined until now; forget the latter."""
        for stayer in self.staying.copy():
            stayer()
        calls = self.calls
        for _ in range(len(calls)):
            try:
                call = calls.popleft()
            except IndexError:  # another thread has called the last one
                return
            call()

    def until(self, reached: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Sleep until something is so. False: it was not, in time.

        Args:
            reached: Whether it is so; asked now and after each wake. What it raises passes through.
            timeout_s: How long at most. None: until it is so.
        """
        if reached():
            return True
        now = self._platform.monotonic_ns
        end = None if timeout_s is None else now() + timeout_s * 1e9
        bell = self._platform.raw_lock()
        bell.acquire()

        def ring() -> None:
            if bell.locked():
                with suppress(RuntimeError):  # somebody else has, in between
                    bell.release()

        try:
            while True:
                self.join(ring)
                if reached():  # in between; from here on a wake is not missed
                    return True
                rest = PATIENCE_S if end is None else min(PATIENCE_S, (end - now()) / 1e9)
                if rest <= 0:
                    return False
                if not bell.acquire(timeout=rest):
                    self.leave(ring)
                elif reached():
                    return True
        finally:
            self.leave(ring)
