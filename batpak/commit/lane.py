"""The lane: the one place where events get a number and reach the disk. One holder at a time.

    settle     finish what an interrupted holder left
    refuse     what comes too late, or while a fence of somebody else is open
    stage      key, version, parent; then numbers, hashes, frames     refusals end here
    rotate     a new file, if the newest has reached its size
    reserve    no space is found here, before a byte is written
    commit     see `flight`

An open fence is met here and nowhere else: whatever is to be stored stands in this line.
Reference: docs/explanation/one-lane.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from batpak.commit.fence import Fence, FenceError, Staged
from batpak.commit.flight import Flight
from batpak.commit.limit import Limit
from batpak.commit.line import too_late
from batpak.commit.unit import Answer, Call, Unit
from batpak.diagnostics import percentile_us
from batpak.errors import BatpakError, StoreClosed, StorePoisoned, WaitTimeout
from batpak.faults import FenceState, WriteState
from batpak.journal.segment import Segment, Tip
from batpak.override import override
from batpak.report import Busy, BusyReason

log: Final = logging.getLogger("batpak.lane")

GROUP_BYTES_MAX: Final = 8 << 20


class Lane(Flight):
    """Commits units in the order in which they came. Arguments as `Flight`."""

    _last: Unit | None = None  # the closing event, once it is made
    _drained_at_ns: int | None = None  # when a close stops to store what stands in line

    @property
    def closed(self) -> bool:
        """Whether it has ended: nothing is written any more."""
        return self._closed

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
            or self._fence is not None
            or self._drained_at_ns is not None
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
        elif self._comes_too_late(unit):
            self._answer([unit], [StoreClosed()])
        elif self._stands_behind_fence(unit):
            self._answer([unit], [_held_up(self._fence)])
        else:  # a close drains the line, or was cut short; or a fence was left open for too long
            alone = self.ended or self._fence is not None  # behind a fence only who serves the line
            group = [unit] if alone else self._group()
            self._commit(group, any(one.durable for one in group))

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

    def _comes_too_late(self, unit: Unit) -> bool:
        """Whether a close has waited for the line as long as it may."""
        until = self._drained_at_ns
        return until is not None and bool(unit.requests) and self._monotonic_ns() > until

    def _perform(self, unit: Unit, act: Call) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  it is answered, and raised by who asked
            self._answer([unit], [error])
        else:
            self._answer([unit], [()])

    @property
    def busy(self) -> Busy | None:
        """Why nothing is taken now by who does not wait, if that is so."""
        fence, limits = self.open_fence, self._limits
        if fence is not None:
            return Busy(BusyReason.FENCE, self.pressure, fence.retry_after_ms)
        if not self.fills(limits.pressure_pct):
            return None
        pressure = self.pressure
        groups = pressure.queued // limits.group_max_requests + 1
        in_ms = 1 + groups * percentile_us(list(self.syncs), 0.5) // 1000
        return Busy(BusyReason.PRESSURE, pressure, in_ms)

    # ----------------------------------------------------------------------------------- fences

    @property
    def open_fence(self) -> Fence | None:
        """The one that keeps others from writing, if there is one."""
        fence = self._fence
        return None if fence is None or self.ended or fence.is_overdue else fence

    @override
    def submit(self, unit: Unit, limit: Limit | None = None) -> None:
        """As in `Line`.

        Raises:
            FenceError: A fence is open.
        """
        fence = self._fence
        if fence is not None and self.open_fence is fence:
            raise _held_up(fence)
        super().submit(unit, limit)

    def refuse_own_fence(self) -> None:
        """Do nothing, unless this thread has a fence open: it would wait for itself.

        Raises:
            FenceError: It has.
        """
        fence = self.open_fence
        if fence is not None and fence.thread == self._thread_id():
            raise _held_up(fence)

    def commit_behind_fence(self, unit: Callable[[], Unit]) -> None:
        """Commit a unit that is made for it; while a fence of another thread is open, wait.

        Raises:
            FenceError: This thread has opened one.
            As the commit.
        """
        while True:
            self.refuse_own_fence()
            self._waiters.until(lambda: self.open_fence is None)
            with suppress(FenceError):  # another one, in between
                self.commit(unit())
                return

    def enter_fence(self, fence: Fence) -> None:
        """From now on only this fence is stored, until it is over.

        Raises:
            FenceError: Another one is open.
            StoreClosed, StorePoisoned: This handle writes no more.
        """
        self.hold(lambda: self._enter(fence))

    def take(self, fence: Fence, staged: Staged) -> None:
        """Hold what a fence is to store against the log and what it has taken, and take it.

        Raises:
            FenceError: It is over.
            IdempotencyConflict, VersionConflict, UnknownParent: The log says otherwise.
            TooLarge: It has too much.
            StoreClosed, StorePoisoned: This handle writes no more.
        """
        self.hold(lambda: self._take(fence, staged))

    def commit_fence(self, fence: Fence, unit: Unit) -> None:
        """Store what a fence has taken as one unit; the fence is over then.

        Raises:
            FenceError: It was over already.
            WaitTimeout: It was not begun within `unit.limit`. The fence is still open.
            StorageFailed: The write was refused and is undone. Likewise.
            DurabilityUnknown: The sync was refused; this handle writes no more.
            StoreClosed, StorePoisoned: It does already.
        """
        limit = unit.limit
        act = Unit((), unit.thread, act=lambda: self._commit_fence(fence, unit), limit=limit)
        with suppress(WaitTimeout):
            self.commit(act)
        if not unit.done and limit is not None:
            raise limit.late("the lane", WriteState.NOT_WRITTEN)

    def cancel_fence(self, fence: Fence | None = None) -> None:
        """Store nothing of a fence, or of whichever is open, and let others write."""
        self.hold(lambda: self._cancel(fence))

    def _enter(self, fence: Fence) -> None:
        self._require_writing()
        self._meet_fence()
        if self._fence is not None and self._fence is not fence:
            raise _held_up(self._fence)
        fence.begin()
        self._fence = fence

    def _take(self, fence: Fence, staged: Staged) -> None:
        self._require_writing()
        fence.require_open()
        fence.take(staged, self._judge, self.tip.durable)

    def _commit_fence(self, fence: Fence, unit: Unit) -> None:
        if not unit.done:
            self._require_writing()
            fence.require_open()
            if unit.limit is not None and not unit.limit.begin():
                return
            unit.requests, unit.size = tuple(fence.requests), fence.size
            if unit.requests:
                self._table.tail.freeze()  # else that is done when the fence should be seen
                self._commit([unit], unit.durable)
            else:
                self._end_fence(FenceState.COMMITTED, ())
                unit.answer = ()
        if unit.error is not None:
            raise unit.error

    def _cancel(self, fence: Fence | None) -> None:
        if self._fence is not None and fence in (None, self._fence):
            self._end_fence(FenceState.CANCELLED, FenceError(FenceState.CANCELLED))

    def _stands_behind_fence(self, unit: Unit) -> bool:
        """Whether a fence keeps a unit from being stored. One that is overdue is over now."""
        self._meet_fence()
        return self._fence is not None and bool(unit.requests)

    def _meet_fence(self) -> None:
        fence = self._fence
        if fence is not None and fence.is_overdue:
            what = "a visibility fence was left open, and is %s"
            facts = {**self.facts, "sequence": self.tip.sequence}
            log.warning(what, fence.fate.value, extra=facts)
            self._end_fence(fence.fate, FenceError(fence.fate))

    def _end_fence(self, state: FenceState, answer: Answer) -> None:
        """End it without a commit that would tell everybody."""
        self._leave_fence(state, answer)
        self._waiters.wake()
        self._call_due()

    def _require_writing(self) -> None:
        if self.poison is not None:
            raise StorePoisoned(self.poison)

    def settle_files(self) -> None:
        """Have every complete file sealed, and make sure that the directory is still ours."""
        self.hold(self._require_lock)
        self._rotation.seal_all()

    def begin_file(self, behind: Segment) -> None:
        """Let the file that grows be complete, and begin the next one; unless that was done.

        Raises:
            StorageFailed, DurabilityUnknown: The system refused.
            StoreClosed, StorePoisoned: This handle writes no more.
        """
        self.hold(lambda: self._begin_file(behind))

    def _begin_file(self, behind: Segment) -> None:
        self._require_writing()
        rotation = self._rotation
        if rotation.newest is behind or rotation.begun(self.tip):
            self._rotate()

    # ------------------------------------------------------------------------------------ close

    def close(self, last: Callable[[Tip], Unit] | None) -> None:
        """End the log in order: what stands in line, a last event, a sync, a clean HEAD.

        What stands in line is stored for `Limits.close_timeout_s` at most; the rest is answered
        StoreClosed, and is not stored. Twice is harmless.

        Args:
            last: Makes the last event from what was reached before it.

        Raises:
            StorePoisoned: The lock file was replaced; what another writer did is not touched.
            DurabilityUnknown: The last sync was refused.
            StorageFailed: HEAD could not be written. The next open treats the store as not closed.
        """
        try:
            if not self._closed:
                wait_ns = round(self._config.limits.close_timeout_s * 1e9)
                self._drained_at_ns = self._monotonic_ns() + wait_ns
                self.hold(lambda: self._end(last))
        except StoreClosed:  # another thread was quicker
            return
        finally:
            if self._closed:
                self._shut()
            else:  # it was called from inside an append
                self._drained_at_ns = None

    def _end(self, last: Callable[[Tip], Unit] | None) -> None:
        """What closing does on the lane. If it was cut short, it goes on from where it was."""
        try:
            self._cancel(None)
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
                log.warning("no closing event: %s", unit.error, extra=self.facts)
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
            if self._fence is not None:
                self.cancel_fence()
            if any(unit.answer is None and not unit.withdrawn for unit in self._queue.copy()):
                self._serve_queue()
            if self._interval and self.tip.durable < self.tip.sequence:
                self.sync()

    def abandon(self) -> None:
        """End the threads, close the files, let go of the lock, which is its giver's to release."""
        self.ended = self._closed = True
        for worker in (self._drain, self._timer):
            worker.stop(0)
        self._rotation.abandon()


def _held_up(fence: Fence | None) -> FenceError:
    """What is said to who may not write because of a fence."""
    return FenceError(FenceState.ACTIVE, None if fence is None else fence.thread)
