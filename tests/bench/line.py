"""A line of the table: samples of several contenders, their ratios, and what was aimed at.

Every sample is something to have little of: microseconds an event, bytes, a growth exponent. A
ratio is taken within one round and then the median of the rounds is reported, so that a machine
that slows down for a while slows both sides of it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final


class Unit(Enum):
    """What a sample counts; the value is what the table says behind it."""

    NANOSECONDS = "ns"
    MICROSECONDS = "µs"
    MILLISECONDS = "ms"
    BYTES = "B"
    EXPONENT = "exponent"
    GROUPS = "groups"


@dataclass(frozen=True)
class Times:
    """`subject` is to be at least `factor` times as fast as `against` (or to take a fraction)."""

    subject: str
    against: str
    factor: float
    said: str = ""  # how the aim was put, if not as a factor of speed

    @property
    def text(self) -> str:
        return self.said or f"≥ {self.factor:g}×"


@dataclass(frozen=True)
class AtMost:
    """The median of `subject` is to be at most `bound`. Exponents gate; the rest is a hope."""

    subject: str
    bound: float
    said: str = ""

    @property
    def text(self) -> str:
        return self.said or f"≤ {self.bound:g}"


Aim = Times | AtMost


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, between the lowest and the highest."""

    low: float
    median: float
    high: float

    @staticmethod
    def of(samples: Sequence[float]) -> Spread:
        return Spread(min(samples), statistics.median(samples), max(samples))


@dataclass(frozen=True)
class Verdict:
    """What became of an aim."""

    aim: Aim
    value: float
    reached: bool
    gates: bool


@dataclass
class Line:
    """What is measured, and each contender's sample of each round.

    Ratios of a line compare with `base`: how many times as fast as it a contender is if the line
    is about `scaling`, otherwise how many times as fast `base` is.
    """

    key: str
    title: str
    base: str
    unit: Unit = Unit.MICROSECONDS
    scaling: bool = False
    per_second: bool = True
    samples: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    remarks: dict[str, str] = field(default_factory=dict[str, str])
    aims: list[Aim] = field(default_factory=list[Aim])

    def took(self, name: str, sample: float) -> None:
        self.samples.setdefault(name, []).append(sample)

    def spread(self, name: str) -> Spread:
        return Spread.of(self.samples[name])

    def faster(self, subject: str, against: str) -> Spread:
        """How many times as fast `subject` is, round by round."""
        mine, other = self.samples[subject], self.samples[against]
        return Spread.of([b / a for a, b in zip(mine, other, strict=True)])

    def compared(self, name: str) -> Spread | None:
        """The ratio that stands beside a contender; none beside the base itself."""
        if name == self.base or self.base not in self.samples:
            return None
        if len(self.samples[name]) != len(self.samples[self.base]):
            return None
        return self.faster(name, self.base) if self.scaling else self.faster(self.base, name)

    def verdicts(self) -> dict[str, list[Verdict]]:
        """What became of the aims whose contenders took part, under the contender they stand by."""
        found: dict[str, list[Verdict]] = {}
        for aim in self.aims:
            if aim.subject not in self.samples:
                continue
            if isinstance(aim, AtMost):
                value = self.spread(aim.subject).median
                reached = value <= aim.bound
                verdict = Verdict(aim, value, reached, self.unit is Unit.EXPONENT)
                found.setdefault(aim.subject, []).append(verdict)
            elif aim.against in self.samples:
                value = self.faster(aim.subject, aim.against).median
                verdict = Verdict(aim, value, value >= aim.factor, gates=True)
                beside = aim.subject if self.scaling else aim.against
                found.setdefault(beside, []).append(verdict)
        return found


OURS: Final = "batpak"
"""How this store is called on every line it is on."""
