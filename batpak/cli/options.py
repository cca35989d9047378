"""Arguments and options that several commands take, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Where: TypeAlias = Annotated[
    Path, typer.Argument(help="The directory of the store.", metavar="STORE")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsJsonLines: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print a JSON object on a line for each.")
]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A TOML file with [tool.batpak]; default: the nearest pyproject.toml.",
    ),
]
