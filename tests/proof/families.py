"""All families of the proof. A new capability adds its workload to one, or a family of its own.

    family        its jobs                        what they use
    crash         crash                           workload (the programs), oracle (what must hold)
    sweep         sweep                           workload, oracle
    killread      killread                        workload, oracle
    interrupt     interrupt                       workload, oracle
    consumers     consumers
    copies        copies                          workload, oracle
    repairs       repairs                         workload, oracle
    observe       observe                         workload, oracle
    model         model                           pair (store and model), drawn (what is asked)
    trace         trace                           workload
    rot           rot                             golden (the stores), damage (what must be said)
    files         files, frames, footers, special golden, damage, forge (stores mended again)
    tamper        tamper, histories               golden, damage, forge
    fuzz          fuzz; atheris_fuzz is opt-in    fuzz_corpus, fuzz_schemas (valid inputs),
                                                  fuzz_mutation (how they are bent), fuzz_format,
                                                  fuzz_msgpack (the format a second time),
                                                  the other fuzz_* (parsers, and what is due)
    kill          kill                            child (programs in processes of their own)
    inject        inject                          child, strace
    fork          processes                       child
    exit          exits                           child
    clock         walks
    move          moving                          golden (a machine with files), the real stores

`family` says what a job is, `report` runs them all at once and `test_proof` one by one; `sabotaged`
runs them on an engine that was broken on purpose.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from tests.proof import (
    consumers,
    copies,
    crash,
    exits,
    files,
    fuzz,
    inject,
    interrupt,
    kill,
    killread,
    model,
    moving,
    observe,
    processes,
    repairs,
    rot,
    sweep,
    tamper,
    trace,
    walks,
)
from tests.proof.family import Job, Size

_ROOMS: Final = (
    crash, sweep, killread, interrupt, consumers, copies, repairs, observe, model, trace, rot,
    files, tamper, fuzz, kill, inject, processes, exits, walks, moving,
)  # fmt: skip
JOBS: Final[list[Job]] = [job for room in _ROOMS for job in room.JOBS]
FAMILIES: Final = {
    family: [job for job in JOBS if job.family == family]
    for family in dict.fromkeys(job.family for job in JOBS)
}
SLICE: Final = [
    job
    for jobs in FAMILIES.values()
    for number, job in enumerate(jobs)
    if number == 0 or crc32(f"{job.family} {job.name}".encode()) % 3 == 0
]
"""A third of the jobs, and one of each family: what is done with every other test."""

_DUE_ALWAYS: Final = {
    "states": 25_000,
    "faults": 5_000,
    "interrupts": 900,
    "bytes": 15_000,
    "mutations": 9_000,
    "forgeries": 5_000,
    "inputs": 125_000,
    "runs": 200,
    "steps": 10_000,
    "kills": 200,
}
_DUE_LONG: Final = {"states": 1_000_000, "faults": 50_000, "kills": 2_000}
# What a whole run has to have done at least, over all families.
DUE: Final = {Size.DEFAULT: _DUE_ALWAYS, Size.LONG: _DUE_ALWAYS | _DUE_LONG}


def job_of(family: str, name: str) -> Job:
    """One job by its names.

    Raises:
        LookupError: There is none.
    """
    for job in FAMILIES[family]:
        if job.name == name:
            return job
    raise LookupError(f"{family} has no job {name!r}")
