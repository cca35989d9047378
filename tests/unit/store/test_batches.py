"""A batch is one decision: judged item by item, stored as a whole, repeated as a whole.

Would slip through without it: an item that is judged without the ones before it, a retry that is
answered with half of a batch, a refused batch that burns a number, a key, a byte or a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from batpak.append import AppendReceipt, BatchItem, PriorItem, RawPayload
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import (
    BatpakError,
    IdempotencyConflict,
    InvalidArgument,
    InvalidCoordinate,
    InvalidKind,
    PayloadInvalid,
    StoreClosed,
    TooLarge,
    UnknownParent,
    VersionConflict,
)
from batpak.faults import KeyFault, ParentFault
from batpak.ids import EventId
from batpak.kind import EventKind
from batpak.store import Store
from batpak.system import CloseCompleted
from batpak.testing.platform import SimPlatform
from tests.facts import PLAIN, SMALL, USER, Counted, Said

OTHER: Final = Coordinate("user:2", "acme")
ELSEWHERE: Final = Coordinate("user:1", "umbrella")  # the entity of USER in another scope


def in_memory(sim: SimPlatform | None = None, config: StoreConfig = PLAIN) -> Store:
    return Store.open("store", config, platform=sim or SimPlatform())


@pytest.fixture
def store() -> Iterator[Store]:
    with in_memory() as opened:
        yield opened


def counted(*numbers: int) -> list[BatchItem]:
    return [BatchItem(USER, Counted(n=n)) for n in numbers]


def keyed(*numbers: int) -> list[BatchItem]:
    return [BatchItem(USER, Counted(n=n), idempotency_key=f"k{n}") for n in numbers]


def claims(receipts: tuple[AppendReceipt, ...]) -> list[object]:
    return [receipt.claim for receipt in receipts]


def lie(value: object) -> Any:  # noqa: ANN401  what a checker would have refused
    return value


# ------------------------------------------------------------------------------- what is stored


def test_items_count_up_per_entity_whatever_their_scope_and_order(store: Store) -> None:
    store.append(USER, Counted(n=0))
    places = [USER, OTHER, ELSEWHERE, OTHER, USER]

    receipts = store.append_batch([BatchItem(place, Counted(n=1)) for place in places])

    assert [one.sequence for one in receipts] == [1, 2, 3, 4, 5]
    assert [one.version for one in receipts] == [2, 1, 3, 2, 4]
    assert [one.coordinate for one in receipts] == places
    assert (store.version("user:1"), store.version("user:2")) == (4, 2)
    for entity in ("user:1", "user:2"):
        chain = list(store.stream(entity))
        assert [later.prev_hash for later in chain[1:]] == [one.event_hash for one in chain[:-1]]
    assert store.verify().ok


def test_time_and_ids_of_items_increase(store: Store) -> None:
    receipts = store.append_batch(counted(*range(100)))

    assert all(one.hlc < two.hlc for one, two in pairwise(receipts))
    assert all(one.event_id < two.event_id for one, two in pairwise(receipts))


def test_receipts_say_what_is_read_back_later(tmp_path: Path) -> None:
    kind = EventKind.custom(0xE, 0x7FE)  # of no class
    items = [
        BatchItem(USER, Counted(n=1), idempotency_key="a", flags=0xFF, extensions={"app.b": b"\0"}),
        BatchItem(OTHER, Said(text=""), idempotency_key=b"\0", flags=1),
        BatchItem(USER, RawPayload(kind, b"\xc0", 3), idempotency_key="c"),
    ]
    with Store.open(tmp_path / "store", PLAIN) as store:
        receipts = store.append_batch(items)
    with Store.open_read_only(tmp_path / "store") as reader:
        entries = list(reader.entries())
        first = reader.get(0, Counted)

    assert [one.event_id for one in entries] == [one.event_id for one in receipts]
    assert [one.event_hash for one in entries] == [one.event_hash for one in receipts]
    assert [one.kind for one in entries] == [Counted.KIND, Said.KIND, kind]
    assert [one.payload_version for one in receipts] == [1, 1, 3]
    assert [one.flags for one in entries] == [0xFF, 1, 0]
    assert first.extensions == receipts[0].extensions == {"app.b": b"\0"}
    assert first.idempotency_key == b"a"
    assert {one.durability for one in receipts} == {Durability.COMMIT}


def test_a_prior_item_is_a_cause_with_its_correlation(store: Store) -> None:
    talk = uuid4()

    root, child, grandchild, own, alone = store.append_batch(
        [
            BatchItem(USER, Counted(n=0)),
            BatchItem(USER, Counted(n=1), caused_by=PriorItem(0)),
            BatchItem(OTHER, Counted(n=2), caused_by=PriorItem(1)),
            BatchItem(USER, Counted(n=3), caused_by=PriorItem(0), correlation_id=talk),
            BatchItem(USER, Counted(n=4)),
        ]
    )

    assert [one.causation_id for one in (root, child, grandchild, own, alone)] == [
        None,
        root.event_id,
        child.event_id,
        root.event_id,
        None,
    ]
    assert root.correlation_id == child.correlation_id == grandchild.correlation_id == root.event_id
    assert own.correlation_id == talk
    assert alone.correlation_id == alone.event_id
    assert [one.sequence for one in store.by_correlation(root.event_id)] == [0, 1, 2]


def test_what_the_batch_names_fills_only_the_items_that_name_none(store: Store) -> None:
    one, two = store.append(USER, Counted(n=0)), store.append(OTHER, Counted(n=0))
    talk, other_talk = uuid4(), uuid4()

    filled, own, prior, said = store.append_batch(
        [
            BatchItem(USER, Counted(n=1)),
            BatchItem(USER, Counted(n=2), caused_by=two),
            BatchItem(USER, Counted(n=3), caused_by=PriorItem(1)),
            BatchItem(USER, Counted(n=4), correlation_id=other_talk),
        ],
        caused_by=one,
        correlation_id=talk,
    )
    inherited, *_ = store.append_batch(counted(5), caused_by=two)

    causes = [receipt.causation_id for receipt in (filled, own, prior, said)]
    assert causes == [one.event_id, two.event_id, own.event_id, one.event_id]
    correlations = [receipt.correlation_id for receipt in (filled, own, prior, said)]
    assert correlations == [talk, talk, talk, other_talk]
    assert inherited.correlation_id == two.correlation_id


def test_expected_versions_count_the_earlier_items(store: Store) -> None:
    items = [
        BatchItem(USER, Counted(n=0), expected_version=0),
        BatchItem(OTHER, Counted(n=1), expected_version=0),
        BatchItem(ELSEWHERE, Counted(n=2), expected_version=1),
    ]
    store.append_batch(items)

    with pytest.raises(VersionConflict) as caught:
        store.append_batch([*counted(3, 4), BatchItem(USER, Counted(n=5), expected_version=2)])

    assert (caught.value.item_index, caught.value.expected, caught.value.actual) == (2, 2, 4)
    assert store.count() == 3


def test_a_batch_of_nothing_is_nothing(tmp_path: Path) -> None:
    sim = SimPlatform()
    store = in_memory(sim)
    done = len(sim.operations)

    assert store.append_batch([], idempotency_key="k", correlation_id=uuid4()) == ()
    assert store.append_batch(iter(())) == ()

    assert len(sim.operations) == done
    assert store.append_batch(counted(1), idempotency_key="k")[0].sequence == 0  # not used up
    store.close()
    with pytest.raises(StoreClosed):
        store.append_batch([])
    with Store.open(tmp_path / "store", PLAIN) as real:
        ticket = real.submit_batch([])
        assert ticket.result(10) == ()


def test_batches_larger_than_a_file_are_stored_in_one_and_the_next_file_begins(
    tmp_path: Path,
) -> None:
    large = [BatchItem(USER, Said(text=f"{n}" * 3000)) for n in range(5)]

    with Store.open(tmp_path / "store", SMALL) as store:
        receipts = [store.append_batch(large, idempotency_key=f"b{n}") for n in range(3)]
    with Store.open(tmp_path / "store", SMALL) as store:
        again = [store.append_batch(large, idempotency_key=f"b{n}") for n in range(3)]
        single = store.append(USER, Counted(n=0))

        assert store.open_report.segments >= 3
        assert [claims(one) for one in again] == [claims(one) for one in receipts]
        assert [one.replayed for batch in again for one in batch] == [True] * 15
        assert (single.sequence, single.version) == (15, 16)
        assert store.verify().ok


# ------------------------------------------------------------------------------------- refusals

CLOSING: Final = CloseCompleted(written=0, durable=0)
REFUSED: Final[list[tuple[Callable[[], BatchItem], type[BatpakError]]]] = [
    (lambda: lie(Counted(n=1)), InvalidArgument),
    (lambda: lie((USER, Counted(n=1))), InvalidArgument),
    (lambda: BatchItem(lie("user:1"), Counted(n=1)), InvalidArgument),
    (lambda: BatchItem(Coordinate("batpak:x", "x"), Counted(n=1)), InvalidCoordinate),
    (lambda: BatchItem(USER, CLOSING), InvalidKind),
    (lambda: BatchItem(USER, Counted(n=1), flags=256), InvalidArgument),
    (lambda: BatchItem(USER, Counted(n=1), idempotency_key=""), InvalidArgument),
    (lambda: BatchItem(USER, Counted(n=1), expected_version=-1), InvalidArgument),
    (lambda: BatchItem(USER, Counted(n=1), extensions={"nodot": b""}), InvalidArgument),
    (lambda: BatchItem(USER, Counted(n=1), extensions={"a.b": bytes(1 << 17)}), TooLarge),
    (lambda: BatchItem(USER, Counted(n=lie("x"))), PayloadInvalid),
    (lambda: BatchItem(USER, RawPayload(Counted.KIND, b"\xc1")), PayloadInvalid),
    (lambda: BatchItem(USER, Said(text="x" * (2 << 20))), TooLarge),
    (lambda: BatchItem(USER, Counted(n=1), caused_by=PriorItem(1)), UnknownParent),
    (lambda: BatchItem(USER, Counted(n=1), caused_by=PriorItem(-1)), UnknownParent),
    (lambda: BatchItem(USER, Counted(n=1), caused_by=PriorItem(lie(True))), UnknownParent),
    (lambda: BatchItem(USER, Counted(n=1), caused_by=EventId(uuid4())), UnknownParent),
    (lambda: BatchItem(USER, Counted(n=1), caused_by=EventId(UUID(int=0))), UnknownParent),
    (lambda: BatchItem(USER, Counted(n=1), expected_version=7), VersionConflict),
]


@pytest.mark.parametrize(("make", "error"), REFUSED)
def test_a_wrong_item_is_named_and_the_whole_batch_changes_nothing(
    make: Callable[[], BatchItem], error: type[BatpakError]
) -> None:
    sim = SimPlatform()
    with in_memory(sim) as store:
        store.append(USER, Counted(n=0))
        before, done = sim.files(), len(sim.operations)
        new = Coordinate("never:seen", "never")

        with pytest.raises(error) as caught:
            store.append_batch([BatchItem(new, Counted(n=1)), make(), *counted(2)])

        assert caught.value.item_index == 1
        assert sim.files() == before
        assert len(sim.operations) == done
        assert list(store.entities()) == ["user:1"]
        assert store.append(new, Counted(n=2)).version == 1
        assert store.count() == 2


def test_an_item_is_also_named_when_it_is_alone(store: Store) -> None:
    store.append(USER, Counted(n=0), idempotency_key="k0")

    with pytest.raises(VersionConflict) as version:
        store.append_batch([BatchItem(USER, Counted(n=1), expected_version=7)])
    with pytest.raises(UnknownParent) as parent:
        store.append_batch([BatchItem(USER, Counted(n=1), caused_by=EventId(uuid4()))])
    with pytest.raises(IdempotencyConflict) as differs:
        store.append_batch([BatchItem(USER, Counted(n=9), idempotency_key="k0")])
    with pytest.raises(VersionConflict) as single:
        store.append(USER, Counted(n=1), expected_version=7)

    indices = [one.value.item_index for one in (version, parent, differs, single)]
    assert indices == [0, 0, 0, None]


@pytest.mark.parametrize("items", [None, 5, "ab", Counted(n=1), BatchItem(USER, Counted(n=1))])
def test_what_is_no_row_of_items_is_refused_with_a_type(store: Store, items: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        store.append_batch(lie(items))
    with pytest.raises(InvalidArgument):
        store.submit_batch(lie(items))

    assert caught.value.argument == "items"


def test_what_the_items_raise_while_they_are_listed_comes_through(store: Store) -> None:
    def items() -> Iterator[BatchItem]:
        yield from counted(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.append_batch(items())

    assert store.append(USER, Counted(n=0)).sequence == 0


def test_the_first_wrong_item_is_the_one_that_is_told(store: Store) -> None:
    with pytest.raises(VersionConflict) as caught:
        store.append_batch(
            [
                *counted(0),
                BatchItem(USER, Counted(n=1), expected_version=5),
                BatchItem(USER, Counted(n=2), caused_by=EventId(uuid4())),
            ]
        )
    with pytest.raises(InvalidArgument) as argument:
        store.append_batch([BatchItem(USER, Counted(n=1), flags=-1), lie(None)])

    assert (caught.value.item_index, argument.value.item_index) == (1, 0)


def test_a_prior_item_has_to_come_before(store: Store) -> None:
    for index, wrong in enumerate([0, 1, 2, 10**30]):
        items = [*counted(*range(index)), BatchItem(USER, Counted(n=9), caused_by=PriorItem(wrong))]

        with pytest.raises(UnknownParent) as caught:
            store.append_batch(items)

        assert (caught.value.reason, caught.value.item_index) == (ParentFault.PRIOR_ITEM, index)


def test_a_batch_at_its_limits_passes_and_one_more_does_not() -> None:
    limits = Limits(batch_max_items=3, batch_max_bytes=300, payload_max_bytes=250)
    overhead = len(b"\x81\xa4text\xd9\x00")
    with in_memory(config=StoreConfig(lifecycle_events=False, limits=limits)) as store:
        half, more = Said(text="x" * (150 - overhead)), Said(text="x" * (151 - overhead))

        with pytest.raises(TooLarge) as items:
            store.append_batch(counted(1, 2, 3, 4))
        with pytest.raises(TooLarge) as size:
            store.append_batch([BatchItem(USER, half), BatchItem(USER, more)])
        with pytest.raises(TooLarge) as extension:
            store.append_batch(
                [BatchItem(USER, half), BatchItem(USER, half, extensions={"a.b": b""})]
            )
        fitting = store.append_batch([BatchItem(USER, half), BatchItem(USER, half)])
        three = store.append_batch(counted(1, 2, 3))

    assert (items.value.size, items.value.limit) == (4, 3)
    assert (size.value.size, size.value.limit) == (301, 300)
    assert (extension.value.size, extension.value.limit) == (303, 300)
    assert [one.sequence for one in (*fitting, *three)] == [0, 1, 2, 3, 4]


# ----------------------------------------------------------------------------------------- keys


def test_keys_of_items_are_all_there_or_none_and_never_twice(store: Store) -> None:
    twice = [*keyed(0, 1), BatchItem(OTHER, Said(text="x"), idempotency_key=b"k0")]

    with pytest.raises(IdempotencyConflict) as late:
        store.append_batch([*keyed(0, 1), *counted(2)])
    with pytest.raises(IdempotencyConflict) as early:
        store.append_batch([*counted(2), *keyed(0)])
    with pytest.raises(IdempotencyConflict) as same:
        store.append_batch(twice)
    with pytest.raises(InvalidArgument) as both:
        store.append_batch([*counted(1), *keyed(0)], idempotency_key="batch")

    assert (late.value.reason, late.value.item_index) == (KeyFault.MIXED, 2)
    assert (early.value.reason, early.value.item_index) == (KeyFault.MIXED, 1)
    assert (same.value.reason, same.value.item_index) == (KeyFault.DUPLICATE, 2)
    assert (both.value.argument, both.value.item_index) == ("idempotency_key", 1)
    assert store.append_batch(keyed(0, 1))[0].replayed is False  # no key was used up


def test_a_repetition_is_answered_before_versions_and_parents_are_looked_at(store: Store) -> None:
    def items(number: int) -> list[BatchItem]:
        return [
            BatchItem(USER, Counted(n=number), expected_version=0, flags=number),
            BatchItem(USER, Counted(n=2), caused_by=PriorItem(0), expected_version=1),
        ]

    first = store.append_batch(items(1), idempotency_key="b")
    store.append(USER, Counted(n=3))

    again = store.append_batch(items(1), idempotency_key="b", caused_by=EventId(uuid4()))
    with pytest.raises(VersionConflict):
        store.append_batch(items(1), idempotency_key="new")
    with pytest.raises(IdempotencyConflict) as other:
        store.append_batch(items(2), idempotency_key="b")

    assert claims(again) == claims(first)
    assert [one.replayed for one in again] == [True, True]
    assert (other.value.reason, other.value.differs) == (KeyFault.DIFFERS, frozenset({"content"}))
    assert (other.value.item_index, other.value.sequence) == (0, 0)
    assert store.count() == 3


def test_items_may_be_repeated_in_another_order_and_alone(store: Store) -> None:
    one, two, three = store.append_batch(keyed(1, 2, 3))

    swapped = store.append_batch(keyed(3, 1))
    single = store.append(USER, Counted(n=2), idempotency_key="k2")

    assert claims(swapped) == claims((three, one))
    assert single.claim == two.claim
    assert store.count() == 3


@pytest.mark.parametrize("numbers", [(1, 9), (9, 1), (9, 1, 2), (1, 2, 3, 9)])
def test_a_batch_that_is_known_in_part_is_refused(store: Store, numbers: tuple[int, ...]) -> None:
    store.append_batch(keyed(1, 2, 3))

    with pytest.raises(IdempotencyConflict) as caught:
        store.append_batch(keyed(*numbers))

    assert caught.value.reason is KeyFault.PARTIAL
    assert caught.value.item_index == numbers.index(9)
    assert caught.value.key == b"k9"
    assert store.append_batch(keyed(9))[0].sequence == 3  # its key is free


def test_a_key_of_a_batch_belongs_to_a_batch_of_that_many_items(store: Store) -> None:
    first = store.append_batch(counted(0, 1, 2), idempotency_key="b")

    for number in (1, 2, 4):
        with pytest.raises(IdempotencyConflict) as caught:
            store.append_batch(counted(*range(number)), idempotency_key="b")
        assert caught.value.reason is KeyFault.COUNT
    own = store.append(USER, Counted(n=0), idempotency_key="b")  # of an event, not of a batch

    assert not own.replayed
    assert claims(store.append_batch(counted(0, 1, 2), idempotency_key="b")) == claims(first)
    assert store.count() == 4


@pytest.mark.parametrize("numbers", [(0,), (0, 1), (0, 1, 2, 3)])
def test_a_key_of_a_batch_is_known_to_its_neighbours_in_the_group(numbers: tuple[int, ...]) -> None:
    with in_memory() as store:  # no thread of the store has its turn: all three are one group
        first = store.submit_batch(counted(0, 1, 2), idempotency_key="b")
        other = store.submit_batch(counted(*numbers), idempotency_key="b")
        again = store.submit_batch(counted(0, 1, 2), idempotency_key="b")

        store.append(USER, Counted(n=9))

        error = other.exception()
        assert isinstance(error, IdempotencyConflict)
        assert error.reason is KeyFault.COUNT
        assert claims(again.result()) == claims(first.result())
        assert [one.replayed for one in again.result()] == [True] * 3
        assert store.diagnostics().groups == 1
        assert store.count() == 4


def test_keys_are_kept_over_files_and_opens(tmp_path: Path) -> None:
    config = StoreConfig(
        lifecycle_events=False, durability=Durability.OS, limits=Limits(segment_max_bytes=4 << 10)
    )
    with Store.open(tmp_path / "store", config) as store:
        whole = [store.append_batch(counted(n, n), idempotency_key=f"b{n}") for n in range(40)]
        own = [store.append_batch(keyed(2 * n, 2 * n + 1)) for n in range(40)]
        here = [store.append_batch(counted(n, n), idempotency_key=f"b{n}") for n in range(40)]
    with Store.open(tmp_path / "store", config) as store:
        there = [store.append_batch(counted(n, n), idempotency_key=f"b{n}") for n in range(40)]
        items = [store.append_batch(keyed(2 * n, 2 * n + 1)) for n in range(40)]
        assert store.open_report.segments > 5
        assert store.count() == 160

    assert [claims(one) for one in here] == [claims(one) for one in whole]
    assert [claims(one) for one in there] == [claims(one) for one in whole]
    assert [claims(one) for one in items] == [claims(one) for one in own]
    assert {one.durability for batch in there for one in batch} == {Durability.COMMIT}
