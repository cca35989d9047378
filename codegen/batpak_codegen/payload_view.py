"""What the templates of types, events, checks and handlers are filled with.

Every value that a template prints is one of the wrappers of `text`; templates lay out and do
not decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from batpak_codegen import names
from batpak_codegen.checks import Checks, article, indented, is_plain, one_of, rows
from batpak_codegen.ir import EventDef, HandlerDef, TypeDef
from batpak_codegen.layout import Call, Chain, declaration, statement
from batpak_codegen.namespace import Namespace, constant
from batpak_codegen.text import Code, Doc, code, doc, ident, python_literal
from batpak_codegen.types import (
    AliasType,
    EnumType,
    FieldType,
    IdType,
    OptionalOf,
    Scalar,
    StructType,
    UnionType,
    bare,
)

STRUCT = ("frozen=True", "kw_only=True")
UNRECOGNIZED = ("UNRECOGNIZED", "\0")  # no stored text has a NUL in it


class Row(Struct, frozen=True):
    """A field or a member, and what is said about it."""

    text: Code
    doc: Doc | None = None


class Item(Struct, frozen=True):
    """A definition in `types`; `gap` is the empty lines before it."""

    gap: Code
    head: Code
    margin: Code
    doc: Doc | None
    rows: tuple[Row, ...] = ()


class Sealed(Struct, frozen=True):
    """What type checkers see of the constructor of an event that is not to be made any more."""

    overload: Code
    deprecated: Code
    head: Code


class EventItem(Struct, frozen=True):
    """An event class."""

    head: Code
    doc: Doc | None
    kind: Code
    version: Code
    rows: tuple[Row, ...]
    deprecated: Code | None
    sealed: Sealed | None


class Union(Struct, frozen=True):
    """The alias for all events of a group."""

    gap: Code
    text: Code
    doc: Doc


class Function(Struct, frozen=True):
    """A generated function."""

    decorator: Code | None
    head: Code
    lines: tuple[Code, ...]


class Handled(Struct, frozen=True):
    """An event as a handler sees it, as a listener passes over it, and as a reactor answers it."""

    name: Code
    method: Code
    head: Code
    ignored: Code
    answered: Code


class Handler(Struct, frozen=True):
    """The handler class of a group, its listener and its reactor."""

    name: Code
    listener: Code
    reactor: Code
    table: Code
    union: Code
    doc: Doc
    kinds: Code
    handles: Code
    dispatch: Code
    answers: Doc
    react: Code
    events: tuple[Handled, ...]


def words(text: str | None, indent: int = 0) -> Doc | None:
    """Return a docstring, if there is something to say."""
    return doc(text, indent) if text else None


def field_rows(space: Namespace, fields: Iterable[FieldType]) -> tuple[Row, ...]:
    """Return the fields of a class."""
    return tuple(
        Row(
            code(
                declaration(
                    f"{ident(field.name)}", space.annotated(field.type), space.stored(field), 4
                )
            ),
            words(field.doc, 4),
        )
        for field in fields
    )


def untracked(fields: Iterable[FieldType]) -> tuple[str, ...]:
    """Return `gc=False` if no field can refer to a container, so that no cycle can exist."""
    for field in fields:
        of = bare(field.type)
        of = bare(of.of) if isinstance(of, OptionalOf) else of
        if not isinstance(of, Scalar | EnumType | IdType):
            return ()
    return ("gc=False",)


def struct_head(name: str, base: str, *options: str) -> Code:
    """Return the first line of a class, wrapped if it is too long."""
    return code(statement("", Call(f"class {ident(name)}(", (base, *options), "):")))


def type_items(space: Namespace, types: Sequence[TypeDef]) -> tuple[Item, ...]:
    """Return the definitions of `types`, with the empty lines that a formatter puts there."""
    items: list[Item] = []
    after = "name"
    for definition in types:
        item, kind = _type_item(space, definition)
        if "class" in (after, kind) and (items or kind == "class"):
            gap = "\n\n"
        else:
            gap = "" if items and after == kind == "id" else "\n"
        items.append(Item(code(gap), *item))
        after = "name" if kind == "id" and definition.doc else kind
    return tuple(items)


def _type_item(
    space: Namespace, definition: TypeDef
) -> tuple[tuple[Code, Code, Doc | None, tuple[Row, ...]], str]:
    type_, name = definition.type, definition.type.name
    if isinstance(type_, IdType):
        space.typing("NewType")
        new = Call("NewType(", (python_literal(name), space.use("uuid", "UUID")))
        made = statement(f"{ident(name)} = ", new)
        return (code(made), code(""), words(definition.doc), ()), "id"
    if isinstance(type_, AliasType):
        space.typing("TypeAlias")
        alias = statement(f"{ident(name)}: TypeAlias = ", space.annotated(type_.of))
        return (code(alias), code(""), words(definition.doc), ()), "alias"
    space.typing("final")
    if isinstance(type_, UnionType):
        space.typing("TypeAlias")
        members = tuple(space.type(member.package, member.name) for member in type_.members)
        alias = statement(f"{ident(name)}: TypeAlias = ", Chain("|", members))
        return (code(alias), code(""), words(definition.doc), ()), "alias"
    if isinstance(type_, EnumType):
        base = space.inner("OpenEnum" if type_.open else "WireEnum")
        given = (*type_.members, UNRECOGNIZED) if type_.open else type_.members
        rows = tuple(Row(code(f"{ident(member)} = {python_literal(of)}")) for member, of in given)
        head = code(f"@final\nclass {ident(name)}({base}):")
        return (head, code("    "), words(definition.doc, 4), rows), "class"
    base = space.use("msgspec", "Struct")
    options = [*STRUCT, *untracked(type_.fields)]
    if type_.tag:
        options.append(f"tag_field={python_literal(type_.tag.key)}")
        options.append(f"tag={python_literal(type_.tag.value)}")
    head = code(f"@final\n{struct_head(name, base, *options)}")
    fields = field_rows(space, type_.fields)
    return (head, code("    "), words(definition.doc, 4), fields), "class"


def event_items(space: Namespace, events: Iterable[EventDef]) -> tuple[EventItem, ...]:
    """Return the classes of `events`."""
    items: list[EventItem] = []
    for event in events:
        space.typing("ClassVar", "final")
        base = space.public("EventPayload")
        kind = space.public("EventKind")
        custom = f"{kind}.custom(0x{event.category:X}, 0x{event.type_id:03X})"
        reserved = f"{kind}.from_wire(0x{event.kind:04X})"
        items.append(
            EventItem(
                struct_head(event.name, base, *STRUCT, *untracked(event.fields)),
                words(_said(event), 4),
                code(reserved if space.project.system else custom),
                code(str(event.version)),
                field_rows(space, event.fields),
                code(python_literal(event.deprecated)) if event.deprecated else None,
                _sealed(space, event) if event.deprecated else None,
            )
        )
    return tuple(items)


def _said(event: EventDef) -> str | None:
    """Return the words of an event, with why it is not to be used."""
    if not event.deprecated:
        return event.doc
    sentence = f"Deprecated: {event.deprecated.rstrip('.')}."
    return f"{event.doc}\n\n{sentence}" if event.doc else sentence


def _sealed(space: Namespace, event: EventDef) -> Sealed:
    """Return the overload that is flagged.

    Checkers ignore a deprecated `__init__` that is no overload, and a class that is deprecated
    would be flagged where it is read as well; so there is a second overload that nobody can call.
    """
    overload = space.unshadowed("typing", "overload", checked=True)
    deprecated = space.unshadowed("typing_extensions", "deprecated", checked=True)
    space.unshadowed("typing", "Never", checked=True)
    given = [
        f"{ident(field.name)}: {space.annotation(field.type)}{space.default(field)}"
        for field in event.fields
    ]
    head = Call("def __init__(", ("self", "*", *given) if given else ("self",), ") -> None: ...")
    reason = Call(f"@{deprecated}(", (python_literal(event.deprecated),))
    return Sealed(
        code(f"@{overload}"),
        code(statement("", reason, indent=8)),
        code(statement("", head, indent=8)),
    )


def event_unions(space: Namespace, groups: Sequence[HandlerDef]) -> tuple[Union, ...]:
    """Return for each group the union of its events."""
    unions: list[Union] = []
    for group in groups:
        space.typing("TypeAlias")
        head = f"{ident(group.name + 'Event')}: TypeAlias = "
        events = tuple(space.event(*event) for event in group.events)
        text = statement(head, Chain("|", events))
        gap = code("\n" if unions or not space.package.events else "\n\n")
        unions.append(Union(gap, code(text), doc(f"The events of {group.noun} {group.name}.")))
    return tuple(unions)


def alias_constants(space: Namespace, checks: Checks, types: Iterable[TypeDef]) -> tuple[Code, ...]:
    """Return for each plain alias the words that say what it is."""
    found: list[Code] = []
    for definition in types:
        type_ = definition.type
        if isinstance(type_, AliasType) and is_plain(type_):
            space.typing("Final")
            value = checks.expected(type_.of)
            found.append(code(f"{ident(constant(type_.name))}: Final = {value}"))
    return tuple(found)


def pattern_constants(checks: Checks) -> tuple[Code, ...]:
    """Return the compiled patterns of one module, once all functions are made."""
    return tuple(map(code, checks.patterns.lines()))


def check_functions(
    space: Namespace, checks: Checks, types: Sequence[TypeDef], events: Iterable[EventDef]
) -> tuple[Function, ...]:
    """Return the predicates of aliases, then checks of structs, unions and events."""
    aliases = [definition.type for definition in types if is_plain(definition.type)]
    structs = [d.type for d in types if isinstance(d.type, StructType)]
    unions = [d.type for d in types if isinstance(d.type, UnionType)]
    return (
        *(_predicate(checks, alias) for alias in aliases if isinstance(alias, AliasType)),
        *(_struct_check(space, checks, struct) for struct in structs),
        *(_union_check(space, union) for union in unions),
        *(_struct_canonical(checks, struct) for struct in structs if checks.has_canonical(struct)),
        *(
            _union_canonical(space, checks, union)
            for union in unions
            if checks.has_canonical(union)
        ),
        *(function for event in events for function in _event_checks(space, checks, event)),
    )


def _predicate(checks: Checks, alias: AliasType) -> Function:
    body = statement("return ", checks.alias(alias), indent=4)
    head = f"def is_{names.snake(alias.name)}(value: object) -> bool:"
    return Function(None, code(head), (code(body),))


def _struct_check(space: Namespace, checks: Checks, struct: StructType) -> Function:
    name = space.near("types", struct.name)
    problems = space.abi("Problems")
    given = name if struct.tag else "object"  # a union asks for the class before it comes here
    head = Call(
        f"def check_{names.snake(name)}(",
        (f"value: {given}", "at: str", f"problems: {problems}"),
        ") -> None:",
    )
    if struct.tag:
        lines = checks.body(struct.name, struct.fields, "{at}")
        return Function(None, code(statement("", head)), tuple(map(code, lines)))
    test = Call(f"{space.abi('is_exactly')}(", ("value", name))
    expected = python_literal(article(struct.name))
    lines = [
        *rows("if not ", test, ":", 4),
        *(
            "    " + row
            for row in rows("", Call("problems.add(", ("at", "value", expected)), "", 8)
        ),
        "    return",
        *checks.body(struct.name, struct.fields, "{at}"),
    ]
    return Function(None, code(statement("", head)), tuple(map(code, lines)))


def _union_check(space: Namespace, union: UnionType) -> Function:
    head = Call(
        f"def check_{names.snake(union.name)}(",
        ("value: object", "at: str", f"problems: {space.abi('Problems')}"),
        ") -> None:",
    )
    lines: list[str] = []
    for member in union.members:
        name = space.near("types", member.name)
        test = Call(f"{space.abi('is_exactly')}(", ("value", name))
        call = Call(f"check_{names.snake(name)}(", ("value", "at", "problems"))
        lines += rows("elif " if lines else "if ", test, ":", 4)
        lines += indented(rows("", call, "", 8))
    add = Call("problems.add(", ("at", "value", python_literal(one_of(union))))
    lines += ["else:", *indented(rows("", add, "", 8))]
    return Function(None, code(statement("", head)), tuple(map(code, lines)))


def _union_canonical(space: Namespace, checks: Checks, union: UnionType) -> Function:
    """Return the function that asks the members which have more than one spelling."""
    name = space.near("types", union.name)
    head = Call(f"def canonical_{names.snake(name)}(", (f"value: {name}",), f") -> {name}:")
    lines: list[str] = []
    for member in union.members:
        if checks.has_canonical(member):
            class_ = space.near("types", member.name)
            lines.append(f"if isinstance(value, {class_}):")
            lines.append(f"    return canonical_{names.snake(class_)}(value)")
    return Function(None, code(statement("", head)), tuple(map(code, [*lines, "return value"])))


def _struct_canonical(checks: Checks, struct: StructType) -> Function:
    head = Call(
        f"def canonical_{names.snake(struct.name)}(",
        (f"value: {struct.name}",),
        f") -> {struct.name}:",
    )
    lines = checks.canonical_lines(struct.fields)
    return Function(None, code(statement("", head)), tuple(map(code, lines)))


def _event_checks(space: Namespace, checks: Checks, event: EventDef) -> list[Function]:
    name = space.near("events", event.name)
    snake = names.snake(name)
    head = Call(
        f"def check_{snake}(",
        (f"value: {name}", f"problems: {space.abi('Problems')}"),
        ") -> None:",
    )
    lines = checks.body(event.name, event.fields, "$")
    lines = lines or ['"""Nothing to check: there are no fields."""']
    decorator = code(f"@{space.abi('check_for')}({name})")
    found = [Function(decorator, code(statement("", head)), tuple(map(code, lines)))]
    if any(checks.has_canonical(field.type) for field in event.fields):
        head = Call(f"def canonical_{snake}(", (f"value: {name}",), f") -> {name}:")
        decorator = code(f"@{space.abi('canonical_for')}({name})")
        lines = checks.canonical_lines(event.fields)
        found.append(Function(decorator, code(statement("", head)), tuple(map(code, lines))))
    return found


def kinds(space: Namespace, events: Sequence[str], indent: int = 4) -> Code:
    """Return the class variable that holds the kinds of some events."""
    space.typing("ClassVar")
    value = Call("{", tuple(f"{event}.KIND" for event in events), "}", display=True)
    head = f"KINDS: ClassVar[frozenset[{space.public('EventKind')}]] = "
    return code(statement(head, Call("frozenset(", (value,)), indent=indent))


def handlers(space: Namespace, groups: Iterable[HandlerDef]) -> tuple[Handler, ...]:
    """Return the handlers, listeners and reactors of some groups."""
    space.use("abc", "ABC")
    space.use("abc", "abstractmethod")
    space.use("collections.abc", "Mapping")
    space.typing("ClassVar", "Final", "Generic", "TypeGuard", "TypeVar", "final")
    stored, _ = space.public("StoredEvent"), space.public("override")
    witness, batch = space.public("AtLeastOnce"), space.public("ReactionBatch")
    answer = (f"out: {batch}", f"witness: {witness} | None", "/")
    space.public("Reactor")
    found: list[Handler] = []
    for group in groups:
        union = space.near("events", f"{group.name}Event")
        events: list[Handled] = []
        for home, name in group.events:
            event = space.event(home, name)
            method = f"on_{names.snake(event)}"
            heads = (
                Call(
                    f"def {method}(", ("self", f"event: {stored}[{event}]", "/"), f") -> {of}: ..."
                )
                for of in ("R_co", "None")
            )
            given = ("self", f"event: {stored}[{event}]", *answer)
            rows_ = (
                code(statement("", head, indent=4))
                for head in (*heads, Call(f"def {method}(", given, ") -> None: ..."))
            )
            events.append(Handled(code(event), code(python_literal(method)), *rows_))
        anything = f"event: {stored}[{space.public('EventPayload')}]"
        guard = f") -> TypeGuard[{stored}[{union}]]:"
        handles = Call("def handles(", (anything, "/"), guard)
        dispatch = Call("def dispatch(", ("self", f"event: {stored}[{union}]", "/"), ") -> R_co:")
        react = Call("def react(", ("self", f"event: {stored}[{union}]", *answer), ") -> None:")
        found.append(
            Handler(
                code(f"{group.name}Handler"),
                code(f"{group.name}Listener"),
                code(f"{group.name}Reactor"),
                code(f"_{constant(group.name)}"),
                code(union),
                doc(f"The events of {group.noun} {group.name}. Mark subclasses @final."),
                kinds(space, [space.event(*event) for event in group.events]),
                code(statement("", handles, indent=4)),
                code(statement("", dispatch, indent=4)),
                doc(f"What follows from {group.noun} {group.name}. Mark subclasses @final."),
                code(statement("", react, indent=4)),
                tuple(events),
            )
        )
    return tuple(found)
