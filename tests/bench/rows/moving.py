"""Moving: events brought over from another store, and from one of the Rust original.

Beside it, in the same rounds: the same payloads, appended in batches of the same size without a
key. An import is measured by that, since it does the same and more.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

from batpak import (
    BatchItem,
    Durability,
    Limits,
    RawPayload,
    RustSource,
    Store,
    StoreConfig,
    StoreReader,
)
from batpak.upkeep.rust.export import export
from batpak.wire import RAW
from tests.bench.line import OURS, Aim, AtMost, Line
from tests.bench.rounds import Plan, measure

ORIGINAL = "from the Rust original, opened with it"
APPENDED = "append_batch of the same payloads"
CHUNK = 1024
LIMITS = Limits(batch_max_items=CHUNK)
LOOSE = StoreConfig(lifecycle_events=False, durability=Durability.OS, limits=LIMITS)
DURABLE = StoreConfig(lifecycle_events=False, limits=LIMITS)


def lines(plan: Plan) -> list[Line]:
    """What one event costs, reading it included."""
    aims: list[Aim] = [
        AtMost(OURS, 10, "≤ 10 µs (≥ 100k/s)"),
        AtMost(ORIGINAL, 1e6 / 60_000, "≤ 16.7 µs (≥ 60k/s)"),
    ]
    line = Line("import", f"import {len(plan.work):,} events", "", aims=aims)
    with plan.folder() as home:
        with Store.open(home / "source", LOOSE) as store:
            for place, payload in plan.work.placed_over(len(plan.work)):
                store.append(place, payload)
        with Store.open_read_only(home / "source") as source:
            export(source.query(form=RAW), home / "original")
            imports = [
                (OURS, plan.fresh(lambda folder: _imported(source, folder, LOOSE, plan))),
                ("durable", plan.fresh(lambda folder: _imported(source, folder, DURABLE, plan))),
                (ORIGINAL, plan.fresh(lambda folder: _of_original(home, folder, plan))),
                (APPENDED, plan.fresh(lambda folder: _appended(source, folder))),
            ]
            return [measure(line, plan.rounds, imports)]


def _imported(source: StoreReader, folder: Path, config: StoreConfig, plan: Plan) -> float:
    with Store.open(folder / "target", config) as target:
        began = time.perf_counter()
        report = target.import_events(source, namespace="bench", chunk=CHUNK)
        taken = time.perf_counter() - began
    assert report.imported == len(plan.work)
    return taken / report.imported * 1e6


def _appended(source: StoreReader, folder: Path) -> float:
    """Reading and making the payloads is not counted."""
    count, taken = 0, 0.0
    events = iter(source.query(form=RAW))
    with Store.open(folder / "target", LOOSE) as target:
        while some := [
            (one.coordinate, RawPayload(one.kind, one.payload, one.payload_version))
            for one in islice(events, CHUNK)
        ]:
            began = time.perf_counter()
            target.append_batch([BatchItem(place, payload) for place, payload in some])
            taken += time.perf_counter() - began
            count += len(some)
    return taken / count * 1e6


def _of_original(home: Path, folder: Path, plan: Plan) -> float:
    with Store.open(folder / "target", LOOSE) as target:
        began = time.perf_counter()
        with RustSource.open(home / "original") as source:
            report = target.import_events(source, namespace="bench", chunk=CHUNK)
        taken = time.perf_counter() - began
    assert report.imported == len(plan.work)
    return taken / report.imported * 1e6
