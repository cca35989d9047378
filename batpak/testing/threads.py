"""Threads of a simulated machine: whoever waits does their work, in the same order each time.

A real thread runs whenever the system likes, so no two runs would be alike. Here a started thread
gets its turn in three places, and nowhere else:

    Turns.run()                a program asks for it
    a lock that is held        whoever waits for it lets the others go first
    Thread.join                the thread goes on until it ends, or waits itself

In a turn the thread's function is called from its beginning, in the thread of the caller, and left
where it would wait for ever; so it has to be a loop that begins by waiting, as all background work
of a store is. Waiting with a time limit lets the virtual clock run instead.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final

from batpak.platform import REAL, RawLock
from batpak.testing.clock import SimClock

WAITS_MAX: Final = 1_000  # in one turn; whoever waits more often is waiting for us
REAL_WAIT_S: Final = 0.02  # where there are real threads as well


class _Parked(BaseException):
    """The thread would wait for ever, so its turn is over."""


class SimThread:
    """A thread that runs when it is its turn; see `batpak.platform.Thread`."""

    def __init__(self, turns: Turns, number: int, target: Callable[[], None], name: str) -> None:
        self.number, self.name, self.target = number, name, target
        self._turns = turns
        self._started = self.ended = False

    def start(self) -> None:
        """From now on it gets turns."""
        if self._started:
            raise RuntimeError("threads can only be started once")
        self._started = True
        self._turns.threads.append(self)

    def join(self, timeout: float | None = None) -> None:  # noqa: ARG002  no time is lost
        """Give it turns until it has ended, or can do nothing more."""
        self._turns.run(self)

    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        return self._started and not self.ended


class SimRawLock:
    """A lock that lets the others go first before it waits; see `batpak.platform.RawLock`."""

    __slots__ = ("_lock", "_turns", "locked", "release")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._lock = lock = REAL.raw_lock()
        self.locked, self.release = lock.locked, lock.release

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """See the seam."""
        turns = self._turns
        turns.users.add(REAL.thread_id())
        if self._lock.acquire(blocking=False):
            turns.steps += 1
            return True
        return blocking and turns.wait(self._lock, timeout)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.release()


class Turns:
    """Who runs when.

    Args:
        clock: What moves while somebody waits.
    """

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.threads: list[SimThread] = []  # alive, in the order in which they were started
        self.users: set[int] = set()  # real threads that were seen here
        self.steps = 0  # locks that were taken
        self._made = 0
        self._turn: tuple[int, SimThread] | None = None  # whose it is, and in which real thread
        self._waits = 0  # in this turn

    def thread(self, target: Callable[[], None], name: str) -> SimThread:
        """A thread that is not started yet."""
        self._made += 1
        return SimThread(self, self._made, target, name)

    def raw_lock(self) -> RawLock:
        """A new lock, held by nobody."""
        return SimRawLock(self)

    def thread_id(self) -> int:
        """Of the thread whose turn it is, else of the caller."""
        real, turn = REAL.thread_id(), self._turn
        return turn[1].number if turn is not None and turn[0] == real else real

    def run(self, only: SimThread | None = None) -> None:
        """Give every thread turns until none of them does anything."""
        if self._turn is not None:  # it is somebody's already
            return
        steps = -1
        while steps != self.steps:
            steps = self.steps
            for thread in self.threads.copy():
                if only is None or thread is only:
                    self._give(thread)

    def _give(self, thread: SimThread) -> None:
        self._turn, self._waits = (REAL.thread_id(), thread), 0
        try:
            thread.target()
        except _Parked:
            return
        finally:
            self._turn = None
        thread.ended = True
        self.threads.remove(thread)

    def wait(self, lock: RawLock, timeout: float) -> bool:
        """Take a lock that somebody holds, or say that it was not given back in time."""
        turn = self._turn
        if turn is not None and turn[0] == REAL.thread_id():
            self._waits += 1
            if timeout < 0 or self._waits > WAITS_MAX:
                raise _Parked
        else:
            self.run()
            if lock.acquire(blocking=False):
                return True
            if timeout < 0:
                return lock.acquire()
            # Another real thread, if there is any, may be about to give it back.
            if len(self.users) > 1 and lock.acquire(timeout=min(timeout, REAL_WAIT_S)):
                return True
        self._clock.advance(round(timeout * 1e9))
        return lock.acquire(blocking=False)
