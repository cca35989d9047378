"""Frozen types back to types of the generator, for the former classes of a package.

A named type that still reads what was frozen is used as it is now; one that does not comes back
as a *relic*, a class of the frozen shape that only decodes: `OrderLineR1`.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import convert

from batpak_codegen.difference import reads
from batpak_codegen.freeze import Freeze
from batpak_codegen.ir import Named, Project
from batpak_codegen.shape import Box, Frozen, Maybe, Plain, Ref, Shape, ShapeField
from batpak_codegen.types import (
    EnumType,
    FieldType,
    IdType,
    ListOf,
    MapOf,
    OptionalOf,
    Scalar,
    SetOf,
    StructType,
    Type,
    bare,
)

_BOXES: Final = {"list": ListOf, "set": SetOf, "map": MapOf}


class Thaw:
    """Turns frozen types into types of the generator, for one package."""

    def __init__(self, freeze: Freeze, project: Project, package: str) -> None:
        self.freeze, self.package = freeze, package
        self.declared = {
            f"{home.name}.{definition.type.name}": definition.type
            for home in project.packages
            for definition in home.types
        }
        self.local = next(p.renamed for p in project.packages if p.name == package)
        self.types: dict[Ref, Type] = {}
        self.relics: dict[str, Named] = {}

    def fields(self, shape: Shape) -> tuple[FieldType, ...]:
        """Return the fields of a frozen shape, in its order."""
        return tuple(self.field(field) for field in shape)

    def field(self, field: ShapeField) -> FieldType:
        """Return a field; its default is the value that was frozen."""
        type_ = self.type(field.type)
        found = FieldType(field.name, type_, has_default=field.may_be_absent)
        if field.default is None:
            return found
        value = _value(type_, json.loads(field.default))
        return FieldType(field.name, type_, has_default=True, default=value)

    def type(self, frozen: Frozen) -> Type:
        """Return a type; one that is equal to another is the same Python."""
        if isinstance(frozen, Maybe):
            return OptionalOf(self.type(frozen.of))
        if isinstance(frozen, Box):
            return _BOXES[frozen.base](self.type(frozen.item))
        if isinstance(frozen, Plain):
            digits = (frozen.precision, frozen.scale) if frozen.name == "decimal" else (None, None)
            return Scalar(frozen.name, precision=digits[0], scale=digits[1])
        if frozen not in self.types:
            self.types[frozen] = self.named(frozen)
        return self.types[frozen]

    def named(self, ref: Ref) -> Type:
        """Return what reads a named type: the declared one if it does, else a relic."""
        declared, now = self.declared.get(ref.name), self.freeze.current.get(ref.name)
        if ref.name in self.freeze.lock.ids:
            return declared if isinstance(declared, IdType) else Scalar("uuid")
        if declared and now and (now == ref or reads(self.freeze.lock, ref, now)):
            return declared
        return self.relic(ref)

    def relic(self, ref: Ref) -> Type:
        """Return a decode-only class of a frozen type, made once."""
        lock, fields = self.freeze.lock, None
        if ref in lock.types:
            fields = self.fields(next(iter(lock.types[ref].values())).shape)
        package, _, name = ref.name.rpartition(".")
        name = f"{self.local.get((package, name), name)}R{ref.revision or 1}"
        while name in self.relics:
            name = "".join(word.title() for word in package.split(".")) + name
        made: Named
        if fields is not None:
            made = StructType(self.package, name, fields)
        else:
            made = EnumType(self.package, name, tuple(sorted(lock.enums[ref].stored.items())))
        self.relics[name] = made
        return made


def _value(type_: Type, plain: object) -> object:
    """Return a default as `FieldType` has it, from how a lock spells it."""
    of = bare(type_.of if isinstance(type_, OptionalOf) else type_)
    python: dict[str, object] = {
        "decimal": Decimal,
        "uuid": UUID,
        "timestamp": dt.datetime,
        "date": dt.date,
        "duration": dt.timedelta,
        "f64": float,
    }
    name = "uuid" if isinstance(of, IdType) else of.name if isinstance(of, Scalar) else ""
    return convert(plain, python[name]) if name in python else plain
