"""Whether the user's type checkers see the types at all.

Where batpak, msgspec or the generated code is not found, or not looked at, all of it is `Any` to a
checker: it accepts everything, and says nothing. So a snippet in which every line is wrong is
checked as the user's own code is, with their configuration, and what is accepted is told.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import DecodeError, Struct, json

from batpak_codegen.config import Config
from batpak_codegen.diagnostic import Diagnostic, SchemaError, printable
from batpak_codegen.ir import Project

SECONDS_MAX: Final = 600
_NAME: Final = "batpak_canary.py"
_TOLD: Final = ("error", "warning")
_MYPY: Final = re.compile(rf".*{re.escape(_NAME)}:(\d+)(?::\d+)*: error: (.*)")


class Seen(Struct, frozen=True):
    """What a checker finds in the snippet: line → what it says. `failure`: why it did not look."""

    errors: Mapping[int, str] = MappingProxyType({})
    failure: str | None = None


class _Start(Struct, frozen=True):
    line: int


class _Range(Struct, frozen=True):
    start: _Start


class _Said(Struct, frozen=True):
    message: str
    severity: str
    range: _Range = _Range(_Start(0))


class _Pyright(Struct, frozen=True, rename={"said": "generalDiagnostics"}):
    said: tuple[_Said, ...] = ()


def snippet(config: Config, project: Project) -> str:
    """Return a program in which the body of the function is wrong, line by line."""
    events = [(package, event) for package in project.packages for event in package.events]
    formers = [
        (package, former)
        for package in project.packages
        if package.name in project.pasts
        for former in project.pasts[package.name].formers
    ]
    imports, parameters = ["import batpak"], "store: batpak.Store, at: batpak.Coordinate"
    body: list[str] = []
    if not events:
        body.append("batpak.EventKind(0x1001)")
    for package, event in events[:1]:
        imports.append(f"import {'.'.join((config.out_module, *package.parts))} as generated")
        body += [f"generated.{event.name}(None)", f"batpak.EventKind(0x{event.kind:04x})"]
    for package, former in formers[:1]:
        imports.append(f"import {'.'.join((config.out_module, *package.parts))}.former as former")
        parameters += f", old: former.{former.name}"
        body.append("store.append(at, old)")
    head = ["from __future__ import annotations", "", *imports, "", ""]
    rows = [*head, f"def canary({parameters}) -> None:", *(f"    {line}" for line in body)]
    return "\n".join([*rows, ""])


def sing(config: Config, project: Project) -> tuple[Diagnostic, ...]:
    """Run the type checkers that are there; return E0606 for each that accepts what is wrong.

    Raises:
        SchemaError: E0008, no checker is there; E0701, there is no generated code yet.
    """
    if not (config.root / config.out / "registry.py").is_file():
        message = f"there is no generated code in {config.out}"
        raise SchemaError([Diagnostic("E0701", message, None, "run batpak gen")])
    text = snippet(config, project)
    commands = {name: _command(name) for name in _CHECKERS}
    if not any(commands.values()):
        message = "`batpak check --types` needs mypy or pyright, and neither is here"
        raise SchemaError([Diagnostic("E0008", message, None, "pip install mypy")])
    with tempfile.TemporaryDirectory(prefix="batpak-") as folder:
        file = Path(folder, _NAME)
        file.write_text(text, encoding="utf-8")
        found = [
            _accepted(name, text, _CHECKERS[name](command, config, file))
            for name, command in commands.items()
            if command
        ]
    return tuple(one for one in found if one)


def _command(name: str) -> list[str]:
    """Return how a checker is called here: as its user calls it, or as a module of this Python."""
    if path := shutil.which(name):
        return [path]
    where = ["--pythonpath", sys.executable] if name == "pyright" else []  # else it asks the PATH
    return [sys.executable, "-m", name, *where] if find_spec(name) else []


def _accepted(name: str, text: str, seen: Seen) -> Diagnostic | None:
    rows = text.split("\n")
    first = next(number for number, row in enumerate(rows, 1) if row.startswith("def ")) + 1
    wrong = {number: row.strip() for number, row in enumerate(rows, 1) if number >= first and row}
    if seen.failure is not None:
        message = f"{name} cannot say whether it sees the types: {printable(seen.failure)}"
        return Diagnostic("E0606", message, None, f"mend how {name} is configured")
    accepted = [row for number, row in wrong.items() if number not in seen.errors]
    if not accepted:
        return None
    listed = ", ".join(f"`{row}`" for row in accepted)
    message = f"{name} accepts {listed}: the types are not there for it"
    reasons = [told for number, told in sorted(seen.errors.items()) if number < first]
    hint = f"install batpak and msgspec where {name} runs, and let it follow their imports"
    return Diagnostic(
        "E0606", message, None, f"{printable(reasons[0])}; {hint}" if reasons else hint
    )


def _run(command: list[str], config: Config, **environment: str) -> tuple[str, str | None]:
    """Return what a checker prints, and why it failed, if it did."""
    try:
        done = subprocess.run(  # noqa: S603  the user's own checker, with arguments of ours
            command,
            cwd=config.root,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return "", str(error)
    if done.returncode in (0, 1):
        return done.stdout, None
    told = (done.stderr.strip() or done.stdout.strip() or f"code {done.returncode}").split("\n")
    return "", told[-1]


def _mypy(command: list[str], config: Config, file: Path) -> Seen:
    home = config.root / config.out
    for _ in config.out_module.split("."):
        home = home.parent
    path = os.pathsep.join(filter(None, [str(home), os.environ.get("MYPYPATH", "")]))
    options = "--no-pretty --no-color-output --no-error-summary --hide-error-context"
    text, failure = _run([*command, *options.split(), str(file)], config, MYPYPATH=path)
    found = [_MYPY.fullmatch(row) for row in text.split("\n")]
    return Seen({int(one[1]): one[2] for one in reversed(found) if one}, failure)


def _pyright(command: list[str], config: Config, file: Path) -> Seen:
    text, failure = _run([*command, "--outputjson", str(file)], config)
    if failure is not None:
        return Seen(failure=failure)
    try:
        said = json.decode(text, type=_Pyright).said
    except DecodeError as error:
        return Seen(failure=f"it does not answer in JSON: {error}")
    found = {
        one.range.start.line + 1: one.message for one in reversed(said) if one.severity in _TOLD
    }
    return Seen(found)


_CHECKERS: Final[Mapping[str, Callable[[list[str], Config, Path], Seen]]] = {
    "mypy": _mypy,
    "pyright": _pyright,
}
