"""Proves that texts of a pattern are counted right, and quickly, whatever the pattern.

Without it a set could be refused that has enough values, or one that no set can fill could hang
the strategy that is generated for it.
"""

from __future__ import annotations

import itertools
import random
import time

import pytest

from batpak_codegen.matched import count
from batpak_codegen.pattern import PatternError, read

LETTERS = "abc1"


@pytest.mark.parametrize(
    ("pattern", "lengths", "texts"),
    [
        ("[AB]C?", (0, None), 4),
        ("[AB]C?", (2, None), 2),
        ("a{3}", (0, None), 1),
        ("a{3}", (0, 2), 0),
        ("[ab]*", (0, 3), 15),
        ("[ab]*", (0, None), None),
        ("a*", (3, 3), 1),
        ("x(a|b{2}|cd)", (0, None), 3),
        ("[0-9]{64}", (0, None), 10**64),
        ("[0-9]{65}", (0, None), None),
    ],
)
def test_texts_are_counted_by_length(
    pattern: str, lengths: tuple[int, int | None], texts: int | None
) -> None:
    assert count(read(pattern), *lengths) == texts


def made(draw: random.Random, depth: int) -> str:
    """A pattern at random; most are ambiguous."""
    if depth == 0 or draw.random() < 0.4:
        return draw.choice(["a", "b", "c", "1", "[ab]", "[a-c]", "c1", "ab"])
    one, other = made(draw, depth - 1), made(draw, depth - 1)
    times = draw.choice(["?", "*", "+", "{2}", "{1,2}", "{0,3}", "{2,}"])
    return draw.choice([f"{one}{other}", f"({one}|{other})", f"({one}){times}"])


def test_as_many_are_counted_as_match() -> None:
    draw = random.Random(5)  # noqa: S311  any patterns
    judged = 0
    while judged < 150:
        try:
            pattern = read(made(draw, 3))
        except PatternError:
            continue
        low, high = draw.choice([(0, 4), (1, 3), (0, 2)])
        texts = (
            "".join(letters)
            for length in range(low, high + 1)
            for letters in itertools.product(LETTERS, repeat=length)
        )
        judged += 1

        assert count(pattern, low, high) == sum(map(pattern.matches, texts)), pattern.source


@pytest.mark.parametrize("pattern", ["(a{1000}){1000}", "(((ab?){0,999}c){0,999}d){0,999}"])
def test_counting_takes_no_time(pattern: str) -> None:
    read(pattern)
    started = time.process_time()

    count(read(pattern), 0, 64)

    assert time.process_time() - started < 0.5
