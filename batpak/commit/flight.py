"""The commit in flight: from the plan of a group to its answers, and the syncs it stands on.

    decide     a plan is made, a new file begun if the newest has its size, room is found
    intend     one store: from here on the group will be committed by someone
    write  ->  sync, if asked  ->  publish: index, tip, bound  ->  answers  ->  wake

Every step after `intend` may be repeated: bytes go to a fixed place, rows to fixed numbers, heads
and bounds are assigned. So an exception that appears between any two steps (Ctrl-C) is answered by
going forward, here or by the next holder. A refused write is cut back, a refused sync poisons:
which events a retried sync would cover cannot be known, so it is never tried.
Reference: docs/explanation/one-lane.md.
"""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from batpak.commit.clamps import Clamps
from batpak.commit.fence import Fence
from batpak.commit.judge import Judge
from batpak.commit.limit import Limit
from batpak.commit.line import Line
from batpak.commit.rotation import Rotation
from batpak.commit.stage import Plan, Stage
from batpak.commit.unit import Answer, Unit, each
from batpak.commit.waiters import Waiters
from batpak.commit.worker import Worker
from batpak.config import Durability, StoreConfig
from batpak.disk.seam import Directory, Lock
from batpak.errors import BatpakError, DurabilityUnknown, StorePoisoned
from batpak.faults import FenceState
from batpak.index.table import Table
from batpak.journal import layout
from batpak.journal.active import ActiveFile
from batpak.journal.segment import Segments, Tip
from batpak.override import override
from batpak.platform import Platform

log: Final = logging.getLogger("batpak.lane")

SYNCS_KEPT: Final = 1024  # durations, for diagnostics

# How far the commit in flight has come. Plain numbers: this is the hot path.
STAGED: Final = 0
WRITTEN: Final = 1
SYNCING: Final = 2  # and the result is not known
CUTTING: Final = 3  # the write was refused; undo it


class Flight(Line):
    """A line whose groups are committed, one at a time.

    Args:
        directory: Of the store.
        lock: Held on it.
        segments: All of the log.
        table: Its index, complete.
        tip: Its end; everything below is durable.
        active: The newest file, for writing.
        store_id: Its identity.
        config: Of the handle.
        platform: The world.
        waiters: Who wants to know when the log has moved on.
    """

    def __init__(
        self,
        directory: Directory,
        lock: Lock,
        segments: Segments,
        table: Table,
        tip: Tip,
        active: ActiveFile,
        store_id: UUID,
        config: StoreConfig,
        platform: Platform,
        waiters: Waiters,
    ) -> None:
        super().__init__(platform, config.limits, config.signer)
        self._waiters = waiters
        self._directory, self._table, self._config = directory, table, config
        self._monotonic_ns = platform.monotonic_ns
        self.tip = tip
        level = config.durability
        self._judge = Judge(table, segments, level)
        self.facts: Final = {"store_id": str(store_id), "path": directory.path}
        """Which log it is, for records of what happens to it."""
        self.clamps: Final = Clamps(platform.monotonic_ns, self.facts)
        self._stage = Stage(
            store_id,
            table,
            self._judge,
            level,
            platform.wall_ns,
            platform.entropy,
            self.clamps,
        )
        self._rotation = Rotation(
            directory, lock, segments, table, active, store_id, config, platform
        )
        self._intent: Plan | None = None
        self._step = STAGED
        self._sync_open = False  # a sync has begun and its result is not known
        self._durable_end = tip.end  # bytes of the newest file that are durable
        self.unsynced_ns: int | None = None
        """Since when, by the clock that never goes back, there is something that is not durable."""
        self.poison: BaseException | None = None
        """Why this handle stopped writing, if it did."""
        self._closed = False
        self.ended = False
        """Whether it writes no more: it is closed, or poisoned."""
        self._fence: Fence | None = None  # while it is open, nobody else writes
        self.syncs: deque[int] = deque(maxlen=SYNCS_KEPT)  # nanoseconds each
        self.groups, self.units = 0, 0
        self._interval = config.durability is Durability.INTERVAL
        self._commits = config.durability is Durability.COMMIT
        self._segment_bytes_max = config.limits.segment_max_bytes
        self._timer = Worker(
            platform, "batpak-sync", self._sync_in_time, config.sync_every_ms / 1000
        )

    def sync(self, limit: Limit | None = None) -> Tip:
        """Make everything durable that is written when this is called; the end of the log then.

        Raises:
            DurabilityUnknown: The sync was refused; this handle writes no more.
            StoreClosed, StorePoisoned: It does already.
            WaitTimeout: It was not done in time.
        """
        return self.hold(self.synced, limit)

    def synced(self) -> Tip:
        """The same, by who holds the lane."""
        if self.poison is not None:
            raise StorePoisoned(self.poison)
        self._sync_all()
        return self.tip

    def _commit(self, group: Sequence[Unit], durable: bool = False) -> None:
        """Decide about a group, make room for it, and carry it out; `durable` at any level."""
        try:
            tip, rotation = self.tip, self._rotation
            if self._commits:
                self._require_lock()
            if tip.end >= self._segment_bytes_max:
                self._rotate()
                tip = self.tip
            plan = self._stage.plan(group, tip, rotation.newest.seed, self._commits)
            if durable and not self._commits:
                plan = plan.synced()
            elif self._interval:
                plan = self._in_time(plan)
            if plan.tip.end > rotation.active.reserved:
                rotation.active.reserve_for(plan.tip.end)
        except Exception as error:  # noqa: BLE001  nothing was changed; likewise
            self._answer(group, each(error, group))
            return
        self._step = STAGED
        self._intent = plan
        self._carry_out(plan)

    def _in_time(self, plan: Plan) -> Plan:
        """Sync with this plan if enough events are unsynced with it."""
        after = plan.tip
        if after.sequence - self.tip.durable < self._config.sync_every_n_events:
            return plan
        return replace(plan, sync=True, tip=replace(after, durable=after.sequence))

    def _rotate(self) -> None:
        """Begin a new file. An interrupted rotation is begun once more by the next round."""
        rotation = self._rotation
        self._require_lock()
        self._sync_all()
        rotation.prepare(self.tip)
        try:
            rotation.publish(self.tip)
        except BatpakError as error:
            self._stop(error)  # which of the names exist is not known: only an open can tell
            raise
        tip = rotation.switch(self.tip)
        self._durable_end = tip.end
        self.tip = tip  # from here on it is done
        rotation.forget()

    def _require_lock(self) -> None:
        """Stop for good if somebody else may have locked, and recovered, the same directory.

        Raises:
            StorePoisoned: Somebody may.
            StorageFailed: The system does not say.
        """
        with layout.asking("look at the lock of", self._directory.path):
            holds_lock = self._rotation.holds_lock
        if not holds_lock:
            self._stop(OSError("the lock file was replaced while it was held"))
            raise StorePoisoned(self.poison or OSError())

    # ------------------------------------------------------------------- the commit in flight

    def _carry_out(self, plan: Plan) -> None:
        """Write, sync, publish, answer: from whatever step the commit is at."""
        tip, table = plan.tip, self._table
        if self._step == STAGED:
            if plan.data:
                try:
                    self._rotation.active.write(plan.offset, plan.data)
                except OSError as error:
                    self._step = CUTTING
                    self._undo(plan, error)
                    return
            self._step = WRITTEN
        if plan.sync and self._durable_end < tip.end:
            self._step = SYNCING
            try:
                self._sync()
            except OSError as error:
                self._leave_open(plan, error)
                return
            self._durable_end = tip.end
            self.unsynced_ns = None
            self._step = WRITTEN
        if plan.data:
            self._rotation.newest.end = tip.end
            table.tail.publish(plan.change)
        self.tip = tip
        table.bound = tip.sequence
        self._answer(plan.units, plan.answers)
        if self._fence is not None and plan.data:  # else it was who only serves the line
            self._leave_fence(FenceState.COMMITTED, plan.answers[0])
        waiters = self._waiters
        if waiters.anybody:
            waiters.published(plan.units)
            self._call_due()
        self._intent = None
        self.groups += 1
        self.units += len(plan.units)
        if self.unsynced_ns is None and not self._commits and tip.durable < tip.sequence:
            self.unsynced_ns = self._monotonic_ns()
        if self._interval and tip.durable < tip.sequence:
            self._timer.wake()

    def _answer(self, units: Sequence[Unit], answers: Sequence[Answer]) -> None:
        for unit, answer in zip(units, answers):  # noqa: B905  both are of one group
            if unit.answer is None:
                unit.answer = answer
            if unit.callbacks:
                self._called.append(unit)
            if unit.bell is not None:
                unit.ring()
        queue = self._queue
        while queue and queue[0].answer is not None:
            queue.popleft()

    def _leave_fence(self, state: FenceState, answer: Answer) -> None:
        """The open fence is over: answer its tickets, and let others write."""
        fence = self._fence
        if fence is not None:
            self._called.extend(fence.end(state, answer))
            self._fence = None
            fence.forget()

    @override
    def _settle_all(self) -> None:
        if self._intent is not None:
            self._settle(self._intent)
        self._waiters.wake()  # those too whom it was about to wake
        self._call_due()

    def _settle(self, plan: Plan) -> None:
        """Complete a commit that an exception from outside has interrupted."""
        if self._step == CUTTING:
            self._undo(plan, OSError("the write was refused"))
            return
        if self._step == SYNCING:
            # The exception has replaced the result of the sync. The same bytes at the same place
            # make the pages dirty again, so the next sync is not a retry of one that failed.
            self._rewrite(plan.tip.end)
            self._step = WRITTEN
        self._carry_out(plan)

    def _undo(self, plan: Plan, error: OSError) -> None:
        """Take a refused write back, and make sure of it; else stop writing for good."""
        rotation = self._rotation
        try:
            rotation.active.undo(plan.offset, len(plan.data))
        except OSError as worse:  # whole units of it may be in the file, and be found by an open
            self._leave_open(plan, worse)
            return
        failure = layout.failed("write", rotation.newest.path, error)
        self._answer(plan.units, each(failure, plan.units))
        self._intent = None

    def _leave_open(self, plan: Plan, error: OSError) -> None:
        """Stop writing: whether these units are stored only the next open can tell."""
        self._stop(error)
        first, stop = self.tip.durable, plan.tip.sequence
        failure = DurabilityUnknown(min(first, stop - 1), stop - 1, error)
        self._answer(plan.units, each(failure, plan.units))
        if self._fence is not None:
            self._leave_fence(FenceState.UNKNOWN, failure)
        self._intent = None

    # ------------------------------------------------------------------------------------ syncs

    def _sync(self) -> None:
        """One sync of the newest file.

        Raises:
            OSError: It was refused.
        """
        began = self._monotonic_ns()
        self._sync_open = True
        self._rotation.active.sync()
        self._sync_open = False
        self.syncs.append(self._monotonic_ns() - began)

    def _sync_all(self) -> None:
        """Make the whole log durable, outside any commit."""
        tip = self.tip
        if self._sync_open:
            self._rewrite(tip.end)
        if tip.durable < tip.sequence or self._durable_end < tip.end:
            try:
                self._sync()
            except OSError as error:
                self._stop(error)
                raise DurabilityUnknown(tip.durable, tip.sequence - 1, error) from error
            self.tip = replace(tip, durable=tip.sequence)
            self._durable_end = tip.end
            self.unsynced_ns = None
            self._waiters.wake()
            self._call_due()

    def _rewrite(self, end: int) -> None:
        """Make the pages dirty again whose sync has an unknown result."""
        rotation, begin = self._rotation, self._durable_end
        data = rotation.newest.data(end)[begin:end]
        try:
            rotation.active.write(begin, data)
        except OSError as error:
            self._stop(error)
            raise layout.failed("write", rotation.newest.path, error) from error

    def _sync_in_time(self) -> None:
        """What the timer does when the oldest unsynced event is old enough."""
        if self.tip.durable < self.tip.sequence and not self._closed and self.poison is None:
            self.sync()

    def _stop(self, error: BaseException) -> None:
        if self.poison is None:
            self.poison = copy.copy(error)  # its traceback would lead to the handle, and hold it
            facts = {**self.facts, "sequence": self.tip.sequence, "cause": str(error)}
            log.error("writing stopped", extra=facts)
        self.ended = True  # last: whoever sees it finds the reason
        self._waiters.wake()
        self._call_due()

    def _call_due(self) -> None:
        """Have called, once the lane is free, what those who were woken want to have called."""
        if self._waiters.due:
            self._called.append(Unit((), 0, callbacks=self._waiters.due))
