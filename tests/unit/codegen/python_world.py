"""Schema modules in a folder of their own, and what loading them gives."""

from __future__ import annotations

from pathlib import Path

from batpak_codegen.config import Config
from batpak_codegen.diagnostic import SchemaError, render
from batpak_codegen.nodes import MapNode, Node, SeqNode
from batpak_codegen.run import run
from batpak_codegen.source.python.answer import Answer
from batpak_codegen.source.python.load import SECONDS_MAX, load_modules

HEAD = """\
import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from batpak_codegen.schema import *

package = Package("house.doors", category=1)
"""
HEAD_LINES = HEAD.count("\n")


def loaded(folder: Path, *names: str, seconds: int = SECONDS_MAX) -> Answer:
    """Load modules that stand in a folder."""
    return load_modules(names, folder, folder / "gen", "gen", seconds)


def refused(folder: Path, text: str, *, seconds: int = SECONDS_MAX) -> str:
    """What is printed about a module of this text; "" if it is fine."""
    (folder / "doors.py").write_text(text, encoding="utf-8")
    try:
        if seconds != SECONDS_MAX:
            loaded(folder, "doors", seconds=seconds)
        else:
            run(Config(folder, (), "gen", "gen", python_schemas=("doors",)), check=True)
    except SchemaError as error:
        return render(error.diagnostics, error.texts)
    return ""


def meaning(node: Node) -> object:
    """What a node says, without where and in which spelling it does."""
    if isinstance(node, MapNode):
        found = {str(_plain(key.value)): meaning(value) for key, value in node.entries}
        return found["type"] if list(found) == ["type"] else found
    if isinstance(node, SeqNode):
        return [meaning(item) for item in node.items]
    return _plain(node.value)


def _plain(text: str) -> object:
    try:
        return int(text, 0)
    except ValueError:
        return " ".join(text.split())
