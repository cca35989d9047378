"""States: what folding costs beyond decoding, and what is left of it when a state is kept.

There is no peer: the fold is held against a loop by hand over the same events, which decodes their
payloads itself. One entity of 1,000 events is asked for as a service does: again and again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from batpak import (
    BatchItem,
    Durability,
    EventKind,
    EventPayload,
    Form,
    MemoryCache,
    Projection,
    Region,
    Store,
    StoreConfig,
    StoredEvent,
    override,
)
from shop.gen.orders import OrderPaid
from tests.bench import work
from tests.bench.contenders import batpak_store
from tests.bench.line import OURS, AtMost, Line, Times
from tests.bench.rounds import Plan, measure

LOOP = "a loop by hand: query raw, decode, fold"
COLD = "nothing is kept"
SAME = "nothing has changed"
MORE = "one more event"
LONG = 1000
ASKED = 100
PAID = Region(kinds=OrderPaid)


class Taken(Struct, frozen=True):
    payments: int = 0
    seconds: float = 0.0


class Takings(Projection[Taken]):
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({OrderPaid.KIND})

    @override
    def initial(self) -> Taken:
        return Taken()

    @override
    def apply(self, state: Taken, event: StoredEvent[EventPayload], /) -> Taken:
        paid = event.payload
        if not isinstance(paid, OrderPaid):
            raise TypeError(paid)
        return Taken(state.payments + 1, paid.paid_at.second)


def lines(plan: Plan) -> list[Line]:
    """The whole log, then one entity."""
    return [_replay(plan), _entity(plan)]


def _replay(plan: Plan) -> Line:
    line = Line(
        "project",
        "fold everything, typed, per event",
        OURS,
        aims=[Times(OURS, LOOP, 1 / 1.3, "≤ 1.3× the loop")],
    )
    count = len(plan.work)
    with plan.folder() as folder, ExitStack() as stack:
        batpak_store.fill(plan.work, folder, count)
        store = stack.enter_context(Store.open_read_only(folder / batpak_store.FOLDER))
        takings = Takings()

        def ours() -> float:
            began = time.perf_counter()
            store.project(takings, PAID)
            return (time.perf_counter() - began) / count * 1e6

        def by_hand() -> float:
            decode, state = work.decode, Taken()
            began = time.perf_counter()
            for event in store.query(PAID, form=Form.RAW):
                paid = decode(event.payload)
                state = Taken(state.payments + 1, paid.paid_at.second)
            return (time.perf_counter() - began) / count * 1e6

        return measure(line, plan.rounds, [(OURS, ours), (LOOP, by_hand)])


def _entity(plan: Plan) -> Line:
    line = Line(
        "project",
        f"the state of one entity of {LONG:,} events",
        COLD,
        per_second=False,
        aims=[AtMost(COLD, 1500), AtMost(SAME, 20), AtMost(MORE, 60)],
    )
    config = StoreConfig(lifecycle_events=False, durability=Durability.OS)
    with plan.folder() as folder, ExitStack() as stack:
        kept = replace(config, projection_cache=MemoryCache())
        store = stack.enter_context(Store.open(folder / "kept", kept))
        place, paid = plan.work.placed[0]
        for _ in range(LONG // 100):
            store.append_batch([BatchItem(place, paid)] * 100)
        takings, entity = Takings(), place.entity

        def asked(before: Callable[[], object]) -> float:
            spent = 0.0
            for _ in range(ASKED):
                before()
                began = time.perf_counter()
                store.project(takings, entity)
                spent += time.perf_counter() - began
            return spent / ASKED * 1e6

        def cold() -> float:
            spent = 0.0
            for _ in range(5):
                began = time.perf_counter()
                store.project(takings, entity, upto=LONG)
                spent += time.perf_counter() - began
            return spent / 5 * 1e6

        contenders = [
            (COLD, cold),
            (SAME, lambda: asked(lambda: None)),
            (MORE, lambda: asked(lambda: store.append(place, paid))),
        ]
        return measure(line, plan.rounds, contenders)
