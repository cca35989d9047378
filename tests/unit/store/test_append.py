"""What `append` promises and refuses, and in which order.

Would slip through without it: a refusal that consumes a number, a key that is compared with less
than kind, coordinate and content, a check that hides an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import (
    EventNotFound,
    IdempotencyConflict,
    InvalidArgument,
    InvalidCoordinate,
    InvalidKind,
    KindMismatch,
    PayloadInvalid,
    StoreClosed,
    TooLarge,
    UnknownParent,
    VersionConflict,
)
from batpak.ids import EventId
from batpak.platform import REAL, Platform
from batpak.store import Store
from batpak.system import OpenCompleted
from tests.facts import FAST, PLAIN, USER, Counted, Said


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", PLAIN) as opened:
        yield opened


def test_what_is_appended_is_read_back_with_every_field(store: Store) -> None:
    first = store.append(USER, Counted(n=1))
    correlation = uuid4()

    receipt = store.append(
        Coordinate("user:1", "other"),
        Counted(n=2),
        expected_version=1,
        idempotency_key="schlüssel",
        caused_by=first,
        correlation_id=correlation,
        flags=0xFF,
        extensions={"b.x": b"2", "a.x": b"", "app.trace": b"\x00"},
    )

    event = store.get(receipt.event_id, Counted)
    assert event.payload == Counted(n=2)
    assert (event.sequence, event.version) == (receipt.sequence, receipt.version) == (1, 2)
    assert event.coordinate == receipt.coordinate == Coordinate("user:1", "other")
    assert event.causation_id == receipt.causation_id == first.event_id
    assert event.correlation_id == receipt.correlation_id == correlation
    assert event.flags == 0xFF
    assert event.idempotency_key == "schlüssel".encode()
    assert event.extensions == receipt.extensions == {"a.x": b"", "app.trace": b"\0", "b.x": b"2"}
    assert event.hlc == receipt.hlc > first.hlc
    assert event.prev_hash == receipt.prev_hash == first.event_hash
    assert event.event_hash == receipt.event_hash
    assert event.content_hash == receipt.content_hash
    assert receipt.durability is Durability.COMMIT
    assert event == store.get(1)


def test_a_caused_event_takes_over_the_correlation(store: Store) -> None:
    root = store.append(USER, Counted(n=1))
    child = store.append(USER, Counted(n=2), caused_by=root.event_id)
    grandchild = store.append(USER, Counted(n=3), caused_by=store.get(child.event_id))

    assert root.correlation_id == root.event_id
    assert child.correlation_id == grandchild.correlation_id == root.event_id


def test_an_expected_version_is_a_count(store: Store) -> None:
    with pytest.raises(VersionConflict):
        store.append(USER, Counted(n=1), expected_version=1)
    store.append(USER, Counted(n=1), expected_version=0)
    with pytest.raises(VersionConflict) as caught:
        store.append(USER, Counted(n=1), expected_version=0)

    assert (caught.value.entity, caught.value.expected, caught.value.actual) == ("user:1", 0, 1)


def test_a_repeated_key_returns_the_first_receipt_before_the_version_is_looked_at(
    store: Store,
) -> None:
    first = store.append(USER, Counted(n=1), idempotency_key=b"k", expected_version=0)

    again = store.append(USER, Counted(n=1), idempotency_key="k", expected_version=0)

    assert again.replayed
    assert not first.replayed
    assert (again.event_id, again.event_hash, again.hlc) == (
        first.event_id,
        first.event_hash,
        first.hlc,
    )
    assert store.count() == 1


@pytest.mark.parametrize(
    ("where", "fact", "differs"),
    [
        (USER, Counted(n=2), {"content"}),
        (Coordinate("user:1", "x"), Counted(n=1), {"coordinate"}),
        (USER, Said(text="a"), {"kind", "content"}),
    ],
)
def test_a_key_used_for_something_else_is_a_conflict(
    store: Store, where: Coordinate, fact: Counted | Said, differs: set[str]
) -> None:
    store.append(USER, Counted(n=1), idempotency_key="k")

    with pytest.raises(IdempotencyConflict) as caught:
        store.append(where, fact, idempotency_key="k")

    assert caught.value.differs == differs
    assert caught.value.sequence == 0


def test_a_key_is_kept_over_a_reopen(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        first = store.append(USER, Counted(n=1), idempotency_key="k")
        assert store.append(USER, Counted(n=1), idempotency_key="k").durability is Durability.OS
    with Store.open(tmp_path / "s", FAST) as store:
        again = store.append(USER, Counted(n=1), idempotency_key="k")

    assert again.replayed
    assert again.event_id == first.event_id
    assert again.durability is Durability.COMMIT  # the close has synced it


def test_an_unknown_parent_is_refused(store: Store) -> None:
    known = store.append(USER, Counted(n=1)).event_id
    almost = EventId(UUID(int=known.int ^ 1))  # the same first half

    for parent in (EventId(uuid4()), almost):
        with pytest.raises(UnknownParent):
            store.append(USER, Counted(n=2), caused_by=parent)

    assert store.count() == 1


BAD: list[tuple[Mapping[str, Any], type[Exception]]] = [
    ({"coord": "user:1@acme"}, InvalidArgument),
    ({"coord": Coordinate("batpak:store", "x")}, InvalidCoordinate),
    ({"coord": Coordinate("x", "batpak:x")}, InvalidCoordinate),
    ({"payload": {"n": 1}}, InvalidArgument),
    (
        {
            "payload": OpenCompleted(
                clean=True, segments=1, events=1, scanned_bytes=1, torn_bytes=0, elapsed_ms=0
            )
        },
        InvalidKind,
    ),
    ({"expected_version": -1}, InvalidArgument),
    ({"expected_version": True}, InvalidArgument),
    ({"idempotency_key": ""}, InvalidArgument),
    ({"idempotency_key": b"x" * 256}, InvalidArgument),
    ({"idempotency_key": "\ud800"}, InvalidArgument),
    ({"idempotency_key": 7}, InvalidArgument),
    ({"caused_by": "x"}, InvalidArgument),
    ({"correlation_id": "x"}, InvalidArgument),
    ({"flags": 256}, InvalidArgument),
    ({"flags": -1}, InvalidArgument),
    ({"extensions": {"nodot": b""}}, InvalidArgument),
    ({"extensions": {"batpak.x": b""}}, InvalidArgument),
    ({"extensions": {"a.b.c": b""}}, InvalidArgument),
    ({"extensions": {"é.b": b""}}, InvalidArgument),
    ({"extensions": {"a.b": "text"}}, InvalidArgument),
    ({"extensions": {f"a.{n}": b"" for n in range(65)}}, TooLarge),
    ({"extensions": {"a.b": bytes(64 << 10)}}, TooLarge),
    ({"payload": Counted(n="x")}, PayloadInvalid),  # type: ignore[arg-type]  # a lie, on purpose
]


@pytest.mark.parametrize(("given", "error"), BAD, ids=[str(list(b[0].items()))[:60] for b in BAD])
def test_a_bad_argument_is_refused_and_nothing_is_written(
    store: Store, given: Mapping[str, Any], error: type[Exception]
) -> None:
    arguments: dict[str, Any] = {"coord": USER, "payload": Counted(n=1), **given}

    with pytest.raises(error):
        store.append(**arguments)

    assert store.count() == 0
    assert store.append(USER, Counted(n=1)).sequence == 0


def test_an_earlier_check_is_seen_before_a_later_one(store: Store) -> None:
    """Each row breaks one rule and every rule after it."""
    store.append(USER, Counted(n=1), idempotency_key="k")
    rules: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"coord": Coordinate("batpak:x", "x")}, InvalidCoordinate),
        ({"payload": object()}, InvalidArgument),
        ({"flags": 999}, InvalidArgument),
        ({"payload": Counted(n="x")}, PayloadInvalid),  # type: ignore[arg-type]  # a lie
        ({"payload": Said(text="x" * (2 << 20))}, TooLarge),
        ({"idempotency_key": "k", "payload": Counted(n=2)}, IdempotencyConflict),
        ({"expected_version": 9}, VersionConflict),
        ({"caused_by": uuid4()}, UnknownParent),
    ]

    for index in range(len(rules)):
        arguments: dict[str, Any] = {"coord": USER, "payload": Counted(n=1)}
        for broken, _ in reversed(rules[index:]):
            arguments.update(broken)
        with pytest.raises(rules[index][1]):
            store.append(**arguments)

    assert store.count() == 1


def test_a_payload_at_its_limit_passes_and_one_byte_more_does_not(tmp_path: Path) -> None:
    limits = Limits(payload_max_bytes=100)
    with Store.open(tmp_path / "s", StoreConfig(limits=limits, lifecycle_events=False)) as store:
        overhead = len(b"\x81\xa4text\xd9\x00")
        store.append(USER, Said(text="x" * (100 - overhead)))
        with pytest.raises(TooLarge) as caught:
            store.append(USER, Said(text="x" * (101 - overhead)))

    assert (caught.value.size, caught.value.limit) == (101, 100)


def test_the_largest_payload_survives(tmp_path: Path) -> None:
    config = StoreConfig(
        lifecycle_events=False,
        durability=Durability.OS,
        limits=Limits(
            payload_max_bytes=16 << 20, batch_max_bytes=16 << 20, segment_max_bytes=4 << 10
        ),
    )
    text = "x" * ((16 << 20) - 20)
    with Store.open(tmp_path / "s", config) as store:
        store.append(USER, Said(text=text))
        store.append(USER, Counted(n=1))
    with Store.open(tmp_path / "s", config) as store:
        assert store.open_report.segments == 2
        assert store.get(0, Said).payload.text == text


def test_get_says_what_is_not_there_and_what_is_something_else(store: Store) -> None:
    receipt = store.append(USER, Counted(n=1))

    for unknown in (1, 10**30, EventId(uuid4()), EventId(UUID(int=receipt.event_id.int ^ 1))):
        with pytest.raises(EventNotFound):
            store.get(unknown)
    with pytest.raises(KindMismatch) as caught:
        store.get(0, Said)
    for wrong in (-1, True, "x"):
        with pytest.raises(InvalidArgument):
            store.get(wrong)  # type: ignore[arg-type]  # on purpose

    assert (caught.value.expected, caught.value.got) == (Said.KIND, Counted.KIND)


def test_an_iterator_shows_the_log_as_it_was_when_asked(store: Store) -> None:
    for n in range(3):
        store.append(USER, Counted(n=n))
    iterators = [store.query(), store.stream("user:1"), store.by_fact(Counted)]

    store.append(USER, Counted(n=3))

    assert [[event.sequence for event in one] for one in iterators] == [[0, 1, 2]] * 3


def test_nothing_works_after_close_and_closing_twice_is_harmless(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", PLAIN)
    store.append(USER, Counted(n=0))
    iterator = store.query()
    store.close()
    store.close()

    calls: list[Callable[[], object]] = [
        lambda: store.append(USER, Counted(n=1)),
        lambda: store.get(0),
        store.query,
        lambda: store.version("user:1"),
        store.verify,
        lambda: next(iterator),
    ]
    for call in calls:
        with pytest.raises(StoreClosed):
            call()


def test_lifecycle_events_frame_the_log(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s") as store:
        assert store.append(USER, Counted(n=0)).sequence == 1
    with Store.open_read_only(tmp_path / "s") as reader:
        kinds = [event.payload.KIND for event in reader.query()]
        assert [f"{kind:04x}" for kind in kinds] == ["0008", "e701", "0014", "0009"]


def walking(readings: Iterator[int]) -> Platform:
    return Platform(
        open_dir=REAL.open_dir,
        wall_ns=lambda: next(readings) * 1_000_000,
        monotonic_ns=REAL.monotonic_ns,
        entropy=REAL.entropy,
        raw_lock=REAL.raw_lock,
        thread=REAL.thread,
        thread_id=REAL.thread_id,
        pid=REAL.pid,
    )


def test_clock_and_ids_increase_whatever_the_wall_clock_does(tmp_path: Path) -> None:
    import random

    rng = random.Random(5)  # noqa: S311  a walk, not a secret
    last = [1_700_000_000_000]

    def readings() -> Iterator[int]:
        while True:
            last[0] = max(0, last[0] + rng.choice([0, 0, 1, -1, -86_400_000, 5000, 3]))
            yield last[0]

    for _ in range(4):
        with Store.open(tmp_path / "s", FAST, platform=walking(readings())) as store:
            for n in range(300):
                store.append(USER, Counted(n=n))

    with Store.open_read_only(tmp_path / "s") as reader:
        events = list(reader.query())
        assert reader.verify().ok
    assert [e.hlc for e in events] == sorted({e.hlc for e in events})
    assert [e.event_id for e in events] == sorted({e.event_id for e in events})


def test_ids_go_on_when_a_millisecond_is_full(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST, platform=walking(iter([7] * 9000))) as store:
        for n in range(4100):
            store.append(USER, Counted(n=n))
        ids = [event.event_id for event in store.query()]

    assert ids == sorted(set(ids))
    assert {one.version for one in ids} == {7}
    assert ids[0].int >> 80 == 7
    assert ids[-1].int >> 80 == 8
