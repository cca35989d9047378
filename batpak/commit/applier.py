"""Appliers: who says how far it has come with the visible events, for those who wait for that.

Nothing here is locked. Every value is set by one step that cannot be undone by another, so neither
two threads nor a signal handler can lose what somebody has said.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from batpak.arguments import is_count, text_of
from batpak.commit.waiters import Waiters
from batpak.errors import InvalidArgument
from batpak.index.table import Table
from batpak.platform import Platform


class Progress:
    """How far one applier has come. What waits for it holds this, and not the applier."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.said: Final[dict[int, int]] = {}  # by each thread, which overwrites its own word only
        self._base: dict[None, int] = {}  # where APPLIED stood when it came
        self.thread: int | None = None  # that which alone moves it on, if that is known

    @property
    def position(self) -> int:
        """How far, as a bound."""
        return max(list(self.said.values()), default=0)

    def counted(self, others: int) -> int:
        """What it counts as among `others`, who came before it.

        That is no less than where APPLIED stood when it came, which so need not go back.
        """
        return max(self.position, self._base.setdefault(None, others))


class Applier:
    """One consumer that `Watermark.APPLIED` waits for. Made by `Store.applier`.

    Any thread may use it. Left unclosed, it holds APPLIED back until the handle is closed, or until
    nobody has it any more: then it is closed, with a ResourceWarning.
    """

    def __init__(self, progress: Progress, among: Appliers) -> None:
        self._progress: Final = progress
        self._among = among
        lost = weakref.finalize(self, among.lost, progress)
        lost.atexit = False

    @property
    def name(self) -> str:
        """Of no other applier of the handle."""
        return self._progress.name

    @property
    def position(self) -> int:
        """How far it has come, as a bound."""
        return self._progress.position

    @property
    def closed(self) -> bool:
        """Whether it holds nothing back any more."""
        return not self._among.has(self._progress)

    def advance(self, sequence: int) -> None:
        """Say that everything up to this event, and it too, is applied. It never goes back.

        Raises:
            InvalidArgument: No event of this sequence is visible; or this applier is closed.
        """
        self._among.check(self._progress, sequence)
        self._among.reach(self._progress, sequence + 1)

    def close(self) -> None:
        """Hold nothing back any more, and let go who waits for it. Twice is harmless."""
        self._among.remove(self._progress)

    def reach(self, bound: int) -> None:
        """As `advance`, for one that comes by itself: to a bound, perhaps the same, or closed."""
        if bound > self._progress.position:
            self._among.reach(self._progress, bound)

    def works_on(self, thread: int) -> None:
        """Say which thread alone moves it on, and so must not wait for it."""
        self._progress.thread = thread

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Appliers:
    """Those of one handle.

    Args:
        table: The index; its bound is what is visible.
        waiters: Who wants to know.
        platform: The world.
        closed: Whether the handle is. Then nobody is held up by an applier that is lost.
    """

    def __init__(
        self, table: Table, waiters: Waiters, platform: Platform, closed: Callable[[], bool]
    ) -> None:
        self._table, self._waiters, self._closed = table, waiters, closed
        self._thread_id = platform.thread_id
        self._all: dict[str, Progress] = {}  # in the order in which they came

    def register(self, name: object, argument: str = "name") -> Applier:
        """A new applier, which has applied nothing yet.

        Args:
            name: Of no other one.
            argument: What the caller calls it.

        Raises:
            InvalidArgument: No name, or that of another one.
        """
        given = text_of(argument, name)
        if not given:
            raise InvalidArgument(argument, "must not be empty")
        progress = Progress(given)
        try:
            if self._all.setdefault(given, progress) is not progress:
                raise InvalidArgument(argument, f"there is an applier {given!a} already")
            self.applied()  # from now on it counts
            return Applier(progress, self)
        except BaseException:
            self.remove(progress)
            raise

    def named(self, name: object) -> Progress:
        """How far one of them is.

        Raises:
            InvalidArgument: There is no such applier.
        """
        found = self._all.get(text_of("applier", name))
        if found is None:
            raise InvalidArgument("applier", f"there is no applier {name!a}")
        return found

    def applied(self) -> int:
        """The bound of APPLIED now."""
        while True:
            appliers, least = list(self._all.values()), self._table.bound
            for applier in appliers:
                least = min(least, applier.counted(least))
            if appliers == list(self._all.values()):  # none came in between: see `counted`
                return least

    @property
    def slowest(self) -> Progress | None:
        """Which of them is behind the others."""
        return min(list(self._all.values()), key=lambda one: one.position, default=None)

    def has(self, progress: Progress) -> bool:
        """Whether it is one of them."""
        return self._all.get(progress.name) is progress

    def refuse_own(self, progress: Progress | None = None) -> None:
        """Refuse that the thread of an applier waits for it, or for all of them.

        Raises:
            InvalidArgument: It would wait for itself.
        """
        me = self._thread_id()
        for one in list(self._all.values()) if progress is None else (progress,):
            if one.thread == me:
                reason = (
                    f"the applier {one.name!a} moves on on this thread: it would wait for itself"
                )
                raise InvalidArgument("mark", reason)

    def check(self, progress: Progress, sequence: object) -> None:
        """Hold what an applier says against the log.

        Raises:
            InvalidArgument: It cannot be so.
        """
        if not is_count(sequence) or sequence >= self._table.bound:
            raise InvalidArgument("sequence", "must be that of a visible event")
        if not self.has(progress):
            raise InvalidArgument("applier", f"the applier {progress.name!a} is closed")

    def reach(self, progress: Progress, bound: int) -> None:
        """Note how far one of them has come."""
        said, me = progress.said, self._thread_id()
        said[me] = max(said.get(me, 0), bound)
        if self._waiters.anybody:
            self._waiters.tell()

    def remove(self, progress: Progress) -> None:
        """Forget one of them."""
        if self.has(progress):
            self._all.pop(progress.name, None)
            self._waiters.tell()

    def lost(self, progress: Progress) -> None:
        """One of them was dropped. If it still held somebody up, it does no more; say so."""
        if self.has(progress):
            self._all.pop(progress.name, None)
            self._waiters.wake()  # and no more: it may have been dropped on the lane
            if not self._closed():
                warnings.warn(f"unclosed applier {progress.name!a}", ResourceWarning, stacklevel=2)
