"""The operations of a disk, walked along both ways: what is durable, and what is pending, at each.

A sync makes durable what is pending, or, if it is refused, loses it: it can be read until the
machine stops, and no later sync brings it back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeVar

from batpak.digest import blake3_of
from batpak.testing.image import (
    EMPTY,
    ROOT,
    Content,
    Image,
    Names,
    Operation,
    Saved,
    content_after,
    live_content,
    live_names,
    names_after,
)

V = TypeVar("V")


class Kept(NamedTuple):
    """What is left of the files and directories that were not durable as they were."""

    contents: dict[int, Content]
    names: dict[int, Names]


class _Before(NamedTuple):
    """What one operation has replaced."""

    inode: int
    file: Saved[Content] | None
    directory: Saved[Names] | None
    made: int | None
    removed: Content


class History:
    """The state of a disk after each of its operations.

    Args:
        image: At the beginning.
        operations: Since then. There may be more of them later.
    """

    def __init__(self, image: Image, operations: Sequence[Operation]) -> None:
        self.files = {n: _alone(saved) for n, saved in image.files.items()}
        self.directories = {n: _alone(names) for n, names in image.directories.items()}
        self.operations = operations
        self.at = 0
        self._first_inode = image.next_inode
        self._removed = EMPTY  # the file that went last; others get its blocks
        self._undo: list[_Before] = []

    def seek(self, at: int) -> None:
        """Go to the state after that many operations."""
        while self.at < at:
            self._forward(self.operations[self.at])
            self.at += 1
        while self.at > at:
            self._back()
            self.at -= 1

    def _forward(self, operation: Operation) -> None:
        inode, made = operation.inode, None
        file, directory = self.files.get(inode), self.directories.get(inode)
        removed = self._removed
        if file is not None:
            self.files[inode] = _next_file(file, operation)
        elif directory is not None:
            self.directories[inode] = _next_names(directory, operation)
            dropped = self.files.get(-1 if operation.dropped is None else operation.dropped)
            if dropped is not None:
                self._removed = live_content(dropped)
            if operation.target is not None and not operation.source:
                made = operation.target
                if operation.is_dir:
                    self.directories[made] = Saved({}, {}, [], 0, 0)
                else:
                    self.files[made] = Saved(EMPTY, EMPTY, [], 0, 0, removed)
        self._undo.append(_Before(inode, file, directory, made, removed))

    def _back(self) -> None:
        before = self._undo.pop()
        if before.file is not None:
            self.files[before.inode] = before.file
        if before.directory is not None:
            self.directories[before.inode] = before.directory
        if before.made is not None:
            self.files.pop(before.made, None)
            self.directories.pop(before.made, None)
        self._removed = before.removed

    def reachable(self) -> tuple[list[int], list[int]]:
        """The files and the directories that any crash may leave a name of."""
        files: list[int] = []
        directories = [ROOT]
        seen = {ROOT}
        for directory in directories:
            saved = self.directories[directory]
            pending = (operation.target for operation in saved.pending)
            for inode in chain(saved.durable.values(), saved.cache.values(), pending):
                if inode is None or inode in seen:
                    continue
                seen.add(inode)
                (directories if inode in self.directories else files).append(inode)
        return files, directories

    def unsettled(self) -> tuple[dict[int, Saved[Content]], dict[int, Saved[Names]]]:
        """Those of them that are not durable as they are."""
        files, directories = self.reachable()
        written = {n: self.files[n] for n in files if _is_pending(self.files[n])}
        named = {n: self.directories[n] for n in directories if _is_pending(self.directories[n])}
        return written, named

    # ------------------------------------------------------------------------------------- images

    def rebooted(self, kept: Kept) -> tuple[bytes, Callable[[], Image]]:
        """What a machine finds when it starts with that: a hash of it, and how it is made."""
        contents: dict[int, Content] = {}
        names: dict[int, Names] = {}
        parts: list[bytes] = []
        stack = [ROOT]
        while stack:
            directory = stack.pop()
            here = kept.names.get(directory)
            if here is None:
                here = self.directories[directory].durable
            names[directory] = here
            for name in sorted(here):
                inode = here[name]
                file = self.files.get(inode)
                if file is None:
                    stack.append(inode)
                    parts.append(f"{name}/\0".encode())
                    continue
                content = kept.contents.get(inode) or file.durable
                contents[inode] = content
                parts.append(f"{name}\0".encode() + content.digest)
            parts.append(b"\0")
        return blake3_of(b"".join(parts)).digest(16), partial(self._image, contents, names)

    def _image(self, contents: dict[int, Content], names: dict[int, Names]) -> Image:
        return Image(
            {
                inode: Saved(c, c, [], 0, 0, self.files[inode].stale)
                for inode, c in contents.items()
            },
            {inode: Saved(n, n, [], 0, 0) for inode, n in names.items()},
            self._first_inode + len(self.operations),
        )

    def going_on(self) -> tuple[bytes, Callable[[], Image]]:
        """What the next process finds when this one is killed; likewise."""
        files, directories = self.reachable()
        parts = [b"running"]
        for inode in files:
            file = self.files[inode]
            parts += [live_content(file).digest, file.durable.digest]
        for inode in directories:
            directory = self.directories[inode]
            for names in (live_names(directory), directory.durable):
                parts.append(repr(sorted(names.items())).encode())

        def image() -> Image:
            return Image(
                {inode: _alone(self.files[inode]) for inode in files},
                {inode: _alone(self.directories[inode]) for inode in directories},
                self._first_inode + len(self.operations),
            )

        return blake3_of(b"".join(parts)).digest(16), image


def _alone(saved: Saved[V]) -> Saved[V]:
    """The same with a list of its own."""
    pending = saved.pending
    return saved._replace(operations=pending, begin=0, end=len(pending))


def _is_pending(saved: Saved[V]) -> bool:
    return saved.begin < saved.end


def _next_file(saved: Saved[Content], operation: Operation) -> Saved[Content]:
    if operation.kind == "lock":
        return saved._replace(cache=Content(operation.data, len(operation.data)))
    if operation.kind == "sync":
        return _synced(saved, content_after, failed=operation.failed)
    saved = _with(saved, operation)
    if operation.kind == "truncate":
        before = live_content(saved._replace(end=saved.end - 1))
        if len(before.data) > operation.size:
            return saved._replace(stale=before)
    return saved


def _next_names(saved: Saved[Names], operation: Operation) -> Saved[Names]:
    if operation.kind == "syncdir":
        return _synced(saved, names_after, failed=operation.failed)
    return _with(saved, operation)


def _with(saved: Saved[V], operation: Operation) -> Saved[V]:
    if len(saved.operations) == saved.end:  # else we were here before, and went back
        saved.operations.append(operation)
    return saved._replace(end=saved.end + 1)


def _synced(saved: Saved[V], after: Callable[[V, list[Operation]], V], *, failed: bool) -> Saved[V]:
    """A sync makes durable what is pending, or loses it."""
    pending = saved.pending
    if not pending:
        return saved
    cache = after(saved.cache, pending)
    durable = saved.durable
    if not failed:
        durable = cache if saved.cache is durable else after(durable, pending)
    return saved._replace(durable=durable, cache=cache, begin=saved.end)
