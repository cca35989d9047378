"""The file system itself: the only `os`, `fcntl` and `mmap`. No symbolic link is followed."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from batpak.disk.seam import Entry, Mapped, Place, ReadFile, StrPath
from batpak.override import override

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
NAMES_MAX: Final = 1_000_000

_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


_FICLONE: Final = 0x4004_9409  # <linux/fs.h>
_CANNOT_CLONE: Final = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}
)


class _Descriptor:
    """One descriptor, closed once: at the latest when nobody can reach it any more.

    An exception from outside (Ctrl-C) can lose an object before its owner has it.
    """

    _fd = -1

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __del__(self) -> None:
        with suppress(OSError):
            self.close()

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def require_regular(self, *, one_link: bool) -> None:
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        if one_link and status.st_nlink > 1:  # 0: it was removed meanwhile
            raise OSError(errno.EMLINK, "has a second name (hard link)")

    def close(self) -> None:
        """Nothing that was not written can be lost, so a refusal says nothing."""
        with suppress(OSError):
            self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class RealWriteFile(_Descriptor):
    """A file written through a map of reserved room, or by position.

    A write through the map is one copy: it never gives the interpreter's lock away, and no
    exception from outside lands in the middle of it.
    """

    def __init__(self, fd: int, *, can_reserve: bool) -> None:
        super().__init__(fd)
        self._can_reserve = can_reserve
        self._map: mmap.mmap | None = None
        self._reserved = 0

    def reserve(self, size: int, /) -> Mapped | None:
        """`posix_fallocate`, then a new shared map; readers may go on holding the old one."""
        if not self._can_reserve:
            return None
        if size > self._reserved:
            os.posix_fallocate(self._fd, 0, size)
            self._map = mmap.mmap(self._fd, size)
            self._reserved = size
        return self._map

    def write(self, offset: int, data: bytes, /) -> int:
        """One copy into the map, or one `pwrite`."""
        size = len(data)
        if self._map is None or offset + size > self._reserved:
            return os.pwrite(self._fd, data, offset)
        self._map[offset : offset + size] = data
        return size

    def sync(self, *, data_only: bool) -> None:
        """`fdatasync` or `fsync`; on macOS the full flush in both cases."""
        if self._fd < 0:  # which the calls below take for a mistake of the program
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if sys.platform == "darwin":
            fcntl.fcntl(self._fd, fcntl.F_FULLFSYNC)
        elif data_only:
            os.fdatasync(self._fd)
        else:
            os.fsync(self._fd)

    def clone(self, source: ReadFile, /) -> bool:
        """FICLONE, where the file system copies on write: btrfs, xfs. On Linux only."""
        if not sys.platform.startswith("linux") or not isinstance(source, RealReadFile):
            return False
        try:
            fcntl.ioctl(self._fd, _FICLONE, source.fd)
        except OSError as error:
            if error.errno in _CANNOT_CLONE:
                return False
            raise
        return True

    def truncate(self, size: int, /) -> None:
        """`ftruncate`. Nothing is written through the map any more until there is a new one."""
        self._map, self._reserved = None, 0
        os.ftruncate(self._fd, size)

    @override
    def close(self) -> None:
        """A refusal may be the first word of a write that failed."""
        self._close()


class RealReadFile(_Descriptor):
    """A file read by position, or mapped."""

    @property
    def fd(self) -> int:
        """Its descriptor."""
        return self._fd

    def pread(self, offset: int, count: int, /) -> bytes:
        """One `pread`."""
        return os.pread(self._fd, count, offset)

    def map(self) -> Mapped:
        """A shared mapping; later writes below its end show through."""
        if self.size() == 0:
            return b""
        return mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ)


class RealLock(_Descriptor):
    """`flock`: a second handle in the same process is refused like any other."""

    def __init__(self, fd: int, directory: int, name: str) -> None:
        super().__init__(fd)
        self._directory, self._name, self._noted = directory, name, False

    def take(self, *, shared: bool) -> bool:
        """Lock at once, or say that somebody else holds it."""
        if not shared and os.fstat(self._fd).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "belongs to another user")
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write_note(self, note: bytes) -> None:
        """Put a note into the file until the release."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, note, 0)
        self._noted = True

    def intact(self) -> bool:
        """Compare device and inode behind the name with what is locked."""
        return _same_file(self._fd, self._directory, self._name)

    def release(self) -> None:
        """Unlock first: a forked child may keep a descriptor of the same lock."""
        if self._fd >= 0:
            if self._noted:
                with suppress(OSError):  # the note is for messages only
                    os.ftruncate(self._fd, 0)
            with suppress(OSError):  # the last close of it unlocks as well
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        self.close()

    def abandon(self) -> None:
        """Close without unlocking."""
        self.close()


class RealDirectory(_Descriptor):
    """A directory descriptor; every call is relative to it, wherever the path leads later."""

    def __init__(self, fd: int, path: str) -> None:
        super().__init__(fd)
        self._path = path

    @property
    def path(self) -> str:
        """Where it was opened."""
        return self._path

    def entries(self) -> list[Entry]:
        """Every name, with what `lstat` says of it."""
        found: list[Entry] = []
        with self._names() as names:
            for name in names:
                if len(found) == NAMES_MAX:
                    raise OSError(errno.EFBIG, f"more than {NAMES_MAX:,} names")
                try:
                    status = name.stat(follow_symlinks=False)
                except FileNotFoundError:  # somebody else's, removed meanwhile
                    continue
                found.append(Entry(name.name, stat.S_ISREG(status.st_mode), status.st_size))
        return found

    def create(self, name: str, /) -> RealWriteFile:
        """Exclusive, mode 0600."""
        fd = self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        return RealWriteFile(fd, can_reserve=_can_reserve(fd))

    def append(self, name: str, /) -> RealWriteFile:
        """Regular, and with one link: a second name would see our writes."""
        fd = self._open(name, os.O_RDWR)
        file = RealWriteFile(fd, can_reserve=_can_reserve(fd))
        file.require_regular(one_link=True)
        return file

    def open(self, name: str, /) -> RealReadFile:
        """Regular; anything else could block, or never end."""
        file = RealReadFile(self._open(name, os.O_RDONLY))
        file.require_regular(one_link=False)
        return file

    def replace(self, source: str, target: str, /) -> None:
        """`renameat`."""
        os.replace(source, target, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def unlink(self, name: str, /) -> None:
        """`unlinkat`."""
        os.unlink(name, dir_fd=self._fd)

    def subdir(self, name: str, /, *, create: bool) -> RealDirectory:
        """`mkdirat` with mode 0700, then open; see `open_dir` for a sync that is refused."""
        if create:
            made = False
            with suppress(FileExistsError):
                os.mkdir(name, DIRECTORY_MODE, dir_fd=self._fd)
                made = True
            try:
                self.sync()  # also the name of one whose maker was stopped before this line
            except OSError:
                if made:
                    with suppress(OSError):
                        os.rmdir(name, dir_fd=self._fd)
                raise
        fd = self._open(name, os.O_RDONLY | os.O_DIRECTORY)
        return RealDirectory(fd, f"{self._path}/{name}")

    def rmdir(self, name: str, /) -> None:
        """`unlinkat` with AT_REMOVEDIR."""
        os.rmdir(name, dir_fd=self._fd)

    def way_up(self) -> tuple[Place, ...]:
        """Device and inode behind `.`, `..`, `../..`, up to the root. No link is on that way."""
        found: list[Place] = []
        way = "."
        while True:
            status = os.stat(way, dir_fd=self._fd)
            place = status.st_dev, status.st_ino
            if found and place == found[-1]:  # the root is in itself
                return tuple(found)
            found.append(place)
            way = f"../{way}"

    def intact(self) -> bool | None:
        """Compare device and inode behind the path with what is open."""
        ours = os.fstat(self._fd)
        try:
            named = Path(self._path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)

    def is_empty(self) -> bool:
        """Whether there is no name in it."""
        with self._names() as names:
            return next(names, None) is None

    @contextmanager
    def _names(self) -> Generator[Iterator[os.DirEntry[str]]]:
        """Through a descriptor of its own: how far it was read is shared by all who use one."""
        fd = os.open(".", _DIRECTORY_FLAGS, dir_fd=self._fd)
        try:
            with os.scandir(fd) as names:
                yield names
        finally:
            os.close(fd)

    def sync(self) -> None:
        """`fsync` of the directory."""
        if self._fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        os.fsync(self._fd)

    def lock(self, name: str, note: bytes, /, *, shared: bool) -> RealLock | None:
        """`flock`, then a look whether the name was exchanged meanwhile."""
        while True:
            flags = os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT
            held = RealLock(self._open(name, flags), self._fd, name)
            try:
                held.require_regular(one_link=True)
                if not held.take(shared=shared):
                    return None
                if held.intact():
                    if not shared:
                        held.write_note(note)
                    return held
            except BaseException:  # it keeps the file locked as long as its traceback lives
                held.release()
                raise

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | _FLAGS, FILE_MODE, dir_fd=self._fd)


_RESERVING: Final = frozenset({"ext4", "xfs", "tmpfs", "overlay"})  # without writing zeros


@cache
def _file_systems() -> dict[tuple[int, int], str]:
    """What is mounted: the numbers of the device, and the type. Linux only."""
    found: dict[tuple[int, int], str] = {}
    try:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return found
    for line in text.splitlines():
        fields = line.split()
        major, _, minor = fields[2].partition(":")
        found[int(major), int(minor)] = fields[fields.index("-") + 1]
    return found


def _can_reserve(fd: int) -> bool:
    """Whether room that is reserved here can be written to, come what may.

    A file system that copies on write needs new room for every write, so there it promises nothing.
    """
    device = os.fstat(fd).st_dev
    return _file_systems().get((os.major(device), os.minor(device))) in _RESERVING


def _same_file(fd: int, directory: int, name: str) -> bool:
    ours = os.fstat(fd)
    try:
        named = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)


def open_dir(path: str, *, create: bool) -> RealDirectory:
    """Open a directory; make it if missing and allowed.

    The name of an empty one is made durable too: whoever made it may have been stopped before that.
    If that is refused, what was made is removed: a name whose sync has failed is never synced by a
    later one.

    Raises:
        OSError: The system refused. A missing parent directory is never made.
    """
    made = False
    if create:
        with suppress(FileExistsError):
            Path(path).mkdir(DIRECTORY_MODE)
            made = True
    directory = RealDirectory(os.open(path, _DIRECTORY_FLAGS), path)
    if create and directory.is_empty():
        try:
            _sync_parent(path, made=made)
        except OSError:
            if made:
                with suppress(OSError):
                    Path(path).rmdir()
            raise
    return directory


def open_parent(path: str) -> tuple[RealDirectory, str]:
    """Open the directory in which a path ends, and say the name that the path has there.

    Raises:
        OSError: The system refused.
        ValueError: It ends in no name: the root, or `..`.
    """
    parent, name = parent_of(path)
    return RealDirectory(os.open(parent, _DIRECTORY_FLAGS), parent), name


def parent_of(path: str) -> tuple[str, str]:
    """The path of the directory in which a path ends, and the name that it has there.

    Raises:
        ValueError: It ends in no name: the root, or `..`. Or no name can look like that.
    """
    whole = Path(path)
    if b"\0" in os.fsencode(path):
        raise ValueError("embedded null byte")
    if whole.name in ("", ".."):
        raise ValueError("must end in a name")
    return str(whole.parent), whole.name


def _sync_parent(path: str, *, made: bool) -> None:
    """Make the name of a directory durable, if it is for us to do."""
    try:
        parent = os.open(Path(path).absolute().parent, _DIRECTORY_FLAGS)
    except PermissionError:
        if made:
            raise
    else:  # what another user has made under a parent we may not read, they answer for
        RealDirectory(parent, path).sync()


def free_bytes(path: str) -> int:
    """How much room there is for somebody like us in the file system of a path.

    Raises:
        OSError: The system refused.
    """
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize


def blank_map(size: int) -> mmap.mmap:
    """That many zeros, mapped, with no file behind them: what a simulated disk reserves."""
    return mmap.mmap(-1, size)


def full_path(path: StrPath) -> str:
    """The absolute form of a path, for messages that outlive a change of directory.

    Raises:
        ValueError: It is empty, which would be the current directory; or no system has such a path.
        TypeError: It is no path.
    """
    if not os.fspath(path):
        raise ValueError("must not be empty; the current directory is `.`")
    if "\0" in str(path):
        raise ValueError("must not contain a zero character")
    return str(Path(path).absolute())


def pid() -> int:
    """The number of this process; a fork changes it. Kept, since asking the system is dearer."""
    return _pid


def _renew_pid() -> None:
    global _pid  # noqa: PLW0603  there is one process
    _pid = os.getpid()


_pid = os.getpid()
os.register_at_fork(after_in_child=_renew_pid)
