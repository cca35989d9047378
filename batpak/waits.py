"""Waits: how far the log has come, and who waits until it has come further. Part of StoreReader."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from batpak.append import AppendReceipt
from batpak.arguments import is_count, require_callable, seconds_of
from batpak.commit.applier import Applier, Appliers, Progress
from batpak.commit.limit import Limit
from batpak.errors import BatpakError, InvalidArgument
from batpak.faults import WriteState
from batpak.opened import Opened
from batpak.queries import Queries
from batpak.report import Frontier, Watermark


class Waits(Queries):
    """What a handle can be asked to wait for."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened.log.segments, opened.log.table)
        self._opened = opened
        fetch = self._fetch
        self._appliers = Appliers(
            opened.log.table, opened.waiters, opened.platform, lambda: fetch.closed
        )
        self._targets: dict[Callable[[], None], Wanted] = {}  # who is to be called, and when

    def frontier(self) -> Frontier:
        """How far the log has come: one picture of one moment."""
        self._alive()
        return self._frontier()

    def applier(self, name: str) -> Applier:
        """Register a consumer that `Watermark.APPLIED` waits for from now on.

        with store.applier("search") as search:
            for event in store.query():
                ...
                search.advance(event.sequence)

        APPLIED stands still, rather than going back, while it catches up. Workers and watchers
        register themselves, if they are given `applied_as`.

        Args:
            name: By which `wait_for` can wait for this one alone.

        Raises:
            InvalidArgument: No name, or that of another applier of this handle.
        """
        self._alive()
        return self._appliers.register(name)

    def wait_for(
        self,
        mark: Watermark,
        at: int | AppendReceipt,
        *,
        timeout_s: float | None = None,
        applier: str | None = None,
    ) -> Frontier:
        """Sleep until a bound is past an event; the frontier then. If it is already, at once.

        The event need not be stored yet. To wait for DURABLE asks for a sync.

        Args:
            mark: Which bound.
            at: A sequence, or a receipt.
            timeout_s: How long at most; 0: only look. None: until it is so.
            applier: For APPLIED: wait for this one alone.

        Raises:
            WaitTimeout: It was not so in time; of APPLIED it names the slowest applier.
            StoreClosed, StorePoisoned: It will not be so any more.
            DurabilityUnknown: The sync was refused.
            FenceError: Without a limit, of what is not stored yet, and this thread has a visibility
                fence open: nobody else can store it.
            InvalidArgument: It cannot be so: the handle only reads, and its log ends before the
                event; or there is no such applier, or it was closed before it came so far, or it
                is the handler of a worker that asks and would wait for itself.
        """
        self._alive()
        return self._wait(self._wanted(mark, at, applier), self._limit(timeout_s))

    def once_moved(
        self,
        call: Callable[[], None],
        *,
        mark: Watermark | None = None,
        at: int | AppendReceipt = 0,
        applier: str | None = None,
    ) -> Callable[[], object]:
        """Have a function called once, when a bound has moved or never will again; for event loops.

        Whoever has moved it calls, after that has let go of the lane, and waits for it. It may use
        the store. What it raises is logged.

        Args:
            call: The function.
            mark: Call only when this bound is past an event, or never will be; now, if it is.
            at: That event, as `wait_for` has it.
            applier: See there.

        Returns:
            What takes it back, unless it is about to be called.
        """
        self._alive()
        require_callable("call", call)
        waiters = self._opened.waiters
        if mark is None:
            woken = partial(waiters.due.append, call)
            waiters.join(woken)
            return partial(waiters.leave, woken)
        told, wanted = partial(call), self._wanted(mark, at, applier)
        self._targets[told] = wanted
        waiters.join(self._moved)
        if self._is_settled(wanted, self._frontier()):
            self._tell((told,))
            waiters.call_due()
        return partial(self._forget, told)

    def _moved(self) -> None:  # on the lane
        self._opened.waiters.due.append(self._tell_settled)

    def _tell_settled(self) -> None:
        """Call those whose bound is past their event, and nobody else."""
        if self._targets:
            self._opened.waiters.join(self._moved)  # before the look: what moves behind it is met
            frontier, targets = self._frontier(), list(self._targets.items())
            self._tell([call for call, one in targets if self._is_settled(one, frontier)])

    def _tell(self, calls: Iterable[Callable[[], None]]) -> None:
        for call in calls:
            if self._targets.pop(call, None) is not None:
                self._opened.waiters.due.append(call)

    def _forget(self, call: Callable[[], None]) -> None:
        self._targets.pop(call, None)
        if not self._targets:
            self._opened.waiters.leave(self._moved)
            self._tell_settled()  # for who has come in between
            self._opened.waiters.call_due()

    def _is_settled(self, wanted: Wanted, frontier: Frontier) -> bool:
        """Whether it is so, or nobody need wait for it any more."""
        ours = wanted.applier
        if (frontier.of(wanted.mark) if ours is None else ours.position) > wanted.sequence:
            return True
        try:
            self._alive()
            self._hope(wanted)
        except BatpakError:
            return True
        return False

    def _wanted(self, mark: object, at: object, applier: object) -> Wanted:
        checked = mark_of("mark", mark)
        sequence = at.sequence if isinstance(at, AppendReceipt) else at
        if not is_count(sequence):
            raise InvalidArgument("at", "must be a sequence or a receipt")
        if applier is None:
            return Wanted(checked, sequence)
        if checked is not Watermark.APPLIED:
            raise InvalidArgument("applier", "only APPLIED is about appliers")
        return Wanted(checked, sequence, self._appliers.named(applier))

    def _limit(self, timeout_s: object) -> Limit | None:
        if timeout_s is None:
            return None
        return Limit(seconds_of("timeout_s", timeout_s), self._opened.platform.monotonic_ns)

    def _wait(self, wanted: Wanted, limit: Limit | None) -> Frontier:
        """Sleep until it is so; the frontier then."""
        if limit is None and wanted.sequence >= self._table.bound:
            self._refuse_own_fence()
        first = replace(wanted, mark=Watermark.WRITTEN)  # only what is written can be synced
        if wanted.mark is Watermark.DURABLE and self._sleep(first, limit):
            self._hasten(wanted, limit)
        if limit is not None and not self._sleep(wanted, limit):
            late = limit.late(self._awaited(wanted), wanted.state)
            late.target, late.reached = wanted.sequence, self._bound(wanted)
            raise late
        self._sleep(wanted, None)
        return self._frontier()

    def _awaited(self, wanted: Wanted) -> str:
        """What it is, for who has waited in vain."""
        what = f"event {wanted.sequence} to be {wanted.mark}"
        slow = wanted.applier
        if slow is None and wanted.mark is Watermark.APPLIED:
            slow = self._appliers.slowest
        return what if slow is None else f"{what} by {slow.name!a}"

    def _sleep(self, wanted: Wanted, limit: Limit | None) -> bool:
        """Sleep until it is so, or there is no time left. Whether it is so."""

        def reached() -> bool:
            if self._bound(wanted) > wanted.sequence:
                return True
            self._alive()
            if wanted.mark is Watermark.APPLIED:
                self._appliers.refuse_own(wanted.applier)
            self._hope(wanted)
            return False

        return self._opened.waiters.until(reached, None if limit is None else limit.rest_s)

    def _bound(self, wanted: Wanted) -> int:
        if wanted.applier is not None:
            return wanted.applier.position
        return self._frontier().of(wanted.mark)

    def _frontier(self) -> Frontier:
        """As `frontier`, of a handle that is closed, too."""
        bound = self._table.bound
        return Frontier(bound, bound, bound, self._appliers.applied())

    def _hope(self, wanted: Wanted) -> None:
        """Refuse to wait for what cannot come any more."""
        if wanted.applier is not None and not self._appliers.has(wanted.applier):
            name = wanted.applier.name
            raise InvalidArgument(
                "applier", f"the applier {name!a} was closed before it came there"
            )
        if wanted.sequence >= self._table.bound:
            raise InvalidArgument("at", "this handle only reads, and its log ends before that")

    def _refuse_own_fence(self) -> None:
        """Refuse to wait for what this thread keeps from being stored. A reader keeps nothing."""

    def _hasten(self, wanted: Wanted, limit: Limit | None) -> None:
        """Do something about it. What a reader has is durable."""


class Wanted(Struct, frozen=True):
    """What somebody waits for."""

    mark: Watermark
    sequence: int
    applier: Progress | None = None  # this one alone
    state: WriteState | None = None  # of the write that waits


def mark_of(argument: str, value: object) -> Watermark:
    """A mark.

    Raises:
        InvalidArgument: It is none.
    """
    if isinstance(value, Watermark):
        return value
    raise InvalidArgument(argument, f"must be a Watermark, not {type(value).__name__}")
