"""A disk in memory, behind the seam of `batpak.disk`, that writes down what is done to it.

    operations    every change, in the order in which they were asked for
    trace         every call of the seam, reads as well

What would survive a crash is not kept here, it follows from the operations: see `crash`. A file
that is unlinked or replaced stays usable through whoever has it open. Locks are those of `flock`: a
second handle is refused, also in the same process.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from batpak.digest import blake3_of
from batpak.override import override
from batpak.testing.faults import Fault, Faults, Kind
from batpak.testing.image import (
    ROOT,
    Buffer,
    Image,
    Operation,
    change_names,
    live_content,
    live_names,
)


class Call(NamedTuple):
    """One call of the seam, as the trace shows it."""

    number: int  # from 0
    kind: Kind
    path: str
    offset: int = 0
    size: int = 0  # bytes asked for, or given
    data: bytes = b""  # of a write
    error: str = ""  # why it was refused: the name of the errno

    @override
    def __str__(self) -> str:
        where = f" {self.offset}+{self.size}" if self.offset or self.size else ""
        return f"{self.number} {self.kind} {self.path}{where}" + (self.error and f": {self.error}")


Hook: TypeAlias = Callable[[Call], None]
"""Called around a call of the seam. What it raises, the caller of the seam sees."""


def nothing(call: Call, /) -> None:
    """A hook that lets everything happen."""


class _File(Buffer):
    """The bytes of one file as readers see them, and the maps through which they are seen."""

    __slots__ = ("maps",)

    def __init__(self, buffer: Buffer) -> None:
        self.data, self.size = buffer.data, buffer.size
        self.maps: list[memoryview] = []

    @override
    def apply(self, operation: Operation) -> None:
        super().apply(operation)
        if operation.kind == "write":
            begin, end = operation.offset, operation.offset + len(operation.data)
            for view in self.maps:
                view[begin:end] = operation.data[: max(0, len(view) - begin)]
        elif operation.kind == "truncate":
            self.maps.clear()  # as they were: nobody looks there for what is written from now on


class SimDisk:
    """All files of one simulated machine.

    Args:
        image: What is on it.
        mapped: Whether files are written through a map of reserved room, as on ext4 and xfs.
        faults: What is going to fail.
    """

    def __init__(self, image: Image, faults: Faults, *, mapped: bool) -> None:
        self.image, self.mapped, self.faults = image, mapped, faults
        self.operations: list[Operation] = []
        self.trace: list[Call] = []
        self.calls = 0
        self.before: Hook = nothing
        self.after: Hook = nothing
        self.write_max: int | None = None
        """How many bytes one write takes at most."""
        self.locks: dict[int, list[bool]] = {}  # per file: who holds it, and whether shared
        self.removed: set[int] = set()  # what was replaced; no name is made in such a directory
        self._paused = False
        self._files: dict[int, _File] = {}
        self._directories: dict[int, dict[str, int]] = {}
        self._next_inode = image.next_inode

    # ------------------------------------------------------------------------- calls of the seam

    @contextmanager
    def paused(self) -> Generator[None]:
        """Neither faults nor hooks, and nothing in the trace; changes are changes all the same."""
        was, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = was

    def enter(
        self, kind: Kind, path: str, offset: int = 0, size: int = 0, data: bytes = b""
    ) -> Fault | None:
        """Begin a call, and say what has to go wrong with it.

        Raises:
            OSError: It is refused, and nothing has to be done for that.
        """
        if self._paused:
            return None
        call = Call(self.calls, kind, path, offset, size, data)
        self.calls += 1
        self.trace.append(call)
        self.before(call)
        fault = self.faults.meet(kind)
        if isinstance(fault, int) and kind not in _NOT_WITHOUT_EFFECT:
            raise self.refusal(fault, path)
        return fault

    def leave(self, kind: Kind, path: str) -> None:
        """End a call that has done something."""
        if not self._paused and self.after is not nothing:
            self.after(Call(self.calls - 1, kind, path))

    def refusal(self, code: int, path: str) -> OSError:
        """Refuse the call that has begun last."""
        name = errno.errorcode.get(code, str(code))
        if not self._paused:
            self.trace[-1] = self.trace[-1]._replace(error=name)
        return OSError(code, f"simulated {name}", path)

    def trace_digest(self) -> str:
        """A hash of the whole trace: equal for equal programs on equal machines."""
        hasher = blake3_of(b"")
        for call in self.trace:
            hasher.update(f"{call}\n".encode())
            hasher.update(call.data)
        return hasher.hexdigest()

    # ------------------------------------------------------------------------------- what is there

    def file(self, inode: int) -> _File:
        """The bytes of a file."""
        found = self._files.get(inode)
        if found is None:
            content = live_content(self.image.files[inode])
            found = self._files[inode] = _File(Buffer(content))
        return found

    def names(self, inode: int) -> dict[str, int]:
        """The names in a directory."""
        found = self._directories.get(inode)
        if found is None:
            found = self._directories[inode] = dict(live_names(self.image.directories[inode]))
        return found

    def is_dir(self, inode: int) -> bool:
        """Whether a number is that of a directory."""
        return inode in self._directories or inode in self.image.directories

    def change(self, operation: Operation) -> None:
        """Write a change of a file down, and make it."""
        self.operations.append(operation)
        self.file(operation.inode).apply(operation)

    def rename(self, operation: Operation) -> None:
        """Write a change of names down, and make it."""
        self.operations.append(operation)
        change_names(self.names(operation.inode), operation)

    def make(self, kind: Kind, path: str, directory: int, name: str, *, is_dir: bool) -> int:
        """A new file or directory under a name."""
        if directory in self.removed:
            raise self.refusal(errno.ENOENT, path)
        inode = self._next_inode
        self._next_inode += 1
        if is_dir:
            self._directories[inode] = {}
        else:
            self._files[inode] = _File(Buffer())
        made = Operation(kind, path, directory, name=name, target=inode, is_dir=is_dir)
        self.rename(made)
        return inode

    def find(self, path: str) -> tuple[int, str]:
        """The directory and the name in it that a path leads to; every parent is there already.

        What no known path begins is a name of its own: its parent is not simulated.
        """
        known = self.names(ROOT)
        begin = max((p for p in known if path == p or path.startswith(p + "/")), default=None)
        if begin is None or begin == path:
            return ROOT, path
        at, rest = known[begin], path[len(begin) + 1 :].split("/")
        for name in rest[:-1]:
            inode = self.names(at).get(name)
            if inode is None or not self.is_dir(inode):
                code = errno.ENOENT if inode is None else errno.ENOTDIR
                raise self.refusal(code, path)
            at = inode
        return at, rest[-1]


_NOT_WITHOUT_EFFECT = frozenset({"sync", "syncdir", "close"})  # also when they are refused
