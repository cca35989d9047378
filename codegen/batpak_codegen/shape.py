"""Frozen shapes: what is left of a struct once its bytes are a promise, and its one spelling.

`{amount:decimal(18.2),lines:list<shop.orders.OrderLine#1>,note:string?}`: stored keys and types,
sorted by name. Aliases are resolved; constraints, words and order are not part of a promise.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeAlias

from msgspec import Struct, to_builtins

DEPTH_MAX: Final = 24
TAG_KEY: Final = "type"
PARSED_MAX: Final = 16_384
FIELDS_MAX: Final = 10_000

INTEGERS: Final = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
PLAIN: Final = frozenset(
    ["bool", "string", "bytes", *INTEGERS, "f64", "uuid", "timestamp", "date", "duration"]
)

_WORD: Final = re.compile(r"[a-z][a-z0-9]*")
_DECIMAL: Final = re.compile(r"decimal\(([1-9][0-9]?)\.([0-9]{1,2})\)")
_NAME: Final = r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\.[A-Z][A-Za-z0-9]{0,63}"
_REF: Final = re.compile(rf"({_NAME})(?:#([1-9][0-9]{{0,5}}))?")
_FIELD: Final = re.compile(r"([a-z][a-z0-9_]{0,62})(?:/([^\s:,{}]{1,128}))?:")
_LITERAL: Final = frozenset('"-0123456789tfn')


class Plain(Struct, frozen=True):
    """A built-in type; `precision` and `scale` are those of a decimal."""

    name: str
    precision: int = 0
    scale: int = 0


class Ref(Struct, frozen=True, order=True):
    """A named type: a struct by its revision; an enum, a union or an id by name alone (0).

    What could not stay readable has revisions from 2 on, whatever it is.
    """

    name: str
    revision: int = 0


class Box(Struct, frozen=True):
    """`list`, `set` or `map` of something."""

    base: str
    item: Frozen


class Maybe(Struct, frozen=True):
    """`T?`."""

    of: Frozen


Frozen: TypeAlias = Plain | Ref | Box | Maybe


class ShapeField(Struct, frozen=True):
    """A field as it is stored; `wire` if the stored key is not its name, `default` as JSON."""

    name: str
    type: Frozen
    wire: str | None = None
    default: str | None = None

    @property
    def key(self) -> str:
        """The stored key."""
        return self.wire or self.name

    @property
    def may_be_absent(self) -> bool:
        """Whether bytes without it can be read."""
        return self.default is not None or isinstance(self.type, Maybe)


Shape: TypeAlias = tuple[ShapeField, ...]


def spell_ref(ref: Ref) -> str:
    """Spell a reference: `shop.orders.OrderLine#1`."""
    return f"{ref.name}#{ref.revision}" if ref.revision else ref.name


def spell_type(type_: Frozen) -> str:
    """Spell a frozen type."""
    if isinstance(type_, Maybe):
        return f"{spell_type(type_.of)}?"
    if isinstance(type_, Box):
        return f"{type_.base}<{spell_type(type_.item)}>"
    if isinstance(type_, Ref):
        return spell_ref(type_)
    if type_.name == "decimal":
        return f"decimal({type_.precision}.{type_.scale})"
    return type_.name


def spell(shape: Shape) -> str:
    """Spell a shape, fields sorted by name."""
    return "{" + ",".join(map(_spell_field, sorted(shape, key=_by_name))) + "}"


def _by_name(field: ShapeField) -> str:
    return field.name


def _spell_field(field: ShapeField) -> str:
    wire = f"/{field.wire}" if field.wire else ""
    default = f"={field.default}" if field.default is not None else ""
    return f"{field.name}{wire}:{spell_type(field.type)}{default}"


def spell_value(value: object) -> str:
    """Spell a default as JSON: times, ids and decimals as the text that is stored."""
    if isinstance(value, Decimal):
        return json.dumps(f"{value:f}")
    return json.dumps(to_builtins(value), allow_nan=False)


def references(shape: Shape) -> Iterator[Ref]:
    """Yield every named type that a shape mentions."""
    for field in shape:
        type_ = field.type
        while isinstance(type_, Maybe | Box):
            type_ = type_.of if isinstance(type_, Maybe) else type_.item
        if isinstance(type_, Ref):
            yield type_


def parse_tag(text: str) -> tuple[str, str]:
    """Return the key and the value of a tag: of `card`, or of `kind=card`."""
    key, other, value = text.partition("=")
    return (key, value) if other else (TAG_KEY, text)


class NotAShape(ValueError):
    """The text is no shape, and what it looks like instead."""


@lru_cache(maxsize=PARSED_MAX)
def parse(text: str) -> Shape:
    """Read a shape; the same text is read once.

    Raises:
        NotAShape: It is none, or not in the one spelling.
    """
    shape = _Reader(text).shape()
    if spell(shape) != text:
        raise NotAShape("this is not how `batpak lock` spells it")
    return shape


def parse_ref(text: str) -> Ref:
    """Read a reference.

    Raises:
        NotAShape: It is none.
    """
    match = _REF.fullmatch(text)
    if not match:
        raise NotAShape("this is no name of a type")
    return Ref(match[1], int(match[2] or 0))


class _Reader:
    """Recursive descent; every rule consumes what it reads."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def shape(self) -> Shape:
        fields: list[ShapeField] = []
        if not self.take("{"):
            raise NotAShape("a shape begins with {")
        while not self.take("}"):
            if fields and not self.take(","):
                raise NotAShape("a , or } is missing")
            fields.append(self.field())
            if len(fields) > FIELDS_MAX:
                raise NotAShape(f"a shape has at most {FIELDS_MAX:,} fields")
        if self.at != len(self.text):
            raise NotAShape("there is text behind the shape")
        for of in ({field.name for field in fields}, {field.key for field in fields}):
            if len(of) != len(fields):
                raise NotAShape("a field stands twice")
        return tuple(fields)

    def field(self) -> ShapeField:
        match = _FIELD.match(self.text, self.at)
        if not match:
            raise NotAShape("a field is name:type")
        self.at = match.end()
        type_ = self.type(0)
        default = self.literal() if self.take("=") else None
        return ShapeField(match[1], type_, match[2], default)

    def literal(self) -> str:
        begin = self.at
        if self.text[begin : begin + 1] not in _LITERAL:
            raise NotAShape("a default is text, a number, true, false or null")
        try:
            value, self.at = json.JSONDecoder().raw_decode(self.text, begin)
        except ValueError as error:
            raise NotAShape("a default that is no literal") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise NotAShape("a default is finite")
        return self.text[begin : self.at]

    def type(self, depth: int) -> Frozen:
        if depth > DEPTH_MAX:
            raise NotAShape("types are nested too deep")
        found = self.base(depth)
        return Maybe(found) if self.take("?") else found

    def base(self, depth: int) -> Frozen:
        if match := _DECIMAL.match(self.text, self.at):
            self.at = match.end()
            return Plain("decimal", int(match[1]), int(match[2]))
        if match := _REF.match(self.text, self.at):
            self.at = match.end()
            return Ref(match[1], int(match[2] or 0))
        match = _WORD.match(self.text, self.at)
        word = match[0] if match else ""
        self.at += len(word)
        if word in PLAIN:
            return Plain(word)
        if word not in ("list", "set", "map") or not self.take("<"):
            raise NotAShape(f"`{word[:32]}` is no type")
        item = self.type(depth + 1)
        if not self.take(">"):
            raise NotAShape("a > is missing")
        return Box(word, item)

    def take(self, mark: str) -> bool:
        found = self.text.startswith(mark, self.at)
        self.at += len(mark) if found else 0
        return found
