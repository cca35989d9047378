"""The page of the command line tells every command, and everything that each of them takes.

Its tables are written by hand, because they say what a command is for; the last one is what the
commands say of their own options, and this writes it. On a difference the fresh page is written
*and* the test fails: the fix is already in the work tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Protocol, cast

import typer
from typer.core import TyperGroup

from batpak.cli.main import application

PAGE = Path(__file__).parents[1] / "docs/reference/command-line.md"
HEADING = "## Every option\n"
INTRO = """
What `batpak COMMAND --help` says, by the name of the command. A test writes this table.

| Command | Takes | |
| --- | --- | --- |
"""
SHARED = [
    "--config",
    "--allow-import",
    "--format",
    "--color",
    "--quiet",
    "--verbose",
    "--exit-zero",
]


class Parameter(Protocol):
    """What is asked here of an argument or an option, in any version of typer."""

    param_type_name: str
    name: str
    opts: list[str]
    metavar: str | None
    help: str
    required: bool
    nargs: int
    default: object


class Command(Protocol):
    params: list[Parameter]


def commands(group: TyperGroup | None = None, *path: str) -> Iterator[tuple[str, Command]]:
    """Each command by the words that call it, those of groups too."""
    group = group or typer.main.get_group(application())
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *path, name)
        else:
            yield " ".join([*path, name]), cast("Command", command)


def spelled(parameter: Parameter) -> str:
    """A parameter as one types it."""
    if parameter.param_type_name == "argument":
        value = (parameter.metavar or parameter.name) + "…" * (parameter.nargs == -1)
        return f"`{value}`" if parameter.required else f"`[{value}]`"
    names = sorted(parameter.opts, key=len)
    value = parameter.metavar or names[-1].removeprefix("--").upper()
    return ", ".join(
        f"`{name}`" if getattr(parameter, "is_flag", False) else f"`{name} {value}`"
        for name in names
    )


def said(parameter: Parameter) -> str:
    """What it is, and what it is when nobody says."""
    default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    rest = f" Default: {default}." if plain and "default" not in parameter.help else ""
    is_due = parameter.required and parameter.param_type_name == "option"
    return str(parameter.help).replace("|", r"\|") + (" Has to be given." if is_due else rest)


def rows(command: Command) -> Iterator[tuple[str, str]]:
    """What a command takes; what it shares with the others of the compiler in one row."""
    compiles = any("--exit-zero" in parameter.opts for parameter in command.params)
    shared = list[str]()
    for parameter in command.params:
        names = sorted(parameter.opts, key=len)
        has_own_formats = names[-1] == "--format" and "findings" not in parameter.help
        if compiles and names[-1] in SHARED and not has_own_formats:
            shared.append(f"`{names[0]}`")
        else:
            yield spelled(parameter), said(parameter)
    if shared:
        yield ", ".join(shared), "as above"
    if not command.params:
        yield "", "nothing"


def table() -> str:
    """One row for each thing that a command takes."""
    lines = list[str]()
    for name, command in sorted(commands()):
        cell = f"`{name}`"
        for takes, meaning in rows(command):
            lines.append(f"| {cell} | {takes} | {meaning} |")
            cell = ""
    return "\n".join(lines).replace("|  |", "| |") + "\n"


def test_the_page_tells_every_option_as_the_command_itself_does() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before = page.partition(HEADING)[0].rstrip() + "\n\n"
    fresh = f"{before}{HEADING}{INTRO}{table()}"
    if page != fresh:
        PAGE.write_text(fresh, encoding="utf-8")
    assert page == fresh, "docs/reference/command-line.md was not up to date; it is now: commit it"


def test_every_command_has_a_row_that_says_what_it_is_for() -> None:
    by_hand = PAGE.read_text(encoding="utf-8").partition(HEADING)[0]

    missing = [
        name for name, _ in commands() if not re.search(rf"^\| `{name}\b", by_hand, re.MULTILINE)
    ]

    assert missing == []
