"""Who waits for a log that somebody else writes: nobody tells them, so one thread looks for all.

It looks as long as somebody waits, and sleeps otherwise; a handle that nobody waits with has no
thread. What it meets is kept, wakes everybody, and is raised by whatever they do next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final, TypeVar

from batpak.commit.unit import Call
from batpak.commit.waiters import ANY, Key, Waiters
from batpak.commit.worker import Worker
from batpak.errors import BatpakError
from batpak.override import override
from batpak.platform import Platform
from batpak.recovery.sight import Sight

T = TypeVar("T")

POLL_S: Final = 0.005  # between two looks


class Lookout(Waiters):
    """Those of one observer.

    Args:
        platform: The world.
        sight: What is looked at.
    """

    def __init__(self, platform: Platform, sight: Sight) -> None:
        super().__init__(platform)
        self.sight: Final = sight
        self.trouble: BatpakError | None = None
        """Why nothing is looked at any more."""
        self._looking = platform.raw_lock()
        self._worker = Worker(platform, "batpak-observe", self._look_for_all, POLL_S)

    @override
    def join(self, call: Call, keys: frozenset[Key] = ANY) -> None:
        """See `Waiters`, likewise below."""
        super().join(call, keys)
        self._worker.wake()

    @override
    def stay(self, call: Call) -> None:
        """Have a function called by each wake until it goes."""
        super().stay(call)
        self._worker.wake()

    def look(self) -> bool:
        """Look once, and wake everybody if anything has come; whether it has.

        Raises:
            RolledBack, CorruptStore, FutureVersion, StorageFailed: See `Sight.look`.
        """
        moved = True  # also if it ends
        try:
            with self._looking:
                self.require()
                try:
                    moved = self.sight.look()
                except BatpakError as error:
                    self.trouble = error
                    raise
        finally:
            if moved:  # what is called then may look itself
                self.wake()
                self.call_due()
        return moved

    def hold(self, act: Callable[[], T]) -> T:
        """Do something while nobody looks, so that all it sees is of one moment."""
        with self._looking:
            self.require()
            return act()

    def renew(self) -> None:
        """Look, and take everything anew: a file was not found. Raises as `look`."""
        self.sight.forget()
        self.look()

    def require(self) -> None:
        """Raise what a look has met."""
        if self.trouble is not None:
            raise copy.copy(self.trouble)

    def stop(self, timeout_s: float) -> None:
        """Look no more on behalf of others. Twice is harmless."""
        self._worker.stop(timeout_s)

    def _look_for_all(self) -> None:
        try:
            self.look()
        except BatpakError:
            return  # it is kept, and they were told
        if self.anybody:
            self._worker.wake()
