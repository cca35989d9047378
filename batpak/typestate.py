"""Typestate: what is known of an entity, in a type that has only the moves legal now.

    StateData   what is known in one state; pure data
    Handle      state data, coordinate and version: an entity known to be in one state
    Transition  a legal move, as a value; nothing is stored yet
    Guarded     the same, for a move that needs a receipt from its policy
    Edge        one row of a machine's table, where the rules are

Moves are methods of handles, so a checker refuses a move that is not legal from here. What gets
past the checker, the table of the machine refuses. Reference: docs/reference/typed-domain.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from operator import attrgetter
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    NoReturn,
    Self,
    TypeAlias,
    TypeVar,
    final,
    get_args,
    get_origin,
)
from uuid import UUID

from msgspec import Struct

from batpak.coordinate import Coordinate
from batpak.errors import IllegalTransition
from batpak.event import P, Q_co
from batpak.override import override
from batpak.seal import SEAL, Seal

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Never

_NO_MOVES: Final[Mapping[str, str]] = MappingProxyType({})


class StateData(Struct, frozen=True, kw_only=True, tag_field="state", tag=True):
    """What is known in one state. Tagged, so a union of states can be stored."""


class Policy:
    """What a guarded move is judged by. `GateSet` is the one kind of policy."""

    POLICY: ClassVar[str]  # stable name; it goes into the fingerprint


D_co = TypeVar("D_co", bound=StateData, covariant=True)
Cls = TypeVar("Cls", bound=type)

_new: Final[Callable[..., Any]] = object.__new__


def _quick(cls: Cls) -> Cls:
    """Let each property of a class be read without a Python frame: they are, for every move."""
    for name, found in [*vars(cls).items()]:
        if isinstance(found, property):
            quick: Any = property(attrgetter(f"_{name}"), doc=found.__doc__)
            quick.__set_name__(cls, name)  # for what it says to somebody who assigns to it
            setattr(cls, name, quick)
    return cls


@_quick
class Handle(Generic[D_co]):
    """An entity known to be in one state at one version. Machines make these, nobody else.

    Immutable, does not pickle, and holds no store: it knows the id of the one it was read from, and
    moves are stored there only. Writing through it is a compare-and-append: once the entity has
    moved on, the handle is stale.

    Subclass it once per state, as `class OpenDoor(Handle[Open])`, with a method per legal move.
    """

    STATE: ClassVar[str]  # unless given, the tag of DATA
    DATA: ClassVar[type[StateData]]  # unless given, what stands in the brackets
    MOVES: ClassVar[Mapping[str, str]] = _NO_MOVES  # move -> where it is legal; see `Machine`

    __slots__ = ("_coordinate", "_data", "_store_id", "_version")

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        data = bracketed(cls, Handle)
        if isinstance(data, type) and issubclass(data, StateData):
            derive(cls, DATA=data, STATE=data.__struct_config__.tag)

    def __init__(
        self,
        _key: Seal,
        coordinate: Coordinate,
        version: int,
        data: D_co,
        store_id: UUID | None = None,  # None: nothing was read from a store
    ) -> None:
        """Closed: use `load` or `new` of the machine."""
        if _key is not SEAL:
            raise IllegalTransition(f"{type(self).__name__} comes from a machine only")
        self._coordinate = coordinate
        self._version = version
        self._data = data
        self._store_id = store_id

    @property
    def coordinate(self) -> Coordinate:
        """Where the entity's events are."""
        return self._coordinate

    @property
    def version(self) -> int:
        """How many events the entity had when this was true; 0: it is not stored yet."""
        return self._version

    @property
    def data(self) -> D_co:
        """What is known in this state. If it has a dict inside, a copy each time."""
        return self._data

    def _move(self, target: type[T], event: P) -> Transition[Self, T, P]:
        """For the methods of a handle: a move that `apply` stores."""
        move = _new(Transition)
        move._source, move._target, move._event = self, target, event
        made: Transition[Self, T, P] = move
        return made

    def _guarded(self, target: type[T], event: P, policy: type[G]) -> Guarded[Self, T, P, G]:
        """For the methods of a handle: a move that needs a receipt from its policy."""
        move = _new(Guarded)
        move._source, move._target, move._event, move._policy = self, target, event, policy
        made: Guarded[Self, T, P, G] = move
        return made

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        mine = (self._version, self._coordinate, self._data)
        return mine == (other._version, other._coordinate, other._data)

    @override
    def __hash__(self) -> int:
        return hash((type(self), self._coordinate, self._version))

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._coordinate.entity!r} at version {self._version}>"

    @override
    def __reduce__(self) -> NoReturn:
        raise IllegalTransition(
            f"{type(self).__name__} does not leave its process; load it again where it is needed"
        )

    if not TYPE_CHECKING:  # checkers know which moves there are; this is for those who have none

        def __getattr__(self, name: str) -> NoReturn:
            here = type(self).__name__
            if where := self.MOVES.get(name):
                raise IllegalTransition(f"{name}() is legal from {where} only; this is {here}")
            raise AttributeError(f"{here!r} object has no attribute {name!r}", name=name, obj=self)


def arrived(
    target: type[T], coordinate: Coordinate, version: int, data: StateData, store_id: UUID
) -> T:
    """The handle after a move; for machines."""
    handle = _new(target)
    handle._coordinate, handle._version, handle._data = coordinate, version, data
    handle._store_id = store_id
    made: T = handle
    return made


def _copied(handle: Handle[StateData]) -> StateData:
    return deepcopy(data_of(handle))  # what is done to it, is done to it alone


copied_data: Final = property(_copied, doc=Handle.data.__doc__)
"""The `data` of handles whose data has a dict inside. For machines."""

data_of: Final[Callable[[Handle[Any]], StateData]] = attrgetter("_data")
"""The data of a handle, to look at only. For machines."""

store_of: Final[Callable[[Handle[Any]], UUID | None]] = attrgetter("_store_id")
"""The store that a handle was read from; None: it was replayed. For machines."""

F = TypeVar("F", bound=Handle[StateData])
T = TypeVar("T", bound=Handle[StateData])
F_co = TypeVar("F_co", bound=Handle[StateData], covariant=True)
T_co = TypeVar("T_co", bound=Handle[StateData], covariant=True)
G = TypeVar("G", bound=Policy)
G_co = TypeVar("G_co", bound=Policy, covariant=True)


@_quick
class _Move(Generic[F_co, T_co, Q_co]):
    """A legal move as a value: where from, where to, and the event that says so."""

    __slots__ = ("_event", "_policy", "_source", "_target")

    _source: F_co
    _target: type[T_co]
    _event: Q_co

    if TYPE_CHECKING:

        def __init__(self, sealed: Never, /) -> None: ...

        # A move that nobody applies does nothing: mypy reports it as an unused awaitable.
        def __await__(self) -> Generator[Never, Never, Never]: ...

    else:

        def __init__(self, *_) -> None:  # noqa: ANN002
            raise IllegalTransition(f"a {type(self).__name__} comes from a handle only")

    @property
    def source(self) -> F_co:
        """The handle that made this move."""
        return self._source

    @property
    def target(self) -> type[T_co]:
        """The class of the handle after it."""
        return self._target

    @property
    def event(self) -> Q_co:
        """What will be stored."""
        return self._event

    @override
    def __repr__(self) -> str:
        source, event = type(self._source).__name__, type(self._event).__name__
        return f"<{type(self).__name__} {source} + {event} -> {self._target.__name__}>"


@final
class Transition(_Move[F_co, T_co, Q_co]):
    """A legal move, not stored yet: `machine.apply` stores it."""

    __slots__ = ()


@final
@_quick
class Guarded(_Move[F_co, T_co, Q_co], Generic[F_co, T_co, Q_co, G_co]):
    """A legal move that needs a receipt from policy `G`: judge it, then `machine.commit`."""

    __slots__ = ()

    _policy: type[G_co]

    @property
    def policy(self) -> type[G_co]:
        """Whose receipt it needs."""
        return self._policy


Step: TypeAlias = Callable[[Any, Any], StateData]
"""(state, event) -> the next state data. Pure."""


@final
class Edge:
    """Where an event leads from one state, and the policy that has to permit it, if any.

    A step stands here unless it is given to the machine when that is made.
    """

    __slots__ = ("policy", "step", "target")

    def __init__(
        self,
        target: type[Handle[Any]],
        policy: type[Policy] | None = None,
        step: Step | None = None,
    ) -> None:
        self.target: Final = target
        self.policy: Final = policy
        self.step: Final = step


def derive(cls: type[object], **values: object) -> None:
    """Give a class what it does not say itself."""
    for name, value in values.items():
        if name not in cls.__dict__:
            setattr(cls, name, value)


def bracketed(cls: type[object], base: type[object]) -> object:
    """What a class has in the brackets of a generic base: `Open` in `class OpenDoor(Handle[Open])`.

    None, if that base is not there with brackets.
    """
    for written in cls.__dict__.get("__orig_bases__", ()):
        if get_origin(written) is base:
            return get_args(written)[0]
    return None
