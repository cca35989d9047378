"""Handling: a worker that does nothing with each event, and saves its place every hundred.

It is CPU time of the whole process, that of the system included: how long a disk takes to sync a
checkpoint says something about the disk, and with a hundred events to each that is nearly all of
the time. Both are on the line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from batpak import AtLeastOnce, EventPayload, Region, Step, Store, StoredEvent
from shop.gen.orders import OrderPaid
from tests.bench.contenders import batpak_store
from tests.bench.line import OURS, AtMost, Line
from tests.bench.rounds import Contender, Plan, measure

EVERY = 100
WALL = "the same, by the clock on the wall"
BARE = "without a checkpoint"
PULLED = "a cursor, polled"
REGION = Region(kinds=OrderPaid)


def lines(plan: Plan) -> list[Line]:
    """What it costs to have one event handled, and to pull it."""
    work = plan.work
    count = len(work)
    line = Line(
        "worker",
        f"have events handled by nobody, a checkpoint every {EVERY}",
        OURS,
        aims=[AtMost(OURS, 5.0, "≥ 200,000 a second, of CPU time")],
    )
    with plan.folder() as folder:
        batpak_store.fill(work, folder, count)
        contenders: list[Contender] = [
            (OURS, lambda: _handled(folder, count, "cpu", time.process_time)),
            (WALL, lambda: _handled(folder, count, "wall", time.perf_counter)),
            (BARE, lambda: _handled(folder, count, None, time.process_time)),
            (PULLED, lambda: _pulled(folder, count)),
        ]
        return [measure(line, plan.rounds, contenders)]


def _handled(
    folder: Path, count: int, checkpoint_id: str | None, clock: Callable[[], float]
) -> float:
    """Microseconds for each event, from the first batch to the end of the last."""
    times: list[float] = []
    left = count

    def handle(
        events: Sequence[StoredEvent[EventPayload]], _witness: AtLeastOnce | None
    ) -> Step | None:
        nonlocal left
        left -= len(events)
        return None if left else Step.STOP

    with batpak_store.create(folder) as store:
        if checkpoint_id is not None:
            store.reset_cursor(checkpoint_id, position=0)
        times.append(clock())
        worker = store.cursor_worker(REGION, handle, checkpoint_id=checkpoint_id, batch_size=EVERY)
        worker.join()
        times.append(clock())
    return (times[1] - times[0]) / count * 1e6


def _pulled(folder: Path, count: int) -> float:
    left = count
    with Store.open_read_only(folder / batpak_store.FOLDER) as store:
        cursor = store.cursor_guaranteed(REGION)
        began = time.process_time()
        while some := cursor.poll_batch(EVERY):
            left -= len(some)
        took = time.process_time() - began
    assert left == 0
    return took / count * 1e6
