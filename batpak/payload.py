"""Payloads: the body of an event, a frozen struct whose class says its kind and version.

Generated code subclasses `EventPayload`; writing one by hand works alike:

    class Visited(EventPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = EventKind.custom(0x1, 0x001)
        VERSION: ClassVar[int] = 1

        page: str
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Self

import msgspec

from batpak import registry
from batpak.errors import RegistryError
from batpak.kind import EventKind
from batpak.override import override


class EventPayload(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. Subclassing registers the class for its KIND.

    Raises:
        RegistryError: At class creation: KIND or VERSION is missing or bad, or another class
            already has this kind.
    """

    KIND: ClassVar[EventKind]
    VERSION: ClassVar[int]
    DEPRECATED: ClassVar[str]  # what to do instead; only where an event is not to be written

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in ("KIND", "VERSION"):
            if name not in cls.__dict__:
                raise RegistryError(f"{cls.__module__}.{cls.__qualname__} has no {name}")
        registry.register(
            cls, cls.__dict__["KIND"], cls.__dict__["VERSION"], cls.__dict__.get("DEPRECATED")
        )


class WireEnum(Enum):
    """An enum stored by value. Comparing a member with plain text is a type error.

    The order is that of the stored text; it exists so that sets of members have one spelling.
    """

    def __lt__(self, other: Self, /) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return str(self.value) < str(other.value)


class OpenEnum(WireEnum):
    r"""An enum that grows: stored text that this program does not know reads as UNRECOGNIZED.

    Subclasses end with `UNRECOGNIZED = "\0"`. That member stands for what was read and is not
    known any more, so it cannot be appended.
    """

    @classmethod
    @override
    def _missing_(cls, value: object) -> Self | None:
        return cls.__members__.get("UNRECOGNIZED") if isinstance(value, str) else None
