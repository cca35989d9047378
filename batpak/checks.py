"""Append-time predicates, called by generated checks. They take `object`: callers may have lied."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping, Sized
from datetime import UTC, date, datetime, timedelta
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    Inexact,
    InvalidOperation,
)
from enum import Enum
from operator import is_
from typing import Final, TypeGuard, TypeVar, cast
from uuid import UUID

from batpak.codec import PlainDecimal

T = TypeVar("T")

_EXPONENT_FROM: Final = 7  # the scale from which `str` writes small decimals as 1E-7

UNRECOGNIZED: Final = "\0"  # the value of the member of an open enum that stands for the others

SHOWN_MAX: Final = 64  # characters of a value in a message


class Problems(list[str]):
    """What is wrong with one payload. Empty (and falsy) when it may be appended."""

    def add(self, at: str, value: object, expected: str) -> None:
        """Note that the value at a path like `$.lines[0].quantity` is not what was expected."""
        try:
            shown = ascii(value)
        except Exception:  # noqa: BLE001  a hostile `__repr__`, or an int of 5,000 digits
            shown = f"a {type(value).__name__}"
        shown = shown if len(shown) <= SHOWN_MAX else shown[: SHOWN_MAX - 1] + "…"
        self.append(f"{at}: expected {expected}, got {shown}")


# Predicates. Types are exact: a bool is no integer, a list no tuple, a subclass not its base.


def is_bool(value: object) -> TypeGuard[bool]:
    """`True` or `False`."""
    return value is True or value is False


def is_int(value: object, low: int, high: int) -> TypeGuard[int]:
    """An integer in low..high, both included."""
    return type(value) is int and low <= value <= high


def is_float(value: object) -> TypeGuard[float]:
    """A finite float, or an integer that a float holds exactly; `canonical_float` makes it one."""
    if type(value) is float:
        return math.isfinite(value)
    try:
        return type(value) is int and float(value) == value
    except OverflowError:
        return False


def is_text(value: object, shortest: int = 0, longest: int = sys.maxsize) -> TypeGuard[str]:
    """Text of so many characters (code points) that UTF-8 can hold: no lone surrogates."""
    if type(value) is not str or not shortest <= len(value) <= longest:
        return False
    return value.isascii() or _SURROGATE.search(value) is None


def is_bytes(value: object, shortest: int = 0, longest: int = sys.maxsize) -> TypeGuard[bytes]:
    """So many bytes."""
    return type(value) is bytes and shortest <= len(value) <= longest


def is_decimal(value: object, precision: int, scale: int) -> TypeGuard[Decimal]:
    """A finite number of at most `precision` digits when written with `scale` after the point.

    It is the number that counts, not its spelling: at scale 2, `1.5` and `1.500` will do, `1.555`
    will not.
    """
    if type(value) is not Decimal:
        return False
    unit = _UNITS[scale]
    if not value.same_quantum(unit):  # most are written as they will be stored
        if not value.is_finite():
            return False
        try:
            value = value.quantize(unit, context=_DECIMALS)
        except ArithmeticError:  # digits would be lost, or there are far too many
            return False
    return not value or value.adjusted() < precision - scale


def is_uuid(value: object) -> TypeGuard[UUID]:
    """A UUID; id types are UUIDs at run time."""
    return type(value) is UUID


def is_timestamp(value: object) -> TypeGuard[datetime]:
    """A datetime with a time zone, in the years 1..9999 of UTC.

    The instant is stored, not the zone. (Python calls an hour that a zone has twice unequal to
    the same instant in UTC, PEP 495; it is stored as the instant it names.)
    """
    if type(value) is not datetime or value.tzinfo is None:
        return False
    if value.tzinfo is UTC:
        return True
    try:
        return value.utcoffset() is not None and value.astimezone(UTC).tzinfo is UTC
    except Exception:  # noqa: BLE001  a tzinfo is somebody else's code; OverflowError is ours
        return False


def is_date(value: object) -> TypeGuard[date]:
    """A date; a datetime is none."""
    return type(value) is date


def is_duration(value: object) -> TypeGuard[timedelta]:
    """A timedelta."""
    return type(value) is timedelta


def is_member(value: object, of: type[Enum]) -> bool:
    """A member of exactly this enum; its stored text is none, and UNRECOGNIZED is not one."""
    return type(value) is of and value._value_ != UNRECOGNIZED


def is_list(
    value: object, shortest: int = 0, longest: int = sys.maxsize
) -> TypeGuard[tuple[object, ...]]:
    """A tuple of so many items."""
    return _holds(value, tuple, shortest, longest)


def is_set(
    value: object, shortest: int = 0, longest: int = sys.maxsize
) -> TypeGuard[frozenset[object]]:
    """A frozenset of so many items."""
    return _holds(value, frozenset, shortest, longest)


def is_map(
    value: object, shortest: int = 0, longest: int = sys.maxsize
) -> TypeGuard[dict[str, object]]:
    """A dict of so many items whose keys are text."""
    if not _holds(value, dict, shortest, longest):
        return False
    return all(map(is_text, cast("dict[object, object]", value)))


def _holds(value: object, cls: type[Sized], shortest: int, longest: int) -> bool:
    return type(value) is cls and shortest <= len(value) <= longest


def is_exactly(value: object, cls: type[T]) -> TypeGuard[T]:
    """An instance of this class, not of a subclass."""
    return type(value) is cls


# One spelling per value. What is in it already comes back as the same object.


def canonical_decimal(value: Decimal, scale: int) -> Decimal:
    """The same number with `scale` digits after the point, and no negative zero.

    Only for what `is_decimal` accepts at this scale.
    """
    unit = _UNITS[scale]
    if value.same_quantum(unit) and (value or not value.is_signed()):
        exact = value
    else:
        exact = value.quantize(unit, context=_DECIMALS)
        exact = exact or exact.copy_abs()
    spelled_out = scale < _EXPONENT_FROM or type(exact) is PlainDecimal or "E" not in str(exact)
    return exact if spelled_out else PlainDecimal(exact)


def canonical_float(value: float) -> float:
    """The same number as a float. Only for what `is_float` accepts."""
    return value if type(value) is float else float(value)


def canonical_each(fn: Callable[[T], T], items: tuple[T, ...]) -> tuple[T, ...]:
    """The items, each in its one spelling."""
    fresh = tuple(map(fn, items))
    return items if all(map(is_, fresh, items)) else fresh


def canonical_items(fn: Callable[[T], T], items: Mapping[str, T]) -> Mapping[str, T]:
    """The map, each value in its one spelling."""
    fresh = {key: fn(value) for key, value in items.items()}
    return items if all(map(is_, fresh.values(), items.values())) else fresh


def canonical_set(fn: Callable[[T], T], items: frozenset[T]) -> frozenset[T]:
    """The set, each item in its one spelling."""
    fresh = {item: fn(item) for item in items}
    return items if all(map(is_, fresh.values(), fresh)) else frozenset(fresh.values())


_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SCALE_MAX: Final = 18
_PRECISION_MAX: Final = 38

# What is stored may not depend on the decimal context of the thread that stores it.
_DECIMALS: Final = Context(
    prec=_PRECISION_MAX,
    rounding=ROUND_HALF_EVEN,
    Emin=MIN_EMIN,
    Emax=MAX_EMAX,
    capitals=1,
    clamp=0,
    traps=[Inexact, InvalidOperation],
)
_UNITS: Final = tuple(Decimal((0, (1,), -scale)) for scale in range(_SCALE_MAX + 1))
