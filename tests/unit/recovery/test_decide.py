"""Every row of the recovery table, one fact changed at a time.

Without these a verdict could turn from "refuse" to "torn" (durable events silently dropped) or the
other way (a store that does not open after an honest crash).
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from batpak.digest import ZERO_HASH
from batpak.faults import Damage
from batpak.journal import head, layout
from batpak.journal.chain import Chain
from batpak.journal.frame import Fault, Why
from batpak.journal.head import Head
from batpak.journal.header import Ending, Ends, Header, Link
from batpak.journal.scan import Rest, RestKind, Scan, Stop
from batpak.recovery import decide
from batpak.recovery.decide import Facts, Found, Open, Recorded, Refuse, TornAt
from tests.unit.journal.logs import STORE_ID, Item, log_of

HASH = b"h" * 32
LOWER, HIGHER = b"g" * 32, b"i" * 32
EMPTY = Rest(RestKind.EMPTY, None, 0)


def said(verdict: object) -> tuple[str, int, Damage] | None:
    """What a verdict says without words: None, or where the damage is and of which kind."""
    if verdict is None:
        return None
    assert isinstance(verdict, Refuse)
    assert verdict.detail
    return verdict.file, verdict.offset, verdict.reason


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

    verdict = decide.frames(newest(Stop(510, Why.CRC), rest))

    assert said(verdict) == ("000001.fbat", 510, Damage.CRC)
    assert isinstance(verdict, Refuse)
    assert "900" in verdict.detail


def test_too_much_to_search_refuses() -> None:
    verdict = decide.frames(newest(Stop(510, Why.CRC), Rest(RestKind.UNSEARCHED, None, 0)))

    assert said(verdict) == ("000001.fbat", 510, Damage.CRC)


@pytest.mark.parametrize(("unit", "at"), [(150, 510), (151, 151), (500, 151)])
def test_a_log_that_misses_what_head_records_refuses(unit: int, at: int) -> None:
    """Where it ends, if that is too early; else where HEAD says that it passes."""
    verdict = decide.frames(newest(Stop(510, Why.END), EMPTY, unit=unit, holds=False))

    assert said(verdict) == ("000001.fbat", at, Damage.HEAD)


def test_a_closed_log_that_misses_what_head_records_refuses() -> None:
    facts = ended(Stop(500, Why.END))._replace(bound=151)

    assert said(decide.frames(facts)) == ("000001.fbat", 151, Damage.HEAD)


def test_a_file_that_was_not_searched_behind_its_end_is_open_or_torn() -> None:
    facts = newest(Stop(500, Why.END), EMPTY)._replace(rest=None)

    assert decide.frames(facts) == Open()
    assert decide.frames(facts._replace(unit=400)) == TornAt(400)


@pytest.mark.parametrize("reason", [Damage.ORDER, Damage.CHAIN, Damage.BATCH, Damage.FRAME])
def test_a_right_checksum_at_a_wrong_place_refuses(reason: Damage) -> None:
    verdict = decide.frames(newest(Stop(500, Fault(reason, "why")), EMPTY))

    assert verdict == Refuse("000001.fbat", 500, reason, "why")


@pytest.mark.parametrize("rest", [None, Rest(RestKind.JUNK, None, 0)])
def test_a_recorded_end_that_is_reached_is_open_whatever_is_behind(rest: Rest | None) -> None:
    assert decide.frames(ended(Stop(500, Why.END))._replace(rest=rest)) == Open()


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        (Why.CRC, Damage.CRC),
        (Why.LENGTH, Damage.CRC),
        (Why.ZERO, Damage.CRC),
        (Why.END, Damage.SEGMENT),
        (Why.SHORT_BODY, Damage.SEGMENT),
        (Why.OPEN_UNIT, Damage.SEGMENT),
    ],
)
@pytest.mark.parametrize("unit", [499, 501])
def test_a_recorded_end_that_is_not_reached_refuses_where_it_stops(
    unit: int, why: Why, reason: Damage
) -> None:
    verdict = decide.frames(ended(Stop(300, why), unit=unit))

    assert said(verdict) == ("000001.fbat", 300, reason)


@pytest.mark.parametrize(
    ("sequence", "chain_head"), [(6, HASH), (8, HASH), (7, LOWER), (7, HIGHER), (7, ZERO_HASH)]
)
def test_a_recorded_end_with_another_last_event_refuses(sequence: int, chain_head: bytes) -> None:
    verdict = decide.frames(ended(Stop(510, Why.END), sequence=sequence, chain_head=chain_head))

    assert said(verdict) == ("000001.fbat", 500, Damage.CHAIN)


def test_a_frame_right_behind_a_recorded_end_refuses() -> None:
    facts = ended(Stop(510, Why.END))._replace(goes_on=True)

    assert said(decide.frames(facts)) == ("000001.fbat", 500, Damage.HEAD)


def written(
    segment: int = 2, end: int = 500, sequence: int = 9, chain: bytes = HASH, state: int = head.OPEN
) -> Head:
    return Head(b"s" * 16, state, segment, end, sequence, chain, 0)


def test_a_file_ends_where_the_next_one_says() -> None:
    current, after = a_header(2, None), a_header(3, Link(2, 400, LOWER))

    assert decide.recorded(current, after, None) == Recorded(400, LOWER, 7)
    assert decide.recorded(current, after, written(state=head.CLEAN)) == Recorded(400, LOWER, 7)
    assert decide.recorded(current, a_header(3, None), written(state=head.CLEAN)) is None


def test_the_newest_file_ends_where_a_head_that_says_closed_names_it() -> None:
    found = decide.recorded(a_header(2, None), None, written(state=head.CLEAN))

    assert found == Recorded(500, HASH, 9)
    assert decide.recorded(a_header(1, None), None, written(state=head.CLEAN)) is None
    assert decide.recorded(a_header(3, None), None, written(state=head.CLEAN)) is None
    assert decide.recorded(a_header(2, None), None, written(state=head.OPEN)) is None
    assert decide.recorded(a_header(2, None), None, None) is None


def test_head_is_a_lower_bound_of_the_file_that_it_names() -> None:
    assert decide.bound(written(), 2) == 500
    assert decide.bound(written(), 1) is None
    assert decide.bound(written(), 3) is None
    assert decide.bound(None, 2) is None


@pytest.mark.parametrize(
    ("size", "recorded", "verdict"),
    [
        (500, Recorded(500, HASH, 9), None),
        (501, Recorded(500, HASH, 9), None),
        (499, Recorded(500, HASH, 9), (499, Damage.SEGMENT)),
        (500, Recorded(151, HASH, 7), None),
        (500, Recorded(150, HASH, 7), (500, Damage.SEGMENT)),
        (500, Recorded(500, HASH, 6), (0, Damage.LAYOUT)),
    ],
)
def test_a_recorded_end_has_to_be_inside_its_file(
    size: int, recorded: Recorded, verdict: tuple[int, Damage] | None
) -> None:
    ends = Ends(a_header(2, Link(1, 300, HASH)), 151, size, b"")

    found = decide.sealed(ends, recorded, written(segment=3))

    assert said(found) == (("000002.fbat", *verdict) if verdict else None)


@pytest.mark.parametrize(
    ("state", "at"),
    [
        (written(), None),
        (written(state=head.CLEAN), None),
        (written(end=400, sequence=8, chain=LOWER), None),
        (written(end=400, sequence=8, state=head.CLEAN), 400),
        (written(end=501), 500),
        (written(end=501, sequence=8), 500),
        (written(end=501, state=head.CLEAN), 500),
        (written(sequence=8), 500),
        (written(sequence=10), 500),
        (written(chain=LOWER), 500),
        (written(chain=HIGHER), 500),
        (written(end=501, segment=1), None),
        (written(end=501, segment=3), None),
        (written(chain=LOWER, segment=1, state=head.CLEAN), None),
        (written(chain=LOWER, segment=3, state=head.CLEAN), None),
    ],
)
def test_head_and_the_next_file_have_to_agree_on_a_file_that_is_complete(
    state: Head, at: int | None
) -> None:
    ends = Ends(a_header(2, Link(1, 300, HASH)), 151, 600, b"")

    verdict = decide.sealed(ends, Recorded(500, HASH, 9), state)

    assert said(verdict) == (None if at is None else ("000002.fbat", at, Damage.HEAD))


LOG = log_of([Item()] * 4)


def walked(end: int, mark: int | None = None) -> Scan:
    chain = Chain(STORE_ID, hashed=True)
    walk = Scan(bytes(LOG.data), LOG.start, end, LOG.seed, chain, mark=mark)
    units = list(walk)
    assert units
    return walk


def hash_before(index: int) -> bytes:
    return LOG.bodies[index - 1][129:161]


def test_facts_are_what_the_scan_says() -> None:
    walk = walked(LOG.offsets[3])
    rest = Rest(RestKind.JUNK, None, 3)

    facts = decide.facts("file", walk, walk.stop, rest, None, None)

    stop = Stop(LOG.offsets[3], Why.END)
    assert facts == Facts("file", None, stop.offset, 3, hash_before(3), stop, rest, None, False)


@pytest.mark.parametrize(
    ("sequence", "change", "holds"),
    [(2, 0, True), (1, 0, False), (3, 0, False), (2, 1, False), (2, -1, False)],
)
def test_the_log_passes_head_with_its_sequence_and_its_hash(
    sequence: int, change: int, holds: bool
) -> None:
    walk = walked(LOG.end, LOG.offsets[2])
    said_there = (int.from_bytes(hash_before(2), "big") + change).to_bytes(32, "big")
    state = written(end=LOG.offsets[2], sequence=sequence, chain=said_there)

    facts = decide.facts("file", walk, walk.stop, None, None, state)

    assert (facts.bound, facts.bound_holds) == (LOG.offsets[2], holds)


@pytest.mark.parametrize("frames_end", [0, 1, 2])
def test_a_log_goes_on_if_a_frame_begins_where_it_is_recorded_to_end(frames_end: int) -> None:
    walk = walked(LOG.offsets[2])
    recorded = Recorded(LOG.offsets[frames_end + 1], HASH, 2)

    facts = decide.facts("file", walk, walk.stop, None, recorded, None)

    assert facts.recorded == recorded
    assert facts.goes_on == (frames_end == 1)


def test_a_log_does_not_go_on_behind_its_last_frame() -> None:
    walk = walked(LOG.end)

    facts = decide.facts("file", walk, walk.stop, None, Recorded(LOG.end, HASH, 4), None)

    assert facts.goes_on is False


def names(*numbers: int, has_head: bool) -> layout.Listing:
    return layout.Listing(dict.fromkeys(numbers, 200), has_head, True, False, (), ())


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
    ("listing", "file", "reason"),
    [
        (names(1, has_head=False), "HEAD", Damage.HEAD),
        (names(1, 2, has_head=False), "HEAD", Damage.HEAD),
        (names(has_head=True), "000001.fbat", Damage.LAYOUT),
        (names(2, has_head=True), "000001.fbat", Damage.LAYOUT),
    ],
)
def test_a_missing_name_refuses_and_is_named(
    listing: layout.Listing, file: str, reason: Damage
) -> None:
    assert said(decide.names(listing, is_alone=False)) == (file, 0, reason)


BEHIND = ("HEAD", 0, Damage.HEAD)


def a_header(
    number: int, prev: Link | None, store_id: bytes = b"s" * 16, first: int | None = None
) -> Header:
    return Header(
        version=2,
        store_id=store_id,
        segment_id=number,
        created_ns=0,
        first_sequence=(0 if number == 1 else 7) if first is None else first,
        salt=b"s" * 8,
        prev=prev,
        replaces=None,
        sealed=None,
        epoch=0,
        origin=None,
    )


def rewritten() -> Header:
    """Segment 1, as compaction has made it of 1 to 3."""
    ends = [Link(1, 300, LOWER), Link(2, 400, LOWER), Link(3, 500, HASH)]
    sealed = Ending(900, 7, HASH)
    return replace(a_header(1, None), replaces=ends, sealed=sealed)


def test_a_rewritten_file_says_itself_where_it_ends() -> None:
    after = a_header(4, Link(3, 500, HASH))

    assert decide.recorded(rewritten(), after, None) == Recorded(900, HASH, 7)
    assert decide.recorded(rewritten(), None, written(state=head.CLEAN)) == Recorded(900, HASH, 7)


def test_a_file_that_another_one_stands_for_is_a_leftover() -> None:
    found = [number for number in range(1, 6) if decide.is_leftover(number, rewritten())]

    assert found == [1, 2, 3]
    assert not decide.is_leftover(1, None)
    assert not decide.is_leftover(2, a_header(1, None))
    assert decide.link(a_header(4, Link(3, 500, HASH)), 4, rewritten()) is None


def test_a_missing_number_refuses_and_is_named() -> None:
    after_a_gap = a_header(3, Link(1, 500, HASH))
    after_a_rewritten = a_header(5, Link(3, 500, HASH))

    assert said(decide.link(after_a_gap, 3, a_header(1, None))) == (
        "000002.fbat", 0, Damage.LAYOUT,
    )  # fmt: skip
    assert said(decide.link(after_a_rewritten, 5, rewritten())) == (
        "000004.fbat", 0, Damage.LAYOUT,
    )  # fmt: skip


@pytest.mark.parametrize(("segment", "verdict"), [(1, BEHIND), (3, BEHIND), (4, None)])
def test_a_head_that_names_a_file_which_was_rewritten_since_is_an_older_one(
    segment: int, verdict: tuple[str, int, Damage] | None
) -> None:
    headers = [rewritten(), a_header(4, Link(3, 500, HASH))]

    assert said(decide.head_age(written(segment=segment), headers)) == verdict


def test_headers_that_follow_each_other_fit() -> None:
    first, second = a_header(1, None), a_header(2, Link(1, 500, HASH))

    assert decide.link(first, 1, None) is None
    assert decide.link(second, 2, first) is None


@pytest.mark.parametrize(
    ("header", "number", "before"),
    [
        (a_header(1, Link(1, 500, HASH)), 2, a_header(1, None)),
        (a_header(3, Link(1, 500, HASH)), 2, a_header(1, None)),
        (a_header(2, None), 2, a_header(1, None)),
        (a_header(3, Link(3, 500, HASH)), 3, a_header(2, None)),
        (a_header(3, Link(1, 500, HASH)), 3, a_header(2, None)),
        (a_header(4, Link(3, 500, HASH), first=9), 4, rewritten()),
        (a_header(4, Link(3, 501, HASH)), 4, rewritten()),
        (a_header(4, Link(3, 500, LOWER)), 4, rewritten()),
        (a_header(4, Link(1, 500, HASH)), 4, rewritten()),
        (a_header(2, Link(1, 500, HASH), b"o" * 16), 2, a_header(1, None)),
        (a_header(2, Link(1, 500, HASH), b"t" * 16), 2, a_header(1, None)),
        (a_header(1, Link(1, 500, HASH)), 1, None),
        (a_header(1, None, first=1), 1, None),
    ],
    ids=[
        "lower number",
        "higher number",
        "no link",
        "link to a later one",
        "link to an earlier one",
        "another event than a rewritten file ends with",
        "another end than a rewritten file stands for",
        "another hash than a rewritten file stands for",
        "link to a file that was rewritten",
        "store of a lower id",
        "store of a higher id",
        "first with link",
        "first not from 0",
    ],
)
def test_headers_that_do_not_fit_refuse(header: Header, number: int, before: Header | None) -> None:
    assert said(decide.link(header, number, before)) == (f"{number:06d}.fbat", 0, Damage.LAYOUT)


def test_the_first_frame_of_a_log_continues_zeros_and_of_a_file_the_one_before() -> None:
    assert decide.before_any(a_header(1, None)) == ZERO_HASH
    assert decide.before_any(a_header(2, Link(1, 500, HASH))) == HASH


MISSING = ("000004.fbat", 0, Damage.LAYOUT)


@pytest.mark.parametrize(
    ("state", "segment", "is_empty", "verdict"),
    [
        (head.OPEN, 4, False, MISSING),
        (head.OPEN, 3, False, None),
        (head.OPEN, 2, False, None),
        (head.OPEN, 1, False, BEHIND),
        (head.CLEAN, 4, False, MISSING),
        (head.CLEAN, 3, False, None),
        (head.CLEAN, 2, False, BEHIND),
        (head.OPEN, 2, True, None),
        (head.OPEN, 1, True, BEHIND),
        (head.CLEAN, 2, True, None),
        (head.CLEAN, 1, True, BEHIND),
    ],
)
def test_head_names_the_newest_file_or_is_one_behind_while_that_begins(
    state: int, segment: int, is_empty: bool, verdict: tuple[str, int, Damage] | None
) -> None:
    found = decide.head_place(
        written(segment=segment, state=state), a_header(1, None), 3, is_empty=is_empty
    )

    assert said(found) == verdict


def test_only_a_caller_that_knows_it_calls_the_newest_file_empty() -> None:
    found = decide.head_place(written(state=head.CLEAN), a_header(1, None), 3)

    assert said(found) == BEHIND


@pytest.mark.parametrize("store_id", [b"r" * 16, b"t" * 16])
def test_a_head_of_another_store_refuses(store_id: bytes) -> None:
    found = decide.head_place(written(), a_header(1, None, store_id), 2)

    assert said(found) == ("HEAD", 0, Damage.HEAD)
