"""The end of a log: what a close writes, in which order, and what it does when it is refused.

Would slip through without it: a close that says nothing and has recorded nothing, a last event that
is stored twice, a line that nobody serves when the process ends.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

import pytest
from msgspec.structs import replace

from batpak.commit.unit import Unit
from batpak.config import Durability, Limits, StoreConfig
from batpak.errors import BatpakError, DurabilityUnknown, StoreClosed, StorePoisoned
from batpak.journal import head, layout
from batpak.journal.segment import Tip
from batpak.testing.disk import Call, nothing
from batpak.testing.faults import Kind
from tests.facts import FAST, PLAIN
from tests.unit.commit.lanes import Laned, interrupt_at, sequences
from tests.unit.journal.logs import Item, Log

EVERY: Final = StoreConfig(lifecycle_events=False, durability=Durability.INTERVAL)
W, S, CUT = "write 000001", "sync 000001", "truncate 000001"


def closing(laned: Laned) -> Callable[[Tip], Unit]:
    return lambda tip: laned.unit(tip.sequence)


def test_a_close_stores_the_last_event_syncs_and_records_the_end() -> None:
    laned = Laned(FAST)
    laned.append()

    laned.lane.close(closing(laned))

    assert laned.lane.closed
    assert laned.lane.ended
    assert laned.lane.tip.sequence == 3
    assert laned.transfers() == [W, W, S, CUT, S]
    assert laned.head()[1:5] == (head.CLEAN, 1, laned.lane.tip.end, 3)
    laned.lane.close(None)
    assert laned.head().next_sequence == 3


def test_a_close_that_is_cut_short_is_done_again_with_the_same_last_event() -> None:
    laned = Laned()
    interrupt_at(laned, "truncate")
    with pytest.raises(KeyboardInterrupt):
        laned.lane.close(closing(laned))
    laned.lane.close(closing(laned))

    assert laned.lane.tip.sequence == 2
    assert laned.head().state == head.CLEAN


def test_a_last_event_that_is_refused_does_not_keep_a_log_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    laned = Laned()
    laned.sim.fail_at(1, errno.ENOSPC, kind="write")

    laned.lane.close(closing(laned))

    assert laned.head()[1:5] == (head.CLEAN, 1, laned.lane.tip.end, 1)
    assert [record.message.split(":")[0] for record in caplog.records] == ["no closing event"]


@pytest.mark.parametrize("kind", ["sync", "truncate", "create"])
def test_a_close_that_is_refused_says_so_and_writes_no_more(kind: Kind) -> None:
    laned = Laned(FAST)
    laned.append()
    laned.sim.fail_at(1, errno.EIO, kind=kind)

    with pytest.raises(BatpakError):
        laned.lane.close(None)

    assert laned.lane.closed
    assert laned.head().state == head.OPEN
    with pytest.raises(StoreClosed):
        laned.append()


def test_a_log_that_stopped_writing_is_closed_without_a_word_on_its_end() -> None:
    laned = Laned()
    laned.lane._stop(OSError("bad"))

    laned.lane.close(closing(laned))

    assert laned.lane.closed
    assert laned.head().state == head.OPEN
    assert laned.transfers() == []


def test_a_drain_stores_what_waits_and_keeps_an_interval() -> None:
    laned = Laned(EVERY)
    units = [laned.unit(n) for n in range(2)]
    laned.line_up(*units)

    laned.lane.drain()

    assert [sequences(unit) for unit in units] == [[1], [2]]
    assert laned.transfers() == [W, S]
    laned.lane.drain()
    assert laned.transfers() == [W, S]


@pytest.mark.parametrize("how", ["withdrawn", "answered"])
def test_a_drain_has_nothing_to_do_for_who_does_not_wait(how: str) -> None:
    laned = Laned(FAST)
    unit = laned.unit()
    if how == "withdrawn":
        unit.withdrawn = True
    else:
        unit.answer = ()
    laned.line_up(unit)

    laned.lane.drain()

    assert laned.transfers() == []
    assert len(laned.lane._queue) == 1
    laned.append()
    laned.lane.drain()
    assert laned.transfers() == [W]  # at this level the system syncs


def test_a_drain_that_is_refused_raises_nothing() -> None:
    laned = Laned()
    unit = laned.unit()
    laned.line_up(unit)
    laned.sim.fail_at(1, errno.EIO, kind="sync")

    laned.lane.drain()

    assert isinstance(unit.error, DurabilityUnknown)


def test_who_abandons_a_log_writes_no_more() -> None:
    laned = Laned()

    laned.lane.abandon()

    assert laned.lane.closed
    with pytest.raises(StoreClosed):
        laned.append()
    assert laned.transfers() == []


def test_a_drain_serves_who_waits_behind_who_does_not() -> None:
    laned = Laned()
    done, waiting = laned.unit(0), laned.unit(1)
    done.answer = ()
    laned.line_up(done, waiting)

    laned.lane.drain()

    assert sequences(waiting) == [1]


def test_a_close_ends_the_threads_and_gives_the_file_back() -> None:
    laned = Laned(EVERY)
    laned.append()
    laned.lane.submit(laned.unit(1))
    assert len(laned.sim.turns.threads) == 2

    laned.lane.close(None)

    assert laned.sim.turns.threads == []
    assert laned.closed("000001.fbat")
    assert laned.lane.tip.sequence == 3


def test_who_comes_while_the_log_ends_is_told_that_it_has() -> None:
    laned = Laned()
    late = laned.unit()

    def come(call: Call) -> None:
        if call.kind == "truncate":
            laned.line_up(late)

    laned.sim.disk.before = come
    laned.lane.close(None)

    assert isinstance(late.error, StoreClosed)
    assert laned.head().next_sequence == 1


def test_a_close_beside_one_that_was_quicker_has_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    laned = Laned()
    hold = laned.lane.hold

    def slow(act: Callable[[], None]) -> None:
        hold(lambda: laned.lane._end(None))  # another thread is quicker
        hold(act)

    monkeypatch.setattr(laned.lane, "hold", slow)
    laned.lane.close(closing(laned))

    assert laned.lane.tip.sequence == 1
    assert laned.head().state == head.CLEAN


def test_an_end_that_was_reached_is_not_reached_again() -> None:
    laned = Laned()
    laned.lane._end(closing(laned))
    done = len(laned.sim.trace)

    laned.lane._end(closing(laned))

    assert len(laned.sim.trace) == done


def test_a_log_whose_lock_was_taken_away_is_not_ended() -> None:
    laned = Laned()
    with laned.sim.pause():
        laned.directory.unlink(layout.LOCK)
    before = laned.files()

    with pytest.raises(StorePoisoned):
        laned.lane.close(closing(laned))

    assert laned.files() == before
    assert laned.lane.closed


def test_a_rotation_that_was_cut_short_is_finished_by_the_close() -> None:
    log = Log()
    log.add(Item(payload=b"x" * 5000))
    laned = Laned(replace(PLAIN, limits=Limits(segment_max_bytes=5000)), log)
    named: list[str] = []

    def interrupt(call: Call) -> None:
        named.extend([call.path] * (call.kind == "replace"))
        if len(named) == 2:  # the new file has its name, and HEAD does not say so yet
            laned.sim.disk.before = nothing
            raise KeyboardInterrupt

    laned.sim.disk.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        laned.append()
    assert laned.head().segment_id == 1

    laned.lane.close(None)

    assert laned.head()[1:5] == (head.CLEAN, 2, laned.lane.tip.end, 1)
    assert set(laned.files()) >= {"000001.fbat", "000002.fbat"}


def test_who_abandons_a_log_gives_its_file_back() -> None:
    laned = Laned()
    laned.append()

    laned.lane.abandon()

    assert laned.closed("000001.fbat")
