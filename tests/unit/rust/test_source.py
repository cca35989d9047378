"""Stores of the Rust original: the real ones, and each row of what is accepted and what is refused.

Would slip through without it: an event of a real store that is missing, hidden or in another place
than its writer says; damage that is read as if nothing were.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from batpak import codec
from batpak.errors import (
    CorruptStore,
    FutureVersion,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    StoreLocked,
)
from batpak.faults import Damage
from batpak.store import Store
from batpak.upkeep.rust.source import RustSource, is_rust
from tests.facts import PLAIN, USER, Counted
from tests.unit.rust.original import (
    Body,
    begin,
    checkpoint,
    commit,
    event,
    footer,
    framed,
    frames,
    header,
    index,
    pack,
    ranges,
    sealed,
    spelled,
    store,
)

FIXTURE = Path(__file__).parents[2] / "fixtures" / "rust-0.7"
STORES = ("A", "GO", "M")


@pytest.fixture
def at(tmp_path: Path) -> Path:
    return tmp_path / "r"


def numbers(path: Path) -> list[tuple[int, int]]:
    """(global sequence, which) of every visible event."""
    with RustSource.open(path) as source:
        return [(one.sequence, one.event_id.int) for one in source.events()]


def ids(path: Path) -> list[int]:
    return [which for _, which in numbers(path)]


@contextmanager
def refused(
    reason: Damage, file: str = "000001.fbat", offset: int | None = None
) -> Generator[None]:
    with pytest.raises(CorruptStore) as raised:
        yield
    assert raised.value.reason is reason
    assert raised.value.path.endswith(file)
    assert offset is None or raised.value.offset == offset


def read(path: Path) -> None:
    with RustSource.open(path) as source:
        for _ in source.events():
            pass


# ------------------------------------------------------------------------------- the real stores


@pytest.mark.parametrize("name", STORES)
def test_a_real_store_reads_as_the_original_says(name: str) -> None:
    lines = (FIXTURE / f"{name}.expected.jsonl").read_text(encoding="utf-8").splitlines()
    expected = [json.loads(line) for line in lines]

    with RustSource.open(FIXTURE / name) as source:
        events, found = list(source.events()), list(source.frames())

    assert len(events) == len(found) == len(expected)
    for due, one, (number, frame) in zip(expected, events, found, strict=True):
        assert due == {
            "id": one.event_id.hex,
            "entity": one.entity,
            "scope": one.scope,
            "kind": f"0x{int(one.kind):04X}",
            "gseq": number,
            "clock": frame.clock,
            "wall": frame.wall_ms,
            "corr": frame.correlation_id.hex(),
            "caus": None if one.causation_id is None else one.causation_id.hex,
            "hash": frame.event_hash.hex(),
            "prev": frame.prev_hash.hex(),
            "lane": frame.lane,
            "depth": frame.depth,
            "seg": due["seg"],
            "off": due["off"],
            "len": due["len"],
            "get": {
                "payload": codec.decode_plain(one.payload),
                "flags": one.flags,
                "ts": one.time_us,
                "psize": len(one.payload),
            },
        }


@pytest.mark.parametrize("name", STORES)
def test_a_real_store_reads_the_same_without_its_index(name: str, at: Path) -> None:
    shutil.copytree(FIXTURE / name, at)
    (at / "index.fbati").unlink()

    with RustSource.open(at) as source, RustSource.open(FIXTURE / name) as whole:
        assert source.report.numbered_by == "footers"
        assert whole.report.numbered_by == "index.fbati"
        assert list(source.events()) == list(whole.events())


def test_the_report_tells_what_is_hidden_and_what_was_ignored() -> None:
    with RustSource.open(FIXTURE / "A") as source:
        report = source.report

    assert (report.events, report.hidden, report.next_sequence) == (10, 1, 11)
    assert report.ignored_files == ("receipts.jsonl",)
    assert report.kinds == {0x0008: 1, 0x0009: 1, 0x000F: 1, 0x1000: 1, 0xF001: 6}


def test_a_source_changes_nothing(at: Path) -> None:
    shutil.copytree(FIXTURE / "A", at)
    before = {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in at.iterdir()}

    read(at)

    assert {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in at.iterdir()} == before


def test_the_events_of_a_batch_name_their_first_one() -> None:
    with RustSource.open(FIXTURE / "A") as source:
        batches = {one.sequence: one.batch for one in source.events()}

    assert {at for at, batch in batches.items() if batch is not None} == {4, 5, 6}
    assert {batches[4], batches[5], batches[6]} == {4}


def test_reading_begins_behind_a_number() -> None:
    with RustSource.open(FIXTURE / "A") as source:
        assert [one.sequence for one in source.events(after=5)] == [6, 7, 9, 10]
        assert [number for number, _ in source.frames(after=5)] == [6, 7, 9, 10]
        refused: list[Any] = [-1, "5", True]
        for wrong in refused:
            for read in (source.events, source.frames):
                with pytest.raises(InvalidArgument, match="after"):
                    read(after=wrong)


def test_an_id_that_is_no_uuid_of_the_clock_was_a_key() -> None:
    with RustSource.open(FIXTURE / "M") as source:
        assert not any(one.keyed for one in source.events())
    with RustSource.open(FIXTURE / "A") as source:
        assert sum(one.keyed for one in source.events()) == 8


def test_a_closed_source_reads_nothing() -> None:
    source = RustSource.open(FIXTURE / "GO")
    rest = source.events()
    next(rest)
    source.close()
    source.close()

    for read in (rest, source.events(), source.frames(), source.faults()):
        with pytest.raises(StoreClosed):
            next(read)


def test_a_writer_keeps_a_source_out(at: Path) -> None:
    store(at, header() + frames(event(1)))
    lock = at / ".batpak.lock"
    lock.write_bytes(b"1")
    with lock.open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreLocked):
            RustSource.open(at)
    with RustSource.open(at) as source:
        assert source.report.locked


def test_a_store_of_this_library_is_none_of_the_original(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as opened:
        opened.append(USER, Counted(n=1))

    assert not is_rust(tmp_path / "s")
    assert is_rust(FIXTURE / "A")
    with pytest.raises(InvalidArgument) as raised:
        RustSource.open(tmp_path / "s")
    assert "open_read_only" in raised.value.hint


def test_a_directory_without_segments_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="no store"):
        RustSource.open(tmp_path)


# ------------------------------------------------------------------------------------- spellings


def positional(value: object) -> object:
    if isinstance(value, dict):
        return [positional(one) for one in cast("Body", value).values()]
    return value


def reordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: reordered(one) for key, one in reversed(cast("Body", value).items())}
    return value


def with_more(value: object) -> object:
    if isinstance(value, dict):
        more = {key: with_more(one) for key, one in cast("Body", value).items()}
        return {"receipt_extensions": {}, **more}
    return value


def as_bin(value: object) -> object:
    if isinstance(value, dict):
        return {key: as_bin(one) for key, one in cast("Body", value).items()}
    return bytes(cast("list[int]", value)) if isinstance(value, list) else value


def without_content_hash(body: Body) -> object:
    del body["event"]["header"]["content_hash"]
    return body


SPELLINGS = {
    "positional": positional,
    "reordered": reordered,
    "with_more": with_more,
    "as_bin": as_bin,
    "without_content_hash": without_content_hash,
}


@pytest.mark.parametrize("how", SPELLINGS.values(), ids=SPELLINGS)
def test_other_spellings_of_a_frame_mean_the_same(how: Callable[[Body], object], at: Path) -> None:
    batch = (begin(9, 1), event(2, cause=(1).to_bytes(16, "big")), commit(9))
    store(at, header() + b"".join(spelled(one, how) for one in (event(1), *batch)))

    with RustSource.open(at) as source:
        first, second = source.events()

    assert (first.event_id.int, second.event_id.int) == (1, 2)
    assert second.causation_id == first.event_id
    assert codec.decode_plain(second.payload) == {"n": 2}
    assert (second.entity, second.scope, second.time_us) == ("user:1", "acme", 1_002)
    assert second.batch == 1


@pytest.mark.parametrize("value", [{"b": 1, "a": [True, None]}, "text", 7, [300, "x"], None])
def test_a_payload_that_retention_has_rewritten_is_made_again(value: object, at: Path) -> None:
    data = pack(value)
    body = event(1, payload=data)
    body["event"]["payload"] = value
    store(at, header() + frames(body))

    with RustSource.open(at) as source:
        assert [one.payload for one in source.events()] == [data]


def test_a_rewritten_payload_that_cannot_be_made_again_is_refused(at: Path) -> None:
    body = event(1, payload=b"\x81\xa1n\xcd\x00\x01")  # 1 in three bytes, which nobody writes now
    body["event"]["payload"] = {"n": 1}
    store(at, header() + frames(body))

    with refused(Damage.CHAIN):
        read(at)


# ---------------------------------------------------------------------------- order, visibility


def test_numbers_come_from_the_index_and_go_on_behind_it(at: Path) -> None:
    first = header() + frames(event(1), event(2))
    data = first + frames(event(3))
    store(at, data, index_fbati=index(1, len(first), 9, [(2, 4), (1, 7)]))

    assert numbers(at) == [(4, 2), (7, 1), (9, 3)]


def test_numbers_come_from_the_checkpoint_where_there_is_no_index(at: Path) -> None:
    data = header() + frames(event(1), event(2))
    store(at, data, index_ckpt=checkpoint(1, len(data), 9, [(1, 3), (2, 5)]))

    assert numbers(at) == [(3, 1), (5, 2)]
    with RustSource.open(at) as source:
        assert source.report.numbered_by == "index.ckpt"


def damaged(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    "bad",
    [
        damaged(index(1, 20, 9, [(1, 3), (2, 5)])),
        index(1, 1 << 20, 9, [(1, 3), (2, 5)]),
        index(2, 20, 9, [(1, 3), (2, 5)]),
        index(1, 1 << 10, 9, [(1, 3)]),
        index(1, 1 << 10, 9, [(1, 3), (2, 5), (8, 6)]),
        index(1, 1 << 10, 9, [(1, 3), (2, 3)]),
        index(1, 1 << 10, 9, [(1, 3), (2, 9)]),
        b"FBATIX",
    ],
    ids=[
        "checksum",
        "beyond-the-file",
        "no-such-file",
        "short",
        "long",
        "twice",
        "next-number",
        "cut",
    ],
)
def test_an_index_that_does_not_fit_the_frames_is_not_believed(bad: bytes, at: Path) -> None:
    data = header() + frames(event(1), event(2), event(3))
    padded = data + frames(*(event(n) for n in range(4, 8)))
    store(at, padded, index_fbati=bad)

    with RustSource.open(at) as source:
        assert source.report.numbered_by == "frames"
        assert [one.sequence for one in source.events()] == [0, 1, 2, 3, 4, 5, 6]


def test_a_row_of_a_footer_is_believed_in_the_wrong_file(at: Path) -> None:
    one = header(1) + frames(begin(8, 2), event(1))
    rows = [(1, 5), (2, 6)]
    two = header(2) + frames(event(2), commit(8))
    store(at, one + footer(len(one), []), two + footer(len(two), rows))

    assert numbers(at) == [(5, 1), (6, 2)]


def test_a_file_without_footer_goes_on_counting(at: Path) -> None:
    store(at, sealed(1, [(1, 0), (2, 4)], event(1), event(2)), header(2) + frames(event(3)))

    assert numbers(at) == [(0, 1), (4, 2), (5, 3)]


def test_hidden_events_stay_hidden(at: Path) -> None:
    data = sealed(1, [(1, 0), (2, 1), (3, 2)], event(1), event(2), event(3))
    store(at, data, visibility_ranges_fbv=ranges((1, 2)))

    assert numbers(at) == [(0, 1), (2, 3)]


def test_a_damaged_file_of_hidden_ranges_is_refused(at: Path) -> None:
    good = ranges((1, 2))
    for bad in (damaged(good), good[:9], b"", b"X" + good[1:], ranges((2, 1)), ranges(version=0)):
        store(at, header() + frames(event(1)), visibility_ranges_fbv=bad)
        with refused(Damage.LAYOUT, "visibility_ranges.fbv"):
            read(at)


def test_footers_that_contradict_the_frames_hide_nothing_by_chance(at: Path) -> None:
    data = sealed(1, [(1, 0), (7, 1)], event(1), event(2))
    store(at, data)
    assert ids(at) == [1, 2]

    store(at, data, visibility_ranges_fbv=ranges((1, 2)))
    with refused(Damage.ORDER):
        read(at)


# -------------------------------------------------------------------- what is left out, and told


def left_out(path: Path) -> list[tuple[str, int, str]]:
    with RustSource.open(path) as source:
        return [(Path(o.file).name, o.events, o.reason) for o in source.report.left_out]


@pytest.mark.parametrize(
    "tail", [bytes(100), b"\0", frames(event(9))[:-1], frames(event(9))[:5], b"\0\0\0\1\xff"]
)
def test_a_torn_end_is_left_out_of_any_file_without_footer(tail: bytes, at: Path) -> None:
    store(at, header(1) + frames(event(1)) + tail, header(2) + frames(event(2)) + tail)

    assert ids(at) == [1, 2]
    assert [file for file, _, _ in left_out(at)] == ["000001.fbat", "000002.fbat"]


def test_a_last_frame_that_came_to_the_disk_in_part_is_left_out(at: Path) -> None:
    whole = frames(event(2))
    store(at, header() + frames(event(1)) + whole[:60] + bytes(len(whole) - 60))

    assert ids(at) == [1]


@pytest.mark.parametrize(
    ("bodies", "visible", "dropped"),
    [
        ((event(1), begin(8, 2), event(2)), [1], [1]),
        ((begin(8, 2), event(1), commit(8), event(2)), [2], [1]),
        ((begin(8, 1), event(1), commit(9), event(2)), [2], [1]),
        ((begin(8, 2), event(1), begin(9, 1), event(2), commit(9)), [2], [1]),
        ((event(1), commit(9), event(2)), [1, 2], [0]),
        ((begin(8, 2), event(1), event(2), commit(8)), [1, 2], []),
    ],
    ids=["no-commit", "wrong-count", "other-id", "second-begin", "commit-alone", "whole"],
)
def test_a_batch_that_is_not_whole_is_left_out(
    bodies: tuple[Body, ...], visible: list[int], dropped: list[int], at: Path
) -> None:
    store(at, header() + frames(*bodies))

    assert ids(at) == visible
    assert [count for _, count, _ in left_out(at)] == dropped


def test_a_batch_goes_on_in_the_next_file_if_that_was_a_rotation(at: Path) -> None:
    store(at, sealed(1, [(1, 0)], begin(8, 2), event(1)), header(2) + frames(event(2), commit(8)))

    assert ids(at) == [1, 2]


def test_a_batch_never_goes_on_in_another_run_of_the_writer(at: Path) -> None:
    opened = event(5, kind=0x0008, entity="batpak:store", scope="batpak:lifecycle")
    cut = header(1) + frames(begin(8, 2), event(1))
    second = header(2) + frames(event(2), commit(8))
    store(at, cut, second)
    assert ids(at) == [2]

    store(at, sealed(1, [], begin(8, 2), event(1)), header(2) + frames(opened, event(2)))
    assert ids(at) == [5, 2]


# ------------------------------------------------------------------------------ what is tolerated


def test_restarted_clocks_chains_holes_and_repeated_ids_are_tolerated(at: Path) -> None:
    bodies = [
        event(1, clock=0),
        event(2, clock=0, prev=bytes(32)),
        event(3, clock=9, prev=b"\7" * 32),
        event(1, payload=b"\xa1x", clock=1),
    ]
    rows = [(1, 0), (2, 3), (3, 4), (1, 9)]
    store(at, sealed(1, rows, *bodies))

    with RustSource.open(at) as source:
        events = list(source.events())
        again = list(source.events(after=0))

    assert [one.sequence for one in events] == [0, 3, 4, 9]
    assert [one.repeat for one in events] == [0, 0, 0, 1]
    assert again == events[1:]


def test_an_id_used_again_after_a_cancel_is_no_repetition(at: Path) -> None:
    data = sealed(1, [(1, 0), (1, 1)], event(1), event(1, payload=b"\xa1x"))
    store(at, data, visibility_ranges_fbv=ranges((0, 1)))

    with RustSource.open(at) as source:
        assert [(one.sequence, one.repeat) for one in source.events()] == [(1, 0)]


def test_files_of_other_things_are_ignored_and_named(at: Path) -> None:
    store(at, header() + frames(event(1)), index_idemp=b"?", profile_json=b"{}")
    (at / "cursors").mkdir()

    with RustSource.open(at) as source:
        assert source.report.ignored_files == ("cursors", "index.idemp", "profile.json")


# -------------------------------------------------------------------------------- what is refused


def test_damage_with_frames_behind_it_is_refused(at: Path) -> None:
    start, first, rest = header(), frames(event(1)), frames(event(2))
    for bad in (damaged(first), bytes(len(first)), b"\x7f" + first[1:], b"\0\xff\xff\xff" + first):
        store(at, start + bad + rest)
        with pytest.raises(CorruptStore) as raised:
            read(at)
        assert raised.value.offset == len(start)


def test_damage_in_a_file_with_a_footer_is_refused(at: Path) -> None:
    start, body = header(), damaged(frames(event(1)))
    data = start + body
    store(at, data + footer(len(data), [(1, 0)]))
    with refused(Damage.CRC, offset=len(start)):
        read(at)

    store(at, start + footer(len(start) + 3, [(1, 0)]))
    with pytest.raises(CorruptStore):
        read(at)


def without_chain() -> Body:
    body = event(1)
    body["event"]["hash_chain"] = None
    return body


def with_other_payload() -> Body:
    body = event(1)
    body["event"]["payload"][-1] = 2
    return body


def with_other_hash() -> Body:
    body = event(1)
    body["event"]["header"]["content_hash"][0] ^= 1
    return body


def with_field(name: str, value: object) -> Body:
    body = event(1)
    body["event"]["header"][name] = value
    return body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (without_chain(), Damage.CHAIN),
        (with_other_payload(), Damage.CHAIN),
        (with_other_hash(), Damage.CHAIN),
        (with_field("content_hash", 32), Damage.FRAME),
        (with_field("content_hash", "x" * 32), Damage.FRAME),
        (with_field("content_hash", [256] * 32), Damage.FRAME),
        (with_field("event_id", b"short"), Damage.FRAME),
        (with_field("event_kind", 0x1_0000), Damage.FRAME),
        (with_field("flags", 256), Damage.FRAME),
        (with_field("position", {"wall_ms": -1, "counter": 0, "sequence": 0}), Damage.FRAME),
        ({"event": 1}, Damage.FRAME),
        (begin(8, 0), Damage.BATCH),
        (begin(8, 1_000_001), Damage.BATCH),
        (event(1, entity=""), Damage.FRAME),
        (event(1, scope="a/b"), Damage.FRAME),
        (event(1, entity="x" * 1025), Damage.FRAME),
    ],
)
def test_a_frame_that_no_writer_writes_is_refused_with_file_and_offset(
    body: Body, reason: Damage, at: Path
) -> None:
    store(at, header() + frames(body))

    with refused(reason, offset=len(header())):
        read(at)


def test_a_frame_larger_than_any_is_refused(at: Path) -> None:
    store(at, header() + b"\x10\0\0\1" + bytes(40))

    with refused(Damage.SEGMENT, offset=len(header())):
        read(at)


@pytest.mark.parametrize(
    "start",
    [header(magic=b"FBAX"), header(version=2), b"FBAT\xff\xff\xff\xff", b"FBA", b"", framed(b"x")],
)
def test_another_beginning_of_a_segment_is_refused(start: bytes, at: Path) -> None:
    store(at, start)

    with refused(Damage.SEGMENT):
        read(at)


@pytest.mark.parametrize("name", ["compaction.pending.json", "000001.compact-src"])
def test_an_unfinished_compaction_is_refused(name: str, at: Path) -> None:
    store(at, header() + frames(event(1)))
    (at / name).write_bytes(b"{}")

    with refused(Damage.LAYOUT, name):
        read(at)


def test_later_formats_are_told_apart_from_damage(at: Path) -> None:
    data = header() + frames(event(1))
    later: list[dict[str, bytes]] = [
        {"visibility_ranges_fbv": ranges((1, 2), version=2)},
        {"keyset_fbatk": b"?"},
    ]
    for number, files in enumerate(later):
        with pytest.raises(FutureVersion):
            read(store(at.with_name(f"r{number}"), data, **files))
    with pytest.raises(FutureVersion, match="footer"):
        read(store(at, data + footer(len(data), [(1, 0)], b"SDX3")))
