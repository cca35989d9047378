"""The platform: disk, clock, entropy and locks in one bundle.

`Store.open(path, config, platform=REAL)` is the seam for tests: whoever replaces this bundle has
replaced the world.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol

from msgspec import Struct

from batpak import clock, disk


class RawLock(Protocol):
    """A lock of the kind that a signal cannot leave half taken."""

    def locked(self) -> bool:
        """Whether somebody holds it."""
        ...

    def __enter__(self) -> bool: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class OpenDirectory(Protocol):
    """How a directory is opened."""

    def __call__(self, path: str, /, *, create: bool) -> disk.Directory:
        """See `disk.open_dir`."""
        ...


class Platform(Struct, frozen=True, kw_only=True):
    """What a store takes from the world."""

    open_dir: OpenDirectory
    wall_ns: Callable[[], int]  # since 1970, clamped to the years 1970..9999
    monotonic_ns: Callable[[], int]
    entropy: Callable[[int], bytes]  # that many unpredictable bytes
    raw_lock: Callable[[], RawLock]
    thread_id: Callable[[], int]
    pid: Callable[[], int]


REAL: Final = Platform(
    open_dir=disk.open_dir,
    wall_ns=clock.wall_ns,
    monotonic_ns=clock.monotonic_ns,
    entropy=secrets.token_bytes,
    raw_lock=threading.Lock,
    thread_id=threading.get_ident,
    pid=disk.pid,
)
"""This machine."""
