"""What the schema modules declare, before any of it is read: packages, types, and their names."""

from __future__ import annotations

import ast
import enum
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Union, get_args, get_origin

from msgspec import Struct as Record
from pydantic import BaseModel

from batpak_codegen import names
from batpak_codegen.diagnostic import Findings
from batpak_codegen.schema import Context, Declared, Event, Id, Package, Site, Struct
from batpak_codegen.source.python.places import Places


class Definition(Record, frozen=True):
    """A class or a named annotation at the top of a module. `doc` is the string after an alias."""

    name: str
    value: object
    at: ast.ClassDef | ast.stmt
    doc: ast.Expr | None = None


class SchemaModule(Record, frozen=True):
    """One module that declares a package."""

    name: str
    places: Places
    space: Mapping[str, object]
    package: Package | None
    definitions: tuple[Definition, ...]
    made: tuple[tuple[Declared, Site], ...]


class Known:
    """All schema modules; finds how one calls what another defines."""

    def __init__(self, modules: Mapping[str, SchemaModule]) -> None:
        self.modules = modules
        self.homes = {
            _key(found.value): (module.name, found.name)
            for module in modules.values()
            for found in module.definitions
        }

    def called(self, value: object, here: str) -> str | None:
        """Return what the module `here` calls a definition: `Money`, `common.Money`, or None."""
        home, name = self.homes.get(_key(value), ("", ""))
        if not home:
            return None
        return name if home == here else f"{self.alias(home, here)}.{name}"

    def alias(self, home: str, here: str) -> str:
        """Return what the package of `home` is called in `here`.

        It is the name of the module there if it has one, else the last part of the package.
        """
        for name, value in self.modules[here].space.items():
            is_it = isinstance(value, types.ModuleType) and value.__name__ == home
            if is_it and not names.lower_name(name):
                return name
        package = self.modules[home].package
        return package.name.rpartition(".")[2] if package else home.rpartition(".")[2]

    def imported(self, here: str) -> Iterator[tuple[str, ast.stmt]]:
        """Yield the schema modules that `here` imports from, with the statement that does."""
        module = self.modules[here]
        seen = {here}
        for at in module.places.tree.body:
            if not isinstance(at, ast.Import | ast.ImportFrom):
                continue
            for name in at.names:
                home = self._home(module, name)
                if home and home not in seen:
                    seen.add(home)
                    yield home, at

    def _home(self, module: SchemaModule, name: ast.alias) -> str | None:
        value = module.space.get((name.asname or name.name).partition(".")[0])
        if isinstance(value, types.ModuleType):
            for full in (value.__name__, name.name):
                if full in self.modules:
                    return full
            return None
        home, _ = self.homes.get(_key(value), (None, ""))
        return home


def definitions(
    name: str, places: Places, space: Mapping[str, object], findings: Findings
) -> Iterator[Definition]:
    """Yield what the top of a module defines, in its order."""
    body = places.tree.body
    found: set[str] = set()
    for at, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(at, ast.ClassDef):
            value = space.get(at.name)
            if _is_ours(value) and getattr(value, "__module__", None) == name:
                found.add(at.name)
                yield Definition(at.name, value, at)
        elif (target := _assigned(at)) and _is_type(space.get(target), at):
            found.add(target)
            yield Definition(target, space[target], at, string_of(after))
    for word, value in space.items():
        if word not in found and _is_ours(value) and getattr(value, "__module__", None) == name:
            _refuse_hidden(word, places, findings)


def string_of(at: ast.stmt | None) -> ast.Expr | None:
    """Return a statement that is nothing but a string, or None."""
    if isinstance(at, ast.Expr) and isinstance(at.value, ast.Constant):
        return at if isinstance(at.value.value, str) else None
    return None


def _refuse_hidden(word: str, places: Places, findings: Findings) -> None:
    classes = (node for node in ast.walk(places.tree) if isinstance(node, ast.ClassDef))
    at = next((node for node in classes if node.name == word), None)
    hint = "write the class itself, not inside `if`, `with` or a function"
    span = places.name(at) if at else places.start
    findings.add("E0112", f"`{word}` is not defined at the top of the module", span, help=hint)


def _is_ours(value: object) -> bool:
    return isinstance(value, type) and issubclass(
        value, Struct | Event | Context | Id | enum.Enum | BaseModel
    )


def _assigned(at: ast.stmt) -> str | None:
    """Return the name that a statement gives to a value."""
    target: ast.expr | None = None
    if isinstance(at, ast.Assign) and len(at.targets) == 1:
        target = at.targets[0]
    elif isinstance(at, ast.AnnAssign) and at.value:
        target = at.target
    elif type(at).__name__ == "TypeAlias":  # `type X = …` of Python 3.12
        target = getattr(at, "name", None)
    return target.id if isinstance(target, ast.Name) else None


def _is_type(value: object, at: ast.stmt) -> bool:
    """Whether a value is an annotation that got a name here; another name for one is not."""
    if isinstance(at, ast.Assign | ast.AnnAssign) and isinstance(
        at.value, ast.Name | ast.Attribute
    ):
        return False
    is_union = get_origin(value) in (Union, types.UnionType)
    return (
        is_named(value) or is_union or isinstance(value, types.GenericAlias) or is_annotated(value)
    )


def is_named(value: object) -> bool:
    """Whether this is an alias of Python 3.12 or of typing_extensions, which knows its name."""
    return type(value).__name__ == "TypeAliasType"


def is_annotated(value: object) -> bool:
    """Whether this is `Annotated[...]`."""
    return get_origin(value) is Annotated


def _key(value: object) -> tuple[int, ...]:
    """Return what makes an annotation this one. `Annotated` is known by its parts.

    Python makes one `Annotated` of two that stand in each other, but keeps the parts.
    """
    if is_annotated(value):
        return tuple(map(id, get_args(value)))
    return (id(value),)
