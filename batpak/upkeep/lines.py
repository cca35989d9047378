"""Lines: events as JSON, one on a line, and back. Reference: docs/reference/event-lines.md.

Bytes inside a payload are `{"$bytes": base64}`. Where what JSON says is not enough to make the
stored bytes again, they stand there too, in base64 under `stored`; so nothing is lost on any way.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from msgspec import Meta, Struct

from batpak import codec, registry
from batpak.errors import BatpakError, InvalidArgument
from batpak.ids import EventId
from batpak.kind import EventKind
from batpak.upkeep.imported import ImportedEvent, RustPosition

LINE_CHARS_MAX: Final = 32 << 20

_Count: TypeAlias = Annotated[int, Meta(ge=0)]
_BYTES: Final = "$bytes"


class _Line(Struct, frozen=True, kw_only=True):
    """One line, as it is read."""

    event_id: EventId
    sequence: _Count
    entity: str
    scope: str
    kind: str
    payload: Any = None
    stored: str | None = None
    payload_version: int = 1
    flags: int = 0
    version: int = 1
    correlation_id: EventId | None = None
    causation_id: EventId | None = None
    extensions: dict[str, str] = {}
    time_us: int = 0
    store_id: EventId | None = None
    batch: _Count | None = None
    repeat: _Count = 0
    position: RustPosition | None = None


def line_of(event: ImportedEvent) -> str:
    """One event as a line, without its end."""
    entry, place = registry.lookup(event.kind), event.position
    facts: dict[str, object] = {
        "sequence": event.sequence,
        "event_id": str(event.event_id),
        "entity": event.entity,
        "scope": event.scope,
        "version": event.version,
        "kind": f"{event.kind:#06x}",
        "event": None if entry is None else entry.cls.__qualname__,
        "payload_version": event.payload_version,
        "flags": event.flags,
        "correlation_id": None if event.correlation_id is None else str(event.correlation_id),
        "causation_id": None if event.causation_id is None else str(event.causation_id),
        "time_us": event.time_us,
        "store_id": None if event.store_id is None else str(event.store_id),
        "batch": event.batch,
        "extensions": {name: _text(value) for name, value in event.extensions.items()},
    }
    if event.repeat:
        facts["repeat"] = event.repeat
    if place is not None:
        facts["position"] = {"clock": place.clock, "lane": place.lane, "depth": place.depth}
    facts["payload"], is_whole = plain_of(event.payload)
    if not is_whole:
        facts["stored"] = _text(event.payload)
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def plain_of(data: bytes) -> tuple[object, bool]:
    """A payload as JSON can say it, and whether the bytes can be made from that."""
    try:
        said = _said(codec.decode_plain(data))
    except codec.UNREADABLE:
        return None, False
    try:
        return said, codec.encode_in_order(_meant(said)) == data
    except codec.UNREADABLE:
        return said, False


def events_of(lines: Iterable[str]) -> Iterator[ImportedEvent]:
    """The events of lines; empty ones are passed over.

    Raises:
        InvalidArgument: While iterating; a line is none of an event.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _event(line, number)


def _event(line: str, number: int) -> ImportedEvent:
    try:
        if len(line) > LINE_CHARS_MAX:
            raise ValueError(f"it is longer than {LINE_CHARS_MAX:,} characters")
        one = msgspec.convert(json.loads(line), _Line)
        stored = one.stored
        data = codec.encode_in_order(_meant(one.payload)) if stored is None else _bytes(stored)
        kind = EventKind.from_wire(int(one.kind, 0))
        extensions = {name: _bytes(value) for name, value in one.extensions.items()}
    except (*codec.UNREADABLE, BatpakError) as error:
        raise InvalidArgument(f"line {number}", f"is no event: {error}") from error
    return ImportedEvent(
        event_id=one.event_id,
        sequence=one.sequence,
        entity=one.entity,
        scope=one.scope,
        kind=kind,
        payload=data,
        payload_version=one.payload_version,
        flags=one.flags,
        version=one.version,
        correlation_id=one.correlation_id,
        causation_id=one.causation_id,
        extensions=extensions,
        time_us=one.time_us,
        store_id=one.store_id,
        batch=one.batch,
        repeat=one.repeat,
        position=one.position,
    )


def _said(value: object) -> object:
    """A plain value as what JSON has. What it has not, is told as near as can be."""
    if isinstance(value, bytes):
        return {_BYTES: _text(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {str(key): _said(one) for key, one in mapping.items()}
    if isinstance(value, list):
        return [_said(one) for one in cast("list[object]", value)]
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | str):
        return value
    return codec.builtins(value)


def _meant(said: object) -> object:
    """What JSON says, as the plain value."""
    if isinstance(said, dict):
        mapping = cast("dict[str, object]", said)
        if mapping.keys() == {_BYTES}:
            return _bytes(cast("str", mapping[_BYTES]))
        return {key: _meant(one) for key, one in mapping.items()}
    if isinstance(said, list):
        return [_meant(one) for one in cast("list[object]", said)]
    return said


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)
