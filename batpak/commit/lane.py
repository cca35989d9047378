"""The lane: the one place where events get a number and reach the disk. One holder at a time.

    settle     finish what an interrupted holder left
    stage      key, version, parent; then numbers, hashes, frames     refusals end here
    rotate     a new file, if the newest has reached its size
    reserve    no space is found here, before a byte is written
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
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from batpak.commit.limit import Limit
from batpak.commit.line import Line, too_late
from batpak.commit.rotation import Rotation
from batpak.commit.stage import Plan, Stage
from batpak.commit.unit import Answer, Call, Unit, each
from batpak.commit.waiters import Waiters
from batpak.commit.worker import Worker
from batpak.config import Durability, StoreConfig
from batpak.disk.seam import Directory, Lock
from batpak.errors import (
    BatpakError,
    DurabilityUnknown,
    StoreClosed,
    StorePoisoned,
)
from batpak.index.table import Table
from batpak.journal import layout
from batpak.journal.active import ActiveFile
from batpak.journal.segment import Segments, Tip
from batpak.override import override
from batpak.platform import Platform

log: Final = logging.getLogger("batpak.lane")

GROUP_BYTES_MAX: Final = 8 << 20
SYNCS_KEPT: Final = 1024  # durations, for diagnostics

# How far the commit in flight has come. Plain numbers: this is the hot path.
STAGED: Final = 0
WRITTEN: Final = 1
SYNCING: Final = 2  # and the result is not known
CUTTING: Final = 3  # the write was refused; undo it


class Lane(Line):
    """Commits units in the order in which they came.

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
        self._stage = Stage(
            store_id, table, segments, config.durability, platform.wall_ns, platform.entropy
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
        self._last: Unit | None = None  # the closing event, once it is made
        self.syncs: deque[int] = deque(maxlen=SYNCS_KEPT)  # nanoseconds each
        self.groups, self.units = 0, 0
        self._interval = config.durability is Durability.INTERVAL
        self._commits = config.durability is Durability.COMMIT
        self._segment_bytes_max = config.limits.segment_max_bytes
        self._timer = Worker(
            platform, "batpak-sync", self._sync_in_time, config.sync_every_ms / 1000
        )

    @property
    def closed(self) -> bool:
        """Whether it has ended: nothing is written any more."""
        return self._closed

    def sync(self, limit: Limit | None = None) -> Tip:
        """Make everything durable that is written when this is called; the end of the log then.

        Raises:
            DurabilityUnknown: The sync was refused; this handle writes no more.
            StoreClosed, StorePoisoned: It does already.
            WaitTimeout: It was not done in time.
        """
        return self.hold(self._synced, limit)

    def _synced(self) -> Tip:
        if self.poison is not None:
            raise StorePoisoned(self.poison)
        self._sync_all()
        return self.tip

    # ------------------------------------------------------------------------------- one round

    @override
    def _round(self) -> bool:
        if self._intent is not None:
            self._settle(self._intent)
        queue = self._queue
        if not queue:
            return False
        first = queue[0]
        if first.answer is not None:  # it was answered in place
            queue.popleft()
        elif (
            self.ended
            or first.act is not None
            or first.withdrawn
            or (first.limit is not None and not first.limit.begin())
        ):
            self._refuse(first)
        elif len(queue) == 1:
            self._commit((first,), first.durable)
        else:
            group = self._group()
            self._commit(group, any(unit.durable for unit in group))
        return True

    def _refuse(self, unit: Unit) -> None:
        """A unit that is not to be stored: an act, one given up, or one that comes too late."""
        if self._closed:
            self._answer([unit], [StoreClosed()])
        elif unit.act is not None:
            self._perform(unit, unit.act)
        elif unit.withdrawn:
            self._answer([unit], [()])
        elif self.poison is not None:
            self._answer([unit], [StorePoisoned(self.poison)])
        elif unit.limit is not None and not unit.limit.begin():
            self._answer([unit], [too_late(unit, unit.limit)])
        else:  # a close was cut short; it is in line, and done again
            self._commit([unit], unit.durable)

    def _group(self) -> list[Unit]:
        """The head of the line: at most so many units and bytes, and no act among them."""
        queue = self._queue
        group: list[Unit] = []
        size = 0
        for index in range(min(len(queue), self._config.limits.group_max_requests)):
            unit = queue[index]
            if unit.done:  # refused in place
                continue
            size += unit.size
            if group and (unit.act is not None or unit.withdrawn or size > GROUP_BYTES_MAX):
                break
            if unit.limit is not None and not unit.limit.begin():
                continue  # it is refused once it is first
            group.append(unit)
        return group

    def _perform(self, unit: Unit, act: Call) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  it is answered, and raised by who asked
            self._answer([unit], [error])
        else:
            self._answer([unit], [()])

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
            log.error("writing stopped", extra={"path": self._directory.path, "cause": str(error)})
        self.ended = True  # last: whoever sees it finds the reason
        self._waiters.wake()
        self._call_due()

    def _call_due(self) -> None:
        """Have called, once the lane is free, what those who were woken want to have called."""
        if self._waiters.due:
            self._called.append(Unit((), 0, callbacks=self._waiters.due))

    def settle_files(self) -> None:
        """Have every complete file sealed, and make sure that the directory is still ours."""
        self.hold(self._require_lock)
        self._rotation.seal_all()

    # ------------------------------------------------------------------------------------ close

    def close(self, last: Callable[[Tip], Unit] | None) -> None:
        """End the log in order: what stands in line, a last event, a sync, a clean HEAD.

        Twice is harmless.

        Args:
            last: Makes the last event from what was reached before it.

        Raises:
            StorePoisoned: The lock file was replaced; what another writer did is not touched.
            DurabilityUnknown: The last sync was refused.
            StorageFailed: HEAD could not be written. The next open treats the store as not closed.
        """
        try:
            if not self._closed:
                self.hold(lambda: self._end(last))
        except StoreClosed:  # another thread was quicker
            return
        finally:
            if self._closed:  # else it was called from inside an append
                self._shut()

    def _end(self, last: Callable[[Tip], Unit] | None) -> None:
        """What closing does on the lane. If it was cut short, it goes on from where it was."""
        try:
            if not self._closed and self.poison is None:
                self._end_log(last)
        except Exception:
            self.ended = self._closed = True
            raise
        self.ended = self._closed = True

    def _end_log(self, last: Callable[[Tip], Unit] | None) -> None:
        self._require_lock()
        if self._rotation.begun(self.tip):
            self._rotate()
        if last is not None:
            unit = self._last = self._last or last(self.tip)
            if not unit.done:
                self._commit([unit])
            if unit.error is not None:
                detail = {"path": self._directory.path}
                log.warning("no closing event: %s", unit.error, extra=detail)
                if self.poison is not None:  # it was this that stopped the writing
                    raise unit.error
        if self.poison is None:
            self._sync_all()
            self._rotation.end(self.tip)

    def _shut(self) -> None:
        """End the threads, answer who came too late, give the files back."""
        for worker in (self._drain, self._timer):
            worker.stop(self._config.limits.close_timeout_s)
        with suppress(StoreClosed):
            self.commit(Unit((), self._thread_id()))
        self._rotation.close()

    def drain(self) -> None:
        """Store what stands in line; make it durable as far as the level of this handle goes."""
        with suppress(BatpakError):
            if any(unit.answer is None and not unit.withdrawn for unit in self._queue.copy()):
                self._serve_queue()
            if self._interval and self.tip.durable < self.tip.sequence:
                self.sync()

    def abandon(self) -> None:
        """Close the files and let go of the lock, which is its giver's to release."""
        self.ended = self._closed = True
        self._rotation.abandon()
