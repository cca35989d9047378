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
        self._shown = 0  # how many events it was said to see
        self.given: dict[int, bytes] = {}
        """What it was given: the sequence and the hash of each event."""

    def step(self) -> None:
        """A step is over."""
        self._steps += 1
        if self._sim is not self._pair.sim:
            self.close()
            self._sim, self._shown, self.given = self._pair.sim, 0, {}
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
        pair = self._pair
        try:
            bounds = self._open().refresh()
        except RolledBack as gone:
            self._go_back(gone)
            bounds = self._open().refresh()
        observer, cursor = self._open(), self._cursor
        assert cursor is not None
        for event in cursor.poll_batch(10_000):
            assert event.sequence >= self._shown, f"event {event.sequence} for a second time"
            self.given[event.sequence] = event.event_hash
        assert list(self.given) == sorted(self.given), "not in order"
        self._shown, count = bounds.visible, len(pair.model.events)
        missing = set(range(bounds.visible)) - self.given.keys()
        assert bounds.durable <= bounds.visible, "durable, and not visible"
        assert missing <= pair.dropped | pair.unsure, f"not all that it says: {missing}"
        found = [it for it in observer.query(form=Form.RAW) if it.sequence not in pair.unsure]
        told = [one.record for one in found]
        due = [one.record for one in pair.dump if one.sequence not in pair.unsure]
        if pair.poisoned:  # of what was not acknowledged only an open can tell
            assert told[: len(due)] == due, "not what was acknowledged"
        else:
            assert told == due, f"{len(told)} events, not {len(due)}"
        for one in found:
            assert self.given[one.sequence] == one.event_hash, f"{one} was another one"
        self._unsure = bounds.visible > count

    def _go_back(self, gone: RolledBack) -> None:
        assert self._unsure, f"taken back, and it was acknowledged: {gone}"
        assert gone.shown == self._shown, "not what was shown"
        self.given = {one: own_hash for one, own_hash in self.given.items() if one < gone.kept}
        self._shown = gone.kept
        self.close()

    def _open(self) -> Observer:
        if self._observer is None:
            self._observer = Store.observe("store", self._pair.config, platform=self._sim)
            after = self._shown - 1 if self._shown else None
            self._cursor = self._observer.cursor_guaranteed(form=Form.RAW, after=after)
        return self._observer


PACES: Final = (1, 7)
"""One who looks after each step, and one behind whom several things have happened."""
