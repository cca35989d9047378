"""The rooms whose mutants are made, and the tests that have to notice them.

Only tests that run inside the process, and quickly: a mutant lives in the memory of one process,
and every survivor costs the time of all tests that pass its line.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_LOG: Final = ("tests/unit/journal", "tests/unit/recovery/test_restore.py")
_OPEN: Final = ("tests/unit/recovery",)


class Room(NamedTuple):
    """A module that decides what is true."""

    path: str
    tests: tuple[str, ...]


ROOMS: Final = {
    "frame": Room("batpak/journal/frame.py", _LOG),
    "scan": Room("batpak/journal/scan.py", _LOG),
    "chain": Room("batpak/journal/chain.py", _LOG),
    "decide": Room("batpak/recovery/decide.py", _OPEN),
    "restore": Room("batpak/recovery/restore.py", _OPEN),
    "layout": Room(
        "batpak/journal/layout.py",
        (
            "tests/unit/journal/test_layout.py",
            "tests/unit/journal/test_directory.py",
            "tests/unit/recovery/test_restore.py",
        ),
    ),
    "rotation": Room("batpak/commit/rotation.py", ("tests/unit/commit",)),
    "sidx": Room(
        "batpak/index/sidx.py",
        ("tests/unit/index/test_footer.py", "tests/unit/recovery/test_complete.py"),
    ),
    "flight": Room("batpak/commit/flight.py", ("tests/unit/commit",)),
    "lane": Room("batpak/commit/lane.py", ("tests/unit/commit",)),
    "tail": Room(
        "batpak/index/tail.py", ("tests/unit/index/test_tail.py", "tests/unit/index/test_footer.py")
    ),
}
