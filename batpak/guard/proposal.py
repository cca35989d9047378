"""Proposals: events submitted for judgement outside of any machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, final

from batpak.event import P_co
from batpak.override import override
from batpak.payload import EventPayload

R = TypeVar("R", bound=EventPayload)


@final
class Proposal(Generic[P_co]):
    """An event that has not happened yet. A `Pipeline` judges it and stores it."""

    __slots__ = ("_event",)

    def __init__(self, event: P_co) -> None:
        self._event = event

    @property
    def event(self) -> P_co:
        """What is proposed."""
        return self._event

    def map(self, change: Callable[[P_co], R]) -> Proposal[R]:
        """Propose what a function makes of the event instead."""
        return Proposal(change(self._event))

    @override
    def __repr__(self) -> str:
        return f"<Proposal {type(self._event).__name__}>"
