"""What the templates of states, gates and the machine itself are filled with."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from batpak_codegen import names
from batpak_codegen.checks import article
from batpak_codegen.ir import EventDef, GateDef, MachineDef, MoveDef, StateDef
from batpak_codegen.layout import COLUMNS_MAX, Call, Chain, Doc, flat, statement
from batpak_codegen.namespace import Namespace
from batpak_codegen.payload_view import (
    STRUCT,
    Row,
    field_rows,
    kinds,
    struct_head,
    untracked,
    words,
)
from batpak_codegen.text import Code, code, doc, ident, python_literal
from batpak_codegen.text import Doc as Words
from batpak_codegen.types import FieldType, IdType, Scalar, bare


class StateItem(Struct, frozen=True):
    """The data class of a state."""

    head: Code
    doc: Words | None
    rows: tuple[Row, ...]


class GateItem(Struct, frozen=True):
    """The function of a gate."""

    head: Code
    doc: Words | None
    condition: Code
    name: Code
    code: Code
    message: Code


class RuleItem(Struct, frozen=True):
    """A gate in a gate set."""

    name: Code
    judge: Code
    source: Code
    code: Code
    exact: bool


class PolicyItem(Struct, frozen=True):
    """The gate set of a move."""

    head: Code
    doc: Words
    label: Code
    rules: tuple[RuleItem, ...]


class StepItem(Struct, frozen=True):
    """A move as a method of a handle."""

    head: Code
    doc: Words
    call: Code
    target: Code
    event: Code
    arguments: tuple[Code, ...]
    policy: Code | None


class HandleItem(Struct, frozen=True):
    """The class of an entity in one state."""

    name: Code
    head: Code
    doc: Words
    label: Code
    data: Code
    steps: tuple[StepItem, ...]


class MoveItem(Struct, frozen=True):
    """A move beside its handles: its type and its evolve function."""

    label: Code
    where: Code
    alias: Code
    head: Code
    target: Code
    arguments: tuple[Code, ...]


class Edge(Struct, frozen=True):
    """One legal step: where from, where to, and the function that takes it."""

    key: Code
    value: Code
    step: Code


class Policy(Struct, frozen=True):
    """A gate set that the machine owns."""

    attribute: Code
    name: Code


class Method(Struct, frozen=True):
    """A method of a machine."""

    head: Code
    doc: Words
    body: Code


class MachineItem(Struct, frozen=True):
    """The machine class."""

    head: Code
    doc: Words | None
    label: Code
    scope: Code
    entity: Code
    kinds: Code
    edges: tuple[Edge, ...]
    policies: tuple[Policy, ...]
    policy_tuple: Code
    new: Method
    load: Method
    replay: Method


def _any_of(items: Sequence[str]) -> Doc:
    return Chain("|", tuple(items)) if len(items) > 1 else items[0]


def state_items(space: Namespace, machine: MachineDef) -> tuple[StateItem, ...]:
    """Return the data classes of a machine's states."""
    space.typing("TypeAlias", "final")
    base = space.inner("StateData")
    return tuple(
        StateItem(
            struct_head(state.name, base, *STRUCT, *untracked(state.fields), f'tag="{state.name}"'),
            words(state.doc, 4),
            field_rows(space, state.fields),
        )
        for state in machine.states
    )


def union(name: str, members: Sequence[str]) -> Code:
    """Return an alias for one of several classes."""
    return code(statement(f"{ident(name)}: TypeAlias = ", _any_of(members)))


def gate_items(space: Namespace, machine: MachineDef) -> tuple[GateItem, ...]:
    """Return the functions of the gates that a machine uses."""
    return tuple(_gate_item(space, machine, gate) for gate in machine.gates)


def _gate_item(space: Namespace, machine: MachineDef, gate: GateDef) -> GateItem:
    for name in ("PERMIT", "Denial", "Verdict"):
        space.public(name)
    roots = gate.condition.roots | gate.message.roots
    if gate.condition.abi or gate.message.uses_text:
        space.use("batpak", "abi")
    if gate.condition.needs_decimal:
        space.use("decimal", "Decimal")
    for package, name in sorted(gate.condition.enums):
        space.type(package, name)
    states: Doc = "state: object"
    if "state" in roots:
        known = [_state(space, machine, state) for state in gate.states]
        states = _any_of([f"state: {known[0]}", *known[1:]])
    event = space.near("events", gate.event) if "event" in roots else "object"
    parameters = ("ctx: object", states, f"event: {event}")
    head = Call(f"def judge_{gate.name}(", parameters, ") -> Verdict:")
    return GateItem(
        code(statement("", head)),
        words(gate.doc, 4),
        code(gate.condition.layout(4)),
        code(python_literal(gate.name)),
        code(python_literal(gate.code)),
        code(gate.message.layout(8)),
    )


def _state(space: Namespace, machine: MachineDef, state: str) -> str:
    return space.near(f"{names.snake(machine.name)}_states", state)


def policy_items(space: Namespace, machine: MachineDef) -> tuple[PolicyItem, ...]:
    """Return the gate sets of the moves that have gates."""
    gates = {gate.name: gate for gate in machine.gates}
    found: list[PolicyItem] = []
    for move in machine.moves:
        if not move.gates:
            continue
        space.typing("ClassVar", "final")
        space.use("batpak", "abi")
        sources = [_state(space, machine, state) for state in move.sources]
        event = space.near("events", move.event)
        base = Call(f"{space.public('GateSet')}[", ("None", _any_of(sources), event), "]")
        name = machine.policy(move.name)
        label = f"{space.package.name}.{machine.name}.{move.name}"
        found.append(
            PolicyItem(
                code(statement("", Call(f"class {ident(name)}(", (base,), "):"))),
                doc(_arrow(move.sources, move.target)),
                code(python_literal(label)),
                tuple(_rule(gates[gate]) for gate in move.gates),
            )
        )
    return tuple(found)


def _rule(gate: GateDef) -> RuleItem:
    return RuleItem(
        code(python_literal(gate.name)),
        code(f"judge_{gate.name}"),
        code(gate.condition.source_layout(16)),
        code(python_literal(gate.code)),
        gate.condition.exact,
    )


def _arrow(sources: Sequence[str], target: str) -> str:
    return f"{', '.join(sources)} -> {target}."


def diagram(machine: MachineDef) -> str:
    """Return the moves as text; one that goes on where the last one ended continues its line."""
    lines: list[str] = []
    end = ""
    for move in machine.moves:
        step = f" -{move.name}-> {move.target}"
        if (*move.sources,) == (end,) and len(lines[-1] + step) <= COLUMNS_MAX:
            lines[-1] += step
        else:
            lines.append(", ".join(move.sources) + step)
        end = move.target
    return "\n".join(lines)


def handle_items(
    space: Namespace, machine: MachineDef, events: dict[str, EventDef]
) -> tuple[HandleItem, ...]:
    """Return the classes of a machine's entities, one per state."""
    space.use("collections.abc", "Mapping")
    space.typing("ClassVar", "Final", "final")
    base, _ = space.public("Handle"), space.inner("StateData")
    found: list[HandleItem] = []
    for state in machine.states:
        moves = [move for move in machine.moves if state.name in move.sources]
        name, data = machine.handle(state.name), _state(space, machine, state.name)
        found.append(
            HandleItem(
                code(name),
                code(statement("", Call(f"class {ident(name)}(", (f"{base}[{data}]",), "):"))),
                doc(_handle_doc(state, moves)),
                code(python_literal(state.name)),
                code(data),
                tuple(_step(space, machine, state, move, events[move.event]) for move in moves),
            )
        )
    return tuple(found)


def _handle_doc(state: StateDef, moves: Sequence[MoveDef]) -> str:
    first = "Nothing is stored yet. " if state.initial else ""
    if not moves:
        return first + ("Final." if state.final else "No moves.")
    return f"{first}Moves: {', '.join(move.name for move in moves)}."


def _step(
    space: Namespace, machine: MachineDef, state: StateDef, move: MoveDef, event: EventDef
) -> StepItem:
    key = machine.key.name
    fields = [field for field in event.fields if field.name != key]
    parameters = [
        f"{ident(field.name)}: {space.annotation(field.type)}{space.default(field)}"
        for field in fields
    ]
    signature = ("self", "*", *parameters) if fields else ("self",)
    result = f") -> {machine.transition(move.name)}:"
    head = Call(f"def {ident(move.name)}(", signature, result, open=bool(fields))
    sentence = _arrow((state.name,), move.target)
    policy: Code | None = None
    if move.gates:
        policy = code(space.near(f"{names.snake(machine.name)}_gates", machine.policy(move.name)))
        sentence += f" Needs a receipt from {policy}."
    sentence += f"\n\n{move.doc}" if move.doc else ""
    arguments = (
        f"{field.name}=self.data.{key}" if field.name == key else f"{field.name}={field.name}"
        for field in event.fields
    )
    return StepItem(
        code(statement("", head, indent=4)),
        doc(sentence, 8),
        code("self._guarded" if move.gates else "self._move"),
        code(machine.handle(move.target)),
        code(space.near("events", event.name)),
        tuple(map(code, arguments)),
        policy,
    )


def move_items(space: Namespace, machine: MachineDef) -> tuple[MoveItem, ...]:
    """Return what the machine module says of each move."""
    space.typing("TypeAlias")
    found: list[MoveItem] = []
    for move in machine.moves:
        handles = [machine.handle(state) for state in move.sources]
        *most, last = handles
        where = f"{', '.join(most)} or {last}" if most else last
        arguments: list[Doc] = [_any_of(handles), machine.handle(move.target), move.event]
        if move.gates:
            arguments.append(machine.policy(move.name))
        kind = space.public("Guarded" if move.gates else "Transition")
        alias = Call(f"{kind}[", tuple(arguments), "]")
        states = [_state(space, machine, state) for state in move.sources]
        target = _state(space, machine, move.target)
        parameters = (_any_of([f"state: {states[0]}", *states[1:]]), f"event: {move.event}")
        evolve = Call(f"def _evolve_{move.name}(", parameters, f") -> {target}:")
        found.append(
            MoveItem(
                code(python_literal(move.name)),
                code(python_literal(where)),
                code(statement(f"{machine.transition(move.name)}: TypeAlias = ", alias)),
                code(statement("", evolve)),
                code(target),
                tuple(code(f"{name}={origin}.{name}") for name, origin in move.origins),
            )
        )
    return tuple(found)


def machine_item(space: Namespace, machine: MachineDef) -> MachineItem:
    """Return the machine class."""
    space.typing("Any", "ClassVar", "Final", "TypeAlias", "final")
    for name in ("EventPayload", "Ledger", "Machine", "Handle"):
        space.public(name)
    for name in ("Edge", "StateData"):
        space.inner(name)
    gated = [move for move in machine.moves if move.gates]
    attributes = [f"self.{move.name}_gates" for move in gated]
    closing = ",)" if len(attributes) == 1 else ")"
    owned = Call("(", tuple(attributes), closing, display=True)
    return MachineItem(
        code(f"class {ident(machine.name + 'Machine')}(Machine[{machine.name}State]):"),
        words(machine.doc, 4),
        code(python_literal(f"{space.package.name}.{machine.name}")),
        code(python_literal(machine.scope)),
        code(python_literal(machine.prefix)),
        kinds(space, machine.events),
        tuple(_edge(machine, move, state) for move in machine.moves for state in move.sources),
        tuple(
            Policy(code(f"self.{move.name}_gates"), code(machine.policy(move.name)))
            for move in gated
        ),
        code(statement("", owned, ",", indent=12).removesuffix(",") if attributes else "()"),
        *_methods(space, machine),
    )


def _edge(machine: MachineDef, move: MoveDef, state: str) -> Edge:
    policy = (machine.policy(move.name),) if move.gates else ()
    value = Call("Edge(", (machine.handle(move.target), *policy))
    return Edge(code(f"({state}, {move.event})"), code(flat(value)), code(f"_evolve_{move.name}"))


def _methods(space: Namespace, machine: MachineDef) -> tuple[Method, Method, Method]:
    name, type_ = machine.key.name, space.annotation(machine.key.type)
    initial, noun = machine.initial.name, names.snake(machine.name).replace("_", " ")
    key = _key_text(machine.key)
    start = f"{initial}({name}={name})"
    handle, state = machine.handle(initial), f"{machine.name}State"
    given = "history" if name == "events" else "events"
    events = f"{given}: {space.use('collections.abc', 'Iterable')}"
    events += f"[{space.near('events', machine.name + 'Event')}]"

    def method(verb: str, more: tuple[str, ...], result: str, text: str, call: Call) -> Method:
        head = Call(f"def {verb}(", ("self", f"{name}: {type_}", *more), f") -> {result}:")
        body = statement("return ", call, indent=8)
        return Method(code(statement("", head, indent=4)), doc(text), code(body))

    return (
        method(
            "new",
            (),
            handle,
            f"{article(noun).capitalize()} that is not stored yet."
            f" Its first move fails if the {noun} already exists.",
            Call("self._fresh(", (key, handle, start)),
        ),
        method(
            "load",
            (),
            state,
            f"The {noun} as the store has it now.",
            Call("self._load(", (key, start)),
        ),
        method(
            "replay",
            (events,),
            state,
            "The same fold over the given events, without the store.",
            Call("self._replay(", (key, start, given)),
        ),
    )


def _key_text(key: FieldType) -> str:
    """Return the expression that spells the key inside an entity."""
    of = bare(key.type)
    if isinstance(of, IdType) or (isinstance(of, Scalar) and of.name == "uuid"):
        return f"{key.name}.hex"
    is_text = isinstance(of, Scalar) and of.name == "string"
    return key.name if is_text else f"str({key.name})"
