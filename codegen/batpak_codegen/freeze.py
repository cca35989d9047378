"""What a schema promises once it is frozen: the lines of the lock that it needs.

Everything behind compares frozen shapes with frozen shapes: `freeze` gives the lock as it would
be after `batpak lock`, and the place of every event in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from batpak_codegen.diagnostic import Findings, Span
from batpak_codegen.ir import MachineDef, Named, PackageDef, Project, ProjectionDef
from batpak_codegen.lock import Lock, newest_revisions, read
from batpak_codegen.shape import (
    TAG_KEY,
    Box,
    Frozen,
    Maybe,
    Plain,
    Ref,
    Shape,
    ShapeField,
    spell,
    spell_ref,
    spell_value,
)
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

_BOXES: Final = {ListOf: "list", SetOf: "set", MapOf: "map"}


class Promise(Struct, frozen=True):
    """An event as it stands in the lock; `is_new` if its shape is not frozen yet."""

    package: str
    name: str
    kind: int
    version: int
    revision: int
    shape: Shape
    is_new: bool


class Freeze(Struct, frozen=True):
    """What is frozen, and what would be: `lock` is what `base` would become.

    `current` says what each named type is now, of those that something stored mentions, and
    `declared` the fields of the structs among them in declared order.
    """

    base: Lock
    lock: Lock
    promises: Mapping[int, Promise]
    current: Mapping[str, Ref]
    declared: Mapping[Ref, Shape]

    def promise_hop(self, kind: int, version: int, text: str, span: Span) -> None:
        """Promise what leads from a version to the next one."""
        self.lock.lines.add(f"hop 0x{kind:04x} {version} {text}")
        self.lock.hops.setdefault((kind, version), {}).setdefault(text, span)

    @property
    def added(self) -> tuple[str, ...]:
        """The lines that the base does not have."""
        return tuple(sorted(self.lock.lines - self.base.lines))


def freeze(project: Project, base: Lock) -> Freeze:
    """Freeze what a project declares, on top of what is frozen; hops are added later."""
    return _Freezer(base).project(project)


class _Freezer:
    def __init__(self, base: Lock) -> None:
        self.base = base
        self.refs: dict[tuple[str, str], Ref] = {}
        self.declared: dict[Ref, Shape] = {}
        self.lines: set[str] = {"wire 1"}
        self.newest_types = newest_revisions(base.types)
        self.newest_enums = newest_revisions(base.enums)
        self.newest_tags = newest_revisions(base.tags)
        self.newest_shapes: dict[tuple[int, int], int] = {}
        for kind, version, revision in base.shapes:
            known = self.newest_shapes.get((kind, version), 0)
            self.newest_shapes[kind, version] = max(known, revision)

    def project(self, project: Project) -> Freeze:
        promises: dict[int, Promise] = {}
        for package in project.packages:
            promises |= {promise.kind: promise for promise in self.package(package)}
        lines = self.base.lines | self.lines
        lock = read("\n".join(sorted(lines)), self.base.path, Findings())
        _keep_places(lock, self.base)
        current = {f"{package}.{name}": ref for (package, name), ref in self.refs.items()}
        return Freeze(self.base, lock, promises, current, self.declared)

    def package(self, package: PackageDef) -> list[Promise]:
        found: list[Promise] = []
        for event in package.events:
            shape = self.shape(event.fields)
            text, kind = spell(shape), event.kind
            revision = self.newest_shapes.get((kind, event.version), 0)
            heads = self.base.shapes.get((kind, event.version, revision), {})
            is_new = list(heads) != [text]
            revision += is_new
            self.lines.add(f"kind 0x{kind:04x} {package.name}.{event.name}")
            self.lines.add(f"shape 0x{kind:04x} {event.version}.{revision} {text}")
            found.append(
                Promise(package.name, event.name, kind, event.version, revision, shape, is_new)
            )
        self.lines |= {f"kind 0x{kind:04x} {name}" for kind, name in package.retired}
        for machine in package.machines:
            self.lines.add(entity_line(package, machine))
        for projection in package.projections:
            name, version, digest = fold(package, projection)
            self.lines.add(f"fold {name} {version} {digest}")
        return found

    def shape(self, fields: tuple[FieldType, ...]) -> Shape:
        return tuple(self.field(field) for field in fields)

    def field(self, field: FieldType) -> ShapeField:
        default = None
        if field.has_default and field.default is not None:
            default = spell_value(field.default)
        return ShapeField(field.name, self.type(field.type), field.wire, default)

    def type(self, type_: Type) -> Frozen:
        type_ = bare(type_)
        if isinstance(type_, OptionalOf):
            return Maybe(self.type(type_.of))
        if isinstance(type_, ListOf | SetOf | MapOf):
            return Box(_BOXES[type(type_)], self.type(type_.item))
        if isinstance(type_, Scalar):
            if type_.precision is not None and type_.scale is not None:
                return Plain("decimal", type_.precision, type_.scale)
            return Plain(type_.name)
        return self.promised(type_)

    def promised(self, type_: Named) -> Ref:
        """Return the name of a type in the lock, and promise what it stores."""
        key = (type_.package, type_.name)
        if key not in self.refs:
            name = f"{type_.package}.{type_.name}"
            if isinstance(type_, StructType):
                self.refs[key] = self.struct(name, type_)
            elif isinstance(type_, EnumType):
                self.refs[key] = self.enum(name, type_)
            elif isinstance(type_, UnionType):
                self.refs[key] = self.union(name, type_)
            elif isinstance(type_, IdType):
                self.refs[key] = Ref(name)
                self.lines.add(f"id {name} {type_.prefix}")
        return self.refs[key]

    def struct(self, name: str, type_: StructType) -> Ref:
        shape = self.shape(type_.fields)
        text = spell(shape)
        revision = self.newest_types.get(name, 0)
        if list(self.base.types.get(Ref(name, revision), {})) != [text]:
            revision += 1
        self.lines.add(f"type {name}#{revision} {text}")
        self.declared[Ref(name, revision)] = shape
        return Ref(name, revision)

    def enum(self, name: str, type_: EnumType) -> Ref:
        now = dict(type_.members)
        ref = Ref(name, self.newest_enums.get(name, 0))
        known = self.base.enums.get(ref)
        if known and any(now.get(member) != stored for member, stored in known.stored.items()):
            ref = Ref(name, max(ref.revision, 1) + 1)
        word = "open" if type_.open else "closed"
        self.lines |= {f"enum {spell_ref(ref)} {word} {m}={stored}" for m, stored in now.items()}
        return ref

    def union(self, name: str, type_: UnionType) -> Ref:
        now = {spell_tag(member.tag): self.promised(member) for member in type_.members}
        ref = Ref(name, self.newest_tags.get(name, 0))
        known = self.base.tags.get(ref, {})
        lost = [t for t, refs in known.items() if t not in now or _others(refs, now[t])]
        if lost:
            ref = Ref(name, max(ref.revision, 1) + 1)
        self.lines |= {f"tag {spell_ref(ref)} {t} {spell_ref(of)}" for t, of in now.items()}
        return ref


def _others(refs: set[Ref], now: Ref) -> bool:
    return any(ref.name != now.name for ref in refs)


def spell_tag(tag: Tag | None) -> str:
    """Spell the tag of a member of a union: `card`, or `kind=card` if it is under another key."""
    if tag is None:
        raise TypeError("a member of a union has a tag")
    return tag.value if tag.key == TAG_KEY else f"{tag.key}={tag.value}"


def entity_line(package: PackageDef, machine: MachineDef) -> str:
    """Return where the events of a machine live."""
    template = f"{machine.prefix}:{{{machine.key.name}}}"
    return f"entity {package.name}.{machine.name} {template} {machine.scope}"


def fold(package: PackageDef, projection: ProjectionDef) -> tuple[str, int, str]:
    """Return the full name of a projection, its version, and what stands for its state's shape.

    The digest covers the shapes of all types that the state mentions. It promises nothing about
    them: a state can be folded again.
    """
    alone = _Freezer(Lock(""))
    shape = spell(alone.shape(projection.fields))
    text = "\n".join([shape, *sorted(alone.lines)])
    digest = blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{package.name}.{projection.name}", projection.version, digest


def _keep_places(lock: Lock, base: Lock) -> None:
    """Let what is promised already point at its line of the file."""
    for shape_key, frozen in base.shapes.items():
        lock.shapes.get(shape_key, {}).update(frozen)
    for ref, found in base.types.items():
        lock.types.get(ref, {}).update(found)
    for hop_key, spans in base.hops.items():
        lock.hops.get(hop_key, {}).update(spans)
    for kind, names in base.kinds.items():
        lock.kinds.get(kind, {}).update(names)
