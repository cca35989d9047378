"""The names of one generated module: what it must import, and how it spells types and values.

Whoever writes a name asks for it here; what was asked for becomes the import block, sorted.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Final
from uuid import UUID

from batpak_codegen import names
from batpak_codegen.ir import PackageDef, Project
from batpak_codegen.layout import COLUMNS_MAX, Call, Chain, Doc, called, flat, statement
from batpak_codegen.text import python_literal
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

# Inside the library nothing imports the front: public name -> the module that defines it.
_HOMES: Final[Mapping[str, str]] = {
    "EventKind": "batpak.kind",
    "EventPayload": "batpak.payload",
    "OpenEnum": "batpak.payload",
    "WireEnum": "batpak.payload",
    "check_for": "batpak.registry",
    "canonical_for": "batpak.registry",
}
_CHECKS: Final = "batpak.checks"

_SCALARS: Final[Mapping[str, tuple[str, str] | str]] = {
    "bool": "bool",
    "string": "str",
    "bytes": "bytes",
    "f64": "float",
    "decimal": ("decimal", "Decimal"),
    "uuid": ("uuid", "UUID"),
    "timestamp": "dt.datetime",
    "date": "dt.date",
    "duration": "dt.timedelta",
}
_STANDARD: Final = frozenset(
    ["abc", "collections.abc", "datetime", "decimal", "importlib", "re", "typing", "uuid"]
)
_DIGITS: Final = re.compile(r"(\d+)")


class Namespace:
    """The names of `module` of a package, such as `events`; of one package, `system`.

    With `reexports`, whoever imports this module finds there what it imports itself, apart from
    the standard library.
    """

    def __init__(
        self, project: Project, package: PackageDef, module: str, *, reexports: bool = False
    ) -> None:
        self.project, self.package, self.reexports = project, package, reexports
        self.module = "system" if project.system else module
        self._homes = project.parts
        self._whole: set[str] = set()
        self._members: dict[str, set[tuple[str, str]]] = {}
        self._checked: dict[str, set[tuple[str, str]]] = {}

    def use(self, module: str, name: str, local: str | None = None) -> str:
        """Import `name` from `module`, absolute or relative; return what it is called here."""
        self._members.setdefault(module, set()).add((name, local or name))
        return local or name

    def typing(self, *words: str) -> None:
        """Import from `typing`."""
        for word in words:
            self.use("typing", word)

    def whole(self, line: str) -> None:
        """Add a statement like `import datetime as dt`."""
        self._whole.add(line)

    def unshadowed(self, module: str, name: str, *, checked: bool = False) -> str:
        """Import a lower-case name that is used among fields, which may not hide it.

        With `checked` it is imported for type checkers only.
        """
        local = f"_{name}" if name in self._field_names else name
        if not checked:
            return self.use(module, name, local)
        self.typing("TYPE_CHECKING")
        self._checked.setdefault(module, set()).add((name, local))
        return local

    @cached_property
    def _field_names(self) -> frozenset[str]:
        """Return the names of all fields of this package."""
        package = self.package
        found = [of.type.fields for of in package.types if isinstance(of.type, StructType)]
        found += [event.fields for event in package.events]
        found += [state.fields for machine in package.machines for state in machine.states]
        return frozenset(field.name for fields in found for field in fields)

    def public(self, name: str) -> str:
        """Import a public name of the library."""
        return self.use(_HOMES[name] if self.project.system else "batpak", name)

    def inner(self, name: str) -> str:
        """Import a name that only generated modules need."""
        return self.use(_HOMES.get(name, _CHECKS) if self.project.system else "batpak.abi", name)

    def abi(self, name: str) -> str:
        """Return `abi.name`, or the bare name inside the library."""
        if self.project.system:
            return self.inner(name)
        return f"{self.use('batpak', 'abi')}.{name}"

    def near(self, module: str, name: str) -> str:
        """Import a name from another module of this package."""
        if self.module in (module, "system"):
            return name
        return self.use(f".{module}", name)

    def local(self, package: str, name: str) -> str:
        """Return what a type is called in this package, wherever it comes from."""
        return self.package.renamed.get((package, name), name)

    def type(self, package: str, name: str) -> str:
        """Import a declared type; return what it is called here."""
        if package == self.package.name:
            return self.near("types", name)
        return self.use(f"{self._dots(package)}.types", name, self.local(package, name))

    def event(self, package: str, name: str) -> str:
        """Import an event; return what it is called here."""
        if package == self.package.name:
            return self.near("events", name)
        return self.use(f"{self._dots(package)}.events", name, self.local(package, name))

    def checks(self, package: str, name: str, local: str | None = None) -> str:
        """Import a function or constant from the `checks` of any package."""
        if package == self.package.name:
            return self.near("checks", name)
        return self.use(f"{self._dots(package)}.checks", name, local)

    def strategy(self, package: str, name: str, local: str) -> str:
        """Import a strategy from the `testing` of any package."""
        if package == self.package.name:
            return self.near("testing", name)
        return self.use(f"{self._dots(package)}.testing", name, local)

    def _dots(self, package: str) -> str:
        """Return the relative path to another package: `..common`."""
        here, there = self.package.parts, self._homes[package]
        shared = 0
        while shared < min(len(here), len(there)) and here[shared] == there[shared]:
            shared += 1
        return "." * (len(here) - shared + 1) + ".".join(there[shared:])

    def annotation(self, type_: Type) -> str:
        """Spell a type in Python, with its imports."""
        return flat(self.annotated(type_))

    def annotated(self, type_: Type) -> Doc:
        """Return what `annotation` spells."""
        if isinstance(type_, Scalar):
            spelling = _SCALARS.get(type_.name, "int")
            if isinstance(spelling, tuple):
                return self.use(*spelling)
            if spelling.startswith("dt."):
                self.whole("import datetime as dt")
            return spelling
        if isinstance(type_, OptionalOf):
            return Chain("|", (self.annotated(type_.of), "None"))
        if isinstance(type_, ListOf):
            return Call("tuple[", (self.annotated(type_.item), "..."), "]")
        if isinstance(type_, SetOf):
            return Call("frozenset[", (self.annotated(type_.item),), "]")
        if isinstance(type_, MapOf):
            mapping = self.use("collections.abc", "Mapping")
            return Call(f"{mapping}[", ("str", self.annotated(type_.item)), "]")
        return self.type(type_.package, type_.name)

    def default(self, field: FieldType) -> str:
        """Return ` = value`, or nothing for a required field."""
        return f" = {self.value(field.type, field.default)}" if field.has_default else ""

    def stored(self, field: FieldType) -> Doc | None:
        """Return the default value, with the key that a field is stored under."""
        value = self.value(field.type, field.default) if field.has_default else None
        if field.wire is None:
            return None if value is None else called(value)
        given = () if value is None else (f"default={value}",)
        function = self.unshadowed("msgspec", "field")
        return Call(f"{function}(", (*given, f"name={python_literal(field.wire)}"))

    def value(self, type_: Type, value: object) -> str:
        """Spell a value of a type in Python, with its imports."""
        of = bare(type_)
        if isinstance(of, OptionalOf):
            return "None" if value is None else self.value(of.of, value)
        if isinstance(of, EnumType):
            member = next(name for name, stored in of.members if stored == value)
            return f"{self.type(of.package, of.name)}.{member}"
        if isinstance(value, UUID):
            made = f'{self.use("uuid", "UUID")}("{value}")'
            return f"{self.type(of.package, of.name)}({made})" if isinstance(of, IdType) else made
        if isinstance(value, Decimal):
            return f'{self.use("decimal", "Decimal")}("{value:f}")'
        if isinstance(value, dt.datetime | dt.date | dt.timedelta):
            return self._time(value)
        if isinstance(value, str | int | float):  # bool is an int
            return python_literal(value)
        raise TypeError(f"no default for {type(value).__name__}")

    def _time(self, value: dt.datetime | dt.date | dt.timedelta) -> str:
        self.whole("import datetime as dt")
        if isinstance(value, dt.timedelta):
            parts = ("days", "seconds", "microseconds")
            given = [f"{part}={getattr(value, part)}" for part in parts if getattr(value, part)]
            return f"dt.timedelta({', '.join(given)})"
        if not isinstance(value, dt.datetime):
            return f"dt.date({value.year}, {value.month}, {value.day})"
        clock = [value.hour, value.minute, value.second, value.microsecond]
        while clock and not clock[-1]:
            clock.pop()
        numbers = [value.year, value.month, value.day, *clock]
        return f"dt.datetime({', '.join(map(str, numbers))}, tzinfo=dt.UTC)"

    def imports(self) -> str:
        """Return the import block: standard library, others, ours; each part sorted."""
        whole, ours = sorted(self._whole), list[str]()
        standard = [line for line in whole if line.split()[1] in _STANDARD]
        others = [line for line in whole if line not in standard]
        for module in sorted(self._members, key=_module_key):
            part = standard if module in _STANDARD else ours if self._is_ours(module) else others
            members = sorted(self._members[module], key=lambda member: import_key(member[0]))
            kept = self.reexports and module not in _STANDARD
            part += [as_itself(module, m) for m in members] if kept else _from(module, members)
        blocks = ["\n".join(part) for part in (standard, others, ours) if part]
        return "\n\n".join([*blocks, *self._checked_block()])

    def _is_ours(self, module: str) -> bool:
        """Whether a module belongs to the generated package."""
        return module.startswith(".")

    def _checked_block(self) -> list[str]:
        """Return what is imported for type checkers only."""
        lines = [
            [f"    {line}" for line in _from(module, sorted(self._checked[module]))]
            for module in sorted(self._checked, key=_is_third_party)
        ]
        body = "\n\n".join("\n".join(part) for part in lines)
        return [f"if TYPE_CHECKING:\n{body}"] if body else []


def _is_third_party(module: str) -> bool:
    return module not in _STANDARD


def _module_key(module: str) -> tuple[int, str]:
    stem = module.lstrip(".")
    return (len(stem) - len(module), stem)


def as_itself(module: str, member: tuple[str, str]) -> str:
    """Return the line that imports a name for others too: type checkers want to see `as`."""
    words = f"{member[0]} as {member[1]}"
    line = f"from {module} import {words}"
    if len(line) <= COLUMNS_MAX:
        return line
    return statement("", Call(f"from {module} import (", (words,), display=True))


def _from(module: str, members: Sequence[tuple[str, str]]) -> list[str]:
    """Return the `from` lines of one module; a renamed name has a line of its own."""
    plain = tuple(name for name, local in members if name == local)
    lines = {name: as_itself(module, (name, local)) for name, local in members}
    if plain:
        head = f"from {module} import "
        whole = head + ", ".join(plain)
        listed = Call(f"{head}(", plain, display=True, open=True)
        lines = {name: line for name, line in lines.items() if name not in plain}
        lines[plain[0]] = whole if len(whole) <= COLUMNS_MAX else statement("", listed)
    return [lines[name] for name in sorted(lines, key=import_key)]


def import_key(name: str) -> tuple[int, list[str | int], str]:
    """Order imported names as sorters do: CONSTANTS, Classes, the rest; case does not count."""
    return _rank(name), _natural(name.casefold()), name


def _listing_key(name: str) -> tuple[int, list[str | int]]:
    """Order names in `__all__` as sorters do: as imports, but case counts."""
    return _rank(name), _natural(name)


def _rank(name: str) -> int:
    return 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2


def _natural(name: str) -> list[str | int]:
    """Split a name so that numbers in it are compared by value."""
    return [int(part) if part.isdigit() else part for part in _DIGITS.split(name)]


def listing(words: Sequence[str]) -> str:
    """Return the `__all__` statement, sorted."""
    quoted = tuple(python_literal(word) for word in sorted(words, key=_listing_key))
    return statement("", Call("__all__ = [", quoted, "]", display=True))


def constant(name: str) -> str:
    """Return the constant that describes an alias: `UnitPrice` becomes `UNIT_PRICE`."""
    return names.snake(name).upper()
