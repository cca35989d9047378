"""The physical limit: as many bytes as a frame has, written, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.bench.work import PLAIN_BYTES


def append(count: int, folder: Path, *, sync: bool = False, per_write: int = 1) -> float:
    """One `os.write` for each event, or for each batch; with `sync` an fdatasync after each."""
    frames = os.urandom(PLAIN_BYTES * per_write)
    fd = os.open(folder / "plain", os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    began = time.perf_counter()
    for _ in range(0, count, per_write):
        os.write(fd, frames)
        if sync:
            os.fdatasync(fd)
    os.close(fd)
    return time.perf_counter() - began


def overwrite(count: int, folder: Path) -> float:
    """The same with fdatasync into a file that was allocated and zeroed before: no metadata."""
    frame = os.urandom(PLAIN_BYTES)
    fd = os.open(folder / "reserved", os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    os.write(fd, bytes(PLAIN_BYTES * count))
    os.fsync(fd)
    began = time.perf_counter()
    for number in range(count):
        os.pwrite(fd, frame, number * PLAIN_BYTES)
        os.fdatasync(fd)
    os.close(fd)
    return time.perf_counter() - began
