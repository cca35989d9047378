"""A subscription that fills no buffer answers like one that fills it with every append.

The model is the eager one: a list, offered each event when it is published. Would slip through
without it: an event that is counted twice or not at all because nobody looked in between; a
`missed` that stands at the wrong event; a region that means something else here than in a query.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Final

from hypothesis import event, given, settings
from hypothesis import strategies as st

from batpak.append import AppendReceipt, BatchItem
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.read.subscription import EndReason, Overflow, Subscription, SubscriptionEnded
from batpak.region import KindFilter, Region
from batpak.store import Store
from tests.facts import Counted, Said

CONFIG: Final = StoreConfig(
    lifecycle_events=False, durability=Durability.OS, limits=Limits(segment_max_bytes=4 << 10)
)
PLACES: Final = [Coordinate(e, s) for e in ("room", "room:1", "rooms", "x:y") for s in ("s", "t")]


class Typed(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0x7, 0x0F1)
    VERSION: ClassVar[int] = 1


PAYLOADS: Final[list[EventPayload]] = [Counted(n=1), Said(text="x" * 300), Typed()]

regions = st.builds(
    Region,
    entity=st.sampled_from([None, None, "room", "room:1", "x"]),
    scope=st.sampled_from([None, None, "s"]),
    kinds=st.sampled_from(
        [None, Counted, [Counted, Typed], KindFilter.category(0xE), KindFilter.user()]
    ),
    versions=st.sampled_from([None, None, (1, 2), (3, 9)]),
)
places = st.sampled_from(PLACES)
items = st.tuples(places, st.sampled_from(PAYLOADS))
moves = st.lists(
    st.one_of(
        st.lists(items, min_size=1, max_size=12),  # published, each on its own or as a batch
        st.sampled_from(["recv", "recv", "recv", "look", "drain"]),
    ),
    max_size=40,
)


@dataclass
class Eager:
    """A buffer that is filled when something is published: what the lazy one has to be like."""

    region: Region
    capacity: int
    overflow: Overflow
    buffer: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    dropped: int = 0  # since the newest in the buffer, or that was received
    lost: int = 0
    is_over: bool = False

    def publish(self, receipt: AppendReceipt) -> None:
        if not self.region.matches(receipt.coordinate, receipt.kind, receipt.version):
            return
        if not self.is_over and len(self.buffer) < self.capacity:
            self.buffer.append((receipt.sequence, self.dropped))
            self.dropped = 0
            return
        self.lost += 1
        if self.overflow is not Overflow.DROP_OLDEST:
            self.dropped += 1
            self.is_over = self.overflow is Overflow.DISCONNECT
            return
        _, missed = self.buffer.pop(0)
        self.buffer.append((receipt.sequence, 0))
        sequence, before = self.buffer[0]
        self.buffer[0] = sequence, before + missed + 1

    def recv(self) -> tuple[int, int] | EndReason | None:
        if self.buffer:
            return self.buffer.pop(0)
        return EndReason.OVERFLOW if self.is_over else None


def received(subscription: Subscription) -> tuple[int, int] | EndReason | None:
    try:
        found = subscription.recv(0)
    except SubscriptionEnded as end:
        return end.reason if end.lost == subscription.lost else None
    return None if found is None else (found.sequence, found.missed)


def published(store: Store, move: list[tuple[Coordinate, EventPayload]]) -> Iterator[AppendReceipt]:
    if len(move) % 2:
        for place, payload in move:
            yield store.append(place, payload)
    else:
        yield from store.append_batch([BatchItem(place, payload) for place, payload in move])


@settings(max_examples=100, deadline=None)
@given(region=regions, capacity=st.integers(1, 5), overflow=st.sampled_from(Overflow), moves=moves)
def test_what_is_worked_out_is_what_an_eager_buffer_would_hold(
    region: Region,
    capacity: int,
    overflow: Overflow,
    moves: list[list[tuple[Coordinate, EventPayload]] | str],
) -> None:
    eager = Eager(region, capacity, overflow)
    with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/s", CONFIG) as store:
        store.append(PLACES[0], Counted(n=0))  # history, which nobody is told of
        first = store.frontier().visible
        subscription = store.subscribe_lossy(region, capacity=capacity, overflow=overflow)
        got = missed = 0
        for move in [*moves, "drain"]:
            if isinstance(move, list):
                for receipt in published(store, move):
                    eager.publish(receipt)
                continue
            if move == "look":
                assert (subscription.pending, subscription.lost) == (len(eager.buffer), eager.lost)
                continue
            while True:
                expected = eager.recv()
                assert received(subscription) == expected
                if isinstance(expected, tuple):
                    got, missed = got + 1, missed + expected[1]
                if move == "recv" or not isinstance(expected, tuple):
                    break
            if expected is EndReason.OVERFLOW:
                event("overflow")
                break

        told = store.entries(region, after=first - 1)
        assert got + subscription.lost == sum(1 for _ in told)
        assert missed == subscription.lost - eager.dropped
        event(f"{overflow.value}, lost: {subscription.lost > 0}")
