"""What an expression says about given values, worked out from its nodes.

A second opinion on the Python that is printed from the same nodes: it shares no code with it,
numbers are fractions here, and enums are what is stored. What a struct was not given may be
missing as long as nobody looks at it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, TypeAlias, TypeGuard

import msgspec

from batpak_codegen.expr.nodes import (
    Affix,
    Arithmetic,
    AsDecimal,
    Bool,
    Call,
    Compare,
    Conditional,
    Constant,
    Expression,
    Int,
    IsNone,
    Junction,
    ListOf,
    Loop,
    Member,
    Negative,
    Not,
    Null,
    Path,
    Text,
)
from batpak_codegen.types import EnumType

# bool, int, Fraction for a decimal, float, str (also for an enum: what is stored), bytes, UUID,
# datetime, date, timedelta, tuple, frozenset, a mapping for a map, Record, None
Value: TypeAlias = object


@dataclass(frozen=True, slots=True)
class Record:
    """A struct: the names of its fields, the values of those that were given, and where it is."""

    where: str
    names: tuple[str, ...]
    values: Mapping[str, Value]


class NotGiven(LookupError):
    """Something is looked at that was not given; `path` says what."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


class TooLong(Exception):
    """It takes more steps than there are for one expression."""


STEPS_MAX = 10_000  # a list of thousands that is searched for each of its items is no example


def evaluate(
    node: Expression, names: Mapping[str, Value], enums: Mapping[tuple[str, str], EnumType]
) -> Value:
    """Return the value of a checked node.

    Args:
        node: What the checker returned.
        names: `event`, `state` and `ctx`, as far as the expression may look at them.
        enums: Package and name → enum, of the enums whose members it names.

    Raises:
        NotGiven: It looks at a field that has no value.
        OverflowError: A time or a duration leaves its range.
        TooLong: It takes more than `STEPS_MAX` steps; an item that is looked at is one.
    """
    return _Evaluation(enums).value(node, names)


_NUMBERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": lambda left, right: left // right,
    "%": operator.mod,
}
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NEGATIVE: Callable[[Any], Any] = operator.neg


class _Evaluation:
    def __init__(self, enums: Mapping[tuple[str, str], EnumType]) -> None:
        self.enums = enums
        self.steps = 0

    def take(self, steps: int) -> None:
        self.steps += steps
        if self.steps > STEPS_MAX:
            raise TooLong

    def value(self, node: Expression, names: Mapping[str, Value]) -> Value:
        self.take(1)
        match node:
            case Int() | Text() | Bool():
                return node.value
            case Null():
                return None
            case Path():
                return _followed(node, names)
            case Constant():
                return _constant(node)
            case Member():
                return dict(self.enums[node.of].members)[node.member]
            case ListOf():
                return tuple(self.value(item, names) for item in node.items)
            case AsDecimal():
                return _NUMBERS["*"](Fraction(1), self.value(node.operand, names))
            case Negative():
                return _NEGATIVE(self.value(node.operand, names))
            case Not():
                return not self.value(node.operand, names)
            case IsNone():
                return (self.value(node.operand, names) is None) is not node.negated
            case Conditional():
                chosen = node.body if self.value(node.test, names) else node.orelse
                return self.value(chosen, names)
            case _:
                return self.composed(node, names)

    def composed(
        self,
        node: Affix | Arithmetic | Call | Compare | Junction | Loop,
        names: Mapping[str, Value],
    ) -> Value:
        match node:
            case Affix():
                whole, part = str(self.value(node.of, names)), node.text.value
                at_start = node.method == "startswith"
                end = whole[: len(part)] if at_start else whole[max(0, len(whole) - len(part)) :]
                return end == part
            case Arithmetic():
                total = self.value(node.first, names)
                for sign, operand in node.rest:
                    total = _NUMBERS[sign](total, self.value(operand, names))
                return total
            case Call():
                return _called(node.function, [self.value(part, names) for part in node.arguments])
            case Compare():
                return self.compared(node, names)
            case Junction():
                decides = node.operator == "or"  # the first operand of this value decides
                found = any(self.value(part, names) is decides for part in node.operands)
                return decides if found else not decides
            case Loop():
                return self.looped(node, names)

    def compared(self, node: Compare, names: Mapping[str, Value]) -> bool:
        left = self.value(node.first, names)
        for sign, operand in node.rest:
            right = self.value(operand, names)
            self.take(len(_items(right)) or 1)
            if sign in ("in", "not in"):
                holds = _contains(right, left) is (sign == "in")
            elif sign in ("==", "!="):
                holds = _equal(left, right) is (sign == "==")
            else:
                holds = _ORDERS[sign](left, right)
            if not holds:
                return False
            left = right
        return True

    def looped(self, node: Loop, names: Mapping[str, Value]) -> Value:
        total: Value = 0
        for item in _items(self.value(node.over, names)):
            inner = {**names, node.variable: item}
            if node.condition is not None and not self.value(node.condition, inner):
                continue
            found = self.value(node.body, inner)
            if node.function == "sum":
                total = _NUMBERS["+"](total, found)
            elif found is (node.function == "any"):
                return found
        return total if node.function == "sum" else node.function == "all"


def _followed(path: Path, names: Mapping[str, Value]) -> Value:
    root, *fields = path.names
    if root not in names:
        raise NotGiven(root)
    value = names[root]
    for name in fields:
        if not isinstance(value, Record):
            raise TypeError(f"{path.names}: no struct before {name}")  # the checker was wrong
        value = _field(value, name)
    return value


def _field(record: Record, name: str) -> Value:
    if name not in record.values:
        raise NotGiven(f"{record.where}.{name}")
    return record.values[name]


def _constant(node: Constant) -> Value:
    text = node.text.value
    if node.function == "decimal":
        return Fraction(text)
    if node.function == "duration":
        return msgspec.convert(text, timedelta)
    return datetime.fromisoformat(text).astimezone(UTC)


def _called(function: str, values: list[Value]) -> Value:
    first = values[0]
    if function == "len":
        return len(first) if isinstance(first, str) else len(_items(first))
    if function == "abs":
        return _NEGATIVE(first) if _ORDERS["<"](first, 0) else first
    for value in values[1:]:
        if _ORDERS["<" if function == "min" else ">"](value, first):
            first = value
    return first


def _contains(whole: Value, part: Value) -> bool:
    if isinstance(whole, str):
        return whole.find(str(part)) >= 0
    return any(_equal(item, part) for item in _items(whole))


def is_list(value: Value) -> TypeGuard[tuple[Value, ...]]:
    """Whether it is a list."""
    return isinstance(value, tuple)


def is_map(value: Value) -> TypeGuard[Mapping[str, Value]]:
    """Whether it is a map."""
    return isinstance(value, Mapping)


def is_set(value: Value) -> TypeGuard[frozenset[Value]]:
    """Whether it is a set."""
    return isinstance(value, frozenset)


def _items(value: Value) -> Collection[Value]:
    """Return what is in a list, a set, or the keys of a map; nothing for anything else."""
    if is_list(value) or is_set(value):
        return value
    return value.keys() if is_map(value) else ()


def _equal(left: Value, right: Value) -> bool:
    """Whether two values are one; structs field by field, in their order."""
    if isinstance(left, Record) and isinstance(right, Record):
        return all(_equal(_field(left, name), _field(right, name)) for name in left.names)
    if is_list(left) and is_list(right):
        return len(left) == len(right) and all(map(_equal, left, right))
    if is_map(left) and is_map(right):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    return left == right
