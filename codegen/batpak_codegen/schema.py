"""The language in Python: what a schema module imports to declare a package.

A module declares one package. It is loaded only if `[tool.batpak] python_schemas` names it, and its
classes and objects become the very nodes that a YAML file would have given; whatever a check finds
points at the line here. Nothing in this module checks anything: that is the compiler's business.
How to write one: docs/how-to/write-schemas-in-python.md.
"""

from __future__ import annotations

import enum
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import (
    TYPE_CHECKING,
    ClassVar,
    Literal,
    Required,
    TypeAlias,
    TypedDict,
    dataclass_transform,
)
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override  # pydantic brings it

__all__ = [
    "Add",
    "Cast",
    "Context",
    "Deny",
    "Drop",
    "Event",
    "Example",
    "Gate",
    "Handler",
    "Id",
    "Machine",
    "MapEnum",
    "Move",
    "OpenEnum",
    "Package",
    "Policy",
    "Projection",
    "Python",
    "Rename",
    "State",
    "Struct",
    "Timestamp",
    "Width",
    "Wire",
    "Wrap",
]

Timestamp: TypeAlias = AwareDatetime
"""A point in time: an aware `datetime`, stored in UTC."""

Literals: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, eq=False)  # of equal parts, Python makes one `Annotated` out of two
class Width:
    """Beside an `int`: how wide it is. `Annotated[int, Width("i32")]`; without one, 64 bits."""

    name: Literal["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"]


@dataclass(frozen=True, eq=False)
class Wire:
    """Beside any type: the stored key, where the field cannot have its name."""

    name: str


class _Model(BaseModel):
    """Fields are collected, validators are built only if somebody makes a value."""

    model_config = ConfigDict(defer_build=True, protected_namespaces=(), frozen=True)


class Struct(_Model):
    """A struct: its fields in this order. A `Literal` field is the tag of a union."""


class Context(_Model):
    """What gates may look at besides state and event. It is never stored."""


if TYPE_CHECKING:  # checkers look at class keywords only where there is no metaclass

    @dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
    class _Keyed: ...
else:
    _Keyed = _Model


class Event(_Keyed):
    """An event. Its keywords are the keys it would have in YAML."""

    __given__: ClassVar[Mapping[str, object]]

    @override
    def __init_subclass__(
        cls,
        *,
        id: int,
        category: int | None = None,
        version: int | None = None,
        deprecated: str | None = None,
        reserved: Sequence[str] = (),
        upcasts: Mapping[int, Sequence[Step] | type[Python]] | None = None,
    ) -> None:
        super().__init_subclass__()
        cls.__given__ = {
            "id": id,
            "category": category,
            "version": version,
            "deprecated": deprecated,
            "reserved": reserved or None,
            "upcasts": upcasts,
        }


class Id(UUID):
    """A UUID of one kind of thing: `class OrderId(Id, prefix="order"): ...`."""

    __prefix__: ClassVar[str]

    @override
    def __init_subclass__(cls, *, prefix: str) -> None:
        super().__init_subclass__()
        cls.__prefix__ = prefix

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_made(cls), handler(UUID))


def _made(cls: type[Id]) -> core_schema.NoInfoValidatorFunction:
    return lambda value: cls(int=value.int)


class OpenEnum(enum.Enum):
    """An enum that may grow: readers survive a stored value that they do not know."""


class Python:
    """Stands where code of yours decides: `upcasts={2: Python}`, `evolve=Python`."""


@dataclass(frozen=True)
class Site:
    """Where a call stands; lines from 1, columns in bytes from 0, as `ast` counts them."""

    module: str
    line: int | None
    end_line: int | None
    column: int | None
    end_column: int | None


@dataclass(frozen=True, eq=False)
class Declared:
    """Something that is declared by calling it. It remembers where."""

    made: ClassVar[list[tuple[Declared, Site]]] = []

    def __post_init__(self) -> None:
        here = inspect.currentframe()
        init = here.f_back if here else None
        caller = init.f_back if init else None  # of the generated __init__
        if caller:
            positions = islice(caller.f_code.co_positions(), caller.f_lasti // 2, None)
            module = str(caller.f_globals.get("__name__"))
            Declared.made.append((self, Site(module, *next(positions))))


@dataclass(frozen=True, eq=False)
class Package(Declared):
    """The package that this module declares; the module's docstring is its `doc`.

    What the module imports from other schema modules, the package imports from their packages.
    """

    name: str
    category: int | None = None
    retired: Mapping[int, str] | None = None


@dataclass(frozen=True, eq=False)
class Rename(Declared):
    """The same value, under a new name."""

    old: str
    new: str


@dataclass(frozen=True, eq=False)
class Add(Declared):
    """A field that old events do not have, and the value they get."""

    field: str
    value: object


@dataclass(frozen=True, eq=False, init=False)
class Drop(Declared):
    """Fields that are not there any more."""

    fields: tuple[str, ...]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", fields)
        self.__post_init__()


@dataclass(frozen=True, eq=False)
class Wrap(Declared):
    """A value becomes the struct whose field `into` holds it."""

    field: str
    into: str


@dataclass(frozen=True, eq=False)
class Cast(Declared):
    """A value becomes one of a wider type, in the words of the language: `i64`, `string`."""

    field: str
    type: str


@dataclass(frozen=True, eq=False)
class MapEnum(Declared):
    """Members of an enum become others; every old one is named."""

    field: str
    members: Mapping[str, str]


Step: TypeAlias = Rename | Add | Drop | Wrap | Cast | MapEnum


@dataclass(frozen=True, eq=False)
class Deny(Declared):
    """What a gate says when it does not permit."""

    code: str
    message: str


class Example(TypedDict, total=False):
    """What a gate does with these values: `permit`, or the code of its denial."""

    expect: Required[str]
    event: Literals
    state: Literals
    ctx: Literals


@dataclass(frozen=True, eq=False)
class Gate(Declared):
    """A gate: the condition `require` with its `deny`, or `python` with its codes."""

    name: str
    event: type[Event]
    machine: str | None = None
    context: type[Context] | None = None
    require: str | None = None
    deny: Deny | None = None
    python: Mapping[str, str] | None = None
    examples: Sequence[Example] | None = None
    doc: str | None = None


@dataclass(frozen=True, eq=False)
class Policy(Declared):
    """Gates for an event outside machines."""

    name: str
    event: type[Event]
    gates: Sequence[Gate]
    doc: str | None = None


@dataclass(frozen=True, eq=False)
class State(Declared):
    """A state; `data` maps field names to annotations: `{"total": Money}`."""

    name: str
    initial: bool | None = None
    final: bool | None = None
    extends: str | None = None
    data: Mapping[str, object] | None = None
    doc: str | None = None


@dataclass(frozen=True, eq=False)
class Move(Declared):
    """A move between states: name, from, to, event."""

    name: str
    source: str | Sequence[str]
    to: str
    event: type[Event]
    gates: Sequence[Gate] | None = None
    set: Mapping[str, str] | None = None
    evolve: type[Python] | None = None
    doc: str | None = None


@dataclass(frozen=True, eq=False)
class Machine(Declared):
    """A machine; `entity` is the template of its coordinate."""

    name: str
    entity: str
    states: Sequence[State]
    moves: Sequence[Move]
    scope: str | None = None
    doc: str | None = None


@dataclass(frozen=True, eq=False)
class Handler(Declared):
    """A group of events that are handled together; "all" is every event of the package."""

    name: str
    events: Sequence[type[Event]] | Literal["all"]


@dataclass(frozen=True, eq=False)
class Projection(Declared):
    """A fold over events; `state` maps field names to annotations."""

    name: str
    events: Sequence[type[Event]] | Literal["all"]
    state: Mapping[str, object]
    version: int | None = None
    doc: str | None = None
