"""A scan says where it stopped and why, and looks behind for evidence in bounded time.

Would slip through without it: one reason taken for another (which decides between "torn" and
"refuse"), a search that never ends on hostile bytes.
"""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from batpak import codec
from batpak.faults import Damage
from batpak.journal import frame, header, scan
from batpak.journal.chain import Chain
from batpak.journal.frame import Fault, Frame, Why
from batpak.journal.scan import RestKind, Scan
from batpak.record import MARK, Parts, decode_parts

FIXTURE: Final = Path(__file__).parents[2] / "fixtures" / "format-v2"
DATA: Final = (FIXTURE / "000001.fbat").read_bytes()
HEADER, START = header.decode(DATA, "000001.fbat")
SEED: Final = frame.seed(HEADER)
OFFSETS: Final = [151, 347, 567, 763, 959]


def walk(data: bytes) -> tuple[Scan, list[int]]:
    chain = Chain(HEADER.store_id, hashed=True)
    scanned = Scan(data, START, len(data), SEED, chain, mark=567)
    return scanned, [placed.sequence for unit in scanned for placed in unit]


def parts_at(offset: int) -> Parts:
    body = frame.body_at(DATA, offset, len(DATA), offset, SEED)
    assert isinstance(body, bytes)
    return decode_parts(body)


def framed(parts: Parts, offset: int) -> bytes:
    return frame.encode(codec.encode(parts), offset, SEED)


def test_a_whole_file_is_three_units_and_its_mark_is_passed() -> None:
    scanned, found = walk(DATA)

    assert found == [0, 1, 2, 3]
    assert scanned.stop == (959, Why.END)
    assert scanned.passed == (2, parts_at(347).head[126:158])


@pytest.mark.parametrize(
    ("mark", "passed"), [(151, (0, bytes(32))), (None, None), (152, None), (763, None)]
)
def test_a_mark_is_passed_only_where_a_unit_ends(
    mark: int | None, passed: tuple[int, bytes] | None
) -> None:
    """763 is inside a batch."""
    scanned = Scan(DATA, START, len(DATA), SEED, Chain(HEADER.store_id, hashed=True), mark=mark)

    assert (scanned.stop, scanned.unit, scanned.open_unit) == ((151, Why.END), 151, [])
    assert sum(map(len, scanned)) == 4
    assert scanned.passed == passed
    assert (scanned.unit, scanned.sequence) == (959, 4)
    assert scanned.chain_head == parts_at(763).head[126:158]


@pytest.mark.parametrize(
    ("end", "goes_on"), [(151, True), (567, True), (763, True), (762, False), (959, False)]
)
def test_a_scan_reads_nothing_behind_the_end_it_was_given(end: int, goes_on: bool) -> None:
    scanned = Scan(DATA, START, end, SEED, Chain(HEADER.store_id, hashed=True))
    found = [placed.sequence for unit in scanned for placed in unit]

    assert found == ([0, 1, 2, 3] if end == 959 else [0, 1] if end > 151 else [])
    assert scanned.stop.offset == (567 if end == 762 else end)
    assert scanned.goes_on() == goes_on


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (b"", Why.END),
        (b"\x00", Why.SHORT_HEADER),
        (bytes(8), Why.ZERO),
        (b"\x00\x00\x00\x01" + bytes(4), Why.SHORT_BODY),
        (b"\x00\x00\x00\x01" + bytes(5), Why.CRC),
        (b"\xff" * 8, Why.LENGTH),
        (DATA[151:347], Why.CRC),
    ],
)
def test_each_reason_to_stop_is_told_apart(tail: bytes, why: Why) -> None:
    scanned, found = walk(DATA + tail)

    assert found == [0, 1, 2, 3]
    assert scanned.stop == (959, why)


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (763, Why.OPEN_UNIT),
        (764, Why.SHORT_HEADER),
        (900, Why.SHORT_BODY),
        (958, Why.SHORT_BODY),
    ],
)
def test_a_batch_is_whole_or_absent(cut: int, why: Why) -> None:
    scanned, found = walk(DATA[:cut])

    assert found == [0, 1]
    assert scanned.unit == 567
    assert scanned.stop == (763, why)
    assert [placed.sequence for placed in scanned.open_unit] == [2]


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"", Why.ZERO), (b"x", Damage.FRAME), (bytes(frame.BODY_BYTES_MAX), Damage.FRAME)],
    ids=["no byte", "one byte", "as many as a frame can have"],
)
def test_a_right_checksum_makes_a_frame_of_any_length_but_zero(
    body: bytes, why: Why | Damage
) -> None:
    scanned, found = walk(DATA + frame.encode(body, 959, SEED))

    assert found == [0, 1, 2, 3]
    said = scanned.stop.why
    assert (said.reason if isinstance(said, Fault) else said) is why


def test_a_right_checksum_does_not_make_a_frame_that_is_too_long() -> None:
    scanned, found = walk(DATA + frame.encode(bytes(frame.BODY_BYTES_MAX + 1), 959, SEED))

    assert found == [0, 1, 2, 3]
    assert scanned.stop == (959, Why.LENGTH)


def head_with(parts: Parts, at: int, value: bytes) -> Parts:
    return replace(parts, head=parts.head[:at] + value + parts.head[at + len(value) :])


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (head_with(parts_at(567), 30, b"\x00" * 7 + b"\x05"), Damage.ORDER),
        (head_with(parts_at(567), 18, b"\x00" * 8), Damage.ORDER),
        (head_with(parts_at(567), 46, b"\x00" * 8), Damage.ORDER),
        (head_with(parts_at(567), 158, b"\x00" * 7 + b"\x03"), Damage.ORDER),
        (head_with(parts_at(567), 158, b"\x00" * 8), Damage.ORDER),
        (head_with(parts_at(567), 10, b"\x00\x00\x00\x01"), Damage.BATCH),
        (head_with(parts_at(567), 14, b"\x00\x00\x00\x00"), Damage.BATCH),
        (head_with(parts_at(567), 126, b"\x00"), Damage.CHAIN),
        (head_with(parts_at(567), 0, b"\x09"), Damage.FRAME),
        (head_with(parts_at(567), 4, b"\x00\x00"), Damage.FRAME),
        (replace(parts_at(567), entity=""), Damage.CHAIN),
        (replace(parts_at(567), opt=(None, None)), Damage.FRAME),
        (replace(parts_at(567), opt=(b"", None)), Damage.FRAME),
        (replace(parts_at(567), opt=(None, ())), Damage.FRAME),
        (replace(parts_at(567), opt=(None, (("b.x", b""), ("a.x", b"")))), Damage.FRAME),
        (replace(parts_at(567), head=b"short"), Damage.FRAME),
    ],
)
def test_a_right_checksum_over_wrong_content_is_a_fault(parts: Parts, reason: Damage) -> None:
    forged = DATA[:567] + framed(parts, 567) + DATA[763:]

    scanned, found = walk(forged)

    assert found == [0, 1]
    assert scanned.stop.offset == 567
    assert isinstance(scanned.stop.why, Fault)
    assert scanned.stop.why.reason is reason


def test_another_spelling_of_the_same_frame_is_a_fault() -> None:
    body = frame.body_at(DATA, 567, len(DATA), 567, SEED)
    assert isinstance(body, bytes)
    longer = body.replace(b"\xa4acme", b"\xd9\x04acme")

    assert isinstance(frame.decode(body), Frame)
    assert isinstance(frame.decode(longer), Fault)
    assert isinstance(frame.decode(b"\xdc\x00\x05" + body[1:]), Fault)
    assert isinstance(frame.decode(body + b"\xc0"), Fault)


def test_a_stub_stops_a_scan_where_no_compaction_has_written() -> None:
    vectors = json.loads((FIXTURE / "vectors.json").read_text())
    stub = bytes.fromhex(vectors["stub_of_sequence_1"])

    found = walk(DATA[:347] + stub)[0].stop

    assert found.offset == 347
    assert isinstance(found.why, Fault)
    assert found.why.reason is Damage.FRAME


def rest(tail: bytes, sequence: int = 4) -> scan.Rest:
    data = DATA + tail
    return scan.rest_of(data, 959, len(data), SEED, sequence)


def later(sequence: int, at: int, stamp: int, payload: bytes | None = None) -> bytes:
    parts = head_with(parts_at(151), 30, sequence.to_bytes(8, "big"))
    parts = head_with(parts, 158, stamp.to_bytes(8, "big"))
    return framed(replace(parts, payload=payload or parts.payload), at)


NOTHING: Final = scan.Rest(RestKind.EMPTY, None, 0)
JUNK: Final = scan.Rest(RestKind.JUNK, None, 0)


def test_what_lies_behind_a_stop_is_told_apart() -> None:
    hole = bytes(200)

    assert rest(b"") == NOTHING
    assert rest(hole) == NOTHING
    assert rest(hole + b"x") == JUNK
    assert rest(hole + later(5, 959 + 200, 3)) == (RestKind.FRAMES, 1159, 3)
    assert rest(hole + later(5, 959 + 200, 0)) == (RestKind.FRAMES, 1159, 0)
    assert rest(hole + later(5, 959 + 201, 3)) == JUNK  # at another place
    assert rest(hole + later(4, 959 + 200, 3)) == JUNK  # not a later one
    assert rest(hole + later(3, 959 + 200, 3)) == JUNK


def test_a_later_frame_begins_behind_the_stop_if_only_by_one_byte() -> None:
    assert rest(later(5, 959, 3)) == JUNK  # it is what was not understood
    assert rest(b"x" + later(5, 960, 3)) == (RestKind.FRAMES, 960, 3)


def test_a_later_frame_has_a_sequence_for_which_there_was_room() -> None:
    """The smallest frame has 184 bytes, so as many events are between the stop and the end."""
    room = 184 * 5

    for size in (room - 1, room, room + 1):
        highest = 4 + size // 184
        at = 959 + size - len(later(5, 0, 3))
        hole = bytes(at - 959)
        assert rest(hole + later(highest, at, 3)) == (RestKind.FRAMES, at, 3)
        assert rest(hole + later(highest + 1, at, 3)) == JUNK


def test_the_first_frame_behind_a_stop_and_the_largest_stamp_count() -> None:
    first = later(5, 959 + 200, 5)
    second = later(6, 959 + 200 + len(first), 2)

    assert rest(bytes(200) + first + second) == (RestKind.FRAMES, 1159, 5)

    first = later(5, 959 + 200, 2)
    second = later(6, 959 + 200 + len(first), 5)

    assert rest(bytes(200) + first + second) == (RestKind.FRAMES, 1159, 5)


def test_a_frame_inside_the_payload_of_a_later_one_says_nothing() -> None:
    inner_at = 1159 + len(later(5, 1159, 2)) - len(parts_at(151).payload)
    outer = later(5, 1159, 2, payload=later(6, inner_at, 6))
    alone = bytes(inner_at - 959) + later(6, inner_at, 6)

    assert rest(alone) == (RestKind.FRAMES, inner_at, 6)
    assert rest(bytes(200) + outer) == (RestKind.FRAMES, 1159, 2)


def decoy(length: int) -> bytes:
    """What looks like a frame of that length until its checksum is computed."""
    return length.to_bytes(4, "big") + bytes(4) + MARK + bytes(30) + (5).to_bytes(8, "big")


def test_a_search_over_hostile_bytes_gives_up() -> None:
    data = DATA + decoy(1 << 16) * 4000

    assert list(scan.later_frames(data, 959, len(data), SEED, 4)) == [None]
    assert scan.rest_of(data, 959, len(data), SEED, 4) == (RestKind.UNSEARCHED, None, 0)


def test_what_was_found_before_a_search_gave_up_is_said() -> None:
    first = later(5, 1159, 3)

    found = rest(bytes(200) + first + decoy(1 << 16) * 4000)

    assert found == (RestKind.UNSEARCHED, 1159, 3)


@pytest.mark.parametrize(("more", "kind"), [(0, RestKind.JUNK), (1, RestKind.UNSEARCHED)])
def test_a_search_takes_checksums_of_eight_times_what_it_searches(
    more: int, kind: RestKind
) -> None:
    size = 4096
    decoys = b"x" + decoy(3000) * 10 + decoy(8 * size - 10 * 3000 + more)
    data = DATA + decoys + b"\xff" * (size - len(decoys))

    found = list(scan.later_frames(data, 959, len(data), SEED, 4))

    assert found == ([] if kind is RestKind.JUNK else [None])
    assert scan.rest_of(data, 959, len(data), SEED, 4).kind is kind


def test_a_length_that_reaches_beyond_the_end_costs_nothing() -> None:
    size = 4096
    decoys = decoy(size + 1) * 70

    assert rest(decoys + b"\xff" * (size - len(decoys))) == JUNK


@pytest.mark.parametrize("cut", range(1, 50))
def test_what_might_be_a_frame_is_cut_anywhere(cut: int) -> None:
    assert rest(b"x" * 200 + decoy(5)[:-cut]) == JUNK


@pytest.mark.parametrize(
    ("start", "end", "content"),
    [(0, None, 3), (0, 2, 1), (0, 1, 1), (1, 2, 1), (1, None, 3), (3, None, 3), (5, 4, 5)],
)
def test_content_ends_behind_the_last_byte_that_is_not_zero(
    start: int, end: int | None, content: int
) -> None:
    assert scan.content_end(b"\x01\x00\x02\x00\x00", start, end) == content


@pytest.mark.parametrize("junk", [*range(scan.PIECE_BYTES - 12, scan.PIECE_BYTES + 4), 20_000])
def test_a_later_frame_is_found_wherever_the_pieces_of_the_search_begin(junk: int) -> None:
    at = 763 + junk
    later = replace(parts_at(763), head=parts_at(763).head)
    data = DATA[:763] + b"\xff" * junk + framed(later, at)

    found = scan.rest_of(data, 763, len(data), SEED, 2)

    assert (found.kind, found.frame_at) == (RestKind.FRAMES, at)


@pytest.mark.parametrize("fill", [b"\x00", b"\xff"])
def test_a_search_takes_no_memory_for_what_it_searches(fill: bytes) -> None:
    data = memoryview(DATA + fill * (8 << 20))
    tracemalloc.start()
    try:
        found = scan.rest_of(data, 959, len(data), SEED, 4)
        end = scan.content_end(data, 959)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found.kind is (RestKind.EMPTY if fill == b"\x00" else RestKind.JUNK)
    assert end == (959 if fill == b"\x00" else len(data))
    assert peak < 1 << 20
