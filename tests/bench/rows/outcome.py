"""Outcomes: what it costs to answer with one, and to go on from it.

The peer is what people write by hand: frozen dataclasses with slots, one for the value and one for
the error, each with a `map`. It checks as much as ours, which is nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from timeit import Timer
from typing import Generic, Self, TypeVar

from batpak.outcome import Err, ErrorKind, Ok, OutcomeError
from tests.bench.line import OURS, AtMost, Line, Times, Unit
from tests.bench.rounds import Plan, measure

PEER = "frozen dataclass with slots"
CALLS = 200_000

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Value(Generic[T]):
    """The peer of `Ok`."""

    value: T

    def map(self, f: Callable[[T], U]) -> Value[U]:
        return Value(f(self.value))


@dataclass(frozen=True, slots=True)
class Failure:
    """The peer of `Err`."""

    message: str

    def map(self, _f: Callable[[object], object]) -> Self:
        return self


def lines(plan: Plan) -> list[Line]:
    """One is made; a value is mapped; an error is passed by. The loop around it counts."""
    err = Err(OutcomeError(ErrorKind.NOT_FOUND, "no"))
    wanted: list[tuple[str, str, object, object, float, float]] = [
        ("make an Ok", "it(7)", Ok, Value, 3, 50),
        ("map an Ok", "it.map(f)", Ok(7), Value(7), 3, 100),
        ("map an Err", "it.map(f)", err, Failure("no"), 0.8, 30),
    ]
    return [
        measure(
            Line(
                "outcome",
                title,
                OURS,
                Unit.NANOSECONDS,
                per_second=False,
                aims=[Times(OURS, PEER, factor), AtMost(OURS, bound)],
            ),
            plan.rounds,
            [(OURS, _each(statement, ours)), (PEER, _each(statement, peer))],
        )
        for title, statement, ours, peer, factor, bound in wanted
    ]


def _each(statement: str, it: object) -> Callable[[], float]:
    """The same statement about another object, as nanoseconds for each of many calls."""
    timer = Timer(statement, globals={"it": it, "f": _same})
    return lambda: timer.timeit(CALLS) / CALLS * 1e9


def _same(value: object) -> object:
    return value
