"""Every job of every family, as `tests.proof.report` runs them all at once.

A plain `pytest` does a third of them; `python -m tests.proof` and `pytest -m slow` do them all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from _pytest.mark import ParameterSet

from tests.proof.families import JOBS, SLICE
from tests.proof.family import Job, Size

# A machine that was cut off has nobody to close its store, or to drain it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """What pytest captures of the log would keep errors, and with them stores, in memory."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def once(job: Job) -> ParameterSet:
    """A job as every test run does it, or only a long one."""
    marks = [] if job in SLICE else [pytest.mark.slow]
    return pytest.param(job, Size.DEFAULT, marks=marks, id=f"{job.family}: {job.name}")


def at_length(job: Job) -> ParameterSet:
    marks = [pytest.mark.slow, pytest.mark.timeout(7200)]
    return pytest.param(job, Size.LONG, marks=marks, id=f"{job.family}: {job.name}, long")


@pytest.mark.parametrize(("job", "size"), [*map(once, JOBS), *map(at_length, JOBS)])
def test_every_promise_holds(job: Job, size: Size) -> None:
    tally = job.run(size)

    assert tally.violations_count == 0, tally.violations
    assert tally.counts.total() > 0
    if all(what.startswith("skipped") for what in tally.counts):
        pytest.skip(", ".join(tally.counts))
