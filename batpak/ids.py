"""Identifiers: typed UUIDs, time-ordered, and keys that make an operation repeatable.

Source: RFC 9562 §5.7 (UUIDv7).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NewType, TypeVar
from uuid import UUID, uuid4

from batpak import clock, digest
from batpak.arguments import text_of
from batpak.errors import InvalidArgument

EventId = NewType("EventId", UUID)
"""Given by the store; increases with sequence inside one store."""

CorrelationId = NewType("CorrelationId", UUID)
"""One conversation: the id of the event that began it, unless given."""

ID_BYTES: Final = 16
NO_ID: Final = bytes(ID_BYTES)

I = TypeVar("I")  # noqa: E741  the one letter that says "an id type"


def new_id(make: Callable[[UUID], I]) -> I:
    """A fresh UUIDv7 as the given id type: `new_id(OrderId)`.

    48 bits of milliseconds, then 74 random bits: two calls never give one id, and ids sort by
    the millisecond they were made in.
    """
    random = uuid4().int
    ms = clock.wall_ns() // 1_000_000
    high = ms << 16 | 0x7000 | (random >> 64 & 0xFFF)
    low = 0b10 << 62 | (random & 0x3FFF_FFFF_FFFF_FFFF)
    return make(UUID(int=high << 64 | low))


def operation_key(domain: str, *parts: bytes | str | int) -> bytes:
    """A 32-byte idempotency key from what makes an operation the same operation.

    Lengths and types are framed: `("ab", "c")`, `("a", "bc")` and `(b"ab", "c")` all differ.
    """
    return digest.joined_hash(key_begin(domain), *map(framed, parts))


def key_begin(domain: str) -> bytes:
    """How what a key of one domain is hashed from begins. `framed` parts follow."""
    name = text_of("domain", domain).encode()
    return b"batpak.key.v1\0" + _frame(b"d", len(name)) + name


def framed(part: bytes | str | int) -> bytes:
    """One part of a key, with its type and its length before it."""
    given: object = part
    if type(given) is int or (isinstance(given, int) and not isinstance(given, bool)):
        data, tag = b"%d" % given, b"i"
    elif isinstance(given, str):
        try:
            data, tag = given.encode(), b"s"
        except UnicodeEncodeError:
            raise InvalidArgument("parts", "has a lone surrogate") from None
    elif isinstance(given, bytes):
        data, tag = given, b"b"
    else:
        found = type(given).__name__
        raise InvalidArgument("parts", f"must be bytes, text or integers, not {found}")
    return _frame(tag, len(data)) + data


_frame: Final = struct.Struct(">cQ").pack
