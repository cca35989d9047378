"""What reads text of schemas: a whole file, a condition of a gate, a message.

Whatever the text is, the answer is a list of findings that say where they are, or a result that is
right: a condition that was accepted answers what an independent evaluator answers, and what is
generated from an accepted schema is Python.
"""

from __future__ import annotations

import re
import zlib
from datetime import datetime, timedelta
from decimal import Context, Decimal, Inexact, localcontext
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Final

import msgspec

from batpak_codegen.declarations import SchemaFile, read_file
from batpak_codegen.diagnostic import Diagnostic, Findings, SchemaError, Span, render
from batpak_codegen.expr.emit import Condition, compile_condition, compile_message
from batpak_codegen.expr.parse import parse as parse_text
from batpak_codegen.link import link
from batpak_codegen.nodes import TextNode
from batpak_codegen.render import render as render_project
from batpak_codegen.source import yaml_text
from batpak_codegen.source.load import BOM, load
from tests.proof.fuzz_schemas import worlds
from tests.unit.codegen.expr_world import ENUMS, EVENT, PYTHON_ENUMS, SCOPE, STATE, evaluate, real

ROOT: Final = Path(__file__).parents[2]
COMMON: Final = ROOT / "examples" / "orders" / "schemas" / "common.batpak.yaml"
CODES: Final = re.compile(r"E0[0-57]\d\d")
DEFECT: Final = "E0705"  # what was generated is not what was meant: ours, whatever the text is
NAME: Final = "a.batpak.yaml"
RENDERED: Final = 24  # one accepted schema in so many is generated and compiled
EXACT: Final = Context(prec=100, traps=[Inexact])
NO_ARITHMETIC: Final = Context(prec=1, traps=[Inexact])  # any shows
ABI: Final = SimpleNamespace(
    text=lambda value: f"<{value}>",
    decimal=Decimal,
    duration=lambda text: msgspec.convert(text, timedelta),
    timestamp=lambda text: msgspec.convert(text, datetime),
)


def text_of(data: bytes) -> str:
    """Bytes as text; those that are no UTF-8 become lone surrogates."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


# ------------------------------------------------------------------------------------ a schema file


def parse_schema(data: bytes) -> bool:
    """A whole schema file, beside another one that it may import, up to what is generated."""
    text = text_of(data).replace("\r\n", "\n")
    try:
        file = _file_of(text, NAME)
        project = link((_common(), file), out_module="gen", package_root="shop")
    except SchemaError as error:
        _require_findings(error.diagnostics, text)
        return False
    if zlib.crc32(data) % RENDERED == 0:
        for name, made in render_project(project).items():
            if name.endswith(".py"):
                compile(made, name, "exec")
    return True


def parse_schema_file(data: bytes) -> bool:
    """The bytes of a schema file, as they lie in a directory."""
    folder = Path(_folder().name)
    (folder / NAME).write_bytes(data)
    try:
        text: str | None = data.removeprefix(BOM).decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        text = None
    try:
        found = load([folder], folder)
    except SchemaError as error:
        codes = [one.code for one in error.diagnostics]
        assert codes == (["E0005"] if text is None else _codes_of(text)), f"{codes}"
        shown = data.decode("utf-8", "replace").replace("\r\n", "\n") if text is None else text
        _require_findings(error.diagnostics, shown)
        return False
    assert text is not None, "accepted, and it is no UTF-8"
    assert (found.files, dict(found.texts)) == ((_file_of(text, NAME),), {NAME: text})
    return True


def _codes_of(text: str) -> list[str]:
    """What is found in the text itself."""
    try:
        _file_of(text, NAME)
    except SchemaError as error:
        return [one.code for one in error.diagnostics]
    return []


@cache
def _folder() -> TemporaryDirectory[str]:
    """Where the file is; gone when the process ends."""
    return TemporaryDirectory()


def _file_of(text: str, name: str) -> SchemaFile:
    findings = Findings(100)
    file = read_file(yaml_text.parse(text, name), findings)
    findings.finish()
    assert file is not None, "no file, and no finding"
    return file


@cache
def _common() -> SchemaFile:
    return _file_of(COMMON.read_text("utf-8"), COMMON.name)


def _require_findings(found: tuple[Diagnostic, ...], text: str) -> None:
    """There are some, each with a known code and a place in the text."""
    assert found, "refused without a finding"
    rows = text.split("\n")
    for one in found:
        assert CODES.fullmatch(one.code), f"{one.code} is no code: {one.message}"
        assert one.code != DEFECT, f"{one.message}"
        for span in (one.span, *(place.span for place in one.also)):
            if span is not None and span.path == NAME:
                _require_place(span, rows, one)
    shown = render(found, {NAME: text}).replace("\n", "")
    assert shown.isprintable(), "a finding would send control characters to a terminal"


def _require_place(span: Span, rows: list[str], one: Diagnostic) -> None:
    inside = 1 <= span.line <= span.end_line <= len(rows) + 1 and span.column >= 1
    assert inside, f"{one.code} at {span}, of {len(rows)} lines"
    row = rows[span.line - 1] if span.line <= len(rows) else ""
    assert span.column <= len(row) + 1, f"{one.code} at {span}, and the line is {row!r}"


# ------------------------------------------------------------------------------------ a condition


def parse_condition(data: bytes) -> bool:
    """A condition of a gate. One that is accepted is run beside the independent evaluator."""
    text = text_of(data)
    node = TextNode(text, Span(NAME, 1, 1, 1, len(text) + 1))
    findings = Findings()
    found = compile_condition(node, SCOPE, ENUMS, findings)
    assert (found is None) == bool(findings.diagnostics), "refused, and nobody says why"
    if found is None:
        _require_codes(findings.diagnostics)
        return False
    written = parse_text(text)
    assert found.written == written == parse_text(found.source), f"{found.source!r} says another"
    python = compile(found.layout(0), NAME, "eval")
    known = worlds()
    for number in (len(data) % len(known), zlib.crc32(data) % len(known)):
        world = known[number]
        try:
            wanted = evaluate(written, world)
        except OverflowError:
            wanted = OverflowError
        answer = _run(found, python, number)
        assert answer is wanted, f"{text!r} is {answer} of world {number}; {wanted} is due"
    return True


def _require_codes(found: list[Diagnostic]) -> None:
    for one in found:
        assert re.fullmatch(r"E05\d\d", one.code), f"{one}"
        assert one.span is not None, f"{one}"
        where = 1 <= one.span.column < one.span.end_column
        assert where, f"{one.code} at {one.span}"


def _run(found: Condition, python: Any, number: int) -> object:  # noqa: ANN401  code
    """The answer of the compiled condition, in the context that generated code has."""
    names: dict[str, Any] = {**PYTHON_ENUMS, "Decimal": Decimal, "abi": ABI, **_real_world(number)}
    with localcontext(EXACT if found.exact else NO_ARITHMETIC):
        try:
            return eval(python, names)  # noqa: S307  what is tested is code
        except OverflowError:
            return OverflowError


@cache
def _real_world(number: int) -> dict[str, Any]:
    world = worlds()[number]
    return {"event": real(EVENT, world["event"]), "state": real(STATE, world["state"])}


# -------------------------------------------------------------------------------------- a message


def parse_message(data: bytes) -> bool:
    """The message of a denial. One that is accepted is printed, and read a second time."""
    text = text_of(data)
    node = TextNode(text, Span(NAME, 1, 1, 1, len(text) + 1))
    findings = Findings()
    found = compile_message(node, SCOPE, findings)
    assert (found is None) == bool(findings.diagnostics), "refused, and nobody says why"
    if found is None:
        _require_codes(findings.diagnostics)
        return False
    said = eval(f"({found.layout(0)})", {"abi": ABI, **_real_world(0)})  # noqa: S307  likewise
    wanted = _filled(text.rstrip() if "\n" in text else text)
    assert said == wanted, f"{said!r}, not {wanted!r}"
    return True


def _filled(template: str) -> str:
    """A template with its values in it, read from left to right."""
    said, at = "", 0
    while at < len(template):
        if template[at : at + 2] in ("{{", "}}"):
            said, at = said + template[at], at + 2
        elif template[at] == "{":
            end = template.index("}", at)
            value: Any = SimpleNamespace(**_real_world(0))
            for name in template[at + 1 : end].split("."):
                value = getattr(value, name)
            said, at = said + ABI.text(value), end + 1
        else:
            said, at = said + template[at], at + 1
    return said
