"""Proves how files that are not generated are replaced: whole, with their mode, not through links.

Without it `fmt` could turn a link into a file, `lock` could lose a mode, and a run that fails could
leave its temporary file in the tree.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from batpak_codegen import whole_file
from batpak_codegen.commands import fmt, next_id
from batpak_codegen.config import Config
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.nodes import Node
from batpak_codegen.source import yaml_text
from tests.unit.codegen.version_world import LOCK, World

UNTIDY = "package: shop.orders\nbatpak: 1\ncategory: 2\n"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_mode_is_kept_by_every_command_that_replaces(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.freeze("events:\n  A: {id: 1, fields: {}}\n")
    lock, frozen = tmp_path / LOCK, tmp_path / "tests/batpak/shop_orders.frozen"
    schema = tmp_path / "schemas/orders.batpak.yaml"
    for path in (lock, frozen, schema):
        path.chmod(0o640)

    next_id(world.config, "shop.orders.B", write=True)
    fmt(world.config, (), check=False)
    world.batpak("lock")

    assert "shop.orders.B" in lock.read_text()
    assert len(frozen.read_text().splitlines()) == 3
    assert [mode(path) for path in (lock, frozen, schema)] == [0o640] * 3


def test_a_schema_that_is_a_link_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "common.yaml").write_text(UNTIDY)
    link = tmp_path / "orders.batpak.yaml"
    link.symlink_to(tmp_path / "common.yaml")

    with pytest.raises(SchemaError, match=r"E0703: cannot replace .* it is a link"):
        fmt(Config(tmp_path, (".",), "gen", "gen"), (), check=False)

    assert link.is_symlink()
    assert (tmp_path / "common.yaml").read_text() == UNTIDY


def test_what_somebody_saves_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "orders.batpak.yaml"
    file.write_text(UNTIDY)
    config = Config(tmp_path, (".",), "gen", "gen")
    parse = yaml_text.parse

    def saving(text: str, path: str) -> Node:
        file.write_text(UNTIDY + "# mine\n")
        return parse(text, path)

    monkeypatch.setattr(yaml_text, "parse", saving)
    with pytest.raises(SchemaError, match=r"E0703: .* changed in the meantime"):
        fmt(config, (), check=False)
    file.write_text(UNTIDY)
    with pytest.raises(SchemaError, match=r"E0703: .* changed in the meantime"):
        next_id(config, "shop.orders.B", write=True)

    assert file.read_text() == UNTIDY + "# mine\n"


@pytest.mark.parametrize("old", [b"old", None])
def test_what_fails_leaves_everything_as_it_was(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "a"
    if old is None:
        path.mkdir()  # it cannot be replaced by a file
    else:
        path.write_bytes(old)
        (tmp_path / ".a.batpak-new").mkdir()  # nothing can be staged

    with pytest.raises(OSError, match=r"\[Errno"):
        whole_file.replace(path, b"new")

    assert path.is_dir() if old is None else path.read_bytes() == old
    assert {found.name for found in tmp_path.iterdir()} <= {"a", ".a.batpak-new"}
    assert not (tmp_path / ".a.batpak-new").is_file()


def test_what_a_killed_run_has_left_gives_way(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(b"mine")
    (tmp_path / ".a.batpak-new").symlink_to(target)

    whole_file.replace(tmp_path / "below" / "a", b"new")
    whole_file.replace(tmp_path / "a", b"new")

    assert whole_file.read(tmp_path / "a") == b"new"
    assert whole_file.read(tmp_path / "below" / "a") == b"new"
    assert whole_file.read(tmp_path / "none") is None
    assert target.read_bytes() == b"mine"
