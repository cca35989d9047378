"""Appending: what a caller asks for, and the proof that it was stored.

`Ledger` is all that machines need of a store; `Store` satisfies it, and so does a list in a test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct

from batpak.config import Durability
from batpak.coordinate import Coordinate
from batpak.event import EventHeader, IndexEntry, StoredEvent
from batpak.ids import EventId
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.wire import Encoded, Form, Q


class Claim(Struct, frozen=True):
    """What a receipt says of the log: the same for an append and for its replay."""

    store_id: UUID
    coordinate: Coordinate
    head: bytes
    content_hash: bytes
    extensions: Mapping[str, bytes]


class AppendReceipt(Struct, EventHeader, frozen=True, kw_only=True):
    """Proof that the store took an event. Everything but `durability` and `replayed` is stored."""

    store_id: UUID
    coordinate: Coordinate
    head: bytes  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]  held, not computed
    content_hash: bytes
    extensions: Mapping[str, bytes]
    durability: Durability  # the level that was true when the call returned
    replayed: bool = False  # the key was known: this is the receipt of the first append

    @property
    def claim(self) -> Claim:
        """Everything that stays true: all but `durability` and `replayed`."""
        return Claim(self.store_id, self.coordinate, self.head, self.content_hash, self.extensions)

    @override
    def __hash__(self) -> int:
        return hash(self.head)  # its hash covers everything that is stored

    @override
    def __repr__(self) -> str:
        return (
            f"AppendReceipt(sequence={self.sequence}, coordinate={self.coordinate!s},"
            f" version={self.version}, kind={self.kind}, event_id={self.event_id},"
            f" durability={self.durability.name}, replayed={self.replayed})"
        )


Cause: TypeAlias = EventId | IndexEntry | StoredEvent[Any] | AppendReceipt
"""What may have caused an event: another one, however it is at hand."""


class PriorItem(Struct, frozen=True):
    """An earlier item of the same batch, by position, as the cause of a later one."""

    index: int


class RawPayload(Struct, frozen=True):
    """A payload that is encoded already: one MessagePack value."""

    kind: EventKind
    data: bytes
    version: int = 1


class _Fact(Struct, frozen=True):
    """The two things that are given by position."""

    coord: Coordinate
    payload: EventPayload | RawPayload


class BatchItem(_Fact, frozen=True, kw_only=True):
    """One event of a batch, with the conditions that `Store.append` takes as keywords."""

    expected_version: int | None = None  # judged with the earlier items of the batch counted
    idempotency_key: str | bytes | None = None
    caused_by: Cause | PriorItem | None = None
    correlation_id: UUID | None = None
    flags: int = 0
    extensions: Mapping[str, bytes] | None = None


class Ledger(Protocol):
    """What a machine needs of a store. A move comes encoded: `wire.encode` lets that pass."""

    def append(
        self,
        coord: Coordinate,
        payload: EventPayload | Encoded,
        *,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> AppendReceipt:
        """Store one event. See `Store.append`."""
        ...

    def stream(self, entity: str, *, form: Form[Q]) -> Iterator[StoredEvent[Q]]:
        """The events of one entity in version order. See `StoreReader.stream`."""
        ...
