"""Subscription: a live feed with a bounded buffer, which says what it has dropped.

No buffer is filled while nobody reads. Such a buffer changes only when something is published or
received, and the log keeps what was published: so what it would hold is worked out when somebody
asks, from where the subscription stands and how far the log has come. An append does nothing for
it, unless somebody sleeps in `recv`, and an unread subscription holds nothing, however far behind
it is. Reference: docs/adr/0026-buffers-are-worked-out.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from itertools import count, islice
from types import TracebackType
from typing import Self, final

from msgspec import Struct
from msgspec.structs import replace

from batpak.arguments import require_callable, timeout_of
from batpak.commit.alone import Alone
from batpak.commit.waiters import Own, Waiters, keys_of
from batpak.diagnostics import SubscriptionHealth
from batpak.errors import BatpakError, InvalidArgument, StoreClosed, UnavailableError
from batpak.event import IndexEntry
from batpak.index import query
from batpak.index.table import Table
from batpak.override import override
from batpak.read.fetch import Fetch
from batpak.read.lossy_ops import LossyOps
from batpak.region import Region


class Overflow(StrEnum):
    """What becomes of an event that comes while the buffer is full."""

    DROP_OLDEST = "drop-oldest"  # it is kept, and the oldest in the buffer is forgotten
    DROP_NEWEST = "drop-newest"  # it is forgotten
    DISCONNECT = "disconnect"  # the subscription is over, once what the buffer holds is received


class EndReason(StrEnum):
    """Why a subscription is over."""

    CLOSED = "closed"  # it, or the handle that it is from
    OVERFLOW = "overflow"  # its buffer was full, and its policy is to end then


@final
class SubscriptionEnded(UnavailableError):
    """There is nothing to be received any more.

    `lost` counts the events that matched and were never received: what was dropped and, after an
    OVERFLOW, everything that came since, up to the moment at which this was raised.
    """

    code = "subscription-ended"

    def __init__(self, reason: EndReason, lost: int) -> None:
        self.reason, self.lost = reason, lost
        overflow = reason is EndReason.OVERFLOW
        super().__init__(
            f"the subscription has ended; {lost} events were lost [{reason.value}]",
            hint="read faster, or use cursor_guaranteed, which loses nothing" if overflow else "",
        )


class Notification(IndexEntry, frozen=True):
    """An event that was published: all of its entry, which `get` takes, and no payload."""

    missed: int = 0
    """How many that matched were dropped just before this one."""

    @override
    def __repr__(self) -> str:
        return (
            f"Notification(sequence={self.sequence}, coordinate={self.coordinate!s},"
            f" version={self.version}, kind={self.kind}, missed={self.missed})"
        )


class _Buffer(Struct, frozen=True):
    """A buffer as it was at one moment. It is replaced as a whole, so Ctrl-C leaves an old one."""

    seen: int  # sequences below this one have been offered to it
    rows: list[tuple[int, int]]  # sequences, each with its number among all that matched
    begin: int = 0  # of what is buffered, in `rows`; the rest there is done with, or does not count
    end: int = 0
    offered: int = 0  # how many matched
    received: int = 0
    last: int = 0  # the number of the last that was received
    is_over: bool = False

    @property
    def held(self) -> int:
        """How many are buffered."""
        return self.end - self.begin

    @property
    def lost(self) -> int:
        """How many were dropped."""
        return self.offered - self.received - self.held


class Subscription(Iterator[Notification]):
    """A live feed of what a region matches. Made by `subscribe_lossy`.

    One thread receives at a time; `close`, `on_ready`, `pending`, `lost` and `health` are for any.
    Iterating ends when it was closed, and raises `SubscriptionEnded` if its buffer was too small.
    On a handle that only reads it ends at once.
    """

    def __init__(
        self,
        table: Table,
        fetch: Fetch,
        waiters: Waiters,
        alive: Callable[[], None],
        thread_id: Callable[[], int],
        *,
        region: Region,
        capacity: int,
        overflow: Overflow,
    ) -> None:
        self._table, self._fetch, self._waiters = table, fetch, waiters
        self._alive = alive  # holds the handle as well
        self._region, self._capacity, self._overflow = region, capacity, overflow
        self._own = Own()
        self._keys = keys_of(region) | {self._own}
        self._buffer: _Buffer = _Buffer(table.bound, [])
        self._ended: tuple[EndReason, int] | None = None
        self._alone = Alone("this subscription", thread_id)

    # -------------------------------------------------------------------------------- receiving

    def recv(self, timeout_s: float | None = None) -> Notification | None:
        """The next event, waited for. None: there was none in time.

        An interrupt, as by Ctrl-C, that comes when it is about to be returned takes it away: after
        one, ask for the events themselves.

        Args:
            timeout_s: How long at most; 0: not at all. None: until there is one.

        Raises:
            SubscriptionEnded: It is over.
            InvalidArgument: No time limit, or another thread is receiving; or None, and the handle
                only reads: nothing ever comes from it.
            CorruptStore: The event cannot be read. It is not passed: the next call tries again.
            ForkedStoreError: This is not the process that has opened the store.
        """
        limit_s = timeout_of("timeout_s", timeout_s)
        with self._alone:
            try:
                return self._received() if self._wait(limit_s) else None
            except StoreClosed:
                self._end(EndReason.CLOSED)
        raise self._over()

    def _wait(self, timeout_s: float | None) -> bool:
        if timeout_s is None and not self.is_live and not self._is_ready():
            raise InvalidArgument("timeout_s", "None would be for ever: this handle only reads")
        return self._waiters.until(self._is_ready, timeout_s, self._keys)

    def _is_ready(self) -> bool:
        """Whether `recv` has an answer. Brings the buffer up to date; only the receiver asks."""
        if self._ended is not None:
            return True
        self._alive()
        buffer = self._up_to_date()
        return buffer.held > 0 or buffer.is_over

    def _received(self) -> Notification:
        buffer = self._buffer
        if self._ended is None and not buffer.held:
            self._end(EndReason.OVERFLOW)
        if self._ended is not None:
            raise self._over()
        sequence, number = buffer.rows[buffer.begin]
        entry = self._fetch.entry(*self._table.locate(sequence))
        missed = number - buffer.last - 1
        found = Notification(entry.head, entry.coordinate, entry.size_bytes, missed)
        self._buffer = replace(
            buffer, begin=buffer.begin + 1, received=buffer.received + 1, last=number
        )
        return found

    def _up_to_date(self) -> _Buffer:
        """Offer to the buffer what was published since the last time."""
        buffer, bound = self._buffer, self._table.bound
        if bound == buffer.seen:
            return buffer
        keeps_newest = self._overflow is Overflow.DROP_OLDEST
        room = self._capacity - (0 if keeps_newest else buffer.held)
        if buffer.is_over:
            room = 0
        kept = list(islice(self._sequences(buffer.seen, bound, reverse=keeps_newest), room))
        found = len(kept)
        if found == room:  # there may be more: they are counted, and not looked at
            found = self._count(buffer.seen, bound)
        offered, first = buffer.offered + found, buffer.offered + 1
        if keeps_newest:
            kept.reverse()
            first = offered - len(kept) + 1
        rows = buffer.rows
        del rows[buffer.end :]  # of a call that was cut short
        rows.extend(zip(kept, count(first), strict=False))
        begin, end = max(buffer.begin, len(rows) - self._capacity), len(rows)
        if 2 * begin > end:  # most of them are done with
            rows = rows[begin:]
            begin, end = 0, len(rows)
        self._buffer = replace(
            buffer,
            seen=bound,
            rows=rows,
            begin=begin,
            end=end,
            offered=offered,
            is_over=self._overflow is Overflow.DISCONNECT and (buffer.is_over or found > room),
        )
        return self._buffer

    def _sequences(self, start: int, stop: int, *, reverse: bool) -> Iterator[int]:
        ask = partial(query.select, self._table, self._region, reverse=reverse)
        found = self._fetch.steady(ask, start, stop, reverse=reverse)
        return (part.first + row for part, rows, _ in found for row in rows)

    def _count(self, start: int, stop: int) -> int:
        return self._fetch.healing(lambda: query.count(self._table, self._region, start, stop))

    @override
    def __next__(self) -> Notification:
        try:
            found = self.recv(None if self.is_live else 0)
        except SubscriptionEnded as end:
            if end.reason is EndReason.CLOSED:
                raise StopIteration from None
            raise
        if found is None:
            raise StopIteration  # nothing can come
        return found

    def ops(self) -> LossyOps[Notification]:
        """Operators over what is received, as lossy as this is: filter, map, scan and take."""
        return LossyOps(self)

    # ------------------------------------------------------------------------------- how it is

    @property
    def is_live(self) -> bool:
        """Whether something may come. From a handle that only reads nothing does."""
        return self._waiters.grows

    @property
    def pending(self) -> int:
        """How many `recv` would give at once."""
        return self._counts()[0]

    @property
    def lost(self) -> int:
        """How many events that matched were dropped and will never be received."""
        return self._counts()[1]

    @property
    def health(self) -> SubscriptionHealth:
        """How it is doing, for diagnostics."""
        pending, lost = self._counts()
        is_over = self._ended is not None or self._buffer.is_over
        return SubscriptionHealth(pending=pending, lost=lost, is_over=is_over)

    def _counts(self) -> tuple[int, int]:
        """Both, without touching the buffer: however it overflows, it holds as many."""
        buffer, ended = self._buffer, self._ended
        if ended is not None:
            return 0, ended[1]
        found = self._unseen(buffer)
        held = buffer.held
        pending = held if buffer.is_over else min(held + found, self._capacity)
        return pending, buffer.lost + held + found - pending

    def _unseen(self, buffer: _Buffer) -> int:
        """How many that match were published since the buffer was brought up to date."""
        try:
            return self._count(buffer.seen, self._table.bound)
        except StoreClosed:  # a file that nobody has asked before
            return 0

    def on_ready(self, callback: Callable[[], None]) -> Callable[[], object]:
        """Have a function called once when `recv` has an answer, at once if it has one already.

        It is called by whichever thread has published the event, after that has let go of the
        lane, and may use the store. It is for event loops, and should do no more than wake one:
        an append waits for it. What it raises is logged.

        Returns:
            What takes it back, called or not.

        Raises:
            InvalidArgument: It cannot be called.
        """
        require_callable("callback", callback)
        return self._waiters.once(self._has_answer, callback, self._keys)

    def _has_answer(self) -> bool:
        try:
            self._alive()
        except BatpakError:  # that is one
            return True
        buffer = self._buffer
        return bool(
            self._ended is not None or buffer.held or buffer.is_over or self._unseen(buffer)
        )

    # ------------------------------------------------------------------------------------- end

    def close(self) -> None:
        """End it. What is buffered is forgotten; who sleeps in `recv` wakes up. Twice is harmless.

        A subscription that was only dropped leaves nothing behind either.
        """
        self._end(EndReason.CLOSED)
        self._waiters.tell(self._own)

    def _end(self, reason: EndReason) -> None:
        if self._ended is None:
            self._ended = reason, self.lost

    def _over(self) -> SubscriptionEnded:
        reason, lost = self._ended or (EndReason.CLOSED, self.lost)
        return SubscriptionEnded(reason, lost)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
