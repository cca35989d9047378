"""Every question that a log can be asked gets the answer of a linear scan of a plain list.

Asked of random logs in several small files: of the writer, after an orderly close, of the copy that
a crash leaves, and with every footer cut off. Would slip through without it: an index that answers
otherwise than the log it was made from; a page that shows an event twice or never; an iterator that
sees what was appended behind its back; a question for ten events that reads all of them.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batpak.append import BatchItem
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import CorruptStore, EventNotFound, InvalidArgument, KindMismatch, StoreClosed
from batpak.event import IndexEntry, StoredEvent
from batpak.ids import CorrelationId, EventId, new_id
from batpak.journal import header
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.platform import REAL
from batpak.reader import StoreReader
from batpak.region import KindFilter, Region
from batpak.store import Store
from batpak.wire import DICT, RAW
from tests.facts import FAST, USER, Counted, Said

CONFIG: Final = StoreConfig(
    lifecycle_events=False, durability=Durability.OS, limits=Limits(segment_max_bytes=4 << 10)
)
NAMES: Final = ["a", "a:1", "a:1:x", "a-1", "ab", "b", "b:1", "Z", "é:1"]
TALKS: Final = [CorrelationId(new_id(EventId)) for _ in range(2)]


class Told(NamedTuple):
    """What is asked of the store, before it has an id."""

    entity: str
    scope: str
    fact: EventPayload
    cause: int | None  # how far back
    talk: int | None
    in_batch: bool  # with the one before


class Known(NamedTuple):
    """What the list knows of an event."""

    where: Coordinate
    fact: EventPayload
    version: int
    event_id: EventId
    cause: EventId | None
    talk: CorrelationId


class Asked(NamedTuple):
    """A question about many events."""

    region: Region
    after: int | None
    before: int | None
    limit: int | None
    reverse: bool


tellings = st.lists(
    st.builds(
        Told,
        entity=st.sampled_from(NAMES),
        scope=st.sampled_from("xy"),
        fact=st.one_of(
            st.integers(0, 9).map(lambda n: Counted(n=n)),
            st.sampled_from(["", "é", "long " * 30]).map(lambda text: Said(text=text)),
        ),
        cause=st.none() | st.integers(1, 30),
        talk=st.none() | st.sampled_from([0, 1]),
        in_batch=st.booleans(),
    ),
    min_size=45,
    max_size=75,
)
bounds = st.none() | st.integers(0, 80)
questions = st.lists(
    st.builds(
        Asked,
        region=st.builds(
            Region,
            entity=st.none() | st.sampled_from([*NAMES, "a:", "zz"]),
            scope=st.none() | st.sampled_from("xyz"),
            kinds=st.sampled_from(
                [
                    None,
                    Counted,
                    [Counted, Said],
                    KindFilter.category(0xE),
                    KindFilter.category(0x1),
                    KindFilter.user(),
                ]
            ),
            versions=st.sampled_from([None, (1, 1), (2, 3), (4, 100), (99, 100)]),
        ),
        after=bounds,
        before=bounds,
        limit=st.none() | st.integers(0, 12),
        reverse=st.booleans(),
    ),
    min_size=6,
    max_size=10,
)


def tell(store: Store, telling: list[Told]) -> list[Known]:
    """Append everything, in batches where it says so."""
    known: list[Known] = []
    versions: dict[str, int] = {}
    at = 0
    while at < len(telling):
        stop = at + 1
        while stop < len(telling) and telling[stop].in_batch and stop - at < 6:
            stop += 1
        items, causes = [], []
        for one in telling[at:stop]:
            back = None if one.cause is None or one.cause > at else known[at - one.cause]
            causes.append(back)
            items.append(
                BatchItem(
                    Coordinate(one.entity, one.scope),
                    one.fact,
                    caused_by=None if back is None else back.event_id,
                    correlation_id=None if one.talk is None else TALKS[one.talk],
                )
            )
        receipts = store.append_batch(items)
        for item, cause, one, receipt in zip(
            items, causes, telling[at:stop], receipts, strict=True
        ):
            entity = item.coord.entity
            versions[entity] = versions.get(entity, 0) + 1
            talk = CorrelationId(receipt.event_id)
            if one.talk is not None:
                talk = TALKS[one.talk]
            elif cause is not None:
                talk = cause.talk
            known.append(
                Known(
                    item.coord,
                    one.fact,
                    versions[entity],
                    receipt.event_id,
                    None if cause is None else cause.event_id,
                    talk,
                )
            )
        at = stop
    return known


def cut_footers(path: Path) -> list[str]:
    """Leave of every file but the newest the frames alone; their names."""
    directory = REAL.open_dir(str(path), create=False)
    files = sorted(path.glob("*.fbat"))
    for file, after in pairwise(files):
        prev = header.read(directory, after.name).header.prev
        assert prev is not None
        with file.open("r+b") as opened:
            opened.truncate(prev.frames_end)
    directory.close()
    return [file.name for file in files[:-1]]


def pictures(telling: list[Told]) -> Iterator[tuple[list[Known], StoreReader]]:
    """The same log as it is written, after a crash, after a close, and without footers."""
    with tempfile.TemporaryDirectory() as folder:
        live, crashed, bare = (Path(folder) / name for name in ("live", "crashed", "bare"))
        with Store.open(live, CONFIG) as store:
            known = tell(store, telling)
            yield known, store
            shutil.copytree(live, crashed)
        with Store.open_read_only(crashed) as reader:
            assert not reader.open_report.clean
            yield known, reader
        with Store.open(crashed, CONFIG) as store:
            yield known, store
        shutil.copytree(live, bare)
        with Store.open_read_only(live) as reader:
            assert reader.open_report.clean
            assert reader.open_report.rebuilt == ()
            yield known, reader
        cut = cut_footers(bare)
        assert cut
        with Store.open_read_only(bare) as reader:
            assert list(reader.open_report.rebuilt) == cut
            yield known, reader


def agree(found: list[StoredEvent[EventPayload]], wanted: list[int], known: list[Known]) -> None:
    assert [event.sequence for event in found] == wanted
    for event in found:
        one = known[event.sequence]
        assert (event.coordinate, event.payload) == (one.where, one.fact)
        assert (event.version, event.event_id) == (one.version, one.event_id)
        assert (event.causation_id, event.correlation_id) == (one.cause, one.talk)


def scan(known: list[Known], asked: Asked, also: Callable[[Known], bool]) -> list[int]:
    """What a linear scan answers."""
    found = [
        n
        for n, one in enumerate(known)
        if also(one)
        and (asked.after is None or n > asked.after)
        and (asked.before is None or n < asked.before)
    ]
    return (found[::-1] if asked.reverse else found)[: asked.limit]


def matching(region: Region) -> Callable[[Known], bool]:
    return lambda one: region.matches(one.where, one.fact.KIND, one.version)


def all_pages(store: StoreReader, region: Region, limit: int) -> list[StoredEvent[EventPayload]]:
    found: list[StoredEvent[EventPayload]] = []
    after: int | None = None
    while True:
        page = store.page(region, after=after, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        after = page.next_after
        if after is None:
            return found
        assert len(page.items) == limit


@given(telling=tellings, asked=questions)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_every_question_is_answered_as_by_a_linear_scan(
    telling: list[Told], asked: list[Asked]
) -> None:
    for known, store in pictures(telling):
        for question in asked:
            region, after, before, limit, reverse = question
            how: Any = {"after": after, "before": before, "limit": limit, "reverse": reverse}
            wanted = scan(known, question, matching(region))
            whole = scan(known, Asked(region, None, None, None, reverse=False), matching(region))

            agree(list(store.query(region, **how)), wanted, known)
            assert [one.sequence for one in store.entries(region, **how)] == wanted
            assert [one.sequence for one in store.query(region, form=DICT, **how)] == wanted
            assert store.count(region) == len(whole)
            agree(all_pages(store, region, (limit or 0) + 1), whole, known)
            for scope in ("x", "z"):
                wanted = scan(known, question, lambda one, s=scope: one.where.scope == s)  # type: ignore[misc]  # bound now
                agree(list(store.by_scope(scope, **how)), wanted, known)
            wanted = scan(known, question, lambda one: one.fact.KIND == Said.KIND)
            agree(list(store.by_fact(Said, **how)), wanted, known)
            talks = [*TALKS, known[0].talk, known[-1].talk, CorrelationId(new_id(EventId))]
            for talk in talks:
                wanted = scan(known, question, lambda one, t=talk: one.talk == t)  # type: ignore[misc]  # bound now
                agree(list(store.by_correlation(talk, **how)), wanted, known)


@given(
    telling=tellings, first=st.integers(1, 9), last=st.none() | st.integers(0, 12), data=st.data()
)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_entities_and_single_events_are_as_in_a_linear_scan(
    telling: list[Told], first: int, last: int | None, data: st.DataObject
) -> None:
    limit = data.draw(st.none() | st.integers(0, 5))
    prefix = data.draw(st.none() | st.sampled_from([*NAMES, "a:", "zz"]))
    scope = data.draw(st.none() | st.sampled_from("xyz"))
    stop = 10**9 if last is None else last
    for known, store in pictures(telling):
        for entity in [*NAMES, "nobody"]:
            its = [n for n, one in enumerate(known) if one.where.entity == entity]
            assert store.version(entity) == len(its)
            wanted = [n for n in its if first <= known[n].version <= stop]
            agree(
                list(store.stream(entity, first_version=first, last_version=last, limit=limit)),
                wanted[:limit],
                known,
            )
            agree(
                list(store.stream(entity, first_version=first, last_version=last, reverse=True)),
                wanted[::-1],
                known,
            )
        names = {
            one.where.entity for one in known if matching(Region(entity=prefix, scope=scope))(one)
        }
        assert list(store.entities(prefix, scope=scope)) == sorted(names, key=str.encode)
        for n, one in enumerate(known):
            agree([store.get(n)], [n], known)
            agree([store.get(one.event_id, type(one.fact))], [n], known)
        for entry in store.entries():
            agree([store.get(entry)], [entry.sequence], known)
        for unknown in (len(known), new_id(EventId)):
            with pytest.raises(EventNotFound):
                store.get(unknown)


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Store]:
    """A writer with 60 events in several files."""
    with Store.open(tmp_path / "store", CONFIG) as store:
        for n in range(60):
            store.append(USER, Counted(n=n))
        assert len(list((tmp_path / "store").glob("*.fbat"))) > 2
        yield store


ITERATORS: Final[dict[str, Callable[[StoreReader], Iterator[object]]]] = {
    "query": lambda store: store.query(),
    "reverse": lambda store: store.query(reverse=True),
    "region": lambda store: store.query(Region(entity="user", scope="acme", kinds=Counted)),
    "versions": lambda store: store.query(Region(versions=(1, 100))),
    "entries": lambda store: store.entries(),
    "stream": lambda store: store.stream("user:1"),
    "stream back": lambda store: store.stream("user:1", reverse=True),
    "scope": lambda store: store.by_scope("acme"),
    "fact": lambda store: store.by_fact(Counted),
    "talk": lambda store: store.by_correlation(store.get(0).correlation_id),
    "entities": lambda store: store.entities(),
    "impact": lambda store: store.impact(store.get(0).event_id),
}


@pytest.mark.parametrize("name", ITERATORS)
def test_an_iterator_shows_the_log_as_it_was_at_the_call(grown: Store, name: str) -> None:
    root = grown.get(0)
    grown.append(USER, Counted(n=40), caused_by=root)
    wanted = list(ITERATORS[name](grown))
    assert wanted
    untouched, begun = ITERATORS[name](grown), ITERATORS[name](grown)
    first = next(begun)

    for n in range(60):  # through several rotations, and their sealing
        where = USER if n % 2 else Coordinate(f"new:{n}", "acme")
        grown.append(where, Counted(n=n), caused_by=root)
    grown.sync()

    assert list(untouched) == wanted
    assert [first, *begun] == wanted


@pytest.mark.parametrize("name", ITERATORS)
def test_an_iterator_ends_with_its_handle(grown: Store, name: str) -> None:
    grown.append(USER, Counted(n=40), caused_by=grown.get(0))
    iterator = ITERATORS[name](grown)

    grown.close()

    with pytest.raises(StoreClosed):
        ITERATORS[name](grown)
    if name != "entities":  # names are in memory
        with pytest.raises(StoreClosed):
            list(iterator)


def test_a_close_beside_readers_is_the_only_thing_that_stops_them(tmp_path: Path) -> None:
    path, met = tmp_path / "store", list[BaseException]()
    with Store.open(path, CONFIG) as store:
        for n in range(300):
            where = Coordinate(f"user:{n % 9}", "acme")
            store.append(where, Counted(n=n), caused_by=store.get(n // 2) if n else None)

    def ancestors_of(reader: StoreReader) -> Iterator[object]:
        return iter(reader.walk_ancestors(reader.get(299).event_id).events)

    def read(reader: StoreReader, of: int) -> None:
        try:
            while True:
                for ask in (*ITERATORS.values(), ancestors_of):
                    list(ask(reader))
                assert reader.get(of).sequence == of
                assert reader.version(f"user:{of}") > 30
                assert reader.stats().events == 300
                assert reader.verify().events == 300
        except BaseException as error:  # noqa: BLE001  looked at below
            met.append(error)

    for turn in range(8):
        reader = Store.open_read_only(path, CONFIG)
        threads = [threading.Thread(target=read, args=(reader, of)) for of in range(3)]
        for thread in threads:
            thread.start()
        threads[0].join(turn * 0.003)
        reader.close()
        for thread in threads:
            thread.join()

    assert [type(error) for error in met] == [StoreClosed] * 24, met


def test_pages_beside_a_writer_show_every_event_once_and_in_order(tmp_path: Path) -> None:
    stop = threading.Event()
    with Store.open(tmp_path / "store", CONFIG) as store:
        store.append(USER, Counted(n=0))

        def write() -> None:
            n = 1
            while not stop.is_set() and n < 4000:
                store.append_batch([BatchItem(USER, Counted(n=n + i)) for i in range(3)])
                n += 3

        writer = threading.Thread(target=write)
        writer.start()
        try:
            found: list[StoredEvent[EventPayload]] = []
            after: int | None = None
            for _ in range(60):
                page = store.page(after=after, limit=7)
                found += page.items
                assert all(event.sequence < page.visible for event in page.items)
                again = [store.query(before=page.visible) for _ in range(2)]
                assert list(again[0]) == list(again[1])
                if found:
                    after = found[-1].sequence
                numbers = [event.version for event in store.stream("user:1", reverse=True)]
                assert numbers == list(range(len(numbers), 0, -1))
                if page.visible > 1:
                    assert (page.visible - 1) % 3 == 0, "a part of a batch was visible"
        finally:
            stop.set()
            writer.join()

        while True:
            page = store.page(after=after, limit=100)
            found += page.items
            after = page.next_after
            if after is None:
                break
        assert found == list(store.query())
        assert [event.payload for event in found] == [Counted(n=n) for n in range(len(found))]


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 events, all but the first and last 2,000 of which are destroyed."""
    path, count, kept = tmp_path_factory.mktemp("mined") / "store", 20_000, 2_000
    with Store.open(path, FAST) as store:
        for at in range(0, count, 200):
            store.append_batch(
                [
                    BatchItem(Coordinate(f"user:{n % 2}", "acme"), Counted(n=n))
                    for n in range(at, at + 200)
                ]
            )
        places = [store.get(n).record for n in (kept, count - kept)]
    file = path / "000001.fbat"
    data = bytearray(file.read_bytes())
    begin, end = (data.index(record) for record in places)
    data[begin:end] = b"\xff" * (end - begin)
    file.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "region",
    [
        Region(),
        Region(entity="user:1"),
        Region(scope="acme"),
        Region(kinds=Counted),
        Region(versions=(1, 20_000)),
        Region(entity="user", kinds=Counted, versions=(1, 20_000)),
    ],
    ids=repr,
)
def test_a_question_for_ten_of_twenty_thousand_reads_few_of_them(
    mined: Path, region: Region
) -> None:
    with Store.open_read_only(mined) as store:
        assert len(list(store.query(region, limit=10))) == 10
        assert len(list(store.query(region, limit=10, reverse=True))) == 10
        assert len(list(store.entries(region, limit=10))) == 10
        assert len(store.page(region, limit=10).items) == 10
        assert len(list(store.stream("user:1", limit=10))) == 10
        assert len(list(store.stream("user:1", first_version=9_500, limit=10))) == 10
        with pytest.raises(CorruptStore):
            list(store.query(region))


def test_an_entry_knows_everything_but_the_payload(grown: Store) -> None:
    cause = grown.append(USER, Said(text="why"))
    receipt = grown.append(Coordinate("b", "y"), Said(text="so"), caused_by=cause, flags=9)

    (entry,) = grown.entries(after=cause.sequence)

    event = grown.get(receipt.sequence)
    assert isinstance(entry, IndexEntry)
    assert entry.head == event.head == receipt.head
    assert (entry.coordinate, entry.kind) == (Coordinate("b", "y"), Said.KIND)
    assert entry.size_bytes == len(grown.get(entry, form=RAW).payload)
    assert (entry.is_root, entry.is_correlated) == (False, True)
    assert entry.is_caused_by(cause.event_id)
    assert not entry.is_caused_by(receipt.event_id)
    first = next(grown.entries())
    assert (first.is_root, first.is_correlated, first.causation_id) == (True, False, None)


def test_an_entry_is_had_where_the_payload_cannot_be_decoded(grown: Store) -> None:
    kind = EventKind.custom(0xE, 0x7FF)
    receipt = grown.append_raw(USER, kind, b"\x01")

    (entry,) = grown.entries(Region(kinds=kind))

    assert (entry.sequence, entry.kind, entry.size_bytes) == (receipt.sequence, kind, 1)


BAD: Final[list[Callable[[Store], object]]] = [
    lambda store: store.query(limit=-1),
    lambda store: store.query(after=-1),
    lambda store: store.query(before=-1),
    lambda store: store.entries(limit=-1),
    lambda store: store.stream("a", first_version=0),
    lambda store: store.stream("a", last_version=-1),
    lambda store: store.page(limit=0),
    lambda store: store.page(after=-1),
    lambda store: store.by_scope("x", limit=-1),
    lambda store: store.get(-1),
    lambda store: store.why(store.get(0).event_id, limit=-1),
    lambda store: store.impact(store.get(0).event_id, limit=-1),
    lambda store: store.impact(store.get(0).event_id, max_depth=-1),
    lambda store: store.walk_ancestors(store.get(0).event_id, limit=-1),
    lambda store: store.entities(""),
]


@pytest.mark.parametrize("ask", BAD)
def test_a_number_out_of_bounds_is_refused_at_the_call(
    grown: Store, ask: Callable[[Store], object]
) -> None:
    with pytest.raises(InvalidArgument):
        ask(grown)


def test_get_says_when_an_event_is_of_another_kind(grown: Store) -> None:
    with pytest.raises(KindMismatch) as caught:
        grown.get(3, Said)

    assert caught.value.got == Counted.KIND
    assert grown.get(3, Counted).payload.n == 3
