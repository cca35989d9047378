"""What an open finds in files that were made by hand, what it does about it, and in which order.

Would slip through without it: a log that goes on from another event than its last, a writer that
leaves torn bytes where the next frames go, a reader that changes a file, damage that is refused at
another place than where it is.
"""

from __future__ import annotations

import errno
from typing import Final

import pytest

from batpak.digest import ZERO_HASH
from batpak.errors import CorruptStore, StorageFailed
from batpak.faults import Damage
from batpak.journal import frame, head, header
from batpak.journal.segment import Segments, Tip
from batpak.recovery import restore
from batpak.recovery.restore import Recovered
from batpak.report import Torn
from batpak.testing.handles import SimWriteFile
from tests.facts import Counted
from tests.unit.journal.logs import MS, STORE_ID, Item, Log, log_of
from tests.unit.recovery.machines import Machine, head_of

OTHER: Final = Item(entity="user:2", scope="other", key=b"k")


def last_of(log: Log, end: int | None = None) -> Tip:
    """The end of the log behind the last event of a file."""
    body, sequence = log.bodies[-1], log.sequence
    return Tip(
        sequence,
        body[129:161],
        int.from_bytes(body[21:29], "big"),
        int.from_bytes(body[29:33], "big"),
        int.from_bytes(body[49:57], "big"),
        log.end if end is None else end,
        sequence,
    )


def plain() -> Log:
    """Three events of two entities; the last has its own values in every field of the tip."""
    log = log_of([Item(), OTHER])
    log.add(Item(), {"wall_ms": MS + 5, "counter": 9, "id_hi": (MS + 6) << 16 | 0x7001})
    return log


def refused(machine: Machine, *, writable: bool = True) -> tuple[str, int, Damage]:
    """Where an open refuses the log, and that it has changed nothing."""
    with pytest.raises(CorruptStore) as caught:
        machine.restore(writable=writable)
    assert machine.changes() == []
    return caught.value.path.removeprefix("d/"), caught.value.offset, caught.value.reason


def sequences(found: Recovered) -> list[int]:
    return [part.first for part in found.table.parts] + [found.table.bound]


# ------------------------------------------------------------------------------------- creation


def test_a_store_is_made_where_there_is_none() -> None:
    machine = Machine([], None)

    found = machine.restore()

    files = machine.files()
    decoded, start = header.decode(files["000001.fbat"], "f")
    assert set(files) == {"000001.fbat", "HEAD"}
    assert len(files["000001.fbat"]) == start
    assert (decoded.segment_id, decoded.first_sequence, decoded.prev) == (1, 0, None)
    assert (len(decoded.store_id), len(decoded.salt)) == (16, 8)
    assert found.store_id == decoded.store_id
    assert found.clean
    assert found.tip == Tip(0, ZERO_HASH, 0, -1, 0, start, 0)
    assert (found.scanned_bytes, found.torn, found.dropped_batch_items) == (0, None, 0)
    assert (found.rebuilt, found.ignored_files, found.unknown_kinds) == ((), (), {})
    assert machine.head()[:6] == (decoded.store_id, head.OPEN, 1, start, 0, ZERO_HASH)
    assert machine.changes()[3:5] == ["replace d/000001.fbat", "syncdir d"]
    assert "create d/HEAD.tmp" in machine.changes()[5:]


def test_a_reader_makes_no_store() -> None:
    machine = Machine([], None)

    with pytest.raises(StorageFailed) as caught:
        machine.restore(writable=False)

    assert (caught.value.operation, caught.value.path) == ("open", "d")
    assert caught.value.errno == errno.ENOENT
    assert machine.files() == {}


def test_an_interrupted_creation_keeps_its_identity() -> None:
    machine = Machine([Log()], None)
    made = machine.files()["000001.fbat"]

    with pytest.raises(StorageFailed):
        machine.restore(writable=False)
    found = machine.restore()

    assert found.store_id == STORE_ID
    assert not found.clean  # somebody was there before
    assert machine.files()["000001.fbat"] == made
    assert machine.head().segment_id == 1


@pytest.mark.parametrize(
    ("state", "logs", "is_one"),
    [(None, 0, False), (None, 1, True), (head_of(Log()), 0, True), (head_of(Log()), 1, True)],
)
def test_a_directory_has_something_of_a_store_if_it_has_head_or_a_segment(
    state: head.Head | None, logs: int, is_one: bool
) -> None:
    machine = Machine([Log()] * logs, state)

    assert restore.is_store(machine.directory) is is_one


# ------------------------------------------------------------------------------------- one file


@pytest.mark.parametrize("row", [None, 0, 1, 3])
def test_a_log_that_was_not_closed_is_read_whole_and_copied(row: int | None) -> None:
    log = plain()
    machine = Machine([log], head_of(log, row=row))

    found = machine.restore()

    assert found.tip == last_of(log)
    assert found.store_id == STORE_ID
    assert not found.clean
    assert found.scanned_bytes == log.end - log.start
    assert (found.torn, found.dropped_batch_items) == (None, 0)
    assert found.segments.newest.end == log.end
    assert found.segments.newest.good is None  # all of it was just verified
    assert len(found.segments) == 1
    assert sequences(found) == [0, 3]
    assert found.table.version("user:1") == 2
    assert found.unknown_kinds == {0x1001: 3}
    assert machine.head()[:6] == head_of(log)[:6]
    assert machine.files()["000001.fbat"] == log.data
    assert machine.changes() == [
        "create d/000001.fbat.tmp",
        "write d/000001.fbat.tmp",
        "sync d/000001.fbat.tmp",
        "replace d/000001.fbat",
        "syncdir d",
        "create d/HEAD.tmp",
        "write d/HEAD.tmp",
        "sync d/HEAD.tmp",
        "replace d/HEAD",
        "syncdir d",
    ]


def test_a_log_that_was_closed_is_neither_copied_nor_cut() -> None:
    log = plain()
    machine = Machine([log], head_of(log, head.CLEAN))

    found = machine.restore()

    assert found.clean
    assert found.tip == last_of(log)
    assert (found.scanned_bytes, found.dropped_batch_items) == (log.end - log.start, 0)
    assert machine.changes()[0] == "create d/HEAD.tmp"
    assert machine.head()[:6] == head_of(log)[:6]


def test_what_lies_behind_the_end_of_a_closed_log_is_cut_off_durably(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []
    sync = SimWriteFile.sync

    def noted(file: SimWriteFile, *, data_only: bool) -> None:
        asked.append(data_only)
        sync(file, data_only=data_only)

    monkeypatch.setattr(SimWriteFile, "sync", noted)
    log = plain()
    machine = Machine([log], head_of(log, head.CLEAN), more={"000001.fbat": b"a footer"})

    asked.clear()
    found = machine.restore()

    assert asked == [False, False]  # of the file and of HEAD, with their sizes
    assert found.torn is None
    assert machine.files()["000001.fbat"] == log.data
    assert machine.changes()[:3] == [
        "truncate d/000001.fbat",
        "sync d/000001.fbat",
        "create d/HEAD.tmp",
    ]
    assert [call.kind for call in machine.sim.trace].count("append") == 1
    closed = [call.path for call in machine.sim.trace if call.kind == "close"]
    assert closed.count("d/000001.fbat") >= 2  # by who read the header, and by who cut
    assert found.segments.newest.end == len(found.segments.newest.whole()) == log.end


@pytest.mark.parametrize("state", [head.OPEN, head.CLEAN])
def test_readers_see_what_is_written_to_the_file_that_has_the_name_now(state: int) -> None:
    log = plain()
    machine = Machine([log], head_of(log, state))

    found = machine.restore()
    machine.directory.append("000001.fbat").write(log.end, b"a frame")

    assert bytes(found.segments.newest.whole()[log.end :]) == b"a frame"


@pytest.mark.parametrize("kind", ["append", "truncate", "sync"])
def test_a_cut_that_is_refused_is_typed(kind: str) -> None:
    log = plain()
    machine = Machine([log], head_of(log, head.CLEAN), more={"000001.fbat": b"a footer"})
    machine.sim.fail_at(1, errno.EIO, kind=kind)  # type: ignore[arg-type]  # one of them

    with pytest.raises(StorageFailed) as caught:
        machine.restore()

    assert (caught.value.operation, caught.value.path) == ("cut", "d/000001.fbat")


@pytest.mark.parametrize("state", [head.OPEN, head.CLEAN])
@pytest.mark.parametrize("junk", [b"", b"junk"])
def test_a_reader_finds_the_same_and_changes_nothing(state: int, junk: bytes) -> None:
    log = plain()
    given = head_of(log, state)
    machine = Machine([log], given, more={"000001.fbat": junk, "HEAD.tmp": b"", "note": b""})
    before = machine.files()

    found = machine.restore(writable=False)

    assert found.tip == last_of(log)
    assert found.clean == (state == head.CLEAN)
    is_torn = junk and state == head.OPEN
    assert (found.torn is not None) == bool(is_torn)
    assert found.segments.newest.end == log.end
    assert found.segments.newest.good is None
    assert found.ignored_files == ("note",)
    assert machine.changes() == []
    assert machine.files() == before


@pytest.mark.parametrize(
    ("tail", "size"),
    [(b"junk", 4), (b"junk" + bytes(300), 4), (bytes(9) + b"x" + bytes(9), 10), (bytes(500), 0)],
)
@pytest.mark.parametrize("writable", [True, False])
def test_torn_bytes_are_set_aside_up_to_the_last_that_is_not_zero(
    tail: bytes, size: int, writable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    log = plain()
    machine = Machine([log], head_of(log, row=1), more={"000001.fbat": tail})

    found = machine.restore(writable=writable)

    name = f"quarantine/000001-{log.end}-1.bin"
    kept = name if writable else None
    assert found.torn == (
        Torn(file="000001.fbat", offset=log.end, bytes=size, quarantine=kept) if size else None
    )
    assert found.tip == last_of(log)
    said = [(record.name, vars(record)["offset"]) for record in caplog.records]
    assert said == ([("batpak.recovery", log.end)] if size else [])
    assert machine.files().get(name) == (tail[:size] if size and writable else None)
    if writable:
        assert machine.files()["000001.fbat"] == log.data


def test_items_of_a_batch_that_is_not_whole_are_torn_and_counted() -> None:
    log = plain()
    end, tip = log.end, last_of(log)
    for index in range(2):
        log.add(
            Item(index=index, count=3),
            {"wall_ms": MS + 6 + index, "id_hi": (MS + 7 + index) << 16 | 0x7000},
        )
    machine = Machine([log], head_of(plain()))

    found = machine.restore()

    assert found.dropped_batch_items == 2
    assert found.tip == tip
    assert found.torn is not None
    assert (found.torn.offset, found.torn.bytes) == (end, log.end - end)
    assert found.scanned_bytes == log.end - log.start
    assert machine.files()["000001.fbat"] == plain().data


def test_torn_bytes_are_kept_before_they_are_cut_off() -> None:
    log = plain()
    machine = Machine([log], head_of(log), more={"000001.fbat": b"junk"})
    machine.restore()

    changes = machine.changes()
    kept = changes.index(f"sync d/quarantine/000001-{log.end}-1.bin")
    assert kept < changes.index("create d/000001.fbat.tmp")
    assert changes.index("replace d/000001.fbat") < changes.index("create d/HEAD.tmp")


# ------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("state", [head.OPEN, head.CLEAN])
def test_an_event_with_another_hash_is_refused_where_hashes_are_computed(
    state: int, writable: bool
) -> None:
    """After a clean close they are not: `verify` does."""
    log = plain()
    body = bytearray(log.bodies[1])
    body[-1] ^= 1
    at = log.offsets[1]
    log.data[at : log.offsets[2]] = frame.encode(bytes(body), at, log.seed)
    machine = Machine([log], head_of(log, state))

    if state == head.CLEAN:
        assert machine.restore(writable=writable).tip.sequence == 3
    else:
        assert refused(machine, writable=writable) == ("000001.fbat", at, Damage.CHAIN)


@pytest.mark.parametrize("version", [1, 3])
def test_an_event_with_another_version_than_its_entity_has_is_refused(version: int) -> None:
    log = log_of([Item(), OTHER])
    log.add(Item(), {"version": version})
    log.add(Item())

    for state in (head.OPEN, head.CLEAN):
        found = refused(Machine([log], head_of(log, state, row=None)))
        assert found == ("000001.fbat", log.offsets[2], Damage.CHAIN)


def test_an_event_that_names_another_one_before_it_is_refused() -> None:
    log = log_of([Item(), OTHER])
    log.heads["user:1"] = 1, b"x" * 32
    log.add(Item())

    assert refused(Machine([log], head_of(log))) == ("000001.fbat", log.offsets[2], Damage.CHAIN)


@pytest.mark.parametrize("entity", ["user:1", "user:2"])
@pytest.mark.parametrize("change", ["version", "hash", "name"])
@pytest.mark.parametrize("state", [head.OPEN, head.CLEAN])
def test_links_into_the_files_before_are_looked_at_after_a_crash(
    change: str, state: int, entity: str
) -> None:
    """Of entities that have two events there, and one."""
    first = plain()
    second = first.next()
    version, own = second.heads[entity]
    if change == "version":
        second.heads[entity] = version + 1, own
    elif change == "hash":
        second.heads[entity] = version, b"x" * 32
    else:
        second.heads["user:9"] = version, own
    second.add(Item(entity="new"), {"wall_ms": MS + 6, "id_hi": (MS + 7) << 16 | 0x7000})
    at = second.end
    second.add(
        Item(entity="user:9" if change == "name" else entity),
        {"wall_ms": MS + 7, "id_hi": (MS + 8) << 16 | 0x7000},
    )
    machine = Machine([first, second], head_of(second, state))

    if state == head.CLEAN:
        assert machine.restore().tip.sequence == 5
    else:
        assert refused(machine) == ("000002.fbat", at, Damage.CHAIN)


def test_the_first_event_of_an_entity_asks_for_nothing_in_the_files_before() -> None:
    first = plain()
    second = first.next()
    second.add(Item(entity="new"), {"wall_ms": MS + 6, "id_hi": (MS + 7) << 16 | 0x7000})
    machine = Machine([first, second], head_of(second))

    machine.restore()

    assert "map d/000001.fbat" not in [f"{one.kind} {one.path}" for one in machine.sim.trace]


@pytest.mark.parametrize("change", ["sequence", "hash", "end"])
def test_a_log_that_does_not_pass_head_is_refused(change: str) -> None:
    log = plain()
    said = head_of(log, row=2)
    wrong = {
        "sequence": said._replace(next_sequence=3),
        "hash": said._replace(chain_head=b"x" * 32),
        "end": said._replace(frames_end=said.frames_end + 1),
    }[change]

    assert refused(Machine([log], wrong)) == ("000001.fbat", wrong.frames_end, Damage.HEAD)


@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_closed_log_that_goes_on_behind_its_end_is_refused(row: int) -> None:
    log = plain()
    machine = Machine([log], head_of(log, head.CLEAN, row=row))

    assert refused(machine) == ("000001.fbat", log.offsets[row], Damage.HEAD)


@pytest.mark.parametrize("less", [1, 100, 200])
def test_a_closed_log_that_is_cut_is_refused_where_it_stops(less: int) -> None:
    log = plain()
    machine = Machine([log], head_of(log, head.CLEAN))
    machine.put("000001.fbat", bytes(log.data[:-less]))
    last = log.offsets[2] if less < 190 else log.offsets[1]

    assert refused(machine) == ("000001.fbat", last, Damage.SEGMENT)


def test_a_name_that_is_missing_a_link_and_a_head_that_do_not_fit_are_refused() -> None:
    first = plain()
    second = first.next()
    third = second.next()

    assert refused(Machine([first, third], head_of(third))) == ("000002.fbat", 0, Damage.LAYOUT)
    other = Log(2, 3, header.Link(3, first.end, first.chain_head))
    assert refused(Machine([first, other], head_of(other))) == ("000002.fbat", 0, Damage.LAYOUT)
    gone = head_of(third)
    assert refused(Machine([first, second], gone)) == ("000003.fbat", 0, Damage.LAYOUT)
    foreign = head_of(first)._replace(store_id=b"x" * 16)
    assert refused(Machine([first], foreign)) == ("HEAD", 0, Damage.HEAD)


def test_a_clean_head_is_one_behind_only_while_the_next_file_is_empty() -> None:
    first = plain()
    second = first.next()

    found = Machine([first, second], head_of(first, head.CLEAN)).restore()
    assert (found.clean, found.tip) == (True, last_of(first, second.end))

    second.add(Item(), {"wall_ms": MS + 6, "id_hi": (MS + 7) << 16 | 0x7000})
    behind = Machine([first, second], head_of(first, head.CLEAN))
    assert refused(behind) == ("HEAD", 0, Damage.HEAD)


def test_a_refused_open_gives_its_files_back(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    close = Segments.close

    def counted(segments: Segments) -> None:
        closed.append(len(segments))
        close(segments)

    monkeypatch.setattr(Segments, "close", counted)
    log = plain()

    refused(Machine([log], head_of(log, row=2)._replace(next_sequence=7)))

    assert closed == [1]


# ---------------------------------------------------------------------------- leftovers and HEAD


def test_leftovers_are_removed_before_head_is_written() -> None:
    log = plain()
    more = {"HEAD.tmp": b"x", "000002.fbat.tmp": b"y", "mine.tmp": b"z"}
    machine = Machine([log], head_of(log, head.CLEAN), more=more)

    found = machine.restore()

    assert set(machine.files()) == {"000001.fbat", "HEAD", "mine.tmp"}
    assert found.ignored_files == ("mine.tmp",)
    assert machine.changes()[:3] == [
        "unlink d/000002.fbat.tmp",
        "unlink d/HEAD.tmp",
        "create d/HEAD.tmp",
    ]


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EACCES])
def test_a_leftover_that_is_gone_already_is_no_trouble(code: int) -> None:
    log = plain()
    machine = Machine([log], head_of(log, head.CLEAN), more={"000002.fbat.tmp": b""})
    machine.sim.fail_at(1, code, kind="unlink")

    if code == errno.ENOENT:
        assert machine.restore().tip == last_of(log)
    else:
        with pytest.raises(StorageFailed) as caught:
            machine.restore()
        assert (caught.value.operation, caught.value.path) == ("remove", "d")


def test_kinds_that_no_class_reads_are_counted_in_all_files() -> None:
    known = int(Counted.KIND)
    first = Log()
    for number, kind in enumerate((0x1009, 0x1001, known, 0x1001)):
        first.add(Item(), {"kind": kind, "wall_ms": MS + number})
    second = first.next()
    for kind in (0x1001, known, 0x1005):
        second.add(Item(), {"kind": kind})

    found = Machine([first, second], head_of(second)).restore()

    assert list(found.unknown_kinds.items()) == [(0x1001, 3), (0x1005, 1), (0x1009, 1)]
