"""A small domain in the shape that generated code has, and a ledger that may fail.

A parcel: New -pack-> Packed -send-> Sent; Packed, Sent -cancel-> Gone. Pack and cancel have gates.
`ParcelPacked` has a field of every type that a schema knows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final, NewType, TypeAlias, final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from batpak import abi
from batpak.abi import Edge, Rule, StateData, WireEnum
from batpak.append import AppendReceipt, Ledger
from batpak.event import StoredEvent
from batpak.guard.gates import GateSet
from batpak.guard.verdict import PERMIT, Denial, Verdict
from batpak.kind import EventKind
from batpak.machine import Machine
from batpak.override import override
from batpak.payload import EventPayload
from batpak.testing.ledger import MemoryLedger
from batpak.testing.model import Asked
from batpak.typestate import Guarded, Handle, Transition
from batpak.wire import TYPED

ParcelId = NewType("ParcelId", UUID)


@final
class Carrier(WireEnum):
    DHL = "dhl"
    POST = "post"


@final
class Stamp(Struct, frozen=True, kw_only=True, gc=False):
    value: Decimal
    carrier: Carrier


# ------------------------------------------------------------------------------------- events


@final
class ParcelPacked(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x101)
    VERSION: ClassVar[int] = 1

    parcel_id: ParcelId
    pieces: int
    weight: Decimal
    volume: float
    insured: bool
    stamps: tuple[Stamp, ...]
    labels: Mapping[str, str]
    fees: Mapping[str, Decimal]
    marks: frozenset[str]
    seal: bytes
    packed_at: dt.datetime
    due: dt.date | None = None
    hold: dt.timedelta = dt.timedelta(0)
    note: str | None = None


@final
class ParcelSent(EventPayload, frozen=True, kw_only=True, gc=False):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x102)
    VERSION: ClassVar[int] = 1

    parcel_id: ParcelId
    carrier: Carrier
    sent_at: dt.datetime


@final
class ParcelCancelled(EventPayload, frozen=True, kw_only=True, gc=False):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x103)
    VERSION: ClassVar[int] = 1

    parcel_id: ParcelId
    reason: str


@final
class ParcelSeen(EventPayload, frozen=True, kw_only=True, gc=False):
    """Not a move; it may happen at any time. Without checks of its own: written by hand."""

    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x104)
    VERSION: ClassVar[int] = 1

    where: str


# ------------------------------------------------------------------------------------- checks


def check_stamp(value: object, at: str, problems: abi.Problems) -> None:
    if not abi.is_exactly(value, Stamp):
        problems.add(at, value, "a Stamp")
        return
    if not (abi.is_decimal(value.value, 5, 2) and value.value >= 0):
        problems.add(f"{at}.value", value.value, "a decimal of at most 5 digits, >= 0")
    if not abi.is_member(value.carrier, Carrier):
        problems.add(f"{at}.carrier", value.carrier, "a Carrier")


def canonical_stamp(value: Stamp) -> Stamp:
    amount = abi.canonical_decimal(value.value, 2)
    return value if amount is value.value else replace(value, value=amount)


def canonical_fee(value: Decimal) -> Decimal:
    return abi.canonical_decimal(value, 2)


@abi.check_for(ParcelPacked)
def check_parcel_packed(value: ParcelPacked, problems: abi.Problems) -> None:
    if not abi.is_uuid(value.parcel_id):
        problems.add("$.parcel_id", value.parcel_id, "a ParcelId")
    if not abi.is_int(value.pieces, 1, 1000):
        problems.add("$.pieces", value.pieces, "an integer in 1..1000")
    if not abi.is_decimal(value.weight, 9, 3):
        problems.add("$.weight", value.weight, "a decimal of at most 9 digits")
    if not abi.is_float(value.volume):
        problems.add("$.volume", value.volume, "a finite float")
    if not abi.is_bool(value.insured):
        problems.add("$.insured", value.insured, "a bool")
    if not abi.is_list(value.stamps, 0, 5):
        problems.add("$.stamps", value.stamps, "a tuple of 0..5 items")
    else:
        for index, item in enumerate(value.stamps):
            check_stamp(item, f"$.stamps[{index}]", problems)
    if not abi.is_map(value.labels):
        problems.add("$.labels", value.labels, "a dict with text keys")
    else:
        for key, label in value.labels.items():
            if not abi.is_text(label):
                problems.add(f"$.labels[{key!r}]", label, "text")
    if not abi.is_map(value.fees):
        problems.add("$.fees", value.fees, "a dict with text keys")
    else:
        for key, fee in value.fees.items():
            if not abi.is_decimal(fee, 9, 2):
                problems.add(f"$.fees[{key!r}]", fee, "a decimal of at most 9 digits")
    if not abi.is_set(value.marks):
        problems.add("$.marks", value.marks, "a frozenset")
    else:
        for mark in value.marks:
            if not abi.is_text(mark):
                problems.add("$.marks[]", mark, "text")
    if not abi.is_bytes(value.seal, 0, 16):
        problems.add("$.seal", value.seal, "at most 16 bytes")
    if not abi.is_timestamp(value.packed_at):
        problems.add("$.packed_at", value.packed_at, "a datetime with a time zone")
    if not (value.due is None or abi.is_date(value.due)):
        problems.add("$.due", value.due, "a date, or None")
    if not abi.is_duration(value.hold):
        problems.add("$.hold", value.hold, "a timedelta")
    if not (value.note is None or abi.is_text(value.note, 0, 50)):
        problems.add("$.note", value.note, "text of at most 50 characters, or None")


@abi.canonical_for(ParcelPacked)
def canonical_parcel_packed(value: ParcelPacked) -> ParcelPacked:
    weight = abi.canonical_decimal(value.weight, 3)
    volume = abi.canonical_float(value.volume)
    stamps = abi.canonical_each(canonical_stamp, value.stamps)
    fees = abi.canonical_items(canonical_fee, value.fees)
    return replace(value, weight=weight, volume=volume, stamps=stamps, fees=fees)


@abi.check_for(ParcelSent)
def check_parcel_sent(value: ParcelSent, problems: abi.Problems) -> None:
    if not abi.is_uuid(value.parcel_id):
        problems.add("$.parcel_id", value.parcel_id, "a ParcelId")
    if not abi.is_member(value.carrier, Carrier):
        problems.add("$.carrier", value.carrier, "a Carrier")
    if not abi.is_timestamp(value.sent_at):
        problems.add("$.sent_at", value.sent_at, "a datetime with a time zone")


@abi.check_for(ParcelCancelled)
def check_parcel_cancelled(value: ParcelCancelled, problems: abi.Problems) -> None:
    if not abi.is_uuid(value.parcel_id):
        problems.add("$.parcel_id", value.parcel_id, "a ParcelId")
    if not abi.is_text(value.reason, 1, 50):
        problems.add("$.reason", value.reason, "text of 1..50 characters")


# ------------------------------------------------------------------------------ states, gates


@final
class New(StateData, frozen=True, kw_only=True, gc=False, tag="New"):
    parcel_id: ParcelId


@final
class Packed(StateData, frozen=True, kw_only=True, tag="Packed"):
    parcel_id: ParcelId
    weight: Decimal
    labels: Mapping[str, str]


@final
class Sent(StateData, frozen=True, kw_only=True, tag="Sent"):
    parcel_id: ParcelId
    weight: Decimal
    carrier: Carrier


@final
class Gone(StateData, frozen=True, kw_only=True, gc=False, tag="Gone"):
    parcel_id: ParcelId
    reason: str


@final
class Desk(Struct, frozen=True, kw_only=True):
    """The context of the pack policy."""

    limit: Decimal


def judge_not_too_heavy(ctx: Desk, _state: object, event: ParcelPacked) -> Verdict:
    if event.weight <= ctx.limit:
        return PERMIT
    return Denial("not_too_heavy", "TOO_HEAVY", f"{abi.text(event.weight)} kg is too much")


def judge_stamped(_ctx: object, _state: object, event: ParcelPacked) -> Verdict:
    if sum((stamp.value for stamp in event.stamps), Decimal(0)) >= event.weight:
        return PERMIT
    return Denial("stamped", "NOT_STAMPED", "the stamps do not pay for it")


def judge_has_reason(_ctx: object, _state: object, event: ParcelCancelled) -> Verdict:
    return PERMIT if event.reason != "" else Denial("has_reason", "NO_REASON", "say why")


NOT_TOO_HEAVY: Final = Rule(
    "not_too_heavy",
    judge_not_too_heavy,
    source="event.weight <= ctx.limit",
    codes=("TOO_HEAVY",),
)
STAMPED: Final = Rule(
    "stamped",
    judge_stamped,
    source="sum(stamp.value for stamp in event.stamps) >= event.weight",
    codes=("NOT_STAMPED",),
    exact=True,
)


@final
class PackGates(GateSet[Desk, New, ParcelPacked]):
    POLICY: ClassVar[str] = "test.parcels.Parcel.pack"

    def __init__(self) -> None:
        super().__init__(NOT_TOO_HEAVY, STAMPED)


@final
class CancelGates(GateSet[None, Packed | Sent, ParcelCancelled]):
    POLICY: ClassVar[str] = "test.parcels.Parcel.cancel"

    def __init__(self) -> None:
        super().__init__(
            Rule("has_reason", judge_has_reason, source="event.reason != ''", codes=("NO_REASON",))
        )


# ------------------------------------------------------------------------------------ machine

_MOVES: Final[Mapping[str, str]] = {
    "pack": "NewParcel",
    "send": "PackedParcel",
    "cancel": "PackedParcel or SentParcel",
}


@final
class NewParcel(Handle[New]):
    STATE: ClassVar[str] = "New"
    DATA: ClassVar[type[StateData]] = New
    MOVES: ClassVar[Mapping[str, str]] = _MOVES

    __slots__ = ()

    def pack(
        self,
        *,
        weight: Decimal = Decimal("1.500"),
        labels: Mapping[str, str] | None = None,
        stamps: tuple[Stamp, ...] = (Stamp(value=Decimal("2.00"), carrier=Carrier.POST),),
        note: str | None = None,
    ) -> PackParcel:
        return self._guarded(
            PackedParcel,
            ParcelPacked(
                parcel_id=self.data.parcel_id,
                pieces=1,
                weight=weight,
                volume=1.0,
                insured=False,
                stamps=stamps,
                labels={} if labels is None else labels,
                fees={},
                marks=frozenset(),
                seal=b"",
                packed_at=NOON,
                note=note,
            ),
            PackGates,
        )


@final
class PackedParcel(Handle[Packed]):
    STATE: ClassVar[str] = "Packed"
    DATA: ClassVar[type[StateData]] = Packed
    MOVES: ClassVar[Mapping[str, str]] = _MOVES

    __slots__ = ()

    def send(self, *, carrier: Carrier = Carrier.DHL, sent_at: dt.datetime) -> SendParcel:
        return self._move(
            SentParcel,
            ParcelSent(parcel_id=self.data.parcel_id, carrier=carrier, sent_at=sent_at),
        )

    def cancel(self, *, reason: str) -> CancelParcel:
        return self._guarded(
            GoneParcel, ParcelCancelled(parcel_id=self.data.parcel_id, reason=reason), CancelGates
        )


@final
class SentParcel(Handle[Sent]):
    STATE: ClassVar[str] = "Sent"
    DATA: ClassVar[type[StateData]] = Sent
    MOVES: ClassVar[Mapping[str, str]] = _MOVES

    __slots__ = ()

    def cancel(self, *, reason: str) -> CancelParcel:
        return self._guarded(
            GoneParcel, ParcelCancelled(parcel_id=self.data.parcel_id, reason=reason), CancelGates
        )


@final
class GoneParcel(Handle[Gone]):
    STATE: ClassVar[str] = "Gone"
    DATA: ClassVar[type[StateData]] = Gone
    MOVES: ClassVar[Mapping[str, str]] = _MOVES

    __slots__ = ()


ParcelState: TypeAlias = NewParcel | PackedParcel | SentParcel | GoneParcel
PackParcel: TypeAlias = Guarded[NewParcel, PackedParcel, ParcelPacked, PackGates]
SendParcel: TypeAlias = Transition[PackedParcel, SentParcel, ParcelSent]
CancelParcel: TypeAlias = Guarded[
    PackedParcel | SentParcel, GoneParcel, ParcelCancelled, CancelGates
]


def _evolve_pack(state: New, event: ParcelPacked) -> Packed:
    return Packed(parcel_id=state.parcel_id, weight=event.weight, labels=event.labels)


def _evolve_send(state: Packed, event: ParcelSent) -> Sent:
    return Sent(parcel_id=state.parcel_id, weight=state.weight, carrier=event.carrier)


def _evolve_cancel(state: Packed | Sent, event: ParcelCancelled) -> Gone:
    return Gone(parcel_id=state.parcel_id, reason=event.reason)


STEPS: Final[Mapping[Any, Any]] = {
    (New, ParcelPacked): _evolve_pack,
    (Packed, ParcelSent): _evolve_send,
    (Packed, ParcelCancelled): _evolve_cancel,
    (Sent, ParcelCancelled): _evolve_cancel,
}


class ParcelMachine(Machine[ParcelState]):
    NAME: ClassVar[str] = "test.parcels.Parcel"
    SCOPE: ClassVar[str] = "test.parcels"
    ENTITY: ClassVar[str] = "parcel"
    KEY: ClassVar[str] = "parcel_id"
    HANDLES: ClassVar[Mapping[type[StateData], type[Handle[Any]]]] = {
        New: NewParcel,
        Packed: PackedParcel,
        Sent: SentParcel,
        Gone: GoneParcel,
    }
    EDGES: ClassVar[Mapping[tuple[type[StateData], type[EventPayload]], Edge]] = {
        (New, ParcelPacked): Edge(PackedParcel, PackGates),
        (Packed, ParcelSent): Edge(SentParcel),
        (Packed, ParcelCancelled): Edge(GoneParcel, CancelGates),
        (Sent, ParcelCancelled): Edge(GoneParcel, CancelGates),
    }
    KINDS: ClassVar[frozenset[EventKind]] = frozenset(
        {ParcelPacked.KIND, ParcelSent.KIND, ParcelCancelled.KIND}
    )

    def __init__(
        self,
        ledger: Ledger,
        steps: Mapping[Any, Any] = STEPS,
        *,
        pack_gates: PackGates | None = None,
    ) -> None:
        self.pack_gates: Final = pack_gates or PackGates()
        self.cancel_gates: Final = CancelGates()
        super().__init__(ledger, steps, (self.pack_gates, self.cancel_gates))

    def new(self, parcel_id: ParcelId) -> NewParcel:
        return self._fresh(parcel_id, NewParcel, New(parcel_id=parcel_id))

    def load(self, parcel_id: ParcelId) -> ParcelState:
        return self._load(parcel_id, New(parcel_id=parcel_id))

    def replay(self, parcel_id: ParcelId, events: Iterable[EventPayload]) -> ParcelState:
        return self._replay(parcel_id, New(parcel_id=parcel_id), events)


# ------------------------------------------------------------------------------------- ledger

NOON: Final = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
DESK: Final = Desk(limit=Decimal(30))


class BrittleLedger(MemoryLedger):
    """A ledger in memory that shows what it has, and that fails when it is told to.

    `fail_before` and `fail_after` are raised by the next append, before or after storing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fail_before: Exception | None = None
        self.fail_after: Exception | None = None

    @property
    def events(self) -> list[StoredEvent[EventPayload]]:
        """Everything that is stored."""
        entities = dict.fromkeys(one.coordinate.entity for one in self._model.events)
        found = [event for entity in entities for event in self.stream(entity, form=TYPED)]
        return sorted(found, key=lambda event: event.sequence)

    @override
    def _take(self, asked: Asked) -> tuple[AppendReceipt, ...]:
        self._fail("fail_before")
        taken = super()._take(asked)
        self._fail("fail_after")
        return taken

    def _fail(self, when: str) -> None:
        error: Exception | None = getattr(self, when)
        setattr(self, when, None)
        if error is not None:
            raise error
