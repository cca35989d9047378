"""Reactors: events that follow from events. One atomic batch for each source, stored once.

react     your code pushes what follows into a batch
commit    the batch, caused by its source, under a key of the reactor, the checkpoint and the
source; one that is stored already wins over whatever was pushed this time
then      the next source
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeAlias, cast

from batpak.append import BatchItem, Cause, PriorItem, RawPayload
from batpak.commit import request
from batpak.commit.lane import Lane
from batpak.commit.unit import Unit
from batpak.config import Limits
from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument
from batpak.event import Q, StoredEvent
from batpak.ids import operation_key
from batpak.index.table import Table
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.declared import check_declared
from batpak.read.witness import AtLeastOnce
from batpak.read.worker import Deliver
from batpak.region import Region
from batpak.wire import TYPED, Form

_DOMAIN: Final = "batpak/reaction/1"

Commit: TypeAlias = Callable[[Sequence[BatchItem], StoredEvent[Any], bytes | None], None]
"""Stores a batch that was caused by an event, unless one is stored under this key."""


class ReactionBatch:
    """What follows from one event, in order. `Reactor.react` fills it; it is stored as a whole.

    When that has returned, nothing can be added any more.
    """

    def __init__(self) -> None:
        self._items: list[BatchItem] = []
        self._taken = False

    def push(
        self,
        coord: Coordinate,
        payload: EventPayload,
        *,
        expected_version: int | None = None,
        caused_by: Cause | PriorItem | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> None:
        """Add an event. The correlation is that of the source.

        Args:
            coord: Where.
            payload: What.
            expected_version: How many events the entity must have, earlier items counted in.
            caused_by: None: the source. Or an earlier item, or another event.
            flags: One byte, stored as given.
            extensions: As in `Store.append`.

        Raises:
            InvalidArgument: `react` has returned, and what it has pushed is stored.
        """
        self._add(
            BatchItem(
                coord,
                payload,
                expected_version=expected_version,
                caused_by=caused_by,
                flags=flags,
                extensions=extensions,
            )
        )

    def push_raw(
        self,
        coord: Coordinate,
        kind: EventKind,
        data: bytes,
        *,
        payload_version: int = 1,
        expected_version: int | None = None,
        caused_by: Cause | PriorItem | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
    ) -> None:
        """Add an event whose payload is encoded already. See `push`, and `Store.append_raw`."""
        self._add(
            BatchItem(
                coord,
                RawPayload(kind, data, payload_version),
                expected_version=expected_version,
                caused_by=caused_by,
                flags=flags,
                extensions=extensions,
            )
        )

    def _add(self, item: BatchItem) -> None:
        if self._taken:
            raise InvalidArgument("out", "`react` has returned: this would be stored nowhere")
        self._items.append(item)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> tuple[BatchItem, ...]:
        """What was added."""
        return tuple(self._items)

    def take(self) -> tuple[BatchItem, ...]:
        """What was added. From now on nothing can be."""
        self._taken = True
        return self.items


class Reactor(ABC, Generic[Q]):
    """Says which events follow from one. `Store.react` runs it.

    `react` may be called again for an event whose reaction is stored: then what it pushes is
    discarded. What else it does has to bear that; see `AtLeastOnce`.

    A class that says something of itself that cannot be so is refused where it is written, with
    InvalidArgument.
    """

    NAME: ClassVar[str]  # stable: it is part of the key; by default module and name of the class
    KINDS: ClassVar[frozenset[EventKind]]  # it gets events of these kinds and no others
    FORM: ClassVar[Form[Any]] = TYPED  # Any: a class variable has no parameter

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_declared(cls)
        if "NAME" not in cls.__dict__:
            name = f"{cls.__module__}.{cls.__qualname__}"
            cls.NAME = name  # pyright: ignore[reportConstantRedefinition]  the default

    @abstractmethod
    def react(
        self, event: StoredEvent[Q], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        """Push what follows from an event, or nothing.

        Args:
            event: The source.
            out: Stored as one batch when this returns.
            witness: None without a checkpoint.
        """


def region_of_reactor(reactor: Reactor[Any], region: Region | None) -> Region:
    """What a reactor gets: events of its kinds in a region.

    Raises:
        InvalidArgument: It has no kinds, or none of them is in the region.
    """
    if not isinstance(reactor, Reactor):  # pyright: ignore[reportUnnecessaryIsInstance]  callers may lie
        raise InvalidArgument("reactor", f"must be a Reactor, not {type(reactor).__name__}")
    region = Region.all() if region is None else region
    kinds = {kind for kind in getattr(reactor, "KINDS", ()) if region.kinds.matches(kind)}
    if not kinds:
        raise InvalidArgument("reactor", "none of its KINDS is in the region")
    return Region(entity=region.entity, scope=region.scope, kinds=kinds, versions=region.versions)


def reactions(reactor: Reactor[Q], commit: Commit, witness: AtLeastOnce | None) -> Deliver[Q]:
    """What a worker calls with the sources."""

    def deliver(events: Sequence[StoredEvent[Q]], done: Callable[[int], None]) -> None:
        for event in events:
            out = ReactionBatch()
            try:
                given = cast("Callable[..., object]", reactor.react)(event, out, witness)
            finally:
                items = out.take()
            if given is not None:  # a coroutine would never run, and its source be passed
                name = type(given).__name__
                raise InvalidArgument("react", f"gave a {name}; what it has to say goes into `out`")
            if items:
                key = None if witness is None else key_of(reactor.NAME, witness, event)
                commit(items, event, key)
            done(event.sequence)

    return deliver


def storing(lane: Lane, table: Table, limits: Limits, thread_id: Callable[[], int]) -> Commit:
    """What stores a batch, unless one is stored for the same source already."""

    def commit(items: Sequence[BatchItem], source: StoredEvent[Any], key: bytes | None) -> None:
        if key is not None and table.with_key(request.item_key(key, 0)) is not None:
            return
        requests, size = request.check_batch(
            items,
            idempotency_key=key,
            caused_by=source,
            correlation_id=source.correlation_id,
            limits=limits,
        )
        behind = request.key_behind(key, len(requests))
        lane.commit(Unit(requests, thread_id(), size, batch=True, key_behind=behind))

    return commit


def key_of(name: str, witness: AtLeastOnce, source: StoredEvent[Any]) -> bytes:
    """Under which the reaction to a source is stored."""
    return operation_key(_DOMAIN, name, witness.checkpoint_id, source.event_id.bytes)
