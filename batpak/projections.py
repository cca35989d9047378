"""Projections: states that follow from events, asked of a handle. A part of StoreReader."""

from __future__ import annotations

from functools import partial
from typing import Final, TypeVar

from batpak.cache.row import ProjectionCache
from batpak.cache.states import States
from batpak.opened import Opened
from batpak.read.projection import CONSISTENT, Fold, Freshness, Projected, RebuildReport, S
from batpak.read.projector import Projector
from batpak.read.source import Source
from batpak.read.watch import ProjectionWatcher
from batpak.waits import Waits

Q = TypeVar("Q")


class Projections(Waits):
    """What a handle can fold out of its log."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened)
        self._states: Final = States(opened.config.projection_cache)
        self._projector: Final = Projector(
            self._fetch,
            self._table,
            self._states,
            opened.report.store_id.hex,
            opened.platform.wall_ns,
        )

    @property
    def projection_cache(self) -> ProjectionCache:
        """Where states are kept, as the config said."""
        return self._opened.config.projection_cache

    def project(
        self,
        projection: Fold[S, Q],
        source: Source,
        *,
        freshness: Freshness = CONSISTENT,
        upto: int | None = None,
    ) -> S | None:
        """Fold the relevant events. None: there are none, and nothing of the projection was called.

        What is kept of it is continued. The state is yours: changing it changes no other answer.

        Args:
            projection: How, and of which kinds.
            source: One entity, by its exact name, or a region.
            freshness: By default the state is as of this call.
            upto: Fold only events in front of this sequence, without the cache.

        Raises:
            InvalidArgument: An argument is malformed.
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: A relevant event cannot be read.
            Exception: What `apply` raises, with a note that names the event.
        """
        self._alive()
        found = self._projector.project(projection, source, freshness, upto)
        return None if found is None else found.state

    def project_if_changed(
        self,
        projection: Fold[S, Q],
        source: Source,
        *,
        since: int,
        freshness: Freshness = CONSISTENT,
    ) -> Projected[S] | None:
        """The state, if a relevant event has been stored since a generation; else None.

        Whether there is one is decided as of this call; an old state is never given for a new one.

        Args:
            projection: See `project`, likewise the rest.
            source: See there.
            since: The `generation` that you have; 0: none.
            freshness: May let a cached state do that is newer than yours, and not the newest.

        Raises:
            As `project`.
        """
        self._alive()
        return self._projector.changed(projection, source, since, freshness)

    def watch_projection(
        self,
        projection: Fold[S, Q],
        source: Source,
        *,
        since: int = 0,
        freshness: Freshness = CONSISTENT,
        applied_as: str | None = None,
    ) -> ProjectionWatcher[S]:
        """A context manager that gives the state each time its generation has grown.

        Events that come in a burst are one step of it. It cannot be dropped for being slow.

        Args:
            projection: See `project_if_changed`, likewise the rest.
            source: See there.
            since: See there. The first state comes at once, if it is newer than this.
            freshness: See there.
            applied_as: Let `Watermark.APPLIED` wait for it, under this name: a state is applied
                when the next one is asked for. `close` ends that.

        Raises:
            InvalidArgument: An argument is malformed, or another applier has this name.
        """
        self._alive()
        self._projector.check(projection, source, since, freshness)
        opened = self._opened
        return ProjectionWatcher(
            partial(self._projector.changed, projection, source, freshness=freshness),
            self._alive,
            since,
            self._fetch,
            self._table,
            opened.waiters,
            opened.platform,
            None if applied_as is None else self._appliers.register(applied_as, "applied_as"),
        )

    def rebuild_projection(self, projection: Fold[S, Q], source: Source) -> RebuildReport[S]:
        """Fold every relevant event anew, beside what is kept, and put it in the place of that.

        The report says whether what was kept, continued to the same event, was equal. Others that
        project meanwhile get the old state or the new one, whole.

        Raises:
            As `project`; what is kept stays then.
        """
        self._alive()
        return self._projector.rebuild(projection, source)
