"""How a command of the compiler speaks: what it prints where, and its exit code.

Products (diffs, lists, pictures) and the one line of success go to standard output, diagnostics
to standard error; whole documents (`json`, `sarif`) are products. Exit codes are those of
docs/reference/diagnostics.md; this is the one place where exceptions become them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TextIO, TypeAlias

from msgspec import Struct

from batpak_codegen.diagnostic import Diagnostic, SchemaError
from batpak_codegen.formats import DOCUMENTS, Format, spell
from batpak_codegen.run import CLEAN, FINDINGS, INTERNAL, INTERRUPTED, exit_code

Reason: TypeAlias = Literal["schema", "drift", "lock", "breaking"]
When: TypeAlias = Literal["auto", "always", "never"]
NOTHING: Mapping[str, str] = MappingProxyType({})


class Outcome(Struct, frozen=True):
    """What a command that could run has to say.

    `product` is what it was asked for, `summary` the line of success, `details` what `-v` adds to
    it. With a `reason` the command has failed. `read` are paths of what the command depends on,
    beside the configuration and the `texts`.
    """

    product: str = ""
    summary: str = ""
    details: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    texts: Mapping[str, str] = NOTHING
    reason: Reason | None = None
    read: tuple[str, ...] = ()


class Console(Struct, frozen=True):
    """The manner of one command: `name` is what it is called in messages."""

    name: str
    format: Format = "text"
    color: bool = False
    quiet: bool = False
    verbose: bool = False
    exit_zero: bool = False

    def run(self, action: Callable[[], Outcome]) -> int:
        """Run a command, print what there is to say, and return the exit code of the process."""
        try:
            with Progress(self.name, sys.stderr, shown=not self.quiet):
                outcome = action()
            return self.tell(outcome)
        except SchemaError as error:
            status = exit_code(error)
            self._print(error.diagnostics, error.texts, _reason(error, status))
            return CLEAN if status == FINDINGS and self.exit_zero else status
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:  # the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return CLEAN
        except Exception as error:  # a defect of ours ends in code 3, whatever it is
            if isinstance(error, OSError) and error.filename is None:
                raise  # no defect: of the output, or of a working directory that is gone
            words = f"{type(error).__name__}: {error}; the traceback is in {_saved()}"
            print(f"batpak {self.name}: internal error: {words}", file=sys.stderr)
            return INTERNAL

    def tell(self, outcome: Outcome) -> int:
        """Print an outcome and return the exit code."""
        if outcome.product:
            print(outcome.product, end="" if outcome.product.endswith("\n") else "\n", flush=True)
        if outcome.diagnostics or (self.format in DOCUMENTS and not outcome.product):
            self._print(outcome.diagnostics, outcome.texts, outcome.reason)
        if outcome.summary and self.format not in DOCUMENTS and not self.quiet:
            shown = [*outcome.details, outcome.summary] if self.verbose else [outcome.summary]
            print(*shown, sep="\n", flush=True)
        return FINDINGS if outcome.reason and not self.exit_zero else CLEAN

    def _print(
        self, found: tuple[Diagnostic, ...], texts: Mapping[str, str], reason: Reason | None
    ) -> None:
        text = spell(found, texts, self.format, color=self.color, reason=reason)
        print(text, file=sys.stdout if self.format in DOCUMENTS else sys.stderr, flush=True)


class Progress:
    """A line that says what is going on, while it goes on; on a terminal only."""

    def __init__(self, name: str, stream: TextIO, *, shown: bool) -> None:
        self.name, self.stream = name, stream
        self.shown = shown and stream.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> None:
        if self.shown:
            print(f"batpak {self.name} …", end="", file=self.stream, flush=True)

    def __exit__(self, *_: object) -> None:
        if self.shown:
            print("\r\x1b[K", end="", file=self.stream, flush=True)


def _reason(error: SchemaError, status: int) -> Reason | None:
    """Return what a command failed for that could not go on."""
    if status != FINDINGS:
        return None
    codes = {found.code for found in error.diagnostics}
    if codes == {"E0809"}:
        return "lock"
    return "breaking" if all(code.startswith("C") for code in codes) else "schema"


def _saved() -> str:
    """Save the traceback of what is being handled; return where."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="batpak-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exc(file=file)
    return file.name


def choose_format(given: Format | None, environment: Mapping[str, str] = os.environ) -> Format:
    """Return the format that was asked for; in a workflow of GitHub its own, else text."""
    return given or ("github" if environment.get("GITHUB_ACTIONS") == "true" else "text")


def choose_color(when: When, stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether to print in color: when asked to, or on a terminal that did not say no."""
    if when != "auto":
        return when == "always"
    refused = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
    return stream.isatty() and not refused
