"""Prose on a terminal: broken between words where that ends. A pipe gets each line as one."""

from __future__ import annotations

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
