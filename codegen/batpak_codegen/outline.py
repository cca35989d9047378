"""What a module defines: compared with what it should, before anything is written."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TypeAlias

from batpak_codegen.diagnostic import Diagnostic, SchemaError

Outline: TypeAlias = dict[str, tuple[str, ...]]  # class -> what it declares, in order


def verified(text: str, outline: Outline) -> str:
    """Return `text`, if what it defines is what the IR says.

    Raises:
        SchemaError: E0705.
    """
    try:
        found = _outline(ast.parse(text))
    except (SyntaxError, ValueError) as error:
        raise _defect(f"generated code does not parse: {error}") from error
    if found != outline or list(found) != list(outline):
        both = found.keys() | outline.keys()
        wrong = [name for name in sorted(both) if found.get(name) != outline.get(name)]
        raise _defect(f"generated code differs from the schema: {', '.join(wrong) or 'order'}")
    return text


def _defect(message: str) -> SchemaError:
    hint = "this is a defect of batpak; nothing was written"
    return SchemaError([Diagnostic("E0705", message, None, hint)])


def _outline(tree: ast.Module) -> Outline:
    found: Outline = {}
    for node in tree.body:
        for name in _defined(node):
            members = node.body if isinstance(node, ast.ClassDef) else []
            found[name] = tuple(member for inner in members for member in _defined(inner))
    return found


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    targets: Sequence[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]
