"""Queries: every way to read events of a log. A part of StoreReader.

A read never waits for a writer. An iterator shows the log as it was when it was asked for, and
holds no lock between items. Every method that gives events takes `form`: typed payloads by default,
plain values with `Form.DICT`, the stored bytes with `Form.RAW`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, overload
from uuid import UUID

from batpak.arguments import is_count, some_of, text_of, uuid_of
from batpak.errors import EventNotFound, InvalidArgument, KindMismatch
from batpak.event import IndexEntry, P, StoredEvent
from batpak.ids import ID_BYTES, EventId
from batpak.index import query
from batpak.index.query import Rows
from batpak.index.row import Part
from batpak.index.table import Table
from batpak.journal.segment import Segments
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.read import shapes
from batpak.read.fetch import STORED, Fetch
from batpak.read.page import Page
from batpak.read.shapes import KindDescription
from batpak.record import DROPPED, EVENT_ID_AT
from batpak.region import OneKind, Region, kind_of, region_of
from batpak.wire import TYPED, Form, Q, form_of

_ALL: Final = Region.all()
_ID: Final = slice(EVENT_ID_AT, EVENT_ID_AT + ID_BYTES)


class Queries(ABC):
    """What a handle can ask of its log."""

    def __init__(self, segments: Segments, table: Table) -> None:
        self._table = table
        self._fetch = Fetch(segments, table)

    @abstractmethod
    def _alive(self) -> None:
        """Refuse if this handle does not read any more."""

    # -------------------------------------------------------------------------------- one event

    @overload
    def get(self, which: EventId | IndexEntry | int) -> StoredEvent[EventPayload]: ...

    @overload
    def get(self, which: EventId | IndexEntry | int, fact: type[P]) -> StoredEvent[P]: ...

    @overload
    def get(
        self, which: EventId | IndexEntry | int, fact: OneKind | None = None, *, form: Form[Q]
    ) -> StoredEvent[Q]: ...

    def get(
        self,
        which: EventId | IndexEntry | int,
        fact: OneKind | None = None,
        *,
        form: Form[Any] = TYPED,
    ) -> StoredEvent[Any]:
        """One event, by id or by sequence.

        Args:
            which: An event id, a sequence, or an entry.
            fact: The payload class, or the kind, to expect.
            form: Of the payload.

        Raises:
            EventNotFound: There is no such event.
            KindMismatch: It is of another kind than `fact`.
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: It cannot be read as it was.
        """
        self._alive()
        if isinstance(which, IndexEntry):
            which = which.event_id
        place = self._fetch.healing(lambda: self._find(which))
        if place is None:
            raise EventNotFound(which)
        part, row = place
        if fact is not None and not (part.types and part.types[row] == DROPPED):
            expected, kind = kind_of("fact", fact), part.kinds[row]
            if kind != expected:
                raise KindMismatch(expected, kind, self._fetch.entry(part, row).event_id)
        try:
            event = self._fetch.event(part, row, form_of(form))
        except EventNotFound:
            found = self._fetch.body(part, row)[_ID]
            was_it = not isinstance(which, UUID) or found == which.bytes
            raise EventNotFound(which, dropped=was_it) from None
        if isinstance(which, UUID) and event.record[_ID] != which.bytes:
            raise EventNotFound(which)
        return event

    def _find(self, which: object) -> tuple[Part, int] | None:
        """The only place where it can be."""
        table = self._table
        if isinstance(which, UUID):
            return table.with_id(which.int >> 64)
        if isinstance(which, int) and is_count(which) and not isinstance(which, EventKind):
            return table.locate(which) if which < table.bound else None
        raise InvalidArgument("which", "must be an event id or a sequence")

    # ------------------------------------------------------------------------------ many events

    def entries(
        self,
        region: Region = _ALL,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[IndexEntry]:
        """What the store knows of events without reading their payloads. Arguments as `query`."""
        rows = self._rows(region, after, before, reverse)
        return some_of(self._fetch.entries(rows, handle=self), limit)

    @overload
    def query(
        self,
        region: Region = _ALL,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[EventPayload]]: ...

    @overload
    def query(
        self,
        region: Region = _ALL,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Q],
    ) -> Iterator[StoredEvent[Q]]: ...

    def query(
        self,
        region: Region = _ALL,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Any] = TYPED,
    ) -> Iterator[StoredEvent[Any]]:
        """The events that a region matches, in sequence order.

        Args:
            region: Which.
            after: Only behind this sequence.
            before: Only in front of this sequence.
            limit: How many at most. Not much more than those is read.
            reverse: Newest first.
            form: Of the payloads.

        Raises:
            InvalidArgument: An argument is malformed.
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: While iterating; an event
                cannot be read as it was. Nothing is skipped.
        """
        rows = self._rows(region, after, before, reverse)
        return some_of(self._fetch.events(rows, form_of(form), handle=self), limit)

    @overload
    def stream(
        self,
        entity: str,
        *,
        first_version: int = 1,
        last_version: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[EventPayload]]: ...

    @overload
    def stream(
        self,
        entity: str,
        *,
        first_version: int = 1,
        last_version: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Q],
    ) -> Iterator[StoredEvent[Q]]: ...

    def stream(
        self,
        entity: str,
        *,
        first_version: int = 1,
        last_version: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Any] = TYPED,
    ) -> Iterator[StoredEvent[Any]]:
        """The events of one entity in version order; nothing for an unknown one.

        Args:
            entity: Exact.
            first_version: At least 1.
            last_version: Included. None: up to the newest.
            limit: How many at most.
            reverse: Newest first.
            form: Of the payloads.
        """
        self._alive()
        entity = text_of("entity", entity)
        if not is_count(first_version) or first_version < 1:
            raise InvalidArgument("first_version", "must be 1 or more")
        if last_version is not None and not is_count(last_version):
            raise InvalidArgument("last_version", "must be a version, or None")
        ask = partial(self._of_entity, entity, first_version, last_version, reverse)
        rows = self._fetch.steady(ask, 0, self._table.bound, reverse=reverse)
        return some_of(self._fetch.events(rows, form_of(form), entity=entity, handle=self), limit)

    @overload
    def by_scope(
        self,
        scope: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[EventPayload]]: ...

    @overload
    def by_scope(
        self,
        scope: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Q],
    ) -> Iterator[StoredEvent[Q]]: ...

    def by_scope(
        self,
        scope: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Any] = TYPED,
    ) -> Iterator[StoredEvent[Any]]:
        """The events of one scope, in sequence order. Arguments as in `query`."""
        rows = self._rows(Region(scope=text_of("scope", scope)), after, before, reverse)
        return some_of(self._fetch.events(rows, form_of(form), handle=self), limit)

    @overload
    def by_fact(
        self,
        fact: type[P],
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[P]]: ...

    @overload
    def by_fact(
        self,
        fact: OneKind,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Q],
    ) -> Iterator[StoredEvent[Q]]: ...

    @overload
    def by_fact(
        self,
        fact: OneKind,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[EventPayload]]: ...

    def by_fact(
        self,
        fact: OneKind,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Any] = TYPED,
    ) -> Iterator[StoredEvent[Any]]:
        """The events of one kind, in sequence order. Arguments as in `query`."""
        rows = self._rows(Region(kinds=kind_of("fact", fact)), after, before, reverse)
        return some_of(self._fetch.events(rows, form_of(form), handle=self), limit)

    @overload
    def by_correlation(
        self,
        correlation_id: UUID,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[StoredEvent[EventPayload]]: ...

    @overload
    def by_correlation(
        self,
        correlation_id: UUID,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Q],
    ) -> Iterator[StoredEvent[Q]]: ...

    def by_correlation(
        self,
        correlation_id: UUID,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        form: Form[Any] = TYPED,
    ) -> Iterator[StoredEvent[Any]]:
        """The events of one conversation, the one that began it included. Arguments as `query`."""
        self._alive()
        wanted = uuid_of("correlation_id", correlation_id)
        start, stop = self._range(after, before)
        ask = partial(query.correlated, self._table, wanted.int, reverse=reverse)
        rows = self._fetch.steady(ask, start, stop, reverse=reverse)
        found = self._fetch.events(rows, form_of(form), handle=self)
        return some_of((one for one in found if one.correlation_id == wanted), limit)

    @overload
    def page(
        self, region: Region = _ALL, *, after: int | None = None, limit: int = 100
    ) -> Page[EventPayload]: ...

    @overload
    def page(
        self, region: Region = _ALL, *, after: int | None = None, limit: int = 100, form: Form[Q]
    ) -> Page[Q]: ...

    def page(
        self,
        region: Region = _ALL,
        *,
        after: int | None = None,
        limit: int = 100,
        form: Form[Any] = TYPED,
    ) -> Page[Any]:
        """Some events, and where to go on: `page(after=page.next_after)`, until that is None.

        Pages that follow each other show every event once, however much is appended meanwhile.
        """
        if not is_count(limit) or not limit:
            raise InvalidArgument("limit", "must be 1 or more")
        visible = self._table.bound
        more = Queries.query(self, region, after=after, before=visible, limit=limit + 1, form=form)
        items = tuple(more)
        is_last = len(items) <= limit
        items = items[:limit]
        return Page(items, None if is_last else items[-1].sequence, visible)

    def count(self, region: Region = _ALL) -> int:
        """How many events a region matches. No payload is read."""
        self._alive()
        region_of(region)
        return self._fetch.healing(lambda: query.count(self._table, region, 0, self._table.bound))

    def describe(self) -> tuple[KindDescription, ...]:
        """What the log tells about its kinds of events: names, versions, fields, and how many.

        No class is needed. A program that writes records the shapes of its events when it closes
        the store (`StoreConfig.lifecycle_events`); of kinds of which nothing is recorded yet the
        classes of this program are asked.

        Returns:
            By kind; those of the library itself, and those all of whose events are gone, included.

        Raises:
            CorruptStore: What was recorded cannot be read.
        """
        self._alive()
        return self._fetch.healing(lambda: shapes.described(self._fetch, self._table))

    def _records(self, region: Region, after: int | None) -> Iterator[StoredEvent[bytes]]:
        """The records that a region matches, stubs of removed events among them."""
        self._alive()
        start, stop = self._range(after, None)
        ask = partial(query.select, self._table, region_of(region), dropped=True)
        return self._fetch.events(self._fetch.steady(ask, start, stop), STORED, handle=self)

    def _of_entity(
        self,
        entity: str,
        first_version: int,
        last_version: int | None,
        reverse: bool,
        start: int,
        stop: int,
    ) -> Iterator[Rows]:
        versions = first_version, last_version
        return query.entity_rows(
            self._table, entity, *versions, start=start, stop=stop, reverse=reverse
        )

    def _range(self, after: int | None, before: int | None) -> tuple[int, int]:
        for name, value in (("after", after), ("before", before)):
            if value is not None and not is_count(value):
                raise InvalidArgument(name, "must be a sequence, 0 or more")
        bound = self._table.bound
        start = 0 if after is None else after + 1
        return start, bound if before is None else min(before, bound)

    def _rows(
        self, region: object, after: int | None, before: int | None, reverse: bool
    ) -> Iterator[Rows]:
        self._alive()
        start, stop = self._range(after, before)
        ask = partial(query.select, self._table, region_of(region), reverse=reverse)
        return self._fetch.steady(ask, start, stop, reverse=reverse)
