"""A worker that is killed at any moment: every event at least once, in order, and each effect once.

Without it a checkpoint could be saved before the handler was done, or a reaction stored twice: what
lies between the two is a few microseconds wide, and only a kill lands there.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, NoReturn
from uuid import uuid4

import pytest

from batpak import (
    AtLeastOnce,
    Coordinate,
    CursorWorker,
    EventKind,
    EventPayload,
    Limits,
    ReactionBatch,
    Reactor,
    Region,
    Store,
    StoreConfig,
    StoredEvent,
    override,
)
from batpak.config import Durability
from batpak.sqlite import Effects
from tests.facts import Counted, Said

NUMBERS: Final = Region(kinds=Counted)
SOURCES: Final = Coordinate("number:1", "kills")
EFFECTS: Final = Coordinate("effect:1", "kills")
REACTIONS: Final = Coordinate("reaction:1", "kills")
PATIENCE_S: Final = 20.0


def config_of(durability: Durability) -> StoreConfig:
    return StoreConfig(durability=durability, limits=Limits(segment_max_bytes=32 << 10))


class Fresh(Reactor[Counted]):
    """Never answers the same thing twice, nor as often."""

    NAME: ClassVar[str] = "fresh"
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})

    @override
    def react(
        self, _event: StoredEvent[Counted], out: ReactionBatch, _witness: AtLeastOnce | None, /
    ) -> None:
        for _ in range(1 + uuid4().int % 3):
            out.push(REACTIONS, Said(text=str(uuid4())))


def opened(path: Path) -> sqlite3.Connection:
    """A database of somebody else: numbers that were added."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA synchronous = OFF")  # a kill is no power cut
    database.execute("CREATE TABLE IF NOT EXISTS added (n INTEGER NOT NULL)")
    return database


def begin(store: Store, handled: int, beside: Path) -> tuple[CursorWorker, ...]:
    """The three that are killed. What the first one handles goes to a file, before its effect.

    Args:
        store: Of all.
        handled: Descriptor of that file.
        beside: Of the database in which the second one has its effect, as the how-to page says.
    """
    database = opened(beside)

    def add(events: Sequence[StoredEvent[EventPayload]], witness: AtLeastOnce | None) -> None:
        assert witness is not None
        with Effects(database) as effects:
            for event in events:
                assert isinstance(event.payload, Counted)
                if effects.first(witness.once(event, "added")):
                    database.execute("INSERT INTO added VALUES (?)", (event.payload.n,))

    def handle(events: Sequence[StoredEvent[EventPayload]], witness: AtLeastOnce | None) -> None:
        assert witness is not None
        for event in events:
            os.write(handled, b"%d\n" % event.sequence)
            key = witness.operation_key(event, "effect")
            store.append(EFFECTS, Said(text=str(event.sequence)), idempotency_key=key)

    return (
        store.cursor_worker(NUMBERS, handle, checkpoint_id="handler", batch_size=3),
        store.cursor_worker(NUMBERS, add, checkpoint_id="database", batch_size=2),
        store.react(Fresh(), checkpoint_id="reactor", batch_size=3),
    )


def work_for_ever(path: Path, log: Path, seed: int) -> NoReturn:
    """In the child, until it is killed."""
    rng = random.Random(seed)  # noqa: S311  moments, not secrets
    try:
        handled = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        store = Store.open(path, config_of(rng.choice(list(Durability))))
        begin(store, handled, path.with_suffix(".db"))
        while True:
            store.append(SOURCES, Counted(n=rng.randrange(1000)))
            time.sleep(rng.random() / 200)
    finally:
        os._exit(1)


def kill_one(path: Path, log: Path, seed: int) -> None:
    """One run: killed at a random moment, most often while something is handled."""
    rng = random.Random(-seed)  # noqa: S311  likewise
    child = os.fork()
    if child == 0:
        work_for_ever(path, log, seed)
    due = time.monotonic() + PATIENCE_S
    while rng.random() > 0.001 and not (log.exists() and log.stat().st_size):
        assert time.monotonic() < due, "nothing was handled"
        time.sleep(0.001)
    time.sleep(rng.random() * 0.08)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def run_of(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.parametrize("kills", [8, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_killed_at_any_moment_each_event_is_handled_and_has_its_effect_once(
    kills: int, tmp_path: Path
) -> None:
    path = tmp_path / "store"
    runs: list[list[int]] = []
    for seed in range(kills):
        log = tmp_path / f"run-{seed}"
        kill_one(path, log, seed)
        runs.append(run_of(log))

    log = tmp_path / "last"
    handled = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    with Store.open(path, config_of(Durability.OS)) as store:
        workers = begin(store, handled, path.with_suffix(".db"))
        due = time.monotonic() + PATIENCE_S
        while any(worker.lag for worker in workers):
            assert time.monotonic() < due, f"they do not come to the end: {workers[0].health}"
            time.sleep(0.01)
        for worker in workers:
            worker.stop()
            worker.join()
        sources = list(store.entries(NUMBERS))
        numbers = [event.payload.n for event in store.by_fact(Counted)]
        effects = [text_of(event) for event in store.stream(EFFECTS.entity)]
        reactions = list(store.stream(REACTIONS.entity))
        assert store.verify().ok
    os.close(handled)
    database = opened(path.with_suffix(".db"))
    assert [n for (n,) in database.execute("SELECT n FROM added ORDER BY rowid")] == numbers
    database.close()
    runs.append(run_of(log))

    place = {entry.sequence: n for n, entry in enumerate(sources)}
    done = 0  # how many sources were handled by any run so far
    for run in runs:
        places = [place[sequence] for sequence in run]
        assert places == list(range(places[0], places[0] + len(places))) if places else True
        assert not places or places[0] <= done, "an event was skipped"
        done = max([done, *(n + 1 for n in places)])
    assert done == len(sources)
    assert sum(map(len, runs)) >= done
    assert Counter(effects) == Counter(str(entry.sequence) for entry in sources)
    assert_one_batch_each([entry.event_id for entry in sources], reactions)
    assert len(sources) > kills


def text_of(event: StoredEvent[EventPayload]) -> str:
    assert isinstance(event.payload, Said)
    return event.payload.text


def assert_one_batch_each(
    sources: Sequence[object], reactions: Sequence[StoredEvent[EventPayload]]
) -> None:
    """Each source has one batch of reactions: items that stand side by side, counted from 0."""
    batches: list[object] = []
    for event in reactions:
        if not batches or batches[-1] != event.causation_id:
            batches.append(event.causation_id)
    assert batches == list(sources)
    texts = [text_of(event) for event in reactions]
    assert len(set(texts)) == len(texts)
