"""Feeds: what follows the log while it grows. A part of StoreReader."""

from __future__ import annotations

from typing import Any, Final, overload
from weakref import WeakValueDictionary

from batpak.arguments import is_count
from batpak.config import SUBSCRIBER_CAPACITY_MAX
from batpak.diagnostics import SubscriptionHealth
from batpak.errors import InvalidArgument
from batpak.event import Q
from batpak.opened import Opened
from batpak.payload import EventPayload
from batpak.projections import Projections
from batpak.read.cursor import Cursor
from batpak.read.gap import CAPACITY, capacity_of
from batpak.read.subscription import Overflow, Subscription
from batpak.region import Region, region_of
from batpak.wire import TYPED, Form, form_of

_ALL: Final = Region.all()


class Feeds(Projections):
    """What a handle can follow."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened)
        self._subscriptions: Final = WeakValueDictionary[int, Subscription]()

    def _subscribed(self) -> tuple[SubscriptionHealth, ...]:
        """How the subscriptions are doing that somebody still has."""
        found = (ref() for ref in self._subscriptions.valuerefs())
        return tuple(one.health for one in found if one is not None)

    def subscribe_lossy(
        self,
        region: Region = _ALL,
        *,
        capacity: int | None = None,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> Subscription:
        """Be told of events as they become visible, from now on; no history.

        It promises the order of the log, and to count what it drops; not that everything comes.
        Who has to see every event asks for a cursor. What is published is never held up by it.

        A handle from `Store.open_read_only` shows the log as it was at its open: nothing comes
        from it. An observer looks for what comes.

        Args:
            region: Which events. The others are never offered to the buffer.
            capacity: How many are kept for a reader who is slow, 1 to 1,000,000. None: as the
                limits of the config say.
            overflow: What happens when there are more.

        Raises:
            InvalidArgument: An argument is malformed.
        """
        self._alive()
        opened = self._opened
        if capacity is None:
            capacity = opened.config.limits.subscriber_capacity
        if not is_count(capacity) or not 1 <= capacity <= SUBSCRIBER_CAPACITY_MAX:
            bounds = f"1..{SUBSCRIBER_CAPACITY_MAX:,}"
            raise InvalidArgument("capacity", f"{capacity!r} is not in {bounds}")
        if type(overflow) is not Overflow:
            raise InvalidArgument("overflow", f"{overflow!r} is no Overflow")
        made = Subscription(
            self._table,
            self._fetch,
            opened.waiters,
            self._alive,
            opened.platform.thread_id,
            region=region_of(region),
            capacity=capacity,
            overflow=overflow,
        )
        self._subscriptions[id(made)] = made
        return made

    @overload
    def cursor_guaranteed(
        self,
        region: Region = _ALL,
        *,
        after: int | None = None,
        checkpoint_id: str | None = None,
        gap_capacity: int = CAPACITY,
    ) -> Cursor[EventPayload]: ...

    @overload
    def cursor_guaranteed(
        self,
        region: Region = _ALL,
        *,
        form: Form[Q],
        after: int | None = None,
        checkpoint_id: str | None = None,
        gap_capacity: int = CAPACITY,
    ) -> Cursor[Q]: ...

    def cursor_guaranteed(
        self,
        region: Region = _ALL,
        *,
        form: Form[Any] = TYPED,
        after: int | None = None,
        checkpoint_id: str | None = None,
        gap_capacity: int = CAPACITY,
    ) -> Cursor[Any]:
        """Pull the events of a region, in order, each once; from history into the present.

        Args:
            region: Which.
            form: Of the payloads.
            after: Only behind this sequence. None: from the beginning.
            checkpoint_id: Begin where this checkpoint stands, if it was ever saved; then `after`
                does not count. `commit` saves it. Only with a store that was opened for writing.
            gap_capacity: How many gaps `take_gaps` gives at most; 0: none is looked for.

        Raises:
            InvalidArgument: An argument is malformed.
            CheckpointInvalid, FutureVersion: The checkpoint cannot be gone on from.
            StorageFailed: The system refused.
        """
        self._alive()
        region, form, gap_capacity = region_of(region), form_of(form), capacity_of(gap_capacity)
        if after is not None and not is_count(after):
            raise InvalidArgument("after", "must be a sequence, 0 or more")
        start, checkpoint, opened = 0 if after is None else after + 1, None, self._opened
        if checkpoint_id is not None:
            if opened.checkpoints is None:
                raise InvalidArgument("checkpoint_id", "needs a store that was opened for writing")
            checkpoint = opened.checkpoints.claim(checkpoint_id, region, form)
            start = start if checkpoint.position is None else checkpoint.position
        return Cursor(
            self._fetch,
            self._table,
            opened.waiters,
            opened.platform,
            region=region,
            form=form,
            start=start,
            checkpoint=checkpoint,
            alive=self._alive,
            gap_capacity=gap_capacity,
        )
