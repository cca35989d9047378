"""What one chooses when opening a store, and the limits one rarely touches."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Final

from msgspec import Struct

from batpak.cache.row import NoCache, ProjectionCache
from batpak.errors import InvalidArgument
from batpak.report import OpenReport
from batpak.signing.signing_key import SigningKey
from batpak.signing.trust import trusted_of
from batpak.signing.verify_key import VerifyKey

SUBSCRIBER_CAPACITY_MAX: Final = 1_000_000


class Durability(IntEnum):
    """How far an append has gone when it returns. The receipt says which level was reached."""

    OS = 1  # written: a killed process loses nothing, a power cut may lose an unsynced tail
    INTERVAL = 2  # written, and synced within a configured window
    COMMIT = 3  # synced: a power cut loses nothing, unless the device lies


class SyncMode(Enum):
    """What a sync asks of the system."""

    DATA = "data"  # fdatasync: the data, and what is needed to find it
    FULL = "full"  # fsync: also times and the rest


class OpenVerify(Enum):
    """How much an open checks before it hands out a store."""

    QUICK = "quick"  # HEAD, headers, footers, every frame of the newest segment
    FULL = "full"  # every checksum, hash and link of the log


class Signing(Enum):
    """Whether a store does without signatures."""

    OPTIONAL = "optional"  # it signs if it has a key
    REQUIRED = "required"  # it is not written without one, and believes nothing that has none


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of what grows. Sizes in bytes."""

    segment_max_bytes: int = 64 << 20  # a new segment begins once the file has reached it
    payload_max_bytes: int = 1 << 20  # encoded payload, per event
    batch_max_items: int = 256
    batch_max_bytes: int = 8 << 20  # payloads and extensions of one batch
    fence_max_items: int = 65_536  # staged in one visibility fence
    fence_max_bytes: int = 64 << 20  # of their payloads and extensions
    fence_timeout_s: float = 60.0  # the next writer cancels a fence that is open for longer
    group_max_requests: int = 256  # committed under one sync when callers contend
    queue_capacity: int = 4096  # submissions waiting for the lane
    queue_max_bytes: int = 64 << 20  # of their payloads
    pressure_pct: int = 75  # how full the line is where `try_submit` answers Busy
    subscriber_capacity: int = 8192  # of the buffer of a lossy subscription that names none
    fd_budget: int = 64  # open segment files for reading
    close_timeout_s: float = 5.0  # how long close waits for what is queued


class StoreConfig(Struct, frozen=True, kw_only=True):
    """Settings of one handle. Out of bounds is refused before any file is touched.

    Raises:
        InvalidArgument: Naming the field and its bounds.
    """

    durability: Durability = Durability.COMMIT
    sync_every_n_events: int = 100  # INTERVAL: sync once so many events are unsynced …
    sync_every_ms: int = 50  # … or the oldest of them is this old
    sync_mode: SyncMode = SyncMode.DATA
    open_verify: OpenVerify = OpenVerify.QUICK
    lifecycle_events: bool = True  # OPEN_COMPLETED and CLOSE_COMPLETED records in the log
    on_open: Callable[[OpenReport], None] | None = None  # called once, after a successful open
    signer: SigningKey | None = None  # signs receipts and notes
    trusted: tuple[VerifyKey, ...] = ()  # believed, beside that of the signer: those used before
    signing: Signing = Signing.OPTIONAL
    projection_cache: ProjectionCache = NoCache()  # where states are kept between two folds
    limits: Limits = Limits()

    @property
    def believed(self) -> tuple[VerifyKey, ...]:
        """All keys that are: that of the signer, and the trusted ones."""
        return self.trusted if self.signer is None else (self.signer.public, *self.trusted)

    def __post_init__(self) -> None:
        for name, cls in (
            ("durability", Durability),
            ("sync_mode", SyncMode),
            ("open_verify", OpenVerify),
            ("lifecycle_events", bool),
            ("signing", Signing),
            ("limits", Limits),
        ):
            if type(getattr(self, name)) is not cls:
                raise InvalidArgument(name, f"{getattr(self, name)!r} is no {cls.__name__}")
        if self.on_open is not None and not callable(self.on_open):
            raise InvalidArgument("on_open", f"{self.on_open!r} cannot be called")
        if type(self.signer) not in (SigningKey, type(None)):
            raise InvalidArgument("signer", f"{type(self.signer).__name__} is no SigningKey")
        cache: object = self.projection_cache
        if isinstance(cache, type) or not all(callable(getattr(cache, n, None)) for n in _CACHE):
            raise InvalidArgument("projection_cache", f"{cache!r} is no ProjectionCache")
        if type(self.trusted) is not tuple:
            raise InvalidArgument("trusted", f"must be a tuple, not {type(self.trusted).__name__}")
        trusted_of("trusted", self.trusted)
        for name, low, high in (
            ("sync_every_n_events", 1, 1_000_000),
            ("sync_every_ms", 1, 60_000),
        ):
            _require(name, getattr(self, name), low, high)
        limits = self.limits
        for name, low, high in (
            ("segment_max_bytes", 4 << 10, 1 << 30),
            ("payload_max_bytes", 1, 16 << 20),
            ("batch_max_items", 1, 4096),
            ("batch_max_bytes", limits.payload_max_bytes, 64 << 20),
            ("fence_max_items", 1, 1_000_000),
            ("fence_max_bytes", limits.batch_max_bytes, 1 << 30),
            ("group_max_requests", 1, 4096),
            ("queue_capacity", 1, 1_000_000),
            ("queue_max_bytes", limits.payload_max_bytes, 4 << 30),
            ("pressure_pct", 1, 100),
            ("subscriber_capacity", 1, SUBSCRIBER_CAPACITY_MAX),
            ("fd_budget", 4, 4096),
        ):
            _require(f"limits.{name}", getattr(limits, name), low, high)
        for name, least_s, most_s in (
            ("fence_timeout_s", 0.1, 86_400),
            ("close_timeout_s", 0, 3600),
        ):
            wait = getattr(limits, name)
            if type(wait) not in (int, float) or not least_s <= wait <= most_s:
                raise InvalidArgument(f"limits.{name}", f"{wait!r} is not in {least_s}..{most_s}")


_CACHE: Final = ("get", "put", "delete", "sync")


def _require(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise InvalidArgument(name, f"{value!r} is not in {low:,}..{high:,}")
