"""What every command of the compiler takes, and how it is run. The compiler is opened here."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn, TypeAlias

import typer

from batpak.cli.options import ConfigFile

if TYPE_CHECKING:
    from batpak_codegen.config import Config
    from batpak_codegen.console import Outcome

COULD_NOT_RUN = 2


class Format(Enum):
    """For whom findings are printed."""

    TEXT = "text"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


class When(Enum):
    """Whether to print in color."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


Modules: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-import", metavar="MODULE", help="Load this schema module as well; it is run."
    ),
]
Form: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="How findings are printed; default: text, in a workflow of GitHub github.",
    ),
]
Color: TypeAlias = Annotated[
    When, typer.Option("--color", help="Whether to print in color; auto: on a terminal.")
]
Quiet: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="Only say what is wrong.")]
Verbose: TypeAlias = Annotated[bool, typer.Option("-v", "--verbose", help="Name every file.")]
ExitZero: TypeAlias = Annotated[
    bool, typer.Option("--exit-zero", help="Exit with 0 also when something was found.")
]


class Manner(NamedTuple):
    """The shared options as they were given; `name` is the command's."""

    name: str
    config: Path | None
    modules: tuple[str, ...]
    form: Format | None
    color: When
    quiet: bool
    verbose: bool
    exit_zero: bool

    def run(self, action: Callable[[], Outcome]) -> NoReturn:
        """Run what the command does, and end with its exit code."""
        raise typer.Exit(self.status(action))

    def status(self, action: Callable[[], Outcome]) -> int:
        """Run what the command does, and return its exit code."""
        try:
            from batpak_codegen.console import Console, choose_color, choose_format
        except ModuleNotFoundError as error:
            message = (
                f"error[E0008] `batpak {self.name}` needs {error.name}: pip install 'batpak[gen]'"
            )
            typer.echo(message, err=True)
            return COULD_NOT_RUN
        console = Console(
            self.name,
            choose_format(self.form.value if self.form else None),
            choose_color(self.color.value, sys.stderr),
            self.quiet,
            self.verbose,
            self.exit_zero,
        )
        return console.run(action)

    def configured(self) -> Config:
        """Read the configuration."""
        from batpak_codegen.config import allowing, configure

        return allowing(configure(self.config), self.modules)


Command: TypeAlias = Callable[..., None]


def shared(name: str, *without: str) -> Callable[[Command], Command]:
    """Give a command the options that all have. It gets them as a `Manner`, in front of its own.

    Args:
        name: What the command is called in messages.
        without: Parameters of those that this command does not have.
    """

    def decorate(function: Command) -> Command:
        def command(
            *,
            config: ConfigFile = None,
            allow_import: Modules = None,
            form: Form = None,
            color: Color = When.AUTO,
            quiet: Quiet = False,
            verbose: Verbose = False,
            exit_zero: ExitZero = False,
            **own: object,
        ) -> None:
            modules = tuple(allow_import or ())
            manner = Manner(name, config, modules, form, color, quiet, verbose, exit_zero)
            function(manner, **own)

        _, *theirs = inspect.signature(function, eval_str=True).parameters.values()
        ours = inspect.signature(command, eval_str=True).parameters.values()
        taken = [one for one in ours if one.name not in ("own", *without)]
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer looks there
            [*theirs, *taken]
        )
        return command

    return decorate
