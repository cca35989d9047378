"""Decimal arithmetic of generated code: exact or an error, in whatever thread it runs.

A schema's sums must not depend on `decimal.getcontext()` of the caller, which is free to round.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    Context,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import wraps
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

EXACT: Final = Context(
    prec=100,
    rounding=ROUND_HALF_EVEN,
    Emin=MIN_EMIN,
    Emax=MAX_EMAX,
    capitals=1,
    clamp=0,
    traps=[DivisionByZero, Inexact, InvalidOperation, Overflow],
)
"""100 digits, and a result that would have to be rounded raises."""


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function under `EXACT`; the context of the thread is as it was afterwards."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(EXACT):
            return function(*args, **kwargs)

    return run
