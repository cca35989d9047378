"""What the templates of gates, policies, contexts and hooks are filled with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from batpak_codegen import hook
from batpak_codegen.ir import ContextDef, GateDef, MachineDef, PolicyDef
from batpak_codegen.layout import COLUMNS_MAX, Call, Chain, Doc, Paren, any_of, flat, statement
from batpak_codegen.namespace import Namespace
from batpak_codegen.payload_view import STRUCT, Item, field_rows, struct_head, untracked, words
from batpak_codegen.text import Code, code, doc, ident, python_literal
from batpak_codegen.text import Doc as Words

RULE_INDENT: Final = 16


class DenialItem(Struct, frozen=True):
    """What a gate says when it does not permit."""

    code: Code
    message: Code


class GateItem(Struct, frozen=True):
    """The function of a gate. Without a condition it asks the hook that `answer` calls."""

    head: Code
    doc: Words | None
    condition: Code | None
    answer: Code | None
    name: Code
    denials: tuple[DenialItem, ...]


class RuleItem(Struct, frozen=True):
    """A gate in a gate set."""

    name: Code
    judge: Code
    source: Code
    codes: Code
    exact: bool
    asks: Code | None


class PolicyItem(Struct, frozen=True):
    """A gate set; `hooks` is how it gets what the user wrote, if its gates ask for that."""

    head: Code
    doc: Words | None
    label: Code
    hooks: Code | None
    rules: tuple[RuleItem, ...]


class VerdictItem(Struct, frozen=True):
    """The alias for what a Python gate may answer."""

    text: Code


class MethodItem(Struct, frozen=True):
    """An abstract method."""

    head: Code
    doc: Words


class HooksItem(Struct, frozen=True):
    """The abstract class of what is left to the user."""

    head: Code
    verdicts: tuple[VerdictItem, ...]
    methods: tuple[MethodItem, ...]


def context_items(space: Namespace, contexts: Sequence[ContextDef]) -> tuple[Item, ...]:
    """Return the classes of contexts."""
    space.typing("final")
    base = space.use("msgspec", "Struct")
    gap, margin = code("\n\n"), code("    ")
    found: list[Item] = []
    for context in contexts:
        head = struct_head(context.name, base, *STRUCT, *untracked(context.fields))
        rows = field_rows(space, context.fields)
        found.append(Item(gap, code(f"@final\n{head}"), margin, None, rows))
    return tuple(found)


def gate_items(
    space: Namespace, gates: Iterable[GateDef], machine: MachineDef | None = None
) -> tuple[GateItem, ...]:
    """Return the functions of gates; `machine` is whose states they look at."""
    return tuple(_gate_item(space, gate, machine) for gate in gates)


def _gate_item(space: Namespace, gate: GateDef, machine: MachineDef | None) -> GateItem:
    for name in ("PERMIT", "Denial", "Verdict"):
        space.public(name)
    if any(message.uses_text for _, message in gate.denials):
        space.use("batpak", "abi")
    depth = 8 if gate.condition else 16
    denials = tuple(
        DenialItem(code(python_literal(word)), code(message.layout(depth)))
        for word, message in gate.denials
    )
    if gate.condition is None:
        return _python_gate(space, gate, machine, denials)
    condition = gate.condition
    if condition.abi:
        space.use("batpak", "abi")
    if condition.needs_decimal:
        space.use("decimal", "Decimal")
    for package, name in sorted(condition.enums):
        space.type(package, name)
    roots = condition.roots.union(*(message.roots for _, message in gate.denials))
    ctx = space.near("contexts", gate.context) if gate.context and "ctx" in roots else "object"
    states: Doc = "state: object"
    if machine and "state" in roots:
        states = _states(space, gate, machine)
    event = space.near("events", gate.event) if "event" in roots else "object"
    parameters = (f"ctx: {ctx}", states, f"event: {event}")
    head = Call(f"def judge_{gate.name}(", parameters, ") -> Verdict:")
    return GateItem(
        code(statement("", head)),
        words(gate.doc, 4),
        code(condition.layout(4)),
        None,
        code(python_literal(gate.name)),
        denials,
    )


def _python_gate(
    space: Namespace,
    gate: GateDef,
    machine: MachineDef | None,
    denials: tuple[DenialItem, ...],
) -> GateItem:
    space.typing("assert_never")
    space.public("Permit")
    parameters: list[Doc] = [f"hooks: {_hooks(space)}"]
    if gate.context:
        parameters.append(f"ctx: {space.near('contexts', gate.context)}")
    if machine and gate.machine:
        parameters.append(_states(space, gate, machine))
    parameters.append(f"event: {space.near('events', gate.event)}")
    head = Call(f"def judge_{gate.name}(", tuple(parameters), ") -> Verdict:")
    answer = Call(f"hooks.{hook.gate_method(gate.name)}(", _looks_at(gate))
    return GateItem(
        code(statement("", head)),
        None,  # its hook says it
        None,
        code(statement("verdict = ", answer, indent=4)),
        code(python_literal(gate.name)),
        denials,
    )


def _looks_at(gate: GateDef) -> tuple[str, ...]:
    """Return the arguments of a Python gate."""
    return (*(["ctx"] if gate.context else []), *(["state"] if gate.machine else []), "event")


def _hooks(space: Namespace) -> str:
    return space.near("hooks", hook.class_name(space.package.name))


def _states(space: Namespace, gate: GateDef, machine: MachineDef) -> Doc:
    module = hook.states_module(machine)
    first, *others = [space.near(module, state) for state in gate.states]
    return any_of([f"state: {first}", *others])


def move_policy_items(space: Namespace, machine: MachineDef) -> tuple[PolicyItem, ...]:
    """Return the gate sets of the moves that have gates."""
    gates = {gate.name: gate for gate in machine.gates}
    found: list[PolicyItem] = []
    for move in machine.moves:
        if move.gates:
            module = hook.states_module(machine)
            states = any_of([space.near(module, source) for source in move.sources])
            label = f"{space.package.name}.{machine.name}.{move.name}"
            arrow = f"{', '.join(move.sources)} -> {move.target}."
            head = _policy_head(space, machine.policy(move.name), move.context, states, move.event)
            asked = [gates[gate] for gate in move.gates]
            found.append(_policy_item(space, head, arrow, label, asked))
    return tuple(found)


def policy_items(space: Namespace, policies: Iterable[PolicyDef]) -> tuple[PolicyItem, ...]:
    """Return the gate sets for events that are no moves."""
    found: list[PolicyItem] = []
    for policy in policies:
        head = _policy_head(space, policy.name, policy.context, "None", policy.event)
        label = f"{space.package.name}.{policy.name}"
        found.append(_policy_item(space, head, policy.doc, label, policy.gates))
    return tuple(found)


def _policy_head(space: Namespace, name: str, context: str | None, states: Doc, event: str) -> Code:
    ctx = space.near("contexts", context) if context else "None"
    base = Call(f"{space.public('GateSet')}[", (ctx, states, space.near("events", event)), "]")
    return code(statement("", Call(f"class {ident(name)}(", (base,), "):")))


def _policy_item(
    space: Namespace, head: Code, says: str | None, label: str, gates: Sequence[GateDef]
) -> PolicyItem:
    space.typing("ClassVar", "final")
    space.use("batpak", "abi")
    by_hand = any(gate.condition is None for gate in gates)
    return PolicyItem(
        head,
        words(says, 4),
        code(python_literal(label)),
        code(f"hooks: {_hooks(space)}") if by_hand else None,
        tuple(map(_rule, gates)),
    )


def _rule(gate: GateDef) -> RuleItem:
    words_ = tuple(python_literal(word) for word, _ in gate.denials)
    codes = Call("(", words_, ",)" if len(words_) == 1 else ")", display=True)
    return RuleItem(
        code(python_literal(gate.name)),
        code(_judge(gate)),
        code(gate.condition.source_layout(RULE_INDENT) if gate.condition else '"python"'),
        code(statement("codes=", codes, ",", indent=RULE_INDENT).removesuffix(",")),
        bool(gate.condition and gate.condition.exact),
        None if gate.condition else code(f"hooks.{hook.gate_method(gate.name)}"),
    )


def _judge(gate: GateDef) -> str:
    """Return the function of a gate, or what asks the hook, as an argument of its rule."""
    if gate.condition:
        return f"judge_{gate.name}"
    before = "lambda ctx, state, event: "
    answer: Doc = Call(f"judge_{gate.name}(", ("hooks", *_looks_at(gate)))
    if RULE_INDENT + len(before + flat(answer)) + 1 > COLUMNS_MAX:
        answer = Paren(answer)
    return statement(before, answer, ",", indent=RULE_INDENT).removesuffix(",")


def hooks_item(space: Namespace, found: Sequence[hook.Hook]) -> HooksItem:
    """Return the abstract class of what a package leaves to the user."""
    space.use("abc", "ABC")
    space.use("abc", "abstractmethod")
    space.public("override")
    verdicts: list[VerdictItem] = []
    methods: list[MethodItem] = []
    for item in found:
        if item.codes:
            space.typing("Literal", "TypeAlias")
            permit, _ = space.public("Permit"), space.public("PERMIT")
            literal = Call("Literal[", tuple(map(python_literal, item.codes)), "]")
            either = Chain("|", (permit, literal))
            verdicts.append(
                VerdictItem(code(statement(f"{ident(item.result.name)}: TypeAlias = ", either)))
            )
        methods.append(_method_item(space, item))
    name = hook.class_name(space.package.name)
    return HooksItem(code(f"class {ident(name)}(ABC):"), tuple(verdicts), tuple(methods))


def _method_item(space: Namespace, item: hook.Hook) -> MethodItem:
    parameters: list[Doc] = ["self"]
    for name, types in item.parameters:
        first, *others = [space.near(of.module, of.name) for of in types]
        parameters.append(any_of([f"{name}: {first}", *others]))
    result = space.near(item.result.module, item.result.name)
    head = Call(f"def {ident(item.method)}(", (*parameters, "/"), f") -> {result}:")
    return MethodItem(code(statement("", head, indent=4)), doc(item.doc, 8))
