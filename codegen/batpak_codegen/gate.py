"""Gates: what each may look at, that it fits the moves that list it, and its compiled condition.

Rules and codes: docs/reference/schema-language.md, "Gates".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batpak_codegen.declarations import GateDecl, SchemaFile
from batpak_codegen.diagnostic import Findings, did_you_mean, quoted
from batpak_codegen.expr.emit import Condition, Message, compile_condition, compile_message
from batpak_codegen.fields import doc_of, same
from batpak_codegen.ir import EventDef, GateDef, MachineDef, StateDef
from batpak_codegen.types import EnumType, FieldType, StructType, Type


def link_gates(
    file: SchemaFile,
    machines: Mapping[str, MachineDef | None],
    events: Mapping[str, EventDef | None],
    enums: Mapping[str, EnumType],
    findings: Findings,
) -> dict[str, tuple[GateDef, ...]]:
    """Return the gates that each machine of a file uses, in the order they are declared.

    Args:
        file: The declarations.
        machines: Its machines, still without gates; None for one that is broken and reported.
        events: Its events; None for one that is broken and reported.
        enums: Name → enum, as conditions may spell them.
        findings: Gets everything that is wrong.
    """
    _moves_fit(file, findings)
    used: dict[str, list[GateDef]] = {}
    asked = _asked(machines)
    for name, decl in file.gates:
        if not _names_fit(decl, machines, events, findings):
            continue
        scope = _scope(name.value, decl, machines, events)
        if scope is None:
            continue
        condition = compile_condition(decl.require, scope, enums, findings)
        message = compile_message(decl.deny.message, scope, findings)
        if condition is None or message is None:
            continue
        for machine, states in asked.get(name.value, {}).items():
            gate = _gate(name.value, decl, states, condition, message)
            used.setdefault(machine, []).append(gate)
    return {machine: tuple(gates) for machine, gates in used.items()}


def _gate(
    name: str, decl: GateDecl, states: tuple[str, ...], condition: Condition, message: Message
) -> GateDef:
    code = decl.deny.code.value
    return GateDef(name, decl.event.value, states, condition, code, message, doc_of(decl.doc))


def _asked(
    machines: Mapping[str, MachineDef | None],
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return gate → machine → the states in which some move asks it, in declared order."""
    asked: dict[str, dict[str, tuple[str, ...]]] = {}
    for machine in machines.values():
        sources: dict[str, set[str]] = {}
        for move in machine.moves if machine else ():
            for gate in move.gates:
                sources.setdefault(gate, set()).update(move.sources)
        for gate, states in sources.items():
            order = tuple(s.name for s in machine.states if s.name in states) if machine else ()
            asked.setdefault(gate, {})[machine.name if machine else ""] = order
    return asked


def _moves_fit(file: SchemaFile, findings: Findings) -> None:
    """Report every move that lists a gate which is unknown, or meant for something else."""
    declared = {name.value: decl for name, decl in file.gates}
    for machine, machine_decl in file.machines:
        for move, move_decl in machine_decl.moves:
            seen: set[str] = set()
            for node in move_decl.gates:
                decl = declared.get(node.value)
                hint = None
                if decl is None:
                    message = f"there is no gate {quoted(node.value)}"
                    hint = did_you_mean(node.value, declared)
                elif decl.event.value != move_decl.event.value:
                    message = (
                        f"gate {node.value} judges {quoted(decl.event.value)},"
                        f" move {move.value} is {quoted(move_decl.event.value)}"
                    )
                elif decl.machine and decl.machine.value != machine.value:
                    message = f"gate {node.value} is for machine {quoted(decl.machine.value)}"
                elif node.value in seen:
                    message = f"gate {node.value} is listed twice"
                else:
                    seen.add(node.value)
                    continue
                findings.add("E0514", message, node.span, help=hint)


def _names_fit(
    decl: GateDecl,
    machines: Mapping[str, MachineDef | None],
    events: Mapping[str, EventDef | None],
    findings: Findings,
) -> bool:
    """Whether the event and the machine of a gate exist; the others are reported."""
    fine = True
    named = [(decl.event, "event", list(events))]
    named += [(decl.machine, "machine", list(machines))] if decl.machine else []
    for node, kind, known in named:
        if node.value not in known:
            message = f"there is no {kind} {quoted(node.value)} in this package"
            findings.add("E0514", message, node.span, help=did_you_mean(node.value, known))
            fine = False
    return fine


def _scope(
    gate: str,
    decl: GateDecl,
    machines: Mapping[str, MachineDef | None],
    events: Mapping[str, EventDef | None],
) -> dict[str, Type] | None:
    """Return what the gate may read, or None if that is broken and was reported."""
    event = events[decl.event.value]
    if event is None:
        return None
    scope: dict[str, Type] = {"event": StructType("", event.name, event.fields)}
    if decl.machine is None:
        return scope
    machine = machines[decl.machine.value]
    if machine is None:
        return None
    moves = [move for move in machine.moves if gate in move.gates]
    moves = moves or [move for move in machine.moves if move.event == event.name]  # not used yet
    sources = {source for move in moves for source in move.sources}
    states = [state for state in machine.states if not moves or state.name in sources]
    scope["state"] = StructType("", " or ".join(s.name for s in states), _common(states))
    return scope


def _common(states: Sequence[StateDef]) -> tuple[FieldType, ...]:
    """Return the fields that all states have, with one type."""
    first, *others = states
    tables = [{field.name: field.type for field in state.fields} for state in others]
    return tuple(
        field
        for field in first.fields
        if all(field.name in table and same(field.type, table[field.name]) for table in tables)
    )
