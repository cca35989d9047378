"""Machines as pictures: Mermaid, DOT, plain text, JSON. Gates stand on the edges."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias, get_args

from batpak_codegen import escape
from batpak_codegen.diagnostic import Diagnostic, SchemaError, did_you_mean, quoted
from batpak_codegen.ir import MachineDef, MoveDef, Project, StateDef

Picture: TypeAlias = Literal["mermaid", "dot", "text", "json"]
PICTURES: Final[tuple[Picture, ...]] = get_args(Picture)


def graph(project: Project, picture: Picture, machine: str | None = None) -> str:
    """Draw the machines of a project, in the order of their packages.

    Args:
        project: What the schemas mean.
        picture: In which language.
        machine: Only this one: `Order`, or `shop.orders.Order`.

    Raises:
        SchemaError: E0003, there is no such machine, or several.
    """
    found = _chosen(project, machine)
    if picture == "json":
        return json.dumps([_plain(*one) for one in found], indent=2, ensure_ascii=False) + "\n"
    draw = {"mermaid": mermaid, "dot": _dot, "text": text}[picture]
    return "\n".join(draw(package, machine_def) for package, machine_def in found)


def _chosen(project: Project, name: str | None) -> list[tuple[str, MachineDef]]:
    known = [(package.name, one) for package in project.packages for one in package.machines]
    if name is None:
        return known
    found = [
        (package, one) for package, one in known if name in (one.name, f"{package}.{one.name}")
    ]
    if len(found) == 1:
        return found
    full = [f"{package}.{one.name}" for package, one in (found or known)]
    message = f"{'several machines are' if found else 'there is no machine'} called {quoted(name)}"
    hint = None if found else did_you_mean(name, full)
    hint = hint or f"machines: {', '.join(full) or 'none'}"
    raise SchemaError([Diagnostic("E0003", message, None, hint)])


def mermaid(package: str, machine: MachineDef) -> str:
    """Return a state diagram of Mermaid."""
    lines = ["---", f"title: {package}.{machine.name}", "---", "stateDiagram-v2"]
    lines += [f"    [*] --> {machine.initial.name}"]
    for move in machine.moves:
        for source in move.sources:
            lines.append(f"    {source} --> {move.target}: {escape.mermaid(_label(move))}")
    lines += [f"    {state.name} --> [*]" for state in machine.states if state.final]
    for state in machine.states:
        if state.doc:
            lines.append(f"    note right of {state.name}: {escape.mermaid(state.doc)}")
    return "\n".join(lines) + "\n"


def _dot(package: str, machine: MachineDef) -> str:
    lines = [f"digraph {escape.dot(f'{package}.{machine.name}')} {{", "    rankdir=LR;"]
    lines.append("    node [shape=box, style=rounded];")
    for state in machine.states:
        traits = ["peripheries=2"] if state.final else []
        traits += ["style=bold"] if state.initial else []
        traits += [f"tooltip={escape.dot(state.doc)}"] if state.doc else []
        lines.append(f"    {escape.dot(state.name)} [{', '.join(traits)}];")
    for move in machine.moves:
        traits = [f"label={escape.dot(_label(move))}"]
        traits += [f"tooltip={escape.dot(move.doc)}"] if move.doc else []
        for source in move.sources:
            ends = f"{escape.dot(source)} -> {escape.dot(move.target)}"
            lines.append(f"    {ends} [{', '.join(traits)}];")
    return "\n".join([*lines, "}"]) + "\n"


def text(package: str, machine: MachineDef) -> str:
    """Return every state, and below it the moves that leave it, in columns."""
    entity = f"{machine.prefix}:{{{machine.key.name}}}"
    lines = [f"{package}.{machine.name}  {entity}"]
    columns = ("name", "target", "event")
    width = [max((len(getattr(one, c)) for one in machine.moves), default=0) for c in columns]
    for state in machine.states:
        lines.append(f"  {state.name}{_traits(state)}")
        for move in _leaving(machine, state):
            cells = (f"{move.name:<{width[0]}}", f"-> {move.target:<{width[1]}}")
            gates = f"  if {', '.join(move.gates)}" if move.gates else ""
            line = "    " + "  ".join((*cells, f"{move.event:<{width[2]}}")) + gates
            lines.append(line.rstrip())
    return "\n".join(lines) + "\n"


def _traits(state: StateDef) -> str:
    return "  (initial)" if state.initial else "  (final)" if state.final else ""


def _leaving(machine: MachineDef, state: StateDef) -> Iterator[MoveDef]:
    return (move for move in machine.moves if state.name in move.sources)


def _label(move: MoveDef) -> str:
    return f"{move.name} [{', '.join(move.gates)}]" if move.gates else move.name


def _plain(package: str, machine: MachineDef) -> dict[str, str | Sequence[dict[str, object]]]:
    return {
        "package": package,
        "machine": machine.name,
        "entity": f"{machine.prefix}:{{{machine.key.name}}}",
        "scope": machine.scope,
        "states": [
            {"name": state.name, "initial": state.initial, "final": state.final}
            for state in machine.states
        ],
        "moves": [
            {
                "name": move.name,
                "from": list(move.sources),
                "to": move.target,
                "event": move.event,
                "gates": list(move.gates),
            }
            for move in machine.moves
        ],
    }
