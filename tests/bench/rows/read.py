"""Reading: by id, one entity's stream, everything. Typed: every payload is decoded.

sqlite is mapped and checkpointed, as fast as it reads. Its *whole row* carries what a StoredEvent
carries; *payload only* fetches nothing else and is raw. It verifies no checksum.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack

from batpak import Store
from tests.bench import peers
from tests.bench.contenders import batpak_store, sqlite
from tests.bench.line import OURS, Line, Times
from tests.bench.rounds import Contender, Plan, measure

ROW = "sqlite, whole row"
PAYLOAD = "sqlite, payload only, raw"
LOAD = "eventsourcing repository.get, SQLite"
GETS = 5000


def lines(plan: Plan, wanted: frozenset[str]) -> list[Line]:
    """Those of the reading lines that are wanted, from one pair of stores."""
    work = plan.work
    with plan.folder() as folder, ExitStack() as stack:
        batpak_store.fill(work, folder, len(work))
        sqlite.fill(work, folder, len(work))
        store = stack.enter_context(Store.open_read_only(folder / batpak_store.FOLDER))
        db = stack.enter_context(sqlite.reading(folder))
        entities = work.entities()
        found: list[Line] = []
        if "get" in wanted:
            order = random.Random(1).sample(range(len(work)), min(GETS, len(work)))  # noqa: S311
            ids, keys = batpak_store.ids(store), sqlite.ids(db)
            some_ids, some_keys = [ids[n] for n in order], [keys[n] for n in order]
            line = Line("get", "get by id, at random", OURS, aims=[Times(OURS, ROW, 3)])
            contenders: list[Contender] = [
                (OURS, _each(len(order), lambda: batpak_store.get(store, some_ids))),
                (ROW, _each(len(order), lambda: sqlite.get(db, some_keys))),
            ]
            found.append(measure(line, plan.rounds, contenders))
        if "stream" in wanted:
            line = Line(
                "stream",
                f"streams of {len(work) // len(entities)} events, typed, per event",
                OURS,
                aims=[Times(OURS, LOAD, 20), Times(OURS, ROW, 1.5)],
            )
            contenders = [
                (OURS, _each(len(work), lambda: batpak_store.streams(store, entities))),
                (ROW, _each(len(work), lambda: sqlite.streams(db, entities, "*"))),
                (PAYLOAD, _each(len(work), lambda: sqlite.streams(db, entities, "payload"))),
            ]
            if peers.has("eventsourcing"):
                from tests.bench.contenders import eventsourcing_app

                app = stack.enter_context(eventsourcing_app.fill(work, folder))
                few = entities[: max(1, len(entities) // 4)]
                count = eventsourcing_app.load(app, few)
                contenders.append((LOAD, _each(count, lambda: eventsourcing_app.load(app, few))))
            found.append(measure(line, plan.rounds, contenders))
        if "scan" in wanted:
            line = Line("scan", "scan of everything, typed", OURS, aims=[Times(OURS, ROW, 1.5)])
            contenders = [
                (OURS, _each(len(work), lambda: batpak_store.scan(store))),
                (ROW, _each(len(work), lambda: sqlite.scan(db, "*"))),
                (PAYLOAD, _each(len(work), lambda: sqlite.scan(db, "payload"))),
            ]
            found.append(measure(line, plan.rounds, contenders))
        return found


def _each(count: int, run: Callable[[], object]) -> Callable[[], float]:
    """The same run, as microseconds for each of `count` events."""

    def timed() -> float:
        began = time.perf_counter()
        run()
        return (time.perf_counter() - began) / count * 1e6

    return timed
