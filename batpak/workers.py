"""Workers: who handles the events of a store while it is open. A part of Store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias, overload

from batpak.arguments import is_count, require_direct, seconds_of, text_of
from batpak.commit.lane import Lane
from batpak.config import Durability, StoreConfig
from batpak.errors import InvalidArgument
from batpak.event import Q, StoredEvent
from batpak.feeds import Feeds
from batpak.payload import EventPayload
from batpak.read.checkpoint import Checkpoint, Checkpoints, CursorCheckpoint
from batpak.read.cursor import Cursor
from batpak.read.gap import CAPACITY, capacity_of
from batpak.read.parking import parking
from batpak.read.reactor import Reactor, reactions, region_of_reactor, storing
from batpak.read.restart import OnFailure, RestartPolicy
from batpak.read.witness import AtLeastOnce
from batpak.read.worker import (
    BATCH_MAX,
    CursorWorker,
    Deliver,
    Step,
    durable_bound,
)
from batpak.region import Region, region_of
from batpak.seal import SEAL
from batpak.wire import TYPED, Form, form_of

Handler: TypeAlias = Callable[[Sequence[StoredEvent[Q]], AtLeastOnce | None], Step | None]
"""What a worker calls with each batch. None means `Step.CONTINUE`."""

DurableHandler: TypeAlias = Callable[[Sequence[StoredEvent[Q]], AtLeastOnce], Step | None]
"""One that needs a witness, and so a checkpoint."""


class Workers(Feeds):
    """How a store has its events handled."""

    _lane: Lane
    _config: StoreConfig

    @overload
    def cursor_worker(
        self,
        region: Region,
        handler: DurableHandler[EventPayload],
        *,
        name: str | None = None,
        checkpoint_id: str,
        batch_size: int = 64,
        restart: RestartPolicy = ...,
        backoff_s: float = 0.0,
        on_failure: OnFailure = OnFailure.STOP,
        applied_as: str | None = None,
    ) -> CursorWorker: ...

    @overload
    def cursor_worker(
        self,
        region: Region,
        handler: Handler[EventPayload],
        *,
        name: str | None = None,
        checkpoint_id: str | None = None,
        batch_size: int = 64,
        restart: RestartPolicy = ...,
        backoff_s: float = 0.0,
        on_failure: OnFailure = OnFailure.STOP,
        applied_as: str | None = None,
    ) -> CursorWorker: ...

    @overload
    def cursor_worker(
        self,
        region: Region,
        handler: DurableHandler[Q],
        *,
        form: Form[Q],
        name: str | None = None,
        checkpoint_id: str,
        batch_size: int = 64,
        restart: RestartPolicy = ...,
        backoff_s: float = 0.0,
        on_failure: OnFailure = OnFailure.STOP,
        applied_as: str | None = None,
        gap_capacity: int = CAPACITY,
    ) -> CursorWorker: ...

    @overload
    def cursor_worker(
        self,
        region: Region,
        handler: Handler[Q],
        *,
        form: Form[Q],
        name: str | None = None,
        checkpoint_id: str | None = None,
        batch_size: int = 64,
        restart: RestartPolicy = ...,
        backoff_s: float = 0.0,
        on_failure: OnFailure = OnFailure.STOP,
        applied_as: str | None = None,
        gap_capacity: int = CAPACITY,
    ) -> CursorWorker: ...

    def cursor_worker(
        self,
        region: Region,
        handler: Callable[[Sequence[StoredEvent[Any]], Any], Step | None],
        *,
        form: Form[Any] = TYPED,
        name: str | None = None,
        checkpoint_id: str | None = None,
        batch_size: int = 64,
        restart: RestartPolicy = RestartPolicy.once(),  # noqa: B008  immutable
        backoff_s: float = 0.0,
        on_failure: OnFailure = OnFailure.STOP,
        applied_as: str | None = None,
        gap_capacity: int = CAPACITY,
    ) -> CursorWorker:
        """Have the events of a region handled, in order, on a thread of their own.

        With a checkpoint every event is handled at least once, whatever happens to the process:
        only durable events are delivered, and the position is durable before the next batch is.
        Without one each worker begins at the beginning.

        Args:
            region: Which.
            handler: Called with one batch after the other, and with a witness if there is a
                checkpoint. When it returns, the batch is done. It may use the store.
            form: Of the payloads.
            name: In logs and errors. None: the id of the checkpoint.
            checkpoint_id: 1..128 of `A-Z a-z 0-9 . _ -`.
            batch_size: 1..4096 events at most.
            restart: How often a batch is delivered again when the handler has raised.
            backoff_s: How long to wait before that.
            on_failure: What happens when that was of no use.
            applied_as: Let `Watermark.APPLIED` wait for it, under this name: what it has committed
                is applied. When it ends, nobody waits for it any more.
            gap_capacity: How many gaps `take_gaps` gives at most; 0: none is looked for.

        Raises:
            InvalidArgument: An argument is malformed, or another applier has this name.
            CheckpointInvalid, FutureVersion: The checkpoint cannot be gone on from.
            StorageFailed: The system refused.
        """
        self._alive()
        require_direct("handler", handler)
        region, form = region_of(region), form_of(form)
        witness = None if checkpoint_id is None else AtLeastOnce(checkpoint_id, SEAL)

        def deliver(events: Sequence[StoredEvent[Any]], done: object, /) -> Step | None:  # noqa: ARG001  all or none
            return handler(events, witness)

        return self._start(
            deliver,
            region,
            form,
            name,
            checkpoint_id,
            batch_size,
            restart,
            backoff_s,
            on_failure,
            applied_as,
            gap_capacity,
        )

    def react(
        self,
        reactor: Reactor[Q],
        *,
        region: Region | None = None,
        name: str | None = None,
        checkpoint_id: str | None = None,
        batch_size: int = 64,
        restart: RestartPolicy = RestartPolicy.once(),  # noqa: B008  immutable
        backoff_s: float = 0.0,
        on_failure: OnFailure = OnFailure.STOP,
        applied_as: str | None = None,
    ) -> CursorWorker:
        """Run a reactor: for each event of its kinds, store what it says follows, as one batch.

        With a checkpoint there is one batch for each source, whatever happens to the process; if a
        source comes again, what the reactor pushes for it then is discarded.

        Args:
            reactor: Which. It gets events of its `KINDS` in the region, in its `FORM`.
            region: None: everywhere.
            name: None: the `NAME` of the reactor.
            checkpoint_id: As in `cursor_worker`; likewise the rest.
            batch_size: How many sources are done before the position is saved.
            restart: See there.
            backoff_s: See there.
            on_failure: See there. A reaction that is refused is a failure too.
            applied_as: See there.

        Raises:
            InvalidArgument: None of its kinds is in the region, or as `cursor_worker`.
            CheckpointInvalid, FutureVersion, StorageFailed: As `cursor_worker`.
        """
        self._alive()
        region = region_of_reactor(reactor, None if region is None else region_of(region))
        form: Form[Q] = form_of(reactor.FORM)
        witness = None if checkpoint_id is None else AtLeastOnce(checkpoint_id, SEAL)
        thread_id = self._opened.platform.thread_id
        store = storing(self._lane, self._table, self._config.limits, thread_id)
        return self._start(
            reactions(reactor, store, witness),
            region,
            form,
            reactor.NAME if name is None else name,
            checkpoint_id,
            batch_size,
            restart,
            backoff_s,
            on_failure,
            applied_as,
        )

    def _start(
        self,
        deliver: Deliver[Any],
        region: Region,
        form: Form[Any],
        name: str | None,
        checkpoint_id: str | None,
        batch_size: int,
        restart: RestartPolicy,
        backoff_s: float,
        on_failure: OnFailure,
        applied_as: str | None,
        gap_capacity: int = CAPACITY,
    ) -> CursorWorker:
        gap_capacity = capacity_of(gap_capacity)
        if not is_count(batch_size) or not 1 <= batch_size <= BATCH_MAX:
            raise InvalidArgument("batch_size", f"must be 1..{BATCH_MAX}")
        if not isinstance(restart, RestartPolicy):  # pyright: ignore[reportUnnecessaryIsInstance]  callers may lie
            raise InvalidArgument("restart", "must be a RestartPolicy")
        if not isinstance(on_failure, OnFailure):  # pyright: ignore[reportUnnecessaryIsInstance]  likewise
            raise InvalidArgument("on_failure", "must be an OnFailure")
        if on_failure is OnFailure.PARK and checkpoint_id is None:
            raise InvalidArgument("on_failure", "PARK needs a checkpoint_id")
        rest_s = seconds_of("backoff_s", backoff_s)
        named = text_of("name", checkpoint_id or "worker" if name is None else name)
        opened, fetch, table, lane = self._opened, self._fetch, self._table, self._lane
        platform, checkpoint, bound, park, applier = opened.platform, None, None, None, None
        with ExitStack() as undo:
            if applied_as is not None:
                applier = self._appliers.register(applied_as, "applied_as")
                undo.enter_context(applier)
            if checkpoint_id is not None:
                checkpoint = self._checkpoints().claim(checkpoint_id, region, form)
                undo.callback(checkpoint.release)
                bound = durable_bound(lane, table, asks=self._config.durability is Durability.OS)
                if on_failure is OnFailure.PARK:
                    park = parking(fetch, table, lane, platform.thread_id, checkpoint_id)
            worker = CursorWorker(
                named,
                Cursor(
                    fetch,
                    table,
                    opened.waiters,
                    platform,
                    region=region,
                    form=form,
                    start=_start_of(checkpoint),
                    checkpoint=checkpoint,
                    alive=self._alive,
                    bound=bound,
                    gap_capacity=gap_capacity,
                ),
                deliver,
                batch_size=batch_size,
                restart=restart,
                backoff_s=rest_s,
                park=park,
                applier=applier,
                closed=lambda: lane.closed or fetch.closed,
                fenced=lambda: lane.open_fence is not None,
                staff=opened.staff,
                waiters=opened.waiters,
                platform=platform,
            )
            worker.start()
            undo.pop_all()
        return worker

    # ------------------------------------------------------------------------------- checkpoints

    def cursor_checkpoints(self) -> tuple[CursorCheckpoint, ...]:
        """Where the consumers of this store stand, by id, those included that cannot go on.

        Raises:
            StorageFailed: The system refused.
        """
        self._alive()
        return self._checkpoints().listing()

    def reset_cursor(self, checkpoint_id: str, *, position: int) -> None:
        """Set a checkpoint by hand, whatever its file says now, or make one. Durable on return.

        The next consumer with this id begins there, whatever its region is.

        Args:
            checkpoint_id: Which.
            position: The next sequence to look at; 0: everything again.

        Raises:
            InvalidArgument: That is no id, or the log has no such position.
            CheckpointInvalid: IN_USE: a consumer goes on from it now.
            StorageFailed, DurabilityUnknown: The system refused.
            StoreClosed, StorePoisoned: This handle writes no more.
        """
        self._alive()
        self._checkpoints().reset(checkpoint_id, position)

    def _keep_checkpoints(self) -> None:
        opened = self._opened
        opened.checkpoints = Checkpoints(
            opened.directory,
            opened.report.store_id,
            self._fetch,
            self._table,
            self._lane,
            opened.platform,
        )

    def _checkpoints(self) -> Checkpoints:
        found = self._opened.checkpoints
        if found is None:
            raise InvalidArgument("store", "was not opened for writing")
        return found


def _start_of(checkpoint: Checkpoint | None) -> int:
    return 0 if checkpoint is None else checkpoint.position or 0
