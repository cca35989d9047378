"""What the templates of states and the machine itself are filled with."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from batpak_codegen import hook, names
from batpak_codegen.checks import article
from batpak_codegen.ir import EventDef, MachineDef, MoveDef, StateDef
from batpak_codegen.layout import COLUMNS_MAX, Call, Doc, any_of, flat, statement
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


class StateItem(Struct, frozen=True):
    """The data class of a state."""

    head: Code
    doc: Words | None
    rows: tuple[Row, ...]


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
    """A move beside its handles: its type and its evolve function, unless that is left to the user.

    `exact` decorates a function that does decimal arithmetic.
    """

    label: Code
    where: Code
    alias: Code
    head: Code | None
    exact: Code | None
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
    made: Code


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
    key: Code
    kinds: Code
    init: Code
    edges: tuple[Edge, ...]
    policies: tuple[Policy, ...]
    policy_tuple: Code
    new: Method
    load: Method
    replay: Method


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
    return code(statement(f"{ident(name)}: TypeAlias = ", any_of(members)))


def _state(space: Namespace, machine: MachineDef, state: str) -> str:
    return space.near(hook.states_module(machine), state)


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
                doc(_handle_doc(machine, state, moves)),
                code(python_literal(state.name)),
                code(data),
                tuple(_step(space, machine, state, move, events[move.event]) for move in moves),
            )
        )
    return tuple(found)


def _handle_doc(machine: MachineDef, state: StateDef, moves: Sequence[MoveDef]) -> str:
    again = any(move.target == state.name for move in machine.moves)
    first = "Nothing is stored yet. " if state.initial and not again else ""
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
        arguments: list[Doc] = [any_of(handles), machine.handle(move.target), move.event]
        if move.gates:
            arguments.append(machine.policy(move.name))
        kind = space.public("Guarded" if move.gates else "Transition")
        alias = Call(f"{kind}[", tuple(arguments), "]")
        states = [_state(space, machine, state) for state in move.sources]
        target = _state(space, machine, move.target)
        parameters = (any_of([f"state: {states[0]}", *states[1:]]), f"event: {move.event}")
        evolve = Call(f"def _evolve_{move.name}(", parameters, f") -> {target}:")
        exact = any(value.exact for _, value in move.sets)
        found.append(
            MoveItem(
                code(python_literal(move.name)),
                code(python_literal(where)),
                code(statement(f"{machine.transition(move.name)}: TypeAlias = ", alias)),
                None if move.is_evolved_by_hand else code(statement("", evolve)),
                code(f"@{space.abi('exact')}") if exact else None,
                code(target),
                () if move.is_evolved_by_hand else _arguments(space, move),
            )
        )
    return tuple(found)


def _arguments(space: Namespace, move: MoveDef) -> tuple[Code, ...]:
    """Return where each field of the target comes from."""
    sets = dict(move.sets)
    for value in sets.values():
        if value.abi:
            space.use("batpak", "abi")
        if value.needs_decimal:
            space.use("decimal", "Decimal")
        for package, name in sorted(value.enums):
            space.type(package, name)
    return tuple(
        code(sets[name].argument(name, 8) if name in sets else f"{name}={origin}.{name}")
        for name, origin in move.origins
    )


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
    parameters = ["self", "ledger: Ledger"]
    if hook.needs_hooks(machine):
        parameters.append(f"hooks: {space.near('hooks', hook.class_name(space.package.name))}")
    by_hand = {gate.name for gate in machine.gates if gate.condition is None}
    return MachineItem(
        code(f"class {ident(machine.name + 'Machine')}(Machine[{machine.name}State]):"),
        words(machine.doc, 4),
        code(python_literal(f"{space.package.name}.{machine.name}")),
        code(python_literal(machine.scope)),
        code(python_literal(machine.prefix)),
        code(python_literal(machine.key.name)),
        kinds(space, machine.events),
        code(statement("", Call("def __init__(", tuple(parameters), ") -> None:"), indent=4)),
        tuple(_edge(machine, move, state) for move in machine.moves for state in move.sources),
        tuple(
            Policy(
                code(f"self.{move.name}_gates"),
                code(f"{machine.policy(move.name)}({'hooks' if by_hand & {*move.gates} else ''})"),
            )
            for move in gated
        ),
        code(statement("", owned, ",", indent=12).removesuffix(",") if attributes else "()"),
        *_methods(space, machine),
    )


def _edge(machine: MachineDef, move: MoveDef, state: str) -> Edge:
    policy = (machine.policy(move.name),) if move.gates else ()
    value = Call("Edge(", (machine.handle(move.target), *policy))
    step = f"_evolve_{move.name}"
    if move.is_evolved_by_hand:
        step = f"hooks.{hook.step_method(machine.name, move.name)}"
    return Edge(code(f"({state}, {move.event})"), code(flat(value)), code(step))


def _methods(space: Namespace, machine: MachineDef) -> tuple[Method, Method, Method]:
    name, type_ = machine.key.name, space.annotation(machine.key.type)
    initial, noun = machine.initial.name, names.snake(machine.name).replace("_", " ")
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
            Call("self._fresh(", (name, handle, start)),
        ),
        method(
            "load",
            (),
            state,
            f"The {noun} as the store has it now.",
            Call("self._load(", (name, start)),
        ),
        method(
            "replay",
            (events,),
            state,
            "The same fold over the given events, without the store.",
            Call("self._replay(", (name, start, given)),
        ),
    )
