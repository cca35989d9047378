"""Those who observe a pair's store from its beginning, whatever happens to it.

Each is held against the same list as the store: what it has been given, one event after the other,
and what it would give now.
"""

from __future__ import annotations

from typing import Final

from batpak.observer import Observer
from batpak.read.cursor import Cursor
from batpak.recovery.gone import RolledBack
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from batpak.wire import Form
from tests.proof.pair import Pair


class Beside:
    """One of them. After a crash there is a new one: it was on the same machine.

    Args:
        pair: What it observes.
        pace: It looks after every so many steps.
    """

    def __init__(self, pair: Pair, pace: int) -> None:
        self._pair, self._pace = pair, pace
        self._steps = 0
        self._unsure = False  # whether it was shown what only an open can tell
        self._sim: SimPlatform = pair.sim
        self._observer: Observer | None = None
        self._cursor: Cursor[bytes] | None = None
        self.given: list[bytes] = []

    def step(self) -> None:
        """A step is over."""
        self._steps += 1
        if self._sim is not self._pair.sim:
            self.close()
            self._sim, self.given = self._pair.sim, []
        if self._steps % self._pace == 0:
            with self._sim.pause():
                self._look()

    def close(self) -> None:
        """Observe no more."""
        observer, self._observer = self._observer, None
        if observer is not None:
            with self._sim.pause():
                observer.close()

    def _look(self) -> None:
        pair, due = self._pair, [one.record for one in self._pair.dump]
        try:
            bounds = self._open().refresh()
        except RolledBack as gone:
            self._go_back(gone)
            bounds = self._open().refresh()
        observer, cursor = self._open(), self._cursor
        assert cursor is not None
        self.given += [event.record for event in cursor.poll_batch(10_000)]
        assert bounds.durable <= bounds.visible == len(self.given), "not all that it says"
        assert [event.record for event in observer.query(form=Form.RAW)] == self.given
        if pair.poisoned:  # of what was not acknowledged only an open can tell
            assert self.given[: len(due)] == due, "not what was acknowledged"
        else:
            assert self.given == due, f"{len(self.given)} events, not {len(due)}"
        self._unsure = len(self.given) > len(due)

    def _go_back(self, gone: RolledBack) -> None:
        assert self._unsure, f"taken back, and it was acknowledged: {gone}"
        assert gone.shown == len(self.given), "not what was shown"
        del self.given[gone.kept :]
        self.close()

    def _open(self) -> Observer:
        if self._observer is None:
            self._observer = Store.observe("store", self._pair.config, platform=self._sim)
            after = len(self.given) - 1 if self.given else None
            self._cursor = self._observer.cursor_guaranteed(form=Form.RAW, after=after)
        return self._observer


PACES: Final = (1, 7)
"""One who looks after each step, and one behind whom several things have happened."""
