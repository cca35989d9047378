"""Given, when, then: a rule that does not hold fails with what happened instead.

A kit that says yes to everything looks like one that works, so each way to be wrong is tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast, final
from uuid import UUID

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak import Denial, IllegalHistory, InvalidArgument, Ledger, PayloadInvalid, override
from batpak.testing import Given, MemoryLedger, Scenario
from tests.unit.parcels import (
    DESK,
    NOON,
    Carrier,
    GoneParcel,
    NewParcel,
    PackedParcel,
    PackParcel,
    ParcelCancelled,
    ParcelId,
    ParcelMachine,
    ParcelPacked,
    ParcelSeen,
    ParcelSent,
    ParcelState,
    SentParcel,
)

ID = ParcelId(UUID(int=7))
EVENT = ParcelPacked | ParcelSent | ParcelCancelled


@final
class ParcelScenario(Scenario[ParcelId, EVENT, ParcelState]):
    @override
    def machine(self, ledger: Ledger) -> ParcelMachine:
        return ParcelMachine(ledger)

    @override
    def keys(self) -> st.SearchStrategy[ParcelId]:
        return st.builds(ParcelId, st.uuids())

    @override
    def moves(self) -> Mapping[str, st.SearchStrategy[EVENT]]:
        return {}


parcels = ParcelScenario()
PACKED = ParcelMachine(MemoryLedger()).new(ID).pack().event
SENT = ParcelSent(parcel_id=ID, carrier=Carrier.DHL, sent_at=NOON)


def sending() -> Given[ParcelState]:
    return parcels.given(ID, PACKED)


def test_a_history_leads_to_a_state() -> None:
    assert isinstance(parcels.given(ID).state, NewParcel)
    state = parcels.given(ID, PACKED, SENT).state
    assert isinstance(state, SentParcel)
    assert (state.version, state.data.carrier) == (2, Carrier.DHL)


def test_a_history_is_what_a_store_would_have_taken_and_the_machine_loads() -> None:
    with pytest.raises(IllegalHistory, match="ParcelSent at version 1 while New"):
        parcels.given(ID, SENT)
    with pytest.raises(PayloadInvalid):
        parcels.given(ID, replace(PACKED, pieces=0))


def test_a_plain_move_stores_its_event_and_gives_the_state_after_it() -> None:
    sent: SentParcel = sending().when(PackedParcel, lambda p: p.send(sent_at=NOON)).stores(SENT)

    assert (sent.version, sent.data.weight) == (2, Decimal("1.500"))


def test_a_guarded_move_asks_its_gates() -> None:
    packed: PackedParcel = (
        parcels.given(ID).when(NewParcel, lambda p: p.pack(), DESK).stores(PACKED)
    )
    assert packed.version == 1

    denial = (
        parcels.given(ID)
        .when(NewParcel, lambda p: p.pack(weight=Decimal(31)), DESK)
        .denied("TOO_HEAVY")
    )
    assert (denial.gate, denial.policy) == ("not_too_heavy", "test.parcels.Parcel.pack")


def test_a_context_of_nothing_is_none() -> None:
    gone: GoneParcel = (
        sending()
        .when(PackedParcel, lambda p: p.cancel(reason="lost"), None)
        .stores(ParcelCancelled(parcel_id=ID, reason="lost"))
    )

    assert gone.data.reason == "lost"


def test_a_history_can_be_acted_on_more_than_once() -> None:
    given = sending()
    given.when(PackedParcel, lambda p: p.send(sent_at=NOON)).stores(SENT)

    with pytest.raises(AssertionError, match=r"^\[\] was stored, not ParcelSent"):
        given.when(PackedParcel, lambda p: p.send(sent_at=NOON)).stores(SENT)


# -------------------------------------------------------------------------- what does not hold


def test_another_state_than_was_said_fails() -> None:
    with pytest.raises(AssertionError, match="the history leads to PackedParcel, not to NewParcel"):
        sending().when(NewParcel, lambda p: p.pack(), DESK)


def test_another_event_than_was_said_fails_field_by_field() -> None:
    then = sending().when(PackedParcel, lambda p: p.send(carrier=Carrier.POST, sent_at=NOON))

    with pytest.raises(AssertionError) as failed:
        then.stores(SENT)

    assert str(failed.value).splitlines() == [
        "another ParcelSent was stored:",
        "  carrier: <Carrier.POST: 'post'>, not <Carrier.DHL: 'dhl'>",
    ]


def test_an_event_of_another_class_fails() -> None:
    then = sending().when(PackedParcel, lambda p: p.cancel(reason="x"), None)

    with pytest.raises(AssertionError, match=r"ParcelCancelled.* was stored, not ParcelSent"):
        then.stores(cast("Any", SENT))


def test_a_denial_where_something_was_to_be_stored_fails_with_its_words() -> None:
    then = parcels.given(ID).when(NewParcel, lambda p: p.pack(weight=Decimal(31)), DESK)

    with pytest.raises(AssertionError, match="was denied: TOO_HEAVY by not_too_heavy: 31 kg is"):
        then.stores(PACKED)


def test_a_permission_where_a_denial_was_due_fails() -> None:
    then = parcels.given(ID).when(NewParcel, lambda p: p.pack(), DESK)

    with pytest.raises(AssertionError, match="was permitted by not_too_heavy, stamped"):
        then.denied("TOO_HEAVY")


def test_another_code_than_was_said_fails() -> None:
    then = parcels.given(ID).when(NewParcel, lambda p: p.pack(weight=Decimal(31)), DESK)

    with pytest.raises(AssertionError, match="was denied: TOO_HEAVY by not_too_heavy"):
        then.denied("NOT_STAMPED")


def test_a_gate_that_fails_is_told_with_its_cause() -> None:
    then = parcels.given(ID).when(NewParcel, lambda p: p.pack(), cast("Any", None))

    with pytest.raises(AssertionError, match="GATE_DEFECT by not_too_heavy: AttributeError") as at:
        then.stores(PACKED)

    assert isinstance(at.value.__cause__, AttributeError)


def test_nothing_denies_a_plain_move() -> None:
    then = sending().when(PackedParcel, lambda p: p.send(sent_at=NOON))

    with pytest.raises(AssertionError, match="has no gates: nothing denies it"):
        then.denied("ANY")


def test_a_context_that_is_forgotten_or_too_much_is_said() -> None:
    given: Any = parcels.given(ID)
    with pytest.raises(InvalidArgument, match="has gates: give what they look at, or None"):
        given.when(NewParcel, lambda p: p.pack())
    with pytest.raises(InvalidArgument, match="has no gates that could look at it"):
        cast("Any", sending()).when(PackedParcel, lambda p: p.send(sent_at=NOON), None)


def test_a_gate_that_stores_something_and_denies_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaky:
        def __init__(self, ledger: Ledger) -> None:
            self.ledger = ledger

        def evaluate(self, _ctx: object, move: PackParcel) -> Denial:
            self.ledger.append(move.source.coordinate, ParcelSeen(where="Oslo"))
            return Denial("leaky", "NO", "no")

    monkeypatch.setattr(ParcelMachine, "policy", lambda parcels, _: Leaky(parcels.ledger))
    then = parcels.given(ID).when(NewParcel, lambda p: p.pack(), DESK)

    with pytest.raises(AssertionError, match="was denied, and something was stored"):
        then.denied("NO")
