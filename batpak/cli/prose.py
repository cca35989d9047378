"""Prose on a terminal: broken between words where that ends. A pipe gets each line as one.

What others have written moves no cursor, and does not turn the line around.
"""

from __future__ import annotations

import json
from textwrap import fill


def wrapped(text: str, indent: str, width: int | None) -> str:
    """A text whose first line begins behind `indent`, and the others with it. Paths stay whole.

    Args:
        text: What is said, on one line.
        indent: How many columns are taken in front of it.
        width: Of the terminal; None: there is none.
    """
    if width is None:
        return text
    lines = fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.removeprefix(indent)


def harmless(text: str) -> str:
    """Text of somebody else, with what a terminal would not just print escaped as JSON does."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def harmless_lines(text: str) -> str:
    """The same of several lines. JSON stays the JSON that it is."""
    return "\n".join(map(harmless, text.split("\n")))


def counted(number: int, thing: str) -> str:
    """How many there are of a thing."""
    return f"{number:,} {thing}" + "s" * (number != 1)


def events_between(first: int, last: int) -> str:
    """The events from one sequence to another one, or the only one."""
    return f"event {first:,}" if first == last else f"events {first:,} to {last:,}"
