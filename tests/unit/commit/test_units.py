"""Units: a batch chains its items and is repeated whole, a ticket is answered, a window is kept.

Would slip through without it: a refused batch that uses up a number, an answer that is not the
first one, a submission that nobody commits, a sync that never comes.
"""

from __future__ import annotations

import errno
import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from batpak.append import AppendReceipt, BatchItem, PriorItem
from batpak.commit.ticket import AppendTicket
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import (
    DurabilityUnknown,
    IdempotencyConflict,
    StoreClosed,
    TooLarge,
    UnknownParent,
    VersionConflict,
    WaitTimeout,
)
from batpak.faults import KeyFault, ParentFault, WriteState
from batpak.store import Store
from batpak.testing.faults import Part, Partial
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, PLAIN, SMALL, USER, Counted

OTHER: Final = Coordinate("user:2", "acme")


def in_memory(sim: SimPlatform | None = None, config: StoreConfig = PLAIN) -> Store:
    """A store whose threads have no turn unless somebody waits, or gives them one."""
    return Store.open("store", config, platform=sim or SimPlatform())


def test_a_batch_chains_its_items_and_stores_all_that_they_say() -> None:
    with in_memory() as store:
        first = store.append(USER, Counted(n=0))
        receipts = store.append_batch(
            [
                BatchItem(USER, Counted(n=1), expected_version=1, extensions={"app.x": b"1"}),
                BatchItem(USER, Counted(n=2), expected_version=2, caused_by=PriorItem(0), flags=3),
                BatchItem(OTHER, Counted(n=3)),
            ],
            caused_by=first,
        )
        events = [store.get(receipt.event_id) for receipt in receipts]

    assert [event.sequence for event in events] == [1, 2, 3]
    assert [event.version for event in events] == [2, 3, 1]
    assert events[1].prev_hash == events[0].event_hash
    assert [event.causation_id for event in events] == [
        first.event_id,
        events[0].event_id,
        first.event_id,
    ]
    assert {event.correlation_id for event in events} == {first.correlation_id}
    assert events[0].extensions == {"app.x": b"1"}
    assert events[1].flags == 3


def test_a_refused_batch_consumes_nothing_and_names_the_item() -> None:
    fine, wrong = BatchItem(USER, Counted(n=1)), BatchItem(USER, Counted(n=2), expected_version=9)
    with in_memory() as store:
        store.append(USER, Counted(n=0))

        with pytest.raises(VersionConflict) as version:
            store.append_batch([fine, wrong])
        with pytest.raises(UnknownParent) as parent:
            store.append_batch([BatchItem(USER, Counted(n=1), caused_by=PriorItem(0))])
        with pytest.raises(IdempotencyConflict) as mixed:
            store.append_batch([BatchItem(USER, Counted(n=1), idempotency_key="a"), fine])
        with pytest.raises(IdempotencyConflict) as twice:
            store.append_batch([BatchItem(USER, Counted(n=1), idempotency_key="a")] * 2)
        with pytest.raises(TooLarge):
            store.append_batch([fine] * 257)
        assert store.append_batch([]) == ()
        after = store.append(USER, Counted(n=3))

    assert (version.value.item_index, version.value.actual) == (1, 2)
    assert (parent.value.item_index, parent.value.reason) == (0, ParentFault.PRIOR_ITEM)
    assert (mixed.value.reason, mixed.value.item_index) == (KeyFault.MIXED, 1)
    assert (twice.value.reason, twice.value.item_index) == (KeyFault.DUPLICATE, 1)
    assert (after.sequence, after.version) == (1, 2)


def keyed(*numbers: int) -> list[BatchItem]:
    return [BatchItem(USER, Counted(n=n), idempotency_key=f"k{n}") for n in numbers]


def test_a_repeated_batch_gives_its_first_receipts_also_after_an_open(tmp_path: Path) -> None:
    plain = [BatchItem(USER, Counted(n=n)) for n in range(3)]
    with Store.open(tmp_path / "store", PLAIN) as store:
        own = store.append_batch(keyed(0, 1))
        whole = store.append_batch(plain, idempotency_key="batch")
    with Store.open(tmp_path / "store", PLAIN) as store:
        again = store.append_batch(keyed(0, 1))
        whole_again = store.append_batch(plain, idempotency_key="batch")
        with pytest.raises(IdempotencyConflict) as partial:
            store.append_batch(keyed(0, 2))
        with pytest.raises(IdempotencyConflict) as count:
            store.append_batch(plain[:2], idempotency_key="batch")
        with pytest.raises(IdempotencyConflict) as differs:
            store.append_batch(
                [*keyed(0), *keyed(1)[:0], BatchItem(OTHER, Counted(n=1), idempotency_key="k1")]
            )
        total = store.count()

    assert [one.claim for one in again] == [one.claim for one in own]
    assert [one.claim for one in whole_again] == [one.claim for one in whole]
    assert all(one.replayed for one in (*again, *whole_again))
    assert partial.value.reason is KeyFault.PARTIAL
    assert count.value.reason is KeyFault.COUNT
    assert (differs.value.reason, differs.value.item_index) == (KeyFault.DIFFERS, 1)
    assert total == 5


def test_submissions_and_appends_of_one_thread_keep_their_order(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        tickets = [store.submit(USER, Counted(n=n)) for n in range(1000)]
        last = store.append(USER, Counted(n=1000))
        receipts = [ticket.result(10) for ticket in tickets]

    assert [receipt.sequence for receipt in receipts] == list(range(1000))
    assert last.sequence == 1000


def test_a_full_line_is_served_by_who_submits() -> None:
    config = StoreConfig(
        durability=Durability.OS, lifecycle_events=False, limits=Limits(queue_capacity=3)
    )
    with in_memory(config=config) as store:  # where no thread of the store has had its turn
        tickets = [store.submit(USER, Counted(n=n)) for n in range(10)]

        assert sum(ticket.done() for ticket in tickets) >= 6
        assert store.diagnostics().pressure.queued <= 3


def test_a_ticket_tells_what_is_known() -> None:
    called: list[int] = []
    sim = SimPlatform()
    with in_memory(sim) as store:
        ticket = store.submit(USER, Counted(n=1), expected_version=0)
        refused = store.submit_batch([BatchItem(USER, Counted(n=2), expected_version=9)])
        sim.turns.threads.clear()  # so that nobody commits them
        ticket.add_done_callback(lambda: called.append(store.append(USER, Counted(n=3)).version))

        with pytest.raises(WaitTimeout) as caught:
            ticket.result(0.01)
        assert not ticket.done()
        store.append(USER, Counted(n=2))
        assert ticket.result(0).version == 1
        assert isinstance(refused.exception(0), VersionConflict)
        with pytest.raises(VersionConflict):
            refused.result()
        ticket.add_done_callback(lambda: called.append(0))

    assert caught.value.state is WriteState.UNDECIDED
    assert called == [3, 0]


def test_a_failure_that_nobody_asked_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with in_memory() as store:
        store.submit(USER, Counted(n=1), expected_version=9)
        store.append(USER, Counted(n=2))

    (said,) = [record for record in caplog.records if "nobody asked" in record.message]
    assert said.levelname == "ERROR"
    assert vars(said)["store_id"] == str(store.store_id)
    assert vars(said)["path"] == store.open_report.path


def test_closing_answers_every_ticket(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", FAST)
    tickets: list[AppendTicket] = []
    failed: list[BaseException] = []

    def submit() -> None:
        try:
            while True:
                tickets.append(store.submit(USER, Counted(n=len(tickets))))
        except StoreClosed as error:
            failed.append(error)

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    store.close()
    for thread in threads:
        thread.join()

    stored = {ticket.result(5).event_id for ticket in tickets if ticket.exception(5) is None}
    assert len(failed) == 4
    with Store.open_read_only(tmp_path / "store") as reader:
        assert {event.event_id for event in reader.query()} == stored


def test_callers_that_meet_share_a_sync(tmp_path: Path) -> None:
    each = 40

    with Store.open(tmp_path / "store", PLAIN) as store:

        def write() -> None:
            for n in range(each):
                store.append(USER, Counted(n=n))

        threads = [threading.Thread(target=write) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seen = store.diagnostics()

    assert seen.units == 8 * each
    assert seen.groups < seen.units
    assert seen.units_per_group > 1


def until(holds: Callable[[], bool]) -> bool:
    stop = time.monotonic() + 10
    while not holds() and time.monotonic() < stop:
        time.sleep(0.005)
    return holds()


def test_an_interval_is_kept_by_count_and_by_time(tmp_path: Path) -> None:
    config = StoreConfig(
        durability=Durability.INTERVAL,
        sync_every_n_events=10,
        sync_every_ms=20,
        lifecycle_events=False,
    )
    with Store.open(tmp_path / "store", config) as store:
        receipts = [store.append(USER, Counted(n=n)) for n in range(95)]
        lag = store.frontier().visible_minus_durable
        in_time = until(lambda: store.frontier().durable == 95)

    assert {receipt.durability for receipt in receipts} == {Durability.INTERVAL}
    assert lag < 10
    assert in_time


def test_the_os_level_syncs_when_it_is_told_to(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        receipt = store.append(USER, Counted(n=1), idempotency_key="k")
        before = store.frontier()
        after = store.sync()
        again = store.append(USER, Counted(n=1), idempotency_key="k")
        note = store.checkpoint()

    assert receipt.durability is Durability.OS
    assert (before.durable, after.durable) == (0, 1)
    assert again.durability is Durability.COMMIT  # it is true now
    assert (note.events, note.head) == (1, receipt.event_hash)


def test_sixteen_threads_with_one_key_store_one_event(tmp_path: Path) -> None:
    receipts: list[AppendReceipt] = []

    with Store.open(tmp_path / "store", FAST) as store:

        def write() -> None:
            receipts.append(store.append(USER, Counted(n=1), idempotency_key="one"))

        threads = [threading.Thread(target=write) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        total = store.count()

    assert total == 1
    assert len({receipt.claim.head for receipt in receipts}) == 1
    assert sum(not receipt.replayed for receipt in receipts) == 1


def test_a_refused_append_is_forgotten_when_nobody_holds_its_error() -> None:
    """Its traceback leads to the plan of the group, and the plan to it."""
    before = conflicts()
    with Store.open("store", SMALL, platform=SimPlatform()) as store:
        for _ in range(20):
            with pytest.raises(VersionConflict):
                store.append(USER, Counted(n=1), expected_version=99)

    assert conflicts() - before <= 1  # the last one may still be somebody's


def conflicts() -> int:
    """How many of them there are in memory."""
    gc.collect()
    return sum(isinstance(one, VersionConflict) for one in gc.get_objects())


def test_a_write_that_cannot_be_taken_back_leaves_it_open_what_is_stored() -> None:
    sim = SimPlatform()
    store = Store.open("store", SMALL, platform=sim)
    store.append(USER, Counted(n=0))
    sim.fail_at(1, Partial(Part.ALL_BUT_ONE, errno.ENOSPC), kind="write")
    sim.fail_at(2, errno.EIO, kind=("write", "truncate"), sticky=True)
    tickets = [store.submit(USER, Counted(n=n)) for n in (1, 2)]

    errors = [ticket.exception() for ticket in tickets]

    assert [type(error) for error in errors] == [DurabilityUnknown] * 2
    sim.faults.clear()
    store.close()
    with Store.open("store", SMALL, platform=sim) as again:
        assert again.count() == 2  # the first of them was written whole
