"""ProjectionWatcher: the states of a projection as they come, those in between left out.

It holds no queue. It sleeps until the visible bound has passed what it has looked at, looks, and
folds on: however slow its reader is, the next state is the newest, and none is missed for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Generic, Self, final

from batpak.arguments import timeout_of
from batpak.commit.alone import Alone
from batpak.commit.applier import Applier
from batpak.commit.waiters import EVERY, Own, Waiters
from batpak.errors import InvalidArgument, StoreClosed
from batpak.index.table import Table
from batpak.override import override
from batpak.platform import Platform
from batpak.read.fetch import Fetch
from batpak.read.projection import Projected, S


@final
class ProjectionWatcher(Iterator[Projected[S]], Generic[S]):
    """What `watch_projection` gives: iterate it, or call `next`. For one thread at a time.

    As an applier it has applied a state when it is asked for the next one.
    Iteration ends with the store, with `close`, and where the handle only reads with the state that
    there is. An error is raised, and calling again goes on
    from where it was.
    """

    def __init__(
        self,
        ask: Callable[[int], Projected[S] | None],
        alive: Callable[[], None],
        since: int,
        fetch: Fetch,
        table: Table,
        waiters: Waiters,
        platform: Platform,
        applier: Applier | None,
    ) -> None:
        self._applier = applier
        self._ask, self._alive = ask, alive
        self._fetch, self._table, self._waiters = fetch, table, waiters
        self._now: Final = platform.monotonic_ns
        self._alone = Alone("this watcher", platform.thread_id)
        self._own = Own()
        self._generation = since
        self._looked = 0
        self._given = 0  # how far what was given goes
        self._closed = False

    @property
    def generation(self) -> int:
        """That of the newest state that was given; at first, where it was told to begin."""
        return self._generation

    def next(self, timeout_s: float | None = None) -> Projected[S] | None:
        """The state, once its generation has grown; at once, if it has already.

        Args:
            timeout_s: How long to wait at most. None: until there is one.

        Returns:
            None: it has not in time, or the watcher was closed.

        Raises:
            StoreClosed, ForkedStoreError: This handle does not read any more.
            InvalidArgument: Another thread is in here; or it would wait for ever, without a time
                limit on a handle that only reads.
            As `project`.
        """
        rest = timeout_of("timeout_s", timeout_s)
        with self._alone:
            return self._next(None if rest is None else self._now() + rest * 1e9)

    def _next(self, end: float | None) -> Projected[S] | None:
        self._reach(self._given)
        while not self._closed:
            self._alive()
            bound = self._table.bound
            if bound > self._looked:
                found = self._ask(self._generation)
                if found is not None:
                    self._generation = self._given = found.generation
                    return found
                self._looked = bound
                self._reach(bound)
            if end is None and not self._waiters.grows:
                raise InvalidArgument("timeout_s", "None would be for ever: this handle only reads")
            rest = None if end is None else max(0.0, (end - self._now()) / 1e9)
            if not self._waiters.until(self._has_moved, rest, frozenset({EVERY, self._own})):
                return None
        return None

    def _reach(self, bound: int) -> None:
        if self._applier is not None:
            self._applier.reach(bound)

    def _has_moved(self) -> bool:
        return self._table.bound > self._looked or self._closed or self._fetch.closed

    def close(self) -> None:
        """End it; a thread that waits in it gets None. Any thread may; twice is harmless."""
        self._closed = True
        if self._applier is not None:
            self._applier.close()
        self._waiters.tell(self._own)

    @override
    def __iter__(self) -> Self:
        return self

    @override
    def __next__(self) -> Projected[S]:
        try:
            found = self.next(None if self._waiters.grows else 0)
        except StoreClosed:
            if not self._fetch.closed:  # another store's, out of `apply`
                raise
            raise StopIteration from None
        if found is None:
            raise StopIteration
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
