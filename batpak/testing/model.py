"""A model of a store: one list of events, and rules that can be checked by eye.

    asked = Asked((item, another), idempotency_key="k")
    receipts = store.append_batch(asked.items, idempotency_key="k")
    events = model.append(asked, receipts)
    assert [one.event_hash for one in receipts] == [one.event_hash for one in events]

There is no file and no index, and nothing is kept that could be out of date: every question is a
loop over the list. Ids and times come from the receipts. All else, the hashes as well, is worked
out here from docs/reference/file-format.md. Where it disagrees with the store, suspect the store.

What a store refuses without its log (names, types, limits) is not modelled, but for what the items
of one batch say of each other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, TypeVar
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from batpak import codec, wire
from batpak.append import BatchItem, Cause, PriorItem, RawPayload
from batpak.coordinate import Coordinate
from batpak.digest import content_hash, joined_hash
from batpak.errors import (
    BatpakError,
    EventNotFound,
    IdempotencyConflict,
    InvalidArgument,
    UnknownParent,
    VersionConflict,
)
from batpak.event import EventHeader
from batpak.faults import KeyFault, ParentFault
from batpak.ids import EventId, operation_key
from batpak.kind import EventKind
from batpak.record import ERASED, stub_of
from batpak.region import Region
from batpak.system import Tombstoned

E = TypeVar("E", bound=BatpakError)

ZEROS: Final = bytes(32)
STAMP: Final = slice(161, 169)  # of a record: durable_through, which no hash covers
_FIELDS: Final = struct.Struct(">BBHHIIIQIQQ16s16s16s")


class Asked(Struct, frozen=True):
    """What one call asks a store to take: `append` one item alone, `append_batch` any number."""

    items: tuple[BatchItem, ...]
    idempotency_key: str | bytes | None = None  # of the batch, instead of keys of its items
    caused_by: Cause | None = None  # for items that name no cause
    correlation_id: UUID | None = None  # for items that name none
    alone: bool = False  # refusals name no item
    staged: bool = False  # all that a fence has, which was judged when it was staged


class ModelEvent(Struct, frozen=True):
    """One event of the list."""

    sequence: int
    version: int
    coordinate: Coordinate
    kind: EventKind
    payload_version: int
    data: bytes  # the payload as it is stored
    event_id: EventId
    correlation_id: UUID
    causation_id: EventId | None
    key: bytes | None
    batch_index: int
    batch_count: int
    event_hash: bytes
    record: bytes  # as it is stored, but for the stamp, which is zeros
    is_erased: bool = False

    @property
    def size_bytes(self) -> int:
        """Of the payload, where that is still stored."""
        return 0 if self.is_erased else len(self.data)


class _Promised(Struct, EventHeader, frozen=True):
    """An event that has no number yet, with an id that stands for the one it will have."""

    head: bytes  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]  held, not computed


class ModelFence:
    """What a fence has to make of each call, and what it has to store in the end.

    Args:
        model: Of the store. Nobody else writes, so it stays as it is.
    """

    def __init__(self, model: Model) -> None:
        self._before, self._after = len(model.events), Model(model.store_id)
        self._after.events = list(model.events)
        self._items: list[BatchItem] = []

    @property
    def asked(self) -> Asked:
        """All of it, as one call."""
        return Asked(tuple(self._items), staged=True)

    def stage(self, asked: Asked) -> list[int]:
        """The sequences of what a call asks for; what its keys know already included.

        Raises:
            As `Model.judge`.
        """
        after, first = self._after, len(self._after.events)
        try:
            events = after.append(asked, [_promised(first + n) for n in range(len(asked.items))])
        except IdempotencyConflict as error:
            if error.sequence is not None and error.sequence >= self._before:
                error.sequence = None  # it is staged, and has no number yet
            raise
        if len(after.events) > first:
            added = first - self._before
            self._items += [_moved(item, added) for item in _filled(asked)]
        return [one.sequence for one in events]


class Model:
    """What a store has to say, whatever was asked of it and however often it was reopened.

    Args:
        store_id: That of the store; every hash covers it.
    """

    def __init__(self, store_id: UUID) -> None:
        self.store_id = store_id
        self.events: list[ModelEvent] = []
        self.durable = 0
        """How many of them a power cut has to leave."""
        self.removed: dict[int, ModelEvent | None] = {}
        """What compaction has changed: sequence -> as which it is read now; None: not at all."""

    # ------------------------------------------------------------------------------------ writing

    def judge(self, asked: Asked) -> list[ModelEvent] | None:
        """What a store has to make of a call: the events that have its keys, or None: it is new.

        Raises:
            UnknownParent, InvalidArgument, IdempotencyConflict, VersionConflict: It has to refuse.
        """
        if asked.staged:
            return None
        items = _filled(asked)
        keys = [_bytes_of(item.idempotency_key) for item in items]
        for index, key in enumerate(keys):
            if (key is None) != (keys[0] is None):
                raise _at(index, asked, IdempotencyConflict(key or b"", KeyFault.MIXED))
            if key is not None and key in keys[:index]:
                raise _at(index, asked, IdempotencyConflict(key, KeyFault.DUPLICATE))
        known = [one for key in keys for one in self.events if key is not None and one.key == key]
        if known:
            self._require_same(asked, items, known)
            return known
        for index, item in enumerate(items):
            entity = item.coord.entity
            actual = self.version(entity) + sum(it.coord.entity == entity for it in items[:index])
            if item.expected_version is not None and item.expected_version != actual:
                raise _at(index, asked, VersionConflict(entity, item.expected_version, actual))
            if item.caused_by is not None and not isinstance(item.caused_by, PriorItem):
                parent = _id_of(item.caused_by)
                if parent not in [one.event_id for one in self.events]:
                    raise _at(index, asked, UnknownParent(parent))
        return None

    def _require_same(
        self, asked: Asked, items: Sequence[BatchItem], known: Sequence[ModelEvent]
    ) -> None:
        """Keys that are known mean what they meant the first time."""
        first, keys = known[0], [_bytes_of(item.idempotency_key) or b"" for item in items]
        behind = _key_of_item(asked, len(items))
        more = behind is not None and any(one.key == behind for one in self.events)
        if behind is not None and (more or len(items) != len(known)):
            raise IdempotencyConflict(keys[0], KeyFault.COUNT, sequence=first.sequence)
        for index, key in enumerate(keys):
            if key not in [one.key for one in known]:
                raise _at(index, asked, IdempotencyConflict(key, KeyFault.PARTIAL))
        for index, (item, key, one) in enumerate(zip(items, keys, known, strict=True)):
            kind, *content = _stored(item)
            same = {
                "kind": one.kind == kind,
                "coordinate": one.coordinate == item.coord,
                "content": [one.payload_version, one.data] == content,
            }
            differs = frozenset(name for name in same if not same[name])
            if differs:
                conflict = IdempotencyConflict(key, KeyFault.DIFFERS, differs, one.sequence)
                raise _at(index, asked, conflict)

    def append(self, asked: Asked, given: Sequence[EventHeader]) -> list[ModelEvent]:
        """Take what a store was asked for, and say which events that is.

        Args:
            asked: As the store was.
            given: Receipts or events, from which ids and times are taken. Not looked at where the
                keys are known.

        Raises:
            As `judge`.
            ValueError: It is new, and the store has answered with another number of events.
        """
        known = self.judge(asked)
        if known is not None:
            return known
        if len(given) != len(asked.items):
            raise ValueError(
                f"{len(given)} events were given, where {len(asked.items)} were asked for"
            )
        added: list[ModelEvent] = []
        for item, one in zip(_filled(asked), given, strict=True):
            parent = None
            if isinstance(item.caused_by, PriorItem):
                parent = added[item.caused_by.index]
            elif item.caused_by is not None:
                cause = _id_of(item.caused_by)
                parent = next(one for one in self.events if one.event_id == cause)
            added.append(self._event(item, parent, len(added), len(asked.items), one))
            self.events.append(added[-1])
        return added

    def _event(
        self, item: BatchItem, parent: ModelEvent | None, index: int, count: int, given: EventHeader
    ) -> ModelEvent:
        """The next event, hashed into the chains of its entity and of the log."""
        entity, scope = item.coord.entity, item.coord.scope
        kind, payload_version, data = _stored(item)
        key, extensions = _bytes_of(item.idempotency_key), sorted((item.extensions or {}).items())
        talk = item.correlation_id
        if talk is None:
            talk = given.event_id if parent is None else parent.correlation_id
        before = self._all_of(entity)
        prev_hash = before[-1].event_hash if before else ZEROS
        fields = _FIELDS.pack(
            1, item.flags, kind, payload_version, 0, index, count, given.hlc.wall_ms,
            given.hlc.counter, len(self.events), len(before) + 1, given.event_id.bytes, talk.bytes,
            bytes(16) if parent is None else parent.event_id.bytes,
        )  # fmt: skip
        opt = (key, extensions or None) if key is not None or extensions else None
        covered = [b"batpak.event.v2\0", self.store_id.bytes, self.head, prev_hash, fields[1:]]
        for part, size in ((entity.encode(), 2), (scope.encode(), 2), (codec.encode(opt), 4)):
            covered += [len(part).to_bytes(size, "big"), part]
        own_hash = joined_hash(*covered, content_hash(data))
        return ModelEvent(
            sequence=len(self.events),
            version=len(before) + 1,
            coordinate=item.coord,
            kind=kind,
            payload_version=payload_version,
            data=data,
            event_id=given.event_id,
            correlation_id=talk,
            causation_id=None if parent is None else parent.event_id,
            key=key,
            batch_index=index,
            batch_count=count,
            event_hash=own_hash,
            record=codec.encode(
                (fields + prev_hash + own_hash + bytes(8), entity, scope, opt, data)
            ),
        )

    # ------------------------------------------------------------------------- power and restarts

    def sync(self) -> None:
        """Everything is durable: a `sync`, a `close` or an open has returned."""
        self.durable = len(self.events)

    def survivals(self) -> list[int]:
        """How many events a power cut may leave: the durable ones, and whole units behind them."""
        ends = [one.sequence + 1 for one in self.events if one.batch_index + 1 == one.batch_count]
        return [end for end in [0, *ends] if end >= self.durable]

    def crash(self, left: int) -> None:
        """The power was cut, and so many events were found by the next open; now they are durable.

        Raises:
            ValueError: No power cut may leave just those.
        """
        if left not in self.survivals():
            raise ValueError(f"{left} events are left, where {self.survivals()} may be")
        del self.events[left:]
        self.removed = {one: left_over for one, left_over in self.removed.items() if one < left}
        self.sync()

    # --------------------------------------------------------------------------------- compaction

    def drop(self, sequence: int) -> None:
        """Nobody reads this event any more; everything else stays."""
        self.removed.setdefault(sequence, None)

    def erase(self, sequence: int) -> None:
        """This event is read as a tombstone from now on, unless it is dropped already."""
        self.removed.setdefault(sequence, self.tombstone(sequence))

    def tombstone(self, sequence: int) -> ModelEvent:
        """As which an event is read when it is erased."""
        one = self.events[sequence]
        left = Tombstoned(
            kind=int(one.kind),
            payload_version=one.payload_version,
            content_hash=content_hash(one.data),
        )
        stub = stub_of(one.record, len(one.data), ERASED, left.content_hash)
        data = codec.encode(left)
        return replace(
            one, kind=Tombstoned.KIND, payload_version=1, data=data, record=stub, is_erased=True
        )

    # ------------------------------------------------------------------------------------ reading

    @property
    def head(self) -> bytes:
        """The chain head of the log: the event hash of its last event."""
        return self.events[-1].event_hash if self.events else ZEROS

    def query(
        self,
        region: Region | None = None,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[ModelEvent]:
        """See `StoreReader.query`."""
        found = [
            one
            for one in self._readable()
            if (region is None or region.matches(one.coordinate, one.kind, one.version))
            and (after is None or one.sequence > after)
            and (before is None or one.sequence < before)
        ]
        return (found[::-1] if reverse else found)[:limit]

    def stream(self, entity: str) -> list[ModelEvent]:
        """The events of one entity, in order; see `StoreReader.stream`."""
        return [one for one in self._readable() if one.coordinate.entity == entity]

    def _all_of(self, entity: str) -> list[ModelEvent]:
        """Those that are not read any more as well."""
        return [one for one in self.events if one.coordinate.entity == entity]

    def _readable(self) -> list[ModelEvent]:
        read = [self.removed.get(one.sequence, one) for one in self.events]
        return [one for one in read if one is not None]

    def version(self, entity: str) -> int:
        """How many events an entity has had."""
        return len(self._all_of(entity))

    def get(self, which: UUID | int) -> ModelEvent:
        """One event, by id or by sequence.

        Raises:
            EventNotFound: There is no such event.
        """
        for one in self.events:
            if which in (one.event_id, one.sequence):
                seen = self.removed.get(one.sequence, one)
                if seen is None:
                    raise EventNotFound(which, dropped=True)
                return seen
        raise EventNotFound(which)

    def entities(self, region: Region | None = None) -> list[str]:
        """The names of the entities with an event in a region, in byte order."""
        return sorted({one.coordinate.entity for one in self.query(region)}, key=str.encode)


def unstamped(record: bytes) -> bytes:
    """A stored record as the model has it: with zeros for its durable-through stamp."""
    return record[: STAMP.start] + bytes(8) + record[STAMP.stop :]


def _promised(number: int) -> _Promised:
    unlike_any = b"\xff" * 8 + number.to_bytes(8, "big")  # no id has it, and nobody asks for it
    return _Promised(bytes(46) + unlike_any + bytes(104))


def _moved(item: BatchItem, count: int) -> BatchItem:
    """An item behind so many others, with its cause."""
    cause = item.caused_by
    if not isinstance(cause, PriorItem):
        return item
    return replace(item, caused_by=PriorItem(cause.index + count))


def _filled(asked: Asked) -> list[BatchItem]:
    """The items, each with what was said of the whole batch.

    Raises:
        UnknownParent, InvalidArgument: An item contradicts what comes before it, or the batch.
    """
    items: list[BatchItem] = []
    for index, item in enumerate(asked.items):
        if isinstance(item.caused_by, PriorItem) and not 0 <= item.caused_by.index < index:
            raise _at(index, asked, UnknownParent(item.caused_by.index, ParentFault.PRIOR_ITEM))
        key = item.idempotency_key
        if asked.idempotency_key is not None:
            if key is not None:
                detail = "give the batch a key, or its items"
                raise _at(index, asked, InvalidArgument("idempotency_key", detail))
            key = _key_of_item(asked, index)
        cause = asked.caused_by if item.caused_by is None else item.caused_by
        talk = asked.correlation_id if item.correlation_id is None else item.correlation_id
        items.append(replace(item, idempotency_key=key, caused_by=cause, correlation_id=talk))
    return items


def _key_of_item(asked: Asked, index: int) -> bytes | None:
    """What the key of a batch makes the key of an item."""
    key = _bytes_of(asked.idempotency_key)
    return None if key is None else operation_key("batpak/batch/1", key, index)


def _stored(item: BatchItem) -> tuple[EventKind, int, bytes]:
    """Kind, version and bytes of a payload."""
    payload = item.payload
    if isinstance(payload, RawPayload):
        return payload.kind, payload.version, payload.data
    encoded = wire.encode(payload)
    return encoded.kind, encoded.version, encoded.data


def _id_of(cause: Cause) -> UUID:
    return cause if isinstance(cause, UUID) else cause.event_id


def _bytes_of(key: str | bytes | None) -> bytes | None:
    return key.encode() if isinstance(key, str) else key


def _at(index: int, asked: Asked, error: E) -> E:
    """A refusal, which names the item it is about."""
    if not asked.alone:
        error.item_index = index
    return error
