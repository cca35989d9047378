"""The only MessagePack: one value has one spelling.

Shortest forms, sorted map keys and sets, UUIDs as 16 bytes, decimals as text, times as the
timestamp extension.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")


class PlainDecimal(Decimal):
    """A decimal that is stored without an exponent: `0.0000001`, where `str` says `1E-7`."""


def _spelled(value: object) -> str:
    """Spell what msgspec cannot, which is a PlainDecimal and nothing else."""
    if isinstance(value, PlainDecimal):
        return f"{value:f}"
    raise TypeError(f"{type(value).__qualname__} has no stored form")


_ENCODER: Final = msgspec.msgpack.Encoder(
    enc_hook=_spelled, order="deterministic", uuid_format="bytes", decimal_format="string"
)

encode: Final = _ENCODER.encode
"""Encode a value; raises TypeError, ValueError or OverflowError for what has no spelling."""

DecodeError: Final = msgspec.DecodeError
ValidationError: Final = msgspec.ValidationError


def decoder(cls: type[T]) -> msgspec.msgpack.Decoder[T]:
    """A reusable decoder for one type. `.decode(data)` is strict about shape and trailing bytes.

    Raises:
        TypeError: The annotations of `cls` cannot be decoded.
    """
    return msgspec.msgpack.Decoder(cls)
