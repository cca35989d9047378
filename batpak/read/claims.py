"""Claims: whether the log has what a receipt says that it has."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from batpak.append import AppendReceipt
from batpak.event import StoredEvent
from batpak.index.table import Table
from batpak.read.fetch import STORED, Fetch
from batpak.signing.verdict import InvalidReason

_AFTER_TYPE: Final = slice(1, None)  # an event whose payload is gone has another type
_KIND: Final = slice(2, 4)
_PAYLOAD_VERSION: Final = slice(4, 6)


def contradiction(
    fetch: Fetch, table: Table, store_id: UUID, receipt: AppendReceipt
) -> InvalidReason | None:
    """The first thing of which the log says something else. None: it says the same of everything.

    Args:
        fetch: Of the log.
        table: Likewise.
        store_id: Likewise.
        receipt: It has the shape of one.

    Raises:
        CorruptStore: The event cannot be read.
    """
    if receipt.store_id != store_id:
        return InvalidReason.OTHER_STORE
    event = _event_of(fetch, table, receipt)
    if event is None:
        return InvalidReason.NO_SUCH_EVENT
    ours, theirs = (
        (
            (InvalidReason.ID, one.event_id),
            (InvalidReason.SEQUENCE, one.sequence),
            (InvalidReason.VERSION, one.version),
            (InvalidReason.COORDINATE, one.coordinate),
            (InvalidReason.KIND, one.head[_KIND]),
            (InvalidReason.CONTENT, (one.content_hash, one.head[_PAYLOAD_VERSION])),
            (InvalidReason.PREV, one.prev_hash),
            (InvalidReason.EVENT_HASH, one.event_hash),
            (InvalidReason.EXTENSIONS, one.extensions),
            (InvalidReason.HEADER, one.head[_AFTER_TYPE]),
        )
        for one in (event, receipt)
    )
    return next((a[0] for a, b in zip(ours, theirs, strict=True) if a != b), None)


def _event_of(fetch: Fetch, table: Table, receipt: AppendReceipt) -> StoredEvent[bytes] | None:
    """The event that a receipt is about: that of its id, else that of its hash in its place."""
    place = table.with_id(receipt.event_id.int >> 64)
    if place is not None:
        event = fetch.event(*place, STORED)
        if event.event_id == receipt.event_id:
            return event
    if receipt.sequence >= table.bound:
        return None
    event = fetch.event(*table.locate(receipt.sequence), STORED)
    return event if event.event_hash == receipt.event_hash else None
