"""Shapes: what a log tells about its events to who has not their classes.

A writer records the shapes of what it has written when it closes, in the batch of its last event.
What a writer that was stopped has not recorded the next open does that has the classes. Each shape
is recorded once. Reference: docs/adr/0037.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from batpak import codec, registry
from batpak.errors import BatpakError
from batpak.index import query
from batpak.index.table import Table
from batpak.kind import SHAPES, EventKind
from batpak.read.fetch import Fetch
from batpak.region import Region
from batpak.shape import shape_of
from batpak.system import EventShape, ShapesRecorded
from batpak.wire import RAW

log: Final = logging.getLogger("batpak.shapes")

EVENT_BYTES: Final = 64 << 10  # of payload; more shapes than fit are told in several events
SHAPE_BYTES_MAX: Final = 1 << 20  # one that takes more is not told, and not listened to

_RECORDS: Final = Region(kinds=EventKind.from_wire(SHAPES))
S = TypeVar("S")


class _Shapes(Struct, Generic[S], frozen=True):
    """A record, as it is read: what another one of its fields would be is passed over."""

    shapes: tuple[S, ...]


class _Head(Struct, frozen=True, gc=False):
    """Of which event a shape is. To read no more than that is much faster."""

    kind: int
    version: int


_decode: Final = codec.decoder(_Shapes[EventShape]).decode
_decode_heads: Final = codec.decoder(_Shapes[_Head]).decode


class KindDescription(Struct, frozen=True, kw_only=True):
    """What a log tells about one kind of event."""

    kind: EventKind
    events: int  # of this kind, that can be read
    shapes: tuple[EventShape, ...]
    """By version; two of one version if programs did not agree. Of kinds of which nothing is
    recorded yet, those of the classes of this program; none if it has none either."""

    @property
    def name(self) -> str | None:
        """Of the newest shape."""
        return self.shapes[-1].name if self.shapes else None


# ------------------------------------------------------------------------------------- reading


def recorded(fetch: Fetch, table: Table) -> list[EventShape]:
    """The shapes that a log has recorded, in that order; what nobody understands is passed over.

    Raises:
        CorruptStore, StorageFailed, StoreClosed: One cannot be read.
    """
    return [one for one in _payloads(fetch, table, _decode) if _is_likely(one)]


def _payloads(fetch: Fetch, table: Table, decode: Callable[[bytes], _Shapes[S]]) -> Iterator[S]:
    """What the records of a log have, as far as it decodes."""
    rows = query.select(table, _RECORDS, 0, table.bound)
    for event in fetch.events(rows, RAW):
        if event.payload_version != ShapesRecorded.VERSION:
            continue
        if len(event.payload) > EVENT_BYTES + SHAPE_BYTES_MAX:
            continue
        try:
            yield from decode(event.payload).shapes
        except codec.UNREADABLE:
            continue


def _is_likely(shape: EventShape) -> bool:
    """Whether it is of an event of some program: the library's own are known to every reader."""
    if not (0 <= shape.kind <= 0xFFFF and 1 <= shape.version <= 0xFFFF):
        return False
    return not EventKind.from_wire(shape.kind).reserved


def described(fetch: Fetch, table: Table) -> tuple[KindDescription, ...]:
    """What a log tells about each kind that it has, or had. Raises as `recorded`."""
    shapes: dict[int, list[EventShape]] = {}
    for one in recorded(fetch, table):
        shapes.setdefault(one.kind, []).append(one)
    counts = _counts(table)
    return tuple(
        KindDescription(
            kind=EventKind.from_wire(kind),
            events=counts[kind],
            shapes=tuple(sorted(shapes.get(kind) or _known(kind), key=lambda one: one.version)),
        )
        for kind in sorted({*counts, *shapes})
    )


def _counts(table: Table) -> Counter[int]:
    counts: Counter[int] = Counter()
    for part, low, high in table.spans(0, table.bound):
        counts.update(query.kind_counts(part, low, high))
    return counts


def _known(kind: int) -> Iterator[EventShape]:
    """What the classes of this program say."""
    for entry in registry.versions(kind):
        shape = shape_of(entry)
        if shape is not None:
            yield shape


def told_by(describe: Callable[[], Iterable[KindDescription]]) -> list[EventShape]:
    """What a store tells of the events of programs; nothing, if that cannot be read."""
    try:
        return [one for kind in describe() if not kind.kind.reserved for one in kind.shapes]
    except BatpakError:
        return []


# ------------------------------------------------------------------------------------ recording


def at_open(fetch: Fetch, table: Table) -> Sequence[ShapesRecorded]:
    """What writers have not recorded that were stopped, as far as this program has the classes."""
    return _quietly(lambda: _left_out(fetch, table))


def at_close(
    fetch: Fetch, table: Table, first: int, brought: Sequence[EventShape]
) -> Sequence[ShapesRecorded]:
    """What is to be recorded of what was written from a sequence on.

    Args:
        fetch: Of the log.
        table: Likewise.
        first: The sequence.
        brought: What the sources of imports have told.
    """
    return _quietly(lambda: _written(fetch, table, first, brought))


def _quietly(find: Callable[[], Iterable[EventShape]]) -> Sequence[ShapesRecorded]:
    """Records of shapes. What goes wrong here keeps no store from being opened or closed."""
    try:
        return list(_records(find()))
    except BatpakError as error:
        log.warning("the shapes of events are not recorded: %s", error)
    except Exception:
        log.exception("the shapes of events are not recorded")
    return []


def _left_out(fetch: Fetch, table: Table) -> Iterator[EventShape]:
    """Of each kind the versions from its first event to its last of which nothing is recorded."""
    kinds = {kind for part, _, _ in table.spans(0, table.bound) for kind in part.kind_counts()}
    used = [one for one in registry.entries() if one.kind in kinds and not one.kind.reserved]
    if not used:
        return
    told = {(one.kind, one.version) for one in _payloads(fetch, table, _decode_heads)}
    missing = sorted(
        (one for one in used if (one.kind, one.version) not in told),
        key=lambda one: (one.kind, one.version),
    )
    for kind, entries in groupby(missing, key=lambda one: one.kind):
        first, last = _ends(fetch, table, kind)
        for entry in entries:
            if first <= entry.version <= last and (shape := shape_of(entry)) is not None:
                yield shape


def _ends(fetch: Fetch, table: Table, kind: EventKind) -> tuple[int, int]:
    """The lower and the higher of the payload versions of the first and the last event."""
    region = Region(kinds=kind)
    found = [
        entry.payload_version
        for backwards in (False, True)
        for rows in [query.select(table, region, 0, table.bound, reverse=backwards)]
        for entry in [next(fetch.entries(rows), None)]
        if entry is not None
    ]
    return min(found, default=1), max(found, default=0)


def _written(
    fetch: Fetch, table: Table, first: int, brought: Sequence[EventShape]
) -> Iterator[EventShape]:
    kinds = query.kinds_between(table, first, table.bound)
    entries = [entry for kind in sorted(kinds) if (entry := registry.lookup(kind)) is not None]
    own = [
        shape for entry in entries if not entry.reserved and (shape := shape_of(entry)) is not None
    ]
    if not own and not brought:
        return
    told = recorded(fetch, table)
    known = {_core(one) for one in told}
    yield from (one for one in own if _core(one) not in known)
    if brought:
        kinds = set(_counts(table))
        versions = {(one.kind, one.version) for one in (*told, *own)}
        for one in dict.fromkeys(brought):
            if one.kind in kinds and (one.kind, one.version) not in versions:
                yield one


def _core(shape: EventShape) -> EventShape:
    """What two shapes have in common that are one: what is only said about it does not count."""
    return replace(shape, doc=None)


def _records(shapes: Iterable[EventShape]) -> Iterator[ShapesRecorded]:
    """Events that tell shapes, so many that none is large."""
    some: list[EventShape] = []
    size = 0
    for one in shapes:
        bytes_of = len(codec.encode(one))
        if bytes_of > SHAPE_BYTES_MAX:
            log.warning("the shape of kind %#06x is too large to be recorded", one.kind)
            continue
        if some and size + bytes_of > EVENT_BYTES:
            yield ShapesRecorded(shapes=tuple(some))
            some, size = [], 0
        some.append(one)
        size += bytes_of
    if some:
        yield ShapesRecorded(shapes=tuple(some))
