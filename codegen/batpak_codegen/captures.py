"""Patterns that lose a type: `case Receipt() as receipt`, which is a `Receipt[Any]` to mypy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from batpak_codegen.config import Config
from batpak_codegen.diagnostic import Diagnostic, Span
from batpak_codegen.handwritten import handwritten

LIBRARY: Final = "batpak"
GENERIC: Final = frozenset(  # what the library exports
    [
        "Ancestry",
        "BypassReceipt",
        "Committed",
        "Cursor",
        "DictProjection",
        "Form",
        "Gate",
        "GateSet",
        "Guarded",
        "Handle",
        "LossyOps",
        "Machine",
        "Page",
        "Pipeline",
        "Projected",
        "Projection",
        "ProjectionWatcher",
        "Proposal",
        "RawProjection",
        "RebuildReport",
        "Reactor",
        "Receipt",
        "StoredEvent",
        "Transition",
    ]
)


class Captures(Struct, frozen=True):
    """What was found, and the texts it is in."""

    found: tuple[Diagnostic, ...]
    texts: dict[str, str]


def captures(config: Config) -> Captures:
    """Look for such patterns in the Python files of a project; what cannot be read is left out."""
    found: list[Diagnostic] = []
    texts: dict[str, str] = {}
    for file in handwritten(config, LIBRARY.encode(), b"case"):
        here = [_diagnostic(file.path, file.text, *one) for one in _captured(file.tree)]
        if here:
            found += here
            texts[file.path] = file.text
    return Captures(tuple(found), texts)


def _captured(tree: ast.Module) -> Iterator[tuple[ast.MatchAs, str]]:
    """Yield the patterns, and the class that each loses the type of."""
    names = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == LIBRARY and not node.level
        for alias in node.names
    }
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == LIBRARY
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.MatchAs) and isinstance(node.pattern, ast.MatchClass):
            cls, name = node.pattern.cls, ""
            if isinstance(cls, ast.Name):
                name = names.get(cls.id, "")
            elif isinstance(cls, ast.Attribute) and ast.unparse(cls.value) in modules:
                name = cls.attr
            if name in GENERIC:
                yield node, name


def _diagnostic(path: str, text: str, node: ast.MatchAs, name: str) -> Diagnostic:
    row = text.split("\n")[node.lineno - 1].encode()
    column = len(row[: node.col_offset].decode()) + 1
    span = Span(path, node.lineno, column, node.lineno, column + 1)
    if node.end_lineno == node.lineno:
        end = len(row[: node.end_col_offset].decode()) + 1
        span = Span(path, node.lineno, column, node.lineno, end)
    message = f"`{node.name}` is a {name}[Any] to mypy: a pattern does not keep what it is of"
    return Diagnostic("W0607", message, span, "leave out `as`, and go on with the subject")
