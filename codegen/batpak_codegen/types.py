"""Field types: `"list<Money>?"` as text, and the resolved tree everybody behind `link` works on.

The tree is closed and finite: structs may not recurse, so a type holds its parts by value.
Wire forms and append-time rules: docs/reference/schema-language.md, "Field types".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NoReturn, TypeAlias

from msgspec import Struct

from batpak_codegen.diagnostic import Diagnostic, SchemaError, Span, did_you_mean, quoted
from batpak_codegen.nodes import TextNode


class Bounds(Struct, frozen=True):
    """Constraints of a number or of text. They bind the writer, never the reader."""

    ge: Decimal | None = None
    gt: Decimal | None = None
    le: Decimal | None = None
    lt: Decimal | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None


class Scalar(Struct, frozen=True, tag="scalar"):
    """A built-in type by its canonical name: `int` is `i64`, `float` is `f64`.

    `precision` and `scale` are set for `decimal` and for nothing else.
    """

    name: str
    bounds: Bounds = Bounds()
    precision: int | None = None
    scale: int | None = None


class EnumType(Struct, frozen=True, tag="enum"):
    """An enum: member name → stored text, in declared order.

    An open one has a member more, UNRECOGNIZED, for what a reader does not know.
    """

    package: str
    name: str
    members: tuple[tuple[str, str], ...]
    open: bool = False


class IdType(Struct, frozen=True, tag="id"):
    """A NewType over UUID, stored as 16 bytes."""

    package: str
    name: str
    prefix: str


class Tag(Struct, frozen=True):
    """What a struct says of itself when it is stored: `type: card`."""

    key: str
    value: str


class StructType(Struct, frozen=True, tag="struct"):
    """A named map on the wire; fields in declared order.

    A member of a union is stored with its tag wherever it stands, in a union or on its own.
    """

    package: str
    name: str
    fields: tuple[FieldType, ...]
    tag: Tag | None = None

    def field(self, name: str) -> FieldType | None:
        """Return the field of that name, if there is one."""
        return next((field for field in self.fields if field.name == name), None)


class UnionType(Struct, frozen=True, tag="union"):
    """One of several structs of the same package, which their tags tell apart."""

    package: str
    name: str
    members: tuple[StructType, ...]


class AliasType(Struct, frozen=True, tag="alias"):
    """A name for a constrained type. It shows in annotations and vanishes on the wire."""

    package: str
    name: str
    of: Type


class ListOf(Struct, frozen=True, tag="list"):
    """Items in order; the lengths count items."""

    item: Type
    min_length: int | None = None
    max_length: int | None = None


class SetOf(Struct, frozen=True, tag="set"):
    """Items without order or double; sorted on the wire."""

    item: Type
    min_length: int | None = None
    max_length: int | None = None


class MapOf(Struct, frozen=True, tag="map"):
    """Text keys to `item`."""

    item: Type
    min_length: int | None = None
    max_length: int | None = None


class OptionalOf(Struct, frozen=True, tag="optional"):
    """`T?`: the value or null. Never nested in another OptionalOf."""

    of: Type


Type: TypeAlias = (
    Scalar
    | EnumType
    | IdType
    | StructType
    | UnionType
    | AliasType
    | ListOf
    | SetOf
    | MapOf
    | OptionalOf
)


class FieldType(Struct, frozen=True):
    """One field of a struct, an event or state data.

    `wire` is the key it is stored under, if that is not its name.
    `default` is a Python value of exactly the field's type (str for an enum: the stored text);
    `has_default` tells a default of None from no default.
    """

    name: str
    type: Type
    doc: str | None = None
    has_default: bool = False
    default: object = None
    wire: str | None = None

    @property
    def key(self) -> str:
        """The key it is stored under."""
        return self.wire or self.name


def bare(type_: Type) -> Type:
    """The type behind any aliases."""
    while isinstance(type_, AliasType):
        type_ = type_.of
    return type_


class NameExpr(Struct, frozen=True):
    """A scalar, a type of this package, or `alias.Name` of an imported one; not looked up yet."""

    name: str
    span: Span


class GenericExpr(Struct, frozen=True):
    """`list<item>`, `set<item>` or `map<item>`."""

    base: str
    item: TypeExpr
    span: Span


class OptionalExpr(Struct, frozen=True):
    """`of?`; never another OptionalExpr."""

    of: TypeExpr
    span: Span


TypeExpr: TypeAlias = NameExpr | GenericExpr | OptionalExpr

SCALARS: Mapping[str, str] = {  # as written → canonical
    **{name: name for name in ["bool", "string", "bytes", "i8", "i16", "i32", "i64", "u8", "u16"]},
    **{name: name for name in ["u32", "u64", "f64", "decimal", "uuid", "timestamp", "date"]},
    "duration": "duration",
    "int": "i64",
    "float": "f64",
}
CONTAINERS = ("list", "set", "map")
FOREIGN: Mapping[str, str] = {  # lower-cased spelling of some other language → ours
    **dict.fromkeys(["str", "text", "varchar", "char"], "string"),
    **dict.fromkeys(["boolean"], "bool"),
    **dict.fromkeys(["integer", "int64", "long", "bigint"], "i64"),
    **dict.fromkeys(["int32"], "i32"),
    **dict.fromkeys(["int16", "short"], "i16"),
    **dict.fromkeys(["int8"], "i8"),
    **dict.fromkeys(["uint8", "byte"], "u8"),
    **dict.fromkeys(["uint16"], "u16"),
    **dict.fromkeys(["uint32"], "u32"),
    **dict.fromkeys(["uint64"], "u64"),
    **dict.fromkeys(["double", "f32", "float32", "float64", "number"], "f64"),
    **dict.fromkeys(["bytearray", "binary", "blob"], "bytes"),
    **dict.fromkeys(["numeric", "money"], "decimal"),
    **dict.fromkeys(["datetime", "date-time", "time", "instant"], "timestamp"),
    **dict.fromkeys(["timedelta", "interval"], "duration"),
    **dict.fromkeys(["guid"], "uuid"),
    **dict.fromkeys(["array", "vec", "tuple", "sequence", "repeated"], "list"),
    **dict.fromkeys(["frozenset", "hashset"], "set"),
    **dict.fromkeys(["dict", "mapping", "object", "hashmap", "record"], "map"),
}
TYPE_CHARS_MAX = 256
TYPE_DEPTH_MAX = 16

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_REFERENCE = re.compile(r"([a-z][a-z0-9_]*\.)?[A-Z][A-Za-z0-9]*")


def parse_type(text: TextNode) -> TypeExpr:
    """Read the type of a field; names are not looked up.

    Raises:
        SchemaError: One diagnostic: E0301 for anything that is not a type, with our spelling of
            it if it is one elsewhere; E0302 for a lower-case word that is no type; E0310 for `??`.
    """
    if len(text.value) > TYPE_CHARS_MAX:
        message = f"a type has at most {TYPE_CHARS_MAX} characters"
        raise SchemaError([Diagnostic("E0301", message, text.span)])
    parser = _Parser(text)
    found = parser.type(0)
    if parser.position < len(text.value):
        parser.refuse(f"{quoted(text.value)} is not a type", 0, len(text.value))
    return found


def foreign(name: str) -> str | None:
    """Our spelling of a type name of some other language: `datetime` is `timestamp`."""
    ours = FOREIGN.get(name.lower()) or (name.lower() if name.lower() in SCALARS else None)
    return None if ours == name else ours


class _Parser:
    """Recursive descent over one text; every rule is the docstring of its method."""

    def __init__(self, text: TextNode) -> None:
        self.text = text
        self.position = 0

    def refuse(self, message: str, start: int, end: int, code: str = "E0301") -> NoReturn:
        ours = translate(self.text.value)
        hint = f"write {ours}" if ours and ours != self.text.value else None
        raise SchemaError([Diagnostic(code, message, self.text.locate(start, end), hint)])

    def take(self, mark: str) -> bool:
        found = self.text.value.startswith(mark, self.position)
        self.position += len(mark) if found else 0
        return found

    def type(self, depth: int) -> TypeExpr:
        """Read `type = base [ "?" ]`."""
        start = self.position
        found = self.base(depth)
        if not self.take("?"):
            return found
        if self.take("?"):
            where = self.text.locate(self.position - 2, self.position)
            message = "`??`: a value is null or it is not"
            raise SchemaError([Diagnostic("E0310", message, where, "write one ?")])
        return OptionalExpr(found, self.text.locate(start, self.position))

    def base(self, depth: int) -> TypeExpr:
        """Read `base = scalar | ("list" | "set" | "map") "<" type ">" | [alias "."] TypeName`."""
        start = self.position
        match = _NAME.match(self.text.value, start)
        if not match or depth > TYPE_DEPTH_MAX:
            message = "types are nested too deep" if match else "a type is missing"
            self.refuse(f"{message} in {quoted(self.text.value)}", 0, len(self.text.value))
        self.position = match.end()
        name = match[0]
        if name in CONTAINERS:
            if not self.take("<"):
                self.refuse(f"`{name}` of what? Like {name}<string>", start, self.position)
            item = self.type(depth + 1)
            if not self.take(">"):
                whole = quoted(self.text.value)
                self.refuse(f"{whole} is not a type", 0, len(self.text.value))
            return GenericExpr(name, item, self.text.locate(start, self.position))
        where = self.text.locate(start, self.position)
        if name in SCALARS or _REFERENCE.fullmatch(name):
            return NameExpr(name, where)
        ours = foreign(name)
        if ours:
            self.refuse(f"{quoted(name)} is spelled `{ours}` here", start, self.position)
        hint = did_you_mean(name, [*SCALARS, *CONTAINERS]) or "names of types begin with a capital"
        home, _, last = name.rpartition(".")
        if "." in home and last[:1].isupper():
            hint = f"import {home}, and write {home.rpartition('.')[2]}.{last}"
        raise SchemaError([Diagnostic("E0302", f"unknown type {quoted(name)}", where, hint)])


_MAYBE = ("optional", "option", "maybe", "nullable")
_NOTHING = ("None", "null", "undefined", "nil")
_OUTSIDE = {"UUID", "Decimal", "String", "Integer", "Boolean", "Double", "Long", "Float", "Int"}
_APPLIED = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)\s*([<(\[])(.*)[>)\]]", re.DOTALL)


def translate(text: str) -> str | None:
    """Spell a type of Python, TypeScript, Java, Rust or SQL our way, or None; only for hints."""
    text = text.strip()
    parts = _split(text, "|")
    if len(parts) == 2 and any(part in _NOTHING for part in parts):
        text = next((part for part in parts if part not in _NOTHING), "") + "?"
    if text.endswith("?"):
        inner = translate(text.rstrip("?"))
        return f"{inner}?" if inner and not inner.endswith(("?", "}")) else inner
    if text.endswith("[]"):
        return _applied("list", [text[:-2]])
    match = _APPLIED.fullmatch(text)
    if match:
        return _applied(match[1].rpartition(".")[2].lower(), _split(match[3], ","))
    if text in _NOTHING:
        return None
    if text not in _OUTSIDE and _REFERENCE.fullmatch(text):
        return text
    ours = text if text in SCALARS else foreign(text)
    return None if ours in CONTAINERS else ours


def _applied(name: str, arguments: list[str]) -> str | None:
    """Spell `name<arguments>`."""
    numbers = all(argument.isdecimal() for argument in arguments)
    base = FOREIGN.get(name, name)
    if numbers and base == "decimal" and len(arguments) == 2:
        return f"{{type: decimal, precision: {arguments[0]}, scale: {arguments[1]}}}"
    if numbers and base == "string" and len(arguments) == 1:
        return f"{{type: string, max_length: {arguments[0]}}}"
    if base == "list" and len(arguments) == 2 and arguments[1] == "...":
        arguments = arguments[:1]
    if name == "union" and len(arguments) == 2:
        return translate(" | ".join(arguments))
    if base == "map" and len(arguments) == 2 and translate(arguments[0]) == "string":
        arguments = arguments[1:]
    item = translate(arguments[0]) if len(arguments) == 1 else None
    if not item or item.endswith("}"):
        return None
    if name in _MAYBE:
        return item if item.endswith("?") else f"{item}?"
    return f"{base}<{item}>" if base in CONTAINERS else None


def _split(text: str, mark: str) -> list[str]:
    """Split at every `mark` that stands outside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "<([") - (character in ">)]")
        if character == mark and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
