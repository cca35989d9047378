"""Restart: how often a worker begins again, and what happens when that was of no use."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, final

from msgspec import Struct

from batpak.arguments import is_count, seconds_of
from batpak.errors import InvalidArgument

RESTARTS_MAX: Final = 1_000_000


class OnFailure(StrEnum):
    """What happens when the restart budget is used up."""

    STOP = "stop"
    PARK = "park"  # event by event; one that still fails is recorded as parked, and passed


@final
class RestartPolicy(Struct, frozen=True):
    """How often a worker may begin again from what was committed last."""

    max_restarts: int
    within_s: float | None = None  # counted over so long; None: over its whole life

    @staticmethod
    def never() -> RestartPolicy:
        """Not at all."""
        return RestartPolicy(0)

    @staticmethod
    def once() -> RestartPolicy:
        """One time."""
        return RestartPolicy(1)

    @staticmethod
    def bounded(max_restarts: int, within_s: float) -> RestartPolicy:
        """So often in so many seconds; what is longer ago is forgotten."""
        return RestartPolicy(max_restarts, within_s)

    def __post_init__(self) -> None:
        if not is_count(self.max_restarts) or self.max_restarts > RESTARTS_MAX:
            raise InvalidArgument("max_restarts", f"must be 0..{RESTARTS_MAX:,}")
        if self.within_s is not None:
            seconds_of("within_s", self.within_s)
