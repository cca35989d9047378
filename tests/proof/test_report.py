"""The report fails where it has to: on nothing done, on nothing found to do, on every finding.

Would slip through without it: a misspelt family that is reported as proved, and a report that
breaks on the finding it should show.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import pytest
import typer
from rich.console import Console

from tests.proof.families import FAMILIES
from tests.proof.family import Violation
from tests.proof.report import Done, jobs_of, main, show

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-is-promised.md"


def done(*violations: Violation, states: int = 1) -> Done:
    counts = Counter({"states": states})
    return Done("crash", "a job", counts, len(violations), list(violations), 0.0, 0)


def shown(one: Done, due: dict[str, int]) -> tuple[bool, str]:
    console = Console(file=io.StringIO(), width=200)
    failed = show(console, [one], due)
    assert isinstance(console.file, io.StringIO)
    return failed, console.file.getvalue()


@pytest.mark.parametrize(
    ("family", "job"), [("processes", ""), ("crash", "no such"), ("", "no such")]
)
def test_a_run_of_nothing_is_refused(family: str, job: str) -> None:
    with pytest.raises(typer.BadParameter):
        jobs_of(family, job)


def test_a_part_can_be_named() -> None:
    assert jobs_of("crash", "mixed COMMIT m") == [("crash", "mixed COMMIT mapped")]


def test_sabotage_goes_alone() -> None:
    with pytest.raises(typer.BadParameter):
        main(sabotage=True, family="crash")


def test_what_was_done_and_found_nothing_passes() -> None:
    assert not shown(done(), {"states": 1})[0]


@pytest.mark.parametrize(
    ("one", "due", "line"),
    [
        (done(Violation("[/case]", "[red] [/] [1]")), {}, "crash / a job / [/case]: [red] [/] [1]"),
        (done(), {"states": 2}, "1 states, and 2 are due"),
        (done(), {"faults": 1}, "0 faults, and 1 are due"),
        (done(states=0), {}, "crash / a job did nothing"),
    ],
)
def test_what_was_found_or_is_missing_is_shown_and_fails(
    one: Done, due: dict[str, int], line: str
) -> None:
    failed, text = shown(one, due)

    assert failed
    assert line in text


def test_the_page_has_the_families_that_there_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    _, _, table = page.partition("| Family |")
    rows = re.findall(r"^\| (\w+) \|", table, re.MULTILINE)
    promises = re.findall(r"^\| P\d+ \|.*\| ([^|]+) \|$", page, re.MULTILINE)
    named = {name for cell in promises for name in cell.split(", ") if not name.startswith("`")}

    assert set(rows) == set(FAMILIES)
    assert named <= set(FAMILIES)
