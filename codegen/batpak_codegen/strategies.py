"""Hypothesis strategies: for every type and event, values that an append accepts.

A type's strategy is called by its plural (`order_lines`), an event's by its name (`order_paid`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from msgspec import Struct

from batpak_codegen import names
from batpak_codegen.ir import INT_RANGES, PackageDef, TypeDef, int_range
from batpak_codegen.layout import Call, Chain, Doc, flat, statement
from batpak_codegen.limits import decimal_range, is_itself, nearest
from batpak_codegen.namespace import Namespace
from batpak_codegen.text import Code, code, ident, python_literal
from batpak_codegen.types import (
    AliasType,
    Bounds,
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
    UnionType,
)

_PLAIN: Final = {
    "bool": "st.booleans()",
    "uuid": "st.uuids()",
    "timestamp": "st.datetimes(timezones=st.just(dt.UTC))",
    "date": "st.dates()",
    "duration": "st.timedeltas()",
}
SAMPLED_MAX: Final = 64  # items that are all made
Functions: TypeAlias = Mapping[str, Mapping[str, str]]

_TAKEN: Final = names.KEYWORDS | {"dt", "final", "len", "override", "st", "tuple"}


class Strategy(Struct, frozen=True):
    """A function that returns a strategy."""

    name: str
    head: Code
    body: Code


def plural(word: str) -> str:
    """Return what several are called: `currency` becomes `currencies`."""
    if word.endswith("y") and word[-2:-1] not in ("", *"aeiou_"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")


def type_functions(types: Iterable[TypeDef], events: Iterable[str]) -> dict[str, str]:
    """Return name of a type → its function; never one of an event's."""
    taken = {event_function(event) for event in events} | _TAKEN
    found: dict[str, str] = {}
    for definition in types:
        found[definition.type.name] = _free(plural(names.snake(definition.type.name)), taken)
        taken.add(found[definition.type.name])
    return found


def event_function(event: str) -> str:
    """Return the function of an event."""
    return _free(names.snake(event), _TAKEN)


def functions(packages: Iterable[PackageDef]) -> Functions:
    """Return package → name of a type → its function, which all others import."""
    return {
        package.name: type_functions(package.types, (event.name for event in package.events))
        for package in packages
    }


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


class Kit:
    """Writes the strategies of one package."""

    def __init__(self, space: Namespace, functions: Functions) -> None:
        self.space, self.package, self.functions = space, space.package, functions
        mine = self.functions[self.package.name]
        events = (event_function(event.name) for event in self.package.events)
        self.taken = {*mine.values(), *events, *_TAKEN}
        self.imported: dict[tuple[str, str], str] = {}

    def strategies(self) -> tuple[Strategy, ...]:
        """Return those of its types, then those of its events."""
        found: list[Strategy] = []
        mine = self.functions[self.package.name]
        for definition in self.package.types:
            type_ = definition.type
            annotation = self.space.type(type_.package, type_.name)
            found.append(self._strategy(mine[type_.name], annotation, self._definition(type_)))
        for event in self.package.events:
            annotation = self.space.near("events", event.name)
            doc = self._builds(annotation, event.fields)
            found.append(self._strategy(event_function(event.name), annotation, doc))
        return tuple(found)

    def _strategy(self, function: str, annotation: str, doc: Doc) -> Strategy:
        self.space.use("hypothesis", "strategies", "st")
        head = Call(f"def {ident(function)}() -> st.SearchStrategy[", (annotation,), "]:")
        body = statement("return ", doc, indent=4)
        return Strategy(function, code(statement("", head)), code(body))

    def _definition(self, type_: Type) -> Doc:
        """Return the strategy behind a declared name."""
        if isinstance(type_, AliasType):
            return self.of(type_.of)
        if isinstance(type_, EnumType):
            name = self.space.type(type_.package, type_.name)
            members = tuple(f"{name}.{member}" for member, _ in type_.members)
            return Call("st.sampled_from(", (Call("[", members, "]", display=True),), ")")
        if isinstance(type_, IdType):
            return f"st.builds({self.space.type(type_.package, type_.name)}, st.uuids())"
        if isinstance(type_, UnionType):
            return Call("st.one_of(", tuple(self.of(member) for member in type_.members))
        if isinstance(type_, StructType):
            return self._builds(self.space.type(type_.package, type_.name), type_.fields)
        return self.of(type_)

    def _builds(self, name: str, fields: Iterable[FieldType]) -> Doc:
        given = (self._argument(field) for field in fields)
        return Call("st.builds(", (name, *given), display=True)

    def _argument(self, field: FieldType) -> Doc:
        return _after(f"{ident(field.name)}=", self.of(field.type))

    def of(self, type_: Type) -> Doc:
        """Return the strategy of a type where it is used."""
        if isinstance(type_, AliasType | EnumType | IdType | StructType | UnionType):
            return f"{self._named(type_.package, type_.name)}()"
        if isinstance(type_, OptionalOf):
            return Chain("|", ("st.none()", self.of(type_.of)))
        if isinstance(type_, ListOf):
            if many := _many(type_.min_length):
                repeated = f").map(lambda some: (tuple(some) * {many})[:{many}])"
                return Call("st.lists(", (self.of(type_.item), *_FEW), repeated)
            sizes = _sizes(type_.min_length, type_.max_length)
            return Call("st.lists(", (self.of(type_.item), *sizes), ").map(tuple)")
        if isinstance(type_, SetOf):
            sizes = _sizes(type_.min_length, type_.max_length)
            return Call("st.frozensets(", (self.of(type_.item), *sizes))
        if isinstance(type_, MapOf):
            if many := _many(type_.min_length):
                keyed = f"{{str(n): some[n % len(some)] for n in range({many})}}"
                items = (self.of(type_.item), *_FEW)
                return Call("st.lists(", items, f").map(lambda some: {keyed})")
            sizes = _sizes(type_.min_length, type_.max_length)
            return Call("st.dictionaries(", ("st.text()", self.of(type_.item), *sizes))
        return self._scalar(type_)

    def _named(self, package: str, name: str) -> str:
        function = self.functions[package][name]
        if package == self.package.name:
            return function
        key = (package, name)
        if key not in self.imported:
            local = self.space.local(package, name)
            wish = function if local == name else plural(names.snake(local))
            if wish in self.taken:
                wish = f"{package.rpartition('.')[2]}_{function}"
            self.imported[key] = _free(wish, self.taken)
            self.taken.add(self.imported[key])
        return self.space.strategy(package, function, self.imported[key])

    def _scalar(self, type_: Scalar) -> Doc:
        bounds = type_.bounds
        if type_.name in INT_RANGES:
            low, high = int_range(type_)
            return Call("st.integers(", (f"min_value={low}", f"max_value={high}"))
        if type_.name == "string":
            return self._text(type_)
        if type_.name == "bytes":
            return _run("st.binary(", bounds)
        if type_.name == "decimal":
            return self._decimal(type_)
        if type_.name == "f64":
            return Call("st.floats(", (*_float_limits(type_), _FINITE))
        if "dt." in _PLAIN[type_.name]:
            self.space.whole("import datetime as dt")
        return _PLAIN[type_.name]

    def _text(self, type_: Scalar) -> Doc:
        bounds = type_.bounds
        pattern = bounds.pattern
        if pattern is None:
            return _run("st.text(", bounds)
        ascii_only = "(?a)" if "\\" in pattern else ""  # `\d`, `\w` and `\s` mean ASCII
        regex = Call("st.from_regex(", (_raw(ascii_only + pattern), "fullmatch=True"))
        low, high = bounds.min_length, bounds.max_length
        if low is None and high is None:
            return regex
        before, after = f"{low} <= " if low else "", "" if high is None else f" <= {high}"
        return Call(f"{flat(regex)}.filter(", (f"lambda text: {before}len(text){after}",))

    def _decimal(self, type_: Scalar) -> Doc:
        scale = type_.scale or 0
        low, high = decimal_range(type_)
        limits = (f"min_value={self._units(low, scale)}", f"max_value={self._units(high, scale)}")
        return Call("st.decimals(", (*limits, f"places={scale}"))

    def _units(self, number: int, scale: int) -> str:
        whole, rest = divmod(abs(number), 10**scale)
        sign = "-" if number < 0 else ""
        if not rest:
            return f"{sign}{whole}"
        return f'{self.space.use("decimal", "Decimal")}("{sign}{whole}.{rest:0{scale}}")'


_FEW: Final = ("min_size=1", "max_size=8")
_FINITE: Final = "allow_nan=False, allow_infinity=False"


def _after(before: str, doc: Doc) -> Doc:
    """Return `doc` with something before it."""
    if isinstance(doc, str):
        return before + doc
    if isinstance(doc, Chain):
        return Chain(doc.operator, (_after(before, doc.items[0]), *doc.items[1:]))
    if isinstance(doc, Call):
        return Call(before + doc.head, doc.items, doc.close, doc.display, doc.open)
    raise TypeError(f"no strategy is a {type(doc).__name__}")


def _run(function: str, bounds: Bounds) -> Call:
    """Return the strategy of text or bytes of some length."""
    if many := _many(bounds.min_length):
        return Call(function, _FEW, f").map(lambda some: (some * {many})[:{many}])")
    return Call(function, _sizes(bounds.min_length, bounds.max_length))


def _many(low: int | None) -> int | None:
    """Return a length that a small sample is repeated up to: Hypothesis makes no such amounts."""
    return low if low is not None and low > SAMPLED_MAX else None


def _sizes(low: int | None, high: int | None) -> tuple[str, ...]:
    found = [f"min_size={low}"] if low else []
    return (*found, f"max_size={high}") if high is not None else (*found,)


def _raw(pattern: str) -> str:
    """Return a pattern as a raw string, where that can hold it."""
    plain = pattern.isascii() and pattern.isprintable() and not set('"\\') & set(pattern[-1:])
    return f'r"{pattern}"' if plain and '"' not in pattern else python_literal(pattern)


def _float_limits(type_: Scalar) -> list[str]:
    """Return the limits as the generated check has them; the tighter one of two."""
    bounds = type_.bounds
    lows = [_float(bounds.ge, math.inf, is_out=False), _float(bounds.gt, math.inf, is_out=True)]
    highs = [_float(bounds.le, -math.inf, is_out=False), _float(bounds.lt, -math.inf, is_out=True)]
    low, high = max(filter(None, lows), default=None), max(filter(None, highs), default=None)
    found: list[str] = []
    if low:
        found.append(f"min_value={python_literal(low[0])}")
        found += ["exclude_min=True"] if low[1] else []
    if high:
        found.append(f"max_value={python_literal(-high[0])}")
        found += ["exclude_max=True"] if high[1] else []
    return found


def _float(limit: Decimal | None, inwards: float, *, is_out: bool) -> tuple[float, bool] | None:
    """Return a limit, so that the tighter one of two is the greater, and whether it is no value."""
    if limit is None:
        return None
    found = nearest(limit, inwards)
    return math.copysign(1, inwards) * found, is_out and is_itself(limit, found)
