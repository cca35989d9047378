"""`batpak tail`: the last events of a store, and those that come. A writer may be running."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from batpak.cli.events import put, row
from batpak.cli.kinds import Kinds
from batpak.cli.options import AsJsonLines, Where
from batpak.cli.prose import harmless
from batpak.event import StoredEvent
from batpak.kind import SHAPES
from batpak.observer import Observer
from batpak.recovery.gone import RolledBack
from batpak.store import Store
from batpak.upkeep import imported, lines
from batpak.wire import RAW

INTERRUPTED: int = 130  # exit code
SHOWN: int = 10


def tail(
    path: Where,
    *,
    number: Annotated[
        int, typer.Option("--number", "-n", help="How many of the last events.", min=0)
    ] = SHOWN,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for those that come; Ctrl-C ends it.")
    ] = False,
    as_json: AsJsonLines = False,
) -> None:
    """Print the last events of a store, and those that come.

    Payloads are plain values, as they are stored; no generated code is needed. Nothing is locked
    or changed; the store may be open for writing meanwhile.
    """
    try:
        with Store.observe(path) as observer:
            end = observer.frontier().visible
            last = list(observer.query(limit=number, reverse=True, form=RAW))
            _print(reversed(last), observer, Kinds.of(observer), as_json=as_json)
            if follow:
                end = _follow(observer, end, as_json=as_json)
        while follow:  # some events were taken back
            with Store.observe(path) as observer:
                end = _follow(observer, end, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _follow(observer: Observer, end: int, *, as_json: bool) -> int:
    """Print what comes behind an end of the log. Return where to begin anew."""
    cursor = observer.cursor_guaranteed(form=RAW, after=end - 1 if end else None)
    kinds = Kinds.of(observer)
    try:
        for event in cursor.follow():
            if event.kind == SHAPES:
                kinds = Kinds.of(observer)
            _print([event], observer, kinds, as_json=as_json)
    except RolledBack as gone:
        typer.echo(f"batpak: {harmless(str(gone))}", err=True)
        return gone.kept
    return cursor.position


def _print(
    events: Iterable[StoredEvent[bytes]], observer: Observer, kinds: Kinds, *, as_json: bool
) -> None:
    if as_json:
        for chunk in lines.encoded(lines.of_store(events, observer.store_id, kinds.names)):
            typer.echo(chunk, nl=False)
    else:
        put(row(one, kinds) for one in imported.of_store(events, observer.store_id))
