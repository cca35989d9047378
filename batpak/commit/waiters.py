"""Waiters: who sleeps until the log has moved on, or will not any more.

Whoever moves something wakes everybody who sleeps then, once, and who stays each time. A wake only
wakes; what is so is asked of the log. So one that comes for nothing does no harm, and one that an
exception from outside has swallowed costs a sleeper `PATIENCE_S` at most.

Who sleeps for a part of the log gives keys, and is found under them: a publication looks up the
keys of its events and never goes through those who sleep for something else. An event of a region
has one key of the region at least; what else the region asks is asked after the wake. Nothing is
swallowed here: a wake takes nobody off the list, and an interrupted publication is published again.

Nothing here is locked, so that a signal handler may append wherever it finds its thread. Each list
is a dict that is changed by single steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias, final

from batpak.commit.request import Request
from batpak.commit.unit import Call, Unit
from batpak.platform import Platform
from batpak.region import Region

PATIENCE_S: Final = 1.0  # between two looks of somebody who was not woken
LONG_PATIENCE_S: Final = 30.0  # likewise, of those with keys, for whom a look may be long
EVENTS_MAX: Final = 64  # published at once, whose keys are looked up; of more, everybody is told


@final
class Own:
    """A key under which one feed is found by itself, and by no event."""


Key: TypeAlias = int | str | tuple[str, ...] | Own
"""A kind, the prefix of an entity, or a scope in a tuple of its own."""

EVERY: Final[Key] = ()
ANY: Final[frozenset[Key]] = frozenset({EVERY})  # of who wants to know of everything


def keys_of(region: Region) -> frozenset[Key]:
    """Keys of which each event of a region has one."""
    if region.entity is not None:
        return frozenset({region.entity})
    if region.kinds.kinds is not None:
        return frozenset(int(kind) for kind in region.kinds.kinds)
    return ANY if region.scope is None else frozenset({(region.scope,)})


class Waiters:
    """Those of one handle. Any thread may wait, join or wake.

    Args:
        platform: The world.
        grows: Whether the log can: not that of a handle which only reads.
    """

    def __init__(self, platform: Platform, *, grows: bool = True) -> None:
        self._platform, self.grows = platform, grows
        self.calls: dict[Call, None] = {}
        """Of those who want to know of everything. The lane looks before it calls anything here."""
        self.staying: dict[Call, None] = {}
        """Of those who want to know of everything, each time, until they leave."""
        self.keyed: dict[Key, dict[Call, None]] = {}
        """Of the others, under each of their keys."""
        self.due: deque[Call] = deque()
        """What is to be called when the lane is free, put there by those who were woken."""

    @property
    def anybody(self) -> bool:
        """Whether a publication is of interest to somebody."""
        return bool(self.calls or self.staying or self.keyed)

    def join(self, call: Call, keys: frozenset[Key] = ANY) -> None:
        """Have a function called by the next wake, on the thread that moved something.

        The lane is held then: it may do no more than wake somebody, or put something among what
        is `due`. It may not raise. With keys it may be called by every wake, until it leaves; after
        a call it joins again if it still sleeps, which is harmless if it was never taken off.

        Args:
            call: The function.
            keys: It is enough to be told of events that have one of them.
        """
        keyed = self.keyed
        for key in keys:
            if key == EVERY:
                self.calls[call] = None
                continue
            while True:
                calls = keyed.setdefault(key, {})
                calls[call] = None
                if keyed.get(key) is calls:  # else who left last has taken them away
                    break

    def leave(self, call: Call, keys: frozenset[Key] = ANY) -> None:
        """Take a function back. Twice is harmless."""
        keyed = self.keyed
        for key in keys:
            if key == EVERY:
                self.calls.pop(call, None)
                continue
            calls = keyed.get(key)
            if calls is not None:
                calls.pop(call, None)
                if not calls:
                    self._drop(key)

    def _drop(self, key: Key) -> None:
        """Forget a key that nobody sleeps under. Who came meanwhile is woken, and comes again."""
        late = list(self.keyed.pop(key, ()))
        for call in late:
            call()
        if late:
            self.call_due()

    def stay(self, call: Call) -> None:
        """Have a function called by each wake until it goes. As `join` otherwise."""
        self.staying[call] = None

    def go(self, call: Call) -> None:
        """Take back a function that has stayed."""
        self.staying.pop(call, None)

    def wake(self) -> None:
        """Call everybody who has joined until now, or stays."""
        self._wake_unkeyed()
        for key in list(self.keyed):
            self._wake_keyed(key)

    def published(self, units: Sequence[Unit]) -> None:
        """Call those who may care for the events of some units."""
        self._wake_unkeyed()
        if not self.keyed:
            return
        if sum(len(unit.requests) for unit in units) > EVENTS_MAX:
            self.wake()
            return
        for unit in units:
            for request in unit.requests:
                self._wake_for(request)

    def _wake_for(self, request: Request) -> None:
        coordinate, keyed = request.coordinate, self.keyed
        entity, kind, scope = coordinate.entity, request.payload.kind, (coordinate.scope,)
        if kind in keyed:
            self._wake_keyed(kind)
        if scope in keyed:
            self._wake_keyed(scope)
        if entity in keyed:
            self._wake_keyed(entity)
        at = entity.find(":")
        while at >= 0:
            prefix = entity[:at]
            if prefix in keyed:
                self._wake_keyed(prefix)
            at = entity.find(":", at + 1)

    def tell(self, own: Own | None = None) -> None:
        """Wake everybody, or one feed alone, and call what is due then. Not on the lane."""
        if own is None:
            self.wake()
        else:
            self._wake_keyed(own)
        self.call_due()

    def call_due(self) -> None:
        """Call what is due. Not on the lane. What it raises is logged."""
        Unit((), 0, callbacks=self.due).call()

    def _wake_unkeyed(self) -> None:
        for stayer in list(self.staying):
            stayer()
        calls = self.calls
        for call in list(calls):
            if calls.pop(call, self) is None:  # else another thread has called it
                call()

    def _wake_keyed(self, key: Key) -> None:
        for call in list(self.keyed.get(key, ())):
            call()

    def once(self, so: Callable[[], bool], call: Call, keys: frozenset[Key]) -> Call:
        """Have a function called once when something is so; now, if it is. Not on the lane.

        Whoever moved something calls it, after the lane is free. What it raises is logged.

        Returns:
            What takes it back. Twice is harmless, and so is afterwards.
        """
        left = {call: None}

        def look() -> None:
            self.leave(woken, keys)
            if left and not so():
                self.join(woken, keys)
                if left and not so():  # in between; from here on a wake is not missed
                    return
                self.leave(woken, keys)
            if left.pop(call, self) is None:
                call()

        def forget() -> None:
            left.clear()
            self.leave(woken, keys)

        woken = partial(self.due.append, look)  # on the lane
        woken()
        self.call_due()
        return forget

    def until(
        self,
        reached: Callable[[], bool],
        timeout_s: float | None = None,
        keys: frozenset[Key] = ANY,
    ) -> bool:
        """Sleep until something is so. False: it was not, in time.

        Args:
            reached: Whether it is so; asked now and after each wake. What it raises passes through.
            timeout_s: How long at most. None: until it is so.
            keys: As `join` has them.
        """
        if reached():
            return True
        now, patience = (
            self._platform.monotonic_ns,
            PATIENCE_S if EVERY in keys else LONG_PATIENCE_S,
        )
        end = None if timeout_s is None else now() + timeout_s * 1e9
        bell = self._platform.raw_lock()
        bell.acquire()

        def ring() -> None:
            if bell.locked():
                with suppress(RuntimeError):  # somebody else has, in between
                    bell.release()

        while True:
            try:
                self.join(ring, keys)
                if reached():  # in between; from here on a wake is not missed
                    return True
                rest = patience if end is None else min(patience, (end - now()) / 1e9)
                if rest <= 0:
                    return False
                bell.acquire(timeout=rest)
            finally:
                self.leave(ring, keys)
