"""Frozen types back to types of the generator, for the former classes of a package.

A named type that still reads what was frozen is used as it is now; one that does not comes back
as a *relic*, a class of the frozen shape that only decodes: `OrderLineR1`.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from uuid import UUID

from msgspec import convert

from batpak_codegen.difference import reads
from batpak_codegen.freeze import Freeze
from batpak_codegen.ir import Named, Project
from batpak_codegen.shape import Box, Frozen, Maybe, Plain, Ref, Shape, ShapeField, parse_tag
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
    Tag,
    Type,
    UnionType,
    bare,
)


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
        value = None if field.default is None else _value(type_, json.loads(field.default))
        has_default = field.may_be_absent
        return FieldType(field.name, type_, has_default=has_default, default=value, wire=field.wire)

    def type(self, frozen: Frozen) -> Type:
        """Return a type; one that is equal to another is the same Python."""
        if isinstance(frozen, Maybe):
            return OptionalOf(self.type(frozen.of))
        if isinstance(frozen, Box):
            item = self.type(frozen.item)
            boxes: dict[str, Type] = {"list": ListOf(item), "set": SetOf(item), "map": MapOf(item)}
            return boxes[frozen.base]
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
        newest = self.newest(ref)
        return self.relic(ref) if newest == ref else self.type(newest)

    def newest(self, ref: Ref) -> Ref:
        """Return the last revision that reads a type.

        Frozen hops lead between types that were one when they were written, so they have to be
        one when both are relics.
        """
        lock = self.freeze.lock
        homes = (lock.types, lock.tags, lock.enums)
        known = (other for home in homes if ref in home for other in home)
        later = (other for other in known if other.name == ref.name and other > ref)
        return max((other for other in later if reads(lock, ref, other)), default=ref)

    def relic(self, ref: Ref, tag: Tag | None = None) -> Named:
        """Return a decode-only class of a frozen type, made once."""
        lock = self.freeze.lock
        if ref in lock.types:
            fields = self.fields(next(iter(lock.types[ref].values())).shape)
            return self.keep(StructType(self.package, self.name(ref), fields, tag))
        if ref in lock.tags:
            tags = sorted(lock.tags[ref].items())
            members = tuple(self.member(max(of), Tag(*parse_tag(text))) for text, of in tags)
            return self.keep(UnionType(self.package, self.name(ref), members))
        enum = lock.enums[ref]
        members_of = tuple(sorted(enum.stored.items()))
        return self.keep(EnumType(self.package, self.name(ref), members_of, enum.open))

    def member(self, ref: Ref, tag: Tag) -> StructType:
        """Return a struct that is stored with a tag."""
        known = self.type(ref)
        if isinstance(known, StructType) and known.tag == tag:
            return known
        made = self.relic(ref, tag)
        if not isinstance(made, StructType):
            raise TypeError(f"{ref.name} is no struct")
        return made

    def name(self, ref: Ref) -> str:
        """Return a free name for a relic: `OrderLineR1`."""
        package, _, name = ref.name.rpartition(".")
        name = f"{self.local.get((package, name), name)}R{ref.revision or 1}"
        while name in self.relics:
            name = "".join(word.title() for word in package.split(".")) + name
        return name

    def keep(self, made: Named) -> Named:
        """Remember a relic, so that it is printed."""
        self.relics[made.name] = made
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
