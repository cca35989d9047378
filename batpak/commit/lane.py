"""The lane: the one place where events get a number and reach the disk. One holder at a time.

    settle     finish what an interrupted holder left
    judge      key, version, parent                              refusals end here, nothing changed
    rotate     a new file, if the newest has reached its size
    intend     one store: from here on the commit will be completed by someone
    write  ->  sync, if COMMIT  ->  publish: end, index, tip, bound

Every step after `intend` may be repeated: bytes go to a fixed place, rows are taken back before
they are added again. So an exception that appears between any two steps (Ctrl-C) is answered by
going forward, here or by the next holder. A refused write is cut back, a refused sync poisons:
which events a retried sync would cover cannot be known, so it is never tried.
Reference: docs/explanation/one-lane.md.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar
from uuid import UUID

from msgspec.structs import replace

from batpak.append import AppendReceipt
from batpak.commit import stage
from batpak.commit.request import Request
from batpak.commit.stage import Plan
from batpak.config import Durability, StoreConfig
from batpak.disk import Directory, Lock, WriteFile
from batpak.errors import (
    BatpakError,
    CorruptStore,
    Damage,
    DurabilityUnknown,
    InvalidArgument,
    StorageFailed,
    StoreClosed,
    StorePoisoned,
    UnknownParent,
)
from batpak.index.table import ROWS_MAX, Table
from batpak.journal import head, header, layout
from batpak.journal.frame import Frame, uuid_of
from batpak.journal.head import Head
from batpak.journal.segment import Segment, Segments, Tip
from batpak.platform import Platform

T = TypeVar("T")

log: Final = logging.getLogger("batpak.lane")

POOL_BYTES: Final = 2048
_POOL: Final = struct.Struct(f">{POOL_BYTES // 8}Q")


# How far the commit in flight has come. Plain numbers: this is the hot path.
STAGED: Final = 0
WRITTEN: Final = 1
SYNCING: Final = 2  # and the result is not known
SYNCED: Final = 3
CUTTING: Final = 4  # the write was refused; undo it

OS: Final = Durability.OS
COMMIT: Final = Durability.COMMIT


class Lane:
    """Commits requests, in the order in which they get the lock.

    Args:
        directory: Of the store.
        lock: Held on it.
        segments: All of the log.
        table: Its index, complete.
        tip: Its end; everything below is durable.
        store_id: Its identity.
        config: Of the handle.
        platform: The world.
    """

    def __init__(
        self,
        directory: Directory,
        lock: Lock,
        segments: Segments,
        table: Table,
        tip: Tip,
        store_id: UUID,
        config: StoreConfig,
        platform: Platform,
    ) -> None:
        self._directory = directory
        self._lock: Lock | None = lock
        self._segments, self._table = segments, table
        self._store_id, self._platform = store_id, platform
        self._durability = config.durability
        self._segment_bytes_max = config.limits.segment_max_bytes
        self._wall_ns, self._thread_id = platform.wall_ns, platform.thread_id
        self.tip = tip
        self._mutex = platform.raw_lock()
        self._holder = 0
        self._intent: Plan | None = None
        self._step = STAGED
        self._poison: BaseException | None = None
        self._closed = False
        self._pool: list[int] = []
        self._newest = segments.newest
        with layout.asking("open", self._newest.path):
            self._file: WriteFile = directory.append(self._newest.name)

    @property
    def poison(self) -> BaseException | None:
        """Why this handle stopped writing, if it did."""
        return self._poison

    @property
    def closed(self) -> bool:
        """Whether it has ended: nothing is written any more."""
        return self._closed

    def commit(self, request: Request) -> AppendReceipt:
        """Store one event, or say why not.

        On return it is visible, and durable to the level of the receipt.

        Raises:
            InvalidArgument: Called from a signal handler that interrupted this very method.
            StoreClosed, StorePoisoned: This handle writes no more.
            IdempotencyConflict, VersionConflict, UnknownParent: The log says otherwise.
            StorageFailed: The write was refused and is undone.
            DurabilityUnknown: The sync was refused; this handle writes no more.
        """
        me = self._thread_id()
        if self._mutex.locked():
            self._refuse_reentry(me)
        with self._mutex:
            self._holder = me  # no signal handler can run between these two lines
            try:
                return self._commit(request)
            finally:
                self._holder = 0

    def hold(self, look: Callable[[], T]) -> T:
        """Call a function while nothing is being committed; it must not append."""
        me = self._thread_id()
        self._refuse_reentry(me)
        with self._mutex:
            self._holder = me
            try:
                return look()
            finally:
                self._holder = 0

    def _refuse_reentry(self, me: int) -> None:
        if self._mutex.locked() and self._holder == me:
            raise InvalidArgument("thread", "re-entrant: this thread is inside an append already")

    def _commit(self, request: Request) -> AppendReceipt:
        if self._intent is not None:
            self._settle(self._intent)
        if self._closed:
            raise StoreClosed
        if self._poison is not None:
            raise StorePoisoned(self._poison)
        if request.key is not None:
            first = self._table.keys.get(request.key)
            if first is not None:
                return self._replay(request, first)
        entity = self._table.head(request.coordinate.entity)
        stage.judge(request, entity[0])
        parent = None if request.parent is None else self._parent(request.parent)
        if self.tip.end >= self._segment_bytes_max:
            self._rotate()
        plan = stage.plan(
            request,
            self.tip,
            entity,
            parent,
            store_id=self._store_id,
            segment_seed=self._newest.seed,
            now_ms=self._wall_ns() // 1_000_000,
            random=self._random(),
            durability=self._durability,
        )
        if plan.row.sequence > ROWS_MAX:
            raise StorageFailed("append", self._directory.path, None, "the index is full")
        self._step = STAGED
        self._intent = plan
        try:
            self._carry_out(plan)
        except BatpakError:
            raise
        except BaseException:
            with suppress(BatpakError):
                self._settle(plan)
            raise
        return plan.receipt

    def _replay(self, request: Request, sequence: int) -> AppendReceipt:
        first = self._frame(sequence)
        level = COMMIT if sequence < self.tip.durable else OS
        return stage.replay(request, first, store_id=self._store_id, durability=level)

    def _parent(self, event_id: bytes) -> Frame:
        row = self._table.with_id(int.from_bytes(event_id[:8], "big"))
        found = None if row is None else self._frame(row)
        if found is None or found.event_id != event_id:
            raise UnknownParent(uuid_of(event_id))
        return found

    def _frame(self, sequence: int) -> Frame:
        return self._segments.frame(sequence, self._table.offsets[sequence])

    def _random(self) -> int:
        if not self._pool:
            fresh = _POOL.unpack(self._platform.entropy(POOL_BYTES))
            self._pool = [number % stage.RANDOM_MAX for number in fresh]
        return self._pool.pop()

    # ------------------------------------------------------------------ the commit in flight

    def _carry_out(self, plan: Plan) -> None:
        """Write, sync, publish: from whatever step the commit is at."""
        if self._step == STAGED:
            try:
                layout.write_all(self._file, plan.offset, plan.data)
            except OSError as error:
                self._step = CUTTING
                self._cut(plan)
                raise layout.failed("write", self._newest.path, error) from error
            self._step = WRITTEN
        if self._step == WRITTEN and self._durability is COMMIT:
            self._step = SYNCING
            sequence = plan.row.sequence
            self._sync(sequence, sequence + 1)
        self._step = SYNCED
        self._publish(plan)

    def _publish(self, plan: Plan) -> None:
        self._newest.end = plan.tip.end
        self._table.publish(plan.row)
        self.tip = plan.tip
        self._table.bound = plan.tip.sequence
        self._intent = None

    def _settle(self, plan: Plan) -> None:
        """Complete a commit that an exception from outside has interrupted."""
        if self._step == CUTTING:
            self._cut(plan)
            return
        if self._step != SYNCED:
            # The same bytes at the same place. It also makes pages dirty again whose sync was
            # interrupted, so this is not a retry of a sync that failed.
            self._step = STAGED
        else:
            self._table.retract(plan.row)
        self._carry_out(plan)

    def _cut(self, plan: Plan) -> None:
        """Undo a refused write, and make sure of it; else stop writing for good."""
        try:
            self._file.truncate(plan.offset)
            self._file.sync(data_only=False)
            if self._file.size() != plan.offset:
                raise OSError(None, "the file did not take its old size")
        except OSError as error:
            self._stop(error)
        self._intent = None

    def _sync(self, first: int, stop: int) -> None:
        """Make everything written durable; a refusal leaves events `first` .. `stop` - 1 open."""
        try:
            self._file.sync(data_only=True)
        except OSError as error:
            self._stop(error)
            self._intent = None
            raise DurabilityUnknown(first, stop - 1, error) from error

    def _sync_all(self) -> Tip:
        """Make the whole log durable, outside any commit."""
        tip = self.tip
        if tip.durable < tip.sequence:
            try:
                self._sync(tip.durable, tip.sequence)
            except BaseException as error:
                self._stop(error)  # an interrupt may have replaced the result of the sync
                raise
            tip = self.tip = replace(tip, durable=tip.sequence)
        return tip

    def _stop(self, error: BaseException) -> None:
        if self._poison is None:
            self._poison = error
            log.error("writing stopped", extra={"path": self._directory.path, "cause": str(error)})

    # -------------------------------------------------------------------------------- rotation

    def _rotate(self) -> None:
        """Begin a new file. Both new files are whole before either gets its name."""
        self._require_lock()
        tip = self._sync_all()
        old = self._newest
        now_ns = self._platform.wall_ns()
        number = old.header.segment_id + 1
        data = header.encode(
            store_id=self._store_id.bytes,
            segment_id=number,
            created_ns=now_ns,
            first_sequence=tip.sequence,
            salt=self._platform.entropy(header.SALT_BYTES),
            prev=header.Link(old.header.segment_id, tip.end, tip.chain_head),
        )
        name = layout.segment_name(number)
        layout.prepare(self._directory, name, data)
        layout.prepare(self._directory, layout.HEAD, head.encode(self._head(number, len(data))))
        try:
            layout.publish(self._directory, name)
            layout.publish(self._directory, layout.HEAD)
            decoded, start = header.decode(data, name)
            newest = Segment(self._directory, decoded, start, start)
            with layout.asking("open", newest.path):
                file = self._directory.append(name)
            old_file, self._file = self._file, file
            self._segments.add(newest)
            self._newest = newest
            self.tip = replace(tip, end=start)
        except BaseException as error:
            self._stop(error)  # which of the names exist is not known: only an open can tell
            raise
        with suppress(OSError):
            old_file.close()

    def _require_lock(self) -> None:
        """Stop for good if somebody else may have locked, and recovered, the same directory."""
        if self._lock is None or not self._lock.intact():
            self._stop(OSError("the lock file was replaced while it was held"))
            raise StorePoisoned(self._poison or OSError())

    def _head(self, segment_id: int, frames_end: int, state: int = head.OPEN) -> Head:
        tip = self.tip
        return Head(
            self._store_id.bytes,
            state,
            segment_id,
            frames_end,
            tip.sequence,
            tip.chain_head,
            self._platform.wall_ns(),
        )

    # ----------------------------------------------------------------------------------- close

    def close(self, last: Callable[[Tip], Request] | None) -> None:
        """End the log in order: a last event, a sync, a clean HEAD. Twice is harmless.

        Args:
            last: Makes the last event from what was reached before it.

        Raises:
            StorePoisoned: The lock file was replaced; what another writer did is not touched.
            DurabilityUnknown: The last sync was refused.
            StorageFailed: HEAD could not be written. The next open treats the store as not closed.
        """
        me = self._thread_id()
        self._refuse_reentry(me)
        with self._mutex:
            self._holder = me
            try:
                if not self._closed and self._poison is None:
                    self._end(last)
            finally:
                self._closed = True
                with suppress(OSError):
                    self._file.close()
                self._holder = 0

    def _end(self, last: Callable[[Tip], Request] | None) -> None:
        self._require_lock()
        if last is not None:
            try:
                self._commit(last(self.tip))
            except BatpakError as error:
                log.warning("no closing event: %s", error, extra={"path": self._directory.path})
        if self._intent is not None:
            self._settle(self._intent)
        if self._poison is not None:
            return
        tip = self._sync_all()
        newest = self._newest
        with layout.asking("measure", newest.path):
            size = self._file.size()
        if size < tip.end:
            detail = "the file is shorter than what was written to it"
            raise CorruptStore(newest.path, size, Damage.SEGMENT, detail)
        state = self._head(newest.header.segment_id, tip.end, head.CLEAN)
        head.write(self._directory, state)

    def abandon(self) -> None:
        """Close the file and let go of the lock, which is its giver's to release."""
        self._closed, self._lock = True, None
        with suppress(OSError):
            self._file.close()
