"""A compaction changes what it was told to and nothing else, whatever the log and whatever it is.

Would slip through without it: a survivor whose bytes changed, a key or a version that goes with an
event, a query that still finds what was dropped, an answer that differs after a reopen.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak import wire
from batpak.append import BatchItem
from batpak.config import Durability, Limits
from batpak.coordinate import Coordinate
from batpak.errors import EventNotFound
from batpak.event import StoredEvent
from batpak.region import KindFilter, Region
from batpak.store import Store
from batpak.system import Compacted, Tombstoned
from batpak.testing.model import Asked, Model, ModelEvent, unstamped
from batpak.testing.platform import SimPlatform
from batpak.wire import Form
from tests.facts import SMALL, Counted, Said

W = TypeVar("W")

TINY: Final = replace(SMALL, durability=Durability.OS, limits=Limits(segment_max_bytes=4 << 10))
REGIONS: Final = [
    Region.all(),
    Region(kinds=Said),
    Region(kinds=Tombstoned),
    Region(entity="user"),
    Region(entity="user:1", kinds=Counted),
    Region(scope="even"),
    Region(scope="odd", kinds=KindFilter.user()),
    Region(versions=(3, 9)),
]


def fill(store: Store, model: Model, rng: random.Random, count: int) -> None:
    """So many events, some of them keyed, caused, or in batches."""
    for _ in range(count):
        items = tuple(
            BatchItem(
                Coordinate(f"user:{rng.randrange(4)}", rng.choice(["even", "odd"])),
                rng.choice([Counted(n=1), Said(text="x" * rng.choice([0, 30, 300, 900]))]),
                idempotency_key=f"{len(model.events)} {n}",
                caused_by=rng.choice(model.events).event_id if model.events else None,
            )
            for n in range(rng.choice([1, 1, 1, 3]))
        )
        model.append(Asked(items), store.append_batch(items))


def hold(store: Store, model: Model) -> None:
    """Every read says what the model says."""
    for region in REGIONS:
        found = list(store.query(region, form=Form.RAW))
        assert [told(one) for one in found] == [known(one) for one in model.query(region)]
        back = list(store.entries(region, reverse=True))
        assert [one.sequence for one in back] == [one.sequence for one in found[::-1]]
        assert store.count(region) == len(found)
    assert list(store.entities()) == model.entities()
    assert list(store.entities(scope="odd")) == model.entities(Region(scope="odd"))
    for entity in ("user:0", "user:1", "user:2", "user:3"):
        found = list(store.stream(entity, form=Form.RAW))
        assert [told(one) for one in found] == [known(one) for one in model.stream(entity)]
        assert store.version(entity) == model.version(entity)
    for one in model.events:
        due = read(lambda which: known(model.get(which)), one.sequence)
        assert read(lambda which: told(store.get(which, form=Form.RAW)), one.sequence) == due
        assert read(lambda which: told(store.get(which, form=Form.RAW)), one.event_id) == due
    gone = list(model.removed.values())
    stats = store.stats()
    assert (stats.dropped, stats.erased) == (gone.count(None), len(gone) - gone.count(None))
    assert stats.events == len(model.query())
    assert sum(stats.kinds.values()) == stats.events
    report = store.verify()
    assert (report.findings, report.derived) == ((), ())
    assert (report.events, report.head) == (len(model.events), model.head)
    assert (report.dropped, report.erased) == (stats.dropped, stats.erased)


def told(one: StoredEvent[bytes]) -> tuple[object, ...]:
    return one.sequence, one.kind, one.payload_version, one.payload, unstamped(one.record)


def known(one: ModelEvent) -> tuple[object, ...]:
    return one.sequence, one.kind, one.payload_version, one.data, one.record


def read(get: Callable[[W], tuple[object, ...]], which: W) -> tuple[object, ...]:
    try:
        return get(which)
    except EventNotFound as error:
        return ("dropped", error.dropped)


def compact(store: Store, model: Model, rng: random.Random) -> None:
    """Merge, drop or erase some of what is complete."""
    share, seen = rng.choice([0.0, 0.1, 0.5, 1.0]), list[int]()
    chosen: set[int] = set()

    def choose(event: StoredEvent[bytes]) -> bool:
        seen.append(event.sequence)
        if rng.random() < share:
            chosen.add(event.sequence)
        return event.sequence in chosen

    least = rng.choice([1, 2, 3])
    match rng.choice(["merge", "retain", "tombstone"]):
        case "merge":
            report = store.compact(min_segments=least)
        case "retain":
            report = store.compact(retain=lambda event: not choose(event), min_segments=least)
        case _:
            report = store.compact(tombstone=choose, min_segments=least)
            for sequence in chosen - announcements(model):
                model.erase(sequence)
            chosen.clear()
    for sequence in chosen - announcements(model):
        model.drop(sequence)
    assert seen == sorted(set(seen))
    if report.dropped or report.erased:
        (record,) = list(store.query(Region(kinds=Compacted), reverse=True, limit=1))
        item = BatchItem(record.coordinate, record.payload)
        model.append(Asked((item,)), [record])


def announcements(model: Model) -> set[int]:
    return {one.sequence for one in model.events if one.kind == Compacted.KIND}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32))
def test_after_any_compaction_every_read_is_what_the_model_says(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  to be repeated
    sim = SimPlatform(seed=seed)
    store = Store.open("store", TINY, platform=sim)
    model = Model(store.store_id)
    notes = [store.checkpoint()]
    for _ in range(3):
        fill(store, model, rng, rng.randrange(30))
        notes.append(store.checkpoint())
        compact(store, model, rng)
        hold(store, model)
        if rng.random() < 0.5:
            store.close()
            store = Store.open("store", TINY, platform=sim)
            hold(store, model)
    for one in model.events:
        if one.key is not None and one.batch_count == 1:
            item = BatchItem(one.coordinate, payload_of(one), idempotency_key=one.key)
            (again,) = store.append_batch([item])
            assert (again.sequence, again.kind, again.replayed) == (one.sequence, one.kind, True)
            assert again.event_hash == one.event_hash
    assert all(store.verify(since=note).ok for note in notes)
    store.close()


def payload_of(one: ModelEvent) -> Counted | Said:
    cls = Counted if one.kind == Counted.KIND else Said
    payload = wire.decode(one.kind, 1, one.data)
    assert isinstance(payload, cls)
    return payload
