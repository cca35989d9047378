"""A family of the proof: many small jobs, each of which counts what it did and what it found.

    job.run(Size.DEFAULT)    what `python -m tests.proof` does, and every test run in part
    job.run(Size.LONG)       what one command does in about an hour

A job is the same for pytest, for the report and for a sabotaged engine: it never raises for what it
finds, it writes it down, with what repeats it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum
from typing import Final, NamedTuple

from batpak.errors import BatpakError

SEED_NAME: Final = "BATPAK_PROOF_SEED"
SEED: Final = int(os.environ.get(SEED_NAME, "20261121"))
FINDINGS_MAX: Final = 5  # kept of one job


class Size(Enum):
    """How much of a family is done."""

    DEFAULT = "default"
    LONG = "long"


class Violation(NamedTuple):
    """A promise that did not hold."""

    case: str  # what repeats it, inside the job
    what: str


class EnoughSeen(Exception):
    """A job has found what it looks for; nobody needs the rest."""


class Tally:
    """What a job did: counts by what is counted, and violations.

    Args:
        stop_early: Whether the first violation ends the job, as when the engine is sabotaged.
    """

    def __init__(self, *, stop_early: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self.violations_count = 0
        self._stop_early = stop_early
        self._where = ""

    def count(self, what: str, number: int = 1) -> None:
        """So many more of `states`, `faults`, `inputs`, `kills`, `steps`, …."""
        self.counts[what] += number

    def violated(self, case: str, what: str) -> None:
        """A promise did not hold.

        Raises:
            EnoughSeen: That was all that was asked for.
        """
        self.violations_count += 1
        if len(self.violations) < FINDINGS_MAX:
            self.violations.append(Violation(self._where + case, what))
        if self._stop_early:
            raise EnoughSeen

    @contextmanager
    def inside(self, part: str) -> Generator[None]:
        """Inside the block the names of cases begin with the part of the job that they are of."""
        outside, self._where = self._where, f"{self._where}{part}: "
        try:
            yield
        finally:
            self._where = outside

    @contextmanager
    def case(self, case: object) -> Generator[None]:
        """One case: whatever it raises is a violation, with the name of the case.

        An exception that is no `BatpakError` and no failed assertion is one as well: nothing else
        may leave the store.
        """
        try:
            yield
        except EnoughSeen:
            raise
        except (AssertionError, BatpakError) as error:
            self.violated(str(case), f"{type(error).__name__}: {error}"[:500])
        except Exception as error:  # noqa: BLE001  it is what we look for
            self.violated(str(case), f"untyped {type(error).__name__}: {error}"[:500])


class Job(NamedTuple):
    """A part of a family that can be run alone, in any process."""

    family: str
    name: str
    work: Callable[[Tally, Size], None]

    def run(self, size: Size = Size.DEFAULT, *, stop_early: bool = False) -> Tally:
        """Do it, and say what was done and found."""
        tally = Tally(stop_early=stop_early)
        try:
            self.work(tally, size)
        except EnoughSeen:
            pass
        except Exception as error:  # noqa: BLE001  a sabotaged engine may stop before any case
            tally.violations_count += 1
            tally.violations.append(Violation("the whole job", f"{type(error).__name__}: {error}"))
        return tally
