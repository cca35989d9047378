"""The child of test_ctrl_c.py: works on a store while SIGINTs arrive at random moments.

Prints one JSON object: what was tried, what was interrupted, and every finding.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from batpak import (
    BatchItem,
    Coordinate,
    Durability,
    Limits,
    Store,
    StoreConfig,
    interrupted_receipt,
)
from tests.facts import Counted

CONFIG = StoreConfig(durability=Durability.OS, limits=Limits(segment_max_bytes=64 << 10))
LONGEST_S = 0.0015
PATIENCE_S = 20.0


class Sender:
    """Sends one SIGINT to the main thread, a random while after it was armed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  moments, not secrets
        self._armed = threading.Semaphore(0)
        self._main = threading.main_thread().ident or 0
        self.sent = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def arm(self) -> None:
        self.sent.clear()
        self._armed.release()

    def _run(self) -> None:
        while True:
            self._armed.acquire()
            stop = time.perf_counter() + self._random.random() * LONGEST_S
            while time.perf_counter() < stop:
                time.sleep(0)
            signal.pthread_kill(self._main, signal.SIGINT)
            self.sent.set()


class Work:
    """The operations, and what is known of their events, by number."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.random = path, random.Random(seed)  # noqa: S311  likewise
        self.store = Store.open(path, CONFIG)
        self.numbers = 0
        self.doing: range = range(0)  # the numbers of the call that is running
        self.stored: set[int] = set()
        self.absent: set[int] = set()
        self.returned: object = None

    def facts(self, count: int) -> list[tuple[Coordinate, Counted]]:
        first = self.numbers
        self.numbers += count
        items = [
            (Coordinate(f"note:{self.random.randrange(20)}", "interrupts"), Counted(n=n))
            for n in range(first, first + count)
        ]
        self.returned = None
        self.doing = range(first, first + count)
        return items

    def settle(self, interrupt: BaseException | None) -> None:
        """Say what is known of the events of the call that ran last."""
        doing, self.doing = self.doing, range(0)
        known = self.returned is not None or (
            interrupt is not None and interrupted_receipt(interrupt) is not None
        )
        (self.stored if known else self.absent).update(doing)

    def append(self) -> None:
        [(where, fact)] = self.facts(1)
        self.returned = self.store.append(where, fact)
        self.settle(None)

    def batch(self) -> None:
        items = [BatchItem(where, fact) for where, fact in self.facts(8)]
        self.returned = self.store.append_batch(items)
        self.settle(None)

    def query(self) -> None:
        list(self.store.query(limit=100, reverse=True))

    def wait(self) -> None:
        [(where, fact)] = self.facts(1)
        self.doing = range(0)  # a ticket that was dropped may be stored or not
        ticket = self.store.submit(where, fact)
        ticket.result(PATIENCE_S)

    def compact(self) -> None:
        self.doing = range(0)
        self.store.compact(tombstone=lambda _: False)

    def close(self) -> None:
        self.store.close()
        self.store = Store.open(self.path, CONFIG)

    def recover(self) -> None:
        """After an interrupted close or open: the next call has to work."""
        self.store.close()
        self.store = Store.open(self.path, CONFIG)


def main(path: Path, count: int, seed: int) -> None:
    work = Work(path, seed)
    sender = Sender(seed)
    operations: list[Callable[[], None]] = [
        work.append,
        work.batch,
        work.query,
        work.wait,
        work.compact,
        work.close,
    ]
    interrupted = dict.fromkeys((one.__name__ for one in operations), 0)
    findings: list[str] = []
    for index in range(count):
        operation = operations[index % len(operations)]
        began = time.monotonic()
        sender.arm()
        try:
            while not sender.sent.is_set():
                operation()
            time.sleep(0.01)  # let it arrive here at the latest
        except KeyboardInterrupt as interrupt:
            interrupted[operation.__name__] += 1
            work.settle(interrupt)
        except BaseException as error:  # noqa: BLE001  it is what the test looks for
            findings.append(f"{operation.__name__} {index}: {error!r}")
        sender.sent.wait(PATIENCE_S)
        if operation == work.close:
            work.recover()
        work.append()  # the next call works
        if time.monotonic() - began > PATIENCE_S:
            findings.append(f"{operation.__name__} {index}: took {time.monotonic() - began:.1f} s")
    events = list(work.store.query())
    found = {event.payload.n for event in events if isinstance(event.payload, Counted)}
    ok = work.store.verify().ok
    work.store.close()
    print(
        json.dumps(
            {
                "interrupted": interrupted,
                "findings": findings,
                "lost": sorted(work.stored - found),
                "unannounced": sorted(work.absent & found),
                "dense": [event.sequence for event in events] == list(range(len(events))),
                "ok": ok,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
