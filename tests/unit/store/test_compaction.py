"""Compaction: what it does to files and events, and what it may never do.

Would slip through without it: an append that is lost while files are exchanged, a reader that is
led into a file which is not there any more, an event that is half gone, a cached state that still
has what was removed, a payload that vanished without a trace.
"""

from __future__ import annotations

import errno
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from batpak.cache.memory import MemoryCache
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import LIFECYCLE, Coordinate
from batpak.digest import content_hash
from batpak.errors import (
    CorruptStore,
    EventNotFound,
    IllegalHistory,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    StoreReadOnly,
)
from batpak.event import StoredEvent
from batpak.journal import frame, header
from batpak.payload import EventPayload
from batpak.read.ancestry import AncestryEnd
from batpak.read.causes import CausalEnd
from batpak.read.gap import Gap
from batpak.read.worker import Step
from batpak.record import DROPPED, ENTITY_AT, stub_of
from batpak.region import Region
from batpak.report import CompactionOutcome
from batpak.signing.verdict import Unsigned
from batpak.store import Store
from batpak.system import Compacted, Tombstoned
from batpak.testing.faults import Kind
from batpak.testing.platform import SimPlatform
from batpak.wire import Form
from tests.facts import FAST, SMALL, USER, Counted, Said
from tests.unit.parcels import ParcelMachine
from tests.unit.store.test_projections import Sum, Total
from tests.unit.test_machine_store import ID, pack

TINY = replace(SMALL, durability=Durability.OS)
OTHER = Coordinate("user:2", "acme")


def fill(store: Store, count: int, size: int = 600, first: int = 0) -> None:
    for n in range(first, first + count):
        store.append(USER if n % 3 else OTHER, Said(text=f"{n} " + "x" * size))


def texts(store: Store) -> list[str]:
    return [event.payload.text.split()[0] for event in store.by_fact(Said)]


def files(sim: SimPlatform) -> list[str]:
    names = [name.removeprefix("store/") for name in sim.files()]
    return sorted(name for name in names if name.endswith((".fbat", ".tmp")))


@pytest.fixture
def sim() -> SimPlatform:
    return SimPlatform()


@pytest.fixture
def store(sim: SimPlatform) -> Iterator[Store]:
    with Store.open("store", TINY, platform=sim) as opened:
        yield opened


# ------------------------------------------------------------------------------------------ merge


def test_files_become_one_and_every_record_stays(store: Store, sim: SimPlatform) -> None:
    fill(store, 30)
    before = list(store.query(form=Form.RAW))
    assert files(sim) == [f"00000{n}.fbat" for n in range(1, 7)]

    report = store.compact()

    assert (report.segments_before, report.segments_after) == (5, 1)
    assert report.bytes_before > report.bytes_after > 0
    assert report.outcome is CompactionOutcome.PERFORMED
    assert files(sim) == ["000001.fbat", "000006.fbat"]
    assert list(store.query(form=Form.RAW)) == before
    assert store.retention_epoch == 0


def test_a_merge_can_be_merged_again_and_survives_a_reopen(sim: SimPlatform) -> None:
    with Store.open("store", TINY, platform=sim) as store:
        for first in (0, 20, 40):
            fill(store, 20, first=first)
            store.compact()
        assert store.compact().outcome is CompactionOutcome.SKIPPED
        before = list(store.query(form=Form.RAW))
    head, _ = header.decode(sim.files()["store/000001.fbat"], "a file")
    assert head.replaces is not None
    assert [link.segment_id for link in head.replaces] == list(range(1, len(head.replaces) + 1))

    with Store.open("store", TINY, platform=sim) as store:
        assert store.open_report.rebuilt == ()
        assert list(store.query(form=Form.RAW)) == before
        fill(store, 20, first=60)
        assert store.verify().ok


@pytest.mark.parametrize("least", [6, 7, 1000])
def test_with_too_few_files_nothing_is_touched(store: Store, sim: SimPlatform, least: int) -> None:
    fill(store, 30)
    sim.run_background()
    before = sim.files()

    report = store.compact(min_segments=least)

    assert report.outcome is CompactionOutcome.SKIPPED
    assert report.segments_before == report.segments_after == 5
    assert sim.files() == before


def test_a_store_without_a_complete_file_is_left_alone(store: Store) -> None:
    fill(store, 2)

    assert store.compact(min_segments=1).outcome is CompactionOutcome.SKIPPED


def test_progress_is_told_up_to_the_end(store: Store) -> None:
    fill(store, 30)
    told: list[tuple[int, int]] = []

    store.compact(progress=lambda done, total: told.append((done, total)))

    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] > 20_000
    assert told == sorted(told)


# ------------------------------------------------------------------------------- what is refused


def test_what_cannot_be_meant_is_refused(store: Store, sim: SimPlatform) -> None:
    compact = cast("Any", store).compact
    for wrong in (
        {"retain": bool, "tombstone": bool},
        {"min_segments": 0},
        {"min_segments": -1},
        {"retain": 7},
        {"form": "raw"},
        {"progress": 1},
    ):
        with pytest.raises(InvalidArgument):
            compact(**wrong)
    store.close()
    with pytest.raises(StoreClosed):
        compact()
    with Store.open_read_only("store", platform=sim) as reader, pytest.raises(StoreReadOnly):
        cast("Any", reader).compact()


@pytest.mark.parametrize("name", ["retain", "tombstone"])
def test_a_function_that_ends_an_iterator_is_told_so_with_its_event(
    store: Store, name: str
) -> None:
    fill(store, 30)

    def stop(event: StoredEvent[bytes]) -> bool:
        return next(iter([name == "retain"] * (event.sequence != 9)))

    with pytest.raises(InvalidArgument) as raised:
        cast("Any", store).compact(**{name: stop})
    assert raised.value.argument == name
    assert "StopIteration" in str(raised.value)
    assert raised.value.__notes__ == [f"{name} at event 9"]
    assert len(texts(store)) == 30


def test_a_function_that_raises_changes_nothing(store: Store, sim: SimPlatform) -> None:
    fill(store, 30)
    sim.run_background()
    before = sim.files()

    def fails(event: StoredEvent[bytes]) -> bool:
        if event.sequence == 9:
            raise ZeroDivisionError
        return False

    with pytest.raises(ZeroDivisionError) as kept:
        store.compact(retain=fails)
    with pytest.raises(ZeroDivisionError) as erased:
        store.compact(tombstone=fails)
    assert kept.value.__notes__ == ["retain at event 9"]
    assert erased.value.__notes__ == ["tombstone at event 9"]
    assert sim.files() == before
    assert len(texts(store)) == 30


def test_a_function_may_use_the_store_but_not_compact_it(store: Store) -> None:
    fill(store, 30)
    refused: list[str] = []

    def retain(event: StoredEvent[bytes]) -> bool:
        if event.sequence == 3:
            store.append(USER, Said(text="meanwhile"))
            with pytest.raises(InvalidArgument) as caught:
                store.compact()
            refused.append(str(caught.value))
        return True

    store.compact(retain=retain)

    assert "re-entrant" in refused[0]
    assert texts(store)[-1] == "meanwhile"


# ----------------------------------------------------------------------------- dropped and erased


def test_what_is_dropped_is_gone_from_every_read(store: Store) -> None:
    fill(store, 30)
    root = store.get(4)
    child = store.append(USER, Said(text="child"), caused_by=root.event_id)
    grandchild = store.append(USER, Said(text="grandchild"), caused_by=child)
    fill(store, 20, first=30)
    head = store.checkpoint()

    report = store.compact(retain=lambda event: event.sequence not in (4, 7, child.sequence))

    assert (report.dropped, report.erased, store.retention_epoch) == (3, 0, 1)
    assert len(texts(store)) == 49
    for which in (4, root.event_id):
        with pytest.raises(EventNotFound) as caught:
            store.get(which, Said)
        assert caught.value.dropped
    assert store.version(USER.entity) == 35
    assert store.why(grandchild.event_id).end is CausalEnd.DROPPED
    with pytest.raises(EventNotFound) as caught:
        store.impact(root.event_id)
    assert caught.value.dropped
    walk = store.walk_ancestors(store.get(8).event_id)
    assert walk.end is AncestryEnd.DROPPED
    assert walk.stub is not None
    assert (walk.stub.sequence, walk.stub.event_hash) == (7, walk.events[-1].prev_hash)
    later = store.append(USER, Said(text="later"), caused_by=root.event_id)  # its stub proves it
    assert store.get(later.event_id).causation_id == root.event_id
    record = next(store.by_fact(Compacted)).payload
    assert record == Compacted(dropped=3, erased=0, first=4, last=child.sequence)
    assert store.verify(since=head).ok


def test_what_an_event_has_caused_ends_in_front_of_what_was_dropped(store: Store) -> None:
    fill(store, 3)
    child = store.append(USER, Said(text="child"), caused_by=store.get(0).event_id)
    store.append(USER, Said(text="grandchild"), caused_by=child)
    fill(store, 20)
    store.compact(retain=lambda event: event.sequence != child.sequence)

    found = store.impact(store.get(0).event_id)

    assert list(found) == []
    assert found.dropped == 1


@pytest.mark.parametrize("form", [Form.TYPED, Form.DICT, Form.RAW], ids=str)
def test_what_is_erased_reads_as_a_tombstone_in_every_form(
    store: Store, form: Form[object]
) -> None:
    fill(store, 20)
    was = store.get(5, form=Form.RAW)

    report = store.compact(
        tombstone=lambda event: isinstance(event.payload, Said) and event.payload.text[0] == "5",
        form=Form.TYPED,
    )

    assert (report.dropped, report.erased) == (0, 1)
    left = Tombstoned(kind=Said.KIND, payload_version=1, content_hash=was.content_hash)
    event = store.get(5, form=form)
    assert (event.kind, event.event_hash) == (Tombstoned.KIND, was.event_hash)
    assert event.content_hash == was.content_hash
    assert next(store.by_fact(Tombstoned)).payload == left
    assert event == next(store.query(Region(kinds=Tombstoned), form=form))
    match form:
        case Form.TYPED:
            assert event.payload == left
        case Form.DICT:
            assert event.payload == {
                "kind": Said.KIND,
                "payload_version": 1,
                "content_hash": was.content_hash,
            }
        case _:
            assert isinstance(event.payload, bytes)
    assert b"xxx" not in event.record
    assert store.entries(Region(kinds=Tombstoned)).__next__().size_bytes == 0


def test_a_repeated_append_still_finds_what_was_removed(store: Store) -> None:
    first = [
        store.append(USER, Said(text=f"{n}" + "x" * 600), idempotency_key=f"{n}") for n in range(20)
    ]
    store.compact(retain=lambda event: event.sequence > 3)
    store.compact(tombstone=lambda event: event.sequence < 8, min_segments=1)

    for n in (0, 3, 5, 12):
        again = store.append(USER, Said(text=f"{n}" + "x" * 600), idempotency_key=f"{n}")
        assert again == replace(first[n], replayed=True, durability=again.durability)
        assert again.head == first[n].head
        assert store.verify_receipt(first[n], accept_unsigned=True) == Unsigned()


def test_the_announcement_of_a_removal_is_never_removed(store: Store) -> None:
    for first in (0, 20, 40):
        fill(store, 20, first=first)
        store.compact(retain=lambda _: False)

    assert store.count(Region(kinds=Compacted)) == 3
    assert store.verify().ok
    assert store.retention_epoch == 3


def test_a_machine_does_not_load_a_history_with_a_hole(sim: SimPlatform) -> None:
    cache = MemoryCache()
    config = replace(TINY, projection_cache=cache)
    with Store.open("store", config, platform=sim) as store:
        parcels = ParcelMachine(store)
        pack(parcels)
        (entity,) = store.entities("parcel")
        fill(store, 20)
        store.compact(retain=lambda event: event.sequence != 0)
        with pytest.raises(IllegalHistory, match="dropped"):
            parcels.load(ID)
        assert store.version(entity) == 1
    with Store.open("other", config, platform=sim) as store:
        parcels = ParcelMachine(store)
        pack(parcels)
        fill(store, 20)
        store.compact(tombstone=lambda event: event.sequence == 0)
        with pytest.raises(IllegalHistory, match="erased"):
            parcels.load(ID)


# ---------------------------------------------------------------------------------- what goes on


def test_a_reader_that_has_begun_keeps_what_it_reads(store: Store) -> None:
    fill(store, 30)
    whole = list(store.query())
    slow, stream = store.query(), store.stream(USER.entity)
    begun = [next(slow), next(slow)]

    store.compact(retain=lambda _: False)

    assert begun + list(slow) == whole
    assert len(list(stream)) == 20
    assert [event.sequence for event in store.query()] == [30]  # the announcement


def test_every_append_meanwhile_is_there(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", replace(TINY, lifecycle_events=False)) as store:
        fill(store, 200)
        stop, added = threading.Event(), list[int]()

        def go_on() -> None:
            while not stop.is_set():
                added.append(store.append(OTHER, Said(text="new " + "y" * 300)).sequence)

        def look() -> None:
            while not stop.is_set():
                assert [event.sequence for event in store.query()][:200] == list(range(200))
                assert store.verify().ok

        threads = [threading.Thread(target=work) for work in (go_on, look)]
        for thread in threads:
            thread.start()
        for _ in range(6):
            store.compact()
        stop.set()
        for thread in threads:
            thread.join()

        assert [event.sequence for event in store.query()] == list(range(200 + len(added)))
        assert added == list(range(200, 200 + len(added)))
        assert store.verify().ok


def test_a_second_call_waits_for_the_first(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", TINY) as store:
        fill(store, 40)
        entered, go = threading.Event(), threading.Event()

        def slow(_: StoredEvent[bytes]) -> bool:
            entered.set()
            return go.wait(5)

        first = threading.Thread(target=lambda: store.compact(retain=slow))
        first.start()
        entered.wait(5)
        second = threading.Thread(target=store.compact)
        second.start()
        second.join(0.05)
        assert second.is_alive()
        go.set()
        first.join()
        second.join()
        assert store.stats().segments == 2


def test_a_close_ends_a_compaction_before_it_changes_anything(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", TINY)
    fill(store, 40)
    names = sorted(path.name for path in (tmp_path / "store").glob("*.fbat"))
    entered, go, ends = threading.Event(), threading.Event(), list[type[BaseException]]()

    def slow(_: StoredEvent[bytes]) -> bool:
        entered.set()
        return go.wait(5)

    def compact() -> None:
        try:
            store.compact(retain=slow)
        except StoreClosed as error:
            ends.append(type(error))

    thread = threading.Thread(target=compact)
    thread.start()
    entered.wait(5)
    store.close()
    go.set()
    thread.join()

    assert ends == [StoreClosed]
    assert sorted(path.name for path in (tmp_path / "store").glob("*.fbat")) == names


# ------------------------------------------------------------------------------- states and notes


def test_a_kept_state_is_not_used_once_events_were_removed(sim: SimPlatform) -> None:
    cache = MemoryCache()
    with Store.open("store", replace(TINY, projection_cache=cache), platform=sim) as store:
        for n in range(60):
            store.append(USER, Counted(n=n))
        fill(store, 10)
        assert store.project(Sum(), USER.entity) == Total(1770, 60)
        before = store.project_if_changed(Sum(), USER.entity, since=0)
        assert before is not None
        watched = iter(store.watch_projection(Sum(), USER.entity, since=before.generation))

        store.compact(retain=lambda event: event.sequence not in (5, 59))

        after = store.project_if_changed(Sum(), USER.entity, since=0)
        assert after is not None
        assert after.state == store.project(Sum(), USER.entity) == Total(1706, 58)
        assert after.generation == before.generation == 60  # the stub of the last one keeps it
        assert store.project_if_changed(Sum(), USER.entity, since=60) is None
        store.append(USER, Counted(n=1))
        assert next(watched).state == Total(1707, 59)
    with Store.open("store", replace(TINY, projection_cache=cache), platform=sim) as store:
        assert store.project(Sum(), USER.entity) == Total(1707, 59)


def test_only_a_plain_answer_removes_anything(store: Store) -> None:
    fill(store, 30)

    async def later(_: StoredEvent[bytes]) -> bool:
        return False

    answers: list[Callable[[StoredEvent[bytes]], Any]] = [
        later,
        lambda _: None,  # as one that forgot to return
        lambda _: 0,
        lambda event: event.payload,
    ]
    for answer in answers:
        with pytest.raises(InvalidArgument, match="must return True or False"):
            store.compact(retain=answer, min_segments=1)
        with pytest.raises(InvalidArgument, match="must return True or False"):
            store.compact(tombstone=answer, min_segments=1)

    assert (store.stats().dropped, store.stats().erased) == (0, 0)
    assert store.count() == 30


# ------------------------------------------------------------------------------------------- gaps


def test_what_a_cursor_had_not_reached_shows_as_gaps(store: Store) -> None:
    fill(store, 30)
    cursor = store.cursor_guaranteed(Region(kinds=Said))
    assert [event.sequence for event in cursor.poll_batch(6)] == list(range(6))
    late, narrow = store.cursor_guaranteed(), store.cursor_guaranteed(Region(scope="none"))

    store.compact(retain=lambda event: event.sequence not in (0, 2, 7, 9, 10, 24))
    store.compact(tombstone=lambda event: event.sequence in (11, 12), min_segments=1)

    cursor.rewind()
    assert len(cursor.poll_batch(100)) == 22
    assert cursor.take_gaps() == [
        Gap(0, 0, 1, 1),
        Gap(2, 2, 1, 3),
        Gap(7, 7, 1, 8),
        Gap(9, 12, 4, 13),
        Gap(24, 24, 1, 25),
    ]
    assert cursor.take_gaps() == []
    while late.poll() is not None:
        pass
    assert late.take_gaps()[3:] == [Gap(9, 10, 2, 11), Gap(24, 24, 1, 25)]
    assert narrow.poll() is None
    assert (narrow.take_gaps(), narrow.gaps_lost) == ([], 0)


def test_what_is_removed_in_front_of_a_cursor_that_has_begun_is_not_given_to_it(
    store: Store,
) -> None:
    fill(store, 30)
    cursor, iterator = store.cursor_guaranteed(), store.query()
    follower = store.cursor_guaranteed(Region(kinds=Said)).follow(0)
    assert len(cursor.poll_batch(6)) == 6
    assert next(follower).sequence == next(iterator).sequence == 0

    store.compact(retain=lambda event: event.sequence not in (7, 9, 29))
    store.compact(tombstone=lambda event: event.sequence in (8, 11))

    given = cursor.poll_batch(100)
    kept = [n for n in range(6, 29) if n not in (7, 9)]
    assert [event.sequence for event in given if event.kind != Compacted.KIND] == kept
    erased = [event.sequence for event in given if isinstance(event.payload, Tombstoned)]
    assert erased == [8, 11]
    assert cursor.take_gaps() == [Gap(7, 7, 1, 8), Gap(9, 9, 1, 10), Gap(29, 29, 1, 30)]
    said = [n for n in range(1, 29) if n not in (7, 8, 9, 11)]
    assert [event.sequence for event in follower] == said
    assert [event.sequence for event in iterator] == list(range(1, 30))  # as it was when it began


def test_gaps_are_kept_as_far_as_there_is_room(store: Store) -> None:
    fill(store, 30)
    few = store.cursor_guaranteed(gap_capacity=2)
    off = store.cursor_guaranteed(gap_capacity=0)

    store.compact(retain=lambda event: event.sequence % 2 == 0)

    for cursor in (few, off):
        cursor.poll_batch(1000)
    assert few.take_gaps() == [Gap(27, 27, 1, 28), Gap(29, 29, 1, 30)]
    assert few.gaps_lost == 13
    assert off.take_gaps() == []
    for wrong in (-1, True, 1 << 21):
        with pytest.raises(InvalidArgument, match="gap_capacity"):
            store.cursor_guaranteed(gap_capacity=wrong)


def test_a_worker_tells_its_gaps_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    handled: list[int] = []

    def handle(events: Sequence[StoredEvent[EventPayload]], _: object) -> Step:
        handled.extend(event.sequence for event in events)
        return Step.STOP if handled[-1] >= 29 or len(handled) == 5 else Step.CONTINUE

    with Store.open(tmp_path / "store", TINY) as store:
        fill(store, 30)
        store.cursor_worker(Region.all(), handle, checkpoint_id="c", batch_size=5).join(10)
        store.compact(retain=lambda event: event.sequence not in (4, 6, 7))
        worker = store.cursor_worker(Region.all(), handle, checkpoint_id="c")
        worker.join(10)

        assert handled == [n for n in range(handled[-1] + 1) if n not in (6, 7)]
        assert worker.take_gaps() == [Gap(6, 7, 2, 8)]
        assert worker.gaps_lost == 0


# ---------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("kind", ["create", "write", "sync"])
def test_a_refusal_of_the_system_changes_nothing(
    store: Store, sim: SimPlatform, kind: Kind, code: int
) -> None:
    fill(store, 30)
    store.sync()
    sim.run_background()
    before, records = sim.files(), list(store.query(form=Form.RAW))

    sim.fail_at(1, code, kind=kind)
    with pytest.raises(StorageFailed) as caught:
        store.compact()

    assert sim.fired
    assert (caught.value.operation, caught.value.errno) == ("compact", code)
    assert sim.files() == before
    assert list(store.query(form=Form.RAW)) == records
    assert store.compact().outcome is CompactionOutcome.PERFORMED
    assert list(store.query(form=Form.RAW)) == records


def test_a_damaged_event_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", TINY) as store:
        fill(store, 30)
    path = tmp_path / "store" / "000002.fbat"
    data = bytearray(path.read_bytes())
    data[1500] ^= 1
    path.write_bytes(data)

    with Store.open(tmp_path / "store", TINY) as store:
        with pytest.raises(CorruptStore) as caught:
            store.compact()
        assert caught.value.path == str(path)
    assert path.read_bytes()[:3000] == data[:3000]
    assert not list((tmp_path / "store").glob("*.tmp"))


def test_leftovers_of_a_compaction_are_not_read_and_then_removed(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", TINY) as store:
        fill(store, 30)
        kept = {path.name: path.read_bytes() for path in (tmp_path / "store").glob("*.fbat")}
        store.compact(retain=lambda event: event.sequence % 2 == 1)
        left = [event.sequence for event in store.query()]
    for number in (2, 4, 5):
        (tmp_path / "store" / f"00000{number}.fbat").write_bytes(kept[f"00000{number}.fbat"][:-7])

    with Store.open_read_only(tmp_path / "store") as reader:
        assert [event.sequence for event in reader.query()] == left
        assert reader.verify().ok
    assert (tmp_path / "store" / "000004.fbat").exists()
    with Store.open(tmp_path / "store", TINY) as store:
        assert [event.sequence for event in store.query()] == left
        names = sorted(path.name for path in (tmp_path / "store").glob("*.fbat"))
        assert names == ["000001.fbat", "000007.fbat"]
        assert store.verify().ok


def test_a_payload_that_vanished_without_a_record_is_a_finding(tmp_path: Path) -> None:
    """Somebody replaces a payload by its hash, mends the checksum, and says it was compaction."""
    with Store.open(tmp_path / "store", TINY) as store:
        fill(store, 30)
        store.compact()
    path = tmp_path / "store" / "000001.fbat"
    data = path.read_bytes()
    forged = dropped_by_hand(data)
    path.write_bytes(forged)

    with Store.open_read_only(tmp_path / "store") as reader:
        report = reader.verify()

    assert not report.ok
    assert report.dropped == 1
    assert "announces 0" in report.findings[0].detail


def dropped_by_hand(data: bytes) -> bytes:
    """A rewritten file in which the last event is a stub, all checksums right."""
    head, start = header.decode(data, "a file")
    assert head.sealed is not None
    bodies, at = list[bytes](), start
    while at < head.sealed.frames_end:
        body = frame.body_at(memoryview(data), at, head.sealed.frames_end, at, frame.seed(head))
        assert isinstance(body, bytes)
        bodies.append(body)
        at += len(body) + frame.PREFIX_BYTES
    last = frame.decode(bodies[-1])
    assert isinstance(last, frame.Frame)
    size = len(last.payload)
    bodies[-1] = stub_of(bodies[-1], size, DROPPED, content_hash(last.payload))
    assert len(bodies[-1]) > ENTITY_AT
    frames = sum(len(body) + frame.PREFIX_BYTES for body in bodies)
    sealed = head.sealed._replace(frames_end=start + frames)
    out = header.encode(
        store_id=head.store_id,
        segment_id=head.segment_id,
        created_ns=head.created_ns,
        first_sequence=head.first_sequence,
        salt=head.salt,
        prev=head.prev,
        replaces=head.replaces,
        sealed=sealed,
    )
    assert len(out) == start
    for body in bodies:
        out += frame.encode(body, len(out), frame.seed(head))
    return out


def test_a_compaction_of_a_store_that_was_closed_with_a_large_file(tmp_path: Path) -> None:
    """The newest file is sealed by the close; the next writer begins another behind it."""
    config = StoreConfig(durability=FAST.durability)
    for n in range(3):
        with Store.open(tmp_path / "store", config) as store:
            store.append(USER, Said(text=str(n) * 300_000))
    with Store.open(tmp_path / "store", config) as store:
        before = [event for event in store.query() if event.kind == Said.KIND]
        assert store.compact().segments_after == 1
        assert [event for event in store.query() if event.kind == Said.KIND] == before
        assert store.verify().ok
    with Store.open_read_only(tmp_path / "store") as reader:
        assert reader.open_report.clean
        assert [event for event in reader.query() if event.kind == Said.KIND] == before


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    size, config = 200_000, replace(TINY, limits=Limits(segment_max_bytes=1 << 20))
    with Store.open(tmp_path / "store", config) as store:
        for n in range(80):
            store.append(USER, Said(text=f"{n}" + "x" * size))
        tracemalloc.start()
        try:
            report = store.compact()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert report.bytes_before > 75 * size
    assert peak < 30 * size


def test_a_scope_of_which_every_event_was_dropped_is_not_counted(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", TINY) as store:
        for name in ("kept", "gone", "gone"):
            store.append(Coordinate("user:1", name), Counted(n=1))
        assert store.stats().scopes == 2

        store.compact(retain=lambda event: event.coordinate.scope != "gone")

        assert [it.coordinate.scope for it in store.query()] == ["kept", LIFECYCLE.scope]
        assert store.stats().scopes == 2  # one of them is the log's own, which says what is gone
