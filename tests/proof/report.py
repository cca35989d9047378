"""The report: every family run, over all cores; what was explored, and what did not hold.

    python -m tests.proof                   in about two minutes; a plain pytest does a third
    python -m tests.proof --long            a million states and more, in about an hour
    python -m tests.proof --seed 7          other crashes, faults and inputs, which 7 repeats
    python -m tests.proof --family crash --job "mixed COMMIT"       a part of it
    python -m tests.proof --sabotage        the engine broken on purpose, one line at a time

The long run says on standard error what each job did, as it ends. A run ends with 1 if a promise
did not hold, if less was explored than is due, or if a job did nothing.
`families` says which families there are, and what is in which module.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from tests.proof.family import SEED, SEED_NAME, Size, Violation

MIB: Final = 1 << 20
MEMORY_MAX: Final = 256 * MIB
COLLECTED: Final = 700, 2, 1  # few objects hold a whole disk: the usual thresholds leave dozens


class Done(NamedTuple):
    """What one job did."""

    family: str
    name: str
    counts: Counter[str]
    violations_count: int
    violations: list[Violation]
    seconds: float
    memory: int  # bytes, the most that its process has had so far


def do(family: str, name: str, size: Size) -> Done:
    """Run one job in this process."""
    from tests.proof.families import job_of

    warnings.simplefilter("ignore", ResourceWarning)  # who was cut off closes nothing
    began = time.perf_counter()
    job = job_of(family, name)
    gc.collect()
    gc.freeze()  # what is imported stays; a collection does not look at it again
    gc.set_threshold(*COLLECTED)
    tally = job.run(size)
    gc.collect()  # a machine refers to itself, and to a whole disk
    return Done(
        family,
        name,
        tally.counts,
        tally.violations_count,
        tally.violations,
        time.perf_counter() - began,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def do_all(jobs: Sequence[tuple[str, str]], size: Size) -> Iterator[Done]:
    """Run jobs over all cores, as they come to an end."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(do, *job, size) for job in jobs]):
            yield future.result()


def main(
    long: Annotated[bool, typer.Option("--long", help="All of it, in about an hour.")] = False,
    family: Annotated[str, typer.Option(help="Only this family, such as crash.")] = "",
    job: Annotated[str, typer.Option(help="Only jobs with this in their names.")] = "",
    seed: Annotated[int, typer.Option(help="Of all that is chosen.")] = SEED,
    sabotage: Annotated[
        bool, typer.Option("--sabotage", help="Break the engine, and see that it is noticed.")
    ] = False,
) -> None:
    """Explore crashes, faults, damage and hostile bytes, and say what was found."""
    if sabotage and (long or family or job or seed != SEED):
        raise typer.BadParameter("--sabotage goes alone: each switch has a job that notices it")
    os.environ[SEED_NAME] = str(seed)  # for the processes that do the work
    console = Console(width=None if sys.stdout.isatty() else 120)
    if sabotage:
        from tests.proof.sabotaged import report

        raise typer.Exit(report(console) > 0)
    from tests.proof.families import DUE

    size = Size.LONG if long else Size.DEFAULT
    chosen = jobs_of(family, job)
    began = time.perf_counter()
    progress = track(
        do_all(chosen, size), "exploring", len(chosen), console=console,
        disable=not console.is_terminal, transient=True,
    )  # fmt: skip
    done = [_told(one) if long else one for one in progress]
    wall = time.perf_counter() - began
    due = {} if family or job else DUE[size]
    console.print(f"seed {seed}, {size.value} run, {len(done)} jobs, {os.cpu_count()} cores")
    failed = show(console, done, due)
    memory = max((one.memory for one in done), default=0)
    console.print(f"{wall:.0f} s; at most {memory // MIB} MiB in a process")
    if memory > MEMORY_MAX:
        console.print(f"[red]more than {MEMORY_MAX // MIB} MiB")
        failed = True
    raise typer.Exit(int(failed))


def _told(one: Done) -> Done:
    """Say on standard error that a job has ended: an hour is long to wait for the first word."""
    what = ", ".join(f"{number:,} {of}" for of, number in one.counts.items())
    wrong = f", {one.violations_count} violations" if one.violations_count else ""
    cost = f"{one.seconds:.0f} s, {one.memory // MIB} MiB"
    print(f"{one.family} / {one.name}: {what}, {cost}{wrong}", file=sys.stderr)
    return one


def jobs_of(family: str, job: str) -> list[tuple[str, str]]:
    """The names of the jobs that are asked for.

    Raises:
        BadParameter: There are none: a run of nothing would find nothing.
    """
    from tests.proof.families import FAMILIES, JOBS

    if family and family not in FAMILIES:
        raise typer.BadParameter(f"no family is called {family!r}: {', '.join(FAMILIES)}")
    chosen = [(j.family, j.name) for j in JOBS if family in ("", j.family) and job in j.name]
    if not chosen:
        of = f"of {family} " if family else ""
        raise typer.BadParameter(f"no job {of}has {job!r} in its name")
    return chosen


def show(console: Console, done: list[Done], due: dict[str, int]) -> bool:
    """Print the table and what did not hold; whether anything did not, or is missing."""
    by_family: dict[str, list[Done]] = defaultdict(list)
    for one in done:
        by_family[one.family].append(one)
    table = Table("family", "jobs", "explored", "seconds", "violations")
    total = Counter[str]()
    for family, jobs in sorted(by_family.items()):
        counts = sum((one.counts for one in jobs), Counter[str]())
        total += counts
        table.add_row(
            family,
            str(len(jobs)),
            ", ".join(f"{number:,} {what}" for what, number in counts.items()),
            f"{sum(one.seconds for one in jobs):.1f}",
            str(sum(one.violations_count for one in jobs)),
        )
    missing = [
        f"{total[what]:,} {what}, and {least:,} are due"
        for what, least in due.items()
        if total[what] < least
    ]
    missing += [f"{one.family} / {one.name} did nothing" for one in done if not one.counts.total()]
    console.print(table)
    violations = [(one, violation) for one in done for violation in one.violations]
    for one, violation in violations:
        case = escape(f"{one.family} / {one.name} / {violation.case}")
        console.print(f"[red]{case}[/]: {escape(violation.what)}")
    for line in missing:
        console.print(f"[red]{line}")
    return bool(violations or missing)
