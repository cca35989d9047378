"""The only MessagePack: one value has one spelling.

Shortest forms, sorted map keys and sets, UUIDs as 16 bytes, decimals as text, times as the
timestamp extension.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, TypeVar, cast

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

encode_in_order: Final = msgspec.msgpack.Encoder(
    uuid_format="bytes", decimal_format="string"
).encode
"""Encode plain values with the keys of maps in the order in which they stand."""

DecodeError: Final = msgspec.DecodeError
ValidationError: Final = msgspec.ValidationError


UNREADABLE: Final = (DecodeError, ValueError, TypeError, OverflowError, RecursionError)
"""What decoding bytes of unknown origin may raise."""


def decoder(cls: type[T]) -> msgspec.msgpack.Decoder[T]:
    """A reusable decoder for one type. `.decode(data)` is strict about shape and trailing bytes.

    Raises:
        TypeError: The annotations of `cls` cannot be decoded.
    """
    return msgspec.msgpack.Decoder(cls)


NESTING_MAX: Final = 64

_decode_any: Final = msgspec.msgpack.Decoder().decode

_FIXED: Final = {  # first byte -> bytes behind it, where that is all there is to know
    **dict.fromkeys(range(0x80), 0),
    **dict.fromkeys(range(0xE0, 0x100), 0),
    **{0xA0 + size: size for size in range(32)},
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
    0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
_SIZED: Final = {  # first byte -> (bytes of the size, bytes behind the sized part)
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
}  # fmt: skip
_NO_NESTING: Final = bytes(set(range(0x100)) - set(range(0x80, 0xA0)) - set(range(0xDC, 0xE0)))
_NO_ARRAY: Final = bytes(set(range(0x100)) - set(range(0x90, 0xA0)) - {0xDC, 0xDD})
_NESTED: Final = frozenset({dict, list})  # what is decoded has no subclasses of these
_COUNTED: Final = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}  # -> per item


def decode_plain(data: bytes) -> object:
    """One value without a schema: text, numbers, bytes, None, bools, times, lists and dicts.

    Raises:
        DecodeError: Not exactly one value, nested deeper than NESTING_MAX, or a map has a key
            twice, or one that is no scalar.
        ValueError, TypeError, OverflowError, RecursionError: As UNREADABLE says.
    """
    check_depth(data)
    try:
        value = _decode_any(data)
    except UNREADABLE:
        _walk(data)  # says it in its words, if it is about the shape
        raise
    keys_may_be_arrays = data.translate(None, _NO_ARRAY) != b""
    if (
        encode_in_order(value) != data  # else no key is twice: one would be missing
        or (keys_may_be_arrays and type(value) in _NESTED and not _has_plain_keys(value))
    ):
        _walk(data)
    return value


def _has_plain_keys(value: object) -> bool:
    """Whether no key of a map in a map or an array is an array. How deep they go is known."""
    items = cast("Iterable[object]", value)
    if isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        if tuple in map(type, mapping):
            return False
        items = mapping.values()
    for one in items:  # noqa: SIM110  each event is read by this: a generator takes twice as long
        if type(one) in _NESTED and not _has_plain_keys(one):
            return False
    return True


def builtins(value: object) -> object:
    """A payload as what JSON can say.

    Bytes become text in base64; what has an extension type, its number and its bytes in hex.
    """
    return msgspec.to_builtins(value, enc_hook=_extension)


def _extension(value: object) -> object:
    if isinstance(value, msgspec.msgpack.Ext):
        return {"ext": value.code, "data": bytes(value.data).hex()}
    raise TypeError(f"a {type(value).__name__} is no plain value")


def check_depth(data: bytes) -> None:
    """Make sure that one value is nested no deeper than `decode_plain` reads.

    Args:
        data: Written by `encode`.

    Raises:
        DecodeError: It is.
    """
    if len(data.translate(None, _NO_NESTING)) > NESTING_MAX:  # that many bytes may open a level
        _walk(data)


def _walk(data: bytes) -> None:
    """Look at the shape only, so that no hostile nesting or repeated key is decoded."""
    at, size = 0, len(data)
    stack: list[tuple[int, set[object] | None]] = [(1, None)]  # items to come; keys of a map
    while stack:
        left, keys = stack[-1]
        if not left:
            stack.pop()
            continue
        stack[-1] = left - 1, keys
        begin = at
        at, count, per = _item(data, at)
        if at > size:
            raise DecodeError("the value is cut")
        if keys is not None and left % 2 == 0:
            if count is not None:
                raise DecodeError("a map has a key that is no scalar")
            key = _decode_any(data[begin:at])  # 1 has five spellings, and a dict takes one
            if key in keys:
                raise DecodeError("a map has a key twice")
            keys.add(key)
        if count is not None:
            if len(stack) > NESTING_MAX:
                raise DecodeError(f"values are nested deeper than {NESTING_MAX}")
            if count * per > size - at:
                raise DecodeError("the value is cut")
            stack.append((count * per, set() if per == 2 else None))
    if at != size:
        raise DecodeError("there are bytes behind the value")


def _item(data: bytes, at: int) -> tuple[int, int | None, int]:
    """Where an item ends; for an array or a map how many items it has, of how many values."""
    if at >= len(data):
        raise DecodeError("the value is cut")
    first = data[at]
    at += 1
    fixed = _FIXED.get(first)
    if fixed is not None:
        return at + fixed, None, 0
    if first < 0xA0:
        return at, first & 0x0F, 2 if first < 0x90 else 1
    if first in _SIZED:
        width, more = _SIZED[first]
        return at + width + int.from_bytes(data[at : at + width], "big") + more, None, 0
    if first in _COUNTED:
        width, per = _COUNTED[first]
        return at + width, int.from_bytes(data[at : at + width], "big"), per
    raise DecodeError(f"no value begins with byte {first:#04x}")
