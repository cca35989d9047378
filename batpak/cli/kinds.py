"""Kinds on a command line: numbers, as the schema has them."""

from __future__ import annotations

import typer

from batpak.kind import EventKind


def kind_of(text: str) -> EventKind:
    """The kind that was given.

    Raises:
        BadParameter: It is no number of 16 bits.
    """
    try:
        return EventKind.from_wire(int(text, 0))
    except ValueError as error:
        raise typer.BadParameter(f"{text!a} is no kind; write it like 0x2001") from error
