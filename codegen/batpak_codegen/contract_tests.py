"""A test file per package, thin: what its tests mean is in `batpak.testing.contract`.

They stand outside the generated package, so they import it by its full name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from batpak_codegen import hook, names
from batpak_codegen.example_view import example_tests, implemented
from batpak_codegen.ir import MachineDef, PackageDef, Project
from batpak_codegen.layout import Call, statement
from batpak_codegen.outline import verified
from batpak_codegen.outside import Outside
from batpak_codegen.scenario_view import scenario_name
from batpak_codegen.strategies import event_function
from batpak_codegen.template import fill
from batpak_codegen.text import Code, code, doc, ident, python_literal

_ALWAYS: Final = (
    "ANY_SIZE",
    "everything_is_imported",
    "test_frozen_bytes_become_the_current_version",
    "test_every_kind_is_the_kind_of_one_event",
)


class Survivor(Struct, frozen=True):
    """The test that one event survives."""

    strategy: Code
    test: str
    head: Code


class Machine(Struct, frozen=True):
    """The tests of a machine: it has the edges that the schema declares, and walks along them."""

    edges_test: Code
    edges: Code
    walk_test: Code
    walk: Code


def render_tests(project: Project, files: Mapping[str, str]) -> dict[str, str]:
    """Return file → text, for the contract test of every package that has events.

    Args:
        project: All packages.
        files: Package → name of its test file.

    Raises:
        SchemaError: E0705, as `render`.
    """
    packages = (package for package in project.packages if package.events)
    return {files[package.name]: _contract(project, package) for package in packages}


def _contract(project: Project, package: PackageDef) -> str:
    space = Outside(project, package)
    survivors, machines = _survivors(space), _machines(space)
    examples = example_tests(space)
    body = fill(
        "contract",
        module=code(python_literal(".".join((project.out_module, *package.parts)))),
        events=_events(package),
        survivors=survivors,
        machines=machines,
        examples=examples,
    )
    sentence = "old bytes still decode, new ones survive, machines are as declared."
    text = fill(
        "module",
        pragmas=(),
        doc=doc(f"Contract of {package.name}: {sentence}"),
        imports=code(_imports(space)),
        preamble=None,
        body=code(body.removesuffix("\n")),
    )
    tests = [survivor.test for survivor in survivors]
    for machine in machines:
        tests += [machine.edges_test.text, machine.walk_test.text]
    tests += [example.test for example in examples]
    return verified(text, dict.fromkeys([*_ALWAYS, *tests], ()))


def _imports(space: Outside) -> str:
    """Return the import block; what the tests of one kind need, they have asked for."""
    space.whole("import pytest")
    space.use("batpak.testing", "contract")
    for name in ("HealthCheck", "given", "settings"):
        space.use("hypothesis", name)
    space.use(space.project.out_module, "registry")
    return space.imports()


def _survivors(space: Outside) -> tuple[Survivor, ...]:
    """Return a test for every event."""
    found: list[Survivor] = []
    for event in space.package.events:
        test = f"test_{names.snake(event.name)}_survives"
        head = Call(f"def {test}(", (f"event: {space.near('events', event.name)}",), ") -> None:")
        strategy = code(space.near("testing", f"{ident(event_function(event.name))}"))
        found.append(Survivor(strategy, test, code(statement("", head))))
    return tuple(found)


def _events(package: PackageDef) -> Code:
    """Return the statement that these events were found and no other."""
    shown = tuple(python_literal(event.name) for event in package.events)
    return code(statement("assert found == ", Call("{", shown, "}", display=True), indent=4))


def _machines(space: Outside) -> tuple[Machine, ...]:
    """Return the tests of every machine."""
    return tuple(_machine(space, machine) for machine in space.package.machines)


def _machine(space: Outside, machine: MachineDef) -> Machine:
    space.use("hypothesis", "strategies", "st")
    rows = [(state, move.event, move.target) for move in machine.moves for state in move.sources]
    shown = Call("{", tuple(map(python_literal, rows)), "}", display=True, open=True)
    stem = names.snake(machine.name)
    cls = space.near(f"{stem}_machine", f"{ident(machine.name + 'Machine')}")
    hooks = (implemented(space),) if hook.needs_hooks(machine) else ()
    scenario = space.near("testing", f"{ident(scenario_name(machine))}")
    return Machine(
        code(f"test_{stem}_has_these_edges_and_no_other"),
        code(statement(f"assert contract.edges({cls}) == ", shown, indent=4)),
        code(f"test_{stem}_walks_along_its_edges"),
        code(statement("", Call(f"{scenario}(", hooks, ").walk(data)"), indent=4)),
    )
