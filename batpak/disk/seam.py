"""The seam to the file system: what a store asks of a disk, and a simulated one can answer.

A `Directory` speaks names, never paths. Whatever the system refuses is an OSError. Loops over short
writes, atomic replacement, temporary names and the policy of locking are not here but above, so a
simulated disk gets them as well.

    create, append     a file to write: positional, perhaps short, or through reserved room
    open               a file to read: positional, perhaps short, or mapped
    sync               of a file makes its data durable, of a directory its names; neither does both
"""

from __future__ import annotations

import mmap
import os
from typing import NamedTuple, Protocol, TypeAlias

StrPath: TypeAlias = str | os.PathLike[str]
Place: TypeAlias = tuple[int, int]
"""What tells one directory from all others."""
Mapped: TypeAlias = bytes | mmap.mmap
"""Bytes of a file: a slice of it is bytes."""


class Entry(NamedTuple):
    """One name in a directory."""

    name: str
    is_file: bool  # a regular file; links, directories, devices and the rest are not
    size: int  # bytes


class WriteFile(Protocol):
    """A file open for writing. Every method may raise OSError."""

    def reserve(self, size: int, /) -> Mapped | None:
        """Make sure that there is room for `size` bytes, where the system can promise that.

        What is returned, if anything, shows what is written below that size. What is not written
        reads as zeros. On failure nothing has changed.
        """
        ...

    def write(self, offset: int, data: bytes, /) -> int:
        """Write at an offset and return how many bytes were taken: at least 1, perhaps not all."""
        ...

    def sync(self, *, data_only: bool) -> None:
        """Return once the data, and its size, survive a power cut."""
        ...

    def clone(self, source: ReadFile, /) -> bool:
        """Have the bytes of another file without copying them, each file for itself from then on.

        False: the system cannot do that between these two; nothing has changed.
        """
        ...

    def truncate(self, size: int, /) -> None:
        """Make the file exactly `size` bytes long."""
        ...

    def size(self) -> int:
        """The size in bytes."""
        ...

    def close(self) -> None:
        """Give the descriptor back. Twice is harmless."""
        ...


class ReadFile(Protocol):
    """A file open for reading. Every method but `close` may raise OSError."""

    def pread(self, offset: int, count: int, /) -> bytes:
        """At most `count` bytes at an offset; empty at the end of the file."""
        ...

    def map(self) -> Mapped:
        """The whole file as it is now, mapped. It stays valid after `close`."""
        ...

    def size(self) -> int:
        """The size in bytes."""
        ...

    def close(self) -> None:
        """Give the descriptor back. Twice is harmless."""
        ...


class Lock(Protocol):
    """A held lock on a file of a directory."""

    def intact(self) -> bool:
        """Whether the name still leads to the file that is locked."""
        ...

    def release(self) -> None:
        """Unlock and close. Twice is harmless."""
        ...

    def abandon(self) -> None:
        """Close without unlocking: what a forked child does, for the parent goes on."""
        ...


class Directory(Protocol):
    """One open directory. Every method but `close` may raise OSError."""

    @property
    def path(self) -> str:
        """Where it is, for messages only."""
        ...

    def entries(self) -> list[Entry]:
        """Every name in it, in no order."""
        ...

    def create(self, name: str, /) -> WriteFile:
        """A new empty file; FileExistsError if there is such a name already."""
        ...

    def append(self, name: str, /) -> WriteFile:
        """An existing regular file that has no second name."""
        ...

    def open(self, name: str, /) -> ReadFile:
        """An existing regular file."""
        ...

    def replace(self, source: str, target: str, /) -> None:
        """Rename in one step, over whatever `target` was."""
        ...

    def unlink(self, name: str, /) -> None:
        """Remove a name."""
        ...

    def subdir(self, name: str, /, *, create: bool) -> Directory:
        """A directory in this one; made, and its name made durable, if missing and allowed."""
        ...

    def rmdir(self, name: str, /) -> None:
        """Remove an empty directory."""
        ...

    def way_up(self) -> tuple[Place, ...]:
        """This directory, the one that it is in, and so on."""
        ...

    def intact(self) -> bool | None:
        """Whether its path still leads to this directory. None: it leads to nothing."""
        ...

    def sync(self) -> None:
        """Return once the names survive a power cut."""
        ...

    def lock(self, name: str, note: bytes, /, *, shared: bool) -> Lock | None:
        """Lock a file of this name, or return None at once if somebody else holds it.

        Exclusive: the file is created if missing and `note` is put into it until the release.
        Shared: nothing is created (FileNotFoundError) and nothing is written.
        """
        ...

    def close(self) -> None:
        """Give the descriptor back. Twice is harmless."""
        ...
