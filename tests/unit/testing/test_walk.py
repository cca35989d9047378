"""A walk finds each way in which a machine may do what its table does not say.

A walk that finds nothing proves nothing unless it is known to find something: every machine here
is broken in one place, and a walk has to notice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, cast, final
from uuid import UUID

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak import Form, Ledger, StateData, override
from batpak.edge_table import Key, Row
from batpak.errors import BatpakError, IllegalTransition, StaleState
from batpak.seal import SEAL
from batpak.testing import MemoryLedger, Scenario, strict_moves
from batpak.testing.walk import KeyedMachine
from batpak.typestate import Edge, Step
from tests.unit.parcels import (
    NOON,
    STEPS,
    Carrier,
    Gone,
    Packed,
    ParcelCancelled,
    ParcelId,
    ParcelMachine,
    ParcelPacked,
    ParcelSent,
    ParcelState,
    Sent,
)

EVENT = ParcelPacked | ParcelSent | ParcelCancelled
IDS = st.builds(ParcelId, st.uuids())


@final
class ParcelScenario(Scenario[ParcelId, EVENT, ParcelState]):
    def __init__(self, make: Callable[[Ledger], Any] = ParcelMachine) -> None:
        self.make = make

    @override
    def machine(self, ledger: Ledger) -> KeyedMachine[ParcelId, EVENT, ParcelState]:
        return cast("KeyedMachine[ParcelId, EVENT, ParcelState]", self.make(ledger))

    @override
    def keys(self) -> st.SearchStrategy[ParcelId]:
        return IDS

    @override
    def moves(self) -> Mapping[str, st.SearchStrategy[EVENT]]:
        return {
            "pack": st.builds(pack, IDS, st.decimals(0, 999, places=3), st.none() | st.just("x")),
            "send": st.builds(
                ParcelSent,
                parcel_id=IDS,
                carrier=st.sampled_from(Carrier),
                sent_at=st.just(NOON),
            ),
            "cancel": st.builds(ParcelCancelled, parcel_id=IDS, reason=st.text("ab", min_size=1)),
        }


PACKED = ParcelMachine(MemoryLedger()).new(ParcelId(UUID(int=1))).pack(labels={"to": "Ada"}).event


def pack(parcel_id: ParcelId, weight: Decimal, note: str | None) -> ParcelPacked:
    return replace(PACKED, parcel_id=parcel_id, weight=weight, note=note)


def walked(make: Callable[[Ledger], Any] = ParcelMachine, examples: int = 60) -> None:
    """Walk a machine, without the luxury of a small counterexample."""

    @settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=examples,
        phases=[Phase.generate],
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        ParcelScenario(make).walk(data)

    run()


def test_a_machine_that_does_what_its_table_says_is_walked_to_the_end() -> None:
    states: set[type] = set()

    class Seen(ParcelMachine):
        @override
        def load(self, parcel_id: ParcelId) -> ParcelState:
            loaded = super().load(parcel_id)
            states.add(type(loaded))
            return loaded

    with strict_moves():  # a walk uses every move that it makes
        walked(Seen)

    assert {state.__name__ for state in states} == {
        "NewParcel",
        "PackedParcel",
        "SentParcel",
        "GoneParcel",
    }


def with_step(row: Row, step: Step) -> Callable[[Ledger], ParcelMachine]:
    return lambda ledger: ParcelMachine(ledger, {**STEPS, row: step})


def test_a_step_that_fails_is_the_users_own_business_and_stores_nothing() -> None:
    def fail(_state: Packed, _event: ParcelSent) -> Sent:
        raise LookupError("no label printer")

    walked(with_step((Packed, ParcelSent), fail))


def test_a_step_that_is_not_the_same_on_every_load_is_found() -> None:
    turns = iter(range(10**6))

    def restless(state: Packed, event: ParcelSent) -> Sent:
        sent: Sent = STEPS[Packed, ParcelSent](state, event)
        return replace(sent, weight=sent.weight + next(turns))

    with pytest.raises(AssertionError, match="gives"):
        walked(with_step((Packed, ParcelSent), restless))


def test_a_step_that_gives_another_state_is_found() -> None:
    def lie(state: Packed, _event: ParcelSent) -> Gone:
        return Gone(parcel_id=state.parcel_id, reason="lies")

    with pytest.raises(IllegalTransition, match="the step of Packed \\+ ParcelSent gave Gone"):
        walked(with_step((Packed, ParcelSent), lie))


class WithoutTable(ParcelMachine):
    """Applies whatever it is given."""

    @override
    def _edge(self, move: Any, policy: object) -> Edge:  # noqa: ANN401, ARG002  any move
        row = type(move.source.data), type(move.event)
        return self._table.get(row, Edge(move.target, None, lambda state, _: state))


class WithoutVersion(ParcelMachine):
    """Appends whatever the version is."""

    def __init__(self, ledger: Ledger) -> None:
        class Blind:
            stream, store_id = ledger.stream, ledger.store_id
            projection_cache = ledger.projection_cache
            retention_epoch, version = ledger.retention_epoch, ledger.version

            @staticmethod
            def append(coord: Any, payload: Any, **more: Any) -> Any:  # noqa: ANN401  as a ledger
                del more["expected_version"]
                return ledger.append(coord, payload, **more)

        super().__init__(cast("Ledger", Blind()))


class WithoutKey(ParcelMachine):
    """Forgets what makes a retry the same move."""

    def __init__(self, ledger: Ledger) -> None:
        class Forgetful:
            stream, store_id = ledger.stream, ledger.store_id
            projection_cache = ledger.projection_cache
            retention_epoch, version = ledger.retention_epoch, ledger.version

            @staticmethod
            def append(coord: Any, payload: Any, **more: Any) -> Any:  # noqa: ANN401  likewise
                del more["idempotency_key"]
                return ledger.append(coord, payload, **more)

        super().__init__(cast("Ledger", Forgetful()))


class StoresTwice(ParcelMachine):
    """Writes an event that nobody asked for."""

    def __init__(self, ledger: Ledger) -> None:
        class Doubling:
            stream, store_id = ledger.stream, ledger.store_id
            projection_cache = ledger.projection_cache
            retention_epoch, version = ledger.retention_epoch, ledger.version

            @staticmethod
            def append(coord: Any, payload: Any, **more: Any) -> Any:  # noqa: ANN401  likewise
                receipt = ledger.append(coord, payload, **more)
                ledger.append(coord, payload, flags=1)
                return receipt

        super().__init__(cast("Ledger", Doubling()))


class LoadsStale(ParcelMachine):
    """Does not count what is none of its own."""

    @override
    def _load(self, key: Key, start: StateData) -> ParcelState:
        loaded: Any = super()._load(key, start)
        stored = self.ledger.stream(loaded.coordinate.entity, form=Form.RAW)
        own = sum(event.kind in self.KINDS for event in stored)
        handle: ParcelState = type(loaded)(SEAL, loaded.coordinate, own, loaded.data)
        return handle


def test_a_machine_without_its_table_is_found() -> None:
    with pytest.raises(AssertionError, match="was stored, where IllegalTransition was due"):
        walked(WithoutTable)


def test_a_machine_that_does_not_compare_versions_is_found() -> None:
    with pytest.raises(AssertionError, match="was stored, where StaleState was due"):
        walked(WithoutVersion)


def test_a_machine_that_does_not_know_a_retry_is_found() -> None:
    with pytest.raises(StaleState):
        walked(WithoutKey)


def test_an_event_that_nobody_asked_for_is_found() -> None:
    with pytest.raises(BatpakError):
        walked(StoresTwice)


def test_a_handle_with_a_version_of_its_own_is_found() -> None:
    with pytest.raises(AssertionError, match="its version is"):
        walked(LoadsStale)


def test_a_move_that_the_table_does_not_have_is_found() -> None:
    class Without(ParcelMachine):
        EDGES: ClassVar[Mapping[Row, Edge]] = {
            row: to for row, to in ParcelMachine.EDGES.items() if row[1] is not ParcelSent
        }

    with pytest.raises(AssertionError, match=r"send\(\) makes .*, which is not in the table"):
        walked(Without)
