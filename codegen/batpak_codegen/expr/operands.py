"""What an operator may ask of its operands: present, a bool, a number, of one type with others.

Each function returns the operand, resolved if need be, or raises with the way out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from batpak_codegen.diagnostic import closest, did_you_mean, printable
from batpak_codegen.expr import algebra
from batpak_codegen.expr.algebra import Digits
from batpak_codegen.expr.layout import SCHEMA
from batpak_codegen.expr.nodes import (
    AsDecimal,
    Conditional,
    Expression,
    ExpressionError,
    Member,
    Path,
    Text,
)
from batpak_codegen.expr.parse import CONSTANTS, FUNCTIONS
from batpak_codegen.types import (
    EnumType,
    OptionalOf,
    StructType,
    Type,
    UnionType,
    bare,
)

Facts: TypeAlias = Mapping[tuple[str, ...], Type]
Enums: TypeAlias = Mapping[str, EnumType]

NO_FACTS: Facts = {}
NO_DIGITS = Digits(0)
ALIKE = "alike"  # in the place of an operator: nothing is compared, one type is needed
_DECLARED = {
    "state": "a gate with `machine:` sees the state",
    "ctx": "a gate with `context:` sees one",
}
_SHOWN_CHARS_MAX = 60
_SHOWN_NAMES_MAX = 12


@dataclass(frozen=True, slots=True)
class Typed:
    """A checked node.

    Attributes:
        node: The node, resolved.
        type: Its type; it may be optional until `present` has been asked.
        digits: A bound, for numbers.
        if_true: Paths that are not null wherever this is true, with their types.
        if_false: Likewise wherever it is false.
    """

    node: Expression
    type: Type
    digits: Digits = NO_DIGITS
    if_true: Facts = field(default_factory=lambda: NO_FACTS)
    if_false: Facts = field(default_factory=lambda: NO_FACTS)


def present(typed: Typed) -> Typed:
    """Refuse what may be null."""
    if isinstance(typed.type, OptionalOf):
        shown = cut(SCHEMA.text(typed.node))
        message = f"`{shown}` may be null ({algebra.spelled(typed.type)})"
        way = f"guard it: {shown} is not None and ..."
        raise ExpressionError.at(typed.node, "E0504", message, way)
    return typed


def boolean(typed: Typed) -> Typed:
    """Refuse what is not exactly a bool: there is no truthiness."""
    of = bare(typed.type.of) if isinstance(typed.type, OptionalOf) else typed.type
    if algebra.kind(of) == "bool":
        return present(typed)
    shown, way = cut(SCHEMA.text(typed.node)), None
    if of is not typed.type:
        way = f"write `{shown} is not None`"
    elif algebra.number(of):
        way = f"compare it: {shown} > 0"
    elif algebra.sized(of):
        way = f"write `len({shown}) > 0`"
    elif isinstance(of, EnumType) and of.members:
        value = SCHEMA.text(Text(of.members[0][1], start=0, end=0))
        way = f"compare it: {shown} == {value}"
    message = f"this is {algebra.described(typed.type)}, a bool is needed"
    raise ExpressionError.at(typed.node, "E0505", message, way)


def number(typed: Typed, operator: str) -> Typed:
    """Refuse what is neither an int nor a decimal."""
    if not algebra.number(present(typed).type):
        message = f"`{operator}` is not defined for {algebra.described(typed.type)}"
        raise ExpressionError.at(typed.node, "E0507", message)
    return typed


def meet(left: Typed, operator: str, right: Typed, enums: Enums) -> tuple[Typed, Typed]:
    """Two operands of a comparison: comparable, text literals resolved to members."""
    left = member(present(left), right.type, enums)
    right = member(present(right), left.type, enums)
    if algebra.comparable(left.type, right.type):
        return left, right
    a, b = (f"`{cut(SCHEMA.text(each.node))}`" for each in (left, right))
    b = f"an item of {b}" if operator == "in" else b
    what = "one type is needed" if operator == ALIKE else "they cannot be compared"
    kinds = algebra.described(left.type), algebra.described(right.type)
    message = f"{a} is {kinds[0]}, {b} is {kinds[1]}; {what}"
    way = None if operator == ALIKE else _instead(left, operator, right)
    # In a list literal the two may stand in either order.
    start = min(left.node.start, right.node.start)
    end = max(left.node.end, right.node.end)
    raise ExpressionError("E0506", message, start, end, way)


def alike(items: Sequence[Typed], enums: Enums) -> tuple[list[Typed], Type]:
    """One type for all: literals become members, ints become decimals among decimals."""
    for item in items:
        present(item)
    enum = next((item.type for item in items if isinstance(bare(item.type), EnumType)), None)
    found = list(items) if enum is None else [member(item, enum, enums) for item in items]
    first = found[0]
    for item in found[1:]:
        meet(first, ALIKE, item, enums)
    if all(algebra.same(first.type, item.type) for item in found):
        return found, first.type
    return [_as_decimal(item) for item in found], algebra.DECIMAL


def fitted(typed: Typed, wanted: Type, enums: Enums) -> Typed:
    """A value as it is needed: of that type, and null only where that may be null."""
    of = bare(wanted)
    inner = bare(of.of) if isinstance(of, OptionalOf) else of
    typed = member(typed if of is not inner else present(typed), inner, enums)
    given = bare(typed.type.of) if isinstance(typed.type, OptionalOf) else typed.type
    if isinstance(typed.node, Conditional) and isinstance(inner, EnumType):  # of two literals
        node = typed.node
        body, orelse = (fitted(Typed(part, given), of, enums) for part in (node.body, node.orelse))
        return Typed(replace(node, body=body.node, orelse=orelse.node), of)
    if algebra.same(given, inner):
        return typed
    if given is typed.type and algebra.kind(given) == "int" and algebra.kind(inner) == "decimal":
        return _as_decimal(typed)
    message = f"this is {algebra.described(typed.type)}, {algebra.described(wanted)} is needed"
    raise ExpressionError.at(typed.node, "E0412", message)


def member(typed: Typed, enum: Type, enums: Enums) -> Typed:
    """The member a text literal stands for where an enum is expected."""
    enum, node = bare(enum), typed.node
    if not isinstance(enum, EnumType) or not isinstance(node, Text):
        return typed
    for name, value in enum.members:
        if value == node.value:
            known = (known for known, other in enums.items() if algebra.same(other, enum))
            return Typed(member_of(enum, next(known, enum.name), name, node), enum)
    values = {value: SCHEMA.text(replace(node, value=value)) for _, value in enum.members}
    message = f"{cut(SCHEMA.text(node))} is not a value of {enum.name}"
    close = closest(node.value, values)
    way = f"did you mean {values[close]}?" if close else listed("values", values.values())
    raise ExpressionError.at(node, "E0509", message, way)


def member_of(enum: EnumType, known: str, name: str, node: Expression) -> Member:
    """The member `name` of an enum that generated code calls `known`, in the place of `node`."""
    return Member(known, name, (enum.package, enum.name), start=node.start, end=node.end)


def cut(text: str) -> str:
    """Schema text as it is quoted in a message: not more than fits."""
    return printable(text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}...")


def listed(what: str, names: Iterable[str]) -> str:
    """The names there are, for who guessed wrong."""
    shown = list(names)
    more = ", ..." if len(shown) > _SHOWN_NAMES_MAX else ""
    return f"{what}: {', '.join(shown[:_SHOWN_NAMES_MAX])}{more}"


def guess(name: str, what: str, known: Sequence[str]) -> str:
    """The name that was probably meant, or all there are."""
    return did_you_mean(name, known) or listed(what, known)


def elsewhere(node: Path, scope: Mapping[str, Type], enums: Enums) -> str | None:
    """The way out for a name that is not unknown, but stands in the wrong place."""
    name, *rest = node.names
    for root, type_ in scope.items():
        struct = bare(type_)
        if isinstance(struct, StructType) and struct.field(name):
            return f"did you mean `{root}.{name}`?"
    if len(rest) > 1 and rest[0] in enums:
        return f"enums of an import stand here without it: {'.'.join(rest)}"
    if name in FUNCTIONS:
        return f"call it: {name}(...)"
    return _DECLARED.get(name)


def counted(name: str, owner: Path, type_: Type) -> str | None:
    """The way out for `event.lines.length`, and for a field of what may be one of several."""
    if isinstance(type_, UnionType):
        return f"{type_.name} is a union: compare it as a whole, or make it a Python gate"
    asked = name in ("length", "len", "size", "count")
    return f"write `len({SCHEMA.text(owner)})`" if asked and algebra.sized(type_) else None


def _as_decimal(typed: Typed) -> Typed:
    """A number as a decimal: exact for every int."""
    if algebra.kind(typed.type) == "decimal":
        return typed
    node = AsDecimal(typed.node, start=typed.node.start, end=typed.node.end)
    return Typed(node, algebra.DECIMAL, typed.digits)


def _instead(left: Typed, operator: str, right: Typed) -> str | None:
    """What may have been meant where two types do not meet."""
    a, b = cut(SCHEMA.text(left.node)), cut(SCHEMA.text(right.node))
    if part := _part(left, right.type):
        return f"{a}.{part} {operator} {b}"
    if part := _part(right, left.type):
        return f"{a} {operator} {b}.{part}"
    if "float" in (algebra.kind(left.type), algebra.kind(right.type)):
        return "a float is compared with floats only; make it a Python gate"
    for text, other in ((left, right.type), (right, left.type)):
        if isinstance(text.node, Text) and algebra.kind(other) in CONSTANTS:
            return f"write {algebra.kind(other)}({cut(SCHEMA.text(text.node))})"
    return None


def _part(whole: Typed, other: Type) -> str | None:
    """The first field of a struct that could be compared with `other`."""
    struct = bare(whole.type)
    if not isinstance(struct, StructType) or not isinstance(whole.node, Path):
        return None
    return next((f.name for f in struct.fields if algebra.comparable(f.type, other)), None)
