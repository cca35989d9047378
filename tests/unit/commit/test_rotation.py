"""From one file to the next, step by step, each of which may be done twice.

Would slip through without it: a HEAD that names a file which has no name yet, a second file that is
begun by an interrupted rotation, a closed log whose end nothing records.
"""

from __future__ import annotations

import errno
from typing import Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from batpak.commit.rotation import Rotation
from batpak.config import StoreConfig
from batpak.errors import CorruptStore, StorageFailed
from batpak.faults import Damage
from batpak.index.sealed import Sealed
from batpak.journal import head, header, layout
from batpak.journal.active import ActiveFile
from batpak.journal.header import Link
from batpak.journal.segment import Tip
from batpak.platform import REAL
from batpak.recovery import footer
from batpak.recovery.restore import Recovered
from batpak.testing.faults import Kind
from tests.facts import PLAIN
from tests.unit.journal.logs import STORE_ID, Item, Log, log_of
from tests.unit.recovery.machines import Machine, head_of, recorded

FIRST: Final = "000001.fbat"
SECOND: Final = "000002.fbat"


class Rotating(Machine):
    """An open log, and what begins its next file."""

    def __init__(self, log: Log, config: StoreConfig = PLAIN) -> None:
        super().__init__([log], head_of(log))
        with self.sim.pause():
            self.found: Recovered = self.restore()
            lock = layout.lock(self.directory, 7, shared=False)
            assert lock is not None
            self.lock = lock
            self.active = ActiveFile(self.directory, self.found.segments.newest, config)
            self.rotation = Rotation(
                self.directory,
                lock,
                self.found.segments,
                self.found.table,
                self.active,
                UUID(bytes=STORE_ID),
                config,
                self.sim,
            )

    @property
    def tip(self) -> Tip:
        return self.found.tip

    def rotate(self) -> Tip:
        """All steps."""
        self.rotation.prepare(self.tip)
        self.rotation.publish(self.tip)
        tip = self.rotation.switch(self.tip)
        self.rotation.forget()
        return tip

    def holds_lock(self) -> bool:
        return self.rotation.holds_lock


def small() -> Log:
    return log_of([Item(), Item(entity="user:2"), Item()])


def test_both_names_appear_one_after_the_other_once_both_files_are_durable() -> None:
    log = small()
    rotating = Rotating(log)

    rotating.rotation.prepare(rotating.tip)
    assert set(rotating.files()) == {FIRST, "HEAD", ".batpak.lock", f"{SECOND}.tmp", "HEAD.tmp"}
    rotating.rotation.publish(rotating.tip)

    assert rotating.changes() == [
        f"create d/{SECOND}.tmp",
        f"write d/{SECOND}.tmp",
        f"sync d/{SECOND}.tmp",
        "create d/HEAD.tmp",
        "write d/HEAD.tmp",
        "sync d/HEAD.tmp",
        f"replace d/{SECOND}",
        "syncdir d",
        "replace d/HEAD",
        "syncdir d",
    ]
    data = rotating.files()[SECOND]
    decoded, start = header.decode(data, SECOND)
    assert len(data) == start
    assert (decoded.store_id, decoded.segment_id) == (STORE_ID, 2)
    assert decoded.first_sequence == log.sequence
    assert decoded.prev == Link(1, log.end, log.chain_head)
    assert len(decoded.salt) == 8
    assert rotating.head()[:6] == (STORE_ID, head.OPEN, 2, start, log.sequence, log.chain_head)


def test_the_new_file_is_the_newest_for_readers_index_and_writer_after_the_switch() -> None:
    log = small()
    rotating = Rotating(log)
    found, rotation = rotating.found, rotating.rotation
    before = found.segments.newest

    rotation.prepare(rotating.tip)
    rotation.publish(rotating.tip)
    assert (rotation.newest, rotation.active) == (before, rotating.active)
    assert found.segments.newest is before
    tip = rotation.switch(rotating.tip)

    start = header.decode(rotating.files()[SECOND], SECOND)[1]
    new = rotation.newest
    assert tip == replace(rotating.tip, end=start)
    assert found.segments.newest is new
    assert (new.segment_id, new.start, new.end, new.good) == (2, start, start, None)
    tail = found.table.tail
    assert (tail.segment_id, tail.first, list(tail.offsets)) == (2, log.sequence, [start])
    assert rotation.active is not rotating.active
    rotation.active.write(start, b"frame")
    assert rotating.files()[SECOND][start:] == b"frame"


def test_the_old_file_gets_its_footer_and_is_given_back() -> None:
    log = small()
    rotating = Rotating(log)
    rotating.active.reserve_for(log.end + 1)

    rotating.rotate()
    rotating.sim.run_background()
    assert rotating.closed(FIRST)
    assert not rotating.closed(SECOND)

    segment = rotating.found.segments.of(1)
    wanted = bytes(log.data) + b"".join(footer.made(segment, recorded(log), REAL.raw_lock))
    assert rotating.files()[FIRST] == wanted
    assert isinstance(rotating.found.table.parts[0], Sealed)


@pytest.mark.parametrize("step", ["prepare", "publish", "switch"])
def test_every_step_that_is_done_twice_is_done_once(step: str) -> None:
    once, twice = Rotating(small()), Rotating(small())
    for rotating, times in ((once, 1), (twice, 2)):
        ends: list[Tip] = [
            getattr(rotating.rotation, name)(rotating.tip)
            for name in ("prepare", "publish", "switch")
            for _ in range(times if name == step else 1)
        ]
        rotating.rotation.forget()
        assert ends[-1].end == rotating.rotation.newest.start
        rotating.sim.run_background()

    assert twice.files() == once.files() or step == "prepare"  # which draws another salt
    assert len(twice.found.segments) == len(twice.found.table.parts) == 2
    assert step == "prepare" or twice.changes() == once.changes()


def test_a_rotation_that_has_its_names_is_not_prepared_again() -> None:
    rotating = Rotating(small())
    rotating.rotation.prepare(rotating.tip)
    rotating.rotation.publish(rotating.tip)
    done, files = len(rotating.changes()), rotating.files()

    rotating.rotation.prepare(rotating.tip)
    rotating.rotation.publish(rotating.tip)

    assert len(rotating.changes()) == done
    assert rotating.files() == files


def test_a_rotation_is_begun_until_the_log_has_another_end() -> None:
    rotating = Rotating(small())
    rotation, tip = rotating.rotation, rotating.tip
    assert not rotation.begun(tip)
    rotating.sim.fail_at(1, errno.ENOSPC, kind="create")

    with pytest.raises(StorageFailed):
        rotation.prepare(tip)

    assert rotation.begun(tip)
    rotation.prepare(tip)
    rotation.publish(tip)
    assert rotation.begun(tip)
    after = rotation.switch(tip)
    assert not rotation.begun(after)
    rotation.forget()
    assert not rotation.begun(tip)


def test_without_a_new_file_there_is_nothing_to_switch_to() -> None:
    rotating = Rotating(small())

    assert rotating.rotation.switch(rotating.tip) is rotating.tip
    assert len(rotating.found.segments) == 1


def test_a_second_rotation_begins_a_third_file() -> None:
    rotating = Rotating(small())
    tip = rotating.rotate()

    rotation = rotating.rotation
    rotation.prepare(tip)
    rotation.publish(tip)
    rotation.switch(tip)

    decoded, start = header.decode(rotating.files()["000003.fbat"], "f")
    assert decoded.prev == Link(2, tip.end, tip.chain_head)
    assert rotating.head()[1:4] == (head.OPEN, 3, start)
    assert rotating.found.segments.newest.segment_id == 3


def test_a_rotation_whose_switch_was_not_taken_over_gives_way_to_the_next() -> None:
    """The log went on in the new file, and nobody has said so."""
    rotating = Rotating(small())
    rotation = rotating.rotation
    rotation.prepare(rotating.tip)
    rotation.publish(rotating.tip)
    tip = rotation.switch(rotating.tip)

    rotation.prepare(tip)
    rotation.publish(tip)

    assert header.decode(rotating.files()["000003.fbat"], "f")[0].prev == Link(
        2, tip.end, tip.chain_head
    )


# -------------------------------------------------------------------------------------- the end


def test_a_log_ends_with_a_cut_a_sync_and_a_clean_head() -> None:
    log = small()
    rotating = Rotating(log)
    rotating.active.reserve_for(log.end + 1)
    done = len(rotating.changes())

    rotating.rotation.end(rotating.tip)

    assert rotating.changes()[done:] == [
        f"truncate d/{FIRST}",
        f"sync d/{FIRST}",
        "create d/HEAD.tmp",
        "write d/HEAD.tmp",
        "sync d/HEAD.tmp",
        "replace d/HEAD",
        "syncdir d",
    ]
    assert rotating.files()[FIRST] == log.data
    assert rotating.head()[:6] == head_of(log, head.CLEAN)[:6]


def test_what_waits_is_sealed_before_the_end() -> None:
    rotating = Rotating(small())
    tip = rotating.rotate()
    assert not isinstance(rotating.found.table.parts[0], Sealed)

    rotating.rotation.end(tip)

    assert isinstance(rotating.found.table.parts[0], Sealed)
    changes = rotating.changes()
    assert changes.index(f"write d/{FIRST}") < changes.index(f"truncate d/{SECOND}")


@pytest.mark.parametrize("short", [1, 100])
def test_a_file_that_is_shorter_than_what_was_written_to_it_does_not_end_in_order(
    short: int,
) -> None:
    log = small()
    rotating = Rotating(log)
    with rotating.sim.pause():
        rotating.directory.append(FIRST).truncate(log.end - short)

    with pytest.raises(CorruptStore) as caught:
        rotating.rotation.end(rotating.tip)

    assert (caught.value.path, caught.value.offset) == (f"d/{FIRST}", log.end - short)
    assert caught.value.reason is Damage.SEGMENT
    assert rotating.head().state == head.OPEN


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("size", "measure"), ("truncate", "cut"), ("sync", "cut"), ("create", "create")],
)
def test_an_end_that_is_refused_is_typed_and_not_recorded(kind: Kind, operation: str) -> None:
    rotating = Rotating(small())
    rotating.sim.fail_at(1, errno.EIO, kind=kind)

    with pytest.raises(StorageFailed) as caught:
        rotating.rotation.end(rotating.tip)

    where = FIRST if kind != "create" else "HEAD.tmp"
    assert (caught.value.operation, caught.value.path) == (operation, f"d/{where}")
    assert rotating.head().state == head.OPEN


def sized(end: int) -> Log:
    """A log that ends there."""
    log = log_of([Item()])
    empty = len(log.record(Item(payload=b"x" * 0x1_0000))) + 8 - 0x1_0000
    log.add(Item(payload=b"x" * (end - log.end - empty)))
    assert log.end == end
    return log


@pytest.mark.parametrize(("end", "has_footer"), [(0x4_0000 - 1, False), (0x4_0000, True)])
@pytest.mark.parametrize("more", [0, 1000])
def test_a_large_file_gets_a_footer_at_its_end(end: int, has_footer: bool, more: int) -> None:
    log = sized(end + more if has_footer else end - more)
    rotating = Rotating(log)

    rotating.rotation.end(rotating.tip)

    made = b"".join(footer.made(rotating.rotation.newest, recorded(log), REAL.raw_lock))
    assert rotating.files()[FIRST] == bytes(log.data) + (made if has_footer else b"")
    assert rotating.head().state == head.CLEAN
    assert (len(rotating.found.table.tail._chunk[1]) == 0) == has_footer  # nothing waits any more


def test_a_footer_that_is_refused_at_the_end_is_typed() -> None:
    rotating = Rotating(sized(0x4_0000))
    rotating.sim.fail_at(2, errno.ENOSPC, kind="truncate")

    with pytest.raises(StorageFailed) as caught:
        rotating.rotation.end(rotating.tip)

    assert (caught.value.operation, caught.value.path) == ("write", f"d/{FIRST}")
    assert rotating.head().state == head.CLEAN


def test_a_close_seals_what_waits_and_gives_the_file_back() -> None:
    rotating = Rotating(small())
    rotating.rotate()

    rotating.rotation.close()

    assert isinstance(rotating.found.table.parts[0], Sealed)
    assert rotating.closed(FIRST)
    assert rotating.closed(SECOND)


def test_who_abandons_a_log_seals_nothing_and_leaves_the_lock_alone() -> None:
    rotating = Rotating(small())
    rotating.rotate()
    done = len(rotating.changes())
    assert rotating.holds_lock()

    rotating.rotation.abandon()

    rotating.sim.run_background()
    assert len(rotating.changes()) == done
    assert rotating.closed(SECOND)
    assert not rotating.holds_lock()
    assert rotating.lock.intact()


def test_the_lock_is_held_as_long_as_its_name_leads_to_it() -> None:
    rotating = Rotating(small())
    assert rotating.holds_lock()

    rotating.directory.unlink(layout.LOCK)

    assert not rotating.holds_lock()
