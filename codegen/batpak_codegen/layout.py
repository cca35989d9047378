"""Python laid out as a formatter would at 100 columns: calls, displays, chains of operators.

Generated files are formatted while they are made; no formatter process runs. Only the shapes
that the generator writes are known here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from msgspec import Struct

COLUMNS_MAX = 100
STEP = 4


class Call(Struct, frozen=True):
    """`head` items `close`, with commas: a call, a subscript, a signature, a display.

    A `display` (list, set, dict, tuple) goes one item per line when it is too long; anything
    else may keep its items together on one line of their own. `open` means one item per line
    in any case. A `close` may call what was returned: `).map(tuple)`.
    """

    head: str
    items: tuple[Doc, ...]
    close: str = ")"
    display: bool = False
    open: bool = False


class Chain(Struct, frozen=True):
    """Operands with an operator between them: `|`, `and`, `or`; "" if they bring their own."""

    operator: str
    items: tuple[Doc, ...]


class Paren(Struct, frozen=True):
    """Parentheses that are always there."""

    inner: Doc


Doc: TypeAlias = str | Call | Chain | Paren


def any_of(items: Sequence[str]) -> Doc:
    """Return the union of some types."""
    return Chain("|", tuple(items)) if len(items) > 1 else items[0]


def flat(doc: Doc) -> str:
    """Return `doc` on one line."""
    if isinstance(doc, str):
        return doc
    if isinstance(doc, Call):
        return doc.head + _joined(doc) + doc.close
    if isinstance(doc, Paren):
        return f"({flat(doc.inner)})"
    return (f" {doc.operator} " if doc.operator else " ").join(map(flat, doc.items))


def _joined(call: Call) -> str:
    """Return the items on one line; nearly all of them are text, and this is asked most."""
    return ", ".join([item if isinstance(item, str) else flat(item) for item in call.items])


def statement(before: str, doc: Doc, after: str = "", *, indent: int = 0) -> str:
    """Return `before doc after` at `indent` spaces, without the first line's indentation.

    A chain that does not fit is put into parentheses.
    """
    if isinstance(doc, str):
        return before + doc + after
    whole = before + flat(doc) + after
    if indent + len(whole) <= COLUMNS_MAX and not _is_open(doc):
        return whole
    if isinstance(doc, Chain):
        doc = Paren(doc)
    return before + _lay(doc, indent, indent + len(before), len(after)) + after


def declaration(name: str, annotation: Doc, value: Doc | None, indent: int) -> str:
    """Return `name: annotation = value`, broken where a formatter would break it."""
    before, spelled = f"{name}: ", flat(annotation)
    after = "" if value is None else f" = {flat(value)}"
    if indent + len(before + spelled + after) <= COLUMNS_MAX:
        return before + spelled + after
    left = f"{before}{spelled} = "
    if isinstance(value, Call) and (
        isinstance(annotation, str) or indent + len(left + value.head) <= COLUMNS_MAX
    ):
        return statement(left, value, indent=indent)
    if isinstance(annotation, Call):
        return before + _lay(annotation, indent, COLUMNS_MAX, 0) + after
    inner = value if isinstance(annotation, str) and isinstance(value, str) else annotation
    pad, end = "\n" + " " * (indent + STEP), "\n" + " " * indent
    if indent + STEP + len(flat(inner)) > COLUMNS_MAX or inner == "None":
        return before + spelled + after
    broken = f"({pad}{flat(inner)}{end})"
    return left + broken if inner is value else before + broken + after


def called(text: str) -> Doc:
    """Return a literal so that it can be broken if it is a call: `Decimal("1.5")`."""
    match = _CALL.fullmatch(text)
    return Call(match[1], (match[2],)) if match else text


_CALL: Final = re.compile(r"([A-Za-z_][\w.]*\()(.+)\)", re.DOTALL)


def _is_open(doc: Doc) -> bool:
    if not isinstance(doc, Call) or not doc.items:
        return False
    return doc.open or any(_is_open(item) for item in doc.items if isinstance(item, Call))


def _lay(doc: Doc, indent: int, used: int, after: int) -> str:
    """Lay out at most `COLUMNS_MAX - used - after` columns on the first line, or break."""
    if isinstance(doc, str):
        return doc
    one_line, is_open = flat(doc), _is_open(doc)
    if used + len(one_line) + after <= COLUMNS_MAX and not is_open:
        return one_line
    inside, pad = indent + STEP, "\n" + " " * (indent + STEP)
    if isinstance(doc, Paren):
        return f"({pad}{_lay(doc.inner, inside, inside, 0)}\n{' ' * indent})"
    if isinstance(doc, Chain):
        return _lines(doc, indent)
    joined = one_line[len(doc.head) : len(one_line) - len(doc.close)]
    if doc.close.startswith(").") and not is_open:  # a call of what this one returns
        opened, _, argument = doc.close.partition("(")
        begun = f"{doc.head}{joined}{opened}("
        if used + len(begun) <= COLUMNS_MAX:
            return f"{begun}{pad}{argument.removesuffix(')')}\n{' ' * indent})"
    if not (doc.display or is_open) and inside + len(joined) <= COLUMNS_MAX:
        comma = "," if doc.head.startswith("def ") and len(doc.items) == 1 else ""
        comma = comma if doc.head.endswith("(") else ""
        return f"{doc.head}{pad}{joined}{comma}\n{' ' * indent}{doc.close}"
    rows = [pad + _lay(item, inside, inside, 1) + "," for item in doc.items]
    return doc.head + "".join(rows) + f"\n{' ' * indent}{doc.close}"


def _lines(chain: Chain, indent: int) -> str:
    """Lay a chain out with one operand per line, operators first."""
    mark = f"{chain.operator} " if chain.operator else ""
    rows = [_lay(chain.items[0], indent, indent, 0)]
    rows += [mark + _lay(item, indent, indent + len(mark), 0) for item in chain.items[1:]]
    return ("\n" + " " * indent).join(rows)
