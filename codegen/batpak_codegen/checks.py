"""Append-time checks: what a type demands of a value, and how its one spelling is reached.

A type is *plain* if one expression judges it: scalars, enums, ids and aliases of them. All
others are walked: structs by a function of their own, lists, sets and maps by a loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Final

from msgspec import Struct

from batpak_codegen import names
from batpak_codegen.compiled import Compiled
from batpak_codegen.ir import INT_RANGES, int_range
from batpak_codegen.layout import Call, Chain, Doc, Paren, flat, statement
from batpak_codegen.namespace import Namespace, constant
from batpak_codegen.text import python_literal
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
    bare,
)

_PLAIN: Final = {  # predicate, what was expected
    "bool": ("is_bool", "a bool"),
    "uuid": ("is_uuid", "a UUID"),
    "timestamp": ("is_timestamp", "a datetime with a time zone"),
    "date": ("is_date", "a date"),
    "duration": ("is_duration", "a timedelta"),
    "f64": ("is_float", "a finite float"),
}


ENUMERATED_MAX: Final = 3


class Variable(Struct, frozen=True):
    """Something to check: an expression, and its path: `$.lines[{index}]`, braces substituted."""

    text: str
    path: str

    @property
    def at(self) -> str:
        """The path as an argument."""
        if self.path == "{at}":
            return "at"
        return ("f" if "{" in self.path else "") + f'"{self.path}"'


def is_plain(type_: Type) -> bool:
    """Whether one expression judges a value of this type."""
    type_ = bare(type_)
    if isinstance(type_, OptionalOf):
        return is_plain(type_.of)
    return isinstance(type_, Scalar | EnumType | IdType)


def article(name: str) -> str:
    """Return `name` with its article: `an OrderId`."""
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def one_of(union: UnionType) -> str:
    """Say what a union expects: its members if they are few, `a Card or a Transfer`."""
    if len(union.members) > ENUMERATED_MAX:
        return article(union.name)
    *most, last = (article(member.name) for member in union.members)
    return f"{', '.join(most)} or {last}"


class Checks:
    """Writes the checks of one module."""

    def __init__(self, space: Namespace, reaches: dict[tuple[str, str], bool]) -> None:
        """Take the names of the module, and what is known of structs already, to be added to."""
        self.space = space
        self.patterns = Compiled()
        self._reaches = reaches
        self._names: tuple[str, ...] = ("text",)  # of a pattern that is met now

    def expected(self, type_: Type) -> str:
        """Return the code that says what a plain type expects."""
        if isinstance(type_, OptionalOf):
            inner = self.expected(type_.of)
            if isinstance(type_.of, AliasType):
                return f'f"{{{inner}}}, or None"'
            return python_literal(f"{self.words(type_.of)}, or None")
        if isinstance(type_, AliasType):
            return self.space.checks(
                type_.package,
                constant(type_.name),
                constant(self.space.local(type_.package, type_.name)),
            )
        return python_literal(self.words(type_))

    def words(self, type_: Type) -> str:
        """Say what a plain type that is no alias expects."""
        if isinstance(type_, EnumType) and type_.open:
            return f"{article(type_.name)} other than UNRECOGNIZED"
        if isinstance(type_, EnumType | IdType):
            return article(type_.name)
        if not isinstance(type_, Scalar):
            raise TypeError(f"{type(type_).__name__} is not plain")
        if type_.name in INT_RANGES:
            return _integer(type_)
        if type_.name == "string":
            matching = f" that matches {type_.bounds.pattern}" if type_.bounds.pattern else ""
            return "text" + _length(type_.bounds, "characters", " of ") + matching
        if type_.name == "bytes":
            return _length(type_.bounds, "bytes", "") or "bytes"
        if type_.name == "decimal":
            behind = f"{type_.scale} of them" if type_.scale else "none"
            digits = f"{type_.precision} digits, {behind} after the point"
            return f"a decimal of at most {digits}" + _limits(type_.bounds)
        return _PLAIN[type_.name][1] + _limits(type_.bounds)

    def predicate(self, type_: Type, text: str) -> Doc:
        """Return the expression that is true of a value of a plain type."""
        if isinstance(type_, OptionalOf):
            inner = self.predicate(type_.of, text)
            inner = Paren(inner) if isinstance(inner, Chain) else inner
            return Chain("or", (f"{text} is None", inner))
        if isinstance(type_, AliasType):
            local = names.snake(self.space.local(type_.package, type_.name))
            function = f"is_{names.snake(type_.name)}"
            return Call(f"{self.space.checks(type_.package, function, f'is_{local}')}(", (text,))
        if isinstance(type_, EnumType):
            member = self.space.type(type_.package, type_.name)
            return Call(f"{self.space.abi('is_member')}(", (text, member))
        if isinstance(type_, IdType):
            return Call(f"{self.space.abi('is_uuid')}(", (text,))
        if not isinstance(type_, Scalar):
            raise TypeError(f"{type(type_).__name__} is not plain")
        return self._scalar(type_, text)

    def _scalar(self, type_: Scalar, text: str) -> Doc:
        if type_.name in INT_RANGES:
            low, high = int_range(type_)
            return Call(f"{self.space.abi('is_int')}(", (text, str(low), str(high)))
        if type_.name in ("string", "bytes"):
            function = "is_text" if type_.name == "string" else "is_bytes"
            lengths = _arguments(type_.bounds.min_length, type_.bounds.max_length)
            test = Call(f"{self.space.abi(function)}(", (text, *lengths))
            source = type_.bounds.pattern
            return test if source is None else Chain("and", (test, self._match(source, text)))
        if type_.name == "decimal":
            digits = (str(type_.precision), str(type_.scale))
            first: Doc = Call(f"{self.space.abi('is_decimal')}(", (text, *digits))
        else:
            first = Call(f"{self.space.abi(_PLAIN[type_.name][0])}(", (text,))
        rest = tuple(
            f"{text} {mark} {self._limit(type_, limit)}" for mark, limit in _pairs(type_.bounds)
        )
        return Chain("and", (first, *rest)) if rest else first

    def _match(self, source: str, text: str) -> str:
        self.space.whole("import re")
        self.space.typing("Final")
        return f"{self.patterns.constant(source, self._names)}.fullmatch({text}) is not None"

    def alias(self, alias: AliasType) -> Doc:
        """Return the expression that is true of a value of a plain alias."""
        self._names = (names.snake(alias.name),)
        return self.predicate(alias.of, "value")

    def _limit(self, type_: Scalar, limit: str) -> str:
        if type_.name == "f64" or "." not in limit:
            return python_literal(float(limit)) if "." in limit else limit
        return f'{self.space.use("decimal", "Decimal")}("{limit}")'

    def body(self, owner: str, fields: Iterable[FieldType], path: str) -> list[str]:
        """Return the statements that check the fields of `value`; it is at `path`."""
        loops = count(1)  # variables of loops are not used twice: their types differ
        lines: list[str] = []
        for field in fields:
            self._names = (field.name, f"{names.snake(owner)}_{field.name}")
            variable = Variable(f"value.{field.name}", f"{path}.{field.name}")
            lines += self._lines(field.type, variable, 4, loops)
        return lines

    def _lines(self, type_: Type, value: Variable, indent: int, loops: Iterator[int]) -> list[str]:
        """Return statements, without indentation of their own, that check a value of any type."""
        if is_plain(type_):
            return self._judge(
                self.predicate(type_, value.text), value, self.expected(type_), indent
            )
        of = bare(type_)
        if isinstance(of, OptionalOf):
            inner = self._lines(of.of, value, indent + 4, loops)
            return [f"if {value.text} is not None:", *indented(inner)]
        if isinstance(of, StructType | UnionType):
            local = names.snake(self.space.local(of.package, of.name))
            function = f"check_{names.snake(of.name)}"
            head = self.space.checks(of.package, function, f"check_{local}")
            call = Call(f"{head}(", (value.text, value.at, "problems"))
            if isinstance(of, UnionType) or of.tag is None:
                return rows("", call, "", indent)
            class_ = self.space.type(of.package, of.name)
            test = Call(f"{self.space.abi('is_exactly')}(", (value.text, class_))
            judged = self._judge(test, value, python_literal(article(of.name)), indent)
            return [*judged, "else:", *indented(rows("", call, "", indent + 4))]
        if isinstance(of, ListOf | SetOf | MapOf):
            return self._loop(of, value, indent, loops)
        raise TypeError(f"{type(of).__name__} is plain")

    def _judge(self, predicate: Doc, value: Variable, expected: str, indent: int) -> list[str]:
        if isinstance(predicate, Chain):
            predicate = Paren(predicate)
        add = Call("problems.add(", (value.at, value.text, expected))
        return [
            *rows("if not ", predicate, ":", indent),
            *indented(rows("", add, "", indent + 4)),
        ]

    def _loop(
        self, of: ListOf | SetOf | MapOf, value: Variable, indent: int, loops: Iterator[int]
    ) -> list[str]:
        """Check a container itself, then what is in it."""
        turn = next(loops)
        number = str(turn) if turn > 1 else ""
        item = Variable(f"item{number}", "")
        if isinstance(of, ListOf):
            function, noun, more = "is_list", "a tuple", ""
            head = f"for index{number}, {item.text} in enumerate({value.text}):"
            path = f"{value.path}[{{index{number}}}]"
        elif isinstance(of, SetOf):
            function, noun, more = "is_set", "a frozenset", ""
            head = f"for {item.text} in {value.text}:"
            path = f"{value.path}[*]"
        else:
            function, noun, more = "is_map", "a dict", " with text keys"
            head = f"for key{number}, {item.text} in {value.text}.items():"
            path = f"{value.path}[{{key{number}!a}}]"
        arguments = (value.text, *_arguments(of.min_length, of.max_length))
        predicate = Call(f"{self.space.abi(function)}(", arguments)
        expected = python_literal(noun + _length(of, "items", " of ") + more)
        inner = self._lines(of.item, Variable(item.text, path), indent + 8, loops)
        return [
            *self._judge(predicate, value, expected, indent),
            "else:",
            *indented([head, *indented(inner)]),
        ]

    def canonical(self, type_: Type, text: str, depth: int = 1) -> Doc | None:
        """Return the expression that gives a value its one spelling; None if it has only one."""
        of = bare(type_)
        if isinstance(of, Scalar) and of.name == "decimal":
            return Call(f"{self.space.abi('canonical_decimal')}(", (text, str(of.scale)))
        if isinstance(of, Scalar) and of.name == "f64":
            return Call(f"{self.space.abi('canonical_float')}(", (text,))
        if not self.has_canonical(of):
            return None
        if isinstance(of, StructType | UnionType):
            return Call(f"{self._canonical_struct(of)}(", (text,))
        if isinstance(of, OptionalOf):
            inner = self.canonical(of.of, text, depth)
            otherwise: Doc = f"else {flat(inner or text)}"
            if isinstance(inner, Call):
                otherwise = Call(f"else {inner.head}", inner.items, inner.close)
            return Chain("", ("None", f"if {text} is None", otherwise))
        if isinstance(of, ListOf | MapOf):
            function = "canonical_each" if isinstance(of, ListOf) else "canonical_items"
            return Call(f"{self.space.abi(function)}(", (self._mapped(of.item, depth), text))
        raise TypeError(f"{type(of).__name__} has one spelling")

    def _canonical_struct(self, of: StructType | UnionType) -> str:
        local = names.snake(self.space.local(of.package, of.name))
        function = f"canonical_{names.snake(of.name)}"
        return self.space.checks(of.package, function, f"canonical_{local}")

    def _mapped(self, item: Type, depth: int) -> str:
        """Return the function that is applied to each item."""
        of = bare(item)
        if isinstance(of, StructType | UnionType):
            return self._canonical_struct(of)
        name = f"item{depth}" if depth > 1 else "item"
        return f"lambda {name}: {flat(self.canonical(of, name, depth + 1) or name)}"

    def canonical_lines(self, fields: Sequence[FieldType]) -> list[str]:
        """Return the body of a canonical function over the fields that need it."""
        found = [
            (field.name, self.canonical(field.type, f"value.{field.name}")) for field in fields
        ]
        needed = [(name, local_name(name), doc) for name, doc in found if doc is not None]
        lines: list[str] = []
        for _, local, doc in needed:
            lines += rows(f"{local} = ", doc, "", 4)
        self.space.use("msgspec.structs", "replace")
        changes = tuple(f"{name}={local}" for name, local, _ in needed)
        changed = Call("replace(", ("value", *changes))
        same = tuple(Chain("", (local, f"is value.{name}")) for name, local, _ in needed)
        whole = f"return value if {flat(same[0])} else {flat(changed)}"
        if len(needed) == 1 and len(whole) + 4 <= 100:
            return [*lines, whole]
        return [
            *lines,
            *rows("if ", Chain("and", same), ":", 4),
            "    return value",
            *rows("return ", changed, "", 4),
        ]

    def has_canonical(self, type_: Type) -> bool:
        """Whether a decimal or a float can be reached: two values may then mean the same."""
        of = bare(type_)
        if isinstance(of, Scalar):
            return of.name in ("decimal", "f64")
        if isinstance(of, OptionalOf):
            return self.has_canonical(of.of)
        if isinstance(of, ListOf | MapOf):
            return self.has_canonical(of.item)
        if isinstance(of, UnionType):
            return any(map(self.has_canonical, of.members))
        if not isinstance(of, StructType):
            return False
        key = (of.package, of.name)
        if key not in self._reaches:
            self._reaches[key] = any(self.has_canonical(field.type) for field in of.fields)
        return self._reaches[key]


def local_name(field: str) -> str:
    """Return a name for a local variable that hides nothing its function uses."""
    taken = field in ("value", "abi", "replace") or field.startswith("canonical_")
    return f"{field}_" if taken else field


def rows(before: str, doc: Doc, after: str, indent: int) -> list[str]:
    """Return a statement that will stand at `indent`, as lines relative to it."""
    first, *others = statement(before, doc, after, indent=indent).split("\n")
    return [first, *(line[indent:] for line in others)]


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines one level deeper."""
    return [f"    {line}" for line in lines]


def _arguments(shortest: int | None, longest: int | None) -> tuple[str, ...]:
    if longest is not None:
        return (str(shortest or 0), str(longest))
    return (str(shortest),) if shortest else ()


def _integer(type_: Scalar) -> str:
    """Say which integers are meant. Where 64 bits end is nobody's limit, so it is not told."""
    (low, high), (lowest, highest) = int_range(type_), INT_RANGES[type_.name]
    if type_.name.endswith("64") and low > lowest and high == highest:
        return f"an integer of at least {low}"
    if type_.name == "i64" and low == lowest and high < highest:
        return f"an integer of at most {high}"
    return f"an integer in {low}..{high}"


def _length(of: Bounds | ListOf | SetOf | MapOf, noun: str, before: str) -> str:
    low, high = of.min_length or 0, of.max_length
    noun = noun.removesuffix("s") if (low if high is None else high) == 1 else noun
    if high is None:
        return f"{before}at least {low} {noun}" if low else ""
    if low == high:
        return f"{before}exactly {high} {noun}"
    return f"{before}{low}..{high} {noun}" if low else f"{before}at most {high} {noun}"


def _pairs(bounds: Bounds) -> list[tuple[str, str]]:
    limits = ((">=", bounds.ge), (">", bounds.gt), ("<=", bounds.le), ("<", bounds.lt))
    return [(mark, f"{limit:f}") for mark, limit in limits if limit is not None]


def _limits(bounds: Bounds) -> str:
    return "".join(f", {mark} {limit}" for mark, limit in _pairs(bounds))
