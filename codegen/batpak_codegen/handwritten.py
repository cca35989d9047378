"""The Python files of a project that people have written, read and not executed."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from batpak_codegen.config import Config
from batpak_codegen.user_source import parse

_SKIPPED: Final = frozenset(["__pycache__", "node_modules"])


class Handwritten(Struct, frozen=True):
    """One file: its path from the root, its text, its syntax."""

    path: str
    text: str
    tree: ast.Module


def handwritten(config: Config, *words: bytes) -> Iterator[Handwritten]:
    """Yield the files that have all of some words in them; what cannot be read is left out."""
    for path in _files(config.root, config.root / config.out):
        try:
            data = path.read_bytes()
            if not all(word in data for word in words):
                continue
            text = data.decode("utf-8-sig")
            tree = parse(text)
        except (OSError, ValueError, SyntaxError, RecursionError):
            continue
        yield Handwritten(path.relative_to(config.root).as_posix(), text, tree)


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
