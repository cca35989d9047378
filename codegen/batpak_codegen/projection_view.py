"""What the template of projections is filled with: states, and the classes whose folds are left."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from batpak_codegen import names
from batpak_codegen.ir import ProjectionDef
from batpak_codegen.layout import Call, statement
from batpak_codegen.namespace import Namespace, constant
from batpak_codegen.payload_view import STRUCT, Row, field_rows, kinds, struct_head, untracked
from batpak_codegen.text import Code, Doc, code, doc, ident, python_literal
from batpak_codegen.types import FieldType, ListOf, MapOf, SetOf, bare

FINAL = "Mark subclasses @final: then an event that is added is an error there."


class FoldItem(Struct, frozen=True):
    """The method of one event."""

    name: Code
    method: Code
    head: Code


class ProjectionItem(Struct, frozen=True):
    """The state of a projection and its class; `start` is the first state, if it can be told."""

    state_head: Code
    state_doc: Doc
    rows: tuple[Row, ...]
    head: Code
    doc: Doc
    name: Code
    version: Code
    state: Code
    kinds: Code
    start: Code | None
    start_head: Code
    table: Code
    table_head: Code
    apply_head: Code
    result: Code
    folds: tuple[FoldItem, ...]


def state_name(projection: ProjectionDef) -> str:
    """Return the class of what events add up to: `RevenueState`."""
    return f"{projection.name}State"


def class_name(projection: ProjectionDef) -> str:
    """Return the class that a fold extends: `RevenueProjection`."""
    return f"{projection.name}Projection"


def table_name(projection: ProjectionDef) -> str:
    """Return the table of the methods of a projection."""
    return f"_{constant(projection.name)}"


def methods(space: Namespace, projection: ProjectionDef) -> tuple[str, ...]:
    """Return the methods that a fold has, one per event."""
    return tuple(f"on_{names.snake(space.event(*event))}" for event in projection.events)


def has_start(projection: ProjectionDef) -> bool:
    """Whether the first state follows from the fields: all are defaulted, null or containers."""
    return all(field.has_default or _empty(field) is not None for field in projection.fields)


def _empty(field: FieldType) -> str | None:
    """Return what a container without a default begins with."""
    of = bare(field.type)
    if field.has_default or not isinstance(of, ListOf | SetOf | MapOf):
        return None
    return "()" if isinstance(of, ListOf) else "frozenset()" if isinstance(of, SetOf) else "{}"


def projection_items(
    space: Namespace, projections: Iterable[ProjectionDef]
) -> tuple[ProjectionItem, ...]:
    """Return the projections of a package."""
    space.use("abc", "ABC")
    space.use("abc", "abstractmethod")
    space.use("collections.abc", "Mapping")
    space.typing("ClassVar", "Final", "final")
    for name in ("EventKind", "EventPayload", "Projection", "StoredEvent", "override"):
        space.public(name)
    return tuple(_item(space, projection) for projection in projections)


def _item(space: Namespace, projection: ProjectionDef) -> ProjectionItem:
    state, cls = f"{ident(state_name(projection))}", f"{ident(class_name(projection))}"
    struct = space.use("msgspec", "Struct")
    events = [space.event(*event) for event in projection.events]
    given = tuple(
        f"{ident(field.name)}={empty}" for field in projection.fields if (empty := _empty(field))
    )
    start = code(statement("return ", Call(f"{state}(", given), indent=8))
    said = f"{projection.doc}\n\n{FINAL}" if projection.doc else f"{projection.name}. {FINAL}"
    table = f"{table_name(projection)}: Final[Mapping[type[EventPayload], str]] = "
    head = Call("def apply(", ("self", f"state: {state}", _ANY, "/"), f") -> {state}:")
    return ProjectionItem(
        struct_head(state_name(projection), struct, *STRUCT, *untracked(projection.fields)),
        doc(f"What the events of {projection.name} add up to."),
        field_rows(space, projection.fields),
        code(statement("", Call(f"class {cls}(", (f"Projection[{state}]", "ABC"), "):"))),
        doc(said, 4),
        code(python_literal(f"{space.package.name}.{projection.name}")),
        code(str(projection.version)),
        code(f"STATE: ClassVar[type[{struct}] | None] = {state}"),
        kinds(space, events),
        start if has_start(projection) else None,
        code(f"def initial(self) -> {state}:"),
        code(table_name(projection)),
        code(table + "{"),
        code(statement("", head, indent=4)),
        code(f"result: {state} = getattr(self, method)(state, event)"),
        tuple(
            FoldItem(code(event), code(python_literal(method)), _fold(state, event, method))
            for event, method in zip(events, methods(space, projection), strict=True)
        ),
    )


_ANY = "event: StoredEvent[EventPayload]"


def _fold(state: str, event: str, method: str) -> Code:
    given = ("self", f"state: {state}", f"event: StoredEvent[{event}]", "/")
    return code(statement("", Call(f"def {method}(", given, f") -> {state}: ..."), indent=4))
