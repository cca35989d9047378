"""Handles and moves: sealed, read-only, and honest about what is legal from here.

Without this, code that a checker has not seen could make a handle out of thin air, change one, or
be told nothing better than "no attribute".
"""

from __future__ import annotations

import copy
import pickle
from typing import Any, cast

import pytest

from batpak.coordinate import Coordinate
from batpak.errors import IllegalTransition
from batpak.guard.verdict import Denial
from batpak.ids import new_id
from batpak.seal import Seal
from batpak.typestate import Guarded, Handle, StateData, Transition
from tests.unit.parcels import (
    DESK,
    NOON,
    BrittleLedger,
    Carrier,
    New,
    NewParcel,
    PackedParcel,
    PackGates,
    ParcelId,
    ParcelMachine,
    ParcelSent,
    SentParcel,
)


@pytest.fixture
def new() -> NewParcel:
    return ParcelMachine(BrittleLedger()).new(new_id(ParcelId))


@pytest.fixture
def packed() -> PackedParcel:
    parcels = ParcelMachine(BrittleLedger())
    verdict = parcels.pack_gates.evaluate(DESK, parcels.new(new_id(ParcelId)).pack())
    assert not isinstance(verdict, Denial), verdict
    return parcels.commit(verdict)


def test_a_handle_says_where_it_is_and_what_is_known(new: NewParcel) -> None:
    parcel_id = new.data.parcel_id

    assert new.coordinate == Coordinate(f"parcel:{parcel_id.hex}", "test.parcels")
    assert (new.version, new.data) == (0, New(parcel_id=parcel_id))


@pytest.mark.parametrize("key", [None, object(), Seal()], ids=["none", "object", "another seal"])
def test_a_handle_comes_from_a_machine_only(new: NewParcel, key: object) -> None:
    closed = cast("Any", PackedParcel)

    with pytest.raises(IllegalTransition, match="PackedParcel comes from a machine only"):
        closed(key, new.coordinate, 1, new.data)


def test_a_move_comes_from_a_handle_only(packed: PackedParcel) -> None:
    event = ParcelSent(parcel_id=packed.data.parcel_id, carrier=Carrier.DHL, sent_at=NOON)

    classes: list[Any] = [Transition, Guarded]

    for closed in classes:
        with pytest.raises(IllegalTransition, match="comes from a handle only"):
            closed(object(), packed, SentParcel, event)
        with pytest.raises(TypeError):
            closed(packed)


def test_handles_and_moves_are_read_only(packed: PackedParcel) -> None:
    move = packed.send(sent_at=NOON)
    things: list[Any] = [packed, move]

    for thing in things:
        for name in ("version", "data", "coordinate", "source", "target", "event", "other"):
            with pytest.raises(AttributeError):
                setattr(thing, name, 1)


def test_a_move_is_a_value_that_says_from_where_to_where_by_what(packed: PackedParcel) -> None:
    move = packed.send(sent_at=NOON)
    guarded = packed.cancel(reason="lost")

    assert (move.source, move.target, move.event.sent_at) == (packed, SentParcel, NOON)
    assert repr(move) == "<Transition PackedParcel + ParcelSent -> SentParcel>"
    assert guarded.policy.POLICY == "test.parcels.Parcel.cancel"


def test_a_move_that_is_not_legal_here_says_where_it_is(
    new: NewParcel, packed: PackedParcel
) -> None:
    with pytest.raises(
        IllegalTransition, match=r"^send\(\) is legal from PackedParcel only; this is NewParcel$"
    ):
        cast("Any", new).send(sent_at=NOON)
    with pytest.raises(IllegalTransition, match="from PackedParcel or SentParcel only"):
        _ = cast("Any", new).cancel
    assert not hasattr(packed, "pack")
    assert getattr(packed, "pack", "nothing") == "nothing"


def test_any_other_name_is_an_ordinary_attribute_error(new: NewParcel) -> None:
    with pytest.raises(AttributeError, match="no attribute 'sned'") as raised:
        _ = cast("Any", new).sned

    assert type(raised.value) is AttributeError
    assert raised.value.name == "sned"


def test_a_handle_class_without_moves_can_be_written_by_hand() -> None:
    class Idle(StateData, frozen=True, kw_only=True, tag="Idle"):
        parcel_id: ParcelId

    class IdleThing(Handle[Idle]):
        __slots__ = ()

    class Things(ParcelMachine):
        def idle(self) -> IdleThing:
            parcel_id = new_id(ParcelId)
            return self._fresh(parcel_id, IdleThing, Idle(parcel_id=parcel_id))

    thing = Things(BrittleLedger()).idle()

    assert not hasattr(thing, "go")


def test_a_handle_does_not_leave_its_process(packed: PackedParcel) -> None:
    for attack in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(IllegalTransition, match="load it again where it is needed"):
            attack(packed)


def test_handles_are_equal_when_class_place_version_and_data_are() -> None:
    parcels = ParcelMachine(BrittleLedger())
    parcel_id, other_id = new_id(ParcelId), new_id(ParcelId)
    one, same, other = parcels.new(parcel_id), parcels.new(parcel_id), parcels.new(other_id)

    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != one.data


def test_a_state_is_tagged_so_that_a_union_can_be_stored() -> None:
    parcel_id = new_id(ParcelId)

    assert New.__struct_config__.tag_field == "state"
    assert New.__struct_config__.tag == "New"
    assert repr(ParcelMachine(BrittleLedger()).new(parcel_id)) == (
        f"<NewParcel 'parcel:{parcel_id.hex}' at version 0>"
    )


def test_a_policy_is_a_class_and_not_its_name(new: NewParcel) -> None:
    assert new.pack().policy is PackGates
