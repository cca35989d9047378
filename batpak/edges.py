"""Edges: the table of a state machine, as it is written by hand. Generated code spells it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar, cast

from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument
from batpak.event import P
from batpak.guard.gates import GateSet
from batpak.payload import EventPayload
from batpak.seal import Seal
from batpak.typestate import Edge, Handle, StateData

D = TypeVar("D", bound=StateData)
N = TypeVar("N", bound=StateData)

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
            raise InvalidArgument("edges", f"there are two rows for {names_of(row)}")
    return MappingProxyType(table)


def names_of(row: Row) -> str:
    """A row, as messages have it."""
    return " + ".join(cls.__name__ for cls in row)
