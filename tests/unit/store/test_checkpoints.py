"""Checkpoints: where a consumer stands, or a refusal that says why not. Never a guess.

Would slip through without it: a damaged file that is taken for another position, a consumer that
skips what it never saw because its store was restored, two consumers that move one checkpoint, a
position that is more durable than the log.
"""

from __future__ import annotations

import errno
import gc
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from batpak.config import Durability, OpenVerify, StoreConfig
from batpak.digest import crc32
from batpak.errors import (
    BatpakError,
    FutureVersion,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    TooLarge,
)
from batpak.faults import CheckpointFault, Damage
from batpak.kind import EventKind
from batpak.platform import REAL
from batpak.read.checkpoint import CheckpointInvalid, decode, encode
from batpak.region import KindFilter, Region
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from batpak.upkeep.verify import verify_path
from batpak.wire import Form
from tests.facts import FAST, PLAIN, USER, Counted

NUMBERS = Region(kinds=Counted)


def count(store: Store, *numbers: int) -> None:
    for n in numbers:
        store.append(USER, Counted(n=n))


def read(store: Store, some: int, checkpoint_id: str = "mine") -> list[int]:
    """Go on from a checkpoint, and save it."""
    with store.cursor_guaranteed(NUMBERS, checkpoint_id=checkpoint_id) as cursor:
        found = [getattr(event.payload, "n") for event in cursor.poll_batch(some)]  # noqa: B009  one class
        cursor.commit()
        return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of ten, and a checkpoint behind the fourth."""
    with Store.open(tmp_path / "store", PLAIN) as store:
        count(store, *range(10))
        assert read(store, 4) == [0, 1, 2, 3]
    return tmp_path / "store"


def file_of(path: Path, checkpoint_id: str = "mine") -> Path:
    return path / "cursors" / f"{checkpoint_id}.ckpt"


def fault_of(path: Path, region: Region = NUMBERS) -> BatpakError:
    with Store.open(path, PLAIN) as store:
        with pytest.raises(BatpakError) as caught:
            store.cursor_guaranteed(region, checkpoint_id="mine")
        with pytest.raises(type(caught.value)):
            store.cursor_worker(region, lambda _events, _witness: None, checkpoint_id="mine")
    return caught.value


def reason_of(path: Path, region: Region = NUMBERS) -> CheckpointFault:
    error = fault_of(path, region)
    assert isinstance(error, CheckpointInvalid)
    assert (error.checkpoint_id, error.hint != "") == ("mine", True)
    return error.reason


def test_a_consumer_goes_on_where_it_has_committed(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        with store.cursor_guaranteed(NUMBERS, after=8, checkpoint_id="mine") as cursor:
            assert cursor.position == 4  # what is saved counts, not `after`
            cursor.poll_batch(3)  # and not what was read only
        assert read(store, 3) == [4, 5, 6]
        assert read(store, 9) == [7, 8, 9]
        assert read(store, 9) == []
        with store.cursor_guaranteed(NUMBERS, after=8, checkpoint_id="other") as cursor:
            assert cursor.position == 9  # never saved


def test_each_flipped_bit_is_corrupt_and_so_is_each_cut(path: Path) -> None:
    file = file_of(path)
    data = file.read_bytes()
    with Store.open(path, PLAIN) as store:
        for at in range(len(data)):
            for bit in (1, 0x80) if at % 16 else range(1, 256, 5):
                file.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
                with pytest.raises(CheckpointInvalid, match=r"\[corrupt\]"):
                    store.cursor_guaranteed(NUMBERS, checkpoint_id="mine")
            file.write_bytes(data[:at])
            with pytest.raises(CheckpointInvalid, match=r"\[corrupt\]"):
                store.cursor_guaranteed(NUMBERS, checkpoint_id="mine")
        for more in (b"\0", data, bytes(70_000)):
            file.write_bytes(data + more)
            with pytest.raises(CheckpointInvalid, match=r"\[corrupt\]"):
                store.cursor_guaranteed(NUMBERS, checkpoint_id="mine")
        file.write_bytes(data)
        assert read(store, 1) == [4]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[:-9] + b"\xc0",  # a time that is none
        lambda body: body.replace(b"\xc4\x20", b"\xc4\x1f", 1)[:-1],  # a hash that is too short
        lambda body: b"\xc1" + body[1:],
        lambda body: body.replace(b"\x04\xc4\x20", b"\xff\xc4\x20", 1),  # position -1
        lambda body: body.replace(b"\x04\xc4\x20", b"\xcc\x04\xc4\x20", 1),  # spelt longer
    ],
)
def test_a_right_checksum_does_not_make_a_wrong_file_right(
    path: Path, change: Callable[[bytes], bytes]
) -> None:
    file = file_of(path)
    body = change(file.read_bytes()[8:-4])
    data = b"FBCK" + (1).to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
    file.write_bytes(data + crc32(data).to_bytes(4, "big"))

    assert reason_of(path) is CheckpointFault.CORRUPT


def test_a_newer_file_is_of_the_future(path: Path) -> None:
    file = file_of(path)
    data = file.read_bytes()
    data = data[:4] + (2).to_bytes(2, "big") + data[6:-4]
    file.write_bytes(data + crc32(data).to_bytes(4, "big"))

    error = fault_of(path)

    assert isinstance(error, FutureVersion)
    assert (error.found, error.supported) == (2, 1)


def test_another_region_or_form_is_refused(path: Path) -> None:
    assert reason_of(path, Region(kinds=Counted, scope="acme")) is CheckpointFault.REGION
    with (
        Store.open(path, PLAIN) as store,
        pytest.raises(CheckpointInvalid, match=r"\[region\]"),
    ):
        store.cursor_guaranteed(NUMBERS, form=Form.RAW, checkpoint_id="mine")


def test_an_equal_region_may_be_spelt_another_way(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        same = Region(kinds=KindFilter.one_of([Counted.KIND]))
        assert store.cursor_guaranteed(same, checkpoint_id="mine").position == 4


def test_the_checkpoint_of_another_store_is_foreign(path: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "other", PLAIN) as store:
        count(store, *range(10))
    shutil.copytree(path / "cursors", tmp_path / "other/cursors")

    assert reason_of(tmp_path / "other") is CheckpointFault.FOREIGN


def test_that_of_another_consumer_is_foreign(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        read(store, 2, "other")
    shutil.copy(file_of(path, "other"), file_of(path))

    assert reason_of(path) is CheckpointFault.FOREIGN


def test_after_another_history_a_checkpoint_is_foreign(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "older")
    with Store.open(path, PLAIN) as store:
        count(store, 10, 11)
        read(store, 8)
    with Store.open(tmp_path / "older", PLAIN) as store:
        count(store, 10, 99)  # where the other one has 11
    shutil.copy(file_of(path), file_of(tmp_path / "older"))

    assert reason_of(tmp_path / "older") is CheckpointFault.FOREIGN


def test_a_checkpoint_of_a_longer_log_is_ahead(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "older")
    with Store.open(path, PLAIN) as store:
        count(store, 10, 11)
        read(store, 8)
    shutil.copy(file_of(path), file_of(tmp_path / "older"))

    assert reason_of(tmp_path / "older") is CheckpointFault.AHEAD


def test_two_consumers_do_not_go_on_from_one_checkpoint(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        with store.cursor_guaranteed(NUMBERS, checkpoint_id="mine"):
            for act in (
                lambda: store.cursor_guaranteed(NUMBERS, checkpoint_id="mine"),
                lambda: store.cursor_worker(NUMBERS, lambda *_: None, checkpoint_id="mine"),
                lambda: store.reset_cursor("mine", position=0),
            ):
                with pytest.raises(CheckpointInvalid, match=r"\[in-use\]"):
                    act()
            store.cursor_guaranteed(NUMBERS, checkpoint_id="other")
        assert read(store, 1) == [4]


def test_a_consumer_that_was_lost_lets_go(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        cursor = store.cursor_guaranteed(NUMBERS, checkpoint_id="mine")
        assert cursor.position == 4
        del cursor
        gc.collect()
        assert read(store, 1) == [4]


def test_a_refused_consumer_does_not_keep_the_checkpoint(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        with pytest.raises(CheckpointInvalid):
            store.cursor_guaranteed(checkpoint_id="mine")
        assert read(store, 1) == [4]


@pytest.mark.parametrize("name", ["", ".", ".a", "a/b", "a b", "ä", "a" * 129, "a\n", 7, None])
def test_only_names_of_files_are_ids(path: Path, name: object) -> None:
    with Store.open(path, PLAIN) as store:
        with pytest.raises(InvalidArgument):
            store.reset_cursor(name, position=0)  # type: ignore[arg-type]  # refused
        if name is not None:
            with pytest.raises(InvalidArgument):
                store.cursor_guaranteed(checkpoint_id=name)  # type: ignore[call-overload]  # likewise


def test_a_region_that_no_file_can_hold_is_refused_at_once(path: Path) -> None:
    kinds = [EventKind.from_wire(n) for n in range(0x4000)]
    with Store.open(path, PLAIN) as store, pytest.raises(TooLarge):
        store.cursor_guaranteed(Region(kinds=kinds), checkpoint_id="other")


def test_a_reset_is_the_way_on_from_every_fault(path: Path) -> None:
    file_of(path).write_bytes(b"rubbish")
    with Store.open(path, PLAIN) as store:
        store.reset_cursor("mine", position=7)
        assert read(store, 1) == [7]
        store.reset_cursor("mine", position=0)
        other = Region(kinds=Counted, scope="acme")
        with store.cursor_guaranteed(other, checkpoint_id="mine") as cursor:
            cursor.poll_batch(2)
            cursor.commit()
        with pytest.raises(CheckpointInvalid, match=r"\[region\]"):
            read(store, 1)  # the first one after the reset has bound it
        for position in (-1, 11, True, None):
            with pytest.raises(InvalidArgument):
                store.reset_cursor("mine", position=position)  # type: ignore[arg-type]  # refused


def test_the_list_tells_where_everybody_stands_and_who_cannot_go_on(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        read(store, 2, "a.b")
        store.reset_cursor("c", position=5)
        file_of(path).write_bytes(b"")
        (path / "cursors/.hidden.ckpt").write_bytes(b"")
        (path / "cursors/note.txt").write_bytes(b"")
        first, second, third = store.cursor_checkpoints()

    assert (first.checkpoint_id, first.position, first.region, first.error) == (
        "a.b",
        2,
        NUMBERS.identity,
        None,
    )
    assert first.saved_at is not None
    assert (second.checkpoint_id, second.position, second.region) == ("c", 5, None)
    assert (third.checkpoint_id, third.position) == ("mine", None)
    assert isinstance(third.error, CheckpointInvalid)


def test_a_store_without_consumers_has_no_directory_for_them(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", PLAIN) as store:
        assert store.cursor_checkpoints() == ()
        with store.cursor_guaranteed(NUMBERS, checkpoint_id="mine") as cursor:
            assert cursor.poll() is None
        assert store.cursor_checkpoints() == ()
    assert not (tmp_path / "store/cursors").exists()


def test_an_open_takes_the_directory_for_its_own(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        assert store.open_report.ignored_files == ()
        assert store.verify().ok
    file_of(path).write_bytes(b"rubbish")
    with Store.open_read_only(path) as reader:
        assert reader.count(NUMBERS) == 10


def test_what_an_interrupted_save_has_left_is_in_nobodys_way(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        file_of(path).with_suffix(".ckpt.tmp").write_bytes(b"half")
        assert [one.checkpoint_id for one in store.cursor_checkpoints()] == ["mine"]
        assert read(store, 1) == [4]
    assert [file.name for file in (path / "cursors").iterdir()] == ["mine.ckpt"]


def verified(path: Path) -> list[tuple[str, Damage, str]]:
    """What is found of a store, closed and open, and by `open_verify=FULL` not held against it."""
    config = replace(PLAIN, open_verify=OpenVerify.FULL)
    with Store.open(path, config) as store:
        live = store.verify()
    closed = verify_path(path, REAL)
    assert closed.findings == live.findings
    assert closed.ok == live.ok == (not live.findings)
    assert closed.events == 10
    return [(Path(one.file).name, one.reason, one.detail) for one in closed.findings]


def test_verify_has_a_finding_for_each_checkpoint_that_cannot_be_gone_on_from(
    path: Path, tmp_path: Path
) -> None:
    with Store.open(path, PLAIN) as store:
        for name in ("cut", "future", "longer", "new", "other", "renamed"):
            store.reset_cursor(name, position=10 if name == "longer" else 0)
    assert verified(path) == []

    with Store.open(tmp_path / "other", PLAIN) as store:
        count(store, 1)
        store.reset_cursor("other", position=1)
    shutil.copy(file_of(tmp_path / "other", "other"), file_of(path, "other"))
    shutil.copy(file_of(path, "mine"), file_of(path, "renamed"))
    file_of(path, "cut").write_bytes(file_of(path, "cut").read_bytes()[:-1])
    newer = bytearray(file_of(path, "future").read_bytes()[:-4])
    newer[5] = 2
    file_of(path, "future").write_bytes(newer + crc32(newer).to_bytes(4))
    saved = decode(file_of(path, "longer").read_bytes(), "longer")
    file_of(path, "longer").write_bytes(encode(saved._replace(position=11)))
    saved = decode(file_of(path, "new").read_bytes(), "new")
    file_of(path, "new").write_bytes(encode(saved._replace(position=5)))
    (path / "cursors" / "no id.ckpt").write_bytes(b"somebody's notes")

    assert verified(path) == [
        ("cut.ckpt", Damage.CHECKPOINT, "the checksum does not match [corrupt]"),
        (
            "future.ckpt",
            Damage.CHECKPOINT,
            "checkpoint future has version 2; this code knows versions up to 1",
        ),
        ("longer.ckpt", Damage.CHECKPOINT, "it stands at 11, the log ends at 10 [ahead]"),
        ("new.ckpt", Damage.CHECKPOINT, "another event than here stood before 5 [foreign]"),
        ("other.ckpt", Damage.CHECKPOINT, "it is of another store [foreign]"),
        ("renamed.ckpt", Damage.CHECKPOINT, "it is that of 'mine' [foreign]"),
    ]
    with Store.open(path, PLAIN) as store:
        refused = {one.checkpoint_id for one in store.cursor_checkpoints() if one.error is not None}
        assert refused == {"cut", "future", "longer", "new", "other", "renamed"}
        for name in refused:
            store.reset_cursor(name, position=0)
    assert verified(path) == []


def test_a_live_store_is_verified_while_its_consumers_go_on(tmp_path: Path) -> None:
    with (
        Store.open(tmp_path / "store", FAST) as store,
        ThreadPoolExecutor(1) as pool,
        store.cursor_worker(NUMBERS, lambda _events, _witness: None, checkpoint_id="mine"),
    ):
        writing = pool.submit(lambda: count(store, *range(300)))
        while not writing.done():
            assert store.verify().findings == ()


@pytest.fixture
def sim() -> SimPlatform:
    return SimPlatform()


def test_a_refused_save_leaves_the_position_before(sim: SimPlatform) -> None:
    with Store.open("store", PLAIN, platform=sim) as store:
        count(store, *range(4))
        cursor = store.cursor_guaranteed(NUMBERS, checkpoint_id="mine")
        cursor.poll()
        cursor.commit()
        cursor.poll()
        for kind in ("create", "write", "sync"):
            sim.fail_at(1, errno.ENOSPC, kind=kind)
            with pytest.raises(StorageFailed):
                cursor.commit()
            assert [one.position for one in store.cursor_checkpoints()] == [1]
        cursor.rewind()
        assert cursor.position == 1
        cursor.poll()
        cursor.commit()
        assert [one.position for one in store.cursor_checkpoints()] == [2]
    with pytest.raises(StoreClosed):
        cursor.commit()


@pytest.mark.parametrize("durability", list(Durability))
def test_no_cut_of_the_power_leaves_a_checkpoint_ahead_of_the_log(durability: Durability) -> None:
    sim = SimPlatform()
    config = replace(FAST, durability=durability, sync_every_n_events=7)
    saved = [0]  # and after how many operations
    moments = [0]
    with Store.open("store", config, platform=sim) as store:
        cursor = store.cursor_guaranteed(NUMBERS, checkpoint_id="mine")
        for n in range(12):
            count(store, n)
            if n % 3 == 2:
                assert len(cursor.poll_batch(9)) == 3
                cursor.commit()
                saved.append(cursor.position)
                moments.append(len(sim.operations))

    tried = 0
    for after in sim.crashes(limit=600):
        assert after.origin is not None
        kept = max(
            at for at, moment in zip(saved, moments, strict=True) if moment <= after.origin.at
        )
        with Store.open("store", PLAIN, platform=after) as store:
            cursor = store.cursor_guaranteed(NUMBERS, checkpoint_id="mine")
            assert kept <= cursor.position <= store.frontier().durable
            rest = [getattr(event.payload, "n") for event in cursor.poll_batch(99)]  # noqa: B009  one class
            assert rest == list(range(cursor.position - len(rest), cursor.position))
        tried += 1
    assert tried > 100


def test_a_default_config_is_enough(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", StoreConfig()) as store:
        count(store, 1, 2)
        assert read(store, 1) == [1]
    with Store.open(tmp_path / "store") as store:
        assert read(store, 5) == [2]
