"""A snapshot opens as the same store, with the events up to one moment, and nothing else happens.

Would slip through without it: a backup that misses an acknowledged event, that does not open, or
that takes the source with it.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from batpak.append import BatchItem
from batpak.config import Durability, Limits
from batpak.coordinate import Coordinate
from batpak.digest import blake3_of
from batpak.disk.posix import RealDirectory, RealLock
from batpak.errors import (
    CorruptStore,
    DurabilityUnknown,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    StorePoisoned,
)
from batpak.journal import header
from batpak.note import CheckpointNote
from batpak.platform import REAL
from batpak.reader import StoreReader
from batpak.region import Region
from batpak.report import SnapshotReport
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.disk import Call, nothing
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, PLAIN, SMALL, USER, Counted, Said

SMALL_FAST = replace(SMALL, durability=Durability.OS)
FEW = Limits(segment_max_bytes=16 << 10)


@pytest.fixture
def sim() -> SimPlatform:
    return SimPlatform()


def filled(sim: SimPlatform, events: int = 60) -> Store:
    """A store of several files."""
    store = Store.open("store", SMALL_FAST, platform=sim)
    for n in range(events):
        store.append(Coordinate(f"user:{n % 3}", "acme"), Counted(n=n))
    return store


def records(store: StoreReader) -> list[bytes]:
    return [event.record for event in store.query()]


def of(sim: SimPlatform, name: str) -> dict[str, bytes]:
    """The files of one directory, but for the lock."""
    files = sim.files()
    begin = f"{name}/"
    return {
        path.removeprefix(begin): data
        for path, data in files.items()
        if path.startswith(begin) and not path.endswith(".batpak.lock")
    }


def opened(sim: SimPlatform, name: str = "copy") -> StoreReader:
    return Store.open_read_only(name, SMALL_FAST, platform=sim)


def test_a_snapshot_opens_as_the_same_store_with_the_events_of_its_moment(sim: SimPlatform) -> None:
    with filled(sim) as store:
        before, note = records(store), store.checkpoint()
        report = store.snapshot("copy")
        store.append(USER, Counted(n=1))

        with opened(sim) as copy:
            assert (copy.store_id, report.store_id) == (store.store_id, store.store_id)
            assert copy.open_report.clean
            assert records(copy) == before
            assert report.sequence == copy.open_report.next_sequence == len(before)
            assert copy.verify(since=note).ok
            assert report.head == copy.verify().head == note.head


def test_both_go_on_from_a_snapshot_each_for_itself(sim: SimPlatform) -> None:
    with filled(sim) as store:
        store.snapshot("copy")
        mine = store.append(USER, Said(text="here"))
        with Store.open("copy", SMALL_FAST, platform=sim) as copy:
            theirs = copy.append(USER, Said(text="there"))

            assert mine.sequence == theirs.sequence
            assert mine.event_hash != theirs.event_hash
            assert copy.verify().ok
        assert store.verify().ok
        assert store.get(mine.event_id).payload == Said(text="here")


def test_the_report_says_every_file_with_its_size_and_hash(sim: SimPlatform) -> None:
    with filled(sim) as store:
        report = store.snapshot("copy")

    files = of(sim, "copy")
    told = {file.name: (file.size, file.blake3) for file in report.files}
    assert len(told) == 4
    assert told == {name: (len(d), blake3_of(d).digest()) for name, d in files.items()}
    assert report.bytes == sum(map(len, files.values()))


def test_an_empty_store_has_a_snapshot(sim: SimPlatform) -> None:
    with Store.open("store", FAST, platform=sim) as store:
        report = store.snapshot("copy")

        assert (report.sequence, report.head) == (0, bytes(32))
        with opened(sim) as copy:
            assert copy.store_id == store.store_id
            assert records(copy) == []


def test_a_snapshot_right_behind_a_rotation_ends_with_the_file_before(sim: SimPlatform) -> None:
    with Store.open("store", SMALL_FAST, platform=sim) as store:
        for n in range(1, 60):
            store.append(USER, Counted(n=n))
            report = store.snapshot(f"copy{n}")

            with opened(sim, f"copy{n}") as copy:
                assert (copy.open_report.clean, report.sequence) == (True, n)
                assert records(copy) == records(store)


def test_a_large_newest_file_is_copied_without_what_is_reserved_behind_it(
    tmp_path: Path,
) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        store.append_batch([BatchItem(USER, Said(text="x" * 300_000))] * 3)
        report = store.snapshot(tmp_path / "copy")

        assert report.bytes < 1_000_000 < (tmp_path / "store" / "000001.fbat").stat().st_size
    with Store.open(tmp_path / "copy", FAST, create=False) as copy:
        assert copy.open_report.clean
        assert copy.open_report.events == 3
        copy.append(USER, Counted(n=1))
        assert copy.verify().ok


def test_files_that_have_their_footer_are_copied_with_it(sim: SimPlatform) -> None:
    with filled(sim) as store:
        sim.run_background()
        store.snapshot("copy")
        newest = max(name for name in of(sim, "copy") if name.endswith(".fbat"))

        with opened(sim) as copy:
            assert copy.open_report.rebuilt == ()
        ours, theirs = of(sim, "store"), of(sim, "copy")
        for name in set(theirs) - {"HEAD", newest}:
            assert theirs[name] == ours[name]


def test_what_is_copied_is_durable_at_every_level(sim: SimPlatform) -> None:
    """Also in the source: a copy is never ahead of what it was made from."""
    with filled(sim) as store:
        wanted = len(records(store))
        store.snapshot("copy")
        after = sim.crash(CrashModel.SYNCED)

    for name in ("copy", "store"):
        with Store.open(name, SMALL_FAST, platform=after) as found:
            assert len(records(found)) == wanted


def test_checkpoints_come_along_only_when_asked_for(sim: SimPlatform) -> None:
    with filled(sim) as store:
        with store.cursor_guaranteed(Region.all(), checkpoint_id="mine") as cursor:
            cursor.poll_batch(10)
            cursor.commit()
        store.snapshot("without")
        report = store.snapshot("with", cursors=True)

    assert not any(name.startswith("cursors") for name in of(sim, "without"))
    assert "cursors/mine.ckpt" in {file.name for file in report.files}
    for name, begin in (("without", 0), ("with", 10)):
        with (
            Store.open(name, SMALL_FAST, platform=sim) as copy,
            copy.cursor_guaranteed(Region.all(), checkpoint_id="mine") as cursor,
        ):
            found = cursor.poll()
            assert found is not None
            assert found.sequence == begin


def test_a_reader_takes_snapshots_too_and_leaves_out_a_torn_end(sim: SimPlatform) -> None:
    store = filled(sim)
    store.sync()
    store.append(USER, Said(text="x" * 900))
    last = max(n for n, o in enumerate(sim.operations) if o.kind == "write")
    size = len(sim.operations[last].data)
    torn = sim.crash(CrashModel.ORDERED, at=last, choice=size // 2)
    with opened(torn, "store") as reader:
        assert reader.open_report.torn is not None
        before = of(torn, "store")
        report = reader.snapshot("copy")
        assert of(torn, "store") == before

    with opened(torn) as copy:
        assert copy.open_report.clean
        assert copy.open_report.torn is None
        assert report.sequence == copy.open_report.events == 60
    store.close()


def test_a_reader_of_a_closed_store_with_a_footer_copies_that(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        store.append_batch([BatchItem(USER, Said(text="x" * 300_000))])
    with Store.open_read_only(tmp_path / "store", FAST) as reader:
        reader.snapshot(tmp_path / "copy")

    for name in ("000001.fbat",):
        there = (tmp_path / "copy" / name).read_bytes()
        assert there == (tmp_path / "store" / name).read_bytes()
    with Store.open_read_only(tmp_path / "copy", FAST) as copy:
        assert copy.open_report.rebuilt == ()
        assert copy.open_report.events == 1


def test_room_that_a_writer_takes_back_behind_the_frames_is_not_missed(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        for n in range(60):
            store.append(USER, Counted(n=n))
    after, _ = header.decode((tmp_path / "store" / "000003.fbat").read_bytes(), "")
    assert after.prev is not None
    file, end = tmp_path / "store" / "000002.fbat", after.prev.frames_end
    os.truncate(file, end)
    os.truncate(file, 64 << 10)  # as it is for a moment: complete, and no footer in it yet

    with Store.observe(tmp_path / "store") as observer:
        report = observer.snapshot(tmp_path / "copy", progress=lambda *_: os.truncate(file, end))

    assert (tmp_path / "copy" / "000002.fbat").stat().st_size == end
    with Store.open(tmp_path / "copy", SMALL_FAST) as copy:
        assert copy.open_report.rebuilt == ("000002.fbat",)
        assert report.sequence == copy.verify().events == 60


# ---------------------------------------------------------------------------------- where it goes


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every name below a folder, with the time and content of what is there."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("dest", "why"),
    [
        ("store", "is the store itself"),
        ("store/inside", "lies inside the store"),
        ("store/quarantine/inside", "lies inside the store"),
        ("way/inside", "lies inside the store"),
        (".", "has the store inside it"),
        ("full", "is not empty"),
        ("file", "is no directory"),
        ("link", "is no directory"),
        ("dangling", "is no directory"),
        ("way", "is no directory"),
        ("full/..", "must end in a name"),
        ("", "must not be empty"),
        ("nul\0", "zero"),
    ],
)
def test_a_place_that_is_taken_is_refused_and_nothing_is_touched(
    tmp_path: Path, dest: str, why: str
) -> None:
    for name in ("full", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "other.txt").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "way").symlink_to("store")
    with Store.open(tmp_path / "store", PLAIN) as store:
        (tmp_path / "store" / "quarantine").mkdir()
        store.append(USER, Counted(n=1))
        before = tree(tmp_path)

        with pytest.raises(InvalidArgument, match=why) as refused:
            store.snapshot(f"{tmp_path}/{dest}" if dest else "")

        assert refused.value.argument == "dest"
        assert tree(tmp_path) == before


def test_what_is_no_path_is_refused(sim: SimPlatform) -> None:
    with filled(sim) as store, pytest.raises(InvalidArgument, match="dest"):
        store.snapshot(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  on purpose


def test_a_missing_parent_is_never_made(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", PLAIN) as store, pytest.raises(StorageFailed) as refused:
        store.snapshot(tmp_path / "a" / "copy")

    assert refused.value.errno == errno.ENOENT
    assert not (tmp_path / "a").exists()


def test_an_empty_directory_is_a_place_for_it(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with Store.open(tmp_path / "store", PLAIN) as store:
        store.append(USER, Counted(n=1))
        store.snapshot(tmp_path / "copy")

    with Store.open_read_only(tmp_path / "copy", PLAIN) as copy:
        assert copy.open_report.events == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "store"]


# --------------------------------------------------------------------------------- when it fails


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_refused_call_removes_what_was_copied_and_leaves_the_source(code: int) -> None:
    n = 0
    for n in range(1, 1_000):
        sim = SimPlatform()
        store = filled(sim, 30)
        store.sync()
        names, before = set(of(sim, "store")), records(store)
        sim.fail_at(n, code)
        with suppress(StorageFailed):
            store.snapshot("copy")
        sim.faults.clear()
        assert set(of(sim, "store")) == names
        assert records(store) == before
        there = {path.partition("/")[0] for path in sim.files()}
        assert there <= {"store", "copy"}, f"call {n}"
        if "copy" in there:
            with opened(sim) as copy:
                assert records(copy) == before
        store.close()
        if not sim.fired:
            break
    assert 30 < n < 999


def test_a_disk_that_is_full_for_good_leaves_no_copy_and_a_store_that_writes_on() -> None:
    sim = SimPlatform()
    with filled(sim) as store:
        sim.fail_at(3, errno.ENOSPC, kind="write", sticky=True)

        with pytest.raises(StorageFailed) as refused:
            store.snapshot("copy")

        assert refused.value.errno == errno.ENOSPC
        assert {path.partition("/")[0] for path in sim.files()} == {"store"}
        sim.faults.clear()
        store.append(USER, Counted(n=1))
        store.snapshot("copy")


def test_a_file_that_was_cut_by_a_stranger_is_told(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        for n in range(60):
            store.append(USER, Counted(n=n))
    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        # Its footer is there: one that is written behind the cut would leave a hole of that length.
        os.truncate(tmp_path / "store" / "000001.fbat", 1_000)
        with pytest.raises(CorruptStore, match=r"000001\.fbat"):
            store.snapshot(tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_handle_that_writes_no_more_takes_none(sim: SimPlatform) -> None:
    store = filled(sim)
    sim.fail_at(1, errno.EIO, kind="sync")
    with pytest.raises(DurabilityUnknown):
        store.sync()
    with pytest.raises(StorePoisoned):
        store.snapshot("copy")
    store.close()
    with pytest.raises(StoreClosed):
        store.snapshot("copy")
    assert "copy" not in {path.partition("/")[0] for path in sim.files()}


def test_an_interrupt_at_any_call_leaves_no_draft_and_a_store_that_goes_on() -> None:
    began = 0
    for n in range(0, 60, 2):
        sim = SimPlatform()
        with filled(sim, 30) as store:
            began = sim.calls + n

            def interrupt(call: Call, at: int = began) -> None:
                if call.number == at:
                    raise KeyboardInterrupt

            sim.disk.before = interrupt
            with suppress(KeyboardInterrupt):
                store.snapshot("copy")
            reached = sim.calls > began
            sim.disk.before = nothing
            there = {path.partition("/")[0] for path in sim.files()}
            assert there <= {"store", "copy"}, f"call {n}"
            store.append(USER, Counted(n=1))
            assert store.verify().ok
        if not reached:
            return
    raise AssertionError("it never ended")


def test_what_a_killed_snapshot_left_is_removed_by_the_next_one(sim: SimPlatform) -> None:
    with filled(sim) as store:
        began = len(sim.operations)
        store.snapshot("copy", cursors=True)
        end = len(sim.operations)
    after = sim.crash(CrashModel.KILL, at=(began + end) // 2)
    left = {path.partition("/")[0] for path in after.files()} - {"store"}
    assert len(left) == 1
    assert left.pop().startswith("copy.tmp-")

    with Store.open("store", SMALL_FAST, platform=after) as store:
        store.snapshot("copy")

    assert {path.partition("/")[0] for path in after.files()} == {"store", "copy"}


def test_somebody_elses_directory_of_such_a_name_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / f"copy.tmp-{'0' * 16}"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    with Store.open(tmp_path / "store", PLAIN) as store:
        store.snapshot(tmp_path / "copy")

    assert (mine / "thesis.txt").read_text() == "years"


def test_two_snapshots_to_one_place_give_one_and_a_refusal(tmp_path: Path) -> None:
    answers: list[object] = []
    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        for n in range(200):
            store.append(USER, Counted(n=n))

        def try_it() -> None:
            try:
                answers.append(store.snapshot(tmp_path / "copy"))
            except (InvalidArgument, StorageFailed) as error:
                answers.append(error)

        threads = [threading.Thread(target=try_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sum(isinstance(answer, SnapshotReport) for answer in answers) == 1, answers
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "store"]
    with Store.open_read_only(tmp_path / "copy", PLAIN) as copy:
        assert copy.open_report.events == 200


@pytest.mark.parametrize("rival", ["is quicker", "gives up"])
def test_a_rival_that_takes_a_new_draft_for_a_leftover_ends_no_snapshot_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rival: str
) -> None:
    dest, sync, drafts = tmp_path / "copy", RealDirectory.sync, list[Path]()

    def gives_up(_done: int, _total: int) -> None:
        raise ZeroDivisionError

    def rivalled(self: RealDirectory) -> None:
        sync(self)
        if not drafts and [*tmp_path.glob("copy.tmp-*")]:  # it has just been made
            drafts.extend(tmp_path.glob("copy.tmp-*"))
            with suppress(ZeroDivisionError):
                store.snapshot(dest, progress=gives_up if rival == "gives up" else None)
            assert not drafts[0].exists()

    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        store.append(USER, Counted(n=0))
        monkeypatch.setattr(RealDirectory, "sync", rivalled)
        if rival == "gives up":
            store.snapshot(dest)
        else:
            with pytest.raises(InvalidArgument) as raised:
                store.snapshot(dest)
            assert raised.value.argument == "dest"
    assert len(drafts) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "store"]
    with Store.open_read_only(dest, PLAIN) as copy:
        assert copy.verify().ok


def test_a_lock_that_goes_while_it_is_taken_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require, gone = RealLock.require_regular, list[int]()

    def swept(self: RealLock, *, one_link: bool) -> None:
        if not gone:
            gone.append(1)
            (tmp_path / "lock").unlink()
        require(self, one_link=one_link)

    monkeypatch.setattr(RealLock, "require_regular", swept)
    with closing(REAL.open_dir(str(tmp_path), create=False)) as directory:
        held = directory.lock("lock", b"1", shared=False)
        assert held is not None
        assert held.intact()
        held.release()
    assert gone


# ------------------------------------------------------------------------------------ under load


def test_snapshots_under_full_load_are_exact_prefixes(tmp_path: Path) -> None:
    """Two threads append, files rotate and are sealed, and every copy verifies clean."""
    done = threading.Event()
    with Store.open(tmp_path / "store", replace(SMALL_FAST, limits=FEW)) as store:

        def write(who: int) -> None:
            n = 0
            while not done.is_set():
                store.append_batch([BatchItem(Coordinate(f"user:{who}", "acme"), Counted(n=n))] * 3)
                time.sleep(0.0005)
                n += 1

        threads = [threading.Thread(target=write, args=(who,)) for who in range(2)]
        for thread in threads:
            thread.start()
        notes: list[tuple[SnapshotReport, CheckpointNote]] = []
        try:
            for n in range(10):
                note = store.checkpoint()
                notes.append((store.snapshot(tmp_path / f"{n}"), note))
        finally:
            done.set()
            for thread in threads:
                thread.join()
        log = [event.event_hash for event in store.query()]
        assert store.verify().ok
    for n, (report, note) in enumerate(notes):
        with Store.open_read_only(tmp_path / f"{n}", SMALL_FAST) as copy:
            found = copy.verify(since=note)
            assert found.ok
            assert copy.open_report.clean
            assert copy.open_report.next_sequence == report.sequence >= note.events
            assert found.head == report.head
            assert [event.event_hash for event in copy.query()] == log[: report.sequence]
    assert len({report.sequence for report, _ in notes}) > 5
