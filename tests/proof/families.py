"""All families of the proof. A new capability adds its workload to one, or a family of its own."""

from __future__ import annotations

from typing import Final

from tests.proof import (
    crash,
    exits,
    files,
    fuzz,
    inject,
    interrupt,
    kill,
    killread,
    model,
    processes,
    rot,
    sweep,
    tamper,
    walks,
)
from tests.proof.family import Job, Size

_ROOMS: Final = (
    crash, sweep, killread, interrupt, model, rot, files, tamper, fuzz, kill, inject,
    processes, exits, walks,
)  # fmt: skip
JOBS: Final[list[Job]] = [job for room in _ROOMS for job in room.JOBS]
FAMILIES: Final = {
    family: [job for job in JOBS if job.family == family]
    for family in dict.fromkeys(job.family for job in JOBS)
}

# What a whole run has to have done at least: by family, what is counted and how much of it.
DUE: Final[dict[Size, dict[tuple[str, str], int]]] = {
    Size.DEFAULT: {
        ("crash", "states"): 25_000,
        ("sweep", "faults"): 5_000,
        ("interrupt", "interrupts"): 1_000,
        ("rot", "bytes"): 15_000,
        ("files", "mutations"): 9_000,
        ("tamper", "forgeries"): 5_000,
        ("fuzz", "inputs"): 110_000,
        ("model", "runs"): 200,
        ("model", "steps"): 10_000,
        ("kill", "kills"): 200,
    },
    Size.LONG: {
        ("crash", "states"): 1_000_000,
        ("sweep", "faults"): 50_000,
        ("kill", "kills"): 2_000,
    },
}


def job_of(family: str, name: str) -> Job:
    """One job by its names.

    Raises:
        LookupError: There is none.
    """
    for job in FAMILIES[family]:
        if job.name == name:
            return job
    raise LookupError(f"{family} has no job {name!r}")
