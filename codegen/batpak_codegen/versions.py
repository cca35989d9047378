"""`batpak lock` and `batpak compat`: freeze what is new, and say what a change would break."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from batpak_codegen import whole_file
from batpak_codegen.compat import Mode, Verdict, judge
from batpak_codegen.config import Config
from batpak_codegen.console import Outcome, Reason
from batpak_codegen.declarations import SchemaFile
from batpak_codegen.diagnostic import Diagnostic, Findings, SchemaError, quoted
from batpak_codegen.freeze import freeze
from batpak_codegen.frozen_bytes import HEAD
from batpak_codegen.history import recall
from batpak_codegen.ir import Project
from batpak_codegen.lock import Lock, spell_file
from batpak_codegen.promises import Terms, parse_lock, read_lock
from batpak_codegen.run import counted, linked, read, settled
from batpak_codegen.source.load import SUFFIX
from batpak_codegen.unfrozen import unfrozen

GIT: Final = "git:"
GIT_SECONDS_MAX: Final = 30
_NUMBERS: Final = frozenset(["E0203", "E0807", "E0808", "E0810"])
_REF: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./@{}^~-]{0,199}")


def lock(config: Config, *, check: bool, retire: int | None = None) -> Outcome:
    """Freeze what is not frozen yet.

    Args:
        config: Of the project.
        check: Write nothing; say what is not frozen.
        retire: A kind whose event is gone from the schemas: write it under `retired` first.

    Raises:
        SchemaError: The schemas, the lock, or what freezing would break; E0703, somebody else has
            changed the lock since it was read.
    """
    if retire is not None:
        _retire(config, retire)
    found, _ = settled(config, is_locking=True)
    if found.verdict.breaks:
        raise SchemaError(found.verdict.breaks, found.texts)
    left, notes = unfrozen(config, found), found.verdict.notes
    if check and left.findings:
        return Outcome(details=notes, diagnostics=left.findings, reason="lock")
    if left.lines:
        was = found.texts[config.lock].replace("\r\n", "\n")
        text = spell_file(found.freezing.lock.lines)
        whole_file.edit(config.root / config.lock, text, was)
    for path, rows in left.rows.items():
        _append(config.root / path, rows)
    shapes = sum(line.startswith("shape") for line in left.lines)
    added = f"{counted(len(left.lines), 'line')} added, {counted(shapes, 'new shape')}"
    files = [f"{path}: {counted(len(rows), 'line')}" for path, rows in left.rows.items()]
    said = f"{config.lock}: {added if left.lines else 'all is frozen'}"
    return Outcome("", said, (*notes, *left.lines, *files))


def compat(config: Config, against: str = "lock", mode: Mode | None = None) -> Outcome:
    """Say what the schemas break of what was promised before.

    Args:
        config: Of the project.
        against: `lock`; `git:REF`, the lock as it was there; or a directory with schemas, a lock,
            or both.
        mode: Instead of what the configuration says.

    Raises:
        SchemaError: The schemas or a lock are wrong; E0805, the lock has lost lines; E0003, there
            is nothing to compare with.
    """
    terms = config.terms if mode is None else replace(config.terms, mode=mode, modes={})
    found, loaded = settled(config, terms)
    verdict, texts = found.verdict, found.texts
    if against != "lock":
        base, text = promised(config, against, found.freezing.base)
        verdict = _judged(found.project, loaded.files, base, terms)
        texts = {**texts, base.path: text}
    said = verdict.notes if verdict.breaks else (*verdict.notes, f"compatible with {against}")
    reason: Reason | None = "breaking" if verdict.breaks else None
    return Outcome("", "\n".join(said), (), verdict.breaks, texts, reason)


def promised(config: Config, against: str, ours: Lock) -> tuple[Lock, str]:
    """Return what was promised elsewhere, and the text of that lock.

    Args:
        config: Of the project.
        against: `git:REF`, or a directory.
        ours: The lock of the project.

    Raises:
        SchemaError: As `compat` does.
    """
    if not against.startswith(GIT):
        return _directory(config, Path(against))
    text = _git_show(config, against.removeprefix(GIT))
    base = parse_lock(text, f"{config.lock} at {against}")
    _refuse_lost(base, ours)
    return base, text


def _judged(project: Project, files: tuple[SchemaFile, ...], base: Lock, terms: Terms) -> Verdict:
    """Judge against a lock that is not the project's own."""
    findings = Findings()
    recall(project, files, base, findings)
    numbers = [found for found in findings.diagnostics if found.code in _NUMBERS]
    verdict = judge(project, files, freeze(project, base), terms.of(project), terms.suppressed)
    return Verdict((*numbers, *verdict.breaks), verdict.notes)


def _directory(config: Config, folder: Path) -> tuple[Lock, str]:
    """Return what a directory promises, its lock and its schemas on top of it; and its lock."""
    if not folder.is_dir():
        hint = "compare with lock, git:REF or a directory"
        raise _refused("E0003", f"there is no directory {quoted(str(folder))}", hint)
    there = _there(config, folder)
    lock = Path(os.path.relpath(folder / there.lock, config.root)).as_posix()
    base, text = read_lock(config.root, lock)
    if not there.schemas and not there.python_schemas:
        if not base.lines:
            raise _refused("E0003", f"{quoted(str(folder))} has no schemas and no lock", None)
        return base, text
    loaded = read(there)
    _, freezing = recall(linked(there, loaded), loaded.files, base, Findings())
    return freezing.lock, text


def _there(config: Config, folder: Path) -> Config:
    """Return the configuration for another directory, without what is not there.

    It is laid out as the project is, or it is a folder of schemas.
    """
    schemas = tuple(path for path in config.schemas if _has_schemas(folder / path))
    modules = tuple(name for name in config.python_schemas if _has_module(folder, name))
    lock = config.lock
    if not schemas and not modules and not (folder / lock).is_file():
        schemas, lock = (".",) * _has_schemas(folder), Path(lock).name
    found = replace(config, root=folder, schemas=schemas, python_schemas=modules, lock=lock)
    return replace(found, warnings_as_errors=False)


def _has_schemas(path: Path) -> bool:
    return path.is_file() or any(path.rglob(f"*{SUFFIX}"))


def _has_module(folder: Path, name: str) -> bool:
    path = folder.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _git_show(config: Config, ref: str) -> str:
    """Return the lock as it was at a revision; where there was none, nothing."""
    if not _REF.fullmatch(ref):
        raise _refused("E0003", f"{quoted(ref)} is no revision", "like git:main or git:HEAD~1")
    _git(config, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    listed = _git(config, "ls-tree", "--name-only", ref, "--", config.lock)
    return _git(config, "show", f"{ref}:./{config.lock}") if listed.strip() else ""


def _git(config: Config, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  the words are ours, and a revision that was checked
            ["git", *words],  # noqa: S607  whichever git the user has
            cwd=config.root,
            capture_output=True,
            timeout=GIT_SECONDS_MAX,
            check=True,
        )
        return done.stdout.decode("utf-8")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        told = error.stderr if isinstance(error, subprocess.CalledProcessError) else b""
        reason = (told or b"").decode("utf-8", "replace").strip() or f"{error}"
        hint = "it must be a revision of this repository"
        raise _refused("E0003", f"git {words[0]} failed: {reason}", hint) from error


def _refuse_lost(base: Lock, ours: Lock) -> None:
    lost = sorted(base.lines - ours.lines)
    if lost:
        hint = f"lines are never removed: put them back from {base.path.rpartition(' ')[2]}"
        raise SchemaError(
            Diagnostic("E0805", f"{ours.path} has lost a line: {quoted(line)}", None, hint)
            for line in lost
        )


def _append(path: Path, lines: Iterable[str]) -> None:
    try:
        old = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise _refused("E0703", f"cannot extend {quoted(path.name)}: {error}", None) from error
    whole_file.edit(path, (old or f"{HEAD}\n") + "".join(f"{line}\n" for line in lines), old)


def _retire(config: Config, kind: int) -> None:
    """Write a kind under `retired` of the package whose event it was."""
    base, _ = read_lock(config.root, config.lock)
    full = base.name_of(kind)
    if full is None:
        hint = "retire a kind that the lock has"
        raise _refused("E0205", f"kind 0x{kind:04x} was never frozen", hint)
    loaded = read(config)
    package, _, name = full.rpartition(".")
    file = next((file for file in loaded.files if file.package.value == package), None)
    if file is None:
        raise _refused("E0205", f"no schema declares {package} any more", "declare the package")
    for declared, decl in file.events:
        if declared.value == name:
            hint = f"take {name} out of the schema first: its events stay readable as plain values"
            message = f"{full} is still declared"
            found = Diagnostic("E0205", message, decl.id.span, hint)
            raise SchemaError([found], loaded.texts)
    if any(retired.value == name for _, retired in file.retired):
        return
    category = file.category.value if file.category else -1
    key = f"0x{kind & 0xFFF:03x}" if kind >> 12 == category else f"0x{kind:04x}"
    if not file.path.endswith(SUFFIX):
        hint = f'write it yourself: Package(…, retired={{{key}: "{name}"}})'
        message = "a schema module is yours to write"
        found = Diagnostic("E0205", message, file.package.span, hint)
        raise SchemaError([found], loaded.texts)
    was = loaded.texts[file.path]
    whole_file.edit(config.root / file.path, _with_retired(was, f"{key}: {name}"), was)


def _with_retired(text: str, entry: str) -> str:
    """Return a schema with one more entry at the top of `retired`; no other line is touched."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.rstrip() == "retired:" or line.startswith("retired: #"):
            return "\n".join([*lines[: number + 1], f"  {entry}", *lines[number + 1 :]])
        if line.startswith("retired:"):
            hint = f"write it yourself: {entry}"
            raise _refused("E0205", "`retired` is written on one line", hint)
    end = "" if text.endswith("\n") else "\n"
    return f"{text}{end}\nretired:\n  {entry}\n"


def _refused(code: str, message: str, hint: str | None) -> SchemaError:
    return SchemaError([Diagnostic(code, message, None, hint)])
