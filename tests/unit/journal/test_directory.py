"""What the names in the directory of a store mean, how it is entered, and who holds its lock.

Would slip through without it: a name that is nearly one of ours and is read, or removed, as one; a
refusal of the system that comes out untyped; a lock that names the wrong process.
"""

from __future__ import annotations

import errno

import pytest

from batpak.errors import InvalidArgument, StorageFailed, StoreLocked
from batpak.journal import layout
from batpak.platform import REAL
from batpak.testing.platform import SimPlatform
from tests.unit.journal.directories import kinds, open_files, started


def test_names_mean_what_the_format_says_and_nothing_else() -> None:
    sim, directory = started()
    files = {
        "000001.fbat": b"1",
        "000010.fbat": b"10..",
        "000009.fbat": b"9.",
        "1000000.fbat": b"a million",
        "123456789012345678.fbat": b"",
        "HEAD": b"",
        ".batpak.lock": b"",
        "HEAD.tmp": b"",
        "000002.fbat.tmp": b"",
        "000000.fbat": b"",
        "00001.fbat": b"",
        "0000001.fbat": b"",
        "1234567890123456789.fbat": b"",
        "000001.FBAT": b"",
        "notes.tmp": b"",
        ".tmp": b"",
        "HEAD.tmp.tmp": b"",
    }
    with sim.pause():
        for name, data in files.items():
            directory.create(name).write(0, data)
        for name in ("quarantine", "000003.fbat", "000004.fbat.tmp"):
            directory.subdir(name, create=True)

    found = layout.listing(directory)

    assert list(found.segments.items()) == [
        (1, 1),
        (9, 2),
        (10, 4),
        (1_000_000, 9),
        (123_456_789_012_345_678, 0),
    ]
    assert (found.has_head, found.has_lock) == (True, True)
    assert found.leftovers == ("000002.fbat.tmp", "HEAD.tmp")
    assert found.aliens == (
        ".tmp",
        "000000.fbat",
        "0000001.fbat",
        "000001.FBAT",
        "000003.fbat",
        "000004.fbat.tmp",
        "00001.fbat",
        "1234567890123456789.fbat",
        "HEAD.tmp.tmp",
        "notes.tmp",
    )
    assert kinds(sim) == ["entries d"]


def test_an_empty_directory_has_nothing_of_a_store() -> None:
    sim, directory = started()

    assert layout.listing(directory) == layout.Listing({}, False, False, False, (), ())
    sim.fail_at(1, errno.EIO)
    with pytest.raises(StorageFailed) as caught:
        layout.listing(directory)
    assert (caught.value.operation, caught.value.path) == ("list", "d")


def test_at_most_a_thousand_alien_names_are_listed() -> None:
    sim, directory = started()
    with sim.pause():
        for number in range(1001):
            directory.create(f"note {number:04}")

    aliens = layout.listing(directory).aliens

    assert (len(aliens), aliens[0], aliens[-1]) == (1000, "note 0000", "note 0999")


def test_a_directory_is_entered_or_made() -> None:
    sim = SimPlatform()

    with pytest.raises(StorageFailed) as caught:
        layout.enter(sim, "/x/d", create=False)
    made = layout.enter(sim, "/x/d", create=True)

    assert caught.value.operation == "open"
    assert caught.value.errno == errno.ENOENT
    assert caught.value.path == made.path == "/x/d"
    for wrong in ("/x/\0", "/x/\ud800", 7):
        with pytest.raises(InvalidArgument, match="path"):
            layout.enter(REAL, wrong, create=True)  # type: ignore[arg-type]  # on purpose


def test_a_writer_or_many_readers_hold_the_lock() -> None:
    _, directory = started()

    assert layout.lock(directory, 7, shared=True) is None  # nobody has ever written
    writer = layout.lock(directory, 7, shared=False)
    assert writer is not None
    for shared, mode in ((True, "reading"), (False, "writing")):
        with pytest.raises(StoreLocked) as caught:
            layout.lock(directory, 8, shared=shared)
        assert (caught.value.path, caught.value.mode) == ("d", mode)
        assert caught.value.holder_pid == 7
    writer.release()
    assert layout.lock(directory, 8, shared=True) is not None


@pytest.mark.parametrize(
    ("note", "pid"),
    [
        (b"1", 1),
        (b"1234567890", 1_234_567_890),
        (b"12345678901", None),
        (b"0", None),
        (b"", None),
        (b"x", None),
        (b"1" * 33, None),
    ],
)
def test_the_holder_of_a_lock_is_named_if_the_file_names_a_process(
    note: bytes, pid: int | None
) -> None:
    _, directory = started()
    held = directory.lock(".batpak.lock", note, shared=False)
    assert held is not None

    with pytest.raises(StoreLocked) as caught:
        layout.lock(directory, 8, shared=False)

    assert caught.value.holder_pid == pid


def test_a_lock_that_the_system_refuses_is_typed() -> None:
    sim, directory = started()
    for shared, code in ((False, errno.ENOENT), (False, errno.EIO), (True, errno.EIO)):
        sim.fail_at(1, code, kind="lock")
        with pytest.raises(StorageFailed) as caught:
            layout.lock(directory, 7, shared=shared)
        assert (caught.value.operation, caught.value.path) == ("lock", "d/.batpak.lock")
    held = layout.lock(directory, 7, shared=False)
    assert held is not None
    sim.fail_at(1, errno.EIO, kind="pread")
    with pytest.raises(StoreLocked) as locked:
        layout.lock(directory, 8, shared=False)
    assert locked.value.holder_pid is None
    assert open_files(sim) == 0
