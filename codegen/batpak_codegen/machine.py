"""Machines: states with everything known in them, moves, and where target data comes from.

Checked here: one initial state, every state reachable, no way out of a final one, one move per
state and event, the key in every event, every field of a target derivable.
Rules and codes: docs/reference/schema-language.md, "Machines".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from batpak_codegen import pattern
from batpak_codegen.declarations import FieldDecl, MachineDecl, MoveDecl, StateDecl
from batpak_codegen.diagnostic import Findings, Place, Span, did_you_mean, quoted
from batpak_codegen.fields import INTEGERS, Resolver, doc_of, same, spelled
from batpak_codegen.ir import EventDef, MachineDef, MoveDef, StateDef
from batpak_codegen.nodes import TextNode
from batpak_codegen.stored import key_of
from batpak_codegen.types import FieldType, IdType, OptionalOf, Scalar, Type, bare

_ENTITY: Final = re.compile(r"(?P<prefix>[a-z][a-z0-9_-]*):\{(?P<key>[a-z][a-z0-9_]*)\}")
_SCOPE_BAD: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/|=]|\.\.")
SCOPE_BYTES_MAX: Final = 1024
ENTITY_BYTES_MAX: Final = 1024
_ENTITY_BAD: Final = ((0, 31), (46, 47), (61, 61), (124, 124), (127, 159))  # . / = | and controls
EXTENDS_MAX: Final = 64
STATES_MAX: Final = 256  # and moves: a union of very many classes is too deep for Python's parser
TAG: Final = "state"


def _names_an_entity(type_: Type, template: str) -> bool:
    """Whether every value of a type fits into a coordinate, and no two of them look alike there."""
    type_ = bare(type_)
    if not isinstance(type_, Scalar):
        return isinstance(type_, IdType)
    if type_.name != "string" or type_.bounds.pattern is None:
        return type_.name in INTEGERS or type_.name == "uuid"
    read = pattern.read(type_.bounds.pattern)
    ends = [end for end in (read.longest, type_.bounds.max_length) if end is not None]
    last = read.ranges[-1][1]
    width = 1 if last < 0x80 else 2 if last < 0x800 else 3 if last < 0x10000 else 4
    size = len(template) + min(ends) * width if ends else ENTITY_BYTES_MAX + 1
    shortest = max(read.shortest, type_.bounds.min_length or 0)
    fits = shortest > 0 and size <= ENTITY_BYTES_MAX
    return fits and pattern.common(read.ranges, _ENTITY_BAD) is None


def link_machine(
    package: str,
    name: TextNode,
    decl: MachineDecl,
    events: Mapping[str, EventDef | None],
    resolver: Resolver,
    findings: Findings,
) -> MachineDef | None:
    """Return a machine without its gates and what `set:` computes; None if something is wrong.

    Args:
        package: Where it is declared; its events come from there.
        name: Its name, with its place.
        decl: What the schema says.
        events: The package's events; None for one that is broken and was reported.
        resolver: Looks up the types of state data.
        findings: Gets everything that is wrong.
    """
    return _Machine(package, name, decl, events, resolver, findings).link()


class _Machine:
    def __init__(
        self,
        package: str,
        name: TextNode,
        decl: MachineDecl,
        events: Mapping[str, EventDef | None],
        resolver: Resolver,
        findings: Findings,
    ) -> None:
        self.package, self.name, self.decl, self.events = package, name, decl, events
        self.resolver, self.findings = resolver, findings
        self.states = {node.value: (node, state) for node, state in decl.states}
        self.known: dict[str, tuple[FieldType, ...] | None] = {}
        self.open: list[str] = []

    def link(self) -> MachineDef | None:
        before = len(self.findings.diagnostics)
        for what, entries in (("states", self.decl.states), ("moves", self.decl.moves)):
            if len(entries) > STATES_MAX:
                message = f"a machine has at most {STATES_MAX} {what}, this one has {len(entries)}"
                self.findings.add("E0105", message, self.name.span)
                return None
        prefix, key_name = self._entity()
        self._scope()
        moves = [(node, move) for node, move in self.decl.moves if self._names_fit(node, move)]
        self._initial_and_final()
        if len(moves) == len(self.decl.moves):
            self._reachable(moves)
            self._determined(moves)
        key = self._key(key_name, moves) if key_name else None
        if key is None or len(self.findings.diagnostics) > before:
            return None
        data = {state: self._data(state) for state in self.states}
        if any(fields is None for fields in data.values()):
            return None
        states = tuple(
            StateDef(
                node.value,
                bool(state.initial and state.initial.value),
                bool(state.final and state.final.value),
                (key, *(data[node.value] or ())),
                doc_of(state.doc),
            )
            for node, state in self.decl.states
        )
        fields = {state.name: state.fields for state in states}
        linked = tuple(self._move(node, move, fields) for node, move in moves)
        names = tuple(dict.fromkeys(move.event for move in linked))
        scope = self.decl.scope.value if self.decl.scope else self.package
        machine = MachineDef(
            self.name.value, prefix, scope, key, states, linked, (), names, doc_of(self.decl.doc)
        )
        return machine if len(self.findings.diagnostics) == before else None

    def _entity(self) -> tuple[str, str | None]:
        node = self.decl.entity
        match = _ENTITY.fullmatch(node.value)
        if not match or match["prefix"] == "batpak":
            hint = 'a literal prefix and the key: "order:{order_id}"; `batpak:` is taken'
            message = f"{quoted(node.value)} is not an entity template"
            self.findings.add("E0406", message, node.span, help=hint)
            return "", None
        return match["prefix"], match["key"]

    def _scope(self) -> None:
        node = self.decl.scope
        if node is None:
            return
        fine = 0 < len(node.value.encode("utf-8", "replace")) <= SCOPE_BYTES_MAX
        if not fine or _SCOPE_BAD.search(node.value):
            hint = f"1 to {SCOPE_BYTES_MAX} bytes without control characters, / | = and .."
            self.findings.add("E0106", f"{quoted(node.value)} is not a scope", node.span, help=hint)

    def _names_fit(self, name: TextNode, move: MoveDecl) -> bool:
        """Whether a move names states and an event that exist."""
        before = len(self.findings.diagnostics)
        for node in (*move.from_, move.to):
            if node.value not in self.states:
                self._no_state("E0404", node)
        if not move.from_:
            message = f"move {name.value} starts nowhere"
            self.findings.add("E0404", message, name.span, help="name a state under from:")
        if move.event.value not in self.events:
            message = f"{self.package} has no event {quoted(move.event.value)}"
            hint = (
                did_you_mean(move.event.value, self.events)
                or "a machine uses events of its own package"
            )
            self.findings.add("E0405", message, move.event.span, help=hint)
        return len(self.findings.diagnostics) == before

    def _no_state(self, code: str, node: TextNode) -> None:
        message = f"{self.name.value} has no state {quoted(node.value)}"
        hint = did_you_mean(node.value, self.states) or f"states: {', '.join(self.states)}"
        self.findings.add(code, message, node.span, help=hint)

    def _initial_and_final(self) -> None:
        first = [node for node, state in self.decl.states if state.initial and state.initial.value]
        if len(first) != 1:
            number = f"{len(first)} initial states" if first else "no initial state"
            message = f"{self.name.value} has {number}"
            span = first[1].span if first else self.name.span
            hint = "mark one, the state before the first event: Draft: {initial: true}"
            self.findings.add("E0401", message, span, help=hint)
        for node in first:
            state = self.states[node.value][1]
            if state.data or state.extends:
                what = "extends another" if state.extends else "has data"
                message = f"initial state {node.value} {what}"
                hint = "a fresh entity has no event yet: only the key is known"
                self.findings.add("E0401", message, node.span, help=hint)
        for name, move in self.decl.moves:
            for node in move.from_:
                _, source = self.states.get(node.value, (None, None))
                if source and source.final and source.final.value:
                    message = f"move {name.value} leaves {node.value}, which is final"
                    hint = "drop `final`, or take the state out of from:"
                    self.findings.add("E0403", message, node.span, help=hint)

    def _reachable(self, moves: Iterable[tuple[TextNode, MoveDecl]]) -> None:
        ways: dict[str, list[str]] = {}
        for _, move in moves:
            for node in move.from_:
                ways.setdefault(node.value, []).append(move.to.value)
        found = [n.value for n, state in self.decl.states if state.initial and state.initial.value]
        seen = set(found)
        while found:
            for target in ways.get(found.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    found.append(target)
        for node, _ in self.decl.states:
            if seen and node.value not in seen:
                message = f"no move leads to state {node.value}"
                hint = "add the move, or delete the state"
                self.findings.add("E0402", message, node.span, help=hint)

    def _determined(self, moves: Iterable[tuple[TextNode, MoveDecl]]) -> None:
        first: dict[tuple[str, str], TextNode] = {}
        for name, move in moves:
            for node in move.from_:
                other = first.setdefault((node.value, move.event.value), node)
                if other is not node:
                    message = f"{move.event.value} in state {node.value} leads two ways"
                    place = Place(other.span, f"{node.value} + {move.event.value}")
                    hint = f"give move {name.value} an event of its own"
                    self.findings.add("E0404", message, node.span, help=hint, also=[place])

    def _key(self, key: str, moves: list[tuple[TextNode, MoveDecl]]) -> FieldType | None:
        """Return the field that names the entity; every event has it, with one type."""
        node = self.decl.entity
        if not self.decl.moves:
            message = f"{self.name.value} has no moves, so nothing says what {key} is"
            self.findings.add("E0405", message, node.span, help="add the first move")
            return None
        found: FieldType | None = None
        home = ""
        keys: list[FieldType] = []
        broken = False
        for _, move in moves:
            event = self.events[move.event.value]
            if event is None:
                broken = True
                continue
            field = next((field for field in event.fields if field.name == key), None)
            if field is None:
                message = f"{event.name} has no field `{key}`, the key of {self.name.value}"
                self.findings.add("E0405", message, move.event.span, help=f"add `{key}` to it")
                broken = True
            elif found is not None and not same(found.type, field.type):
                message = (
                    f"`{key}` is {spelled(field.type)} in {event.name}"
                    f" and {spelled(found.type)} in {home}"
                )
                hint = f"the key of {self.name.value} has one type in all its events"
                self.findings.add("E0405", message, move.event.span, help=hint)
                broken = True
            if found is None:
                found, home = field, event.name
            keys += [field] if field else []
        if broken or found is None:
            return None
        if not all(_names_an_entity(field.type, node.value) for field in keys):
            message = f"`{key}` is {spelled(found.type)}, which cannot name an entity"
            hint = "use an id, a uuid or an integer: they always fit into a coordinate"
            if isinstance(type_ := bare(found.type), Scalar) and type_.name == "string":
                hint = "text needs a pattern like [A-Z0-9-]{1,40}: short, without . / | and ="
            if isinstance(found.type, OptionalOf):
                hint = "every event names its entity: take the ? away"
            self.findings.add("E0407", message, node.span, help=hint)
            return None
        return FieldType(key, found.type)

    def _data(self, name: str) -> tuple[FieldType, ...] | None:
        """Return the fields of a state without the key, those it extends first."""
        if name not in self.known:
            self.open.append(name)
            self.known[name] = self._own_and_extended(self.states[name][1])
            self.open.pop()
        return self.known[name]

    def _own_and_extended(self, state: StateDecl) -> tuple[FieldType, ...] | None:
        inherited: tuple[FieldType, ...] | None = ()
        if state.extends:
            inherited = self._extended(state.extends)
        taken = {field.name: state.extends.span for field in inherited or () if state.extends}
        match = _ENTITY.fullmatch(self.decl.entity.value)
        taken |= {match["key"]: self.decl.entity.span} if match else {}
        keys = {field.key: state.extends.span for field in inherited or () if state.extends}
        keys |= {match["key"]: self.decl.entity.span} if match else {}
        misfits = [n for n, decl in state.data if not self._field_fits(n, decl, taken, keys)]
        own = self.resolver.fields(self.package, state.data)
        if inherited is None or misfits or len(own) < len(state.data):
            return None
        return (*inherited, *own)

    def _extended(self, node: TextNode) -> tuple[FieldType, ...] | None:
        if node.value not in self.states:
            self._no_state("E0409", node)
            return None
        if node.value in self.open:
            cycle = [*self.open[self.open.index(node.value) :], node.value]
            message = f"states extend each other: {' -> '.join(cycle)}"
            self.findings.add("E0409", message, node.span)
            return None
        if len(self.open) > EXTENDS_MAX:
            message = f"states extend each other over more than {EXTENDS_MAX} steps"
            self.findings.add("E0105", message, node.span)
            return None
        return self._data(node.value)

    def _field_fits(
        self, node: TextNode, decl: FieldDecl, taken: Mapping[str, Span], keys: Mapping[str, Span]
    ) -> bool:
        key = key_of(node, decl)
        if key.value == TAG:
            message = "a field of state data may not be called `state`"
            hint = "that key says which state it is when the data is stored"
            self.findings.add("E0311", message, key.span, help=hint)
            return False
        if node.value in taken:
            message = f"`{node.value}` is part of this state already"
            place = Place(taken[node.value], "from here")
            self.findings.add("E0202", message, node.span, also=[place])
            return False
        if key.value in keys:
            message = f"`{key.value}` is a key of this state already"
            place = Place(keys[key.value], "from here")
            self.findings.add("E0311", message, key.span, also=[place])
            return False
        return True

    def _move(
        self,
        name: TextNode,
        decl: MoveDecl,
        states: Mapping[str, tuple[FieldType, ...]],
    ) -> MoveDef:
        event = self.events[decl.event.value]
        given = {field.name: field.type for field in event.fields} if event else {}
        sources = tuple(dict.fromkeys(node.value for node in decl.from_))
        kept = [{field.name: field.type for field in states[source]} for source in sources]
        computed = {node.value for node, _ in decl.set_} - {states[decl.to.value][0].name}
        by_hand = self._is_by_hand(decl)
        origins: list[tuple[str, str]] = []
        underived: list[str] = []
        for field in states[decl.to.value]:
            wanted = field.type
            if field.name in computed:
                origins.append((field.name, "set"))
            elif field.name in given and same(given[field.name], wanted):
                origins.append((field.name, "event"))
            elif all(field.name in have and same(have[field.name], wanted) for have in kept):
                origins.append((field.name, "state"))
            elif by_hand:
                underived.append(field.name)
            else:
                self._underivable(decl, field, given, sources)
        order = list(states)
        return MoveDef(
            name.value,
            tuple(sorted(sources, key=order.index)),
            decl.to.value,
            decl.event.value,
            tuple(dict.fromkeys(node.value for node in decl.gates)),
            tuple(origins),
            doc_of(decl.doc),
            is_evolved_by_hand=by_hand,
            underived=tuple(underived),
        )

    def _is_by_hand(self, decl: MoveDecl) -> bool:
        node = decl.evolve
        if node is not None and node.value != "python":
            message = f"{quoted(node.value)} is not a way to evolve"
            hint = "write `evolve: python`, or leave it out"
            self.findings.add("E0106", message, node.span, help=hint)
        return node is not None

    def _underivable(
        self,
        decl: MoveDecl,
        field: FieldType,
        given: Mapping[str, Type],
        sources: tuple[str, ...],
    ) -> None:
        other = given.get(field.name)
        where = f"is {spelled(other)} in" if other else "not in"
        message = (
            f"state {decl.to.value} needs {field.name} ({spelled(field.type)}):"
            f" {where} {decl.event.value}, not in {' and '.join(sources)}"
        )
        hint = f"add it to {decl.event.value}, or write set: or evolve: python"
        self.findings.add("E0410", message, decl.to.span, help=hint)
