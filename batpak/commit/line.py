"""The line: who has the lane, who waits for it, and what an interrupt does to either.

    queue      every call stands in line
    own        one `dict.setdefault` takes the lane and says who has it
    serve      the owner commits the head of the line, until its own call is answered
    leave      one `clear`; whoever is first is woken

There is no moment in which the lane is taken and nobody is named. An owner that was cut short, and
cut short again while it was putting things right, stays named; the same thread takes over with its
next call, another one when the thread is gone or has left. Bells are raw locks: what waits on
anything more can be left half taken by an exception from outside. A bell only wakes; the truth is
in the unit. Reference: docs/explanation/one-lane.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from batpak.append import AppendReceipt
from batpak.append_receipt import signed
from batpak.commit.limit import Limit
from batpak.commit.unit import Unit
from batpak.commit.worker import Worker
from batpak.config import Limits
from batpak.errors import (
    BatpakError,
    ForkedStoreError,
    InvalidArgument,
    SigningError,
    StoreClosed,
    WaitTimeout,
)
from batpak.faults import WriteState
from batpak.platform import Platform
from batpak.report import WriterPressure
from batpak.signing.signing_key import SigningKey
from batpak.stack import callers, calls_of

T = TypeVar("T")

LOOK_AGAIN: Final = 16  # submissions between two looks at how many bytes stand in line
PATIENCE_S: Final = 1.0  # between two looks at a lane that does not answer


class Line(ABC):
    """Units, committed in the order in which they came, by whichever caller has the lane."""

    def __init__(self, platform: Platform, limits: Limits, signer: SigningKey | None) -> None:
        self._platform, self._limits, self._signer = platform, limits, signer
        self._thread_id, self._opener_pid = platform.thread_id, platform.pid()
        self._slot: dict[Unit | None, Unit] = {}  # None -> owner; an owner -> who took over
        self._queue: deque[Unit] = deque()
        self._called: deque[Unit] = deque()  # whose callbacks are due
        self._calling: set[int] = set()  # threads that call them
        self._quiet: set[int] = set()  # threads that may not
        self._drain = Worker(platform, "batpak-drain", self._drain_queue)
        self._draining = Unit((), 0)  # as which that thread stands in line

    @property
    def queued(self) -> int:
        """How many units stand in line."""
        return len(self._queue)

    @abstractmethod
    def _round(self) -> bool:
        """Commit one group from the head of the line, if there is one. Only the owner calls it."""

    @abstractmethod
    def _settle_all(self) -> None:
        """Finish what an interrupted owner left. Only the owner calls it."""

    def commit(self, unit: Unit) -> tuple[AppendReceipt, ...]:
        """Store one unit, or say why not.

        On return its events are visible, and durable to the level of the receipts.

        Raises:
            InvalidArgument: Called from a signal handler that interrupted this very method.
            StoreClosed, StorePoisoned: This handle writes no more.
            IdempotencyConflict, VersionConflict, UnknownParent: The log says otherwise.
            StorageFailed: The write was refused and is undone.
            DurabilityUnknown: The sync was refused; this handle writes no more.
            SigningError: The events are stored, and their receipts could not be signed.
            WaitTimeout: The unit has a time limit, and was not begun in time; nothing is stored.
        """
        try:
            self._queue.append(unit)
            if self._slot.setdefault(None, unit) is unit:
                self._serve(unit)
            else:
                self._wait(unit)
            answer = unit.answer
            if isinstance(answer, tuple):
                return answer if self._signer is None else self.receipts(unit)
        except SigningError:  # it is stored, and the lane is free
            raise
        except BaseException as error:
            self._cut_short(unit, error)
            raise
        raise answer or StoreClosed()

    def receipts(self, unit: Unit) -> tuple[AppendReceipt, ...]:
        """Of the events of a unit, if it was stored; signed by who asks, while the lane is free.

        Raises:
            SigningError: They could not be signed.
        """
        signer = self._signer
        if signer is None:
            return unit.receipts
        return tuple(signed(receipt, signer) for receipt in unit.receipts)

    def submit(self, unit: Unit, limit: Limit | None = None) -> None:
        """Put a unit in line and return; a thread of its own commits it if no caller does.

        Who finds the line full commits it first, so it never grows beyond bounds for long.

        Raises:
            WaitTimeout: It is full, and others were committing for all of that time.
        """
        if self.fills(100):
            self.commit(Unit((), self._thread_id(), limit=limit))
        self.put(unit)

    def fills(self, percent: int) -> bool:
        """Whether the line is filled to so much of what it may hold."""
        queue, limits = self._queue, self._limits
        length = len(queue)
        return length * 100 >= limits.queue_capacity * percent or (
            length % LOOK_AGAIN == 0 and _bytes_of(queue) * 100 >= limits.queue_max_bytes * percent
        )

    @property
    def pressure(self) -> WriterPressure:
        """How full it is."""
        queue, limits = self._queue.copy(), self._limits
        return WriterPressure(
            len(queue), limits.queue_capacity, _bytes_of(queue), limits.queue_max_bytes
        )

    def put(self, unit: Unit) -> None:
        """Put a unit in line, however full it is."""
        unit.submitted = True
        self._queue.append(unit)
        if not self._drain.wake():  # closed in between, or the end: nobody else would answer it
            with suppress(StoreClosed):
                self._serve_queue()

    def hurry(self, timeout_s: float | None) -> None:  # noqa: ARG002  it takes no part of that
        """Commit what stands in line, if this thread calls callbacks, and may be who has to.

        Who waits for a ticket asks for it first.

        Raises:
            ForkedStoreError: A forked child asks: its parent decides what stood in line.
        """
        if self._platform.pid() != self._opener_pid:
            raise ForkedStoreError(self._opener_pid)
        if self._thread_id() in self._calling:
            self._serve_queue()

    def hold(self, act: Callable[[], T], limit: Limit | None = None) -> T:
        """Call a function while nothing is being committed; it must not append.

        It is called again if an exception from outside cuts it short.

        Raises:
            WaitTimeout: It was not done in time. It may be done later.
        """
        results: list[T] = []
        unit = Unit((), self._thread_id(), act=lambda: results.append(act()), limit=limit)
        self.commit(unit)
        return results[-1]

    @contextmanager
    def quiet(self) -> Generator[None]:
        """Inside the block this thread calls no callbacks: they are another one's, or come after.

        For who has a lock that a function of the user may ask for.
        """
        me = self._thread_id()
        if me in self._calling or me in self._quiet:
            yield
            return
        try:
            self._quiet.add(me)
            yield
        finally:
            self._quiet.discard(me)
            if self._called:
                self._wake()

    def _wait(self, unit: Unit) -> None:
        """Take the lane, or sleep until somebody who has it has answered."""
        slot, limit = self._slot, unit.limit
        while not unit.done:
            owner = slot.setdefault(None, unit)
            while (heir := slot.get(owner)) is not None:
                owner = heir
            if owner is unit:
                self._serve(unit)
            elif owner.thread == unit.thread:
                self._refuse_reentry(owner, unit)
                if not unit.done:
                    slot.setdefault(owner, unit)  # an earlier call of this thread, cut short
            elif unit.bell is None:
                unit.bell = self._platform.raw_lock()
                unit.bell.acquire()
            elif limit is not None and limit.give_up():
                unit.answer = too_late(unit, limit)
                self._ring_first()  # it may have been this one
            elif not unit.bell.acquire(timeout=_patience(limit)) and not _is_inside(owner.thread):
                slot.setdefault(owner, unit)  # its thread died, or left without letting go

    def _serve(self, unit: Unit) -> None:
        """Commit the head of the line until the own unit is answered; then let go."""
        while unit.answer is None:
            if not self._round() and unit.answer is None:
                unit.answer = ()  # it never got into the line: its caller was interrupted
        self._slot.clear()
        if self._queue or self._called:
            self._wake()

    def _wake(self) -> None:
        """Wake who is next, and call who asked to be called; the lane is free."""
        self._ring_first()
        me = self._thread_id()
        if me in self._calling:  # a callback has appended: whoever called it goes on with the rest
            return
        if me in self._quiet:
            self._drain.wake()
            return
        try:
            self._calling.add(me)
            while self._called:
                with suppress(IndexError):
                    unit = self._called.popleft()
                    try:
                        unit.call()
                    finally:
                        if unit.callbacks:  # an exception from outside: the next owner calls them
                            self._called.append(unit)
        finally:
            self._calling.discard(me)

    def _ring_first(self) -> None:
        """Wake who is next."""
        queue = self._queue
        with suppress(IndexError):  # nobody waits, or somebody has the lane already
            first = queue[0]
            if first.done:  # its caller has left; it stays until the lane passes it
                first = next((unit for unit in queue.copy() if not unit.done), first)
            if first.submitted:  # who waits for its ticket does not serve the line
                first = self._draining
            first.ring()

    def _cut_short(self, unit: Unit, error: BaseException) -> None:
        """An exception from outside: leave nothing half done, and know what came of the unit."""
        error.__dict__["batpak_outcome"] = lambda: self._outcome(unit)
        if unit.act is None:
            unit.withdrawn = True
        self._wait(unit)
        if self._owns(unit):
            self._settle_all()
            self._slot.clear()
            self._wake()

    def _outcome(self, unit: Unit) -> tuple[AppendReceipt, ...]:
        """What came of a unit whose caller was interrupted, perhaps twice."""
        if not unit.done:
            with suppress(BatpakError):
                self.commit(Unit((), self._thread_id()))
        return self.receipts(unit)

    def _owns(self, unit: Unit) -> bool:
        owner = self._slot.get(None)
        while owner is not None and (heir := self._slot.get(owner)) is not None:
            owner = heir
        return owner is unit

    def _refuse_reentry(self, owner: Unit, unit: Unit) -> None:
        """A signal handler may not append inside the append that it has interrupted."""
        for call in callers():
            if call.f_code is _COMMIT and call.f_locals.get("unit") is owner:
                reason = "re-entrant: this thread is inside an append already"
                unit.answer = InvalidArgument("thread", reason)
                return

    def _serve_queue(self) -> None:
        """Stand in line behind everybody who is waiting."""
        if self._queue or self._called:
            self.commit(Unit((), self._thread_id()))

    def _drain_queue(self) -> None:
        """The same, by the drain thread."""
        if self._queue or self._called:
            self._draining = Unit((), self._thread_id())
            self.commit(self._draining)


def _bytes_of(queue: deque[Unit]) -> int:
    """How many bytes of payload stand in line."""
    return sum([unit.size for unit in queue.copy()])


def too_late(unit: Unit, limit: Limit) -> WaitTimeout:
    """The answer to a unit that was not begun in time."""
    return limit.late("the lane", None if unit.act is not None else WriteState.NOT_WRITTEN)


def _patience(limit: Limit | None) -> float:
    """How long to sleep between two looks. A limit that has run out does not count any more."""
    rest_s = 0.0 if limit is None else limit.rest_s
    return min(PATIENCE_S, rest_s) or PATIENCE_S


_COMMIT: Final = Line.commit.__code__


def _is_inside(thread: int) -> bool:
    """Whether a thread has the lane's `commit` on its stack."""
    return any(call.f_code is _COMMIT for call in calls_of(thread))
