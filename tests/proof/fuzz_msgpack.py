"""MessagePack a second time, from its specification: plainly, slowly, and sharing nothing.

    unpack(data)       the one value that some bytes are, in whichever spelling; or Bad
    pack(value)        its shortest spelling
    spelled(value, r)  another spelling, often wrong: counts, lengths, types and nesting are changed
    same(a, b)         equal in type as well, so that 1, True and 1.0 are three values

Source: github.com/msgpack/msgpack, spec.md.
"""

from __future__ import annotations

import datetime as dt
import struct
from random import Random
from typing import Final, NamedTuple, TypeVar, cast

T = TypeVar("T")

DEPTH_MAX: Final = 64  # arrays and maps inside each other

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NUMBERS: Final = {  # first byte -> how what follows it is packed
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_BYTES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}  # -> bytes of the size
_TEXTS: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTS: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_ARRAYS: Final = {0xDC: 2, 0xDD: 4}
_MAPS: Final = {0xDE: 2, 0xDF: 4}


class Bad(Exception):
    """The bytes are not what they should be."""


class Ext(NamedTuple):
    """An extension that is no time."""

    code: int
    data: bytes


# ---------------------------------------------------------------------------------------- reading


def unpack(data: bytes) -> object:
    """The one value that `data` is.

    Raises:
        Bad: It is cut, has bytes behind it, is nested too deep, has text that is no UTF-8, a key
            twice or one that cannot be a key, or a time that there is not.
    """
    value, end = _value(data, 0, 0)
    if end != len(data):
        raise Bad("bytes behind the value")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[object, int]:
    if at >= len(data):
        raise Bad("cut")
    first, at = data[at], at + 1
    if first < 0x80 or first >= 0xE0:
        return first if first < 0x80 else first - 0x100, at
    if first < 0xA0:
        return _items(data, at, first & 0x0F, depth, is_map=first < 0x90)
    if first < 0xC0:
        return _text(data, at, first & 0x1F)
    if first in (0xC0, 0xC2, 0xC3):
        return (None, False, True)[max(0, first - 0xC1)], at
    if first in _NUMBERS:
        raw, end = _take(data, at, struct.calcsize(_NUMBERS[first]))
        return struct.unpack(_NUMBERS[first], raw)[0], end
    if first in _BYTES:
        return _take(data, *_size(data, at, _BYTES[first]))
    if first in _TEXTS:
        return _text(data, *_size(data, at, _TEXTS[first]))
    if first in _ARRAYS or first in _MAPS:
        width = _ARRAYS.get(first) or _MAPS[first]
        return _items(data, *_size(data, at, width), depth, is_map=first in _MAPS)
    if 0xD4 <= first <= 0xD8:
        return _ext(data, at, 1 << (first - 0xD4))
    if first in _EXTS:
        return _ext(data, *_size(data, at, _EXTS[first]))
    raise Bad(f"no value begins with {first:#x}")


def _take(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(data):
        raise Bad("cut")
    return data[at : at + size], at + size


def _size(data: bytes, at: int, width: int) -> tuple[int, int]:
    """Where what has a size begins, and that size."""
    raw, at = _take(data, at, width)
    return at, int.from_bytes(raw, "big")


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    raw, at = _take(data, at, size)
    try:
        return raw.decode(), at
    except UnicodeDecodeError as error:
        raise Bad("text that is no UTF-8") from error


def _items(
    data: bytes, at: int, count: int, depth: int, *, is_map: bool
) -> tuple[list[object] | dict[object, object], int]:
    if depth >= DEPTH_MAX:
        raise Bad("nested too deep")
    if count > len(data) - at:
        raise Bad("cut")
    found: list[object] = []
    for number in range(2 * count if is_map else count):
        value, at = _value(data, at, depth + 1)
        if is_map and not number % 2 and isinstance(value, list | dict | Ext):
            raise Bad("a key that is no scalar")
        found.append(value)
    if not is_map:
        return found, at
    pairs = dict(zip(found[::2], found[1::2], strict=True))
    if len(pairs) != count:
        raise Bad("a key twice")
    return pairs, at


def _ext(data: bytes, at: int, size: int) -> tuple[object, int]:
    code, at = _take(data, at, 1)
    raw, at = _take(data, at, size)
    if code != b"\xff":
        return Ext(struct.unpack(">b", code)[0], raw), at
    if size == 4:
        nanos, seconds = 0, int.from_bytes(raw, "big")
    elif size == 8:
        nanos, seconds = divmod(int.from_bytes(raw, "big"), 1 << 34)
    elif size == 12:
        nanos, seconds = struct.unpack(">Iq", raw)
    else:
        raise Bad("a time of that size")
    if nanos > 999_999_999:
        raise Bad("more than a second of nanoseconds")
    try:
        moment = _EPOCH + dt.timedelta(seconds=seconds)
    except OverflowError as error:
        raise Bad("a time outside the years 1..9999") from error
    return moment.replace(microsecond=nanos // 1000), at


# ---------------------------------------------------------------------------------------- writing


def pack(value: object) -> bytes:
    """The shortest spelling; maps in the order that they have."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int() if -0x20 <= value < 0x80:
            return struct.pack(">b", value)
        case int():
            codes = _FITTING[:4] if value > 0 else _FITTING[4:]
            return _number(value, next(code for code in codes if _fits(value, code)))
        case float():
            return b"\xcb" + struct.pack(">d", value)
        case bytes():
            return _sized(value, len(value), (), b"\xc4\xc5\xc6", (1, 2, 4))
        case str():
            data = value.encode()
            return _sized(data, len(data), (0xA0, 0x20), b"\xd9\xda\xdb", (1, 2, 4))
        case list() | tuple():
            items = cast("list[object]", value)
            data = b"".join(map(pack, items))
            return _sized(data, len(items), (0x90, 0x10), b"\xdc\xdd", (2, 4))
        case dict():
            pairs = cast("dict[object, object]", value)
            data = b"".join(pack(key) + pack(one) for key, one in pairs.items())
            return _sized(data, len(pairs), (0x80, 0x10), b"\xde\xdf", (2, 4))
        case Ext():
            return b"\xc7" + struct.pack(">Bb", len(value.data), value.code) + value.data
        case _:
            raise TypeError(f"no spelling of {type(value).__name__}")


_FITTING: Final = (0xCC, 0xCD, 0xCE, 0xCF, 0xD0, 0xD1, 0xD2, 0xD3)


def _fits(value: int, code: int) -> bool:
    bits = 8 << (code & 3)
    return 0 <= value < 1 << bits if code < 0xD0 else -(1 << bits - 1) <= value < 1 << bits - 1


def _number(value: int, code: int) -> bytes:
    return bytes([code]) + struct.pack(_NUMBERS[code], value)


def _sized(
    data: bytes,
    size: int,
    short: tuple[()] | tuple[int, int],
    codes: bytes,
    widths: tuple[int, ...],
) -> bytes:
    if short and size < short[1]:
        return bytes([short[0] | size]) + data
    for code, width in zip(codes, widths, strict=True):
        if size < 1 << 8 * width:
            return bytes([code]) + size.to_bytes(width, "big") + data
    raise OverflowError(size)


# ------------------------------------------------------------------------------------- misspelling

_ODD: Final[tuple[object, ...]] = (
    None, True, False, 0, 1, -1, 0x7F, 0x80, 0xFF, 0x1_0000, (1 << 31) - 1, (1 << 32) - 1,
    1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63), 0.0, -0.0, 2.0, float("nan"),
    float("inf"), "", "x", "é" * 20, "x" * 300, b"", b"\0", bytes(16), bytes(32), bytes(300),
    [], [[]], [1, 2, 3], {}, {"": None}, Ext(5, b"x"), Ext(-1, bytes(4)), Ext(-1, b"\xff" * 12),
)  # fmt: skip


def spelled(value: object, random: Random) -> bytes:
    """A value in a spelling that is often not its shortest, or with something in it changed.

    About one node of it is touched, however large it is.
    """
    return _spelled(value, random, 1.5 / _nodes(value))


def _nodes(value: object) -> int:
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value)
        return 1 + len(pairs) + sum(map(_nodes, pairs.values()))
    if isinstance(value, list | tuple):
        return 1 + sum(map(_nodes, cast("list[object]", value)))
    return 1


def _spelled(value: object, random: Random, odds: float) -> bytes:
    touched = random.random() < odds
    if touched and random.random() < 0.3:
        return pack(random.choice(_ODD))
    if touched and random.random() < 0.1:
        return b"\x91" * random.choice((1, 3, 62, 63, 64, 65, 2000)) + pack(value)
    match value:
        case list() | tuple():
            items = list(cast("list[object]", value))
            if touched and items:
                _disturb(items, random)
            inner = b"".join(_spelled(one, random, odds) for one in items)
            return _counted(inner, len(items), random, (0x90, 0xDC, 0xDD), touched=touched)
        case dict():
            pairs = list(cast("dict[object, object]", value).items())
            if touched and pairs:
                _disturb(pairs, random)
            parts = (
                _spelled(key, random, odds / 2) + _spelled(one, random, odds) for key, one in pairs
            )
            inner = b"".join(parts)
            return _counted(inner, len(pairs), random, (0x80, 0xDE, 0xDF), touched=touched)
        case bytes() | str() if touched:
            return _resized(value, random)
        case int() if touched and type(value) is int:
            if random.random() < 0.5:
                value = max(
                    -(1 << 63), min(value + random.choice((-1, 1, -value, 1 << 32)), 1 << 63)
                )
            return _number(value, random.choice([one for one in _FITTING if _fits(value, one)]))
        case _:
            return pack(value)


def _disturb(items: list[T], random: Random) -> None:
    """Drop an item, or have it twice, or at another place."""
    at, to = random.randrange(len(items)), random.randrange(len(items))
    match random.randrange(4):
        case 0:
            del items[at]
        case 1:
            items.insert(to, items[at])
        case 2:
            items[at], items[to] = items[to], items[at]
        case _:
            pass


def _counted(
    inner: bytes, count: int, random: Random, codes: tuple[int, int, int], *, touched: bool
) -> bytes:
    if not touched:
        return _sized(inner, count, (codes[0], 0x10), bytes(codes[1:]), (2, 4))
    if random.random() < 0.5:
        count = random.choice(
            (0, 1, max(0, count - 1), count + 1, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF)
        )
    code, width = random.choice(((codes[1], 2), (codes[2], 4)))
    return bytes([code]) + (count & (1 << 8 * width) - 1).to_bytes(width, "big") + inner


def _resized(value: bytes | str, random: Random) -> bytes:
    """Text or bytes: with a longer head, another length, or as the other of the two."""
    data = value.encode() if isinstance(value, str) else value
    is_text = isinstance(value, str) != (random.random() < 0.2)
    match random.randrange(4):
        case 0:
            data = data[: random.randrange(len(data) + 1)]
        case 1:
            data += random.randbytes(random.choice((1, 2, 31, 300)))
        case 2 if data:
            at = random.randrange(len(data))
            data = data[:at] + random.randbytes(1) + data[at + 1 :]
        case _:
            pass
    size = len(data)
    if random.random() < 0.2:
        size = random.choice((0, 1, size + 1, 0xFF, 0xFFFF, 0xFFFF_FFFF))
    codes = _TEXTS if is_text else _BYTES
    code = random.choice([one for one, width in codes.items() if size < 1 << 8 * width])
    return bytes([code]) + size.to_bytes(codes[code], "big") + data


# ------------------------------------------------------------------------------------- comparing


def same(one: object, other: object) -> bool:
    """Whether two values are equal in value and in type, not-a-number included."""
    if isinstance(one, dict) and isinstance(other, dict):
        mine, yours = cast("dict[object, object]", one), cast("dict[object, object]", other)
        return len(mine) == len(yours) and all(
            same(a, b) and same(mine[a], yours[b]) for a, b in zip(mine, yours, strict=True)
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        items, others = cast("list[object]", one), cast("list[object]", other)
        return len(items) == len(others) and all(map(same, items, others))
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack(">d", one) == struct.pack(">d", cast(float, other))
    return one == other
