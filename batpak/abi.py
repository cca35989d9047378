"""What only generated modules import: checks, rules, tables, and how values are written.

`require_abi` is the contract: code generated for another version of this page says so at import.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Final
from uuid import UUID

import msgspec

from batpak.checks import (
    Problems,
    canonical_decimal,
    canonical_each,
    canonical_float,
    canonical_items,
    canonical_set,
    is_bool,
    is_bytes,
    is_date,
    is_decimal,
    is_duration,
    is_exactly,
    is_float,
    is_int,
    is_list,
    is_map,
    is_member,
    is_set,
    is_text,
    is_timestamp,
    is_uuid,
)
from batpak.errors import RegistryError
from batpak.guard.gates import Rule
from batpak.payload import OpenEnum, WireEnum
from batpak.registry import canonical_for, check_for
from batpak.typestate import Edge, StateData

__all__ = [
    "Edge",
    "OpenEnum",
    "Problems",
    "Rule",
    "StateData",
    "WireEnum",
    "canonical_decimal",
    "canonical_each",
    "canonical_float",
    "canonical_for",
    "canonical_items",
    "canonical_set",
    "check_for",
    "decimal",
    "duration",
    "is_bool",
    "is_bytes",
    "is_date",
    "is_decimal",
    "is_duration",
    "is_exactly",
    "is_float",
    "is_int",
    "is_list",
    "is_map",
    "is_member",
    "is_set",
    "is_text",
    "is_timestamp",
    "is_uuid",
    "require_abi",
    "text",
    "timestamp",
]

ABI: Final = 1


def require_abi(version: int, module: str) -> None:
    """Refuse code that was generated for another version of this module.

    Raises:
        RegistryError: With the command that helps.
    """
    if version != ABI:
        raise RegistryError(
            f"{module} was generated for version {version} of batpak.abi, this is version {ABI};"
            " run: batpak gen"
        )


def text(value: object) -> str:
    """How a value is written in a denial message.

    Decimals without exponent, enums by stored value, UUIDs as 32 hex digits, times in UTC and ISO
    8601, durations in ISO 8601; anything else as `str` has it.
    """
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.timedelta):
        return str(msgspec.to_builtins(value))
    return str(value)


@cache
def decimal(value: str) -> Decimal:
    """A decimal literal of the schema."""
    return Decimal(value)


@cache
def duration(iso: str) -> dt.timedelta:
    """A duration literal of the schema, ISO 8601: `PT24H`."""
    return msgspec.convert(iso, dt.timedelta)


@cache
def timestamp(iso: str) -> dt.datetime:
    """A timestamp literal of the schema, ISO 8601 with its zone, in UTC."""
    return dt.datetime.fromisoformat(iso).astimezone(dt.UTC)
