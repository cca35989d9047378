"""How far limits leave a type room: the lowest and the highest value, and how many there are."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

from batpak_codegen import matched
from batpak_codegen.ir import INT_RANGES, int_range
from batpak_codegen.pattern import read
from batpak_codegen.types import EnumType, Scalar, Type, bare


def decimal_range(scalar: Scalar) -> tuple[int, int]:
    """Return the lowest and the highest value of a decimal, in units of its last digit."""
    bounds, unit = scalar.bounds, 10 ** (scalar.scale or 0)
    high = 10 ** (scalar.precision or 0) - 1
    low = -high
    if bounds.ge is not None:
        low = max(low, math.ceil(Fraction(bounds.ge) * unit))
    if bounds.gt is not None:
        low = max(low, math.floor(Fraction(bounds.gt) * unit) + 1)
    if bounds.le is not None:
        high = min(high, math.floor(Fraction(bounds.le) * unit))
    if bounds.lt is not None:
        high = min(high, math.ceil(Fraction(bounds.lt) * unit) - 1)
    return low, high


def nearest(limit: Decimal, inwards: float) -> float:
    """Return a limit as a float; a whole number that is none is compared with as it is."""
    found = float(limit)
    if is_itself(limit, found):
        return found
    outside = Decimal(found) < limit if inwards > 0 else Decimal(found) > limit
    return math.nextafter(found, inwards) if outside else found


def is_itself(limit: Decimal, found: float) -> bool:
    """Whether the `nearest` to a limit is what values are compared with, so that `gt` is above."""
    return "." in f"{limit:f}" or Decimal(found) == limit


def _beyond(limit: Decimal, inwards: float) -> float:
    found = nearest(limit, inwards)
    return math.nextafter(found, inwards) if is_itself(limit, found) else found


def _float_range(scalar: Scalar) -> tuple[float, float]:
    bounds = scalar.bounds
    lows = [nearest(bounds.ge, math.inf)] if bounds.ge is not None else []
    highs = [nearest(bounds.le, -math.inf)] if bounds.le is not None else []
    if bounds.gt is not None:
        lows.append(_beyond(bounds.gt, math.inf))
    if bounds.lt is not None:
        highs.append(_beyond(bounds.lt, -math.inf))
    return max(lows, default=-math.inf), min(highs, default=math.inf)


def is_empty(scalar: Scalar) -> bool:
    """Whether no number is within the limits."""
    low: float
    high: float
    if scalar.name in INT_RANGES:
        low, high = int_range(scalar)
    elif scalar.name == "decimal":
        low, high = decimal_range(scalar)
    elif scalar.name == "f64":
        low, high = _float_range(scalar)
        return low > high or low == math.inf or high == -math.inf
    else:
        return False
    return low > high


def count(type_: Type) -> int | None:
    """Return how many values a type of a set's items has, if that is few enough to matter."""
    of = bare(type_)
    if isinstance(of, EnumType):
        return len(of.members)
    if isinstance(of, Scalar) and of.name in INT_RANGES:
        low, high = int_range(of)
        return high - low + 1
    if isinstance(of, Scalar) and of.bounds.max_length == 0:
        return 1
    if isinstance(of, Scalar) and of.bounds.pattern is not None:
        bounds = of.bounds
        return matched.count(read(bounds.pattern), bounds.min_length or 0, bounds.max_length)
    return None
