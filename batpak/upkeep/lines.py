"""Lines: events as JSON, one on a line, and back. Reference: docs/reference/event-lines.md.

Bytes inside a payload are `{"$bytes": base64}`. Where what JSON says is not enough to make the
stored bytes again, they stand there too, in base64 under `stored`; so nothing is lost on any way.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from base64 import b64decode
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, Final, TypeAlias, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from batpak import codec, registry
from batpak.clock import WALL_MS_MAX
from batpak.errors import BatpakError, InvalidArgument
from batpak.event import StoredEvent
from batpak.ids import NO_ID, EventId
from batpak.kind import TOMBSTONE, EventKind
from batpak.record import ERASED, decode_parts, unpack_told
from batpak.upkeep.imported import ImportedEvent, RustPosition

LINE_CHARS_MAX: Final = 32 << 20
CHUNK: Final = 64

_Count: TypeAlias = Annotated[int, Meta(ge=0)]
_Kind: TypeAlias = Annotated[str, Meta(pattern=r"^0x[0-9A-Fa-f]{1,4}\Z")]
_Time: TypeAlias = Annotated[int, Meta(le=WALL_MS_MAX * 1000 + 999)]
_BYTES: Final = "$bytes"
_NONE: Final[Mapping[str, str]] = {}
_NONE_NAMED: Final[Mapping[int, str]] = {}
_TEXT: Final = frozenset({str})
_AS_IT_IS: Final = frozenset({str, int, bool, type(None)})

_Json: TypeAlias = bool | int | float | str | None
_Json1: TypeAlias = _Json | list[_Json] | dict[str, _Json]
_Json2: TypeAlias = _Json | list[_Json1] | dict[str, _Json1]
_Json3: TypeAlias = _Json | list[_Json2] | dict[str, _Json2]
_DECODE: Final = codec.decoder(cast("type[_Json3]", _Json3)).decode
# Perhaps: our name of bytes, a float that is no number, an id, a time.
_NOT_JSON: Final = re.compile(rb"\$bytes|\xcb[\x7f\xff]|\xc4\x10|[\xc7\xd6]").search
_ENCODE: Final = msgspec.json.Encoder().encode_lines
_uuid: Final = codec.decoder(UUID).decode
_BIN: Final = b"\xc4\x10"  # what stands before the 16 bytes of an id


def _unlike_json(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return made


_READ: Final = json.JSONDecoder(parse_constant=_unlike_json, object_pairs_hook=_object).decode


class _Line(Struct, frozen=True, kw_only=True):
    """One line, as it is read."""

    event_id: EventId
    sequence: _Count
    entity: str
    scope: str
    kind: _Kind
    payload: Any = None
    stored: str | None = None
    payload_version: int = 1
    flags: int = 0
    version: Annotated[int, Meta(ge=1)] = 1
    correlation_id: EventId | None = None
    causation_id: EventId | None = None
    extensions: dict[str, str] = {}
    time_us: _Time = 0
    store_id: EventId | None = None
    batch: _Count | None = None
    repeat: _Count = 0
    position: RustPosition | None = None


class Line(Struct, frozen=True, kw_only=True, gc=False):
    """One event, as it is written."""

    sequence: int
    event_id: UUID
    entity: str
    scope: str
    version: int
    kind: str
    event: str | None
    payload_version: int
    flags: int
    correlation_id: UUID | None
    causation_id: UUID | None
    time_us: int
    store_id: UUID | None
    batch: int | None
    extensions: Mapping[str, str]
    repeat: int | UnsetType = UNSET
    position: RustPosition | UnsetType | None = UNSET
    payload: object
    stored: str | UnsetType = UNSET


def told(event: ImportedEvent, names: Mapping[int, str] = _NONE_NAMED) -> Line:
    """One event, as it is written.

    Args:
        event: Which.
        names: What kinds are called of which no class is imported.
    """
    payload, is_whole = plain_of(event.payload)
    return Line(
        sequence=event.sequence,
        event_id=event.event_id,
        entity=event.entity,
        scope=event.scope,
        version=event.version,
        kind=f"{event.kind:#06x}",
        event=_name_of(event.kind, names),
        payload_version=event.payload_version,
        flags=event.flags,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        time_us=event.time_us,
        store_id=event.store_id,
        batch=event.batch,
        extensions={name: _text(value) for name, value in event.extensions.items()},
        repeat=event.repeat or UNSET,
        position=event.position or UNSET,
        payload=payload,
        stored=UNSET if is_whole else _text(event.payload),
    )


def of_store(
    events: Iterable[StoredEvent[bytes]],
    store_id: UUID,
    names: Mapping[int, str] = _NONE_NAMED,
) -> Iterator[Line]:
    """Events of a store, as `told` tells them. From the stored bytes at once: a dump is as fast."""
    kinds: dict[int, tuple[str, str | None]] = {}
    for stored in events:
        parts = decode_parts(stored.record)
        (
            type_, flags, kind, payload_version, index, count, wall_ms, sequence, version,
            id_bytes, correlation, causation,
        ) = unpack_told(parts.head)  # fmt: skip
        if type_ == ERASED:
            kind, payload_version = TOMBSTONE, stored.payload_version
        if kind not in kinds:
            kinds[kind] = f"{kind:#06x}", _name_of(kind, names)
        opt, event_id = parts.opt, _uuid(_BIN + id_bytes)
        data = stored.payload
        payload, is_whole = plain_of(data)
        yield Line(
            sequence=sequence,
            event_id=event_id,
            entity=parts.entity,
            scope=parts.scope,
            version=version,
            kind=kinds[kind][0],
            event=kinds[kind][1],
            payload_version=payload_version,
            flags=flags,
            correlation_id=event_id if correlation == id_bytes else _uuid(_BIN + correlation),
            causation_id=None if causation == NO_ID else _uuid(_BIN + causation),
            time_us=wall_ms * 1000,
            store_id=store_id,
            batch=sequence - index if count > 1 else None,
            extensions=_NONE
            if opt is None or opt[1] is None
            else {name: _text(value) for name, value in opt[1]},
            payload=payload,
            stored=UNSET if is_whole else _text(data),
        )


def encoded(lines: Iterable[Line]) -> Iterator[bytes]:
    """Lines as UTF-8, some at a time, each with its end."""
    some = iter(lines)
    while chunk := list(islice(some, CHUNK)):
        yield _ENCODE(chunk)


def _name_of(kind: int, names: Mapping[int, str]) -> str | None:
    entry = registry.lookup(kind)
    return names.get(kind) if entry is None else entry.cls.__qualname__


def plain_of(data: bytes) -> tuple[object, bool]:
    """A payload as JSON can say it, and whether the bytes can be made from that."""
    if _NOT_JSON(data) is None:
        try:  # many are JSON already
            easy = _DECODE(data)
            if codec.encode_in_order(easy) == data:
                return easy, True
        except codec.UNREADABLE:
            pass
    try:
        value = codec.decode_plain(data)
    except codec.UNREADABLE:
        return None, False
    other: list[object] = []
    said = _said(value, other)
    return said, not other and codec.encode_in_order(value) == data


def events_of(lines: Iterable[str | bytes], name: str = "line ") -> Iterator[ImportedEvent]:
    """The events of lines; empty ones are passed over.

    Args:
        lines: Text, or UTF-8.
        name: What stands before the number of a line in messages.

    Raises:
        InvalidArgument: While iterating; a line is none of an event.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                event = _event(line)
            except (*codec.UNREADABLE, BatpakError) as error:
                raise InvalidArgument(f"{name}{number}", f"is no event: {error}") from error
            yield event


def _event(line: str | bytes) -> ImportedEvent:
    if len(line) > LINE_CHARS_MAX:
        raise ValueError(f"it is longer than {LINE_CHARS_MAX:,} characters")
    text = line if isinstance(line, str) else line.decode()
    one = msgspec.convert(_READ(text), _Line)
    stored = one.stored
    data = codec.encode_in_order(_meant(one.payload)) if stored is None else _bytes(stored)
    kind = EventKind.from_wire(int(one.kind, 16))
    extensions = {key: _bytes(value) for key, value in one.extensions.items()}
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


def json_of(value: object) -> object:
    """A plain value as what JSON has."""
    return _said(value, [])


def _said(value: object, other: list[object]) -> object:
    """A plain value as what JSON has. What `_meant` does not make again goes to `other` too."""
    if isinstance(value, bytes):
        return {_BYTES: _text(value)}
    if isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        if not _TEXT.issuperset(map(type, mapping)) or (len(mapping) == 1 and _BYTES in mapping):
            other.append(mapping)
        return {
            str(key): one if type(one) in _AS_IT_IS else _said(one, other)
            for key, one in mapping.items()
        }
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [one if type(one) in _AS_IT_IS else _said(one, other) for one in items]
    if type(value) in _AS_IT_IS or (isinstance(value, float) and math.isfinite(value)):
        return value
    other.append(value)
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value) if isinstance(value, float) else codec.builtins(value)


def _meant(said: object) -> object:
    """What JSON says, as the plain value."""
    kind = type(said)
    if kind is dict:
        mapping = cast("dict[str, object]", said)
        if len(mapping) == 1 and _BYTES in mapping:
            return _bytes(cast("str", mapping[_BYTES]))
        return {key: one if type(one) in _AS_IT_IS else _meant(one) for key, one in mapping.items()}
    if kind is list:
        return [_meant(one) for one in cast("list[object]", said)]
    return said


def _text(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)
