"""What the script `batpak` runs.

Help, the version, and a `gen` that has nothing to do are answered before the library, typer or
the compiler are imported, because those take many times as long. All else is `batpak.cli.main`.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import time

VERSION = "0.1.0"  # as in pyproject.toml; asking importlib.metadata takes longer than all else
INTERRUPTED = 130  # exit code
ESCAPED = "batpak.escaped"  # how the codecs know `_escaped`
HELP = """\
Usage: batpak COMMAND [OPTIONS]

Describe events once; get typed Python and a tamper-evident event store.

Schemas:
  init      Begin a project: configuration, a schema, hooks for git and CI.
  gen       Compile the schemas into typed Python.
  check     Find every error of the schemas; write nothing.
  lock      Freeze the shapes of events that are new.
  compat    Say what a change of the schemas would break.
  fmt       Bring schemas into one order and spelling; comments stay.
  id        Propose the number of a new event, or list those in use.
  graph     Draw the machines.
  docs      Write the catalog of events, machines and gates.
  ir        Print what the schemas mean, as JSON.
  schema    Print the JSON Schema of the language, for editors.
  explain   Tell what a code means.

Stores:
  verify    Recompute every checksum, hash and link of a store.
  doctor    Say what is the matter with a store, and what to do.
  repair    Say what of a damaged store would be given up; with consent, do it.
  compact   Make the complete files of a store fewer.
  stat      Say what is in a store.
  shapes    Say what a store tells about its events: names, versions, fields.
  dump      Print events in their order, those of the library itself included.
  tail      Print the last events of a store, and those that come.
  show      Print all that a store knows of an event.
  why       Draw what caused an event, and what caused that.
  impact    Draw everything that an event caused.
  entity    Print the history of an entity, with its state after each event.
  decode    Print an event of a store, or a payload, as JSON.
  diff      Say how far two stores have the same history.
  snapshot  Copy a store as it is at one moment.
  fork      Copy a store, to go its own way.
  import    Bring the events of another store over, each of them once.
  export    Write events as JSON Lines, or as a store of the Rust original.
  key       Make a key that signs receipts and notes, or print its public half.
  receipt   Check a receipt without the store that it is from.
  proof     Prove to others that a store has an event, or check such a proof.
  bench     Measure appends, reads and a verification on this machine.
  demo      Show the whole story in a temporary folder.

Options:
  --version  Print the version and exit.
  --help     Print this and exit; `batpak COMMAND --help` tells more.
"""


def main() -> None:
    """Run the command line and end the process with its exit code.

    Ctrl-C ends it with 130 at any moment, while modules are imported too.
    """
    codecs.register_error(ESCAPED, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPED)
    try:
        try:
            _run(sys.argv[1:])
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # while somebody is here to say that the disk is full
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        from batpak.cli.main import refused

        refused(error)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What the encoding of a terminal does not have, as JSON escapes it: JSON stays what it is."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import json  # which few need

    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _run(words: list[str]) -> None:
    if words in ([], ["--help"], ["-h"], ["help"]):
        print(HELP, end="")
    elif words == ["--version"]:
        print(f"batpak {VERSION}")
    elif words[0] != "gen" or not _nothing_to_do(words[1:]):
        from batpak.cli.main import main as app

        app()


def _nothing_to_do(words: list[str]) -> bool:
    """Whether this is a plain `gen` that would change nothing; then that is printed."""
    from pathlib import Path

    started = time.perf_counter()
    quiet, config, left = False, None, list(words)
    while left:
        word = left.pop(0)
        if word in ("-q", "--quiet"):
            quiet = True
        elif word == "--config" and left:
            config = Path(left.pop(0))
        else:
            return False
    from batpak_codegen import stamp

    told = stamp.unchanged(config)
    if told is None or (told.warnings and os.environ.get("GITHUB_ACTIONS") == "true"):
        return False  # there, warnings have a format of their own
    if told.warnings:
        print(told.colored if _in_color() else told.warnings, file=sys.stderr, flush=True)
    if not quiet:
        print(f"{told.counted} ({time.perf_counter() - started:.2f} s)")
    return True


def _in_color() -> bool:
    """Whether the compiler would print in color; asking it means to import it."""
    refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stderr.isatty() and not refused
