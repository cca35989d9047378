"""Opening in a process that did nothing before: this module is a program of its own.

    python tests/bench/fresh.py batpak-read FOLDER ID [cold]

It imports first, then times one open; `cold` drops the files from the page cache between the
two. It prints one line of JSON. Memory is anonymous resident size, so files that are mapped do not
count and everything on the heap does. What an open left for later shows in the first look-up.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

if __name__ == "__main__":
    ROOT = Path(__file__).absolute().parents[2]
    sys.path[0:1] = [str(ROOT), str(ROOT / "examples" / "orders")]

from batpak import EventId, Store
from shop.gen.orders import OrderPaid
from tests.bench.contenders import batpak_store, sqlite

_SMAPS: Final = Path("/proc/self/smaps_rollup")


class Opened(msgspec.Struct, frozen=True):
    """What one open took: microseconds and bytes."""

    opened_us: float
    heap_bytes: int
    found_us: float  # the first look-up by id after it
    heap_found_bytes: int  # after that, and after reading one stream


def anonymous_bytes() -> int:
    """Anonymous resident size of this process; 0 where the system does not say."""
    gc.collect()
    try:
        text = _SMAPS.read_text(encoding="ascii")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) << 10
    return 0


def drop_cache(files: Iterable[Path]) -> None:
    """Ask the kernel to forget the pages of these files. Directories stay cached."""
    for path in files:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(fd)  # a dirty page would stay
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def _open_batpak(folder: Path, *, write: bool, find: UUID) -> Opened:
    path = folder / batpak_store.FOLDER
    before = anonymous_bytes()
    began = time.perf_counter()
    store = Store.open(path) if write else Store.open_read_only(path)
    opened = time.perf_counter() - began
    heap = anonymous_bytes() - before
    began = time.perf_counter()
    event = store.get(EventId(find), OrderPaid)
    found = time.perf_counter() - began
    sum(1 for _ in store.stream(f"order:{event.payload.order_id.hex}"))
    after = anonymous_bytes() - before
    store.close()
    return Opened(opened * 1e6, heap, found * 1e6, after)


def _open_sqlite(folder: Path, find: UUID) -> Opened:
    """Connect and ask for the end of the log; sqlite reads the schema only when asked something."""
    before = anonymous_bytes()
    began = time.perf_counter()
    with sqlite.reading(folder) as db:
        db.execute("select max(sequence) from events").fetchone()
        opened = time.perf_counter() - began
        heap = anonymous_bytes() - before
        began = time.perf_counter()
        sqlite.get(db, [find.bytes])
        found = time.perf_counter() - began
        after = anonymous_bytes() - before
    return Opened(opened * 1e6, heap, found * 1e6, after)


def run(contender: str, folder: Path, *, find: UUID, cold: bool = False) -> Opened:
    """Start this program and return what it measured.

    Raises:
        subprocess.CalledProcessError: It failed; its own traceback is on stderr.
    """
    arguments = [sys.executable, __file__, contender, str(folder), str(find)]
    done = subprocess.run(
        [*arguments, "cold"] if cold else arguments, check=True, stdout=subprocess.PIPE
    )
    return msgspec.json.decode(done.stdout, type=Opened)


def main(contender: str, name: str, event_id: str, *rest: str) -> None:
    folder, find = Path(name), UUID(event_id)
    openers: dict[str, Callable[[], Opened]] = {
        "batpak-read": lambda: _open_batpak(folder, write=False, find=find),
        "batpak-write": lambda: _open_batpak(folder, write=True, find=find),
        "sqlite": lambda: _open_sqlite(folder, find),
    }
    if rest == ("cold",):
        drop_cache(path for path in folder.rglob("*") if path.is_file())
    sys.stdout.buffer.write(msgspec.json.encode(openers[contender]()) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
