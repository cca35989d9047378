"""Where the time of one kind of call goes: a shortfall is explained by a profile.

    python tests/bench/profile.py append|get|scan|batch [--events 20000] [--top 30]

The profiler multiplies the price of small functions, so read the order, not the microseconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # before anything else: this folder must not hide the real `profile`
    ROOT = Path(__file__).absolute().parents[2]
    sys.path[0:1] = [str(ROOT), str(ROOT / "examples" / "orders")]

import cProfile
import pstats
import tempfile
from collections.abc import Callable
from enum import Enum
from typing import Annotated

import typer

from batpak import Durability, Store
from tests.bench import work
from tests.bench.contenders import batpak_store

BATCH = 1000


class Call(Enum):
    """What is profiled."""

    APPEND = "append"
    GET = "get"
    SCAN = "scan"
    BATCH = "batch"


def main(
    call: Annotated[Call, typer.Argument()],
    events: Annotated[int, typer.Option(min=1)] = 20_000,
    top: Annotated[int, typer.Option(min=1, help="How many functions.")] = 30,
    folder: Annotated[Path, typer.Option(help="Where the store is made.")] = Path(),
) -> None:
    """Print the functions that the time was spent in, most of it first."""
    made = work.make(events)
    with tempfile.TemporaryDirectory(prefix="batpak-bench-", dir=folder) as name:
        home = Path(name)
        if call is Call.APPEND:
            report(lambda: batpak_store.append(made, home, Durability.OS), top)
            return
        if call is Call.BATCH:
            report(lambda: batpak_store.append_batches(made, home, BATCH), top)
            return
        batpak_store.fill(made, home, events)
        with Store.open_read_only(home / batpak_store.FOLDER) as store:
            if call is Call.SCAN:
                report(lambda: batpak_store.scan(store), top)
            else:
                ids = batpak_store.ids(store)
                report(lambda: batpak_store.get(store, ids), top)


def report(run: Callable[[], object], top: int) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(run)
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(top)


if __name__ == "__main__":
    typer.run(main)
