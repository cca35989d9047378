"""Ancestry: the events of one entity before an event, each proved by the hash in the one after."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic

from msgspec import Struct

from batpak.digest import ZERO_HASH
from batpak.errors import BatpakError, EventNotFound
from batpak.event import IndexEntry, Q, StoredEvent
from batpak.index.query import before
from batpak.index.row import Part
from batpak.index.table import Table
from batpak.read.fetch import Fetch
from batpak.wire import Form


class AncestryEnd(StrEnum):
    """Why a walk ended."""

    GENESIS = "genesis"  # at the first event of the entity
    LIMIT = "limit"  # as asked
    DROPPED = "dropped"  # the parent was; what is left of it is in `stub`, its link verified
    LINK_MISMATCH = "link-mismatch"  # the parent is there, and is another than the child says
    UNREADABLE = "unreadable"  # the parent cannot be read
    NO_ANCHOR = "no-anchor"  # there is no such event to begin with


class Ancestry(Struct, Generic[Q], frozen=True):
    """The anchor and its ancestors, newest first, and why there are no more."""

    events: tuple[StoredEvent[Q], ...]
    end: AncestryEnd
    detail: BaseException | None = None  # what was wrong, where something was
    stub: IndexEntry | None = None  # what is left of a parent that was dropped


def walk(
    fetch: Fetch,
    table: Table,
    anchor: tuple[Part, int] | None,
    limit: int | None,
    form: Form[Q],
) -> Ancestry[Q]:
    """Walk from an event to the first one of its entity.

    The parent is the entity's event one version before; its event_hash has to be the child's
    prev_hash. Nothing is looked for by hash.
    """
    if anchor is None:
        return Ancestry((), AncestryEnd.NO_ANCHOR)
    events: list[StoredEvent[Q]] = []
    place: tuple[Part, int] | None = anchor
    entity = anchor[0].entity_at(anchor[1])
    while limit is None or len(events) < limit:
        if place is None:
            return Ancestry(tuple(events), AncestryEnd.UNREADABLE)
        try:
            event = fetch.event(*place, form)
        except EventNotFound:
            stub = fetch.entry(*place)
            end = AncestryEnd.DROPPED
            if events and stub.event_hash != events[-1].prev_hash:
                end = AncestryEnd.LINK_MISMATCH
            return Ancestry(tuple(events), end, stub=stub)
        except BatpakError as error:
            return Ancestry(tuple(events), AncestryEnd.UNREADABLE, error)
        if events:
            child = events[-1]
            if event.event_hash != child.prev_hash or event.version != child.version - 1:
                return Ancestry(tuple(events), AncestryEnd.LINK_MISMATCH)
        events.append(event)
        if event.is_genesis:
            end = AncestryEnd.GENESIS
            if event.prev_hash != ZERO_HASH:
                end = AncestryEnd.LINK_MISMATCH
            return Ancestry(tuple(events), end)
        place = before(table, entity, *place)
    return Ancestry(tuple(events), AncestryEnd.LIMIT)
