"""Every job of every family, as `tests.proof.report` runs them all at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.proof.families import JOBS
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


@pytest.mark.parametrize(
    "size",
    [
        Size.DEFAULT,
        pytest.param(Size.LONG, marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
    ],
    ids=lambda size: size.value,
)
@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.family}: {job.name}")
def test_every_promise_holds(job: Job, size: Size) -> None:
    tally = job.run(size)

    assert tally.violations_count == 0, tally.violations
    assert tally.counts.total() > 0
    if all(what.startswith("skipped") for what in tally.counts):
        pytest.skip(", ".join(tally.counts))
