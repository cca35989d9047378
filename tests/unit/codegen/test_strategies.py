"""Proves that strategies stay inside every constraint and have names that clash with nothing.

Without these tests a limit that no float holds could be passed over, or an event called `Return`
or `St` could make a module that does not import.
"""

from __future__ import annotations

import ast
import datetime as dt
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from batpak import abi
from batpak_codegen.ir import Project
from batpak_codegen.render import render
from batpak_codegen.strategies import plural
from tests.unit.codegen.project_world import linked

HEAD = "batpak: 1\npackage: house.doors\ncategory: 3\n"


def functions(project: Project, package: str = "doors") -> list[str]:
    tree = ast.parse(render(project)[f"{package}/testing.py"])
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def strategy(folder: Path, declaration: str) -> st.SearchStrategy[Any]:
    """The strategy of one alias, evaluated as the generated module would."""
    text = f"{HEAD}types:\n  Thing: {{alias: {declaration}}}\n"
    tree = ast.parse(render(linked(folder, text))["doors/testing.py"])
    (node,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    body = node.body[0]
    assert isinstance(body, ast.Return)
    assert body.value is not None
    names: Mapping[str, object] = {"st": st, "dt": dt, "Decimal": Decimal}
    made: st.SearchStrategy[Any] = eval(ast.unparse(body.value), dict(names))  # noqa: S307  ours
    return made


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("order_line", "order_lines"),
        ("currency", "currencies"),
        ("money", "moneys"),
        ("address", "addresses"),
        ("box", "boxes"),
        ("branch", "branches"),
        ("part2", "part2s"),
        ("y", "ys"),
    ],
)
def test_the_strategy_of_a_type_is_its_plural(word: str, words: str) -> None:
    assert plural(word) == words


def test_no_name_hides_another_one(tmp_path: Path) -> None:
    types = "types: {Thing: {id: thing}, Import: {id: i}, D: {id: d}, S: {id: s}, Tuple: {id: t}}\n"
    events = ", ".join(
        f"{name}: {{id: {number}, fields: {{things: list<Thing>}}}}"
        for number, name in enumerate(["Things", "Return", "St", "Dt", "Len", "Imports"])
    )

    found = functions(linked(tmp_path, HEAD + types + f"events: {{{events}}}\n"))

    assert len(found) == len(set(found)) == 11
    assert not {"st", "dt", "len", "tuple", "return"} & set(found)
    assert {"things", "things_", "return_", "imports", "imports_"} <= set(found)


def test_imported_strategies_are_renamed_where_they_clash(tmp_path: Path) -> None:
    base = "batpak: 1\npackage: house.base\ntypes: {Name: {alias: string}, Part: {id: part}}\n"
    user = (
        "batpak: 1\npackage: house.user\ncategory: 3\nimports: [house.base]\n"
        "types: {Name: {alias: i8}}\n"
        "events: {Parts: {id: 1, fields: {a: Name, b: base.Name, c: base.Part}}}\n"
    )

    text = render(linked(tmp_path, base, user))["user/testing.py"]

    assert "from ..base.testing import names as base_names\n" in text
    assert "from ..base.testing import parts as base_parts\n" in text
    assert "a=names(), b=base_names(), c=base_parts()" in text


LIMITS: list[tuple[str, Callable[[Any], bool]]] = [
    ("{alias: f64, ge: 9007199254740993}", lambda v: v >= 9007199254740993),
    ("{alias: f64, gt: 0.1, ge: 0.1, le: 0.3}", lambda v: 0.1 < v <= 0.3),
    ("{alias: f64, ge: 0.1, le: 0.1}", lambda v: v == 0.1),
    ("{alias: f64, lt: -9007199254740993}", lambda v: v < -9007199254740993),
    ("{alias: u8, gt: 3, lt: 5}", lambda v: v == 4),
    (
        "{alias: decimal, precision: 38, scale: 18, ge: '12345678901234567890.5'}",
        lambda v: abi.is_decimal(v, 38, 18) and v >= Decimal("12345678901234567890.5"),
    ),
    (
        "{alias: decimal, precision: 3, scale: 1, gt: '1.05', lt: '1.35'}",
        lambda v: v in (Decimal("1.1"), Decimal("1.2"), Decimal("1.3")),
    ),
    ("{alias: decimal, precision: 2, scale: 0}", lambda v: abi.is_decimal(v, 2, 0)),
    ("{alias: decimal, precision: 5, scale: 5}", lambda v: abi.is_decimal(v, 5, 5)),
    ("{alias: string, min_length: 2, max_length: 3}", lambda v: 2 <= len(v) <= 3),
    ("{alias: bytes, max_length: 1}", lambda v: len(v) <= 1),
    ("{alias: list<i8>, min_length: 1, max_length: 2}", lambda v: 1 <= len(v) <= 2),
    ("{alias: duration}", abi.is_duration),
    ("{alias: timestamp}", abi.is_timestamp),
]


@pytest.mark.parametrize(("declaration", "fits"), LIMITS, ids=[row[0] for row in LIMITS])
def test_every_value_is_inside_the_limits(
    tmp_path: Path, declaration: str, fits: Callable[[object], bool]
) -> None:
    made = strategy(tmp_path, declaration.removeprefix("{alias: ").removesuffix("}"))

    @settings(max_examples=50, database=None)
    @given(made)
    def holds(value: object) -> None:
        assert fits(value)

    holds()


def test_both_ends_of_a_range_can_be_found(tmp_path: Path) -> None:
    made = strategy(tmp_path, "decimal, precision: 4, scale: 2, ge: '-1.5', lt: 2")

    assert find(made, lambda v: v == Decimal("-1.50")) == Decimal("-1.5")
    assert find(made, lambda v: v > Decimal("1.98")) == Decimal("1.99")


def test_hypothesis_is_imported_by_one_module_of_a_package(tmp_path: Path) -> None:
    events = "events: {Made: {id: 1, fields: {}}}\n"
    files = render(linked(tmp_path, HEAD + events))

    assert [path for path, text in files.items() if "hypothesis" in text] == ["doors/testing.py"]


def test_what_generated_packages_import_is_installed_with_the_generator() -> None:
    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["gen"]]
    installed = {re.split(r"[\[>]", line)[0] for line in wanted} | {
        "typing_extensions"
    }  # mypy's own
    folders = [*root.glob("examples/*/*/gen"), *root.glob("tests/golden/cases_out/*/expected")]
    nodes = [
        node
        for folder in folders
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]

    imports = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imports |= {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom) and n.level == 0}
    outside = {name.partition(".")[0] for name in imports} - sys.stdlib_module_names

    assert {"batpak", "msgspec"} <= outside
    assert outside <= installed
