"""The catalog: events, machines, gates and projections, for people who do not read schemas.

`catalog` says what stands on the page, `markdown` and `batpak_codegen.page` how it is written
down. Whatever came from a schema passes through `escape` there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct, to_builtins

from batpak_codegen import escape, graph
from batpak_codegen.expr.emit import Message
from batpak_codegen.fields import spelled
from batpak_codegen.hop import HopDef, Past
from batpak_codegen.ir import (
    EventDef,
    GateDef,
    MachineDef,
    PackageDef,
    PolicyDef,
    Project,
    ProjectionDef,
    TypeDef,
)
from batpak_codegen.types import (
    Bounds,
    EnumType,
    FieldType,
    IdType,
    ListOf,
    MapOf,
    OptionalOf,
    Scalar,
    SetOf,
    StructType,
    Type,
    UnionType,
)

TITLE = "Events, machines and gates"


class Heading(Struct, frozen=True):
    """A heading; `anchor` is unique on the page, and made of identifiers only."""

    level: int
    text: str
    anchor: str


class Paragraph(Struct, frozen=True):
    """Running text."""

    text: str


class Listing(Struct, frozen=True):
    """Text that is shown as it is."""

    text: str


class Mono(Struct, frozen=True):
    """An identifier or a type: no character of it means anything to HTML or Markdown but < and >.

    `anchor` is where it leads.
    """

    text: str
    anchor: str | None = None


Cell: TypeAlias = str | Mono


class Table(Struct, frozen=True):
    """Rows under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


Block: TypeAlias = Heading | Paragraph | Listing | Table


def catalog(project: Project) -> list[Block]:
    """Return what stands on the page, in the order of packages and declarations."""
    return [
        block
        for package in project.packages
        for block in _package(package, project.pasts.get(package.name))
    ]


def _package(package: PackageDef, past: Past | None) -> Iterator[Block]:
    yield Heading(1, package.name, package.name)
    if package.doc:
        yield Paragraph(package.doc)
    if package.events:
        rows = tuple(
            (Mono(f"0x{e.kind:04x}"), Mono(e.name, anchor(package, e.name)), e.doc or "")
            for e in package.events
        )
        yield Table(("Kind", "Event", "What"), rows)
    for event in package.events:
        yield from _event(package, event)
        yield from _versions(event, past)
    for machine in package.machines:
        yield from _machine(package, machine)
    for policy in package.policies:
        yield from _policy(package, policy)
    for projection in package.projections:
        yield from _projection(package, projection)
    for context in package.contexts:
        yield Heading(2, f"Context {context.name}", anchor(package, context.name))
        yield from _fields(context.fields)
    for definition in package.types:
        yield from _type(package, definition)


def anchor(package: PackageDef, name: str) -> str:
    """Return where something that a package declares stands on the page."""
    return f"{package.name}.{name}"


def _event(package: PackageDef, event: EventDef) -> Iterator[Block]:
    yield Heading(2, f"Event {event.name}", anchor(package, event.name))
    yield Paragraph(f"Kind 0x{event.kind:04x}, version {event.version}.")
    if event.deprecated:
        yield Paragraph(f"Deprecated: {event.deprecated}")
    if event.doc:
        yield Paragraph(event.doc)
    yield from _fields(event.fields)


def _versions(event: EventDef, past: Past | None) -> Iterator[Block]:
    hops = [hop for hop in past.hops if hop.event == event.name] if past else []
    if hops:
        rows = tuple(
            (f"{hop.version} to {hop.version + 1}", difference(hop), _way(hop)) for hop in hops
        )
        yield Table(("Version", "What changed", "How old events are read"), rows)


def difference(hop: HopDef) -> str:
    """Say what is different between a version and the next one."""
    return ", ".join(hop.changed).replace("``", "") or "nothing that is stored"


def _way(hop: HopDef) -> str:
    return "by Python" if hop.values is None else "by declared steps"


def _fields(fields: Sequence[FieldType]) -> Iterator[Block]:
    if not fields:
        yield Paragraph("No fields.")
        return
    rows = tuple(
        (
            Mono(field.name),
            Mono(spelled(field.type), _home(field.type)),
            _rule(field),
            field.doc or "",
        )
        for field in fields
    )
    yield Table(("Field", "Type", "Rule", "What"), rows)


def _home(type_: Type) -> str | None:
    """Return the anchor of the declared type that a type is or holds."""
    while isinstance(type_, OptionalOf | ListOf | SetOf | MapOf):
        type_ = type_.of if isinstance(type_, OptionalOf) else type_.item
    return None if isinstance(type_, Scalar) else f"{type_.package}.{type_.name}"


def _rule(field: FieldType) -> str:
    rules = _limits(field.type)
    if field.wire is not None:
        rules.append(f"stored as {field.wire}")
    if field.has_default and field.default is not None:
        plain = to_builtins(field.default)
        rules.append(f"default {plain if isinstance(plain, str) else json.dumps(plain)}")
    return ", ".join(rules)


def _limits(type_: Type) -> list[str]:
    """Return what is asked of a value beyond its type; rules of named types stand with them."""
    if isinstance(type_, OptionalOf):
        return [*_limits(type_.of), "may be null"]
    if isinstance(type_, ListOf | SetOf | MapOf):
        return _lengths(type_, "items")
    if not isinstance(type_, Scalar):
        return []
    of = type_.bounds
    marks = ((">=", of.ge), (">", of.gt), ("<=", of.le), ("<", of.lt))
    digits = [f"{type_.precision} digits, {type_.scale} of them decimals"] * bool(type_.precision)
    rules = [f"{mark} {limit}" for mark, limit in marks if limit is not None]
    rules += _lengths(of, "bytes" if type_.name == "bytes" else "characters")
    return [*digits, *rules, *([f"matches {of.pattern}"] if of.pattern else [])]


def _lengths(of: Bounds | ListOf | SetOf | MapOf, noun: str) -> list[str]:
    both = (("at least", of.min_length), ("at most", of.max_length))
    return [f"{word} {n} {noun if n != 1 else noun[:-1]}" for word, n in both if n is not None]


def _machine(package: PackageDef, machine: MachineDef) -> Iterator[Block]:
    yield Heading(2, f"Machine {machine.name}", anchor(package, machine.name))
    if machine.doc:
        yield Paragraph(machine.doc)
    yield Listing(graph.text(package.name, machine).rstrip())
    for state in machine.states:
        yield Heading(3, f"State {state.name}", anchor(package, f"{machine.name}.{state.name}"))
        if state.doc:
            yield Paragraph(state.doc)
        yield from _fields(state.fields)
    for gate in machine.gates:
        moves = ", ".join(move.name for move in machine.moves if gate.name in move.gates)
        yield from _gate(anchor(package, f"{machine.name}.{gate.name}"), gate, moves)


def _policy(package: PackageDef, policy: PolicyDef) -> Iterator[Block]:
    yield Heading(2, f"Policy {policy.name}", anchor(package, policy.name))
    if policy.doc:
        yield Paragraph(policy.doc)
    yield Paragraph(f"Judges {policy.event}.")
    for gate in policy.gates:
        yield from _gate(anchor(package, f"{policy.name}.{gate.name}"), gate, policy.name)


def _projection(package: PackageDef, projection: ProjectionDef) -> Iterator[Block]:
    place = anchor(package, f"{projection.name}Projection")
    yield Heading(2, f"Projection {projection.name}", place)
    if projection.doc:
        yield Paragraph(projection.doc)
    yield Paragraph(f"Version {projection.version}. It folds:")
    anchors = (f"{home}.{name}" for home, name in projection.events)
    shown = graph.folded(package.name, projection)
    yield Table(("Event",), tuple((Mono(*one),) for one in zip(shown, anchors, strict=True)))
    yield Paragraph("Its state:")
    yield from _fields(projection.fields)


def _gate(anchor: str, gate: GateDef, asked_by: str) -> Iterator[Block]:
    yield Heading(3, f"Gate {gate.name}", anchor)
    if gate.doc:
        yield Paragraph(gate.doc)
    judges = f"Judges {gate.event}; asked by: {asked_by}."
    if gate.condition is None:
        yield Paragraph(f"{judges} It is written in Python.")
    else:
        yield Paragraph(f"{judges} It demands")
        yield Listing(gate.condition.source)
    for code, message in gate.denials:
        yield Paragraph(f"It denies with {code}: {_template(message)}")


def _template(message: Message) -> str:
    parts = (p if isinstance(p, str) else f"{{{'.'.join(p.names)}}}" for p in message.parts)
    return "".join(parts)


def _type(package: PackageDef, definition: TypeDef) -> Iterator[Block]:
    type_ = definition.type
    yield Heading(2, f"Type {type_.name}", anchor(package, type_.name))
    if definition.doc:
        yield Paragraph(definition.doc)
    if isinstance(type_, StructType):
        yield from _fields(type_.fields)
    elif isinstance(type_, EnumType):
        if type_.open:
            yield Paragraph("Open: a stored value that is not here is read as UNRECOGNIZED.")
        yield Table(
            ("Member", "Stored as"), tuple((Mono(n), stored) for n, stored in type_.members)
        )
    elif isinstance(type_, IdType):
        yield Paragraph(f"An id: a uuid, in text with {type_.prefix}: before it.")
    elif isinstance(type_, UnionType):
        rows = tuple(
            (member.tag.value if member.tag else "", Mono(member.name, _home(member)))
            for member in type_.members
        )
        keys = {member.tag.key for member in type_.members if member.tag}
        yield Paragraph(f"One of several structs; which one is stored under {', '.join(keys)}.")
        yield Table(("Tag", "Struct"), rows)
    else:
        rules = ", ".join([spelled(type_.of), *_limits(type_.of)])
        yield Paragraph(f"Another name for {rules}.")


def markdown(blocks: Sequence[Block]) -> str:
    """Return the page as Markdown."""
    parts = [f"# {TITLE}", *(_markdown(block) for block in blocks)]
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        marks = "#" * (block.level + 1)
        return f'<a id="{block.anchor}"></a>\n\n{marks} {escape.markdown(block.text)}'
    if isinstance(block, Paragraph):
        return escape.markdown(block.text)
    if isinstance(block, Listing):
        return "\n".join(f"    {line}" for line in block.text.split("\n"))
    rows = [block.head, ("---",) * len(block.head)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in block.rows]
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape.markdown(cell)
    return f"[`{cell.text}`](#{cell.anchor})" if cell.anchor else f"`{cell.text}`"
