"""Parking: the record of an event that a worker has passed, because its handler fails at it.

They stand on `batpak:parked:<checkpoint id>`, in the scope of the event, caused by it. Nothing is
passed without one, and one is never passed for another one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from batpak import wire
from batpak.commit.lane import Lane
from batpak.commit.request import Request
from batpak.commit.unit import Unit
from batpak.coordinate import Coordinate
from batpak.errors import IdempotencyConflict
from batpak.ids import operation_key
from batpak.index.table import Table
from batpak.read.fetch import Fetch
from batpak.read.worker import Park
from batpak.system import EventParked

log: Final = logging.getLogger("batpak.worker")

PARKED: Final = "batpak:parked:"
_DOMAIN: Final = "batpak/parked/1"


def parking(
    fetch: Fetch, table: Table, lane: Lane, thread_id: Callable[[], int], checkpoint_id: str
) -> Park:
    """What records that an event is passed; durable on return."""

    def park(sequence: int, error: BaseException) -> None:
        event = fetch.entry(*table.locate(sequence))
        place = Coordinate(PARKED + checkpoint_id, event.coordinate.scope)
        if event.coordinate.entity == place.entity:
            raise error  # else each record would be followed by the next, for ever
        what = f"{type(error).__module__}.{type(error).__qualname__}"
        record = EventParked(
            checkpoint_id=checkpoint_id,
            sequence=sequence,
            event_id=event.event_id,
            error=what,
        )
        key = operation_key(_DOMAIN, checkpoint_id, event.event_id.bytes)
        one = Request(
            place,
            wire.encode(record),
            key=key,
            parent=event.event_id.bytes,
            correlation_id=event.correlation_id.bytes,
        )
        with suppress(IdempotencyConflict):  # it was parked before, for another reason
            lane.commit(Unit((one,), thread_id(), one.size))
        if lane.tip.durable < lane.tip.sequence:
            lane.sync()
        facts = {"worker": checkpoint_id, "sequence": sequence}
        log.warning("%s has parked event %d: %s", checkpoint_id, sequence, what, extra=facts)

    return park
