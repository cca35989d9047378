"""What installed distributions have taken: kinds of those that declare `batpak.schemas`.

    [project.entry-points."batpak.schemas"]
    shop = "shop.gen.registry"

The entry point names the generated registry. It is looked for as an import would, and read, but
never imported: what is installed beside a project is not run to compile its schema.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from batpak_codegen.diagnostic import Place, Span

GROUP: Final = "batpak.schemas"
FILE_BYTES_MAX: Final = 2**22


def installed_kinds(out_module: str) -> dict[int, Place]:
    """Return kind → where it is taken, for all distributions but the project's own.

    Args:
        out_module: What the project's own generated package is imported as.
    """
    found: dict[int, Place] = {}
    points = entry_points(group=GROUP)
    for point in sorted(points, key=lambda point: (point.value, point.name)):
        if point.value != f"{out_module}.registry":
            for kind, place in _kinds_of(point):
                found.setdefault(kind, place)
    return found


def _kinds_of(point: EntryPoint) -> Iterator[tuple[int, Place]]:
    path, name = _file(point.value)
    distribution = point.dist.name if point.dist else point.name
    if path is None:
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # not a file of ours: it claims nothing
    for table in ("KINDS", "RETIRED"):
        for key, value in _rows(tree, table):
            span = Span(name, key.lineno, key.col_offset + 1, key.lineno, key.col_offset + 2)
            kind = _literal(key)
            if isinstance(kind, int):
                yield kind, Place(span, f"{_named(value)} of the distribution {distribution}")


def _file(module: str) -> tuple[Path | None, str]:
    name = module.replace(".", "/") + ".py"
    for folder in sys.path:
        path = Path(folder or ".", name)
        if path.is_file() and path.stat().st_size <= FILE_BYTES_MAX:
            return path, name
    return None, name


def _rows(tree: ast.Module, table: str) -> Iterator[tuple[ast.expr, ast.expr]]:
    for node in tree.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.value, ast.Dict):
            continue
        if isinstance(node.target, ast.Name) and node.target.id == table:
            pairs = zip(node.value.keys, node.value.values, strict=True)
            yield from ((key, value) for key, value in pairs if key)


def _named(value: ast.expr) -> str:
    """Return the name in a row: of the class, or the one it had."""
    name = value.elts[1] if isinstance(value, ast.Tuple) and len(value.elts) > 1 else value
    return str(_literal(name)).rpartition(".")[2]


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
