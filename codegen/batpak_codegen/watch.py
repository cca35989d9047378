"""`gen --watch`: generate, wait until something changes, generate again.

Files are looked at ten times a second (size and time of change), which works on every file system.
A change is acted on when nothing has changed any more for `DEBOUNCE_S`, so that an editor that
writes in several steps is not caught between them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

DEBOUNCE_S: Final = 0.1
LOOK_S: Final = 0.1

Seen: TypeAlias = Mapping[Path, tuple[int, int]]


def watch(
    paths: Callable[[], Iterable[Path]],
    act: Callable[[], Sequence[Path] | None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Act now and after every change.

    Args:
        paths: Files and folders to look at; asked again each time, since they may change as well.
        act: What to do. It says itself what went wrong, and returns what else it has read, which
            is looked at from then on; or None to end.
        sleep: How to wait.
    """
    also: set[Path] = set()
    while True:
        known = {*paths(), *also}
        seen, begun = look(known), time.time_ns()
        read = act()
        if read is None:
            return
        learned = look(path for path in read if path not in known)
        seen = {**{path: told for path, told in learned.items() if told[1] < begun}, **seen}
        also.update(read)
        while (now := look((*paths(), *also))) == seen:
            sleep(LOOK_S)
        seen = now
        sleep(DEBOUNCE_S)
        while (now := look((*paths(), *also))) != seen:
            seen = now
            sleep(DEBOUNCE_S)


def look(paths: Iterable[Path]) -> Seen:
    """Return size and time of change of every file at or below `paths`."""
    seen: dict[Path, tuple[int, int]] = {}
    for path in paths:
        for file in _files(path):
            try:
                told = file.stat()
            except OSError:  # gone between the look into the folder and now
                continue
            seen[file] = (told.st_size, told.st_mtime_ns)
    return seen


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    return [Path(at, name) for at, _, names in os.walk(path) for name in names]
