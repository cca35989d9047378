"""A case: a folder with a project, what is asked of it, and the exact answer.

Beside the files of the project there may be
- `command`, one line; without it, `batpak gen` is run;
- `expected.err` and `expected.out`, what is printed on the two streams;
- `expected/`, files as they are afterwards: those that the case is about, not all.

A project without `pyproject.toml` has its schemas and its code beside each other. The command runs
in a copy, in this process, as it would in a shell.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import typer.main

from batpak.cli.main import application

PROJECT = '[tool.batpak]\nschemas = ["."]\nout = "gen"\n'
EXPECTED = ("expected", "expected.err", "expected.out")


class Answer(NamedTuple):
    """What a command left: its exit code, what it printed, the files that are there."""

    status: object
    err: str
    out: str
    files: dict[str, str]


def ask(case: Path, folder: Path) -> Answer:
    """Run the command of a case in an empty folder."""
    shutil.copytree(case, folder, ignore=shutil.ignore_patterns(*EXPECTED), dirs_exist_ok=True)
    if not (folder / "pyproject.toml").exists():
        (folder / "pyproject.toml").write_text(PROJECT)
    line = case / "command"
    _, *words = line.read_text().split() if line.exists() else ["batpak", "gen"]
    err, out = StringIO(), StringIO()
    status: object = 0
    with chdir(folder), redirect_stderr(err), redirect_stdout(out):
        try:
            _app()(words)
        except SystemExit as ended:
            status = ended.code
    return Answer(status, err.getvalue(), out.getvalue(), _files(folder))


@cache
def _app() -> Callable[[list[str]], object]:
    """Put the commands together once: that takes longer than most cases."""
    return typer.main.get_command(application())


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def expected(case: Path) -> dict[str, str]:
    """Return the files that a case expects."""
    return _files(case / "expected")


def expect(case: Path, answer: Answer) -> None:
    """Write down an answer as what is expected.

    Of files, those that were expected so far; in a new case about which nothing is said, all that
    are new or changed: keep those that the case is about.
    """
    said = case / "expected.err"
    said.write_text(answer.err, encoding="utf-8")
    if not answer.err:
        said.unlink()
    if (case / "expected.out").exists():
        (case / "expected.out").write_text(answer.out, encoding="utf-8")
    old, files = _files(case), case / "expected"
    made = {path: text for path, text in answer.files.items() if old.get(path) != text}
    wanted = expected(case) if files.exists() or answer.err else made
    for path in wanted.keys() - {"pyproject.toml", ".batpak/stamp"}:
        file = files / path
        if path in answer.files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(answer.files[path], encoding="utf-8")
        else:
            file.unlink()
