"""The rules of a door, as given/when/then, and a walk through all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from hypothesis import given
from hypothesis import strategies as st

from batpak import Ledger, new_id, override
from batpak.testing import Scenario
from dungeon.door import (
    ClosedDoor,
    DoorClosed,
    DoorEvent,
    DoorId,
    DoorLocked,
    DoorMachine,
    DoorOpened,
    DoorSmashed,
    DoorState,
    DoorUnlocked,
    Hero,
    KeyId,
    LockedDoor,
    UnlockIt,
)

DOOR = new_id(DoorId)
BRASS, IRON = KeyId(1), KeyId(2)
ADA = Hero(name="Ada", strength=3, keys=frozenset({IRON}))
CONAN = Hero(name="Conan", strength=8)


@final
class DoorScenario(Scenario[DoorId, DoorEvent, DoorState]):
    """How to make the machine, and what to walk it with."""

    @override
    def machine(self, ledger: Ledger) -> DoorMachine:
        return DoorMachine(ledger)

    @override
    def keys(self) -> st.SearchStrategy[DoorId]:
        return st.builds(DoorId, st.uuids())

    @override
    def moves(self) -> Mapping[str, st.SearchStrategy[DoorEvent]]:
        door_id, key = self.keys(), st.builds(KeyId, st.integers(1, 3))
        return {
            "open": st.builds(DoorOpened, door_id=door_id),
            "close": st.builds(DoorClosed, door_id=door_id),
            "lock": st.builds(DoorLocked, door_id=door_id, key=key),
            "unlock": st.builds(DoorUnlocked, door_id=door_id, key=key),
            "smash": st.builds(DoorSmashed, door_id=door_id, by=st.sampled_from(["Ada", "Conan"])),
        }


doors = DoorScenario()
LOCKED = DoorLocked(door_id=DOOR, key=IRON)


def turn(key: KeyId, door: LockedDoor) -> UnlockIt:
    return door.unlock(key=key)


def test_nobody_has_to_build_a_door() -> None:
    doors.given(DOOR).when(ClosedDoor, lambda door: door.open()).stores(DoorOpened(door_id=DOOR))


def test_a_door_counts_how_often_it_was_opened() -> None:
    opened, closed = DoorOpened(door_id=DOOR), DoorClosed(door_id=DOOR)

    state = doors.given(DOOR, opened, closed, opened, closed).state

    assert isinstance(state, ClosedDoor)
    assert state.data.opened == 2


def test_the_key_that_locked_a_door_unlocks_it() -> None:
    unlocked: ClosedDoor = (
        doors.given(DOOR, LOCKED)
        .when(LockedDoor, lambda door: turn(IRON, door), ADA)
        .stores(DoorUnlocked(door_id=DOOR, key=IRON))
    )

    assert unlocked.data.opened == 0


def test_a_key_that_is_not_there_turns_as_little_as_one_that_does_not_fit() -> None:
    locked = doors.given(DOOR, DoorLocked(door_id=DOOR, key=BRASS))

    locked.when(LockedDoor, lambda door: turn(BRASS, door), ADA).denied("NO_KEY")
    locked.when(LockedDoor, lambda door: turn(IRON, door), ADA).denied("WRONG_KEY")


def test_only_the_strong_smash_a_door_locked_or_not() -> None:
    smashed = DoorSmashed(door_id=DOOR, by="x")

    doors.given(DOOR).when(ClosedDoor, lambda d: d.smash(by="x"), ADA).denied("TOO_WEAK")
    doors.given(DOOR).when(ClosedDoor, lambda d: d.smash(by="x"), CONAN).stores(smashed)
    doors.given(DOOR, LOCKED).when(LockedDoor, lambda d: d.smash(by="x"), CONAN).stores(smashed)


@given(st.data())
def test_a_door_walks_as_its_table_says(data: st.DataObject) -> None:
    doors.walk(data)
