"""Accepted means: decodes to an equal value, which encodes to the same bytes. For any value.

The examples of `test_render` are values that somebody thought of. These are the others: unions in
maps in lists, enums that grow, fields with keys of their own, and text that no pattern admits.
"""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from batpak import codec, wire
from batpak.errors import PayloadInvalid
from tests.golden.cases_out.everything.expected.base.things import (
    Carried,
    Mood,
    Posted,
    Stamped,
    ThingId,
    ThingSent,
    Walked,
    WalkedBack,
)

CODES = st.from_regex(r"[A-Z]{2}-[0-9]{1,3}", fullmatch=True)
FEES = st.decimals("0.001", 99999, places=3) | st.integers(1, 99999).map(Decimal)
KNOWN = st.sampled_from([mood for mood in Mood if mood is not Mood.UNRECOGNIZED])
DIGITS = st.from_regex("[0-9]{4}", fullmatch=True)
ANY = st.text(st.characters(exclude_categories=["Cs"]))

POSTED = st.builds(Posted, code=DIGITS, fee=FEES, source=st.none() | CODES)
CARRIED = st.builds(Carried, code=st.none() | DIGITS, overload=st.frozensets(KNOWN))
SENDINGS = POSTED | CARRIED
WALKED = st.builds(Walked, code=st.sampled_from(["x", "xy", "xz"]))
TRAVELS = SENDINGS | WALKED | st.builds(WalkedBack, how=KNOWN)


def sent(
    moods: st.SearchStrategy[Mood], codes: st.SearchStrategy[str], labels: st.SearchStrategy[str]
) -> st.SearchStrategy[ThingSent]:
    return st.builds(
        ThingSent,
        thing_id=st.uuids().map(ThingId),
        sending=SENDINGS,
        other=st.none() | TRAVELS,
        all=st.lists(SENDINGS, max_size=3).map(tuple),
        by_name=st.dictionaries(ANY, TRAVELS, max_size=3),
        codes=st.frozensets(codes, max_size=3),
        label=labels,
        mood=moods,
        moods=st.lists(moods, max_size=3).map(tuple),
        stamp=st.builds(Stamped, by=st.sampled_from(["a", "ab", "cdab", "cdcd"])),
        parcel=st.none() | POSTED,
        deprecated=ANY,
    )


def tried(event: ThingSent) -> wire.Encoded | None:
    try:
        return wire.encode(event)
    except PayloadInvalid:
        return None


@given(sent(KNOWN, CODES, st.sampled_from(["a", "é^", "a b c"])))
def test_what_fits_is_accepted_and_comes_back_as_it_was(event: ThingSent) -> None:
    found = wire.encode(event)

    again = wire.decode(found.kind, found.version, found.data)

    assert again == event
    assert wire.encode(again).data == found.data


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(sent(st.sampled_from(Mood), CODES | ANY, st.just("a") | ANY))
def test_what_is_accepted_comes_back_whatever_was_tried(event: ThingSent) -> None:
    found = tried(event)
    assume(found is not None)
    assert found is not None

    again = wire.decode(found.kind, found.version, found.data)

    assert again == event
    assert wire.encode(again).data == found.data


@given(st.text(), st.lists(st.text(), max_size=3))
def test_any_stored_text_of_an_open_enum_can_be_read(mood: str, moods: list[str]) -> None:
    event = ThingSent(
        thing_id=ThingId(UUID(int=1)),
        sending=Carried(overload=frozenset()),
        all=(),
        by_name={},
        codes=frozenset(),
        mood=Mood.FINE,
        moods=(),
        stamp=Stamped(),
    )
    plain = codec.decode_plain(wire.encode(event).data)
    assert isinstance(plain, dict)
    data = codec.encode({**plain, "mood": mood, "Moods": moods})

    found = wire.decode(ThingSent.KIND, 1, data)

    assert isinstance(found, ThingSent)
    assert [found.mood, *found.moods] == [_meant(text) for text in (mood, *moods)]


def _meant(text: str) -> Mood:
    known = {mood.value: mood for mood in Mood}
    return known.get(text, Mood.UNRECOGNIZED)
