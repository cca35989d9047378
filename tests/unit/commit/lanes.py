"""A lane over a simulated machine, for the tests of what it does with the units in its line."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from batpak.commit.lane import Lane
from batpak.commit.request import check
from batpak.commit.unit import Unit
from batpak.commit.waiters import Waiters
from batpak.config import StoreConfig
from batpak.journal import layout
from batpak.journal.active import ActiveFile
from batpak.testing.disk import Call, nothing
from batpak.testing.faults import Kind
from tests.facts import PLAIN, USER, Counted
from tests.unit.journal.logs import STORE_ID, Item, Log, log_of
from tests.unit.recovery.machines import Machine, head_of


class Laned(Machine):
    """An open log of one event, and its lane. What the open did is not in the trace."""

    def __init__(
        self, config: StoreConfig = PLAIN, log: Log | None = None, *, mapped: bool = False
    ) -> None:
        log = log or log_of([Item()])
        super().__init__([log], head_of(log), mapped=mapped)
        with self.sim.pause():
            found = self.found = self.restore()
            lock = layout.lock(self.directory, 7, shared=False)
            assert lock is not None
            self.lane = Lane(
                self.directory,
                lock,
                found.segments,
                found.table,
                found.tip,
                ActiveFile(self.directory, found.segments.newest, config),
                UUID(bytes=STORE_ID),
                config,
                self.sim,
                Waiters(self.sim),
            )

    def unit(
        self, number: int = 0, *, size: int = 0, count: int = 1, key: str | None = None
    ) -> Unit:
        """A unit of some events, which says of itself that it has so many bytes."""
        requests = tuple(
            check(USER, Counted(n=number), None, key, None, None, 0, None, 1 << 20)
            for _ in range(count)
        )
        return Unit(requests, self.sim.thread_id(), size=size, batch=count > 1)

    def act(self, act: Callable[[], None]) -> Unit:
        """A unit that needs the lane for itself."""
        return Unit((), self.sim.thread_id(), act=act)

    def line_up(self, *units: Unit) -> None:
        """Put units in line; nobody is told."""
        self.lane._queue.extend(units)

    def append(self, number: int = 0, *, count: int = 1) -> Unit:
        """Commit a unit."""
        unit = self.unit(number, count=count)
        self.lane.commit(unit)
        return unit

    def transfers(self) -> list[str]:
        """The writes and syncs of the files of the log so far, in order."""
        return [
            f"{one.kind} {one.path[2:8]}"
            for one in self.sim.trace
            if one.kind in ("write", "sync", "truncate") and one.path.endswith(".fbat")
        ]


def sequences(unit: Unit) -> list[int]:
    """The numbers of the events of a unit that was stored."""
    return [receipt.sequence for receipt in unit.receipts]


def interrupt_at(laned: Laned, kind: Kind, *, after: bool = False) -> None:
    """Let the next call of a kind be cut short by Ctrl-C."""

    def interrupt(call: Call) -> None:
        if call.kind == kind:
            laned.sim.disk.before = laned.sim.disk.after = nothing
            raise KeyboardInterrupt

    if after:
        laned.sim.disk.after = interrupt
    else:
        laned.sim.disk.before = interrupt
