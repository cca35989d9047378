r"""An event as it is read back, and the hash that chains it to what came before.

    content_hash = BLAKE3(payload bytes)
    event_hash   = BLAKE3("batpak.event.v2\0" | store id | log_prev | prev_hash
                          | fixed header fields | len u16, entity | len u16, scope
                          | len u32, opt | content_hash)

`log_prev` is the event_hash of the event before in the log, `prev_hash` that of the event before
in the same entity; zeros where there is none. Variable parts are length-framed, so two different
events never give one preimage. Reference: docs/reference/file-format.md, "Hashes".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import IntFlag
from typing import Final, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from batpak import digest
from batpak.clock import Hlc
from batpak.coordinate import Coordinate
from batpak.ids import EventId
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload

P = TypeVar("P", bound=EventPayload)
P_co = TypeVar("P_co", bound=EventPayload, covariant=True)

_DOMAIN: Final = b"batpak.event.v2\0"


class EventFlags(IntFlag):
    """One byte, stored as given; the store attaches no meaning."""

    REQUIRES_ACK = 1
    TRANSACTIONAL = 2
    REPLAY = 8


def event_hash(
    store_id: bytes,
    log_prev: bytes,
    prev_hash: bytes,
    covered: bytes,
    entity: bytes,
    scope: bytes,
    opt: bytes,
    content_hash: bytes,
) -> bytes:
    """Hash one event into the chain of its entity and of the log.

    Args:
        store_id: 16 bytes.
        log_prev: event_hash of the preceding sequence, or zeros.
        prev_hash: event_hash of the entity's preceding event, or zeros.
        covered: The fixed header fields from flags to causation id, as stored.
        entity: UTF-8, at most 65,535 bytes; likewise `scope`.
        scope: UTF-8.
        opt: The optional part as stored (key and extensions).
        content_hash: Of the payload.
    """
    return digest.joined_hash(
        _DOMAIN,
        store_id,
        log_prev,
        prev_hash,
        covered,
        len(entity).to_bytes(2, "big"),
        entity,
        len(scope).to_bytes(2, "big"),
        scope,
        len(opt).to_bytes(4, "big"),
        opt,
        content_hash,
    )


class StoredEvent(Struct, Generic[P_co], frozen=True, kw_only=True):
    """One committed event with its payload and everything its frame says about it."""

    payload: P_co
    coordinate: Coordinate
    kind: EventKind
    payload_version: int
    sequence: int  # place in the store, from 0
    version: int  # place in the entity, from 1
    event_id: EventId
    correlation_id: UUID
    causation_id: EventId | None
    hlc: Hlc
    flags: int
    idempotency_key: bytes | None
    extensions: Mapping[str, bytes]
    content_hash: bytes
    prev_hash: bytes
    event_hash: bytes

    @override
    def __hash__(self) -> int:
        return hash(self.event_hash)  # it covers everything else

    @property
    def recorded_at(self) -> dt.datetime:
        """When the store took it, as an aware UTC datetime. Business time is in the payload."""
        return self.hlc.recorded_at

    @property
    def is_genesis(self) -> bool:
        """Whether it is the first event of its entity."""
        return self.version == 1
