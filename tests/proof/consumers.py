"""consumers: the power goes while a worker, a reactor and a cursor read, each with a checkpoint.

Whatever is left of the disk, each goes on from a checkpoint that is right, no event was handled
that is gone, none is skipped, and each has its effect and its reaction once. That holds at every
level of durability, also where a power cut takes back what every reader has seen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Final
from uuid import uuid4

from msgspec.structs import replace

from batpak.config import Durability, StoreConfig
from batpak.coordinate import Coordinate
from batpak.event import StoredEvent
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.reactor import ReactionBatch, Reactor
from batpak.read.witness import AtLeastOnce
from batpak.region import Region
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from tests.facts import SMALL, Counted, Said
from tests.proof.family import SEED, Job, Size, Tally

PROGRAMS: Final = {Size.DEFAULT: 2, Size.LONG: 300}
STATES: Final = 200  # of one program
SOURCES: Final = Region(kinds=Counted)
EFFECTS: Final = Coordinate("effect:1", "proof")
REACTIONS: Final = Coordinate("reaction:1", "proof")


class Fresh(Reactor[Counted]):
    """Never answers the same thing twice, nor as often."""

    NAME: ClassVar[str] = "fresh"
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})

    @override
    def react(
        self, _event: StoredEvent[Counted], out: ReactionBatch, _witness: AtLeastOnce | None, /
    ) -> None:
        for _ in range(1 + uuid4().int % 2):
            out.push(REACTIONS, Said(text=str(uuid4())))


class Consumers:
    """The three, and what the worker was given: each sequence, and after how many operations."""

    def __init__(self, sim: SimPlatform) -> None:
        self.sim = sim
        self.handled: list[tuple[int, int]] = []

    def begin(self, store: Store, batch_size: int) -> None:
        """Let worker and reactor run whenever it is their turn."""

        def handle(events: Sequence[StoredEvent[EventPayload]], who: AtLeastOnce | None) -> None:
            assert who is not None
            for event in events:
                self.handled.append((event.sequence, len(self.sim.operations)))
                key = who.operation_key(event, "effect")
                store.append(EFFECTS, Said(text=str(event.sequence)), idempotency_key=key)

        store.cursor_worker(SOURCES, handle, checkpoint_id="worker", batch_size=batch_size)
        store.react(Fresh(), checkpoint_id="reactor", batch_size=batch_size)

    def pull(self, store: Store, some: int) -> None:
        """Go on with the cursor, and save where it stands."""
        with store.cursor_guaranteed(checkpoint_id="cursor") as cursor:
            cursor.poll_batch(some)
            cursor.commit()


def played(config: StoreConfig, seed: int) -> Consumers:
    """Two runs of a program, each ended in order."""
    rng = random.Random(seed)  # noqa: S311  to be repeated
    consumers = Consumers(SimPlatform(seed=seed, mapped=bool(seed % 2)))
    for _ in range(2):
        with Store.open("store", config, platform=consumers.sim) as store:
            consumers.begin(store, rng.randrange(1, 4))
            for n in range(rng.randrange(4, 8)):
                store.append(Coordinate(f"source:{n % 2}", "proof"), Counted(n=n))
                if rng.random() < 0.6:
                    consumers.sim.run_background()
                if rng.random() < 0.4:
                    consumers.pull(store, rng.randrange(4))
    return consumers


def go_on(after: SimPlatform, handled: set[int]) -> None:
    """What has to hold on a machine that starts again."""
    consumers = Consumers(after)
    with Store.open("store", SMALL, platform=after) as store:
        assert not [name for name in after.files() if name.endswith(".tmp")], "a leftover stays"
        wrong = [one for one in store.cursor_checkpoints() if one.error is not None]
        assert not wrong, f"refused: {wrong[0].error}"
        sources = [event.sequence for event in store.entries(SOURCES)]
        assert handled <= {*sources}, "what was handled is gone"
        consumers.pull(store, 1)
        consumers.begin(store, 2)
        after.run_background()
        again = [sequence for sequence, _ in consumers.handled]
        assert again == sources[len(sources) - len(again) :], "not in order"
        assert handled | {*again} == {*sources}, "one was skipped"
        effects = Counter(text_of(event) for event in store.stream(EFFECTS.entity))
        assert effects == Counter(map(str, sources)), "an effect is missing, or there twice"
        batches = dict.fromkeys(e.causation_id for e in store.stream(REACTIONS.entity))
        assert [*batches] == [e.event_id for e in store.entries(SOURCES)], "not one reaction each"
        assert store.verify().ok


def text_of(event: StoredEvent[EventPayload]) -> str:
    assert isinstance(event.payload, Said)
    return event.payload.text


def cut(durability: Durability, tally: Tally, size: Size) -> None:
    """Programs at one level of durability, cut off at moments of all kinds."""
    config = replace(SMALL, durability=durability, sync_every_n_events=5)
    for seed in range(SEED, SEED + PROGRAMS[size]):
        consumers = played(config, seed)
        for after in consumers.sim.crashes(limit=STATES, seed=seed):
            tally.count("states")
            with tally.case((seed, after.origin)):
                assert after.origin is not None
                moment = after.origin.at
                go_on(after, {seen for seen, at in consumers.handled if at <= moment})


JOBS: Final = [Job("consumers", level.name, partial(cut, level)) for level in Durability]
