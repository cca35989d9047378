"""`batpak lock` and `batpak compat`: freeze what is new, and say what a change would break."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from batpak_codegen import whole_file
from batpak_codegen.compat import Mode, Verdict, judge
from batpak_codegen.config import Config
from batpak_codegen.console import Outcome, Reason
from batpak_codegen.declarations import SchemaFile
from batpak_codegen.diagnostic import Diagnostic, Findings, SchemaError, quoted
from batpak_codegen.freeze import Freeze, freeze
from batpak_codegen.frozen_bytes import HEAD, payload
from batpak_codegen.history import recall
from batpak_codegen.ir import Project
from batpak_codegen.lock import Lock, spell_file
from batpak_codegen.promises import Settled, Terms, parse_lock, read_lock, settle
from batpak_codegen.run import counted, linked, read
from batpak_codegen.shape import ShapeField
from batpak_codegen.source.load import SUFFIX, Loaded

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
        SchemaError: The schemas, the lock, or what freezing would break.
    """
    if retire is not None:
        _retire(config, retire)
    settled, _ = _settled(config, is_locking=True)
    if settled.verdict.breaks:
        raise SchemaError(settled.verdict.breaks, settled.texts)
    added = settled.freezing.added
    frozen = _missing_bytes(config, settled) if config.tests else {}
    notes = settled.verdict.notes
    if check and (added or frozen):
        return Outcome(details=notes, diagnostics=_drift(added, frozen), reason="lock")
    if added:
        whole_file.save(config.root / config.lock, spell_file(settled.freezing.lock.lines))
    for path, lines in frozen.items():
        _append(config.root / path, lines)
    shapes = sum(line.startswith("shape") for line in added)
    details = (
        *notes,
        *added,
        *(f"{path}: {counted(len(frozen[path]), 'line')}" for path in frozen),
    )
    return Outcome("", f"{config.lock}: {len(added)} lines added, {shapes} of them shapes", details)


def _drift(added: Iterable[str], frozen: Mapping[str, Sequence[str]]) -> tuple[Diagnostic, ...]:
    """Return what is not frozen, as findings."""
    rest = [line for line in added if not line.startswith(("shape", "wire"))]
    shapes = [line.split(" ")[1:3] for line in added if line.startswith("shape")]
    found = [f"kind {kind} {revision}" for kind, revision in shapes]
    found += [f"`{' '.join(line.split(' ')[:3])}`" for line in rest if not shapes]
    found += [f"{path} ({len(lines)} lines)" for path, lines in frozen.items()]
    return tuple(
        Diagnostic("E0809", f"{what} is not frozen", None, "run batpak lock and commit it")
        for what in found
    )


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
    settled, loaded = _settled(config, terms)
    verdict, texts = settled.verdict, settled.texts
    if against != "lock":
        base, text = _base(config, against, settled.freezing.base)
        verdict = _judged(settled.project, loaded.files, base, terms)
        texts = {**texts, base.path: text}
    said = verdict.notes if verdict.breaks else (*verdict.notes, f"compatible with {against}")
    reason: Reason | None = "breaking" if verdict.breaks else None
    return Outcome("", "\n".join(said), (), verdict.breaks, texts, reason)


def _base(config: Config, against: str, ours: Lock) -> tuple[Lock, str]:
    """Return what to compare with instead of the lock, and the text of that lock."""
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


def _settled(
    config: Config, terms: Terms | None = None, *, is_locking: bool = False
) -> tuple[Settled, Loaded]:
    loaded = read(config)
    project = linked(config, loaded)
    base, text = read_lock(config.root, config.lock)
    settled = settle(project, loaded, base, text, terms or config.terms, is_locking=is_locking)
    return settled, loaded


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


def _missing_bytes(config: Config, settled: Settled) -> dict[str, tuple[str, ...]]:
    """Return path → lines of frozen bytes that are not there yet."""
    lock, declared = settled.freezing.lock, settled.freezing.declared
    shapes = _promised(settled.freezing)
    found: dict[str, tuple[str, ...]] = {}
    for package in settled.project.packages:
        path = f"{config.tests}/{package.name.replace('.', '_')}.frozen"
        known = _known_bytes(config.root / path)
        kinds = {
            kind
            for kind, names in lock.kinds.items()
            for name in names
            if name.rpartition(".")[0] == package.name
        }
        lines = tuple(
            f"0x{kind:04x} {version}.{revision} {payload(lock, shape, declared).hex()}"
            for (kind, version, revision), shape in sorted(shapes.items())
            if kind in kinds and f"0x{kind:04x} {version}.{revision}" not in known
        )
        if lines:
            found[path] = lines
    return found


def _promised(freezing: Freeze) -> dict[tuple[int, int, int], tuple[ShapeField, ...]]:
    """Return every frozen shape; what is declared now has its fields in declared order."""
    lock = freezing.lock
    found = {key: next(iter(shapes.values())).shape for key, shapes in lock.shapes.items()}
    for promise in freezing.promises.values():
        found[promise.kind, promise.version, promise.revision] = promise.shape
    return found


def _known_bytes(path: Path) -> set[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as error:
        raise _refused("E0005", f"cannot read {quoted(path.name)}: {error}", None) from error
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def _append(path: Path, lines: Iterable[str]) -> None:
    try:
        old = path.read_text(encoding="utf-8") if path.exists() else f"{HEAD}\n"
    except (OSError, UnicodeDecodeError) as error:
        raise _refused("E0703", f"cannot extend {quoted(path.name)}: {error}", None) from error
    whole_file.save(path, old + "".join(f"{line}\n" for line in lines))


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
    whole_file.save(
        config.root / file.path, _with_retired(loaded.texts[file.path], f"{key}: {name}")
    )


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
