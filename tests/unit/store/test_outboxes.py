"""Outboxes: what is gathered is stored once, however often it is flushed, and never by accident.

Would slip through without it: a flush that is repeated after an unknown outcome and stores twice,
or that mixes what is stored with what is not; items that are gone though nobody has stored them.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Mapping
from uuid import uuid4

import pytest
from msgspec.structs import replace

from batpak.append import PriorItem
from batpak.config import Limits
from batpak.coordinate import Coordinate
from batpak.errors import (
    BatpakError,
    DurabilityUnknown,
    IdempotencyConflict,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    TooLarge,
    UnknownParent,
    VersionConflict,
    WaitTimeout,
)
from batpak.faults import KeyFault, ParentFault, WriteState
from batpak.outbox import Outbox
from batpak.override import override
from batpak.report import Watermark
from batpak.store import Store
from batpak.testing.faults import Kind, Part, Partial
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, PLAIN, USER, Counted, Said

OTHER = Coordinate("user:2", "acme")


@pytest.fixture
def sim() -> SimPlatform:
    return SimPlatform()


@pytest.fixture
def store(sim: SimPlatform) -> Iterator[Store]:
    with Store.open("store", PLAIN, platform=sim) as opened:
        yield opened


def numbers(store: Store) -> list[int]:
    return [event.payload.n for event in store.by_fact(Counted)]


def staged(store: Store, *numbers: int) -> Outbox:
    outbox = store.outbox()
    for n in numbers:
        outbox.stage(USER, Counted(n=n))
    return outbox


# ---------------------------------------------------------------------------------------- staging


def test_what_is_staged_is_stored_as_one_batch_at_the_end_of_the_block(store: Store) -> None:
    root = store.append(USER, Counted(n=0))
    talk = uuid4()
    with store.outbox(correlation_id=talk, caused_by=root) as outbox:
        first = outbox.stage(USER, Counted(n=1), expected_version=1, extensions={"app.x": b"1"})
        then = outbox.stage(USER, Counted(n=2), expected_version=2, caused_by=first, flags=3)
        raw = outbox.stage_raw(OTHER, Counted.KIND, b"\x81\xa1n\x03", caused_by=then)
        assert (first, then, raw) == (PriorItem(0), PriorItem(1), PriorItem(2))
        assert len(outbox) == len(outbox.items) == 3
        assert store.count() == 1

    assert len(outbox) == 0
    one, two, three = list(store.by_fact(Counted))[1:]
    assert [it.payload.n for it in (one, two, three)] == [1, 2, 3]
    causes = [it.causation_id for it in (one, two, three)]
    assert causes == [root.event_id, one.event_id, two.event_id]
    assert {it.correlation_id for it in (one, two, three)} == {talk}
    assert (one.extensions, two.flags) == ({"app.x": b"1"}, 3)
    assert {it.head[14:18] for it in (one, two, three)} == {b"\0\0\0\3"}, "not one batch"
    assert len({it.idempotency_key for it in (one, two, three)}) == 3


def test_a_block_that_fails_stores_nothing(store: Store) -> None:
    outbox = staged(store, 1)
    with pytest.raises(ZeroDivisionError), outbox:
        raise ZeroDivisionError

    assert (len(outbox), store.count()) == (0, 0)


def test_what_is_wrong_is_refused_when_it_is_staged(sim: SimPlatform) -> None:
    limits = Limits(payload_max_bytes=100, batch_max_bytes=150, batch_max_items=3)
    with Store.open("store", replace(PLAIN, limits=limits), platform=sim) as store:
        outbox = store.outbox()
        outbox.stage(USER, Counted(n=0), idempotency_key="k")
        wrong: list[tuple[Callable[[], object], type[BatpakError]]] = [
            (lambda: outbox.stage(USER, Counted(n=1), flags=999), InvalidArgument),
            (lambda: outbox.stage(USER, Counted(n=1), caused_by=PriorItem(1)), UnknownParent),
            (lambda: outbox.stage(USER, Counted(n=1), idempotency_key="k"), IdempotencyConflict),
            (lambda: outbox.stage(USER, Said(text="x" * 100)), TooLarge),
        ]
        errors: list[BatpakError] = []
        for call, cls in wrong:
            with pytest.raises(cls) as caught:
                call()
            errors.append(caught.value)
        outbox.stage(USER, Said(text="x" * 80))
        with pytest.raises(TooLarge) as size:
            outbox.stage(USER, Said(text="x" * 80))
        outbox.stage(USER, Counted(n=1))
        with pytest.raises(TooLarge) as items:
            outbox.stage(USER, Counted(n=2))

        assert {error.item_index for error in errors} == {1}
        assert (size.value.what, items.value.what) == ("outbox", "number of items in an outbox")
        _, parent, key, _ = errors
        assert isinstance(parent, UnknownParent)
        assert parent.reason is ParentFault.PRIOR_ITEM
        assert isinstance(key, IdempotencyConflict)
        assert key.reason is KeyFault.DUPLICATE
        assert len(outbox.flush()) == 3


def test_an_outbox_can_be_used_again_and_an_empty_flush_is_nothing(
    store: Store, sim: SimPlatform
) -> None:
    outbox = staged(store, 1)
    outbox.flush()
    before = sim.calls
    assert outbox.flush() == ()
    assert outbox.submit_flush().result() == ()
    assert [call.kind for call in sim.trace[before:] if call.kind in ("write", "sync")] == []
    outbox.stage(USER, Counted(n=2))
    outbox.stage(USER, Counted(n=3), caused_by=PriorItem(0))
    assert [one.sequence for one in outbox.flush()] == [1, 2]
    outbox.stage(USER, Counted(n=4))
    outbox.clear()
    assert outbox.flush() == ()
    assert numbers(store) == [1, 2, 3]


def test_what_is_dropped_unflushed_is_told(store: Store) -> None:
    outboxes = [staged(store, 1, 2)]
    with pytest.warns(ResourceWarning, match="2 events"):
        outboxes.clear()
    assert store.count() == 0


# --------------------------------------------------------------------------------------- repeating


def test_a_flush_that_was_undone_is_repeated(store: Store, sim: SimPlatform) -> None:
    outbox = staged(store, 1, 2)
    sim.fail_at(1, Partial(Part.HALF, errno.ENOSPC), kind="write")
    with pytest.raises(StorageFailed):
        outbox.flush()
    assert len(outbox) == 2
    outbox.stage(USER, Counted(n=3))

    assert not any(one.replayed for one in outbox.flush())
    assert numbers(store) == [1, 2, 3]


@pytest.mark.parametrize("kind", ["write", "sync"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_flush_with_an_unknown_outcome_is_repeated_on_the_next_handle(
    kind: Kind, lost: bool
) -> None:
    sim = SimPlatform()
    store = Store.open("store", PLAIN, platform=sim)
    outbox = staged(store, 1, 2)
    sim.fail_at(1, errno.EIO, kind=kind, sticky=True)
    with pytest.raises(BatpakError) as caught:
        outbox.flush()
    sim.faults.clear()
    assert isinstance(caught.value, DurabilityUnknown if kind == "sync" else StorageFailed)
    items = outbox.items
    assert len(items) == 2
    store.close()
    after = sim.crash() if lost else sim

    with Store.open("store", PLAIN, platform=after) as again:
        first = again.append_batch(items)
        second = again.append_batch(items)
        assert numbers(again) == [1, 2]
    assert [one.claim for one in first] == [one.claim for one in second]
    outbox.clear()


def test_a_flush_that_was_stored_and_not_told_is_answered_with_its_receipts(
    sim: SimPlatform,
) -> None:
    with Store.open("store", FAST, platform=sim) as store:
        outbox = staged(store, 1)
        with store.applier("slow"):
            with pytest.raises(WaitTimeout) as caught:
                outbox.flush(wait_for=Watermark.APPLIED, timeout_s=0.01)
            assert caught.value.state is WriteState.COMMITTED
        assert len(outbox) == 0, "it is stored"
        outbox.stage(USER, Counted(n=2))
        outbox.flush()
        assert numbers(store) == [1, 2]


def test_what_the_log_refuses_stays_staged(store: Store) -> None:
    outbox = store.outbox()
    outbox.stage(USER, Counted(n=1), expected_version=1)
    with pytest.raises(VersionConflict):
        outbox.flush()
    ticket = outbox.submit_flush()
    store.append(USER, Counted(n=0))
    assert isinstance(ticket.exception(0), VersionConflict)
    assert len(outbox) == 1
    assert [one.version for one in outbox.flush()] == [2]


# -------------------------------------------------------------------------------------- submitting


def test_items_leave_when_what_was_submitted_is_stored(store: Store) -> None:
    outbox = staged(store, 1, 2)
    ticket = outbox.submit_flush()
    assert len(outbox) == 2
    for change in (lambda: outbox.stage(USER, Counted(n=3)), outbox.clear):
        with pytest.raises(InvalidArgument) as caught:
            change()
        assert caught.value.argument == "outbox"
    again = outbox.submit_flush()
    store.append(OTHER, Counted(n=0))

    assert len(outbox) == 0
    assert [one.claim for one in again.result(0)] == [one.claim for one in ticket.result(0)]
    assert all(one.replayed for one in again.result(0))
    outbox.stage(USER, Counted(n=3))
    assert outbox.flush()[0].version == 3
    assert numbers(store) == [1, 2, 0, 3]


def test_a_flush_of_what_stands_in_line_already_gets_its_receipts(store: Store) -> None:
    outbox = staged(store, 1)
    ticket = outbox.submit_flush()
    with outbox:
        pass

    assert ticket.done()
    assert numbers(store) == [1]


# --------------------------------------------------------------------------------------------- use


def test_an_outbox_is_for_one_thread_at_a_time(store: Store) -> None:
    """Which is said while another one is inside."""
    outbox, errors = store.outbox(), list[BaseException]()

    def other() -> None:
        try:
            outbox.stage(USER, Counted(n=2))
        except InvalidArgument as error:
            errors.append(error)

    class Slow(Mapping[str, bytes]):
        """Looked at while an item is checked."""

        @override
        def __getitem__(self, name: str) -> bytes:
            thread = threading.Thread(target=other)
            thread.start()
            thread.join(10)
            return b"1"

        @override
        def __iter__(self) -> Iterator[str]:
            return iter(["app.x"])

        @override
        def __len__(self) -> int:
            return 1

    outbox.stage(USER, Counted(n=1), extensions=Slow())
    outbox.flush()

    (error,) = errors
    assert isinstance(error, InvalidArgument)
    assert error.argument == "thread"
    assert numbers(store) == [1]


def test_an_outbox_of_a_closed_store_still_has_its_items(store: Store) -> None:
    outbox = staged(store, 1)
    store.close()
    for call in (outbox.flush, outbox.submit_flush, lambda: outbox.stage(USER, Counted(n=2))):
        with pytest.raises(StoreClosed):
            call()
    assert len(outbox.items) == 1
    outbox.clear()
