"""What an append becomes: a request, judged against the heads, as one plan. Pure.

    judge   may it be?  the expected version, then the parent
    plan    what will it be?  sequence, version, clock, id, hashes, the frame, the row, the receipt
    replay  the key is known: the receipt of the first append, or a conflict

Nothing here changes anything: numbers, clock and ids advance when a plan is published, so a
refused or failed append consumes nothing.
Source: RFC 9562 §5.7 (UUIDv7); Kulkarni et al. 2014 (hybrid logical clocks).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from msgspec import Struct

from batpak import codec, digest
from batpak.append import AppendReceipt
from batpak.clock import Hlc, next_time
from batpak.commit.request import Request
from batpak.config import Durability
from batpak.coordinate import Coordinate
from batpak.errors import IdempotencyConflict, VersionConflict
from batpak.event import event_hash
from batpak.ids import NO_ID, EventId
from batpak.index.row import Row
from batpak.journal import frame
from batpak.journal.frame import Frame, Opt, Parts, uuid_of
from batpak.journal.segment import Tip
from batpak.kind import EventKind

COMMIT: Final = Durability.COMMIT
RANDOM_MAX: Final = 1 << 62

_COUNTER_OF_ID: Final = 0xFFF
_UUID_7: Final = 0x7000
_VARIANT: Final = 1 << 63


class Plan(Struct, frozen=True, gc=False):
    """An event that is decided and not yet written."""

    offset: int
    data: bytes
    row: Row
    tip: Tip
    receipt: AppendReceipt


def judge(request: Request, version: int) -> None:
    """Compare the expectation with the entity's version.

    Raises:
        VersionConflict: It does not hold.
    """
    expected = request.expected_version
    if expected is not None and expected != version:
        raise VersionConflict(request.coordinate.entity, expected, version)


def plan(
    request: Request,
    tip: Tip,
    head: tuple[int, bytes],
    parent: Frame | None,
    *,
    store_id: UUID,
    segment_seed: int,
    now_ms: int,
    random: int,
    durability: Durability,
) -> Plan:
    """Decide everything about one event.

    Args:
        request: Judged already.
        tip: The end of the log.
        head: Version and last event hash of the entity.
        parent: The frame of the event that caused this one.
        store_id: Bound into the hash.
        segment_seed: Of the newest segment.
        now_ms: By the wall clock; the log's own clock never goes back with it.
        random: Below RANDOM_MAX.
        durability: The level that will be true on return.
    """
    coordinate, payload = request.coordinate, request.payload
    sequence = tip.sequence
    version, prev_hash = head[0] + 1, head[1]
    wall_ms, counter = next_time(tip.wall_ms, tip.counter, now_ms)
    id_hi = next_id_hi(tip.id_hi, now_ms)
    event_id = ((id_hi << 64) | _VARIANT | random).to_bytes(16, "big")
    correlation = request.correlation_id
    if correlation is None:
        correlation = event_id if parent is None else parent.correlation_id
    fields = frame.pack_fields(
        frame.EVENT,
        request.flags,
        payload.kind,
        payload.version,
        0,
        0,
        1,
        wall_ms,
        counter,
        sequence,
        version,
        event_id,
        correlation,
        request.parent or NO_ID,
    )
    opt: Opt | None = None
    if request.key is not None or request.extensions:
        opt = frame.pack_opt(request.key, request.extensions)
    own_hash = event_hash(
        store_id.bytes,
        tip.chain_head,
        prev_hash,
        fields[frame.COVERED],
        coordinate.entity.encode(),
        coordinate.scope.encode(),
        b"\xc0" if opt is None else codec.encode(opt),
        payload.content_hash,
    )
    head_bytes = frame.close_head(fields, prev_hash, own_hash, tip.durable)
    parts = Parts(head_bytes, coordinate.entity, coordinate.scope, opt, payload.data)
    data = frame.encode(parts, tip.end, segment_seed)
    end = tip.end + len(data)
    durable = sequence + 1 if durability is COMMIT else tip.durable
    typed_id = EventId(uuid_of(event_id))
    return Plan(
        tip.end,
        data,
        Row(
            sequence,
            tip.end,
            id_hi,
            payload.kind,
            coordinate.entity,
            coordinate.scope,
            request.key,
            version,
            own_hash,
        ),
        Tip(sequence + 1, own_hash, wall_ms, counter, id_hi, end, durable),
        AppendReceipt(
            store_id=store_id,
            event_id=typed_id,
            coordinate=coordinate,
            kind=payload.kind,
            payload_version=payload.version,
            sequence=sequence,
            version=version,
            hlc=Hlc(wall_ms, counter),
            correlation_id=typed_id if correlation is event_id else uuid_of(correlation),
            causation_id=None if request.parent is None else EventId(uuid_of(request.parent)),
            content_hash=payload.content_hash,
            prev_hash=prev_hash,
            event_hash=own_hash,
            extensions=request.extensions or {},
            durability=durability,
        ),
    )


def next_id_hi(last: int, now_ms: int) -> int:
    """The first half of the next event id: milliseconds, version 7, a 12-bit counter."""
    fresh = now_ms << 16 | _UUID_7
    if fresh > last:
        return fresh
    if last & _COUNTER_OF_ID == _COUNTER_OF_ID:  # the counter is full: borrow from the next ms
        return ((last >> 16) + 1) << 16 | _UUID_7
    return last + 1


def replay(
    request: Request, first: Frame, *, store_id: UUID, durability: Durability
) -> AppendReceipt:
    """The receipt of the append that used this key first.

    Args:
        request: The repeated one.
        first: The frame of the event that has the key.
        store_id: Of the store.
        durability: The level that is true for that event now.

    Raises:
        IdempotencyConflict: The key was used with another kind, coordinate or content.
    """
    payload = request.payload
    coordinate = Coordinate(first.entity, first.scope)
    content_hash = digest.content_hash(first.payload)
    same_content = (content_hash, first.payload_version) == (payload.content_hash, payload.version)
    differs = {
        name
        for name, same in (
            ("kind", first.kind == payload.kind),
            ("coordinate", coordinate == request.coordinate),
            ("content", same_content),
        )
        if not same
    }
    if differs:
        raise IdempotencyConflict(request.key or b"", frozenset(differs), first.sequence)
    return AppendReceipt(
        store_id=store_id,
        event_id=EventId(uuid_of(first.event_id)),
        coordinate=coordinate,
        kind=EventKind.from_wire(first.kind),
        payload_version=first.payload_version,
        sequence=first.sequence,
        version=first.version,
        hlc=Hlc(first.wall_ms, first.counter),
        correlation_id=uuid_of(first.correlation_id),
        causation_id=None if first.causation_id == NO_ID else EventId(uuid_of(first.causation_id)),
        content_hash=content_hash,
        prev_hash=first.prev_hash,
        event_hash=first.event_hash,
        extensions=first.extensions,
        durability=durability,
        replayed=True,
    )
