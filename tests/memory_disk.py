"""A disk in memory that implements the seam of `batpak.disk`, and forgets what was not synced.

Every byte has a live and a durable value: a file's sync makes its data durable, only a directory's
sync makes names durable. `before` and `after` are asked around every operation and may raise.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeAlias

from batpak.disk.seam import Entry
from batpak.platform import REAL, Platform

Hook: TypeAlias = Callable[[int, str, str], None]


def nothing(index: int, operation: str, name: str, /) -> None:
    """A hook that lets everything happen."""


class _NoThread:
    """A thread that never gets a turn: what it would have done waits until a caller does it."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        pass

    def start(self) -> None:
        pass

    def join(self, timeout: float | None = None) -> None:
        pass

    def is_alive(self) -> bool:
        return False


class MemoryInode:
    def __init__(self, data: bytes = b"") -> None:
        self.live = bytearray(data)
        self.durable = data


class MemoryDisk:
    """One directory tree. `write_max` makes every write short."""

    def __init__(self) -> None:
        self.names: dict[str, MemoryInode] = {}
        self.durable_names: dict[str, MemoryInode] = {}
        self.directories: set[str] = {""}
        self.locks: dict[str, list[bool]] = {}
        self.before: Hook = nothing
        self.after: Hook = nothing
        self.write_max: int | None = None
        self.operations: list[tuple[str, str]] = []

    def platform(self) -> Platform:
        """A platform whose every directory is this one."""
        return Platform(
            open_dir=lambda path, /, *, create: MemoryDirectory(self, path, ""),  # noqa: ARG005
            wall_ns=REAL.wall_ns,
            monotonic_ns=REAL.monotonic_ns,
            entropy=REAL.entropy,
            raw_lock=REAL.raw_lock,
            thread=_NoThread,
            thread_id=REAL.thread_id,
            pid=REAL.pid,
        )

    def cut(self, *, keep_unsynced: bool) -> MemoryDisk:
        """The disk after a power cut: what was durable, or also everything that was written."""
        after = MemoryDisk()
        after.directories = set(self.directories)
        names = self.names if keep_unsynced else self.durable_names
        for name, inode in names.items():
            data = bytes(inode.live) if keep_unsynced else inode.durable
            after.names[name] = after.durable_names[name] = MemoryInode(data)
        return after

    def step(self, operation: str, name: str) -> int:
        index = len(self.operations)
        self.operations.append((operation, name))
        self.before(index, operation, name)
        return index

    def files(self) -> dict[str, bytes]:
        return {name: bytes(inode.live) for name, inode in self.names.items()}


class MemoryFile:
    """Both kinds of file."""

    def __init__(self, disk: MemoryDisk, name: str, inode: MemoryInode) -> None:
        self._disk, self._name, self._inode = disk, name, inode

    def reserve(self, size: int, /) -> None:  # noqa: ARG002  no room is counted
        """Nothing is promised here; a test may refuse at this point."""
        self._disk.after(self._disk.step("reserve", self._name), "reserve", self._name)

    def write(self, offset: int, data: bytes, /) -> int:
        index = self._disk.step("write", self._name)
        taken = data[: self._disk.write_max]
        live = self._inode.live
        live.extend(bytes(max(0, offset - len(live))))
        live[offset : offset + len(taken)] = taken
        self._disk.after(index, "write", self._name)
        return len(taken)

    def sync(self, *, data_only: bool) -> None:
        index = self._disk.step("fdatasync" if data_only else "fsync", self._name)
        self._inode.durable = bytes(self._inode.live)
        self._disk.after(index, "sync", self._name)

    def truncate(self, size: int, /) -> None:
        index = self._disk.step("truncate", self._name)
        del self._inode.live[size:]
        self._disk.after(index, "truncate", self._name)

    def pread(self, offset: int, count: int, /) -> bytes:
        return bytes(self._inode.live[offset : offset + count])

    def map(self) -> bytes:
        return bytes(self._inode.live)

    def size(self) -> int:
        return len(self._inode.live)

    def close(self) -> None:
        pass


class MemoryLock:
    def __init__(self, disk: MemoryDisk, name: str, *, shared: bool) -> None:
        self._disk, self._name, self._shared, self._held = disk, name, shared, True

    def intact(self) -> bool:
        return self._name in self._disk.names

    def release(self) -> None:
        if self._held:
            self._held = False
            self._disk.locks[self._name].remove(self._shared)

    def abandon(self) -> None:
        pass


class MemoryDirectory:
    def __init__(self, disk: MemoryDisk, path: str, prefix: str) -> None:
        self._disk, self._path, self._prefix = disk, path, prefix

    @property
    def path(self) -> str:
        return self._path

    def entries(self) -> list[Entry]:
        here = len(self._prefix)
        files = [
            Entry(name[here:], is_file=True, size=len(inode.live))
            for name, inode in self._disk.names.items()
            if name.startswith(self._prefix) and "/" not in name[here:]
        ]
        below = [
            Entry(name[here:-1], is_file=False, size=0)
            for name in self._disk.directories
            if name.startswith(self._prefix) and name != self._prefix
        ]
        return files + below

    def create(self, name: str, /) -> MemoryFile:
        full = self._prefix + name
        index = self._disk.step("create", full)
        if full in self._disk.names:
            raise FileExistsError(errno.EEXIST, "exists", full)
        self._disk.names[full] = MemoryInode()
        self._disk.after(index, "create", full)
        return MemoryFile(self._disk, full, self._disk.names[full])

    def append(self, name: str, /) -> MemoryFile:
        return self.open(name)

    def open(self, name: str, /) -> MemoryFile:
        full = self._prefix + name
        if full not in self._disk.names:
            raise FileNotFoundError(errno.ENOENT, "is missing", full)
        return MemoryFile(self._disk, full, self._disk.names[full])

    def replace(self, source: str, target: str, /) -> None:
        index = self._disk.step("replace", self._prefix + target)
        names = self._disk.names
        names[self._prefix + target] = names.pop(self._prefix + source)
        self._disk.after(index, "replace", self._prefix + target)

    def unlink(self, name: str, /) -> None:
        index = self._disk.step("unlink", self._prefix + name)
        if self._prefix + name not in self._disk.names:
            raise FileNotFoundError(errno.ENOENT, "is missing", name)
        del self._disk.names[self._prefix + name]
        self._disk.after(index, "unlink", self._prefix + name)

    def subdir(self, name: str, /, *, create: bool) -> MemoryDirectory:
        prefix = f"{self._prefix}{name}/"
        if create:
            self._disk.directories.add(prefix)
        if prefix not in self._disk.directories:
            raise FileNotFoundError(errno.ENOENT, "is missing", prefix)
        return MemoryDirectory(self._disk, f"{self._path}/{name}", prefix)

    def sync(self) -> None:
        index = self._disk.step("sync names", self._prefix)
        here = self._prefix
        kept = {n: i for n, i in self._disk.durable_names.items() if not n.startswith(here)}
        kept.update({n: i for n, i in self._disk.names.items() if n.startswith(here)})
        self._disk.durable_names = kept
        self._disk.after(index, "sync names", self._prefix)

    def lock(self, name: str, note: bytes, /, *, shared: bool) -> MemoryLock | None:
        full = self._prefix + name
        if full not in self._disk.names:
            if shared:
                raise FileNotFoundError(errno.ENOENT, "is missing", full)
            self._disk.names[full] = MemoryInode()
        held = self._disk.locks.setdefault(full, [])
        if held and not (shared and all(held)):
            return None
        held.append(shared)
        if not shared:
            self._disk.names[full].live[:] = note
        return MemoryLock(self._disk, full, shared=shared)

    def close(self) -> None:
        pass
