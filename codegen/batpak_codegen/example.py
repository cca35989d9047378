"""Examples of gates: their values read by type, and what the condition says about them.

They are judged here by the evaluator, which works on nodes; the generated tests hold the printed
Python against the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from batpak_codegen.declarations import ExampleDecl, GateDecl
from batpak_codegen.diagnostic import Findings, did_you_mean, quoted
from batpak_codegen.expr.emit import Condition
from batpak_codegen.expr.evaluate import (
    STEPS_MAX,
    NotGiven,
    Record,
    TooLong,
    Value,
    evaluate,
    is_list,
    is_map,
)
from batpak_codegen.expr.nodes import Path, walk
from batpak_codegen.fields import spelled
from batpak_codegen.ir import ExampleDef, GateDef, Given, PackageDef
from batpak_codegen.literal import Misfit, read
from batpak_codegen.nodes import MapNode, Node, SeqNode, TextNode
from batpak_codegen.types import (
    EnumType,
    ListOf,
    MapOf,
    OptionalOf,
    SetOf,
    StructType,
    Type,
    bare,
)

PERMIT = "permit"


def examples(package: PackageDef) -> tuple[tuple[GateDef, ExampleDef], ...]:
    """Return every example of the gates that a package uses, each gate's in declared order."""
    gates = {gate.name: gate for machine in package.machines for gate in machine.gates}
    gates |= {gate.name: gate for policy in package.policies for gate in policy.gates}
    return tuple((gate, example) for gate in gates.values() for example in gate.examples)


def link_examples(
    gate: str,
    decl: GateDecl,
    condition: Condition | None,
    scope: Mapping[str, StructType],
    enums: Mapping[str, EnumType],
    findings: Findings,
) -> tuple[ExampleDef, ...]:
    """Return the examples of a gate, if its condition says what they expect.

    Args:
        gate: Its name.
        decl: What the schema says of it.
        condition: Its condition, or None for a Python gate, which may have no examples.
        scope: What it may look at.
        enums: Name → enum, as its condition may spell them.
        findings: Gets E0515 for everything that is wrong.
    """
    if not decl.examples:
        return ()
    if condition is None or decl.deny is None:
        for example in decl.examples[:1]:
            message = f"{gate} is a Python gate: its examples would not be looked at"
            findings.add("E0515", message, example.span, help="test the method of your hooks")
        return ()
    judge = _Judge(gate, decl.deny.code.value, condition, scope, enums, findings)
    found = [judge.example(number, example) for number, example in enumerate(decl.examples, 1)]
    return tuple(example for example in found if example)


class _Judge:
    """Judges the examples of one gate."""

    def __init__(
        self,
        gate: str,
        code: str,
        condition: Condition,
        scope: Mapping[str, StructType],
        enums: Mapping[str, EnumType],
        findings: Findings,
    ) -> None:
        self.gate, self.code, self.condition, self.scope = gate, code, condition, scope
        self.enums = {(enum.package, enum.name): enum for enum in enums.values()}
        self.findings = findings
        paths = (part for part in walk(condition.node) if isinstance(part, Path))
        self.mentioned = {name for path in paths for name in path.names}

    def example(self, number: int, decl: ExampleDecl) -> ExampleDef | None:
        before = len(self.findings.diagnostics)
        if decl.expect.value not in (PERMIT, self.code):
            message = f"{self.gate} does not answer {quoted(decl.expect.value)}"
            hint = f"write {PERMIT} or {self.code}"
            self.findings.add("E0515", message, decl.expect.span, help=hint)
        parts = {"event": decl.event, "state": decl.state, "ctx": decl.ctx}
        given = {name: self.part(name, node) for name, node in parts.items()}
        event = given["event"]
        if event is None or len(self.findings.diagnostics) > before:
            return None
        names = {name: _record(name, part) for name, part in given.items() if part is not None}
        self.holds(number, decl, names)
        expected = None if decl.expect.value == PERMIT else self.code
        return ExampleDef(expected, given["ctx"], given["state"], event)

    def part(self, name: str, node: MapNode | None) -> Given | None:
        """Read what is given of the event, the state or the context."""
        struct = self.scope.get(name)
        if struct is None:
            if node is not None:
                hint = f"what it sees: {', '.join(self.scope)}"
                message = f"{self.gate} does not look at `{name}`"
                self.findings.add("E0515", message, node.head or node.span, help=hint)
            return None
        found = self.fields(struct, node) if node is not None else {}
        for field in struct.fields:
            if field.has_default and field.name not in found and field.name in self.mentioned:
                found[field.name] = field.default
        return Given(struct, found)

    def fields(self, struct: StructType, node: MapNode) -> dict[str, object]:
        known = [field.name for field in struct.fields]
        found: dict[str, object] = {}
        for key, value in node.entries:
            field = struct.field(key.value)
            if field is None:
                message = f"{struct.name} has no field {quoted(key.value)}"
                hint = did_you_mean(key.value, known)
                self.findings.add("E0515", message, key.span, help=hint)
            else:
                found[key.value] = self.read(field.type, value)
        return found

    def read(self, type_: Type, node: Node) -> object:
        """Read a value; None takes the place of what is none and was reported."""
        of = bare(type_)
        if isinstance(of, OptionalOf):
            null = isinstance(node, TextNode) and node.value == "null" and not node.style
            return None if null else self.read(of.of, node)
        if isinstance(node, SeqNode) and isinstance(of, ListOf | SetOf):
            items = [self.read(of.item, item) for item in node.items]
            return tuple(items) if isinstance(of, ListOf) else frozenset(items)
        if isinstance(node, MapNode) and isinstance(of, MapOf):
            return {key.value: self.read(of.item, value) for key, value in node.entries}
        if isinstance(node, MapNode) and isinstance(of, StructType):
            found = self.fields(of, node)
            rest = (field for field in of.fields if field.has_default and field.name not in found)
            return Given(of, found | {field.name: field.default for field in rest})
        if isinstance(node, TextNode) and not isinstance(of, ListOf | SetOf | MapOf | StructType):
            try:
                return read(of, node)
            except Misfit as misfit:
                message = f"{quoted(node.value)} is not a value of {spelled(type_)}"
                self.findings.add("E0515", message, node.span, help=str(misfit))
                return None
        message = f"this is not a value of {spelled(type_)}"
        self.findings.add("E0515", message, node.span)
        return None

    def holds(self, number: int, decl: ExampleDecl, names: Mapping[str, Value]) -> None:
        """Hold the condition against what is expected of it."""
        of, help_ = f"example {number} of {self.gate}", None
        try:
            permits = evaluate(self.condition.node, names, self.enums) is True
        except NotGiven as missing:
            says = f"{of} does not say what {missing.path} is, and the expression reads it"
            help_ = "fields that it does not read may be left out"
        except TooLong:
            says = f"{of} is too large: it takes more than {STEPS_MAX} steps"
            help_ = "fewer items say the same"
        except OverflowError:
            says = f"{of}: the expression has no value, a time leaves the years 1 to 9999"
        else:
            if permits is (decl.expect.value == PERMIT):
                return
            verb = "permits" if permits else "refuses"
            says = f"{of}: expected {decl.expect.value}, the expression {verb} it"
        self.findings.add("E0515", says, decl.expect.span, help=help_)


def _record(where: str, given: Given) -> Record:
    names = tuple(field.name for field in given.type.fields)
    values = {name: _value(f"{where}.{name}", value) for name, value in given.fields.items()}
    return Record(where, names, values)


def _value(where: str, value: object) -> Value:
    """Return what the evaluator works with: decimals as fractions, structs as records."""
    if isinstance(value, Decimal):
        return Fraction(value)
    if isinstance(value, Given):
        return _record(where, value)
    if is_list(value):
        return tuple(_value(f"{where}[{place}]", item) for place, item in enumerate(value))
    if is_map(value):
        return {key: _value(f"{where}[{key!r}]", item) for key, item in value.items()}
    return value
