"""The simulated disk does what the real one does: 1,000 random scripts of calls on both.

Would slip through without it: an engine that is right on a disk that does not exist.
"""

from __future__ import annotations

import errno
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, TypeVar

import pytest

from batpak.disk.seam import Directory, Lock, ReadFile, WriteFile
from batpak.platform import REAL, Platform
from batpak.testing.platform import SimPlatform

SCRIPTS: Final = 1_000
CALLS: Final = 40
NAMES: Final = ("a", "b", "c", "shelf")
LOCK: Final = "lock"
NAMED: Final = [
    "entries",
    "create",
    "append",
    "open",
    "replace",
    "unlink",
    "rmdir",
    "subdir",
    "make",
]
DIRECTORY: Final = [*NAMED, "sync", "lock", "share"]
FILES: Final = ["wclose", "rclose", "wsize", "rsize", "truncate", "fsync", "map"]
OPEN: Final = [*FILES, "dclose", "release", "intact"]
OFTEN: Final = [
    "create",
    "append",
    "open",
    "reserve",
    "reserve",
    "write",
    "write",
    "write",
    "pread",
]

T = TypeVar("T")


class Step(NamedTuple):
    """One call of a script."""

    what: str
    name: str
    other: str
    which: int  # of what is open
    offset: int
    data: bytes


def a_step(random: Random) -> Step:
    edge = random.random() < 0.02
    return Step(
        random.choice(DIRECTORY + OPEN + OFTEN),
        random.choice(NAMES),
        random.choice(NAMES),
        random.randrange(1_000),
        -1 if edge else random.choice([0, 1, 7, 100, 511, 4_095, 4_096, 5_000, 20_000]),
        random.randbytes(random.choice([0, 1, 10, 600, 5_000])),
    )


def pick(kept: list[T], which: int) -> T:
    if not kept:
        raise OSError(None, "nothing of that kind is open")
    return kept[which % len(kept)]


class Machine:
    """One disk, and what a script has open on it.

    Args:
        platform: Where the disk is.
        path: A new directory.
        mapped: Whether files are written through maps: then nothing is tried that a map forbids.
    """

    def __init__(self, platform: Platform, path: str, *, mapped: bool) -> None:
        self.mapped = mapped
        self.top = platform.open_dir(path, create=True)
        self.directories: list[Directory] = [self.top]
        self.writers: list[WriteFile] = []
        self.readers: list[ReadFile] = []
        self.locks: list[Lock] = []

    def do(self, step: Step) -> object:
        """Make one call; what it gives, or the errno."""
        try:
            if step.what in DIRECTORY or step.what in ("create", "append", "open"):
                return self._directory(pick(self.directories, step.which), step)
            if step.what in ("release", "intact"):
                return self._lock(pick(self.locks, step.which), step)
            if step.what in ("rclose", "rsize", "pread", "map"):
                return self._reader(pick(self.readers, step.which), step)
            if step.what == "dclose":
                directory = pick(self.directories, step.which)
                if directory is not self.top:
                    directory.close()
                return "done"
            return self._writer(pick(self.writers, step.which), step)
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))
        except ValueError:  # how Python says it when a closed file is synced
            return "EBADF"

    def _directory(self, directory: Directory, step: Step) -> object:
        match step.what:
            case "entries":
                return seen(directory)
            case "create":
                self.writers.append(directory.create(step.name))
            case "append":
                self.writers.append(directory.append(step.name))
            case "open":
                self.readers.append(directory.open(step.name))
            case "replace":
                directory.replace(step.name, step.other)
            case "rmdir":
                directory.rmdir(step.name)
            case "unlink":
                directory.unlink(step.name if step.which % 4 else LOCK)
            case "subdir" | "make":
                made = directory.subdir(step.name, create=step.what == "make")
                self.directories.append(made)
            case "sync":
                directory.sync()
            case _:
                is_dir = step.which % 2 == 0 and ("shelf", False, 0) in seen(self.top)
                name = "shelf" if is_dir else LOCK  # in another file the note would cut a map off
                held = self.top.lock(name, step.data[:10], shared=step.what == "share")
                if held is None:
                    return "somebody else holds it"
                self.locks.append(held)
        return "done"

    def _lock(self, lock: Lock, step: Step) -> object:
        if step.what == "intact":
            return lock.intact()
        lock.release()
        return "done"

    def _reader(self, file: ReadFile, step: Step) -> object:
        match step.what:
            case "rclose":
                file.close()
            case "rsize":
                return file.size()
            case "pread":
                return file.pread(step.offset, len(step.data))
            case _:
                view = file.map()
                return view[: len(view)]
        return "done"

    def _writer(self, file: WriteFile, step: Step) -> object:
        offset = max(0, step.offset) if self.mapped else step.offset
        match step.what:
            case "wclose":
                if self.mapped:
                    self.writers.remove(file)  # it would go on writing through its map
                file.close()
            case "wsize":
                return file.size()
            case "fsync":
                file.sync(data_only=step.which % 2 == 0)
            case "truncate":
                if self.mapped and len(self.writers) > 1:
                    return "left out"  # a map of another one would end behind the file
                file.truncate(offset)
            case "reserve":
                view = file.reserve(max(0, offset))
                return None if view is None else (len(view), view[: len(view)])
            case _:
                return file.write(offset, step.data)
        return "done"

    def end(self) -> object:
        """All that is left to see; nothing stays open."""
        for writer in self.writers:
            writer.close()
        for reader in self.readers:
            reader.close()
        for lock in self.locks:
            lock.release()
        found = [everything(directory) for directory in self.directories if directory is self.top]
        for directory in self.directories:
            directory.close()
        return found


def seen(directory: Directory) -> list[tuple[str, bool, int]]:
    """What is in a directory; one that is in another has no size that means anything."""
    entries = directory.entries()
    return sorted((e.name, e.is_file, e.size if e.is_file else 0) for e in entries)


def everything(directory: Directory) -> dict[str, object]:
    """All files below a directory."""
    found: dict[str, object] = {}
    for name, is_file, size in seen(directory):
        if is_file:
            file = directory.open(name)
            found[name] = file.pread(0, size + 1)
            file.close()
        else:
            below = directory.subdir(name, create=False)
            found[name] = everything(below)
            below.close()
    return found


def by_position(fd: int) -> bool:  # noqa: ARG001  wherever it is
    """Stands for the look whether a file system promises room."""
    return False


def is_mapped(path: Path) -> bool:
    """Whether files here are written through maps."""
    directory = REAL.open_dir(str(path), create=False)
    file = directory.create("probe")
    view = file.reserve(4096)
    file.close()
    directory.unlink("probe")
    directory.close()
    return view is not None


@pytest.mark.parametrize("first", [0, SCRIPTS // 2], ids=["as it is here", "by position"])
def test_a_thousand_random_scripts_have_the_same_results_on_both_disks(
    first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if first:
        monkeypatch.setattr("batpak.disk.posix._can_reserve", by_position)
    mapped = is_mapped(tmp_path)
    results: set[str] = set()

    for seed in range(first, first + SCRIPTS // 2):
        random = Random(seed)  # noqa: S311  a script that can be run again
        path = str(tmp_path / str(seed))
        real = Machine(REAL, path, mapped=mapped)
        simulated = Machine(SimPlatform(mapped=mapped), path, mapped=mapped)
        for number in range(CALLS):
            step = a_step(random)
            expected = real.do(step)

            assert simulated.do(step) == expected, f"script {seed}, call {number}: {step}"
            results.add(str(expected)[:40])
        assert simulated.end() == real.end(), f"script {seed}"

    errors = {name for name in results if name.startswith("E")}
    assert errors >= {"EEXIST", "ENOENT", "EISDIR", "ENOTDIR", "EBADF", "EINVAL"}
    assert len(results) > 250
