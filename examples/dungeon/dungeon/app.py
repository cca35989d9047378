"""Teaches: moves, gates and stale handles, on a machine written by hand.

Run it twice: `python -m dungeon.app dungeon.store`. The second run finds the broken door.
"""

from __future__ import annotations

import sys
from typing import assert_never
from uuid import UUID

from batpak import Denial, StaleState, Store
from dungeon.door import (
    BrokenDoor,
    ClosedDoor,
    DoorId,
    DoorMachine,
    DoorState,
    Hero,
    KeyId,
    LockedDoor,
    OpenDoor,
)

CELLAR = DoorId(UUID("0190a9c5-7c1e-7000-8000-000000000001"))
BRASS, IRON = KeyId(1), KeyId(2)
ADA = Hero(name="Ada", strength=3, keys=frozenset({IRON}))
CONAN = Hero(name="Conan", strength=9)


def describe(door: DoorState) -> str:
    """Say in a few words how a door is. A new state makes this fail to type-check."""
    match door:
        case ClosedDoor(data=closed):
            return f"closed, opened {closed.opened} times"
        case OpenDoor():
            return "open"
        case LockedDoor(data=locked):
            return f"locked with key {locked.key}"
        case BrokenDoor(data=broken):
            return f"broken by {broken.by}"
        case _:
            assert_never(door)


def unlock(doors: DoorMachine, door: LockedDoor, hero: Hero, key: KeyId) -> ClosedDoor | Denial:
    """Turn a key, if the hero has it and it fits."""
    verdict = doors.unlock_gates.evaluate(hero, door.unlock(key=key))
    if isinstance(verdict, Denial):
        return verdict
    return doors.commit(verdict)


def smash(doors: DoorMachine, door: ClosedDoor | LockedDoor, hero: Hero) -> BrokenDoor | Denial:
    """Smash a door, if the hero is strong enough."""
    verdict = doors.smash_gates.evaluate(hero, door.smash(by=hero.name))
    if isinstance(verdict, Denial):
        return verdict
    return doors.commit(verdict)


def enter(doors: DoorMachine) -> list[str]:
    """Try everything at the cellar door; return what happened, line by line."""
    door = doors.load(CELLAR)
    if not isinstance(door, ClosedDoor):
        return [f"the cellar door is {describe(door)}"]
    said = [f"Ada finds the cellar door {describe(door)}"]

    opened = doors.apply(door.open())
    said.append(f"she opens it: {describe(opened)}")
    closed = doors.apply(opened.close())
    locked = doors.apply(closed.lock(key=BRASS))
    said.append(f"the guard closes it behind her: {describe(locked)}")

    try:
        doors.apply(closed.open())  # of the door as it was before the guard came
    except StaleState as stale:
        said.append(f"she pulls too late: {stale.actual} things happened, she knew of 2")

    for key in (BRASS, IRON):
        answer = unlock(doors, locked, ADA, key)
        said.append(answer.message if isinstance(answer, Denial) else describe(answer))
    for hero in (ADA, CONAN):
        last = smash(doors, locked, hero)
        said.append(last.message if isinstance(last, Denial) else describe(last))
    return said


def main(path: str) -> None:
    """Enter the dungeon that is stored at `path`."""
    with Store.open(path) as store:
        for line in enter(DoorMachine(store)):
            print(line)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "dungeon.store")
