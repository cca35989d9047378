"""Exclusive: a lock for one thread at a time, which that thread itself never waits for.

A signal handler, or a function of the user, may come back to where its own thread is already. Who
has the lock is read off the stack: no interrupt can leave a wrong answer there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from batpak.errors import InvalidArgument
from batpak.platform import Platform, RawLock
from batpak.stack import callers

T = TypeVar("T")


class Exclusive:
    """Something that one thread does at a time.

    Args:
        what: What a thread that has it is doing, for messages.
        platform: Where locks and threads come from.
    """

    def __init__(self, what: str, platform: Platform) -> None:
        self._what, self._thread_id = what, platform.thread_id
        self._lock: RawLock = platform.raw_lock()

    def run(self, act: Callable[[], T]) -> T:
        """Call a function, once every other thread is out.

        Raises:
            InvalidArgument: This thread is in.
        """
        self.refuse_reentry()
        return _have(self, self._lock, self._thread_id(), act)

    def refuse_reentry(self) -> None:
        """Raise InvalidArgument if this thread is in."""
        if self.is_mine:
            raise InvalidArgument("thread", f"re-entrant: this thread is {self._what} already")

    @property
    def is_mine(self) -> bool:
        """Whether this thread is in, or waits to be."""
        me = self._thread_id()
        inside = (call.f_locals for call in callers() if call.f_code is _HAVE)
        return any(one.get("what") is self and one.get("thread") == me for one in inside)

    @property
    def is_taken(self) -> bool:
        """Whether some thread is in."""
        return self._lock.locked()


def _have(what: Exclusive, lock: RawLock, thread: int, act: Callable[[], T]) -> T:  # noqa: ARG001  the stack tells
    with lock:
        return act()


_HAVE: Final = _have.__code__
