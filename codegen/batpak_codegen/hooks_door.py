"""`hooks.py` is the one module that a user's file imports, so it shows the upcasts as well.

What the hops that are left to the user mention (old classes, new ones) is passed on by it, each
name on a line of its own, as re-exports are written.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from batpak_codegen.namespace import import_key

_RELATIVE: Final = "from ."


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
    shown = {(".upcasts", left.name)}
    homes = dict(_imported(tree))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("install_"):
            shown.add((".upcasts", node.name))
    for method in left.body:
        if isinstance(method, ast.FunctionDef):
            shown |= {(homes[name], name) for name in _mentioned(method) if name in homes}
    lines = {f"from {home} import {name} as {name}" for home, name in shown}
    if hooks is None:
        text = f"{opening}\nfrom __future__ import annotations\n\n"
        rows = ["from batpak import override as override", "", *_sorted(lines)]
        return text + "\n".join(rows) + "\n"
    rows = hooks.split("\n")
    old = [row for row in rows if row.startswith(_RELATIVE)]
    at = rows.index(old[0])
    rows[at : at + len(old)] = _sorted(lines | {*old})
    return "\n".join(rows)


def _sorted(lines: set[str]) -> list[str]:
    """Order imports as a formatter does: by module, then by name."""
    found = [line.split(" ") for line in lines]  # from, module, import, name, as, name
    found.sort(key=lambda words: (-words[1].count("."), words[1], import_key(words[3])))
    return [" ".join(words) for words in found]


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names that a module imports from beside it, with where they come from."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            home = "." * node.level + (node.module or "")
            yield from ((alias.asname or alias.name, home) for alias in node.names)


def _mentioned(method: ast.FunctionDef) -> set[str]:
    """Return the names in the signature of a method."""
    arguments = (*method.args.posonlyargs, *method.args.args)
    hints = [argument.annotation for argument in arguments if argument.annotation]
    hints += [method.returns] if method.returns else []
    return {n.id for hint in hints for n in ast.walk(hint) if isinstance(n, ast.Name)}
