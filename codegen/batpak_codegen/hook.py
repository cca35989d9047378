"""Hooks: what a package leaves to the user, as methods of one abstract class.

A Python gate is asked for its verdict, a move with `evolve: python` for the next state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from batpak_codegen import names
from batpak_codegen.ir import GateDef, MachineDef, MoveDef, PackageDef

SENTENCE_CHARS_MAX: Final = 86  # what a docstring of a method has on its first line


class Name(Struct, frozen=True):
    """A class that a signature mentions, and the module of the package that has it."""

    module: str
    name: str


class Hook(Struct, frozen=True):
    """One abstract method. `parameters` are names with the classes of which one is given.

    `codes` are what a Python gate may answer beside a permission; a step has none.
    """

    method: str
    parameters: tuple[tuple[str, tuple[Name, ...]], ...]
    result: Name
    doc: str
    codes: tuple[str, ...] = ()


def class_name(package: str) -> str:
    """Return the abstract class of a package: `OrdersHooks`."""
    return _camel(package.rpartition(".")[2]) + "Hooks"


def user_file(out_module: str, parts: tuple[str, ...]) -> str:
    """Return the file of the user's own that subclasses it: `shop/orders_hooks.py`."""
    folder = out_module.rpartition(".")[0].replace(".", "/")
    return f"{folder}{'/' if folder else ''}{'_'.join(parts)}_hooks.py"


def verdict_name(gate: str) -> str:
    """Return the alias for what a Python gate may answer: `CreditOkVerdict`."""
    return _camel(gate) + "Verdict"


def gate_method(gate: str) -> str:
    """Return the method of a Python gate: `gate_credit_ok`."""
    return f"gate_{gate}"


def step_method(machine: str, move: str) -> str:
    """Return the method of a step: `evolve_order_ship`."""
    return f"evolve_{names.snake(machine)}_{move}"


def needs_hooks(machine: MachineDef) -> bool:
    """Whether a machine cannot run without what the user writes."""
    by_hand = any(move.is_evolved_by_hand for move in machine.moves)
    return by_hand or any(gate.condition is None for gate in machine.gates)


def hooks(package: PackageDef) -> tuple[Hook, ...]:
    """Return all that a package leaves to the user: Python gates first, then steps."""
    return (*_gates(package), *_steps(package))


def _gates(package: PackageDef) -> Iterator[Hook]:
    """Yield one hook for each Python gate, however many machines and policies ask it."""
    done: set[str] = set()
    for machine in package.machines:
        for gate in machine.gates:
            if gate.condition is None and gate.name not in done:
                done.add(gate.name)
                yield _gate(gate, states_module(machine))
    for policy in package.policies:
        for gate in policy.gates:
            if gate.condition is None and gate.name not in done:
                done.add(gate.name)
                yield _gate(gate, "")


def _gate(gate: GateDef, states: str) -> Hook:
    parameters: list[tuple[str, tuple[Name, ...]]] = []
    if gate.context:
        parameters.append(("ctx", (Name("contexts", gate.context),)))
    if gate.machine:
        parameters.append(("state", tuple(Name(states, state) for state in gate.states)))
    parameters.append(("event", (Name("events", gate.event),)))
    sentence = "Return PERMIT or one of the codes. Anything else denies with GATE_DEFECT."
    words = f"{gate.doc}\n\n{sentence}" if gate.doc else sentence
    codes = tuple(code for code, _ in gate.denials)
    result = Name("hooks", verdict_name(gate.name))
    return Hook(gate_method(gate.name), tuple(parameters), result, words, codes)


def _steps(package: PackageDef) -> Iterator[Hook]:
    for machine in package.machines:
        module = states_module(machine)
        for move in machine.moves:
            if move.is_evolved_by_hand:
                parameters = (
                    ("state", tuple(Name(module, source) for source in move.sources)),
                    ("event", (Name("events", move.event),)),
                )
                method = step_method(machine.name, move.name)
                yield Hook(method, parameters, Name(module, move.target), _sentence(move))


def _sentence(move: MoveDef) -> str:
    words = f"{', '.join(move.sources)} + {move.event} -> {move.target}. Runs on every load."
    if move.underived:
        rest = f"Not derivable: {', '.join(f'``{name}``' for name in move.underived)}."
        words += f" {rest}" if len(words) + len(rest) < SENTENCE_CHARS_MAX else f"\n\n{rest}"
    return f"{words}\n\n{move.doc}" if move.doc else words


def states_module(machine: MachineDef) -> str:
    """Return the module of the state data of a machine: `order_states`."""
    return f"{names.snake(machine.name)}_states"


def _camel(snake: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in snake.split("_"))
