"""Identifiers: typed UUIDs, time-ordered, and keys that make an operation repeatable.

Source: RFC 9562 §5.7 (UUIDv7).
"""

from __future__ import annotations

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
    framed = [_framed(b"d", text_of("domain", domain).encode())]
    framed += (_part(part) for part in parts)
    return digest.joined_hash(b"batpak.key.v1\0", *framed)


def _part(part: object) -> bytes:
    if isinstance(part, str):
        return _framed(b"s", text_of("parts", part).encode())
    if isinstance(part, bytes):
        return _framed(b"b", part)
    if isinstance(part, int) and not isinstance(part, bool):
        return _framed(b"i", str(int(part)).encode())
    raise InvalidArgument("parts", f"must be bytes, text or integers, not {type(part).__name__}")


def _framed(tag: bytes, data: bytes) -> bytes:
    return tag + len(data).to_bytes(8, "big") + data
