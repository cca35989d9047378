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
from batpak.errors import FutureVersion
from batpak.faults import Damage
from batpak.journal import frame, header, scan
from batpak.journal.chain import Chain
from batpak.journal.frame import Fault, Frame, Why
from batpak.journal.scan import RestKind, Scan
from batpak.record import Parts, decode_parts

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
    assert scanned.passed is not None
    assert scanned.passed[0] == 2


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


@pytest.mark.parametrize("cut", [763, 764, 900, 958])
def test_a_batch_is_whole_or_absent(cut: int) -> None:
    scanned, found = walk(DATA[:cut])

    assert found == [0, 1]
    assert scanned.unit == 567
    assert scanned.stop.offset == 763
    assert [placed.sequence for placed in scanned.open_unit] == [2]


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


def test_a_stub_of_a_later_release_is_a_future_version_and_no_damage() -> None:
    vectors = json.loads((FIXTURE / "vectors.json").read_text())
    stub = bytes.fromhex(vectors["stub_of_sequence_1"])

    with pytest.raises(FutureVersion):
        walk(DATA[:347] + stub)


def rest(tail: bytes, sequence: int = 4) -> scan.Rest:
    data = DATA + tail
    return scan.rest_of(data, 959, len(data), SEED, sequence)


def later(sequence: int, at: int, stamp: int) -> bytes:
    parts = head_with(parts_at(151), 30, sequence.to_bytes(8, "big"))
    return framed(head_with(parts, 158, stamp.to_bytes(8, "big")), at)


def test_what_lies_behind_a_stop_is_told_apart() -> None:
    hole = bytes(200)

    assert rest(b"").kind is RestKind.EMPTY
    assert rest(hole).kind is RestKind.EMPTY
    assert rest(hole + b"x").kind is RestKind.JUNK
    assert rest(hole + later(5, 959 + 200, 3)) == (RestKind.FRAMES, 1159, 3)
    assert rest(hole + later(5, 959 + 201, 3)).kind is RestKind.JUNK  # at another place
    assert rest(hole + later(4, 959 + 200, 3)).kind is RestKind.JUNK  # not a later one
    assert rest(hole + later(900, 959 + 200, 3)).kind is RestKind.JUNK  # no room for so many


def test_the_largest_stamp_behind_a_stop_counts() -> None:
    first = later(5, 959 + 200, 2)
    second = later(6, 959 + 200 + len(first), 5)

    assert rest(bytes(200) + first + second) == (RestKind.FRAMES, 1159, 5)


def test_a_search_over_hostile_bytes_gives_up() -> None:
    decoy = (1 << 16).to_bytes(4, "big") + bytes(4) + b"\x95\xc4\xa6" + bytes(30)
    decoy += (5).to_bytes(8, "big")

    assert rest(decoy * 4000).kind is RestKind.UNSEARCHED


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
