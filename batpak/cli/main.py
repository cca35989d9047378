"""The app: its commands, its exit codes, one `BatpakError` one message.

Exit codes: 0 clean, 1 findings (a schema error, generated code out of date), 2 could not run,
3 damage found in a store or an internal error, 130 interrupted.
"""

from __future__ import annotations

import errno
import shutil
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NoReturn

from batpak.cli.prose import harmless, wrapped
from batpak.errors import BatpakError, CorruptStore, DecodeFailed

if TYPE_CHECKING:
    import typer

OF_OUTPUT: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        app = application()
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        _fail("the batpak command needs the extra `cli`: pip install 'batpak[cli]'")
    try:
        app()
    except (CorruptStore, DecodeFailed) as error:
        _fail(str(error), error.hint, status=3)
    except BatpakError as error:
        _fail(str(error), error.hint)
    except OSError as error:  # of standard output, say, or of a file that is no store's
        refused(error)


def application() -> typer.Typer:
    """Put the commands together. What is said of each is in `batpak_command` once more."""
    import typer

    from batpak.cli import (
        bench,
        care,
        causes,
        copies,
        decode,
        demo,
        moving,
        pictures,
        schemas,
        shapes,
        show,
        signatures,
        stores,
        tail,
        versions,
    )

    app = typer.Typer(
        name="batpak",
        help="Describe events once; get typed Python and a tamper-evident event store.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )

    @app.callback()
    def root(
        *,
        show_version: bool = typer.Option(
            False, "--version", help="Print the version and exit.", is_eager=True
        ),
    ) -> None:
        if show_version:
            print(f"batpak {version('batpak')}")
            raise typer.Exit

    app.command()(schemas.init)
    app.command()(schemas.gen)
    app.command()(schemas.check)
    app.command()(versions.lock)
    app.command()(versions.compat)
    app.command()(schemas.fmt)
    app.add_typer(schemas.ids, name="id", no_args_is_help=True)
    app.command()(pictures.graph)
    app.command()(pictures.docs)
    app.command()(pictures.ir)
    app.command()(pictures.schema)
    app.command()(pictures.explain)
    app.command()(stores.verify)
    app.command()(care.doctor)
    app.command()(care.repair)
    app.command()(care.compact)
    app.command()(stores.stat)
    app.command()(shapes.shapes)
    app.command()(moving.dump)
    app.command("import")(moving.import_)
    app.command()(moving.export)
    app.command()(tail.tail)
    app.command()(show.show)
    app.command()(causes.why)
    app.command()(causes.impact)
    app.command()(show.entity)
    app.command()(decode.decode)
    app.command()(copies.diff)
    app.command()(copies.snapshot)
    app.command()(copies.fork)
    app.add_typer(signatures.keys, name="key", no_args_is_help=True)
    app.add_typer(signatures.receipts, name="receipt", no_args_is_help=True)
    app.add_typer(signatures.proofs, name="proof", no_args_is_help=True)
    app.command()(bench.bench)
    app.command()(demo.demo)
    return app


def refused(error: OSError) -> NoReturn:
    """End the process with one line that says what the system refused, and of what."""
    of = error.filename
    if of is None and error.errno == errno.ENOENT:  # a file has a name
        of = "the working directory"
    if of is None and error.errno in OF_OUTPUT:
        of = "standard output"
        sys.stdout = None  # what it still holds is not tried again at the exit
        if error.errno == errno.EPIPE:  # the reader has seen enough
            sys.exit(0)
    _fail(f"{'' if of is None else f'{of}: '}{error.strerror or error}")


def _fail(message: str, hint: str = "", *, status: int = 2) -> NoReturn:
    """End the process, having said why, and what to do; unless standard error is closed."""
    if sys.stderr is not None:
        width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
        said = [f"batpak: {message}"] + ([f"  hint: {hint}"] if hint else [])
        print("\n".join(wrapped(harmless(line), "  ", width) for line in said), file=sys.stderr)
    sys.exit(status)
