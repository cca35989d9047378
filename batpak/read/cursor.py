"""Cursors: the events of a region, pulled in order, each once, from history into the present.

Nothing is skipped: an event that cannot be read stays in front, and is met again. What a cursor has
read is its own business until `commit`; `rewind` goes back to there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Generic, Self

from batpak.arguments import count_of, is_count, require_callable, seconds_of
from batpak.commit.alone import Alone
from batpak.commit.waiters import Own, Waiters, keys_of
from batpak.errors import BatpakError, InvalidArgument, StoreClosed
from batpak.event import Q, StoredEvent
from batpak.index import query
from batpak.index.table import Table
from batpak.kind import EventKind
from batpak.platform import Platform
from batpak.read.checkpoint import Checkpoint
from batpak.read.fetch import Fetch
from batpak.read.gap import CAPACITY, Gap, Gaps
from batpak.read.removed import removed
from batpak.region import Region
from batpak.wire import Form


class Cursor(Generic[Q]):
    """Made by `cursor_guaranteed`. One thread uses it at a time; any number of cursors may be open.

    Args:
        fetch: Reads the log.
        table: The index of that.
        waiters: Who is woken when the log has moved on.
        platform: The world.
        region: Which events.
        form: Of their payloads.
        start: The first sequence to look at.
        checkpoint: Where `commit` saves the position. None: nowhere.
        alive: Refuses if the handle does not read any more. Its owner is held as long as this.
        bound: Where the log ends for this cursor. None: for every reader.
        gap_capacity: How many gaps are kept; 0: none is looked for.
    """

    def __init__(
        self,
        fetch: Fetch,
        table: Table,
        waiters: Waiters,
        platform: Platform,
        *,
        region: Region,
        form: Form[Q],
        start: int,
        checkpoint: Checkpoint | None,
        alive: Callable[[], None],
        bound: Callable[[], int] | None = None,
        gap_capacity: int = CAPACITY,
    ) -> None:
        self._fetch, self._table, self._waiters, self._platform = fetch, table, waiters, platform
        self._region, self._form, self._checkpoint, self._alive = region, form, checkpoint, alive

        def visible() -> int:  # no method of this: a dropped cursor would wait for the collector
            return table.bound

        self._bound = visible if bound is None else bound
        self._position = self._committed = start
        self._own = Own()
        self._keys = keys_of(region) | {self._own}
        self._events: Iterator[StoredEvent[Q]] | None = None  # from the position up to `_stop`
        self._stop = self._passed = start
        self._epoch = table.epoch  # of what those are
        self._gaps = Gaps(gap_capacity)
        self._alone = Alone("this cursor", platform.thread_id)
        self._closed = False

    # ------------------------------------------------------------------------------- how it stands

    @property
    def position(self) -> int:
        """The next sequence to look at. It moves past events that the region does not match."""
        return self._position

    @property
    def lag(self) -> int:
        """How many events of the log it has not looked at."""
        return self.behind(self._position)

    def behind(self, position: int) -> int:
        """How many events of the log there are from a position on.

        Raises:
            InvalidArgument: That is no position.
        """
        return max(0, self._table.bound - count_of("position", position))

    @property
    def closed(self) -> bool:
        """Whether it was closed: it gives nothing any more, and its checkpoint is another's."""
        return self._closed

    @property
    def is_live(self) -> bool:
        """Whether more may come than the log has now. To a handle that only reads nothing does."""
        return self._waiters.grows

    @property
    def committed(self) -> int:
        """Where `rewind` goes."""
        return self._committed

    @property
    def is_committed(self) -> bool:
        """Whether nothing was read since."""
        return self._committed == self._position

    @property
    def next_sequence(self) -> int:
        """That of the next event to deliver, which may not be readable; the position, if none."""
        rows = query.select(self._table, self._region, self._position, self._table.bound)
        for part, some, _ in rows:
            return part.first + some[0]
        return self._position

    @property
    def gaps_lost(self) -> int:
        """How many gaps had to make room for others before they were taken."""
        return self._gaps.lost

    def take_gaps(self) -> list[Gap]:
        """What compaction removed before this cursor came to it, oldest first; each gap once.

        Only what the region matches counts. Of an erased event a cursor of every kind is given the
        tombstone, so it is no gap.
        """
        return self._gaps.take()

    # ---------------------------------------------------------------------------------------- pull

    def poll(self) -> StoredEvent[Q] | None:
        """The next event. None: there is none yet.

        Raises:
            As `poll_batch`.
        """
        with self._alone:
            found = self._take(1)
        return found[0] if found else None

    def poll_batch(self, max_events: int) -> list[StoredEvent[Q]]:
        """The next events, at most so many; empty if there are none yet. Never waits.

        An interrupt, as by Ctrl-C, passes no event over, unless it comes when they are about to be
        returned: after one, `rewind`.

        Raises:
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: The next event cannot be read as
                it was. The cursor stays in front of it.
            InvalidArgument: Another thread is using this cursor, or it is closed.
            StoreClosed, ForkedStoreError: The handle does not read any more.
        """
        at_most = count_of("max_events", max_events)
        with self._alone:
            return self._take(at_most)

    def follow(self, idle_timeout_s: float | None = None) -> Iterator[StoredEvent[Q]]:
        """One event after the other; waits for those that are still to come.

        It ends when the store or the cursor is closed, or when nothing has come for so long; on a
        handle that only reads at the end of the log, since nothing more can come there.
        `commit` inside the loop takes in the event of that round.

        Args:
            idle_timeout_s: None: wait until the store is closed.

        Raises:
            As `poll_batch`, but for StoreClosed.
        """
        idle = None if idle_timeout_s is None else seconds_of("idle_timeout_s", idle_timeout_s)
        return self._follow(idle)

    def _follow(self, idle_s: float | None) -> Iterator[StoredEvent[Q]]:
        while True:
            try:
                with self._alone:
                    found = self._take_or_wait(idle_s)
            except StoreClosed:
                return
            if not found:
                return
            yield found[0]

    def _take_or_wait(self, idle_s: float | None) -> list[StoredEvent[Q]]:
        now = self._platform.monotonic_ns
        began, rest_s = now(), idle_s
        while not self._closed:
            found = self._take(1)
            if (
                found
                or not self.is_live
                or not self._waiters.until(self._has_news, rest_s, self._keys)
            ):
                return found
            if idle_s is not None:  # what has come may be of another region
                rest_s = max(0.0, idle_s - (now() - began) / 1e9)
        return []

    def _has_news(self) -> bool:
        self._alive()
        return self._closed or self._bound() > self._position

    def _open(self) -> None:
        self._alive()
        if self._closed:
            raise InvalidArgument("cursor", "is closed", hint="make another one")

    def _take(self, at_most: int) -> list[StoredEvent[Q]]:
        self._open()
        try:
            found, position = self._read(at_most)
            if not self._gaps.capacity or not self._table.epoch:
                self._passed = position
            elif self._passed < position:
                self._pass_by([one.sequence for one in found], position)
            self._position = position  # last: who is interrupted before meets it all again
        except BaseException:
            self._events = None
            raise
        return found

    def _read(self, at_most: int) -> tuple[list[StoredEvent[Q]], int]:
        """The next events, and the position behind them."""
        found: list[StoredEvent[Q]] = []
        position = self._position
        while len(found) < at_most:
            epoch = self._table.epoch
            events = self._events if self._epoch == epoch else None  # else some may be gone
            if events is None:
                self._epoch = epoch
                self._stop = stop = self._bound()
                if stop <= position:
                    break
                rows = query.select(self._table, self._region, position, stop)
                events = self._events = self._fetch.events(rows, self._form)
            try:
                found.extend(islice(events, at_most - len(found)))
            except BatpakError as error:
                self._events = None
                if not found and self._fetch.heal(error):
                    continue
                if not found:
                    raise
                break  # what was read in front of it first; it is met again
            if len(found) < at_most:
                self._events, position = None, self._stop
        return found, max(position, found[-1].sequence + 1) if found else position

    def _pass_by(self, delivered: Sequence[int], position: int) -> None:
        """Note what is missing in front of each event that is delivered, and behind the last."""
        gaps, begin = self._gaps, self._passed
        self._passed = position
        everything = frozenset[EventKind]()
        gone = removed(self._fetch, self._table, self._region, everything, begin, position)
        missing = sorted(set(gone) - set(delivered))
        for place in delivered:
            stop = bisect_left(missing, place)
            gaps.pass_by(missing[:stop])
            gaps.close(place)
            del missing[:stop]
        gaps.pass_by(missing)

    # ------------------------------------------------------------------------------------ progress

    def commit(self) -> None:
        """Take what was read so far for done. With a checkpoint this is durable on return.

        Raises:
            StorageFailed: The system refused. What is saved is this position or the one before.
            DurabilityUnknown: The log could not be made durable up to there.
            StoreClosed, StorePoisoned, ForkedStoreError: This handle writes no more.
            InvalidArgument: Another thread is using the cursor; or it is closed; or it has a
                checkpoint, and the log ends before `after`.
        """
        with self._alone:
            self._open()
            position = self._position
            if self._checkpoint is not None:
                self._checkpoint.save(position)
            self._committed = position

    def rewind(self) -> None:
        """Go back to what was committed last, or to the start.

        Raises:
            InvalidArgument: Another thread is using the cursor.
        """
        with self._alone:
            self._go_to(self._committed)

    def seek(self, position: int) -> None:
        """Go on from a position: what is in front of it is not read again.

        Args:
            position: A sequence, at most the end of the log.

        Raises:
            InvalidArgument: It is none, or another thread is using the cursor.
        """
        if not is_count(position) or position > self._table.bound:
            raise InvalidArgument("position", "must be a sequence of the log, or the next one")
        with self._alone:
            self._go_to(position)

    def _go_to(self, position: int) -> None:
        self._events, self._position = None, position
        self._passed = position

    # ---------------------------------------------------------------------------------------- ends

    def on_ready(self, callback: Callable[[], None]) -> Callable[[], object]:
        """Have a function called once when there may be something to poll; now, if there may be.

        As `Subscription.on_ready`: whoever published calls it, after the lane is free, and it may
        use the store. The end of the cursor or of the store counts as something. What it raises is
        logged.

        Returns:
            What takes it back, called or not.

        Raises:
            InvalidArgument: It cannot be called.
        """
        require_callable("callback", callback)
        return self._waiters.once(self._may_have, callback, self._keys)

    def _may_have(self) -> bool:
        try:
            return self._has_news()
        except BatpakError:  # `poll` says which
            return True

    def close(self) -> None:
        """End it: `follow` and its callbacks too; others get its checkpoint. Twice is harmless."""
        self._closed = True
        self._waiters.tell(self._own)
        if self._checkpoint is not None:
            self._checkpoint.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
