"""Source: the events that a projection is folded from, of one entity or of a region."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from batpak.arguments import text_of
from batpak.errors import InvalidArgument
from batpak.index import query
from batpak.index.query import Rows
from batpak.index.table import Table
from batpak.kind import EventKind
from batpak.region import KindFilter, Region

Source: TypeAlias = str | Region
"""One entity, by its exact name, or a region."""


def source_of(source: object) -> Source:
    """A source, checked.

    Raises:
        InvalidArgument: It is neither the name of an entity nor a region.
    """
    if isinstance(source, Region):
        return source
    if not isinstance(source, str):
        found = type(source).__name__
        raise InvalidArgument("source", f"must be the name of an entity or a Region, not {found}")
    return text_of("source", source)


def identity(source: Source) -> str:
    """Text that is equal exactly where sources are. None begins as another one does."""
    if isinstance(source, str):
        return f"entity|{len(source)}:{source}/"
    return f"{source.identity}/"


def relevant(
    table: Table, source: Source, kinds: frozenset[EventKind], start: int, stop: int
) -> Iterator[Rows]:
    """The rows of a source whose events are of some kinds, in sequence order.

    Args:
        table: The index.
        source: Whose.
        kinds: None of them: every kind.
        start: The first sequence.
        stop: The one behind the last.
    """
    if isinstance(source, str):
        rows = query.entity_rows(table, source, start=start, stop=stop)
        return query.of_kinds(rows, kinds) if kinds else rows
    if kinds:
        both = frozenset(kind for kind in kinds if source.kinds.matches(kind))
        if not both:
            return iter(())
        source = Region(
            entity=source.entity,
            scope=source.scope,
            kinds=KindFilter(kinds=both),
            versions=source.versions,
        )
    return query.select(table, source, start, stop)
