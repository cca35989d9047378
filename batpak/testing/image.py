"""What a disk holds: bytes and names, as they are now, as they are after a power cut.

    Content      the bytes of a file, never changed; images share them
    Buffer       the same, while it is changed
    Operation    one change of a disk
    Saved        what one file or directory would be after a crash: durable, cached, and pending
    Image        all of them

Zeros at the end of a file take no room: a file whose room was reserved is as cheap as what was
written to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from batpak.digest import blake3_of
from batpak.override import override
from batpak.testing.faults import Kind

ROOT: Final = 0
"""The number of the directory in which every path begins."""

Names: TypeAlias = Mapping[str, int]
"""The names in a directory, and the number of the file or directory behind each."""


_ZEROS: Final = bytes(4096)


def _without_zeros(data: bytes) -> bytes:
    """Data up to its last byte that is not zero; a page at once, since room is mostly zeros."""
    end = len(data)
    while end >= len(_ZEROS) and data.endswith(_ZEROS, 0, end):
        end -= len(_ZEROS)
    return data[:end].rstrip(b"\0")


class Content:
    """The bytes of a file: `data`, and zeros from there up to `size`."""

    __slots__ = ("_digest", "data", "size")

    def __init__(self, data: bytes, size: int) -> None:
        self.data = _without_zeros(data) if data.endswith(b"\0") else data
        self.size = size
        self._digest: bytes | None = None

    @property
    def digest(self) -> bytes:
        """A hash that only equal contents share; computed once."""
        found = self._digest
        if found is None:
            found = blake3_of(self.data + self.size.to_bytes(8, "big")).digest(16)
            self._digest = found
        return found

    def whole(self) -> bytes:
        """All of the bytes."""
        return self.data.ljust(self.size, b"\0")


EMPTY: Final = Content(b"", 0)


class Buffer:
    """The bytes of a file that is written to."""

    __slots__ = ("data", "size")

    def __init__(self, content: Content = EMPTY) -> None:
        self.data, self.size = bytearray(content.data), content.size

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes somewhere; what lies between the end and them becomes zeros."""
        if not data:
            return
        buffer = self.data
        if offset > len(buffer):
            buffer.extend(bytes(offset - len(buffer)))
        buffer[offset : offset + len(data)] = data
        self.size = max(self.size, offset + len(data))

    def reserve(self, size: int) -> None:
        """Make it at least that long."""
        self.size = max(self.size, size)

    def truncate(self, size: int) -> None:
        """Make it exactly that long."""
        del self.data[size:]
        self.size = size

    def read(self, offset: int, count: int) -> bytes:
        """At most so many bytes."""
        end = min(offset + count, self.size)
        if offset >= end:
            return b""
        return bytes(self.data[offset:end]).ljust(end - offset, b"\0")

    def apply(self, operation: Operation) -> None:
        """Do to it what was done to the file."""
        if operation.kind == "write":
            self.write(operation.offset, operation.data)
        elif operation.kind == "reserve":
            self.reserve(operation.size)
        else:
            self.truncate(operation.size)

    def content(self) -> Content:
        """What it holds now."""
        return Content(bytes(self.data), self.size)


class Operation(NamedTuple):
    """One change of a disk. It was asked for; whether it lasts is the matter of a crash."""

    kind: Kind
    path: str  # of the file, or of the name that changes; for people
    inode: int  # of the file, or of the directory whose names change
    offset: int = 0
    data: bytes = b""
    size: int = 0  # of `reserve` and `truncate`
    name: str = ""  # that leads to `target` from now on, or is gone if that is None
    target: int | None = None
    source: str = ""  # of `replace`: the name that is gone
    dropped: int | None = None  # what the name led to before
    is_dir: bool = False  # of `target`
    failed: bool = False  # of a sync: what was pending is lost, though it can be read

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.path}" + {
            "write": f" {self.offset}+{len(self.data)}",
            "reserve": f" {self.size}",
            "truncate": f" {self.size}",
            "replace": f" <- {self.source}",
        }.get(self.kind, " failed" if self.failed else "")


V = TypeVar("V")


class Saved(NamedTuple, Generic[V]):
    """One file (V: its content) or one directory (V: its names).

    `durable` survives everything. `cache` can be read while the machine runs: after a failed sync
    it has what the disk has not. `operations[begin:end]` came after the last sync.
    """

    durable: V
    cache: V
    operations: list[Operation]  # of this inode; grows, and is shared by later values
    begin: int
    end: int
    stale: Content = EMPTY  # of a file: what its blocks held before they were cut off

    @property
    def pending(self) -> list[Operation]:
        """What no sync has covered."""
        return self.operations[self.begin : self.end]


class Image(NamedTuple):
    """Everything on a disk."""

    files: Mapping[int, Saved[Content]]
    directories: Mapping[int, Saved[Names]]
    next_inode: int


BLANK: Final = Image({}, {ROOT: Saved({}, {}, [], 0, 0)}, ROOT + 1)


def content_after(content: Content, operations: Iterable[Operation]) -> Content:
    """A content to which some operations were done, in that order."""
    buffer = Buffer(content)
    changed = False
    for operation in operations:
        buffer.apply(operation)
        changed = True
    return buffer.content() if changed else content


def names_after(names: Names, operations: Iterable[Operation]) -> Names:
    """Names to which some operations were done, in that order."""
    after = dict(names)
    for operation in operations:
        change_names(after, operation)
    return after


def change_names(names: dict[str, int], operation: Operation) -> None:
    """Do to names what was done to a directory; a source that was never there is no obstacle."""
    if operation.source:
        names.pop(operation.source, None)
    if operation.target is None:
        names.pop(operation.name, None)
    else:
        names[operation.name] = operation.target


def live_content(saved: Saved[Content]) -> Content:
    """What can be read while the machine runs."""
    return content_after(saved.cache, saved.pending)


def live_names(saved: Saved[Names]) -> Names:
    """The same of a directory."""
    return names_after(saved.cache, saved.pending) if saved.end > saved.begin else saved.cache
