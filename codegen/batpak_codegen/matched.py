"""How many texts a pattern matches, where they are short.

A pattern is deterministic, so a text is matched in one way, and ways can be counted instead. Where
two branches may be empty, one text is counted twice: the answer is never too low.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from batpak_codegen.pattern import Chars, Node, Pattern, Repeat, Row

CHARS_MAX: Final = 64  # of texts that are counted

Counts: TypeAlias = list[int]  # length -> how many texts of it there are


def count(pattern: Pattern, shortest: int, longest: int | None) -> int | None:
    """Return how many texts of some lengths match; None if they may be too long to be counted.

    Args:
        pattern: What they match.
        shortest: The fewest characters that they have.
        longest: The most, if anybody says so.
    """
    ends = [end for end in (longest, pattern.longest) if end is not None]
    if not ends or min(ends) > CHARS_MAX:
        return None
    return sum(_counts(pattern.node, min(ends))[shortest:])


def _counts(node: Node, longest: int) -> Counts:
    """Return the counts of texts of 0 to `longest` characters."""
    nothing = [1, *[0] * longest]
    if isinstance(node, Chars):
        found = [0] * (longest + 1)
        if longest:
            found[1] = sum(last - first + 1 for first, last in node.ranges)
        return found
    if isinstance(node, Row):
        found = nothing
        for item in node.items:
            found = _joined(found, _counts(item, longest))
        return found
    if isinstance(node, Repeat):
        return _repeated(node, _counts(node.body, longest), nothing)
    branches = [_counts(branch, longest) for branch in node.branches]
    return [sum(of_length) for of_length in zip(*branches, strict=True)]


def _repeated(node: Repeat, body: Counts, power: Counts) -> Counts:
    """Return the counts of so many bodies; what is longer than all of them is left out."""
    found = [0] * len(body)
    times = 0
    while any(power) and (node.high is None or times <= node.high):
        if times >= node.low:
            found = [one + more for one, more in zip(found, power, strict=True)]
        power, times = _joined(power, body), times + 1
        if times > node.low + len(body):  # every further one has a character at least
            break
    return found


def _joined(first: Counts, second: Counts) -> Counts:
    """Return the counts of a text of the one followed by a text of the other."""
    found = [0] * len(first)
    for begun, ways in enumerate(first):
        for more in range(len(second) - begun) if ways else ():
            found[begun + more] += ways * second[more]
    return found
