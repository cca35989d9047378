"""A thread that is woken: one, however it is woken.

Would slip through without it: two threads that do what is for one, both at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec.structs import replace

from batpak.commit.worker import Worker
from batpak.override import override
from batpak.platform import REAL, Thread


class Slow(threading.Thread):
    """A thread whose start returns only when it has done its work for the first time."""

    def __init__(self, target: Callable[[], None], done: threading.Event) -> None:
        super().__init__(target=target, daemon=True)
        self.done = done

    @override
    def start(self) -> None:
        super().start()
        assert self.done.wait(5)


def test_a_thread_that_wakes_itself_while_it_begins_stays_the_only_one() -> None:
    """Two threads handled the events of one store when a handler closed it at once."""
    threads: list[Slow] = []
    done = threading.Event()

    def thread(target: Callable[[], None], name: str) -> Thread:  # noqa: ARG001  nobody asks
        threads.append(Slow(target, done))
        return threads[-1]

    def work() -> None:
        if not done.is_set():
            worker.wake()
            done.set()

    worker = Worker(replace(REAL, thread=thread), "once", work)
    worker.wake()
    worker.stop(5)

    assert len(threads) == 1
    assert not threads[0].is_alive()
