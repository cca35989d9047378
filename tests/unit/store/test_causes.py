"""The graph of causes is walked as a breadth-first search of a plain list walks it.

Would slip through without it: a cause that is found in one file and not in the next; an answer that
was cut off and does not say so; two ids of which the index keeps the same half.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batpak.append import BatchItem, PriorItem
from batpak.config import Durability, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import EventNotFound, InvalidArgument, UnknownParent
from batpak.event import StoredEvent
from batpak.ids import CorrelationId, EventId, new_id
from batpak.payload import EventPayload
from batpak.read.causes import CausalEnd
from batpak.reader import StoreReader
from batpak.store import Store
from tests.facts import SMALL, USER, Counted

CONFIG: Final = StoreConfig(lifecycle_events=False, durability=Durability.OS, limits=SMALL.limits)
forests = st.lists(st.none() | st.integers(1, 40), min_size=40, max_size=70)
"""For each event how far back its cause is; too far or None: it has none."""


class Reached(NamedTuple):
    """What a breadth-first search finds."""

    sequence: int
    parent: int
    depth: int


def parents_of(forest: list[int | None]) -> list[int | None]:
    return [None if back is None or back > at else at - back for at, back in enumerate(forest)]


def search(parents: list[int | None], root: int, max_depth: int | None) -> list[Reached]:
    found: list[Reached] = []
    edge, depth = [root], 0
    while edge and (max_depth is None or depth < max_depth):
        depth += 1
        layer = [
            Reached(at, parent, depth)
            for at, parent in enumerate(parents)
            if parent in edge and parent is not None
        ]
        found += layer
        edge = [one.sequence for one in layer]
    return sorted(found)


def path_of(parents: list[int | None], at: int | None) -> list[int]:
    path: list[int] = []
    while at is not None:
        path.append(at)
        at = parents[at]
    return path


def agree(
    store: StoreReader,
    parents: list[int | None],
    ids: list[EventId],
    root: int,
    limit: int,
    max_depth: int | None,
) -> None:
    wanted = search(parents, root, max_depth)

    impacts = store.impact(ids[root], limit=limit, max_depth=max_depth)

    assert [(one.entry.sequence, one.parent, one.depth) for one in impacts] == [
        (one.sequence, ids[one.parent], one.depth) for one in wanted[:limit]
    ]
    assert impacts.truncated == (len(wanted) > limit)
    for one in wanted:
        path = path_of(parents, one.sequence)
        why = store.why(ids[one.sequence])
        assert [entry.sequence for entry in why.entries] == path
        assert why.end is CausalEnd.ROOT
        some = store.why(ids[one.sequence], limit=limit)
        assert [entry.sequence for entry in some.entries] == path[:limit]
        assert some.end is (CausalEnd.LIMIT if limit < len(path) else CausalEnd.ROOT)


@given(
    forest=forests,
    root=st.integers(0, 20),
    limit=st.integers(0, 30),
    max_depth=st.none() | st.integers(0, 4),
)
@settings(
    max_examples=18,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_why_and_impact_walk_a_forest_as_a_breadth_first_search_does(
    forest: list[int | None], root: int, limit: int, max_depth: int | None
) -> None:
    parents = parents_of(forest)
    with tempfile.TemporaryDirectory() as folder:
        path, ids = Path(folder) / "store", list[EventId]()
        with Store.open(path, CONFIG) as store:
            for n, parent in enumerate(parents):
                where = Coordinate(f"user:{n % 3}", "acme")
                cause = None if parent is None else ids[parent]
                ids.append(store.append(where, Counted(n=n), caused_by=cause).event_id)
            assert store.stats().segments > 1
            agree(store, parents, ids, root, limit, max_depth)
        with Store.open_read_only(path) as reader:
            agree(reader, parents, ids, root, limit, max_depth)
            agree(reader, parents, ids, root, 1000, None)


@pytest.fixture
def chain(tmp_path: Path) -> list[StoredEvent[EventPayload]]:
    """Thirty events over several files, each caused by the one before."""
    with Store.open(tmp_path / "store", SMALL) as store:
        receipt = store.append(USER, Counted(n=0))
        for n in range(1, 30):
            receipt = store.append(USER, Counted(n=n), caused_by=receipt)
        return list(store.query())


def test_a_chain_is_one_conversation_with_the_one_that_began_it(
    chain: list[StoredEvent[EventPayload]], tmp_path: Path
) -> None:
    with Store.open_read_only(tmp_path / "store") as store:
        talk = chain[0].correlation_id
        assert talk == chain[0].event_id
        assert list(store.by_correlation(talk)) == chain
        assert list(store.by_correlation(talk, reverse=True)) == chain[::-1]
        assert list(store.by_correlation(talk, after=0)) == chain[1:]
        assert list(store.by_correlation(talk, after=3, before=20, limit=5)) == chain[4:9]
        assert [one.depth for one in store.impact(chain[0].event_id)] == list(range(1, 30))
        assert len(store.why(chain[-1].event_id).entries) == 30


def test_an_entry_names_an_event_as_well_as_its_id(
    chain: list[StoredEvent[EventPayload]], tmp_path: Path
) -> None:
    with Store.open_read_only(tmp_path / "store") as store:
        entry = list(store.entries())[20]

        assert store.why(entry) == store.why(chain[20].event_id)
        assert list(store.impact(entry)) == list(store.impact(chain[20].event_id))


def test_conversations_that_share_half_an_id_are_told_apart(tmp_path: Path) -> None:
    base = new_id(EventId).int
    talks = [CorrelationId(UUID(int=base)), CorrelationId(UUID(int=base ^ 1 << 100))]
    with Store.open(tmp_path / "store", SMALL) as store:
        for n in range(40):
            store.append(USER, Counted(n=n), correlation_id=talks[n % 2])

        for at, talk in enumerate(talks):
            found = [event.sequence for event in store.by_correlation(talk)]
            assert found == list(range(at, 40, 2))
            assert len(list(store.by_correlation(talk, limit=7))) == 7
            newest = [event.sequence for event in store.by_correlation(talk, reverse=True, limit=3)]
            assert newest == [38 + at, 36 + at, 34 + at]


def test_causes_inside_a_batch_are_part_of_the_graph(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", SMALL) as store:
        root = store.append(USER, Counted(n=0))
        batch = store.append_batch(
            [
                BatchItem(USER, Counted(n=1), caused_by=root),
                BatchItem(USER, Counted(n=2), caused_by=PriorItem(0)),
                BatchItem(USER, Counted(n=3), caused_by=PriorItem(1)),
            ]
        )

        impacts = list(store.impact(root.event_id))

        assert [(one.entry.sequence, one.depth) for one in impacts] == [(1, 1), (2, 2), (3, 3)]
        path = store.why(batch[2].event_id).entries
        assert [entry.sequence for entry in path] == [3, 2, 1, 0]
        assert {event.correlation_id for event in store.query()} == {root.correlation_id}


def test_an_anchor_that_is_not_there_is_told(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", SMALL) as store:
        known = store.append(USER, Counted(n=0)).event_id
        for unknown in (new_id(EventId), EventId(UUID(int=known.int ^ 1))):
            for ask in (store.why, store.impact):
                with pytest.raises(EventNotFound):
                    ask(unknown)
        for ask in (store.why, store.impact):
            with pytest.raises(InvalidArgument):
                ask("an id")  # type: ignore[arg-type]  # what a checker refuses


def test_no_way_of_appending_takes_an_unknown_cause(tmp_path: Path) -> None:
    unknown = new_id(EventId)
    with Store.open(tmp_path / "store", SMALL) as store:
        store.append(USER, Counted(n=0))
        for append in (
            lambda: store.append(USER, Counted(n=1), caused_by=unknown),
            lambda: store.append_raw(USER, Counted.KIND, b"\x81\xa1n\x01", caused_by=unknown),
            lambda: store.append_batch([BatchItem(USER, Counted(n=1), caused_by=unknown)]),
            lambda: store.append_batch([BatchItem(USER, Counted(n=1))], caused_by=unknown),
            lambda: store.submit(USER, Counted(n=1), caused_by=unknown).result(),
        ):
            with pytest.raises(UnknownParent):
                append()

        assert store.count() == 1
        assert store.verify().ok
