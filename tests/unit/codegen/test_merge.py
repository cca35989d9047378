"""Two branches of a real repository: lock lines of both survive, and double claims are found.

Without this, a merge could lose a promise without a conflict, or keep two that exclude each other.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak_codegen import versions
from batpak_codegen.diagnostic import SchemaError
from tests.unit.codegen.version_world import LOCK, World, codes

BASE = "events:\n  First: {id: 1, fields: {a: string}}\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.git("init", "-q", "-b", "main")
    (tmp_path / ".gitattributes").write_text("batpak.lock merge=union\nshop/gen/** -merge\n")
    found.freeze(BASE)
    commit(found, "base")
    return found


def commit(world: World, words: str) -> None:
    world.git("add", "-A")
    world.git("commit", "-q", "-m", words)


def file(package: str, body: str) -> str:
    return f"batpak: 1\npackage: shop.{package}\ncategory: 0x2\n{body}"


def test_two_branches_that_each_add_an_event_merge_without_conflict(world: World) -> None:
    for name, id_ in (("returns", 2), ("gifts", 3)):
        world.git("checkout", "-q", "-b", name, "main")
        body = file(name, f"events:\n  Opened: {{id: {id_}, fields: {{b: string}}}}\n")
        (world.root / "schemas" / f"{name}.batpak.yaml").write_text(body)
        versions.lock(world.config, check=False)
        commit(world, name)

    world.git("merge", "-q", "--no-edit", "returns")

    assert {line for line in world.lines if line.startswith("kind")} == {
        "kind 0x2001 shop.orders.First",
        "kind 0x2002 shop.returns.Opened",
        "kind 0x2003 shop.gifts.Opened",
    }
    assert versions.lock(world.config, check=True).diagnostics == ()
    assert versions.compat(world.config, "git:main").diagnostics == ()


def test_a_kind_that_two_branches_took_is_named_with_both_places(world: World) -> None:
    for name in ("returns", "gifts"):
        world.git("checkout", "-q", "-b", name, "main")
        body = file(name, "events:\n  Opened: {id: 2, fields: {b: string}}\n")
        (world.root / "schemas" / f"{name}.batpak.yaml").write_text(body)
        versions.lock(world.config, check=False)
        commit(world, name)
    world.git("merge", "-q", "--no-edit", "returns")
    (world.root / "schemas" / "gifts.batpak.yaml").unlink()  # the lock alone has to know

    with pytest.raises(SchemaError) as caught:
        versions.compat(world.config)

    (found,) = caught.value.diagnostics
    assert found.code == "E0203"
    assert "kind 0x2002 belongs to shop." in found.message
    assert found.help is not None
    assert "`batpak id next shop." in found.help
    assert len(found.also) == 1


def test_two_heads_are_found_and_the_next_lock_joins_them(world: World) -> None:
    for name in ("note", "tip"):
        world.git("checkout", "-q", "-b", name, "main")
        world.freeze(f"events:\n  First: {{id: 1, fields: {{a: string, {name}: string?}}}}\n")
        commit(world, name)
    world.git("checkout", "-q", "tip")
    world.git("merge", "-q", "--no-edit", "-X", "ours", "note")
    both = "events:\n  First: {id: 1, fields: {a: string, note: string?, tip: string?}}\n"

    found = world.refused(both)

    assert codes(found) == ["E0806"]
    assert found[0].message == "0x2001 1.2 has two heads"
    assert found[0].help is not None
    assert "run `batpak lock`" in found[0].help

    world.freeze(both)

    shapes = [line for line in world.lines if line.startswith("shape")]
    assert [line.split()[2] for line in shapes] == ["1.1", "1.2", "1.2", "1.3"]
    assert versions.compat(world.config).diagnostics == ()


def test_a_head_that_does_not_read_both_is_not_frozen(world: World) -> None:
    lines = world.lines
    more = ["shape 0x2001 1.2 {a:string,x:string?}", "shape 0x2001 1.2 {a:string,x:i64?}"]
    (world.root / LOCK).write_text("\n".join([*lines, *more, ""]))
    world.schema("events:\n  First: {id: 1, fields: {a: string, x: string?}}\n")

    with pytest.raises(SchemaError) as caught:
        versions.lock(world.config, check=False)

    assert codes(caught.value.diagnostics) == ["C111"]


def test_a_line_that_was_lost_since_a_revision_is_found(world: World) -> None:
    kept = [line for line in world.lines if not line.startswith("shape")]
    (world.root / LOCK).write_text("\n".join([*kept, ""]))

    with pytest.raises(SchemaError) as caught:
        versions.compat(world.config, "git:HEAD")

    (found,) = caught.value.diagnostics
    assert found.code == "E0805"
    assert "shape 0x2001 1.1 {a:string}" in found.message


@pytest.mark.parametrize("ref", ["nowhere", "--upload-pack=x", "a b", "", "HEAD;ls"])
def test_what_is_no_revision_is_refused(world: World, ref: str) -> None:
    with pytest.raises(SchemaError) as caught:
        versions.compat(world.config, f"git:{ref}")

    assert codes(caught.value.diagnostics) == ["E0003"]
