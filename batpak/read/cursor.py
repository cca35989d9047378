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
from batpak.commit.waiters import Waiters
from batpak.commit.worker import Worker
from batpak.errors import BatpakError, InvalidArgument, StoreClosed
from batpak.event import Q, StoredEvent
from batpak.index import query
from batpak.index.table import Table
from batpak.kind import EventKind
from batpak.platform import Platform
from batpak.read.alone import Alone
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
        self._bound = self._visible if bound is None else bound
        self._position = self._committed = start
        self._events: Iterator[StoredEvent[Q]] | None = None  # from the position up to `_stop`
        self._stop = self._passed = start
        self._gaps = Gaps(gap_capacity)
        self._alone = Alone("this cursor", platform.thread_id)
        self._teller: Worker | None = None
        self._closed = False

    # ------------------------------------------------------------------------------- how it stands

    @property
    def position(self) -> int:
        """The next sequence to look at. It moves past events that the region does not match."""
        return self._position

    @property
    def lag(self) -> int:
        """How many events of the log it has not looked at."""
        return max(0, self._table.bound - self._position)

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

    def _visible(self) -> int:
        return self._table.bound

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
            if found or not self.is_live or not self._waiters.until(self._has_news, rest_s):
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
        found: list[StoredEvent[Q]] = []
        while len(found) < at_most:
            events = self._events
            if events is None:
                self._stop = stop = self._bound()
                if stop <= self._position:
                    break
                rows = query.select(self._table, self._region, self._position, stop)
                events = self._events = self._fetch.events(rows, self._form)
            try:
                found.extend(islice(events, at_most - len(found)))
            except BaseException as error:
                self._events = None
                if not found and self._fetch.heal(error):
                    continue
                if not found or not isinstance(error, BatpakError):
                    raise
                break  # what was read in front of it first; it is met again
            if len(found) < at_most:
                self._events, self._position = None, self._stop
        if found:
            self._position = max(self._position, found[-1].sequence + 1)
        if not self._gaps.capacity or not self._table.epoch:
            self._passed = self._position
        elif self._passed < self._position:
            self._pass_by([one.sequence for one in found])
        return found

    def _pass_by(self, delivered: Sequence[int]) -> None:
        """Note what is missing in front of each event that is delivered, and behind the last."""
        gaps, begin = self._gaps, self._passed
        self._passed = self._position
        everything = frozenset[EventKind]()
        gone = removed(self._fetch, self._table, self._region, everything, begin, self._position)
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
            InvalidArgument: The cursor is closed.
        """
        self._open()
        position = self._position
        if self._checkpoint is not None:
            self._checkpoint.save(position)
        self._committed = position

    def rewind(self) -> None:
        """Go back to what was committed last, or to the start."""
        self._events, self._position = None, self._committed
        self._passed = self._committed

    def seek(self, position: int) -> None:
        """Go on from a position: what is in front of it is not read again.

        Args:
            position: A sequence, at most the end of the log.

        Raises:
            InvalidArgument: It is none.
        """
        if not is_count(position) or position > self._table.bound:
            raise InvalidArgument("position", "must be a sequence of the log, or the next one")
        self._events, self._position = None, position
        self._passed = position

    # ---------------------------------------------------------------------------------------- ends

    def on_ready(self, call: Callable[[], None]) -> None:
        """Have a function called whenever there may be something to poll, and at the end of all.

        A thread of its own calls it, at once if there is something now; never inside a commit, so
        it may use the store. The last call is when the store closes. What it raises is logged.
        `close` ends it.
        """
        require_callable("call", call)
        self._open()
        self._hush()

        def tell() -> None:
            ended = self._fetch.closed
            if ended or self._bound() > self._position:
                call()
            if ended:
                self._hush()

        self._teller = teller = Worker(self._platform, "batpak-cursor", tell)
        teller.wake()  # before anybody else may: there is to be one thread
        self._waiters.stay(teller.wake)
        teller.wake()

    def _hush(self) -> None:
        teller, self._teller = self._teller, None
        if teller is not None:
            self._waiters.go(teller.wake)
            teller.stop(0)

    def close(self) -> None:
        """End it: `follow` and its callbacks too; others get its checkpoint. Twice is harmless."""
        self._closed = True
        self._hush()
        self._waiters.tell()
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
