"""What is wrong with a schema, and where: code, `file:line:col`, caret, hint, related places.

A diagnostic is data. Nobody prints while compiling; `render` turns a finished list into text.
Columns count code points from 1. Codes are stable and listed in docs/reference/diagnostics.md.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Literal, NoReturn

from msgspec import Struct


class Span(Struct, frozen=True, order=True, gc=False):
    """A stretch of one schema file. Lines and columns count from 1; the end is exclusive."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int


class Place(Struct, frozen=True):
    """A related place: `also: other.batpak.yaml:9:5  ReturnOpened`."""

    span: Span
    note: str


class Diagnostic(Struct, frozen=True):
    """One finding. `span` is None only when there is no text to point at (a missing directory).

    `severity` is "error" or "warning"; warnings do not end a phase. With `is_error` a warning is an
    error: the project wants no warnings.
    """

    code: str
    message: str
    span: Span | None = None
    help: str | None = None
    also: tuple[Place, ...] = ()
    is_error: bool = False

    @property
    def severity(self) -> Literal["error", "warning"]:
        """W codes warn, unless they are errors here; all others are errors."""
        return "warning" if self.code.startswith("W") and not self.is_error else "error"


class SchemaError(Exception):
    """One phase found something; every diagnostic of that phase is inside, in file order.

    `texts` maps the paths in the spans to the texts of the files, as far as they could be read;
    together they are what `render` needs.
    """

    def __init__(
        self, diagnostics: Iterable[Diagnostic], texts: Mapping[str, str] | None = None
    ) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=_order))
        self.texts: Mapping[str, str] = texts or {}
        shown = [f"{d.code}: {d.message}" for d in self.diagnostics[:DIAGNOSTICS_SHOWN]]
        rest = len(self.diagnostics) - len(shown)
        super().__init__("; ".join([*shown, f"and {rest} more"] if rest else shown))


DIAGNOSTICS_SHOWN = 20


def _order(diagnostic: Diagnostic) -> tuple[bool, Span, str, str]:
    span = diagnostic.span
    return span is None, span or Span("", 0, 0, 0, 0), diagnostic.code, diagnostic.message


class Findings:
    """Collects the diagnostics of one phase, so that all of them are reported at once.

    With a `limit` the phase ends at that many: what is so wrong was not meant to be a schema.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.limit = limit

    def add(
        self,
        code: str,
        message: str,
        span: Span | None,
        *,
        help: str | None = None,  # noqa: A002  the word that is printed
        also: Iterable[Place] = (),
    ) -> None:
        """Add one diagnostic and go on."""
        self.put(Diagnostic(code, message, span, help, tuple(also)))

    def put(self, diagnostic: Diagnostic) -> None:
        """Add one diagnostic that was made elsewhere and go on."""
        self.diagnostics.append(diagnostic)
        if self.limit is not None and len(self.diagnostics) >= self.limit:
            self.finish()

    def stop(
        self,
        code: str,
        message: str,
        span: Span | None,
        *,
        help: str | None = None,  # noqa: A002  the word that is printed
    ) -> NoReturn:
        """Add a last diagnostic and end the phase: nothing after it could be understood."""
        self.add(code, message, span, help=help)
        raise SchemaError(self.diagnostics)

    def finish(self) -> None:
        """End the phase: raise `SchemaError` if anything was found that is more than a warning."""
        if any(found.severity == "error" for found in self.diagnostics):
            raise SchemaError(self.diagnostics)


FINDINGS_MAX = 100  # of a file, and of what the files say together; more is not a schema


def did_you_mean(word: str, known: Iterable[str], before: str = "") -> str | None:
    """The hint with the name that was probably meant, `before` it what belongs to its spelling."""
    close = closest(word, known)
    return f"did you mean `{before}{close}`?" if close else None


def closest(word: str, known: Iterable[str]) -> str | None:
    """The name that is most like `word`, if any is; of very many names, the first are looked at."""
    close = difflib.get_close_matches(word[:NAME_CHARS_MAX], islice(known, NAMES_MAX), 1)
    return close[0] if close else None


NAMES_MAX = 1000
NAME_CHARS_MAX = 64


def quoted(text: str) -> str:
    """Text of a schema inside a message: in backticks, on one line, not longer than 64."""
    shown = printable(text if len(text) <= QUOTED_CHARS_MAX else text[: QUOTED_CHARS_MAX - 1] + "…")
    return f"`{shown}`"


def printable(text: str) -> str:
    """`text` with control characters shown, not sent: a file must not steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


QUOTED_CHARS_MAX = 64
FRAME_CHARS_MAX = 160
FRAME_CHARS_BEFORE = 60


def render(diagnostics: Iterable[Diagnostic], texts: Mapping[str, str]) -> str:
    """Diagnostics as a person reads them: position, message, the line with a caret, the way out.

    Args:
        diagnostics: In the order to print.
        texts: Path as it stands in the spans → the text of that file; a path that is missing
            here is printed without a frame.
    """
    rows: dict[str, Sequence[str]] = {}
    shown: list[str] = []
    for diagnostic in diagnostics:
        path = diagnostic.span.path if diagnostic.span else ""
        if path not in rows:
            rows[path] = texts[path].split("\n") if path in texts else ()
        shown.append(_one(diagnostic, rows[path]))
    return "\n".join(shown)


def _one(diagnostic: Diagnostic, rows: Sequence[str]) -> str:
    span = diagnostic.span
    where = f"{_position(span)}: " if span else ""
    lines = [f"{where}{diagnostic.severity}[{diagnostic.code}] {printable(diagnostic.message)}"]
    if span and span.line <= len(rows):
        lines += _frame(span, rows[span.line - 1].removesuffix("\r"))
    lines += [f"    also: {_position(p.span)}  {printable(p.note)}" for p in diagnostic.also]
    if diagnostic.help:
        first, *rest = diagnostic.help.split("\n")  # more lines are code to paste
        lines.append(f"        = help: {printable(first)}")
        lines += [f"          {printable(row)}".rstrip() for row in rest]
    return "\n".join(lines)


def _position(span: Span) -> str:
    return f"{printable(span.path)}:{span.line}:{span.column}"


def _frame(span: Span, row: str) -> list[str]:
    """The line of `span` and a caret under it; of a long line, what is around the caret."""
    first = max(0, span.column - 1 - FRAME_CHARS_BEFORE) if len(row) > FRAME_CHARS_MAX else 0
    shown = printable(row[first : first + FRAME_CHARS_MAX])
    start = span.column - 1 - first
    end = span.end_column - 1 - first if span.end_line == span.line else len(shown)
    width = max(1, min(end, len(shown)) - start)
    return [f"{span.line:>7} | {shown}", " " * 8 + "| " + " " * start + "^" * width]
