"""Files whose end is recorded: read by their footers, or by their frames where there is none.

Would slip through without it: a file that is taken for whole and is not, a footer that is made anew
in a way that harms the frames, a log that goes on from the wrong event behind a complete file.
"""

from __future__ import annotations

import errno
from typing import Any, Final

import pytest

from batpak.errors import CorruptStore
from batpak.faults import Damage
from batpak.index.sealed import Sealed
from batpak.index.tail import Tail
from batpak.journal import frame, head, header
from batpak.journal.header import Link
from batpak.recovery.restore import Recovered
from batpak.testing.faults import Kind
from tests.unit.journal.logs import STORE_ID, Item, Log, log_of
from tests.unit.recovery.machines import Machine, head_of, lie_in

FIRST: Final = "000001.fbat"
SECOND: Final = "000002.fbat"


def two(newest: int = 1) -> list[Log]:
    """A file of four events, and one of some more."""
    first = log_of([Item(), Item(entity="user:2"), Item(), Item(scope="other", key=b"k")])
    second = first.next()
    for _ in range(newest):
        second.add(Item())
    return [first, second]


def three() -> list[Log]:
    """A file of two events, one of four, and an empty one."""
    first = log_of([Item()] * 2)
    second = first.next()
    for _ in range(4):
        second.add(Item())
    return [first, second, second.next()]


def refused(machine: Machine, *, writable: bool = True) -> tuple[str, int, Damage]:
    with pytest.raises(CorruptStore) as caught:
        machine.restore(writable=writable)
    assert machine.changes() == []
    return caught.value.path.removeprefix("d/"), caught.value.offset, caught.value.reason


def all_there(found: Recovered, count: int) -> None:
    """Every event is where its row says, and answers are complete."""
    assert found.tip.sequence == found.table.bound == count
    for sequence in range(count):
        part, row = found.table.locate(sequence)
        segment = found.segments.of(part.segment_id)
        body = segment.record(part.offsets[row], part.offsets[row + 1], None)
        decoded = frame.decode(bytes(body))
        assert isinstance(decoded, frame.Frame)
        assert decoded.sequence == sequence


# -------------------------------------------------------------------------------------- footers


@pytest.mark.parametrize("writable", [True, False])
def test_a_complete_file_is_read_by_its_footer(writable: bool) -> None:
    first, second = logs = two()
    machine = Machine(logs, head_of(second))
    before = machine.files()[FIRST]

    found = machine.restore(writable=writable)

    assert [type(part) for part in found.table.parts] == [Sealed, Tail]
    assert found.rebuilt == ()
    assert found.scanned_bytes == second.end - second.start
    assert found.segments.of(1).end == first.end
    assert found.segments.of(1).good is not None  # none of it was verified yet
    assert machine.files()[FIRST] == before
    assert f"write d/{FIRST}" not in machine.changes()
    assert "map d/000001.fbat" not in [str(one)[2:] for one in machine.sim.trace]
    all_there(found, 5)
    assert found.table.version("user:1") == 4


@pytest.mark.parametrize("behind", [b"", b"junk", bytes(1000)])
def test_a_complete_file_without_a_footer_gets_one_from_a_writer(behind: bytes) -> None:
    first, second = logs = two()
    wanted = Machine(logs, head_of(second)).files()[FIRST]
    machine = Machine(logs, head_of(second), bare=[1], more={FIRST: behind})

    found = machine.restore()

    assert found.rebuilt == (FIRST,)
    assert found.scanned_bytes == first.end - first.start + second.end - second.start
    assert machine.files()[FIRST] == wanted
    assert machine.changes()[:2] == [f"truncate d/{FIRST}", f"write d/{FIRST}"]
    assert [one.kind for one in machine.sim.trace].count("append") == 1
    assert len(found.segments.of(1).data(1)) == len(wanted)
    all_there(found, 5)


def test_a_complete_file_without_a_footer_is_read_all_the_same() -> None:
    _, second = logs = two()
    machine = Machine(logs, head_of(second), bare=[1])

    found = machine.restore(writable=False)

    assert found.rebuilt == (FIRST,)
    assert machine.changes() == []
    all_there(found, 5)


@pytest.mark.parametrize("kind", ["append", "truncate", "write"])
def test_a_footer_that_cannot_be_written_is_done_without(kind: Kind) -> None:
    first, second = logs = two()
    machine = Machine(logs, head_of(second), bare=[1])
    machine.sim.fail_at(1, errno.ENOSPC, kind=kind)

    found = machine.restore()

    assert machine.sim.fired
    assert machine.files()[FIRST][: first.end] == first.data
    opened = [one for one in machine.sim.trace if one.kind == "append" and not one.error]
    assert len(opened) == len(closed_after(machine, "append"))
    all_there(found, 5)


def closed_after(machine: Machine, kind: str) -> list[str]:
    """The closes of a file behind the call that opened it for writing."""
    calls = [one.kind for one in machine.sim.trace if one.path == f"d/{FIRST}" and not one.error]
    return ["close"] if kind in calls and "close" in calls[calls.index(kind) :] else []


@pytest.mark.parametrize("writable", [True, False])
def test_nothing_is_changed_if_anything_is_refused(writable: bool) -> None:
    """A file before it would have got a footer, and one behind it a new end."""
    first, second, third = three()
    second.data[second.offsets[1] + 9] ^= 1
    machine = Machine([first, second, third], head_of(third), bare=[1, 2], more={"HEAD.tmp": b""})

    assert refused(machine, writable=writable) == (SECOND, second.offsets[1], Damage.CRC)


def test_a_complete_file_that_is_cut_is_refused() -> None:
    first, second = logs = two()
    machine = Machine(logs, head_of(second), bare=[1])
    machine.put(FIRST, bytes(first.data[:-1]))

    assert refused(machine) == (FIRST, first.end - 1, Damage.SEGMENT)


def test_a_complete_file_is_at_least_as_long_as_its_header() -> None:
    first, second = logs = two()
    wrong = Log(2, second.header.first_sequence, Link(1, first.start - 1, first.chain_head))
    machine = Machine([first, wrong], head_of(wrong), bare=[1])

    assert refused(machine) == (FIRST, first.end, Damage.SEGMENT)
    assert len(logs) == 2


# ------------------------------------------------------------------------- HEAD in an older file


@pytest.mark.parametrize("row", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("bare", [(), (2,)])
def test_head_may_point_to_any_event_of_the_file_before_the_newest(
    row: int, bare: tuple[int, ...]
) -> None:
    _, second, _ = logs = three()

    all_there(Machine(logs, head_of(second, row=row), bare=bare).restore(), 6)


@pytest.mark.parametrize(
    ("row", "change"),
    [
        (2, {"frames_end": 1}),
        (2, {"frames_end": -1}),
        (2, {"next_sequence": 1}),
        (2, {"next_sequence": -1}),
        (2, {"next_sequence": 2}),
        (2, {"next_sequence": 3}),
        (2, {"next_sequence": 100}),
        (2, {"next_sequence": -2}),
        (2, {"next_sequence": -4}),
        (2, {"chain_head": 1}),
        (2, {"chain_head": -1}),
        (0, {"frames_end": 1}),
        (0, {"frames_end": -1}),
        (0, {"next_sequence": 1}),
        (0, {"next_sequence": -1}),
        (0, {"next_sequence": -2}),
    ],
)
def test_a_head_that_is_none_of_the_events_of_an_older_file_is_refused(
    row: int, change: dict[str, int]
) -> None:
    _, second, _ = logs = three()
    said = head_of(second, row=row)
    for name, more in change.items():
        was: Any = getattr(said, name)
        if isinstance(was, bytes):
            now: Any = (int.from_bytes(was, "big") + more).to_bytes(32, "big")
        else:
            now = was + more
        said = said._replace(**{name: now})

    assert refused(Machine(logs, said)) == (SECOND, said.frames_end, Damage.HEAD)


def test_rows_are_not_counted_from_the_end() -> None:
    """HEAD names the event before the first one of a file, and what the last row but one has."""
    _, second, _ = logs = three()
    said = head_of(second, row=3)._replace(next_sequence=second.header.first_sequence - 2)

    assert refused(Machine(logs, said)) == (SECOND, said.frames_end, Damage.HEAD)


def test_a_footer_that_lies_about_the_place_that_head_names_is_made_anew() -> None:
    _, second, third = logs = three()
    machine = Machine(logs, head_of(second, row=2))
    machine.put(SECOND, lie_in(machine.files()[SECOND], "off", {2: second.offsets[1] + 1}))

    found = machine.restore()

    assert found.tip.sequence == third.sequence
    part = found.table.locate(3)[0]
    assert isinstance(part, Sealed)
    assert part.rebuilt


# ----------------------------------------------------------------------- behind a complete file


@pytest.mark.parametrize("writable", [True, False])
def test_a_log_goes_on_from_the_last_event_of_the_file_before_an_empty_one(writable: bool) -> None:
    first, second = logs = two(newest=0)
    last = first.bodies[-1]

    found = Machine(logs, head_of(second)).restore(writable=writable)

    tip, part = found.tip, found.table.parts[0]
    assert isinstance(part, Sealed)
    assert part._checked == set()  # one entry was enough
    assert (tip.sequence, tip.durable, tip.end) == (4, 4, second.end)
    assert tip.chain_head == first.chain_head
    assert tip.wall_ms == int.from_bytes(last[21:29], "big")
    assert tip.counter == int.from_bytes(last[29:33], "big")
    assert tip.id_hi == int.from_bytes(last[49:57], "big")


def test_a_last_event_that_a_footer_misplaces_by_accident_is_found() -> None:
    """The checksum of the column gives it away."""
    first, second = logs = two(newest=0)
    for wrong in (first.offsets[2], 100, first.end - 3, 0xFFFF_FFFF):
        machine = Machine(logs, head_of(second))
        data = machine.files()[FIRST]
        at = data.index(struct_of(first.offsets[3]), first.end)
        machine.put(FIRST, data[:at] + struct_of(wrong) + data[at + 4 :])

        found = machine.restore()

        assert found.tip.chain_head == first.chain_head
        assert found.tip.sequence == 4


@pytest.mark.parametrize("wrong", [347, 100, 930, 0xFFFF_FFFF])
def test_a_last_event_that_a_footer_misplaces_on_purpose_is_found(wrong: int) -> None:
    first, second = logs = two(newest=0)
    machine = Machine(logs, head_of(second))
    machine.put(FIRST, lie_in(machine.files()[FIRST], "off", {3: wrong}))

    found = machine.restore()

    assert found.tip.chain_head == first.chain_head
    all_there(found, 4)


def struct_of(offset: int) -> bytes:
    return offset.to_bytes(4, "little")


def test_a_last_event_that_is_damaged_is_refused() -> None:
    first, second = logs = two(newest=0)
    machine = Machine(logs, head_of(second))
    data = bytearray(machine.files()[FIRST])
    data[first.offsets[3] + 20] ^= 1
    machine.put(FIRST, bytes(data))

    assert refused(machine) == (FIRST, first.offsets[3], Damage.CRC)


def test_a_last_event_that_is_forged_is_refused() -> None:
    first, second = logs = two(newest=0)
    machine = Machine(logs, head_of(second))
    data = bytearray(machine.files()[FIRST])
    at = first.offsets[3]
    body = b"\x94" + first.bodies[3][1:]
    data[at : first.end] = frame.encode(body, at, first.seed)
    machine.put(FIRST, bytes(data))

    assert refused(machine) == (FIRST, at, Damage.FRAME)


# -------------------------------------------------------------------------- a large closed file


def large(end: int, before: Log | None = None) -> Log:
    """A file of three events that ends there."""
    log = before.next() if before is not None else Log()
    for _ in range(2):
        log.add(Item())
    spare = end - log.end
    empty = len(log.record(Item(payload=b"x" * 0x1_0000))) + 8 - 0x1_0000
    log.add(Item(payload=b"x" * (spare - empty)))
    assert log.end == end
    return log


MIN: Final = 256 * 1024


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("more", [0, 1])
def test_a_large_closed_file_is_complete_and_a_new_one_begins(number: int, more: int) -> None:
    before = [log_of([Item()])] if number == 2 else []
    log = large(MIN + more, *before)
    machine = Machine([*before, log], head_of(log, head.CLEAN), footed=True)

    found = machine.restore()

    name = f"{number + 1:06d}.fbat"
    decoded, start = header.decode(machine.files()[name], name)
    assert len(machine.files()[name]) == start
    assert (decoded.store_id, decoded.segment_id) == (STORE_ID, number + 1)
    assert decoded.first_sequence == log.sequence
    assert decoded.prev == Link(number, log.end, log.chain_head)
    assert (found.clean, found.scanned_bytes, found.rebuilt) == (True, 0, ())
    assert (found.tip.sequence, found.tip.end) == (log.sequence, start)
    assert found.tip.chain_head == log.chain_head
    assert (found.segments.newest.segment_id, found.segments.newest.good) == (number + 1, None)
    assert found.segments.newest.end == start
    assert found.table.tail.segment_id == number + 1
    assert found.table.tail.offsets[0] == start
    assert machine.head()[:6] == (
        STORE_ID,
        head.OPEN,
        number + 1,
        start,
        log.sequence,
        log.chain_head,
    )
    all_there(found, log.sequence)


def test_a_reader_begins_no_file_behind_a_large_closed_one() -> None:
    log = large(MIN)
    machine = Machine([log], head_of(log, head.CLEAN), footed=True)

    found = machine.restore(writable=False)

    assert set(machine.files()) == {FIRST, "HEAD"}
    assert (len(found.segments), found.scanned_bytes) == (1, 0)
    assert found.table.tail.segment_id == 2
    assert (found.tip.sequence, found.tip.end) == (3, MIN)
    all_there(found, 3)


def test_a_closed_file_that_is_not_large_goes_on() -> None:
    log = large(MIN - 1)
    machine = Machine([log], head_of(log, head.CLEAN))

    found = machine.restore()

    assert set(machine.files()) == {FIRST, "HEAD"}
    assert found.scanned_bytes == log.end - log.start
    assert found.tip.end == MIN - 1


@pytest.mark.parametrize("writable", [True, False])
def test_a_large_closed_log_that_goes_on_behind_its_end_is_refused(writable: bool) -> None:
    log = large(MIN)
    said = head_of(log, head.CLEAN)
    log.add(Item())
    machine = Machine([log], said, bare=[1])

    assert refused(machine, writable=writable) == (FIRST, MIN, Damage.HEAD)


@pytest.mark.parametrize("change", ["hash", "sequence"])
def test_a_large_closed_log_with_another_last_event_than_head_says_is_refused(change: str) -> None:
    log = large(MIN)
    said = head_of(log, head.CLEAN)
    wrong = (
        said._replace(chain_head=b"x" * 32) if change == "hash" else said._replace(next_sequence=2)
    )

    assert refused(Machine([log], wrong, footed=True)) == (FIRST, MIN, Damage.CHAIN)
