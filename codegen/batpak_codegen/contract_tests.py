"""A test file per package, thin: what its tests mean is in `batpak.testing.contract`.

They stand outside the generated package, so they import it by its full name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from batpak_codegen import hook, names
from batpak_codegen.ir import MachineDef, PackageDef, Project
from batpak_codegen.layout import COLUMNS_MAX, Call, statement
from batpak_codegen.namespace import import_key
from batpak_codegen.outline import verified
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
    survivors, machines = _survivors(package), _machines(project, package)
    module = ".".join((project.out_module, *package.parts))
    body = fill(
        "contract",
        module=code(python_literal(module)),
        events=_events(package),
        survivors=survivors,
        machines=machines,
    )
    sentence = "old bytes still decode, new ones survive, machines are as declared."
    text = fill(
        "module",
        pragmas=(),
        doc=doc(f"Contract of {package.name}: {sentence}"),
        imports=code(_imports(project, package)),
        preamble=None,
        body=code(body.removesuffix("\n")),
    )
    tests = [survivor.test for survivor in survivors]
    for machine in machines:
        tests += [machine.edges_test.text, machine.walk_test.text]
    return verified(text, dict.fromkeys([*_ALWAYS, *tests], ()))


def _imports(project: Project, package: PackageDef) -> str:
    """Return the import block."""
    module = ".".join((project.out_module, *package.parts))
    ours = {project.out_module: ["registry"], module: ["testing"]}
    ours[f"{module}.events"] = sorted((e.name for e in package.events), key=import_key)
    for machine in package.machines:
        stem = names.snake(machine.name)
        ours[f"{module}.{stem}_machine"] = [f"{machine.name}Machine"]
    if any(map(hook.needs_hooks, package.machines)):
        ours[f"{module}.hooks"] = [hook.class_name(package.name)]
    lines = [_from(home, ours[home]) for home in sorted(ours)]
    outside = "import pytest\nfrom batpak.testing import contract\n"
    outside += "from hypothesis import HealthCheck, given, settings"
    if package.machines:
        outside += "\nfrom hypothesis import strategies as st"
    return outside + "\n\n" + "\n".join(lines)


def _from(module: str, words: list[str]) -> str:
    whole = f"from {module} import {', '.join(words)}"
    if len(whole) <= COLUMNS_MAX:
        return whole
    return statement("", Call(f"from {module} import (", tuple(words), display=True, open=True))


def _survivors(package: PackageDef) -> tuple[Survivor, ...]:
    """Return a test for every event."""
    found: list[Survivor] = []
    for event in package.events:
        test = f"test_{names.snake(event.name)}_survives"
        head = Call(f"def {test}(", (f"event: {ident(event.name)}",), ") -> None:")
        strategy = code(f"testing.{ident(event_function(event.name))}")
        found.append(Survivor(strategy, test, code(statement("", head))))
    return tuple(found)


def _events(package: PackageDef) -> Code:
    """Return the statement that these events were found and no other."""
    shown = tuple(python_literal(event.name) for event in package.events)
    return code(statement("assert found == ", Call("{", shown, "}", display=True), indent=4))


def _machines(project: Project, package: PackageDef) -> tuple[Machine, ...]:
    """Return the tests of every machine."""
    return tuple(_machine(project, package, machine) for machine in package.machines)


def _machine(project: Project, package: PackageDef, machine: MachineDef) -> Machine:
    rows = [(state, move.event, move.target) for move in machine.moves for state in move.sources]
    shown = Call("{", tuple(map(python_literal, rows)), "}", display=True, open=True)
    head = f"assert contract.edges({ident(machine.name + 'Machine')}) == "
    hooks: tuple[str, ...] = ()
    if hook.needs_hooks(machine):
        module = python_literal(project.hooks[package.name])
        hooks = (f"contract.implemented({module}, {hook.class_name(package.name)})",)
    made = Call(f"testing.{ident(scenario_name(machine))}(", hooks, ").walk(data)")
    stem = names.snake(machine.name)
    return Machine(
        code(f"test_{stem}_has_these_edges_and_no_other"),
        code(statement(head, shown, indent=4)),
        code(f"test_{stem}_walks_along_its_edges"),
        code(statement("", made, indent=4)),
    )
