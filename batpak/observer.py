"""Observer: a reader of a store that another process is writing. It locks and changes nothing.

with Store.observe("orders") as observer:
    for event in observer.cursor_guaranteed().follow():
        ...
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec.structs import replace

from batpak.errors import StorageFailed
from batpak.journal.head import Head
from batpak.journal.segment import GONE
from batpak.opened import Opened
from batpak.override import override
from batpak.read.lookout import Lookout
from batpak.reader import ReadOnlyStore
from batpak.report import Frontier, Health, HealthState
from batpak.upkeep.snapshot import Point, checkpoints
from batpak.upkeep.verify import Look, look
from batpak.waits import Wanted

T = TypeVar("T")

LOOKS_MAX: Final = 100  # at names and HEAD, until they are of one moment


class Observer(ReadOnlyStore):
    """A store that may be written meanwhile, for reading. Made by `Store.observe`.

    What it reads it reads as the log was at its last look: `refresh` looks, and so does whatever
    waits: `wait_for`, the `follow` of a cursor, subscriptions, watchers. It shows units that are
    whole, in the moment in which they are written; `frontier().durable` says which of them are
    known to be durable. In the rare case that something shown is taken back, it ends: everything
    raises RolledBack from then on; likewise StoreGone, if the store is not there any more, and
    CorruptStore. What the system refuses ends nothing: who asks again looks again, and so does
    whatever waits.

    A signal handler that interrupts a look sees what was seen before it.

    Any thread may use it at any time. Iterators belong to one thread at a time.
    """

    def __init__(self, opened: Opened, lookout: Lookout) -> None:
        super().__init__(opened)
        self._lookout = lookout
        self._fetch.again = lookout.renew

    def refresh(self) -> Frontier:
        """Look for what has come since; how far the log has come now.

        Raises:
            RolledBack: What was shown is not there any more.
            StoreGone: The store is not there any more.
            CorruptStore, FutureVersion: What has come is damaged, or newer than this code.
            StorageFailed: The system refused. It may be asked again.
        """
        self._alive()
        self._lookout.look()
        return self._frontier()

    @property
    @override
    def health(self) -> Health:
        """Whether this handle works; also why its last look was refused, or why it has ended."""
        found, lookout = super().health, self._lookout
        if found.state is not HealthState.OK:
            return found
        if lookout.trouble is not None:
            return Health(HealthState.CLOSED, lookout.trouble)
        return Health(HealthState.OK, lookout.refusal)

    @override
    def _frontier(self) -> Frontier:
        durable, bound = self._lookout.sight.durable, self._table.bound
        return Frontier(bound, min(durable, bound), bound, self._appliers.applied())

    @override
    def _hope(self, wanted: Wanted) -> None:
        if wanted.applier is None:
            return  # the writer may write it
        if not self._appliers.has(wanted.applier):
            super()._hope(wanted)

    @override
    def _still(self, act: Callable[[], T]) -> T:
        """Call a function again as long as files go under its hand: the writer compacts the log."""
        for _ in range(LOOKS_MAX):
            try:
                return act()
            except StorageFailed as error:
                if error.errno not in GONE:
                    raise
            self._lookout.renew()
        path, why = self._opened.directory.path, "its files change faster than they can be read"
        raise StorageFailed("observe", path, errno.EAGAIN, why)

    @override
    def _look(self) -> Look:
        """Names and HEAD of one moment, which nobody holds still: HEAD shows whether it is one."""
        directory = self._opened.directory
        self._lookout.look()
        seen = look(directory, self._table.bound)
        for _ in range(LOOKS_MAX):
            state, newest = seen.state, max(seen.found.segments, default=0)
            is_newest = not isinstance(state, Head) or state.segment_id == newest
            if is_newest and state == look(directory).state:
                break
            seen = look(directory, self._table.bound)
        return seen

    @override
    def _point(self, *, cursors: bool) -> Point:
        """Checkpoints first: what one of them has seen is in the log by the look behind that."""
        kept, lookout = checkpoints(self._opened.directory) if cursors else {}, self._lookout
        lookout.look()

        def note() -> Point:
            return self._noted(lookout.sight.tip, cursors=False)

        return self._still(lambda: replace(lookout.hold(note), cursors=kept))

    @override
    def _alive(self) -> None:
        super()._alive()
        self._lookout.require()

    @override
    def _end(self) -> None:
        super()._end()
        self._lookout.stop(self._opened.config.limits.close_timeout_s)
