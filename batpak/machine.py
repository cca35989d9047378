"""Machines: entities that move from state to state, one event at a time.

    load    initial data, then one step per stored event of the machine's kinds
    apply   table -> encode -> step -> append at the handle's version -> handle
    commit  the same, with a receipt spent before the event is encoded

The table (`EDGES`) is the machine: what is not in it does not happen, whatever a type checker was
told. The step runs before the write, so one that fails leaves nothing behind, and over the event
as decoded from the bytes to be stored, so a handle knows exactly what a later load will.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Generic, TypeAlias, TypeVar, cast
from uuid import UUID

from batpak import wire
from batpak.append import Cause, Ledger
from batpak.coordinate import Coordinate
from batpak.errors import (
    IllegalHistory,
    IllegalTransition,
    InvalidArgument,
    StaleState,
    VersionConflict,
)
from batpak.guard.gates import AnyGates
from batpak.guard.receipt import Receipt
from batpak.ids import operation_key
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.seal import SEAL
from batpak.typestate import Edge, Guarded, Handle, Policy, StateData, T, Transition
from batpak.wire import Encoded

S = TypeVar("S", bound=Handle[StateData])

_AnyMove: TypeAlias = Transition[S, T, EventPayload] | Guarded[S, T, EventPayload, AnyGates]

Step: TypeAlias = Callable[[Any, Any], StateData]
Row: TypeAlias = tuple[type[StateData], type[EventPayload]]


class Machine(Generic[S]):
    """A state machine over a ledger. `S` is the union of its handles. Generated code subclasses it.

    Safe to share between threads, as far as its ledger is.
    """

    NAME: ClassVar[str]
    SCOPE: ClassVar[str]
    ENTITY: ClassVar[str]  # what stands before the key in every entity of this machine
    HANDLES: ClassVar[Mapping[type[StateData], type[Handle[Any]]]]
    EDGES: ClassVar[Mapping[Row, Edge]]
    KINDS: ClassVar[frozenset[EventKind]]

    def __init__(
        self,
        ledger: Ledger,
        steps: Mapping[Row, Step],
        policies: Iterable[AnyGates] = (),
    ) -> None:
        """Take what the tables do not hold.

        Args:
            ledger: A store, or anything that appends and streams like one.
            steps: (state, event) -> the function that gives the next state data. Pure.
            policies: One instance of every policy that an edge names.

        Raises:
            InvalidArgument: An edge has no step, or its policy is missing.
        """
        self._ledger = ledger
        self._steps: Final = dict(steps)
        self._policies: Final[Mapping[type[Policy], AnyGates]] = {
            type(policy): policy for policy in policies
        }
        for row, edge in self.EDGES.items():
            if row not in self._steps:
                names = " + ".join(cls.__name__ for cls in row)
                raise InvalidArgument("steps", f"{self.NAME}: {names} has none")
            if edge.policy is not None and edge.policy not in self._policies:
                raise InvalidArgument("policies", f"{self.NAME}: {edge.policy.__name__} is missing")

    def _fresh(self, key: str, handle: type[T], data: StateData) -> T:
        """The handle of an entity that is not stored yet."""
        return handle(SEAL, self._coordinate(key), 0, data)

    def _load(self, key: str, start: StateData) -> S:
        """Fold what the ledger has of an entity. Its version counts events of any kind."""
        coordinate = self._coordinate(key)
        data, version = start, 0
        for event in self._ledger.stream(coordinate.entity):
            version = event.version
            if event.kind in self.KINDS:
                data = self._replayed(data, event.payload, version)
        return self._handle(coordinate, version, data)

    def _replay(self, key: str, start: StateData, events: Iterable[EventPayload]) -> S:
        """Fold events that are given; each counts as one version."""
        data, version = start, 0
        for version, event in enumerate(events, 1):
            if event.KIND in self.KINDS:
                data = self._replayed(data, event, version)
        return self._handle(self._coordinate(key), version, data)

    def apply(
        self,
        move: Transition[S, T, EventPayload],
        *,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> T:
        """Store a move and return the handle after it.

        The same move applied again, after an error that left the outcome open, stores nothing
        twice and returns an equal handle. On return the event is as durable as the ledger makes
        its appends.

        Args:
            move: From a handle of this machine.
            caused_by: See `Store.append`; likewise the rest.
            correlation_id: The conversation it belongs to.
            flags: One byte, stored as given.
            extensions: Stored beside the payload.

        Raises:
            IllegalTransition: The table has no such move, or it needs a receipt.
            PayloadInvalid: The event may not be stored.
            StaleState: The entity has moved on since the handle was read; load it again.
        """
        _require("move", move, Transition, Guarded)
        self._check(move, None)
        return self._store(
            move, wire.encode(move.event), caused_by, correlation_id, flags, extensions
        )

    def commit(
        self,
        receipt: Receipt[Guarded[S, T, EventPayload, AnyGates]],
        *,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> T:
        """Store a move that its gates have permitted, and return the handle after it.

        The receipt is spent by the attempt, whatever comes of it. To repeat after an error, judge
        the same move again: if it was stored after all, nothing is stored twice. The event says
        which policy permitted it, in the extension `batpak.policy` (see `PolicyStamp`).

        Args:
            receipt: From this machine's set of gates for the move.
            caused_by: See `Store.append`; likewise the rest.
            correlation_id: The conversation it belongs to.
            flags: One byte, stored as given.
            extensions: Stored beside the payload.

        Raises:
            InvalidArgument: It is no receipt, or not one for a move.
            ReceiptRejected: The receipt is not for this event, from this handle, by these gates.
            IllegalTransition: The table has no such move, or it needs another policy.
            StaleState: The entity has moved on since the handle was read; load it again.
        """
        _require("receipt", receipt, Receipt)
        move = receipt.proposal
        _require("receipt", move, Guarded)
        self._check(move, move.policy)
        policy = self._policies[move.policy]
        encoded = receipt.spend(policy.fingerprint)
        stamped = policy.stamp(extensions)
        return self._store(move, encoded, caused_by, correlation_id, flags, stamped)

    def _check(self, move: _AnyMove[S, T], policy: type[Policy] | None) -> None:
        """Hold a move against the table.

        Raises:
            IllegalTransition: It is not there, or needs another policy than was asked.
        """
        row = (type(move.source.data), type(move.event))
        edge = self.EDGES.get(row)
        here = f"{self.NAME}: {type(move.source).__name__} + {row[1].__name__}"
        if edge is None or self.HANDLES.get(row[0]) is not type(move.source):
            raise IllegalTransition(f"{here} is no move")
        if edge.target is not move.target:
            raise IllegalTransition(f"{here} does not lead to {move.target.__name__}")
        if edge.policy is not policy:
            needs = "no receipt" if edge.policy is None else edge.policy.__name__
            raise IllegalTransition(f"{here} needs {needs}")

    def _store(
        self,
        move: _AnyMove[S, T],
        encoded: Encoded,
        caused_by: Cause | None,
        correlation_id: UUID | None,
        flags: int,
        extensions: Mapping[str, bytes] | None,
    ) -> T:
        """Step, append, and give the next handle.

        The step and the ledger each get their own copy of the event: whatever a step does to its
        own, what was checked and judged is what is stored.
        """
        source = move.source
        coordinate, version = source.coordinate, source.version
        kind, payload_version, payload = encoded.kind, encoded.version, encoded.data
        data = self._step(source.data, wire.decode(kind, payload_version, payload))
        key = operation_key(
            "batpak/move/1",
            self.NAME,
            coordinate.entity,
            coordinate.scope,
            version,
            int(kind),
            payload_version,
            payload,
        )
        try:
            stored = self._ledger.append(
                coordinate,
                wire.decode(kind, payload_version, payload),
                expected_version=version,
                idempotency_key=key,
                caused_by=caused_by,
                correlation_id=correlation_id,
                flags=flags,
                extensions=extensions,
            )
        except VersionConflict as error:
            handle = type(source).__name__
            raise StaleState(handle, error.entity, error.expected, error.actual) from error
        return move.target(SEAL, coordinate, stored.version, data)

    def _replayed(self, data: StateData, event: EventPayload, version: int) -> StateData:
        """One step of a history.

        Raises:
            IllegalHistory: The table has no such step.
        """
        if (type(data), type(event)) not in self.EDGES:
            raise IllegalHistory(self.NAME, type(event).__name__, version, type(data).__name__)
        return self._step(data, event)

    def _step(self, data: StateData, event: EventPayload) -> StateData:
        """The next state data.

        Raises:
            IllegalTransition: The step gave data of another state than the table says.
        """
        row = (type(data), type(event))
        fresh = self._steps[row](data, event)
        if self.HANDLES.get(type(fresh)) is not self.EDGES[row].target:
            names = " + ".join(cls.__name__ for cls in row)
            raise IllegalTransition(f"{self.NAME}: the step of {names} gave {type(fresh).__name__}")
        return fresh

    def _coordinate(self, key: str) -> Coordinate:
        return Coordinate(f"{self.ENTITY}:{key}", self.SCOPE)

    def _handle(self, coordinate: Coordinate, version: int, data: StateData) -> S:
        handle = self.HANDLES[type(data)](SEAL, coordinate, version, data)
        return cast("S", handle)  # S is the union of HANDLES


def _require(argument: str, given: object, *classes: type) -> None:
    """Refuse what a checker would have refused, before it fails in some less clear way."""
    if type(given) not in classes:
        names = " or a ".join(cls.__name__ for cls in classes)
        raise InvalidArgument(argument, f"expected a {names}, got a {type(given).__name__}")
