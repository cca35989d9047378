"""Appliers: who says how far it has come with the visible events, for those who wait for that.

Nothing here is locked. Every value is set by one step that cannot be undone by another, so neither
two threads nor a signal handler can lose what somebody has said.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from batpak.arguments import is_count, text_of
from batpak.commit.waiters import Waiters
from batpak.errors import InvalidArgument
from batpak.index.table import Table
from batpak.platform import Platform


class Applier:
    """One consumer that `Watermark.APPLIED` waits for. Made by `Store.applier`.

    Any thread may use it. Left unclosed, it holds APPLIED back until the handle is closed.
    """

    def __init__(self, name: str, among: Appliers) -> None:
        self._name: Final = name
        self._among = among
        self._said: dict[int, int] = {}  # by each thread, which overwrites its own word only
        self._base: dict[None, int] = {}  # where APPLIED stood when it came

    @property
    def name(self) -> str:
        """Of no other applier of the handle."""
        return self._name

    @property
    def position(self) -> int:
        """How far it has come, as a bound."""
        return max(list(self._said.values()), default=0)

    @property
    def closed(self) -> bool:
        """Whether it holds nothing back any more."""
        return not self._among.has(self)

    def advance(self, sequence: int) -> None:
        """Say that everything up to this event, and it too, is applied. It never goes back.

        Raises:
            InvalidArgument: No event of this sequence is visible; or this applier is closed.
        """
        self._among.check(self, sequence)
        me = self._among.thread_id()
        self._said[me] = max(self._said.get(me, 0), sequence + 1)
        self._among.moved()

    def close(self) -> None:
        """Hold nothing back any more, and let go who waits for it. Twice is harmless."""
        self._among.remove(self)

    def counted(self, others: int) -> int:
        """What it counts as among `others`, who came before it.

        That is no less than where APPLIED stood when it came, which so need not go back.
        """
        return max(self.position, self._base.setdefault(None, others))

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
    """

    def __init__(self, table: Table, waiters: Waiters, platform: Platform) -> None:
        self._table, self._waiters = table, waiters
        self.thread_id = platform.thread_id
        self._all: dict[str, Applier] = {}  # in the order in which they came

    def register(self, name: object) -> Applier:
        """A new applier, which has applied nothing yet.

        Raises:
            InvalidArgument: No name, or that of another one.
        """
        given = text_of("name", name)
        if not given:
            raise InvalidArgument("name", "must not be empty")
        applier = Applier(given, self)
        try:
            if self._all.setdefault(given, applier) is not applier:
                raise InvalidArgument("name", f"there is an applier {given!a} already")
            self.applied()  # from now on it counts
        except BaseException:
            self.remove(applier)
            raise
        return applier

    def named(self, name: object) -> Applier:
        """One of them.

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

    def has(self, applier: Applier) -> bool:
        """Whether it is one of them."""
        return self._all.get(applier.name) is applier

    def check(self, applier: Applier, sequence: object) -> None:
        """Hold what an applier says against the log.

        Raises:
            InvalidArgument: It cannot be so.
        """
        if not is_count(sequence) or sequence >= self._table.bound:
            raise InvalidArgument("sequence", "must be that of a visible event")
        if not self.has(applier):
            raise InvalidArgument("applier", f"the applier {applier.name!a} is closed")

    def remove(self, applier: Applier) -> None:
        """Forget one of them."""
        if self.has(applier):
            self._all.pop(applier.name, None)
            self.moved()

    def moved(self) -> None:
        """Wake who waits."""
        if self._waiters.anybody:
            self._waiters.wake()
