"""Steps: what the `set:` of a move computes, once the machine is known.

Where else a field of the target comes from is decided with the machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from batpak_codegen.declarations import MachineDecl, MoveDecl
from batpak_codegen.diagnostic import Findings, did_you_mean
from batpak_codegen.expr.emit import Condition, compile_value
from batpak_codegen.fields import same
from batpak_codegen.ir import EventDef, MachineDef, MoveDef, StateDef
from batpak_codegen.nodes import TextNode
from batpak_codegen.types import EnumType, FieldType, StructType, Type


def link_steps(
    decl: MachineDecl,
    machine: MachineDef,
    events: Mapping[str, EventDef | None],
    enums: Mapping[str, EnumType],
    findings: Findings,
) -> MachineDef:
    """Return a machine with what its moves compute.

    Args:
        decl: What the schema says of it.
        machine: The machine, without.
        events: The package's events.
        enums: Name → enum, as expressions may spell them.
        findings: Gets everything that is wrong, E0412 and the codes of expressions.
    """
    states = {state.name: state for state in machine.states}
    moves = {move.name: move for move in machine.moves}
    for name, move_decl in decl.moves:
        move = moves[name.value]
        event = events[move.event]
        if event is None or not _may_set(move_decl, findings):
            continue
        _names_fit(move_decl, machine, states[move.target], findings)
        scope: dict[str, Type] = {
            "event": StructType("", event.name, event.fields),
            "state": seen([states[source] for source in move.sources]),
        }
        sets = _sets(move_decl, move, states[move.target], scope, enums, findings)
        moves[name.value] = msgspec.structs.replace(move, sets=sets)
    return msgspec.structs.replace(machine, moves=tuple(moves.values()))


def seen(states: Sequence[StateDef]) -> StructType:
    """Return what an expression sees of one of several states: the fields that all of them have."""
    first, *others = states
    tables = [{field.name: field.type for field in state.fields} for state in others]
    fields = tuple(
        field
        for field in first.fields
        if all(field.name in table and same(field.type, table[field.name]) for table in tables)
    )
    return StructType("", " or ".join(state.name for state in states), fields)


def _may_set(decl: MoveDecl, findings: Findings) -> bool:
    """Whether a move may compute anything: not if its step is left to the user."""
    if decl.set_ and decl.evolve:
        node, _ = decl.set_[0]
        hint = "the step that you write makes the whole state"
        findings.add("E0412", "`set` beside `evolve: python`", node.span, help=hint)
    return not decl.evolve


def _names_fit(decl: MoveDecl, machine: MachineDef, target: StateDef, findings: Findings) -> None:
    """Report what `set:` names and is no field of the target that may be set."""
    known = [field.name for field in target.fields if field.name != machine.key.name]
    for node, _ in decl.set_:
        if node.value == machine.key.name:
            message = f"`{node.value}` is the key: it stays what it is"
            findings.add("E0412", message, node.span)
        elif node.value not in known:
            message = f"state {target.name} has no field `{node.value}`"
            findings.add("E0412", message, node.span, help=did_you_mean(node.value, known))


def _sets(
    decl: MoveDecl,
    move: MoveDef,
    target: StateDef,
    scope: Mapping[str, Type],
    enums: Mapping[str, EnumType],
    findings: Findings,
) -> tuple[tuple[str, Condition], ...]:
    given: dict[str, TextNode] = {node.value: text for node, text in decl.set_}
    types: dict[str, FieldType] = {field.name: field for field in target.fields}
    found: list[tuple[str, Condition]] = []
    for name, origin in move.origins:
        if origin == "set":
            wanted = types[name].type
            value = compile_value(given[name], wanted, scope, enums, findings)
            found += [(name, value)] if value else []
    return tuple(found)
