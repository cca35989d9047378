"""Feeds: what follows the log while it grows. A part of StoreReader."""

from __future__ import annotations

from typing import Final

from batpak.arguments import is_count
from batpak.config import SUBSCRIBER_CAPACITY_MAX
from batpak.errors import InvalidArgument
from batpak.projections import Projections
from batpak.read.subscription import Overflow, Subscription
from batpak.region import Region, region_of

_ALL: Final = Region.all()


class Feeds(Projections):
    """What a handle can follow."""

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

        A handle that only reads shows the log as it was at its open: nothing comes from it.

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
        return Subscription(
            self._table,
            self._fetch,
            opened.waiters,
            self._alive,
            opened.platform.thread_id,
            region=region_of(region),
            capacity=capacity,
            overflow=overflow,
        )
