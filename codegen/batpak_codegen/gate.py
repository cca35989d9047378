"""Gates: what each may look at, that it fits what lists it, and its compiled condition.

Moves of machines and policies list gates. Rules and codes: docs/reference/schema-language.md,
"Gates".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from batpak_codegen.declarations import GateDecl, SchemaFile
from batpak_codegen.diagnostic import Findings, Place, did_you_mean, quoted
from batpak_codegen.example import link_examples
from batpak_codegen.expr.emit import Condition, Message, compile_condition, compile_message
from batpak_codegen.fields import doc_of
from batpak_codegen.ir import ContextDef, EventDef, ExampleDef, GateDef, MachineDef, PolicyDef
from batpak_codegen.nodes import TextNode
from batpak_codegen.step import seen
from batpak_codegen.types import EnumType, StructType

_TWO_KINDS: Final = "a declared gate has `require` and `deny`, a Python gate has `python` alone"


class World(Struct, frozen=True):
    """What the gates of a file may look at; None for what is broken and was reported.

    `enums` go by the names that conditions may spell them with.
    """

    machines: Mapping[str, MachineDef | None]
    events: Mapping[str, EventDef | None]
    contexts: Mapping[str, ContextDef | None]
    enums: Mapping[str, EnumType]


class Gates(Struct, frozen=True):
    """Machine → the gates it uses, in the order they are declared; and the policies.

    `contexts` says for each machine and move what its gates look at besides state and event.
    """

    machines: Mapping[str, tuple[GateDef, ...]]
    contexts: Mapping[tuple[str, str], str]
    policies: tuple[PolicyDef, ...]


class _Compiled(Struct, frozen=True):
    condition: Condition | None
    denials: tuple[tuple[str, Message], ...]
    examples: tuple[ExampleDef, ...]


def link_gates(file: SchemaFile, world: World, findings: Findings) -> Gates:
    """Return the gates of a file, where they are used; everything that is wrong is reported."""
    declared = {name.value: decl for name, decl in file.gates}
    contexts = _moves_fit(file, declared, findings)
    policies = _policies_fit(file, declared, world.events, findings)
    asked = _asked(world.machines)
    machines: dict[str, list[GateDef]] = {}
    alone: dict[str, GateDef] = {}
    for name, decl in file.gates:
        compiled = _compiled(name, decl, world, findings)
        if compiled is None:
            continue
        for machine, states in asked.get(name.value, {}).items():
            machines.setdefault(machine, []).append(_gate(name.value, decl, states, compiled))
        alone[name.value] = _gate(name.value, decl, (), compiled)
    return Gates(
        {machine: tuple(gates) for machine, gates in machines.items()},
        contexts,
        tuple(
            PolicyDef(
                name.value,
                decl.event.value,
                policies[name.value],
                tuple(alone[node.value] for node in decl.gates if node.value in alone),
                doc_of(decl.doc),
            )
            for name, decl in file.policies
        ),
    )


def _gate(name: str, decl: GateDecl, states: tuple[str, ...], compiled: _Compiled) -> GateDef:
    return GateDef(
        name,
        decl.event.value,
        decl.machine.value if decl.machine else None,
        decl.context.value if decl.context else None,
        states,
        compiled.condition,
        compiled.denials,
        doc_of(decl.doc),
        compiled.examples,
    )


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


def _moves_fit(
    file: SchemaFile, declared: Mapping[str, GateDecl], findings: Findings
) -> dict[tuple[str, str], str]:
    """Report every gate that does not fit the move that lists it; return what moves pass on."""
    found: dict[tuple[str, str], str] = {}
    for machine, machine_decl in file.machines:
        for move, decl in machine_decl.moves:
            lister = _Lister(f"move {move.value}", decl.event.value, machine.value, declared)
            context = lister.fit(decl.gates, findings)
            if context:
                found[machine.value, move.value] = context
    return found


def _policies_fit(
    file: SchemaFile,
    declared: Mapping[str, GateDecl],
    events: Mapping[str, EventDef | None],
    findings: Findings,
) -> dict[str, str | None]:
    """Report what does not fit into a policy, and return what each one's gates look at."""
    found: dict[str, str | None] = {}
    for name, decl in file.policies:
        found[name.value] = None
        if not _is_known(decl.event, "event", events, findings):
            continue
        if not decl.gates:
            message = f"policy {name.value} has no gate: it would permit everything"
            findings.add("E0106", message, name.span)
        lister = _Lister(f"policy {name.value}", decl.event.value, None, declared)
        found[name.value] = lister.fit(decl.gates, findings)
    return found


class _Lister:
    """A move or a policy, which lists gates."""

    def __init__(
        self, what: str, event: str, machine: str | None, declared: Mapping[str, GateDecl]
    ) -> None:
        self.what, self.event, self.machine = what, event, machine
        self.declared = declared

    def fit(self, nodes: Sequence[TextNode], findings: Findings) -> str | None:
        """Report every gate that does not fit; return the context that the others look at."""
        first: TextNode | None = None
        listed: set[str] = set()
        for node in nodes:
            problem = self._misfit(node, listed)
            if problem is not None:
                unknown = node.value not in self.declared
                hint = did_you_mean(node.value, self.declared) if unknown else None
                findings.add("E0514", problem, node.span, help=hint)
                continue
            listed.add(node.value)
            context = self.declared[node.value].context
            first = first or context
            if context and first and context.value != first.value:
                message = (
                    f"gate {node.value} looks at context {context.value},"
                    f" an earlier one of {self.what} at {first.value}"
                )
                also = [Place(first.span, first.value)]
                hint = "one set of gates gets one context: put into it what all of them need"
                findings.add("E0513", message, node.span, help=hint, also=also)
        return first.value if first else None

    def _misfit(self, node: TextNode, listed: set[str]) -> str | None:
        decl = self.declared.get(node.value)
        if decl is None:
            return f"there is no gate {quoted(node.value)}"
        if decl.event.value != self.event:
            is_ = "is" if self.machine else "is for"
            judged = quoted(decl.event.value)
            return f"gate {node.value} judges {judged}, {self.what} {is_} {quoted(self.event)}"
        if decl.machine and not self.machine:
            return (
                f"gate {node.value} looks at the state of machine {quoted(decl.machine.value)},"
                f" {self.what} has none"
            )
        if decl.machine and decl.machine.value != self.machine:
            return f"gate {node.value} is for machine {quoted(decl.machine.value)}"
        return f"gate {node.value} is listed twice" if node.value in listed else None


def _is_known(node: TextNode, kind: str, known: Collection[str], findings: Findings) -> bool:
    if node.value in known:
        return True
    message = f"there is no {kind} {quoted(node.value)} in this package"
    findings.add("E0514", message, node.span, help=did_you_mean(node.value, known))
    return False


def _compiled(name: TextNode, decl: GateDecl, world: World, findings: Findings) -> _Compiled | None:
    """Return what a gate says, or None if something is wrong with it."""
    before = len(findings.diagnostics)
    _is_of_one_kind(name, decl, findings)
    _is_known(decl.event, "event", world.events, findings)
    if decl.machine:
        _is_known(decl.machine, "machine", world.machines, findings)
    if decl.context:
        _is_known(decl.context, "context", world.contexts, findings)
    if len(findings.diagnostics) > before:
        return None
    scope = _scope(name.value, decl, world)
    if scope is None:
        return None
    condition = None
    if decl.require is not None:
        condition = compile_condition(decl.require, scope, world.enums, findings)
    templates = [(decl.deny.code, decl.deny.message)] if decl.deny else list(decl.python or ())
    denials: list[tuple[str, Message]] = []
    for code, template in templates:
        message = compile_message(template, scope, findings)
        denials += [(code.value, message)] if message else []
    if len(findings.diagnostics) > before:
        return None
    examples = link_examples(name.value, decl, condition, scope, world.enums, findings)
    fine = len(findings.diagnostics) == before
    return _Compiled(condition, tuple(denials), examples) if fine else None


def _is_of_one_kind(name: TextNode, decl: GateDecl, findings: Findings) -> None:
    """Report a gate that is not exactly one of declared and Python."""
    problem = None
    if decl.python is None and decl.require is None:
        problem = f"gate {name.value} has neither `require` nor `python`"
    elif decl.python is not None and (decl.require or decl.deny):
        problem = f"gate {name.value} has `{'require' if decl.require else 'deny'}` and `python`"
    elif decl.require and not decl.deny:
        problem = f"gate {name.value} has `require` without `deny`"
    elif decl.python is not None and not decl.python:
        problem = f"gate {name.value} has no code to deny with"
    if problem:
        findings.add("E0516", problem, name.span, help=_TWO_KINDS)


def _scope(gate: str, decl: GateDecl, world: World) -> dict[str, StructType] | None:
    """Return what the gate may read, or None if that is broken and was reported."""
    event = world.events[decl.event.value]
    if event is None:
        return None
    scope = {"event": StructType("", event.name, event.fields)}
    if decl.machine is not None:
        machine = world.machines[decl.machine.value]
        if machine is None:
            return None
        moves = [move for move in machine.moves if gate in move.gates]
        moves = moves or [move for move in machine.moves if move.event == event.name]  # unused yet
        sources = {source for move in moves for source in move.sources}
        states = [state for state in machine.states if not moves or state.name in sources]
        scope["state"] = seen(states)
    if decl.context is not None:
        context = world.contexts[decl.context.value]
        if context is None:
            return None
        scope["ctx"] = StructType("", context.name, context.fields)
    return scope
