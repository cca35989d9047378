"""`batpak gen`: the schema half of the command. The compiler is opened when it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def gen(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if anything is out of date.")
    ] = False,
    no_stubs: Annotated[
        bool, typer.Option("--no-stubs", help="Leave your hooks files alone.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="A TOML file with [tool.batpak]; default: the nearest pyproject.toml.",
        ),
    ] = None,
) -> None:
    """Compile the schemas into typed Python.

    Diagnostics go to standard error. Exits with 0 if all is written or up to date, 1 if something
    was found, 2 if the run could not be made, 3 on a defect of the generator.
    """
    try:
        from batpak_codegen import run
    except ModuleNotFoundError as error:
        message = f"error[E0008] `batpak gen` needs {error.name}: pip install 'batpak[gen]'"
        typer.echo(message, err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(run.main(check=check, config=config, stubs=not no_stubs))
