"""A file that its owner alone may read: where a secret is kept."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from batpak.disk.posix import FILE_MODE, RealReadFile, open_dir
from batpak.disk.seam import StrPath

PATH_BYTES_MAX: Final = 4096  # of Linux; other systems take less
NAME_BYTES_MAX: Final = 255
KEY_TEXT: Final = ("-----BEGIN", "MC4CAQAwBQYDK2Vw", "\n", "\r")  # the second: PKCS #8 in base64

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class Exposed(OSError):
    """Others than the owner may do something with the file, or it can be run."""

    def __init__(self, mode: int) -> None:
        super().__init__(errno.EACCES, f"its mode is {mode:04o}, not {FILE_MODE:04o} or stricter")


def no_path(path: StrPath) -> str | None:
    """Why this names no file, without a word of it: it may be the text of a key."""
    try:
        text = os.fspath(path)
        data = text.encode("utf-8", "surrogateescape")
    except (AttributeError, TypeError):
        return f"must be a str or a Path, not {type(path).__name__}"
    except UnicodeEncodeError:
        return "must be text of the file system"
    if any(part in text for part in KEY_TEXT):
        return "must name a file; this looks like the text of a key"
    if "\0" in text:
        return "must not contain NUL"
    if not text:
        return "must not be empty"
    is_long = len(data) >= PATH_BYTES_MAX or max(map(len, data.split(b"/"))) > NAME_BYTES_MAX
    return "must name a file; this is too long for a name" if is_long else None


def read(path: str, size_max: int) -> bytes:
    """The bytes of a file that nobody else may read.

    A link is followed: the mode that counts is that of the file behind it.

    Raises:
        Exposed: Its mode is not 0600 or stricter. Nothing was read.
        OSError: The system refused, it is no regular file, or it is larger than `size_max`.
    """
    fd = os.open(path, _FLAGS)
    with closing(RealReadFile(fd)) as file:
        file.require_regular(one_link=False)
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode & ~FILE_MODE:
            raise Exposed(mode)
        if file.size() > size_max:
            raise OSError(errno.EFBIG, f"has more than {size_max:,} bytes")
        return file.pread(0, size_max)


def write(path: str, data: bytes) -> None:
    """Make a file with mode 0600; on return it survives a power cut.

    Raises:
        OSError: The system refused, or there is such a file already. Nothing is left behind.
    """
    name = Path(path).name
    with (
        closing(open_dir(str(Path(path).parent), create=False)) as directory,
        closing(directory.create(name)) as file,
    ):
        try:
            written = 0
            while written < len(data):
                written += file.write(written, data[written:])
            file.sync(data_only=False)
            directory.sync()
        except BaseException:
            with suppress(OSError):
                directory.unlink(name)
            raise
