"""Import: every event of a source once, as it was, however often and however far an import came.

Would slip through without it: an event that is there twice or not at all after an import was cut, a
batch that came over in halves, a cause that points into another store.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from batpak import codec
from batpak.append import BatchItem, PriorItem, RawPayload
from batpak.config import Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import (
    CorruptStore,
    DecodeFailed,
    IdempotencyConflict,
    InvalidArgument,
    InvalidCoordinate,
    InvalidKind,
    PayloadInvalid,
    StoreClosed,
    StoreReadOnly,
    TooLarge,
)
from batpak.event import StoredEvent
from batpak.faults import KeyFault
from batpak.ids import operation_key
from batpak.index.row import Change
from batpak.index.tail import Tail
from batpak.kind import EventKind
from batpak.region import Region
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from batpak.upkeep import imported
from batpak.upkeep.imported import IMPORT, ImportedEvent, Origin, RustPosition
from batpak.upkeep.rust.source import RustSource
from batpak.wire import RAW
from tests.facts import PLAIN, SMALL, USER, Counted, Said
from tests.unit.rust import original

FIXTURE: Final = Path(__file__).parents[2] / "fixtures" / "rust-0.7"
OTHER: Final = Coordinate("user:2", "acme")
FREE: Final = EventKind.custom(0xF, 0x001)


def in_memory(config: StoreConfig = PLAIN, seed: int = 0) -> Store:
    return Store.open("store", config, platform=SimPlatform(seed=seed))


@pytest.fixture
def target() -> Iterator[Store]:
    with in_memory() as opened:
        yield opened


@pytest.fixture
def source() -> Iterator[Store]:
    """Eight events: single ones, a cause, a batch with a cause inside, flags and extensions."""
    with in_memory(StoreConfig(), seed=1) as opened:
        first = opened.append(USER, Counted(n=0), flags=9, extensions={"app.trace": b"t"})
        opened.append(OTHER, Said(text="x"), caused_by=first, idempotency_key="mine")
        items = [BatchItem(USER, Counted(n=n)) for n in (1, 2)]
        opened.append_batch([*items, BatchItem(OTHER, Counted(n=3), caused_by=PriorItem(0))])
        opened.append(USER, Counted(n=4), correlation_id=UUID(int=7))
        yield opened


def facts(store: Store, region: Region | None = None) -> list[tuple[object, ...]]:
    """What has to stay of every event."""
    found = store.query(region or Region(kinds=[Counted.KIND, Said.KIND]), form=RAW)
    return [
        (
            one.coordinate,
            one.kind,
            one.payload,
            one.payload_version,
            one.flags,
            one.version,
            one.correlation_id,
            one.content_hash,
        )
        for one in found
    ]


def origins(store: Store) -> list[Origin]:
    found = [Origin.of(one) for one in store.query(form=RAW)]
    assert None not in found
    return [one for one in found if one is not None]


def made(n: int, **changed: Any) -> ImportedEvent:  # noqa: ANN401  of any field
    event = ImportedEvent(
        event_id=UUID(int=n + 1),
        sequence=n,
        entity="user:1",
        scope="acme",
        kind=FREE,
        payload=codec.encode({"n": n}),
    )
    return replace(event, **changed)


# ---------------------------------------------------------------------------------- what comes over


def test_what_an_event_says_stays_and_where_it_is_from_stands_beside_it(
    source: Store, target: Store
) -> None:
    report = target.import_events(source, namespace="eu")

    assert facts(target) == facts(source)
    assert (report.imported, report.skipped_reserved, report.already_present) == (6, 1, 0)
    of = [one for one in source.query(form=RAW) if not one.kind.reserved]
    for stored, first, origin in zip(target.query(form=RAW), of, origins(target), strict=True):
        assert origin.namespace == "eu"
        assert origin.store_id == source.store_id
        assert (origin.event_id, origin.sequence) == (first.event_id, first.sequence)
        assert origin.time_us == first.hlc.wall_ms * 1000
        assert origin.causation_id == first.causation_id
        assert stored.event_id != first.event_id
        assert {n: v for n, v in stored.extensions.items() if not n.startswith("batpak.")} == dict(
            first.extensions
        )
    assert target.verify().ok


def test_a_cause_is_the_event_that_it_became(source: Store, target: Store) -> None:
    target.import_events(source, namespace="eu", chunk=1)

    events = list(target.query(form=RAW))
    pairs = list(zip(events, origins(target), strict=True))
    ids = {origin.event_id: one.event_id for one, origin in pairs}
    for one, origin in pairs:
        due = None if origin.causation_id is None else ids[origin.causation_id]
        assert one.causation_id == due
    assert sum(one.causation_id is not None for one in events) == 2


def test_a_cause_that_was_not_imported_is_told_and_kept(source: Store, target: Store) -> None:
    report = target.import_events(source, namespace="eu", region=Region(entity="user:2"))

    assert (report.imported, report.unmapped_parents) == (2, 2)
    assert all(one.causation_id is None for one in target.query(form=RAW))
    assert all(one.causation_id is not None for one in origins(target))


def test_importing_again_writes_nothing_and_another_namespace_everything(
    source: Store, target: Store
) -> None:
    target.import_events(source, namespace="eu")
    bound = target.frontier().visible

    for chunk in (1, 2, 256):
        report = target.import_events(source, namespace="eu", chunk=chunk)
        assert (report.imported, report.already_present) == (0, 6)
    assert target.frontier().visible == bound

    assert target.import_events(source, namespace="us").imported == 6


def test_an_import_goes_on_where_another_one_ended(source: Store, target: Store) -> None:
    first = target.import_events(source, namespace="eu", region=Region(kinds=Said))
    assert first.imported == 1
    rest = target.import_events(source, namespace="eu")
    assert (rest.imported, rest.already_present) == (5, 1)

    source.append(USER, Counted(n=5))
    more = target.import_events(source, namespace="eu", after=rest.high_water)
    assert (more.imported, more.already_present) == (1, 0)
    assert target.import_events(source, namespace="eu", after=more.high_water).high_water is None


def test_a_batch_comes_over_whole_whatever_the_chunk(source: Store, target: Store) -> None:
    target.import_events(source, namespace="eu", chunk=1)

    heads = [one.head for one in target.query(form=RAW)]
    assert [int.from_bytes(head[14:18], "big") for head in heads] == [1, 1, 3, 3, 3, 1]


def test_chunks_stay_within_the_limits_of_a_batch(source: Store) -> None:
    limits = Limits(batch_max_items=4, payload_max_bytes=1 << 10, batch_max_bytes=1 << 11)
    with in_memory(StoreConfig(lifecycle_events=False, limits=limits)) as target:
        target.import_events(source, namespace="eu")
        large = [made(n, payload=codec.encode("x" * 900)) for n in range(5)]
        target.import_events(large, namespace="m")
        heads = [one.head for one in target.query(form=RAW)]

    counts = [int.from_bytes(head[14:18], "big") for head in heads]
    assert max(counts[:6]) <= 4
    assert counts[6:] == [1, 1, 1, 1, 1]


def test_a_group_that_is_more_than_a_batch_here_is_still_one_step(source: Store) -> None:
    with source.visibility_fence() as fence:
        first = fence.append(USER, Counted(n=5))
        fence.append(OTHER, Counted(n=6), caused_by=first)
        fence.append_batch([BatchItem(USER, Counted(n=n)) for n in range(7, 12)])
    limits = Limits(batch_max_items=2, payload_max_bytes=50, batch_max_bytes=50)
    with in_memory(StoreConfig(lifecycle_events=False, limits=limits)) as target:
        seen: list[int] = []
        publish = Tail.publish

        def counted(tail: Tail, change: Change) -> None:
            seen.append(len(change.rows))
            publish(tail, change)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Tail, "publish", counted)
            report = target.import_events(source, namespace="eu")
        assert facts(target) == facts(source)
        again = target.import_events(source, namespace="eu")

    assert report.imported == 13
    assert seen[-1] == 7
    assert seen.count(3) == 1  # the batch
    assert (again.imported, again.already_present) == (0, 13)


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(batch_max_items=2, fence_max_items=2), "3, at most 2 is allowed"),
        (
            Limits(payload_max_bytes=50, batch_max_bytes=50, fence_max_bytes=200),
            "at most 200 is allowed",
        ),
    ],
)
def test_a_group_of_the_source_that_no_fence_takes_is_refused(
    limits: Limits, what: str, source: Store
) -> None:
    with in_memory(StoreConfig(lifecycle_events=False, limits=limits)) as target:
        with pytest.raises(TooLarge, match="from event 3 of the source on") as raised:
            target.import_events(source, namespace="eu")
        assert what in str(raised.value)
        assert target.frontier().visible == 2


def test_the_same_log_or_a_copy_of_it_is_refused(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        store.append(USER, Counted(n=0))
        with pytest.raises(InvalidArgument):
            store.import_events(store, namespace="me")
        mine = [made(0, store_id=store.store_id)]
        with pytest.raises(InvalidArgument):
            store.import_events(mine, namespace="me")


def by_version(store: Store) -> list[tuple[object, ...]]:
    return [one[:6] for one in facts(store)]


def test_a_fork_and_its_origin_take_from_each_other_what_they_do_not_have(tmp_path: Path) -> None:
    with Store.open(tmp_path / "o") as origin:
        for n in range(3):
            origin.append(USER, Counted(n=n))
        origin.fork(tmp_path / "f")
        with Store.open(tmp_path / "f") as fork:
            ours = origin.append(OTHER, Counted(n=10))
            cause = next(iter(fork.query(Region(kinds=Counted), form=RAW)))
            fork.append(USER, Counted(n=20), caused_by=cause)
            fork.fork(tmp_path / "g")

            back = origin.import_events(fork, namespace="fork")
            forth = fork.import_events(origin, namespace="origin", region=Region(entity="user:2"))
            other = list(imported.of_store(origin.query(form=RAW), origin.store_id))
            lines = fork.import_events(other, namespace="lines", after=0)
        with Store.open(tmp_path / "g") as other_fork:
            from_fork = other_fork.import_events(origin, namespace="o")

        assert (back.imported, back.already_present, back.unmapped_parents) == (1, 3, 0)
        assert (forth.imported, forth.already_present) == (1, 0)
        assert (lines.imported, lines.already_present) == (2, 3)
        assert (from_fork.imported, from_fork.already_present) == (2, 3)
        *_, last = origin.query(form=RAW)
        assert last.causation_id == cause.event_id
        assert by_version(origin) == [
            (USER, Counted.KIND, codec.encode(Counted(n=n)), 1, 0, version)
            for n, version in ((0, 1), (1, 2), (2, 3))
        ] + [
            (OTHER, Counted.KIND, codec.encode(Counted(n=10)), 1, 0, 1),
            (USER, Counted.KIND, codec.encode(Counted(n=20)), 1, 0, 4),
        ]
        assert origin.get(ours.event_id, form=RAW).payload == codec.encode(Counted(n=10))
        assert origin.verify().ok


def test_a_reader_is_told_that_it_does_not_write(tmp_path: Path) -> None:
    Store.open(tmp_path / "s", PLAIN).close()
    with Store.open_read_only(tmp_path / "s") as reader, pytest.raises(StoreReadOnly):
        reader.import_events([], namespace="me")  # type: ignore[attr-defined]  # that is the point


def test_a_source_that_is_closed_meanwhile_says_so(source: Store, target: Store) -> None:
    def cut(event: ImportedEvent) -> BatchItem:
        source.close()
        return event.item()

    with pytest.raises(StoreClosed):
        target.import_events(source, namespace="eu", transform=cut, chunk=1)


# -------------------------------------------------------------------------------------- transform


def test_a_transform_renames_changes_and_leaves_out(source: Store, target: Store) -> None:
    def change(event: ImportedEvent) -> BatchItem | None:
        if event.kind == Said.KIND:
            return None
        moved = Coordinate(f"eu:{event.entity}", event.scope)
        if event.sequence == 0:
            return BatchItem(moved, Counted(n=40))
        return replace(event.item(), coord=moved)

    report = target.import_events(source, namespace="eu", transform=change)

    assert (report.imported, report.filtered, report.unmapped_parents) == (5, 1, 0)
    assert set(target.entities()) == {"eu:user:1", "eu:user:2"}
    assert target.import_events(source, namespace="eu", transform=change).already_present == 5


@pytest.mark.parametrize("changed", [{"idempotency_key": "k"}, {"expected_version": 0}])
def test_what_belongs_to_the_import_is_not_the_transforms(
    changed: dict[str, Any], source: Store, target: Store
) -> None:
    with pytest.raises(InvalidArgument, match="import's own"):
        target.import_events(
            source, namespace="eu", transform=lambda event: replace(event.item(), **changed)
        )


def test_an_event_that_became_something_else_is_a_conflict(source: Store, target: Store) -> None:
    target.import_events(source, namespace="eu")

    with pytest.raises(IdempotencyConflict) as raised:
        target.import_events(
            source,
            namespace="eu",
            transform=lambda event: replace(event.item(), coord=Coordinate("z", "z")),
        )
    assert raised.value.reason is KeyFault.DIFFERS


# ------------------------------------------------------------------------------- events by hand


def test_events_may_come_from_anywhere(target: Store) -> None:
    events = [made(n, causation_id=UUID(int=1) if n else None) for n in range(5)]

    report = target.import_events(iter(events), namespace="csv", after=1)

    assert (report.imported, report.unmapped_parents, report.high_water) == (3, 3, 4)
    assert target.import_events(events, namespace="csv").imported == 2
    assert [one.sequence for one in origins(target)] == [2, 3, 4, 0, 1]


def test_an_event_that_comes_twice_is_stored_once(target: Store) -> None:
    report = target.import_events([made(0), made(1), made(0)], namespace="csv")
    assert (report.imported, report.already_present) == (2, 1)

    with pytest.raises(IdempotencyConflict):
        target.import_events([made(5), made(5, payload=b"\x01")], namespace="csv")


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (made(3, payload=b"\xc1"), PayloadInvalid),
        (made(3, payload=b"\x81\xa1n\x01\x00"), PayloadInvalid),
        (made(3, payload=b"\x82\xa1n\x01\xa1n\x02"), PayloadInvalid),
        (made(3, payload=b"\x81\x91\x01\x02"), PayloadInvalid),
        (made(3, payload=b"\x91" * 80 + b"\x01"), PayloadInvalid),
        (made(3, kind=Counted.KIND, payload=b"\xa1x"), PayloadInvalid),
        (made(3, kind=Counted.KIND, payload=b"\x81\xa1n\x01", payload_version=2), PayloadInvalid),
        (made(3, payload_version=0), InvalidArgument),
        (made(3, flags=256), InvalidArgument),
        (made(3, entity="a|b"), InvalidCoordinate),
        (made(3, entity="batpak:x"), InvalidCoordinate),
        (made(3, payload=codec.encode("x" * (1 << 20))), TooLarge),
        (made(3, extensions={"bad": b""}), InvalidArgument),
    ],
)
def test_what_cannot_be_stored_here_is_refused_with_its_chunk(
    event: ImportedEvent, error: type[Exception], target: Store
) -> None:
    with pytest.raises(error) as raised:
        target.import_events([made(0), made(1), event, made(4)], namespace="csv", chunk=2)

    assert target.frontier().visible == 2
    told = f"{raised.value} {getattr(raised.value, '__notes__', '')}"
    assert "event 3 of the source" in told


@pytest.mark.parametrize("payload", [b"\x81\xa1f\xca\x3f\x80\x00\x00", b"\xcd\x00\x01"])
def test_a_spelling_of_another_writer_is_kept(payload: bytes, target: Store) -> None:
    target.import_events([made(0, payload=payload)], namespace="csv")

    assert target.get(0, form=RAW).payload == payload


def test_an_origin_that_no_import_has_written_is_told() -> None:
    record = codec.encode((b"\x01" * 166, "e", "s", (None, ((IMPORT, b"\x01"),)), b"\xc0"))

    with pytest.raises(DecodeFailed, match=IMPORT):
        Origin.of(StoredEvent(b"\xc0", record))


@pytest.mark.parametrize("bad", ["", "x" * 256, 7, "\ud800"])
def test_a_namespace_is_a_short_text(bad: Any, target: Store) -> None:  # noqa: ANN401  of any type
    with pytest.raises(InvalidArgument):
        target.import_events([], namespace=bad)


@pytest.mark.parametrize(
    "wrong",
    [{"chunk": 0}, {"after": -1}, {"region": "all"}, {"transform": repr}, {"transform": 4}],
)
def test_arguments_are_checked(wrong: dict[str, Any], target: Store) -> None:
    with pytest.raises(InvalidArgument):
        target.import_events([made(0)], namespace="csv", **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_id": 7},
        {"kind": 1},
        {"extensions": None},
        {"entity": 1},
        {"entity": "\ud800"},
        {"sequence": 1 << 70},
        {"sequence": -1},
        {"time_us": 1 << 70},
        {"version": "1"},
        {"repeat": -1},
        {"batch": 1 << 64},
        {"position": 7},
        {"position": RustPosition(1 << 70, 0, 0)},
        {"extensions": {"app.x": 7}},
        {"extensions": {7: b""}},
        {"payload": "text"},
        {"payload_version": "1"},
        {"flags": "1"},
        {"correlation_id": 7},
    ],
)
def test_fields_of_events_by_hand_are_looked_at(wrong: dict[str, Any], target: Store) -> None:
    with pytest.raises((InvalidArgument, InvalidCoordinate)) as raised:
        target.import_events([made(0), made(1, **wrong)], namespace="csv", chunk=1)

    told = f"{raised.value} {getattr(raised.value, '__notes__', '')}"
    assert f"event {wrong.get('sequence', 1)} of the source" in told
    assert target.frontier().visible == 1


def test_what_a_transform_raises_names_the_event(target: Store) -> None:
    def stop(event: ImportedEvent) -> BatchItem:
        return next(iter([event.item()][event.sequence :]))

    def fail(event: ImportedEvent) -> BatchItem:
        return {0: event.item()}[event.sequence]

    def rubbish(event: ImportedEvent) -> BatchItem:
        item = event.item()
        return replace(item, extensions={"app.x": [1]}) if event.sequence else item

    for transform, error in ((stop, InvalidArgument), (fail, KeyError), (rubbish, InvalidArgument)):
        with pytest.raises(error) as raised:
            target.import_events([made(0), made(1)], namespace="csv", transform=transform, chunk=1)
        told = f"{raised.value} {getattr(raised.value, '__notes__', '')}"
        assert "event 1 of the source" in told
        assert target.frontier().visible == 1


@pytest.mark.filterwarnings("error")  # that nobody has awaited it
def test_a_transform_that_is_async_is_refused_and_leaves_nothing_behind(target: Store) -> None:
    async def rename(event: ImportedEvent) -> BatchItem:
        return event.item()

    wrong: Any = rename
    with pytest.raises(InvalidArgument, match="not a coroutine"):
        target.import_events([made(0)], namespace="csv", transform=wrong)
    gc.collect()
    assert target.frontier().visible == 0


@pytest.mark.parametrize("bad", [7, [7], None])
def test_a_source_gives_imported_events(bad: Any, target: Store) -> None:  # noqa: ANN401  of any type
    with pytest.raises(InvalidArgument):
        target.import_events(bad, namespace="csv")


# --------------------------------------------------------------------------- of the Rust original


@pytest.mark.parametrize(("name", "imported", "skipped"), [("A", 7, 3), ("GO", 2, 2), ("M", 6, 4)])
def test_a_real_store_of_the_original_comes_over(
    name: str, imported: int, skipped: int, target: Store
) -> None:
    with RustSource.open(FIXTURE / name) as source:
        report = target.import_events(source, namespace=name)
        again = target.import_events(source, namespace=name)
        events = [one for one in source.events() if not one.kind.reserved]

    assert (report.imported, report.skipped_reserved) == (imported, skipped)
    assert report.unmapped_parents == 0
    assert (again.imported, again.already_present) == (0, imported)
    stored = list(target.query(form=RAW))
    for one, event, origin in zip(stored, events, origins(target), strict=True):
        assert one.payload == event.payload
        assert (one.coordinate, one.kind, one.flags) == (event.coordinate, event.kind, event.flags)
        assert one.correlation_id == event.correlation_id
        assert (origin.event_id, origin.sequence) == (event.event_id, event.sequence)
        assert event.position is not None
        assert (origin.clock, origin.lane, origin.depth) == (
            event.position.clock,
            event.position.lane,
            event.position.depth,
        )
    assert [one.version for one in stored] == versions(stored)
    assert report.keyed == sum(one.keyed for one in events)
    assert target.verify().ok


def versions(events: Iterable[StoredEvent[bytes]]) -> list[int]:
    seen: dict[str, int] = {}
    found: list[int] = []
    for one in events:
        seen[one.coordinate.entity] = seen.get(one.coordinate.entity, 0) + 1
        found.append(seen[one.coordinate.entity])
    return found


def test_a_batch_of_the_original_is_one_batch_here(target: Store) -> None:
    with RustSource.open(FIXTURE / "A") as source:
        target.import_events(source, namespace="a", chunk=1)

    counts = [int.from_bytes(one.head[14:18], "big") for one in target.query(form=RAW)]
    assert counts == [1, 1, 1, 3, 3, 3, 1]


def test_names_that_only_the_original_takes_need_a_transform(tmp_path: Path, target: Store) -> None:
    data = original.header() + original.frames(original.event(1, entity="a|b=c"))
    with RustSource.open(original.store(tmp_path / "r", data)) as source:
        with pytest.raises(InvalidCoordinate) as raised:
            target.import_events(source, namespace="r")
        assert "transform" in raised.value.hint

        def rename(event: ImportedEvent) -> BatchItem:
            place = Coordinate("a:b:c", event.scope)
            return BatchItem(place, RawPayload(event.kind, event.payload))

        assert target.import_events(source, namespace="r", transform=rename).imported == 1


def test_an_id_that_the_original_has_twice_is_two_events(tmp_path: Path, target: Store) -> None:
    bodies = [original.event(1), original.event(2), original.event(1, payload=b"\xa1x")]
    data = original.sealed(1, [(1, 0), (2, 1), (1, 2)], *bodies)
    with RustSource.open(original.store(tmp_path / "r", data)) as source:
        assert target.import_events(source, namespace="r", after=1).imported == 1
        report = target.import_events(source, namespace="r")

    assert (report.imported, report.already_present) == (2, 1)


def test_damage_that_only_the_payload_shows_ends_an_import_before_it(
    tmp_path: Path, target: Store
) -> None:
    bad = original.event(3)
    bad["event"]["payload"][-1] ^= 1
    data = original.header() + original.frames(original.event(1), original.event(2), bad)
    with RustSource.open(original.store(tmp_path / "r", data)) as source:
        with pytest.raises(CorruptStore):
            target.import_events(source, namespace="r", chunk=1)
        assert target.frontier().visible == 2


# ----------------------------------------------------------------------------------- when it is cut


def test_an_import_that_is_cut_anywhere_and_repeated_has_each_event_once() -> None:
    sim = SimPlatform(seed=3)
    events = [made(n, batch=n // 3 * 3, causation_id=UUID(int=n) if n else None) for n in range(9)]
    with Store.open("store", SMALL, platform=sim) as store:
        store.import_events(events, namespace="csv", chunk=3)
    cuts = 0

    for after in islice(sim.crashes(), 0, None, 23):
        with Store.open("store", SMALL, platform=after) as store:
            before = [one.sequence for one in origins(store)]
            assert len(before) % 3 == 0, "half of a batch"
            report = store.import_events(events, namespace="csv", chunk=3)
            assert report.imported + report.already_present == 9
            assert [one.sequence for one in origins(store)] == list(range(9)), after.origin
            assert store.verify().ok
        cuts += 1

    assert cuts > 20


def test_two_imports_at_once_store_each_event_once(target: Store) -> None:
    events = [made(n) for n in range(6)]

    def first_the_others(event: ImportedEvent) -> BatchItem:
        if event.sequence == 3:
            target.import_events(events[2:], namespace="csv", chunk=1)
        return event.item()

    report = target.import_events(events, namespace="csv", transform=first_the_others)

    assert (report.imported, report.already_present) == (2, 4)
    assert sorted(one.sequence for one in origins(target)) == list(range(6))


def test_the_key_of_an_import_is_nobody_elses(source: Store, target: Store) -> None:
    target.append(USER, Counted(n=0), idempotency_key="mine")

    assert target.import_events(source, namespace="mine").imported == 6

    keys = [one.idempotency_key for one in target.query(form=RAW, after=0)]
    ids = [one.event_id.bytes for one in source.query(form=RAW) if not one.kind.reserved]
    assert keys == [operation_key("batpak/import/1", "mine", event_id) for event_id in ids]


def test_a_reserved_kind_cannot_come_from_a_transform(target: Store) -> None:
    own = RawPayload(EventKind.from_wire(0xD123), b"\x80")

    with pytest.raises(InvalidKind):
        target.import_events([made(0)], namespace="x", transform=lambda _: BatchItem(USER, own))


def test_what_was_removed_from_the_source_is_counted_and_not_imported() -> None:
    small = StoreConfig(lifecycle_events=False, limits=Limits(segment_max_bytes=4 << 10))
    with in_memory(small, seed=1) as source, in_memory(seed=2) as target:
        for n in range(60):
            source.append(Coordinate("user:1", "acme"), Counted(n=n))
        source.compact(retain=lambda event: event.sequence != 3)
        source.compact(tombstone=lambda event: event.sequence in (5, 6), min_segments=1)

        report = target.import_events(source, namespace="old")

        assert (report.imported, report.skipped_reserved) == (57, 3 + 2)  # and what announced it
        found = [e.payload.n for e in target.query() if isinstance(e.payload, Counted)]
        assert found == [n for n in range(60) if n not in (3, 5, 6)]
        again = target.import_events(source, namespace="old")
        assert (again.imported, again.already_present) == (0, 57)


def test_what_came_of_an_import_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Store.open(tmp_path / "a", PLAIN) as source, Store.open(tmp_path / "b", PLAIN) as store:
        source.append(USER, Counted(n=1))
        caplog.set_level(logging.INFO, "batpak.import")
        report = store.import_events(source, namespace="a")
        (said,) = [record for record in caplog.records if record.name == "batpak.import"]

    assert said.levelno == logging.INFO
    assert "imported 1 events of a" in said.message
    assert (vars(said)["store_id"], vars(said)["sequence"]) == (str(store.store_id), 0)
    assert report.high_water == 0
