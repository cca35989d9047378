"""Copies: a snapshot of an open store, beside a plain copy of its files."""

from __future__ import annotations

import os
import shutil
import time
from itertools import count
from pathlib import Path

from batpak import Store
from tests.bench.contenders import batpak_store
from tests.bench.line import Line, Times, Unit
from tests.bench.rounds import Plan, measure

EVENTS = 200_000  # a full file
SNAPSHOT, PLAIN = "snapshot", "plain copy, synced"


def lines(plan: Plan) -> list[Line]:
    """The same bytes, durable on return."""
    line = Line(
        "snapshot",
        f"copy a store of {EVENTS:,} events",
        "",
        Unit.MILLISECONDS,
        per_second=False,
        aims=[Times(SNAPSHOT, PLAIN, 0.5)],
    )
    numbers = count()
    with plan.folder() as folder:
        batpak_store.fill(plan.work, folder, EVENTS)
        source = folder / batpak_store.FOLDER

        def timed(copy: object) -> float:
            dest = folder / f"copy{next(numbers)}"
            began = time.perf_counter()
            if isinstance(copy, Store):
                copy.snapshot(dest)
            else:
                plain(source, dest)
            took = time.perf_counter() - began
            shutil.rmtree(dest)
            return took * 1e3

        with Store.open(source) as store:
            ways = [(SNAPSHOT, lambda: timed(store)), (PLAIN, lambda: timed(None))]
            return [measure(line, plan.rounds, ways)]


def plain(source: Path, dest: Path) -> None:
    """Every file, as a script would copy it that cares for power cuts."""
    dest.mkdir()
    for path in source.glob("*.fbat"):
        shutil.copyfile(path, dest / path.name)
        fd = os.open(dest / path.name, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
