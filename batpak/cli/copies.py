"""Commands about whole stores: `batpak snapshot`, `batpak fork`, `batpak diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.status import Status
from rich.text import Text

from batpak.cli.events import entry_row, put
from batpak.cli.kinds import Kinds
from batpak.cli.options import AsJson, Where
from batpak.cli.progress import bar
from batpak.cli.prose import counted, harmless
from batpak.event import IndexEntry
from batpak.reader import StoreReader
from batpak.store import Store

DIFFER: Final = 1  # exit code

Destination = Annotated[
    Path,
    typer.Argument(metavar="DESTINATION", help="A directory that is not there yet, or is empty."),
]


def snapshot(
    store: Where,
    destination: Destination,
    *,
    cursors: Annotated[
        bool, typer.Option("--cursors", help="Copy the checkpoints of consumers as well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a store as it is at one moment. The copy opens as the same store.

    It is complete or not there, whatever happens. Bytes are copied as they are, damaged ones too:
    `batpak verify` checks the copy. The store may be open for writing meanwhile.
    """
    with Store.observe(store) as reader, bar(f"copying {store}") as progress:
        report = reader.snapshot(destination, cursors=cursors, progress=progress)
    if as_json:
        files = [
            {"name": one.name, "size": one.size, "blake3": one.blake3.hex()} for one in report.files
        ]
        told = {
            "store_id": str(report.store_id),
            "sequence": report.sequence,
            "head": report.head.hex(),
            "bytes": report.bytes,
            "files": files,
        }
        typer.echo(json.dumps(told, indent=2))
        return
    many = counted(len(report.files), "file")
    size = f"{counted(report.sequence, 'event')}, {many}, {report.bytes:,} bytes"
    _tell(destination, size, report.head)


def fork(store: Where, destination: Destination, *, as_json: AsJson = False) -> None:
    """Copy a store, to go its own way: what is stored in the copy belongs to a new id.

    It is of one moment, with all bytes as they are: `batpak verify` checks the copy. The store may
    be open for writing meanwhile.
    """
    with Store.observe(store) as reader, _busy(f"copying {store}"):
        report = reader.fork(destination)
    if as_json:
        told = {
            "store_id": str(report.store_id),
            "origin": str(report.origin),
            "sequence": report.sequence,
            "head": report.head.hex(),
            "bytes": report.bytes,
            "shared": report.shared,
        }
        typer.echo(json.dumps(told, indent=2))
        return
    size = f"store {report.store_id}, its own from event {report.sequence:,} on"
    _tell(destination, size, report.head)


def _busy(what: str) -> Status:
    """Say what takes time, on a terminal."""
    return Console(stderr=True).status(what)


def _tell(path: Path, said: str, head: bytes) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text.assemble(("✓ ", "green"), (harmless(str(path)), "bold"), f"  {said}"))
    console.print(Text(f"  head {head.hex()}", style="dim"))
    console.print(Text("  bytes are copied as they are; `batpak verify` checks them", style="dim"))


class Side(NamedTuple):
    """What one of two stores has behind what both have."""

    events: int
    first: IndexEntry | None
    last: IndexEntry | None


def diff(
    one: Annotated[Path, typer.Argument(metavar="STORE", help="A store.")],
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="Another one: a snapshot, a backup, a fork.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Say how far two stores have the same history, and what each has behind that.

    Exit code 1: they differ. The hash of an event covers every event before it, so where one is
    the same, all before it are. Hashes are compared as they are recorded, and the bytes are not
    read: `batpak verify` does that. Nothing is locked or changed.
    """
    with Store.observe(one) as left, Store.observe(other) as right:
        common = _common(left, right)
        sides = _behind(left, common), _behind(right, common)
        kinds = Kinds.of(left), Kinds.of(right)
    if as_json:
        told = {"common": common, "one": _plain(sides[0]), "other": _plain(sides[1])}
        typer.echo(json.dumps(told, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        are = "is" if common == 1 else "are"
        console.print(f"{counted(common, 'event')} {are} the same in both by their hashes")
        console.print(Text("  `batpak verify` checks the bytes of each", style="dim"))
        for path, side, known in zip((one, other), sides, kinds, strict=True):
            _show(console, path, side, known)
    if any(side.events for side in sides):
        raise typer.Exit(DIFFER)


def _common(left: StoreReader, right: StoreReader) -> int:
    """How many sequences, from 0 on, two logs have in common: the last of them is the same."""
    low, high = 0, min(left.frontier().visible, right.frontier().visible)
    while low < high:
        middle = (low + high) // 2
        pair = _pair(left, right, middle, high)
        if pair is None:
            high = middle  # nothing from there on is in both: decided by what is before
        elif pair[0].event_hash == pair[1].event_hash:
            low = pair[0].sequence + 1
        else:
            high = middle
    return low


def _pair(
    left: StoreReader, right: StoreReader, first: int, end: int
) -> tuple[IndexEntry, IndexEntry] | None:
    """The first event from a sequence on that both logs still have, in both."""
    for entry in left.entries(after=first - 1 if first else None, before=end):
        at = entry.sequence
        for same in right.entries(after=at - 1 if at else None, before=at + 1):
            return entry, same
    return None


def _behind(store: StoreReader, common: int) -> Side:
    end, after = store.frontier().visible, common - 1 if common else None
    first = next(iter(store.entries(after=after, limit=1)), None)
    last = next(iter(store.entries(after=after, limit=1, reverse=True)), None)
    return Side(end - common, first, last)


def _show(console: Console, path: Path, side: Side, kinds: Kinds) -> None:
    if not side.events:
        console.print(Text.assemble((harmless(str(path)), "bold"), " has nothing more"))
        return
    console.print(Text.assemble((harmless(str(path)), "bold"), f" has {side.events:,} more"))
    if side.first is not None and side.last is not None:
        first, last = entry_row(side.first, kinds), entry_row(side.last, kinds)
        put([f"  from  {first}", f"  to    {last}"])


def _plain(side: Side) -> dict[str, object]:
    return {
        "events": side.events,
        "first": None if side.first is None else str(side.first.event_id),
        "last": None if side.last is None else str(side.last.event_id),
    }
