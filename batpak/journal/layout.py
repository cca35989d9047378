"""Names in the directory of a store, and how a file appears under one.

    NNNNNN.fbat    a segment, six or more digits, from 000001, never reused     the truth
    HEAD           a lower bound of the log, replaced as a whole                the truth
    cursors/       how far consumers have come, a file for each of them         theirs
    quarantine/    torn bytes, kept as evidence, never read                     -
    .batpak.lock   the target of the lock; holds the writer's process id        -
    NAME.tmp       an unpublished file; the next writable open removes it       -

Only exact names count; everything else is listed as alien and left alone. A file appears under
its name by atomic replacement: create `NAME.tmp`, write, sync, rename, sync the directory. So a
name exists only once all its bytes are durable.
Reference: docs/reference/file-format.md, "Directory".
"""

from __future__ import annotations

import errno
import re
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager, suppress
from typing import Final, NamedTuple

from batpak.disk import posix
from batpak.disk.seam import Directory, Lock, StrPath, WriteFile
from batpak.disk.whole import read_all, write_all
from batpak.errors import CorruptStore, InvalidArgument, StorageFailed, StoreLocked
from batpak.faults import Damage
from batpak.platform import Platform

LOCK: Final = ".batpak.lock"
HEAD: Final = "HEAD"
QUARANTINE: Final = "quarantine"
CURSORS: Final = "cursors"
CHECKPOINT: Final = ".ckpt"
TEMPORARY: Final = ".tmp"
HEAD_BYTES_MAX: Final = 4 << 10
CHECKPOINT_BYTES_MAX: Final = 64 << 10
SEGMENT_BYTES_MAX: Final = 0xFFFF_FFFF  # offsets are u32
ALIENS_MAX: Final = 1_000
COPY_BYTES: Final = 1 << 20

_SEGMENT: Final = re.compile(r"([0-9]{6}|[1-9][0-9]{6,17})\.fbat")
_OURS: Final = frozenset({LOCK, HEAD, QUARANTINE, CURSORS})


def enter(platform: Platform, path: StrPath, *, create: bool) -> Directory:
    """Open the directory of a store; make it if missing and allowed.

    Raises:
        InvalidArgument: No name of a directory can look like that.
        StorageFailed: The system refused.
    """
    try:
        full = posix.full_path(path)
        with asking("open", full):
            return platform.open_dir(full, create=create)
    except (TypeError, ValueError) as error:  # no path at all; a NUL, a lone surrogate in it
        raise InvalidArgument("path", str(error)) from error


class Listing(NamedTuple):
    """What a directory holds, sorted by what it means."""

    segments: dict[int, int]  # number -> size in bytes, ascending
    has_head: bool
    has_lock: bool
    has_cursors: bool
    leftovers: tuple[str, ...]  # of interrupted replacements
    aliens: tuple[str, ...]  # at most ALIENS_MAX of them


def enter_parent(platform: Platform, dest: StrPath, operation: str) -> tuple[str, Directory, str]:
    """The full path of something new, the directory that it will be in, and its name there.

    Args:
        platform: The world.
        dest: Any path.
        operation: What is being done, for messages.

    Raises:
        InvalidArgument: No path looks like that.
        StorageFailed: The system refused.
    """
    try:
        full = posix.full_path(dest)
        with asking(operation, full):
            return full, *platform.open_parent(full)
    except (TypeError, ValueError) as error:
        raise InvalidArgument("dest", str(error)) from error


def segment_name(number: int) -> str:
    """`000001.fbat` for 1."""
    return f"{number:06d}.fbat"


def listing(directory: Directory) -> Listing:
    """Read the directory once.

    Raises:
        StorageFailed: The system refused.
    """
    with asking("list", directory.path):
        entries = directory.entries()
    sizes: dict[int, int] = {}
    seen: set[str] = set()
    leftovers: list[str] = []
    aliens: list[str] = []
    for entry in entries:
        match = _SEGMENT.fullmatch(entry.name) if entry.is_file else None
        if match and int(match[1]):
            sizes[int(match[1])] = entry.size
        elif entry.is_file and _is_leftover(entry.name):
            leftovers.append(entry.name)
        elif entry.name in _OURS:
            seen.add(entry.name)
        else:
            aliens.append(entry.name)
    return Listing(
        dict(sorted(sizes.items())),
        HEAD in seen,
        LOCK in seen,
        CURSORS in seen,
        tuple(sorted(leftovers)),
        tuple(sorted(aliens)[:ALIENS_MAX]),
    )


def _is_leftover(name: str) -> bool:
    return name == HEAD + TEMPORARY or segment_of(name) is not None


def segment_of(name: str) -> int | None:
    """1 for `000001.fbat.tmp`. None: that is no unpublished segment."""
    match = _SEGMENT.fullmatch(name.removesuffix(TEMPORARY))
    return int(match[1]) if match and name.endswith(TEMPORARY) else None


class Consumers(NamedTuple):
    """What `cursors/` holds."""

    checkpoints: tuple[str, ...]  # names of files
    leftovers: tuple[str, ...]  # of interrupted replacements


def consumers(directory: Directory) -> Consumers:
    """Read the directory of those who follow the log, if there is one.

    Raises:
        StorageFailed: The system refused.
    """
    shelf = shelf_of(directory)
    if shelf is None:
        return Consumers((), ())
    with closing(shelf), asking("list", shelf.path):
        names = sorted(entry.name for entry in shelf.entries() if entry.is_file)
    return Consumers(
        tuple(name for name in names if name.endswith(CHECKPOINT)),
        tuple(name for name in names if name.endswith(CHECKPOINT + TEMPORARY)),
    )


def shelf_of(directory: Directory) -> Directory | None:
    """The directory of checkpoints. None: nobody follows the log.

    Raises:
        StorageFailed: The system refused.
    """
    with (
        asking("open", path_of(directory, CURSORS)),
        suppress(FileNotFoundError, NotADirectoryError),
    ):
        return directory.subdir(CURSORS, create=False)
    return None


# ------------------------------------------------------------------------ refusals of the system


def path_of(directory: Directory, name: str) -> str:
    """The path of a file, for messages."""
    return f"{directory.path}/{name}"


def failed(operation: str, path: str, error: OSError) -> StorageFailed:
    """What the system refused, as the exception that callers see."""
    return StorageFailed(operation, path, error.errno, error.strerror or str(error))


@contextmanager
def asking(operation: str, path: str) -> Generator[None]:
    """Turn what the system refuses inside the block into StorageFailed."""
    try:
        yield
    except OSError as error:
        raise failed(operation, path, error) from error


# ------------------------------------------------------------------------------ whole transfers


def write_pieces(file: WriteFile, offset: int, pieces: Iterable[bytes]) -> None:
    """Write pieces one behind the other, small ones together.

    Raises:
        OSError: The system refused; some of it may have been written.
    """
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= COPY_BYTES:
            write_all(file, offset, b"".join(waiting))
            offset, waiting, size = offset + size, [], 0
    if size:
        write_all(file, offset, b"".join(waiting))


def read_small(directory: Directory, name: str, bytes_max: int) -> bytes:
    """A whole small file.

    Raises:
        CorruptStore: It is larger than its kind of file can be.
        StorageFailed: The system refused.
    """
    path = path_of(directory, name)
    with asking("read", path):
        file = directory.open(name)
        try:
            data = read_all(file, 0, bytes_max + 1)
        finally:
            file.close()
    if len(data) > bytes_max:
        raise CorruptStore(path, bytes_max, Damage.LAYOUT, f"is larger than {bytes_max:,} bytes")
    return data


# -------------------------------------------------------------------------- atomic replacement


def prepare(directory: Directory, name: str, data: bytes | memoryview) -> None:
    """First half: `NAME.tmp`, whole and durable. On failure nothing is left.

    Raises:
        StorageFailed: The system refused; nothing changed.
    """
    temporary = name + TEMPORARY
    with asking("create", path_of(directory, temporary)):
        try:
            file = directory.create(temporary)
        except FileExistsError:  # ours, from an interrupted replacement: we hold the lock
            directory.unlink(temporary)
            file = directory.create(temporary)
    try:
        with asking("write", path_of(directory, temporary)):
            _write_whole(file, data)
    except BaseException:
        with suppress(OSError):
            directory.unlink(temporary)
        raise


def _write_whole(file: WriteFile, data: bytes | memoryview) -> None:
    """Write a new file, make it durable, close it."""
    try:
        for start in range(0, len(data), COPY_BYTES):
            write_all(file, start, bytes(data[start : start + COPY_BYTES]))
        file.sync(data_only=False)
    finally:
        file.close()


def publish(directory: Directory, name: str) -> None:
    """Second half: `NAME.tmp` becomes NAME, durably.

    Raises:
        StorageFailed: The system refused; which of the two files NAME is after a crash is unknown.
    """
    with asking("replace", path_of(directory, name)):
        directory.replace(name + TEMPORARY, name)
        directory.sync()


def replace(directory: Directory, name: str, data: bytes | memoryview) -> None:
    """Both halves."""
    prepare(directory, name, data)
    publish(directory, name)


def quarantine(directory: Directory, segment: int, offset: int, data: memoryview) -> str:
    """Keep bytes that are no events, durably, under a new name; return the name.

    Raises:
        StorageFailed: The system refused.
    """
    with asking("create", path_of(directory, QUARANTINE)):
        shelf = directory.subdir(QUARANTINE, create=True)
    try:
        name, file = _new_exhibit(shelf, f"{segment:06d}-{offset}")
        with asking("write", path_of(shelf, name)):
            _write_whole(file, data)
            shelf.sync()
    finally:
        shelf.close()
    return f"{QUARANTINE}/{name}"


def _new_exhibit(shelf: Directory, stem: str) -> tuple[str, WriteFile]:
    number = 1
    while True:
        name = f"{stem}-{number}.bin"
        with asking("create", path_of(shelf, name)):
            try:
                return name, shelf.create(name)
            except FileExistsError:  # of an earlier, interrupted recovery
                number += 1


def quarantined_bytes(directory: Directory) -> int:
    """How many bytes are set aside.

    Raises:
        StorageFailed: The system refused.
    """
    with asking("list", path_of(directory, QUARANTINE)):
        try:
            shelf = directory.subdir(QUARANTINE, create=False)
        except FileNotFoundError:
            return 0
        try:
            return sum(entry.size for entry in shelf.entries() if entry.is_file)
        finally:
            shelf.close()


# ------------------------------------------------------------------------------------- the lock


def lock(directory: Directory, pid: int, *, shared: bool) -> Lock | None:
    """Take the lock of a store at once or not at all. None: a reader, and there is nothing to lock.

    Raises:
        StoreLocked: Another handle holds it.
        StorageFailed: The lock file is no ordinary file of ours, or the system refused.
    """
    held: Lock | None = None
    try:
        with asking("lock", path_of(directory, LOCK)):
            held = directory.lock(LOCK, str(pid).encode(), shared=shared)
    except StorageFailed as error:
        if shared and error.errno == errno.ENOENT:
            return None
        raise
    except BaseException:  # from outside, when it is held
        if held is not None:
            held.release()
        raise
    if held is None:
        mode = "reading" if shared else "writing"
        raise StoreLocked(directory.path, mode, _holder(directory))
    return held


def _holder(directory: Directory) -> int | None:
    """The process that the lock file names, if it names one."""
    try:
        text = read_small(directory, LOCK, 32)
    except (StorageFailed, CorruptStore):
        return None
    return int(text) if re.fullmatch(rb"[1-9][0-9]{0,9}", text) else None
