r"""An event as it is read back, and the hash that chains it to what came before.

    content_hash = BLAKE3(payload bytes)
    event_hash   = BLAKE3("batpak.event.v2\0" | store id | log_prev | prev_hash
                          | fixed header fields | len u16, entity | len u16, scope
                          | len u32, opt | content_hash)

`log_prev` is the event_hash of the event before in the log, `prev_hash` that of the event before
in the same entity; zeros where there is none. Variable parts are length-framed, so two different
events never give one preimage. Reference: docs/reference/file-format.md, "Hashes".

What is read back keeps the stored bytes and takes a field from them when it is asked for: most
readers look at the payload and one or two others.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Mapping
from enum import IntFlag
from typing import Final, Generic, TypeVar, cast

from msgspec import Struct

from batpak import digest
from batpak.clock import Hlc
from batpak.coordinate import Coordinate
from batpak.ids import NO_ID, CorrelationId, EventId
from batpak.kind import TOMBSTONE, EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.record import ERASED, EVENT, HEAD, TYPE_AT, decode_parts, uuid_of

P = TypeVar("P", bound=EventPayload)
P_co = TypeVar("P_co", bound=EventPayload, covariant=True)
Q = TypeVar("Q")  # any form of a payload
Q_co = TypeVar("Q_co", covariant=True)

_DOMAIN: Final = b"batpak.event.v2\0"
_U16: Final = struct.Struct(">H").unpack_from
_U64: Final = struct.Struct(">Q").unpack_from
_TIME: Final = struct.Struct(">QI").unpack_from

_event_id_of: Final = cast("Callable[[bytes], EventId]", uuid_of)
_correlation_id_of: Final = cast("Callable[[bytes], CorrelationId]", uuid_of)


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
        framed_name(entity),
        framed_name(scope),
        len(opt).to_bytes(4, "big"),
        opt,
        content_hash,
    )


def framed_name(name: bytes) -> bytes:
    """A name as the hash takes it: its length in two bytes, then itself."""
    return len(name).to_bytes(2, "big") + name


def hash_prefix(store_id: bytes) -> bytes:
    """How the preimage of every event hash of one store begins."""
    return _DOMAIN + store_id


class EventHeader:
    """What the fixed header fields of an event say, whoever holds them.

    A field is taken from the stored bytes when it is asked for.
    """

    __slots__ = ()

    @property
    def head(self) -> bytes:
        """The fixed header fields, 166 bytes as stored. See `batpak.record`."""
        raise AttributeError("head")

    @property
    def sequence(self) -> int:
        """Place in the store, from 0."""
        return cast(int, _U64(self.head, 30)[0])

    @property
    def version(self) -> int:
        """Place in the entity, from 1."""
        return cast(int, _U64(self.head, 38)[0])

    @property
    def kind(self) -> EventKind:
        """Which event it is; of one whose payload was erased that of `Tombstoned`."""
        head = self.head
        return EventKind.from_wire(TOMBSTONE if head[0] == ERASED else _U16(head, 2)[0])

    @property
    def payload_version(self) -> int:
        """Of the stored payload; an older one is brought up to date while reading."""
        head = self.head
        return 1 if head[0] == ERASED else cast(int, _U16(head, 4)[0])

    @property
    def flags(self) -> int:
        """One byte, as the writer gave it."""
        return self.head[1]

    @property
    def hlc(self) -> Hlc:
        """The store's own time."""
        return Hlc(*_TIME(self.head, 18))

    @property
    def recorded_at(self) -> dt.datetime:
        """When the store took it, as an aware UTC datetime. Business time is in the payload."""
        return self.hlc.recorded_at

    @property
    def event_id(self) -> EventId:
        """Given by the store; ascending with `sequence`."""
        return _event_id_of(self.head[46:62])

    @property
    def correlation_id(self) -> CorrelationId:
        """The conversation; the event's own id if it began one."""
        return _correlation_id_of(self.head[62:78])

    @property
    def causation_id(self) -> EventId | None:
        """The event that caused this one."""
        raw = self.head[78:94]
        return None if raw == NO_ID else _event_id_of(raw)

    @property
    def prev_hash(self) -> bytes:
        """`event_hash` of the entity's previous event; zeros if there is none."""
        return self.head[94:126]

    @property
    def event_hash(self) -> bytes:
        """Covers everything that is stored of the event, and both predecessors."""
        return self.head[126:158]

    @property
    def is_genesis(self) -> bool:
        """Whether it is the first event of its entity."""
        return self.version == 1

    @property
    def is_root(self) -> bool:
        """Whether nothing in this store caused it."""
        return self.head[78:94] == NO_ID

    @property
    def is_correlated(self) -> bool:
        """Whether it belongs to a conversation that another event began."""
        return self.head[62:78] != self.head[46:62]

    def is_caused_by(self, event_id: EventId) -> bool:
        """Whether that event caused this one, directly."""
        return self.head[78:94] == event_id.bytes


class IndexEntry(Struct, EventHeader, frozen=True):
    """Everything that is known of an event without reading its payload."""

    head: bytes  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]  held, not computed
    coordinate: Coordinate
    size_bytes: int  # of the stored payload

    @override
    def __hash__(self) -> int:
        return hash(self.head)

    @override
    def __repr__(self) -> str:
        return (
            f"IndexEntry(sequence={self.sequence}, coordinate={self.coordinate!s},"
            f" version={self.version}, kind={self.kind}, event_id={self.event_id})"
        )


class StoredEvent(Struct, EventHeader, Generic[Q_co], frozen=True):
    """One committed event with its payload and everything its frame says about it.

    Read, never made by hand: `record` is the event as it is stored, and every other field is
    taken from it.
    """

    payload: Q_co
    record: bytes  # its checksum checked

    @property
    @override
    def head(self) -> bytes:
        """The fixed header fields, 166 bytes as stored. See `batpak.record`."""
        return self.record[HEAD]

    @property
    def coordinate(self) -> Coordinate:
        """Where it lives."""
        parts = decode_parts(self.record)
        return Coordinate(parts.entity, parts.scope)

    @property
    def idempotency_key(self) -> bytes | None:
        """What makes a repeated append the same append."""
        opt = decode_parts(self.record).opt
        return None if opt is None else opt[0]

    @property
    def extensions(self) -> Mapping[str, bytes]:
        """Opaque bytes stored beside the payload; a fresh dict."""
        opt = decode_parts(self.record).opt
        return {} if opt is None or opt[1] is None else dict(opt[1])

    @property
    def content_hash(self) -> bytes:
        """BLAKE3 of the stored payload bytes; computed when asked for, unless those are gone."""
        payload = decode_parts(self.record).payload
        return digest.content_hash(payload) if self.record[TYPE_AT] == EVENT else payload

    def map(self, change: Callable[[Q_co], Q]) -> StoredEvent[Q]:
        """The same event with another payload; what is said about it stays."""
        return StoredEvent(change(self.payload), self.record)

    @override
    def __hash__(self) -> int:
        return hash(self.event_hash)  # it covers everything else

    @override
    def __repr__(self) -> str:
        return (
            f"StoredEvent(sequence={self.sequence}, coordinate={self.coordinate!s},"
            f" version={self.version}, kind={self.kind}, event_id={self.event_id},"
            f" payload={self.payload!r})"
        )
