"""Commands that move events: `batpak import`, `batpak export`; and `batpak dump`, to see them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO, TypeAlias

import typer
from msgspec.structs import asdict
from rich.console import Console
from rich.status import Status
from rich.text import Text

from batpak import registry
from batpak.cli.places import events_in
from batpak.clock import Hlc
from batpak.config import Limits, StoreConfig
from batpak.journal import layout
from batpak.region import Region
from batpak.store import Store
from batpak.upkeep import lines
from batpak.upkeep.imported import ImportedEvent
from batpak.upkeep.intake import ImportReport
from batpak.upkeep.rust.export import RustExport
from batpak.upkeep.rust.export import export as export_rust
from batpak.wire import RAW

LARGE: StoreConfig = StoreConfig(  # what another store has taken is taken here as well
    limits=Limits(payload_max_bytes=16 << 20, batch_max_items=4096, batch_max_bytes=64 << 20)
)
PAYLOAD_CHARS: int = 100  # shown on a terminal; --json has all of them


class ExportFormat(Enum):
    """As what events are written."""

    JSONL = "jsonl"
    RUST = "rust-0.7"


After: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Only behind this sequence of the source.")
]
Entity: TypeAlias = Annotated[
    str | None, typer.Option(metavar="PREFIX", help="Only these entities: `order`, `order:1`.")
]
Scope: TypeAlias = Annotated[str | None, typer.Option(help="Only this scope.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            help="A store, a store of the Rust original, a file of lines, or - for lines piped in."
        ),
    ],
    store: Annotated[Path, typer.Argument(help="Where to; made if it is not there.")],
    *,
    namespace: Annotated[
        str, typer.Option(help="Your name of the source: what was imported under it stays so.")
    ],
    after: After = None,
    entity: Entity = None,
    scope: Scope = None,
    chunk: Annotated[int, typer.Option(min=1, help="How many are written at once.")] = 256,
    as_json: AsJson = False,
) -> None:
    """Bring the events of another store over, each of them once.

    Repeat it as often as you like: what is there already is not written again.
    """
    region = Region(entity=entity, scope=scope)
    with (
        events_in(source, region, after) as events,
        Store.open(store, LARGE) as target,
        _busy(f"importing {source}"),
    ):
        report = target.import_events(events, namespace=namespace, chunk=chunk)
    _tell(report, as_json)


def _tell(report: ImportReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text.assemble(("✓ ", "green"), f"{report.imported:,} events imported"))
    for count, what in (
        (report.already_present, "were there already"),
        (report.skipped_reserved, "of the library itself, left out"),
        (report.unmapped_parents, "whose cause was not imported"),
        (report.keyed, "whose id was a key"),
    ):
        if count:
            console.print(Text(f"  {count:,} {what}", style="dim"))
    if report.high_water is not None:
        console.print(Text(f"  up to sequence {report.high_water:,} of the source", style="dim"))


def export(
    store: Annotated[Path, typer.Argument(help="The directory of the store.")],
    destination: Annotated[
        Path | None,
        typer.Argument(help="A new file, or for rust-0.7 a new directory; default: print lines."),
    ] = None,
    *,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="JSON Lines, or frames of the Rust original.")
    ] = ExportFormat.JSONL,
    after: After = None,
    entity: Entity = None,
    scope: Scope = None,
    as_json: AsJson = False,
) -> None:
    """Write events as JSON Lines, or as a store of the Rust original.

    `batpak import` reads both.
    """
    region = Region(entity=entity, scope=scope)
    if form is ExportFormat.RUST:
        if destination is None:
            raise typer.BadParameter("rust-0.7 is a directory: say which")
        with Store.observe(store) as opened, _busy(f"exporting {store}"):
            report = export_rust(opened.query(region, after=after, form=RAW), destination)
        _told(report, str(destination), as_json)
        return
    if as_json:
        raise typer.BadParameter("--json tells what became of rust-0.7; lines are JSON already")
    with events_in(store, region, after) as events, _opened(destination) as file:
        for event in events:
            file.write(lines.line_of(event) + "\n")


def _opened(destination: Path | None) -> AbstractContextManager[TextIO]:
    if destination is None:
        return nullcontext(sys.stdout)
    with layout.asking("create", str(destination)):
        return destination.open("x", encoding="utf-8")


def _told(report: RustExport, path: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    size = f"{report.events:,} events in {report.segments:,} segment" + "s" * (report.segments != 1)
    console.print(Text.assemble(("✓ ", "green"), (path, "bold"), f"  {size}"))
    for count, what in (
        (report.skipped_reserved, "of the library itself, left out"),
        (report.without_extensions, "without their extensions, which it has no place for"),
        (report.without_version, "without the version of their payload, likewise"),
    ):
        if count:
            console.print(Text(f"  {count:,} {what}", style="yellow"))


def dump(
    store: Annotated[
        Path, typer.Argument(help="A store, a store of the Rust original, or a file of lines.")
    ],
    *,
    after: After = None,
    limit: Annotated[int | None, typer.Option(min=0, help="How many at most.")] = None,
    entity: Entity = None,
    scope: Scope = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object on a line for each.")
    ] = False,
) -> None:
    """Print events in their order, those of the library itself included. Nothing is changed."""
    region = Region(entity=entity, scope=scope)
    with events_in(store, region, after) as events:
        shown: Iterator[ImportedEvent] = events if limit is None else islice(events, limit)
        for event in shown:
            typer.echo(lines.line_of(event) if as_json else _row(event))


def _row(event: ImportedEvent) -> str:
    entry = registry.lookup(event.kind)
    name = f"{event.kind:#06x}" if entry is None else entry.cls.__qualname__
    ms = min(max(event.time_us // 1000, 0), 253_402_300_799_999)
    time = Hlc(ms, 0).recorded_at.isoformat(timespec="milliseconds").removesuffix("+00:00")
    payload = json.dumps(lines.plain_of(event.payload)[0], ensure_ascii=False)
    if len(payload) > PAYLOAD_CHARS:
        payload = payload[: PAYLOAD_CHARS - 1] + "…"
    return f"{event.sequence:>8}  {time}Z  {event.entity}@{event.scope}  {name}  {payload}"


def _busy(what: str) -> Status:
    """Say what takes time, on a terminal."""
    return Console(stderr=True).status(what)
