"""Appending: what a caller asks for, and the proof that it was stored.

`Ledger` is all that machines need of a store; `Store` satisfies it, and so does a list in a test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct

from batpak.clock import Hlc
from batpak.config import Durability
from batpak.coordinate import Coordinate
from batpak.event import StoredEvent
from batpak.ids import EventId
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload


class AppendReceipt(Struct, frozen=True, kw_only=True):
    """Proof that the store took an event. Everything but `durability` and `replayed` is stored."""

    store_id: UUID
    event_id: EventId
    coordinate: Coordinate
    kind: EventKind
    payload_version: int
    sequence: int
    version: int
    hlc: Hlc
    correlation_id: UUID
    causation_id: EventId | None
    content_hash: bytes
    prev_hash: bytes
    event_hash: bytes
    extensions: Mapping[str, bytes]
    durability: Durability  # the level that was true when the call returned
    replayed: bool = False  # the key was known: this is the receipt of the first append

    @override
    def __hash__(self) -> int:
        return hash(self.event_hash)  # it covers everything that is stored


Cause: TypeAlias = EventId | StoredEvent[EventPayload] | AppendReceipt


class Ledger(Protocol):
    """What a machine needs of a store."""

    def append(
        self,
        coord: Coordinate,
        payload: EventPayload,
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

    def stream(self, entity: str) -> Iterator[StoredEvent[EventPayload]]:
        """The events of one entity in version order. See `StoreReader.stream`."""
        ...
