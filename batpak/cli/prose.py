"""Prose on a terminal: broken between words where that ends. A pipe gets each line as one."""

from __future__ import annotations

from textwrap import fill

from rich.console import Console


def wrapped(text: str, indent: str, console: Console) -> str:
    """A text whose first line begins behind `indent`, and the others with it. Paths stay whole."""
    if not console.is_terminal:
        return text
    lines = fill(
        text,
        console.width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.removeprefix(indent)
