"""How a file appears under its name: whole and durable, or not at all.

Would slip through without it: a name that exists before its bytes are durable, a leftover that
stands in the way for ever, a refusal of the system that comes out untyped or leaves a file open.
"""

from __future__ import annotations

import errno
from typing import Final

import pytest

from batpak.disk.whole import read_all, write_all
from batpak.errors import CorruptStore, StorageFailed
from batpak.faults import Damage
from batpak.journal import head, header, layout
from batpak.testing.disk import Call
from batpak.testing.faults import Kind, Part, Short
from batpak.testing.handles import SimWriteFile
from tests.unit.journal.directories import kinds, open_files, started
from tests.unit.journal.logs import log_of

MIB: Final = 1024 * 1024


def test_a_file_is_whole_and_durable_before_it_has_its_name() -> None:
    sim, directory = started()

    layout.replace(directory, "a", b"data")

    assert kinds(sim) == [
        "create d/a.tmp",
        "write d/a.tmp",
        "sync d/a.tmp",
        "close d/a.tmp",
        "replace d/a",
        "syncdir d",
    ]
    assert sim.crash().files() == {"d/a": b"data"}


def test_a_new_file_is_synced_with_all_that_is_known_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not its data only, as the file that grows is: it is renamed next."""
    asked: list[bool] = []
    sync = SimWriteFile.sync

    def noted(file: SimWriteFile, *, data_only: bool) -> None:
        asked.append(data_only)
        sync(file, data_only=data_only)

    monkeypatch.setattr(SimWriteFile, "sync", noted)
    _, directory = started()

    layout.replace(directory, "a", b"data")
    layout.quarantine(directory, 1, 151, memoryview(b"torn"))

    assert asked == [False, False]


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB + 5])
def test_a_file_of_any_size_is_written_in_pieces_of_a_mebibyte(size: int) -> None:
    sim, directory = started()
    data = bytes(n & 0xFF for n in range(251)) * (size // 251 + 1)

    layout.prepare(directory, "a", memoryview(data)[:size])

    assert sim.files() == {"d/a.tmp": data[:size]}
    pieces = [call.size for call in sim.trace if call.kind == "write"]
    assert pieces == [MIB] * (size // MIB) + ([size % MIB] if size % MIB else [])


def test_a_write_that_takes_less_goes_on_where_it_stopped() -> None:
    sim, directory = started()
    sim.disk.write_max = 3

    layout.replace(directory, "a", b"0123456789")
    file = directory.append("a")
    write_all(file, 8, b"abcdefg")

    assert sim.files() == {"d/a": b"01234567abcdefg"}


class Full:
    """A file that takes no more, without an error."""

    def __init__(self, *taken: int) -> None:
        self.taken = list(taken)

    def write(self, offset: int, data: bytes, /) -> int:
        del offset, data
        return self.taken.pop(0)


@pytest.mark.parametrize("taken", [(0, 0), (2, 0), (2, -1)])
def test_a_write_that_takes_nothing_is_a_refusal_and_no_endless_loop(taken: tuple[int]) -> None:
    with pytest.raises(OSError, match="no more bytes"):
        write_all(Full(*taken), 0, b"data")  # type: ignore[arg-type]  # all that is called


def test_pieces_are_written_one_behind_the_other_small_ones_together() -> None:
    sim, directory = started()
    file = directory.create("a")
    pieces = [b"x" * 10, b"", b"y" * (MIB - 11), b"z", b"u" * 5, b"t" * MIB, b"v", b"w"]

    layout.write_pieces(file, 5, pieces)

    assert sim.files() == {"d/a": bytes(5) + b"".join(pieces)}
    writes = [(call.offset, call.size) for call in sim.trace if call.kind == "write"]
    assert writes == [(5, MIB), (5 + MIB, MIB + 5), (10 + 2 * MIB, 2)]


def test_no_pieces_are_no_write() -> None:
    sim, directory = started()

    layout.write_pieces(directory.create("a"), 5, [b"", b""])

    assert "write d/a" not in kinds(sim)


def test_a_leftover_of_an_interrupted_replacement_gives_way() -> None:
    sim, directory = started(a=b"old")
    with sim.pause():
        left = directory.create("a.tmp")
        left.write(0, b"a longer leftover")

    layout.replace(directory, "a", b"new")

    assert sim.files() == {"d/a": b"new"}
    assert kinds(sim)[:3] == ["create d/a.tmp", "unlink d/a.tmp", "create d/a.tmp"]


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("create", "create"), ("write", "write"), ("sync", "write"), ("close", "write")],
)
def test_a_refused_first_half_is_typed_and_leaves_nothing(kind: Kind, operation: str) -> None:
    sim, directory = started(a=b"old")
    sim.fail_at(1, errno.ENOSPC, kind=kind)

    with pytest.raises(StorageFailed) as caught:
        layout.prepare(directory, "a", b"new")

    assert (caught.value.operation, caught.value.path) == (operation, "d/a.tmp")
    assert caught.value.errno == errno.ENOSPC
    assert sim.files() == {"d/a": b"old"}
    assert open_files(sim) == 0


def test_a_refused_removal_does_not_hide_the_refusal_before_it() -> None:
    sim, directory = started()
    sim.fail_at(1, errno.ENOSPC, kind="sync")
    sim.fail_at(1, errno.EROFS, kind="unlink")

    with pytest.raises(StorageFailed) as caught:
        layout.prepare(directory, "a", b"new")

    assert caught.value.errno == errno.ENOSPC
    assert sim.files() == {"d/a.tmp": b"new"}


def test_an_interrupt_inside_the_first_half_leaves_nothing() -> None:
    sim, directory = started()

    def interrupt(call: Call) -> None:
        if call.kind == "sync":
            raise KeyboardInterrupt

    sim.disk.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        layout.prepare(directory, "a", b"new")

    assert sim.files() == {}
    assert open_files(sim) == 0


@pytest.mark.parametrize(("kind", "left"), [("replace", b"old"), ("syncdir", b"new")])
def test_a_refused_second_half_is_typed(kind: Kind, left: bytes) -> None:
    sim, directory = started(a=b"old")
    layout.prepare(directory, "a", b"new")
    sim.fail_at(1, errno.EIO, kind=kind)

    with pytest.raises(StorageFailed) as caught:
        layout.publish(directory, "a")

    assert (caught.value.operation, caught.value.path) == ("replace", "d/a")
    assert caught.value.errno == errno.EIO
    assert sim.files()["d/a"] == left


def test_what_the_system_says_is_kept_and_an_error_without_a_number_speaks_for_itself() -> None:
    said = layout.failed("write", "p", OSError(errno.EIO, "Input/output error"))
    bare = layout.failed("write", "p", OSError("simply not"))

    assert (said.operation, said.path, said.errno) == ("write", "p", errno.EIO)
    assert "Input/output error" in str(said)
    assert bare.errno is None
    assert "simply not" in str(bare)


def test_torn_bytes_are_kept_durably_each_time_under_a_new_name() -> None:
    sim, directory = started()

    names = [
        layout.quarantine(directory, segment, offset, memoryview(data))
        for segment, offset, data in [(1, 151, b"one"), (1, 151, b"two"), (1, 151, b"three")]
    ]
    other = layout.quarantine(directory, 12, 7, memoryview(b"other"))

    assert names == [f"quarantine/000001-151-{n}.bin" for n in (1, 2, 3)]
    assert other == "quarantine/000012-7-1.bin"
    kept = {f"d/{names[0]}": b"one", f"d/{names[1]}": b"two", f"d/{names[2]}": b"three"}
    assert sim.crash().files() == {**kept, f"d/{other}": b"other"}
    assert open_files(sim) == 0
    assert layout.quarantined_bytes(directory) == 3 + 3 + 5 + 5


@pytest.mark.parametrize(
    ("kind", "operation", "path"),
    [
        ("subdir", "create", "d/quarantine"),
        ("create", "create", "d/quarantine/000001-151-1.bin"),
        ("write", "write", "d/quarantine/000001-151-1.bin"),
        ("sync", "write", "d/quarantine/000001-151-1.bin"),
    ],
)
def test_a_refused_quarantine_is_typed_and_leaves_nothing_open(
    kind: Kind, operation: str, path: str
) -> None:
    sim, directory = started()
    sim.fail_at(1, errno.EIO, kind=kind)

    with pytest.raises(StorageFailed) as caught:
        layout.quarantine(directory, 1, 151, memoryview(b"torn"))

    assert (caught.value.operation, caught.value.path) == (operation, path)
    assert open_files(sim) == 0


def test_the_names_of_a_quarantine_are_synced_last() -> None:
    sim, directory = started()
    layout.quarantine(directory, 1, 151, memoryview(b"torn"))
    assert kinds(sim)[-5:] == [
        "write d/quarantine/000001-151-1.bin",
        "sync d/quarantine/000001-151-1.bin",
        "close d/quarantine/000001-151-1.bin",
        "syncdir d/quarantine",
        "close d/quarantine",
    ]

    sim.fail_at(kinds(sim).count("syncdir d/quarantine") + 1, errno.EIO, kind="syncdir")
    with pytest.raises(StorageFailed) as caught:
        layout.quarantine(directory, 1, 151, memoryview(b"torn"))

    assert (caught.value.operation, caught.value.path[-4:]) == ("write", ".bin")


def test_what_is_set_aside_is_counted_files_only() -> None:
    sim, directory = started()
    assert layout.quarantined_bytes(directory) == 0
    assert directory.entries() == []
    with sim.pause():
        shelf = directory.subdir("quarantine", create=True)
    assert layout.quarantined_bytes(directory) == 0
    with sim.pause():
        layout.replace(shelf, "a", b"123")
        layout.replace(shelf, "b", b"45")
        layout.replace(shelf.subdir("c", create=True), "d", b"not ours")

    assert layout.quarantined_bytes(directory) == 5
    assert open_files(sim) == 0
    sim.fail_at(1, errno.EIO, kind="entries")
    with pytest.raises(StorageFailed) as caught:
        layout.quarantined_bytes(directory)
    assert (caught.value.operation, caught.value.path) == ("list", "d/quarantine")
    assert open_files(sim) == 0


@pytest.mark.parametrize(
    ("offset", "count", "found"),
    [(0, 10, b"0123456789"), (3, 4, b"3456"), (8, 5, b"89"), (12, 3, b"")],
)
@pytest.mark.parametrize("part", [None, Part.ONE, Part.ALL_BUT_ONE])
def test_a_read_goes_on_until_it_has_all_or_the_file_ends(
    offset: int, count: int, found: bytes, part: Part | None
) -> None:
    sim, directory = started(a=b"0123456789")
    if part is not None:
        sim.fail_at(1, Short(part), sticky=True, kind="pread")

    assert read_all(directory.open("a"), offset, count) == found
    reads = [call for call in sim.trace if call.kind == "pread"]
    assert part is not None or len(reads) == (1 if len(found) == count else 2)


def test_a_small_file_is_read_whole_or_refused() -> None:
    sim, directory = started(a=b"01234")

    assert layout.read_small(directory, "a", 5) == b"01234"
    with pytest.raises(CorruptStore) as caught:
        layout.read_small(directory, "a", 4)
    assert (caught.value.path, caught.value.offset) == ("d/a", 4)
    assert caught.value.reason is Damage.LAYOUT
    with pytest.raises(StorageFailed) as missing:
        layout.read_small(directory, "b", 5)
    assert (missing.value.operation, missing.value.path) == ("read", "d/b")
    sim.fail_at(1, errno.EIO, kind="pread")
    with pytest.raises(StorageFailed):
        layout.read_small(directory, "a", 5)
    assert open_files(sim) == 0


def test_head_has_at_most_four_kibibytes() -> None:
    for size, offset in ((4096, 0), (4097, 4096)):
        _, directory = started(HEAD=b"x" * size)
        with pytest.raises(CorruptStore) as caught:
            head.read(directory)
        assert caught.value.offset == offset


def test_a_segment_has_at_most_four_gibibytes_less_a_byte() -> None:
    for size, is_fine in ((0xFFFF_FFFF, True), (0x1_0000_0000, False)):
        log = log_of([])
        sim, directory = started()
        log.put(directory)
        with sim.pause():
            directory.append("000001.fbat").truncate(size)
        if is_fine:
            assert header.read(directory, "000001.fbat").size == size
        else:
            with pytest.raises(CorruptStore) as caught:
                header.read(directory, "000001.fbat")
            assert caught.value.offset == 0xFFFF_FFFF
