"""A move that nobody applies fails the test, and says where it was made.

mypy reports a plain move that is dropped on the spot. One that is kept in a variable, or judged and
then forgotten, is a write that never happens, and nothing else would say so.
"""

from __future__ import annotations

import gc
from uuid import UUID

import pytest

from batpak import Denial, IllegalTransition, Receipt
from batpak.guard.gates import GateSet
from batpak.machine import Machine
from batpak.testing import MemoryLedger, strict_moves
from batpak.typestate import Handle
from tests.unit.parcels import DESK, NOON, Desk, PackedParcel, ParcelId, ParcelMachine

ID = ParcelId(UUID(int=7))
WATCHED = [(Handle, "_move"), (Handle, "_guarded"), (GateSet, "evaluate"), (Machine, "apply")]


@pytest.fixture
def parcels() -> ParcelMachine:
    return ParcelMachine(MemoryLedger())


def pack(parcels: ParcelMachine) -> PackedParcel:
    verdict = parcels.pack_gates.evaluate(DESK, parcels.new(ID).pack())
    assert not isinstance(verdict, Denial)
    return parcels.commit(verdict)


def test_moves_that_are_applied_committed_or_denied_are_used(parcels: ParcelMachine) -> None:
    with strict_moves():
        packed = pack(parcels)
        parcels.apply(packed.send(sent_at=NOON))
        denial = parcels.pack_gates.evaluate(
            Desk(limit=packed.data.weight / 2), parcels.new(ID).pack()
        )

    assert isinstance(denial, Denial)


def test_a_move_that_is_dropped_fails_at_the_end_and_says_where(parcels: ParcelMachine) -> None:
    packed = pack(parcels)

    @strict_moves()
    def forgetful() -> None:
        kept = packed.send(sent_at=NOON)
        del kept
        gc.collect()

    with pytest.raises(AssertionError) as failed:
        forgetful()

    here = pack.__code__.co_filename
    assert str(failed.value).startswith(f"made, and not used:\n  {here}:")
    assert str(failed.value).endswith(": <Transition PackedParcel + ParcelSent -> SentParcel>")


def test_a_receipt_that_is_not_committed_is_a_move_that_is_not_used(parcels: ParcelMachine) -> None:
    @strict_moves()
    def forgetful() -> None:
        verdict = parcels.pack_gates.evaluate(DESK, parcels.new(ID).pack())
        assert isinstance(verdict, Receipt)

    with pytest.raises(AssertionError, match="<Guarded NewParcel \\+ ParcelPacked"):
        forgetful()


def test_a_move_that_is_refused_was_used(parcels: ParcelMachine) -> None:
    packed = pack(parcels)

    with strict_moves(), pytest.raises(IllegalTransition):
        parcels.apply(packed.cancel(reason="x"))  # type: ignore[arg-type]  # it needs gates


def test_what_fails_inside_the_block_is_not_hidden(parcels: ParcelMachine) -> None:
    packed = pack(parcels)

    @strict_moves()
    def failing() -> None:
        packed.send(sent_at=NOON)  # type: ignore[unused-awaitable]  # meant
        raise LookupError

    with pytest.raises(LookupError):
        failing()


def test_nothing_is_watched_afterwards(parcels: ParcelMachine) -> None:
    before = [vars(cls)[name] for cls, name in WATCHED]
    with strict_moves():
        inside = [vars(cls)[name] for cls, name in WATCHED]

    assert [vars(cls)[name] for cls, name in WATCHED] == before
    assert not set(before) & set(inside)
    assert pack(parcels).version == 1
