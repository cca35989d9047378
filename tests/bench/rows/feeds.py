"""Feeds: how soon a subscriber hears of an event, and what a hundred of them cost who appends.

Idle ones have subscribed and do not read. The sleeping ones are threads inside `recv`, which wait
for an entity, or a kind, that nobody writes to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from batpak import Durability, Region, Store
from shop.gen.orders import OrderShipped
from tests.bench import latency
from tests.bench.contenders import batpak_store
from tests.bench.line import AtMost, Line, Times
from tests.bench.rounds import Contender, Plan, measure

SUBSCRIBERS: Final = 100
ALONE: Final = "nobody follows"
IDLE: Final = "100 that do not read"
ASLEEP: Final = "100 asleep, each for an entity"
KINDS: Final = "100 asleep for another kind"
WAKES: Final = 500  # of one run
PAUSE_S: Final = 0.001  # between them, so that the reader is asleep
P50: Final = "p50"
P99: Final = "p99"

Following = Callable[[Store], ExitStack]


def lines(plan: Plan) -> list[Line]:
    return [_cost(plan, Durability.OS), *_durable(plan), _wake_up(plan)]


def _durable(plan: Plan) -> list[Line]:
    return [_cost(plan, Durability.COMMIT)] if plan.synced else []


# ------------------------------------------------------------------------- what an append pays


def nobody(_: Store) -> ExitStack:
    return ExitStack()


def idle(store: Store) -> ExitStack:
    stack = ExitStack()
    for n in range(SUBSCRIBERS):
        stack.enter_context(store.subscribe_lossy(Region(entity=f"nobody:{n}")))
    return stack


def asleep(store: Store) -> ExitStack:
    return _sleeping(store, [Region(entity=f"nobody:{n}") for n in range(SUBSCRIBERS)])


def other_kind(store: Store) -> ExitStack:
    return _sleeping(store, [Region(kinds=OrderShipped)] * SUBSCRIBERS)


def _sleeping(store: Store, regions: list[Region]) -> ExitStack:
    """Threads that sleep until the stack is closed."""
    stack = ExitStack()
    for region in regions:
        subscription = store.subscribe_lossy(region)
        thread = threading.Thread(target=list, args=(subscription,), daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(subscription.close)
    time.sleep(0.05)
    return stack


def _cost(plan: Plan, durability: Durability) -> Line:
    is_synced = durability is Durability.COMMIT
    work = plan.durable if is_synced else plan.work
    line = Line(
        "feeds",
        f"an append while 100 follow, {'durable' if is_synced else 'no sync'}",
        ALONE,
        scaling=True,
        aims=[Times(name, ALONE, 0.8, "≤ 1.25× as long") for name in (IDLE, ASLEEP, KINDS)],
    )

    def run(name: str, following: Following) -> Contender:
        def once(folder: Path) -> float:
            with batpak_store.create(folder, durability) as store, following(store):
                append, began = store.append, time.perf_counter()
                for coordinate, payload in work.placed:
                    append(coordinate, payload)
                return (time.perf_counter() - began) / len(work) * 1e6

        return name, plan.fresh(once)

    contenders = [run(ALONE, nobody), run(IDLE, idle), run(ASLEEP, asleep), run(KINDS, other_kind)]
    return measure(line, plan.rounds, contenders)


# ------------------------------------------------------------------------------------ wake-up


def _wake_up(plan: Plan) -> Line:
    """From the return of `append` to that of `recv` in a thread that slept there."""
    line = Line(
        "feeds",
        "a subscriber wakes up, in process",
        "",
        per_second=False,
        aims=[AtMost(P50, 100, "≤ 100 µs"), AtMost(P99, 2000, "≤ 2 ms")],
    )
    for number in range(plan.rounds + 1):
        with plan.folder() as folder:
            took = sorted(_wakes(plan, folder))
        if number:
            line.took(P50, latency.percentile(took, 0.5) * 1e6)
            line.took(P99, latency.percentile(took, 0.99) * 1e6)
    return line


def _wakes(plan: Plan, folder: Path) -> Iterator[float]:
    with batpak_store.create(folder, Durability.OS) as store, _listening(store) as heard:
        for coordinate, payload in plan.work.placed[:WAKES]:
            time.sleep(PAUSE_S)
            before = len(heard)
            store.append(coordinate, payload)
            began = time.perf_counter()
            while len(heard) == before:
                time.sleep(PAUSE_S)
            yield max(0.0, heard[-1] - began)


@contextmanager
def _listening(store: Store) -> Iterator[list[float]]:
    """A thread that receives, and when it did."""
    heard: list[float] = []
    subscription = store.subscribe_lossy(Region(entity="order"))

    def listen() -> None:
        heard.extend(time.perf_counter() for _ in subscription)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        subscription.close()
        thread.join()
