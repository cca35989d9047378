"""What is left of a schema once everything in it is resolved, checked and ordered.

Frozen all the way down and without a position: nothing behind `link` can find an error of the
user's any more, and nothing validates again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

from batpak_codegen.diagnostic import Diagnostic
from batpak_codegen.expr.emit import Condition, Message
from batpak_codegen.hop import Past
from batpak_codegen.types import (
    AliasType,
    EnumType,
    FieldType,
    IdType,
    Scalar,
    StructType,
    UnionType,
)

Named: TypeAlias = AliasType | EnumType | IdType | StructType | UnionType


class TypeDef(Struct, frozen=True):
    """A named type of a package."""

    type: Named
    doc: str | None


class EventDef(Struct, frozen=True):
    """An event."""

    name: str
    category: int
    type_id: int
    version: int
    fields: tuple[FieldType, ...]
    doc: str | None
    deprecated: str | None = None

    @property
    def kind(self) -> int:
        """The number it is stored under."""
        return self.category << 12 | self.type_id


class StateDef(Struct, frozen=True):
    """A state and everything that is known in it; the key comes first."""

    name: str
    initial: bool
    final: bool
    fields: tuple[FieldType, ...]
    doc: str | None


class MoveDef(Struct, frozen=True):
    """A legal move.

    `origins` says for each field of the target: from "event", "state" or "set", which is what
    `sets` computes, in the same order. If the step is left to the user, `is_evolved_by_hand`,
    `origins` has what could be derived and `underived` the rest.
    `context` is what the gates of the move look at besides state and event.
    """

    name: str
    sources: tuple[str, ...]
    target: str
    event: str
    gates: tuple[str, ...]
    origins: tuple[tuple[str, str], ...]
    doc: str | None
    sets: tuple[tuple[str, Condition], ...] = ()
    is_evolved_by_hand: bool = False
    underived: tuple[str, ...] = ()
    context: str | None = None


class Given(Struct, frozen=True):
    """A struct in an example, with the fields that were given; values are as `literal` reads them.

    A list is a tuple, a set a frozenset, a map a dict, a struct another `Given`.
    """

    type: StructType
    fields: Mapping[str, object]


class ExampleDef(Struct, frozen=True):
    """What a gate says to some values: `code` None is a permission. `state` has its state's name.

    Fields that the condition does not read may be missing.
    """

    code: str | None
    ctx: Given | None
    state: Given | None
    event: Given


class GateDef(Struct, frozen=True):
    """A gate as one machine uses it, or a policy; `states` are all states it may be asked in.

    It looks at the state only if it names the `machine`. Without a condition it is asked in
    Python. `denials` are its codes with their messages.
    """

    name: str
    event: str
    machine: str | None
    context: str | None
    states: tuple[str, ...]
    condition: Condition | None
    denials: tuple[tuple[str, Message], ...]
    doc: str | None
    examples: tuple[ExampleDef, ...] = ()


class ContextDef(Struct, frozen=True):
    """What a caller passes to gates; never stored."""

    name: str
    fields: tuple[FieldType, ...]


class PolicyDef(Struct, frozen=True):
    """A gate set for an event that is no move; `gates` in the order they are asked."""

    name: str
    event: str
    context: str | None
    gates: tuple[GateDef, ...]
    doc: str | None


class MachineDef(Struct, frozen=True):
    """A machine. `events` are in the order in which its moves name them first."""

    name: str
    prefix: str
    scope: str
    key: FieldType
    states: tuple[StateDef, ...]
    moves: tuple[MoveDef, ...]
    gates: tuple[GateDef, ...]
    events: tuple[str, ...]
    doc: str | None

    @property
    def initial(self) -> StateDef:
        """The state of an entity before its first event."""
        return next(state for state in self.states if state.initial)

    def handle(self, state: str) -> str:
        """Return the class of an entity in one state: `PlacedOrder`."""
        return state + self.name

    def transition(self, move: str) -> str:
        """Return the name of the type of a move: `TakeBackOrder`."""
        return "".join(word[:1].upper() + word[1:] for word in move.split("_")) + self.name

    def policy(self, move: str) -> str:
        """Return the class of the gates of a move: `TakeBackOrderGates`."""
        return self.transition(move) + "Gates"


class HandlerDef(Struct, frozen=True):
    """Events that are handled together, as (package, name); `noun` says what makes them a group."""

    name: str
    events: tuple[tuple[str, str], ...]
    noun: str = "group"


class ProjectionDef(Struct, frozen=True):
    """A fold of events, as (package, name), into a state; what the fold is, a person writes."""

    name: str
    version: int
    events: tuple[tuple[str, str], ...]
    fields: tuple[FieldType, ...]
    doc: str | None


class HookMethod(Struct, frozen=True):
    """A method that a person writes: `name(parameters) -> result`, types in terms of `h.`."""

    name: str
    parameters: tuple[str, ...]
    result: str
    doc: str | None = None


class HookClass(Struct, frozen=True):
    """A class that a person writes: `Hooks(h.OrdersHooks)`.

    `homes` are the modules from which the base can be imported; the first is the one that `h`
    stands for. A method whose name begins with one of `prefixes` can only be there because a
    schema asked for it. `install` is the function that takes an instance, if there is one.
    """

    name: str
    base: str
    homes: tuple[str, ...]
    methods: tuple[HookMethod, ...]
    prefixes: tuple[str, ...] = ()
    install: str | None = None


class PackageDef(Struct, frozen=True):
    """One package. `parts` is where it goes below the output directory.

    `types` are in declared order, except that what a definition needs comes before it, and
    aliases of built-in types before the first struct.
    `renamed` says what an imported type or event is called here, if not by its own name, because
    another name of this package is the same or nearly so: (package, name) → local name.
    `retired` are kinds that no event may have again, with the names that had them.
    """

    name: str
    path: str
    doc: str | None
    parts: tuple[str, ...]
    types: tuple[TypeDef, ...]
    events: tuple[EventDef, ...]
    machines: tuple[MachineDef, ...]
    renamed: Mapping[tuple[str, str], str]
    retired: tuple[tuple[int, str], ...] = ()
    contexts: tuple[ContextDef, ...] = ()
    policies: tuple[PolicyDef, ...] = ()
    handlers: tuple[HandlerDef, ...] = ()
    projections: tuple[ProjectionDef, ...] = ()

    @property
    def groups(self) -> tuple[HandlerDef, ...]:
        """Every group of events with a union and a handler class: of machines, then declared."""
        machines = (
            HandlerDef(each.name, tuple((self.name, event) for event in each.events), "machine")
            for each in self.machines
        )
        return (*machines, *self.handlers)

    @property
    def listed(self) -> frozenset[tuple[str, str]]:
        """The events, as (package, name), of declared groups and of projections."""
        return listed(self.handlers, self.projections)


def listed(
    handlers: Iterable[HandlerDef], projections: Iterable[ProjectionDef]
) -> frozenset[tuple[str, str]]:
    """Return the events, as (package, name), of some groups and projections."""
    lists = [*(each.events for each in handlers), *(each.events for each in projections)]
    return frozenset(chain.from_iterable(lists))


class Project(Struct, frozen=True):
    """All packages by name; `parts` says of each where it goes below the output directory.

    `warnings` are for the reader of the schema: nothing behind `link` looks at them. `pasts` are
    the former versions of their events, by package. `hooks` says of each what its user's hooks
    file is imported as, should it need one.
    """

    packages: tuple[PackageDef, ...]
    parts: Mapping[str, tuple[str, ...]]
    out_module: str
    system: bool
    warnings: tuple[Diagnostic, ...] = ()
    pasts: Mapping[str, Past] = MappingProxyType({})
    hooks: Mapping[str, str] = MappingProxyType({})


INT_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    **{f"i{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"u{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}


def int_range(scalar: Scalar) -> tuple[int, int]:
    """Return the lowest and the highest value of an integer type with its bounds."""
    low, high = INT_RANGES[scalar.name]
    bounds = scalar.bounds
    lows = [math.ceil(bounds.ge)] if bounds.ge is not None else []
    lows += [math.floor(bounds.gt) + 1] if bounds.gt is not None else []
    highs = [math.floor(bounds.le)] if bounds.le is not None else []
    highs += [math.ceil(bounds.lt) - 1] if bounds.lt is not None else []
    return max([low, *lows]), min([high, *highs])
