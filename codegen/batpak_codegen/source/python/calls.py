"""What is declared by calls to nodes: machines, gates, policies, handlers, projections, hops."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Final

from pydantic.fields import FieldInfo

from batpak_codegen.diagnostic import Findings, Span
from batpak_codegen.nodes import MapNode, Node, SeqNode, TextNode
from batpak_codegen.schema import (
    Add,
    Cast,
    Context,
    Declared,
    Deny,
    Drop,
    Event,
    Gate,
    Handler,
    Machine,
    MapEnum,
    Move,
    Package,
    Policy,
    Projection,
    Python,
    Rename,
    Site,
    State,
    Wrap,
)
from batpak_codegen.source.python.classes import Classes, Entry
from batpak_codegen.source.python.places import doubles, headed
from batpak_codegen.source.python.values import is_class, is_list, is_map

PYTHON: Final = "python"
SECTIONS: Final[Mapping[type[Declared], str]] = {
    Machine: "machines",
    Gate: "gates",
    Policy: "policies",
    Handler: "handlers",
    Projection: "projections",
}
_KEYS: Final = {"source": "from"}  # attribute → the word of the language, where they differ
_ELSEWHERE: Final = frozenset({"name"})  # it is the key of the entry


class Call:
    """One declaration and the syntax of the call that made it, as far as that is known."""

    def __init__(self, made: Declared, site: Site | None, classes: Classes) -> None:
        self.made, self.places = made, classes.places
        here = site is not None and site.module == classes.module.name
        self.at = self.places.call(site) if here and site else None
        self.span = self.places.line_of(site) if here and site else self.places.start
        self.span = self.places.span(self.at) if self.at else self.span
        self.keywords = {word.arg: word for word in self.at.keywords} if self.at else {}
        names = [field.name for field in fields(made)] if not isinstance(made, Drop) else []
        given = self.at.args if self.at else []
        self.given = dict(zip(names, given, strict=False))

    def value(self, name: str) -> ast.expr | None:
        """Return the syntax of an argument."""
        word = self.keywords.get(name)
        return word.value if word else self.given.get(name)

    def key(self, name: str) -> TextNode:
        """Return the word of the language for an argument; it stands where the argument does."""
        word = self.keywords.get(name)
        span = self.places.key(word) if word else self.span_of(name)
        return TextNode(_KEYS.get(name, name), span)

    def span_of(self, name: str) -> Span:
        """Return where an argument stands, or the call."""
        value = self.value(name)
        return self.places.span(value) if value else self.span


class Calls:
    """Reads the declarations of one module."""

    def __init__(self, classes: Classes, findings: Findings) -> None:
        self.classes, self.places, self.findings = classes, classes.places, findings
        self.sites = {id(made): site for made, site in Declared.made}
        self.read: set[int] = set()

    def sections(self) -> dict[str, list[Entry]]:
        """Return what this module declares, by section, in the order it was made."""
        found: dict[str, list[Entry]] = {}
        for made, _ in self.classes.module.made:
            if section := SECTIONS.get(type(made)):
                found.setdefault(section, []).append(self.entry(made))
        return found

    def refuse_unread(self) -> None:
        """Refuse what was made and is part of nothing, like a state that no machine has."""
        for made, _ in self.classes.module.made:
            if id(made) not in self.read and not isinstance(made, Package):
                call = self.call(made)
                message = f"this {type(made).__name__} is part of nothing"
                self.findings.add("E0112", message, call.span, help="use it, or take it out")

    def call(self, made: Declared) -> Call:
        """Return a declaration with the place it was made at."""
        self.read.add(id(made))
        return Call(made, self.sites.get(id(made)), self.classes)

    def entry(self, made: Declared) -> Entry:
        """Return a name and what is declared under it."""
        call = self.call(made)
        name = self.text(call, "name")
        if isinstance(made, Handler):
            return name, self.node(call, "events", made.events)
        return name, self.map(call, head=name.span)

    def map(self, call: Call, head: Span | None = None) -> MapNode:
        """Return the arguments of a call that say something, as a map."""
        entries: list[Entry] = []
        for field in fields(call.made):
            value: object = getattr(call.made, field.name)
            if value is not None and field.name not in _ELSEWHERE:
                key = call.key(field.name)
                entries.append((key, headed(self.node(call, field.name, value), key.span)))
        return MapNode(tuple(entries), call.span, head or call.span)

    def text(self, call: Call, name: str) -> TextNode:
        """Return the node of an argument that is text."""
        value: object = getattr(call.made, name)
        node = self.places.data(value, call.value(name), call.span)
        return node if isinstance(node, TextNode) else TextNode("?", node.span)

    def node(self, call: Call, name: str, value: object) -> Node:
        """Return the node of one argument."""
        at, span = call.value(name), call.span_of(name)
        if isinstance(value, Deny):
            return self.map(self.call(value))
        if name == "python" and is_map(value):
            return self._codes(value, at, span)
        if name in ("states", "moves"):
            return self._named(value, State if name == "states" else Move, span)
        if (name == "data" and isinstance(call.made, State)) or name == "state":
            return self._fields(value, at, span)
        return self._reference(value, at, span)

    def _codes(self, value: Mapping[object, object], at: ast.expr | None, span: Span) -> MapNode:
        for key in doubles(at):
            where = self.places.span(key)
            hint = "a code has one message: name the other case otherwise"
            self.findings.add("E0517", "this code stands twice", where, help=hint)
        return self.places.map(value, at, span)

    def _reference(self, value: object, at: ast.expr | None, span: Span) -> Node:
        """Return data in which events, contexts and gates stand for their names."""
        span = self.places.span(at) if at else span
        if value is Python:
            return TextNode(PYTHON, span)
        if isinstance(value, Gate):
            return self.places.plain(str(value.name), span)
        if is_class(value) and issubclass(value, Event | Context):
            return self._class(value, span)
        if is_list(value):
            inner = at.elts if isinstance(at, ast.List | ast.Tuple) else []
            places = inner if len(inner) == len(value) else [None] * len(value)
            pairs = zip(value, places, strict=True)
            return SeqNode(tuple(self._reference(one, place, span) for one, place in pairs), span)
        return self.places.data(value, at, span)

    def _class(self, value: type, span: Span) -> TextNode:
        name = self.classes.called(value)
        if name is None:
            message = f"`{value.__name__}` belongs to no schema"
            hint = f"python_schemas names the modules; {value.__module__} is none of them"
            self.findings.add("E0302", message, span, help=hint)
        return TextNode(name or "X", span)

    def _named(self, value: object, of: type[State | Move], span: Span) -> Node:
        """Return states or moves under their names."""
        if not is_list(value):
            self.findings.add("E0106", "this must be a list", span, help="put it in [ ]")
            return MapNode((), span)
        entries = [self.entry(one) for one in value if isinstance(one, of)]
        if len(entries) < len(value):
            self.findings.add("E0106", f"only {of.__name__}(…) stands here", span)
        return MapNode(tuple(entries), span)

    def _fields(self, value: object, at: ast.expr | None, span: Span) -> Node:
        """Return fields that are written as a map from names to annotations."""
        if not is_map(value):
            self.findings.add("E0106", "this must be a map of fields", span, help='{"name": type}')
            return MapNode((), span)
        self.places.refuse_doubles(at)
        pairs: Iterable[tuple[ast.expr | None, ast.expr | None]]
        is_plain = isinstance(at, ast.Dict) and len(at.keys) == len(value) and None not in at.keys
        pairs = (
            zip(at.keys, at.values, strict=True) if is_plain and isinstance(at, ast.Dict) else ()
        )
        places = list(pairs) or [(None, None)] * len(value)
        entries: list[Entry] = []
        for (name, hint), (key_at, hint_at) in zip(value.items(), places, strict=True):
            place = hint_at or at or ast.Pass()
            key = self.places.text(str(name), key_at, span)
            entries.append((key, self._field(hint, place, span)))
        return MapNode(tuple(entries), span)

    def _field(self, hint: object, at: ast.AST, span: Span) -> Node:
        place = at if isinstance(at, ast.expr) else ast.Constant(None)
        try:
            info = FieldInfo.from_annotation(hint)  # type: ignore[arg-type]  # judged by field()
        except Exception as error:  # noqa: BLE001  whatever stands there, it is no annotation
            self.findings.add("E0301", f"this is not an annotation: {error}", span)
            return TextNode("string", span)
        return self.classes.field(hint, info, at, place)

    def event(self, cls: type[Event], at: ast.ClassDef) -> list[Entry]:
        """Return what the keywords of an event say."""
        words = {word.arg: word for word in at.keywords}
        entries: list[Entry] = []
        for name, value in cls.__given__.items():
            if value is None:
                continue
            word = words.get(name)
            span = self.places.key(word) if word else self.places.name(at)
            place = word.value if word else None
            key = TextNode(name, span)
            if name == "upcasts" and is_map(value):
                entries.append((key, self._hops(value, place, span)))
            else:
                entries.append((key, self.places.data(value, place, span)))
        return entries

    def _hops(self, value: Mapping[object, object], at: ast.expr | None, span: Span) -> MapNode:
        span = self.places.span(at) if at else span
        self.places.refuse_doubles(at)
        is_plain = isinstance(at, ast.Dict) and len(at.keys) == len(value)
        places = at.values if is_plain and isinstance(at, ast.Dict) else [None] * len(value)
        keys = at.keys if is_plain and isinstance(at, ast.Dict) else [None] * len(value)
        entries: list[Entry] = []
        for (version, steps), key_at, steps_at in zip(value.items(), keys, places, strict=True):
            key = self.places.plain(str(version), self.places.span(key_at) if key_at else span)
            entries.append((key, self._steps(steps, steps_at, span)))
        return MapNode(tuple(entries), span)

    def _steps(self, value: object, at: ast.expr | None, span: Span) -> Node:
        span = self.places.span(at) if at else span
        if not is_list(value):
            return self._reference(value, at, span)
        return SeqNode(tuple(self._step(step, span) for step in value), span)

    def _step(self, step: object, span: Span) -> Node:
        if not isinstance(step, Rename | Add | Drop | Wrap | Cast | MapEnum):
            self.findings.add("E0106", "this is not a step", span, help="Rename, Add, Drop, …")
            return TextNode(PYTHON, span)
        call = self.call(step)
        if isinstance(step, Drop):
            given = call.at.args if call.at else []
            places = given if len(given) == len(step.fields) else [None] * len(step.fields)
            pairs = zip(step.fields, places, strict=True)
            items = tuple(self.places.data(name, at, call.span) for name, at in pairs)
            return self._word("drop", call, SeqNode(items, call.span))
        first, second = (field.name for field in fields(step))
        key = self.text(call, first)
        value = self.places.data(getattr(step, second), call.value(second), call.span)
        word = "map_enum" if isinstance(step, MapEnum) else type(step).__name__.lower()
        inner = MapNode(((key, headed(value, key.span)),), call.span, call.span)
        return self._word(word, call, inner)

    def _word(self, word: str, call: Call, node: Node) -> MapNode:
        return MapNode(((TextNode(word, call.span), node),), call.span)
