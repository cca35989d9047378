"""Commands that move events: `batpak import`, `batpak export`; and `batpak dump`, to see them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from msgspec.structs import asdict
from rich.console import Console
from rich.text import Text

from batpak.cli.events import put, row
from batpak.cli.options import AsJson, AsJsonLines, Where
from batpak.cli.places import PIPE, events_in, lines_in, require_another, require_outside, source_in
from batpak.cli.progress import counting, watching
from batpak.cli.prose import counted, harmless
from batpak.config import Limits, StoreConfig
from batpak.errors import BatpakError
from batpak.region import Region
from batpak.store import Store
from batpak.upkeep import lines
from batpak.upkeep.intake import ImportReport
from batpak.upkeep.outfile import outfile
from batpak.upkeep.rust.export import RustExport
from batpak.upkeep.rust.export import export as export_rust
from batpak.wire import RAW

LARGE: StoreConfig = StoreConfig(  # what another store has taken is taken here as well
    limits=Limits(
        payload_max_bytes=16 << 20,
        batch_max_items=4096,
        batch_max_bytes=64 << 20,
        fence_max_items=1_000_000,
        fence_max_bytes=1 << 30,
    )
)


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


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A store, a store of the Rust original, a file of lines, or - for lines piped in.",
        ),
    ],
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="Where to; made if it is not there.")
    ],
    *,
    namespace: Annotated[
        str, typer.Option(help="Your name of the source: what was imported under it stays so.")
    ],
    after: After = None,
    entity: Entity = None,
    scope: Scope = None,
    chunk: Annotated[int, typer.Option(min=1, help="How many are written at once.")] = 1024,
    as_json: AsJson = False,
) -> None:
    """Bring the events of another store over, each of them once.

    Repeat it as often as you like: what is there already is not written again.
    """
    region = Region(entity=entity, scope=scope)
    with source_in(source) as found:
        require_another(found, store)
        with _target(store) as target:
            before = target.frontier().visible
            try:
                with watching(f"importing {source}", lambda: target.frontier().visible - before):
                    report = target.import_events(
                        found, namespace=namespace, region=region, after=after, chunk=chunk
                    )
            except BaseException:
                _tell_what_is_there(target, before)
                raise
    _tell(report, as_json)


def _tell_what_is_there(target: Store, before: int) -> None:
    """Say what an import that has ended early has stored."""
    with suppress(BatpakError):  # the target itself is what has failed
        entries = target.entries(after=before - 1 if before else None)
        if stored := sum(not entry.kind.reserved for entry in entries):
            said = f"stopped with {counted(stored, 'event')} imported; the same command goes on"
            typer.echo(f"batpak: {said}, and writes none of them again", err=True)


@contextmanager
def _target(path: Path) -> Generator[Store]:
    """The store that is imported to. If nothing comes to a new one, it is not left behind."""
    is_new, has_events = not path.exists(), True
    try:
        with Store.open(path, LARGE) as target:
            try:
                yield target
            except BaseException:
                with suppress(BatpakError):
                    has_events = any(not entry.kind.reserved for entry in target.entries())
                raise
    except BaseException:
        if is_new and not has_events:
            shutil.rmtree(path)
        raise


def _tell(report: ImportReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text.assemble(("✓ ", "green"), f"{counted(report.imported, 'event')} imported"))
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
    store: Where,
    destination: Annotated[
        Path | None,
        typer.Argument(
            metavar="DESTINATION",
            help="A new file, or for rust-0.7 a new directory; default, and -: print lines.",
        ),
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

    `batpak import` reads both. What is written is complete, or not there.
    """
    region = Region(entity=entity, scope=scope)
    if destination == PIPE:
        destination = None
    if destination is not None:
        require_outside(destination)
    if form is ExportFormat.RUST:
        if destination is None:
            raise typer.BadParameter("rust-0.7 is a directory: say which")
        with (
            Store.observe(store) as opened,
            counting(f"exporting {store}", opened.query(region, after=after, form=RAW)) as found,
        ):
            report = export_rust(found, destination)
        _told(report, str(destination), as_json)
        return
    if as_json:
        raise typer.BadParameter("--json tells what became of rust-0.7; lines are JSON already")
    with (
        lines_in(store, region, after) as told,
        nullcontext(_print) if destination is None else outfile(destination) as write,
        counting(f"exporting {store}", told) as found,
    ):
        events = 0
        for chunk in lines.encoded(found):
            write(chunk)
            events += chunk.count(b"\n")
    if destination is not None:
        _done(str(destination), counted(events, "event"))


def _print(chunk: bytes) -> None:
    typer.echo(chunk, nl=False)


def _done(path: str, size: str) -> Console:
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text.assemble(("✓ ", "green"), (harmless(path), "bold"), f"  {size}"))
    return console


def _told(report: RustExport, path: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
        return
    size = f"{counted(report.events, 'event')} in {counted(report.segments, 'segment')}"
    console = _done(path, size)
    for count, what in (
        (report.skipped_reserved, "of the library itself, left out"),
        (report.without_extensions, "without their extensions, which it has no place for"),
        (report.without_version, "without the version of their payload, likewise"),
    ):
        if count:
            console.print(Text(f"  {count:,} {what}", style="yellow"))


def dump(
    store: Annotated[
        Path,
        typer.Argument(
            metavar="STORE", help="A store, a store of the Rust original, or a file of lines."
        ),
    ],
    *,
    after: After = None,
    limit: Annotated[int | None, typer.Option(min=0, help="How many at most.")] = None,
    entity: Entity = None,
    scope: Scope = None,
    as_json: AsJsonLines = False,
) -> None:
    """Print events in their order, those of the library itself included. Nothing is changed."""
    region = Region(entity=entity, scope=scope)
    count = None if limit is None else min(limit, sys.maxsize)
    if as_json:
        with lines_in(store, region, after) as told:
            for chunk in lines.encoded(islice(told, count)):
                typer.echo(chunk, nl=False)
    else:
        with events_in(store, region, after) as found:
            put(row(one, found.kinds) for one in islice(found.events, count))
