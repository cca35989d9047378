"""A store takes nothing from the world but through its platform."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = """
import logging; logging.disable()  # the time of a log record is not the store's
import sys
from tests.proof.workload import PROGRAMS, Diary, config_of
from batpak.config import Durability
from batpak.guard import bypass, receipt
from batpak.testing.platform import SimPlatform

bypass.REAL = receipt.REAL = SimPlatform()  # receipts are made before a store is asked

def played(seed):
    for program in PROGRAMS.values():
        for mapped in (False, True):
            diary = Diary(SimPlatform(seed=seed, mapped=mapped), config_of(Durability.INTERVAL))
            program(diary)
            yield diary.sim.trace_digest()

first = list(played(1))  # whatever is imported or cached late is now
seen = []

def watch(event, args):
    if event.partition(".")[0] in DOORS:
        seen.append((event, [str(arg)[:60] for arg in args]))

DOORS = {"open", "os", "fcntl", "socket", "subprocess", "time", "_thread", "shutil", "tempfile"}
sys.addaudithook(watch)
import time, random, secrets, uuid, threading
def never(*args, **kwargs):
    raise AssertionError("the world was asked")
for module, names in (
    (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep")),
    (random, ("random", "randbytes", "getrandbits")),
    (secrets, ("token_bytes",)),
    (uuid, ("uuid4", "uuid1")),
    (threading.Thread, ("start",)),
):
    for name in names:
        setattr(module, name, never)
again = list(played(1))
assert not seen, seen
assert again == first
open(sys.executable, "rb").close()
assert seen, "the hook sees nothing"
print("alone")
"""


def test_a_store_on_a_simulated_machine_asks_the_real_one_for_nothing() -> None:
    """No file, no clock, no chance, no thread; that the hook works is seen at the end."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "alone\n"), done.stderr
