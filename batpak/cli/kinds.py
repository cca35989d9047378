"""Kinds on a command line: numbers, as the schema has them, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Self, cast
from uuid import UUID

import typer

from batpak import registry
from batpak.cli.prose import harmless
from batpak.errors import BatpakError
from batpak.kind import EventKind
from batpak.read.shapes import KindDescription
from batpak.reader import StoreReader
from batpak.system import FieldShape, TypeShape

UUID_BYTES: Final = 16
_MANY: Final = frozenset({"list", "set"})


def kind_of(text: str) -> EventKind:
    """The kind that was given.

    Raises:
        BadParameter: It is no number of 16 bits.
    """
    try:
        return EventKind.from_wire(int(text, 0))
    except ValueError as error:
        raise typer.BadParameter(f"{text!a} is no kind; write it like 0x2001") from error


class Kinds:
    """What events are called: as imported classes say, else as the store tells.

    Args:
        described: What the store tells.
    """

    def __init__(self, described: Iterable[KindDescription] = ()) -> None:
        known = list(described)
        self.names: Final[Mapping[int, str]] = {
            int(one.kind): harmless(one.name) for one in known if one.name is not None
        }
        self._shapes: Final = {
            (one.kind, one.version): one for each in known for one in each.shapes
        }

    @classmethod
    def of(cls, store: StoreReader) -> Self:
        """Those of a store. If it cannot be read what it tells, there are none."""
        try:
            return cls(store.describe())
        except BatpakError:
            return cls()

    def known(self, kind: int) -> str | None:
        """What a kind is called, if anybody says so."""
        entry = registry.lookup(kind)
        return self.names.get(kind) if entry is None else entry.cls.__qualname__

    def name(self, kind: int) -> str:
        """What a kind is called; its number if nobody says so."""
        return self.known(kind) or f"{kind:#06x}"

    def legible(self, kind: int, version: int, payload: object) -> object:
        """A plain payload, with its ids as text, and lists of fields with the names of those."""
        shape = self._shapes.get((kind, version))
        if shape is None:
            return payload
        types = {one.name: one for one in shape.types}
        return _legible_fields(payload, shape.fields, types, is_array=shape.is_array)


def _legible_fields(
    value: object, fields: Sequence[FieldShape], types: Mapping[str, TypeShape], *, is_array: bool
) -> object:
    if is_array and isinstance(value, list):
        values = cast("list[object]", value)
        if len(values) > len(fields):
            return values
        return {
            harmless(field.name): _legible(one, field.type, types)
            for field, one in zip(fields, values, strict=False)
        }
    if isinstance(value, dict):
        of = {field.stored_as or field.name: field.type for field in fields}
        mapping = cast("dict[str, object]", value)
        return {key: _legible(one, of.get(key, ""), types) for key, one in mapping.items()}
    return value


def _legible(value: object, of: str, types: Mapping[str, TypeShape]) -> object:
    """A value of a type, as far as that is simple: no map with other keys, none of several."""
    of = of.removesuffix("?")
    if of == "uuid" and isinstance(value, bytes) and len(value) == UUID_BYTES:
        return str(UUID(bytes=value))
    outer, _, inner = of.removesuffix(">").partition("<")
    if outer in _MANY and isinstance(value, list):
        return [_legible(one, inner, types) for one in cast("list[object]", value)]
    if outer == "map" and isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        return {key: _legible(one, inner, types) for key, one in mapping.items()}
    shape = types.get(of)
    if shape is None:
        return value
    return _legible_fields(value, shape.fields, types, is_array=shape.is_array)


UNTOLD: Final = Kinds()
"""Imported classes alone."""
