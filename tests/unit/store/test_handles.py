"""Who may have a store open, and what happens to handles that travel.

Would slip through without it: two writers in one directory, a child process that releases its
parent's lock, a read-only open that leaves a trace.
"""

from __future__ import annotations

import copy
import errno
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from batpak.config import Durability, Limits, StoreConfig
from batpak.errors import (
    BatpakError,
    DurabilityUnknown,
    ForkedStoreError,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    StoreLocked,
    StoreReadOnly,
)
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, PLAIN, USER, Counted

HOLD = """
import sys
from batpak.store import Store
with Store.open(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_refused_at_once_and_told_who(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN):
        began = time.monotonic()
        for opener in (Store.open, Store.open_read_only):
            with pytest.raises(StoreLocked) as caught:
                opener(tmp_path / "s")
            assert caught.value.holder_pid == os.getpid()
        assert time.monotonic() - began < 0.2


def test_a_writer_in_another_process_is_refused_too(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == b"open\n"

    with pytest.raises(StoreLocked) as caught:
        Store.open(tmp_path / "s")

    assert caught.value.holder_pid == other.pid
    other.communicate()
    Store.open(tmp_path / "s").close()


def test_many_readers_or_one_writer(tmp_path: Path) -> None:
    Store.open(tmp_path / "s", PLAIN).close()

    with (
        Store.open_read_only(tmp_path / "s"),
        Store.open_read_only(tmp_path / "s"),
        pytest.raises(StoreLocked),
    ):
        Store.open(tmp_path / "s")
    Store.open(tmp_path / "s").close()


def in_child(act: Callable[[], object]) -> str:
    """Run something in a forked child; what it raised, by name."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            act()
            os.write(write, b"nothing")
        except BaseException as error:  # noqa: BLE001  nothing of pytest may run in this process
            os.write(write, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told.decode()


def test_a_forked_child_is_refused_and_its_close_leaves_the_parent_alone(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        store.append(USER, Counted(n=0))

        assert in_child(lambda: list(store.query())) == ForkedStoreError.__name__
        assert in_child(lambda: store.append(USER, Counted(n=9))) == "ForkedStoreError"
        assert in_child(store.close) == "nothing"

        with pytest.raises(StoreLocked):
            Store.open(tmp_path / "s")
        assert store.append(USER, Counted(n=1)).sequence == 1
    with Store.open_read_only(tmp_path / "s") as reader:
        assert reader.open_report.clean
        assert reader.count() == 2


def test_the_lock_is_free_after_close_even_if_a_child_lives(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", PLAIN)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)

    store.close()

    Store.open(tmp_path / "s").close()
    os.close(write)
    os.close(read)
    os.waitpid(child, 0)


def tree(path: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(one): (one.stat().st_mtime_ns, one.read_bytes() if one.is_file() else b"")
        for one in [path, *path.rglob("*")]
    }


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_read_only_open_changes_nothing(tmp_path: Path, has_lock: bool) -> None:
    path = tmp_path / "s"
    with Store.open(path, PLAIN) as store:
        store.append(USER, Counted(n=0))
    if not has_lock:
        (path / ".batpak.lock").unlink()
    with (path / "000001.fbat").open("ab") as file:
        file.write(b"torn")
    (path / "HEAD.tmp").write_bytes(b"left over")
    before = tree(path)

    with Store.open_read_only(path) as reader:
        assert [event.payload for event in reader.query()] == [Counted(n=0)]
        assert reader.open_report.locked == has_lock
        assert reader.verify().ok

    assert tree(path) == before


def test_a_reader_has_no_writing_verb(tmp_path: Path) -> None:
    Store.open(tmp_path / "s", PLAIN).close()
    with Store.open_read_only(tmp_path / "s") as reader:
        assert not isinstance(reader, Store)
        assert not hasattr(reader, "append")
        with pytest.raises(StoreReadOnly, match="append"):
            reader.append  # type: ignore[attr-defined]  # noqa: B018  that is the point


def test_what_is_not_there_cannot_be_read_and_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    calls: list[Callable[[], object]] = [
        lambda: Store.open_read_only(tmp_path / "missing"),
        lambda: Store.open(tmp_path / "missing", create=False),
        lambda: Store.open(tmp_path / "empty", create=False),
        lambda: Store.open_read_only(tmp_path / "empty"),
        lambda: Store.open(tmp_path / "no" / "parent"),
    ]
    for call in calls:
        with pytest.raises(StorageFailed) as caught:
            call()
        assert caught.value.errno == errno.ENOENT

    assert sorted(one.name for one in tmp_path.rglob("*")) == ["empty"]


def test_bad_settings_touch_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        Store.open(tmp_path / "s", StoreConfig(limits=Limits(segment_max_bytes=1)))

    assert list(tmp_path.iterdir()) == []


def test_a_handle_does_not_travel(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        for act in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="open the path"):
                act(store)


def test_a_lost_handle_warns_and_frees_the_directory(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", PLAIN)
    store.append(USER, Counted(n=0))

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del store

    assert [one.category for one in told] == [ResourceWarning]
    with Store.open(tmp_path / "s", PLAIN) as again:
        assert not again.open_report.clean
        assert again.count() == 1


@pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning")
@pytest.mark.parametrize("level", [Durability.COMMIT, Durability.INTERVAL])
def test_a_lost_handle_stores_what_stands_in_line_and_leaves_no_thread(
    level: Durability, tmp_path: Path
) -> None:
    before = threading.enumerate()
    store = Store.open(tmp_path / "s", replace(PLAIN, durability=level))
    store.submit(USER, Counted(n=0))
    own = [thread for thread in threading.enumerate() if thread not in before]
    assert own
    del store
    gc.collect()  # a thread that was serving the line has let go of it, or does so now

    for thread in own:
        thread.join(10)
        assert not thread.is_alive()
    with Store.open(tmp_path / "s", PLAIN) as again:
        assert again.count() == 1


def poisoned(sim: SimPlatform) -> None:
    """Leave a handle behind that has stopped writing."""
    store = Store.open("s", PLAIN, platform=sim)
    sim.fail_at(1, errno.EIO, kind="sync")
    with pytest.raises(DurabilityUnknown):
        store.append(USER, Counted(n=0))


@pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning")
def test_a_lost_handle_that_has_stopped_writing_frees_the_directory_too() -> None:
    sim = SimPlatform(seed=1)
    poisoned(sim)
    gc.collect()

    with Store.open("s", PLAIN, platform=sim) as again:
        assert again.count() <= 1


def test_eight_threads_get_one_sequence_each(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        receipts: list[int] = []

        def work() -> None:
            for n in range(100):
                receipts.append(store.append(USER, Counted(n=n)).version)
                assert store.version("user:1") >= receipts[-1] - 8 * 100

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(receipts) == list(range(1, 801))
        assert [event.version for event in store.stream("user:1")] == list(range(1, 801))
        assert store.verify().ok


def test_one_expected_version_has_one_winner(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as store:
        outcomes: list[bool] = []

        def work() -> None:
            try:
                store.append(USER, Counted(n=1), expected_version=0)
            except BatpakError:
                outcomes.append(False)
            else:
                outcomes.append(True)

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(outcomes) == [False] * 15 + [True]


def test_closing_among_appending_threads_loses_and_invents_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", FAST)
    receipts: list[int] = []

    def work() -> None:
        while True:
            try:
                receipts.append(store.append(USER, Counted(n=1)).sequence)
            except StoreClosed:
                return

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    store.close()
    for thread in threads:
        thread.join()

    with Store.open_read_only(tmp_path / "s") as reader:
        assert [event.sequence for event in reader.query()] == sorted(receipts)
        assert reader.open_report.clean


def test_an_open_store_whose_files_were_taken_away_does_not_verify(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        store.append(USER, Counted(n=1))
        store.sync()
        for file in (tmp_path / "s").iterdir():
            if file.name != ".batpak.lock":
                file.rename(tmp_path / file.name)

        report = store.verify()

        for file in tmp_path.iterdir():
            if file.is_file():
                file.rename(tmp_path / "s" / file.name)

    assert not report.ok
    assert "every segment" in report.findings[0].detail
