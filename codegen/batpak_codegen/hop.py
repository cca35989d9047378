"""Former versions and what leads on from them: what `history` finds and `render` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from batpak_codegen.nodes import TextNode
from batpak_codegen.shape import Plain, Ref
from batpak_codegen.types import FieldType, Type


class Taken(Struct, frozen=True):
    """A field of the old version as it is."""

    name: str


class Added(Struct, frozen=True):
    """A literal; what it is a value of is known when the next version is."""

    text: TextNode


class Given(Struct, frozen=True):
    """A value of a type, as in `FieldType.default`."""

    type: Type
    value: object


class Wrapped(Struct, frozen=True):
    """A struct with one field given."""

    struct: Ref
    field: str
    of: Source


class Cast(Struct, frozen=True):
    """A value in another type; null stays null."""

    to: Plain
    nullable: bool
    of: Source


class Mapped(Struct, frozen=True):
    """Another member for every member of an enum: (old, new); null stays null."""

    enum: Ref
    to: Ref
    members: tuple[tuple[str, str], ...]
    nullable: bool
    of: Source


Source: TypeAlias = Taken | Added | Given | Wrapped | Cast | Mapped


class FormerDef(Struct, frozen=True):
    """A former version of an event, as it was frozen."""

    event: str
    version: int
    fields: tuple[FieldType, ...]

    @property
    def name(self) -> str:
        """Its class: `OrderPlacedV1`."""
        return f"{self.event}V{self.version}"


class HopDef(Struct, frozen=True):
    """What leads from a former version to `target`; `values` is None if that is Python.

    `changed` says in words what differs.
    """

    event: str
    version: int
    former: str
    target: str
    values: tuple[tuple[str, Source], ...] | None
    changed: tuple[str, ...]


class Past(Struct, frozen=True):
    """What a package was. `types` says what the named types of the lock are in Python now.

    `lock` is the path of the lock as it is printed.
    """

    formers: tuple[FormerDef, ...]
    hops: tuple[HopDef, ...]
    relics: tuple[Type, ...]
    types: Mapping[Ref, Type]
    lock: str = ""
