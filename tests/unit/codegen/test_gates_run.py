"""Proves that gates, contexts, policies and hooks do what their schema says once they are Python.

Golden files pin how the code looks; without this nobody would have run it, and a hook that answers
nonsense, or a thread with a decimal context of its own, could let an event pass.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import warm

ROOT = Path(__file__).parents[3]
WORLD = Path(__file__).with_name("gates_world.py")
HELPERS = {"again", "placing", "placed", "paid", "denied", "classes", "made", "refunding"}


def promises() -> list[str]:
    """The functions of the world that stand alone."""
    tree = ast.parse(WORLD.read_text(encoding="utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name not in HELPERS]


@pytest.mark.parametrize("promise", promises())
def test_generated_gates_and_hooks_keep_a_promise(promise: str) -> None:
    program = f"from tests.unit.codegen import gates_world; gates_world.{promise}()"

    found = warm.run(["-c", f"import warnings; warnings.simplefilter('error')\n{program}"], ROOT)

    assert found.returncode == 0, found.stderr
