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

from batpak import clock
from batpak.disk import posix
from batpak.disk.seam import Directory


class RawLock(Protocol):
    """A lock of the kind that a signal cannot leave half taken."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, wait for it at most so many seconds, or say that it is held."""
        ...

    def release(self) -> None:
        """Give it back, whoever took it. RuntimeError: nobody holds it."""
        ...

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


class Thread(Protocol):
    """A thread that does not keep the process alive."""

    def start(self) -> None:
        """Begin."""
        ...

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, at most so many seconds."""
        ...

    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        ...


def _thread(target: Callable[[], None], name: str) -> Thread:
    return threading.Thread(target=target, name=name, daemon=True)


class OpenDirectory(Protocol):
    """How a directory is opened."""

    def __call__(self, path: str, /, *, create: bool) -> Directory:
        """See `posix.open_dir`."""
        ...


class OpenParent(Protocol):
    """How the directory is opened that something new is going to be in."""

    def __call__(self, path: str, /) -> tuple[Directory, str]:
        """See `posix.open_parent`."""
        ...


class Platform(Struct, frozen=True, kw_only=True):
    """What a store takes from the world."""

    open_dir: OpenDirectory
    wall_ns: Callable[[], int]  # since 1970, clamped to the years 1970..9999
    monotonic_ns: Callable[[], int]
    entropy: Callable[[int], bytes]  # that many unpredictable bytes
    raw_lock: Callable[[], RawLock]
    thread: Callable[[Callable[[], None], str], Thread]  # what it does, and its name
    thread_id: Callable[[], int]
    pid: Callable[[], int]
    open_parent: OpenParent = posix.open_parent


REAL: Final = Platform(
    open_dir=posix.open_dir,
    wall_ns=clock.wall_ns,
    monotonic_ns=clock.monotonic_ns,
    entropy=secrets.token_bytes,
    raw_lock=threading.Lock,
    thread=_thread,
    thread_id=threading.get_ident,
    pid=posix.pid,
)
"""This machine."""
