"""Machines: entities that move from state to state, one event at a time.

    load    initial data, then one step per stored event of the machine's kinds
    apply   table -> encode -> step -> append at the handle's version -> handle
    commit  the same, with a receipt spent before the event is encoded

The table (`EDGES`) is the machine: what is not in it does not happen, whatever a type checker was
told. The step runs before the write, so one that fails leaves nothing behind, and over the event
as decoded from the bytes to be stored, so a handle knows exactly what a later load will.

Generated code spells everything out; a machine written by hand says what cannot be derived:

    class DoorMachine(Machine[OpenDoor | ClosedDoor]):
        NAME = "house.Door"
        SCOPE = "house"
        ENTITY = "door"
        EDGES = edges(
            edge(Closed, DoorOpened, OpenDoor, _open),
            edge(Open, DoorClosed, ClosedDoor, _close),
        )
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from types import FunctionType, MappingProxyType, UnionType
from typing import (
    Any,
    ClassVar,
    Final,
    Generic,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)
from uuid import UUID

from batpak import wire
from batpak.append import Cause, Ledger
from batpak.arguments import require
from batpak.coordinate import Coordinate
from batpak.digest import joined_hash
from batpak.edge_table import KEYS, Key, Row, key_type, row_names
from batpak.errors import (
    IllegalHistory,
    IllegalTransition,
    InvalidArgument,
    StaleState,
    VersionConflict,
)
from batpak.frozen import is_changeable
from batpak.guard.gates import AnyGates
from batpak.guard.receipt import Receipt
from batpak.ids import framed, key_begin
from batpak.kind import EventKind
from batpak.machine_snapshot import EVERY, Snapshot, Snapshots, unbroken
from batpak.override import override
from batpak.payload import EventPayload
from batpak.report import Watermark
from batpak.seal import SEAL
from batpak.typestate import (
    Edge,
    G,
    Guarded,
    Handle,
    Policy,
    StateData,
    Step,
    T,
    Transition,
    arrived,
    bracketed,
    copied_data,
    data_of,
    derive,
    store_of,
)
from batpak.wire import RAW, Encoded

S = TypeVar("S", bound=Handle[StateData])

_AnyMove: TypeAlias = Transition[S, T, EventPayload] | Guarded[S, T, EventPayload, AnyGates]


class Machine(Generic[S]):
    """A state machine over a ledger. `S` is the union of its handles.

    Safe to share between threads, as far as its ledger is.
    """

    NAME: ClassVar[str]  # for ever: it goes into the keys of moves
    SCOPE: ClassVar[str]
    ENTITY: ClassVar[str]  # what stands before the key in every entity of this machine
    KEY: ClassVar[str] = ""  # the field of every state and event that has it; "": not all do
    EDGES: ClassVar[Mapping[Row, Edge]]
    HANDLES: ClassVar[Mapping[type[StateData], type[Handle[Any]]]]  # unless given, those of S
    KINDS: ClassVar[frozenset[EventKind]]  # unless given, those of EDGES

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "EDGES" in cls.__dict__:
            derive(cls, KINDS=frozenset(event.KIND for _, event in cls.EDGES))
        handles = _members(bracketed(cls, Machine))
        if handles:
            derive(cls, HANDLES=MappingProxyType({handle.DATA: handle for handle in handles}))
            where = _moves(handles)
            for handle in handles:
                derive(handle, MOVES=where)

    def __init__(
        self,
        ledger: Ledger,
        steps: Mapping[Row, Step] | None = None,
        policies: Iterable[AnyGates] = (),
    ) -> None:
        """Take what the table does not hold.

        Args:
            ledger: A store, or anything that appends and streams like one.
            steps: (state, event) -> the function that gives the next state data, for the edges
                that have none of their own. Pure.
            policies: One instance of every policy that an edge names.

        Raises:
            InvalidArgument: The class does not say a name that it has to; or there are two of one
                policy; or an edge has no step, or its policy is missing, or it begins or ends
                in a state that the machine has no handle for, or lacks KEY; the ledger has no id.
        """
        for name in ("NAME", "SCOPE", "ENTITY", "EDGES", "HANDLES"):
            if not hasattr(self, name):
                raise InvalidArgument(name, f"{type(self).__name__} does not say it")
        self._ledger: Final = ledger
        self._store_id: Final = _store_id(ledger)
        given = steps or {}
        self._table: Final[Mapping[Row, Edge]] = {
            row: Edge(to.target, to.policy, given.get(row, to.step))
            for row, to in self.EDGES.items()
        }
        self._policies: Final[dict[type[Policy], AnyGates]] = {}
        for policy in policies:
            if type(policy) in self._policies:
                name = type(policy).__name__
                raise InvalidArgument("policies", f"{self.NAME}: there are two {name}")
            self._policies[type(policy)] = policy
        self._begin: Final = key_begin("batpak/move/1") + framed(self.NAME)
        self._scope: Final = framed(self.SCOPE)
        self._key_of: Final = attrgetter(self.KEY) if self.KEY else None
        self._key_type: Final = key_type(self._table, self.KEY) if self.KEY else None
        self._snapshots: Final = Snapshots(ledger, self.NAME, self._table)
        self._framed: Final[dict[tuple[int, int], bytes]] = {}
        for data, handle in self.HANDLES.items():
            if is_changeable(data):  # else a policy would judge what somebody has put there
                derive(handle, data=copied_data)
        for row, to in self._table.items():
            if to.step is None:
                raise InvalidArgument("steps", f"{self.NAME}: {row_names(row)} has none")
            if to.policy is not None and to.policy not in self._policies:
                raise InvalidArgument("policies", f"{self.NAME}: {to.policy.__name__} is missing")
            for cls in row if self.KEY else ():
                if self.KEY not in cls.__struct_fields__:
                    lacks = f"{cls.__name__} has no {self.KEY}"
                    raise InvalidArgument("edges", f"{self.NAME}: {lacks}, which is the key")
            if row[0] not in self.HANDLES or to.target not in self.HANDLES.values():
                where = f"{row_names(row)} -> {to.target.__name__}"
                raise InvalidArgument("edges", f"{self.NAME}: {where} leads out of the machine")

    @property
    def ledger(self) -> Ledger:
        """What it reads and writes."""
        return self._ledger

    def policy(self, of: type[G]) -> G:
        """The machine's own instance of a policy, the only one whose receipts it takes.

        For code that works with any machine; other code has it by name: `orders.pay_gates`.

        Raises:
            InvalidArgument: No edge of this machine names it.
        """
        found: object = self._policies.get(of)
        if type(found) is not of:
            raise InvalidArgument("policy", f"{self.NAME} does not ask a {of.__name__}")
        return found

    def _fresh(self, key: Key, handle: type[T], data: StateData) -> T:
        """The handle of an entity that is not stored yet."""
        return handle(SEAL, self._coordinate(key, data), 0, data, self._store_id)

    def _load(self, key: Key, start: StateData) -> S:
        """Fold what the ledger has of an entity. Its version counts events of any kind."""
        coordinate = self._coordinate(key, start)
        entity, ledger = coordinate.entity, self._ledger
        data, version, stored = start, 0, None
        epoch, due = self._snapshots.epoch, ledger.version(entity)
        taken = self._snapshots.newest(entity, start) if self._snapshots.kept else None
        if taken is None:
            events = ledger.stream(entity, form=RAW)
        else:
            events = ledger.stream(entity, first_version=taken.version, form=RAW)
            last = next(events, None)
            if last is not None and last.event_hash == taken.head:
                data, version = taken.data, taken.version
            else:  # another history, or a part of this one
                events = ledger.stream(entity, form=RAW)
        known = version
        for stored in unbroken(events, version, due, self.NAME, self.KINDS):
            version, kind = stored.version, stored.kind
            if kind in self.KINDS:  # of any other, the program need not have a class
                event = wire.decode(kind, stored.payload_version, stored.payload, stored.sequence)
                data = self._replayed(data, event, version)
        if stored is not None and version - known >= EVERY and self._snapshots.kept:
            self._snapshots.keep(entity, start, Snapshot(version, stored.event_hash, data), epoch)
        return self._handle(coordinate, version, data, self._store_id)

    def _replay(self, key: Key, start: StateData, events: Iterable[EventPayload]) -> S:
        """Fold events that are given; each counts as one version. What comes out does not write."""
        coordinate, data, version = self._coordinate(key, start), start, 0
        if not isinstance(cast("object", events), Iterable):
            raise InvalidArgument("events", f"must be events, not {type(events).__name__}")
        for version, event in enumerate(events, 1):
            if not isinstance(cast("object", event), EventPayload):
                raise InvalidArgument("events", f"a {type(event).__name__} is no event")
            if event.KIND in self.KINDS:
                data = self._replayed(data, event, version)
        return self._handle(coordinate, version, data, None)

    def apply(
        self,
        move: Transition[S, T, EventPayload],
        *,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
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
            wait_for: See `Store.append`. Where that raises although the move is stored, apply it
                again, or load.
            timeout_s: See there.

        Raises:
            IllegalTransition: The table has no such move, or it needs a receipt; or the handle is
                from another store, or from none.
            PayloadInvalid: The event may not be stored.
            StaleState: The entity has moved on since the handle was read; load it again.
        """
        require("move", move, Transition, Guarded)
        edge = self._edge(move, None)
        encoded = wire.encode(move.event)
        return self._store(
            move, edge, encoded, caused_by, correlation_id, flags, extensions, wait_for, timeout_s
        )

    def commit(
        self,
        receipt: Receipt[Guarded[S, T, EventPayload, AnyGates]],
        *,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
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
            wait_for: See `Store.append`. Where that raises although the move is stored, apply it
                again, or load.
            timeout_s: See there.

        Raises:
            InvalidArgument: It is no receipt, or not one for a move.
            ReceiptRejected: The receipt is not for this event, from this handle, by these gates.
            IllegalTransition: The table has no such move, or it needs another policy; or the
                handle is from another store, or from none.
            StaleState: The entity has moved on since the handle was read; load it again.
        """
        require("receipt", receipt, Receipt)
        move = receipt.proposal
        require("receipt", move, Guarded)
        edge = self._edge(move, move.policy)
        spent = receipt.spend(self._policies[move.policy].jury, extensions)
        encoded, stamped = spent.encoded, spent.extensions
        return self._store(
            move, edge, encoded, caused_by, correlation_id, flags, stamped, wait_for, timeout_s
        )

    def _edge(self, move: _AnyMove[S, T], policy: type[Policy] | None) -> Edge:
        """The row of the table that a move takes.

        Raises:
            InvalidArgument: It was made around the constructor.
            IllegalTransition: There is none, or it needs another policy than was asked, or it is
                from a handle that was not read from this store, or its event is of another key.
        """
        try:
            source, target, event = move.source, move.target, move.event
            data, store_id = data_of(source), store_of(source)
        except AttributeError:
            raise InvalidArgument("move", "an empty hull, made around the constructor") from None
        edge = self._table.get((type(data), type(event)))
        if (
            edge is not None
            and edge.target is target
            and edge.policy is policy
            and self.HANDLES.get(type(data)) is type(source)
        ):
            if store_id is not self._store_id and store_id != self._store_id:
                handle = type(source).__name__
                if store_id is None:
                    raise IllegalTransition(f"this {handle} was replayed; load it")
                raise IllegalTransition(f"this {handle} was read from another store; load it")
            if self._key_of is not None and not _alike(self._key_of(event), self._key_of(data)):
                name = type(event).__name__
                raise IllegalTransition(f"{self.NAME}: this {name} has another {self.KEY}")
            return edge
        here = f"{self.NAME}: {type(source).__name__} + {type(event).__name__}"
        if edge is None or self.HANDLES.get(type(data)) is not type(source):
            raise IllegalTransition(f"{here} is no move")
        if edge.target is not target:
            raise IllegalTransition(f"{here} does not lead to {target.__name__}")
        needs = "no receipt" if edge.policy is None else edge.policy.__name__
        raise IllegalTransition(f"{here} needs {needs}")

    def _store(
        self,
        move: _AnyMove[S, T],
        edge: Edge,
        encoded: Encoded,
        caused_by: Cause | None,
        correlation_id: UUID | None,
        flags: int,
        extensions: Mapping[str, bytes] | None,
        wait_for: Watermark | None,
        timeout_s: float | None,
    ) -> T:
        """Step, append, and give the next handle.

        The step gets a copy of the event: whatever it does to that, what is stored is what was
        encoded, and judged.
        """
        source = move.source
        coordinate, version = source.coordinate, source.version
        data = self._step(
            edge, source.data, wire.decode(encoded.kind, encoded.version, encoded.data)
        )
        try:
            self._ledger.append(
                coordinate,
                encoded,
                expected_version=version,
                idempotency_key=self._key(coordinate.entity, version, encoded),
                caused_by=caused_by,
                correlation_id=correlation_id,
                flags=flags,
                extensions=extensions,
                wait_for=wait_for,
                timeout_s=timeout_s,
            )
        except VersionConflict as error:
            handle = type(source).__name__
            raise StaleState(handle, error.entity, error.expected, error.actual) from error
        return arrived(  # also if it was there before
            move.target, coordinate, version + 1, data, self._store_id
        )

    def _key(self, entity: str, version: int, encoded: Encoded) -> bytes:
        """What makes a repeated move the same move.

        `operation_key` of "batpak/move/1", NAME, entity, SCOPE, version, kind, payload version and
        bytes, of which all but three parts are framed once.
        """
        what = encoded.kind, encoded.version
        ends = self._framed.get(what) or self._framed.setdefault(
            what, framed(int(encoded.kind)) + framed(encoded.version)
        )
        return joined_hash(
            self._begin,
            framed(entity),
            self._scope,
            framed(version),
            ends,
            framed(encoded.data),
        )

    def _replayed(self, data: StateData, event: EventPayload, version: int) -> StateData:
        """One step of a history.

        Raises:
            IllegalHistory: The table has no such step, or the event is about another entity.
        """
        edge = self._table.get((type(data), type(event)))
        if edge is None:
            raise IllegalHistory(self.NAME, type(event).__name__, version, type(data).__name__)
        if self._key_of is not None and not _alike(self._key_of(event), self._key_of(data)):
            names = self.NAME, type(event).__name__, version, type(data).__name__
            raise IllegalHistory(*names, f" of another {self.KEY}")
        return self._step(edge, data, event)

    def _step(self, edge: Edge, data: StateData, event: EventPayload) -> StateData:
        """The next state data.

        Raises:
            IllegalTransition: The step gave data of another state than the table says.
        """
        step = cast("Step", edge.step)  # `__init__` makes sure of it
        fresh = step(data, event)
        if self.HANDLES.get(type(fresh)) is not edge.target:
            row = row_names((type(data), type(event)))
            gave = f"the step of {row} gave {type(fresh).__name__}"
            raise IllegalTransition(f"{self.NAME}: {gave}")
        return fresh

    def _coordinate(self, key: Key, start: StateData) -> Coordinate:
        """Where an entity is.

        Raises:
            InvalidArgument: That is no key, or not what the field KEY says that keys are.
        """
        given: object = key
        due: tuple[type, ...] = KEYS
        if self._key_of is not None and self._key_type is not None:
            given, due = self._key_of(start), (self._key_type,)
        if not isinstance(given, due) or isinstance(given, bool):
            types = " or ".join(cls.__name__ for cls in due)
            raise InvalidArgument(
                self.KEY or "key",
                f"{self.NAME} is named by a {types}, not by a {type(given).__name__}",
                hint=f"give the key itself; the entity `{self.ENTITY}:…` is named after it",
            )
        return Coordinate(f"{self.ENTITY}:{key.hex if isinstance(key, UUID) else key}", self.SCOPE)

    def _handle(
        self, coordinate: Coordinate, version: int, data: StateData, store_id: UUID | None
    ) -> S:
        handle = self.HANDLES[type(data)](SEAL, coordinate, version, data, store_id)
        return cast("S", handle)  # S is the union of HANDLES


def _members(states: object) -> list[type[Handle[Any]]]:
    """The handle classes of a union, or the one class that it is."""
    parts = get_args(states) if get_origin(states) in (Union, UnionType) else (states,)
    found: list[type[Handle[Any]]]
    found = [part for part in parts if isinstance(part, type) and issubclass(part, Handle)]
    return found


def _moves(handles: Iterable[type[Handle[Any]]]) -> Mapping[str, str]:
    """Where each method of some handles can be called, for messages: `OpenDoor or ClosedDoor`."""
    where: dict[str, list[str]] = {}
    for handle in handles:
        for name, member in handle.__dict__.items():
            if isinstance(member, FunctionType) and not name.startswith("_"):
                where.setdefault(name, []).append(handle.__name__)
    return {
        name: " or ".join(filter(None, (", ".join(most), last)))
        for name, (*most, last) in where.items()
    }


def _store_id(ledger: Ledger) -> UUID:
    found: object = getattr(ledger, "store_id", None)
    if not isinstance(found, UUID):
        raise InvalidArgument("ledger", f"a {type(ledger).__name__} has no store_id")
    return found


def _alike(one: object, other: object) -> bool:
    return one is other or one == other  # most are the same object
