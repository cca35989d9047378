"""What a caller, a signal, another thread or a stranger in the directory can do wrong.

Would slip through without it: a raw TypeError where a typed error is promised, a directory that
stays locked after Ctrl-C, a store that cannot be opened once it has many files, events that
vanish behind an older HEAD.
"""

from __future__ import annotations

import enum
import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, cast

import pytest

import batpak
from batpak import registry
from batpak.append import AppendReceipt
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import CorruptStore, InvalidArgument, RegistryError, StoreClosed, StorePoisoned
from batpak.event import StoredEvent
from batpak.faults import Damage
from batpak.journal import layout
from batpak.journal.segment import FILES_MAX
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.platform import REAL
from batpak.reader import StoreReader
from batpak.region import KindFilter, Region
from batpak.store import Store
from batpak.testing.disk import Call, nothing
from batpak.testing.platform import SimPlatform
from batpak.upkeep.verify import verify_path
from tests.facts import FAST, PLAIN, USER, Counted, Said
from tests.unit.commit.test_lane import breakable

LIBRARY = f"{Path(batpak.__file__).parent}{os.sep}"
SMALL_FAST = StoreConfig(
    lifecycle_events=False, durability=Durability.OS, limits=Limits(segment_max_bytes=4 << 10)
)


class Text(str):
    __slots__ = ()


class Blob(bytes):
    __slots__ = ()


class Scope(enum.StrEnum):
    SHOP = "shop"


class Old(str, enum.Enum):  # noqa: UP042  whose members print as Old.SHOP
    SHOP = "shop"


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def bad(value: object) -> Any:  # noqa: ANN401  what a checker would have refused
    return value


@pytest.mark.parametrize(
    "call",
    [
        lambda: Coordinate(bad(5), "x"),
        lambda: Coordinate("x", bad(None)),
        lambda: Region(entity=bad(5)),
        lambda: Region(versions=bad(5)),
        lambda: Region(versions=bad(("a", "b"))),
        lambda: Region(versions=bad((1.5, 2))),
        lambda: KindFilter.category(bad("x")),
        lambda: EventKind.custom(bad("a"), 1),
        lambda: EventKind.from_wire(bad("a")),
        lambda: EventKind.from_wire(bad(1.5)),
        lambda: StoreConfig(durability=bad(3)),
        lambda: StoreConfig(lifecycle_events=bad("no")),
        lambda: StoreConfig(limits=bad(None)),
        lambda: StoreConfig(limits=Limits(segment_max_bytes=bad("x"))),
        lambda: StoreConfig(limits=Limits(segment_max_bytes=bad(5000.5))),
        lambda: Store.open("a\0b"),
        lambda: Store.open(bad(None)),
        lambda: Store.open("\ud800"),
        lambda: Store.open("x", config=bad({})),
        lambda: Store.open_read_only("x", config=bad({})),
        lambda: verify_path("a\0b", REAL),
    ],
)
def test_what_a_checker_refuses_is_refused_with_a_type(call: Callable[[], object]) -> None:
    with pytest.raises(InvalidArgument):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.get(0, bad(int)),
        lambda s: s.get(0, EventPayload),
        lambda s: s.by_fact(bad("x")),
        lambda s: s.by_fact(bad(0x1001)),
        lambda s: s.by_fact(bad(None)),
        lambda s: s.by_fact(EventPayload),
        lambda s: s.query(bad("x")),
        lambda s: s.count(bad("x")),
        lambda s: s.stream(bad(5)),
        lambda s: s.version(bad([])),
        lambda s: s.append(USER, Counted(n=1), flags=bad("")),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_a_type(
    call: Callable[[Store], object],
) -> None:
    with Store.open("store", PLAIN, platform=SimPlatform()) as store:
        store.append(USER, Counted(n=0))

        with pytest.raises(InvalidArgument):
            call(store)


def test_subclasses_of_text_and_bytes_are_stored_as_what_they_hold() -> None:
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        receipt = store.append(
            Coordinate(Text("user:1"), Scope.SHOP),
            Counted(n=0),
            idempotency_key=Blob(b"k"),
            extensions={Text("app.trace"): Blob(b"\x01")},
        )

        found = store.get(receipt.event_id)

    assert found.coordinate == receipt.coordinate == Coordinate("user:1", "shop")
    assert {type(receipt.coordinate.entity), type(receipt.coordinate.scope)} == {str}
    assert (found.idempotency_key, found.extensions) == (b"k", {"app.trace": b"\x01"})


@pytest.mark.parametrize("text", [Text("shop"), Scope.SHOP, Old.SHOP], ids=repr)
def test_a_question_by_a_subclass_of_text_is_one_by_what_it_holds(text: str) -> None:
    with Store.open("store", PLAIN, platform=SimPlatform()) as store:
        store.append(Coordinate(text, text), Counted(n=0))

        region, plain = Region(entity=text, scope=text), Region(entity="shop", scope="shop")
        assert (region.identity, type(region.scope)) == (plain.identity, str)
        assert store.version(text) == len(list(store.stream(text))) == store.count(region) == 1
        assert list(store.entities(text)) == ["shop"]
        with store.cursor_guaranteed(region, checkpoint_id=text) as cursor:
            assert cursor.poll() is not None
            cursor.commit()
        with store.cursor_guaranteed(plain, checkpoint_id="shop") as cursor:
            assert cursor.poll() is None
        store.reset_cursor(text, position=0)
        assert [one.checkpoint_id for one in store.cursor_checkpoints()] == ["shop"]


def test_events_and_receipts_can_be_kept_in_a_set() -> None:
    with Store.open("store", PLAIN, platform=SimPlatform()) as store:
        receipts = {store.append(USER, Counted(n=n % 2)) for n in range(4)}
        events = {*store.query(), *store.query()}

    assert {type(one) for one in receipts} == {AppendReceipt}
    assert {type(one) for one in events} == {StoredEvent}
    assert (len(receipts), len(events)) == (4, 4)


def test_an_annotation_that_cannot_be_evaluated_is_told_by_the_class() -> None:
    class Odd(EventPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x7FF)
        VERSION: ClassVar[int] = 1

        x: os.missing  # type: ignore[name-defined]  # what the test is about

    entry = registry.of_class(Odd)
    assert entry is not None
    try:
        with pytest.raises(RegistryError, match="Odd cannot be decoded"):
            Store.open("never-made")
    finally:
        del registry._BY_KIND[entry.kind], registry._BY_CLASS[entry.cls]


def test_a_store_of_many_files_needs_few_descriptors(tmp_path: Path) -> None:
    files = 3 * FILES_MAX
    with Store.open(tmp_path / "s", SMALL_FAST) as store:
        for n in range(files):
            store.append(USER, Said(text=f"{n:04}" * 1024))

    gc.collect()  # what other tests have left would go meanwhile
    before = descriptors()
    with Store.open(tmp_path / "s", SMALL_FAST) as store:
        assert store.open_report.segments == files
        list(store.query())
        found = [cast("Said", event.payload).text[:4] for event in store.query()]
        during = descriptors()
    after = descriptors()

    assert found == [f"{n:04}" for n in range(files)]
    assert during - before <= 2 * FILES_MAX + 8
    assert after == before


def test_an_older_clean_head_does_not_hide_later_events(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, FAST) as store:
        store.append(USER, Counted(n=0))
    older = (path / layout.HEAD).read_bytes()
    with Store.open(path, FAST) as store:
        store.append(USER, Counted(n=1))
    (path / layout.HEAD).write_bytes(older)

    with pytest.raises(CorruptStore) as caught:
        Store.open(path, FAST)
    report = verify_path(path, REAL)

    assert caught.value.reason is Damage.HEAD
    assert [finding.reason for finding in report.findings] == [Damage.HEAD]
    assert not (path / layout.QUARANTINE).exists()


def test_a_file_larger_than_a_segment_can_be_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path, FAST) as store:
        store.append(USER, Counted(n=0))
    os.truncate(path / "000001.fbat", 1 << 40)  # sparse

    with pytest.raises(CorruptStore, match="more than a segment can have"):
        Store.open(path, FAST)
    assert not verify_path(path, REAL).ok


def test_a_close_leaves_the_head_of_another_writer_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = Store.open(path, PLAIN)
    first.append(USER, Counted(n=0))
    (path / layout.LOCK).unlink()  # so a second writer gets in
    with Store.open(path, PLAIN) as second:
        second.append(USER, Counted(n=1))
    head = (path / layout.HEAD).read_bytes()

    with pytest.raises(StorePoisoned):
        first.close()

    assert (path / layout.HEAD).read_bytes() == head
    with Store.open(path, PLAIN) as again:
        assert [event.payload for event in again.query()] == [Counted(n=0), Counted(n=1)]


def test_the_name_of_an_empty_directory_is_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fsync

    def spy(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        sync(fd)

    monkeypatch.setattr(os, "fsync", spy)
    (tmp_path / "s").mkdir()  # by somebody who was stopped before the sync

    with Store.open(tmp_path / "s", PLAIN):
        pass

    assert tmp_path.stat().st_ino in synced


def test_closing_from_inside_an_append_is_refused_and_both_go_on() -> None:
    sim = SimPlatform()
    store = Store.open("store", PLAIN, platform=sim)
    refusals: list[InvalidArgument] = []

    def close(_: Call) -> None:
        sim.disk.before = nothing
        try:
            store.close()
        except InvalidArgument as error:
            refusals.append(error)

    sim.disk.before = close
    receipt = store.append(USER, Counted(n=0))

    assert [error.argument for error in refusals] == ["thread"]
    assert store.get(receipt.event_id).payload == Counted(n=0)
    store.close()
    with Store.open_read_only("store", platform=sim) as again:
        assert again.open_report.clean


def _is_in_del(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def interrupted(act: Callable[[], object], at: int) -> tuple[int, BaseException | None]:
    """Do something, with a KeyboardInterrupt at point number `at`; how many points there were."""
    seen = 0

    def trace(here: FrameType, event: str, _: object) -> Any:  # noqa: ANN401  as sys.settrace
        nonlocal seen
        if not here.f_code.co_filename.startswith(LIBRARY) or _is_in_del(here):
            return None  # what is raised in there goes nowhere
        here.f_trace_opcodes, here.f_trace_lines = True, False
        if event == "opcode" and here.f_lasti in breakable(here.f_code):
            seen += 1
            if seen == at:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        act()
    except KeyboardInterrupt as error:
        return seen, error
    finally:
        sys.settrace(None)
    return seen, None


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="3.12 shows no bytecodes to a trace function"
)
@pytest.mark.filterwarnings("ignore:unclosed scandir:ResourceWarning")  # cut off where it was made
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_close_that_was_interrupted_anywhere_can_be_repeated(tmp_path: Path, every: int) -> None:
    path = tmp_path / "s"
    points, _ = interrupted(Store.open(path, FAST).close, 0)
    assert points > 50

    for at in range(1, points + 1, every):
        store = Store.open(path, FAST)
        receipt = store.append(USER, Counted(n=at))
        interrupted(store.close, at)
        store.close()
        with pytest.raises(StoreClosed):
            store.count()
        with Store.open_read_only(path) as again:  # the lock is free
            assert again.get(receipt.event_id).payload == Counted(n=at)


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="3.12 shows no bytecodes to a trace function"
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of what was lost behind its making
@pytest.mark.parametrize("every", [53, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("read_only", [False, True])
def test_an_open_that_was_interrupted_anywhere_leaves_the_directory_free(
    tmp_path: Path, read_only: bool, every: int
) -> None:
    path = tmp_path / "s"
    Store.open(path, FAST).close()
    handles: list[StoreReader] = []

    def begin() -> None:
        handles.append((Store.open_read_only if read_only else Store.open)(path, FAST))

    points, _ = interrupted(begin, 0)
    handles.pop().close()
    assert points > 100  # newer interpreters show fewer of them

    for at in range(1, points + 1, every):
        _, error = interrupted(begin, at)  # kept, with all that its traceback holds
        assert error is not None or handles, at
        while handles:
            handles.pop().close()
        Store.open(path, FAST).close()


def test_readers_beside_writers_see_whole_events_only(tmp_path: Path) -> None:
    faults: list[BaseException] = []
    done = threading.Event()
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def read(store: Store) -> None:
        try:
            while not done.is_set():
                count = store.count()
                assert [event.sequence for event in store.query(before=count)] == list(range(count))
                if count:
                    assert store.get(count - 1).sequence == count - 1
        except BaseException as error:  # noqa: BLE001  reported below, in the thread of the test
            faults.append(error)

    try:
        with Store.open(tmp_path / "s", SMALL_FAST) as store:
            readers = [threading.Thread(target=read, args=[store]) for _ in range(3)]
            for reader in readers:
                reader.start()
            for n in range(400):
                store.append(USER, Said(text="x" * (n * 7 % 900)))
            done.set()
            for reader in readers:
                reader.join()
    finally:
        done.set()
        sys.setswitchinterval(switch)

    assert faults == []
