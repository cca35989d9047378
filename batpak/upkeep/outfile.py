"""Outfile: a file for other programs, which has its name only once all of it is durable.

    NAME.tmp-0123456789abcdef    what is being written; removed if that fails
    NAME                         what it becomes by one rename

Of a process that was killed the first may be left. It is nobody's, and may be removed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from errno import EEXIST

from batpak.disk.seam import Directory, StrPath, WriteFile
from batpak.disk.whole import write_all
from batpak.errors import StorageFailed
from batpak.journal import layout
from batpak.platform import REAL, Platform


@contextmanager
def outfile(dest: StrPath, platform: Platform = REAL) -> Generator[Callable[[bytes], None]]:
    """Write a new file inside the block, piece by piece; behind it `dest` is that file, durably.

    Args:
        dest: A path where there is nothing yet.
        platform: The world.

    Raises:
        InvalidArgument: No name of a file can look like that.
        StorageFailed: There is something already, or the system refused. Nothing was changed.
    """
    full, parent, name = layout.enter_parent(platform, dest, "create")
    with closing(parent):
        _require_free(parent, name, full)
        temporary = f"{name}.tmp-{platform.entropy(8).hex()}"
        try:
            with layout.asking("create", full):
                file = parent.create(temporary)
            with closing(_Pieces(file, full)) as pieces:
                yield pieces.write
                with layout.asking("sync", full):
                    file.sync(data_only=False)
            _require_free(parent, name, full)
            with layout.asking("replace", full):
                parent.replace(temporary, name)
        except BaseException:
            with suppress(OSError):
                parent.unlink(temporary)
            raise
        with layout.asking("sync", full):
            parent.sync()


class _Pieces:
    """Writes one piece behind the other."""

    def __init__(self, file: WriteFile, path: str) -> None:
        self._file, self._path, self._end = file, path, 0

    def write(self, data: bytes) -> None:
        with layout.asking("write", self._path):
            write_all(self._file, self._end, data)
        self._end += len(data)

    def close(self) -> None:
        with layout.asking("close", self._path):
            self._file.close()


def _require_free(parent: Directory, name: str, full: str) -> None:
    with layout.asking("create", full):
        taken = any(entry.name == name for entry in parent.entries())
    if taken:
        raise StorageFailed("create", full, EEXIST, "there is something with this name already")
