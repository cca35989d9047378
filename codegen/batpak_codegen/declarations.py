"""The language as Pydantic models: the keys and slots of one file, every leaf with its position.

Values stay nodes; what a name refers to is `link`'s business. A value that cannot fill its slot
is reported to the Findings that are the context of the validation, and its Diagnostic takes its
place: no model accepts one, so Pydantic goes on to the other slots and makes no model in the end.
Its own wording is never seen.

Checked here: unknown and missing keys, what kind of node stands where, whole numbers and
booleans, the spelling of every declared name, names declared twice, stored values of enums.
The language: docs/reference/schema-language.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from batpak_codegen import names
from batpak_codegen.diagnostic import Diagnostic, Findings, Place, Span, did_you_mean, quoted
from batpak_codegen.nodes import MapNode, Node, SeqNode, TextNode

X = TypeVar("X")
Reader: TypeAlias = Callable[[object, ValidationInfo], object]

LANGUAGE_VERSION = 1
UNKNOWN_KEYS_MAX = 20  # reported per map; more of them are one mistake
ENUM_VALUE_BYTES_MAX = 128
INT_BITS_MAX = 64


class Int(msgspec.Struct, frozen=True):
    """A whole number: `12`, `1_000`, `0x2`."""

    value: int
    span: Span


class Bool(msgspec.Struct, frozen=True):
    """A plain `true` or `false`."""

    value: bool
    span: Span


_INT = re.compile(r"(?P<hex>0x[0-9a-fA-F]+)|[+-]?(0|[1-9][0-9_]*)")


def _refuse(
    info: ValidationInfo,
    code: str,
    message: str,
    span: Span,
    hint: str | None = None,
    also: tuple[Place, ...] = (),
) -> Diagnostic:
    """Report what cannot fill its slot, and return what takes its place there."""
    diagnostic = Diagnostic(code, message, span, hint, also)
    if isinstance(info.context, Findings):
        info.context.put(diagnostic)
    return diagnostic


def _misfit(info: ValidationInfo, node: Node, wanted: str, hint: str | None = None) -> Diagnostic:
    kind = {MapNode: "a map", SeqNode: "a list", TextNode: "text"}[type(node)]
    return _refuse(info, "E0106", f"this must be {wanted}, not {kind}", node.span, hint)


def _not(node: TextNode, wanted: str) -> str:
    is_ = "in quotes is text," if node.style else "is"
    return f"{quoted(node.value)} {is_} not {wanted}"


def _text(node: object, info: ValidationInfo) -> object:
    hint = "put quotes around it, if it is text"
    return _misfit(info, node, "text", hint) if isinstance(node, MapNode | SeqNode) else node


def _int(node: object, info: ValidationInfo) -> object:
    if isinstance(node, MapNode | SeqNode):
        return _misfit(info, node, "a whole number")
    if not isinstance(node, TextNode):
        return node
    number = whole_number(node.value)
    if node.style or number is None:
        hint = "write it like 12, -3, 1_000 or 0x2f; a leading 0 is not octal"
        return _refuse(info, "E0106", _not(node, "a whole number"), node.span, hint)
    if number.bit_length() > INT_BITS_MAX:
        return _refuse(info, "E0106", "this number has more than 64 bits", node.span)
    return Int(number, node.span)


def _number(text: str) -> str | None:
    """Keys of `retired`: numbers, as `whole_number` reads them."""
    return None if whole_number(text) is not None else "this is a number like 0x006"


def whole_number(text: str) -> int | None:
    """The whole number that a plain text is, or None."""
    match = _INT.fullmatch(text) if len(text) <= INT_BITS_MAX else None
    if not match:
        return None
    return int(text, 16) if match["hex"] else int(text.replace("_", ""))


def _bool(node: object, info: ValidationInfo) -> object:
    if isinstance(node, MapNode | SeqNode):
        return _misfit(info, node, "true or false")
    if not isinstance(node, TextNode):
        return node
    if node.style or node.value not in ("true", "false"):
        return _refuse(info, "E0106", _not(node, "true or false"), node.span)
    return Bool(node.value == "true", node.span)


def _list(node: object, info: ValidationInfo) -> object:
    if isinstance(node, TextNode):
        hint = f"write [{node.value}]" if names.REFERENCE.fullmatch(node.value) else None
        return _misfit(info, node, "a list", hint)
    if isinstance(node, MapNode):
        return _misfit(info, node, "a list")
    return node.items if isinstance(node, SeqNode) else node


def _one_or_list(node: object, info: ValidationInfo) -> object:
    return (node,) if isinstance(node, TextNode) else _list(node, info)


def _named(rule: names.Rule) -> Reader:
    """Return a reader of text that must follow the rule of some kind of name."""

    def read(node: object, info: ValidationInfo) -> object:
        if isinstance(node, TextNode) and (problem := rule(node.value)):
            return _refuse(info, "E0201", f"bad name {quoted(node.value)}", node.span, problem)
        return _text(node, info)

    return read


def _import(node: object, info: ValidationInfo) -> object:
    if isinstance(node, TextNode):
        package, as_, alias = node.value.partition(" as ")
        if names.package(package) or (as_ and names.lower_name(alias)):
            message = f"bad import {quoted(node.value)}"
            hint = "write shop.common or shop.common as sc"
            return _refuse(info, "E0201", message, node.span, hint)
    return _text(node, info)


def _entries(rule: names.Rule) -> Reader:
    """Return a reader of a map from declared names to what they stand for, in declared order."""

    def read(node: object, info: ValidationInfo) -> object:
        if isinstance(node, TextNode | SeqNode):
            return _misfit(info, node, "a map", "an empty one is {}")
        return tuple(_pairs(node, rule, info)) if isinstance(node, MapNode) else node

    return read


def _pairs(node: MapNode, rule: names.Rule, info: ValidationInfo) -> Iterator[tuple[object, Node]]:
    first: dict[str, TextNode] = {}
    for key, value in node.entries:
        other = first.setdefault(key.value.casefold(), key)
        yield _declared(key, rule, other, info), value


def _declared(key: TextNode, rule: names.Rule, other: TextNode, info: ValidationInfo) -> object:
    if problem := rule(key.value):
        return _refuse(info, "E0201", f"bad name {quoted(key.value)}", key.span, problem)
    if other is not key:
        message = f"name {quoted(key.value)} is taken"
        hint = "names may not differ in case only: their module names would be the same"
        return _refuse(info, "E0202", message, key.span, hint, (Place(other.span, other.value),))
    if rule in (names.field_name, names.move_name) and names.hides_a_type(key.value):
        noun = "field" if rule is names.field_name else "move"
        message = f"a {noun} may not be called {quoted(key.value)}"
        hint = "the generated annotations use that word; choose another name"
        return _refuse(info, "E0313", message, key.span, hint)
    return key


def _members(node: object, info: ValidationInfo) -> object:
    """Read the members of an enum; the stored texts are checked here because they are final."""
    if not isinstance(node, MapNode):
        return _entries(names.member_name)(node, info)
    if not node.entries:
        return _refuse(info, "E0106", "an enum has at least one member", node.span)
    first: dict[str, TextNode] = {}
    pairs = _pairs(node, names.member_name, info)
    return tuple((key, _stored(value, first, info)) for key, value in pairs)


def _stored(value: Node, first: dict[str, TextNode], info: ValidationInfo) -> object:
    if not isinstance(value, TextNode):
        return value
    text = value.value
    if not text or not text.isprintable() or len(text.encode()) > ENUM_VALUE_BYTES_MAX:
        message = "a stored value is 1 to 128 bytes of printable text"
        return _refuse(info, "E0106", message, value.span)
    other = first.setdefault(text, value)
    if other is not value:
        message = f"stored value {quoted(text)} is used twice"
        return _refuse(info, "E0309", message, value.span, also=(Place(other.span, text),))
    return value


Text: TypeAlias = Annotated[TextNode, BeforeValidator(_text)]
WholeNumber: TypeAlias = Annotated[Int, BeforeValidator(_int)]
Flag: TypeAlias = Annotated[Bool, BeforeValidator(_bool)]
Entries: TypeAlias = tuple[tuple[TextNode, X], ...]


class Declaration(BaseModel):
    """A map with known keys. `span` is the whole of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    span: Span

    @model_validator(mode="before")
    @classmethod
    def read(cls, node: object, info: ValidationInfo) -> object:
        """Turn a node into what fills the slots; anything but a node passes as it is."""
        if isinstance(node, MapNode):
            return _slots(cls, node, info)
        if isinstance(node, TextNode | SeqNode):
            return _misfit(info, node, "a map", "an empty one is {}")
        return node


@cache
def _keys(of: type[Declaration]) -> Mapping[str, tuple[str, bool]]:
    """Return key in the file → name of the attribute, and whether it must be there."""
    return {
        name.rstrip("_"): (name, field.is_required())
        for name, field in of.model_fields.items()
        if name not in ("span", "path")
    }


def _slots(
    of: type[Declaration], node: MapNode, info: ValidationInfo, beside: Sequence[str] = ()
) -> dict[str, object]:
    """Return what fills the slots of `of`; unknown and missing keys are reported.

    `beside` are keys that were taken out of `node` before; they are named in hints.
    """
    known = _keys(of)
    slots: dict[str, object] = {"span": node.span}
    strangers: list[TextNode] = []
    for key, value in node.entries:
        if key.value in known:
            slots[known[key.value][0]] = value
        elif not key.value.startswith("x-"):
            strangers.append(key)
    for key in strangers[:UNKNOWN_KEYS_MAX]:
        slots[f"unknown {key.value}"] = _unknown(key, [*beside, *known], info)
    for key_text, (name, is_required) in known.items():
        if is_required and name not in slots:
            slots[name] = _missing(f"missing key {quoted(key_text)}", node, info)
    return slots


def _missing(message: str, node: MapNode, info: ValidationInfo) -> Diagnostic:
    span = node.span
    start = Span(span.path, span.line, span.column, span.line, span.column + 1)
    return _refuse(info, "E0109", message, node.head or start)


def _unknown(key: TextNode, known: Sequence[str], info: ValidationInfo) -> Diagnostic:
    hint = did_you_mean(key.value, known) or f"keys here: {', '.join(known)}"
    return _refuse(info, "E0108", f"unknown key {quoted(key.value)}", key.span, hint)


class FieldDecl(Declaration):
    """A field, or the target of an alias: its type as text, and options."""

    type: Text
    doc: Text | None = None
    default: Text | None = None
    wire: Annotated[TextNode, BeforeValidator(_named(names.stored_key))] | None = None
    ge: Text | None = None
    gt: Text | None = None
    le: Text | None = None
    lt: Text | None = None
    min_length: WholeNumber | None = None
    max_length: WholeNumber | None = None
    pattern: Text | None = None
    precision: WholeNumber | None = None
    scale: WholeNumber | None = None


_FIELD_ONLY = ("type", "doc", "default", "wire")  # what an alias does not have


def _field(node: object, info: ValidationInfo) -> object:
    """Text alone is the type."""
    if isinstance(node, TextNode):
        return {"span": node.span, "type": node}
    if isinstance(node, SeqNode):
        return _misfit(info, node, "a type or a map with `type`", "a list of text is list<string>")
    return node


Field: TypeAlias = Annotated[FieldDecl, BeforeValidator(_field)]
Fields: TypeAlias = Annotated[Entries[Field], BeforeValidator(_entries(names.field_name))]


class TypeDecl(Declaration):
    """One named type: exactly one of KINDS_OF_TYPE is not None. `tag` is that of a union."""

    doc: Text | None = None
    alias: FieldDecl | None = None
    struct: Fields | None = None
    enum: Annotated[Entries[Text], BeforeValidator(_members)] | None = None
    open: Flag | None = None
    union: Annotated[Entries[Text], BeforeValidator(_entries(names.union_tag))] | None = None
    tag: Annotated[TextNode, BeforeValidator(_named(names.stored_key))] | None = None
    id: Annotated[TextNode, BeforeValidator(_named(names.id_prefix))] | None = None


KINDS_OF_TYPE = ("alias", "struct", "enum", "union", "id")
_BESIDE = {"open": "enum", "tag": "union"}


def _type(node: object, info: ValidationInfo) -> object:
    """Check that a type is of one kind, and gather the options of an alias."""
    if not isinstance(node, MapNode):
        return node
    kinds = [key for key, _ in node.entries if key.value in KINDS_OF_TYPE]
    options: Sequence[str] = ()
    if any(key.value == "alias" for key in kinds):
        options = [key for key in _keys(FieldDecl) if key not in _FIELD_ONLY]
        node = _gather_alias(node, options)
    slots = _slots(TypeDecl, node, info, options)
    hint = "a type has exactly one of alias, struct, enum, union and id"
    for extra in kinds[1:]:
        message = f"{quoted(extra.value)} beside {quoted(kinds[0].value)}"
        slots[f"second {extra.value}"] = _refuse(info, "E0108", message, extra.span, hint)
    if not kinds and not any(name.startswith("unknown ") for name in slots):
        slots["kind"] = _missing("missing key: " + hint, node, info)
    for key, _ in node.entries:
        if (beside := _BESIDE.get(key.value)) and beside not in slots:
            message = f"{quoted(key.value)} belongs to {beside}"
            slots[key.value] = _refuse(info, "E0108", message, key.span)
    if isinstance(struct := slots.get("struct"), MapNode) and not struct.entries:
        message = "a struct has at least one field"
        slots["struct"] = _refuse(info, "E0106", message, struct.span)
    return slots


def _gather_alias(node: MapNode, options: Sequence[str]) -> MapNode:
    """Move the options that stand beside `alias` into it: `alias` is a field without a name."""
    beside = tuple((key, value) for key, value in node.entries if key.value in options)
    others: list[tuple[TextNode, Node]] = []
    for key, value in node.entries:
        if key.value == "alias":
            target = (msgspec.structs.replace(key, value="type"), value)
            others.append((key, MapNode((target, *beside), node.span, key.span)))
        elif key.value not in options:
            others.append((key, value))
    return MapNode(tuple(others), node.span, node.head)


Type: TypeAlias = Annotated[TypeDecl, BeforeValidator(_type)]


FieldName: TypeAlias = Annotated[TextNode, BeforeValidator(_named(names.field_name))]
EventName: TypeAlias = Annotated[TextNode, BeforeValidator(_named(names.class_name))]
Hop: TypeAlias = TextNode | SeqNode | MapNode


class EventDecl(Declaration):
    """An event: its number, its version, its fields in declared order; hops are read later."""

    id: WholeNumber
    category: WholeNumber | None = None
    version: WholeNumber | None = None
    doc: Text | None = None
    deprecated: Text | None = None
    fields: Fields
    upcasts: Annotated[Entries[Hop], BeforeValidator(_entries(names.version))] = ()
    reserved: Annotated[tuple[FieldName, ...], BeforeValidator(_list)] = ()


class StateDecl(Declaration):
    """A state of a machine; `data` is what it has beside the key and what it extends."""

    initial: Flag | None = None
    final: Flag | None = None
    extends: Text | None = None
    data: Fields = ()
    doc: Text | None = None


class MoveDecl(Declaration):
    """A move between states; `gates` in the order they are asked."""

    from_: Annotated[tuple[Text, ...], BeforeValidator(_one_or_list)]
    to: Text
    event: Text
    gates: Annotated[tuple[Text, ...], BeforeValidator(_list)] = ()
    set_: Annotated[Entries[Text], BeforeValidator(_entries(names.field_name))] = ()
    evolve: Text | None = None
    doc: Text | None = None


class MachineDecl(Declaration):
    """A machine; `entity` is the template of its coordinate."""

    entity: Text
    scope: Text | None = None
    states: Annotated[Entries[StateDecl], BeforeValidator(_entries(names.class_name))]
    moves: Annotated[Entries[MoveDecl], BeforeValidator(_entries(names.move_name))]
    doc: Text | None = None


class DenyDecl(Declaration):
    """What a gate says when it does not permit."""

    code: Annotated[TextNode, BeforeValidator(_named(names.denial_code))]
    message: Text


class ExampleDecl(Declaration):
    """What a gate is to say to some values, which are read by the types they stand for."""

    expect: Text
    event: MapNode | None = None
    state: MapNode | None = None
    ctx: MapNode | None = None

    @field_validator("event", "state", "ctx", mode="before")
    @classmethod
    def values(cls, node: object, info: ValidationInfo) -> object:
        """Refuse what is no map; what is in it waits for its type."""
        if isinstance(node, TextNode | SeqNode):
            return _misfit(info, node, "a map", "an empty one is {}")
        return node


class GateDecl(Declaration):
    """A gate: `require` and `deny`, or the codes and messages of a gate written in Python."""

    event: Text
    machine: Text | None = None
    context: Text | None = None
    require: Text | None = None
    deny: DenyDecl | None = None
    python: Annotated[Entries[Text], BeforeValidator(_entries(names.denial_code))] | None = None
    examples: Annotated[tuple[ExampleDecl, ...], BeforeValidator(_list)] = ()
    doc: Text | None = None


class PolicyDecl(Declaration):
    """Gates for an event that is no move of a machine, in the order they are asked."""

    event: Text
    gates: Annotated[tuple[Text, ...], BeforeValidator(_list)]
    doc: Text | None = None


Import: TypeAlias = Annotated[TextNode, BeforeValidator(_import)]
Group: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_one_or_list)]


class SchemaFile(Declaration):
    """One file, which is one package. `path` is as in the spans: relative, with slashes."""

    path: str
    package: Annotated[TextNode, BeforeValidator(_named(names.package))]
    doc: Text | None = None
    category: WholeNumber | None = None
    imports: Annotated[tuple[Import, ...], BeforeValidator(_list)] = ()
    types: Annotated[Entries[Type], BeforeValidator(_entries(names.class_name))] = ()
    events: Annotated[Entries[EventDecl], BeforeValidator(_entries(names.class_name))] = ()
    retired: Annotated[Entries[EventName], BeforeValidator(_entries(_number))] = ()
    machines: Annotated[Entries[MachineDecl], BeforeValidator(_entries(names.class_name))] = ()
    contexts: Annotated[Entries[Fields], BeforeValidator(_entries(names.class_name))] = ()
    gates: Annotated[Entries[GateDecl], BeforeValidator(_entries(names.lower_name))] = ()
    policies: Annotated[Entries[PolicyDecl], BeforeValidator(_entries(names.class_name))] = ()
    handlers: Annotated[Entries[Group], BeforeValidator(_entries(names.class_name))] = ()


def _file(node: object, info: ValidationInfo) -> object:
    """Take out what is about the file itself: the version of the language, `$schema`."""
    if not isinstance(node, MapNode):
        return node
    own = {key.value: value for key, value in node.entries if key.value in ("batpak", "$schema")}
    rest = tuple(entry for entry in node.entries if entry[0].value not in own)
    slots = _slots(SchemaFile, MapNode(rest, node.span), info, ["batpak"])
    if "batpak" not in own:
        slots["batpak"] = _missing("missing key `batpak`", node, info)
    elif not isinstance(version := _int(own["batpak"], info), Int):
        slots["batpak"] = version
    elif version.value != LANGUAGE_VERSION:
        message = f"language version {version.value} is not known"
        slots["batpak"] = _refuse(info, "E0106", message, version.span, "write batpak: 1")
    return {**slots, "path": node.span.path}


_FILE: TypeAdapter[SchemaFile] = TypeAdapter(Annotated[SchemaFile, BeforeValidator(_file)])


def read_file(node: Node, findings: Findings) -> SchemaFile | None:
    """Read the root node of one file; everything wrong with it goes to `findings`.

    Returns:
        The file, or None if anything was found.
    """
    found = len(findings.diagnostics)
    try:
        return _FILE.validate_python(node, context=findings)
    except ValidationError:
        if len(findings.diagnostics) == found:  # refused without a word: a defect of the models
            raise
        return None
