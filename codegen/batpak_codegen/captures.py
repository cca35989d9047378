"""Patterns that lose a type: `case Receipt() as receipt`, which is a `Receipt[Any]` to mypy."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from batpak_codegen.config import Config
from batpak_codegen.diagnostic import Diagnostic, Span

LIBRARY: Final = "batpak"
GENERIC: Final = frozenset(  # what the library exports
    [
        "Ancestry",
        "BypassReceipt",
        "Committed",
        "Cursor",
        "Form",
        "Gate",
        "GateSet",
        "Guarded",
        "Handle",
        "Machine",
        "Page",
        "Pipeline",
        "Projection",
        "Proposal",
        "Reactor",
        "Receipt",
        "StoredEvent",
        "Transition",
    ]
)
_SKIPPED: Final = frozenset(["__pycache__", "node_modules"])


class Captures(Struct, frozen=True):
    """What was found, and the texts it is in."""

    found: tuple[Diagnostic, ...]
    texts: dict[str, str]


def captures(config: Config) -> Captures:
    """Look for such patterns in the Python files of a project; what cannot be read is left out."""
    found: list[Diagnostic] = []
    texts: dict[str, str] = {}
    for path in _files(config.root, config.root / config.out):
        try:
            data = path.read_bytes()
            if LIBRARY.encode() not in data or b"case" not in data:
                continue
            text = data.decode("utf-8-sig")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # between a person and Python
                tree = ast.parse(text)
        except (OSError, ValueError, SyntaxError, RecursionError):
            continue
        name = path.relative_to(config.root).as_posix()
        here = [_diagnostic(name, text, *one) for one in _captured(tree)]
        if here:
            found += here
            texts[name] = text
    return Captures(tuple(found), texts)


def _files(root: Path, out: Path) -> Iterator[Path]:
    """Yield the files that are neither generated nor of an environment."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and here / name != out
            and not (here / name / "pyvenv.cfg").exists()
        )
        yield from (here / name for name in sorted(names) if name.endswith(".py"))


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
