"""`batpak lock` and `batpak compat`: what is promised to stored events, and what breaks it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batpak.cli import readable
from batpak.cli.kinds import kind_of
from batpak.cli.manner import Manner, shared

if TYPE_CHECKING:
    from batpak_codegen.console import Outcome


class Mode(Enum):
    """Who has to read what."""

    BACKWARD_TRANSITIVE = "backward_transitive"
    FULL_TRANSITIVE = "full_transitive"


@shared("lock")
def lock(
    manner: Manner,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if anything is not frozen.")
    ] = False,
    retire: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="A kind whose event is gone: it stays taken."),
    ] = None,
) -> None:
    """Freeze the shapes of events that are new.

    From then on stored events rely on them.
    """
    kind = None if retire is None else kind_of(retire)
    if check and retire is not None:
        raise typer.BadParameter("--retire writes; it does not go with --check")

    def action() -> Outcome:
        from batpak_codegen import versions

        return versions.lock(manner.configured(), check=check, retire=kind)

    manner.run(action)


@shared("compat")
def compat(
    manner: Manner,
    *,
    against: Annotated[
        str,
        typer.Option(metavar="WHAT", help="lock, git:REF, or a directory with schemas or a lock."),
    ] = "lock",
    mode: Annotated[
        Mode | None, typer.Option(help="One for all packages; default: as it is configured.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A store: read every event of it with the generated code."
        ),
    ] = None,
) -> None:
    """Say what a change of the schemas would break.

    Of what is stored, or of code that still runs. A store is read if nothing breaks.
    """

    def action() -> Outcome:
        from msgspec.structs import replace

        from batpak_codegen import versions

        configured = manner.configured()
        found = versions.compat(configured, against, mode.value if mode else None)
        if store is None or found.reason:
            return found
        told = readable.outcome(configured, store)
        return replace(told, summary="\n".join(filter(None, [found.summary, told.summary])))

    manner.run(action)
