"""Places: what a command reads events from. A store, one of the Rust original, or lines."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

from batpak.cli.kinds import UNTOLD, Kinds
from batpak.errors import InvalidArgument
from batpak.journal import head, layout
from batpak.platform import REAL
from batpak.reader import StoreReader
from batpak.region import Region
from batpak.store import Store
from batpak.upkeep import imported, lines
from batpak.upkeep.imported import ImportedEvent
from batpak.upkeep.lines import Line
from batpak.upkeep.rust.source import RustSource, is_rust
from batpak.wire import RAW

PIPE = Path("-")  # standard input, or standard output
Source: TypeAlias = StoreReader | RustSource | Iterator[ImportedEvent]


@contextmanager
def source_in(place: Path) -> Generator[Source]:
    """What an import takes: a store, one of the original, or the events of lines.

    Raises:
        BatpakError: It cannot be opened, or while iterating, not be read.
    """
    if place == PIPE:
        yield lines.events_of(_lines(sys.stdin.buffer, "standard input"), "standard input:")
    elif place.is_file():
        with layout.asking("open", str(place)):
            file = place.open("rb")
        with file:
            yield lines.events_of(_lines(file, str(place)), f"{place}:")
    elif is_rust(place):
        with RustSource.open(place) as original:
            yield original
    else:
        with Store.observe(place) as store:
            yield store


def _lines(file: IO[bytes], name: str) -> Iterator[bytes]:
    """The lines of a file, none much longer than any event is."""
    with layout.asking("read", name):
        while line := file.readline(lines.LINE_CHARS_MAX + 2):
            yield line


class Place(NamedTuple):
    """Events, in order, and what is told about them."""

    events: Iterator[ImportedEvent]
    kinds: Kinds = UNTOLD


@contextmanager
def events_in(place: Path, region: Region, after: int | None) -> Generator[Place]:
    """The events of a place that a region matches.

    Raises:
        BatpakError: As `source_in`.
    """
    with source_in(place) as source:
        if isinstance(source, StoreReader):
            found = source.query(region, after=after, form=RAW)
            yield Place(imported.of_store(found, source.store_id), Kinds.of(source))
        elif isinstance(source, RustSource):
            yield Place(_in(source.events(after=after), region, None))
        else:
            yield Place(_in(source, region, after))


@contextmanager
def lines_in(place: Path, region: Region, after: int | None) -> Generator[Iterator[Line]]:
    """The same events, as they are written on lines.

    Raises:
        BatpakError: As `events_in`.
    """
    if place == PIPE or place.is_file() or is_rust(place):
        with events_in(place, region, after) as found:
            yield map(lines.told, found.events)
    else:
        with Store.observe(place) as store:
            events = store.query(region, after=after, form=RAW)
            yield lines.of_store(events, store.store_id, Kinds.of(store).names)


def _in(
    events: Iterator[ImportedEvent], region: Region, after: int | None
) -> Iterator[ImportedEvent]:
    return (
        one
        for one in events
        if (after is None or one.sequence > after)
        and region.matches_names(one.entity, one.scope, one.kind, one.version)
    )


def require_outside(place: Path) -> None:
    """Make sure that what is written there is not written into a store.

    Raises:
        InvalidArgument: It would be.
    """
    for folder in place.resolve().parents:
        if (folder / layout.LOCK).exists() or (folder / layout.segment_name(1)).exists():
            raise InvalidArgument("destination", f"{place} lies inside the store {folder}")


def require_another(source: Source, place: Path) -> None:
    """Make sure that a store is not imported into itself: to open it would be an event in its log.

    Raises:
        InvalidArgument: It would be.
        CorruptStore, FutureVersion, StorageFailed: HEAD of the store there cannot be read.
    """
    if isinstance(source, StoreReader) and (place / layout.HEAD).is_file():
        with closing(layout.enter(REAL, place, create=False)) as directory:
            if head.read(directory).store_id == source.store_id.bytes:
                raise InvalidArgument("source", "is the store that is written to, or a copy of it")
