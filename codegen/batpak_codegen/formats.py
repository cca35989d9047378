"""Diagnostics for their readers: people, grep, programs, code scanners, GitHub.

One finished list in, one text out. `text` and `concise` are read by people, `github` by its
workflow runner; `json` and `sarif` are whole documents, also when nothing was found.
Fields: docs/reference/diagnostics.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import quote

from batpak_codegen.codes.table import CODES
from batpak_codegen.diagnostic import Diagnostic, Place, Span, printable
from batpak_codegen.diagnostic import render as frames

Format: TypeAlias = Literal["text", "concise", "json", "sarif", "github"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
DOCUMENTS: Final = frozenset({"json", "sarif"})
Json: TypeAlias = "str | int | Sequence[Json] | Mapping[str, Json] | None"

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_SUGGESTION: Final = re.compile(r"did you mean `([^`]+)`\?")
_QUOTED: Final = re.compile(r"`([^`]+)`")


def spell(
    diagnostics: Iterable[Diagnostic],
    texts: Mapping[str, str],
    form: Format = "text",
    *,
    color: bool = False,
    reason: str | None = None,
) -> str:
    """Return diagnostics as text in one of the formats; without a line end behind it.

    Args:
        diagnostics: In the order to print.
        texts: Path as it stands in the spans → the text of that file.
        form: For whom.
        color: Put terminal colors into `text` and `concise`.
        reason: What the process will fail for; `json` says it.
    """
    found = list(diagnostics)
    if form == "json":
        items = [_item(diagnostic, texts) for diagnostic in found]
        return _dumped({"version": 1, "reason": reason, "diagnostics": items})
    if form == "sarif":
        return _dumped(_sarif(found, texts))
    if form == "github":
        return "\n".join(map(_workflow_command, found))
    shown = frames(found, texts) if form == "text" else "\n".join(map(_line, found))
    return _painted(shown) if color else shown


def _dumped(document: Json) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)


def _line(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    where = f"{printable(span.path)}:{span.line}:{span.column}: " if span else ""
    return f"{where}{diagnostic.severity}[{diagnostic.code}] {printable(diagnostic.message)}"


# --------------------------------------------------------------------------------------- colors

_RED, _YELLOW, _CYAN, _BOLD, _OFF = ("\x1b[1;31m", "\x1b[1;33m", "\x1b[36m", "\x1b[1m", "\x1b[0m")
_HEAD: Final = re.compile(
    r"^(?P<where>\S.*?: )?(?P<word>error|warning)(?P<code>\[\w+\]) ", re.MULTILINE
)
_CARET: Final = re.compile(r"^( {8}\| +)(\^+)$", re.MULTILINE)
_HELP: Final = re.compile(r"^( {8}= )(help:)", re.MULTILINE)


def _painted(shown: str) -> str:
    """Color what `frames` laid out; text of a schema has no control characters there."""

    def head(match: re.Match[str]) -> str:
        hue = _RED if match["word"] == "error" else _YELLOW
        where = f"{_BOLD}{match['where']}{_OFF}" if match["where"] else ""
        return f"{where}{hue}{match['word']}{match['code']}{_OFF} "

    shown = _HEAD.sub(head, shown)
    shown = _CARET.sub(rf"\1{_RED}\2{_OFF}", shown)
    return _HELP.sub(rf"\1{_CYAN}\2{_OFF}", shown)


# ----------------------------------------------------------------------------------------- json


def _item(diagnostic: Diagnostic, texts: Mapping[str, str]) -> dict[str, Json]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_range(diagnostic.span, texts),
        "help": diagnostic.help,
        "also": [{**_range(place.span, texts), "note": place.note} for place in diagnostic.also],
        "fix": _fix(diagnostic, texts),
    }


def _range(span: Span | None, texts: Mapping[str, str]) -> dict[str, Json]:
    if span is None:
        return {"path": None, "start": None, "end": None}
    rows = texts[span.path].split("\n") if span.path in texts else None
    return {
        "path": span.path,
        "start": _position(span.line, span.column, rows),
        "end": _position(span.end_line, span.end_column, rows),
    }


def _position(line: int, column: int, rows: Sequence[str] | None) -> dict[str, Json]:
    """Return a place in every unit: code points and UTF-16 units count from 1, bytes from 0.

    Bytes are those of the text as UTF-8 with line feeds only and without a byte order mark.
    """
    known = rows is not None and line <= len(rows)
    before = rows[line - 1][: column - 1] if rows is not None and known else ""
    above = rows[: line - 1] if rows is not None else ()
    return {
        "line": line,
        "column": column,
        "utf16_column": len(before.encode("utf-16-le", "replace")) // 2 + 1 if known else None,
        "offset": sum(len(row.encode()) + 1 for row in above) + len(before.encode())
        if known
        else None,
    }


def replacement(diagnostic: Diagnostic, texts: Mapping[str, str]) -> str | None:
    """Return the text that should stand at the span, when the help leaves no choice.

    That is when one name is suggested, and the word the message complains of is exactly what
    stands there.
    """
    span, found = diagnostic.span, _SUGGESTION.fullmatch(diagnostic.help or "")
    wrong = _QUOTED.search(diagnostic.message)
    if not (span and found and wrong and span.path in texts and span.line == span.end_line):
        return None
    row = texts[span.path].split("\n")[span.line - 1]
    return found[1] if row[span.column - 1 : span.end_column - 1] == wrong[1] else None


def _fix(diagnostic: Diagnostic, texts: Mapping[str, str]) -> dict[str, Json] | None:
    text = replacement(diagnostic, texts)
    return None if text is None else {**_range(diagnostic.span, texts), "text": text}


# ---------------------------------------------------------------------------------------- sarif


def _sarif(found: Sequence[Diagnostic], texts: Mapping[str, str]) -> dict[str, Json]:
    codes = sorted({diagnostic.code for diagnostic in found})
    rules: list[Json] = [
        {
            "id": code,
            "shortDescription": {"text": CODES[code].title},
            "fullDescription": {"text": CODES[code].text},
        }
        if code in CODES
        else {"id": code}
        for code in codes
    ]
    run: dict[str, Json] = {
        "tool": {"driver": {"name": "batpak", "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(diagnostic, codes, texts) for diagnostic in found],
    }
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(
    diagnostic: Diagnostic, codes: Sequence[str], texts: Mapping[str, str]
) -> dict[str, Json]:
    words = diagnostic.message + (f"\nhelp: {diagnostic.help}" if diagnostic.help else "")
    result: dict[str, Json] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": diagnostic.severity,
        "message": {"text": words},
    }
    if diagnostic.span:
        result["locations"] = [_location(diagnostic.span)]
    if diagnostic.also:
        result["relatedLocations"] = [_related(place) for place in diagnostic.also]
    text = replacement(diagnostic, texts)
    if text is not None and diagnostic.span:
        change: Json = {
            "artifactLocation": {"uri": quote(diagnostic.span.path)},
            "replacements": [
                {"deletedRegion": _region(diagnostic.span), "insertedContent": {"text": text}}
            ],
        }
        result["fixes"] = [{"artifactChanges": [change]}]
    return result


def _related(place: Place) -> dict[str, Json]:
    return {**_location(place.span), "message": {"text": place.note}}


def _location(span: Span) -> dict[str, Json]:
    artifact: Json = {"uri": quote(span.path)}
    return {"physicalLocation": {"artifactLocation": artifact, "region": _region(span)}}


def _region(span: Span) -> dict[str, Json]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


# --------------------------------------------------------------------------------------- github


def _workflow_command(diagnostic: Diagnostic) -> str:
    """Return one annotation: `::error file=…,line=…::message`."""
    span = diagnostic.span
    properties = {"title": diagnostic.code}
    if span:
        properties |= {"file": span.path, "line": str(span.line), "col": str(span.column)}
        properties |= {"endLine": str(span.end_line), "endColumn": str(span.end_column)}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    words = [diagnostic.message]
    words += [f"also: {p.span.path}:{p.span.line}  {p.note}" for p in diagnostic.also]
    words += [f"help: {diagnostic.help}"] if diagnostic.help else []
    text = "\n".join(printable(line) for line in "\n".join(words).split("\n"))
    return f"::{diagnostic.severity} {listed}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
