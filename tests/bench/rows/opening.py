"""Opening: cleanly closed in a fresh process, hot and cold; after a crash."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from uuid import UUID

from batpak import Store
from shop.gen.orders import OrderPaid
from tests.bench import fresh
from tests.bench.contenders import batpak_store, sqlite
from tests.bench.line import OURS, Aim, AtMost, Line, Unit
from tests.bench.rounds import Plan, measure

READ, WRITE = "open to read", "open to write"
MILLION = 1_000_000
HEAP_FROM = 100_000  # below, the heap of a few open files is all there is
SQLITE_UP_TO = 100_000  # a bigger indexed database takes longer to make than it says
CRASH_EVENTS = 20_000


def opening(plan: Plan) -> list[Line]:
    """Each size in a fresh process, hot and cold, and what an open leaves on the heap."""
    found: list[Line] = []
    for size in plan.sizes:
        with plan.folder() as folder:
            batpak_store.fill(plan.work, folder, size)
            if size <= SQLITE_UP_TO:
                sqlite.fill(plan.work, folder, size)
            found += _opened(plan, folder, size)
    return found


def _opened(plan: Plan, folder: Path, size: int) -> list[Line]:
    files = batpak_store.segments(folder)
    find = some_id(folder, size)
    heap = Line(
        "open",
        f"heap after opening {size:,} events, per event",
        "",
        Unit.BYTES,
        per_second=False,
        aims=_aims(size >= HEAP_FROM, 1, "≤ 1 B (1M)"),
    )
    kept = [heap]
    for state, limit in (("hot", 2.0), ("cold", 5.0)):
        cold = state == "cold"
        line = Line(
            "open",
            f"open {size:,} events (segments: {files}), fresh process, {state}",
            "",
            Unit.MILLISECONDS,
            per_second=False,
            aims=_aims(size <= MILLION, limit, f"≤ {limit:g} ms (1M)"),
        )
        first = Line(
            "open",
            f"… and the first look-up by id after it, {state}",
            "",
            Unit.MILLISECONDS,
            per_second=False,
        )
        openers = {READ: ("batpak-read", find), WRITE: ("batpak-write", find)}
        if size <= SQLITE_UP_TO:
            with sqlite.reading(folder) as db:
                key = UUID(bytes=sqlite.ids(db)[size // 2])
            openers["sqlite, connect and ask"] = ("sqlite", key)
        for number in range(plan.rounds + 1):
            for name, (contender, wanted) in openers.items():
                opened = fresh.run(contender, folder, find=wanted, cold=cold)
                if not number:
                    continue
                line.took(name, opened.opened_us / 1e3)
                first.took(name, opened.found_us / 1e3)
                if not cold:
                    heap.took(name, opened.heap_bytes / size)
                    heap.took(f"{name}, then get and stream", opened.heap_found_bytes / size)
        kept += [line, first]
    return [*kept[1:], heap]


def _aims(apply: bool, bound: float, said: str) -> list[Aim]:
    return [AtMost(who, bound, said) for who in (READ, WRITE)] if apply else []


def some_id(folder: Path, size: int) -> UUID:
    """An id from the middle, so that a sealed segment has to be asked."""
    with Store.open_read_only(folder / batpak_store.FOLDER) as store:
        return store.get(size // 2, OrderPaid).event_id


def crashed(plan: Plan) -> list[Line]:
    """Open a copy that was taken while the store was open: what a killed process leaves."""
    events = min(CRASH_EVENTS, len(plan.work))
    line = Line(
        "crash",
        f"open after a crash, per event of the active segment ({events:,})",
        "",
        per_second=False,
    )
    with plan.folder() as made, batpak_store.create(made) as store:
        for coordinate, payload in plan.work.placed_over(events):
            store.append(coordinate, payload)

        def reopen(folder: Path) -> float:
            shutil.copytree(made / batpak_store.FOLDER, folder / batpak_store.FOLDER)
            began = time.perf_counter()
            with Store.open(folder / batpak_store.FOLDER) as again:
                took = time.perf_counter() - began
                if again.open_report.clean:
                    raise RuntimeError("the copy was clean: the line would mean nothing")
            return took / events * 1e6

        measure(line, plan.rounds, [(OURS, plan.fresh(reopen))])
    return [line]
