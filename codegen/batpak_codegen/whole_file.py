"""A file that is not generated: read as one, and replaced whole or not at all.

No link is followed, the mode is kept, and nothing is left beside the file.
"""

from __future__ import annotations

import os
import stat
from codecs import BOM_UTF8
from contextlib import suppress
from pathlib import Path

from batpak_codegen.diagnostic import Diagnostic, SchemaError, quoted


def read(path: Path) -> bytes | None:
    """Return the bytes of a file, or None if there is none.

    Raises:
        OSError: It is a link or no file at all, or the system refused.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a file")
        return file.read()


def replace(path: Path, data: bytes) -> None:
    """Put bytes in the place of a file; where there is none, make it, and its directories.

    Raises:
        OSError: It is a link, or the system refused; all is as it was.
    """
    _refuse_link(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.batpak-new")
    with suppress(FileNotFoundError):  # of a run that was killed
        temporary.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            file.write(data)
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(path.lstat().st_mode))
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def edit(path: Path, text: str, was: str) -> None:
    """Put a text in the place of what was read: line ends stay as they are there, as does a mark.

    Where lines end in two ways, all of them end as the first one does.

    Args:
        path: Of the file.
        text: With line feeds, and without a byte order mark.
        was: What it said when it was read, spelled likewise; nothing, if it was not there.

    Raises:
        SchemaError: E0703, it is a link, it was changed meanwhile, or the system refused; all is
            as it was.
    """
    try:
        _refuse_link(path)
        old = read(path) or b""
        if old.decode("utf-8-sig", "replace").replace("\r\n", "\n") != was:
            raise OSError(0, "it was changed in the meantime; run the command again")
        mark = BOM_UTF8 if old.startswith(BOM_UTF8) else b""
        is_crlf = old.partition(b"\n")[0].endswith(b"\r")
        replace(path, mark + text.replace("\n", "\r\n" if is_crlf else "\n").encode())
    except OSError as error:
        raise _refused(path, error) from error


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise OSError(0, "it is a link")


def _refused(path: Path, error: OSError) -> SchemaError:
    message = f"cannot replace {quoted(path.name)}: {error.strerror or error}"
    return SchemaError([Diagnostic("E0703", message)])
