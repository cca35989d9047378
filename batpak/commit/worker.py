"""A thread that does one thing when it is woken, and sleeps.

It is started by the first wake, so a store that needs none has none. A wake while it works makes
it work once more.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from batpak.platform import Platform, RawLock, Thread

log: Final = logging.getLogger("batpak.lane")


class Worker:
    """One such thread.

    Args:
        platform: Where threads and locks come from.
        name: Of the thread.
        work: What it does. What it raises is logged; the thread goes on.
        delay_s: How long it waits between being woken and working, unless it is stopped.
    """

    def __init__(
        self, platform: Platform, name: str, work: Callable[[], None], delay_s: float = 0.0
    ) -> None:
        self._platform, self._name, self._work, self.delay_s = platform, name, work, delay_s
        self._bell: RawLock = platform.raw_lock()
        self._bell.acquire()  # held means: nothing to do
        self._stopping: RawLock = platform.raw_lock()
        self._stopping.acquire()  # held means: go on
        self._thread: Thread | None = None
        self._thread_id: int | None = None  # of the newest thread, once it runs
        self._stopped = False

    def wake(self) -> bool:
        """See to it that `work` is called soon. Cheap if it is awake already.

        Returns:
            Whether it will be. Not if it was stopped, or if the interpreter is at its end, where no
            thread begins any more: some versions refuse, others would wait for ever.
        """
        if self._stopped:
            return False
        _release(self._bell)
        if self._thread is None and self._thread_id is None:  # it may wake itself while it begins
            if sys.is_finalizing():
                return False
            thread = self._platform.thread(self._run, self._name)
            try:
                thread.start()
            except RuntimeError as error:
                # An interrupt while it waits for the thread to begin can come out as this one.
                if isinstance(error.__context__, KeyboardInterrupt):
                    raise error.__context__ from None
                return False
            self._thread = thread  # if it is lost here, it runs all the same
        return True

    def stop(self, timeout_s: float) -> None:
        """Let it finish what it is doing, and end. Twice is harmless; its own work may ask too."""
        self._stopped = True
        _release(self._stopping)
        _release(self._bell)
        thread = self._thread
        if thread is not None and self._thread_id != self._platform.thread_id():
            thread.join(timeout_s)

    def _run(self) -> None:
        self._thread_id = self._platform.thread_id()
        while True:
            self._bell.acquire()
            if self.delay_s and not self._stopped:
                self._stopping.acquire(timeout=self.delay_s)
            if self._stopped:
                _release(self._bell)  # there may be another one
                return
            try:
                self._work()
            except BaseException:  # nobody else does what this thread does
                log.exception("%s failed", self._name)


def _release(lock: RawLock) -> None:
    """Open a lock that means: wait. Somebody else may do so at the same time."""
    if lock.locked():
        with suppress(RuntimeError):
            lock.release()
