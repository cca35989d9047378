"""Intake: events of another store, written into this one. Each is written once, however often.

    key      from the namespace and the id that an event has in its source; a repetition finds it
    link     the cause is the imported one, where that was imported: found under its own key
    batch    what was stored as one there is stored as one here

So nothing has to be kept of an import: it may be cut at any place, and be begun again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final
from uuid import UUID

from msgspec import Struct

from batpak import wire
from batpak.append import AppendReceipt, BatchItem, RawPayload
from batpak.arguments import is_count, text_of
from batpak.commit import request
from batpak.commit.request import Request
from batpak.config import Limits
from batpak.coordinate import Coordinate
from batpak.digest import blake3_of
from batpak.errors import (
    BatpakError,
    IdempotencyConflict,
    InvalidArgument,
    InvalidCoordinate,
    TooLarge,
)
from batpak.faults import KeyFault
from batpak.ids import ID_BYTES, NO_ID, framed, key_begin
from batpak.payload import EventPayload
from batpak.region import Region
from batpak.upkeep.imported import IMPORT, ImportedEvent, origin_of
from batpak.wire import Encoded

log: Final = logging.getLogger("batpak.import")

OWN: Final = "batpak."
"""How the names of extensions begin that only the library writes."""

_NONE: Final[Mapping[str, bytes]] = {}

Transform = Callable[[ImportedEvent], BatchItem | None]


class ImportReport(Struct, frozen=True, kw_only=True):
    """What came of an import."""

    imported: int = 0
    already_present: int = 0  # of an earlier import in this namespace
    skipped_reserved: int = 0  # of the library itself: those of the other store say nothing here
    filtered: int = 0  # the transform has left them out
    unmapped_parents: int = 0  # the cause was not imported; it is in the event's origin
    keyed: int = 0  # the id in the source was a key that its writer had chosen
    high_water: int | None = None  # of the source, for `after`; None: there was nothing


class Target(Struct, frozen=True):
    """What an import needs of the store that it writes to."""

    store_id: object
    limits: Limits
    commit: Callable[[tuple[Request, ...], int], tuple[AppendReceipt, ...]]
    find: Callable[[bytes], bytes | None]  # the id of the event that has a key


class _Draft(Struct, gc=False):
    """One event that will be written."""

    source: ImportedEvent
    event_id: bytes
    key: bytes
    request: Request


class Intake:
    """One import.

    Args:
        target: Where to.
        namespace: Where from: events of one source in one namespace are imported once.
        region: Which; the rest is not counted.
        transform: What becomes of one; None: it stays as it is.
        chunk: How many are written at once.

    Raises:
        InvalidArgument: An argument is malformed.
    """

    def __init__(
        self,
        target: Target,
        namespace: str,
        region: Region,
        transform: Transform | None,
        chunk: int,
    ) -> None:
        name = text_of("namespace", namespace)
        if not name or len(name.encode()) > 255:
            raise InvalidArgument("namespace", "must be text of 1..255 bytes")
        if not is_count(chunk) or chunk < 1:
            raise InvalidArgument("chunk", "must be 1 or more")
        self._target, self._namespace, self._region = target, name, region
        self._everything, self._transform = region == Region.all(), transform
        self._payload_bytes_max = target.limits.payload_max_bytes
        self._chunk = min(chunk, target.limits.batch_max_items)
        self._key_begin = key_begin("batpak/import/1") + framed(name) + framed(NO_ID)[:-ID_BYTES]
        self._coordinates: dict[tuple[str, str], Coordinate] = {}
        self._imported = self._present = self._reserved = self._filtered = 0
        self._unmapped = self._keyed = 0
        self._high_water: int | None = None
        self._elsewhere: UUID | None = None  # the store of the last event: it is not this one

    def run(self, events: Iterable[ImportedEvent]) -> ImportReport:
        """Import all of them.

        Raises:
            InvalidArgument: One is no ImportedEvent, or is of the store that is written to.
            InvalidCoordinate, PayloadInvalid, TooLarge: One cannot be stored here.
            IdempotencyConflict: It was imported before, as something else.
            As the source, and as `Store.append_batch`.
        """
        for unit in self._units(events):
            drafts = [draft for event in unit if (draft := self._draft(event)) is not None]
            if drafts:
                self._write(drafts)
            self._high_water = unit[-1].sequence
        report = ImportReport(
            imported=self._imported,
            already_present=self._present,
            skipped_reserved=self._reserved,
            filtered=self._filtered,
            unmapped_parents=self._unmapped,
            keyed=self._keyed,
            high_water=self._high_water,
        )
        log.info(
            "imported %d events of %s, %d were there",
            report.imported,
            self._namespace,
            report.already_present,
            extra={"store_id": str(self._target.store_id), "sequence": report.high_water},
        )
        return report

    def _units(self, events: Iterable[ImportedEvent]) -> Iterator[list[ImportedEvent]]:
        """What is written at once: whole batches of the source, as many as fit."""
        limits = self._target.limits
        unit: list[ImportedEvent] = []
        size = 0
        for batch in _batches(events):
            bytes_of = _size(batch[0]) if len(batch) == 1 else sum(map(_size, batch))
            full = len(unit) + len(batch) > self._chunk or size + bytes_of > limits.batch_max_bytes
            if unit and full:
                yield unit
                unit, size = [], 0
            unit += batch
            size += bytes_of
            if len(unit) >= self._chunk:
                yield unit
                unit, size = [], 0
        if unit:
            yield unit

    # -------------------------------------------------------------------------------- one event

    def _draft(self, event: ImportedEvent) -> _Draft | None:
        """What will be written of one event; None: nothing."""
        if event.kind.reserved:
            self._reserved += 1
            return None
        if not self._everything and not self._region.matches_names(
            event.entity, event.scope, event.kind, event.version
        ):
            return None
        if event.store_id is not self._elsewhere:
            if event.store_id == self._target.store_id:
                raise InvalidArgument("source", "these are events of the store that is written to")
            self._elsewhere = event.store_id
        try:
            checked = self._checked(event)
        except BatpakError as error:
            error.add_note(f"event {event.sequence} of the source")
            raise
        if checked is None:
            self._filtered += 1
            return None
        self._keyed += event.keyed
        event_id = event.event_id.bytes
        return _Draft(event, event_id, self._key(event_id, event.repeat), checked)

    def _checked(self, event: ImportedEvent) -> Request | None:
        if self._transform is not None:
            return self._transformed(event, self._transform)
        coordinate = self._coordinates.get((event.entity, event.scope)) or self._coordinate(event)
        payload = wire.check_stored(
            event.kind, event.payload, event.payload_version, event.sequence
        )
        correlation = event.correlation_id
        if event.flags != 0 or event.extensions or len(payload.data) > self._payload_bytes_max:
            return self._request(coordinate, payload, correlation, event.flags, event.extensions)
        raw = None if correlation is None else correlation.bytes
        return Request(coordinate, payload, correlation_id=raw)

    def _transformed(self, event: ImportedEvent, transform: Transform) -> Request | None:
        item: object = transform(event)
        if item is None:
            return None
        if type(item) is not BatchItem:
            found = type(item).__name__
            raise InvalidArgument("transform", f"must return a BatchItem or None, not a {found}")
        for name in ("idempotency_key", "expected_version", "caused_by"):
            if getattr(item, name) is not None:
                raise InvalidArgument("transform", f"{name} is the import's own")
        payload: EventPayload | RawPayload | Encoded = item.payload
        if isinstance(payload, RawPayload):
            kind, data, version = payload.kind, payload.data, payload.version
            payload = wire.check_stored(kind, data, version, event.sequence)
        return self._request(
            item.coord, payload, item.correlation_id, item.flags, item.extensions or _NONE
        )

    def _request(
        self,
        coordinate: Coordinate,
        payload: EventPayload | Encoded,
        correlation_id: UUID | None,
        flags: int,
        extensions: Mapping[str, bytes],
    ) -> Request:
        """Check what a caller could have made, as an append does."""
        theirs = {n: v for n, v in extensions.items() if not str(n).startswith(OWN)}
        return request.check(
            coordinate,
            payload,
            None,
            None,
            None,
            correlation_id,
            flags,
            theirs or None,
            self._payload_bytes_max,
        )

    def _coordinate(self, event: ImportedEvent) -> Coordinate:
        try:
            coordinate = event.coordinate
        except InvalidCoordinate as error:
            error.hint = f"event {event.sequence} of the source: rename it with `transform`"
            raise
        request.check_place(coordinate)
        if len(self._coordinates) < 1 << 16:
            self._coordinates[event.entity, event.scope] = coordinate
        return coordinate

    def _key(self, event_id: bytes, repeat: int = 0) -> bytes:
        begin = self._key_begin + event_id
        return blake3_of(begin + framed(repeat) if repeat else begin).digest()

    # ---------------------------------------------------------------------------------- writing

    def _write(self, drafts: list[_Draft]) -> None:
        """Write those that are not there, as one batch."""
        keys: set[bytes] = set()
        for index, draft in enumerate(drafts):
            if draft.key in keys:  # the source gives it twice: the log has to say whether it is one
                self._write(drafts[:index])
                self._write(drafts[index:])
                return
            keys.add(draft.key)
        limits, present = self._target.limits, 0
        while drafts:
            requests, unmapped = self._linked(drafts)
            size = sum(draft.request.size for draft in drafts)
            if len(requests) > limits.batch_max_items:
                what = "number of items in a batch of the source"
                raise TooLarge(what, len(requests), limits.batch_max_items)
            if size > limits.batch_max_bytes:
                raise TooLarge("batch of the source", size, limits.batch_max_bytes)
            try:
                receipts = self._target.commit(requests, size)
            except IdempotencyConflict as error:
                if error.reason is not KeyFault.PARTIAL:
                    raise
                missing = [one for one in drafts if self._target.find(one.key) is None]
                if len(missing) == len(drafts):
                    raise
                present += len(drafts) - len(missing)
                drafts = missing
                continue
            if receipts[0].replayed:
                present += len(drafts)
            else:
                self._imported += len(drafts)
                self._unmapped += unmapped
            break
        self._present += present

    def _linked(self, drafts: list[_Draft]) -> tuple[tuple[Request, ...], int]:
        """The requests, each with its key, its cause and its origin; causes that are not there."""
        places: dict[bytes, int] = {}
        requests: list[Request] = []
        unmapped = 0
        for index, draft in enumerate(drafts):
            source, one = draft.source, draft.request
            parent: bytes | None = None
            prior: int | None = None
            if source.causation_id is not None:
                cause = source.causation_id.bytes
                prior = places.get(cause)
                if prior is None:
                    parent = self._target.find(self._key(cause))
                    unmapped += parent is None
            places[draft.event_id] = index
            origin = origin_of(source, self._namespace)
            extensions = {**one.extensions, IMPORT: origin} if one.extensions else {IMPORT: origin}
            requests.append(
                Request(
                    one.coordinate,
                    one.payload,
                    None,
                    draft.key,
                    parent,
                    prior,
                    one.correlation_id,
                    one.flags,
                    extensions,
                )
            )
        return tuple(requests), unmapped


def _size(event: ImportedEvent) -> int:
    """About what it takes in a batch."""
    size = len(event.payload) + 512
    if event.extensions:
        size += sum(len(name) + len(value) for name, value in event.extensions.items())
    return size


def _batches(events: Iterable[ImportedEvent]) -> Iterator[list[ImportedEvent]]:
    """Those that were stored as one in the source, together."""
    batch: list[ImportedEvent] = []
    for event in events:
        if batch and (event.batch is None or event.batch != batch[0].batch):
            yield batch
            batch = []
        batch.append(event)
    if batch:
        yield batch
