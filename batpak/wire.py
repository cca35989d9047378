"""The one way a payload becomes bytes and the one way back.

Encoding checks first: exact types and constraints, every problem at once. Decoding checks shape,
never constraints, so that tightening a rule never hides history. Accepted means: decodes to an
equal value, which encodes to the same bytes.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import msgspec

from batpak import codec, digest, registry
from batpak.checks import Problems
from batpak.errors import (
    DecodeFailed,
    DecodeStage,
    FutureVersion,
    InvalidArgument,
    PayloadInvalid,
    UnknownKind,
)
from batpak.kind import EventKind
from batpak.payload import EventPayload


class Encoded(NamedTuple):
    """A payload as it will be stored."""

    kind: EventKind
    version: int
    data: bytes
    content_hash: bytes


def encode(payload: EventPayload) -> Encoded:
    """Check a payload, bring it into its one spelling and encode it.

    Raises:
        InvalidArgument: Not an instance of a registered payload class.
        PayloadInvalid: A field breaks its type or a constraint, or the value does not survive
            being stored.
    """
    entry = registry.of_class(type(payload))
    if entry is None:
        raise InvalidArgument(
            "payload", f"{type(payload).__qualname__} is not a registered EventPayload class"
        )
    value: msgspec.Struct = payload
    if entry.check is not None:
        problems = Problems()
        entry.check(value, problems)
        if problems:
            raise PayloadInvalid(entry.cls.__qualname__, entry.kind, tuple(problems))
        if entry.canonical is not None:
            value = entry.canonical(value)
    try:
        data = codec.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PayloadInvalid(entry.cls.__qualname__, entry.kind, (f"$: {error}",)) from error
    if entry.check is None:
        _read_back(entry, payload, data)
    return Encoded(entry.kind, entry.version, data, digest.content_hash(data))


def _read_back(entry: registry.Entry, payload: msgspec.Struct, data: bytes) -> None:
    """Hold a class without generated checks to the promise that accepted means readable."""
    name = entry.cls.__qualname__
    try:
        again = registry.decoder(entry)(data)
        same = again == payload and codec.encode(again) == data
    except (codec.DecodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PayloadInvalid(name, entry.kind, (f"$: does not decode: {error}",)) from error
    if not same:
        raise PayloadInvalid(name, entry.kind, ("$: decodes to a different value",))


def decode(kind: int, version: int, data: bytes, sequence: int | None = None) -> EventPayload:
    """Decode stored bytes as the class that this program has for their kind.

    Args:
        kind: As stored.
        version: Payload version as stored.
        data: The stored bytes.
        sequence: Of the event, for messages only.

    Raises:
        UnknownKind: No imported class has this kind.
        FutureVersion: The bytes were written by a newer schema.
        DecodeFailed: The kind is right and the bytes do not decode.
    """
    entry = registry.lookup(kind)
    if entry is None:
        raise UnknownKind(kind, version, sequence)
    if version != entry.version:
        raise FutureVersion(f"payload {entry.cls.__qualname__}", version, entry.version)
    try:
        payload = registry.decoder(entry)(data)
    except codec.ValidationError as error:
        raise DecodeFailed(kind, version, sequence, DecodeStage.SHAPE, str(error)) from error
    except (codec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError) as error:
        raise DecodeFailed(kind, version, sequence, DecodeStage.MSGPACK, str(error)) from error
    return cast(EventPayload, payload)  # payload classes register themselves, nothing else does
