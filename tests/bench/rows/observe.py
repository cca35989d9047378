"""Observers: how soon another process sees a commit, and what that costs who appends."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from batpak import Durability, Store
from batpak.wire import Form
from tests.bench import latency
from tests.bench.contenders import batpak_store
from tests.bench.line import AtMost, Line, Times
from tests.bench.rounds import Contender, Plan, measure

ALONE: Final = "nobody observes"
BUSY: Final = "a process that is as busy with nothing"
WATCHED: Final = "a process that looks every 5 ms"
READ: Final = "a process that reads every event"
SEEN: Final = 300  # of one run
PAUSE_S: Final = 0.003  # between them
BUSY_S: Final = 0.002  # what a look takes at what is written in 5 ms
P50: Final = "p50"
P99: Final = "p99"
STAMP: Final = struct.Struct("<d")

Watch = Callable[[Path, int], None]
"""What the other process does, and where it says when it has seen something."""


def lines(plan: Plan) -> list[Line]:
    return [_cost(plan), _latency(plan)]


def watch(path: Path, _: int) -> None:
    with Store.observe(path) as observer:
        while True:
            observer.refresh()
            time.sleep(0.005)


def be_busy(_: Path, __: int) -> None:
    while True:
        until = time.perf_counter() + BUSY_S
        while time.perf_counter() < until:
            pass
        time.sleep(0.005)


def read(path: Path, told: int) -> None:
    with Store.observe(path) as observer:
        for _ in observer.cursor_guaranteed(form=Form.RAW).follow():
            if told >= 0:
                os.write(told, STAMP.pack(time.perf_counter()))


@contextmanager
def beside(path: Path, other: Watch | None, told: int = -1) -> Generator[None]:
    """A process that observes the store until the block ends."""
    child = 0
    if other is not None:
        child = os.fork()
        if child == 0:
            try:
                other(path, told)
            finally:
                os._exit(1)
        time.sleep(0.1)
    try:
        yield
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _cost(plan: Plan) -> Line:
    """What the writer itself does more: whether there is a core for the other is not asked.

    On a machine of few cores any other process that runs makes the writer's caches colder, and its
    cores slower. So an observer is held against one that has nothing to do with the store.
    """
    line = Line(
        "observe",
        "an append beside an observer, no sync, CPU time",
        BUSY,
        scaling=True,
        aims=[Times(WATCHED, BUSY, 0.95, "≤ 1.05×")],
    )

    def run(name: str, other: Watch | None) -> Contender:
        def once(folder: Path) -> float:
            with (
                batpak_store.create(folder, Durability.OS) as store,
                beside(Path(store.open_report.path), other),
            ):
                append, began = store.append, time.process_time()
                for coordinate, payload in plan.work.placed:
                    append(coordinate, payload)
                return (time.process_time() - began) / len(plan.work) * 1e6

        return name, plan.fresh(once)

    others = [(ALONE, None), (BUSY, be_busy), (WATCHED, watch), (READ, read)]
    return measure(line, plan.rounds, [run(*other) for other in others])


def _latency(plan: Plan) -> Line:
    """From the return of `append` to the moment in which another process has the event."""
    line = Line(
        "observe",
        "another process sees an event",
        "",
        per_second=False,
        aims=[AtMost(P99, 20_000, "≤ 20 ms")],
    )
    for number in range(plan.rounds + 1):
        with plan.folder() as folder:
            took = sorted(_seen(plan, folder))
        if number:
            line.took(P50, latency.percentile(took, 0.5) * 1e6)
            line.took(P99, latency.percentile(took, 0.99) * 1e6)
    return line


def _seen(plan: Plan, folder: Path) -> Iterator[float]:
    heard, told = os.pipe()
    with (
        batpak_store.create(folder, Durability.OS) as store,
        beside(Path(store.open_report.path), read, told),
    ):
        for _ in range(store.count()):  # the event of the open
            os.read(heard, STAMP.size)
        for coordinate, payload in plan.work.placed[:SEEN]:
            time.sleep(PAUSE_S)
            store.append(coordinate, payload)
            began = time.perf_counter()
            yield max(0.0, STAMP.unpack(os.read(heard, STAMP.size))[0] - began)
    os.close(heard)
    os.close(told)
