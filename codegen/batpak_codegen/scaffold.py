"""`batpak init`: what a project needs to begin. What is there already is never changed.

Files that are missing are made. Of `pyproject.toml` and `.gitattributes`, lines are added at the
end if they are not there; every other file that exists is left alone. Nothing is written before
all of it is known.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from batpak_codegen import names
from batpak_codegen.config import PYPROJECT, configure
from batpak_codegen.diagnostic import Diagnostic, SchemaError, quoted
from batpak_codegen.draft import LEFT_OUT, Draft
from batpak_codegen.language import NAME, language_schema
from batpak_codegen.run import counted
from batpak_codegen.source.load import SUFFIX
from batpak_codegen.source.python.answer import Model
from batpak_codegen.source.python.load import load_modules

_SCHEMA: Final = """\
# yaml-language-server: $schema={language}
batpak: 1
package: {name}.notes
doc: A first package. Rename it, or declare your own beside it.
category: 0x1

types:
  NoteId: {{id: note}}

events:
  NoteWritten:
    id: {written}
    doc: Somebody wrote a note.
    fields:
      note_id: NoteId
      text: {{type: string, min_length: 1, max_length: 1000}}
      written_at: timestamp

  NoteArchived:
    id: {archived}
    fields:
      note_id: NoteId
      archived_at: timestamp

machines:
  Note:
    entity: "note:{{note_id}}"
    states:
      Blank: {{initial: true}}
      Written: {{data: {{text: string, written_at: timestamp}}}}
      Archived: {{final: true}}
    moves:
      write: {{from: Blank, to: Written, event: NoteWritten}}
      archive: {{from: Written, to: Archived, event: NoteArchived}}
"""
_TABLE: Final = """\
[tool.batpak]
schemas = ["schemas"]
out = "{name}/gen"
package_root = "{name}"
"""
_ATTRIBUTES: Final = (
    "batpak.lock merge=union",
    "{out}/** -merge linguist-generated=true",
)
_PRE_COMMIT: Final = """\
repos:
  - repo: local
    hooks:
      - id: batpak-check
        name: batpak check
        entry: batpak check
        language: system
        files: \\.batpak\\.yaml$
      - id: batpak-gen-check
        name: batpak gen --check
        entry: batpak gen --check
        language: system
        pass_filenames: false
        files: (\\.batpak\\.yaml|batpak\\.lock|pyproject\\.toml)$|^{out}/
"""
_WORKFLOW: Final = """\
name: batpak
on: [push, pull_request]
permissions:
  contents: read
jobs:
  schemas:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-python@v5
        with:
          python-version: "3.13"
      - run: pip install 'batpak[gen]'
      - run: batpak check
      - run: batpak gen --check
      - run: batpak compat --against git:origin/main
"""


def init(folder: Path, module: str | None = None) -> list[str]:
    """Make what is missing in a folder; return what was done, one line each.

    Args:
        folder: Where.
        module: Write the first schema from the Pydantic models of this module, which is run.

    Raises:
        SchemaError: E0003, the configuration cannot be read, or the folder's name makes no module
            name; E0111, the module cannot be loaded; E0703, the system refused.
    """
    name = _name(folder)
    models = _models(folder, name, module) if module else ()
    try:
        plan = _Plan(folder)
        home, out, prefix = _configured(plan, name)
        if home.suffix != ".yaml" and not any((folder / home).rglob(f"*{SUFFIX}")):
            if module is None:
                plan.make(f"{home.as_posix()}/notes{SUFFIX}", _first(name))
            else:
                _draft(plan, home.as_posix(), models, module, prefix)
            plan.make(f"{home.as_posix()}/{NAME}", language_schema())
        elif module is not None:
            plan.done.append(f"{home.as_posix()} has schemas; nothing is written from {module}")
        plan.lines(".gitattributes", [line.format(out=out) for line in _ATTRIBUTES])
        plan.lines(".gitignore", [".batpak/", "*.store/"])  # what people did is not for git
        plan.make(".pre-commit-config.yaml", _PRE_COMMIT.format(out=re.escape(out)))
        plan.make(".github/workflows/batpak.yml", _WORKFLOW)
        plan.write()
    except OSError as error:
        message = f"cannot write below {quoted(folder.absolute().name)}: {error.strerror or error}"
        raise SchemaError([Diagnostic("E0703", message)]) from error
    return plan.done


class _Plan:
    """What is to be made and added to in a folder, and what is said of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[str] = []
        self._added: list[tuple[str, bytes]] = []

    def read(self, path: str) -> bytes:
        """Return what is in a file; nothing if there is none."""
        file = self.folder / path
        return file.read_bytes() if file.exists() else b""

    def make(self, path: str, text: str) -> None:
        """Make a file unless there is one."""
        file = self.folder / path
        for above in (file.parent, *file.parent.parents):
            if above.exists() and not above.is_dir():
                raise NotADirectoryError(0, f"{above.name} is not a directory")
        if file.exists() or file.is_symlink():
            self.done.append(f"{path} exists; left as it is")
        else:
            self.add(path, text.encode(), " written")

    def add(self, path: str, data: bytes, said: str) -> None:
        """Add to a file, at the end; every byte that is there stays."""
        self._added.append((path, data))
        self.done.append(f"{path}{said}")

    def lines(self, path: str, lines: Sequence[str]) -> None:
        """Add the lines that a file does not have."""
        old = self.read(path)
        rows = old.splitlines()
        missing = [line for line in lines if line.encode() not in rows]
        if not missing:
            self.done.append(f"{path} has it all; left as it is")
            return
        added = f": {counted(len(missing), 'line')} added"
        text = "".join(f"{line}\n" for line in missing)
        self.add(path, _behind(old, text), added if old else " written")

    def write(self) -> None:
        for path, data in self._added:
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as opened:
                opened.write(data)


def _behind(old: bytes, text: str) -> bytes:
    """Return a text as it is added to a file, with the line ends that the file has."""
    end = b"\r\n" if b"\r\n" in old else b"\n"
    begun = b"" if not old or old.endswith(b"\n") else end
    return begun + text.encode().replace(b"\n", end)


def _models(folder: Path, name: str, module: str) -> tuple[Model, ...]:
    """Load a module; return the models in it.

    Raises:
        SchemaError: E0111, it cannot be loaded; E0003, it has no models.
    """
    root = folder.absolute()
    answer = load_modules([module], root, root / name / "gen", f"{name}.gen", are_models=True)
    if not any(model.kind == "event" for model in answer.models):
        message = f"{quoted(module)} defines no Pydantic model"
        raise SchemaError([Diagnostic("E0003", message, None, "name the module as an import does")])
    return answer.models


def _draft(plan: _Plan, home: str, models: Sequence[Model], module: str, prefix: str) -> None:
    last = re.sub(r"[^a-z0-9_]", "_", module.rpartition(".")[2].lower()).strip("_")
    path = f"{home}/{last}{SUFFIX}"
    draft = Draft(models, f"{prefix}.{last}", module)
    plan.make(path, draft.compiled(path))
    events, types = draft.counts
    plan.done.append(f"  {counted(events, 'event')}, {counted(types, 'type')} from {module}")
    plan.done.extend(f"  {LEFT_OUT}: {name}: {reason}" for name, reason in draft.refused.items())


def _first(name: str) -> str:
    return _SCHEMA.format(name=name, language=NAME, written="0x001", archived="0x002")


def _name(folder: Path) -> str:
    """Return the module name of a project: that of its folder, in lower case."""
    name = re.sub(r"[^a-z0-9]+", "_", folder.absolute().name.lower()).strip("_")
    problem = names.package(name)
    if name in sys.stdlib_module_names:
        problem = "Python has a module of that name"
    if problem:
        message = f"the folder {quoted(folder.absolute().name)} gives no module name: {problem}"
        raise SchemaError([Diagnostic("E0003", message, None, "begin in a folder like my_shop")])
    return name


def _configured(plan: _Plan, name: str) -> tuple[Path, str, str]:
    """Return where schemas and code go, and the prefix of packages.

    If the project's configuration has no `[tool.batpak]` yet, that is added.
    """
    old = plan.read(PYPROJECT)
    table = _TABLE.format(name=name)
    added = _behind(old, f"\n{table}" if old.strip() else table)
    try:
        tool = tomllib.loads(old.decode()).get("tool", {})
        if "batpak" in tool:
            plan.done.append(f"{PYPROJECT} has a [tool.batpak]; left as it is")
            config = configure(plan.folder / PYPROJECT)
            home = config.schemas[0] if config.schemas else "schemas"
            return Path(home), config.out, config.package_root or name
        tomllib.loads((old + added).decode())  # a [tool] that is written inline takes no more
    except UnicodeDecodeError as error:
        raise SchemaError([Diagnostic("E0005", f"cannot read {PYPROJECT}: {error}")]) from error
    except (tomllib.TOMLDecodeError, TypeError) as error:
        message = f"cannot add [tool.batpak] to {PYPROJECT}: {error}"
        raise SchemaError([Diagnostic("E0003", message)]) from error
    if (plan.folder / PYPROJECT).exists():
        plan.add(PYPROJECT, added, ": [tool.batpak] added")
    else:
        plan.make(PYPROJECT, table)
    plan.make(f"{name}/__init__.py", "")
    return Path("schemas"), f"{name}/gen", name
