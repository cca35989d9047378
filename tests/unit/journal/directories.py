"""A simulated machine with one directory, for the tests of what is done in it."""

from __future__ import annotations

from batpak.disk.seam import Directory
from batpak.journal import layout
from batpak.testing.platform import SimPlatform


def started(**files: bytes) -> tuple[SimPlatform, Directory]:
    """A machine with a directory and durable files in it, nothing of which is in the trace."""
    sim = SimPlatform()
    with sim.pause():
        directory = sim.open_dir("d", create=True)
        for name, data in files.items():
            layout.replace(directory, name, data)
    return sim, directory


def kinds(sim: SimPlatform) -> list[str]:
    return [f"{call.kind} {call.path}" for call in sim.trace]


def open_files(sim: SimPlatform) -> int:
    """How many handles were given out and not given back."""
    given = [call for call in sim.trace if not call.error]
    opened = [one for one in given if one.kind in ("create", "open", "append", "subdir")]
    return len(opened) - len([one for one in sim.trace if one.kind == "close"])
