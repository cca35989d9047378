"""One command, one table: this store beside its peers, in one run on one machine.

    python tests/bench/run.py [ROW ...] [--events 20000] [--rounds 5] [--million] [--slow]

Every contender does the same work: encode the same payloads, make ids and hashes, store them at
the same durability, keep what the same questions need; a variant that does less is called raw.
Rounds are interleaved and the first is thrown away; figures are medians, ratios are medians of the
ratios of each round. Nothing here gates the test suite: machines are noisy, ratios of one run less.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

if __name__ == "__main__":
    ROOT = Path(__file__).absolute().parents[2]
    sys.path[0:1] = [str(ROOT), *(str(ROOT / "examples" / name) for name in ("orders", "transfer"))]

from tests.bench import machine, peers, table, work
from tests.bench.line import Line
from tests.bench.rounds import Plan
from tests.bench.rows import (
    append,
    compacting,
    copies,
    feeds,
    growth,
    guard,
    moves,
    moving,
    observe,
    opening,
    outcome,
    project,
    read,
    threads,
    units,
    workers,
)


class Row(Enum):
    """A part of the table that can be run alone."""

    APPEND = "append"
    BATCH = "batch"
    DURABLE = "durable"
    GROUP = "group"
    THREADS = "threads"
    SUBMIT = "submit"
    FENCE = "fence"
    GET = "get"
    STREAM = "stream"
    SCAN = "scan"
    OPEN = "open"
    CRASH = "crash"
    SNAPSHOT = "snapshot"
    COMPACT = "compact"
    STALL = "stall"
    DISK = "disk"
    GROWTH = "growth"
    OUTCOME = "outcome"
    GUARD = "guard"
    MOVES = "moves"
    PROJECT = "project"
    FEEDS = "feeds"
    OBSERVE = "observe"
    WORKER = "worker"
    IMPORT = "import"


SINGLE: dict[Row, Callable[[Plan], list[Line]]] = {
    Row.APPEND: append.single,
    Row.BATCH: append.batches,
    Row.DURABLE: append.durable,
    Row.GROUP: threads.group,
    Row.THREADS: threads.loose,
    Row.SUBMIT: units.submitted,
    Row.FENCE: units.fenced,
    Row.OPEN: opening.opening,
    Row.CRASH: opening.crashed,
    Row.SNAPSHOT: copies.lines,
    Row.COMPACT: compacting.lines,
    Row.STALL: append.stall,
    Row.DISK: append.disk,
    Row.GROWTH: growth.lines,
    Row.OUTCOME: outcome.lines,
    Row.GUARD: guard.lines,
    Row.MOVES: moves.lines,
    Row.PROJECT: project.lines,
    Row.FEEDS: feeds.lines,
    Row.OBSERVE: observe.lines,
    Row.WORKER: workers.lines,
    Row.IMPORT: moving.lines,
}
READS = frozenset({Row.GET, Row.STREAM, Row.SCAN})
SYNCED = frozenset({Row.DURABLE, Row.GROUP, Row.SUBMIT, Row.FENCE})
SIZES = (10_000, 100_000)


def measured(plan: Plan, rows: list[Row], said: Console) -> list[Line]:
    """The lines of the rows that are wanted, in the order of the table."""
    lines: list[Line] = []
    reads = frozenset(row.value for row in rows if row in READS)
    for row in Row:
        if row not in rows or (row in READS and row.value != min(reads)):
            continue
        if row in SYNCED and not plan.synced:
            continue
        began = time.perf_counter()
        lines += read.lines(plan, reads) if row in READS else SINGLE[row](plan)
        said.print(f"{row.value}: {time.perf_counter() - began:.0f} s", style="dim")
    return lines


def main(
    rows: Annotated[list[Row] | None, typer.Argument(help="Which rows. None: all.")] = None,
    events: Annotated[int, typer.Option(min=5000, help="How many are appended and read.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, help="Beside the one that warms up.")] = 5,
    million: Annotated[bool, typer.Option("--million", help="Open and grow to 1M too.")] = False,
    slow: Annotated[bool, typer.Option("--slow", help="Open 1M and 10M too.")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="Exit 1 if a ratio falls short.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, nothing else.")] = False,
    folder: Annotated[Path, typer.Option(help="Where stores are made.")] = Path(),
) -> None:
    """Measure, print the table, and say what fell short."""
    said, printed = Console(stderr=True), Console(width=None if sys.stdout.isatty() else 150)
    sizes = SIZES + (1_000_000,) * (million or slow) + (10_000_000,) * slow
    began = time.perf_counter()
    for remark in peers.missing():
        said.print(remark, style="yellow", markup=False)
    unsynced = machine.unsynced(folder)
    if unsynced is not None:
        said.print(f"durable rows are left out: {unsynced}", style="yellow")
    with tempfile.TemporaryDirectory(prefix="batpak-bench-", dir=folder) as name:
        plan = Plan(work.make(events), rounds, Path(name), sizes, synced=unsynced is None)
        lines = measured(plan, rows or list(Row), said)
    about = {
        **machine.describe(folder),
        "payload": f"OrderPaid, {plan.work.payload_bytes():.0f} bytes of MessagePack",
        "settings": f"{events:,} events, {work.ENTITIES:,} entities, {rounds} rounds; SQLite WAL",
        "peers": "encode with msgspec, make ids, hash with BLAKE3; what is called raw does not",
        "took": f"{time.perf_counter() - began:.0f} s",
    }
    missed = table.gate_misses(lines)
    if as_json:
        sys.stdout.write(
            json.dumps({"about": about, "lines": table.as_json(lines)}, indent=1) + "\n"
        )
    else:
        table.show(printed, lines)
        for what, value in about.items():
            printed.print(f"{what}: {value}", highlight=False)
        for miss in missed:
            printed.print(f"[red]short[/red] {miss}", highlight=False)
    if gate and missed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
