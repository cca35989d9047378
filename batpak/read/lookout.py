"""Who waits for a log that somebody else writes: nobody tells them, so one thread looks for all.

It looks as long as somebody waits, and sleeps otherwise; a handle that nobody waits with has no
thread. What lasts is kept, wakes everybody, and is raised by whatever they do next. What the system
refuses may not last: who has looked is told, and the thread looks again, later and later.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, TypeVar

from batpak.commit.unit import Call
from batpak.commit.waiters import ANY, Key, Waiters
from batpak.commit.worker import Worker
from batpak.errors import BatpakError, InvalidArgument, StorageFailed
from batpak.override import override
from batpak.platform import Platform
from batpak.recovery.sight import Sight

T = TypeVar("T")

POLL_S: Final = 0.005  # between two looks …
REFUSED_MAX_S: Final = 1.0  # … and at most as long, where the system refuses one after the other

log: Final = logging.getLogger("batpak.observe")


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
        self.refusal: StorageFailed | None = None
        """Why the last look failed, if it may be made again."""
        self._looking = platform.raw_lock()
        self._thread_id = platform.thread_id
        self._inside: set[int] = set()  # threads that look, or wait to: a handler may interrupt one
        self._holder: int | None = None  # the thread that holds the picture still
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

        Who has interrupted a look of the same thread, as a signal handler does, and would wait for
        itself, sees what every other thread sees meanwhile.

        Raises:
            RolledBack, StoreGone, CorruptStore, FutureVersion, StorageFailed: See `Sight.look`.
        """
        if self._is_inside:
            self.require()
            return False
        moved = True  # also if it ends
        try:
            with self._alone():
                self.require()
                try:
                    moved = self.sight.look()
                    self.refusal = None
                except StorageFailed as error:
                    self.refusal = copy.copy(error)  # the traceback of it would hold the handle
                    raise
                except BatpakError as error:
                    self.trouble = error
                    raise
        finally:
            if moved:  # what is called then may look itself
                self.wake()
                self.call_due()
        return moved

    def hold(self, act: Callable[[], T]) -> T:
        """Do something while nobody looks, so that all it sees is of one moment.

        Raises:
            InvalidArgument: It has interrupted a look of the same thread.
        """
        if self._is_inside and self._holder != self._thread_id():
            raise _reentrant()
        if self._is_inside:
            return act()
        with self._alone():
            self.require()
            self._holder = self._thread_id()
            try:
                return act()
            finally:
                self._holder = None

    def renew(self) -> None:
        """Look, and take everything anew: a file was not found. Raises as `look`.

        Raises:
            InvalidArgument: It has interrupted a look of the same thread, which nobody else ends.
        """
        if self._is_inside:
            raise _reentrant()
        self.sight.forget()
        self.look()

    def require(self) -> None:
        """Raise what a look has met, if it lasts."""
        if self.trouble is not None:
            raise copy.copy(self.trouble)

    def stop(self, timeout_s: float) -> None:
        """Look no more on behalf of others. Twice is harmless."""
        self._worker.stop(timeout_s)

    @property
    def _is_inside(self) -> bool:
        return self._thread_id() in self._inside

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Known to be inside before the lock is asked for: a handler may come in between."""
        me = self._thread_id()
        try:
            self._inside.add(me)
            with self._looking:
                yield
        finally:
            self._inside.discard(me)

    def _look_for_all(self) -> None:
        worker, wanted = self._worker, self.anybody  # who is told of a failure comes again
        try:
            self.look()
        except StorageFailed as error:
            if wanted and worker.wake():
                if worker.delay_s == POLL_S:
                    path = error.path
                    log.warning(
                        "looking failed, and is tried again: %s", error, extra={"path": path}
                    )
                worker.delay_s = min(2 * worker.delay_s, REFUSED_MAX_S)
        except BatpakError:
            return  # it is kept, and they were told
        else:
            if worker.delay_s != POLL_S:
                worker.delay_s = POLL_S
                log.info("looking works again")
            if self.anybody:
                worker.wake()


def _reentrant() -> InvalidArgument:
    return InvalidArgument("thread", "re-entrant: this thread is looking already")
