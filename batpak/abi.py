"""What only generated modules import: checks, rules, tables, and how values are written.

`require_abi` is the contract: code generated for another version of this page says so at import.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import msgspec

from batpak import registry
from batpak.checks import (
    UNRECOGNIZED,
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
from batpak.exact import exact
from batpak.payload import AnyPayload, FormerPayload, OpenEnum, WireEnum
from batpak.registry import canonical_for, check_for

if TYPE_CHECKING:
    from batpak.guard.gates import Rule
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
    "exact",
    "install_upcast",
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
    "upcast_from",
]

ABI: Final = 1

_HOMES: Final = {  # what most modules do without: imported when it is asked for first
    "Edge": "batpak.typestate",
    "Rule": "batpak.guard.gates",
    "StateData": "batpak.typestate",
}

Old = TypeVar("Old", bound=FormerPayload)
New = TypeVar("New", bound=AnyPayload)


if not TYPE_CHECKING:  # a type checker has to see that a name is not there

    def __getattr__(name: str) -> object:
        """What is asked for by its name. Reference: docs/adr/0029."""
        if name not in _HOMES:
            raise AttributeError(f"module 'batpak.abi' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


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


def upcast_from(old: type[Old]) -> Callable[[Callable[[Old], New]], Callable[[Old], New]]:
    """Bind a pure function that turns a former version into the next one.

    Raises:
        RegistryError: `old` is not a registered former version.
    """

    def bind(upcast: Callable[[Old], New]) -> Callable[[Old], New]:
        registry.install_upcast(old, upcast)
        return upcast

    return bind


def install_upcast(old: type[Old], upcast: Callable[[Old], New]) -> None:
    """Bind an upcast that the user wrote; binding again replaces.

    Raises:
        RegistryError: `old` is not a registered former version.
    """
    registry.install_upcast(old, upcast)


def text(value: object) -> str:
    """How a value is written in a denial message.

    Decimals without exponent, enums by stored value, UUIDs as 32 hex digits, times in UTC and ISO
    8601, durations in ISO 8601; anything else as `str` has it.
    """
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Enum):
        return value.name if value.value == UNRECOGNIZED else str(value.value)
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
