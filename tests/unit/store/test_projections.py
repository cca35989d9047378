"""States that are asked of a store: as of the call, whatever a cache has kept, and never shared.

Would slip through without it: a kept state of another past of the log, of other code or of another
source; a state that its reader has changed for the next one; a watcher that sleeps on.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar, Final, cast

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from batpak import codec
from batpak.append import BatchItem
from batpak.cache.file import FileCache
from batpak.cache.memory import MemoryCache
from batpak.cache.row import CachedState, NoCache, ProjectionCache
from batpak.config import StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument, StoreClosed, UnknownKind
from batpak.event import StoredEvent
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.platform import REAL
from batpak.read.projection import DictProjection, Freshness, Projected, Projection, RawProjection
from batpak.read.projector import BEHIND
from batpak.region import Region
from batpak.store import Store
from tests.facts import FAST, USER, Counted, Said

OTHER: Final = Coordinate("user:2", "acme")
USERS: Final = Region(entity="user")
KEEP: Final = EventKind.custom(0xE, 0x7B0)


class Total(Struct, frozen=True):
    sum: int = 0
    count: int = 0


class Sum(Projection[Total]):
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})
    calls = 0

    @override
    def initial(self) -> Total:
        return Total()

    @override
    def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
        type(self).calls += 1
        assert isinstance(event.payload, Counted)
        return Total(state.sum + event.payload.n, state.count + 1)


class DictSum(DictProjection[Total]):
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})

    @override
    def initial(self) -> Total:
        return Total()

    @override
    def apply(self, state: Total, event: StoredEvent[object], /) -> Total:
        payload = cast("dict[str, int]", event.payload)
        return Total(state.sum + payload["n"], state.count + 1)


class RawSum(RawProjection[Total]):
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})

    @override
    def initial(self) -> Total:
        return Total()

    @override
    def apply(self, state: Total, event: StoredEvent[bytes], /) -> Total:
        payload = cast("dict[str, int]", codec.decode_plain(event.payload))
        return Total(state.sum + payload["n"], state.count + 1)


@pytest.fixture(params=["none", "memory", "file"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> ProjectionCache:
    if request.param == "none":
        return NoCache()
    return MemoryCache() if request.param == "memory" else FileCache(tmp_path / "states")


@pytest.fixture
def store(tmp_path: Path, cache: ProjectionCache) -> Iterator[Store]:
    with Store.open(tmp_path / "store", replace(FAST, projection_cache=cache)) as opened:
        yield opened


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Store]:
    """A store with a cache in memory."""
    config = replace(FAST, projection_cache=MemoryCache())
    with Store.open(tmp_path / "kept", config) as opened:
        yield opened


def count(store: Store, *numbers: int, at: Coordinate = USER) -> None:
    store.append_batch([BatchItem(at, Counted(n=n)) for n in numbers])


def folds(store: Store, projection: Sum, source: str | Region = "user:1") -> int:
    """How many events are folded to answer."""
    before = type(projection).calls
    store.project(projection, source)
    return type(projection).calls - before


# ---------------------------------------------------------------------------------------- answers


def test_an_entity_is_exact_and_a_region_is_all_that_it_matches(store: Store) -> None:
    count(store, 1, 2)
    count(store, 10, at=OTHER)
    count(store, 100, at=Coordinate("user:1:more", "acme"))
    store.append(USER, Said(text="no number"))

    for _ in range(2):
        assert store.project(Sum(), "user:1") == Total(3, 2)
        assert store.project(Sum(), USERS) == Total(113, 4)
        assert store.project(Sum(), Region(entity="user:1")) == Total(103, 3)
        assert store.project(Sum(), Region(kinds=Said)) is None
        assert store.project(Sum(), Region(versions=(1, 1))) == Total(111, 3)
        assert store.project(Sum(), "user") is None
        assert store.project(Sum(), "user:3") is None


@pytest.mark.parametrize("projection", [Sum(), DictSum(), RawSum()], ids=["typed", "dict", "raw"])
def test_all_forms_agree(
    store: Store, projection: Sum | DictSum | RawSum, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(20):
        count(store, number, at=(USER, OTHER)[number % 2])
        store.append(USER, Said(text="x"))
        assert store.project(cast("Sum", projection), USERS) == Total(
            sum(range(number + 1)), number + 1
        )
    assert not caplog.records


def test_a_state_is_continued_and_not_folded_again(kept: Store) -> None:
    count(kept, *range(50))
    projection = Sum()

    assert folds(kept, projection) == 50
    assert folds(kept, projection) == 0
    count(kept, 1, at=OTHER)
    assert folds(kept, projection) == 0
    count(kept, 1, 2)
    assert folds(kept, projection) == 2
    assert folds(kept, projection, USERS) == 53


def test_without_a_cache_every_call_folds_everything(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        count(store, 1, 2)

        assert [folds(store, Sum()) for _ in range(2)] == [2, 2]


def test_a_reader_that_opens_later_goes_on_from_a_file(tmp_path: Path) -> None:
    config = replace(FAST, projection_cache=FileCache(tmp_path / "states"))
    with Store.open(tmp_path / "store", config) as store:
        count(store, 1, 2)
        assert folds(store, Sum()) == 2

    with Store.open_read_only(tmp_path / "store", config) as reader:
        assert folds(cast("Store", reader), Sum()) == 0
        assert reader.project(Sum(), "user:1") == Total(3, 2)


def test_on_a_handle_that_only_reads_a_watcher_gives_what_there_is_and_ends(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        count(store, 1, 2)
    with Store.open_read_only(tmp_path / "store") as reader:
        with reader.watch_projection(Sum(), "user:1") as watcher:
            assert [found.state for found in watcher] == [Total(3, 2)]
            assert watcher.next(0.001) is None
            with pytest.raises(InvalidArgument, match="only reads") as caught:
                watcher.next()
            assert caught.value.argument == "timeout_s"
        with reader.watch_projection(Sum(), "user:1") as watcher:
            assert watcher.next() == Projected(Total(3, 2), 2), "what is there needs no waiting"


def test_upto_folds_what_is_in_front_of_a_sequence_and_leaves_the_cache_alone(kept: Store) -> None:
    count(kept, 1, 2, 4)
    assert folds(kept, Sum()) == 3

    assert kept.project(Sum(), "user:1", upto=0) is None
    assert kept.project(Sum(), "user:1", upto=2) == Total(3, 2)
    assert kept.project(Sum(), USERS, upto=99) == Total(7, 3)
    assert folds(kept, Sum()) == 0


def test_no_kinds_means_every_kind(store: Store) -> None:
    class Everything(DictProjection[Total]):
        @override
        def initial(self) -> Total:
            return Total()

        @override
        def apply(self, state: Total, event: StoredEvent[object], /) -> Total:
            return Total(max(state.sum, event.version), state.count + 1)

    count(store, 1)
    store.append(USER, Said(text="x"))
    store.append_raw(USER, KEEP, b"\x01")

    assert [store.project(Everything(), "user:1") for _ in range(2)] == [Total(3, 3)] * 2


class Names(Struct):
    names: list[str] = msgspec.field(default_factory=list[str])


class Collected(Projection[Names]):
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Said.KIND})

    @override
    def initial(self) -> Names:
        return Names()

    @override
    def apply(self, state: Names, event: StoredEvent[EventPayload], /) -> Names:
        assert isinstance(event.payload, Said)
        return Names([*state.names, event.payload.text])


def test_changing_a_state_changes_no_other_answer(store: Store) -> None:
    for text in "abc":
        store.append(USER, Said(text=text))
    for _ in range(3):
        state = store.project(Collected(), "user:1")
        assert state == Names(["a", "b", "c"])
        state.names.clear()


def test_what_apply_raises_comes_with_the_event_and_harms_no_cache(store: Store) -> None:
    class Fussy(Sum):
        NAME: ClassVar[str] = "fussy"
        refuses: ClassVar[bool] = True

        @override
        def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
            if self.refuses and event.payload == Counted(n=2):
                raise LookupError
            return super().apply(state, event)

    count(store, 1)
    assert store.project(Fussy(), "user:1") == Total(1, 1)
    count(store, 2)

    with pytest.raises(LookupError) as raised:
        store.project(Fussy(), "user:1")

    assert raised.value.__notes__ == ["projection fussy at event 1"]
    Fussy.refuses = False
    assert store.project(Fussy(), "user:1") == Total(3, 2)


def test_a_relevant_event_that_nothing_reads_is_an_error_and_another_is_none(
    store: Store,
) -> None:
    class Unread(Projection[Total]):
        KINDS: ClassVar[frozenset[EventKind]] = frozenset({KEEP})

        @override
        def initial(self) -> Total:
            return Total()

        @override
        def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
            raise LookupError(state, event.sequence)

    store.append_raw(USER, KEEP, b"\x01")
    count(store, 1)

    for _ in range(2):
        assert store.project(Sum(), "user:1") == Total(1, 1)
        with pytest.raises(UnknownKind):
            store.project(Unread(), "user:1")


def test_a_fold_may_append_to_the_store_that_it_reads(store: Store) -> None:
    class Writes(Sum):
        @override
        def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
            store.append(OTHER, Said(text="seen"))
            return super().apply(state, event)

    count(store, 1, 2)

    assert store.project(Writes(), "user:1") == Total(3, 2)
    assert store.version("user:2") == 2


# ------------------------------------------------------------------------------ what shares a state


def test_another_version_other_kinds_and_other_code_fold_anew(kept: Store) -> None:
    class Later(Sum):
        NAME: ClassVar[str] = Sum.NAME
        VERSION: ClassVar[int] = 2

    class More(Sum):
        NAME: ClassVar[str] = Sum.NAME
        KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND, KEEP})

    class Double(Sum):
        NAME: ClassVar[str] = Sum.NAME

        @override
        def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
            return super().apply(super().apply(state, event), event)

    class Named(Sum):
        NAME: ClassVar[str] = "another name"

    count(kept, 1, 2)
    assert folds(kept, Sum()) == 2

    for projection in (Later(), More(), Named()):
        assert folds(kept, projection) == 2
        assert folds(kept, projection) == 0
    assert kept.project(Double(), "user:1") == Total(6, 4)
    assert folds(kept, Sum()) == 0


def test_attributes_of_an_instance_belong_to_its_meaning(kept: Store) -> None:
    class Over(Sum):
        def __init__(self, limit: object) -> None:
            self.limit = limit

        @override
        def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
            assert isinstance(event.payload, Counted)
            limit = self.limit if isinstance(self.limit, int) else 0
            return super().apply(state, event) if event.payload.n > limit else state

    count(kept, *range(10))

    for _ in range(2):
        assert kept.project(Over(4), "user:1") == Total(35, 5)
        assert kept.project(Over(8), "user:1") == Total(9, 1)
    assert folds(kept, Over(8)) == 0
    assert folds(kept, Over(object())) == folds(kept, Over(object())) == 9  # has no stored form


def test_a_projection_without_a_state_to_read_is_never_kept(kept: Store) -> None:
    class Never(Sum):
        STATE: ClassVar[type[Struct] | None] = None

    count(kept, 1, 2)

    assert [folds(kept, Never()) for _ in range(2)] == [2, 2]


def test_an_entity_and_a_region_of_one_name_are_two_sources(kept: Store) -> None:
    count(kept, 1)
    count(kept, 2, at=Coordinate("user:1:x", "acme"))

    assert kept.project(Sum(), "user:1") == Total(1, 1)
    assert kept.project(Sum(), Region(entity="user:1")) == Total(3, 2)
    assert kept.project(Sum(), Region(entity="user:1:")) == Total(3, 2)
    assert folds(kept, Sum(), Region(entity="user:1:")) == 0


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_log_that_was_cut_and_grew_anew_is_not_answered_with_its_other_past(
    tmp_path: Path, kind: str
) -> None:
    cache = MemoryCache() if kind == "memory" else FileCache(tmp_path / "states")
    config = replace(FAST, projection_cache=cache)
    with Store.open(tmp_path / "store", config) as store:
        count(store, 1, 2)
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    with Store.open(tmp_path / "store", config) as store:
        count(store, 100, 200)
        assert store.project(Sum(), "user:1") == Total(303, 4)

    with Store.open(tmp_path / "backup", config) as store:
        assert store.project(Sum(), "user:1") == Total(3, 2)  # the state is ahead of this log
    with Store.open(tmp_path / "store", config) as store:
        assert store.project(Sum(), "user:1") == Total(303, 4)
    with Store.open(tmp_path / "backup", config) as store:
        count(store, 5, 6, 7)
        assert store.project(Sum(), "user:1") == Total(21, 5)  # the state is of another log


def test_a_state_that_is_far_behind_is_kept_anew(kept: Store) -> None:
    count(kept, 1)
    assert kept.project(Sum(), "user:1") == Total(1, 1)
    rows = cast("Any", kept.projection_cache)._rows
    for _ in range(BEHIND // 256):
        assert next(iter(rows.values())).watermark == 1
        kept.append_batch([BatchItem(OTHER, Said(text="x"))] * 256)
        kept.project(Sum(), "user:1")

    [row] = rows.values()
    assert (row.watermark, row.generation) == (BEHIND + 1, 1)


# -------------------------------------------------------------------------------------- freshness


def test_a_stale_state_is_given_as_it_is_until_it_is_too_old(tmp_path: Path) -> None:
    now_ns = 10**18
    config = replace(FAST, projection_cache=MemoryCache())
    platform = replace(REAL, wall_ns=lambda: now_ns)
    a_minute = Freshness.maybe_stale(60)
    with Store.open(tmp_path / "store", config, platform=platform) as store:
        count(store, 1)
        assert store.project(Sum(), "user:1", freshness=a_minute) == Total(1, 1)
        count(store, 2)

        now_ns += 60 * 10**9
        assert store.project(Sum(), "user:1", freshness=a_minute) == Total(1, 1)
        now_ns += 10**9
        assert store.project(Sum(), "user:1", freshness=a_minute) == Total(3, 2)
        count(store, 4)
        now_ns -= 3600 * 10**9  # whose age is below zero is not young
        assert store.project(Sum(), "user:1", freshness=a_minute) == Total(7, 3)
        count(store, 8)
        assert store.project(Sum(), "user:1") == Total(15, 4)


def test_a_state_has_changed_when_a_relevant_event_came(store: Store) -> None:
    assert store.project_if_changed(Sum(), "user:1", since=0) is None
    count(store, 1, 2)

    first = store.project_if_changed(Sum(), "user:1", since=0)
    assert first == Projected(Total(3, 2), 2)
    assert store.project_if_changed(Sum(), "user:1", since=first.generation) is None
    store.append(USER, Said(text="x"))
    count(store, 5, at=OTHER)
    assert store.project_if_changed(Sum(), "user:1", since=first.generation) is None
    count(store, 4)
    assert store.project_if_changed(Sum(), "user:1", since=1) == Projected(Total(7, 3), 5)
    assert store.project_if_changed(Sum(), "user:1", since=4) == Projected(Total(7, 3), 5)
    assert store.project_if_changed(Sum(), "user:1", since=5) is None
    assert store.project_if_changed(Sum(), USERS, since=0) == Projected(Total(12, 4), 5)


def test_a_stale_state_is_never_given_for_a_new_one(kept: Store) -> None:
    hour = Freshness.maybe_stale(3600)
    count(kept, 1)
    first = kept.project_if_changed(Sum(), "user:1", since=0, freshness=hour)
    assert first == Projected(Total(1, 1), 1)
    count(kept, 2)

    assert kept.project_if_changed(Sum(), "user:1", since=0, freshness=hour) == first
    newer = kept.project_if_changed(Sum(), "user:1", since=1, freshness=hour)
    assert newer == Projected(Total(3, 2), 2)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("projection", lambda s: s.project(Sum, "user:1")),
        ("projection", lambda s: s.project(None, "user:1")),
        ("source", lambda s: s.project(Sum(), None)),
        ("source", lambda s: s.project(Sum(), USER)),
        ("source", lambda s: s.project(Sum(), "\ud800")),
        ("freshness", lambda s: s.project(Sum(), "user:1", freshness=1.0)),
        ("upto", lambda s: s.project(Sum(), "user:1", upto=-1)),
        ("upto", lambda s: s.project(Sum(), "user:1", upto=True)),
        ("since", lambda s: s.project_if_changed(Sum(), "user:1", since=-1)),
        ("since", lambda s: s.watch_projection(Sum(), "user:1", since="0")),
        ("source", lambda s: s.watch_projection(Sum(), 7)),
        ("projection", lambda s: s.rebuild_projection(7, "user:1")),
        ("timeout_s", lambda s: s.watch_projection(Sum(), "user:1").next(-1)),
    ],
)
def test_malformed_arguments_are_refused(kept: Store, argument: str, call: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidArgument) as refused:
        call(kept)

    assert refused.value.argument == argument


def test_nothing_is_projected_after_the_end(kept: Store) -> None:
    watcher = kept.watch_projection(Sum(), "user:1")
    kept.close()

    for call in (
        lambda: kept.project(Sum(), "user:1"),
        lambda: kept.project_if_changed(Sum(), "user:1", since=0),
        lambda: kept.watch_projection(Sum(), "user:1"),
        lambda: kept.rebuild_projection(Sum(), "user:1"),
        watcher.next,
    ):
        with pytest.raises(StoreClosed):
            call()
    assert list(watcher) == []


# ---------------------------------------------------------------------------------------- rebuild


def test_a_rebuild_says_that_what_was_kept_was_right(store: Store) -> None:
    count(store, 1, 2)
    store.project(Sum(), "user:1")
    count(store, 4)

    report = store.rebuild_projection(Sum(), "user:1")

    assert report.same
    assert (report.state, report.generation, report.events) == (Total(7, 3), 3, 3)
    assert report.cached == (None if isinstance(store.projection_cache, NoCache) else Total(7, 3))


def test_a_rebuild_replaces_what_was_wrong_and_says_so(
    kept: Store, caplog: pytest.LogCaptureFixture
) -> None:
    count(kept, 1, 2)
    kept.project(Sum(), "user:1")
    rows: dict[str, CachedState] = cast("Any", kept.projection_cache)._rows
    [(key, row)] = rows.items()
    rows[key] = replace(row, state=codec.encode(Total(99, 2))).sealed(key)
    count(kept, 4)

    report = kept.rebuild_projection(Sum(), "user:1")

    assert not report.same
    assert (report.cached, report.state) == (Total(103, 3), Total(7, 3))
    [said] = caplog.records
    assert (said.name, said.levelno) == ("batpak.projection", logging.WARNING)
    assert folds(kept, Sum()) == 0
    assert kept.project(Sum(), "user:1") == Total(7, 3)
    assert kept.rebuild_projection(Sum(), "user:1").same


def test_a_rebuild_that_fails_leaves_what_is_kept(kept: Store) -> None:
    class Fussy(Sum):
        refuses: ClassVar[bool] = False

        @override
        def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
            if self.refuses:
                raise LookupError
            return super().apply(state, event)

    count(kept, 1, 2)
    kept.project(Fussy(), "user:1")
    Fussy.refuses = True

    with pytest.raises(LookupError):
        kept.rebuild_projection(Fussy(), "user:1")

    assert folds(kept, Fussy()) == 0


def test_a_rebuild_of_nothing_is_nothing(kept: Store) -> None:
    report = kept.rebuild_projection(Sum(), "user:1")

    assert (report.same, report.state, report.generation, report.events) == (True, None, 0, 0)
    assert len(cast("MemoryCache", kept.projection_cache)) == 0


# ----------------------------------------------------------------------------------------- watching


def test_a_watcher_gives_the_newest_state_at_once_and_then_as_they_come(store: Store) -> None:
    count(store, 1, 2)
    with store.watch_projection(Sum(), "user:1") as watcher:
        assert watcher.next(0) == Projected(Total(3, 2), 2)
        assert watcher.next(0) is None
        store.append(USER, Said(text="x"))
        count(store, 9, at=OTHER)
        assert watcher.next(0.01) is None
        count(store, 4)
        count(store, 8)
        assert watcher.next(0) == Projected(Total(15, 4), 6)
        assert watcher.generation == 6
    assert watcher.next(0) is None
    assert list(watcher) == []


def test_a_watcher_begins_behind_what_its_reader_has(store: Store) -> None:
    count(store, 1, 2)
    with store.watch_projection(Sum(), "user:1", since=2) as watcher:
        assert watcher.next(0) is None
        count(store, 4)
        assert watcher.next(0) == Projected(Total(7, 3), 3)


def test_a_watcher_wakes_for_what_another_thread_appends(kept: Store) -> None:
    with kept.watch_projection(Sum(), USERS) as watcher:
        writer = Thread(target=count, args=(kept, 1, 2))
        writer.start()
        found = watcher.next(30)
        writer.join()

    assert found == Projected(Total(3, 2), 2)


def test_a_close_ends_a_watcher_that_waits(kept: Store) -> None:
    for end in ("watcher", "store"):
        watcher = kept.watch_projection(Sum(), "user:1")
        seen: list[list[Projected[Total]]] = []
        waiting = Thread(target=lambda w=watcher, s=seen: s.append(list(w)))
        waiting.start()
        watcher.close() if end == "watcher" else kept.close()
        waiting.join(30)

        assert seen == [[]]


def test_an_error_is_raised_and_calling_again_goes_on(kept: Store) -> None:
    class Fussy(Sum):
        refuses: ClassVar[bool] = True

        @override
        def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
            if self.refuses:
                raise LookupError
            return super().apply(state, event)

    count(kept, 1)
    with kept.watch_projection(Fussy(), "user:1") as watcher:
        for _ in range(2):
            with pytest.raises(LookupError):
                watcher.next(0)
        Fussy.refuses = False
        assert watcher.next(0) == Projected(Total(1, 1), 1)


def test_a_watcher_is_for_one_thread_at_a_time(kept: Store) -> None:
    refused: list[InvalidArgument] = []

    class Curious(Sum):
        @override
        def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
            def again() -> None:
                try:
                    watcher.next(0)
                except InvalidArgument as error:
                    refused.append(error)

            other = Thread(target=again)
            other.start()
            other.join()
            return super().apply(state, event)

    count(kept, 1)
    watcher = kept.watch_projection(Curious(), "user:1")

    assert watcher.next(0) == Projected(Total(1, 1), 1)
    assert [error.argument for error in refused] == ["thread"]


def raced(kept: Store, races: int) -> None:
    """Append bursts while a watcher looks, and see that the last state always arrives."""
    generation = 0
    with kept.watch_projection(Sum(), "user:1") as watcher:
        for race in range(races):
            writer = Thread(target=count, args=(kept, *range(1 + race % 3)))
            writer.start()
            if race % 2:
                writer.join()
            final = sum(1 + n % 3 for n in range(race + 1))
            while generation < final:
                found = watcher.next(30)
                assert found is not None, f"the wake-up of race {race} was lost"
                assert found.generation > generation
                assert found.state.count == found.generation
                generation = found.generation
            writer.join()
            assert watcher.next(0) is None


def test_no_wake_up_is_lost_in_five_hundred_races(kept: Store) -> None:
    raced(kept, 500)


@pytest.mark.slow
def test_no_wake_up_is_lost_in_ten_thousand_races(kept: Store) -> None:
    raced(kept, 10_000)


def test_threads_share_a_handle_and_its_cache(kept: Store) -> None:
    wrong: list[object] = []

    def ask() -> None:
        for _ in range(200):
            state = kept.project(Sum(), "user:1")
            if state is not None and state.sum != sum(range(state.count)):
                wrong.append(state)

    readers = [Thread(target=ask) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(300):
        count(kept, number)
    for reader in readers:
        reader.join()

    assert wrong == []
    assert kept.project(Sum(), "user:1") == Total(sum(range(300)), 300)


def test_the_diagnostics_count_what_was_kept_and_what_was_not(kept: Store) -> None:
    def counted() -> tuple[int, int]:
        told = kept.diagnostics()
        return told.cache_hits, told.cache_misses

    count(kept, 1)
    assert counted() == (0, 0)
    kept.project(Sum(), "user:1")
    assert counted() == (0, 1)
    kept.project(Sum(), "user:1")
    assert counted() == (1, 1)
    rows = cast("Any", kept.projection_cache)._rows
    [(key, row)] = rows.items()
    for wrong in (replace(row, generation=7), replace(row, head=bytes(32)).sealed(key)):
        rows[key] = wrong
        kept.project(Sum(), "user:1")
    assert counted() == (1, 3)


def test_the_config_says_where_states_are_kept(tmp_path: Path) -> None:
    cache = MemoryCache()

    with Store.open(tmp_path / "store", StoreConfig(projection_cache=cache)) as store:
        assert store.projection_cache is cache


def scaled(how: str, rate: Any) -> Projection[Total]:  # noqa: ANN401  also what has no stored form
    """A fold that depends on a value in one of the ways in which code depends on values."""

    class Scaled(Projection[Total]):
        NAME = "scaled"
        KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})

        @override
        def initial(self) -> Total:
            return Total()

    class Closed(Scaled):
        @override
        def apply(self, state: Total, _event: StoredEvent[EventPayload], /) -> Total:
            return Total(state.sum + int(rate))

    class Default(Scaled):
        @override
        def apply(
            self,
            state: Total,
            _event: StoredEvent[EventPayload],
            /,
            rate: Any = rate,  # noqa: ANN401
        ) -> Total:
            return Total(state.sum + int(rate))

    class Keyword(Scaled):
        @override
        def apply(
            self,
            state: Total,
            _event: StoredEvent[EventPayload],
            /,
            *,
            rate: Any = rate,  # noqa: ANN401
        ) -> Total:
            return Total(state.sum + int(rate))

    class Slot(Scaled):
        __slots__ = ("rate",)

        def __init__(self) -> None:
            self.rate = rate

        @override
        def apply(self, state: Total, _event: StoredEvent[EventPayload], /) -> Total:
            return Total(state.sum + int(self.rate))

    ways: dict[str, type[Any]] = {
        "closure": Closed,
        "default": Default,
        "keyword": Keyword,
        "slot": Slot,
    }
    made: Projection[Total] = ways[how]()
    return made


class Strange:
    """No digest sees what it means."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __int__(self) -> int:
        return self._n


@pytest.mark.parametrize("how", ["closure", "default", "keyword", "slot"])
def test_a_kept_state_is_not_that_of_a_fold_with_another_value_bound_to_it(
    tmp_path: Path, how: str
) -> None:
    cache = MemoryCache()
    with Store.open(tmp_path / "s", replace(FAST, projection_cache=cache)) as store:
        store.append(USER, Counted(n=1))
        for rate in (1, 10, Strange(3), Strange(4)):
            found = store.project(scaled(how, rate), USER.entity)
            assert found == Total(int(rate))
        assert len(cache) == 2


class Sum2(Struct):
    n: int = 0


class Odd(Struct):
    """Python takes this for a type; nothing reads it back."""

    x: dict[str, int] | Sum2 | None = None


class Ahead(Struct):
    x: Nowhere | None = None  # type: ignore[name-defined]  # noqa: F821  on purpose


@pytest.mark.parametrize("state", [Odd, Ahead])
def test_a_state_that_nothing_reads_back_is_not_kept_and_that_is_logged(
    tmp_path: Path, state: type[Struct], caplog: pytest.LogCaptureFixture
) -> None:
    class Unread(Projection[Struct]):
        STATE: ClassVar[type[Struct] | None] = state

        @override
        def initial(self) -> Struct:
            return state()

        @override
        def apply(self, state: Struct, _event: StoredEvent[EventPayload], /) -> Struct:
            return state

    cache = MemoryCache()
    with Store.open(tmp_path / "s", replace(FAST, projection_cache=cache)) as store:
        store.append(USER, Counted(n=1))
        for _ in range(2):
            assert store.project(Unread(), USER.entity) == state()
    assert len(cache) == 0
    assert ["not kept" in one.message for one in caplog.records] == [True]


def test_a_fold_that_forgets_to_return_a_state_is_told_so(tmp_path: Path) -> None:
    class Applies(Sum):
        @override
        def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
            super().apply(state, event)
            return cast("Total", None)

    class Begins(Sum):
        @override
        def initial(self) -> Total:
            return cast("Total", None)

    with Store.open(tmp_path / "s", FAST) as store:
        store.append(OTHER, Counted(n=1))
        store.append(USER, Counted(n=1))
        for wrong, what in ((Applies(), "apply"), (Begins(), "initial")):
            with pytest.raises(InvalidArgument, match=f"`{what}` must return a state") as caught:
                store.project(wrong, USER.entity)
            assert caught.value.__notes__ == [f"projection {wrong.NAME} at event 1"]
