"""What the template of scenarios is filled with: how to make a machine, and what to try it with.

What a scenario does is in `batpak.testing`.
"""

from __future__ import annotations

from msgspec import Struct

from batpak_codegen import hook, names
from batpak_codegen.ir import MachineDef
from batpak_codegen.layout import Call, statement
from batpak_codegen.namespace import Namespace
from batpak_codegen.strategies import Kit, event_function
from batpak_codegen.text import Code, Doc, code, doc, ident, python_literal

METHODS = ("machine", "keys", "moves")


class ScenarioItem(Struct, frozen=True):
    """The scenario of a machine; `hooks` is the parameter of what it cannot run without."""

    name: str
    head: Code
    doc: Doc
    hooks: Code | None
    machine: Code
    made: Code
    keys: Code
    key: Code
    moves: Code
    events: tuple[Code, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """What the class declares, in order."""
        return (*(("__init__",) if self.hooks else ()), *METHODS)


def scenario_name(machine: MachineDef) -> str:
    """Return the class that tests a machine: `OrderScenario`."""
    return f"{machine.name}Scenario"


def scenario_items(space: Namespace, kit: Kit) -> tuple[ScenarioItem, ...]:
    """Return the scenarios of a package; `kit` writes its strategies."""
    return tuple(_item(space, kit, machine) for machine in space.package.machines)


def _item(space: Namespace, kit: Kit, machine: MachineDef) -> ScenarioItem:
    space.typing("final")
    space.use("collections.abc", "Mapping")
    for name in ("Ledger", "override"):
        space.public(name)
    stem = names.snake(machine.name)
    cls = space.near(f"{stem}_machine", f"{machine.name}Machine")
    state = space.near(f"{stem}_machine", f"{machine.name}State")
    event = space.near("events", f"{machine.name}Event")
    key = space.annotation(machine.key.type)
    base = Call(f"{space.use('batpak.testing', 'Scenario')}[", (key, event, state), "]")
    hooks: Code | None = None
    if hook.needs_hooks(machine):
        hooks = code(f"hooks: {space.near('hooks', hook.class_name(space.package.name))}")
    events = (
        code(f"{python_literal(move.name)}: {ident(event_function(move.event))}()")
        for move in machine.moves
    )
    keys, moves = f"st.SearchStrategy[{key}]", f"Mapping[str, st.SearchStrategy[{event}]]"
    return ScenarioItem(
        scenario_name(machine),
        code(statement("", Call(f"class {ident(scenario_name(machine))}(", (base,), "):"))),
        doc(f"Machine {machine.name}: `given` a history, `when` a move, what is stored or denied."),
        hooks,
        code(f"def machine(self, ledger: Ledger) -> {cls}:"),
        code(f"{cls}(ledger{', self._hooks' if hooks else ''})"),
        code(f"def keys(self) -> {keys}:"),
        code(statement("return ", kit.of(machine.key.type), indent=8)),
        code(f"def moves(self) -> {moves}:"),
        tuple(events),
    )
