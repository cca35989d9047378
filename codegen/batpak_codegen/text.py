"""The only ways text gets into a generated file: identifiers, literals, docstrings, our own code.

Everything that comes out is ASCII, and every literal evaluates to exactly the value it was made
from. A template refuses whatever is not one of the four wrappers; none of them is a `str`, so
no schema text slips through by being concatenated.
"""

from __future__ import annotations

import inspect
import keyword
import math
import re
import sys
from typing import TypeAlias

from msgspec import Struct

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override  # pydantic brings it


class Fragment(Struct, frozen=True):
    """A piece of a generated file: what templates may print, and nothing else."""

    text: str

    @override
    def __str__(self) -> str:
        return self.text


class Ident(Fragment, frozen=True):
    """An identifier that was checked to be one."""


class Literal(Fragment, frozen=True):
    """A Python literal in ASCII."""


class Doc(Fragment, frozen=True):
    """A docstring, quotes included; its first line stands where the template puts it."""


class Code(Fragment, frozen=True):
    """Python that the generator itself composed. Schema text is in it only through the others."""


Value: TypeAlias = str | bytes | int | float | bool | tuple["Value", ...] | None

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def ident(text: str) -> Ident:
    """Return `text` as an identifier.

    Raises:
        ValueError: It is not an ASCII identifier, or a keyword. Names of a schema were checked
            long before, so this is a defect of the generator.
    """
    if not _IDENTIFIER.fullmatch(text) or keyword.iskeyword(text):
        raise ValueError(f"not an identifier: {text!a}")
    return Ident(text)


def lit(value: Value) -> Literal:
    """Return `value` as an ASCII literal; see `python_literal`."""
    return Literal(python_literal(value))


def code(text: str) -> Code:
    """Return text that the generator composed itself as code.

    Raises:
        ValueError: It is not ASCII: something came in by another door than `lit` and `doc`.
    """
    if not text.isascii():
        raise ValueError(f"generated code is ASCII: {text!a}")
    return Code(text)


def doc(text: str, indent: int = 0) -> Doc:
    """Return `text` as a docstring.

    Plain text looks as if typed by hand: on one line, or laid out over several with `indent`
    spaces before the following lines, so that `inspect.cleandoc` gives `text` back. Anything
    else (quotes at the edges, backslashes, characters beyond ASCII, odd indentation) is written
    on one line with escapes and evaluates to exactly `text`. Long lines are kept as they are.

    Args:
        text: The words.
        indent: Column of the statement that owns the docstring's block, in spaces.
    """
    if not _is_plain(text):
        return Doc(f'"""{_escaped(text)}"""')
    if "\n" not in text:
        return Doc(f'"""{text}"""')
    margin = " " * indent
    body = "\n".join(margin + line if line else "" for line in text.split("\n"))
    return Doc(f'"""{body.removeprefix(margin)}\n{margin}"""')


def _is_plain(text: str) -> bool:
    """Whether `text` may stand between triple quotes as it is, and survive `cleandoc`."""
    return (
        text.isascii()
        and text.replace("\n", "").isprintable()
        and "\\" not in text
        and '"""' not in text
        and not text.startswith('"')
        and not text.endswith('"')
        and all(line == line.rstrip() for line in text.split("\n"))
        and inspect.cleandoc(text) == text
    )


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii").replace('"', '\\"')


def python_literal(value: Value) -> str:
    """Return the literal of an exact built-in value, in ASCII, with double quotes if possible.

    Raises:
        TypeError: Not exactly one of the types of `Value`; a subclass could print anything.
        ValueError: An infinite float or a NaN, which have no literal.
    """
    kind = type(value)
    if kind is str:
        return _quoted(str(value).encode("unicode_escape").decode("ascii"))
    if kind is bytes and isinstance(value, bytes):
        return "b" + _quoted(repr(value)[2:-1].replace("\\'", "'"))
    if kind is tuple and isinstance(value, tuple):
        items = [python_literal(item) for item in value]
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no literal")
    if kind in (int, float, bool) or value is None:
        return repr(value)
    raise TypeError(f"no literal for {kind.__name__}")


def _quoted(escaped: str) -> str:
    """Put quotes around text in which everything but quotes is escaped already."""
    if escaped.count('"') > escaped.count("'"):
        return "'" + escaped.replace("'", "\\'") + "'"
    return '"' + escaped.replace('"', '\\"') + '"'
