"""Every row of the recovery table, one fact changed at a time.

Without these a verdict could turn from "refuse" to "torn" (durable events silently dropped) or the
other way (a store that does not open after an honest crash).
"""

from __future__ import annotations

import pytest

from batpak.digest import ZERO_HASH
from batpak.faults import Damage
from batpak.journal import head, layout
from batpak.journal.frame import Fault, Why
from batpak.journal.head import Head
from batpak.journal.header import Header, Link
from batpak.journal.scan import Rest, RestKind, Stop
from batpak.recovery import decide
from batpak.recovery.decide import Facts, Found, Open, Recorded, Refuse, TornAt

HASH = b"h" * 32
EMPTY = Rest(RestKind.EMPTY, None, 0)


def newest(stop: Stop, rest: Rest, *, unit: int = 500, holds: bool = True) -> Facts:
    return Facts("000001.fbat", None, unit, 7, HASH, stop, rest, 151, holds)


def ended(stop: Stop, *, unit: int = 500, sequence: int = 7, chain_head: bytes = HASH) -> Facts:
    recorded = Recorded(500, HASH, 7)
    return Facts("000001.fbat", recorded, unit, sequence, chain_head, stop, None, None, False)


@pytest.mark.parametrize("why", [Why.END, Why.ZERO, Why.SHORT_HEADER])
def test_nothing_but_zeros_behind_a_whole_unit_is_open(why: Why) -> None:
    assert decide.frames(newest(Stop(500, why), EMPTY)) == Open()


def test_an_unfinished_unit_is_torn_where_it_begins() -> None:
    assert decide.frames(newest(Stop(700, Why.OPEN_UNIT), EMPTY)) == TornAt(500)


@pytest.mark.parametrize("why", [Why.CRC, Why.LENGTH, Why.SHORT_BODY, Why.ZERO])
def test_junk_behind_the_last_unit_is_torn(why: Why) -> None:
    rest = Rest(RestKind.JUNK, None, 0)

    assert decide.frames(newest(Stop(500, why), rest)) == TornAt(500)


def test_later_frames_that_were_not_durable_either_are_torn() -> None:
    rest = Rest(RestKind.FRAMES, 900, 7)

    assert decide.frames(newest(Stop(500, Why.CRC), rest)) == TornAt(500)


def test_a_later_frame_that_says_what_was_durable_refuses() -> None:
    rest = Rest(RestKind.FRAMES, 900, 8)

    verdict = decide.frames(newest(Stop(500, Why.CRC), rest))

    assert isinstance(verdict, Refuse)
    assert (verdict.offset, verdict.reason) == (500, Damage.CRC)
    assert "900" in verdict.detail


def test_too_much_to_search_refuses() -> None:
    verdict = decide.frames(newest(Stop(500, Why.CRC), Rest(RestKind.UNSEARCHED, None, 0)))

    assert isinstance(verdict, Refuse)


@pytest.mark.parametrize("unit", [151, 500])
def test_a_log_that_misses_what_head_records_refuses(unit: int) -> None:
    verdict = decide.frames(newest(Stop(500, Why.END), EMPTY, unit=unit, holds=False))

    assert isinstance(verdict, Refuse)
    assert verdict.reason is Damage.HEAD


@pytest.mark.parametrize("reason", [Damage.ORDER, Damage.CHAIN, Damage.BATCH, Damage.FRAME])
def test_a_right_checksum_at_a_wrong_place_refuses(reason: Damage) -> None:
    verdict = decide.frames(newest(Stop(500, Fault(reason, "why")), EMPTY))

    assert verdict == Refuse("000001.fbat", 500, reason, "why")


def test_a_recorded_end_that_is_reached_is_open() -> None:
    assert decide.frames(ended(Stop(500, Why.END))) == Open()


def test_a_recorded_end_that_is_not_reached_refuses_where_it_stops() -> None:
    verdict = decide.frames(ended(Stop(300, Why.CRC), unit=300))

    assert isinstance(verdict, Refuse)
    assert (verdict.offset, verdict.reason) == (300, Damage.CRC)


@pytest.mark.parametrize(("sequence", "chain_head"), [(6, HASH), (7, ZERO_HASH)])
def test_a_recorded_end_with_another_last_event_refuses(sequence: int, chain_head: bytes) -> None:
    verdict = decide.frames(ended(Stop(500, Why.END), sequence=sequence, chain_head=chain_head))

    assert isinstance(verdict, Refuse)
    assert verdict.reason is Damage.CHAIN


def names(*numbers: int, has_head: bool) -> layout.Listing:
    return layout.Listing(dict.fromkeys(numbers, 200), has_head, True, (), ())


@pytest.mark.parametrize(
    ("listing", "is_alone", "verdict"),
    [
        (names(has_head=False), False, Found.NOTHING),
        (names(1, has_head=False), True, Found.UNFINISHED),
        (names(1, has_head=True), False, Found.STORE),
        (names(1, 2, 3, has_head=True), False, Found.STORE),
    ],
)
def test_names_that_a_store_can_have(
    listing: layout.Listing, is_alone: bool, verdict: Found
) -> None:
    assert decide.names(listing, is_alone) is verdict


@pytest.mark.parametrize(
    ("listing", "file"),
    [
        (names(1, has_head=False), "HEAD"),
        (names(1, 2, has_head=False), "HEAD"),
        (names(has_head=True), "000001.fbat"),
        (names(2, has_head=True), "000001.fbat"),
        (names(1, 3, has_head=True), "000002.fbat"),
    ],
)
def test_a_missing_name_refuses_and_is_named(listing: layout.Listing, file: str) -> None:
    verdict = decide.names(listing, is_alone=False)

    assert isinstance(verdict, Refuse)
    assert verdict.file == file


def a_header(number: int, prev: Link | None, store_id: bytes = b"s" * 16) -> Header:
    return Header(
        version=2,
        store_id=store_id,
        segment_id=number,
        created_ns=0,
        first_sequence=0 if number == 1 else 7,
        salt=b"s" * 8,
        prev=prev,
        replaces=None,
        sealed=None,
        epoch=0,
        origin=None,
    )


def test_headers_that_follow_each_other_fit() -> None:
    first, second = a_header(1, None), a_header(2, Link(1, 500, HASH))

    assert decide.link(first, 1, None) is None
    assert decide.link(second, 2, first) is None


@pytest.mark.parametrize(
    ("header", "number", "before"),
    [
        (a_header(1, None), 2, a_header(1, None)),
        (a_header(2, None), 2, a_header(1, None)),
        (a_header(2, Link(3, 500, HASH)), 2, a_header(1, None)),
        (a_header(2, Link(1, 500, HASH), b"o" * 16), 2, a_header(1, None)),
        (a_header(1, Link(1, 500, HASH)), 1, None),
    ],
    ids=["number", "no link", "other link", "other store", "first with link"],
)
def test_headers_that_do_not_fit_refuse(header: Header, number: int, before: Header | None) -> None:
    assert decide.link(header, number, before) is not None


@pytest.mark.parametrize(
    ("state", "segment", "newest_number", "fits"),
    [
        (head.OPEN, 3, 3, True),
        (head.OPEN, 2, 3, True),
        (head.OPEN, 1, 3, False),
        (head.OPEN, 4, 3, False),
        (head.CLEAN, 3, 3, True),
        (head.CLEAN, 2, 3, False),
    ],
)
def test_head_names_the_newest_file_or_is_one_behind_while_open(
    state: int, segment: int, newest_number: int, fits: bool
) -> None:
    written = Head(b"s" * 16, state, segment, 151, 0, ZERO_HASH, 0)

    verdict = decide.head_place(written, a_header(1, None), newest_number)

    assert (verdict is None) == fits


def test_a_head_of_another_store_refuses() -> None:
    written = Head(b"o" * 16, head.OPEN, 1, 151, 0, ZERO_HASH, 0)

    assert decide.head_place(written, a_header(1, None), 1) is not None
