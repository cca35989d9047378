"""A ledger in memory: all that a machine needs of a store, without a file.

    orders = OrderMachine(MemoryLedger(), Hooks())

What a store refuses without its log, this refuses by the same code; its log is a `Model`. Ids and
times only count up, so two runs of a test store the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from batpak import wire
from batpak.append import AppendReceipt, BatchItem, Cause, RawPayload
from batpak.arguments import seconds_of
from batpak.cache.row import NoCache, ProjectionCache
from batpak.clock import Hlc
from batpak.commit import request
from batpak.commit.request import Request
from batpak.config import Durability, Limits
from batpak.coordinate import Coordinate
from batpak.event import EventHeader, StoredEvent
from batpak.ids import EventId
from batpak.override import override
from batpak.payload import EventPayload
from batpak.platform import REAL
from batpak.report import Watermark
from batpak.testing.model import Asked, Model, ModelEvent
from batpak.waits import mark_of
from batpak.wire import Encoded, Form, Q

_NUMBERS: Final = count(1)
_LIMITS: Final = Limits()


class MemoryLedger:
    """A ledger in memory. Safe to share between threads."""

    def __init__(self) -> None:
        self._model = Model(UUID(int=next(_NUMBERS)))
        self._cache = NoCache()
        self._lock = REAL.raw_lock()

    @property
    def store_id(self) -> UUID:
        """Of no other ledger in this process."""
        return self._model.store_id

    @property
    def projection_cache(self) -> ProjectionCache:
        """None: what is in memory is as soon folded again."""
        return self._cache

    @property
    def retention_epoch(self) -> int:
        """0: nothing is ever removed."""
        return 0

    def version(self, entity: str) -> int:
        """How many events an entity has."""
        with self._lock:
            return self._model.version(entity)

    def append(
        self,
        coord: Coordinate,
        payload: EventPayload | Encoded,
        *,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
    ) -> AppendReceipt:
        """Store one event. See `Store.append`. What is stored here has come as far as it can."""
        one = request.check(
            coord,
            payload,
            expected_version,
            idempotency_key,
            caused_by,
            correlation_id,
            flags,
            extensions,
            _LIMITS.payload_max_bytes,
        )
        _check_wait(wait_for, timeout_s)
        item = BatchItem(
            coord,
            _raw(one),
            expected_version=expected_version,
            idempotency_key=idempotency_key,
            caused_by=caused_by,
            correlation_id=correlation_id,
            flags=one.flags,
            extensions=one.extensions,
        )
        return self._take(Asked((item,), alone=True))[0]

    def append_batch(
        self,
        items: Iterable[BatchItem],
        *,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
    ) -> tuple[AppendReceipt, ...]:
        """Store several events as one. See `Store.append_batch`."""
        items = tuple(items)
        requests, _ = request.check_batch(
            items,
            idempotency_key=idempotency_key,
            caused_by=caused_by,
            correlation_id=correlation_id,
            limits=_LIMITS,
        )
        _check_wait(wait_for, timeout_s)
        checked = tuple(
            replace(item, payload=_raw(one), extensions=one.extensions)
            for item, one in zip(items, requests, strict=True)
        )
        return self._take(Asked(checked, idempotency_key, caused_by, correlation_id))

    def stream(
        self, entity: str, *, first_version: int = 1, form: Form[Q]
    ) -> Iterator[StoredEvent[Q]]:
        """The events of one entity in version order. See `StoreReader.stream`."""
        for one in self._model.stream(entity)[first_version - 1 :]:
            decode = wire.decoder(one.kind, one.payload_version, form, one.sequence)
            yield StoredEvent(decode(one.data), one.record)

    def _take(self, asked: Asked) -> tuple[AppendReceipt, ...]:
        """Ask the model, and answer as a store would."""
        with self._lock:
            first = len(self._model.events)
            given = [_Header(first + place) for place in range(len(asked.items))]
            taken = self._model.append(asked, given)
        return tuple(_receipt(self.store_id, one, replayed=one.sequence < first) for one in taken)


class _Header(EventHeader):
    """The id and the time of an event, from its sequence."""

    def __init__(self, sequence: int) -> None:
        self._count = sequence + 1

    @property
    @override
    def event_id(self) -> EventId:
        return EventId(UUID(int=self._count))

    @property
    @override
    def hlc(self) -> Hlc:
        return Hlc(self._count, 0)


def _check_wait(wait_for: object, timeout_s: object) -> None:
    """Refuse what a store refuses; there is nobody to wait for."""
    if wait_for is not None:
        mark_of("wait_for", wait_for)
    if timeout_s is not None:
        seconds_of("timeout_s", timeout_s)


def _raw(checked: Request) -> RawPayload:
    """The payload as it will be stored, whatever becomes of the caller's object."""
    return RawPayload(checked.payload.kind, checked.payload.data, checked.payload.version)


def _receipt(store_id: UUID, one: ModelEvent, *, replayed: bool) -> AppendReceipt:
    event = StoredEvent(None, one.record)
    return AppendReceipt(
        store_id=store_id,
        coordinate=one.coordinate,
        head=event.head,
        content_hash=event.content_hash,
        extensions=event.extensions,
        durability=Durability.OS,
        replayed=replayed,
    )
