"""ImportedEvent: an event of somewhere else, as an import takes it, and where it was from."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from batpak import codec
from batpak.append import BatchItem, RawPayload
from batpak.coordinate import Coordinate
from batpak.errors import DecodeFailed, InvalidArgument
from batpak.event import StoredEvent
from batpak.faults import DecodeStage
from batpak.ids import NO_ID
from batpak.kind import TOMBSTONE, EventKind
from batpak.record import EVENT, decode_parts, uuid_of

IMPORT: Final = "batpak.import"
"""The extension that says where an imported event is from."""

_NONE: Final[Mapping[str, bytes]] = {}


_unpack: Final = struct.Struct(">xBHH4xIIQ4xQQ16s16s16s72x").unpack  # of a head: see `record`

_FIELDS: Final = (
    ("event_id", UUID),
    ("sequence", int),
    ("entity", str),
    ("scope", str),
    ("kind", EventKind),
    ("version", int),
    ("correlation_id", UUID | None),
    ("causation_id", UUID | None),
    ("extensions", Mapping),
    ("time_us", int),
    ("store_id", UUID | None),
    ("batch", int | None),
    ("repeat", int),
)  # what nothing else looks at


class RustPosition(Struct, frozen=True, gc=False):
    """What only the Rust original says of an event."""

    clock: int  # of its entity, from 0; may restart there
    lane: int
    depth: int


class ImportedEvent(Struct, frozen=True, kw_only=True):
    """One event to import. Make them yourself, or take them from a store."""

    event_id: UUID  # what makes it this one: it is imported once
    sequence: int  # its place in the source
    entity: str  # perhaps not as it may be named here
    scope: str
    kind: EventKind
    payload: bytes  # one MessagePack value
    payload_version: int = 1
    flags: int = 0
    version: int = 1  # its place in its entity, in the source
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    extensions: Mapping[str, bytes] = _NONE
    time_us: int = 0  # when the source took it, since 1970
    store_id: UUID | None = None
    batch: int | None = None  # sequence of the first of those that were stored as one with it
    repeat: int = 0  # how many before it in the source have its id
    position: RustPosition | None = None

    @property
    def coordinate(self) -> Coordinate:
        """Where it lives.

        Raises:
            InvalidCoordinate: Nothing here can have such a name; a `transform` has to rename it.
        """
        return Coordinate(self.entity, self.scope)

    @property
    def keyed(self) -> bool:
        """Whether its id was somebody's key: the Rust original takes keys as ids."""
        bits = self.event_id.int
        return self.position is not None and not ((bits >> 76) & 0xF == 7 and (bits >> 62) & 3 == 2)

    def item(self) -> BatchItem:
        """What is appended of it. A `transform` changes that, or gives something else.

        Raises:
            InvalidCoordinate: As `coordinate`.
        """
        return BatchItem(
            self.coordinate,
            RawPayload(self.kind, self.payload, self.payload_version),
            correlation_id=self.correlation_id,
            flags=self.flags,
            extensions=self.extensions or None,
        )


class Origin(Struct, frozen=True, array_like=True):
    """Where an imported event is from, as it is stored beside it."""

    namespace: str
    store_id: UUID | None
    event_id: UUID
    sequence: int
    time_us: int
    causation_id: UUID | None
    clock: int | None = None
    lane: int | None = None
    depth: int | None = None

    @staticmethod
    def of(event: StoredEvent[Any]) -> Origin | None:
        """That of an event; None: it was not imported.

        Raises:
            DecodeFailed: What is stored there is something else.
        """
        stored = event.extensions.get(IMPORT)
        if stored is None:
            return None
        try:
            return _DECODE(stored)
        except codec.UNREADABLE as error:
            detail = f"its {IMPORT} is not as an import writes it: {error}"
            raise DecodeFailed(
                event.kind, event.payload_version, event.sequence, DecodeStage.SHAPE, detail
            ) from error


_DECODE: Final = codec.decoder(Origin).decode


def origin_of(event: ImportedEvent, namespace: str) -> bytes:
    """What is stored beside an event when it is imported."""
    place = event.position
    facts = (
        namespace,
        event.store_id,
        event.event_id,
        event.sequence,
        event.time_us,
        event.causation_id,
    )
    return codec.encode(facts if place is None else (*facts, place.clock, place.lane, place.depth))


def behind(events: Iterable[ImportedEvent], after: int | None) -> Iterator[ImportedEvent]:
    """Those behind a sequence of their source, each looked at: callers have made them.

    Raises:
        InvalidArgument: While iterating; one is no ImportedEvent, or has something else in a field.
    """
    for event in events:
        if type(event) is not ImportedEvent:
            found = type(event).__name__
            raise InvalidArgument("source", f"must give ImportedEvents, not {found}")
        for name, cls in _FIELDS:
            if not isinstance(getattr(event, name), cls):
                found = type(getattr(event, name)).__name__
                raise InvalidArgument("source", f"an event has a {found} as its {name}")
        if after is None or event.sequence > after:
            yield event


def of_store(events: Iterable[StoredEvent[bytes]], store_id: UUID) -> Iterator[ImportedEvent]:
    """Events of a store of this library, as they are read from it.

    Of those that a compaction has removed there is nothing to import: they are given as what the
    library itself has written.
    """
    for event in events:
        parts = decode_parts(event.record)
        (
            flags, kind, payload_version, index, count, wall_ms, sequence, version,
            event_id, correlation_id, causation_id,
        ) = _unpack(parts.head)  # fmt: skip
        opt, own = parts.opt, uuid_of(event_id)
        if parts.head[0] != EVENT:
            kind, payload_version = TOMBSTONE, event.payload_version
        yield ImportedEvent(
            event_id=own,
            sequence=sequence,
            entity=parts.entity,
            scope=parts.scope,
            kind=EventKind.from_wire(kind),
            payload=event.payload,
            payload_version=payload_version,
            flags=flags,
            version=version,
            correlation_id=own if correlation_id == event_id else uuid_of(correlation_id),
            causation_id=None if causation_id == NO_ID else uuid_of(causation_id),
            extensions=_NONE if opt is None or opt[1] is None else dict(opt[1]),
            time_us=wall_ms * 1000,
            store_id=store_id,
            batch=sequence - index if count > 1 else None,
        )
