"""Proves that what the depth of types allows compiles, and that a name hides no depth.

Without it a chain of aliases gives code with more loops in loops than Python takes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak_codegen.render import render
from tests.unit.codegen.project_world import linked, refused

LEAVES = ["string", "Line", "Paying", "Colour", "Short", "f64"]


def schema(depth: int, leaf: str, container: str, optional: str) -> str:
    """A field that is `depth` containers deep, one of them in each alias."""
    chain = [f"  A0: {{alias: {container}<{leaf}>}}\n"]
    chain += [
        f"  A{number}: {{alias: {container}<A{number - 1}{optional}>}}\n"
        for number in range(1, depth - 1)
    ]
    return (
        "batpak: 1\npackage: house.deep\ncategory: 3\ntypes:\n"
        "  Line: {struct: {deep: 'list<Short>', at: timestamp}}\n"
        "  Paying: {union: {a: Line, b: Other}}\n"
        "  Other: {struct: {sku: Short}}\n  Colour: {enum: {RED: red}}\n"
        "  Short: {alias: string, max_length: 3, pattern: '[a-z]+'}\n"
        + "".join(chain)
        + f"events: {{Dug: {{id: 1, fields: {{field: '{container}<A{depth - 2}>?'}}}}}}\n"
    )


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("container", ["list", "map"])
def test_what_is_16_deep_compiles(tmp_path: Path, leaf: str, container: str) -> None:
    files = render(linked(tmp_path, schema(16, leaf, container, "?")))

    for path, text in files.items():
        if path.endswith(".py"):
            compile(text, path, "exec")


@pytest.mark.parametrize("container", ["list", "map"])
@pytest.mark.parametrize("depth", [17, 29])
def test_what_is_deeper_is_refused_where_it_becomes_so(
    tmp_path: Path, container: str, depth: int
) -> None:
    (found,) = refused(tmp_path, schema(depth, "string", container, ""))

    assert found.code == "E0105"
    assert found.message == "lists, sets and maps are nested more than 16 levels deep"


def test_a_name_of_another_package_hides_no_depth(tmp_path: Path) -> None:
    other = (
        "batpak: 1\npackage: house.top\ncategory: 4\nimports: [house.deep]\n"
        "events: {Dug: {id: 1, fields: {field: list<list<deep.A13>>, fine: 'list<deep.A13>?'}}}\n"
    )
    deep = schema(15, "string", "list", "")

    (found,) = refused(tmp_path, deep.replace("A0:", "A0: {alias: list<B>}\n  B:"), other)

    assert found.code == "E0105"
