"""The model of a store follows the published format and the published rules.

Would slip through without it: a model that has the same mistake as the store, so that no comparison
of the two finds it. So nothing here asks a store what is right, except for the golden bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from batpak.append import BatchItem, PriorItem, RawPayload
from batpak.clock import Hlc
from batpak.coordinate import Coordinate
from batpak.errors import (
    EventNotFound,
    IdempotencyConflict,
    InvalidArgument,
    UnknownParent,
    VersionConflict,
)
from batpak.event import EventHeader, StoredEvent
from batpak.faults import KeyFault, ParentFault
from batpak.ids import EventId
from batpak.kind import EventKind
from batpak.override import override
from batpak.region import Region
from batpak.store import Store
from batpak.testing.model import ZEROS, Asked, Model, ModelEvent, ModelFence, unstamped
from batpak.wire import Form
from tests.facts import USER, Counted, Said

GOLDEN: Final = Path(__file__).parents[2] / "fixtures" / "format-v2"
STORE: Final = UUID(bytes=bytes(range(0x10, 0x20)))
OTHER: Final = Coordinate("user:2", "acme")
ELSEWHERE: Final = Coordinate("user:1", "umbrella")
NOBODY: Final = EventId(UUID(int=1))
A, B, C = Counted(n=1), Counted(n=2), Counted(n=3)


class Given(EventHeader):
    """What a store would have answered: an id and a time."""

    def __init__(self, number: int) -> None:
        self.number = number

    @property
    @override
    def event_id(self) -> EventId:
        return EventId(UUID(int=0x018BCFE56800_7000_8000_000000000001 + (self.number << 64)))

    @property
    @override
    def hlc(self) -> Hlc:
        return Hlc(1_700_000_000_000, self.number)


def take(model: Model, asked: Asked) -> list[ModelEvent]:
    """As if a store had taken it, with ids and times of its own."""
    first = len(model.events)
    return model.append(asked, [Given(first + n) for n in range(len(asked.items))])


def batch(*items: BatchItem, key: str | None = None) -> Asked:
    return Asked(items, idempotency_key=key)


def one(item: BatchItem) -> Asked:
    return Asked((item,), alone=True)


def plain(count: int, place: Coordinate = USER) -> Asked:
    return Asked(tuple(BatchItem(place, Counted(n=n)) for n in range(count)))


@pytest.fixture
def model() -> Model:
    return Model(STORE)


# ------------------------------------------------------------------------------- what is stored


def test_the_worked_example_of_the_format_has_its_published_hash(model: Model) -> None:
    example = RawPayload(EventKind.custom(0x1, 0x001), b"\x81\xa1n\x01")

    (event,) = take(model, one(BatchItem(USER, example)))

    published = "f042be704e3eae1319f3ad18291d28fe87e46d5de589b598250eab231ab8473d"
    assert event.event_hash.hex() == published
    assert event.record.startswith(
        bytes.fromhex("95c4a60100100100010000000000000000000000010000018b")
    )
    assert event.record.endswith(bytes.fromhex("a6757365723a31a461636d65c0c40481a16e01"))


def asked_for(events: list[StoredEvent[bytes]]) -> Asked:
    """The call that some events came from."""
    ids = [event.event_id for event in events]
    return Asked(
        tuple(
            BatchItem(
                event.coordinate,
                RawPayload(event.kind, event.payload, event.payload_version),
                idempotency_key=event.idempotency_key,
                caused_by=PriorItem(ids.index(event.causation_id))
                if event.causation_id in ids
                else event.causation_id,
                correlation_id=event.correlation_id,
                flags=event.flags,
                extensions=event.extensions,
            )
            for event in events
        )
    )


def test_every_record_of_the_golden_store_is_spelt_as_it_is_there() -> None:
    with Store.open_read_only(GOLDEN) as store:
        events, report = list(store.query(form=Form.RAW)), store.verify()
        model = Model(store.open_report.store_id)
    units: list[list[StoredEvent[bytes]]] = []
    for event in events:
        if int.from_bytes(event.head[10:14], "big") == 0:
            units.append([])
        units[-1].append(event)

    for unit in units:
        model.append(asked_for(unit), unit)

    assert len(events) > len(units) > 1
    assert [unstamped(event.record) for event in events] == [it.record for it in model.events]
    assert model.head == report.head


def test_items_count_up_per_entity_whatever_their_scope(model: Model) -> None:
    events = take(model, batch(*(BatchItem(place, A) for place in (USER, OTHER, ELSEWHERE))))

    assert [event.sequence for event in events] == [0, 1, 2]
    assert [event.version for event in events] == [1, 1, 2]
    assert [(event.batch_index, event.batch_count) for event in events] == [(0, 3), (1, 3), (2, 3)]
    assert events[2].record[97:129] == events[0].event_hash
    assert events[1].record[97:129] == ZEROS
    assert model.head == events[2].event_hash


def test_an_event_takes_over_the_conversation_of_its_cause(model: Model) -> None:
    talk = UUID(int=7)
    (root,) = take(model, one(BatchItem(USER, A, correlation_id=talk)))
    (alone,) = take(model, one(BatchItem(USER, A)))

    caused, prior, apart, own = take(
        model,
        Asked(
            (
                BatchItem(USER, A),
                BatchItem(USER, A, caused_by=PriorItem(0)),
                BatchItem(USER, A, caused_by=alone.event_id),
                BatchItem(USER, A, caused_by=PriorItem(2), correlation_id=UUID(int=8)),
            ),
            caused_by=root.event_id,
        ),
    )

    assert [it.correlation_id for it in (root, alone)] == [talk, alone.event_id]
    assert (caused.causation_id, caused.correlation_id) == (root.event_id, talk)
    assert (prior.causation_id, prior.correlation_id) == (caused.event_id, talk)
    assert (apart.causation_id, apart.correlation_id) == (alone.event_id, alone.event_id)
    assert (own.causation_id, own.correlation_id) == (apart.event_id, UUID(int=8))


def test_a_batch_names_the_conversation_of_items_that_name_none(model: Model) -> None:
    items = BatchItem(USER, A), BatchItem(USER, A, correlation_id=UUID(int=8))

    events = take(model, Asked(items, correlation_id=UUID(int=7)))

    assert [event.correlation_id for event in events] == [UUID(int=7), UUID(int=8)]


def test_an_empty_batch_is_nothing(model: Model) -> None:
    assert take(model, batch()) == []
    assert model.events == []


def test_other_events_than_were_asked_for_are_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="1 events were given, where 2 were asked for"):
        model.append(plain(2), [Given(0)])

    assert model.events == []


# ------------------------------------------------------------------------------- what is refused


def test_an_expected_version_counts_the_items_before_it(model: Model) -> None:
    take(model, plain(2))
    good = batch(
        BatchItem(USER, A, expected_version=2),
        BatchItem(OTHER, A, expected_version=0),
        BatchItem(ELSEWHERE, A, expected_version=3),
    )

    with pytest.raises(VersionConflict) as caught:
        model.judge(batch(BatchItem(USER, A), BatchItem(USER, A, expected_version=2)))

    assert (caught.value.expected, caught.value.actual, caught.value.item_index) == (2, 3, 1)
    assert [event.version for event in take(model, good)] == [3, 1, 4]


def test_a_call_of_one_event_names_no_item(model: Model) -> None:
    with pytest.raises(VersionConflict) as caught:
        model.judge(one(BatchItem(USER, A, expected_version=1)))

    assert caught.value.item_index is None


def test_a_cause_that_is_not_there_is_refused(model: Model) -> None:
    absent = batch(BatchItem(USER, A), BatchItem(USER, A, caused_by=NOBODY))
    itself = batch(BatchItem(USER, A), BatchItem(USER, A, caused_by=PriorItem(1)))

    with pytest.raises(UnknownParent) as first:
        model.judge(absent)
    with pytest.raises(UnknownParent) as second:
        model.judge(itself)

    assert (first.value.parent, first.value.reason) == (NOBODY, ParentFault.ABSENT)
    assert (second.value.parent, second.value.reason) == (1, ParentFault.PRIOR_ITEM)
    assert (first.value.item_index, second.value.item_index) == (1, 1)


def test_a_batch_has_keys_for_all_items_or_none_and_each_once(model: Model) -> None:
    mixed = batch(BatchItem(USER, A, idempotency_key="a"), BatchItem(USER, A))
    doubled = batch(*(BatchItem(USER, A, idempotency_key=key) for key in ("a", b"a")))
    both = batch(BatchItem(USER, A, idempotency_key="a"), key="b")

    for asked, reason in ((mixed, KeyFault.MIXED), (doubled, KeyFault.DUPLICATE)):
        with pytest.raises(IdempotencyConflict) as caught:
            model.judge(asked)
        assert (caught.value.reason, caught.value.item_index) == (reason, 1)
    with pytest.raises(InvalidArgument) as invalid:
        model.judge(both)
    assert (invalid.value.argument, invalid.value.item_index) == ("idempotency_key", 0)


def test_a_known_key_is_answered_before_anything_else_is_looked_at(model: Model) -> None:
    first = take(model, one(BatchItem(USER, A, idempotency_key="k")))
    stale = BatchItem(USER, A, idempotency_key=b"k", expected_version=0, caused_by=NOBODY, flags=3)

    assert model.judge(one(stale)) == first
    assert model.append(one(stale), []) == first
    assert model.events == first


@pytest.mark.parametrize(
    ("item", "differs"),
    [
        (BatchItem(USER, B, idempotency_key="k"), {"content"}),
        (BatchItem(ELSEWHERE, A, idempotency_key="k"), {"coordinate"}),
        (BatchItem(USER, Said(text=""), idempotency_key="k"), {"kind", "content"}),
    ],
)
def test_a_key_that_means_something_else_is_refused(
    model: Model, item: BatchItem, differs: set[str]
) -> None:
    take(model, plain(1))
    take(model, one(BatchItem(USER, A, idempotency_key="k")))

    with pytest.raises(IdempotencyConflict) as caught:
        model.judge(batch(item))

    assert (caught.value.reason, caught.value.sequence) == (KeyFault.DIFFERS, 1)
    assert caught.value.differs == frozenset(differs)
    assert caught.value.item_index == 0


def test_a_batch_of_which_some_items_are_known_is_refused(model: Model) -> None:
    known, new = (BatchItem(USER, A, idempotency_key=key) for key in ("known", "new"))
    take(model, batch(known))

    with pytest.raises(IdempotencyConflict) as caught:
        model.judge(batch(known, new))

    assert (caught.value.reason, caught.value.item_index) == (KeyFault.PARTIAL, 1)


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_key_means_so_many_items(model: Model, count: int) -> None:
    first = take(model, batch(*plain(2).items, key="k"))

    assert model.judge(batch(*plain(2).items, key="k")) == first
    with pytest.raises(IdempotencyConflict) as caught:
        model.judge(batch(*plain(count).items, key="k"))
    assert (caught.value.reason, caught.value.item_index) == (KeyFault.COUNT, None)


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_key_means_so_many_items_behind_a_fence_too(model: Model, count: int) -> None:
    fence = ModelFence(model)
    fence.stage(batch(*plain(2).items, key="k"))
    fence.stage(plain(1))
    first = take(model, fence.asked)[:2]

    assert model.judge(batch(*plain(2).items, key="k")) == first
    with pytest.raises(IdempotencyConflict) as caught:
        model.judge(batch(*plain(count).items, key="k"))
    assert caught.value.reason is KeyFault.COUNT


# ------------------------------------------------------------------------------------------- fences


def test_a_fence_is_judged_with_what_it_has_and_changes_nothing(model: Model) -> None:
    take(model, plain(1))
    fence = ModelFence(model)

    assert fence.stage(one(BatchItem(USER, B, expected_version=1))) == [1]
    assert fence.stage(one(BatchItem(USER, C, expected_version=2, idempotency_key="k"))) == [2]
    assert fence.stage(one(BatchItem(USER, C, idempotency_key="k"))) == [2]
    with pytest.raises(VersionConflict) as version:
        fence.stage(one(BatchItem(USER, A, expected_version=2)))
    with pytest.raises(IdempotencyConflict) as key:
        fence.stage(one(BatchItem(USER, A, idempotency_key="k")))

    assert version.value.actual == 3
    assert (key.value.reason, key.value.sequence) == (KeyFault.DIFFERS, None)
    assert len(model.events) == 1


def test_what_a_fence_has_is_stored_as_one_with_its_causes(model: Model) -> None:
    fence = ModelFence(model)
    fence.stage(plain(2, OTHER))
    fence.stage(batch(BatchItem(USER, A), BatchItem(USER, B, caused_by=PriorItem(0))))
    events = take(model, fence.asked)

    assert [one.version for one in events] == [1, 2, 1, 2]
    assert {one.batch_count for one in events} == {4}
    assert [one.causation_id for one in events] == [None, None, None, events[2].event_id]


# ------------------------------------------------------------------------------ power, and reading


def test_a_power_cut_leaves_what_is_durable_and_whole_units(model: Model) -> None:
    take(model, plain(1))
    model.sync()
    for size in (2, 1, 3):
        take(model, plain(size))

    assert model.survivals() == [1, 3, 4, 7]
    for torn in (0, 2, 5, 8):
        with pytest.raises(ValueError, match="where"):
            model.crash(torn)
    model.crash(3)

    assert [len(model.events), model.durable] == [3, 3]
    assert model.survivals() == [3]


def test_a_key_that_a_power_cut_took_is_free_again(model: Model) -> None:
    asked = one(BatchItem(USER, A, idempotency_key="k"))
    take(model, asked)
    model.crash(0)

    assert model.judge(asked) is None
    assert model.head == ZEROS


def test_a_query_is_a_scan_of_the_list(model: Model) -> None:
    for place, fact in ((USER, A), (OTHER, B), (ELSEWHERE, C), (USER, Said(text="s"))):
        take(model, one(BatchItem(place, fact)))

    def found(region: Region | None = None, **window: Any) -> list[int]:  # noqa: ANN401  by name
        return [event.sequence for event in model.query(region, **window)]

    assert found() == [0, 1, 2, 3]
    assert found(Region(entity="user:1", scope="acme")) == [0, 3]
    assert found(Region(kinds=Said)) == [3]
    assert found(Region(versions=(2, 9))) == [2, 3]
    assert found(after=0, before=3) == [1, 2]
    assert found(after=0, limit=2, reverse=True) == [3, 2]
    assert found(limit=0) == []
    assert [event.sequence for event in model.stream("user:1")] == [0, 2, 3]
    assert (model.version("user:1"), model.version("user")) == (3, 0)
    assert model.entities() == ["user:1", "user:2"]
    assert model.entities(Region(scope="umbrella")) == ["user:1"]


def test_an_event_is_found_by_its_id_and_by_its_sequence(model: Model) -> None:
    first, second = take(model, plain(2))

    assert model.get(0) == model.get(first.event_id) == first
    assert model.get(1) == second
    for unknown in (2, NOBODY):
        with pytest.raises(EventNotFound):
            model.get(unknown)
