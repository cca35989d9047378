"""Commands about schemas: `batpak gen`, `check`, `fmt`, `init`, `id`.

Each one hands over to the compiler, which is imported when the command runs.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from batpak.cli.manner import Format, Manner, shared

if TYPE_CHECKING:
    from batpak_codegen.console import Outcome

INTERRUPTED = 130  # exit code
Release: TypeAlias = Annotated[
    bool,
    typer.Option("--release", help="Accept no warning, nothing that is not frozen, and no stub."),
]


@shared("gen")
def gen(
    manner: Manner,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if anything is out of date.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; show what would change, exit 1 if so.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and generate again after every change.")
    ] = False,
    package: Annotated[
        str | None, typer.Option(metavar="PACKAGE", help="Only the files of this package.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write there instead; anywhere.")
    ] = None,
    list_outputs: Annotated[
        bool, typer.Option("--list-outputs", help="Write nothing; list what belongs there.")
    ] = False,
    depfile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what the outputs are made from.")
    ] = None,
    no_stubs: Annotated[
        bool, typer.Option("--no-stubs", help="Leave your hooks files alone.")
    ] = False,
    no_tests: Annotated[
        bool, typer.Option("--no-tests", help="Leave generated tests alone.")
    ] = False,
    release: Release = False,
) -> None:
    """Compile the schemas into typed Python.

    Diagnostics go to standard error. Exits with 0 if all is written or up to date, 1 if something
    was found, 2 if the run could not be made, 3 on a defect of the generator.
    """
    if watch and (check or diff or list_outputs):
        raise typer.BadParameter("--watch writes; it does not go with --check or --diff")
    if depfile is not None and (check or diff):
        raise typer.BadParameter("--depfile writes; it does not go with --check or --diff")
    if (diff or list_outputs) and manner.form in (Format.JSON, Format.SARIF):
        raise typer.BadParameter("--diff and --list-outputs print no json and no sarif")

    def once() -> Outcome:
        from batpak_codegen import commands

        request = commands.Request(
            check,
            diff,
            list_outputs,
            package,
            out,
            depfile,
            stubs=not no_stubs,
            tests=not no_tests,
            modules=manner.modules,
            release=release,
        )
        return commands.gen(manner.configured(), request)

    raise typer.Exit(_watch(manner, once) if watch else manner.status(once))


@shared("check")
def check(
    manner: Manner,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Report what is found in these; default: in all."),
    ] = None,
    *,
    release: Release = False,
    types: Annotated[
        bool,
        typer.Option("--types", help="Ask mypy and pyright as well whether they see the types."),
    ] = False,
) -> None:
    """Find every error of the schemas; write nothing."""

    def action() -> Outcome:
        from batpak_codegen import commands

        return commands.check(manner.configured(), paths or (), release=release, types=types)

    manner.run(action)


def _watch(manner: Manner, once: Callable[[], Outcome]) -> int:
    """Generate whenever something changes, until interrupted."""
    from batpak_codegen.watch import watch

    named = [manner.config or Path("pyproject.toml")]
    read: set[Path] = set()

    def paths() -> Sequence[Path]:
        """Return what the configuration names; while it is broken, what it named before."""
        from batpak_codegen import stamp
        from batpak_codegen.diagnostic import SchemaError

        with suppress(SchemaError):
            named[:] = stamp.inputs(manner.configured())
        return named

    def noted() -> Outcome:
        """Generate, and note what was read, also of what cannot be understood."""
        from batpak_codegen.diagnostic import SchemaError

        root = manner.configured().root
        try:
            outcome = once()
        except SchemaError as error:
            read.update(root / path for path in error.texts)
            raise
        read.update(root / path for path in (*outcome.texts, *outcome.read))
        return outcome

    def act() -> Sequence[Path] | None:
        if sys.stderr.isatty():
            typer.echo("\x1b[2J\x1b[H", nl=False, err=True)  # what was found may be gone by now
        return None if manner.status(noted) == INTERRUPTED else tuple(read)

    try:
        watch(paths, act)
    except KeyboardInterrupt:
        pass
    except ModuleNotFoundError:  # the same, said properly
        return manner.status(once)
    return INTERRUPTED


@shared("fmt", "allow_import")
def fmt(
    manner: Manner,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Files or folders; default: all schemas."),
    ] = None,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if anything would change.")
    ] = False,
) -> None:
    """Bring schemas into one order and spelling; comments stay."""

    def action() -> Outcome:
        from batpak_codegen import commands

        return commands.fmt(manner.configured(), paths or (), check=check)

    manner.run(action)


@shared("init", "config", "allow_import")
def init(
    manner: Manner,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where; its name names the package.")
    ] = Path(),
    *,
    from_pydantic: Annotated[
        str | None,
        typer.Option(metavar="MODULE", help="Take the first schema from its models; it is run."),
    ] = None,
) -> None:
    """Begin a project: configuration, a schema, hooks for git and CI.

    What is there already is never changed.
    """

    def action() -> Outcome:
        from batpak_codegen import console, scaffold

        done = scaffold.init(folder, from_pydantic)
        way = f"cd {shlex.quote(str(folder))} && " if folder.absolute() != Path.cwd() else ""
        return console.Outcome(summary="\n".join([*done, f"next: {way}batpak gen"]))

    manner.run(action)


ids = typer.Typer(help="Propose the number of a new event, or list those in use.")


@ids.command("next")
@shared("id next", "allow_import")
def next_id(
    manner: Manner,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The event: shop.orders.OrderReturned.")
    ],
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Put it into the schema, with the event if it is new.")
    ] = False,
) -> None:
    """Propose the number of an event that two branches rarely share."""

    def action() -> Outcome:
        from batpak_codegen import commands

        return commands.next_id(manner.configured(), name, write=write)

    manner.run(action)


@ids.command("list")
@shared("id list")
def list_ids(manner: Manner) -> None:
    """List the numbers in use."""

    def action() -> Outcome:
        from batpak_codegen import console, numbering, run

        project, texts = run.understand(manner.configured())
        return console.Outcome(numbering.listed(project), "", (), project.warnings, texts)

    manner.run(action)
