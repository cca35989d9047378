"""Nodes to text: on one line in the spelling of the schema or of Python, or laid out as Python.

Only as many parentheses as the tree needs. Both spellings come from nodes, never from the text
they were read from, so two ways to write one condition print alike.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from batpak_codegen.text import python_literal

LINE_CHARS_MAX = 100

# How tightly a node binds; an operand that binds less than its place asks for gets parentheses.
CONDITIONAL, OR, AND, NOT, COMPARISON, SUM, PRODUCT, UNARY, ATOM = range(9)

_ESCAPES = str.maketrans({"\\": r"\\", "'": r"\'", "\n": r"\n", "\t": r"\t"})


def level(node: Expression) -> int:
    """How tightly `node` binds."""
    match node:
        case Conditional():
            return CONDITIONAL
        case Junction():
            return OR if node.operator == "or" else AND
        case Not():
            return NOT
        case Compare() | IsNone():
            return COMPARISON
        case Arithmetic():
            return SUM if node.rest[0][0] in ("+", "-") else PRODUCT
        case Negative():
            return UNARY
        case _:
            return ATOM


@dataclass(frozen=True, slots=True)
class Spelling:
    """Nodes on one line: as the schema spells them, or as generated code does.

    Python differs in its leaves: `abi.duration("PT1H")` for `duration('PT1H')`, a tuple for a
    list (a list field is one, and may be compared), and what the checker made explicit.
    """

    python: bool

    def text(self, node: Expression, least: int = CONDITIONAL) -> str:
        """Print `node`, in parentheses if it binds less than `least`."""
        plain = self._plain(node)
        return f"({plain})" if level(node) < least else plain

    def _plain(self, node: Expression) -> str:
        match node:
            case Arithmetic() | Compare() | Junction() | Conditional():
                return " ".join(mark + self.text(part, least) for mark, part, least in run(node))
            case Not():
                return f"not {self.text(node.operand, NOT)}"
            case Negative():
                return f"-{self.text(node.operand, UNARY)}"
            case IsNone():
                return f"{self.text(node.operand, SUM)} {is_none(node)}"
            case Call():
                return f"{node.function}({', '.join(self.items(node.arguments))})"
            case Loop():
                return f"{node.function}({self.loop(node)})"
            case Affix():
                return f"{self.text(node.of)}.{node.method}({self.text(node.text)})"
            case ListOf():
                return self._list(self.items(node.items))
            case AsDecimal():
                inner = self.text(node.operand)
                return f"Decimal({inner})" if self.python else inner
            case Path() | Int() | Bool() | Null() | Text() | Constant() | Member():
                return self._leaf(node)

    def _leaf(self, node: Path | Int | Bool | Null | Text | Constant | Member) -> str:
        match node:
            case Path():
                return ".".join(node.names)
            case Int() | Bool():
                return str(node.value)
            case Null():
                return "None"
            case Member():
                return f"{node.enum}.{node.member}"
            case Text() if self.python:
                return python_literal(node.value)
            case Text():
                return f"'{node.value.translate(_ESCAPES)}'"
            case Constant():
                function = f"abi.{node.function}" if self.python else node.function
                return f"{function}({self.text(node.text)})"

    def _list(self, items: list[str]) -> str:
        if not self.python:
            return f"[{', '.join(items)}]"
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"

    def items(self, nodes: tuple[Expression, ...]) -> list[str]:
        """Each of them as it stands between commas."""
        return [self.text(node) for node in nodes]

    def loop(self, node: Loop) -> str:
        """What stands between the parentheses of a loop."""
        inner = " ".join(self.clauses(node))
        return f"({inner}), Decimal(0)" if self.python and node.exact else inner

    def clauses(self, node: Loop) -> list[str]:
        """Body, `for` and `if` of a loop."""
        head = [self.text(node.body), f"for {node.variable} in {self.text(node.over)}"]
        # Python wants parentheses around a conditional here.
        return head if node.condition is None else [*head, f"if {self.text(node.condition, OR)}"]


SCHEMA = Spelling(python=False)
PYTHON = Spelling(python=True)


def is_none(node: IsNone) -> str:
    """The words behind the operand."""
    return "is not None" if node.negated else "is None"


def run(
    node: Arithmetic | Compare | Junction | Conditional,
) -> list[tuple[str, Expression, int]]:
    """The operands of a run: the mark before each, the operand, how tightly it must bind."""
    match node:
        case Junction():
            least = level(node) + 1
            first, *others = node.operands
            mark = f"{node.operator} "
            return [("", first, least), *((mark, other, least) for other in others)]
        case Conditional():
            return [
                ("", node.body, OR),
                ("if ", node.test, OR),
                ("else ", node.orelse, CONDITIONAL),
            ]
        case Arithmetic() | Compare():
            least = level(node) + 1
            rest = ((f"{operator} ", operand, least) for operator, operand in node.rest)
            return [("", node.first, least), *rest]


def python_lines(
    node: Expression, indent: int, before: str = "", after: str = "", least: int = CONDITIONAL
) -> list[str]:
    """Lay `node` out as Python, at most 100 columns where it can be split at all.

    Inside brackets: a run that is too long gets one operand per line, a call or list that is too
    long gets its content on lines of their own.

    Args:
        node: A checked node.
        indent: Spaces before the first line.
        before: What stands before the node on its first line.
        after: What follows it on its last line.
        least: How tightly the node must bind where it stands.
    """
    margin = " " * indent
    line = margin + before + PYTHON.text(node, least) + after
    if len(line) <= LINE_CHARS_MAX:
        return [line]
    if level(node) < least:
        return _bracketed(before + "(", python_lines(node, indent + 4), ")" + after, margin)
    match node:
        case Arithmetic() | Compare() | Junction() | Conditional():
            return _run_lines(node, indent, before, after)
        case Not():
            return python_lines(node.operand, indent, f"{before}not ", after, NOT)
        case Negative():
            return python_lines(node.operand, indent, f"{before}-", after, UNARY)
        case IsNone():
            return python_lines(node.operand, indent, before, f" {is_none(node)}{after}", SUM)
        case Call():
            inner = _item_lines(node.arguments, indent + 4)
            return _bracketed(f"{before}{node.function}(", inner, ")" + after, margin)
        case ListOf():
            inner = _item_lines(node.items, indent + 4)
            return _bracketed(before + "(", inner, ")" + after, margin)
        case Loop():
            inner = _loop_lines(node, indent + 4)
            return _bracketed(f"{before}{node.function}(", inner, ")" + after, margin)
        case AsDecimal():
            inner = python_lines(node.operand, indent + 4)
            return _bracketed(before + "Decimal(", inner, ")" + after, margin)
        case _:
            return [line]


def _bracketed(opening: str, inner: list[str], closing: str, margin: str) -> list[str]:
    return [margin + opening, *inner, margin + closing]


def _run_lines(
    node: Arithmetic | Compare | Junction | Conditional, indent: int, before: str, after: str
) -> list[str]:
    parts = run(node)
    last = len(parts) - 1
    lines: list[str] = []
    for index, (mark, part, least) in enumerate(parts):
        ahead = before if index == 0 else mark
        lines += python_lines(part, indent, ahead, after if index == last else "", least)
    return lines


def _item_lines(items: tuple[Expression, ...], indent: int) -> list[str]:
    line = " " * indent + ", ".join(PYTHON.items(items))
    if len(line) <= LINE_CHARS_MAX and len(items) > 1:
        return [line]
    comma = "," if len(items) > 1 else ""
    return [part for item in items for part in python_lines(item, indent, after=comma)]


def _loop_lines(node: Loop, indent: int) -> list[str]:
    margin = " " * indent
    inner = margin + PYTHON.loop(node)
    if len(inner) <= LINE_CHARS_MAX:
        return [inner]
    if node.exact:
        generator = margin + f"({' '.join(PYTHON.clauses(node))}),"
        if len(generator) > LINE_CHARS_MAX:
            clauses = _clause_lines(node, indent + 4)
            return [*_bracketed("(", clauses, "),", margin), f"{margin}Decimal(0),"]
        return [generator, f"{margin}Decimal(0),"]
    return _clause_lines(node, indent)


def _clause_lines(node: Loop, indent: int) -> list[str]:
    body = python_lines(node.body, indent)
    over = python_lines(node.over, indent, f"for {node.variable} in ")
    if node.condition is None:
        return body + over
    return body + over + python_lines(node.condition, indent, "if ", least=OR)
