"""Kinds on a command line: numbers, as the schema has them, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Self, cast

import typer

from batpak import registry
from batpak.errors import BatpakError
from batpak.kind import EventKind
from batpak.read.shapes import KindDescription
from batpak.reader import StoreReader


def kind_of(text: str) -> EventKind:
    """The kind that was given.

    Raises:
        BadParameter: It is no number of 16 bits.
    """
    try:
        return EventKind.from_wire(int(text, 0))
    except ValueError as error:
        raise typer.BadParameter(f"{text!a} is no kind; write it like 0x2001") from error


def harmless(text: str) -> str:
    """Text that a store tells, without what a terminal would not just print."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


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
        self._arrays: Final = {
            (shape.kind, shape.version): [harmless(field.name) for field in shape.fields]
            for one in known
            for shape in one.shapes
            if shape.is_array
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

    def named(self, kind: int, version: int, payload: object) -> object:
        """A plain payload; one that is stored as a list with the names of its fields."""
        names = self._arrays.get((kind, version))
        if names is None or not isinstance(payload, list):
            return payload
        values = cast("list[object]", payload)
        if len(values) > len(names):
            return values
        return dict(zip(names, values, strict=False))


UNTOLD: Final = Kinds()
"""Imported classes alone."""
