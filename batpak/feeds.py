"""Feeds: events as they come. A part of StoreReader."""

from __future__ import annotations

from typing import Any, Final, overload

from batpak.arguments import is_count
from batpak.errors import InvalidArgument
from batpak.event import Q
from batpak.opened import Opened
from batpak.payload import EventPayload
from batpak.queries import Queries
from batpak.read.cursor import Cursor
from batpak.region import Region, region_of
from batpak.wire import TYPED, Form, form_of

_ALL: Final = Region.all()


class Feeds(Queries):
    """How a handle follows its log."""

    _opened: Opened

    @overload
    def cursor_guaranteed(
        self,
        region: Region = _ALL,
        *,
        after: int | None = None,
        checkpoint_id: str | None = None,
    ) -> Cursor[EventPayload]: ...

    @overload
    def cursor_guaranteed(
        self,
        region: Region = _ALL,
        *,
        form: Form[Q],
        after: int | None = None,
        checkpoint_id: str | None = None,
    ) -> Cursor[Q]: ...

    def cursor_guaranteed(
        self,
        region: Region = _ALL,
        *,
        form: Form[Any] = TYPED,
        after: int | None = None,
        checkpoint_id: str | None = None,
    ) -> Cursor[Any]:
        """Pull the events of a region, in order, each once; from history into the present.

        Args:
            region: Which.
            form: Of the payloads.
            after: Only behind this sequence. None: from the beginning.
            checkpoint_id: Begin where this checkpoint stands, if it was ever saved; then `after`
                does not count. `commit` saves it. Only with a store that was opened for writing.

        Raises:
            InvalidArgument: An argument is malformed.
            CheckpointInvalid, FutureVersion: The checkpoint cannot be gone on from.
            StorageFailed: The system refused.
        """
        self._alive()
        region, form = region_of(region), form_of(form)
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
        )
