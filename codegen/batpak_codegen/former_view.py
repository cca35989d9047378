"""What the templates of former versions and upcasts are filled with.

Former classes are laid out like events, relics like types; what is new here is how a hop makes
the next version out of an old one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from batpak_codegen import names
from batpak_codegen.hop import Cast, Given, HopDef, Mapped, Past, Source, Taken, Wrapped
from batpak_codegen.ir import PackageDef, Project, TypeDef
from batpak_codegen.layout import Call, Doc, flat, statement
from batpak_codegen.namespace import Namespace
from batpak_codegen.payload_view import (
    STRUCT,
    EventItem,
    Function,
    Item,
    field_rows,
    struct_head,
    type_items,
    untracked,
)
from batpak_codegen.shape import Ref
from batpak_codegen.text import Code, code
from batpak_codegen.text import Doc as Docstring
from batpak_codegen.text import doc as docstring
from batpak_codegen.types import EnumType, StructType, Type, UnionType

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override  # pydantic brings it


RELICS: Final = (StructType, EnumType, UnionType)


class FormerSpace(Namespace):
    """The names of a module about former versions: relics live in `former`, beside `types`."""

    def __init__(self, project: Project, package: PackageDef, module: str) -> None:
        super().__init__(project, package, module)
        self.relics = relic_names(project.pasts[package.name])

    @override
    def type(self, package: str, name: str) -> str:
        if package == self.package.name and name in self.relics:
            return self.near("former", name)
        return super().type(package, name)


class Left(Struct, frozen=True):
    """A hop that is left to the user."""

    head: Code
    doc: Docstring


class Upcasts(Struct, frozen=True):
    """The class of hops that are left to the user, and how an instance of it is installed."""

    name: Code
    methods: tuple[Left, ...]
    installs: tuple[Code, ...]


def relic_names(past: Past) -> frozenset[str]:
    """Return the decode-only types of a package."""
    return frozenset(type_.name for type_ in past.relics if isinstance(type_, RELICS))


def relic_items(space: Namespace, past: Past) -> tuple[Item, ...]:
    """Return the decode-only types."""
    kept = (type_ for type_ in past.relics if isinstance(type_, RELICS))
    return type_items(space, [TypeDef(type_, None) for type_ in kept])


def former_items(space: Namespace, past: Past) -> tuple[EventItem, ...]:
    """Return the classes of former versions."""
    items: list[EventItem] = []
    for former in past.formers:
        space.typing("ClassVar", "final")
        space.public("EventKind")
        base = space.public("FormerPayload")
        items.append(
            EventItem(
                struct_head(former.name, base, *STRUCT, *untracked(former.fields)),
                None,
                code(f"{space.near('events', former.event)}.KIND"),
                code(str(former.version)),
                field_rows(space, former.fields),
                None,
                None,
            )
        )
    return tuple(items)


def class_name(package: PackageDef) -> str:
    """Return the class of the hops that a package leaves to its user: `OrdersUpcasts`."""
    words = package.name.rpartition(".")[2].split("_")
    return "".join(word[:1].upper() + word[1:] for word in words) + "Upcasts"


def hop_functions(space: Namespace, past: Past) -> tuple[Function, ...]:
    """Return the hops that the schema declares, as functions."""
    functions: list[Function] = []
    for hop in past.hops:
        if hop.values is None:
            continue
        former, target = space.near("former", hop.former), _target(space, hop)
        values = _Values(space, past.types)
        made = Call(f"return {target}(", tuple(values.argument(*each) for each in hop.values))
        head = Call(f"def upcast_{names.snake(former)}(", (f"old: {former}",), f") -> {target}:")
        decorator = code(f"@{space.abi('upcast_from')}({former})")
        body = statement("", made, indent=4)
        functions.append(Function(decorator, code(statement("", head)), (code(body),)))
    return tuple(functions)


def _target(space: Namespace, hop: HopDef) -> str:
    return space.near("events" if hop.target == hop.event else "former", hop.target)


def upcasts(space: Namespace, past: Past) -> Upcasts | None:
    """Return what is left to the user, if anything is."""
    left = [hop for hop in past.hops if hop.values is None]
    if not left:
        return None
    space.use("abc", "ABC")
    space.use("abc", "abstractmethod")
    methods: list[Left] = []
    installs: list[Code] = []
    for hop in left:
        former, target = space.near("former", hop.former), _target(space, hop)
        method = names.snake(former)
        head = Call(f"def {method}(", ("self", f"old: {former}", "/"), f") -> {target}:")
        changed = f" Changed: {', '.join(hop.changed)}." if hop.changed else ""
        words = docstring(f"Version {hop.version} -> {hop.version + 1}.{changed}", 8)
        methods.append(Left(code(statement("", head, indent=4)), words))
        install = Call(f"{space.abi('install_upcast')}(", (former, f"impl.{method}"))
        installs.append(code(statement("", install, indent=4)))
    return Upcasts(code(class_name(space.package)), tuple(methods), tuple(installs))


class _Values:
    """How sources are written."""

    def __init__(self, space: Namespace, types: Mapping[Ref, Type]) -> None:
        self.space, self.types = space, types

    def argument(self, name: str, source: Source) -> Doc:
        """Return `name=value`."""
        value = self.value(source)
        if isinstance(value, Call):
            return Call(f"{name}={value.head}", value.items, value.close, value.display)
        return f"{name}={flat(value)}"

    def value(self, source: Source) -> Doc:
        if isinstance(source, Taken):
            return f"old.{source.name}"
        if isinstance(source, Given):
            return self.space.value(source.type, source.value)
        if isinstance(source, Wrapped):
            struct = self.named(source.struct)
            return Call(f"{struct}(", (self.argument(source.field, source.of),))
        if isinstance(source, Mapped):
            return self.mapped(source, flat(self.value(source.of)))
        if isinstance(source, Cast):
            of = flat(self.value(source.of))
            made = self.cast(source, of)
            return f"None if {of} is None else {made}" if source.nullable and made != of else made
        raise TypeError(f"no value for {type(source).__name__}")

    def cast(self, source: Cast, of: str) -> str:
        if source.to.name == "string":
            return f"{self.space.abi('text')}({of})"
        if source.to.name == "decimal":
            exact = f"{self.space.use('decimal', 'Decimal')}({of})"
            return f"{self.space.abi('canonical_decimal')}({exact}, {source.to.scale})"
        return of

    def mapped(self, source: Mapped, of: str) -> Call:
        old, new = self.named(source.enum), self.named(source.to)
        rows = [f"{old}.{before}: {new}.{after}" for before, after in source.members]
        rows += ["None: None"] if source.nullable else []
        return Call("{", tuple(rows), f"}}[{of}]", display=True)

    def named(self, ref: Ref) -> str:
        type_ = self.types[ref]
        if not isinstance(type_, StructType | EnumType):
            raise TypeError(f"{ref.name} is no struct and no enum")
        return self.space.type(type_.package, type_.name)
