"""One key, one event, for ever: across kills, reopens and the loss of every derived file.

Without it a retry after a lost reply could store a second event, or be refused, because the key was
only known to a process that is gone.
"""

from __future__ import annotations

import os
import random
import signal
import struct
import time
from collections import Counter
from pathlib import Path
from typing import NoReturn

import pytest

from batpak import Coordinate, IdempotencyConflict, Limits, Store, StoreConfig
from batpak.config import Durability
from tests.facts import Counted

CONFIG = StoreConfig(durability=Durability.OS, limits=Limits(segment_max_bytes=128 << 10))
KEYS = 500
WHERE = [Coordinate(f"retry:{n}", "keys") for n in range(20)]


def append_keyed(store: Store, number: int) -> bool:
    """Store the event of a number, whether or not it is stored already; whether it was."""
    where = WHERE[number % len(WHERE)]
    receipt = store.append(where, Counted(n=number), idempotency_key=f"key-{number}")
    return receipt.replayed


def retry_for_ever(path: Path, seed: int) -> NoReturn:
    """In the child: random numbers until it is killed."""
    rng = random.Random(seed)  # noqa: S311  moments, not secrets
    try:
        store = Store.open(path, CONFIG)
        while True:
            append_keyed(store, rng.randrange(KEYS))
    finally:
        os._exit(1)


def kill_one(path: Path, seed: int, after_s: float) -> None:
    child = os.fork()
    if child == 0:
        retry_for_ever(path, seed)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def damage_footers(path: Path, rng: random.Random) -> None:
    """Spoil or cut away what is derived: everything behind the frames of a sealed file."""
    for file in sorted(path.glob("*.fbat"))[:-1]:
        data = file.read_bytes()
        end = recorded_end(file)
        if rng.random() < 0.5:
            file.write_bytes(data[:end])
        elif len(data) > end:
            at = rng.randrange(end, len(data))
            file.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])


def recorded_end(file: Path) -> int:
    """Where the frames of a file end, walked by their lengths."""
    data = file.read_bytes()
    at: int = 12 + struct.unpack_from(">I", data, 4)[0]
    while data[at + 8 : at + 11] == b"\x95\xc4\xa6":
        at += 8 + struct.unpack_from(">I", data, at)[0]
    return at


@pytest.mark.parametrize("rounds", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_ten_thousand_retries_store_one_event_each(tmp_path: Path, rounds: int) -> None:
    path, rng = tmp_path / "store", random.Random(7)  # noqa: S311  moments, not secrets
    replayed = 0

    for seed in range(rounds):
        kill_one(path, seed, 0.05 + rng.random() * 0.15)
        damage_footers(path, rng)
        with Store.open(path, CONFIG) as store:
            for _ in range(10_000 // rounds):
                replayed += append_keyed(store, rng.randrange(KEYS))
    with Store.open(path, CONFIG) as store:
        stored = Counter(e.payload.n for e in store.query() if isinstance(e.payload, Counted))
        assert store.verify().ok
        for number in range(0, KEYS, 7):
            with pytest.raises(IdempotencyConflict):
                store.append(WHERE[0], Counted(n=-1), idempotency_key=f"key-{number}")

    assert replayed > 5_000
    assert stored == Counter(range(KEYS))
