"""`batpak lock` and `batpak compat`: what is promised to stored events, and what breaks it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from batpak.cli import readable

Mode: TypeAlias = Literal["backward_transitive", "full_transitive"]
MODES: tuple[Mode, ...] = ("backward_transitive", "full_transitive")

ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A TOML file with [tool.batpak]; default: the nearest pyproject.toml.",
    ),
]


def lock(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if anything is not frozen.")
    ] = False,
    retire: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="A kind whose event is gone: it stays taken."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Freeze the shapes of events that are new.

    From then on stored events rely on them.

    Exits with 0 if all is frozen, 1 if something was found, 2 if the run could not be made.
    """
    try:
        from batpak_codegen import versions
    except ModuleNotFoundError as error:
        raise _without("lock", error) from error
    kind = None if retire is None else _kind(retire)
    raise typer.Exit(versions.main_lock(check=check, retire=kind, config=config))


def compat(
    *,
    against: Annotated[
        str,
        typer.Option(metavar="WHAT", help="lock, git:REF, or a directory with schemas or a lock."),
    ] = "lock",
    mode: Annotated[
        str | None, typer.Option(metavar="MODE", help=f"{MODES[0]} or {MODES[1]}.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A store: read every event of it with the generated code."
        ),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Say what a change of the schemas would break.

    Of what is stored, or of code that still runs.

    Exits with 0 if nothing breaks, 1 if something does, 2 if the run could not be made.
    """
    try:
        from batpak_codegen import versions
    except ModuleNotFoundError as error:
        raise _without("compat", error) from error
    if mode is not None and mode not in MODES:
        raise typer.BadParameter(f"{mode!a} is no mode: {' or '.join(MODES)}")
    status = versions.main_compat(against=against, mode=mode, config=config)
    if store is not None and status in (readable.CLEAN, readable.FINDINGS):
        status = max(status, readable.main(store, config))
    raise typer.Exit(status)


def _kind(text: str) -> int:
    try:
        kind = int(text, 0)
    except ValueError:
        kind = -1
    if not 0 <= kind <= 0xFFFF:
        raise typer.BadParameter(f"{text!a} is no kind: write it like 0x2006")
    return kind


def _without(name: str, error: ModuleNotFoundError) -> typer.Exit:
    """Say which extra is missing."""
    message = f"error[E0008] `batpak {name}` needs {error.name}: pip install 'batpak[gen]'"
    typer.echo(message, err=True)
    return typer.Exit(2)
