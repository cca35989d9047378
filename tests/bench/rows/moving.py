"""Moving: events brought over from another store, and from one of the Rust original."""

from __future__ import annotations

import time
from pathlib import Path

from batpak import Durability, RustSource, Store, StoreConfig, StoreReader
from batpak.upkeep.rust.export import export
from batpak.wire import RAW
from tests.bench.line import OURS, Aim, AtMost, Line
from tests.bench.rounds import Plan, measure

ORIGINAL = "from the Rust original, opened with it"
LOOSE = StoreConfig(lifecycle_events=False, durability=Durability.OS)
DURABLE = StoreConfig(lifecycle_events=False)


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
            ]
            return [measure(line, plan.rounds, imports)]


def _imported(source: StoreReader, folder: Path, config: StoreConfig, plan: Plan) -> float:
    with Store.open(folder / "target", config) as target:
        began = time.perf_counter()
        report = target.import_events(source, namespace="bench")
        taken = time.perf_counter() - began
    assert report.imported == len(plan.work)
    return taken / report.imported * 1e6


def _of_original(home: Path, folder: Path, plan: Plan) -> float:
    with Store.open(folder / "target", LOOSE) as target:
        began = time.perf_counter()
        with RustSource.open(home / "original") as source:
            report = target.import_events(source, namespace="bench")
        taken = time.perf_counter() - began
    assert report.imported == len(plan.work)
    return taken / report.imported * 1e6
