"""Proves what `--release` does not let pass: warnings, shapes that are not frozen, stubs.

Without it a release could store events that nobody promised to read, or judge them with a gate
that nobody has written.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batpak_codegen import versions
from batpak_codegen.commands import Request, check, gen
from batpak_codegen.config import Config, configure
from batpak_codegen.diagnostic import Diagnostic, SchemaError
from tests.unit.codegen.version_world import World, codes

PLAIN = "events:\n  Swept: {id: 1, fields: {}}\n"
GATED = """\
events:
  Swept: {id: 1, fields: {}}
gates:
  is_dry: {event: Swept, python: {WET: mind the floor}}
  is_free: {event: Swept, python: {TAKEN: somebody is here}}
policies:
  Sweep: {event: Swept, gates: [is_dry, is_free]}
"""
IDLE = PLAIN + "gates:\n  is_dry: {event: Swept, python: {WET: mind the floor}}\n"
WRITTEN = '''\
from shop.gen.orders import hooks as h


class Hooks(h.OrdersHooks):
    def gate_is_dry(self, event: h.Swept, /) -> bool:
        """Say."""
        if not event:
            raise NotImplementedError
        return True

    def gate_is_free(self, event: h.Swept, /) -> bool:
        """Say."""
        raise NotImplementedError("later")
'''


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def snapshot(config: Config) -> dict[Path, tuple[int, int]]:
    found = {path: path.stat() for path in config.root.rglob("*")}
    return {path: (told.st_mode, told.st_mtime_ns) for path, told in found.items()}


def unready(config: Config, request: Request | None = None) -> tuple[Diagnostic, ...]:
    """What stands in the way of a release, to `gen` and to `check` alike."""
    before = snapshot(config)
    with pytest.raises(SchemaError) as caught:
        gen(config, request or Request(release=True))
    with pytest.raises(SchemaError) as also:
        check(config, release=True)
    assert snapshot(config) == before
    assert also.value.diagnostics == caught.value.diagnostics
    return caught.value.diagnostics


def test_what_is_finished_is_released(world: World) -> None:
    world.freeze(PLAIN)

    assert gen(world.config, Request(release=True)).reason is None
    assert check(world.config, release=True).diagnostics == ()


def test_everything_has_to_be_frozen(world: World) -> None:
    world.schema(PLAIN)
    gen(world.config, Request())

    found = unready(world.config)
    told = world.batpak("check", "--release", "--format", "json")
    world.freeze()
    (world.root / "tests/batpak/shop_orders.frozen").unlink()

    assert codes(found) == ["E0809"] * 2
    assert (told.returncode, json.loads(told.stdout)["reason"]) == (1, "lock")
    assert [one.message for one in unready(world.config)] == [
        "tests/batpak/shop_orders.frozen (1 line) is not frozen"
    ]


def test_warnings_are_errors_unless_they_are_ignored(world: World) -> None:
    world.freeze(IDLE)

    assert codes(unready(world.config)) == ["W0402"]
    world.table('ignore = ["W0402"]\n')
    assert gen(world.config, Request(release=True)).diagnostics == ()


@pytest.mark.parametrize(
    "request_",
    [
        Request(release=True),
        Request(release=True, stubs=False),
        Request(release=True, package="shop.orders"),
        Request(release=True, check=True),
    ],
)
def test_a_stub_is_found_however_it_is_released(world: World, request_: Request) -> None:
    world.freeze(GATED)

    found = unready(world.config, request_)

    assert codes(found) == ["E0605"] * 2
    assert found[0].message == "`gate_is_dry` is not written yet"
    assert found[0].span is not None
    row = (world.root / "shop/orders_hooks.py").read_text().split("\n")[found[0].span.line - 1]
    assert row[found[0].span.column - 1 :].startswith("raise NotImplementedError")


def test_a_method_that_does_something_is_written_and_one_that_is_missing_is_not(
    world: World,
) -> None:
    world.freeze(GATED)
    hooks = world.root / "shop" / "orders_hooks.py"

    hooks.write_text(WRITTEN)
    (stub,) = unready(world.config)
    hooks.write_text(WRITTEN.partition("\n    def gate_is_free")[0])
    (missing,) = unready(world.config)
    hooks.unlink()
    nothing = unready(world.config)
    hooks.write_text(WRITTEN.replace('raise NotImplementedError("later")', "return True"))

    assert stub.message == "`gate_is_free` is not written yet"
    assert stub.span is not None
    assert (stub.span.line, stub.span.column) == (13, 9)
    assert missing.message == "shop/orders_hooks.py lacks `gate_is_free`"
    assert codes(nothing) == ["E0605"] * 2
    assert check(world.config, release=True).reason is None


def test_what_is_left_over_in_a_hooks_file_is_an_error_where_warnings_are(world: World) -> None:
    world.freeze(GATED)
    (world.root / "shop" / "orders_hooks.py").write_text(
        WRITTEN.replace('raise NotImplementedError("later")', "return True")
        + "\n    def gate_is_old(self) -> bool: ...\n"
    )

    assert codes(unready(world.config)) == ["W0603"]
    world.table("warnings_as_errors = true\n")
    with pytest.raises(SchemaError, match="W0603") as caught:
        gen(world.config, Request())
    assert [one.severity for one in caught.value.diagnostics] == ["error"]
    world.table('warnings_as_errors = true\nignore = ["W0603"]\n')
    assert gen(world.config, Request(release=True)).diagnostics == ()


def test_a_release_writes_what_is_out_of_date(world: World) -> None:
    world.schema(PLAIN)
    versions.lock(configure(world.root / "pyproject.toml"), check=False)

    done = world.batpak("gen", "--release")

    assert done.returncode == 0
    assert "files written" in done.stdout
