"""The compiler beside its peer: cold, with nothing to do, grown, and what comes out of it.

    python tests/bench/compiler.py [--rounds 3] [--large]

Every figure is a whole process. Cold means that nothing was generated yet; files are in the page
cache. `--large` grows to ten thousand events. The peer, datamodel-code-generator, makes msgspec
structs of the same shapes; if it is not installed it is left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console

if __name__ == "__main__":
    HERE = Path(__file__).absolute().parents[2]
    sys.path[0:1] = [str(HERE), str(HERE / "examples" / "orders")]

from tests.bench import domain, machine, table
from tests.bench.line import OURS, AtMost, Line, Times, Unit
from tests.bench.rounds import measure
from tests.bench.rows.growth import exponent

ROOT: Final = Path(__file__).absolute().parents[2]
PEER: Final = "datamodel-code-generator"
SIZES: Final = (125, 250, 500, 1000, 2000, 4000)
LARGEST: Final = 10_000
MIB: Final = 1 << 20
_PATH: Final = os.pathsep.join([str(ROOT), str(ROOT / "codegen")])
_ENV: Final = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # nobody compiles at each start
BATPAK: Final = (str(Path(sys.executable).with_name("batpak")),)


class Ran(NamedTuple):
    """What a process took."""

    cpu_ms: float
    wall_ms: float
    memory_bytes: int


def ran(command: Sequence[str], folder: Path) -> Ran:
    """Run a command to its end.

    Raises:
        CalledProcessError: It did not end with 0.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env={**_ENV, "PYTHONPATH": _PATH},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Ran((usage.ru_utime + usage.ru_stime) * 1e3, wall * 1e3, usage.ru_maxrss << 10)


def cold(project: Path) -> Ran:
    """A first run."""
    for name in ("app/gen", ".batpak"):
        shutil.rmtree(project / name, ignore_errors=True)
    return ran([*BATPAK, "gen"], project)


def timed(title: str, *aims: AtMost | Times, base: str = "") -> Line:
    """A line of milliseconds."""
    return Line("gen", title, base, Unit.MILLISECONDS, per_second=False, aims=list(aims))


def first_run(home: Path, rounds: int) -> list[Line]:
    """A thousand events from nothing, beside the peer: CPU time and memory."""
    project = domain.project(home / "thousand", 1000)
    shapes = domain.json_schema(home, 1000)
    line = timed(
        "gen of 1,000 events × 8 fields, cold, CPU",
        AtMost(OURS, 1000, "≤ 1 s"), Times(OURS, PEER, 5), base=OURS,
    )  # fmt: skip
    memory = Line(
        "gen", "most memory of that", OURS, Unit.BYTES, per_second=False,
        aims=[AtMost(OURS, 200 * MIB, "≤ 200 MiB")],
    )  # fmt: skip
    peer = [
        sys.executable, "-m", "datamodel_code_generator", "--input", str(shapes),
        "--input-file-type", "jsonschema", "--output", str(home / "shapes.py"),
        "--output-model-type", "msgspec.Struct",
    ]  # fmt: skip

    def of(name: str, run: Callable[[], Ran]) -> Callable[[], float]:
        def once() -> float:
            done = run()
            memory.took(name, done.memory_bytes)
            return done.cpu_ms

        return once

    contenders = [(OURS, of(OURS, lambda: cold(project)))]
    if find_spec("datamodel_code_generator"):
        contenders.append((PEER, of(PEER, lambda: ran(peer, home))))
    return [measure(line, rounds, contenders), memory]


def grown(home: Path, rounds: int, sizes: Sequence[int]) -> list[Line]:
    """How the time of a first run grows with the events."""
    projects = {size: domain.project(home / f"of{size}", size) for size in sizes}
    line = timed("gen, cold, CPU")
    names = [f"{size:,} events" for size in sizes]
    runs = [lambda project=project: cold(project).cpu_ms for project in projects.values()]
    measure(line, rounds, list(zip(names, runs, strict=True)))
    slope = Line(
        "gen", "growth of that, exponent", "", Unit.EXPONENT, per_second=False,
        aims=[AtMost(OURS, 1.1, "≤ 1.1")],
    )  # fmt: skip
    for values in zip(*line.samples.values(), strict=True):
        slope.took(OURS, exponent(sizes, values))
    return [line, slope]


def small(home: Path, rounds: int) -> list[Line]:
    """A hundred events: nothing to do, checked, and the command that only says how to use it."""
    project = domain.project(home / "hundred", 100)
    cold(project)
    help_ = timed("batpak --help beyond the bare interpreter", AtMost(OURS, 60, "≤ 60 ms"))

    def beyond() -> float:
        nothing = ran([sys.executable, "-c", "pass"], project).wall_ms
        return ran([*BATPAK, "--help"], project).wall_ms - nothing

    idle = timed("gen of 100 events, nothing to do", AtMost(OURS, 150, "≤ 150 ms"))
    check = timed("check of 100 events", AtMost(OURS, 250, "≤ 250 ms"))
    return [
        measure(idle, rounds, [(OURS, lambda: ran([*BATPAK, "gen"], project).wall_ms)]),
        measure(check, rounds, [(OURS, lambda: ran([*BATPAK, "check"], project).wall_ms)]),
        measure(help_, rounds, [(OURS, beyond)]),
    ]


_IMPORT: Final = """
import sys, time
import {before}
began = time.process_time()
{statement}
sys.stdout.write(str((time.process_time() - began) * 1e3))
"""


def imported(before: str, statement: str, *folders: Path) -> Callable[[], float]:
    """How long a statement takes in a fresh process that has imported something, in ms of CPU."""
    code = _IMPORT.format(before=before, statement=statement)
    env = {**_ENV, "PYTHONPATH": os.pathsep.join([_PATH, *map(str, folders)])}

    def once() -> float:
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, check=True, stdout=subprocess.PIPE
        )
        return float(done.stdout)

    return once


def front(rounds: int) -> list[Line]:
    """What the run time costs a program that starts: the name alone, and all that is public."""
    whole = "every public name"
    line = timed(
        "import of batpak beyond msgspec and blake3",
        AtMost(OURS, 40, "≤ 40 ms"), AtMost(whole, 40, "≤ 40 ms"),
    )  # fmt: skip
    needs = "msgspec, blake3"
    names = {OURS: "import batpak", whole: "from batpak import *"}
    return [measure(line, rounds, [(name, imported(needs, do)) for name, do in names.items()])]


def made(home: Path, rounds: int) -> list[Line]:
    """What is generated: imported, and checked by mypy."""
    fifty = domain.project(home / "fifty", 50)
    cold(fifty)
    imports = timed("import of 50 generated events", AtMost("beyond msgspec", 25, "≤ 25 ms"))

    before = {"beyond batpak": "batpak, batpak.abi", "beyond msgspec": "msgspec"}
    do = "import app.gen.app.part0"
    measure(imports, rounds, [(name, imported(it, do, fifty)) for name, it in before.items()])
    checked = domain.project(home / "typed", 200)
    cold(checked)
    types = timed("mypy --strict of 200 generated events, cold", AtMost(OURS, 3000, "≤ 3 s"))

    def mypy() -> float:
        cache = home / "cache"
        shutil.rmtree(cache, ignore_errors=True)
        command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={cache}", "app"]
        return ran(command, checked).wall_ms

    return [imports, measure(types, rounds, [(OURS, mypy)])]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Beside the one that warms up.")] = 3,
    large: Annotated[bool, typer.Option("--large", help="Grow to 10,000 events.")] = False,
) -> None:
    """Measure, print the table, and say what fell short."""
    printed = Console(width=None if sys.stdout.isatty() else 150)
    sizes = (*SIZES, LARGEST) if large else SIZES
    with tempfile.TemporaryDirectory(prefix="batpak-bench-") as name:
        home = Path(name)
        lines = [
            *front(rounds), *first_run(home, rounds), *small(home, rounds), *made(home, rounds),
            *grown(home, min(rounds, 2), sizes),
        ]  # fmt: skip
    table.show(printed, lines)
    for what, value in machine.describe(Path()).items():
        printed.print(f"{what}: {value}", highlight=False)
    for miss in table.gate_misses(lines):
        printed.print(f"[red]short[/red] {miss}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
