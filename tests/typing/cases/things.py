"""Misuse of unions, open enums and deprecated events, and the use of them that is legal.

After the mark: mypy's error codes, then pyright's rules. A dash: the checker accepts the line.
"""
# fmt: off
# ruff: noqa
from __future__ import annotations

from typing import assert_never

from batpak import StoredEvent
from tests.golden.cases_out.everything.expected.base.things import (
    Carried, Gone0, JourneyEvent, Mood, Posted, Sending, ThingId, ThingLost, ThingSent, Travel,
    Walked, WalkedBack,
)

# --------------------------------------------------------------------- deprecated events


def old(thing_id: ThingId, event: ThingLost) -> ThingLost:
    ThingLost(thing_id=thing_id)  # E14: deprecated | reportDeprecated
    ThingLost(thing_id=thing_id, mood=Mood.ODD)  # E: deprecated | reportDeprecated
    ThingLost(thing_id=thing_id, mood="odd")  # E: call-overload | reportCallIssue,reportArgumentType
    ThingLost()  # E: call-overload | reportCallIssue
    Gone0()  # E: deprecated | reportDeprecated
    print(event.thing_id, event.when, ThingLost.KIND, ThingLost.DEPRECATED)
    return event


def read_old(event: JourneyEvent, stored: StoredEvent[ThingLost]) -> Mood:
    if isinstance(event, ThingLost):
        return stored.payload.mood
    match event:
        case ThingSent(mood=mood):
            return mood
        case _:
            assert_never(event)


# --------------------------------------------------------------------------------- unions


def travels(how: Travel, back: WalkedBack, walked: Walked) -> Sending:
    if isinstance(how, Posted):
        print(how.fee)
    print(how.code)  # E: union-attr | reportAttributeAccessIssue
    match how:
        case Posted() | Carried():
            return how
        case Walked():
            return walked  # E: return-value | reportReturnType
        case WalkedBack():
            return back  # E: return-value | reportReturnType


def forgets_one(how: Travel) -> str:
    match how:
        case Posted() | Carried() | Walked():
            return "known"
        case _:
            assert_never(how)  # E: arg-type | reportArgumentType


def sends(how: Travel, text: str, thing_id: ThingId, back: WalkedBack) -> Carried:
    ThingSent(
        thing_id=thing_id,
        sending="posted",  # E10: arg-type | reportArgumentType
        other=back,
        all=(),
        by_name={},
        codes=frozenset(),
        mood=Mood.ODD,
        moods=(),
        stamp="seal",  # E: arg-type | reportArgumentType
    )
    Carried(overload=frozenset({text}))  # E: arg-type | reportArgumentType
    Carried(overload=frozenset({Mood.ODD}), kind="carried")  # E: call-arg | reportCallIssue
    Carried(Over_Load=frozenset())  # E: call-arg | reportCallIssue
    return how  # E: return-value | reportReturnType


# ------------------------------------------------------------------------------ open enums


def moods(mood: Mood) -> str:
    print(mood == "fine")  # E: comparison-overlap | reportUnnecessaryComparison
    match mood:
        case Mood.FINE:
            return "fine"
        case Mood.ODD:
            return "odd"
        case _:
            assert_never(mood)  # E: arg-type | reportArgumentType
