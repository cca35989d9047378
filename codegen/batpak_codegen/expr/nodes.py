"""What an expression is made of: frozen nodes, and the one error of this room.

Positions are code points of the text the expression was read from. They are left out of
comparisons, so an expression that is printed and read again is equal to itself.
Grammar and meaning: docs/reference/schema-language.md, "Gates".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


class ExpressionError(Exception):
    """The first thing that is wrong with an expression: code, words, place, way out."""

    def __init__(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        help: str | None = None,  # noqa: A002  the word that is printed
    ) -> None:
        self.code, self.message, self.start, self.end, self.help = code, message, start, end, help
        super().__init__(f"{code}: {message}")

    @classmethod
    def at(
        cls,
        node: Node,
        code: str,
        message: str,
        help: str | None = None,  # noqa: A002  the word that is printed
    ) -> ExpressionError:
        """The error of a whole node."""
        return cls(code, message, node.start, node.end, help)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A stretch of the text; the end is exclusive, enclosing parentheses are outside."""

    start: int = field(compare=False)
    end: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Int(Node):
    """An int literal; a sign before it is a `Negative`."""

    value: int


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A text literal: what it says, without quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Bool(Node):
    """`True` or `False`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Null(Node):
    """`None`. It is a value nowhere; it stands in `is None` only, where no node is made of it."""


@dataclass(frozen=True, slots=True)
class Path(Node):
    """`event.total.amount`, or `Currency.EUR` as it was written; `starts` has a place per name."""

    names: tuple[str, ...]
    starts: tuple[int, ...] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """`decimal('0.10')`, `duration('PT24H')`, `timestamp('2024-01-02T03:04:05Z')`."""

    function: str
    text: Text


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """`[a, b]`, at least one item."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`len`, `abs`, `min`, `max`."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """`any`, `all`, `sum` over one list or set. `exact` is set by the checker: sums decimals."""

    function: str
    body: Expression
    variable: str
    over: Path
    condition: Expression | None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Affix(Node):
    """`event.sku.startswith('X-')`."""

    of: Path
    method: str
    text: Text


@dataclass(frozen=True, slots=True)
class Not(Node):
    """`not operand`."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Negative(Node):
    """`-operand`."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """One run of `+ -` or of `* // %`, from the left. `first` is never a run of its own level."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """A chain: `a < b == c` is `a < b and b == c`, each operand looked at once."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class IsNone(Node):
    """`operand is None`, or `is not None` if `negated`."""

    operand: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class Junction(Node):
    """A run of `and` or of `or`; no operand is a run of the same operator."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`body if test else orelse`."""

    body: Expression
    test: Expression
    orelse: Expression


@dataclass(frozen=True, slots=True)
class Member(Node):
    """A member of an enum. Made by the checker.

    `enum` is the name that generated code knows the enum by, `of` its package and name.
    """

    enum: str
    member: str
    of: tuple[str, str]


@dataclass(frozen=True, slots=True)
class AsDecimal(Node):
    """An integer where one type is needed and the others are decimals. Made by the checker."""

    operand: Expression


Expression: TypeAlias = (
    Int
    | Text
    | Bool
    | Null
    | Path
    | Constant
    | ListOf
    | Call
    | Loop
    | Affix
    | Not
    | Negative
    | Arithmetic
    | Compare
    | IsNone
    | Junction
    | Conditional
    | Member
    | AsDecimal
)


def children(node: Expression) -> tuple[Expression, ...]:
    """The parts of a node, in the order of the text."""
    match node:
        case Int() | Text() | Bool() | Null() | Path() | Member():
            return ()
        case Constant():
            return (node.text,)
        case ListOf():
            return node.items
        case Call():
            return node.arguments
        case Loop():
            parts = (node.body, node.over)
            return parts if node.condition is None else (*parts, node.condition)
        case Affix():
            return (node.of, node.text)
        case Not() | Negative() | IsNone() | AsDecimal():
            return (node.operand,)
        case Arithmetic() | Compare():
            return (node.first, *(operand for _, operand in node.rest))
        case Junction():
            return node.operands
        case Conditional():
            return (node.body, node.test, node.orelse)


def walk(node: Expression) -> Iterator[Expression]:
    """The node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)
