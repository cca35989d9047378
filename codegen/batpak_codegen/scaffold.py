"""`batpak init`: what a project needs to begin. What is there already is never changed.

Files that are missing are made. Of `pyproject.toml` and `.gitattributes`, lines are added at the
end if they are not there; every other file that exists is left alone.
"""

from __future__ import annotations

import re
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
    done: list[str] = []
    try:
        if _configure(folder, name, done):
            _create(folder, f"{name}/__init__.py", "", done)
        config = configure(folder / PYPROJECT)
        home = Path(config.schemas[0] if config.schemas else "schemas")
        if home.suffix != ".yaml" and not any((folder / home).rglob(f"*{SUFFIX}")):
            if module is None:
                _create(folder, f"{home.as_posix()}/notes{SUFFIX}", _first(name), done)
            else:
                prefix = config.package_root or name
                _draft(folder, home.as_posix(), models, module, prefix, done)
            _create(folder, f"{home.as_posix()}/{NAME}", language_schema(), done)
        elif module is not None:
            done.append(f"{home.as_posix()} has schemas; nothing is written from {module}")
        lines = [line.format(out=config.out) for line in _ATTRIBUTES]
        _append(folder, ".gitattributes", lines, done)
        _append(folder, ".gitignore", [".batpak/"], done)
        hooks = _PRE_COMMIT.format(out=re.escape(config.out))
        _create(folder, ".pre-commit-config.yaml", hooks, done)
        _create(folder, ".github/workflows/batpak.yml", _WORKFLOW, done)
    except OSError as error:
        message = f"cannot write below {quoted(folder.name)}: {error.strerror}"
        raise SchemaError([Diagnostic("E0703", message)]) from error
    return done


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


def _draft(
    folder: Path, home: str, models: Sequence[Model], module: str, prefix: str, done: list[str]
) -> None:
    last = re.sub(r"[^a-z0-9_]", "_", module.rpartition(".")[2].lower()).strip("_")
    path = f"{home}/{last}{SUFFIX}"
    draft = Draft(models, f"{prefix}.{last}", module)
    _create(folder, path, draft.compiled(path), done)
    events, types = draft.counts
    done.append(f"  {counted(events, 'event')}, {counted(types, 'type')} from {module}")
    done.extend(f"  {LEFT_OUT}: {name}: {reason}" for name, reason in draft.refused.items())


def _first(name: str) -> str:
    return _SCHEMA.format(name=name, language=NAME, written="0x001", archived="0x002")


def _name(folder: Path) -> str:
    """Return the module name of a project: that of its folder, in lower case."""
    name = re.sub(r"[^a-z0-9]+", "_", folder.absolute().name.lower()).strip("_")
    if problem := names.package(name):
        message = f"the folder {quoted(folder.absolute().name)} gives no module name: {problem}"
        raise SchemaError([Diagnostic("E0003", message, None, "begin in a folder like my_shop")])
    return name


def _configure(folder: Path, name: str, done: list[str]) -> bool:
    """Add `[tool.batpak]` to the project's configuration if it has none; say whether."""
    file = folder / PYPROJECT
    table = _TABLE.format(name=name)
    if not file.exists():
        _create(folder, PYPROJECT, table, done)
        return True
    old = file.read_text(encoding="utf-8")
    try:
        tool = tomllib.loads(old).get("tool", {})
        if "batpak" in tool:
            done.append(f"{PYPROJECT} has a [tool.batpak]; left as it is")
            return False
        new = f"{old.rstrip()}\n\n{table}" if old.strip() else table
        tomllib.loads(new)  # a [tool] that is written inline takes no more tables
    except (tomllib.TOMLDecodeError, TypeError) as error:
        message = f"cannot add [tool.batpak] to {PYPROJECT}: {error}"
        raise SchemaError([Diagnostic("E0003", message)]) from error
    file.write_text(new, encoding="utf-8")
    done.append(f"{PYPROJECT}: [tool.batpak] added")
    return True


def _create(folder: Path, path: str, text: str, done: list[str]) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        done.append(f"{path} exists; left as it is")
    else:
        done.append(f"{path} written")


def _append(folder: Path, path: str, lines: list[str], done: list[str]) -> None:
    file = folder / path
    old = file.read_text(encoding="utf-8") if file.exists() else ""
    missing = [line for line in lines if line not in old.splitlines()]
    if not missing:
        done.append(f"{path} has it all; left as it is")
        return
    end = "" if not old or old.endswith("\n") else "\n"
    with file.open("a", encoding="utf-8") as opened:
        opened.write(end + "".join(f"{line}\n" for line in missing))
    done.append(f"{path}: {counted(len(missing), 'line')} added" if old else f"{path} written")
