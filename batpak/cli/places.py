"""Places: what a command reads events from. A store, one of the Rust original, or lines."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from batpak.cli.kinds import UNTOLD, Kinds
from batpak.reader import StoreReader
from batpak.region import Region
from batpak.store import Store
from batpak.upkeep import imported, lines
from batpak.upkeep.imported import ImportedEvent
from batpak.upkeep.lines import Line
from batpak.upkeep.rust.source import RustSource, is_rust
from batpak.wire import RAW

STANDARD_INPUT = Path("-")


class Place(NamedTuple):
    """Events, in order, and what is told about them."""

    events: Iterator[ImportedEvent]
    kinds: Kinds = UNTOLD
    store: StoreReader | None = None  # that they are in, if they are in one


@contextmanager
def events_in(place: Path, region: Region, after: int | None) -> Generator[Place]:
    """The events of a place that a region matches.

    Raises:
        BatpakError: It cannot be opened, or while iterating, not be read.
    """
    if place == STANDARD_INPUT:
        yield Place(_in(lines.events_of(sys.stdin), region, after))
    elif place.is_file():
        with place.open(encoding="utf-8") as file:
            yield Place(_in(lines.events_of(file), region, after))
    elif is_rust(place):
        with RustSource.open(place) as source:
            yield Place(_in(source.events(after=after), region, None))
    else:
        with Store.observe(place) as store:
            found = store.query(region, after=after, form=RAW)
            yield Place(imported.of_store(found, store.store_id), Kinds.of(store), store)


@contextmanager
def lines_in(place: Path, region: Region, after: int | None) -> Generator[Iterator[Line]]:
    """The same events, as they are written on lines.

    Raises:
        BatpakError: As `events_in`.
    """
    if place == STANDARD_INPUT or place.is_file() or is_rust(place):
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
