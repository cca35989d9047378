"""Threads: group commit, many writers without a sync, and one writer beside a computing thread.

Each thread appends to entities of its own until the time is up; a sample is the time over all
events of all threads.
"""

from __future__ import annotations

import struct
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final

from batpak import AppendReceipt, Coordinate, Durability
from tests.bench import latency
from tests.bench.contenders import batpak_store
from tests.bench.line import AtMost, Line, Times, Unit
from tests.bench.rounds import Contender, Plan, measure
from tests.bench.work import SCOPE

SECONDS: Final = 0.5  # one run
ONE: Final = "1 thread"
FOUR: Final = "4 threads"
SIXTEEN: Final = "16 threads"
BESIDE: Final = "1 thread beside a computing one"
_STAMP: Final = struct.Struct(">Q").unpack_from  # durable_through, last in a receipt's head
_STAMP_AT: Final = 158


@dataclass
class Call:
    """When one append was called and when it had returned, and which group it was in."""

    began: float
    ended: float
    group: int


@dataclass
class Run:
    """What the threads of one run did."""

    seconds: float
    calls: list[Call] = field(default_factory=list[Call])

    @property
    def each_us(self) -> float:
        return self.seconds / len(self.calls) * 1e6

    def latencies(self) -> list[float]:
        return [call.ended - call.began for call in self.calls]

    def groups_waited(self) -> list[float]:
        """For each call, the groups that ended between its beginning and the end of its own.

        One in flight and its own make two. A group is taken to end when the first of its calls
        returns, which is a little late: now and then a call counts one group too many.
        """
        ends: dict[int, float] = {}
        for call in self.calls:
            ends[call.group] = min(call.ended, ends.get(call.group, call.ended))
        moments = sorted(ends.values())
        return [_between(moments, call.began, ends[call.group]) for call in self.calls]


def _between(moments: list[float], after: float, until: float) -> float:
    return bisect_right(moments, until) - bisect_right(moments, after)


def _group(receipt: AppendReceipt) -> int:
    """What was durable when the event was written: the same for all events of one group."""
    head: bytes | None = getattr(receipt, "head", None)
    return -1 if head is None else _STAMP(head, _STAMP_AT)[0]


def appending(plan: Plan, folder: Path, threads: int, durability: Durability) -> Run:
    """Append from so many threads at once for a while."""
    gate = threading.Barrier(threads + 1)
    outcomes: list[list[tuple[float, float, AppendReceipt]]] = [[] for _ in range(threads)]

    def body(number: int) -> None:
        took, clock = outcomes[number].append, time.perf_counter
        coordinates = [Coordinate(f"order:{number}-{n}", SCOPE) for n in range(100)]
        events = cycle(
            list(zip(coordinates * 10, (p for _, p in plan.work.pairs[:1000]), strict=False))
        )
        gate.wait()
        until = clock() + SECONDS
        for coordinate, payload in events:
            began = clock()
            receipt = append(coordinate, payload)
            ended = clock()
            took((began, ended, receipt))
            if ended > until:
                return

    with batpak_store.create(folder, durability) as store:
        append = store.append
        pool = [threading.Thread(target=body, args=(number,)) for number in range(threads)]
        for thread in pool:
            thread.start()
        gate.wait()
        began = time.perf_counter()
        for thread in pool:
            thread.join()
        seconds = time.perf_counter() - began
    calls = [
        Call(began, ended, _group(receipt))
        for outcome in outcomes
        for began, ended, receipt in outcome
    ]
    return Run(seconds, calls)


def group(plan: Plan) -> list[Line]:
    """Durable appends of 1, 4 and 16 threads: callers that meet share a sync."""
    line = Line(
        "group",
        "durable appends that meet (group commit)",
        ONE,
        scaling=True,
        aims=[Times(FOUR, ONE, 1.7), Times(SIXTEEN, ONE, 3.5)],
    )
    waits = Line(
        "group",
        "groups that end while a call waits: one in flight, and its own",
        "",
        Unit.GROUPS,
        per_second=False,
        aims=[AtMost(f"{name}, p99.9", 2, "≤ 2") for name in (FOUR, SIXTEEN)],
    )

    def run(name: str, threads: int) -> Callable[[], float]:
        def once(folder: Path) -> float:
            done = appending(plan, folder, threads, Durability.COMMIT)
            line.remarks[name] = latency.describe(done.latencies())
            if threads > 1 and done.calls[0].group >= 0:
                waited = sorted(done.groups_waited())
                for share, text in ((0.5, "p50"), (0.999, "p99.9"), (1.0, "max")):
                    waits.took(f"{name}, {text}", latency.percentile(waited, share))
            return done.each_us

        return plan.fresh(once)

    contenders = [(n, run(n, threads)) for n, threads in ((ONE, 1), (FOUR, 4), (SIXTEEN, 16))]
    measure(line, plan.rounds, contenders)
    for samples in waits.samples.values():
        del samples[0]  # the first round warmed up
    if not waits.samples:
        waits.title += " (receipts of this batpak do not say which group)"
    return [line, waits]


def loose(plan: Plan) -> list[Line]:
    """Appends without a sync: many threads share one core, so more of them must not cost much."""
    line = Line(
        "threads",
        "appends that meet, no sync",
        ONE,
        scaling=True,
        aims=[Times(FOUR, ONE, 0.8), AtMost(BESIDE, 10, "≤ 10 µs (100k/s)")],
    )

    def run(name: str, threads: int, *, beside: bool = False) -> Contender:
        def once(folder: Path) -> float:
            with _computing(beside):
                done = appending(plan, folder, threads, Durability.OS)
            line.remarks[name] = latency.describe(done.latencies())
            return done.each_us

        return name, plan.fresh(once)

    contenders = [run(ONE, 1), run(FOUR, 4), run(SIXTEEN, 16), run(BESIDE, 1, beside=True)]
    return [measure(line, plan.rounds, contenders)]


class _computing:  # noqa: N801  used like a function
    """A thread that computes and never waits, as long as the block runs."""

    def __init__(self, wanted: bool) -> None:
        self._stop = not wanted
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop = True
        self._thread.join()

    def _spin(self) -> None:
        number = 0
        while not self._stop:
            number += 1
