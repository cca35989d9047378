"""Projections: a state that is a pure fold of events, and the fold itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Generic, TypeVar

from msgspec import Struct

from batpak.event import StoredEvent
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload

S = TypeVar("S", bound=Struct)


class Projection(ABC, Generic[S]):
    """How a state follows from events. Both methods are pure: no clock, no I/O.

    `KINDS` is a hard filter: `apply` sees events of these kinds and no others; empty means every
    kind. `VERSION` goes up when the meaning of the state changes. What extends a class that was
    given a `NAME` has the same: of two such folds in one program, one needs another.
    """

    NAME: ClassVar[str]  # stable; by default the module and the name of the class
    VERSION: ClassVar[int] = 1
    KINDS: ClassVar[frozenset[EventKind]] = frozenset()
    STATE: ClassVar[type[Struct] | None] = None

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        named = next((base for base in cls.__mro__ if "NAME" in base.__dict__), None)
        if named is None or named.__dict__["NAME"] == _default_name(named):
            cls.NAME = _default_name(cls)  # pyright: ignore[reportConstantRedefinition]  the default

    @abstractmethod
    def initial(self) -> S:
        """The state before the first event."""

    @abstractmethod
    def apply(self, state: S, event: StoredEvent[EventPayload], /) -> S:
        """The state after one more event. Returns a new state; the old one stays as it was."""


def _default_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def project(projection: Projection[S], events: Iterable[StoredEvent[EventPayload]]) -> S | None:
    """Fold events, in the order given, into the state of a projection.

    None: no event was relevant, and neither `initial` nor `apply` was called. An exception out of
    `apply` passes through with a note that names the projection and the event.
    """
    kinds = projection.KINDS
    state: S | None = None
    for event in events:
        if kinds and event.kind not in kinds:
            continue
        try:
            state = projection.apply(projection.initial() if state is None else state, event)
        except Exception as error:
            error.add_note(f"projection {projection.NAME} at event {event.sequence}")
            raise
    return state
