"""Where the time of one kind of call goes: a shortfall is explained by a profile.

    python tests/bench/profile.py append|get|scan|batch [--events 20000] [--top 30] [--steps]

The profiler multiplies the price of small functions, so read the order, not the microseconds. The
number of bytecodes (`--steps`) has no noise: it is the same on every machine with one Python.
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
from collections import Counter
from collections.abc import Callable
from enum import Enum
from functools import partial
from types import FrameType
from typing import Annotated, Any

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
    steps: Annotated[bool, typer.Option("--steps", help="Count bytecodes instead.")] = False,
) -> None:
    """Print the functions that the time was spent in, most of it first."""
    made = work.make(events)
    report = partial(count, events=events) if steps else profile
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


def profile(run: Callable[[], object], top: int) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(run)
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(top)


def count(run: Callable[[], object], top: int, *, events: int) -> None:
    """Print how many bytecodes and calls an event took, by function."""
    codes: Counter[str] = Counter()
    calls: Counter[str] = Counter()

    def trace(here: FrameType, event: str, _: object) -> Any:  # noqa: ANN401  as sys.settrace
        here.f_trace_opcodes, here.f_trace_lines = True, False
        (codes if event == "opcode" else calls)[here.f_code.co_qualname] += event in _COUNTED
        return trace

    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    print(f"{codes.total() / events:.0f} bytecodes, {calls.total() / events:.1f} calls an event")
    for name, number in codes.most_common(top):
        print(f"{number / events:9.1f} {calls[name] / events:6.2f}  {name}")


_COUNTED = frozenset({"opcode", "call"})


if __name__ == "__main__":
    typer.run(main)
