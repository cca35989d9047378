"""Whole transfers: what a file takes or gives in pieces, until all of it is done."""

from __future__ import annotations

from batpak.disk.seam import ReadFile, WriteFile


def write_all(file: WriteFile, offset: int, data: bytes) -> None:
    """Write all of `data`, in as many pieces as the system takes.

    Raises:
        OSError: The system refused; some of it may have been written.
    """
    done = file.write(offset, data)
    while done < len(data):
        taken = file.write(offset + done, data[done:])
        if taken <= 0:
            raise OSError(None, "the file takes no more bytes")
        done += taken


def read_all(file: ReadFile, offset: int, count: int) -> bytes:
    """Read `count` bytes, or fewer if the file ends before.

    Raises:
        OSError: The system refused.
    """
    data = file.pread(offset, count)
    while len(data) < count:
        more = file.pread(offset + len(data), count - len(data))
        if not more:
            break
        data += more
    return data
