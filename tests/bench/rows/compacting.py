"""Compacting: small files that become one, beside the same bytes copied and synced."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Final

from tests.bench.contenders import batpak_store
from tests.bench.line import OURS, AtMost, Line, Times
from tests.bench.rounds import Plan, measure

EVENTS: Final = 100_000
SEGMENT_BYTES: Final = 4 << 20
BYTES_PER_US: Final = 100  # 100 MB/s
PLAIN: Final = "copy and sync"


def lines(plan: Plan) -> list[Line]:
    """What a merge costs an event; all of it: reading, writing, a sync, reading back, the swap."""
    with plan.folder() as made:
        with batpak_store.create(made, segment_bytes=SEGMENT_BYTES) as store:
            for coordinate, payload in plan.work.placed_over(EVENTS):
                store.append(coordinate, payload)
        source = made / batpak_store.FOLDER
        size = sum(path.stat().st_size for path in source.glob("*.fbat"))
        bound = size / EVENTS / BYTES_PER_US
        line = Line(
            "compact",
            f"merge {size >> 20} MiB in files of {SEGMENT_BYTES >> 20}, per event",
            "",
            per_second=False,
            aims=[AtMost(OURS, bound, "≥ 100 MB/s"), Times(OURS, PLAIN, 0.1)],
        )

        def merge(folder: Path) -> float:
            shutil.copytree(source, folder / batpak_store.FOLDER)
            with batpak_store.create(folder, segment_bytes=SEGMENT_BYTES) as store:
                began = time.perf_counter()
                report = store.compact()
                took = time.perf_counter() - began
            if report.segments_after >= report.segments_before:
                raise RuntimeError("nothing was merged: the line would mean nothing")
            return took / EVENTS * 1e6

        def copy(folder: Path) -> float:
            began = time.perf_counter()
            with (folder / "copy").open("wb") as file:
                for path in sorted(source.glob("*.fbat")):
                    file.write(path.read_bytes())
                file.flush()
                os.fsync(file.fileno())
            return (time.perf_counter() - began) / EVENTS * 1e6

        measure(line, plan.rounds, [(OURS, plan.fresh(merge)), (PLAIN, plan.fresh(copy))])
    return [line]
