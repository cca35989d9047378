"""What one chooses when opening a store, apart from limits one rarely touches."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

from batpak.errors import InvalidArgument


class Durability(IntEnum):
    """How far an append has gone when it returns. The receipt says which level was reached."""

    OS = 1  # written: a killed process loses nothing, a power cut may lose an unsynced tail
    COMMIT = 3  # fdatasync has returned: a power cut loses nothing, unless the device lies


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of what grows. All sizes in bytes."""

    segment_max_bytes: int = 64 << 20  # a new segment begins once the file has reached it
    payload_max_bytes: int = 1 << 20  # encoded payload, per event


class StoreConfig(Struct, frozen=True, kw_only=True):
    """Settings of one handle. Out of bounds is refused before any file is touched.

    Raises:
        InvalidArgument: Naming the field and its bounds.
    """

    durability: Durability = Durability.COMMIT
    lifecycle_events: bool = True  # OPEN_COMPLETED and CLOSE_COMPLETED records in the log
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        for name, cls in (
            ("durability", Durability),
            ("lifecycle_events", bool),
            ("limits", Limits),
        ):
            if type(getattr(self, name)) is not cls:
                raise InvalidArgument(name, f"{getattr(self, name)!r} is no {cls.__name__}")
        for name, low, high in _BOUNDS:
            value = getattr(self.limits, name)
            if type(value) is not int or not low <= value <= high:
                raise InvalidArgument(f"limits.{name}", f"{value!r} is not in {low:,}..{high:,}")


_BOUNDS = (
    ("segment_max_bytes", 4 << 10, 1 << 30),
    ("payload_max_bytes", 1, 16 << 20),
)
