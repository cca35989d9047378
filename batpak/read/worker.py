"""Workers: a thread that hands the events of a region to a handler, batch by batch, for ever.

    poll      durable events only, if there is a checkpoint
    handle    what it raises is answered by the restart budget, then by `OnFailure`
    commit    the position; durable, if there is a checkpoint

That a visibility fence of somebody else is open is no failure: the batch is delivered again when
the fence is over, and the restart budget stays as it is.

A worker that stops is never silent about it: `state` says so, `join` raises, and a failure is
logged when it happens.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, final

from batpak.arguments import seconds_of
from batpak.commit.applier import Applier
from batpak.commit.fence import FenceError
from batpak.commit.lane import Lane
from batpak.commit.waiters import Waiters
from batpak.commit.worker import Worker
from batpak.diagnostics import WorkerHealth, WorkerState
from batpak.errors import (
    BatpakError,
    ForkedStoreError,
    InvalidArgument,
    StoreClosed,
    StorePoisoned,
    WaitTimeout,
)
from batpak.event import Q, StoredEvent
from batpak.faults import FenceState
from batpak.index.table import Table
from batpak.platform import Platform
from batpak.read.cursor import Cursor
from batpak.read.gap import Gap
from batpak.read.restart import RestartPolicy

log: Final = logging.getLogger("batpak.worker")

BATCH_MAX: Final = 4096
FENCE_REST_S: Final = 0.05  # between two tries behind a fence of which this store tells nothing


class Step(Enum):
    """What a handler wants to happen next."""

    CONTINUE = "continue"  # commit, and go on; what returning None means
    STOP = "stop"  # commit, and end
    STOP_ROLLBACK = "stop-rollback"  # end; the batch is delivered again to whoever comes next


@final
class WorkerFailed(BatpakError):
    """A worker stopped for good; everything in front of `sequence` is done.

    `cause` is what its handler raised, or why an event could not be read.
    """

    code = "worker-failed"

    def __init__(self, worker: str, sequence: int, attempts: int, cause: BaseException) -> None:
        self.worker, self.sequence, self.attempts, self.cause = worker, sequence, attempts, cause
        times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        super().__init__(
            f"{worker} stopped at event {sequence} after {times}: {type(cause).__name__}",
            hint="repair what it could not do, and start it again: it goes on from there",
        )


Deliver: TypeAlias = Callable[[Sequence[StoredEvent[Q]], Callable[[int], None]], Step | None]
"""Hands events to whoever handles them, and calls the function with the sequence of each that is
done by itself, whatever comes of those behind it."""

Park: TypeAlias = Callable[[int, BaseException], None]
"""Records durably that the event of a sequence is passed, and why; or raises."""


class CursorWorker:
    """Made by `cursor_worker` and `react`. Any thread may ask it anything.

    As a context manager it is stopped and joined at the end of the block.
    """

    def __init__(
        self,
        name: str,
        cursor: Cursor[Q],
        deliver: Deliver[Q],
        *,
        batch_size: int,
        restart: RestartPolicy,
        backoff_s: float,
        park: Park | None,
        applier: Applier | None,
        closed: Callable[[], bool],
        fenced: Callable[[], bool],
        staff: deque[CursorWorker],
        waiters: Waiters,
        platform: Platform,
    ) -> None:
        self.name: Final = name
        self._cursor: Cursor[Any] = cursor
        self._deliver: Deliver[Any] = deliver
        self._batch_size, self._restart, self._park = batch_size, restart, park
        self._applier = applier
        self._closed, self._staff, self._waiters = closed, staff, waiters
        self._fenced = fenced  # whether a visibility fence keeps others from writing
        self._platform, self._backoff_s = platform, backoff_s
        self._state = WorkerState.RUNNING
        self._handled = cursor.position
        self._failure: WorkerFailed | None = None
        self._last_error: BaseException | None = None
        self._delivered = self._restarts = 0
        self._began_again: deque[int] = deque()  # nanoseconds, as far as the policy counts
        self._attempts = 0  # failures in a row without progress
        self._singly_to = 0  # up to here one event at a time, since a batch has failed
        self._done = 0  # behind the last event of the batch in hand that is done by itself
        self._stopping = False
        self._resting = platform.raw_lock()
        self._resting.acquire()  # held means: rest as long as you are to
        self._opener_pid = platform.pid()
        self._thread_id: int | None = None
        self._thread = Worker(platform, f"batpak-{name}", self._work)

    # ------------------------------------------------------------------------------- how it stands

    @property
    def state(self) -> WorkerState:
        """Whether it runs, and if not, how it ended."""
        return self._state

    @property
    def last_error(self) -> BaseException | None:
        """What went wrong last, even if a restart has helped."""
        return self._last_error

    @property
    def position(self) -> int:
        """Everything in front of this sequence is done, or of no interest."""
        return self._handled

    @property
    def lag(self) -> int:
        """How many visible events there are behind that."""
        return self._cursor.behind(self._handled)

    @property
    def gaps_lost(self) -> int:
        """How many gaps had to make room for others before they were taken."""
        return self._cursor.gaps_lost

    def take_gaps(self) -> list[Gap]:
        """What compaction removed before this worker came to it. See `Cursor.take_gaps`."""
        return self._cursor.take_gaps()

    @property
    def delivered(self) -> int:
        """How many events were handled, those that were handled again included."""
        return self._delivered

    @property
    def restarts(self) -> int:
        """How often it began again."""
        return self._restarts

    @property
    def health(self) -> WorkerHealth:
        """All of this as one value."""
        error = self._last_error
        return WorkerHealth(
            name=self.name,
            state=self._state,
            position=self.position,
            lag=self.lag,
            delivered=self._delivered,
            restarts=self._restarts,
            last_error=None if error is None else f"{type(error).__name__}: {error}",
        )

    # ---------------------------------------------------------------------------------------- ends

    def start(self) -> None:
        """Begin. The store does this."""
        try:
            self._passed(self.position)
            self._thread.wake()  # before anybody else may wake it: there is to be one thread
            self._staff.append(self)
            self._waiters.stay(self._thread.wake)
            self._thread.wake()
            if self._has_ended():  # before it was known
                self._leave()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let it finish the batch in hand, and end. Returns at once; twice is harmless."""
        self._stopping = True
        if self._resting.locked():
            with suppress(RuntimeError):  # somebody else has, in between
                self._resting.release()
        self._thread.wake()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until it has ended, which it does not do by itself as long as all goes well.

        Raises:
            WorkerFailed: It had to.
            WaitTimeout: It has not, in time.
            InvalidArgument: Its own handler asks.
            ForkedStoreError: A forked child asks, in which it does not run.
        """
        if self._platform.pid() != self._opener_pid:
            raise ForkedStoreError(self._opener_pid)
        if self._thread_id == self._platform.thread_id():
            raise InvalidArgument("thread", "a worker cannot wait for itself; return Step.STOP")
        limit = None if timeout_s is None else seconds_of("timeout_s", timeout_s)
        if not self._waiters.until(self._has_ended, limit):
            raise WaitTimeout(f"the end of {self.name}", limit or 0.0)
        if self._failure is not None:
            raise self._failure

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until it has ended, and say whether it has; its own handler need not wait."""
        mine = self._thread_id == self._platform.thread_id()
        return mine or self._waiters.until(self._has_ended, timeout_s)

    def _has_ended(self) -> bool:
        return self._state is not WorkerState.RUNNING

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        try:
            self.join()
        except WorkerFailed:
            if error is None:  # else that one goes on, and this one was logged
                raise

    def _leave(self) -> None:
        self._waiters.go(self._thread.wake)
        with suppress(ValueError):
            self._staff.remove(self)
        if self._applier is not None:
            self._applier.close()

    def _end(self, state: WorkerState) -> None:
        self._leave()
        self._cursor.close()
        self._state = state  # last: whoever sees it may begin another one
        self._waiters.tell()
        self._thread.stop(0)

    # ---------------------------------------------------------------------------------------- work

    def _work(self) -> None:
        """Everything that can be done now. What has woken it may come again meanwhile."""
        me = self._thread_id = self._platform.thread_id()
        if self._applier is not None:
            self._applier.works_on(me)
        try:
            while self._state is WorkerState.RUNNING and self._step():
                pass
        except StoreClosed:
            self._end(WorkerState.STOPPED)
        except BaseException as error:  # noqa: BLE001  a thread has nobody to raise it to
            self._fail(error, self._cursor.position)

    def _step(self) -> bool:
        """One batch; whether there may be another one."""
        events: list[StoredEvent[Any]] = []
        cursor = self._cursor
        try:
            if self._stopping:
                if not cursor.is_committed and not self._commit():
                    return False
                self._end(WorkerState.STOPPED)
                return False
            singly = cursor.position < self._singly_to
            events = cursor.poll_batch(1 if singly else self._batch_size)
            if not events:  # what there is was done, or is of no interest here
                self._passed(cursor.position)
                return False
            self._done = 0
            return self._answer(self._deliver(events, self._mark), len(events))
        except StoreClosed as error:
            if not self._closed():  # it is another one's
                return self._failed(error, events)
            raise
        except Exception as error:  # noqa: BLE001  a handler may raise anything
            return self._failed(error, events)
        except BaseException as error:  # noqa: BLE001  it wants to end the program: no restart
            place = self._back(events)
            if place is not None:
                self._fail(error, place[0])
            return False

    def _mark(self, sequence: int) -> None:
        self._done = sequence + 1

    def _answer(self, step: object, count: int) -> bool:
        """Do what a handler wants."""
        if step is Step.STOP_ROLLBACK:
            self._cursor.rewind()
            self._end(WorkerState.STOPPED)
            return False
        if step not in (None, Step.CONTINUE, Step.STOP):
            raise InvalidArgument("handler", f"must return a Step or None, not {step!r:.100}")
        self._delivered += count
        self._attempts = 0
        if not self._commit():
            return False
        if step is Step.STOP:
            self._end(WorkerState.STOPPED)
        return step is not Step.STOP

    def _commit(self) -> bool:
        """Save the position; whether that could be. If not, no restart and no parking can help."""
        try:
            self._cursor.commit()
        except StoreClosed:
            raise
        except Exception as error:  # noqa: BLE001  whatever it was
            self._fail(error, self._cursor.committed)
            return False
        self._passed(self._cursor.committed)
        return True

    def _passed(self, bound: int) -> None:
        """Say that everything in front of it is applied, if somebody wants to know."""
        self._handled = max(self._handled, bound)
        if self._applier is not None:
            self._applier.reach(bound)

    def _failed(self, error: Exception, events: Sequence[StoredEvent[Any]]) -> bool:
        """Begin again, park one event, or end; whether there is more to do."""
        place = self._back(events)
        if place is None:
            return False
        if self._outwaits(error):
            return True
        self._attempts += 1
        self._last_error = error
        return self._go_on(error, *place)

    def _back(self, events: Sequence[StoredEvent[Any]]) -> tuple[int, int] | None:
        """Go back to the first event that is not done, and commit what is.

        Returns:
            Its sequence, and what is behind the batch. None: the worker has failed at this.
        """
        cursor = self._cursor
        behind = cursor.position
        left = [event.sequence for event in events if event.sequence >= self._done]
        try:
            if self._done and events:
                cursor.seek(left[0] if left else behind)
                cursor.commit()
                self._passed(cursor.committed)
                self._delivered += len(events) - len(left)
                self._attempts = 0
            cursor.rewind()
            sequence = left[0] if left else cursor.next_sequence
        except StoreClosed:
            raise
        except Exception as worse:  # noqa: BLE001  likewise
            self._fail(worse, cursor.position)
            return None
        return sequence, max(behind, sequence + 1)

    def _go_on(self, error: Exception, sequence: int, behind: int) -> bool:
        if sequence >= self._singly_to and self._may_begin_again():
            self._restarts += 1
            facts = {"worker": self.name, "sequence": sequence}
            what = type(error).__name__
            log.warning("%s begins again at %d: %s", self.name, sequence, what, extra=facts)
            if self._backoff_s and not self._stopping:
                self._resting.acquire(timeout=self._backoff_s)
            return True
        if self._park is None:
            self._fail(error, sequence)
            return False
        if sequence >= self._singly_to:
            self._singly_to = behind
            return True
        try:
            self._park(sequence, error)
        except StoreClosed:
            raise
        except Exception as worse:  # noqa: BLE001  likewise
            if self._outwaits(worse):
                return True
            self._fail(worse, sequence)
            return False
        self._attempts = 0
        self._cursor.seek(sequence + 1)
        return self._commit()

    def _outwaits(self, error: Exception) -> bool:
        """Whether only the fence of somebody else was in the way.

        On return that is over; one of a store that the handler writes to may be open still.
        """
        if not isinstance(error, FenceError) or error.state is not FenceState.ACTIVE:
            return False
        if error.thread == self._thread_id:
            return False  # its handler has opened it, and would wait for itself
        if not self._fenced() and not self._stopping:  # it is over by now, or is another store's
            self._resting.acquire(timeout=FENCE_REST_S)
        self._waiters.until(lambda: self._stopping or self._closed() or not self._fenced())
        return True

    def _may_begin_again(self) -> bool:
        policy, times, now = self._restart, self._began_again, self._platform.monotonic_ns()
        if policy.within_s is not None:
            while times and now - times[0] > policy.within_s * 1e9:
                times.popleft()
        if len(times) >= policy.max_restarts:
            return False
        times.append(now)
        return True

    def _fail(self, error: BaseException, sequence: int) -> None:
        if self._state is not WorkerState.RUNNING:
            return
        self._last_error = error
        self._failure = WorkerFailed(self.name, sequence, max(1, self._attempts), error)
        self._failure.__cause__ = error
        facts = {"worker": self.name, "sequence": sequence}
        log.error("%s", self._failure, extra=facts, exc_info=error)
        self._end(WorkerState.FAILED)


def durable_bound(lane: Lane, table: Table, *, asks: bool) -> Callable[[], int]:
    """What says where the durable log ends.

    Args:
        lane: Of the store.
        table: The index of its log.
        asks: Whether to sync what is not durable, since nobody else does.
    """

    def bound() -> int:
        visible = table.bound
        if lane.tip.durable < visible:
            if lane.poison is not None:
                raise StorePoisoned(lane.poison)
            if asks:
                lane.sync()
        return min(lane.tip.durable, visible)

    return bound


def stop_all(staff: deque[CursorWorker], platform: Platform, timeout_s: float) -> None:
    """Let all workers of a handle finish what they have in hand, for so long in all."""
    workers, now = staff.copy(), platform.monotonic_ns
    for worker in workers:
        worker.stop()
    due = now() + timeout_s * 1e9
    for worker in workers:
        worker.wait(max(0.0, (due - now()) / 1e9))
