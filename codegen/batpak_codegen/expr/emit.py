"""The front of this room: a condition or a message of a schema, compiled to Python text.

What comes out is printed from checked nodes and never from the schema's text; literals leave
through `batpak_codegen.text`. Nothing is evaluated here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from batpak_codegen.diagnostic import Findings
from batpak_codegen.expr import algebra
from batpak_codegen.expr.check import Checked, check, check_path, check_value
from batpak_codegen.expr.layout import LINE_CHARS_MAX, PYTHON, SCHEMA, python_lines, run
from batpak_codegen.expr.nodes import (
    AsDecimal,
    Bool,
    Compare,
    Constant,
    Expression,
    ExpressionError,
    Int,
    Junction,
    ListOf,
    Loop,
    Member,
    Path,
    Text,
    walk,
)
from batpak_codegen.expr.parse import NODES_MAX, parse
from batpak_codegen.expr.tokens import TEXT_BYTES_MAX
from batpak_codegen.nodes import TextNode
from batpak_codegen.text import python_literal
from batpak_codegen.types import EnumType, IdType, OptionalOf, Type, bare

_PRINTABLE = frozenset(
    ["string", "int", "decimal", "float", "uuid", "timestamp", "date", "duration"]
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition, or what a `set:` computes.

    Attributes:
        node: The checked tree.
        written: The tree as the schema wrote it, before literals were resolved.
        source: The normalised spelling; it goes into the fingerprint of a policy. Reading it
            again gives `written`.
        exact: Decimals are added, multiplied, negated or summed: run it in the exact context.
        roots: What it reads: a part of the scope, such as `event`.
        enums: Package and name of every enum a member of which is named.
        abi: The functions of `abi` that are called: `decimal`, `duration`, `timestamp`.
        needs_decimal: `Decimal` is called by name.
        narrows: Something is held against a literal or a member, so a type checker may know of
            a later comparison how it ends, and object.
    """

    node: Expression
    written: Expression
    source: str
    exact: bool
    roots: frozenset[str]
    enums: frozenset[tuple[str, str]]
    abi: frozenset[str]
    needs_decimal: bool
    narrows: bool

    def layout(self, indent: int) -> str:
        """What stands between `if ` and `:` of a statement that has `indent` spaces before it.

        One line if it fits; else in parentheses, an operand of the outermost run per line.
        """
        line = PYTHON.text(self.node)
        if indent + len(f"if {line}:") <= LINE_CHARS_MAX:
            return line
        return "\n".join(["(", *python_lines(self.node, indent + 4), " " * indent + ")"])

    def argument(self, name: str, indent: int) -> str:
        """The argument `name=…` of a call, on a line of its own with `indent` spaces before it."""
        lines = python_lines(self.node, indent, before=f"{name}=", after=",")
        return "\n".join(lines)[indent:].removesuffix(",")

    def source_layout(self, indent: int) -> str:
        """The value of a `source=` argument on a line with `indent` spaces before it.

        One literal if it fits with its comma; else literals in parentheses, an operand of the
        outermost `and` or `or` per line, long ones broken before their next word of structure.
        """
        line = python_literal(self.source)
        if indent + len(f"source={line},") <= LINE_CHARS_MAX:
            return line
        margin = " " * (indent + 4)
        pieces = [
            python_literal(piece)
            for operand in _operands(self.written)
            for piece in _pieces(operand, LINE_CHARS_MAX - len(margin))
        ]
        return "\n".join(["(", *(margin + piece for piece in pieces), " " * indent + ")"])


@dataclass(frozen=True, slots=True)
class Message:
    """A checked message template: text and paths in turn.

    `parts` are text with its braces resolved, and the paths that are printed through `abi.text`.
    """

    parts: tuple[str | Path, ...]

    @property
    def roots(self) -> frozenset[str]:
        """What it reads: a part of the scope, such as `event`."""
        return frozenset(part.names[0] for part in self.parts if isinstance(part, Path))

    @property
    def uses_text(self) -> bool:
        """Whether `abi.text` is called."""
        return bool(self.roots)

    def layout(self, indent: int) -> str:
        """The literal or f-string as an argument on a line with `indent` spaces before it.

        One that does not fit with its comma becomes several, one per line, broken before spaces.
        """
        line = _literal(self.parts)
        if indent + len(line) + 1 <= LINE_CHARS_MAX:
            return line
        lines: list[tuple[str | Path, ...]] = []
        for word in _words(self.parts):
            longer = (*lines[-1], *word) if lines else word
            if lines and indent + len(_literal(longer)) + 1 <= LINE_CHARS_MAX:
                lines[-1] = longer
            else:
                lines.append(word)
        return ("\n" + " " * indent).join(_literal(parts) for parts in lines)


def compile_condition(
    node: TextNode,
    scope: Mapping[str, Type],
    enums: Mapping[str, EnumType],
    findings: Findings,
) -> Condition | None:
    """Read and check one condition.

    Args:
        node: The text, with its place.
        scope: What it may start with → type: `event`, and `state` inside a machine.
        enums: Name → enum whose members it may name; names as generated code imports them.
        findings: Gets the first thing that is wrong, codes E0501 to E0511.

    Returns:
        The condition, or None if something was found.
    """
    try:
        written = parse(node.value)
        return _compiled(written, check(written, scope, enums), scope)
    except ExpressionError as error:
        _report(error, node, findings)
        return None


def compile_value(
    node: TextNode,
    wanted: Type,
    scope: Mapping[str, Type],
    enums: Mapping[str, EnumType],
    findings: Findings,
) -> Condition | None:
    """Read and check what is to be a value of `wanted`; otherwise as `compile_condition`."""
    try:
        written = parse(node.value)
        return _compiled(written, check_value(written, wanted, scope, enums), scope)
    except ExpressionError as error:
        _report(error, node, findings)
        return None


def _compiled(written: Expression, checked: Checked, scope: Mapping[str, Type]) -> Condition:
    parts = tuple(walk(checked.node))
    return Condition(
        checked.node,
        written,
        SCHEMA.text(written),
        checked.exact,
        frozenset(part.names[0] for part in parts if isinstance(part, Path)) & scope.keys(),
        frozenset(part.of for part in parts if isinstance(part, Member)),
        frozenset(part.function for part in parts if isinstance(part, Constant)),
        any(
            isinstance(part, AsDecimal) or (isinstance(part, Loop) and part.exact) for part in parts
        ),
        any(map(_narrows, parts)),
    )


def _narrows(node: Expression) -> bool:
    if not isinstance(node, Compare):
        return isinstance(node, Bool)
    operators = {operator for operator, _ in node.rest}
    operands = (node.first, *(operand for _, operand in node.rest))
    literal = any(isinstance(operand, Bool | Int | Member | Text) for operand in operands)
    listed = any(isinstance(operand, ListOf) for operand in operands)
    return (bool(operators & {"==", "!="}) and literal) or listed


def compile_message(
    node: TextNode, scope: Mapping[str, Type], findings: Findings
) -> Message | None:
    """Read and check one message template: text, `{path}`, and `{{` `}}` for braces.

    Args:
        node: The text, with its place; white space at the end of several lines is cut.
        scope: What a path may start with → type.
        findings: Gets everything that is wrong: E0512, and E0502 to E0504 for the paths.

    Returns:
        The message, or None if something was found.
    """
    text = node.value.rstrip() if "\n" in node.value else node.value
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES_MAX:
        message = f"the message has more than {TEXT_BYTES_MAX} bytes"
        findings.add("E0511", message, node.span, help="say it shorter")
        return None
    parts: list[str | Path] = []
    errors: list[ExpressionError] = []
    for found in _TEMPLATE.finditer(text):
        try:
            part = _part(found, scope)
        except ExpressionError as wrong:
            errors.append(wrong)
            continue
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    if len(parts) > NODES_MAX:
        message = f"the message has more than {NODES_MAX} parts"
        errors.append(ExpressionError("E0511", message, 0, len(text), "say it shorter"))
    for error in errors:
        _report(error, node, findings)
    return None if errors else Message(tuple(parts))


# Every character of a template is in exactly one of these.
_TEMPLATE = re.compile(
    r"(?P<text>[^{}]+)|(?P<brace>\{\{|\}\})|\{(?P<path>[^{}\n]*)\}|(?P<alone>[{}])"
)
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_DOT = re.compile(r"\.")
_NO_GUARD = "a message cannot guard; name a field that is always there"
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_STRUCTURE = re.compile(r"(?= (?:and|or|for|if|else) )")
_SPACE = re.compile(r"(?= )")


def _part(found: re.Match[str], scope: Mapping[str, Type]) -> str | Path:
    """One stretch of a template, checked."""
    start, end, whole = found.start(), found.end(), found[0]
    match found.lastgroup:
        case "text":
            if unseen := _UNSEEN.search(whole):
                at = start + unseen.start()
                raise ExpressionError("E0512", "a character that cannot be seen", at, at + 1)
            return whole
        case "brace":
            return whole[0]
        case "path":
            return _path(found["path"], start + 1, scope)
        case _:
            message, way = (
                f"a lone `{whole}` in a message",
                f"write `{whole * 2}` for the character",
            )
            raise ExpressionError("E0512", message, start, end, way)


def _path(text: str, start: int, scope: Mapping[str, Type]) -> Path:
    end = start + len(text)
    if not _PATH.fullmatch(text):
        message = "a message can hold paths only, like {event.order_id}"
        way = "write `{{` and `}}` for braces"
        raise ExpressionError("E0512", message, start - 1, end + 1, way)
    starts = (start, *(start + dot.end() for dot in _DOT.finditer(text)))
    path = Path(tuple(text.split(".")), starts, start=start, end=end)
    try:
        type_ = check_path(path, scope)
    except ExpressionError as error:
        error.help = _NO_GUARD if error.code == "E0504" else error.help
        raise
    if isinstance(type_, OptionalOf):
        message = f"`{text}` may be null ({algebra.spelled(type_)})"
        raise ExpressionError("E0504", message, start, end, _NO_GUARD)
    if algebra.kind(type_) not in _PRINTABLE and not isinstance(bare(type_), EnumType | IdType):
        message = (
            f"`{{{text}}}` is {algebra.described(type_)};"
            " a message can hold text, numbers, ids, enums and times"
        )
        raise ExpressionError("E0512", message, start, end)
    return path


def _report(error: ExpressionError, node: TextNode, findings: Findings) -> None:
    place = node.locate(error.start, max(error.end, error.start + 1))
    findings.add(error.code, error.message, place, help=error.help)


def _literal(parts: tuple[str | Path, ...]) -> str:
    """A literal of text alone, an f-string where a path is printed."""
    if not any(isinstance(part, Path) for part in parts):
        return python_literal("".join(part for part in parts if isinstance(part, str)))
    inner = "".join(
        part.replace("{", "{{").replace("}", "}}")
        if isinstance(part, str)
        else f"{{abi.text({PYTHON.text(part)})}}"  # no quotes, no backslashes: a literal keeps it
        for part in parts
    )
    return f"f{python_literal(inner)}"


def _words(parts: tuple[str | Path, ...]) -> list[tuple[str | Path, ...]]:
    """The template cut before every space; a path stays with the text it touches."""
    words: list[tuple[str | Path, ...]] = [()]
    for part in parts:
        pieces: list[str | Path] = [part] if isinstance(part, Path) else [*_SPACE.split(part)]
        words[-1] = (*words[-1], pieces[0])
        words += [(piece,) for piece in pieces[1:]]
    return [word for word in words if word not in ((), ("",))]


def _operands(node: Expression) -> list[str]:
    """The outermost run of `and` or `or`, one text per operand; together they are the source."""
    if not isinstance(node, Junction):
        return [SCHEMA.text(node)]
    first, *rest = run(node)
    parts = (f" {mark}{SCHEMA.text(operand, least)}" for mark, operand, least in rest)
    return [SCHEMA.text(first[1], first[2]), *parts]


def _pieces(text: str, width: int) -> list[str]:
    """Cut `text` so that the literal of each piece has at most `width` columns, if it can be."""
    pieces: list[str] = []
    for fragment in _STRUCTURE.split(text):
        if pieces and _fits(pieces[-1] + fragment, width):
            pieces[-1] += fragment
            continue
        for word in [fragment] if _fits(fragment, width) else _SPACE.split(fragment):
            if pieces and word is not fragment and _fits(pieces[-1] + word, width):
                pieces[-1] += word
            elif word:
                pieces.append(word)
    return pieces


def _fits(text: str, width: int) -> bool:
    return len(python_literal(text)) <= width
