"""Which types may meet in an expression, what comes out, and how many digits it may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from batpak_codegen.types import (
    EnumType,
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

INT = Scalar("i64")
BOOL = Scalar("bool")
TEXT = Scalar("string")
DECIMAL = Scalar("decimal")
DURATION = Scalar("duration")
TIMESTAMP = Scalar("timestamp")

DIGITS_MAX = 90
ITEMS_DIGITS = 10  # a list without max_length has fewer than 10 ** 10 items: it was one frame

_INT_DIGITS = {"i8": 3, "i16": 5, "i32": 10, "i64": 19, "u8": 3, "u16": 5, "u32": 10, "u64": 20}
_ORDERED = frozenset(["int", "decimal", "string", "date", "timestamp", "duration", "float"])
_CLOCK = {
    ("timestamp", "+", "duration"): TIMESTAMP,
    ("timestamp", "-", "duration"): TIMESTAMP,
    ("timestamp", "-", "timestamp"): DURATION,
    ("duration", "+", "duration"): DURATION,
    ("duration", "-", "duration"): DURATION,
}

Named: TypeAlias = EnumType | IdType | StructType | UnionType


@dataclass(frozen=True, slots=True)
class Digits:
    """A bound: less than 10 ** `whole`, and `scale` digits behind the point."""

    whole: int
    scale: int = 0

    def __or__(self, other: Digits) -> Digits:
        """A bound of either of two."""
        return Digits(max(self.whole, other.whole), max(self.scale, other.scale))


def number(type_: Type) -> bool:
    """Whether it is an int or a decimal; floats never mix with anything."""
    return kind(type_) in ("int", "decimal")


def kind(type_: Type) -> str:
    """`int` for every integer width, `float`, another scalar's name; "" for what is no scalar."""
    type_ = bare(type_)
    if not isinstance(type_, Scalar):
        return ""
    return "int" if type_.name in _INT_DIGITS else {"f64": "float"}.get(type_.name, type_.name)


def spelled(type_: Type) -> str:
    """The type as a schema writes it, aliases and widths gone: `list<Money>?`."""
    type_ = bare(type_)
    match type_:
        case OptionalOf():
            return f"{spelled(type_.of)}?"
        case ListOf():
            return f"list<{spelled(type_.item)}>"
        case SetOf():
            return f"set<{spelled(type_.item)}>"
        case MapOf():
            return f"map<{spelled(type_.item)}>"
        case EnumType() | IdType() | StructType() | UnionType():
            return type_.name
        case _:
            return kind(type_)


def described(type_: Type) -> str:
    """The type in a sentence: "an int", "a Money"."""
    name = spelled(type_)
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"


def same(a: Type, b: Type) -> bool:
    """Whether two types are one, apart from aliases, widths and constraints."""
    match bare(a), bare(b):
        case (Scalar() as left, Scalar() as right):
            return kind(left) == kind(right)
        case (
            ((EnumType() | IdType() | StructType() | UnionType()) as left),
            ((EnumType() | IdType() | StructType() | UnionType()) as right),
        ):
            named = (left.package, left.name) == (right.package, right.name)
            return named and type(left) is type(right)
        case (OptionalOf() as left, OptionalOf() as right):
            return same(left.of, right.of)
        case (
            (ListOf(item=x), ListOf(item=y))
            | (SetOf(item=x), SetOf(item=y))
            | (MapOf(item=x), MapOf(item=y))
        ):
            return same(x, y)
        case _:
            return False


def comparable(a: Type, b: Type) -> bool:
    """Whether `==` makes sense: the same type, or an int with a decimal."""
    return same(a, b) or (number(a) and number(b))


def ordered(type_: Type) -> bool:
    """Whether `<` makes sense among values of this type."""
    return kind(type_) in _ORDERED


def sized(type_: Type) -> bool:
    """Whether `len` makes sense: text, list, set, map."""
    type_ = bare(type_)
    return isinstance(type_, ListOf | SetOf | MapOf) or kind(type_) == "string"


def arithmetic(a: Type, operator: str, b: Type) -> Type | None:
    """The type of `a operator b` for `+ - *`; None if there is no such operation."""
    if number(a) and number(b):
        return INT if kind(a) == kind(b) == "int" else DECIMAL
    return _CLOCK.get((kind(a), operator, kind(b)))


def digits(type_: Type) -> Digits:
    """The bound of a field, from its declaration; Digits(0) for what is no number."""
    type_ = bare(type_)
    if not isinstance(type_, Scalar):
        return Digits(0)
    if type_.name == "decimal":
        scale = 18 if type_.scale is None else type_.scale
        precision = 38 if type_.precision is None else type_.precision
        return Digits(max(0, precision - scale), scale)
    return Digits(_INT_DIGITS.get(type_.name, 0))


def combined(a: Digits, operator: str, b: Digits) -> Digits:
    """A bound of `a operator b`; sound for every value within the bounds of the operands."""
    if operator == "*":
        return Digits(a.whole + b.whole, a.scale + b.scale)
    if operator == "%":
        return b
    return a if operator == "//" else Digits(max(a.whole, b.whole) + 1, max(a.scale, b.scale))


def summed(item: Digits, over: Type) -> Digits:
    """A bound of the sum over a list or set of such items."""
    over = bare(over)
    longest = over.max_length if isinstance(over, ListOf | SetOf) else None
    more = ITEMS_DIGITS if longest is None else len(str(longest))
    return Digits(item.whole + more, item.scale)
