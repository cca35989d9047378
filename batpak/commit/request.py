"""One append as it comes to the lane: every argument checked, the payload encoded.

All that can be refused without knowing the log is refused here, in the order of
docs/reference/errors.md, before anything is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast
from uuid import UUID

from msgspec import Struct

from batpak import registry, wire
from batpak.append import AppendReceipt, Cause
from batpak.coordinate import RESERVED_PREFIX, Coordinate
from batpak.errors import (
    CoordinateFault,
    InvalidArgument,
    InvalidCoordinate,
    InvalidKind,
    KindFault,
    TooLarge,
)
from batpak.event import StoredEvent
from batpak.journal.frame import KEY_BYTES_MAX
from batpak.payload import EventPayload
from batpak.wire import Encoded

EXTENSIONS_MAX: Final = 64
EXTENSIONS_BYTES_MAX: Final = 64 << 10  # names and values
EXTENSION_NAME_BYTES_MAX: Final = 256
FLAGS_MAX: Final = 0xFF


class Request(Struct, frozen=True, gc=False):
    """What to store, and on which conditions."""

    coordinate: Coordinate
    payload: Encoded
    expected_version: int | None = None
    key: bytes | None = None
    parent: bytes | None = None  # event id
    correlation_id: bytes | None = None
    flags: int = 0
    extensions: Mapping[str, bytes] | None = None


def check(
    coord: Coordinate,
    payload: EventPayload,
    *,
    expected_version: int | None,
    idempotency_key: str | bytes | None,
    caused_by: Cause | None,
    correlation_id: UUID | None,
    flags: int,
    extensions: Mapping[str, bytes] | None,
    payload_bytes_max: int,
) -> Request:
    """Make a request from the arguments of `Store.append`.

    Raises:
        InvalidArgument, InvalidCoordinate, InvalidKind, PayloadInvalid, TooLarge: The first thing
            that is wrong.
    """
    _check_place(coord)
    _check_fact(type(payload))
    if expected_version is not None and not _is_count(expected_version):
        raise InvalidArgument("expected_version", "must be a count of events, 0 or more")
    key = None if idempotency_key is None else _key(idempotency_key)
    parent = None if caused_by is None else _parent(caused_by)
    correlation = None if correlation_id is None else _uuid("correlation_id", correlation_id)
    if flags != 0 and (not _is_count(flags) or flags > FLAGS_MAX):
        raise InvalidArgument("flags", "must be one byte, 0..255")
    copied = None if extensions is None else _extensions(extensions)
    encoded = wire.encode(payload)
    if len(encoded.data) > payload_bytes_max:
        raise TooLarge("payload", len(encoded.data), payload_bytes_max)
    return Request(coord, encoded, expected_version, key, parent, correlation, int(flags), copied)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_place(coord: object) -> None:
    if not isinstance(coord, Coordinate):
        raise InvalidArgument("coord", f"must be a Coordinate, not {type(coord).__name__}")
    if coord.entity.startswith(RESERVED_PREFIX):
        raise InvalidCoordinate("entity", CoordinateFault.RESERVED, coord.entity)
    if coord.scope.startswith(RESERVED_PREFIX):
        raise InvalidCoordinate("scope", CoordinateFault.RESERVED, coord.scope)


def _check_fact(fact: type) -> None:
    entry = registry.of_class(fact)
    if entry is None:
        raise InvalidArgument(
            "payload", f"{fact.__qualname__} is not a registered EventPayload class"
        )
    if entry.kind.reserved:
        detail = f"{fact.__qualname__} is an event of the store itself"
        raise InvalidKind(entry.kind, KindFault.RESERVED, detail)


def _key(key: object) -> bytes:
    if isinstance(key, str):
        try:
            key = key.encode()
        except UnicodeEncodeError:
            raise InvalidArgument("idempotency_key", "has a lone surrogate") from None
    if not isinstance(key, bytes) or not 1 <= len(key) <= KEY_BYTES_MAX:
        raise InvalidArgument("idempotency_key", f"must be text or bytes, 1..{KEY_BYTES_MAX} bytes")
    return bytes(key)  # of a subclass: only what is stored


def _parent(cause: object) -> bytes:
    if isinstance(cause, StoredEvent | AppendReceipt):
        return cause.event_id.bytes
    return _uuid("caused_by", cause)


def _uuid(argument: str, value: object) -> bytes:
    if not isinstance(value, UUID):
        raise InvalidArgument(argument, f"must be a UUID, not {type(value).__name__}")
    return value.bytes


def _extensions(extensions: object) -> Mapping[str, bytes]:
    """Copy them, each checked: the caller's mapping may change."""
    if not isinstance(extensions, Mapping):
        raise InvalidArgument("extensions", "must be a mapping of names to bytes")
    copied: dict[str, bytes] = {}
    size = 0
    for name, value in cast("Mapping[object, object]", extensions).items():
        if not isinstance(name, str) or not _is_extension_name(name):
            detail = f"{name!a} must be ASCII text with one dot inside, not beginning batpak"
            raise InvalidArgument("extensions", detail)
        if not isinstance(value, bytes):
            raise InvalidArgument("extensions", f"the value of {name} must be bytes")
        copied[str.__str__(name)] = bytes(value)
        size += len(name) + len(value)
    if len(copied) > EXTENSIONS_MAX:
        raise TooLarge("number of extensions", len(copied), EXTENSIONS_MAX)
    if size > EXTENSIONS_BYTES_MAX:
        raise TooLarge("extensions", size, EXTENSIONS_BYTES_MAX)
    return copied


def _is_extension_name(name: str) -> bool:
    if not name.isascii() or len(name) > EXTENSION_NAME_BYTES_MAX:
        return False
    before, dot, after = name.partition(".")
    return bool(before and dot and after) and "." not in after and not name.startswith("batpak")
