"""Edges: the table of a state machine, as it is written by hand. Generated code spells it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar, cast
from uuid import UUID

import msgspec

from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument
from batpak.event import P
from batpak.guard.gates import GateSet
from batpak.payload import EventPayload
from batpak.seal import Seal
from batpak.typestate import Edge, Handle, StateData

D = TypeVar("D", bound=StateData)
N = TypeVar("N", bound=StateData)

Key: TypeAlias = UUID | str | int
"""What names an entity of a machine. A UUID is spelled as 32 hex digits, an integer in decimal."""

KEYS: Final = (UUID, str, int)

Row: TypeAlias = tuple[type[StateData], type[EventPayload]]


def edge(
    state: type[D],
    event: type[P],
    target: Callable[[Seal, Coordinate, int, N], Handle[N]],
    step: Callable[[D, P], N],
    policy: type[GateSet[Any, Any, P]] | None = None,
) -> tuple[Row, Edge]:
    """One row of a table that is written by hand.

    Args:
        state: Where from.
        event: What happens there.
        target: The handle class it leads to. Seen as what makes handles of just that state: a
            `type[Handle[N]]` would also do with a step to any other.
        step: What is known then. Pure; it runs on every load.
        policy: Whose receipt it needs, if it needs one.
    """
    return (state, event), Edge(cast("type[Handle[N]]", target), policy, step)


def edges(*rows: tuple[Row, Edge]) -> Mapping[Row, Edge]:
    """A table that is written by hand.

    Raises:
        InvalidArgument: Two rows begin alike: one event would lead to two places.
    """
    table = dict(rows)
    for row in table:
        if sum(row == other for other, _ in rows) > 1:
            raise InvalidArgument("edges", f"there are two rows for {row_names(row)}")
    return MappingProxyType(table)


def row_names(row: Row) -> str:
    """A row as messages say it: `Draft + OrderPlaced`."""
    return " + ".join(cls.__name__ for cls in row)


def key_type(table: Mapping[Row, Edge], key: str) -> type | None:
    """Which of KEYS the field of that name holds in the data of every state.

    None: another type, which is spelled before it is a key.
    """
    for data, _ in table:
        try:
            fields = msgspec.structs.fields(data)
        except Exception:  # noqa: BLE001  annotations are evaluated, and may be anything
            return None
        for field in fields:
            if field.name == key:
                found: Any = field.type
                while hasattr(found, "__supertype__"):  # a NewType of it, or of that
                    found = found.__supertype__
                return found if found in KEYS else None
    return None
