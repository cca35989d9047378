"""States: what the generated machine of a project knew of an entity after each of its events."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast, get_type_hints
from uuid import UUID

import typer

from batpak import codec
from batpak.machine import Machine
from batpak.reader import StoreReader
from batpak.typestate import Handle, StateData

AnyMachine: TypeAlias = type[Machine[Handle[StateData]]]

_KEYS: Final[Mapping[object, Callable[[str], object]]] = {UUID: UUID, int: int, str: str}


class State(NamedTuple):
    """What was known of an entity."""

    name: str
    data: Mapping[str, object]  # as JSON can say it


def machine_of(entity: str, scope: str) -> AnyMachine | None:
    """The generated machine that an entity belongs to, among those that are imported."""
    for one in cast("list[AnyMachine]", Machine.__subclasses__()):
        begin = f"{getattr(one, 'ENTITY', '')}:"
        if getattr(one, "SCOPE", None) == scope and entity.startswith(begin):
            return one if hasattr(one, "replay") else None
    return None


def after_each(
    store: StoreReader, machine: AnyMachine, entity: str, first: int
) -> Sequence[State] | None:
    """The state after each event of an entity, from a version on.

    The code of the project runs here. If it raises, that is said, and there are no states.
    """
    try:
        if len(inspect.signature(machine).parameters) != 1:
            return None  # its steps are somebody's objects
        made: Any = machine(cast("Any", store))  # a ledger for reading is all that a replay needs
        key = _key_of(machine, entity)
        events = [stored.payload for stored in store.stream(entity)]
        return [_told(made.replay(key, events[:n])) for n in range(first, len(events) + 1)]
    except Exception as error:  # noqa: BLE001  code of somebody else
        typer.echo(f"batpak: {machine.__name__} gives no states: {error}", err=True)
        return None


def _key_of(machine: AnyMachine, entity: str) -> object:
    """What an entity is named after, as the machine takes it."""
    replay: Any = getattr(machine, "replay")  # noqa: B009  generated, not declared
    name = list(inspect.signature(replay).parameters)[1]
    of: Any = get_type_hints(replay)[name]
    while hasattr(of, "__supertype__"):  # a NewType of it, or of that
        of = of.__supertype__
    return _KEYS.get(of, str)(entity.removeprefix(f"{machine.ENTITY}:"))


def _told(handle: Handle[StateData]) -> State:
    data = cast("dict[str, object]", codec.builtins(handle.data))
    return State(str(data.pop("state", handle.STATE)), data)
