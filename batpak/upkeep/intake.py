"""Intake: events of another store, written into this one. Each is written once, however often.

    key      from the namespace and the id that an event has in its source; a repetition finds it
    link     the cause is the imported one, where that was imported: found under its own key
    batch    what was stored as one there is stored as one here
    fork     what both had before they parted is here: it has the same id at the same place

So nothing has to be kept of an import: it may be cut at any place, and be begun again.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar, cast
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from batpak import codec, wire
from batpak.append import AppendReceipt, BatchItem, RawPayload
from batpak.arguments import answer_of, is_count, text_of
from batpak.commit import request
from batpak.commit.fence import FRAMES_BYTES_MAX, frame_bytes
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
from batpak.event import StoredEvent
from batpak.faults import KeyFault
from batpak.ids import ID_BYTES, NO_ID, framed, key_begin
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.record import BATCH_INDEX_AT, EVENT, decode_parts, unpack_told
from batpak.region import Region
from batpak.upkeep import imported
from batpak.upkeep.imported import IMPORT, ImportedEvent, origin_of
from batpak.wire import Encoded

log: Final = logging.getLogger("batpak.import")

OWN: Final = "batpak."
"""How the names of extensions begin that only the library writes."""

_NONE: Final[Mapping[str, bytes]] = {}
_ALONE: Final = bytes((0, 0, 0, 0, 0, 0, 0, 1))  # index and count

E = TypeVar("E", ImportedEvent, StoredEvent[bytes])

Transform = Callable[[ImportedEvent], BatchItem | None]


class ImportReport(Struct, frozen=True, kw_only=True):
    """What came of an import."""

    imported: int = 0
    already_present: int = 0  # of an earlier import in this namespace, or before a fork
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
    id_at: Callable[[int], bytes | None]  # the id of the event with a sequence
    has: Callable[[bytes], bool]  # whether it has an event with this id


class _Draft(Struct, gc=False):
    """One event that will be written."""

    sequence: int  # in the source, likewise the ids
    event_id: bytes
    cause: bytes | None
    key: bytes
    request: Request
    size: int  # of the payload and the extensions


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
        given: object = transform
        if given is not None and not callable(given):
            found = type(given).__name__
            raise InvalidArgument("transform", f"must be something to call, not a {found}")
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
        self._ours = False  # whether all was read from frames of this library
        self._parted = sys.maxsize  # of that store, a sequence that is another event here

    def run(self, events: Iterable[ImportedEvent]) -> ImportReport:
        """Import all of them.

        Raises:
            InvalidArgument: One is no ImportedEvent, or is of the store that is written to.
            InvalidCoordinate, PayloadInvalid, TooLarge: One cannot be stored here.
            IdempotencyConflict: It was imported before, as something else.
            As the source, and as `Store.append_batch`.
        """
        return self._run(events, _batch_of, _size, self._draft)

    def run_records(self, records: Iterable[StoredEvent[bytes]], store_id: UUID) -> ImportReport:
        """Import what was read from another store of this library. Raises as `run`."""
        if self._transform is not None:
            return self.run(imported.of_store(records, store_id))
        self._elsewhere, self._ours = store_id, True
        draft_of = partial(self._draft_of_record, store_id)
        return self._run(records, _batch_of_record, _size_of_record, draft_of)

    def _run(
        self,
        events: Iterable[E],
        batch_of: Callable[[E], int | None],
        size_of: Callable[[E], int],
        draft_of: Callable[[E], _Draft | None],
    ) -> ImportReport:
        for unit in self._units(events, batch_of, size_of):
            drafts = [draft for event in unit if (draft := draft_of(event)) is not None]
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

    def _units(
        self,
        events: Iterable[E],
        batch_of: Callable[[E], int | None],
        size_of: Callable[[E], int],
    ) -> Iterator[list[E]]:
        """What is written at once: whole batches of the source, as many as fit."""
        limits = self._target.limits
        unit: list[E] = []
        size = 0
        for batch in _batches(events, batch_of):
            bytes_of = size_of(batch[0]) if len(batch) == 1 else sum(map(size_of, batch))
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
            self._elsewhere, self._parted = event.store_id, sys.maxsize
        event_id = event.event_id.bytes
        if event.sequence < self._parted and self._is_here(event.sequence, event_id):
            self._present += 1
            return None
        key = self._key(event_id, event.repeat)
        try:
            checked = self._checked(event, key)
        except BaseException as error:
            error.add_note(f"event {event.sequence} of the source")
            raise
        if checked is None:
            self._filtered += 1
            return None
        self._keyed += event.keyed
        cause = None if event.causation_id is None else event.causation_id.bytes
        return _Draft(event.sequence, event_id, cause, key, checked, checked.size)

    def _draft_of_record(self, store_id: UUID, event: StoredEvent[bytes]) -> _Draft | None:
        """The same of one of this library, from what is stored of it; what is rare goes that way.

        The region has been asked by who has read it.
        """
        parts = decode_parts(event.record)
        (
            type_, flags, kind, payload_version, _, _, wall_ms, sequence, _,
            event_id, correlation_id, cause,
        ) = unpack_told(parts.head)  # fmt: skip
        opt, data = parts.opt, parts.payload
        coordinate = self._coordinates.get((parts.entity, parts.scope))
        if (
            coordinate is None
            or type_ != EVENT
            or flags != 0
            or (opt is not None and opt[1] is not None)
            or len(data) > self._payload_bytes_max
            or (known := EventKind.from_wire(kind)).reserved
        ):
            (rare,) = imported.of_store((event,), store_id)
            return self._draft(rare)
        if sequence < self._parted and self._is_here(sequence, event_id):
            self._present += 1
            return None
        try:
            payload = wire.check_stored(known, data, payload_version, sequence, ours=True)
        except BatpakError as error:
            error.add_note(f"event {sequence} of the source")
            raise
        parent = None if cause == NO_ID else cause
        key = self._key(event_id)
        facts = self._namespace, store_id, event_id, sequence, wall_ms * 1000, parent
        origin = codec.encode(facts)
        one = Request(
            coordinate, payload, None, key, None, None, correlation_id, 0, {IMPORT: origin}
        )
        return _Draft(sequence, event_id, parent, key, one, len(data) + len(origin) + len(IMPORT))

    def _is_here(self, sequence: int, event_id: bytes) -> bool:
        """Whether both stores have it of before a fork. Behind the first that is not, none is."""
        if self._elsewhere is not None and self._target.id_at(sequence) == event_id:
            return True
        self._parted = sequence
        return False

    def _checked(self, event: ImportedEvent, key: bytes) -> Request | None:
        origin = {IMPORT: origin_of(event, self._namespace)}
        if self._transform is not None:
            return self._transformed(event, key, origin, self._transform)
        coordinate = self._coordinates.get((event.entity, event.scope)) or self._coordinate(event)
        payload = wire.check_stored(
            event.kind, event.payload, event.payload_version, event.sequence, ours=self._ours
        )
        correlation = event.correlation_id
        if event.flags != 0 or event.extensions or len(payload.data) > self._payload_bytes_max:
            return self._request(
                coordinate, payload, correlation, event.flags, event.extensions, key, origin
            )
        raw = None if correlation is None else correlation.bytes
        return Request(coordinate, payload, None, key, None, None, raw, 0, origin)

    def _transformed(
        self, event: ImportedEvent, key: bytes, origin: dict[str, bytes], transform: Transform
    ) -> Request | None:
        item = answer_of("transform", transform, event)
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
        theirs = _NONE if item.extensions is None else item.extensions
        return self._request(
            item.coord, payload, item.correlation_id, item.flags, theirs, key, origin
        )

    def _request(
        self,
        coordinate: Coordinate,
        payload: EventPayload | Encoded,
        correlation_id: UUID | None,
        flags: int,
        extensions: Mapping[str, bytes],
        key: bytes,
        origin: dict[str, bytes],
    ) -> Request:
        """Check what a caller could have made, as an append does."""
        if not isinstance(cast("object", extensions), Mapping):
            raise InvalidArgument("extensions", "must be a mapping of names to bytes")
        theirs = {n: v for n, v in extensions.items() if not str(n).startswith(OWN)}
        one = request.check(
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
        return replace(one, key=key, extensions={**(one.extensions or _NONE), **origin})

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
        """Write them, as one unless the source gives one twice: whether it is one the log says."""
        if len({draft.key for draft in drafts}) == len(drafts):
            self._store(drafts)
            return
        some: dict[bytes, _Draft] = {}
        for draft in drafts:
            if draft.key in some:
                self._store([*some.values()])
                some = {}
            some[draft.key] = draft
        self._store([*some.values()])

    def _store(self, drafts: list[_Draft]) -> None:
        """Write those that are not there, as one."""
        present = 0
        while drafts:
            requests, unmapped = self._linked(drafts)
            size = sum([draft.size for draft in drafts])
            self._check_size(drafts[0].sequence, requests, size)
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

    def _check_size(self, first: int, requests: Sequence[Request], size: int) -> None:
        """What is one in the source is one here, so it may be as large as a fence may be.

        Raises:
            TooLarge: It is larger.
        """
        count, limits = len(requests), self._target.limits
        if count <= limits.batch_max_items and size <= limits.batch_max_bytes:
            return
        at = f"from event {first} of the source on"
        for what, found, most in (
            ("number of events that are stored as one", count, limits.fence_max_items),
            ("size of events that are stored as one", size, limits.fence_max_bytes),
            (
                "size of the frames that are stored as one",
                sum(map(frame_bytes, requests)),
                FRAMES_BYTES_MAX,
            ),
        ):
            if found > most:
                raise TooLarge(f"{at}: the {what}", found, most)

    def _linked(self, drafts: list[_Draft]) -> tuple[tuple[Request, ...], int]:
        """The requests, each with its cause; and how many causes are not there."""
        places: dict[bytes, int] = {}
        requests: list[Request] = []
        unmapped = 0
        for index, draft in enumerate(drafts):
            one = draft.request
            if draft.cause is not None:
                cause = draft.cause
                prior = places.get(cause)
                parent = self._parent(cause) if prior is None else None
                unmapped += prior is None and parent is None
                one = replace(one, parent=parent, prior=prior)
            places[draft.event_id] = index
            requests.append(one)
        return tuple(requests), unmapped

    def _parent(self, cause: bytes) -> bytes | None:
        """The event here that a cause has become; or that it is, of before a fork."""
        found = self._target.find(self._key(cause))
        return cause if found is None and self._target.has(cause) else found


def _batch_of(event: ImportedEvent) -> int | None:
    return event.batch


def _batch_of_record(event: StoredEvent[bytes]) -> int | None:
    """The sequence of the first of its batch; None: it was stored alone."""
    place = event.record[BATCH_INDEX_AT : BATCH_INDEX_AT + 8]
    return None if place == _ALONE else event.sequence - int.from_bytes(place[:4], "big")


def _size(event: ImportedEvent) -> int:
    """About what it takes in a batch."""
    size = len(event.payload) + 512
    if event.extensions:
        size += sum(len(name) + len(value) for name, value in event.extensions.items())
    return size


def _size_of_record(event: StoredEvent[bytes]) -> int:
    """Likewise."""
    return len(event.record) + 256


def _batches(events: Iterable[E], batch_of: Callable[[E], int | None]) -> Iterator[list[E]]:
    """Those that were stored as one in the source, together."""
    batch: list[E] = []
    begun: int | None = None
    for event in events:
        first = batch_of(event)
        if batch and (first is None or first != begun):
            yield batch
            batch = []
        if first is None:  # what comes next may raise, and this one is whole
            yield [event]
        else:
            batch.append(event)
            begun = first
    if batch:
        yield batch
