"""Every state is the fold over a list, whatever was kept, by whom, and whatever became of it.

Random logs with batches, reopens, power cuts that take back what was visible, and rows that are
damaged or are another one's; asked through every cache, in every form, of entities and regions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from batpak import wire
from batpak.append import BatchItem
from batpak.cache.file import FileCache
from batpak.cache.memory import MemoryCache
from batpak.cache.row import CachedState, NoCache, ProjectionCache
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.event import StoredEvent
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.projection import DictProjection, Freshness, Projection, RawProjection
from batpak.region import Region
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from tests.facts import Counted, Said

BOTH: Final = frozenset({Counted.KIND, Said.KIND})


class Seen(Struct, frozen=True):
    """Everything that was folded, so that nothing can be missing, twice, or out of order."""

    events: tuple[tuple[int, int | str], ...] = ()


def value_of(payload: object) -> int | str:
    match payload:
        case Counted(n=n) | {"n": int(n)}:
            return n
        case Said(text=text) | {"text": str(text)}:
            return text
        case other:
            raise LookupError(other)


class Typed(Projection[Seen]):
    KINDS: ClassVar[frozenset[EventKind]] = BOTH

    @override
    def initial(self) -> Seen:
        return Seen()

    @override
    def apply(self, state: Seen, event: StoredEvent[EventPayload], /) -> Seen:
        return Seen((*state.events, (event.sequence, value_of(event.payload))))


class Later(Typed):
    NAME: ClassVar[str] = Typed.NAME
    VERSION: ClassVar[int] = 2

    @override
    def initial(self) -> Seen:
        return Seen(((-1, "later"),))


class Numbers(Typed):
    NAME: ClassVar[str] = Typed.NAME
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})


class Every(Typed):
    NAME: ClassVar[str] = Typed.NAME
    KINDS: ClassVar[frozenset[EventKind]] = frozenset()


class Plain(DictProjection[Seen]):
    NAME: ClassVar[str] = Typed.NAME
    KINDS: ClassVar[frozenset[EventKind]] = BOTH

    @override
    def initial(self) -> Seen:
        return Seen()

    @override
    def apply(self, state: Seen, event: StoredEvent[object], /) -> Seen:
        return Seen((*state.events, (event.sequence, value_of(event.payload))))


class Raw(RawProjection[Seen]):
    NAME: ClassVar[str] = Typed.NAME
    KINDS: ClassVar[frozenset[EventKind]] = BOTH

    @override
    def initial(self) -> Seen:
        return Seen()

    @override
    def apply(self, state: Seen, event: StoredEvent[bytes], /) -> Seen:
        payload = wire.decode(event.kind, event.payload_version, event.payload)
        return Seen((*state.events, (event.sequence, value_of(payload))))


PROJECTIONS: Final[tuple[Any, ...]] = (Typed(), Later(), Numbers(), Every(), Plain(), Raw())
PLACES: Final = [Coordinate(e, s) for e in ("a", "a:1", "b") for s in ("x", "y")]
SOURCES: Final[list[str | Region]] = [
    "a",
    "b",
    "nobody",
    Region.all(),
    Region(entity="a"),
    Region(scope="y"),
    Region(kinds=Said),
    Region(entity="a", scope="x", versions=(2, 4)),
]
CONFIG: Final = StoreConfig(
    lifecycle_events=False,
    durability=Durability.OS,
    limits=Limits(segment_max_bytes=4 << 10),
)

places, values = st.sampled_from(PLACES), st.integers(0, 99) | st.sampled_from("abc")
moves = st.one_of(
    st.tuples(st.just("append"), st.lists(st.tuples(places, values), min_size=1, max_size=12)),
    st.tuples(st.just("ask"), st.integers(0, len(SOURCES) - 1)),
    st.tuples(st.just("damage"), st.integers(0, 1 << 16)),
    st.tuples(st.just("reopen"), st.none()),
    st.tuples(st.just("crash"), st.sampled_from([CrashModel.SYNCED, CrashModel.KILL])),
)
Logged = tuple[Coordinate, "int | str", int]  # where, what, and its version


class World:
    """A store, a cache, and the list of what the log has."""

    def __init__(self, kind: str) -> None:
        self.sim = SimPlatform()
        self.kind = kind
        self.memory = MemoryCache()
        self.log: list[Logged] = []
        self.cache: ProjectionCache = NoCache()
        self.store = self.opened()

    def opened(self) -> Store:
        caches: dict[str, Callable[[], ProjectionCache]] = {
            "none": NoCache,
            "memory": lambda: self.memory,  # shared by every life of the store
            "file": lambda: FileCache("states", platform=self.sim),
        }
        self.cache = caches[self.kind]()
        config = replace(CONFIG, projection_cache=self.cache)
        return Store.open("store", config, platform=self.sim)

    def append(self, items: list[tuple[Coordinate, int | str]]) -> None:
        facts = [Counted(n=v) if isinstance(v, int) else Said(text=v) for _, v in items]
        given = zip(items, facts, strict=True)
        self.store.append_batch([BatchItem(place, fact) for (place, _), fact in given])
        for place, value in items:
            version = 1 + sum(place.entity == other.entity for other, _, _ in self.log)
            self.log.append((place, value, version))

    def crash(self, model: CrashModel) -> None:
        after = self.sim.crash(model)
        self.store.close()  # of the machine that is no more
        self.sim = after
        self.store = self.opened()
        del self.log[self.store.frontier().visible :]

    def reopen(self, _: None) -> None:
        self.store.close()
        self.store = self.opened()

    def damage(self, seed: int) -> None:
        """Flip a bit of a row, or put one in the place of another."""
        if self.kind == "memory":
            rows: dict[str, CachedState] = cast("Any", self.memory)._rows
            keys = sorted(rows)
            if keys:
                key, other = keys[seed % len(keys)], keys[seed // 7 % len(keys)]
                row = rows[other]
                rows[key] = replace(row, watermark=row.watermark ^ 1) if key == other else row
        if self.kind == "file":
            names = sorted(name for name in self.sim.files() if name.endswith(".state"))
            if names:
                name = names[seed % len(names)]
                data = self.sim.files()[name]
                at = seed % len(data)
                directory = cast("Any", self.cache)._directory
                broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
                directory.append(name.rpartition("/")[2]).write(0, broken)

    def expected(self, projection: Any, source: str | Region, upto: int) -> Seen | None:  # noqa: ANN401
        events: list[tuple[int, int | str]] = []
        for sequence, (place, value, version) in enumerate(self.log[:upto]):
            kind = Counted.KIND if isinstance(value, int) else Said.KIND
            matches = (
                place.entity == source
                if isinstance(source, str)
                else source.matches(place, kind, version)
            )
            if matches and (not projection.KINDS or kind in projection.KINDS):
                events.append((sequence, value))
        return Seen((*projection.initial().events, *events)) if events else None

    def ask(self, number: int) -> None:
        source, store = SOURCES[number], self.store
        for projection in PROJECTIONS:
            due = self.expected(projection, source, len(self.log))
            generation = 0 if due is None else due.events[-1][0] + 1
            assert store.project(projection, source) == due
            half = len(self.log) // 2
            assert store.project(projection, source, upto=half) == self.expected(
                projection, source, half
            )
            for since in (0, max(0, generation - 1), generation):
                found = store.project_if_changed(projection, source, since=since)
                if since < generation:
                    assert found is not None
                    assert (found.state, found.generation) == (due, generation)
                else:
                    assert found is None
            stale = store.project(projection, source, freshness=Freshness.maybe_stale(3600))
            olds = [self.expected(projection, source, n) for n in range(len(self.log) + 1)]
            assert stale in olds
            with store.watch_projection(projection, source) as watcher:
                first = watcher.next(0)
                assert (None if first is None else first.state) == due
            assert store.project(projection, source) == due


def run(kind: str, steps: list[tuple[str, Any]]) -> None:
    world = World(kind)
    try:
        for name, given_ in steps:
            getattr(world, name)(given_)
        for number, source in enumerate(SOURCES):
            world.ask(number)
            for projection in PROJECTIONS:
                assert world.store.rebuild_projection(projection, source).same
    finally:
        world.store.close()


@given(kind=st.sampled_from(["none", "memory", "file"]), steps=st.lists(moves, max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_state_is_the_fold_over_a_list(kind: str, steps: list[tuple[str, Any]]) -> None:
    run(kind, steps)


@pytest.mark.slow
@given(kind=st.sampled_from(["memory", "file"]), steps=st.lists(moves, min_size=8, max_size=40))
@settings(max_examples=100, deadline=None)
def test_a_state_is_the_fold_over_a_list_in_long_runs(
    kind: str, steps: list[tuple[str, Any]]
) -> None:
    run(kind, steps)
