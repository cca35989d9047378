"""Classes and aliases to nodes: structs, enums, ids, unions, contexts, events."""

from __future__ import annotations

import ast
import enum
import inspect
import types
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Struct as Record
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from batpak_codegen.diagnostic import Findings, Span, quoted
from batpak_codegen.nodes import MapNode, Node, TextNode
from batpak_codegen.schema import Context, Event, Id, OpenEnum, Struct
from batpak_codegen.source.python.annotations import (
    FieldRead,
    Refused,
    name_of,
    read_alias,
    read_field,
)
from batpak_codegen.source.python.known import (
    Definition,
    Known,
    SchemaModule,
    is_annotated,
    is_named,
    string_of,
)
from batpak_codegen.source.python.places import SOMEWHERE
from batpak_codegen.source.python.values import is_class

Entry = tuple[TextNode, Node]

_WORDS: Final = {"precision": "max_digits", "scale": "decimal_places", "doc": "description"}
_EVENT_KEYWORDS: Final = frozenset(
    ["id", "category", "version", "deprecated", "reserved", "upcasts"]
)
_NOT_A_FIELD: Final = "a schema class holds fields and nothing else"
TAG: Final = "type"


class Tag(Record, frozen=True):
    """A `Literal` field of a struct: the text that tells it from the others of a union."""

    text: str
    at: Span


class Classes:
    """Reads the definitions of one module. `tags` and `claimed` are of all modules."""

    def __init__(
        self,
        module: SchemaModule,
        known: Known,
        findings: Findings,
        tags: dict[tuple[type, str], Tag],
        claimed: set[tuple[type, str]],
    ) -> None:
        self.module, self.known, self.findings = module, known, findings
        self.places, self.tags, self.claimed = module.places, tags, claimed

    def called(self, value: object) -> str | None:
        """Return how this module calls a definition."""
        return self.known.called(value, self.module.name)

    def type_called(self, value: object) -> str | None:
        """Return how this module calls a type; events and contexts are none."""
        is_type = not (is_class(value) and issubclass(value, Event | Context))
        return self.called(value) if is_type else None

    def key(self, name: str, span: Span) -> TextNode:
        """Return a key of the language, which stands where what it is about stands."""
        return TextNode(name, span)

    def named(self, found: Definition) -> Node | None:
        """Return the entry of `types:` for a definition, or None if it is something else."""
        if not isinstance(found.at, ast.ClassDef):
            return self._alias(found)
        cls, span = found.value, self.places.name(found.at)
        if not isinstance(cls, type) or issubclass(cls, Event | Context):
            return None
        if issubclass(cls, enum.Enum):
            return MapNode((*self._enum(cls, found.at), *self.doc(found.at)), span, span)
        if issubclass(cls, Id):
            return MapNode((*self._id(cls, found.at), *self.doc(found.at)), span, span)
        if issubclass(cls, Struct):
            self._alone(cls, Struct, found.at, frozenset())
            fields = MapNode(self.fields(cls, found.at), span, span)
            return MapNode(((self.key("struct", span), fields), *self.doc(found.at)), span, span)
        hint = "derive it from Struct, Context or Event"
        self.findings.add("E0112", f"`{found.name}` is no class of a schema", span, help=hint)
        return None

    def context(self, found: Definition) -> Node | None:
        """Return the entry of `contexts:` for a definition, or None if it is something else."""
        cls, at = found.value, found.at
        if not isinstance(at, ast.ClassDef) or not isinstance(cls, type):
            return None
        if not issubclass(cls, Context):
            return None
        self._alone(cls, Context, at, frozenset())
        if doc := self.doc(at):
            hint = "contexts have no doc in the language; write a comment"
            self.findings.add("E0112", "this has no place in a schema", doc[0][0].span, help=hint)
        span = self.places.name(at)
        return MapNode(self.fields(cls, at), span, span)

    def event(self, found: Definition) -> tuple[type[Event], ast.ClassDef, list[Entry]] | None:
        """Return an event, and the entries that its fields and its docstring give."""
        cls, at = found.value, found.at
        if not isinstance(at, ast.ClassDef) or not isinstance(cls, type):
            return None
        if not issubclass(cls, Event):
            return None
        self._alone(cls, Event, at, _EVENT_KEYWORDS)
        span = self.places.name(at)
        fields = MapNode(self.fields(cls, at), span, span)
        return cls, at, [(self.key("fields", span), fields), *self.doc(at)]

    def doc(self, at: ast.ClassDef | ast.Module) -> list[Entry]:
        """Return the docstring of a class or module as `doc`."""
        words = ast.get_docstring(at)
        return self.docs(words, at.body[0]) if words else []

    def docs(self, words: str, at: ast.stmt) -> list[Entry]:
        """Return a docstring that stands there as `doc`."""
        span = self.places.span(at)
        cleaned = inspect.cleandoc(words)
        return [(self.key("doc", span), self.places.plain(cleaned, span, SOMEWHERE))]

    def fields(self, cls: type, at: ast.ClassDef) -> tuple[Entry, ...]:
        """Return the fields of a class in declared order; anything else in it is refused."""
        infos = _infos(cls)
        found: list[Entry] = []
        for index, statement in enumerate(at.body):
            before = at.body[index - 1] if index else None
            if _is_silent(statement, is_doc=index == 0 or isinstance(before, ast.AnnAssign)):
                continue
            target = statement.target if isinstance(statement, ast.AnnAssign) else None
            if not isinstance(statement, ast.AnnAssign) or not isinstance(target, ast.Name):
                self._refuse_member(statement)
                continue
            info = infos.get(target.id)
            if info is None or _is_class_variable(statement):
                self._refuse_name(target)
                continue
            hint = self.hint(cls.__annotations__.get(target.id), statement.annotation)
            if hint is None:
                continue
            if get_origin(hint) is Literal:
                self._tag(cls, target.id, self.places.span(statement))
                continue
            key = TextNode(target.id, self.places.span(target))
            doc = string_of(at.body[index + 1] if index + 1 < len(at.body) else None)
            found.append((key, self.field(hint, info, statement, statement.annotation, doc)))
        return tuple(found)

    def hint(self, annotation: object, at: ast.expr) -> object | None:
        """Return an annotation with its names evaluated, or None if that is not possible."""
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            found: object = get_type_hints(
                holder, globalns=dict(self.module.space), include_extras=True
            )["it"]
        except NameError as error:
            names = (node for node in ast.walk(at) if isinstance(node, ast.Name))
            place = next((node for node in names if node.id == error.name), at)
            hint = "import it at the top, not under TYPE_CHECKING, or correct its name"
            message = f"unknown type {quoted(str(error.name))}"
            self.findings.add("E0302", message, self.places.span(place), help=hint)
            return None
        except Exception as error:  # noqa: BLE001  an annotation is code and may raise anything
            message = f"this annotation cannot be evaluated: {error}"
            self.findings.add("E0301", message, self.places.span(at))
            return None
        # get_type_hints makes a new list[T] of each, which is not the one that has a name
        original = self._value(at) if isinstance(found, types.GenericAlias) else None
        return original if original == found else found

    def _value(self, at: ast.AST) -> object:
        """Return what a name of this module stands for, or None if it is no name."""
        if isinstance(at, ast.Name):
            return self.module.space.get(at.id)
        if isinstance(at, ast.Attribute):
            return getattr(self._value(at.value), at.attr, None)
        return None

    def field(
        self,
        hint: object,
        info: FieldInfo,
        at: ast.AST,
        annotation: ast.expr,
        doc: ast.Expr | None = None,
    ) -> Node:
        """Return the node of a field: its type alone, or a map with options."""
        span = self.places.span(annotation)
        try:
            read = read_field(hint, info, self.type_called)
        except Refused as refused:
            return self._refused(refused, at, span)
        options = self._options(read, at, span)
        options += self._field_doc(read, doc)
        if read.default is not PydanticUndefined:
            options.append(self._default(read, at, span))
        return self._typed("type", read, span, options)

    def _typed(self, word: str, read: FieldRead, span: Span, options: list[Entry]) -> Node:
        type_ = TextNode(read.type, span, SOMEWHERE)
        if not options and word == "type":
            return type_
        return MapNode(((self.key(word, span), type_), *options), span)

    def _refused(self, refused: Refused, at: ast.AST, span: Span) -> Node:
        words = [word for word in _keywords(at) if word.arg == refused.word]
        span = self.places.key(words[0]) if len(words) == 1 else span
        self.findings.add(refused.code, refused.message, span, help=refused.way_out)
        return TextNode("string", span, SOMEWHERE)

    def _options(self, read: FieldRead, at: ast.AST, span: Span) -> list[Entry]:
        """Return the options; each stands at the keyword that gave it, if there is only one."""
        keywords = _keywords(at)
        found: list[Entry] = []
        for name, value in read.options.items():
            mine = [word for word in keywords if word.arg == _WORDS.get(name, name)]
            place = mine[0].value if len(mine) == 1 else None
            shown = Decimal(repr(value)) if isinstance(value, float) else value
            node = self.places.data(shown, place, span)
            found.append((self.key(name, self.places.key(mine[0]) if place else span), node))
        return found

    def _field_doc(self, read: FieldRead, doc: ast.Expr | None) -> list[Entry]:
        if doc is None or not isinstance(doc.value, ast.Constant):
            return []
        if "doc" in read.options:
            message = "a docstring beside a description"
            self.findings.add("E0112", message, self.places.span(doc), help="keep one")
            return []
        return self.docs(str(doc.value.value), doc)

    def _default(self, read: FieldRead, at: ast.AST, span: Span) -> Entry:
        value = at.value if isinstance(at, ast.AnnAssign) else None
        if isinstance(value, ast.Call) and (value.args or value.keywords):
            named = [word.value for word in value.keywords if word.arg == "default"]
            is_field = isinstance(value.func, ast.Name | ast.Attribute) and ast.unparse(
                value.func
            ).endswith("Field")
            value = (named or value.args or [value])[0] if is_field else value
        place = self.places.span(value) if value else span
        if not read.default_fits:
            shown = type(read.default).__name__
            message = f"a default of type {shown} for a field of type {read.type}"
            self.findings.add("E0304", message, place)
            return self.key("default", place), TextNode("null", place)
        if read.default in ((), frozenset(), {}):
            return self.key("default", place), TextNode("[]", place, SOMEWHERE)
        return self.key("default", place), self.places.data(read.default, value, span)

    def _alias(self, found: Definition) -> Node | None:
        value = getattr(found.value, "__value__", None) if is_named(found.value) else found.value
        at = found.at
        place = at.value if isinstance(at, ast.Assign | ast.AnnAssign) else None
        span = self.places.span(place or at)
        docs: list[Entry] = []
        if found.doc and isinstance(found.doc.value, ast.Constant):
            docs = self.docs(str(found.doc.value.value), found.doc)
        discriminator, members = union_of(value)
        if members and discriminator is not None:
            return MapNode((*self._union(members, discriminator, span), *docs), span, span)
        try:
            read = read_alias(found.name, value, self.type_called)
        except Refused as refused:
            type_ = self._refused(refused, at, span)
            return MapNode(((self.key("alias", span), type_),), span)
        options = self._options(read, at, span)
        if docs and "doc" in read.options:
            message = "a docstring beside a description"
            self.findings.add("E0112", message, docs[0][0].span, help="keep one")
            docs = []
        return self._typed("alias", read, span, [*options, *docs])

    def _union(self, members: Iterable[object], discriminator: str, span: Span) -> list[Entry]:
        entries: list[Entry] = []
        for cls in members:
            name = self.called(cls)
            tag = self.tags.get((cls, discriminator)) if isinstance(cls, type) else None
            if not isinstance(cls, type) or name is None or tag is None:
                message = f"`{name_of(cls)}` has no Literal field `{discriminator}`"
                hint = f'a member of a union is a Struct with {discriminator}: Literal["…"]'
                self.findings.add("E0307", message, span, help=hint)
                continue
            self.claimed.add((cls, discriminator))
            entries.append((self.places.plain(tag.text, span), TextNode(name, span)))
        found: list[Entry] = [(self.key("union", span), MapNode(tuple(entries), span, span))]
        if discriminator != TAG:
            found.append((self.key("tag", span), TextNode(discriminator, span)))
        return found

    def note_tags(self) -> None:
        """Find the tags of all structs; unions of other modules may come before them."""
        for found in self.module.definitions:
            cls, at = found.value, found.at
            if not isinstance(at, ast.ClassDef) or not isinstance(cls, type):
                continue
            for row in at.body if issubclass(cls, Struct) else ():
                if isinstance(row, ast.AnnAssign) and isinstance(row.target, ast.Name):
                    text = self.known_literal(cls.__annotations__.get(row.target.id))
                    if text is not None:
                        self.tags[cls, row.target.id] = Tag(text, self.places.span(row))

    def known_literal(self, annotation: object) -> str | None:
        """Return the text of `Literal["…"]`, or None if the annotation is anything else."""
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            hint: object = get_type_hints(holder, globalns=dict(self.module.space))["it"]
        except Exception:  # noqa: BLE001  it is reported where the field is read
            return None
        texts = get_args(hint) if get_origin(hint) is Literal else ()
        return texts[0] if len(texts) == 1 and isinstance(texts[0], str) else None

    def _tag(self, cls: type[object], name: str, span: Span) -> None:
        if not issubclass(cls, Struct) or (cls, name) not in self.tags:
            message = "a Literal is the tag of a struct in a union: one text"
            self.findings.add("E0301", message, span, help="write an enum for several values")

    def _enum(self, cls: type[enum.Enum], at: ast.ClassDef) -> list[Entry]:
        span = self.places.name(at)
        members: list[Entry] = []
        values = {name: member.value for name, member in cls.__members__.items()}
        for index, statement in enumerate(at.body):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            if _is_silent(statement, is_doc=index == 0):
                continue
            if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name):
                self._refuse_member(statement, "an enum holds members and nothing else")
                continue
            value, place = values.get(target.id), self.places.span(statement.value)
            if not isinstance(value, str):
                message = f"the value of `{target.id}` is not text"
                self.findings.add("E0106", message, place, help="it is what is stored")
                continue
            name = TextNode(target.id, self.places.span(target))
            members.append((name, self.places.text(str(value), statement.value, place)))
        entries: list[Entry] = [(self.key("enum", span), MapNode(tuple(members), span, span))]
        if issubclass(cls, OpenEnum):
            entries.append((self.key("open", span), TextNode("true", span)))
        return entries

    def _id(self, cls: type[Id], at: ast.ClassDef) -> list[Entry]:
        self._alone(cls, Id, at, frozenset({"prefix"}))
        for index, statement in enumerate(at.body):
            if not _is_silent(statement, is_doc=index == 0):
                self._refuse_member(statement, "an id holds nothing: class OrderId(Id, …): ...")
        value = next((word for word in at.keywords if word.arg == "prefix"), None)
        span = self.places.key(value) if value else self.places.name(at)
        text = self.places.text(cls.__prefix__, value.value if value else None, span)
        return [(self.key("id", span), text)]

    def _alone(self, cls: type, base: type, at: ast.ClassDef, keywords: frozenset[str]) -> None:
        """Refuse inheritance, type parameters, decorators and keywords that mean nothing."""
        span = self.places.name(at)
        if cls.__bases__ != (base,):
            others = ", ".join(other.__name__ for other in cls.__bases__ if other is not base)
            hint = "write its fields out: what is stored has no ancestors"
            message = f"`{cls.__name__}` inherits from {others}"
            self.findings.add("E0112", message, span, help=hint)
        for decorator in at.decorator_list:
            if not ast.unparse(decorator).endswith("final"):
                self.findings.add(
                    "E0112", "a decorator means nothing here", self.places.span(decorator)
                )
        for word in at.keywords:
            if word.arg not in keywords:
                message = f"`{word.arg}` means nothing in a schema"
                self.findings.add("E0112", message, self.places.key(word))

    def _refuse_member(self, at: ast.stmt, hint: str = _NOT_A_FIELD) -> None:
        if isinstance(at, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            message, span = f"`{at.name}` has no place in a schema", self.places.name(at)
        else:
            message, span = "this has no place in a schema", self.places.span(at)
        self.findings.add("E0112", message, span, help=hint)

    def _refuse_name(self, target: ast.Name) -> None:
        message = f"`{target.id}` is no field"
        hint = "a name of a field begins with a letter; class variables have no place in a schema"
        self.findings.add("E0112", message, self.places.span(target), help=hint)


def _keywords(at: ast.AST) -> list[ast.keyword]:
    return [node for node in ast.walk(at) if isinstance(node, ast.keyword)]


def _infos(cls: type) -> dict[str, FieldInfo]:
    return cls.model_fields if issubclass(cls, BaseModel) else {}


def _is_silent(at: ast.stmt, *, is_doc: bool) -> bool:
    """Whether a statement says nothing of its own: `...`, `pass`, a string where a doc stands."""
    if isinstance(at, ast.Expr) and isinstance(at.value, ast.Constant):
        return at.value.value is ... or (is_doc and isinstance(at.value.value, str))
    return isinstance(at, ast.Pass)


def _is_class_variable(at: ast.AnnAssign) -> bool:
    return "ClassVar" in ast.unparse(at.annotation)


def union_of(value: object) -> tuple[str | None, tuple[object, ...]]:
    """Return the discriminator and the members of a union that has one."""
    base, *metadata = get_args(value) if is_annotated(value) else (value,)
    if get_origin(base) not in (Union, types.UnionType):
        return None, ()
    words = [item.discriminator for item in metadata if isinstance(item, FieldInfo)]
    word = next((word for word in words if isinstance(word, str)), None)
    return word, get_args(base)
