"""Places: what a command reads events from. A store, one of the Rust original, or lines."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from batpak.region import Region
from batpak.store import Store
from batpak.upkeep import imported, lines
from batpak.upkeep.imported import ImportedEvent
from batpak.upkeep.lines import Line
from batpak.upkeep.rust.source import RustSource, is_rust
from batpak.wire import RAW

STANDARD_INPUT = Path("-")


@contextmanager
def events_in(place: Path, region: Region, after: int | None) -> Generator[Iterator[ImportedEvent]]:
    """The events of a place that a region matches, in order.

    Raises:
        BatpakError: It cannot be opened, or while iterating, not be read.
    """
    if place == STANDARD_INPUT:
        yield _in(lines.events_of(sys.stdin), region, after)
    elif place.is_file():
        with place.open(encoding="utf-8") as file:
            yield _in(lines.events_of(file), region, after)
    elif is_rust(place):
        with RustSource.open(place) as source:
            yield _in(source.events(after=after), region, None)
    else:
        with Store.observe(place) as store:
            found = store.query(region, after=after, form=RAW)
            yield imported.of_store(found, store.store_id)


@contextmanager
def lines_in(place: Path, region: Region, after: int | None) -> Generator[Iterator[Line]]:
    """The same events, as they are written on lines.

    Raises:
        BatpakError: As `events_in`.
    """
    if place == STANDARD_INPUT or place.is_file() or is_rust(place):
        with events_in(place, region, after) as events:
            yield map(lines.told, events)
    else:
        with Store.observe(place) as store:
            yield lines.of_store(store.query(region, after=after, form=RAW), store.store_id)


def _in(
    events: Iterator[ImportedEvent], region: Region, after: int | None
) -> Iterator[ImportedEvent]:
    return (
        one
        for one in events
        if (after is None or one.sequence > after)
        and region.matches_names(one.entity, one.scope, one.kind, one.version)
    )
