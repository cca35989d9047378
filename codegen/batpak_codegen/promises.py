"""The step between `link` and `render`: what the schemas say against what has been promised.

Every path that reads a lock comes through here: its limits, the checks of the whole, the past of
the packages, and what would break.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from batpak_codegen import lock as locks
from batpak_codegen.compat import Mode, Suppression, Verdict, judge, refolded
from batpak_codegen.diagnostic import Diagnostic, Findings, SchemaError, quoted
from batpak_codegen.freeze import Freeze
from batpak_codegen.history import recall
from batpak_codegen.ir import Project
from batpak_codegen.lock import BYTES_MAX, Lock
from batpak_codegen.source.load import Loaded


class Terms(Struct, frozen=True):
    """How strict a project is with itself: what may not break, and what may until a day."""

    mode: Mode = "backward_transitive"
    modes: Mapping[str, Mode] = {}
    suppressed: tuple[Suppression, ...] = ()

    def of(self, project: Project) -> dict[str, Mode]:
        """Return the mode of every package."""
        return {p.name: self.modes.get(p.name, self.mode) for p in project.packages}


class Settled(Struct, frozen=True):
    """A project with its past, what it promises, and what it would break.

    `refolded` are warnings: states of projections that have changed under their version.
    """

    project: Project
    freezing: Freeze
    verdict: Verdict
    texts: Mapping[str, str]
    refolded: tuple[Diagnostic, ...] = ()


def read_lock(root: Path, path: str) -> tuple[Lock, str]:
    """Read a lock file; where there is none, nothing is promised.

    Args:
        root: Directory that `path` is relative to.
        path: As it is printed.

    Returns:
        The lock, and its text.

    Raises:
        SchemaError: E0005 unreadable; E0203, E0804 what is wrong in it.
    """
    try:
        with (root / path).open("rb") as file:
            data = file.read(BYTES_MAX + 1)
        if len(data) > BYTES_MAX:
            raise SchemaError([Diagnostic("E0804", f"{quoted(path)} is longer than 16 MiB")])
        text = data.decode("utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError([Diagnostic("E0005", f"cannot read {quoted(path)}: {error}")]) from error
    return parse_lock(text, path), text


def parse_lock(text: str, path: str) -> Lock:
    """Read the text of a lock.

    Raises:
        SchemaError: E0203, E0804 what is wrong in it.
    """
    findings = Findings()
    lock = locks.read(text, path, findings)
    if findings.diagnostics:
        raise SchemaError(findings.diagnostics, {path: text})
    return lock


def settle(
    project: Project,
    loaded: Loaded,
    base: Lock,
    base_text: str,
    terms: Terms,
    *,
    is_locking: bool = False,
) -> Settled:
    """Hold a project against a lock.

    Args:
        project: What the schemas say.
        loaded: The same with positions.
        base: What is promised.
        base_text: The text of it.
        terms: What may break.
        is_locking: Two heads of what is current are about to be joined, and no error; states of
            projections are about to be frozen as they are.

    Raises:
        SchemaError: E0203, E08xx. What breaks is in the verdict.
    """
    texts = {**loaded.texts, base.path: base_text}
    current = {(e.kind, e.version) for p in project.packages for e in p.events}
    findings = Findings()
    locks.check(base, findings, current if is_locking else frozenset())
    if not findings.diagnostics:
        project, freezing = recall(project, loaded.files, base, findings)
        if not findings.diagnostics:
            modes = terms.of(project)
            verdict = judge(project, loaded.files, freezing, modes, terms.suppressed)
            others = () if is_locking else refolded(project, loaded.files, base)
            return Settled(project, freezing, verdict, texts, others)
    raise SchemaError(findings.diagnostics, texts)
