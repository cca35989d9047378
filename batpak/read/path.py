"""Path: from an event to where a note was taken, as a proof."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from batpak import record
from batpak.digest import ZERO_HASH
from batpak.errors import InvalidArgument, TooLarge
from batpak.index import query
from batpak.index.table import Table
from batpak.note import CheckpointNote
from batpak.proof import HASHED, PROOF_BYTES_MAX, PROOF_EVENTS_MAX, Link, Proof
from batpak.read.fetch import STORED, Fetch
from batpak.region import Region


def prove(fetch: Fetch, table: Table, store_id: UUID, sequence: int, note: CheckpointNote) -> Proof:
    """Proof that the log of a note has an event. Every event behind it is read, up to the note.

    Raises:
        InvalidArgument: The note is of another log, or older than the event, or it was erased.
        TooLarge: There are too many events in between.
        CorruptStore: One of them cannot be read.
    """
    if note.store_id != store_id:
        raise InvalidArgument("note", "is of another store")
    if note.events > table.bound:
        raise InvalidArgument("note", "is of a log with more events than this one")
    if sequence >= note.events:
        raise InvalidArgument("note", "was taken before the event was stored")
    count = note.events - 1 - sequence
    if count > PROOF_EVENTS_MAX:
        raise TooLarge("number of events from the event to the note", count, PROOF_EVENTS_MAX)
    before = ZERO_HASH
    if sequence:
        before = fetch.event_hash(*table.locate(sequence - 1))
    head, size, links = before, 0, list[Link]()
    ask = partial(query.select, table, Region.all(), dropped=True)
    for event in fetch.events(fetch.steady(ask, sequence, note.events), STORED):
        parts = record.decode_parts(event.record)
        digest = event.content_hash
        if not links and event.record[record.TYPE_AT] != record.EVENT:
            raise InvalidArgument("event", "its payload was removed, and cannot be proved")
        content = digest if links else parts.payload
        size += len(event.record) - len(parts.payload) + len(content)  # what it takes, or more
        if size > PROOF_BYTES_MAX:
            raise TooLarge("proof", size, PROOF_BYTES_MAX)
        link = Link(parts.head[HASHED], parts.entity, parts.scope, parts.opt, content)
        head = link.event_hash(store_id.bytes, head, digest)
        links.append(link)
    if head != note.head:
        raise InvalidArgument("note", "this log has another event where it was taken")
    return Proof(note, before, links[0], tuple(links[1:]))
