"""What a group becomes: units, judged against the log and each other, as one plan.

    judge   may it be?  see `judge`
    stage   what will it be?  sequence, version, clock, id, hashes, frames, rows, receipts

Nothing here changes anything: numbers, clock and ids advance when a plan is published, so a
refused or failed append consumes nothing. What the units of a group have added so far is kept
beside the index, and they see each other through it.
Source: RFC 9562 §5.7 (UUIDv7); Kulkarni et al. 2014 (hybrid logical clocks).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from batpak import record
from batpak.append import AppendReceipt
from batpak.clock import WALL_MS_MAX, next_time
from batpak.commit.clamps import Clamps
from batpak.commit.judge import Judge, Known, known_event, receipts_of
from batpak.commit.request import Request
from batpak.commit.unit import Answer, Unit
from batpak.config import Durability
from batpak.digest import blake3_of
from batpak.errors import BatpakError
from batpak.event import framed_name, hash_prefix
from batpak.ids import NO_ID
from batpak.index.row import Change, EntityHead, Row, Scope
from batpak.index.table import Table
from batpak.journal.frame import encode as encode_frame
from batpak.journal.segment import Tip
from batpak.record import EVENT, MARK, NO_OPT, pack_fields

POOL_BYTES: Final = 8192
_POOL: Final = struct.Struct(f">{POOL_BYTES // 8}Q")
_ID: Final = struct.Struct(">QQ").pack
_U64: Final = struct.Struct(">Q").pack
_BIN_8: Final = tuple(record.pack_payload(bytes(size)) for size in range(0x100))
_RANDOM_MASK: Final = (1 << 62) - 1
_VARIANT: Final = 1 << 63
_COUNTER_OF_ID: Final = 0xFFF
_UUID_7: Final = 0x7000
_NO_OPT_HASHED: Final = len(NO_OPT).to_bytes(4, "big") + NO_OPT


class Plan(Struct, frozen=True):
    """A group that is decided and not yet written.

    Collected as any object is: a refusal among the answers leads back to it through its traceback.
    """

    offset: int
    data: bytes  # frames, back to back; none if every unit was refused or is a replay
    change: Change
    tip: Tip  # afterwards
    sync: bool  # whether it has to be durable before it is visible
    units: Sequence[Unit]
    answers: Sequence[Answer]

    def synced(self) -> Plan:
        """The same with a sync before anything of it is visible, and receipts that say so."""
        answers = [
            tuple(replace(receipt, durability=Durability.COMMIT) for receipt in answer)
            if isinstance(answer, tuple)
            else answer
            for answer in self.answers
        ]
        after = replace(self.tip, durable=self.tip.sequence)
        return replace(self, sync=True, tip=after, answers=answers)


class Stage:
    """Makes plans for one log. Reads the index and frames, and changes nothing.

    Args:
        store_id: Bound into every hash.
        table: The index.
        judge: Of the same log.
        durability: The level that receipts of this handle name.
        wall_ns: The wall clock; the log's own clock never goes back with it.
        entropy: That many unpredictable bytes.
        clamps: Told of each reading of the clock that is not taken as it is.
    """

    def __init__(
        self,
        store_id: UUID,
        table: Table,
        judge: Judge,
        durability: Durability,
        wall_ns: Callable[[], int],
        entropy: Callable[[int], bytes],
        clamps: Clamps,
    ) -> None:
        self._clamps = clamps
        self._store_id, self._hash_prefix = store_id, hash_prefix(store_id.bytes)
        self._table, self._judge, self._durability = table, judge, durability
        self._wall_ns, self._entropy = wall_ns, entropy
        self._pool: list[int] = []

    def plan(self, group: Sequence[Unit], tip: Tip, seed: int, sync: bool) -> Plan:
        """Decide everything about a group.

        Args:
            group: In the order in which they will be stored.
            tip: The end of the log.
            seed: Of the newest segment.
            sync: Whether everything will be durable when it is visible.
        """
        if len(group) == 1:
            plan = self._plan_plain(group, tip, seed, sync)
            if plan is not None:
                return plan
        tail, judge = self._table.tail, self._judge
        first, row, begin = tail.count, tail.count, tip
        now_ms, stamp = self._wall_ns() // 1_000_000, _U64(tip.durable)
        if not 0 < now_ms < WALL_MS_MAX or now_ms < tip.wall_ms:
            self._clamps.note(now_ms, tip.wall_ms, tip.sequence)
        draft = Draft(tip.durable)
        heads, rows, frames = draft.heads, list[Row](), list[bytes]()
        answers: list[Answer] = []
        for unit in group:
            if not unit.judged:
                try:
                    known = judge.judge(unit, draft)
                except BatpakError as error:
                    answers.append(error)
                    continue
                if known is not None:
                    answers.append(receipts_of(known))
                    continue
            requests = unit.requests
            count = len(requests)
            receipts: list[AppendReceipt] = []
            for index, request in enumerate(requests):
                coordinate, key = request.coordinate, request.key
                entity = coordinate.entity
                head = heads.get(entity) or tail.heads.get(entity) or self._new(entity, draft)
                scope = tail.scopes_by_name.get(coordinate.scope) or self._scope(
                    coordinate.scope, draft
                )
                parent, correlation = request.parent, request.correlation_id
                if request.prior is not None:
                    prior = receipts[request.prior].head
                    parent = prior[46:62]
                    correlation = correlation or prior[62:78]
                elif parent is not None and correlation is None:
                    correlation = judge.cause(parent)
                frame, receipt, added, heads[entity], tip = self._event(
                    request, parent, correlation, index, count, tip, now_ms, stamp, seed,
                    head, scope, row,
                )  # fmt: skip
                frames.append(frame)
                receipts.append(receipt)
                rows.append(added)
                if key is not None:
                    draft.keys[key], draft.keyed[key] = row, receipt
                row += 1
            answers.append(tuple(receipts))
        if sync:
            tip = replace(tip, durable=tip.sequence)
        replaced = [*map(tail.heads.get, heads)]
        change = Change(
            first,
            rows,
            heads,
            draft.keys,
            draft.scopes,
            tail.entity_count,
            draft.entities,
            replaced,
        )
        return Plan(begin.end, b"".join(frames), change, tip, sync, group, answers)

    def _plan_plain(
        self,
        group: Sequence[Unit],
        tip: Tip,
        seed: int,
        sync: bool,
    ) -> Plan | None:
        """The plan for one event that nothing but its version can refuse, at a known place.

        It is what `plan` would give, without what only several events need. None: use that.
        """
        requests = group[0].requests
        if len(requests) != 1:
            return None
        request = requests[0]
        coordinate, expected = request.coordinate, request.expected_version
        entity, tail = coordinate.entity, self._table.tail
        head, scope = tail.heads.get(entity), tail.scopes_by_name.get(coordinate.scope)
        if (
            head is None
            or scope is None
            or request.key is not None
            or request.parent is not None
            or (expected is not None and expected != head.version)
        ):
            return None
        row, now_ms = tail.count, self._wall_ns() // 1_000_000
        if not 0 < now_ms < WALL_MS_MAX or now_ms < tip.wall_ms:
            self._clamps.note(now_ms, tip.wall_ms, tip.sequence)
        frame, receipt, added, after, end = self._event(
            request, None, request.correlation_id, 0, 1, tip,
            now_ms, _U64(tip.durable), seed, head, scope, row,
        )  # fmt: skip
        if sync:
            end = replace(end, durable=end.sequence)
        change = Change(row, [added], {entity: after})
        return Plan(tip.end, frame, change, end, sync, group, ((receipt,),))

    def _event(
        self,
        request: Request,
        parent: bytes | None,
        correlation: bytes | None,
        index: int,
        count: int,
        tip: Tip,
        now_ms: int,
        stamp: bytes,
        seed: int,
        head: EntityHead,
        scope: Scope,
        row: int,
    ) -> tuple[bytes, AppendReceipt, Row, EntityHead, Tip]:
        """One event behind a tip: its frame, receipt and row, and where entity and log stand then.

        This is most of what an append costs, so it is one function, and keeps to local names.
        """
        coordinate, payload = request.coordinate, request.payload
        data, content, kind = payload.data, payload.content_hash, payload.kind
        end, sequence, wall_ms, counter = tip.end, tip.sequence, tip.wall_ms, tip.counter
        if now_ms > wall_ms:
            wall_ms, counter = now_ms, 0
        else:
            wall_ms, counter = next_time(wall_ms, counter, now_ms)
        id_hi = now_ms << 16 | _UUID_7
        if id_hi <= tip.id_hi:
            id_hi = next_id_hi(tip.id_hi)
        pool = self._pool
        if not pool:
            pool.extend(_POOL.unpack(self._entropy(POOL_BYTES)))
        event_id = _ID(id_hi, pool.pop() & _RANDOM_MASK | _VARIANT)
        version, prev_hash = head.version + 1, head.event_hash
        fields = pack_fields(
            EVENT,
            request.flags,
            kind,
            payload.version,
            0,
            index,
            count,
            wall_ms,
            counter,
            sequence,
            version,
            event_id,
            correlation or event_id,
            parent or NO_ID,
        )
        key, extensions = request.key, request.extensions
        opt, opt_hashed = NO_OPT, _NO_OPT_HASHED
        if key is not None or extensions:
            opt = record.pack_opt(key, extensions)
            opt_hashed = len(opt).to_bytes(4, "big") + opt
        preimage = (
            self._hash_prefix,
            tip.chain_head,
            prev_hash,
            fields[1:],
            head.hashed,
            scope.hashed,
            opt_hashed,
            content,
        )
        event_hash = blake3_of(b"".join(preimage)).digest()
        head_bytes = b"".join((fields, prev_hash, event_hash, stamp))
        size = len(data)
        prefix = _BIN_8[size] if size < 0x100 else record.pack_payload(data)
        body = b"".join((MARK, head_bytes, head.stored, scope.stored, opt, prefix, data))
        after = end + len(body) + 8
        return (
            encode_frame(body, end, seed),
            AppendReceipt(
                store_id=self._store_id,
                coordinate=coordinate,
                head=head_bytes,
                content_hash=content,
                extensions=extensions or {},
                durability=self._durability,
            ),
            (
                after,
                size,
                kind,
                id_hi,
                head.code,
                scope.code,
                head.row,
                None if correlation is None else int.from_bytes(correlation[8:], "big"),
                None if parent is None else int.from_bytes(parent[8:], "big"),
                key,
            ),
            EntityHead(version, event_hash, head.code, row, head.stored, head.hashed),
            Tip(sequence + 1, event_hash, wall_ms, counter, id_hi, after, tip.durable),
        )

    def _new(self, entity: str, draft: Draft) -> EntityHead:
        """Where an entity stands that has no event in the growing segment yet."""
        head = self._table.head(entity)
        code = self._table.tail.entity_count + len(draft.entities)
        draft.entities.append(entity)
        return replace(head, code=code)

    def _scope(self, name: str, draft: Draft) -> Scope:
        """A scope that the growing segment does not have yet."""
        scope = draft.scopes.get(name)
        if scope is None:
            code = len(self._table.tail.scopes_by_name) + len(draft.scopes)
            scope = Scope(code, record.pack_name(name), framed_name(name.encode()))
            draft.scopes[name] = scope
        return scope


class Draft:
    """What the units of a plan that were taken so far add."""

    __slots__ = ("durable", "entities", "heads", "keyed", "keys", "scopes")

    def __init__(self, durable: int) -> None:
        self.durable = durable
        self.heads: dict[str, EntityHead] = {}
        self.keys: dict[bytes, int] = {}
        self.keyed: dict[bytes, AppendReceipt] = {}
        self.scopes: dict[str, Scope] = {}
        self.entities: list[str] = []

    def version(self, entity: str) -> int | None:
        """See `Before`."""
        head = self.heads.get(entity)
        return None if head is None else head.version

    def with_key(self, key: bytes) -> Known | None:
        """See `Before`."""
        receipt = self.keyed.get(key)
        return None if receipt is None else known_event(replace(receipt, replayed=True))


def next_id_hi(last: int) -> int:
    """The first half of the id that follows another one in the same millisecond."""
    if last & _COUNTER_OF_ID == _COUNTER_OF_ID:  # the counter is full: borrow from the next ms
        return ((last >> 16) + 1) << 16 | _UUID_7
    return last + 1
