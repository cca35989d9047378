"""Whether a unit may be stored: its keys, expected versions and parents, held against the log.

And against what was taken before it and is not in the log yet: by the same group, or by the same
fence. Reads the index and frames, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from batpak import record
from batpak.append import AppendReceipt
from batpak.commit.request import Request
from batpak.commit.unit import Unit
from batpak.config import Durability
from batpak.coordinate import Coordinate
from batpak.digest import content_hash
from batpak.errors import BatpakError, IdempotencyConflict, UnknownParent, VersionConflict
from batpak.faults import KeyFault
from batpak.ids import ID_BYTES
from batpak.index.row import Part
from batpak.index.table import Table
from batpak.journal.segment import Segments
from batpak.record import EVENT, uuid_of


class Known(Struct, frozen=True):
    """What a key was used for first: an event of the log or of the group, or an item of a fence."""

    coordinate: Coordinate
    kind: int
    content: tuple[bytes, int]  # hash and version of the payload
    receipt: AppendReceipt | None = None
    item: int | None = None  # position in the fence

    @property
    def sequence(self) -> int | None:
        """Of the event, if it has one already."""
        return None if self.receipt is None else self.receipt.sequence


def known_event(receipt: AppendReceipt) -> Known:
    """An event that has a key."""
    content = receipt.content_hash, receipt.payload_version
    return Known(receipt.coordinate, receipt.kind, content, receipt)


def known_item(request: Request, item: int) -> Known:
    """An item of a fence that has a key."""
    payload = request.payload
    content = payload.content_hash, payload.version
    return Known(request.coordinate, payload.kind, content, item=item)


class Before(Protocol):
    """What was taken before a unit, and is not in the log yet."""

    @property
    def durable(self) -> int:
        """How many events of the log are durable."""
        ...

    def version(self, entity: str) -> int | None:
        """How many events an entity has with it. None: nothing of that entity was taken."""
        ...

    def with_key(self, key: bytes) -> Known | None:
        """What of it has a key."""
        ...


class Judge:
    """Judges units of one log.

    Args:
        table: The index.
        segments: The frames.
        durability: The level that receipts of this handle name.
    """

    def __init__(self, table: Table, segments: Segments, durability: Durability) -> None:
        self._durability = durability
        self._table, self._segments = table, segments

    def judge(self, unit: Unit, before: Before) -> list[Known] | None:
        """Hold a unit against the log. What its keys were used for first, or None: it is new.

        Raises:
            IdempotencyConflict, VersionConflict, UnknownParent: The log says otherwise.
        """
        requests = unit.requests
        if not any(request.conditional for request in requests):
            return None
        if requests[0].key is not None:  # then all have one
            known = self._replay(unit, before)
            if known is not None:
                return known
        expects = any(request.expected_version is not None for request in requests)
        versions: dict[str, int] = {}
        for index, request in enumerate(requests):
            try:
                if expects:
                    self._expect(request, versions, before)
                if request.parent is not None:
                    self.cause(request.parent)
            except BatpakError as error:
                if unit.batch:
                    error.item_index = index
                raise
        return None

    def _expect(self, request: Request, versions: dict[str, int], before: Before) -> None:
        """Hold an expected version against the log and what of the unit stands before it.

        Raises:
            VersionConflict: The entity has another one.
        """
        entity, expected = request.coordinate.entity, request.expected_version
        version = versions.get(entity)
        if version is None:
            version = self.version(entity, before)
        if expected is not None and expected != version:
            raise VersionConflict(entity, expected, version)
        versions[entity] = version + 1

    def _replay(self, unit: Unit, before: Before) -> list[Known] | None:
        """What these keys were used for the first time; None: they never were."""
        keys = [request.key or b"" for request in unit.requests]
        if not any(map(before.with_key, keys)) and not self._table.may_know(keys):
            return None
        known = [self._known(key, before) for key in keys]
        missing = known.count(None)
        if missing == len(known):
            return None
        found = [one for one in known if one is not None]
        behind = unit.key_behind
        if behind is not None and (missing or self._known(behind, before) is not None):
            raise IdempotencyConflict(keys[0], KeyFault.COUNT, sequence=found[0].sequence)
        if missing:
            index = known.index(None)
            conflict = IdempotencyConflict(keys[index], KeyFault.PARTIAL)
            conflict.item_index = index
            raise conflict
        for index, (request, first) in enumerate(zip(unit.requests, found, strict=True)):
            differs = _differs(request, first)
            if differs:
                error = IdempotencyConflict(keys[index], KeyFault.DIFFERS, differs, first.sequence)
                error.item_index = index if unit.batch else None
                raise error
        return found

    def _known(self, key: bytes, before: Before) -> Known | None:
        """Who used a key first."""
        staged = before.with_key(key)
        if staged is not None:
            return staged
        sequence = self._table.with_key(key)
        if sequence is None:
            return None
        part, row = self._table.locate(sequence)
        parts = record.decode_parts(self._record(part, row))
        is_whole = parts.head[0] == EVENT
        durable = Durability.COMMIT if sequence < before.durable else self._durability
        return known_event(
            AppendReceipt(
                store_id=self._segments.store_id_of(part.segment_id),  # an origin's, before a fork
                coordinate=Coordinate(parts.entity, parts.scope),
                head=_as_appended(parts.head),
                content_hash=content_hash(parts.payload) if is_whole else parts.payload,
                extensions={} if parts.opt is None else dict(parts.opt[1] or ()),
                durability=durable,
                replayed=True,
            )
        )

    def cause(self, event_id: bytes) -> bytes:
        """The correlation id of the event that caused another one.

        Raises:
            UnknownParent: It is not in the log.
        """
        place = self._table.with_id(int.from_bytes(event_id[:8], "big"))
        if place is not None:
            body = self._record(*place)
            at = record.EVENT_ID_AT
            if body[at : at + ID_BYTES] == event_id:
                return body[at + ID_BYTES : at + 2 * ID_BYTES]
        raise UnknownParent(uuid_of(event_id))

    def _record(self, part: Part, row: int) -> bytes:
        offsets = part.offsets
        segment = self._segments.of(part.segment_id)
        return segment.record(offsets[row], offsets[row + 1], part.block_crcs)

    def version(self, entity: str, before: Before) -> int:
        """How many events an entity has, those taken before included."""
        version = before.version(entity)
        return self._table.head(entity).version if version is None else version


def receipts_of(known: Sequence[Known]) -> tuple[AppendReceipt, ...]:
    """Of events that have keys."""
    return tuple(one.receipt for one in known if one.receipt is not None)


def _as_appended(head: bytes) -> bytes:
    """The header of an event as its receipt had it: before it was dropped or erased, if it was."""
    return bytes([EVENT]) + head[1:]


def _differs(request: Request, first: Known) -> frozenset[str]:
    """What about an event is another than when its key was used first."""
    again = known_item(request, 0)
    return frozenset(
        name
        for name in ("kind", "coordinate", "content")
        if getattr(again, name) != getattr(first, name)
    )
