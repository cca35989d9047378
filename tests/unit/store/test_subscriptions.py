"""Lossy subscriptions: what comes comes in order, what does not is counted, and nobody is held up.

Would slip through without it: a reader that sleeps on although something came or all is over; a
callback under the lane, where an append would hang; an event that is dropped because it could not
be read. That the buffer is worked out rightly is in tests/property/test_subscriptions.py.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batpak import (
    BatchItem,
    Coordinate,
    CorruptStore,
    Damage,
    EndReason,
    ForkedStoreError,
    InvalidArgument,
    Limits,
    Notification,
    Overflow,
    Region,
    Store,
    StoreConfig,
    StoreReader,
    Subscription,
    SubscriptionEnded,
)
from batpak.commit.waiters import Key
from tests.facts import FAST, USER, Counted, Said

OTHER = Coordinate("other:1", "acme")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "s", FAST) as opened:
        yield opened


def count(store: Store, numbers: int, place: Coordinate = USER) -> None:
    for n in range(numbers):
        store.append(place, Counted(n=n))


def drained(subscription: Subscription) -> list[Notification]:
    return list(iter(lambda: subscription.recv(0), None))


class Sleeper:
    """A thread that receives, and what came of it."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.answer: object = "asleep"
        self._act = act
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        time.sleep(0.05)

    def _run(self) -> None:
        try:
            self.answer = self._act()
        except SubscriptionEnded as end:
            self.answer = end

    def woken(self) -> object:
        self._thread.join(20)
        return self.answer


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself: who is not woken sleeps for ever."""
    for name in ("PATIENCE_S", "LONG_PATIENCE_S"):
        monkeypatch.setattr(f"batpak.commit.waiters.{name}", 60.0)


# ------------------------------------------------------------------------------------- receiving


def test_a_subscription_tells_what_comes_and_nothing_of_what_was(store: Store) -> None:
    count(store, 2)
    subscription = store.subscribe_lossy(Region(entity="user", kinds=Counted))
    receipt = store.append(USER, Counted(n=7), caused_by=store.get(0).event_id)
    store.append(OTHER, Counted(n=8))
    store.append(USER, Said(text="no"))

    (found,) = drained(subscription)

    assert (found.sequence, found.version, found.missed) == (2, 3, 0)
    assert (found.event_id, found.coordinate, found.kind) == (receipt.event_id, USER, Counted.KIND)
    assert found.causation_id == store.get(0).event_id
    assert found.correlation_id == store.get(2).correlation_id
    assert store.get(found, Counted).payload.n == 7
    assert "missed=0" in repr(found)
    assert {found: 1}[found] == 1


def test_what_is_dropped_is_counted_and_where_it_was_is_said(store: Store) -> None:
    def told(overflow: Overflow) -> list[tuple[int, int]]:
        subscription = store.subscribe_lossy(capacity=2, overflow=overflow)
        first = store.frontier().visible
        count(store, 5)
        assert (subscription.pending, subscription.lost) == (2, 3)
        found = drained(subscription)
        count(store, 1)
        found += drained(subscription)
        assert sum(one.missed for one in found) == subscription.lost == 6 - len(found)
        return [(one.sequence - first, one.missed) for one in found]

    assert told(Overflow.DROP_OLDEST) == [(3, 3), (4, 0), (5, 0)]
    assert told(Overflow.DROP_NEWEST) == [(0, 0), (1, 0), (5, 3)]


def test_a_disconnected_reader_gets_what_was_buffered_and_then_the_reason(store: Store) -> None:
    subscription = store.subscribe_lossy(capacity=2, overflow=Overflow.DISCONNECT)
    count(store, 3)
    found: list[int] = []

    def receive() -> None:
        for one in subscription:
            found.append(one.sequence)
            count(store, 1)  # there is room now, but it is over

    with pytest.raises(SubscriptionEnded) as caught:
        receive()

    assert found == [0, 1]
    assert (caught.value.reason, caught.value.lost) == (EndReason.OVERFLOW, 3)
    count(store, 4)
    with pytest.raises(SubscriptionEnded) as again:
        subscription.recv(0)
    assert (again.value.lost, subscription.lost, subscription.pending) == (3, 3, 0)


@pytest.mark.usefixtures("impatient")
def test_a_batch_is_announced_whole(store: Store) -> None:
    subscription = store.subscribe_lossy(Region(kinds=Said))
    sleeper = Sleeper(lambda: (subscription.recv(), subscription.pending))
    store.append_batch([BatchItem(USER, Said(text="a")) for _ in range(100)])

    found = sleeper.woken()

    assert isinstance(found, tuple)
    assert found[1] == 99


def test_time_runs_out_with_none_and_without_waiting_when_none_is_wanted(store: Store) -> None:
    subscription = store.subscribe_lossy()
    began = time.monotonic()

    assert subscription.recv(0) is None
    assert subscription.recv(0.05) is None
    assert 0.05 <= time.monotonic() - began < 5


def test_an_event_that_cannot_be_read_is_not_passed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = store.subscribe_lossy()
    count(store, 2)

    def fail(*_: object) -> None:
        raise CorruptStore("f", 0, Damage.CRC, "no")

    with monkeypatch.context() as patch:
        patch.setattr("batpak.read.fetch.Fetch.entry", fail)
        for _ in range(2):
            with pytest.raises(CorruptStore):
                subscription.recv(0)

    assert [one.sequence for one in drained(subscription)] == [0, 1]


def test_a_capacity_that_is_not_named_is_that_of_the_config(tmp_path: Path) -> None:
    config = StoreConfig(lifecycle_events=False, limits=Limits(subscriber_capacity=3))
    with Store.open(tmp_path / "s", config) as store:
        subscription = store.subscribe_lossy()
        count(store, 5)

        assert (subscription.pending, subscription.lost) == (3, 2)


def test_arguments_that_make_no_sense_are_refused(store: Store) -> None:
    def refused(call: Callable[[], object]) -> str:
        with pytest.raises(InvalidArgument) as caught:
            call()
        return caught.value.argument

    subscription = store.subscribe_lossy()
    for capacity in (0, -1, 1_000_001, True, 1.5):
        assert refused(lambda c=capacity: store.subscribe_lossy(capacity=c)) == "capacity"  # type: ignore[misc]  # how mypy sees a default
    assert refused(lambda: store.subscribe_lossy(overflow="drop")) == "overflow"  # type: ignore[arg-type]  # on purpose
    assert refused(lambda: store.subscribe_lossy("user")) == "region"  # type: ignore[arg-type]  # on purpose
    for seconds in (-1, float("nan"), True, "1"):
        assert refused(lambda s=seconds: subscription.recv(s)) == "timeout_s"  # type: ignore[misc]  # as above
    assert refused(lambda: subscription.on_ready(None)) == "callback"  # type: ignore[arg-type]  # on purpose
    assert refused(lambda: subscription.ops().take(-1)) == "limit"


def test_a_handle_that_only_reads_has_nothing_to_tell(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        count(store, 2)
    with Store.open_read_only(tmp_path / "s") as reader:
        subscription: Subscription = StoreReader.subscribe_lossy(reader)
        assert subscription.recv(0.01) is None
        assert (subscription.pending, subscription.lost) == (0, 0)

        assert not subscription.is_live
        assert list(subscription) == list(subscription.ops()) == []
        with pytest.raises(InvalidArgument, match="only reads") as caught:
            subscription.recv()
        assert caught.value.argument == "timeout_s"
        subscription.close()
        with pytest.raises(SubscriptionEnded):
            subscription.recv()


# -------------------------------------------------------------------------------------- sleeping


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "region",
    [
        Region(),
        Region(entity="user"),
        Region(entity="user:1"),
        Region(scope="acme"),
        Region(kinds=[Said, Counted]),
        Region(entity="user", scope="acme", kinds=Counted, versions=(1, 9)),
    ],
    ids=lambda region: region.identity,
)
def test_who_sleeps_is_woken_by_what_it_waits_for(store: Store, region: Region) -> None:
    subscription = store.subscribe_lossy(region)
    sleeper = Sleeper(subscription.recv)
    store.append(USER, Counted(n=1))

    found = sleeper.woken()

    assert isinstance(found, Notification)
    assert found.sequence == 0


@pytest.mark.usefixtures("impatient")
def test_no_wake_up_is_lost_in_races_of_a_writer_and_a_reader(store: Store) -> None:
    rounds = 3_000
    there, back = (store.subscribe_lossy(Region(entity=name)) for name in ("user", "other"))

    def answer() -> None:
        for _ in range(rounds):
            assert there.recv(30) is not None
            store.append(OTHER, Counted(n=0))

    thread = threading.Thread(target=answer)
    thread.start()
    for _ in range(rounds):
        store.append(USER, Counted(n=0))
        assert back.recv(30) is not None
    thread.join(30)

    assert (there.lost, back.lost, store.frontier().visible) == (0, 0, 2 * rounds)


@pytest.mark.usefixtures("impatient")
def test_a_close_wakes_who_sleeps_and_iterating_ends_quietly(store: Store) -> None:
    subscription = store.subscribe_lossy(Region(entity="user"))
    receiving = Sleeper(subscription.recv)
    with store.subscribe_lossy(Region(kinds=Said)) as other:
        iterating = Sleeper(lambda: list(other))
    subscription.close()
    subscription.close()

    end = receiving.woken()

    assert isinstance(end, SubscriptionEnded)
    assert (end.reason, end.lost) == (EndReason.CLOSED, 0)
    assert iterating.woken() == []
    with pytest.raises(SubscriptionEnded):
        subscription.recv(0)


@pytest.mark.usefixtures("impatient")
def test_the_close_of_the_store_ends_a_subscription_with_what_it_has_lost(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", FAST)
    slow = store.subscribe_lossy(capacity=1)
    sleeper = Sleeper(store.subscribe_lossy(Region(entity="other")).recv)
    count(store, 4)
    store.close()

    end = sleeper.woken()

    assert isinstance(end, SubscriptionEnded)
    assert (end.reason, end.lost) == (EndReason.CLOSED, 0)
    with pytest.raises(SubscriptionEnded) as caught:
        slow.recv()
    assert (caught.value.reason, caught.value.lost) == (EndReason.CLOSED, 3)


def test_a_second_reader_at_the_same_time_is_refused(store: Store) -> None:
    subscription = store.subscribe_lossy()
    sleeper = Sleeper(subscription.recv)

    with pytest.raises(InvalidArgument) as caught:
        subscription.recv(0)
    assert (subscription.pending, subscription.lost) == (0, 0)  # these are for anybody
    count(store, 1)

    assert caught.value.argument == "thread"
    assert isinstance(sleeper.woken(), Notification)
    assert subscription.recv(0) is None  # one after the other is fine


def test_a_forked_child_is_told_that_the_store_is_not_its_own(store: Store) -> None:
    subscription = store.subscribe_lossy()
    child = os.fork()
    if not child:
        code = 1
        try:
            subscription.recv(0)
        except ForkedStoreError:
            code = 0
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --------------------------------------------------------------------------------------- on_ready


def test_a_callback_is_called_once_without_the_lane_when_something_came(store: Store) -> None:
    subscription = store.subscribe_lossy(Region(kinds=Counted, entity="user"))
    called: list[int] = []

    def ready() -> None:
        called.append(subscription.pending)
        store.append(OTHER, Said(text="it may append"))

    subscription.on_ready(ready)
    store.append(OTHER, Counted(n=1))
    store.append(USER, Said(text="another kind, on the same entity"))
    assert called == []
    count(store, 1)
    count(store, 1)
    assert called == [1]
    subscription.on_ready(ready)
    assert called == [1, 2]


@pytest.mark.parametrize("seconds", [float("inf"), 1e10])
def test_a_time_that_nobody_lives_to_see_is_one(store: Store, seconds: float) -> None:
    subscription = store.subscribe_lossy()
    sleeper = Sleeper(lambda: subscription.recv(seconds))
    count(store, 1)
    assert isinstance(sleeper.woken(), Notification)


def test_a_callback_that_was_taken_back_is_not_called_and_not_kept(store: Store) -> None:
    called: list[str] = []
    leave = store.subscribe_lossy().on_ready(lambda: called.append("taken back"))
    assert store._opened.waiters.keyed
    leave()
    leave()
    assert not store._opened.waiters.anybody
    count(store, 1)
    assert called == []


def test_a_callback_is_told_of_the_end_too(tmp_path: Path) -> None:
    called: list[str] = []
    with Store.open(tmp_path / "s", FAST) as store:
        subscription = store.subscribe_lossy(Region(entity="user"))
        subscription.on_ready(lambda: called.append("closed"))
        store.subscribe_lossy().on_ready(lambda: called.append("store closed"))
        subscription.close()
        assert called == ["closed"]
        subscription.on_ready(lambda: called.append("closed already"))
    assert called == ["closed", "closed already", "store closed"]


@pytest.mark.usefixtures("impatient")
def test_a_close_wakes_its_own_sleepers_and_nobody_else(store: Store) -> None:
    waiters, woken = store._opened.waiters, list[str]()
    waiters.join(lambda: woken.append("who waits for everything"))
    kind = frozenset[Key]({int(Counted.KIND)})
    waiters.join(lambda: woken.append("who waits for the same"), kind)
    region = Region(kinds=Counted)
    subscription, cursor = store.subscribe_lossy(region), store.cursor_guaranteed(region)
    receiving = Sleeper(lambda: list(subscription))
    following = Sleeper(lambda: list(cursor.follow()))
    subscription.close()
    cursor.close()
    assert (receiving.woken(), following.woken()) == ([], [])
    assert woken == []


def test_what_a_callback_raises_is_logged_and_the_append_is_fine(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    subscription = store.subscribe_lossy()

    def fail() -> None:
        raise ZeroDivisionError

    subscription.on_ready(fail)

    assert store.append(USER, Counted(n=1)).sequence == 0

    (record,) = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "a callback failed")


# -------------------------------------------------------------------------------------- operators


@pytest.fixture
def numbers(store: Store) -> Subscription:
    subscription = store.subscribe_lossy()
    count(store, 6)
    return subscription


def numbered(store: Store) -> Callable[[Notification], int]:
    return lambda one: store.get(one, Counted).payload.n


def closing_after(subscription: Subscription) -> Callable[[object], bool]:
    """A predicate that ends the subscription when nothing is left, so that a loop ends."""

    def keep(_: object) -> bool:
        if not subscription.pending:
            subscription.close()
        return True

    return keep


def test_operators_are_carried_out_in_the_order_written(
    store: Store, numbers: Subscription
) -> None:
    ops = numbers.ops().filter(closing_after(numbers)).map(numbered(store))

    assert list(ops.map(lambda n: n + 1).map(lambda n: n * 10).map(str)) == [
        *("10", "20", "30", "40", "50", "60")
    ]


def test_take_counts_what_passes_it(store: Store, numbers: Subscription) -> None:
    ops = numbers.ops().map(numbered(store))

    assert list(ops.take(2).filter(lambda n: n % 2 == 1)) == [1]
    assert list(ops.filter(lambda n: n % 2 == 1).take(2)) == [3, 5]
    assert list(ops.take(0)) == []
    assert numbers.recv(0) is None  # nothing more was waited for


def test_map_and_scan_leave_out_what_gives_none_and_zero_is_something(
    store: Store, numbers: Subscription
) -> None:
    def sum_of_even(total: int, n: int) -> int | None:
        return total + n if n % 2 == 0 else None

    ops = numbers.ops().map(numbered(store))

    assert list(ops.map(lambda n: None if n == 1 else n).take(2)) == [0, 2]
    assert list(ops.take(3).scan(100, sum_of_even)) == [104]


def test_each_loop_over_a_pipeline_begins_anew(store: Store, numbers: Subscription) -> None:
    ops = numbers.ops().map(numbered(store)).scan(0, lambda total, n: total + n).take(3)

    assert list(ops) == [0, 1, 3]
    assert list(ops) == [3, 7, 12]


def test_what_an_operator_raises_names_the_event_and_what_the_feed_raises_does_not(
    store: Store,
) -> None:
    subscription = store.subscribe_lossy(capacity=1, overflow=Overflow.DISCONNECT)
    count(store, 2)

    with pytest.raises(ZeroDivisionError) as caught:
        list(subscription.ops().map(lambda one: one.version // 0))
    assert caught.value.__notes__ == ["in an operator of a subscription, at event 0"]
    with pytest.raises(SubscriptionEnded) as ended:
        list(subscription.ops())
    assert not [note for note in ended.value.__notes__ if "operator" in note]
