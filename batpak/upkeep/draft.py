"""A draft: a directory that is built beside its place, and gets its name once it is durable.

    NAME.tmp-0123456789abcdef    the draft, locked by who builds it
    NAME                         what it becomes by one rename

So NAME is complete or not there. A draft whose builder was stopped is removed by whoever builds for
the same name next: if nobody holds its lock, and everything in it is of a store.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext, suppress
from typing import Final

from batpak.disk.seam import Directory, Lock, StrPath
from batpak.errors import InvalidArgument, StorageFailed
from batpak.journal import layout
from batpak.platform import Platform

ATTEMPTS: Final = 100  # each rival that begins at the same moment may spoil one

_DRAFT: Final = re.compile(r"\.tmp-[0-9a-f]{16}")


@contextmanager
def draft(
    platform: Platform, dest: StrPath, source: Directory | None = None
) -> Generator[Directory]:
    """Build a directory inside the block; behind it `dest` is that directory, durably.

    The block makes durable what it puts there. What it raises is raised, and the draft removed.

    Args:
        platform: The world.
        dest: A path where there is nothing yet, or an empty directory.
        source: Of the store; neither of the two may lie in the other. None: it has no directory.

    Raises:
        InvalidArgument: That is no place for it; or somebody else has made it meanwhile. Nothing
            was touched.
        StorageFailed: The system refused. `dest` is as it was, or complete if it was the last sync.
    """
    full, parent, name = layout.enter_parent(platform, dest, "open")
    with closing(parent):
        with layout.asking("look at", full):
            _require_free(parent, name, source, full)
            _sweep(parent, name, platform)
        lock: Lock | None = None
        for _ in range(ATTEMPTS):
            temporary = f"{name}.tmp-{platform.entropy(8).hex()}"
            with _made(parent, temporary, full) as directory:
                if directory is not None:
                    with layout.asking("create", directory.path), suppress(FileNotFoundError):
                        lock = _lock(directory, platform)
                if directory is None or lock is None:  # a rival has swept it while it was new
                    continue
                try:
                    yield directory
                    with layout.asking("replace", full):
                        _publish(parent, temporary, name, full)
                finally:
                    lock.release()
                return
        raise StorageFailed("create", full, errno.ENOENT, "each new directory is gone at once")


@contextmanager
def _made(parent: Directory, name: str, full: str) -> Generator[Directory | None]:
    """A new directory; removed if the block raises, and it has that name still.

    None: it was gone before it was opened.
    """
    directory: Directory | None = None
    try:
        with layout.asking("create", full), suppress(FileNotFoundError):
            directory = parent.subdir(name, create=True)
        with nullcontext() if directory is None else closing(directory):
            yield directory
    except BaseException:
        _remove(parent, name)
        raise


def _publish(parent: Directory, temporary: str, name: str, full: str) -> None:
    try:
        parent.replace(temporary, name)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise InvalidArgument("dest", f"{full} was made by somebody else meanwhile") from error
        raise
    parent.sync()


def _lock(directory: Directory, platform: Platform) -> Lock | None:
    return directory.lock(layout.LOCK, str(platform.pid()).encode(), shared=False)


def _require_free(parent: Directory, name: str, source: Directory | None, full: str) -> None:
    """Refuse a place that is taken, or lies in the store, or has it inside."""
    above = () if source is None else source.way_up()
    if above and above[0] in parent.way_up():
        raise InvalidArgument("dest", f"{full} lies inside the store")
    if all(entry.name != name for entry in parent.entries()):
        return
    try:
        there = parent.subdir(name, create=False)
    except OSError:
        raise InvalidArgument("dest", f"{full} is there already, and is no directory") from None
    with closing(there):
        place = there.way_up()[0]
        if place in above[:1]:
            raise InvalidArgument("dest", f"{full} is the store itself")
        if place in above:
            raise InvalidArgument("dest", f"{full} has the store inside it")
        if there.entries():
            raise InvalidArgument("dest", f"{full} is not empty")


# ------------------------------------------------------------------------------------- leftovers


def _sweep(parent: Directory, name: str, platform: Platform) -> None:
    """Remove the drafts of those who were stopped while they built for this name."""
    for entry in parent.entries():
        if entry.name.startswith(name) and _DRAFT.fullmatch(entry.name, len(name)):
            with (
                suppress(OSError, StorageFailed),
                closing(parent.subdir(entry.name, create=False)) as left,
            ):
                if layout.listing(left).aliens:  # it is somebody else's
                    continue
                held = _lock(left, platform)
                if held is not None:  # nobody builds it
                    _remove(parent, entry.name)
                    held.release()


def _remove(parent: Directory, name: str) -> None:
    """Remove a draft as far as the system lets us."""
    with suppress(OSError):
        with closing(parent.subdir(name, create=False)) as gone:
            with (
                suppress(FileNotFoundError),
                closing(gone.subdir(layout.CURSORS, create=False)) as shelf,
            ):
                _empty(shelf)
            _empty(gone)
        parent.rmdir(name)


def _empty(directory: Directory) -> None:
    for entry in directory.entries():
        if entry.is_file:
            directory.unlink(entry.name)
        else:
            directory.rmdir(entry.name)
