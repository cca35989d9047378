"""Projections: a state that is a pure fold of events, and the fold itself.

    class Places(Projection[Trail]):            # typed payloads
        KINDS = frozenset({ParcelSeen.KIND})

        def initial(self) -> Trail: ...
        def apply(self, state: Trail, event: StoredEvent[EventPayload], /) -> Trail: ...

`DictProjection` gets plain values, `RawProjection` the stored bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from msgspec import Struct

from batpak.arguments import seconds_of
from batpak.errors import InvalidArgument
from batpak.event import StoredEvent
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.declared import check_declared
from batpak.wire import DICT, RAW, TYPED, Form

S = TypeVar("S", bound=Struct)
S_co = TypeVar("S_co", bound=Struct, covariant=True)
Q = TypeVar("Q")


class Fold(ABC, Generic[S, Q]):
    """How a state follows from events. Both methods are pure: no clock, no I/O.

    What an instance has for attributes belongs to what it means: two that differ there share no
    cached state. One with an attribute that has no stored form has none at all. What extends a
    class that was given a `NAME` has the same: of two such folds in one program, one needs another.

    A class that says something of itself that cannot be so is refused where it is written, with
    InvalidArgument.
    """

    NAME: ClassVar[str]  # stable; by default the module and the name of the class
    VERSION: ClassVar[int] = 1  # goes up when the state comes to mean something else
    KINDS: ClassVar[frozenset[EventKind]] = frozenset()  # it sees no others; empty: every kind
    FORM: ClassVar[Form[Any]]
    STATE: ClassVar[type[Struct] | None] = None
    """What a state is read back as; unless given, what stands in the brackets. None: never kept."""

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_declared(cls)
        named = next((base for base in cls.__mro__ if "NAME" in base.__dict__), None)
        if named is None or named.__dict__["NAME"] == _default_name(named):
            cls.NAME = _default_name(cls)  # pyright: ignore[reportConstantRedefinition]  the default
        if "STATE" not in cls.__dict__:
            for base in cls.__dict__.get("__orig_bases__", ()):
                origin, args = get_origin(base), get_args(base)
                if isinstance(origin, type) and issubclass(origin, Fold) and args:
                    state = args[0]
                    if isinstance(state, type) and issubclass(state, Struct):
                        cls.STATE = state  # pyright: ignore[reportConstantRedefinition]  likewise

    @abstractmethod
    def initial(self) -> S:
        """The state before the first event."""

    @abstractmethod
    def apply(self, state: S, event: StoredEvent[Q], /) -> S:
        """The state after one more event. Returns a new state; the old one stays as it was."""


def _default_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


class Projection(Fold[S, EventPayload]):
    """A fold over typed events. Subclass it as `class Revenue(Projection[RevenueState])`."""

    FORM: ClassVar[Form[Any]] = TYPED


class DictProjection(Fold[S, object]):
    """A fold over plain values, decoded without a schema, as `Form.DICT` reads them."""

    FORM: ClassVar[Form[Any]] = DICT


class RawProjection(Fold[S, bytes]):
    """A fold over payloads as they are stored, as `Form.RAW` reads them."""

    FORM: ClassVar[Form[Any]] = RAW


class Projected(Struct, Generic[S_co], frozen=True):
    """A state, and which one of its kind it is."""

    state: S_co
    generation: int  # one past the sequence of the newest event in it; it only grows


class RebuildReport(Struct, Generic[S_co], frozen=True, kw_only=True):
    """What a fold from the first event has given, beside what the cache would have answered."""

    state: S_co | None  # None: no event is relevant
    generation: int
    events: int  # that were folded
    cached: S_co | None  # None: nothing was kept that could be used

    @property
    def same(self) -> bool:
        """Whether the cache was right, or had nothing to say."""
        return self.cached is None or self.cached == self.state


class Freshness(Struct, frozen=True):
    """How old a state may be. Made by its static methods."""

    max_age_s: float | None = None

    @staticmethod
    def consistent() -> Freshness:
        """As of the call: every event that is visible then is in it."""
        return CONSISTENT

    @staticmethod
    def maybe_stale(max_age_s: float) -> Freshness:
        """A cached state that is no older than that may be given as it is.

        Raises:
            InvalidArgument: Not a number of seconds, 0 or more.
        """
        return Freshness(seconds_of("max_age_s", max_age_s))


CONSISTENT = Freshness()


def fold(
    projection: Fold[S, Q], state: S | None, events: Iterator[StoredEvent[Q]]
) -> tuple[S | None, StoredEvent[Q] | None]:
    """Fold events, in the order given, into a state; give the last of them too.

    Without an event, neither `initial` nor `apply` is called. An exception out of them passes
    through with a note that names the projection and the event.

    Args:
        projection: How.
        state: To go on from; None: from the initial one.
        events: The relevant ones, and no others.

    Raises:
        InvalidArgument: What should give a state has given None.
    """
    first = next(events, None)
    if first is None:
        return state, None
    initial: Callable[[], S | None] = projection.initial
    apply: Callable[[S, StoredEvent[Q]], S | None] = projection.apply
    now, event = state, first
    try:
        if now is None:
            now = initial()
            if now is None:  # pyright: ignore[reportUnnecessaryComparison]  callers may lie
                raise _forgotten("initial")
        for event in chain((first,), events):
            now = apply(now, event)
            if now is None:  # pyright: ignore[reportUnnecessaryComparison]  likewise
                raise _forgotten("apply")
    except Exception as error:
        error.add_note(f"projection {projection.NAME} at event {event.sequence}")
        raise
    return now, event


def _forgotten(by: str) -> InvalidArgument:
    return InvalidArgument("projection", f"its `{by}` must return a state, not None")
