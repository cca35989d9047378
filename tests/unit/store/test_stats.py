"""What a store says of itself is right, and each thing that an open meets is in its own field.

Would slip through without it: numbers that are close; a repair that nobody is told of; a library
that prints when nobody asked it to; a report that cannot be written down.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import asdict, replace

from batpak import system
from batpak.append import BatchItem
from batpak.config import Durability, Limits, OpenVerify, StoreConfig, SyncMode
from batpak.coordinate import Coordinate
from batpak.diagnostics import SubscriptionHealth, WriterDiagnostics
from batpak.errors import CorruptStore, StorageFailed, StoreClosed
from batpak.journal import header
from batpak.kind import EventKind
from batpak.platform import REAL
from batpak.read.subscription import Overflow
from batpak.reader import StoreReader
from batpak.report import Frontier, Health, HealthState, Mode, OpenReport
from batpak.store import Store
from batpak.wire import RAW
from tests.facts import FAST, PLAIN, SMALL, USER, Counted, Said

STRANGE: Final = EventKind.custom(0xE, 0x7C0)
KINDS: Final = [Counted.KIND, Said.KIND, STRANGE]


def fill(store: Store, count: int) -> None:
    for n in range(count):
        where = Coordinate(f"user:{n % 7}", f"scope {n % 3}")
        if n % 5 == 0:
            store.append_raw(where, STRANGE, b"\x01")
        else:
            store.append(where, Counted(n=n) if n % 2 else Said(text="x" * n))


def assert_counted(store: StoreReader, path: Path) -> None:
    """Compare what a store says of itself with what it holds."""
    files = list(path.glob("*.fbat"))
    bytes_before, stats = -1, store.stats()
    while bytes_before != stats.bytes:  # a footer may be written meanwhile
        bytes_before = sum(file.stat().st_size for file in files)
        stats = store.stats()
    entries = list(store.entries())

    assert stats.events == stats.next_sequence == len(entries)
    assert stats.entities == len({entry.coordinate.entity for entry in entries})
    assert stats.scopes == len({entry.coordinate.scope for entry in entries})
    assert stats.kinds == Counter(int(entry.kind) for entry in entries)
    assert stats.segments == len(files)
    assert stats.bytes == bytes_before
    shelf = path / "quarantine"
    kept = [file.stat().st_size for file in shelf.iterdir()] if shelf.exists() else []
    assert stats.quarantine_bytes == sum(kept)
    assert stats.checkpoints == len(list(path.glob("cursors/*.ckpt")))


@pytest.mark.parametrize("count", [0, 1, 60])
@pytest.mark.parametrize("lifecycle", [False, True])
def test_the_numbers_are_those_of_the_log(tmp_path: Path, count: int, lifecycle: bool) -> None:
    path, crashed = tmp_path / "store", tmp_path / "crashed"
    config = replace(SMALL, lifecycle_events=lifecycle)
    with Store.open(path, config) as store:
        fill(store, count)
        assert_counted(store, path)
        shutil.copytree(path, crashed)
    with Store.open_read_only(path) as reader:
        assert_counted(reader, path)
    newest = max(crashed.glob("*.fbat"))
    newest.write_bytes(newest.read_bytes().rstrip(b"\0") + b"torn")
    with Store.open(crashed, config) as store:
        assert_counted(store, crashed)
        assert store.stats().quarantine_bytes == 4


def test_diagnostics_are_one_picture_that_encodes_to_json(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", PLAIN) as store:
        fill(store, 20)
        store.append_batch([BatchItem(USER, Counted(n=n)) for n in range(5)])

        told = store.diagnostics()

        again: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told))
        assert told.stats == store.stats()
        assert told.frontier == store.frontier()
        assert told.open_report is store.open_report
        assert (told.health, told.cause) == (HealthState.OK, None)
        assert (told.durability, told.sync_mode) == (Durability.COMMIT, SyncMode.DATA)
        assert (told.pressure, told.units) == (store.pressure(), 21)
        assert told.pressure.is_idle
        assert 0 < told.groups <= told.units
        assert told.units_per_group == told.units / told.groups
        assert told.syncs >= told.groups
        assert 0 < told.sync_p50_us <= told.sync_p99_us
        assert set(again) == {field.name for field in msgspec.structs.fields(told)}
        assert again["stats"]["kinds"] == {str(int(k)): told.stats.kinds[k] for k in KINDS}
        assert again["open_report"]["store_id"] == str(store.open_report.store_id)
        assert again["health"] == "ok"


@pytest.mark.parametrize("handle", ["writer", "reader", "observer"])
def test_each_handle_has_diagnostics_of_what_it_has(tmp_path: Path, handle: str) -> None:
    path, limits = tmp_path / "store", Limits(segment_max_bytes=4 << 10, subscriber_capacity=3)
    config = replace(SMALL, limits=limits)
    with Store.open(path, config) as store:
        fill(store, 60)
    opens = {"writer": Store.open, "reader": Store.open_read_only, "observer": Store.observe}
    with opens[handle](path, config) as opened:
        assert sum(1 for _ in opened.query(form=RAW)) == 60
        told = opened.diagnostics()

        assert (told.stats, told.frontier) == (opened.stats(), opened.frontier())
        assert told.open_report is opened.open_report
        assert (told.health, told.cause) == (HealthState.OK, None)
        assert 0 < told.open_files <= told.stats.segments
        assert told.limits == limits
        assert (told.cache_hits, told.cache_misses, told.subscriptions) == (0, 0, ())
        assert isinstance(told, WriterDiagnostics) == (handle == "writer")
        again = msgspec.json.decode(msgspec.json.encode(told))
        assert set(again) == {field.name for field in msgspec.structs.fields(told)}
        assert again["limits"]["subscriber_capacity"] == 3


def test_subscriptions_are_told_with_what_they_have_dropped(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store, Store.observe(tmp_path / "store") as other:
        for handle in (store, other):
            kept = handle.subscribe_lossy(capacity=3)
            ends = handle.subscribe_lossy(capacity=1, overflow=Overflow.DISCONNECT)
            fill(store, 5)
            other.refresh()
            first, second = handle.diagnostics().subscriptions
            assert first == kept.health == SubscriptionHealth(pending=3, lost=2, is_over=False)
            assert (second.pending, second.lost) == (ends.pending, ends.lost) == (1, 4)
            del kept, ends
            assert handle.diagnostics().subscriptions == ()


def test_every_report_encodes_to_json(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", SMALL) as store:
        fill(store, 40)
        for report in (
            store.open_report,
            store.stats(),
            store.frontier(),
            store.verify(),
            store.diagnostics(),
        ):
            again = msgspec.json.decode(msgspec.json.encode(report))
            assert set(again) == {field.name for field in msgspec.structs.fields(report)}


def test_health_and_frontier_follow_the_handle(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", FAST)
    store.append(USER, Counted(n=1))

    frontier = store.frontier()

    assert (frontier.written, frontier.visible) == (1, 1)
    assert frontier.visible_minus_durable == 1 - frontier.durable
    assert store.sync().durable == 1
    assert store.frontier().visible_minus_durable == 0
    assert store.health == Health(HealthState.OK)
    store.close()
    assert store.health == Health(HealthState.CLOSED)
    for ask in (store.stats, store.frontier, store.diagnostics, store.verify):
        with pytest.raises(StoreClosed):
            ask()
    with Store.open_read_only(tmp_path / "store") as reader:
        assert reader.health == Health(HealthState.OK)
        assert reader.frontier() == Frontier(written=1, durable=1, visible=1, applied=1)


# ------------------------------------------------------------------------------ the open report


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A closed store of 40 events of known kinds in several files."""
    path = tmp_path / "store"
    with Store.open(path, SMALL) as store:
        for n in range(40):
            store.append(USER, Counted(n=n))
    return path


ORDINARY: Final[dict[str, object]] = {
    "format_version": 2,
    "mode": Mode.WRITE,
    "locked": True,
    "clean": True,
    "events": 40,
    "next_sequence": 40,
    "torn": None,
    "dropped_batch_items": 0,
    "rebuilt": (),
    "ignored_files": (),
    "removed_files": (),
    "unknown_kinds": {},
    "head_checked": True,
}
MEASURED: Final = {"store_id", "path", "segments", "scanned_bytes", "elapsed_ms"}


def differing(path: Path) -> dict[str, object]:
    """What a writer's open reports that is not ordinary."""
    with Store.open(path, SMALL) as store:
        report = asdict(store.open_report)
        assert store.count() == report["events"]
        assert store.verify().ok
    assert set(report) == {*ORDINARY, *MEASURED}
    return {name: report[name] for name, value in ORDINARY.items() if report[name] != value}


def test_an_ordinary_open_reports_nothing_unusual(log: Path) -> None:
    with Store.open_read_only(log) as reader:
        report = reader.open_report
        assert report.mode is Mode.READ
        assert report.locked
        assert report.path == str(log)
        assert isinstance(report.store_id, UUID)
        assert report.segments == len(list(log.glob("*.fbat")))
        assert report.elapsed_ms >= 0
        newest = max(log.glob("*.fbat"))
        assert 0 < report.scanned_bytes <= newest.stat().st_size

    assert differing(log) == {}


def test_a_crash_is_reported_as_not_clean(tmp_path: Path) -> None:
    with Store.open(tmp_path / "live", SMALL) as store:
        for n in range(40):
            store.append(USER, Counted(n=n))
        store.sync()
        shutil.copytree(tmp_path / "live", tmp_path / "store")

    found = differing(tmp_path / "store")

    assert found.pop("clean") is False
    assert set(found) <= {"rebuilt"}  # a sealed file may have been waiting for its footer
    assert differing(tmp_path / "store") == {}


def test_a_torn_end_is_reported_with_its_place_and_where_it_went(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store.open(tmp_path / "live", PLAIN) as store:
        for n in range(40):
            store.append(USER, Counted(n=n))
        shutil.copytree(tmp_path / "live", path)
    file = path / "000001.fbat"
    data = file.read_bytes().rstrip(b"\0")
    file.write_bytes(data + b"torn bytes")

    with Store.open_read_only(path) as reader:
        torn = reader.open_report.torn
        assert torn is not None
        assert (torn.offset, torn.bytes, torn.quarantine) == (len(data), 10, None)
    found = differing(path)

    assert set(found) == {"clean", "torn"}
    told = found["torn"]
    assert isinstance(told, type(torn))
    assert (Path(told.file).name, told.offset, told.bytes) == ("000001.fbat", len(data), 10)
    assert told.quarantine is not None
    assert (path / told.quarantine).read_bytes() == b"torn bytes"


def test_the_items_of_a_batch_that_is_not_whole_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store.open(tmp_path / "live", PLAIN) as store:
        for n in range(40):
            store.append(USER, Counted(n=n))
        before = (tmp_path / "live" / "HEAD").read_bytes()
        store.append_batch([BatchItem(USER, Counted(n=n)) for n in range(5)])
        last = store.get(44).record
        shutil.copytree(tmp_path / "live", path)
    (path / "HEAD").write_bytes(before)
    file = path / "000001.fbat"
    data = file.read_bytes()
    file.write_bytes(data[: data.index(last) - 8])

    found = differing(path)

    assert (found.pop("dropped_batch_items"), found.pop("clean")) == (4, False)
    assert set(found) == {"torn"}


def test_missing_footers_are_reported_as_rebuilt(log: Path) -> None:
    files = sorted(log.glob("*.fbat"))
    directory = REAL.open_dir(str(log), create=False)
    for file, after in pairwise(files):
        prev = header.read(directory, after.name).header.prev
        assert prev is not None
        file.write_bytes(file.read_bytes()[: prev.frames_end])

    assert differing(log) == {"rebuilt": tuple(file.name for file in files[:-1])}
    assert differing(log) == {}


def test_files_of_others_are_reported_and_left_alone(log: Path) -> None:
    names = ("000001.fbat.bak", "1.fbat", "notes.txt", "sub")
    for name in names[:-1]:
        (log / name).write_bytes(b"mine")
    (log / "sub").mkdir()

    assert differing(log) == {"ignored_files": names}
    assert all((log / name).exists() for name in names)


def test_what_a_stopped_writer_was_about_to_publish_is_removed_and_reported(log: Path) -> None:
    with Store.open(log, SMALL) as store:
        for name in ("b", "a"):
            store.cursor_guaranteed(checkpoint_id=name).commit()
        assert store.stats().checkpoints == 2
    names = ["000009.fbat.tmp", "HEAD.tmp", "cursors/a.ckpt.tmp", "cursors/new.ckpt.tmp"]
    others = ["cursors/notes.tmp", "cursors/a.ckpt.bak"]
    for name in (*names, *others):
        (log / name).write_bytes(b"half")
    with Store.open_read_only(log) as reader:
        assert reader.open_report.removed_files == ()
        assert reader.stats().checkpoints == 2
    assert (log / "HEAD.tmp").exists()

    assert differing(log) == {"removed_files": tuple(names)}
    assert sorted(file.name for file in (log / "cursors").iterdir()) == [
        "a.ckpt",
        "a.ckpt.bak",
        "b.ckpt",
        "notes.tmp",
    ]
    assert differing(log) == {}


def test_a_file_where_the_checkpoints_would_be_keeps_nobody_out(log: Path) -> None:
    (log / "cursors").write_bytes(b"mine")
    assert differing(log) == {}


def test_kinds_that_nothing_reads_are_counted(log: Path) -> None:
    with Store.open(log, SMALL) as store:
        for n in range(30):
            store.append_raw(USER, STRANGE, b"\x01")
            store.append_raw(USER, EventKind.custom(0xE, 0x7C1), bytes([n]))

    assert differing(log) == {
        "events": 100,
        "next_sequence": 100,
        "unknown_kinds": {int(STRANGE): 30, 0xE7C1: 30},
    }


def test_a_reader_without_a_lock_file_says_that_nothing_is_locked(log: Path) -> None:
    (log / ".batpak.lock").unlink()

    with Store.open_read_only(log) as reader:
        assert not reader.open_report.locked
        assert reader.count() == 40
    assert not (log / ".batpak.lock").exists()


@pytest.mark.parametrize("writing", [False, True])
def test_on_open_is_told_once_before_the_first_event(log: Path, writing: bool) -> None:
    told: list[OpenReport] = []
    config = replace(SMALL, on_open=told.append, lifecycle_events=True)

    opened = Store.open(log, config) if writing else Store.open_read_only(log, config)
    with opened as store:
        assert told == [store.open_report]
        assert told[0].events == 40
        assert store.count() == 40 + 2 * writing  # and what its events are

    assert len(told) == 1


def test_what_on_open_raises_is_logged_and_nothing_else(
    log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(report: OpenReport) -> None:
        raise ZeroDivisionError(report.path)

    config = replace(SMALL, on_open=refuse)
    for opening in (Store.open, Store.open_read_only):
        with opening(log, config) as store:
            assert store.count() == 40

        records = [one for one in caplog.records if one.levelno >= logging.ERROR]
        assert [one.name for one in records] == ["batpak.open"]
        assert records[0].exc_info is not None
        assert records[0].exc_info[0] is ZeroDivisionError
        caplog.clear()


def test_an_open_that_fails_tells_nobody(log: Path) -> None:
    told: list[OpenReport] = []
    config = replace(SMALL, on_open=told.append)
    (log / "000002.fbat").unlink()

    with pytest.raises(CorruptStore):
        Store.open(log, config)
    with pytest.raises(StorageFailed):
        Store.open(log.parent / "nothing", config, create=False)

    assert told == []


def test_lifecycle_events_say_what_the_reports_say(tmp_path: Path) -> None:
    config = StoreConfig(limits=SMALL.limits)
    with Store.open(tmp_path / "store", config) as store:
        store.append(USER, Counted(n=1))
    with Store.open(tmp_path / "store", config) as store:
        first, _, _, closed, again = store.query()

        assert [event.sequence for event in store.query(limit=1)] == [0]
        assert isinstance(first.payload, system.OpenCompleted)
        assert (first.payload.segments, first.payload.events) == (1, 0)
        assert closed.payload == system.CloseCompleted(written=2, durable=2)
        assert isinstance(again.payload, system.OpenCompleted)
        assert again.payload.events == store.open_report.events == 4
        assert first.coordinate == Coordinate("batpak:store", "batpak:lifecycle")


def test_open_verify_full_reads_everything_first(log: Path) -> None:
    record = _damage(log)
    assert record

    with Store.open(log, SMALL) as store:
        assert store.count() == 40
    for opening in (Store.open, Store.open_read_only):
        with pytest.raises(CorruptStore) as caught:
            opening(log, replace(SMALL, open_verify=OpenVerify.FULL))
        assert caught.value.path == str(log / "000001.fbat")


def _damage(log: Path) -> bytes:
    """Change the payload of an event in a file whose footer is whole."""
    with Store.open_read_only(log) as reader:
        record = reader.get(3).record
    file = log / "000001.fbat"
    file.write_bytes(file.read_bytes().replace(record, record[:-1] + b"\x7e"))
    return record


# ------------------------------------------------------------------------------------- logging


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="batpak"):
        yield caplog


def test_an_ordinary_life_warns_of_nothing(log: Path, records: pytest.LogCaptureFixture) -> None:
    with Store.open(log, SMALL) as store:
        fill(store, 40)
    with Store.open_read_only(log):
        pass

    assert [one for one in records.records if one.levelno >= logging.WARNING] == []
    opened = [one for one in records.records if one.name == "batpak.open"]
    assert len(opened) == 2
    assert all(one.__dict__["path"] == str(log) for one in opened)
    assert all(UUID(one.__dict__["store_id"]) for one in opened)
    assert all(one.name.startswith("batpak.") for one in records.records)


def test_what_is_ignored_is_one_warning_and_so_is_a_footer(
    log: Path, records: pytest.LogCaptureFixture
) -> None:
    (log / "alien").write_bytes(b"")
    (log / "000001.fbat").write_bytes((log / "000001.fbat").read_bytes()[:-1])

    Store.open_read_only(log).close()

    told = [one for one in records.records if one.levelno >= logging.WARNING]
    assert sorted(one.name for one in told) == ["batpak.open", "batpak.recovery"]
    assert {one.__dict__["path"] for one in told} == {str(log), str(log / "000001.fbat")}


def test_a_repair_is_one_warning(tmp_path: Path, records: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store"
    with Store.open(tmp_path / "live", PLAIN) as store:
        store.append(USER, Said(text="a secret"), idempotency_key="another secret")
        shutil.copytree(tmp_path / "live", path)
    file = path / "000001.fbat"
    file.write_bytes(file.read_bytes().rstrip(b"\0") + b"torn")
    records.clear()

    Store.open(path, PLAIN).close()

    told = [one for one in records.records if one.levelno >= logging.WARNING]
    assert [(one.name, one.levelname) for one in told] == [("batpak.recovery", "WARNING")]
    assert not any("secret" in one.getMessage() for one in records.records)


SILENT: Final = """
import sys
from pathlib import Path
from batpak import Store
from tests.facts import SMALL, USER, Counted

path = Path(sys.argv[1])
with Store.open(path, SMALL) as store:
    for n in range(40):
        store.append(USER, Counted(n=n))
file = path / "000001.fbat"
data = bytearray(file.read_bytes())
data[-40:] = bytes(40)
file.write_bytes(data)
(path / "alien").write_bytes(b"")

def refuse(report):
    raise ZeroDivisionError

from msgspec.structs import replace
with Store.open(path, replace(SMALL, on_open=refuse)) as store:
    assert store.open_report.rebuilt
import logging
assert not logging.getLogger().handlers
"""


def test_nothing_is_printed_unless_somebody_listens(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SILENT, str(tmp_path / "store")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
