"""Values as the text that a schema would have: numbers, times, ids, members of enums."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeGuard
from uuid import UUID

from msgspec import Struct


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    """Whether a value is a list as schemas have them."""
    return isinstance(value, list | tuple)


def is_class(value: object) -> TypeGuard[type[object]]:
    """Whether a value is a class."""
    return isinstance(value, type)


def is_map(value: object) -> TypeGuard[Mapping[object, object]]:
    """Whether a value is a map as schemas have them."""
    return isinstance(value, Mapping)


class ValueText(Struct, frozen=True):
    """A scalar's text, and whether a schema would have it in quotes."""

    text: str
    quoted: bool = False


def value_text(value: object) -> ValueText | None:
    """Return the text of a value that a schema can spell, or None."""
    if value is None:
        return ValueText("null")
    if isinstance(value, enum.Enum):
        return value_text(value.value)
    if isinstance(value, bool):
        return ValueText("true" if value else "false")
    if isinstance(value, str):
        return ValueText(str(value), quoted=True)
    if isinstance(value, int):
        return ValueText(str(int(value)))
    if isinstance(value, float):
        return ValueText(repr(float(value)))
    if isinstance(value, Decimal):
        return ValueText(f"{value:f}")
    if isinstance(value, UUID | dt.date):  # a datetime is a date
        shown = value.isoformat() if isinstance(value, dt.date) else str(value)
        return ValueText(shown, quoted=True)
    return ValueText(_duration(value), quoted=True) if isinstance(value, dt.timedelta) else None


def _duration(value: dt.timedelta) -> str:
    sign, value = ("-", -value) if value < dt.timedelta(0) else ("", value)
    fraction = f".{value.microseconds:06d}" if value.microseconds else ""
    return f"{sign}P{value.days}DT{value.seconds}{fraction}S"
