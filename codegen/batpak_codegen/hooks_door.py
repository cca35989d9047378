"""`hooks.py` is the one module that a user's file imports, so it shows the upcasts as well.

What the hops that are left to the user mention (old classes, new ones) is passed on by it, each
name on a line of its own, as re-exports are written.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

from batpak_codegen.namespace import as_itself, import_key

Imported: TypeAlias = tuple[str, str, str]  # from, name, as


def with_upcasts(hooks: str | None, upcasts: str, opening: str) -> str | None:
    """Return the text of `hooks.py` with what a user needs to write upcasts.

    Args:
        hooks: What it would be otherwise, or None if there would be none.
        upcasts: The text of `upcasts.py`.
        opening: What a new `hooks.py` begins with, up to the imports.

    Returns:
        The text, or None if no hop is left to the user and there are no hooks.
    """
    tree = ast.parse(upcasts)
    left = next((node for node in tree.body if isinstance(node, ast.ClassDef)), None)
    if left is None:
        return hooks
    shown = {(".upcasts", left.name, left.name)}
    homes = {each[2]: each for each in _imported(tree)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("install_"):
            shown.add((".upcasts", node.name, node.name))
    for method in left.body:
        if isinstance(method, ast.FunctionDef):
            shown |= {homes[name] for name in _mentioned(method) if name in homes}
    if hooks is None:
        text = f"{opening}\nfrom __future__ import annotations\n\n"
        rows = ["from batpak import override as override", "", *_lines(shown)]
        return text + "\n".join(rows) + "\n"
    rows, door = hooks.split("\n"), ast.parse(hooks)
    old = [node for node in door.body if isinstance(node, ast.ImportFrom) and node.level]
    rows[old[0].lineno - 1 : old[-1].end_lineno] = _lines(shown | {*_imported(door)})
    return "\n".join(rows)


def _lines(imported: set[Imported]) -> list[str]:
    """Return the imports, ordered as a formatter does: by module, then by name."""

    def order(one: Imported) -> tuple[object, ...]:
        home, name, _ = one
        return (-home.count("."), home, *import_key(name))

    return [as_itself(home, (name, local)) for home, name, local in sorted(imported, key=order)]


def _imported(tree: ast.Module) -> Iterator[Imported]:
    """Yield what a module imports from beside it."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            home = "." * node.level + (node.module or "")
            yield from ((home, alias.name, alias.asname or alias.name) for alias in node.names)


def _mentioned(method: ast.FunctionDef) -> set[str]:
    """Return the names in the signature of a method."""
    arguments = (*method.args.posonlyargs, *method.args.args)
    hints = [argument.annotation for argument in arguments if argument.annotation]
    hints += [method.returns] if method.returns else []
    return {n.id for hint in hints for n in ast.walk(hint) if isinstance(n, ast.Name)}
