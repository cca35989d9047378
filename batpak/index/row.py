"""One event as the index knows it, and what it keeps of each name.

Rows are numbers: the row of an event is its sequence. So no column stores it.
"""

from __future__ import annotations

from array import array

from msgspec import Struct

from batpak.digest import ZERO_HASH


class Row(Struct, frozen=True, gc=False):
    """What publishing one event needs to know."""

    sequence: int
    offset: int  # of the frame, in bytes from the start of its segment
    id_hi: int  # first eight bytes of the event id as a number
    kind: int
    entity: str
    scope: str
    key: bytes | None
    version: int
    event_hash: bytes


class Rows(Struct, gc=False):
    """The rows under one name, ascending. `version` and `last_hash` are used by entities only."""

    name: str
    code: int  # position in the list of names of its column
    rows: array[int]  # (n,) u32
    version: int = 0
    last_hash: bytes = ZERO_HASH


def no_rows() -> array[int]:
    """An empty column of rows."""
    return array("I")
