"""Projections: a pure fold over the relevant events, and `None` when there are none.

Without this, a projection could count events of kinds it never asked for, or an error in a fold
could leave no trace of the event that caused it.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast, final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from batpak.coordinate import Coordinate
from batpak.event import StoredEvent
from batpak.ids import new_id
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.projection import Projection, project
from tests.unit.parcels import BrittleLedger, ParcelCancelled, ParcelId, ParcelSeen

AT = Coordinate("parcel:1", "test")


class Trail(Struct, frozen=True):
    places: tuple[str, ...] = ()


class Places(Projection[Trail]):
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({ParcelSeen.KIND})

    @override
    def initial(self) -> Trail:
        return Trail()

    @override
    def apply(self, state: Trail, event: StoredEvent[EventPayload], /) -> Trail:
        match event.payload:
            case ParcelSeen(where=where):
                return Trail((*state.places, where))
            case other:
                raise LookupError(type(other).__name__)


@final
class Everything(Places):
    NAME: ClassVar[str] = "everything"
    KINDS: ClassVar[frozenset[EventKind]] = frozenset()


def log(*payloads: EventPayload) -> list[StoredEvent[EventPayload]]:
    ledger = BrittleLedger()
    for payload in payloads:
        ledger.append(AT, payload)
    return ledger.events


OTHER = ParcelCancelled(parcel_id=new_id(ParcelId), reason="lost")


def test_the_state_is_the_fold_of_the_relevant_events_in_order() -> None:
    events = log(ParcelSeen(where="a"), OTHER, ParcelSeen(where="b"))

    assert project(Places(), events) == Trail(("a", "b"))


@given(st.lists(st.text(max_size=3).map(lambda where: ParcelSeen(where=where))), st.integers(0, 5))
def test_a_fold_can_be_cut_anywhere_and_continued(events: list[ParcelSeen], cut: int) -> None:
    stored = log(*events)
    head, tail = stored[:cut], stored[cut:]

    class Continued(Places):
        @override
        def initial(self) -> Trail:
            return project(Places(), head) or Trail()

    whole = project(Places(), stored)

    assert whole == (project(Continued(), tail) if tail else project(Places(), head))


class Untouched(Places):
    @override
    def initial(self) -> Trail:
        raise AssertionError("initial was called")


@pytest.mark.parametrize("events", [[], log(OTHER)], ids=["no events", "no relevant events"])
def test_without_a_relevant_event_there_is_no_state(
    events: list[StoredEvent[EventPayload]],
) -> None:
    assert project(Untouched(), events) is None


def test_no_kinds_means_every_kind() -> None:
    with pytest.raises(LookupError, match="ParcelCancelled"):
        project(Everything(), log(OTHER))


def test_an_exception_passes_through_with_the_name_and_the_event() -> None:
    with pytest.raises(LookupError) as raised:
        project(Everything(), log(ParcelSeen(where="a"), OTHER))

    assert raised.value.__notes__ == ["projection everything at event 1"]


def test_a_projection_has_a_name_of_its_own() -> None:
    assert Everything.NAME == "everything"
    assert f"{__name__}.Places" == Places.NAME
    assert f"{__name__}.Untouched" == Untouched.NAME
    assert Places.VERSION == 1


def test_an_unfinished_projection_cannot_be_made() -> None:
    class Unfinished(Projection[Trail]):
        @override
        def initial(self) -> Trail:
            return Trail()

    with pytest.raises(TypeError, match="abstract"):
        cast("Any", Unfinished)()


def test_a_stored_event_is_not_changed_by_a_fold() -> None:
    events = log(ParcelSeen(where="a"))
    before = replace(events[0])

    project(Places(), events)

    assert events == [before]
