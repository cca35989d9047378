"""Classes of people's own that are exhaustive only if they are @final: handlers and folds.

Of a class that may be extended, a type checker does not know whether the rest of it comes later:
an event that is added is no error there, but where the class is called, if it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msgspec import Struct

from batpak_codegen.config import Config
from batpak_codegen.diagnostic import Diagnostic, SchemaError, Span
from batpak_codegen.handwritten import handwritten
from batpak_codegen.ir import Project
from batpak_codegen.places import module_of
from batpak_codegen.user_source import Source


class Unsealed(Struct, frozen=True):
    """What was found, and the texts it is in."""

    found: tuple[Diagnostic, ...]
    texts: dict[str, str]


def unsealed(config: Config, project: Project) -> Unsealed:
    """Look for such classes in the Python files of a project: W0604."""
    bases = set(_bases(config, project))
    found: list[Diagnostic] = []
    texts: dict[str, str] = {}
    for file in handwritten(config, b"class") if bases else ():
        source = Source(file.tree, _module(config, file.path))
        here = [node for node in source.heirs(bases) if not _is_closed(node)]
        if here:
            found += [_diagnostic(file.path, file.text, node) for node in here]
            texts[file.path] = file.text
    return Unsealed(tuple(found), texts)


def _bases(config: Config, project: Project) -> Iterator[str]:
    """Yield the full names of the generated classes that have a method per event."""
    for package in project.packages:
        module = ".".join((config.out_module, *package.parts))
        yield from (f"{module}.handlers.{group.name}Handler" for group in package.groups)
        yield from (f"{module}.projections.{one.name}Projection" for one in package.projections)


def _module(config: Config, path: str) -> str:
    """Return what a file is imported as; nothing, if it is a script that nobody imports."""
    try:
        return module_of(path, config.out, config.out_module)
    except SchemaError:
        return ""


def _is_closed(node: ast.ClassDef) -> bool:
    """Whether nobody may extend a class, or it says itself that somebody has to."""
    marks = {ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list}
    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    return "final" in marks or "ABC" in bases


def _diagnostic(path: str, text: str, node: ast.ClassDef) -> Diagnostic:
    row = text.split("\n")[node.lineno - 1]
    column = row.find(node.name, len(row.encode()[: node.col_offset].decode()) + len("class")) + 1
    span = Span(path, node.lineno, column, node.lineno, column + len(node.name))
    message = f"`{node.name}` has a method per event, and is not @final"
    hint = "write @final above it: then an event that is added is an error here"
    return Diagnostic("W0604", message, span, hint)
