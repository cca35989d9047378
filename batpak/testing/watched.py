"""watched: the disk of any platform, each call of whose seam is told before and after.

    def stop(call: Call) -> None:
        if call.kind == "sync" and call.path.endswith("HEAD.tmp"):
            os.kill(os.getpid(), signal.SIGKILL)

    Store.open("shop.store", platform=watched(REAL, before=stop))

Nothing else changes: the bytes, the maps and the locks are those of the platform. So a program on
a real disk can be killed, delayed or refused at a point that has a name. What a hook raises, the
caller of the seam sees: an OSError raised before a call is a refusal, and the call is not made.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final

from msgspec.structs import replace

from batpak.disk.seam import Directory, Entry, Lock, Mapped, Place, ReadFile, WriteFile
from batpak.override import override
from batpak.platform import Platform
from batpak.testing.disk import Call, Hook, nothing
from batpak.testing.faults import Kind


def watched(platform: Platform, *, before: Hook = nothing, after: Hook = nothing) -> Platform:
    """The same platform, whose disk tells what is asked of it.

    The calls are those of a `SimPlatform`'s trace, numbered from 0, but for the syncs that belong
    to a larger call: an `open_dir` or `subdir` that makes a directory is one call here. Hooks run
    in the thread that calls, so there may be several at once.

    Args:
        platform: Whose disk it is.
        before: Called before each call is made.
        after: Called after each call that was made and not refused.
    """
    watch = _Watch(before, after)

    def open_dir(path: str, /, *, create: bool) -> Directory:
        label = path.rpartition("/")[2]
        with watch.call("open_dir", label):
            directory = platform.open_dir(path, create=create)
        return _Directory(watch, directory, label)

    def open_parent(path: str, /) -> tuple[Directory, str]:
        label = path.rpartition("/")[0].rpartition("/")[2]
        with watch.call("open_dir", label):
            directory, name = platform.open_parent(path)
        return _Directory(watch, directory, label), name

    return replace(platform, open_dir=open_dir, open_parent=open_parent)


class _Watch:
    """Both hooks, and the number of the next call."""

    def __init__(self, before: Hook, after: Hook) -> None:
        self._before, self._after = before, after
        self._numbers: Final = count()

    @contextmanager
    def call(
        self, kind: Kind, path: str, offset: int = 0, size: int = 0, data: bytes = b""
    ) -> Generator[None]:
        """Around one call."""
        call = Call(next(self._numbers), kind, path, offset, size, data)
        self._before(call)
        yield
        self._after(call)


class _Handle:
    """What all open files and directories have in common."""

    def __init__(self, watch: _Watch, inner: WriteFile | ReadFile | Directory, label: str) -> None:
        self._watch, self._label = watch, label
        self._close, self._is_open = inner.close, True

    def close(self) -> None:
        """See the seam. What is refused here is closed all the same, and nobody is told."""
        with suppress(OSError):
            self._close_once()

    def _close_once(self) -> None:
        if self._is_open:
            self._is_open = False
            try:
                with self._watch.call("close", self._label):
                    self._close()
            finally:
                self._close()


class _WriteFile(_Handle):
    """See `batpak.disk.seam.WriteFile`."""

    def __init__(self, watch: _Watch, inner: WriteFile, label: str) -> None:
        super().__init__(watch, inner, label)
        self._inner = inner

    def reserve(self, size: int, /) -> Mapped | None:
        """See the seam."""
        with self._watch.call("reserve", self._label, 0, size):
            return self._inner.reserve(size)

    def write(self, offset: int, data: bytes, /) -> int:
        """See the seam."""
        with self._watch.call("write", self._label, offset, len(data), data):
            return self._inner.write(offset, data)

    def sync(self, *, data_only: bool) -> None:
        """See the seam."""
        with self._watch.call("sync", self._label):
            self._inner.sync(data_only=data_only)

    def clone(self, source: ReadFile, /) -> bool:
        """See the seam. Where it is not possible nothing was done, so it is not told."""
        return self._inner.clone(source.inner if isinstance(source, _ReadFile) else source)

    def truncate(self, size: int, /) -> None:
        """See the seam."""
        with self._watch.call("truncate", self._label, 0, size):
            self._inner.truncate(size)

    def size(self) -> int:
        """See the seam."""
        with self._watch.call("size", self._label):
            return self._inner.size()

    @override
    def close(self) -> None:
        """See the seam. What is refused here is closed all the same."""
        self._close_once()


class _ReadFile(_Handle):
    """See `batpak.disk.seam.ReadFile`."""

    def __init__(self, watch: _Watch, inner: ReadFile, label: str) -> None:
        super().__init__(watch, inner, label)
        self._inner = self.inner = inner

    def pread(self, offset: int, count: int, /) -> bytes:
        """See the seam."""
        with self._watch.call("pread", self._label, offset, count):
            return self._inner.pread(offset, count)

    def map(self) -> Mapped:
        """See the seam. What is read through a map is not told."""
        with self._watch.call("map", self._label):
            return self._inner.map()

    def size(self) -> int:
        """See the seam."""
        with self._watch.call("size", self._label):
            return self._inner.size()


class _Directory(_Handle):
    """See `batpak.disk.seam.Directory`."""

    def __init__(self, watch: _Watch, inner: Directory, label: str) -> None:
        super().__init__(watch, inner, label)
        self._inner = inner

    @property
    def path(self) -> str:
        """See the seam."""
        return self._inner.path

    def entries(self) -> list[Entry]:
        """See the seam."""
        with self._watch.call("entries", self._label):
            return self._inner.entries()

    def create(self, name: str, /) -> WriteFile:
        """See the seam."""
        label = f"{self._label}/{name}"
        with self._watch.call("create", label):
            return _WriteFile(self._watch, self._inner.create(name), label)

    def append(self, name: str, /) -> WriteFile:
        """See the seam."""
        label = f"{self._label}/{name}"
        with self._watch.call("append", label):
            return _WriteFile(self._watch, self._inner.append(name), label)

    def open(self, name: str, /) -> ReadFile:
        """See the seam."""
        label = f"{self._label}/{name}"
        with self._watch.call("open", label):
            return _ReadFile(self._watch, self._inner.open(name), label)

    def replace(self, source: str, target: str, /) -> None:
        """See the seam. The target is what is told, as in a trace."""
        with self._watch.call("replace", f"{self._label}/{target}"):
            self._inner.replace(source, target)

    def unlink(self, name: str, /) -> None:
        """See the seam."""
        with self._watch.call("unlink", f"{self._label}/{name}"):
            self._inner.unlink(name)

    def subdir(self, name: str, /, *, create: bool) -> Directory:
        """See the seam."""
        label = f"{self._label}/{name}"
        with self._watch.call("subdir", label):
            return _Directory(self._watch, self._inner.subdir(name, create=create), label)

    def rmdir(self, name: str, /) -> None:
        """See the seam."""
        with self._watch.call("rmdir", f"{self._label}/{name}"):
            self._inner.rmdir(name)

    def way_up(self) -> tuple[Place, ...]:
        """See the seam."""
        with self._watch.call("way_up", self._label):
            return self._inner.way_up()

    def intact(self) -> bool | None:
        """See the seam."""
        with self._watch.call("intact", self._label):
            return self._inner.intact()

    def sync(self) -> None:
        """See the seam."""
        with self._watch.call("syncdir", self._label):
            self._inner.sync()

    def lock(self, name: str, note: bytes, /, *, shared: bool) -> Lock | None:
        """See the seam. What is done with the lock later is not told."""
        with self._watch.call("lock", f"{self._label}/{name}"):
            return self._inner.lock(name, note, shared=shared)
