"""Events, as the command line tells of them: on a row, or in full. A line of JSON is `lines`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from batpak import codec, registry, wire
from batpak.cli.kinds import Kinds
from batpak.cli.prose import harmless
from batpak.clock import WALL_MS_MAX, Hlc
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError
from batpak.event import IndexEntry, StoredEvent
from batpak.ids import EventId
from batpak.reader import StoreReader
from batpak.upkeep import lines
from batpak.upkeep.imported import ImportedEvent
from batpak.wire import RAW

WIDE: Final = 120  # columns of a terminal that names are written out on
SHORT: Final = 20  # characters of a name on a narrower one


def row(event: ImportedEvent, kinds: Kinds) -> str:
    """An event on one row, with all of its payload."""
    payload = json.dumps(_payload_of(event, kinds), ensure_ascii=False)
    time, name = time_of(event.time_us // 1000), kinds.name(event.kind)
    return f"{event.sequence:>7}  {time}  {name}  {_place(event)}  {payload}"


def _payload_of(event: ImportedEvent, kinds: Kinds) -> object:
    """As its class reads it, if that is imported; else as it is stored."""
    if registry.lookup(event.kind) is not None:
        try:
            return codec.builtins(wire.decode(event.kind, event.payload_version, event.payload))
        except BatpakError:
            pass
    try:
        plain = codec.decode_plain(event.payload)
    except codec.UNREADABLE:
        return None
    return lines.json_of(kinds.legible(event.kind, event.payload_version, plain))


def entry_row(entry: IndexEntry, kinds: Kinds) -> str:
    """What is known of an event without its payload, on one row."""
    time = time_of(entry.hlc.wall_ms)
    said = f"{entry.sequence}  {kinds.name(entry.kind)}  {_place(entry.coordinate)}  {time}"
    return harmless(said)


def _place(of: ImportedEvent | Coordinate) -> str:
    """Where an event lives. Ids differ at their ends, so a narrow terminal gets both ends."""
    entity, scope = of.entity, of.scope
    if is_narrow():
        entity, scope = _short(entity), _short(scope)
    return f"{entity}@{scope}"


def _short(name: str) -> str:
    return name if len(name) <= SHORT else f"{name[: SHORT - 7]}…{name[-6:]}"


@cache
def is_narrow() -> bool:
    """Whether this is a terminal on which long names do not fit. It is asked once."""
    console = Console()
    return console.is_terminal and console.width < WIDE


def time_of(wall_ms: int) -> str:
    """A time of a log, to the millisecond."""
    time = Hlc(min(max(wall_ms, 0), WALL_MS_MAX), 0).recorded_at
    return time.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def put(rows: Iterable[str]) -> None:
    """Print rows, without what would move a cursor.

    A terminal shows as much of each as it is wide; a pipe gets all of it.
    """
    console = Console(highlight=False)
    for one in rows:
        text = Text(harmless(one))
        if console.is_terminal:
            text.truncate(console.width, overflow="ellipsis")
        typer.echo(text.plain)


def found(store: StoreReader, event: str) -> IndexEntry:
    """The event that somebody has named by its id or its sequence.

    Raises:
        EventNotFound: There is no such event.
        BadParameter: It is neither.
    """
    try:
        which = int(event) if len(event) < len(str(1 << 64)) else EventId(UUID(event))
    except ValueError:
        raise typer.BadParameter(
            f"{event!a} is neither a sequence nor the id of an event"
        ) from None
    stored = store.get(which, form=RAW)
    return IndexEntry(stored.head, stored.coordinate, len(stored.payload))


def told(event: StoredEvent[object], kinds: Kinds) -> Mapping[str, object]:
    """Return an event and what its frame says about it."""
    return {
        "sequence": event.sequence,
        "entity": event.coordinate.entity,
        "scope": event.coordinate.scope,
        "version": event.version,
        "kind": f"{event.kind:#06x}",
        "event": kinds.known(event.kind),
        "payload_version": event.payload_version,
        "event_id": str(event.event_id),
        "correlation_id": str(event.correlation_id),
        "causation_id": None if event.causation_id is None else str(event.causation_id),
        "recorded_at": event.recorded_at.isoformat(),
        "event_hash": event.event_hash.hex(),
        "payload": codec.builtins(event.payload),
    }
