"""Users' files on disk: read, merged, and only ever replaced whole, with the mode they had.

`prepare` reads and decides for all files; nothing is written before all of them can be. A link is
not followed, and a file that was saved in the meantime is not overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from batpak_codegen import whole_file
from batpak_codegen.diagnostic import Diagnostic, Findings, SchemaError, quoted
from batpak_codegen.hook_classes import hook_classes
from batpak_codegen.ir import HookClass, Project
from batpak_codegen.stubs import merge


class UserFile(Struct, frozen=True):
    """A user's file: where it is, below the root and with slashes, and what it has to implement."""

    path: str
    module: str
    classes: tuple[HookClass, ...]


class Change(Struct, frozen=True):
    """A user's file as it is and as it should be. `old` is None if there is none yet."""

    path: str
    old: bytes | None
    new: bytes
    added: tuple[str, ...]

    def drift(self) -> Diagnostic:
        """Say what `gen` would do."""
        lacks = "is missing"
        if self.old is not None:
            lacks = f"lacks {', '.join(f'`{name}`' for name in self.added)}"
        return Diagnostic("E0701", f"{self.path} {lacks}", None, "run batpak gen")


class Prepared(Struct, frozen=True):
    """What to do, what is left over or not written yet, and the texts that those are in."""

    changes: tuple[Change, ...] = ()
    orphans: tuple[Diagnostic, ...] = ()
    unwritten: tuple[Diagnostic, ...] = ()
    texts: Mapping[str, str] = {}


def owed(project: Project, files: Mapping[str, str], paths: Mapping[str, str]) -> list[UserFile]:
    """Return the files that users of a project owe.

    Args:
        project: What was rendered.
        files: Path below the output directory → rendered text.
        paths: Package → where its hooks file is.
    """
    found: list[UserFile] = []
    for package in project.packages:
        module = ".".join((project.out_module, *package.parts))
        classes = hook_classes(files, "/".join(package.parts), module)
        if classes:
            path, imported = paths[package.name], project.hooks[package.name]
            found.append(UserFile(path, imported, classes))
    return found


def prepare(root: Path, files: Iterable[UserFile]) -> Prepared:
    """Merge what is missing into users' files, in memory.

    Raises:
        SchemaError: E0601 and E0602 of all files; E0703, one that cannot be read or replaced.
    """
    findings = Findings()
    changes: list[Change] = []
    orphans: list[Diagnostic] = []
    unwritten: list[Diagnostic] = []
    texts: dict[str, str] = {}
    for file in files:
        try:
            old = whole_file.read(root / file.path)
        except OSError as error:
            _blocked(findings, file.path, error)
            continue
        texts[file.path] = (old or b"").decode("utf-8-sig", "replace")
        try:
            merged = merge(old, file.classes, path=file.path, module=file.module)
        except SchemaError as error:
            findings.diagnostics += error.diagnostics
            continue
        orphans += merged.orphans
        unwritten += merged.unwritten
        if merged.data != old:
            changes.append(Change(file.path, old, merged.data, merged.added))
    if findings.diagnostics:
        raise SchemaError(findings.diagnostics, texts)
    return Prepared(tuple(changes), tuple(orphans), tuple(unwritten), texts)


def save(root: Path, changes: Sequence[Change]) -> None:
    """Write users' files.

    Raises:
        SchemaError: E0703, one was changed by somebody else in the meantime, or the system
            refused. Every file is as it was, or whole and new.
    """
    findings = Findings()
    for change in changes:
        try:
            if whole_file.read(root / change.path) != change.old:
                raise OSError(0, "it was changed while batpak gen ran; run it again")
            whole_file.replace(root / change.path, change.new)
        except OSError as error:
            _blocked(findings, change.path, error)
    findings.finish()


def _blocked(findings: Findings, path: str, error: OSError) -> None:
    message = f"cannot replace {quoted(path)}: {error.strerror or error}"
    hint = "it has to be a file of its own, no link; or run batpak gen --no-stubs"
    findings.add("E0703", message, None, help=hint)
