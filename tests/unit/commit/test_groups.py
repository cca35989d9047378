"""How the line is cut into groups, and what comes of every unit in it.

Would slip through without it: a withdrawn event that is stored after all, an act that runs between
two events of one sync, a group that grows without bounds, one failure raised by two callers.
"""

from __future__ import annotations

import errno
from typing import Final

import pytest
from msgspec.structs import replace

from batpak.commit import lane as module
from batpak.commit.stage import Stage
from batpak.config import Limits
from batpak.errors import StorageFailed, StoreClosed, StorePoisoned
from tests.facts import PLAIN
from tests.unit.commit.lanes import Laned, sequences

GROUP: Final = ["write 000001", "sync 000001"]


def in_threes() -> Laned:
    return Laned(replace(PLAIN, limits=Limits(group_max_requests=3)))


@pytest.mark.parametrize("waiting", [0, 1, 2, 3, 6, 7])
def test_what_stands_in_line_is_committed_in_order_so_many_units_at_once(waiting: int) -> None:
    laned = in_threes()
    units = [laned.unit(n) for n in range(waiting + 1)]
    laned.line_up(*units[:-1])

    laned.lane.commit(units[-1])

    assert [sequences(unit) for unit in units] == [[n + 1] for n in range(waiting + 1)]
    groups = -(-(waiting + 1) // 3)
    assert laned.transfers() == GROUP * groups
    assert (laned.lane.groups, laned.lane.units) == (groups, waiting + 1)
    assert not laned.lane._queue


def test_a_group_has_so_many_bytes_at_most_unless_one_unit_has_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GROUP_BYTES_MAX", 100)
    laned = Laned()
    groups = [[60], [60, 40], [200], [10], [91], [99, 1], [1]]
    sizes = [size for group in groups for size in group]
    units = [laned.unit(n, size=size) for n, size in enumerate(sizes)]
    laned.line_up(*units[:-1])

    laned.lane.commit(units[-1])

    assert laned.transfers() == GROUP * len(groups)
    written = [call.size for call in laned.sim.trace if call.kind == "write"]
    assert [round(size / written[0]) for size in written] == [len(group) for group in groups]


def test_a_group_has_eight_mebibytes_at_most() -> None:
    for more, groups in ((0, 1), (1, 2)):
        laned = Laned()
        laned.line_up(laned.unit(0, size=8 * 1024 * 1024 - 5))

        laned.lane.commit(laned.unit(1, size=5 + more))

        assert laned.lane.groups == groups


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_withdrawn_unit_is_left_out_and_those_around_it_are_stored(at: int) -> None:
    laned = Laned()
    units = [laned.unit(n) for n in range(3)]
    units[at].withdrawn = True
    laned.line_up(*units)

    laned.lane.commit(laned.unit(3))

    assert units[at].answer == ()
    assert [sequences(unit) for unit in units if not unit.withdrawn] == [[1], [2]]
    assert laned.lane.tip.sequence == 4


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_unit_that_was_answered_in_line_is_left_out(at: int) -> None:
    laned = Laned()
    units = [laned.unit(n) for n in range(3)]
    units[at].answer = error = StoreClosed()
    laned.line_up(*units)

    laned.lane.commit(laned.unit(3))

    assert units[at].answer is error
    assert laned.lane.tip.sequence == 4
    assert laned.lane.units == 3
    assert laned.lane.groups == 1


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_act_is_alone_between_what_came_before_and_what_comes_after(at: int) -> None:
    laned = Laned()
    seen: list[tuple[int, int]] = []
    units = [laned.unit(n) for n in range(2)]
    units.insert(at, laned.act(lambda: seen.append((laned.lane.tip.sequence, laned.lane.groups))))
    laned.line_up(*units)

    laned.lane.commit(laned.unit(3))

    assert seen == [(1 + at, min(at, 1))]
    assert units[at].answer == ()
    assert laned.lane.tip.sequence == 4


def test_what_an_act_raises_is_the_answer_of_who_asked_for_it() -> None:
    laned = Laned()
    wrong = ValueError("no")

    def fail() -> None:
        raise wrong

    act, after = laned.act(fail), laned.unit()
    laned.line_up(act)
    laned.lane.commit(after)

    assert act.answer is wrong
    assert sequences(after) == [1]
    with pytest.raises(ValueError, match="no") as caught:
        laned.lane.hold(fail)
    assert caught.value is wrong


def test_a_failure_of_a_group_is_an_exception_of_its_own_for_each() -> None:
    laned = Laned()
    units = [laned.unit(n) for n in range(3)]
    laned.line_up(*units[:-1])
    laned.sim.fail_at(1, errno.ENOSPC, kind="write")

    with pytest.raises(StorageFailed) as caught:
        laned.lane.commit(units[-1])

    answers = [unit.error for unit in units]
    assert caught.value is answers[2]
    assert len({id(answer) for answer in answers}) == 3
    assert {str(answer) for answer in answers} == {str(answers[0])}
    assert all(isinstance(answer, StorageFailed) and answer.full for answer in answers)
    assert laned.lane.tip.sequence == 1
    assert sequences(laned.append()) == [1]


def test_a_failure_that_is_none_of_ours_is_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    laned = Laned()
    units = [laned.unit(n) for n in range(2)]
    laned.line_up(units[0])
    wrong = MemoryError("full")

    def fail(*_: object) -> None:
        raise wrong

    monkeypatch.setattr(Stage, "plan", fail)
    with pytest.raises(MemoryError):
        laned.lane.commit(units[1])

    assert [unit.error for unit in units] == [wrong, wrong]
    assert laned.transfers() == []


def test_room_is_made_before_a_byte_is_written_and_its_lack_changes_nothing() -> None:
    laned = Laned()
    laned.sim.fail_at(1, errno.ENOSPC, sticky=True, kind="reserve")

    with pytest.raises(StorageFailed) as caught:
        laned.append()

    assert caught.value.operation == "reserve"
    assert laned.transfers() == []
    laned.sim.faults.clear()
    assert sequences(laned.append()) == [1]
    assert laned.lane.poison is None


def test_what_comes_after_the_end_is_refused_and_an_act_is_not() -> None:
    laned = Laned()
    laned.lane._stop(OSError("bad"))
    done: list[int] = []

    with pytest.raises(StorePoisoned) as caught:
        laned.append()
    laned.lane.hold(lambda: done.append(1))
    withdrawn = laned.unit()
    withdrawn.withdrawn = True
    laned.line_up(withdrawn)
    with pytest.raises(StorePoisoned):
        laned.append()

    assert caught.value.cause is laned.lane.poison
    assert done == [1]
    assert withdrawn.answer == ()
    assert laned.transfers() == []
    laned.lane.close(None)
    with pytest.raises(StoreClosed):
        laned.append()
    with pytest.raises(StoreClosed):
        laned.lane.hold(lambda: done.append(2))
    assert done == [1]


def test_who_waits_is_woken_by_who_has_committed_for_it() -> None:
    laned = Laned()
    waiting, other = laned.unit(0), laned.unit(1)
    waiting.bell = laned.sim.raw_lock()
    waiting.bell.acquire()
    laned.line_up(waiting)

    laned.lane.commit(other)

    assert sequences(waiting) == [1]
    assert not waiting.bell.locked()


def test_a_unit_that_never_got_into_the_line_is_answered_with_nothing() -> None:
    """Its caller was interrupted on the way there."""
    laned = Laned()
    unit = laned.unit()

    laned.lane._serve(unit)

    assert unit.answer == ()
    assert laned.transfers() == []


def test_what_comes_while_a_close_has_only_said_that_it_ends_is_stored() -> None:
    laned = Laned()
    laned.lane.ended = True  # and it was cut short there

    assert sequences(laned.append()) == [1]
