"""Misuse of what machines are written by hand with: rows whose parts do not fit.

After the mark: mypy's error codes, then pyright's rules. A dash: the checker accepts the line.
"""
# fmt: off
# ruff: noqa
from __future__ import annotations

from typing import final

from batpak import GateSet, Guarded, Handle, Ledger, Machine, Transition, edge, edges
from dungeon.door import (
    Broken, BrokenDoor, Closed, ClosedDoor, DoorClosed, DoorId, DoorLocked, DoorMachine, DoorOpened, DoorState,
    DoorUnlocked, Hero, KeyId, Locked, LockedDoor, Open, OpenDoor, SmashGates, UnlockGates,
)


def opening(state: Closed, event: DoorOpened) -> Open:
    raise NotImplementedError


def unlocking(state: Locked, event: DoorUnlocked) -> Closed:
    raise NotImplementedError


edge(Closed, DoorOpened, OpenDoor, opening)
edge(Locked, DoorOpened, OpenDoor, opening)  # E: arg-type | reportArgumentType
edge(Closed, DoorClosed, OpenDoor, opening)  # E: arg-type | reportArgumentType
edge(Closed, DoorOpened, ClosedDoor, opening)  # E: arg-type,misc | reportArgumentType
edge(Locked, DoorUnlocked, ClosedDoor, unlocking, UnlockGates)
edge(Locked, DoorUnlocked, ClosedDoor, unlocking, SmashGates)  # E: arg-type,misc | reportArgumentType
edge(Locked, DoorUnlocked, ClosedDoor, unlocking, UnlockGates())  # E: arg-type | reportArgumentType
edge(ClosedDoor, DoorOpened, OpenDoor, opening)  # E: arg-type,type-var | reportArgumentType
edge(Closed, Hero, OpenDoor, opening)  # E: arg-type,type-var | reportArgumentType
edges((Closed, DoorOpened), OpenDoor)  # E: arg-type | reportArgumentType


@final
class Ajar(Handle[Hero]):  # E: type-var | reportInvalidTypeArguments
    pass


@final
class OtherDoor(Handle[Open]):
    def close(self) -> Transition[OtherDoor, ClosedDoor, DoorLocked]:
        return self._move(ClosedDoor, DoorClosed(door_id=self.data.door_id))  # E: arg-type | reportReturnType

    def lock(self) -> Guarded[OtherDoor, LockedDoor, DoorLocked, SmashGates]:
        return self._guarded(LockedDoor, DoorLocked(door_id=self.data.door_id, key=KeyId(1)), UnlockGates)  # E: arg-type | reportReturnType

    def smash(self) -> Transition[OtherDoor, BrokenDoor, DoorOpened]:
        return self._move(Broken, DoorOpened(door_id=self.data.door_id))  # E: arg-type,type-var | reportArgumentType


class NoTable(Machine[DoorState]):
    NAME = 1  # E: assignment | reportAssignmentType
    EDGES = {Closed: OpenDoor}  # E: dict-item | reportAssignmentType


def uses(doors: DoorMachine, ledger: Ledger, door_id: DoorId, closed: ClosedDoor, locked: LockedDoor, broken: BrokenDoor, hero: Hero) -> None:
    broken.open()  # E: attr-defined | reportAttributeAccessIssue
    doors.load(door_id).unlock(key=KeyId(1))  # E: union-attr | reportAttributeAccessIssue
    closed.lock(key=1)  # E: arg-type | reportArgumentType
    doors.apply(locked.unlock(key=KeyId(1)))  # E: arg-type | reportArgumentType
    doors.apply(closed.smash(by="x"))  # E: arg-type | reportArgumentType
    doors.smash_gates.evaluate(None, closed.smash(by="x"))  # E: arg-type,call-overload | reportArgumentType,reportCallIssue
    doors.smash_gates.evaluate(hero, locked.unlock(key=KeyId(1)))  # E: arg-type,call-overload | reportArgumentType,reportCallIssue
    doors.policy(Hero)  # E: type-var | reportArgumentType
    gates: UnlockGates = doors.policy(SmashGates)  # E: assignment,arg-type | reportAssignmentType,reportArgumentType
    doors.ledger = ledger  # E: misc | reportAttributeAccessIssue
    print(gates, GateSet)
