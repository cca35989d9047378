"""When the lane syncs, and what it does when a sync or a write is refused or cut short.

Would slip through without it: an append that is called durable behind a rotation and was never
synced, a sync that is tried again after a failure, an interval that is never kept.
"""

from __future__ import annotations

import errno
from typing import Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from batpak.config import Durability, Limits, StoreConfig
from batpak.errors import DurabilityUnknown, StorageFailed, StorePoisoned
from batpak.index.tail import Tail
from batpak.testing.faults import Kind
from tests.facts import FAST, PLAIN
from tests.unit.commit.lanes import Laned, interrupt_at, sequences
from tests.unit.journal.logs import STORE_ID, Item, Log

EVERY: Final = StoreConfig(
    lifecycle_events=False,
    durability=Durability.INTERVAL,
    sync_every_n_events=3,
    sync_every_ms=50,
)
W, S, CUT = "write 000001", "sync 000001", "truncate 000001"


# ---------------------------------------------------------------------------- levels of durability


def test_every_append_is_synced_before_it_is_answered() -> None:
    laned = Laned()

    for number in range(3):
        laned.append(number)
        assert laned.transfers() == [W, S] * (number + 1)
        assert laned.lane.tip.durable == laned.lane.tip.sequence == number + 2
    assert laned.sim.turns.threads == []


def test_the_system_syncs_in_its_own_time_unless_it_is_told_to() -> None:
    laned = Laned(FAST)
    for number in range(3):
        laned.append(number)

    assert laned.transfers() == [W] * 3
    assert (laned.lane.tip.durable, laned.lane.tip.sequence) == (1, 4)
    tip = laned.lane.sync()
    assert (tip, tip.durable, tip.sequence) == (laned.lane.tip, 4, 4)
    assert laned.transfers() == [W] * 3 + [S]
    laned.lane.sync()
    assert laned.transfers() == [W] * 3 + [S]  # there is nothing to do
    assert laned.sim.turns.threads == []


def test_a_log_that_nothing_was_written_to_needs_no_sync() -> None:
    laned = Laned(FAST)

    laned.lane.sync()

    assert laned.transfers() == []


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_an_interval_ends_with_the_event_that_makes_it_so_many(count: int) -> None:
    laned = Laned(EVERY)
    durable = 1
    wanted: list[str] = []
    for _ in range(7):
        laned.append(count=count)
        sequence = laned.lane.tip.sequence
        wanted.append(W)
        if sequence - durable >= 3:
            durable = sequence
            wanted.append(S)
        assert laned.lane.tip.durable == durable
        assert laned.transfers() == wanted


def test_an_interval_ends_when_its_oldest_event_is_old_enough() -> None:
    laned = Laned(EVERY)
    laned.append()
    began = laned.sim.monotonic_ns()

    laned.sim.run_background()

    assert laned.transfers() == [W, S]
    assert laned.lane.tip.durable == 2
    waited = laned.sim.monotonic_ns() - began
    assert 50_000_000 <= waited < 50_000_000 + 20 * laned.sim.clock.tick_ns


def test_no_timer_runs_while_everything_is_durable() -> None:
    laned = Laned(EVERY)
    laned.append(count=3)
    assert laned.sim.turns.threads == []

    laned.append()
    assert len(laned.sim.turns.threads) == 1
    laned.append(count=2)
    laned.sim.run_background()

    assert laned.transfers() == [W, S, W, W, S]


@pytest.mark.parametrize("how", ["closed", "poisoned"])
def test_a_timer_that_comes_too_late_does_nothing(how: str) -> None:
    laned = Laned(EVERY)
    laned.append()
    if how == "closed":
        laned.lane.abandon()
    else:
        laned.lane._stop(OSError("bad"))

    laned.lane._sync_in_time()

    assert laned.transfers() == [W]


def test_how_long_syncs_take_is_remembered_for_so_many_of_them() -> None:
    laned = Laned()
    laned.sim.disk.before = lambda call: (
        laned.sim.clock.advance(5_000_000) if call.kind == "sync" else None
    )
    laned.append()
    laned.append()

    assert [round(one / 1e6) for one in laned.lane.syncs] == [5, 5]
    assert laned.lane.syncs.maxlen == 1024


def test_a_repeated_request_is_answered_without_a_write_and_waits_for_no_second_sync() -> None:
    laned = Laned()
    units = [laned.unit(1, key="k") for _ in range(2)]
    for unit in units:
        laned.lane.commit(unit)

    assert laned.transfers() == [W, S]
    assert sequences(units[0]) == sequences(units[1]) == [1]
    assert units[1].receipts[0].replayed


# -------------------------------------------------------------------------------------- refusals


def test_a_refused_sync_leaves_it_open_from_the_first_event_that_may_be_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    laned = Laned(EVERY)
    laned.append()
    laned.sim.fail_at(1, errno.EIO, kind="sync")

    with pytest.raises(DurabilityUnknown) as caught:
        laned.append(count=4)

    assert (caught.value.first_sequence, caught.value.last_sequence) == (1, 5)
    assert laned.lane.tip.sequence == 2  # the others are not visible
    assert isinstance(laned.lane.poison, OSError)
    assert laned.lane.ended
    (said,) = [vars(record) for record in caplog.records if record.message == "writing stopped"]
    assert (said["store_id"], said["sequence"]) == (str(UUID(bytes=STORE_ID)), 2)
    with pytest.raises(StorePoisoned):
        laned.lane.sync()
    assert laned.transfers() == [W, W, S]


@pytest.mark.parametrize(("count", "last"), [(1, 1), (3, 3)])
def test_a_refused_sync_of_a_group_names_its_own_events(count: int, last: int) -> None:
    laned = Laned()
    laned.sim.fail_at(1, errno.EIO, kind="sync")

    with pytest.raises(DurabilityUnknown) as caught:
        laned.append(count=count)

    assert (caught.value.first_sequence, caught.value.last_sequence) == (1, last)


def test_a_sync_that_is_refused_outside_a_commit_names_what_is_unsynced() -> None:
    laned = Laned(FAST)
    laned.append()
    laned.append()
    laned.sim.fail_at(1, errno.EIO, kind="sync")

    with pytest.raises(DurabilityUnknown) as caught:
        laned.lane.sync()

    assert (caught.value.first_sequence, caught.value.last_sequence) == (1, 2)
    assert laned.lane.tip.durable == 1
    with pytest.raises(StorePoisoned):
        laned.append()


def test_a_refused_write_is_taken_back_and_the_next_one_has_its_place() -> None:
    laned = Laned()
    end = laned.lane.tip.end
    laned.sim.fail_at(1, errno.ENOSPC, kind="write")

    with pytest.raises(StorageFailed) as caught:
        laned.append()
    again = laned.append()

    assert (caught.value.operation, caught.value.path) == ("write", "d/000001.fbat")
    assert sequences(again) == [1]
    writes = [call.offset for call in laned.sim.trace if call.kind == "write"]
    assert {writes[0], writes[-1]} == {end}


# ------------------------------------------------------------------------------------ interrupts


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["write", "sync"])
def test_a_commit_that_is_cut_short_is_completed_once(kind: Kind, after: bool) -> None:
    laned = Laned()
    end = laned.lane.tip.end
    interrupt_at(laned, kind, after=after)

    with pytest.raises(KeyboardInterrupt):
        laned.append()

    assert laned.transfers()[-1] == S
    assert (laned.lane.tip.sequence, laned.lane.tip.durable) == (2, 2)
    assert {call.offset for call in laned.sim.trace if call.kind == "write"} == {end}
    assert len({call.data for call in laned.sim.trace if call.kind == "write"}) == 1
    assert laned.lane._intent is None
    assert sequences(laned.append()) == [2]
    assert laned.lane.groups == 2


def test_a_sync_that_is_cut_short_is_not_just_tried_again_its_pages_are_written_anew() -> None:
    laned = Laned()
    interrupt_at(laned, "sync", after=True)
    with pytest.raises(KeyboardInterrupt):
        laned.append()

    assert laned.transfers() == [W, S, W, S]


@pytest.mark.parametrize("mapped", [False, True])
def test_pages_whose_sync_was_cut_short_outside_a_commit_are_written_anew(mapped: bool) -> None:
    laned = Laned(FAST, mapped=mapped)
    begin = laned.lane.tip.end
    laned.append()
    laned.append()
    done = len(laned.sim.trace)
    interrupt_at(laned, "sync", after=True)

    with pytest.raises(KeyboardInterrupt):
        laned.lane.sync()

    calls = [one for one in laned.sim.trace[done:] if one.kind in ("write", "sync")]
    assert [call.kind for call in calls] == ["sync", "write", "sync"]
    assert (calls[1].offset, calls[1].offset + calls[1].size) == (begin, laned.lane.tip.end)
    assert laned.files()["000001.fbat"][begin : laned.lane.tip.end] == calls[1].data
    assert laned.lane.tip.durable == 3
    laned.append()
    laned.lane.sync()
    assert laned.transfers()[-2:] == [W, S]  # and once is enough


def test_pages_that_cannot_be_written_anew_stop_the_writing() -> None:
    laned = Laned(FAST)
    laned.append()
    interrupt_at(laned, "sync", after=True)
    laned.sim.fail_at(1, errno.EIO, kind="write")

    with pytest.raises(KeyboardInterrupt):
        laned.lane.sync()

    assert isinstance(laned.lane.poison, OSError)
    assert laned.lane.tip.durable == 1
    assert laned.transfers() == [W, S, W]
    with pytest.raises(StorePoisoned):
        laned.lane.sync()


def test_who_asks_for_a_sync_is_told_that_the_pages_could_not_be_written_anew() -> None:
    laned = Laned(FAST)
    laned.append()
    laned.lane._sync_open = True  # its result is not known
    laned.sim.fail_at(1, errno.EIO, kind="write")

    with pytest.raises(StorageFailed) as caught:
        laned.lane.sync()

    assert (caught.value.operation, caught.value.path) == ("write", "d/000001.fbat")


@pytest.mark.parametrize(("config", "wanted"), [(PLAIN, [W, S]), (FAST, [W])])
def test_what_was_written_and_synced_is_not_written_again_if_the_rest_is_cut_short(
    config: StoreConfig, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    laned = Laned(config)
    publish = Tail.publish

    def interrupted(*_: object) -> None:
        monkeypatch.setattr(Tail, "publish", publish)
        raise KeyboardInterrupt

    monkeypatch.setattr(Tail, "publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        laned.append()

    assert laned.transfers() == wanted
    assert laned.lane.tip.sequence == len(laned.found.table.tail) == 2


@pytest.mark.parametrize("kind", ["truncate", "size"])
def test_an_undo_that_is_cut_short_is_completed(kind: Kind) -> None:
    laned = Laned()
    end = laned.lane.tip.end
    laned.sim.fail_at(1, errno.ENOSPC, kind="write")
    interrupt_at(laned, kind)
    unit = laned.unit()

    with pytest.raises(KeyboardInterrupt):
        laned.lane.commit(unit)

    assert isinstance(unit.error, StorageFailed)
    assert laned.lane._intent is None
    assert len(laned.files()["000001.fbat"]) == end
    assert sequences(laned.append()) == [1]


# -------------------------------------------------------------------------------------- rotation


def sized(end: int) -> Log:
    log = Log()
    empty = len(log.record(Item(payload=b"x" * 1000))) + 8 - 1000
    log.add(Item(payload=b"x" * (end - log.end - empty)))
    assert log.end == end
    return log


def rotating(end: int = 5000, config: StoreConfig = PLAIN) -> Laned:
    return Laned(replace(config, limits=Limits(segment_max_bytes=5000)), sized(end))


@pytest.mark.parametrize(("end", "segment"), [(4999, 1), (5000, 2), (5001, 2)])
def test_a_new_file_begins_when_the_newest_has_reached_its_size(end: int, segment: int) -> None:
    laned = rotating(end)

    assert sequences(laned.append()) == [1]

    assert laned.found.segments.newest.segment_id == segment
    assert laned.head().segment_id == segment
    assert laned.transfers()[-2:] == [f"write 00000{segment}", f"sync 00000{segment}"]


def test_what_is_written_to_a_new_file_is_synced_as_before() -> None:
    """Its end is a smaller number than that of the old one, and no byte of it is durable yet."""
    laned = rotating()
    for number in range(3):
        laned.append(number)
        assert laned.transfers()[-2:] == ["write 000002", "sync 000002"]
    assert laned.found.segments.newest.end == laned.lane.tip.end < 5000


def test_what_is_unsynced_is_synced_before_a_new_file_begins() -> None:
    laned = rotating(4900, FAST)
    laned.append()
    laned.append()

    kinds = [f"{call.kind} {call.path}" for call in laned.sim.trace]
    assert kinds.index("sync d/000001.fbat") < kinds.index("create d/000002.fbat.tmp")
    assert laned.lane.tip.durable == 2
    interrupt_at(laned, "sync", after=True)
    with pytest.raises(KeyboardInterrupt):
        laned.lane.sync()
    laned.lane.sync()
    again = [call for call in laned.sim.trace if call.kind == "write"][-1]
    assert again.path == "d/000002.fbat"
    assert again.offset == laned.found.segments.newest.start


def test_a_new_file_that_cannot_be_prepared_refuses_the_append_and_no_more() -> None:
    laned = rotating()
    laned.sim.fail_at(1, errno.ENOSPC, kind="create")

    with pytest.raises(StorageFailed):
        laned.append()

    assert laned.lane.poison is None
    assert sequences(laned.append()) == [1]
    assert laned.found.segments.newest.segment_id == 2


@pytest.mark.parametrize("kind", ["replace", "syncdir"])
def test_names_that_may_exist_or_not_stop_the_writing(kind: Kind) -> None:
    laned = rotating()
    laned.sim.fail_at(1, errno.EIO, kind=kind)

    with pytest.raises(StorageFailed):
        laned.append()

    assert isinstance(laned.lane.poison, StorageFailed)
    with pytest.raises(StorePoisoned):
        laned.append()
    assert laned.lane.tip.sequence == 1


def test_a_rotation_is_over_once_the_log_has_gone_on() -> None:
    laned = rotating()
    before = laned.lane.tip
    laned.append()

    assert not laned.lane._rotation.begun(before)
    assert not laned.lane._rotation.begun(laned.lane.tip)
