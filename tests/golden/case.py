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
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click
import typer.main
from click.testing import CliRunner

from batpak.cli.main import application

PROJECT = '[tool.batpak]\nschemas = ["."]\nout = "gen"\n'
EXPECTED = ("expected", "expected.err", "expected.out")


class Answer(NamedTuple):
    """What a command left: its exit code, what it printed, the files that are there."""

    status: int
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
    with chdir(folder):
        done = CliRunner().invoke(_app(), words, env={"GITHUB_ACTIONS": None})
    return Answer(done.exit_code, done.stderr, done.stdout, _files(folder))


@cache
def _app() -> click.Command:
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

    Of files, those that were expected so far; in a new case that succeeds, all that are new or
    changed: keep those that the case is about.
    """
    said = case / "expected.err"
    said.write_text(answer.err, encoding="utf-8")
    if not answer.err:
        said.unlink()
    if (case / "expected.out").exists():
        (case / "expected.out").write_text(answer.out, encoding="utf-8")
    old, files = _files(case), case / "expected"
    made = {path: text for path, text in answer.files.items() if old.get(path) != text}
    wanted = expected(case) if files.exists() or answer.status else made
    for path in wanted.keys() - {"pyproject.toml", ".batpak/stamp"}:
        file = files / path
        if path in answer.files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(answer.files[path], encoding="utf-8")
        else:
            file.unlink()
