"""What the model family draws: events to store, questions to ask, faults, crashes and clocks.

From short lists, so that names, keys and causes meet again and again.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from itertools import product
from typing import Final, NamedTuple
from uuid import UUID

from hypothesis import strategies as st

from batpak import codec
from batpak.append import BatchItem, Cause, PriorItem, RawPayload
from batpak.coordinate import Coordinate
from batpak.event import StoredEvent
from batpak.ids import EventId
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.region import KindFilter, Region
from batpak.testing.crash import CrashModel
from batpak.testing.faults import Fault, Kind, Part, Partial, Short
from batpak.testing.model import Asked, ModelEvent
from tests.facts import Counted, Said

NOBODY: Final = EventId(UUID(int=7))
UNREAD: Final = EventKind.custom(0xE, 0x7F1)  # of no class
PLACES: Final = [Coordinate(e, s) for e in ("a", "a:1", "a:1:x", "ab", "b", "é") for s in "xy"]
FACTS: Final[dict[str, EventPayload | RawPayload]] = {
    "nothing": Said(text=""),
    "zero": Counted(n=0),
    "least": Counted(n=-(2**63)),
    "short": Said(text="é" * 20),
    "middling": Said(text="x" * 300),
    "long": Said(text="y" * 1500),
    "longer than a file": Said(text="z" * 5000),
    "raw": RawPayload(Counted.KIND, codec.encode({"n": 7})),
    "of no class": RawPayload(UNREAD, b"\xc3", 3),
}
FAULTS: Final[dict[str, Fault]] = {
    "EIO": errno.EIO,
    "ENOSPC": errno.ENOSPC,
    "EMFILE": errno.EMFILE,
    "EINTR": errno.EINTR,
    "half": Short(Part.HALF),
    "all but a byte": Short(Part.ALL_BUT_ONE),
    "half, then EIO": Partial(Part.HALF, errno.EIO),
    "all but a byte, then ENOSPC": Partial(Part.ALL_BUT_ONE, errno.ENOSPC),
}
KINDS: Final[list[tuple[Kind, ...]]] = [(), (), ("sync",), ("write",), ("replace", "syncdir")]
FILTERS: Final = [
    KindFilter.any(),
    KindFilter.exact(Counted),
    KindFilter.one_of([Said, UNREAD]),
    KindFilter.category(0xD),
    KindFilter.user(),
]
REGIONS: Final = [
    Region(entity=entity, scope=scope, kinds=kinds, versions=versions)
    for entity, scope, kinds, versions in product(
        (None, "a", "a:1", "b:", "zz"), (None, "x", "zz"), FILTERS, (None, (1, 1), (2, 3))
    )
]
DAY_NS: Final = 86_400 * 10**9
JUMPS_NS: Final = {"a day back": -DAY_NS, "a millisecond on": 1_000_000, "a day on": DAY_NS}
WALL_NS: Final = {"before 1970": -DAY_NS, "2001": 10**18, "after 9999": 8100 * 366 * DAY_NS}


class Wish(NamedTuple):
    """An event to be stored, as far as that can be said without a log."""

    place: Coordinate
    fact: str  # of FACTS
    key: str | bytes | None
    expected: str  # any, right or wrong
    cause: int | str | None  # the event so many ago; an item of the batch; one there never was
    flags: int
    extensions: dict[str, bytes] | None
    talk: int | None  # the correlation of the event so many ago

    def item(
        self,
        dump: Sequence[StoredEvent[bytes]],
        before: Sequence[BatchItem],
        key: str | bytes | None,
    ) -> BatchItem:
        """What it means behind these events, and these items of its batch."""
        entity, index = self.place.entity, len(before)
        expected: int | None = None
        if self.expected != "any":
            expected = max(
                (one.version for one in dump if one.coordinate.entity == entity), default=0
            )
            expected += sum(one.coord.entity == entity for one in before)
            expected += self.expected == "wrong"
        cause: Cause | PriorItem | None = None
        if isinstance(self.cause, int) and self.cause < len(dump):
            known = dump[-1 - self.cause]
            cause = known if self.cause == 1 else known.event_id
        elif self.cause == "nobody":
            cause = NOBODY
        elif self.cause == "item before" and index:
            cause = PriorItem(index // 2)
        elif self.cause == "itself" and index > 1:
            cause = PriorItem(index)
        talk = None
        if self.talk is not None and self.talk < len(dump):
            talk = dump[-1 - self.talk].correlation_id
        return BatchItem(
            self.place,
            FACTS[self.fact],
            expected_version=expected,
            idempotency_key=key,
            caused_by=cause,
            correlation_id=talk,
            flags=self.flags,
            extensions=self.extensions,
        )

    def asked(self, dump: Sequence[StoredEvent[bytes]]) -> Asked:
        """As a call of `append`."""
        return Asked((self.item(dump, (), self.key),), alone=True)


class Batch(NamedTuple):
    """A batch to be stored, likewise."""

    wishes: list[Wish]
    keys: str  # whose keys: none, drawn, each, whole, or both
    cause: int | None  # of the batch: the event so many ago

    def asked(self, dump: Sequence[StoredEvent[bytes]]) -> Asked:
        """As a call of `append_batch`."""
        items: list[BatchItem] = []
        for index, wish in enumerate(self.wishes):
            key = wish.key if self.keys in ("drawn", "both") else None
            items.append(wish.item(dump, items, f"{index}" if self.keys == "each" else key))
        has_key = self.wishes and self.keys in ("whole", "both")
        cause, talk = None, None
        if self.cause is not None and self.cause < len(dump):
            cause = dump[-1 - self.cause]
            talk = cause.event_id if self.cause else None
        return Asked(tuple(items), f"batch {self.wishes[0].fact}" if has_key else None, cause, talk)


class Trouble(NamedTuple):
    """A fault that the next step is going to meet, if it makes so many calls."""

    n: int
    fault: str  # of FAULTS
    sticky: bool
    kinds: tuple[Kind, ...]


class Cut(NamedTuple):
    """A crash: what is left, and how many operations ago it happened."""

    model: CrashModel
    back: int
    seed: int


class Window(NamedTuple):
    """Which part of what a region has."""

    after: int | None
    before: int | None
    limit: int | None
    reverse: bool


GOING: Final[dict[str, Callable[[ModelEvent], bool]]] = {
    "nothing": lambda _: False,
    "everything": lambda _: True,
    "the first": lambda one: one.sequence == 0,
    "every third": lambda one: one.sequence % 3 == 0,
    "an entity": lambda one: one.coordinate.entity == "a",
    "a kind": lambda one: one.kind == Said.KIND,
    "what has a key": lambda one: one.key is not None,
    "what has a cause": lambda one: one.causation_id is not None,
    "what is long": lambda one: len(one.data) > 1000,
}
BOUNDS: Final = (None, None, None, 0, 1, 3, 7, 12, 20, 40, 10**9)
wishes: Final = st.builds(
    Wish,
    st.sampled_from(PLACES),
    st.sampled_from(list(FACTS)),
    st.sampled_from((None, None, None, "k1", b"k1", "k2", b"\0", "é")),
    st.sampled_from(("any", "any", "any", "any", "right", "right", "wrong")),
    st.sampled_from((None, None, None, 0, 1, 5, "nobody", "item before", "item before", "itself")),
    st.sampled_from((0, 0, 1, 0xFF)),
    st.sampled_from((None, None, {"app.b": b"", "app.a": b"\xff\xfe"})),
    st.sampled_from((None, None, 0, 4)),
)
batches: Final = st.builds(
    Batch,
    st.lists(wishes, max_size=4),
    st.sampled_from(("none", "none", "drawn", "each", "whole", "whole", "both")),
    st.sampled_from((None, None, 0, 3)),
)
troubles: Final = st.none() | st.builds(
    Trouble,
    st.sampled_from((1, 1, 1, 1, 1, 2, 2, 3, 5, 8, 13)),
    st.sampled_from(list(FAULTS)),
    st.booleans(),
    st.sampled_from(KINDS),
)
cuts: Final = st.builds(
    Cut,
    st.sampled_from(list(CrashModel)),
    st.sampled_from((0, 0, 1, 2, 3, 5, 8, 13, 21)),
    st.integers(0, 3),
)
windows: Final = st.builds(
    Window,
    st.sampled_from(BOUNDS),
    st.sampled_from(BOUNDS),
    st.sampled_from((None, None, 0, 1, 2, 5)),
    st.booleans(),
)
regions: Final = st.sampled_from(REGIONS)
ago: Final = st.sampled_from((0, 1, 2, 5, 9, 30))
