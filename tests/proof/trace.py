"""A simulated run is the same every time: same seed, same program, same trace, to the byte.

Would slip through without it: anything in the engine or in the simulated machine that depends on
the time of day, on the order of a set or on the address of an object. Then a failure that was found
once could not be looked at again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from batpak.config import Durability
from batpak.store import Store
from batpak.testing.crash import CrashModel
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.workload import PROGRAMS, played

SEEDS: Final = {Size.DEFAULT: 20, Size.LONG: 2_000}
LEVELS: Final = list(Durability)
MODELS: Final = list(CrashModel)
ROOT: Final = Path(__file__).parents[2]


def digests(program: str, seed: int) -> tuple[str, str]:
    """The trace of a program, and that of a recovery from a crash in the midst of it."""
    durability, mapped = LEVELS[seed % len(LEVELS)], bool(seed // 2 % 2)
    diary = played(program, durability, mapped=mapped, seed=seed)  # kept: it has what was killed
    sim, model = diary.sim, MODELS[seed % len(MODELS)]
    after = sim.crash(model, at=len(sim.operations) // 2, seed=seed)
    with Store.open("store", diary.config, platform=after) as store:
        store.sync()
    return sim.trace_digest(), after.trace_digest()


def every(seeds: int) -> Iterator[tuple[str, int]]:
    """What is run: with each seed every other program."""
    for number in range(seeds):
        for program in list(PROGRAMS)[number % 2 :: 2]:
            yield program, SEED + number


def same_again(tally: Tally, size: Size) -> None:
    """The second run is the first one, and another seed gives another one."""
    seen: dict[str, tuple[str, int]] = {}
    for program, seed in every(SEEDS[size]):
        tally.count("traces")
        with tally.case((program, seed)):
            first = digests(program, seed)
            assert digests(program, seed) == first, "another trace"
            assert seen.setdefault(first[0], (program, seed)) == (program, seed), (
                f"the same trace as {seen[first[0]]}"
            )


def same_elsewhere(tally: Tally, size: Size) -> None:
    """Another process, in which strings have other hashes, has the same traces."""
    seeds = SEEDS[size] // 10
    for hash_seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-m", __name__, str(seeds)],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        ).stdout
        there = json.loads(told)
        for program, seed in every(seeds):
            tally.count("traces")
            with tally.case((program, seed, f"PYTHONHASHSEED={hash_seed}")):
                assert there[f"{program} {seed}"] == list(digests(program, seed)), "another trace"


JOBS: Final = [
    Job("trace", "in this process", same_again),
    Job("trace", "in another process", same_elsewhere),
]

if __name__ == "__main__":
    count = int(sys.argv[1])
    print(
        json.dumps({f"{program} {seed}": digests(program, seed) for program, seed in every(count)})
    )
