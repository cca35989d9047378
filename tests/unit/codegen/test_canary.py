"""Proves that a type checker that sees nothing is found out, and patterns that lose a type.

Without it a project could run mypy on every push where every generated class is `Any`, and believe
that misuse is found.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from msgspec.structs import replace

import batpak
from batpak_codegen import canary
from batpak_codegen.captures import GENERIC, captures
from batpak_codegen.commands import check
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.run import run, understand
from batpak_codegen.unsealed import unsealed
from tests.unit.codegen.version_world import World, codes

FIRST = "events:\n  Placed: {id: 1, fields: {email: string}}\n"
SECOND = """\
events:
  Placed:
    id: 1
    version: 2
    fields: {mailbox: string}
    upcasts: {1: [{rename: {email: mailbox}}]}
"""
SNIPPET = """\
from __future__ import annotations

import batpak
import shop.gen.orders as generated
import shop.gen.orders.former as former


def canary(store: batpak.Store, at: batpak.Coordinate, old: former.PlacedV1) -> None:
    generated.Placed(None)
    batpak.EventKind(0x2001)
    store.append(at, old)
"""
SHELL = "#!/bin/sh\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.freeze(FIRST)
    world.freeze(SECOND)
    return world


@pytest.fixture
def alone(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the path, and a Python without checkers."""
    (world.root / "bin").mkdir()
    monkeypatch.setenv("PATH", str(world.root / "bin"))
    monkeypatch.setattr(canary, "find_spec", lambda _: None)
    return world.root / "bin"


def tool(folder: Path, name: str, *lines: str) -> None:
    path = folder / name
    path.write_text("\n".join([SHELL, *lines, ""]))
    path.chmod(0o755)


def test_the_snippet_is_wrong_line_by_line(world: World) -> None:
    project, _ = understand(world.config)

    assert canary.snippet(world.config, project) == SNIPPET


def test_a_project_without_events_still_has_the_library_to_look_at(world: World) -> None:
    project, _ = understand(world.config)

    text = canary.snippet(world.config, replace(project, packages=(), pasts={}))

    assert text.endswith(") -> None:\n    batpak.EventKind(0x1001)\n")


@pytest.mark.parametrize("strict", [True, False])
def test_checkers_that_see_the_types_refuse_every_line(world: World, strict: bool) -> None:
    world.table('[tool.mypy]\nstrict = true\nfiles = ["shop"]\npretty = true\n' * strict)

    done = check(world.config, types=True)

    assert (done.diagnostics, done.reason) == ((), None)
    assert done.summary.startswith("1 package, 1 event: all well (")


def test_checkers_that_look_at_nothing_are_found_out(world: World) -> None:
    world.table(
        '[tool.mypy]\nfollow_imports = "skip"\nignore_missing_imports = true\n'
        '[tool.pyright]\ntypeCheckingMode = "off"\nreportCallIssue = false\n'
        "reportArgumentType = false\n"
    )

    told = world.batpak("check", "--types")

    listed = "`generated.Placed(None)`, `batpak.EventKind(0x2001)`, `store.append(at, old)`"
    assert told.returncode == 1
    assert f"error[E0606] mypy accepts {listed}: the types are not there for it\n" in told.stderr
    assert f"error[E0606] pyright accepts {listed}: " in told.stderr
    assert told.stdout == ""


def test_what_a_checker_says_of_the_imports_is_passed_on(world: World, alone: Path) -> None:
    tool(alone, "mypy", 'echo "x/batpak_canary.py:3:1: error: Cannot find batpak"', "exit 1")

    done = check(world.config, types=True)

    (found,) = done.diagnostics
    assert done.reason == "schema"
    assert found.help is not None
    assert found.help.startswith("Cannot find batpak; install batpak and msgspec where mypy runs")


def test_a_checker_that_fails_says_why_and_one_that_is_missing_is_not_asked(
    world: World, alone: Path
) -> None:
    with pytest.raises(SchemaError, match=r"E0008: .* needs mypy or pyright") as caught:
        check(world.config, types=True)
    assert caught.value.diagnostics[0].help == "pip install mypy"

    tool(alone, "mypy", "echo first >&2", "echo 'mypy: a bad value' >&2", "exit 2")
    tool(alone, "pyright", "echo no json")
    broken, odd = check(world.config, types=True).diagnostics

    assert broken.message == "mypy cannot say whether it sees the types: mypy: a bad value"
    assert odd.message.startswith(
        "pyright cannot say whether it sees the types: it does not answer"
    )


def test_nothing_is_written_and_generated_code_has_to_be_there(world: World, alone: Path) -> None:
    tool(alone, "mypy", *(f'echo "batpak_canary.py:{n}: error: x"' for n in (9, 10, 11)), "exit 1")
    before = sorted(world.root.rglob("*"))

    assert check(world.config, types=True).reason is None
    assert sorted(world.root.rglob("*")) == before
    (world.root / "shop/gen/registry.py").unlink()
    with pytest.raises(SchemaError, match="E0701"):
        check(world.config, types=True)


# ------------------------------------------------------------------------------------- captures

CODE = """\
import batpak as b
from batpak import Receipt as R, StoredEvent
from elsewhere import Page
match given:
    case R() as ö: ...
    case [StoredEvent(sequence=3) as event, *_]: ...
    case (b.Receipt() |
          b.Page()): ...
    case b.Page(
    ) as page: ...
    case R() | StoredEvent(): ...
    case Page() as fine: ...
    case str() as fine: ...
    case StoredEvent(payload=payload): ...
"""


def test_captures_of_generic_classes_are_found_where_they_stand(world: World) -> None:
    (world.root / "shop" / "app.py").write_text(CODE, encoding="utf-8")
    for place in ("shop/gen", ".hidden", "env", "node_modules"):
        (world.root / place).mkdir(exist_ok=True)
        (world.root / place / "app.py").write_text(CODE, encoding="utf-8")
    (world.root / "env" / "pyvenv.cfg").touch()
    (world.root / "broken.py").write_text("import batpak\ncase (\n")
    (world.root / "latin.py").write_bytes(b"import batpak # case \xe4\n")

    lost = captures(world.config)

    assert codes(lost.found) == ["W0607"] * 3
    assert lost.texts == {"shop/app.py": CODE}
    assert [one.message.partition(":")[0] for one in lost.found] == [
        "`ö` is a Receipt[Any] to mypy",
        "`page` is a Page[Any] to mypy",
        "`event` is a StoredEvent[Any] to mypy",
    ]
    spans = [one.span for one in lost.found if one.span]
    assert [(span.line, span.column, span.end_column) for span in spans] == [
        (5, 10, 18),
        (9, 10, 11),
        (6, 11, 43),
    ]


def test_every_generic_class_of_the_library_is_looked_for() -> None:
    exported: dict[str, object] = {name: getattr(batpak, name) for name in batpak.__all__}

    generic = {
        name
        for name, value in exported.items()
        if inspect.isclass(value) and vars(value).get("__parameters__")
    }

    assert generic == GENERIC


# ------------------------------------------------------------------------------------- unsealed

GROUPS = """\
handlers: {Ledger: [Placed]}
projections: {Count: {events: [Placed], state: {n: {type: i64, default: 0}}}}
"""
FOLDS = """\
from abc import ABC
from typing import final
import typing
from .gen.orders import handlers
from .gen.orders.handlers import LedgerHandler as L, LedgerListener
from shop.gen.orders.projections import CountProjection

@final
class Closed(L[str]): ...
class Open(L[str]): ...
class Öpen(CountProjection): ...
@typing.final
class Sealed(CountProjection): ...
class Half(handlers.LedgerHandler[int], ABC): ...
class First(handlers.LedgerHandler[int]): ...
@final
class Second(First): ...
class Third(Open): ...
class Deaf(LedgerListener): ...
class Elsewhere(CountHandler): ...
"""


def test_handlers_and_folds_that_may_be_extended_are_found(world: World) -> None:
    world.schema(SECOND + GROUPS)
    run(world.config, check=False)
    (world.root / "shop" / "app.py").write_text(FOLDS, encoding="utf-8")
    (world.root / "script-1.py").write_text(
        "from shop.gen.orders.projections import CountProjection\nclass One(CountProjection): ...\n"
    )

    found = unsealed(world.config, understand(world.config)[0])

    assert codes(found.found) == ["W0604"] * 3
    shown = {one.span: one.message for one in found.found}
    places = [(span.path, span.line, span.column) for span in shown if span]
    assert places == [("script-1.py", 2, 7), ("shop/app.py", 11, 7), ("shop/app.py", 18, 7)]
    assert [said.split("`")[1] for said in shown.values()] == ["One", "Öpen", "Third"]


def test_without_handlers_and_projections_no_file_is_read(world: World) -> None:
    (world.root / "shop" / "app.py").write_text(FOLDS, encoding="utf-8")

    assert unsealed(world.config, understand(world.config)[0]).found == ()


def test_what_is_loose_can_be_ignored_or_taken_for_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "sing", lambda *_: ())  # what it says is proved above
    world.freeze(SECOND + GROUPS)
    (world.root / "shop" / "app.py").write_text(
        FOLDS + "match 1:\n    case L() as l: ...\n", encoding="utf-8"
    )

    told = check(world.config, types=True)
    world.table('ignore = ["W0604"]\n')
    ignored = check(world.config, types=True)
    world.table("warnings_as_errors = true\n")
    strict = check(world.config, types=True)

    assert codes(told.diagnostics) == ["W0604"] * 2
    assert (told.reason, ignored.diagnostics, ignored.reason) == (None, (), None)
    assert [one.severity for one in strict.diagnostics] == ["error"] * 2
    assert strict.reason == "schema"
