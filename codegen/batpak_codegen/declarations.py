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

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, TypeAlias

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
from batpak_codegen.diagnostic import Diagnostic, Findings, Span, did_you_mean, quoted
from batpak_codegen.nodes import MapNode, Node, SeqNode, TextNode
from batpak_codegen.slots import (
    Entries,
    Flag,
    Int,
    Text,
    WholeNumber,
    entries,
    import_line,
    kind_number,
    listed,
    members,
    misfit,
    named,
    one_or_list,
    refuse,
    whole,
)

LANGUAGE_VERSION = 1
UNKNOWN_KEYS_MAX = 20  # reported per map; more of them are one mistake


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
            return misfit(info, node, "a map", "an empty one is {}")
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
    return refuse(info, "E0109", message, node.head or start)


def _unknown(key: TextNode, known: Sequence[str], info: ValidationInfo) -> Diagnostic:
    hint = did_you_mean(key.value, known) or f"keys here: {', '.join(known)}"
    return refuse(info, "E0108", f"unknown key {quoted(key.value)}", key.span, hint)


class FieldDecl(Declaration):
    """A field, or the target of an alias: its type as text, and options."""

    type: Text
    doc: Text | None = None
    default: Text | None = None
    wire: Annotated[TextNode, BeforeValidator(named(names.stored_key))] | None = None
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
        return misfit(info, node, "a type or a map with `type`", "a list of text is list<string>")
    return node


Field: TypeAlias = Annotated[FieldDecl, BeforeValidator(_field)]
Fields: TypeAlias = Annotated[Entries[Field], BeforeValidator(entries(names.field_name))]


class TypeDecl(Declaration):
    """One named type: exactly one of KINDS_OF_TYPE is not None. `tag` is that of a union."""

    doc: Text | None = None
    alias: FieldDecl | None = None
    struct: Fields | None = None
    enum: Annotated[Entries[Text], BeforeValidator(members)] | None = None
    open: Flag | None = None
    union: Annotated[Entries[Text], BeforeValidator(entries(names.union_tag))] | None = None
    tag: Annotated[TextNode, BeforeValidator(named(names.stored_key))] | None = None
    id: Annotated[TextNode, BeforeValidator(named(names.id_prefix))] | None = None


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
        slots[f"second {extra.value}"] = refuse(info, "E0108", message, extra.span, hint)
    if not kinds and not any(name.startswith("unknown ") for name in slots):
        slots["kind"] = _missing("missing key: " + hint, node, info)
    for key, _ in node.entries:
        if (beside := _BESIDE.get(key.value)) and beside not in slots:
            message = f"{quoted(key.value)} belongs to {beside}"
            slots[key.value] = refuse(info, "E0108", message, key.span)
    if isinstance(struct := slots.get("struct"), MapNode) and not struct.entries:
        message = "a struct has at least one field"
        slots["struct"] = refuse(info, "E0106", message, struct.span)
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


FieldName: TypeAlias = Annotated[TextNode, BeforeValidator(named(names.field_name))]
EventName: TypeAlias = Annotated[TextNode, BeforeValidator(named(names.class_name))]
Hop: TypeAlias = TextNode | SeqNode | MapNode


class EventDecl(Declaration):
    """An event: its number, its version, its fields in declared order; hops are read later."""

    id: WholeNumber
    category: WholeNumber | None = None
    version: WholeNumber | None = None
    doc: Text | None = None
    deprecated: Text | None = None
    fields: Fields
    upcasts: Annotated[Entries[Hop], BeforeValidator(entries(names.version))] = ()
    reserved: Annotated[tuple[FieldName, ...], BeforeValidator(listed)] = ()


class StateDecl(Declaration):
    """A state of a machine; `data` is what it has beside the key and what it extends."""

    initial: Flag | None = None
    final: Flag | None = None
    extends: Text | None = None
    data: Fields = ()
    doc: Text | None = None


class MoveDecl(Declaration):
    """A move between states; `gates` in the order they are asked."""

    from_: Annotated[tuple[Text, ...], BeforeValidator(one_or_list)]
    to: Text
    event: Text
    gates: Annotated[tuple[Text, ...], BeforeValidator(listed)] = ()
    set_: Annotated[Entries[Text], BeforeValidator(entries(names.field_name))] = ()
    evolve: Text | None = None
    doc: Text | None = None


class MachineDecl(Declaration):
    """A machine; `entity` is the template of its coordinate."""

    entity: Text
    scope: Text | None = None
    states: Annotated[Entries[StateDecl], BeforeValidator(entries(names.class_name))]
    moves: Annotated[Entries[MoveDecl], BeforeValidator(entries(names.move_name))]
    doc: Text | None = None


class DenyDecl(Declaration):
    """What a gate says when it does not permit."""

    code: Annotated[TextNode, BeforeValidator(named(names.denial_code))]
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
            return misfit(info, node, "a map", "an empty one is {}")
        return node


class GateDecl(Declaration):
    """A gate: `require` and `deny`, or the codes and messages of a gate written in Python."""

    event: Text
    machine: Text | None = None
    context: Text | None = None
    require: Text | None = None
    deny: DenyDecl | None = None
    python: Annotated[Entries[Text], BeforeValidator(entries(names.denial_code))] | None = None
    examples: Annotated[tuple[ExampleDecl, ...], BeforeValidator(listed)] = ()
    doc: Text | None = None


class PolicyDecl(Declaration):
    """Gates for an event that is no move of a machine, in the order they are asked."""

    event: Text
    gates: Annotated[tuple[Text, ...], BeforeValidator(listed)]
    doc: Text | None = None


Group: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(one_or_list)]


class ProjectionDecl(Declaration):
    """A fold of events into a state; `version` goes up when the state means something else."""

    version: WholeNumber | None = None
    events: Group
    state: Fields
    doc: Text | None = None


Import: TypeAlias = Annotated[TextNode, BeforeValidator(import_line)]


class SchemaFile(Declaration):
    """One file, which is one package. `path` is as in the spans: relative, with slashes."""

    path: str
    package: Annotated[TextNode, BeforeValidator(named(names.package))]
    doc: Text | None = None
    category: WholeNumber | None = None
    imports: Annotated[tuple[Import, ...], BeforeValidator(listed)] = ()
    types: Annotated[Entries[Type], BeforeValidator(entries(names.class_name))] = ()
    events: Annotated[Entries[EventDecl], BeforeValidator(entries(names.class_name))] = ()
    retired: Annotated[Entries[EventName], BeforeValidator(entries(kind_number))] = ()
    machines: Annotated[Entries[MachineDecl], BeforeValidator(entries(names.class_name))] = ()
    contexts: Annotated[Entries[Fields], BeforeValidator(entries(names.class_name))] = ()
    gates: Annotated[Entries[GateDecl], BeforeValidator(entries(names.lower_name))] = ()
    policies: Annotated[Entries[PolicyDecl], BeforeValidator(entries(names.class_name))] = ()
    handlers: Annotated[Entries[Group], BeforeValidator(entries(names.class_name))] = ()
    projections: Annotated[Entries[ProjectionDecl], BeforeValidator(entries(names.class_name))] = ()


def _file(node: object, info: ValidationInfo) -> object:
    """Take out what is about the file itself: the version of the language, `$schema`."""
    if not isinstance(node, MapNode):
        return node
    own = {key.value: value for key, value in node.entries if key.value in ("batpak", "$schema")}
    rest = tuple(entry for entry in node.entries if entry[0].value not in own)
    slots = _slots(SchemaFile, MapNode(rest, node.span), info, ["batpak"])
    if "batpak" not in own:
        slots["batpak"] = _missing("missing key `batpak`", node, info)
    elif not isinstance(version := whole(own["batpak"], info), Int):
        slots["batpak"] = version
    elif version.value != LANGUAGE_VERSION:
        message = f"language version {version.value} is not known"
        slots["batpak"] = refuse(info, "E0106", message, version.span, "write batpak: 1")
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
