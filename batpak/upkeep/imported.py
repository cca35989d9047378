"""ImportedEvent: an event of somewhere else, as an import takes it, and where it was from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, cast
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
from batpak.record import EVENT, decode_parts, unpack_told, uuid_of

IMPORT: Final = "batpak.import"
"""The extension that says where an imported event is from."""

_NONE: Final[Mapping[str, bytes]] = {}


_U64_MAX: Final = (1 << 64) - 1


class RustPosition(Struct, frozen=True, gc=False):
    """What only the Rust original says of an event."""

    clock: int  # of its entity, from 0; may restart there
    lane: int
    depth: int


class ImportedEvent(Struct, frozen=True, kw_only=True, gc=False):
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
        if self.position is None:
            return False
        bits = self.event_id.int
        return not ((bits >> 76) & 0xF == 7 and (bits >> 62) & 3 == 2)

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


def _is_int(value: object, low: int) -> bool:
    """Whether it is a number that can be stored, not below another one."""
    return type(value) is int and low <= value <= _U64_MAX


def _is_u64(value: object) -> bool:
    return _is_int(value, 0)


def _is_extensions(value: object) -> bool:
    """Whether names are text and values bytes; what names are like is for the append to say."""
    if not isinstance(value, Mapping):
        return False
    items = cast("Mapping[object, object]", value).items()
    return all(isinstance(name, str) and isinstance(data, bytes) for name, data in items)


def _is_position(value: object) -> bool:
    if type(value) is not RustPosition:
        return False
    return all(_is_u64(part) for part in (value.clock, value.lane, value.depth))


_FIELDS: Final[tuple[tuple[str, Callable[[Any], bool], str], ...]] = (
    ("event_id", lambda value: isinstance(value, UUID), "a UUID"),
    ("sequence", _is_u64, "a number of 64 bits, 0 or more"),
    ("entity", lambda value: isinstance(value, str), "text"),
    ("scope", lambda value: isinstance(value, str), "text"),
    ("kind", lambda value: isinstance(value, EventKind), "an EventKind"),
    ("payload", lambda value: isinstance(value, bytes), "bytes"),
    ("version", _is_u64, "a number of 64 bits, 0 or more"),
    ("correlation_id", lambda value: isinstance(value, UUID | None), "a UUID or None"),
    ("causation_id", lambda value: isinstance(value, UUID | None), "a UUID or None"),
    ("extensions", _is_extensions, "a mapping of names to bytes"),
    ("time_us", lambda value: _is_int(value, -(1 << 63)), "a number of 64 bits"),
    ("store_id", lambda value: isinstance(value, UUID | None), "a UUID or None"),
    ("batch", lambda value: value is None or _is_u64(value), "a number of 64 bits or None"),
    ("repeat", _is_u64, "a number of 64 bits, 0 or more"),
    ("position", lambda value: value is None or _is_position(value), "a RustPosition or None"),
)  # what nothing else looks at, or only later


def behind(events: Iterable[ImportedEvent], after: int | None) -> Iterator[ImportedEvent]:
    """Those behind a sequence of their source, each looked at: callers have made them.

    Raises:
        InvalidArgument: While iterating; one is no ImportedEvent, or has something else in a field.
    """
    for event in events:
        if type(event) is not ImportedEvent:
            found = type(event).__name__
            raise InvalidArgument("source", f"must give ImportedEvents, not {found}")
        for name, is_one, due in _FIELDS:
            value = getattr(event, name)
            if not is_one(value):
                at = f"event {_brief(event.sequence)} of the source"
                raise InvalidArgument("source", f"{at}: its {name} must be {due}")
        if after is None or event.sequence > after:
            yield event


def _brief(sequence: object) -> str:
    """What was given as a sequence, in a message."""
    return str(sequence) if type(sequence) is int and sequence.bit_length() < 99 else "?"


def of_store(events: Iterable[StoredEvent[bytes]], store_id: UUID) -> Iterator[ImportedEvent]:
    """Events of a store of this library, as they are read from it.

    Of those that a compaction has removed there is nothing to import: they are given as what the
    library itself has written.
    """
    for event in events:
        parts = decode_parts(event.record)
        (
            type_, flags, kind, payload_version, index, count, wall_ms, sequence, version,
            event_id, correlation_id, causation_id,
        ) = unpack_told(parts.head)  # fmt: skip
        opt, own = parts.opt, uuid_of(event_id)
        if type_ != EVENT:
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
