"""Mutations: valid inputs, bent in the ways in which bytes and text are usually wrong.

Hypothesis looks for the smallest input that fails, and takes its time; this makes ten thousand
inputs in a fraction of a second, the same ones in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, Literal, TypeAlias

from tests.proof.fuzz_msgpack import spelled

Bend: TypeAlias = Callable[[bytearray, Random], None]

STEPS_MAX: Final = 4  # bends of one input
GROWN_MAX: Final = 4 << 10  # bytes that bends add; larger inputs are made by hand

_BYTES: Final = (0, 1, 0x7F, 0x80, 0xFF)
_MARKERS: Final = (  # how values of MessagePack begin
    0x80, 0x81, 0x8F, 0x90, 0x91, 0x95, 0x9F, 0xA0, 0xA1, 0xBF, *range(0xC0, 0xE0), 0xE0,
)  # fmt: skip


def _at(data: bytearray, random: Random) -> int:
    """A place. Structure is dense at both ends."""
    size, near = len(data), random.random()
    if near < 0.25:
        return random.randrange(min(size, 32))
    return max(0, size - 1 - random.randrange(64)) if near > 0.85 else random.randrange(size)


def _span(data: bytearray, random: Random) -> slice:
    at = _at(data, random)
    return slice(at, at + random.choice((1, 1, 2, 3, 4, 8, 16, 40, 200)))


def _flip(data: bytearray, random: Random) -> None:
    data[_at(data, random)] ^= 1 << random.randrange(8)


def _set(data: bytearray, random: Random) -> None:
    data[_at(data, random)] = (
        random.choice(_BYTES) if random.random() < 0.6 else random.randrange(256)
    )


def _step(data: bytearray, random: Random) -> None:
    at = _at(data, random)
    data[at] = data[at] + random.choice((-1, 1)) & 0xFF


def _number(data: bytearray, random: Random) -> None:
    """A length, a count, an offset: nothing, one, all, far too much, or one off."""
    width = random.choice((1, 2, 4, 4, 8))
    order: Literal["big", "little"] = "big" if random.random() < 0.7 else "little"
    at, most = _at(data, random), (1 << 8 * width) - 1
    was = int.from_bytes(data[at : at + width], order)
    near = (was - 1, was + 1, was + 8, was - 8)
    value = random.choice((0, 1, most, most >> 1, most - 1, len(data), len(data) - at, *near))
    data[at : at + width] = (value & most).to_bytes(width, order)


def _marker(data: bytearray, random: Random) -> None:
    data[_at(data, random)] = random.choice(_MARKERS)


def _cut(data: bytearray, random: Random) -> None:
    del data[_at(data, random) :]


def _behead(data: bytearray, random: Random) -> None:
    del data[: random.choice((1, 2, 4, 8, random.randrange(len(data) + 1)))]


def _drop(data: bytearray, random: Random) -> None:
    del data[_span(data, random)]


def _repeat(data: bytearray, random: Random) -> None:
    span = _span(data, random)
    times = random.choice((1, 1, 2, 30))
    data[span.start : span.start] = (data[span] * times)[:GROWN_MAX]


def _insert(data: bytearray, random: Random) -> None:
    at = _at(data, random)
    data[at:at] = random.randbytes(random.choice((1, 2, 4, 8, 60)))


def _noise(data: bytearray, random: Random) -> None:
    span = _span(data, random)
    data[span] = random.randbytes(len(data[span]))


def _blank(data: bytearray, random: Random) -> None:
    span = _span(data, random)
    data[span] = bytes(len(data[span])) if random.random() < 0.7 else b"\xff" * len(data[span])


def _swap(data: bytearray, random: Random) -> None:
    one, other = sorted((_at(data, random), _at(data, random)))
    size = min(random.choice((1, 2, 4, 8, 40)), other - one, len(data) - other)
    data[one : one + size], data[other : other + size] = (
        data[other : other + size],
        data[one : one + size],
    )


def _append(data: bytearray, random: Random) -> None:
    count = random.choice((1, 3, 8, 64, 700))
    data += bytes(count) if random.random() < 0.5 else random.randbytes(count)


BENDS: Final[tuple[Bend, ...]] = (
    _flip, _flip, _set, _set, _step, _number, _number, _marker, _cut, _behead, _drop, _repeat,
    _insert, _noise, _blank, _swap, _append,
)  # fmt: skip


def bent(seeds: Sequence[bytes], random: Random) -> bytes:
    """One of the seeds, bent; sometimes the beginning of one and the end of another."""
    data = bytearray(random.choice(seeds))
    if random.random() < 0.08:
        other = random.choice(seeds)
        cut = random.randrange(len(data) + 1)
        same_place = random.random() < 0.5
        data[cut:] = other[cut if same_place else random.randrange(len(other) + 1) :]
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, STEPS_MAX))):
        if not data:
            break
        random.choice(BENDS)(data, random)
    return bytes(data)


def noise(random: Random) -> bytes:
    """Any bytes."""
    return random.randbytes(random.choice((0, 1, 2, 4, 9, 16, 48, 100, 300)))


def mutations(seeds: Sequence[bytes], trees: Sequence[object], random: Random) -> Iterator[bytes]:
    """Inputs without end: each seed as it is, then bent ones, misspelt trees, and noise.

    Args:
        seeds: Valid inputs.
        trees: Valid inputs as values, which MessagePack spells.
        random: Decides.
    """
    yield from seeds
    while True:
        what = random.random()
        if what < 0.05:
            yield noise(random)
        elif trees and what < 0.55:
            yield spelled(random.choice(trees), random)
        else:
            yield bent(seeds, random)


# ------------------------------------------------------------------------------------------- text


def texts(seeds: Sequence[str], words: Sequence[str], random: Random) -> Iterator[str]:
    """Texts without end: each seed as it is, then with words, characters and lines exchanged.

    Args:
        seeds: Valid texts.
        words: Of the language, and others.
        random: Decides.
    """
    yield from seeds
    while True:
        what = random.random()
        if what < 0.04:
            yield "".join(random.choices(words, k=random.randrange(20)))
        elif what < 0.08:
            yield bent([random.choice(seeds).encode()], random).decode("utf-8", "surrogateescape")
        else:
            yield _bent_text(seeds, words, random)


def _bent_text(seeds: Sequence[str], words: Sequence[str], random: Random) -> str:
    text = random.choice(seeds)
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(len(text) + 1)
        match random.randrange(8):
            case 0:
                text = text[:at] + random.choice(words) + text[at:]
            case 1:
                text = _word_exchanged(text, at, random.choice(words))
            case 2:
                text = text[:at] + text[at + random.choice((1, 1, 4, 30)) :]
            case 3:
                size = random.choice((1, 5, 40))
                text = (
                    text[:at] + text[at : at + size] * random.choice((2, 2, 9)) + text[at + size :]
                )
            case 4:
                text = _lines_exchanged(text, random)
            case 5:
                text = text[:at]
            case 6:
                other = random.choice(seeds)
                text = text[:at] + other[random.randrange(len(other) + 1) :][:200]
            case _:
                text = text[:at] + chr(random.choice(_POINTS)) + text[at + 1 :]
    return text


_POINTS: Final = (
    *range(0x20, 0x7F), 0, 7, 9, 10, 13, 0x1B, 0x7F, 0x85, 0xA0, 0xE9, 0x200B, 0x202E, 0x2028,
    0xD800, 0xDFFF, 0xFEFF, 0xFFFF, 0x1F600, 0x10FFFF,
)  # fmt: skip


def _word_exchanged(text: str, at: int, word: str) -> str:
    """The word that is at a place, exchanged."""
    begin, end = at, at
    while begin > 0 and text[begin - 1].isalnum():
        begin -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return text[:begin] + word + text[end:]


def _lines_exchanged(text: str, random: Random) -> str:
    lines = text.split("\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case _:
            lines[one] = " " * random.choice((1, 2, 4)) + lines[one]
    return "\n".join(lines)
