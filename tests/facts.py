"""Payload classes, and a few short ways to say things, shared by the tests of the engine."""

from __future__ import annotations

from typing import ClassVar, Final, final

from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.kind import EventKind
from batpak.payload import EventPayload

USER: Final = Coordinate("user:1", "acme")
PLAIN: Final = StoreConfig(lifecycle_events=False)
FAST: Final = StoreConfig(lifecycle_events=False, durability=Durability.OS)
SMALL: Final = StoreConfig(lifecycle_events=False, limits=Limits(segment_max_bytes=4 << 10))


@final
class Counted(EventPayload, frozen=True, kw_only=True, gc=False):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x701)
    VERSION: ClassVar[int] = 1

    n: int


@final
class Said(EventPayload, frozen=True, kw_only=True, gc=False):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x702)
    VERSION: ClassVar[int] = 1

    text: str
