"""Teaches: a state machine written by hand, without a schema, on the classes generated code uses.

Closed -open-> Open -close-> Closed -lock-> Locked -unlock-> Closed
Closed, Locked -smash-> Broken

A door is there without being built: one that nobody has touched is closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final, NewType, TypeAlias, final
from uuid import UUID

from msgspec import Struct

from batpak import (
    PERMIT,
    Denial,
    EventKind,
    EventPayload,
    GateSet,
    Guarded,
    Handle,
    Ledger,
    Machine,
    StateData,
    Transition,
    Verdict,
    edge,
    edges,
)

DoorId = NewType("DoorId", UUID)
KeyId = NewType("KeyId", int)

OAK: Final = 8  # how strong one has to be

# ------------------------------------------------------------- what happens: stored, for ever


@final
class DoorOpened(EventPayload, frozen=True, kw_only=True):
    """Somebody opened it."""

    KIND: ClassVar[EventKind] = EventKind.custom(0x4, 0x001)
    VERSION: ClassVar[int] = 1

    door_id: DoorId


@final
class DoorClosed(EventPayload, frozen=True, kw_only=True):
    """Somebody closed it."""

    KIND: ClassVar[EventKind] = EventKind.custom(0x4, 0x002)
    VERSION: ClassVar[int] = 1

    door_id: DoorId


@final
class DoorLocked(EventPayload, frozen=True, kw_only=True):
    """Somebody turned a key in it; only that one turns it back."""

    KIND: ClassVar[EventKind] = EventKind.custom(0x4, 0x003)
    VERSION: ClassVar[int] = 1

    door_id: DoorId
    key: KeyId


@final
class DoorUnlocked(EventPayload, frozen=True, kw_only=True):
    """Somebody turned the key back."""

    KIND: ClassVar[EventKind] = EventKind.custom(0x4, 0x004)
    VERSION: ClassVar[int] = 1

    door_id: DoorId
    key: KeyId


@final
class DoorSmashed(EventPayload, frozen=True, kw_only=True):
    """Nobody will close it again."""

    KIND: ClassVar[EventKind] = EventKind.custom(0x4, 0x005)
    VERSION: ClassVar[int] = 1

    door_id: DoorId
    by: str


DoorEvent: TypeAlias = DoorOpened | DoorClosed | DoorLocked | DoorUnlocked | DoorSmashed

# ------------------------------------------------------------------ what is known in each state


@final
class Closed(StateData, frozen=True, kw_only=True):
    """Shut, not locked."""

    door_id: DoorId
    opened: int = 0  # how often it was


@final
class Open(StateData, frozen=True, kw_only=True):
    """Anybody can pass."""

    door_id: DoorId
    opened: int


@final
class Locked(StateData, frozen=True, kw_only=True):
    """Shut, and one key opens it."""

    door_id: DoorId
    opened: int
    key: KeyId


@final
class Broken(StateData, frozen=True, kw_only=True):
    """Anybody can pass, for ever."""

    door_id: DoorId
    by: str


# ---------------------------------------------------------------- what it leads to: pure functions


def _open(state: Closed, event: DoorOpened) -> Open:
    return Open(door_id=event.door_id, opened=state.opened + 1)


def _close(state: Open, event: DoorClosed) -> Closed:
    return Closed(door_id=event.door_id, opened=state.opened)


def _lock(state: Closed, event: DoorLocked) -> Locked:
    return Locked(door_id=event.door_id, opened=state.opened, key=event.key)


def _unlock(state: Locked, event: DoorUnlocked) -> Closed:
    return Closed(door_id=event.door_id, opened=state.opened)


def _smash(_: Closed | Locked, event: DoorSmashed) -> Broken:
    return Broken(door_id=event.door_id, by=event.by)


# ------------------------------------------------------------------------- may it: pure questions


@final
class Hero(Struct, frozen=True, kw_only=True):
    """Who stands before the door. Gates look at it; it is never stored."""

    name: str
    strength: int
    keys: frozenset[KeyId] = frozenset()


@final
class HasKey:
    """The hero holds the key that is turned."""

    name = "has_key"

    def judge(self, ctx: Hero, _state: Locked, event: DoorUnlocked, /) -> Verdict:
        """Look into the hero's pockets."""
        if event.key in ctx.keys:
            return PERMIT
        return Denial(self.name, "NO_KEY", f"{ctx.name} has no key {event.key}")


@final
class KeyFits:
    """It is the key that the door was locked with."""

    name = "key_fits"

    def judge(self, _ctx: Hero, state: Locked, event: DoorUnlocked, /) -> Verdict:
        """Compare the keys."""
        if event.key == state.key:
            return PERMIT
        return Denial(self.name, "WRONG_KEY", f"key {event.key} does not turn")


@final
class StrongEnough:
    """A lock makes a door no stronger: it is the oak that counts."""

    name = "strong_enough"

    def judge(self, ctx: Hero, _state: object, _event: DoorSmashed, /) -> Verdict:
        """Compare hero and oak."""
        if ctx.strength >= OAK:
            return PERMIT
        return Denial(self.name, "TOO_WEAK", f"{ctx.name} only hurts a shoulder")


@final
class UnlockGates(GateSet[Hero, Locked, DoorUnlocked]):
    """Both have to permit, in this order."""

    POLICY: ClassVar[str] = "dungeon.Door.unlock"

    def __init__(self) -> None:
        super().__init__(HasKey(), KeyFits())


@final
class SmashGates(GateSet[Hero, Closed | Locked, DoorSmashed]):
    """Asked wherever a door is shut."""

    POLICY: ClassVar[str] = "dungeon.Door.smash"

    def __init__(self) -> None:
        super().__init__(StrongEnough())


# ------------------------------------------------- a class per state, with the moves legal there


@final
class ClosedDoor(Handle[Closed]):
    """Moves: open, lock, smash."""

    __slots__ = ()

    def open(self) -> OpenIt:
        """Closed -> Open."""
        return self._move(OpenDoor, DoorOpened(door_id=self.data.door_id))

    def lock(self, *, key: KeyId) -> LockIt:
        """Closed -> Locked."""
        return self._move(LockedDoor, DoorLocked(door_id=self.data.door_id, key=key))

    def smash(self, *, by: str) -> SmashIt:
        """Closed -> Broken. Needs a receipt from SmashGates."""
        return self._guarded(BrokenDoor, DoorSmashed(door_id=self.data.door_id, by=by), SmashGates)


@final
class OpenDoor(Handle[Open]):
    """Moves: close."""

    __slots__ = ()

    def close(self) -> CloseIt:
        """Open -> Closed."""
        return self._move(ClosedDoor, DoorClosed(door_id=self.data.door_id))


@final
class LockedDoor(Handle[Locked]):
    """Moves: unlock, smash."""

    __slots__ = ()

    def unlock(self, *, key: KeyId) -> UnlockIt:
        """Locked -> Closed. Needs a receipt from UnlockGates."""
        return self._guarded(
            ClosedDoor, DoorUnlocked(door_id=self.data.door_id, key=key), UnlockGates
        )

    def smash(self, *, by: str) -> SmashIt:
        """Locked -> Broken. Needs a receipt from SmashGates."""
        return self._guarded(BrokenDoor, DoorSmashed(door_id=self.data.door_id, by=by), SmashGates)


@final
class BrokenDoor(Handle[Broken]):
    """No moves."""

    __slots__ = ()


DoorState: TypeAlias = ClosedDoor | OpenDoor | LockedDoor | BrokenDoor

OpenIt: TypeAlias = Transition[ClosedDoor, OpenDoor, DoorOpened]
CloseIt: TypeAlias = Transition[OpenDoor, ClosedDoor, DoorClosed]
LockIt: TypeAlias = Transition[ClosedDoor, LockedDoor, DoorLocked]
UnlockIt: TypeAlias = Guarded[LockedDoor, ClosedDoor, DoorUnlocked, UnlockGates]
SmashIt: TypeAlias = Guarded[ClosedDoor | LockedDoor, BrokenDoor, DoorSmashed, SmashGates]


@final
class DoorMachine(Machine[DoorState]):
    """The table is the machine: what is not in it does not happen."""

    NAME = "dungeon.Door"
    SCOPE = "dungeon"
    ENTITY = "door"
    KEY = "door_id"
    EDGES = edges(
        edge(Closed, DoorOpened, OpenDoor, _open),
        edge(Open, DoorClosed, ClosedDoor, _close),
        edge(Closed, DoorLocked, LockedDoor, _lock),
        edge(Locked, DoorUnlocked, ClosedDoor, _unlock, UnlockGates),
        edge(Closed, DoorSmashed, BrokenDoor, _smash, SmashGates),
        edge(Locked, DoorSmashed, BrokenDoor, _smash, SmashGates),
    )

    def __init__(self, ledger: Ledger) -> None:
        self.unlock_gates: Final = UnlockGates()
        self.smash_gates: Final = SmashGates()
        super().__init__(ledger, policies=(self.unlock_gates, self.smash_gates))

    def new(self, door_id: DoorId) -> ClosedDoor:
        """A door that nobody has touched."""
        return self._fresh(door_id, ClosedDoor, Closed(door_id=door_id))

    def load(self, door_id: DoorId) -> DoorState:
        """The door as the store has it now."""
        return self._load(door_id, Closed(door_id=door_id))

    def replay(self, door_id: DoorId, events: Iterable[DoorEvent]) -> DoorState:
        """The same fold over the given events, without the store."""
        return self._replay(door_id, Closed(door_id=door_id), events)
