"""FileCache: one file for each state, any of which may be deleted at any time.

    FBST | 1   | [key, row] | crc
    4 B    u16   MessagePack  u32     row: a CachedState, its fields in order

The name of a file is the hash of its key. A file appears by a rename, whole or not at all; nothing
is synced, since losing it costs a replay.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager, suppress
from typing import Final, NamedTuple, final

from batpak import codec, digest
from batpak.arguments import require, text_of
from batpak.cache.row import CachedState
from batpak.disk import posix
from batpak.disk.seam import Directory, Entry, StrPath
from batpak.disk.whole import read_all, write_all
from batpak.errors import InvalidArgument, StorageFailed, TooLarge
from batpak.platform import REAL, Platform

log: Final = logging.getLogger("batpak.projection")

FILE_BYTES_MAX: Final = 64 << 20
SUFFIX: Final = ".state"
TEMPORARY: Final = ".tmp"
OF_A_STORE: Final = frozenset({"HEAD", ".batpak.lock"})  # each store has one of them at least

_PREFIX: Final = b"FBST\x00\x01"
_CRC: Final = struct.Struct(">I")


class _File(NamedTuple):
    key: str
    row: CachedState


_DECODE: Final = codec.decoder(_File).decode


@final
class FileCache:
    """States in a directory of their own, for this process and the next. Threads may share it.

    A file that is damaged is removed, and was never there. Links are not followed. Whoever can
    write into the directory says what projections answer: it is made with mode 0700.

    Args:
        directory: Made if it is missing. Not the one of a store, nor in it.
        platform: The world; tests replace it.

    Raises:
        InvalidArgument: No path, or that of a store.
        StorageFailed: The system refused.
    """

    def __init__(self, directory: StrPath, *, platform: Platform = REAL) -> None:
        try:
            self._path: Final = posix.full_path(directory)
        except (TypeError, ValueError) as error:
            raise InvalidArgument("directory", str(error)) from error
        self._entropy = platform.entropy
        above, _, _ = self._path.rpartition("/")
        with (
            suppress(OSError),  # nobody is shown what is there, or it is not there at all
            closing(platform.open_dir(above or "/", create=False)) as parent,
        ):
            if _is_of_a_store(parent.entries()):
                raise InvalidArgument("directory", "is in that of a store; put it beside it")
        with self._asking("open", ""):
            self._directory: Directory = platform.open_dir(self._path, create=True)
            entries = self._directory.entries()
            if _is_of_a_store(entries):
                self._directory.close()
                raise InvalidArgument("directory", "is that of a store; give it one of its own")
            for entry in entries:
                if entry.is_file and entry.name.endswith(TEMPORARY):  # of one who was killed
                    with suppress(FileNotFoundError):
                        self._directory.unlink(entry.name)

    @property
    def path(self) -> str:
        """Of the directory."""
        return self._path

    def get(self, key: str, /) -> CachedState | None:
        """What is kept under a key; None: nothing, or it was damaged.

        Raises:
            StorageFailed: The system refused, or there is a link where the file should be.
        """
        name = _name(text_of("key", key))
        found = self._read(name)
        return None if found is None or found.key != key else found.row

    def put(self, key: str, row: CachedState, /) -> None:
        """Keep a state, in the place of what was there.

        Raises:
            TooLarge: It has more than 64 MiB.
            StorageFailed: The system refused; what was there is there.
        """
        key = text_of("key", key)
        require("row", row, CachedState)
        data = _PREFIX + codec.encode(_File(key, row))
        data += _CRC.pack(digest.crc32(data))
        if len(data) > FILE_BYTES_MAX:
            raise TooLarge("a cached state", len(data), FILE_BYTES_MAX)
        name, directory = _name(key), self._directory
        temporary = f"{name}.{self._entropy(8).hex()}{TEMPORARY}"
        with self._asking("write", name):
            try:
                with closing(directory.create(temporary)) as file:
                    write_all(file, 0, data)
                directory.replace(temporary, name)
            except BaseException:
                with suppress(OSError):
                    directory.unlink(temporary)
                raise

    def delete(self, prefix: str, /) -> int:
        """Remove the file of every key that begins so, and the damaged ones.

        Raises:
            StorageFailed: The system refused.
        """
        text_of("prefix", prefix)
        count = 0
        for name in self._names():
            found = self._read(name)
            if found is not None and found.key.startswith(prefix):
                with self._asking("delete", name), suppress(FileNotFoundError):
                    self._directory.unlink(name)
                    count += 1
        return count

    def sync(self) -> None:
        """Make every file that is there durable, and its name.

        Raises:
            StorageFailed: The system refused.
        """
        for name in self._names():
            with (
                self._asking("sync", name),
                suppress(FileNotFoundError),
                closing(self._directory.append(name)) as file,
            ):
                file.sync(data_only=False)
        with self._asking("sync", ""):
            self._directory.sync()

    def close(self) -> None:
        """Give the directory back. Twice is harmless; nothing is kept any more."""
        self._directory.close()

    def _names(self) -> list[str]:
        with self._asking("list", ""):
            entries = self._directory.entries()
        return [one.name for one in entries if one.is_file and one.name.endswith(SUFFIX)]

    def _read(self, name: str) -> _File | None:
        """What a file says. None: it is not there; or it is damaged, and is not there any more."""
        with self._asking("read", name):
            try:
                file = self._directory.open(name)
            except FileNotFoundError:
                return None
            with closing(file):
                data = read_all(file, 0, FILE_BYTES_MAX + 1)
        try:
            return _decoded(data)
        except codec.DecodeError as error:
            path = f"{self._path}/{name}"
            log.warning("%s: %s; removed", path, error, extra={"path": path})
            with suppress(OSError):
                self._directory.unlink(name)
            return None

    @contextmanager
    def _asking(self, operation: str, name: str) -> Generator[None]:
        """Turn what the system refuses into StorageFailed."""
        try:
            yield
        except OSError as error:
            path = f"{self._path}/{name}" if name else self._path
            text = error.strerror or str(error)
            raise StorageFailed(operation, path, error.errno, text) from error


def _is_of_a_store(entries: Iterable[Entry]) -> bool:
    return not OF_A_STORE.isdisjoint(entry.name for entry in entries)


def _name(key: str) -> str:
    return digest.content_hash(key.encode())[:16].hex() + SUFFIX


def _decoded(data: bytes) -> _File:
    """Read the bytes of a file; DecodeError: they are not as they were written."""
    body, crc = data[: -_CRC.size], data[-_CRC.size :]
    if not data.startswith(_PREFIX) or _CRC.pack(digest.crc32(body)) != crc:
        raise codec.DecodeError("the checksum does not match")
    return _DECODE(body[len(_PREFIX) :])
