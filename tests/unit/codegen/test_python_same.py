"""Proves that a domain generates the same code whichever way it is written.

Without it the two ways to write a schema would become two languages: a default would be spelled
otherwise, an alias would lose its name, and moving from one to the other would change what is
stored.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batpak_codegen.config import Config
from batpak_codegen.run import run
from batpak_codegen.source import yaml_text
from tests.unit.codegen.python_domains import Domain
from tests.unit.codegen.python_world import loaded, meaning

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / "tests/fixtures/python_schemas"
OUT = ROOT / "tests/golden/cases_out"
LOCK = "schemas/batpak.lock"
DOMAINS = {  # modules -> package_root, out_module, and what the same domain in YAML generates
    "orders_schemas": ("shop", "shop.gen", ROOT / "examples/orders/shop/gen"),
    "shop_schemas": ("shop", "shop.gen", OUT / "shop/expected"),
    "world_schemas": ("world", "world.gen", OUT / "everything/expected"),
    "gates_schemas": ("shop", "shop.gen", OUT / "gates/expected"),
    "handlers_schemas": ("shop", "shop.gen", OUT / "handlers/expected"),
    "versions_schemas": ("shop", "expected", OUT / "versions/expected"),
}


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".py", ".typed")
    }


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_in_python_generates_the_bytes_that_yaml_does(domain: str, tmp_path: Path) -> None:
    root, out_module, expected = DOMAINS[domain]
    shutil.copytree(PYTHON / domain, tmp_path / domain)
    if (expected.parent / LOCK).exists():  # former versions are read from it
        (tmp_path / LOCK).parent.mkdir()
        shutil.copy(expected.parent / LOCK, tmp_path / LOCK)
    names = sorted(path.stem for path in (PYTHON / domain).glob("[a-z]*.py"))
    modules = tuple(f"{domain}.{name}" for name in names)
    config = Config(tmp_path, (), "gen", out_module, root, lock=LOCK, python_schemas=modules)

    run(config, check=False)

    written = files(tmp_path / "gen")
    for name in names:  # a docstring names the file that a person would edit
        mine, theirs = f"({domain}/{name}.py)", f"(schemas/{name}.batpak.yaml)"
        written = {path: text.replace(mine, theirs) for path, text in written.items()}
    assert written == files(expected)


@pytest.mark.parametrize("name", ["common", "orders"])
def test_the_whole_language_in_python_is_the_tree_that_yaml_gives(name: str) -> None:
    folder = PYTHON / "sample_schemas"
    text = (folder / f"{name}.batpak.yaml").read_text(encoding="utf-8")

    answer = loaded(PYTHON, "sample_schemas.common", "sample_schemas.orders")

    (root,) = [root for root in answer.roots if root.span.path == f"sample_schemas/{name}.py"]
    assert meaning(root) == meaning(yaml_text.parse(text, name))


PACKAGES = 6  # of one domain; a process is started per domain


@settings(max_examples=4, deadline=None)
@given(st.data())
def test_any_domain_generates_the_same_either_way(data: st.DataObject) -> None:
    same_either_way(data)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_of_many_domains_generates_the_same_either_way(data: st.DataObject) -> None:
    same_either_way(data)


def same_either_way(data: st.DataObject) -> None:
    domain = Domain(data)
    written = [domain.write(n) for n in range(PACKAGES)]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "python").mkdir()
        for n, (yaml, python) in enumerate(written):
            (root / f"p{n}.batpak.yaml").write_text(yaml, encoding="utf-8")
            (root / "python" / f"p{n}.py").write_text(python, encoding="utf-8")
        modules = tuple(f"python.p{n}" for n in range(PACKAGES))

        run(Config(root, (".",), "yaml_out", "gen"), check=False)
        run(Config(root, (), "out", "gen", python_schemas=modules), check=False)

        found = files(root / "out")
        for n in range(PACKAGES):
            mine, theirs = f"(python/p{n}.py)", f"(p{n}.batpak.yaml)"
            found = {path: text.replace(mine, theirs) for path, text in found.items()}
        assert found == files(root / "yaml_out")


EVERYTHING_ELSE = '''
from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from batpak_codegen.schema import *

class Opened(Struct):
    kind: Literal["opened"] = "opened"
    width: int
    """In centimetres."""


class Shut(Struct):
    kind: Literal["shut"] = "shut"
    source: Annotated[str, Wire("from")]
    by: str = Field("nobody", max_length=9, pattern="[a-z]+")


Note: TypeAlias = Annotated[str, Field(max_length=9, description="Some words.")]
Moment = Annotated[Opened | Shut, Field(discriminator="kind")]
"""What happened."""


class Seen(
    Event,
    id=0xFFF,
    category=0x2,
    version=5,
    reserved=["colour", "shade"],
    deprecated="look again",
    upcasts={
        1: [Wrap("width", "value"), Cast("height", "i64"), Add("parts", 3)],
        2: [MapEnum("colour", {"RED": "DARK", "PINK": "LIGHT"}), Drop("a", "b")],
        3: Python,
        4: [Rename(old="x", new="y")],
    },
):
    moment: Moment


package = Package("house.doors", retired={7: "Painted"})
words = ["x"]
Handler("Ledger", [Seen])
Handler("Everything", "all")
Projection("Count", "all", {"n": Annotated[int, Width("u8"), Field(default=0)]}, doc="Counts.")
Policy(name="Watch", event=Seen, gates=[Gate("is_fine", Seen, python={"NO": "not fine"})])
Machine(
    "Door",
    entity="door:{key}",
    states=[State("A", final=False, doc="First.")],
    moves=[Move("go", source="A", to="A", event=Seen, gates=[], set={"n": "1"}, doc="Goes.")],
)
'''
IN_YAML = """\
batpak: 1
package: house.doors
retired: {7: Painted}
types:
  Note: {alias: string, max_length: 9, doc: Some words.}
  Moment: {union: {opened: Opened, shut: Shut}, tag: kind, doc: What happened.}
  Opened: {struct: {width: {type: i64, doc: In centimetres.}}}
  Shut:
    struct:
      source: {type: string, wire: from}
      by: {type: string, default: nobody, max_length: 9, pattern: "[a-z]+"}
events:
  Seen:
    id: 0xfff
    category: 2
    version: 5
    reserved: [colour, shade]
    deprecated: look again
    upcasts:
      1: [{wrap: {width: value}}, {cast: {height: i64}}, {add: {parts: 3}}]
      2: [{map_enum: {colour: {RED: DARK, PINK: LIGHT}}}, {drop: [a, b]}]
      3: python
      4: [{rename: {x: y}}]
    fields: {moment: Moment}
handlers: {Ledger: [Seen], Everything: all}
projections:
  Count: {events: all, state: {n: {type: u8, default: 0}}, doc: Counts.}
policies: {Watch: {event: Seen, gates: [is_fine]}}
gates: {is_fine: {event: Seen, python: {NO: not fine}}}
machines:
  Door:
    entity: door:{key}
    states: {A: {final: false, doc: First.}}
    moves: {go: {from: A, to: A, event: Seen, gates: [], set: {n: 1}, doc: Goes.}}
"""


def test_every_word_of_the_language_has_a_form_in_python(tmp_path: Path) -> None:
    (tmp_path / "doors.py").write_text(EVERYTHING_ELSE)

    (root,) = loaded(tmp_path, "doors").roots

    assert meaning(root) == meaning(yaml_text.parse(IN_YAML, "doors"))


WORDS = """\
from batpak_codegen.schema import *

package = Package("house.words")
Words = list[str]
"""
DOORS = """\
from batpak_codegen.schema import *

from . import words
from .words import Words

package = Package("house.doors")
Names = frozenset[str]

class Said(Event, id=1):
    own: Names
    imported: Words
    dotted: words.Words
    inside: list[Words] | None
    nameless: frozenset[str]
"""


@pytest.mark.parametrize("first", ["", "from __future__ import annotations\n"])
def test_a_list_with_a_name_keeps_it(first: str, tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    for name, text in {"__init__": "", "words": WORDS, "doors": DOORS}.items():
        (tmp_path / "house" / f"{name}.py").write_text(first + text)

    _, root = loaded(tmp_path, "house.words", "house.doors").roots

    fields = {
        "own": "Names",
        "imported": "words.Words",
        "dotted": "words.Words",
        "inside": "list<words.Words>?",
        "nameless": "set<string>",
    }
    assert meaning(root) == {
        "batpak": 1,
        "package": "house.doors",
        "imports": ["house.words"],
        "types": {"Names": {"alias": "set<string>"}},
        "events": {"Said": {"id": 1, "fields": fields}},
    }
