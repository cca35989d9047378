"""Projections: a pure fold over the relevant events, and `None` when there are none.

Without this, a projection could count events of kinds it never asked for, or an error in a fold
could leave no trace of the event that caused it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast, final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument
from batpak.event import StoredEvent
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.projection import DictProjection, Freshness, Projection, RawProjection, fold
from batpak.read.reactor import ReactionBatch, Reactor
from batpak.read.witness import AtLeastOnce
from batpak.wire import DICT, RAW, TYPED
from tests.unit.parcels import BrittleLedger, ParcelSeen

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


class Answer(Reactor[EventPayload]):
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({ParcelSeen.KIND})

    @override
    def react(
        self, event: StoredEvent[EventPayload], _out: ReactionBatch, _: AtLeastOnce | None, /
    ) -> None:
        self.on_seen(event)

    def on_seen(self, event: StoredEvent[EventPayload]) -> None:
        raise LookupError(event.version)


def log(*places: str) -> list[StoredEvent[EventPayload]]:
    ledger = BrittleLedger()
    for place in places:
        ledger.append(AT, ParcelSeen(where=place))
    return ledger.events


def folded(events: list[StoredEvent[EventPayload]], state: Trail | None = None) -> Trail | None:
    return fold(Places(), state, iter(events))[0]


def test_the_state_is_the_fold_of_the_events_in_order_and_the_last_comes_with_it() -> None:
    events = log("a", "b")

    assert fold(Places(), None, iter(events)) == (Trail(("a", "b")), events[1])


@given(st.lists(st.text(max_size=3)), st.integers(0, 5))
def test_a_fold_can_be_cut_anywhere_and_continued(places: list[str], cut: int) -> None:
    stored = log(*places)

    assert folded(stored[cut:], folded(stored[:cut])) == folded(stored)


class Untouched(Places):
    @override
    def initial(self) -> Trail:
        raise AssertionError("initial was called")


def test_without_an_event_there_is_no_state_and_nothing_is_called() -> None:
    assert fold(Untouched(), None, iter(())) == (None, None)
    assert fold(Untouched(), Trail(("a",)), iter(())) == (Trail(("a",)), None)


def test_a_continued_fold_does_not_ask_for_the_initial_state() -> None:
    assert fold(Untouched(), Trail(("a",)), iter(log("b")))[0] == Trail(("a", "b"))


def test_an_exception_passes_through_with_the_name_and_the_event() -> None:
    class Fussy(Places):
        NAME: ClassVar[str] = "fussy"

        @override
        def apply(self, state: Trail, event: StoredEvent[EventPayload], /) -> Trail:
            if event.payload == ParcelSeen(where="b"):
                raise LookupError
            return super().apply(state, event)

    with pytest.raises(LookupError) as raised:
        fold(Fussy(), None, iter(log("a", "b")))

    assert raised.value.__notes__ == ["projection fussy at event 1"]


def test_a_projection_has_a_name_of_its_own() -> None:
    assert Everything.NAME == "everything"
    assert f"{__name__}.Places" == Places.NAME
    assert f"{__name__}.Untouched" == Untouched.NAME
    assert Places.VERSION == 1


@pytest.mark.parametrize("of", [Places, Answer])
@pytest.mark.parametrize("kinds", [ParcelSeen, ParcelSeen.KIND, [ParcelSeen], {ParcelSeen.KIND}])
def test_kinds_may_be_named_by_their_classes_and_one_needs_no_set(of: type, kinds: object) -> None:
    named: Any = type("Named", (of,), {"KINDS": kinds})

    assert set(named.KINDS) == {ParcelSeen.KIND}


async def later(*_: object) -> None:
    raise AssertionError("nobody would await it")


def bit_by_bit(*given: object) -> Iterator[object]:
    yield from given


@pytest.mark.parametrize("of", [Places, Answer])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KINDS", None),
        ("KINDS", 3),
        ("KINDS", "0x1"),
        ("KINDS", {3}),
        ("KINDS", [EventPayload]),
        ("KINDS", [Trail]),
        ("KINDS", property(lambda self: self)),
        ("NAME", ""),
        ("NAME", None),
        ("NAME", "\ud800"),
    ],
)
def test_what_a_class_says_of_itself_is_checked_where_it_is_written(
    of: type, name: str, value: object
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        type("Wrong", (of,), {name: value})
    assert caught.value.argument == name


@pytest.mark.parametrize("version", [0, -1, "2", True, None])
def test_a_version_is_a_number_and_a_reactor_has_none(version: object) -> None:
    with pytest.raises(InvalidArgument, match="VERSION"):
        type("Wrong", (Places,), {"VERSION": version})
    assert issubclass(type("Right", (Answer,), {"VERSION": version}), Answer)


@pytest.mark.parametrize(
    ("of", "name"), [(Places, "apply"), (Places, "initial"), (Answer, "react"), (Answer, "on_seen")]
)
@pytest.mark.parametrize("method", [later, bit_by_bit])
def test_a_method_that_would_do_nothing_when_it_is_called_is_refused(
    of: type, name: str, method: object
) -> None:
    with pytest.raises(InvalidArgument, match="would do nothing") as caught:
        type("Wrong", (of,), {name: method})
    assert caught.value.argument == name
    assert issubclass(type("Right", (of,), {"of_its_own": method}), of)


def test_a_projection_reads_states_back_as_what_stands_in_its_brackets() -> None:
    class Loose(DictProjection[Trail]):
        pass

    class Never(RawProjection[Trail]):
        STATE: ClassVar[type[Struct] | None] = None

    assert Places.STATE is Trail
    assert Untouched.STATE is Trail
    assert Loose.STATE is Trail
    assert Never.STATE is None
    assert [cls.FORM for cls in (Places, Loose, Never)] == [TYPED, DICT, RAW]


def test_an_unfinished_projection_cannot_be_made() -> None:
    class Unfinished(Projection[Trail]):
        @override
        def initial(self) -> Trail:
            return Trail()

    with pytest.raises(TypeError, match="abstract"):
        cast("Any", Unfinished)()


def test_a_stored_event_is_not_changed_by_a_fold() -> None:
    events = log("a")
    before = replace(events[0])

    folded(events)

    assert events == [before]


@pytest.mark.parametrize("age", [-1, -0.1, float("nan"), True, None, "1"])
def test_an_age_is_a_number_of_seconds(age: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidArgument, match="max_age_s: must be a number of seconds"):
        Freshness.maybe_stale(age)
