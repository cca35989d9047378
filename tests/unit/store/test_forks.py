"""A fork goes its own way under an id of its own, and both sides can prove where they parted.

Would slip through without it: a receipt of one side that the other believes, a fork whose old
events cannot be read, a file of one fork in another.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from batpak.config import Durability
from batpak.disk import posix
from batpak.errors import (
    BatpakError,
    CorruptStore,
    InvalidArgument,
    StorageFailed,
    StoreReadOnly,
    VersionConflict,
)
from batpak.journal import layout
from batpak.note import CheckpointNote
from batpak.report import Ancestor, NoteFault
from batpak.signing.verdict import Invalid, InvalidReason, Signed
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from batpak.upkeep.repair import repair
from tests.facts import SMALL, USER, Counted
from tests.keys import OURS

SMALL_FAST = replace(SMALL, durability=Durability.OS)
SIGNED = replace(SMALL, signer=OURS)


@pytest.fixture
def sim() -> SimPlatform:
    return SimPlatform()


def open_at(sim: SimPlatform, name: str = "store") -> Store:
    return Store.open(name, SMALL_FAST, platform=sim)


def fill(store: Store, count: int = 60) -> None:
    for n in range(count):
        store.append(USER, Counted(n=n))


def test_a_fork_has_the_events_and_an_id_of_its_own(sim: SimPlatform) -> None:
    with open_at(sim) as store:
        fill(store)
        before = [event.record for event in store.query()]
        report = store.fork("fork")
        with open_at(sim, "fork") as fork:
            assert [event.record for event in fork.query()] == before
            assert fork.open_report.clean
            assert fork.store_id == report.store_id != store.store_id == report.origin
            assert (report.sequence, report.head) == (60, store.get(59).event_hash)
            assert fork.lineage == (
                Ancestor(store_id=store.store_id, sequence=60, head=report.head),
            )
            assert store.lineage == ()
            assert fork.verify().ok


def test_both_sides_go_on_and_open_again(sim: SimPlatform) -> None:
    with open_at(sim) as store:
        fill(store)
        store.fork("fork")
        with open_at(sim, "fork") as fork:
            for n in range(80):  # over several files
                fork.append(USER, Counted(n=1000 + n), expected_version=60 + n)
                store.append(USER, Counted(n=2000 + n), expected_version=60 + n)
            with pytest.raises(VersionConflict):
                fork.append(USER, Counted(n=1), expected_version=3)
    for name, first in (("store", 2000), ("fork", 1000)):
        with open_at(sim, name) as again:
            assert again.open_report.clean
            assert again.verify().ok
            found = [e.payload.n for e in again.query() if isinstance(e.payload, Counted)]
            assert found == [*range(60), *range(first, first + 80)]
            assert len(again.walk_ancestors(again.get(139).event_id).events) == 140


def test_a_fork_that_was_killed_recovers(sim: SimPlatform) -> None:
    with open_at(sim) as store:
        fill(store)
        store.fork("fork")
    fork = Store.open("fork", SMALL, platform=sim)
    fill(fork, 70)
    after = sim.crash(CrashModel.SYNCED)
    fork.close()

    with Store.open("fork", SMALL, platform=after) as again:
        assert not again.open_report.clean
        assert again.open_report.events == 130
        assert again.verify().ok


def test_receipts_of_the_origin_hold_up_to_the_fork_and_no_further(sim: SimPlatform) -> None:
    with Store.open("store", SIGNED, platform=sim) as store:
        early = store.append(USER, Counted(n=1))
        store.fork("fork")
        late = store.append(USER, Counted(n=2))
        with Store.open("fork", SIGNED, platform=sim) as fork:
            mine = fork.append(USER, Counted(n=2))

            assert isinstance(fork.verify_receipt(early), Signed)
            assert isinstance(fork.verify_receipt(mine), Signed)
            assert fork.verify_receipt(late) == Invalid(InvalidReason.OTHER_STORE)
            assert store.verify_receipt(mine) == Invalid(InvalidReason.OTHER_STORE)
            assert isinstance(store.verify_receipt(late), Signed)


def test_notes_of_the_origin_hold_up_to_the_fork_and_no_further(sim: SimPlatform) -> None:
    with open_at(sim) as store:
        fill(store, 10)
        early = store.checkpoint()
        fill(store, 10)
        there = store.checkpoint()
        store.fork("fork")
        store.append(USER, Counted(n=1))
        late = store.checkpoint()
        with open_at(sim, "fork") as fork:
            fork.append(USER, Counted(n=2))
            mine = fork.checkpoint()

            assert fork.verify(since=early).ok
            assert fork.verify(since=there).ok
            assert fork.verify(since=mine).ok
            assert fork.verify(since=late).note is NoteFault.OTHER_STORE
            assert store.verify(since=mine).note is NoteFault.OTHER_STORE


def test_an_event_is_proved_by_a_note_of_the_store_that_has_stored_it(sim: SimPlatform) -> None:
    with Store.open("store", SIGNED, platform=sim) as store:
        early = store.append(USER, Counted(n=1))
        store.append(USER, Counted(n=2))
        note = store.checkpoint()
        store.fork("fork")
        with Store.open("fork", SIGNED, platform=sim) as fork:
            mine = fork.append(USER, Counted(n=3))

            assert isinstance(fork.prove(early, note).verify([OURS.public]), Signed)
            assert isinstance(fork.prove(mine).verify([OURS.public]), Signed)
            with pytest.raises(InvalidArgument, match="another store"):
                fork.prove(early)


def test_a_key_writes_once_on_both_sides_of_a_fork(sim: SimPlatform) -> None:
    with open_at(sim) as store:
        first = store.append(USER, Counted(n=1), idempotency_key="k")
        store.fork("fork")
        with open_at(sim, "fork") as fork:
            again = fork.append(USER, Counted(n=1), idempotency_key="k")

            assert again.replayed
            assert (again.store_id, again.event_hash) == (store.store_id, first.event_hash)


def test_a_fork_of_a_fork_lists_both(sim: SimPlatform) -> None:
    ids: list[UUID] = []
    notes: list[CheckpointNote] = []
    for source, dest in (("store", "one"), ("one", "two"), ("two", "three")):
        with open_at(sim, source) as store:
            store.append(USER, Counted(n=1))
            notes.append(store.checkpoint())
            ids.append(store.store_id)
            store.fork(dest)
    with Store.open_read_only("three", SMALL_FAST, platform=sim) as last:
        assert [(one.store_id, one.sequence) for one in last.lineage] == list(
            zip(ids, [1, 2, 3], strict=True)
        )
        assert all(last.verify(since=note).ok for note in notes)
        assert last.open_report.events == 3
        last.fork("four")
    with Store.open_read_only("four", SMALL_FAST, platform=sim) as four:
        assert [one.store_id for one in four.lineage][:3] == ids
        assert four.verify().ok


def test_an_empty_store_and_one_at_the_end_of_a_file_can_be_forked(sim: SimPlatform) -> None:
    with open_at(sim) as store:
        for n in range(50):
            store.fork(f"fork{n}")
            with open_at(sim, f"fork{n}") as fork:
                assert fork.open_report.events == n
                assert fork.append(USER, Counted(n=n)).version == n + 1
                assert fork.verify().ok
            store.append(USER, Counted(n=n))


def test_a_snapshot_of_a_fork_is_that_fork(sim: SimPlatform) -> None:
    with open_at(sim) as store:
        fill(store)
        store.fork("fork")
    with open_at(sim, "fork") as fork:
        fork.append(USER, Counted(n=1))
        fork.snapshot("copy")
        with open_at(sim, "copy") as copy:
            assert (copy.store_id, copy.lineage) == (fork.store_id, fork.lineage)
            assert copy.verify().ok


def test_the_file_of_another_fork_is_refused(sim: SimPlatform) -> None:
    for name in ("a", "b"):
        with open_at(sim, name) as store:
            fill(store, 10)
            store.fork(f"{name}-fork")
    for files in (("000002.fbat",), ("000002.fbat", "HEAD")):
        after = sim.crash(CrashModel.KILL)
        directory = after.open_dir(posix.full_path("a-fork"), create=False)
        for name in files:
            layout.replace(directory, name, after.files()[f"b-fork/{name}"])
        directory.close()

        with pytest.raises(CorruptStore):
            open_at(after, "a-fork")


def test_a_fork_is_repaired_on_either_side_of_the_link(sim: SimPlatform) -> None:
    with open_at(sim) as store:
        fill(store, 10)
        store.fork("fork")
    with open_at(sim, "fork") as fork:
        fill(fork, 10)
    for name, kept in (("000001.fbat", 4), ("000002.fbat", 14)):
        after = sim.crash(CrashModel.KILL)
        data = bytearray(after.files()[f"fork/{name}"])
        data[len(data) // 2] ^= 1
        directory = after.open_dir(posix.full_path("fork"), create=False)
        layout.replace(directory, name, bytes(data))
        directory.close()

        report = repair("fork", accept_loss=True, platform=after)

        assert kept <= report.events < kept + 4
        with open_at(after, "fork") as again:
            assert again.verify().ok
            assert len(again.lineage) == (name == "000002.fbat")


def test_a_reader_may_fork_and_still_not_write(sim: SimPlatform) -> None:
    with open_at(sim) as store:
        fill(store)
    with Store.open_read_only("store", SMALL_FAST, platform=sim) as reader:
        reader.fork("fork")
        with pytest.raises(StoreReadOnly):
            reader.append  # type: ignore[attr-defined]  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  on purpose
    with open_at(sim, "fork") as fork:
        assert len(fork.lineage) == 1


def test_a_refused_call_leaves_no_fork_and_the_source_as_it_was() -> None:
    for n in range(1, 200, 2):
        sim = SimPlatform()
        with open_at(sim) as store:
            fill(store, 30)
            store.sync()
            sim.fail_at(n, errno.ENOSPC)
            try:
                store.fork("fork")
            except BatpakError as error:
                assert isinstance(error, StorageFailed)  # noqa: PT017  it may also succeed
            sim.faults.clear()
            assert {path.partition("/")[0] for path in sim.files()} <= {"store", "fork"}
            store.append(USER, Counted(n=1))
            assert store.verify().ok
        if not sim.fired:
            return
    raise AssertionError("it never ended")


# ------------------------------------------------------------------------ blocks that are shared


def cloning(fd: int, request: int, source: int) -> int:
    """What a file system does that copies on write."""
    assert request == 0x4004_9409
    os.pwrite(fd, os.pread(source, os.fstat(source).st_size, 0), 0)
    return 0


def refusing(code: int) -> Callable[[int, int, int], int]:
    def refuse(*_: Any) -> int:  # noqa: ANN401  whatever it is given
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("code", [None, errno.EOPNOTSUPP, errno.EXDEV])
def test_sealed_files_are_shared_where_the_system_can_and_copied_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        fill(store)
    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        monkeypatch.setattr(fcntl, "ioctl", cloning if code is None else refusing(code))
        report = store.fork(tmp_path / "fork")

        assert (report.shared > 0) == (code is None)
        for path in (tmp_path / "fork").glob("*.fbat"):
            assert path.stat().st_nlink == 1
    with Store.open(tmp_path / "fork", SMALL_FAST) as fork:
        assert fork.verify().ok
        assert fork.open_report.rebuilt in ((), ("000003.fbat",))
        fork.append(USER, Counted(n=1))


def test_another_refusal_of_the_system_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        fill(store)
    with Store.open(tmp_path / "store", SMALL_FAST) as store:
        monkeypatch.setattr(fcntl, "ioctl", refusing(errno.EIO))
        with pytest.raises(StorageFailed) as refused:
            store.fork(tmp_path / "fork")
    assert refused.value.errno == errno.EIO
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
