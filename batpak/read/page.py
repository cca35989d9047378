"""Pages: some events, and where to go on."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from batpak.event import StoredEvent

Q = TypeVar("Q")


class Page(Struct, Generic[Q], frozen=True):
    """A part of a query, in sequence order."""

    items: tuple[StoredEvent[Q], ...]
    next_after: int | None  # for the next page; None: there was nothing more
    visible: int  # how many events the store had when the page was read
