"""What the template of contract tests is filled with about gates: their examples, as calls.

A gate is judged as it runs: in the gate sets of the moves and policies that ask it.
"""

from __future__ import annotations

from msgspec import Struct

from batpak_codegen import hook, names
from batpak_codegen.example import PERMIT, examples
from batpak_codegen.expr.evaluate import is_list, is_map, is_set
from batpak_codegen.ir import ExampleDef, GateDef, Given, MoveDef, PolicyDef
from batpak_codegen.layout import Call, Doc, called, statement
from batpak_codegen.outside import Outside
from batpak_codegen.text import Code, code, ident, python_literal
from batpak_codegen.types import ListOf, MapOf, OptionalOf, SetOf, StructType, Type, bare


class ExampleTest(Struct, frozen=True):
    """The test of a gate; `hooks` makes what one of its gate sets cannot do without."""

    test: str
    head: Code
    hooks: Code | None
    calls: tuple[Code, ...]


class _Jury(Struct, frozen=True):
    """A gate set: what makes it, and one context and state that it could be asked about."""

    made: str
    context: str | None
    state: str | None
    is_hooked: bool


def example_tests(space: Outside) -> tuple[ExampleTest, ...]:
    """Return a test for every gate that is asked somewhere and has examples."""
    gates = {gate.name: gate for gate, _ in examples(space.package)}
    return tuple(_test(space, gate) for gate in gates.values())


def implemented(space: Outside) -> str:
    """Return the call that makes the hooks that the user has written."""
    module = python_literal(space.project.hooks[space.package.name])
    base = space.near("hooks", hook.class_name(space.package.name))
    return f"contract.implemented({module}, {base})"


def _test(space: Outside, gate: GateDef) -> ExampleTest:
    space.use("batpak.testing", "sample")
    juries = sorted(_juries(space, gate), key=lambda jury: jury.is_hooked)  # those may be skipped
    test = f"test_{ident(gate.name)}_answers_as_its_examples_say"
    hooks: Code | None = None
    if any(jury.is_hooked for jury in juries):
        hooks = code(statement("hooks = ", called(implemented(space)), indent=4))
    return ExampleTest(
        test,
        code(f"def {test}() -> None:"),
        hooks,
        tuple(
            code(statement("", _call(space, gate, jury, example), indent=4))
            for jury in juries
            for example in gate.examples
        ),
    )


def _juries(space: Outside, gate: GateDef) -> list[_Jury]:
    """Return the gate sets in which a gate stands."""
    found: list[_Jury] = []
    for machine in space.package.machines:
        by_hand = {each.name for each in machine.gates if each.condition is None}
        stem = names.snake(machine.name)
        for move in machine.moves:
            if gate.name in move.gates:
                cls = space.near(f"{stem}_gates", machine.policy(move.name))
                state = space.near(f"{stem}_states", move.sources[0])
                found.append(_jury(space, cls, move, state, not by_hand.isdisjoint(move.gates)))
    for policy in space.package.policies:
        if gate.name in (each.name for each in policy.gates):
            cls = space.near("policies", policy.name)
            by_hand = {each.name for each in policy.gates if each.condition is None}
            found.append(_jury(space, cls, policy, None, bool(by_hand)))
    return found


def _jury(
    space: Outside, cls: str, lister: MoveDef | PolicyDef, state: str | None, is_hooked: bool
) -> _Jury:
    context = space.near("contexts", lister.context) if lister.context else None
    return _Jury(f"{cls}({'hooks' if is_hooked else ''})", context, state, is_hooked)


def _call(space: Outside, gate: GateDef, jury: _Jury, example: ExampleDef) -> Call:
    event = space.near("events", gate.event)
    parts = ((jury.context, example.ctx), (jury.state, example.state), (event, example.event))
    expected = python_literal(example.code or PERMIT)
    asked: tuple[Doc, ...] = (jury.made, python_literal(gate.name), expected)
    values = (_sample(space, cls, part) if cls else "None" for cls, part in parts)
    return Call("contract.answers(", (*asked, *values), display=True)


def _sample(space: Outside, cls: str, given: Given | None) -> Call:
    """Return the call that makes a value of which only some fields are said."""
    said: list[Doc] = []
    if given is not None:
        types = {field.name: field.type for field in given.type.fields}
        for name, value in given.fields.items():
            said.append(_after(f"{ident(name)}=", _value(space, types[name], value)))
    return Call("sample(", (cls, *said), display=True)


def _value(space: Outside, type_: Type, value: object) -> Doc:
    of = bare(type_)
    if isinstance(of, OptionalOf):
        return "None" if value is None else _value(space, of.of, value)
    if isinstance(value, Given) and isinstance(of, StructType):
        return _sample(space, space.type(of.package, of.name), value)
    if isinstance(of, ListOf) and is_list(value):
        items = tuple(_value(space, of.item, item) for item in value)
        return Call("(", items, ",)" if len(items) == 1 else ")", display=True)
    if isinstance(of, SetOf) and is_set(value):
        shown = sorted(space.value(of.item, item) for item in value)
        inner = (Call("{", tuple(shown), "}", display=True),) if shown else ()
        return Call("frozenset(", inner)
    if isinstance(of, MapOf) and is_map(value):
        rows = (
            _after(f"{python_literal(key)}: ", _value(space, of.item, item))
            for key, item in value.items()
        )
        return Call("{", tuple(rows), "}", display=True)
    return called(space.value(of, value))


def _after(before: str, doc: Doc) -> Doc:
    return (
        Call(before + doc.head, doc.items, doc.close, doc.display)
        if isinstance(doc, Call)
        else f"{before}{doc}"
    )
