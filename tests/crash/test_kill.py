"""A process that is killed at any moment loses nothing it was told is stored.

A child appends and tells each receipt over a pipe after `append` returned; it is killed after a
random time; the next child goes on in the same directory. Would slip through without it: an event
acknowledged before it was written, a recovery that needs a hand, an order that changes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NoReturn

from batpak.config import Limits, StoreConfig
from batpak.platform import REAL
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.facts import USER, Counted

ROUNDS: Final = 50
CONFIG: Final = StoreConfig(limits=Limits(segment_max_bytes=64 << 10))
VERIFY: Final = "import typer; from batpak.cli.stores import verify; typer.run(verify)"


def append_for_ever(path: Path, first: int, out: int) -> NoReturn:
    """In the child: every line in the pipe is a receipt that was returned."""
    code = 1
    try:
        store = Store.open(path, CONFIG)
        n = first
        while True:
            receipt = store.append(USER, Counted(n=n))
            os.write(out, f"{receipt.sequence} {n} {receipt.event_hash.hex()}\n".encode())
            n += 1
    except BaseException as error:  # noqa: BLE001  nothing of pytest may run in this process
        os.write(out, f"failed: {error!r}\n".encode())
    finally:
        os._exit(code)


def kill_one(path: Path, first: int, after_s: float) -> list[str]:
    """Run a child for a while and return what it reported; a last line may be cut."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        append_for_ever(path, first, write)
    os.close(write)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return [line.decode() for line in told.split(b"\n")[:-1]]


def test_fifty_kills_lose_no_reported_event(tmp_path: Path) -> None:
    path = tmp_path / "store"
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)  # noqa: S311  moments, not secrets
    reported: dict[int, tuple[int, str]] = {}
    attempts = 0

    for _ in range(ROUNDS):
        lines = kill_one(path, attempts, rng.uniform(0.005, 0.08))
        for line in lines:
            assert not line.startswith("failed"), line
            sequence, n, event_hash = line.split()
            reported[int(sequence)] = int(n), event_hash
        attempts = max((n for n, _ in reported.values()), default=-1) + 1

    with Store.open(path, CONFIG) as store:
        found = list(store.by_fact(Counted))
    stored = {event.sequence: (event.payload.n, event.event_hash.hex()) for event in found}
    assert reported.items() <= stored.items()
    assert len(stored) - len(reported) <= ROUNDS
    assert [event.version for event in found] == list(range(1, len(found) + 1))
    assert len(reported) > ROUNDS
    assert verify_path(path, REAL).ok
    done = subprocess.run([sys.executable, "-c", VERIFY, path], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
