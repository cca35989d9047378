"""Machines and projections as pictures: Mermaid, DOT, plain text, JSON.

Gates stand on the edges of a machine; to a projection lead the events that it folds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias, get_args

from batpak_codegen import escape
from batpak_codegen.diagnostic import Diagnostic, SchemaError, did_you_mean, quoted
from batpak_codegen.ir import MachineDef, MoveDef, Project, ProjectionDef, StateDef

Picture: TypeAlias = Literal["mermaid", "dot", "text", "json"]
Drawn: TypeAlias = MachineDef | ProjectionDef
PICTURES: Final[tuple[Picture, ...]] = get_args(Picture)


def graph(project: Project, picture: Picture, name: str | None = None) -> str:
    """Draw the machines and projections of a project, in the order of their packages.

    Args:
        project: What the schemas mean.
        picture: In which language.
        name: Only this one: `Order`, or `shop.orders.Order`.

    Raises:
        SchemaError: E0003, there is no such machine or projection, or several.
    """
    found = _chosen(project, name)
    if picture == "json":
        return json.dumps([_plain(*one) for one in found], indent=2, ensure_ascii=False) + "\n"
    draw = {"mermaid": mermaid, "dot": _dot, "text": text}[picture]
    return "\n".join(draw(package, drawn) for package, drawn in found)


def _chosen(project: Project, name: str | None) -> list[tuple[str, Drawn]]:
    known: list[tuple[str, Drawn]] = []
    for package in project.packages:
        known += [(package.name, machine) for machine in package.machines]
        known += [(package.name, projection) for projection in package.projections]
    if name is None:
        return known
    found = [
        (package, one) for package, one in known if name in (one.name, f"{package}.{one.name}")
    ]
    if len(found) == 1:
        return found
    full = [f"{package}.{one.name}" for package, one in (found or known)]
    message = f"there is no machine or projection called {quoted(name)}"
    if found:
        message = f"several machines or projections are called {quoted(name)}"
    hint = None if found else did_you_mean(name, full)
    hint = hint or f"there are: {', '.join(full) or 'none'}"
    raise SchemaError([Diagnostic("E0003", message, None, hint)])


def mermaid(package: str, drawn: Drawn) -> str:
    """Return a state diagram of Mermaid; of a projection, a flow chart."""
    if isinstance(drawn, MachineDef):
        return _states(package, drawn)
    lines = ["---", f"title: {package}.{drawn.name}", "---", "flowchart LR"]
    lines.append(f'    state["{drawn.name}"]')
    for number, event in enumerate(folded(package, drawn)):
        lines.append(f'    e{number}(["{event}"]) --> state')
    return "\n".join(lines) + "\n"


def _dot(package: str, drawn: Drawn) -> str:
    if isinstance(drawn, MachineDef):
        return _states_dot(package, drawn)
    here = escape.dot(f"{package}.{drawn.name}")
    traits = ["shape=cylinder", *([f"tooltip={escape.dot(drawn.doc)}"] if drawn.doc else [])]
    lines = [f"digraph {here} {{", "    rankdir=LR;", f"    {here} [{', '.join(traits)}];"]
    lines += [f"    {escape.dot(event)} -> {here};" for event in folded(package, drawn)]
    return "\n".join([*lines, "}"]) + "\n"


def text(package: str, drawn: Drawn) -> str:
    """Return what a machine or a projection consists of, line by line."""
    if isinstance(drawn, MachineDef):
        return _states_text(package, drawn)
    lines = [f"{package}.{drawn.name}  version {drawn.version}"]
    lines += [f"  {event}" for event in folded(package, drawn)]
    lines.append(f"    -> {', '.join(field.name for field in drawn.fields)}")
    return "\n".join(lines) + "\n"


def folded(package: str, projection: ProjectionDef) -> Iterator[str]:
    """Yield the events of a projection; those of other packages by their full names."""
    return (name if home == package else f"{home}.{name}" for home, name in projection.events)


def _states(package: str, machine: MachineDef) -> str:
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


def _states_dot(package: str, machine: MachineDef) -> str:
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


def _states_text(package: str, machine: MachineDef) -> str:
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


def _plain(package: str, drawn: Drawn) -> dict[str, object]:
    if isinstance(drawn, ProjectionDef):
        return {
            "package": package,
            "projection": drawn.name,
            "version": drawn.version,
            "events": list(folded(package, drawn)),
            "state": [field.name for field in drawn.fields],
        }
    return _states_plain(package, drawn)


def _states_plain(package: str, machine: MachineDef) -> dict[str, object]:
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
