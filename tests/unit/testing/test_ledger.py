"""A ledger in memory answers as a store does: receipts, refusals and what is read back.

Without this, a rule of a machine would pass its tests over a ledger that lets pass what no store
does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak import BatchItem, Coordinate, Form, Ledger, PriorItem, Store, VersionConflict
from batpak.errors import (
    BatpakError,
    IdempotencyConflict,
    InvalidArgument,
    InvalidCoordinate,
    InvalidKind,
    TooLarge,
    UnknownParent,
)
from batpak.ids import EventId
from batpak.system import OpenCompleted
from batpak.testing import MemoryLedger, sample
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, USER, Counted, Said

OTHER = Coordinate("user:2", "acme")

CALLS = st.fixed_dictionaries(
    {
        "coord": st.sampled_from([USER, OTHER]),
        "payload": st.sampled_from([Counted(n=1), Counted(n=2), Said(text="x")]),
        "expected_version": st.none() | st.integers(0, 3),
        "idempotency_key": st.none() | st.sampled_from(["a", b"b"]),
        "flags": st.integers(0, 2),
    }
)


def answered(ledger: Ledger, call: dict[str, Any]) -> object:
    """What comes of a call: what is the same for every ledger."""
    try:
        receipt = ledger.append(**call)
    except BatpakError as error:
        return type(error), str(error)
    return (
        (receipt.sequence, receipt.version, receipt.kind, receipt.payload_version),
        (receipt.coordinate, receipt.content_hash, receipt.flags, receipt.replayed),
    )


@given(st.lists(CALLS, max_size=8))
def test_it_answers_every_append_as_a_store_does(calls: list[dict[str, Any]]) -> None:
    ledger = MemoryLedger()
    with Store.open("store", FAST, platform=SimPlatform()) as store:
        for call in calls:
            assert answered(ledger, call) == answered(store, call)
        forms: tuple[Form[Any], ...] = (Form.TYPED, Form.DICT, Form.RAW)
        for where in (USER, OTHER):
            for form in forms:
                mine = [(e.version, e.payload) for e in ledger.stream(where.entity, form=form)]
                theirs = [(e.version, e.payload) for e in store.stream(where.entity, form=form)]
                assert mine == theirs


def test_everything_that_is_given_is_read_back() -> None:
    ledger = MemoryLedger()
    cause = ledger.append(USER, Counted(n=1))
    receipt = ledger.append(
        USER,
        Said(text="x"),
        idempotency_key="k",
        caused_by=cause,
        flags=5,
        extensions={"a.b": b"c"},
    )

    first, second = ledger.stream(USER.entity, form=Form.TYPED)

    assert (second.payload, second.coordinate) == (Said(text="x"), USER)
    assert second.causation_id == first.event_id
    assert second.correlation_id == first.correlation_id
    assert (second.idempotency_key, second.flags) == (b"k", 5)
    assert second.extensions == receipt.extensions == {"a.b": b"c"}
    assert second.prev_hash == first.event_hash
    assert second.recorded_at > first.recorded_at


def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    ledger = MemoryLedger()
    items = [
        BatchItem(USER, Counted(n=1)),
        BatchItem(OTHER, Said(text="x"), caused_by=PriorItem(0)),
    ]

    receipts = ledger.append_batch(items, idempotency_key="both")

    assert [one.version for one in receipts] == [1, 1]
    assert [one.replayed for one in ledger.append_batch(items, idempotency_key="both")] == [
        True
    ] * 2
    with pytest.raises(VersionConflict) as refused:
        ledger.append_batch(
            [BatchItem(USER, Counted(n=2)), BatchItem(OTHER, Counted(n=3), expected_version=0)]
        )
    assert refused.value.item_index == 1
    assert len(list(ledger.stream(USER.entity, form=Form.RAW))) == 1
    assert ledger.append_batch([]) == ()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ({"coord": "user:1"}, InvalidArgument),
        ({"coord": Coordinate("batpak:x", "acme")}, InvalidCoordinate),
        ({"payload": {"n": 1}}, InvalidArgument),
        ({"payload": sample(OpenCompleted)}, InvalidKind),
        ({"payload": Said(text="x" * (1 << 20))}, TooLarge),
        ({"idempotency_key": ""}, InvalidArgument),
        ({"caused_by": EventId(UUID(int=7))}, UnknownParent),
    ],
    ids=str,
)
def test_it_refuses_what_a_store_refuses(call: dict[str, Any], error: type[BatpakError]) -> None:
    ledger = MemoryLedger()

    with pytest.raises(error):
        ledger.append(**{"coord": USER, "payload": Counted(n=1), **call})

    assert list(ledger.stream(USER.entity, form=Form.RAW)) == []


def test_a_key_means_the_first_event_that_had_it() -> None:
    ledger = MemoryLedger()
    ledger.append(USER, Counted(n=1), idempotency_key="k")

    with pytest.raises(IdempotencyConflict):
        ledger.append(USER, Counted(n=2), idempotency_key="k")


def test_what_is_stored_does_not_change_with_what_was_given() -> None:
    ledger = MemoryLedger()
    extensions = {"a.b": b"c"}
    ledger.append(USER, Counted(n=1), extensions=cast("Any", extensions))

    extensions.clear()

    (event,) = ledger.stream(USER.entity, form=Form.TYPED)
    assert event.extensions == {"a.b": b"c"}


def test_threads_share_it() -> None:
    ledger = MemoryLedger()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ledger.append(USER, Counted(n=n)), range(64)))

    versions = [event.version for event in ledger.stream(USER.entity, form=Form.RAW)]
    assert versions == list(range(1, 65))
