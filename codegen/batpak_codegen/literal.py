"""Literals: the text of a `default:` or a limit, read by the type it stands for.

Values come out in the one spelling that is stored: a decimal at its scale, a time in UTC.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from batpak_codegen import pattern
from batpak_codegen.ir import int_range
from batpak_codegen.nodes import TextNode
from batpak_codegen.types import Bounds, EnumType, IdType, OptionalOf, Scalar, Type, bare

_PLAIN: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")
_FLOAT: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_INT: Final = re.compile(r"[+-]?(0|[1-9][0-9_]{0,30})")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)
_DURATION: Final = re.compile(
    r"(?P<sign>[+-]?)P(?=.)((?P<days>[0-9]{1,9})D)?"
    r"(T(?=.)((?P<hours>[0-9]{1,9})H)?((?P<minutes>[0-9]{1,9})M)?"
    r"((?P<seconds>[0-9]{1,9})(\.(?P<fraction>[0-9]{1,6}))?S)?)?"
)
_HEX: Final = re.compile(r"[0-9a-fA-F]{8}(-?)([0-9a-fA-F]{4}\1){3}[0-9a-fA-F]{12}")


class Misfit(Exception):
    """The text is no value of the type; the message says what one looks like."""


def number(text: str) -> Decimal | None:
    """Read a decimal number without exponent, or None."""
    return Decimal(text) if _PLAIN.fullmatch(text) else None


def read(type_: Type, node: TextNode) -> object:
    """Read `node` as a value of `type_`: exactly of its Python type; an enum as its stored text.

    Raises:
        Misfit: It is none, or this type has no literals.
    """
    null = node.value == "null" and not node.style
    if isinstance(type_, OptionalOf):
        return None if null else read(type_.of, node)
    type_ = bare(type_)
    if null:
        raise Misfit("only a type with ? can be null; quote it if it is text")
    if isinstance(type_, EnumType):
        if node.value not in (stored for _, stored in type_.members):
            shown = ", ".join(stored for _, stored in type_.members[:8])
            raise Misfit(f"write a stored value: {shown}")
        return node.value
    if isinstance(type_, IdType):
        return _uuid(node.value)
    if not isinstance(type_, Scalar) or type_.name == "bytes":
        raise Misfit("this type has no literals; leave the default out or make it optional with ?")
    return _scalar(type_, node)


def _scalar(scalar: Scalar, node: TextNode) -> object:
    if scalar.name == "bool":
        if node.style or node.value not in ("true", "false"):
            raise Misfit("write it plain: true or false")
        return node.value == "true"
    if scalar.name == "string":
        return _within_lengths(scalar.bounds, node.value)
    if scalar.name == "f64":
        return _float(scalar.bounds, node.value)
    if scalar.name == "decimal":
        return _decimal(scalar, node.value)
    if reader := _READERS.get(scalar.name):
        return reader(node.value)
    low, high = int_range(scalar)
    if not _INT.fullmatch(node.value) or not low <= int(node.value.replace("_", "")) <= high:
        raise Misfit(f"write a whole number in {low}..{high}")
    return int(node.value.replace("_", ""))


def _within_lengths(bounds: Bounds, text: str) -> str:
    longest = bounds.max_length if bounds.max_length is not None else len(text)
    if not (bounds.min_length or 0) <= len(text) <= longest:
        raise Misfit("its length is outside min_length..max_length")
    if bounds.pattern is not None and not pattern.read(bounds.pattern).matches(text):
        raise Misfit(f"it does not match {bounds.pattern}")
    return text


def _within(bounds: Bounds, value: Decimal) -> bool:
    return (
        (bounds.ge is None or value >= bounds.ge)
        and (bounds.gt is None or value > bounds.gt)
        and (bounds.le is None or value <= bounds.le)
        and (bounds.lt is None or value < bounds.lt)
    )


def _float(bounds: Bounds, text: str) -> float:
    value = float(text) if _FLOAT.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise Misfit("write a finite number like 1.5 or 2e-3")
    if not _within(bounds, Decimal(value)):
        raise Misfit("it is outside its own limits")
    return value


def _decimal(scalar: Scalar, text: str) -> Decimal:
    value = number(text)
    precision, scale = scalar.precision or 0, scalar.scale or 0
    if value is None:
        raise Misfit(f"write a number like {'1.' + '0' * scale if scale else '1'}")
    whole, _, fraction = f"{abs(value):f}".partition(".")
    digits = len(whole.lstrip("0")) + scale
    if len(fraction.rstrip("0")) > scale or digits > precision:
        raise Misfit(f"at most {precision} digits, {scale} of them after the point")
    if not _within(scalar.bounds, value):
        raise Misfit("it is outside its own limits")
    sign = "-" if value < 0 else ""
    point = f".{fraction[:scale]:0<{scale}}" if scale else ""
    return Decimal(f"{sign}{int(whole)}{point}")


def _uuid(text: str) -> UUID:
    if not _HEX.fullmatch(text):
        raise Misfit("write a UUID: 32 hex digits, with or without hyphens")
    return UUID(text)


def _date(text: str) -> dt.date:
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
    except ValueError:
        pass
    raise Misfit("write a date like 2024-01-31")


def _timestamp(text: str) -> dt.datetime:
    try:
        if _TIMESTAMP.fullmatch(text):
            return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise Misfit("write a time with its zone, like 2024-01-31T12:00:00Z")


def _duration(text: str) -> dt.timedelta:
    match = _DURATION.fullmatch(text)
    if not match:
        raise Misfit("write an ISO 8601 duration of days to seconds, like P1DT12H")
    part = {name: int(match[name] or 0) for name in ("days", "hours", "minutes", "seconds")}
    try:
        value = dt.timedelta(**part, microseconds=int(f"{match['fraction'] or '0':0<6}"))
    except OverflowError:
        raise Misfit("a duration has at most 999999999 days") from None
    return -value if match["sign"] == "-" else value


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "uuid": _uuid,
    "date": _date,
    "timestamp": _timestamp,
    "duration": _duration,
}
