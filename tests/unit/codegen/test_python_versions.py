"""Proves that what was promised by a schema in Python is kept as what was promised by one in YAML.

Without it a break in a project without a YAML file would be told as "no schemas", and retiring a
kind could write YAML into a Python file.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.codegen.version_world import World, codes

TABLE = 'schemas = []\npython_schemas = ["shop.schema"]\n'
SCHEMA = """\
from batpak_codegen.schema import Event, Package

package = Package("shop.orders", category=2)


class Placed(Event, id=1):
    note: str


class Stored(Event, id=2):
    place: str
"""
CHANGED = SCHEMA.replace("note: str", "note: int")
GONE = SCHEMA.partition("\n\nclass Stored")[0]
BREAK = """\
shop/schema.py:7:5: error[C111] Placed: note is i64, and was string; events of revision 1.1 \
cannot be read as they were meant
      7 |     note: int
        |     ^^^^
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "project").mkdir()
    found = World(tmp_path / "project")
    (found.root / "schemas").rmdir()
    found.table(TABLE)
    write(found, SCHEMA)
    assert found.batpak("lock").returncode == 0
    return found


def write(world: World, text: str) -> None:
    (world.root / "shop" / "schema.py").write_text(text)


def commit(world: World) -> None:
    world.git("init", "-q", "-b", "main")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "base")


@pytest.mark.parametrize("against", ["lock", "git:main", "../old", "../old/batpak.lock's folder"])
def test_a_break_of_a_schema_in_python_is_told_at_its_line(world: World, against: str) -> None:
    commit(world)
    old = world.root.parent / "old"
    if against == "../old":
        shutil.copytree(world.root, old)
        (old / "batpak.lock").unlink()  # its modules alone have to know
    elif against.startswith("../"):
        against = "../old"
        old.mkdir()
        shutil.copy(world.root / "batpak.lock", old)

    fine = world.batpak("compat", "--against", against)
    write(world, CHANGED)
    told = world.batpak("compat", "--against", against)

    assert (fine.returncode, fine.stderr) == (0, "")
    assert told.returncode == 1
    assert told.stderr.startswith(BREAK)


def test_what_would_break_is_not_frozen(world: World) -> None:
    before = (world.root / "batpak.lock").read_bytes()
    write(world, CHANGED)

    told = world.batpak("lock")

    assert told.returncode == 1
    assert told.stderr.startswith(BREAK)
    assert (world.root / "batpak.lock").read_bytes() == before


def test_a_kind_of_a_package_in_python_is_retired_by_hand(world: World) -> None:
    still = world.batpak("lock", "--retire", "0x2002")
    write(world, GONE)

    refused = world.batpak("lock", "--retire", "0x2002")

    assert "shop.orders.Stored is still declared" in still.stderr
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "shop/schema.py:3:19: error[E0205] a schema module is yours to write\n"
    )
    assert '= help: write it yourself: Package(…, retired={0x002: "Stored"})\n' in refused.stderr
    assert (world.root / "shop" / "schema.py").read_text() == GONE
    write(world, GONE.replace("category=2", 'category=2, retired={0x002: "Stored"}'))
    assert world.batpak("lock", "--retire", "0x2002").returncode == 0
    assert codes(world.breaks_now()) == []
