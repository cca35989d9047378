"""Identifiers: typed UUIDs, time-ordered, and keys that make an operation repeatable.

Source: RFC 9562 §5.7 (UUIDv7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NewType, TypeVar
from uuid import UUID, uuid4

from batpak import clock, digest

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
    framed = [_framed(b"d", domain.encode())]
    for part in parts:
        if isinstance(part, str):
            framed.append(_framed(b"s", part.encode()))
        elif isinstance(part, bytes):
            framed.append(_framed(b"b", part))
        else:
            framed.append(_framed(b"i", str(part).encode()))
    return digest.joined_hash(b"batpak.key.v1\0", *framed)


def _framed(tag: bytes, data: bytes) -> bytes:
    return tag + len(data).to_bytes(8, "big") + data
