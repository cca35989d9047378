"""Open files and directories of a simulated disk: the seam of `batpak.disk`, call by call."""

from __future__ import annotations

import errno

from batpak.disk.posix import blank_map, parent_of
from batpak.disk.seam import Entry, Mapped, Place, ReadFile
from batpak.testing.disk import SimDisk
from batpak.testing.faults import Fault, Kind, Partial, Short
from batpak.testing.image import ROOT, Operation


def open_dir(disk: SimDisk, path: str, /, *, create: bool) -> SimDirectory:
    """See `batpak.disk.posix.open_dir`; no permission is asked for."""
    label = path.rpartition("/")[2]
    disk.enter("open_dir", label)
    parent, name = disk.find(path)
    inode = disk.names(parent).get(name)
    made = inode is None
    if inode is None:
        if not create:
            raise disk.refusal(errno.ENOENT, path)
        inode = disk.make("open_dir", label, parent, name, is_dir=True)
    elif not disk.is_dir(inode):
        raise disk.refusal(errno.ENOTDIR, path)
    if create and not disk.names(inode):
        try:
            sync_names(disk, parent, "")
        except OSError:
            if made:
                disk.rename(Operation("unlink", label, parent, name=name, dropped=inode))
            raise
    disk.leave("open_dir", label)
    return SimDirectory(disk, inode, path, label)


def open_parent(disk: SimDisk, path: str, /) -> tuple[SimDirectory, str]:
    """See `batpak.disk.posix.open_parent`. Where no directory is known, names are whole paths."""
    above, _ = parent_of(path)
    label = above.rpartition("/")[2]
    disk.enter("open_dir", label)
    parent, name = disk.find(path)
    if not disk.is_dir(parent):
        raise disk.refusal(errno.ENOTDIR, path)
    disk.leave("open_dir", label)
    if parent == ROOT:
        above = label = ""
    return SimDirectory(disk, parent, above, label), name


def sync_names(disk: SimDisk, inode: int, label: str, *, is_open: bool = True) -> None:
    """Sync a directory."""
    fault = disk.enter("syncdir", label)
    if not is_open:
        raise disk.refusal(errno.EBADF, label)
    failed = fault is not None
    disk.operations.append(Operation("syncdir", label, inode, failed=failed))
    if isinstance(fault, int):
        raise disk.refusal(fault, label)
    disk.leave("syncdir", label)


class _Handle:
    """What all open files and directories have in common."""

    _close_may_fail = False

    def __init__(self, disk: SimDisk, inode: int, label: str) -> None:
        self._disk, self._inode, self._label = disk, inode, label
        self._is_open = True

    def close(self) -> None:
        """See the seam."""
        if not self._is_open:
            return
        fault = self._disk.enter("close", self._label)
        self._is_open = False
        if isinstance(fault, int):
            error = self._disk.refusal(fault, self._label)
            if self._close_may_fail:
                raise error
        self._disk.leave("close", self._label)

    def _begin(self, kind: Kind, offset: int = 0, size: int = 0, data: bytes = b"") -> Fault | None:
        fault = self._disk.enter(kind, self._label, offset, size, data)
        if offset < 0 or size < 0:
            raise self._refusal(errno.EINVAL)
        if not self._is_open:
            raise self._refusal(errno.EBADF)
        return fault

    def _refusal(self, code: int) -> OSError:
        return self._disk.refusal(code, self._label)


class _OpenFile(_Handle):
    def __init__(self, disk: SimDisk, inode: int, label: str) -> None:
        super().__init__(disk, inode, label)
        self._file = disk.file(inode)

    def size(self) -> int:
        """See the seam."""
        self._begin("size")
        return self._file.size


class SimWriteFile(_OpenFile):
    """A file open for writing; see `batpak.disk.seam.WriteFile`."""

    _close_may_fail = True

    def __init__(self, disk: SimDisk, inode: int, label: str) -> None:
        super().__init__(disk, inode, label)
        self._map: Mapped | None = None

    def reserve(self, size: int, /) -> Mapped | None:
        """A map of its own, if this disk has any; readers may go on holding the old one."""
        disk, file, now = self._disk, self._file, self._map
        if disk.mapped:
            self._begin("reserve", 0, size)
        else:
            disk.enter("reserve", self._label, 0, size)
        if disk.mapped and size > (0 if now is None else len(now)):
            disk.change(Operation("reserve", self._label, self._inode, size=size))
            fresh = blank_map(size)
            fresh[: len(file.data)] = bytes(file.data[:size])
            file.maps.append(memoryview(fresh))
            self._map = fresh
        disk.leave("reserve", self._label)
        return self._map

    def write(self, offset: int, data: bytes, /) -> int:
        """Some of it, or all."""
        fault = self._begin("write", offset, len(data), data)
        disk, taken = self._disk, data[: self._disk.write_max]
        if isinstance(fault, (Short, Partial)):
            taken = taken[: fault.part.of(len(taken))]
        disk.change(Operation("write", self._label, self._inode, offset, bytes(taken)))
        if isinstance(fault, Partial):
            raise self._refusal(fault.error)
        disk.leave("write", self._label)
        return len(taken)

    def sync(self, *, data_only: bool) -> None:  # noqa: ARG002  the size is data as well
        """The data become durable; if it is refused, what was pending never does."""
        fault = self._begin("sync")
        failed = fault is not None
        self._disk.operations.append(Operation("sync", self._label, self._inode, failed=failed))
        if isinstance(fault, int):
            raise self._refusal(fault)
        self._disk.leave("sync", self._label)

    def clone(self, source: ReadFile, /) -> bool:  # noqa: ARG002  as on ext4
        """This disk cannot do that."""
        return False

    def truncate(self, size: int, /) -> None:
        """The rest is gone, or zeros are appended."""
        self._begin("truncate", 0, size)
        self._map = None
        self._disk.change(Operation("truncate", self._label, self._inode, size=size))
        self._disk.leave("truncate", self._label)


class SimReadFile(_OpenFile):
    """A file open for reading; see `batpak.disk.seam.ReadFile`."""

    def pread(self, offset: int, count: int, /) -> bytes:
        """Some of the bytes, or all that were asked for."""
        fault = self._begin("pread", offset, count)
        if isinstance(fault, Short):
            count = fault.part.of(count)
        return self._file.read(offset, count)

    def map(self) -> Mapped:
        """A copy."""
        self._begin("map")
        return bytes(self._file.data).ljust(self._file.size, b"\0")


class SimLock:
    """A held lock; see `batpak.disk.seam.Lock`."""

    def __init__(
        self, disk: SimDisk, place: tuple[int, str], inode: int, label: str, *, shared: bool
    ) -> None:
        self._disk, self._place, self._inode, self._label = disk, place, inode, label
        self._shared, self._held = shared, True

    def __del__(self) -> None:
        self.release()  # as the system does when the last descriptor is closed

    def intact(self) -> bool:
        """See the seam."""
        if not self._held:
            raise OSError(errno.EBADF, "the lock was released", self._label)
        directory, name = self._place
        return self._disk.names(directory).get(name) == self._inode

    def release(self) -> None:
        """See the seam."""
        if not self._held:
            return
        self._held = False
        if not self._shared:
            note(self._disk, self._inode, self._label, b"")
        holders = self._disk.locks.get(self._inode, [])
        if self._shared in holders:
            holders.remove(self._shared)

    def abandon(self) -> None:
        """The lock stays: it is the parent's."""
        self._held = False


def note(disk: SimDisk, inode: int, label: str, text: bytes) -> None:
    """Put a note into the file of a lock. It is for messages, so no crash needs to keep it."""
    disk.operations.append(Operation("lock", label, inode, data=text))
    file = disk.file(inode)
    file.truncate(0)
    file.write(0, text)


class SimDirectory(_Handle):
    """An open directory; see `batpak.disk.seam.Directory`."""

    def __init__(self, disk: SimDisk, inode: int, path: str, label: str) -> None:
        super().__init__(disk, inode, label)
        self._path = path

    @property
    def path(self) -> str:
        """Where it was opened."""
        return self._path

    def entries(self) -> list[Entry]:
        """Every name; a directory has no size here."""
        self._begin("entries")
        disk = self._disk
        return [
            Entry(name, is_file=False, size=0)
            if disk.is_dir(inode)
            else Entry(name, is_file=True, size=disk.file(inode).size)
            for name, inode in disk.names(self._inode).items()
        ]

    def create(self, name: str, /) -> SimWriteFile:
        """Exclusive."""
        label = self._enter("create", name)
        if self._find(name) is not None:
            raise self._disk.refusal(errno.EEXIST, label)
        inode = self._disk.make("create", label, self._inode, name, is_dir=False)
        self._disk.leave("create", label)
        return SimWriteFile(self._disk, inode, label)

    def append(self, name: str, /) -> SimWriteFile:
        """There is nothing here that has a second name."""
        label = self._enter("append", name)
        return SimWriteFile(self._disk, self._existing(name, label, errno.EISDIR), label)

    def open(self, name: str, /) -> SimReadFile:
        """Of directories and files, the files."""
        label = self._enter("open", name)
        return SimReadFile(self._disk, self._existing(name, label, errno.EINVAL), label)

    def replace(self, source: str, target: str, /) -> None:
        """One operation, which a crash keeps or does not."""
        disk = self._disk
        label = self._enter("replace", target)
        moved, there = self._find(source), self._find(target)
        if moved is None:
            raise disk.refusal(errno.ENOENT, label)
        if there is not None and there != moved:
            if disk.is_dir(there) != disk.is_dir(moved):
                raise disk.refusal(errno.EISDIR if disk.is_dir(there) else errno.ENOTDIR, label)
            if disk.is_dir(there) and disk.names(there):
                raise disk.refusal(errno.ENOTEMPTY, label)
            disk.removed.add(there)
        if there != moved:
            disk.rename(
                Operation(
                    "replace", label, self._inode, name=target, target=moved, source=source,
                    dropped=there, is_dir=disk.is_dir(moved),
                )
            )  # fmt: skip
        disk.leave("replace", label)

    def unlink(self, name: str, /) -> None:
        """Files only."""
        label = self._enter("unlink", name)
        inode = self._existing(name, label, errno.EISDIR)
        self._disk.rename(Operation("unlink", label, self._inode, name=name, dropped=inode))
        self._disk.leave("unlink", label)

    def subdir(self, name: str, /, *, create: bool) -> SimDirectory:
        """Its name is durable on return if it may be made."""
        disk = self._disk
        label = self._enter("subdir", name)
        inode = self._find(name)
        if inode is None and not create:
            raise disk.refusal(errno.ENOENT, label)
        if inode is not None and not disk.is_dir(inode):
            raise disk.refusal(errno.ENOTDIR, label)
        made = inode is None
        if inode is None:
            inode = disk.make("subdir", label, self._inode, name, is_dir=True)
        if create:
            try:
                sync_names(disk, self._inode, self._label)
            except OSError:
                if made:
                    gone = Operation("unlink", label, self._inode, name=name, dropped=inode)
                    disk.rename(gone)
                raise
        disk.leave("subdir", label)
        path = name if self._inode == ROOT else f"{self._path}/{name}"
        return SimDirectory(disk, inode, path, label)

    def rmdir(self, name: str, /) -> None:
        """Empty ones only."""
        disk = self._disk
        label = self._enter("rmdir", name)
        inode = self._find(name)
        if inode is None or not disk.is_dir(inode):
            raise disk.refusal(errno.ENOENT if inode is None else errno.ENOTDIR, label)
        if disk.names(inode):
            raise disk.refusal(errno.ENOTEMPTY, label)
        disk.removed.add(inode)
        disk.rename(Operation("rmdir", label, self._inode, name=name, dropped=inode))
        disk.leave("rmdir", label)

    def way_up(self) -> tuple[Place, ...]:
        """As far up as directories are known."""
        self._begin("way_up")
        disk, path = self._disk, self._path
        found = [self._inode]
        while path:
            path = path.rpartition("/")[0]
            parent, name = disk.find(path)
            inode = disk.names(parent).get(name)
            if inode is not None:
                found.append(inode)
        return tuple((0, inode) for inode in found)

    def intact(self) -> bool | None:
        """Compare what the path leads to now with what is open."""
        self._begin("intact")
        disk = self._disk
        parent, name = disk.find(self._path)
        inode = disk.names(parent).get(name)
        return None if inode is None else inode == self._inode

    def sync(self) -> None:
        """The names become durable; if it is refused, those that were pending never do."""
        sync_names(self._disk, self._inode, self._label, is_open=self._is_open)

    def lock(self, name: str, note_: bytes, /, *, shared: bool) -> SimLock | None:
        """Per file, whatever its name is by now."""
        disk = self._disk
        label = self._enter("lock", name)
        inode = self._find(name)
        if inode is None:
            if shared:
                raise disk.refusal(errno.ENOENT, label)
            inode = disk.make("create", label, self._inode, name, is_dir=False)
        elif disk.is_dir(inode):
            raise disk.refusal(errno.EINVAL if shared else errno.EISDIR, label)
        holders = disk.locks.setdefault(inode, [])
        if holders and not (shared and all(holders)):
            return None
        holders.append(shared)
        if not shared:
            note(disk, inode, label, note_)
        held = SimLock(disk, (self._inode, name), inode, label, shared=shared)
        disk.leave("lock", label)  # what is raised in there drops the lock, and so releases it
        return held

    def _enter(self, kind: Kind, name: str) -> str:
        label = name.rpartition("/")[2] if self._inode == ROOT else f"{self._label}/{name}"
        self._disk.enter(kind, label)
        if not self._is_open:
            raise self._disk.refusal(errno.EBADF, label)
        return label

    def _find(self, name: str) -> int | None:
        return self._disk.names(self._inode).get(name)

    def _existing(self, name: str, label: str, if_directory: int) -> int:
        inode = self._find(name)
        if inode is None:
            raise self._disk.refusal(errno.ENOENT, label)
        if self._disk.is_dir(inode):
            raise self._disk.refusal(if_directory, label)
        return inode
