"""Units that are not one append: submissions with several in flight, and fences.

How long a fence takes to be seen is taken between the return of its sync and the moment in which
another thread, which looks all the time, finds all of it visible. That thread needs the lock of the
interpreter to look, so what is told is too long by as much as it waits for that.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from batpak import AppendTicket, Durability, Store, VisibilityFence
from batpak.platform import REAL
from batpak.testing.disk import Call
from batpak.testing.watched import watched
from tests.bench.contenders import batpak_store
from tests.bench.line import AtMost, Line, Times, Unit
from tests.bench.rounds import Plan, measure
from tests.kept import switching_every

APPEND: Final = "append, one after the other"
SUBMIT: Final = "submit, 16 in flight"
IN_FLIGHT: Final = 16
SEEN: Final = "from its sync until it is seen"
STAGED: Final = "to stage, each"
COMMITTED: Final = "to commit, each"
ITEMS: Final = 10_000
SWITCH_S: Final = 1e-5  # between two threads that want to run; 5 ms would be all that is measured


def submitted(plan: Plan) -> list[Line]:
    """Durable submissions of one thread, with so many of them in line at any time."""
    work = plan.durable
    line = Line("submit", "durable, one thread", APPEND, aims=[Times(SUBMIT, APPEND, 3)])

    def one(folder: Path) -> float:
        with batpak_store.create(folder, Durability.COMMIT) as store:
            began = time.perf_counter()
            for coordinate, payload in work.placed:
                store.append(coordinate, payload)
            return (time.perf_counter() - began) / len(work) * 1e6

    def several(folder: Path) -> float:
        flying: deque[AppendTicket] = deque()
        with batpak_store.create(folder, Durability.COMMIT) as store:
            began = time.perf_counter()
            for coordinate, payload in work.placed:
                if len(flying) == IN_FLIGHT:
                    flying.popleft().result()
                flying.append(store.submit(coordinate, payload))
            while flying:
                flying.popleft().result()
            return (time.perf_counter() - began) / len(work) * 1e6

    return [measure(line, plan.rounds, [(APPEND, plan.fresh(one)), (SUBMIT, plan.fresh(several))])]


def fenced(plan: Plan) -> list[Line]:
    """A fence of ten thousand events: what staging and committing take, and when it is seen."""
    seen = Line(
        "fence",
        f"a durable fence of {ITEMS:,} events",
        "",
        Unit.MILLISECONDS,
        per_second=False,
        aims=[AtMost(SEEN, 1, "≤ 1 ms")],
    )
    each = Line("fence", f"the same, an event of {ITEMS:,}", STAGED)
    for number in range(plan.rounds + 1):
        with plan.folder() as folder:
            staged_s, committed_s, unseen_s = fence(plan, folder)
        if number:  # the first round warms up
            seen.took(SEEN, unseen_s * 1e3)
            each.took(STAGED, staged_s / ITEMS * 1e6)
            each.took(COMMITTED, committed_s / ITEMS * 1e6)
    return [seen, each]


def fence(plan: Plan, folder: Path) -> tuple[float, float, float]:
    """The seconds that one fence takes to be filled, to be committed, and to be seen."""
    synced = [0.0]

    def note(call: Call) -> None:
        if call.kind == "sync" and call.path.endswith(".fbat"):
            synced[0] = time.perf_counter()

    settings = batpak_store.config(Durability.COMMIT)
    with Store.open(folder / "store", settings, platform=watched(REAL, after=note)) as store:
        began = time.perf_counter()
        fence = filled(store, plan)
        staged = time.perf_counter()
        fence.commit()
        committed = time.perf_counter()

        fence = filled(store, plan)
        due, found = store.count() + ITEMS, [0.0]

        def look() -> None:
            while store.frontier().visible < due:
                time.sleep(0)
            found[0] = time.perf_counter()

        looker = threading.Thread(target=look)
        with switching_every(SWITCH_S):
            looker.start()
            fence.commit()
            looker.join()
        unseen = found[0] - synced[0]
    return staged - began, committed - staged, unseen


def filled(store: Store, plan: Plan) -> VisibilityFence:
    """An open fence with all the events."""
    fence, placed = store.visibility_fence(), plan.work.placed
    for coordinate, payload in islice(cycle(placed), ITEMS):
        fence.append(coordinate, payload)
    return fence
