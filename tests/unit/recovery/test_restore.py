"""What an open does with the files of a crash, seen from outside.

Would slip through without it: a torn end that is dropped without a trace, damage to durable events
taken for a torn end, a recovery that gives another result when it is repeated.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from batpak.errors import BatpakError, CorruptStore, FutureVersion, InvalidArgument, StorageFailed
from batpak.faults import Damage
from batpak.journal import head, header
from batpak.platform import REAL
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.facts import FAST, PLAIN, SMALL, USER, Counted


def numbers(path: Path) -> list[int]:
    with Store.open_read_only(path) as store:
        return [event.payload.n for event in store.by_fact(Counted)]


def crashed(path: Path, config: object = PLAIN, count: int = 5) -> Path:
    """A copy of a store as it was while it was open."""
    assert config in (PLAIN, FAST, SMALL)
    live = path / "live"
    with Store.open(live, PLAIN if config is PLAIN else FAST if config is FAST else SMALL) as store:
        for n in range(count):
            store.append(USER, Counted(n=n))
        shutil.copytree(live, path / "crashed")
    return path / "crashed"


def newest(path: Path) -> Path:
    return max(path.glob("*.fbat"))


def end_of(file: Path) -> int:
    """Where the frames end: what is reserved behind them are zeros."""
    return len(file.read_bytes().rstrip(b"\0"))


def test_an_unclean_stop_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = crashed(tmp_path)

    with Store.open(path, PLAIN) as store:
        assert not store.open_report.clean
        assert store.open_report.torn is None
        assert [e.payload for e in store.stream("user:1")] == [Counted(n=n) for n in range(5)]


def test_the_newest_file_of_an_unclean_store_gets_a_new_inode(tmp_path: Path) -> None:
    path = crashed(tmp_path)
    before = newest(path).stat().st_ino
    held = newest(path).open("rb")  # so that its number cannot be used again

    Store.open(path, PLAIN).close()

    assert newest(path).stat().st_ino != before
    held.close()


@pytest.mark.parametrize("junk", [b"\x00\x00\x01", b"\x00\x00\x00\x50" + b"x" * 30, b"y" * 200])
def test_a_torn_end_is_cut_and_kept_in_quarantine(tmp_path: Path, junk: bytes) -> None:
    path = crashed(tmp_path)
    size = end_of(newest(path))
    with newest(path).open("r+b") as file:
        file.seek(size)
        file.write(junk)

    with Store.open(path, PLAIN) as store:
        torn = store.open_report.torn
        store.append(USER, Counted(n=5))

    assert torn is not None
    assert (torn.file, torn.offset, torn.bytes) == ("000001.fbat", size, len(junk))
    assert torn.quarantine is not None
    assert (path / torn.quarantine).read_bytes() == junk
    assert numbers(path) == [0, 1, 2, 3, 4, 5]
    assert verify_path(path, REAL).ok


def test_zeros_behind_the_end_are_no_tear(tmp_path: Path) -> None:
    path = crashed(tmp_path)
    with newest(path).open("ab") as file:
        file.write(bytes(5000))

    with Store.open(path, PLAIN) as store:
        assert store.open_report.torn is None
        assert store.count() == 5


def test_every_cut_of_an_unsynced_file_opens_with_a_prefix(tmp_path: Path) -> None:
    path = crashed(tmp_path, FAST, count=4)
    data = newest(path).read_bytes()
    start = head.decode((path / "HEAD").read_bytes(), "HEAD").frames_end

    for cut in [*range(start, end_of(newest(path)), 7), len(data)]:
        newest(path).write_bytes(data[:cut])
        found = numbers(path)
        assert found == list(range(len(found)))
        assert verify_path(path, REAL).ok


def test_a_log_shorter_than_head_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store.open(path, PLAIN) as store:
        store.append(USER, Counted(n=0))
    with Store.open(path, PLAIN) as store:  # HEAD: open, with one event
        shutil.copytree(path, tmp_path / "crashed")
        size = store.open_report.scanned_bytes + 151
    os.truncate(tmp_path / "crashed" / "000001.fbat", size - 1)

    with pytest.raises(CorruptStore) as caught:
        Store.open(tmp_path / "crashed")

    assert caught.value.reason is Damage.HEAD
    assert caught.value.path.endswith("000001.fbat")


def test_damage_that_a_later_event_proves_durable_is_refused(tmp_path: Path) -> None:
    path = crashed(tmp_path)
    data = bytearray(newest(path).read_bytes())
    at = data.index(b"\x81\xa1n\x02")  # the payload of the third of five events
    data[at + 3] ^= 1
    newest(path).write_bytes(data)

    for writable in (True, False):
        with pytest.raises(CorruptStore) as caught:
            (Store.open if writable else Store.open_read_only)(path)
        assert caught.value.reason is Damage.CRC
        assert caught.value.offset < at < caught.value.offset + 250


def test_unsynced_events_behind_a_hole_are_torn_together(tmp_path: Path) -> None:
    path = crashed(tmp_path, FAST)  # OS durability: no stamp says anything was durable
    data = bytearray(newest(path).read_bytes())
    at = data.index(b"\x81\xa1n\x02")
    data[at - 100 : at] = bytes(100)
    newest(path).write_bytes(data)

    with Store.open(path, FAST) as store:
        torn = store.open_report.torn

    assert numbers(path) == [0, 1]
    assert torn is not None
    assert torn.bytes > 500


def test_recovery_twice_equals_once(tmp_path: Path) -> None:
    path = crashed(tmp_path)
    with newest(path).open("ab") as file:
        file.write(b"junk")
    again = shutil.copytree(path, tmp_path / "again")

    Store.open(path, PLAIN).close()
    for _ in range(3):
        Store.open(again, PLAIN).close()

    assert newest(path).read_bytes() == newest(again).read_bytes()
    assert len(list((again / "quarantine").iterdir())) == 1


def test_a_batch_that_is_not_whole_is_torn_with_all_its_items(tmp_path: Path) -> None:
    fixture = Path(__file__).parents[2] / "fixtures" / "format-v2"
    path = shutil.copytree(fixture, tmp_path / "store")
    data = (path / "000001.fbat").read_bytes()
    clean = head.decode((path / "HEAD").read_bytes(), "HEAD")
    opened = clean._replace(state=head.OPEN, frames_end=151, next_sequence=0, chain_head=bytes(32))
    (path / "HEAD").write_bytes(head.encode(opened))
    (path / "000001.fbat").write_bytes(data[:763])  # without item 1 of 2

    with Store.open(path, PLAIN) as store:
        report = store.open_report

    assert report.events == 2
    assert report.dropped_batch_items == 1
    assert report.torn is not None
    assert (report.torn.offset, report.torn.bytes) == (567, 196)


def test_leftovers_go_and_alien_files_stay(tmp_path: Path) -> None:
    path = crashed(tmp_path)
    for name in ("HEAD.tmp", "000002.fbat.tmp", "notes.tmp", "1.fbat", "000001 (copy).fbat"):
        (path / name).write_bytes(b"x")
    (path / "000002.fbat").mkdir()

    with Store.open(path, PLAIN) as store:
        ignored = store.open_report.ignored_files

    assert ignored == ("000001 (copy).fbat", "000002.fbat", "1.fbat", "notes.tmp")
    assert not (path / "HEAD.tmp").exists()
    assert not (path / "000002.fbat.tmp").exists()
    assert (path / "notes.tmp").exists()


def test_an_interrupted_creation_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "store"
    Store.open(path, PLAIN).close()
    (path / "HEAD").unlink()

    with pytest.raises(StorageFailed):
        Store.open_read_only(path)
    with Store.open(path, PLAIN) as store:
        store.append(USER, Counted(n=0))

    assert numbers(path) == [0]


def rotated(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    with Store.open(path, SMALL) as store:
        for n in range(60):
            store.append(USER, Counted(n=n))
    assert len(list(path.glob("*.fbat"))) > 2
    return path


def test_segments_follow_each_other_and_read_as_one_log(tmp_path: Path) -> None:
    path = rotated(tmp_path)

    with Store.open(path, SMALL) as store:
        assert store.open_report.segments == len(list(path.glob("*.fbat")))
        assert store.open_report.clean
        assert [e.payload.n for e in store.by_fact(Counted, reverse=True)] == [*range(59, -1, -1)]
    assert verify_path(path, REAL).ok


@pytest.mark.parametrize("name", ["000001.fbat", "000002.fbat", "HEAD"])
def test_a_missing_file_is_refused_and_named(tmp_path: Path, name: str) -> None:
    path = rotated(tmp_path)
    (path / name).unlink()

    with pytest.raises(CorruptStore) as caught:
        Store.open(path)

    assert caught.value.path == str(path / name)
    assert not verify_path(path, REAL).ok


def test_the_newest_file_missing_is_refused_and_named(tmp_path: Path) -> None:
    path = rotated(tmp_path)
    name = newest(path).name
    newest(path).unlink()

    with pytest.raises(CorruptStore, match=name):
        Store.open(path)

    assert any(name in one.file for one in verify_path(path, REAL).findings)


def test_two_files_that_changed_names_are_refused(tmp_path: Path) -> None:
    path = rotated(tmp_path)
    (path / "000001.fbat").rename(path / "x")
    (path / "000002.fbat").rename(path / "000001.fbat")
    (path / "x").rename(path / "000002.fbat")

    with pytest.raises(CorruptStore):
        Store.open(path)

    assert not verify_path(path, REAL).ok


def test_a_sealed_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = rotated(tmp_path)
    after = header.read(REAL.open_dir(str(path), create=False), "000002.fbat").header
    assert after.prev is not None
    os.truncate(path / "000001.fbat", after.prev.frames_end - 10)

    with pytest.raises(CorruptStore) as caught:
        Store.open(path)

    assert caught.value.path == str(path / "000001.fbat")
    assert not verify_path(path, REAL).ok


def test_bytes_behind_a_recorded_end_are_not_the_log(tmp_path: Path) -> None:
    path = rotated(tmp_path)
    for file in path.glob("*.fbat"):
        file.write_bytes(file.read_bytes() + b"footer of a later release")

    assert numbers(path) == [*range(60)]
    with Store.open(path, SMALL) as store:
        store.append(USER, Counted(n=60))
    assert numbers(path) == [*range(61)]
    assert verify_path(path, REAL).ok


def test_a_crash_between_the_two_names_of_a_rotation_opens(tmp_path: Path) -> None:
    path = tmp_path / "store"
    old_head = b""
    with Store.open(path, SMALL) as store:
        while not (path / "000002.fbat").exists():
            old_head = (path / "HEAD").read_bytes()
            store.append(USER, Counted(n=0))
        shutil.copytree(path, tmp_path / "crashed")
    (tmp_path / "crashed" / "HEAD").write_bytes(old_head)

    with Store.open(tmp_path / "crashed", SMALL) as opened:
        assert opened.open_report.segments == 2


def test_a_segment_of_format_version_1_is_refused_with_advice(tmp_path: Path) -> None:
    body = bytes.fromhex(
        "84a776657273696f6e01a5666c61677300aa637265617465645f6e7301aa7365676d656e745f696401"
    )
    (tmp_path / "000001.fbat").write_bytes(
        b"FBAT" + len(body).to_bytes(4, "big") + body + b"x" * 99
    )

    with pytest.raises(InvalidArgument, match="version 1") as caught:
        Store.open(tmp_path)

    assert "batpak import" in caught.value.hint


def test_a_newer_head_is_a_future_version(tmp_path: Path) -> None:
    path = crashed(tmp_path)
    data = bytearray((path / "HEAD").read_bytes()[:-4])
    data[5] = 2
    import zlib

    (path / "HEAD").write_bytes(data + zlib.crc32(data).to_bytes(4, "big"))

    with pytest.raises(FutureVersion):
        Store.open(path)


@pytest.mark.parametrize("hostile", ["link", "fifo", "directory", "hard link"])
def test_a_lock_that_is_no_plain_file_is_refused_at_once(tmp_path: Path, hostile: str) -> None:
    path = crashed(tmp_path)
    lock = path / ".batpak.lock"
    lock.unlink(missing_ok=True)
    if hostile == "link":
        lock.symlink_to(tmp_path / "elsewhere")
    elif hostile == "fifo":
        os.mkfifo(lock)
    elif hostile == "directory":
        lock.mkdir()
    else:
        (tmp_path / "other").write_bytes(b"")
        lock.hardlink_to(tmp_path / "other")

    with pytest.raises(BatpakError):
        Store.open(path)

    assert not (tmp_path / "elsewhere").exists()


def test_a_store_that_is_made_by_the_open_was_not_left_open_by_anybody(tmp_path: Path) -> None:
    with Store.open(tmp_path / "new", PLAIN) as store:
        assert store.open_report.clean
        assert store.open_report.events == 0
