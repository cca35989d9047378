"""One run of the generator: load, link, render, write; each stage only if the last was clean.

The result is a pure function of the schemas and the configuration. Nothing is written before
everything is known to be right.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
import time
import tomllib
import traceback
from collections.abc import Iterable, Mapping
from os.path import realpath
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct, ValidationError, convert
from msgspec.structs import replace

from batpak_codegen import names
from batpak_codegen.compat import RULES, Mode, Suppression
from batpak_codegen.diagnostic import Diagnostic, SchemaError, did_you_mean, quoted
from batpak_codegen.diagnostic import render as spell
from batpak_codegen.installed import installed_kinds
from batpak_codegen.ir import Project
from batpak_codegen.link import link
from batpak_codegen.promises import Terms, read_lock, settle
from batpak_codegen.render import render
from batpak_codegen.source.load import Loaded, load
from batpak_codegen.write import plan, write

PYPROJECT: Final = "pyproject.toml"
LOCK: Final = "batpak.lock"
KEYS: Final = (
    *("schemas", "out", "out_module", "package_root", "system"),
    *("lock", "tests", "mode", "modes", "suppress", "ignore", "warnings_as_errors"),
)
_WARNING: Final = re.compile(r"W\d{4}")
_MINIMAL: Final = 'at least: [tool.batpak] out = "myapp/gen"'

CLEAN, FINDINGS, COULD_NOT_RUN, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 130
_ENVIRONMENT: Final = "E0001 E0002 E0003 E0004 E0005 E0006 E0008 E0703 E0704"
_COULD_NOT_RUN: Final = frozenset(_ENVIRONMENT.split())


class Config(Struct, frozen=True):
    """`[tool.batpak]` of one project. Paths are relative to `root`, with slashes.

    `file` is the name of the file that says so, in `root`; `ignore` are codes of warnings.
    """

    root: Path
    schemas: tuple[str, ...]
    out: str
    out_module: str
    package_root: str = ""
    system: bool = False
    lock: str = LOCK
    tests: str | None = None
    terms: Terms = Terms()
    ignore: tuple[str, ...] = ()
    warnings_as_errors: bool = False
    file: str = PYPROJECT


class _Suppress(Struct):
    """A row of `[[tool.batpak.suppress]]`."""

    rule: str
    target: str
    reason: str
    until: dt.date


class _Keys(Struct):
    """What stands in the table; the types are checked by the conversion."""

    out: str
    schemas: tuple[str, ...] = ("schemas",)
    out_module: str = ""
    package_root: str = ""
    system: bool = False
    lock: str | None = None
    tests: str | None = None
    mode: Mode = "backward_transitive"
    modes: dict[str, Mode] = {}
    suppress: tuple[_Suppress, ...] = ()
    ignore: tuple[str, ...] = ()
    warnings_as_errors: bool = False


class Report(Struct, frozen=True):
    """What a run did; with `check`, what it would have done and why.

    `written` and `removed` are paths below `out`; `drift` says the same to a reader. `warnings`
    are about the schemas, whose `texts` are by path. `files` are the texts of all that belongs
    below `out`; `beside` are other files that were read or written, below the root.
    """

    packages: int
    events: int
    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    drift: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...] = ()
    texts: Mapping[str, str] = MappingProxyType({})
    files: Mapping[str, str] = MappingProxyType({})
    beside: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """All paths that were out of date."""
        return tuple(sorted((*self.written, *self.removed)))


def run(config: Config, *, check: bool, package: str | None = None) -> Report:
    """Generate the code of a project.

    Args:
        config: What to read and where to write.
        check: Write nothing; compare, and say in `drift` what is out of date.
        package: Look at the files of this package only.

    Raises:
        SchemaError: What one stage found; nothing was written.
    """
    project, texts = understand(config)
    files = render(project)
    out = config.root / config.out
    planned = plan(out, files)
    if package is not None:
        folder = _folder(project, package)
        files = {path: text for path, text in files.items() if path.startswith(folder)}
        planned = planned.below(folder, len(files))
    if not check:
        write(out, files, planned)
    return Report(
        len(project.packages),
        sum(len(package.events) for package in project.packages),
        tuple(sorted((*planned.missing, *planned.changed))),
        planned.stale,
        planned.unchanged,
        tuple(planned.drift(config.out)),
        project.warnings,
        texts,
        files,
    )


def _folder(project: Project, package: str) -> str:
    """Return where the files of a package go below `out`, with a slash at the end."""
    if package not in project.parts:
        hint = did_you_mean(package, project.parts) or f"packages: {', '.join(project.parts)}"
        raise _refused("E0003", f"there is no package {quoted(package)}", hint)
    return "".join(f"{part}/" for part in project.parts[package])


def understand(config: Config) -> tuple[Project, Mapping[str, str]]:
    """Do everything before rendering: return what the schemas mean, and the texts they are.

    Raises:
        SchemaError: What one stage found; what would break is found by the last.
    """
    project, loaded = linked(config)
    base, promised = read_lock(config.root, config.lock)
    settled = settle(project, loaded, base, promised, config.terms)
    if settled.verdict.breaks:
        raise SchemaError(settled.verdict.breaks, settled.texts)
    return settled.project, settled.texts


def linked(config: Config) -> tuple[Project, Loaded]:
    """Read and link, without a look at what was promised: return that, and the files.

    Warnings that the configuration ignores are left out.

    Raises:
        SchemaError: What one stage found; with `warnings_as_errors`, also warnings.
    """
    loaded = load([config.root / path for path in config.schemas], config.root)
    try:
        project = link(
            loaded.files,
            out_module=config.out_module,
            package_root=config.package_root,
            system=config.system,
            installed=installed_kinds(config.out_module),
        )
        warnings = tuple(one for one in project.warnings if one.code not in config.ignore)
        if warnings and config.warnings_as_errors:
            raise SchemaError(warnings)
    except SchemaError as error:
        error.texts = loaded.texts
        raise
    return replace(project, warnings=warnings), loaded


def configure(file: Path | None = None, start: Path | None = None) -> Config:
    """Read the configuration: of `file`, or of the nearest `pyproject.toml` that has one.

    Args:
        file: What the user named, or None.
        start: Where to look from, upwards to the root of the repository; default: here.

    Raises:
        SchemaError: E0002 unknown key, E0003 bad or missing value, E0005 unreadable file,
            E0704 `out` leads out of the project.
    """
    if file is not None:
        return _config(file.absolute().parent, _table(file), file.name)
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        path = folder / PYPROJECT
        if path.is_file():
            table = _table(path)
            if table is not None:
                return _config(folder, table, PYPROJECT)
        if (folder / ".git").exists():
            break
    raise _refused("E0003", f"no {PYPROJECT} with [tool.batpak] here or above", _MINIMAL)


class _Tool(Struct, frozen=True):
    batpak: dict[str, object] | None = None


class _Toml(Struct, frozen=True):
    tool: _Tool = _Tool()


def _table(path: Path) -> dict[str, object] | None:
    """Return `[tool.batpak]` of a TOML file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return convert(content, _Toml).tool.batpak
    except (OSError, UnicodeDecodeError) as error:
        raise _refused("E0005", f"cannot read {quoted(path.name)}: {error}") from error
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise _refused("E0003", f"cannot use {quoted(path.name)}: {error}") from error


def _config(root: Path, table: dict[str, object] | None, file: str) -> Config:
    if table is None:
        raise _refused("E0003", f"{file} has no [tool.batpak]", _MINIMAL)
    if strangers := [key for key in table if key not in KEYS]:
        raise SchemaError(_unknown(key, file) for key in strangers)
    try:
        given = convert(table, _Keys)
    except ValidationError as error:
        raise _refused("E0003", f"{file}: [tool.batpak]: {error}", _MINIMAL) from error
    out = given.out
    if out.startswith(("/", "~")) or "\\" in out or ".." in out.split("/"):
        hint = "a path below the configuration file, with slashes"
        raise _refused("E0704", f"{file}: out {quoted(out)} leads out of the project", hint)
    out = "/".join(part for part in out.split("/") if part not in ("", "."))
    if not out:
        raise _refused("E0003", f"{file}: out names no directory", _MINIMAL)
    if not Path(realpath(root / out)).is_relative_to(realpath(root)):
        message = f"{file}: out {quoted(out)} is behind a link that leads out of the project"
        raise _refused("E0704", message, "replace the link by a directory")
    if given.package_root and names.package(given.package_root):
        message = f"{file}: package_root {quoted(given.package_root)} is not a package"
        raise _refused("E0003", message)
    module = given.out_module or _module_of(root / out)
    if not all(map(_is_identifier, module.split("."))):
        hint = 'say how it is imported: out_module = "myapp.gen"'
        raise _refused("E0003", f"{file}: {quoted(module)} cannot be imported", hint)
    _refuse_ignored(given.ignore, file)
    return Config(
        root,
        given.schemas,
        out,
        module,
        given.package_root,
        given.system,
        _below(root, given.lock or _lock_of(root, given.schemas), "lock", file),
        given.tests and _below(root, given.tests, "tests", file),
        Terms(given.mode, given.modes, _suppressions(given.suppress, file)),
        given.ignore,
        given.warnings_as_errors,
        file,
    )


def _unknown(key: str, file: str) -> Diagnostic:
    hint = did_you_mean(key, KEYS) or f"keys: {', '.join(KEYS)}"
    return Diagnostic("E0002", f"{file}: unknown key {quoted(key)} in [tool.batpak]", None, hint)


def _refuse_ignored(codes: Iterable[str], file: str) -> None:
    for code in codes:
        if not _WARNING.fullmatch(code):
            message = f"{file}: {quoted(code)} cannot be ignored"
            raise _refused("E0003", message, "ignore lists codes of warnings, like W0402")


def _lock_of(root: Path, schemas: tuple[str, ...]) -> str:
    """Return where the lock is, if nobody says: in the first directory of schemas."""
    first = schemas[0] if schemas else "."
    folder = first if (root / first).is_dir() else Path(first).parent.as_posix()
    return f"{folder}/{LOCK}"


def _below(root: Path, path: str, key: str, file: str) -> str:
    if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/"):
        hint = "a path below the configuration file, with slashes"
        raise _refused("E0704", f"{file}: {key} {quoted(path)} leads out of the project", hint)
    if not Path(realpath(root / path)).is_relative_to(realpath(root)):
        message = f"{file}: {key} {quoted(path)} is behind a link that leads out of the project"
        raise _refused("E0704", message)
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _suppressions(given: tuple[_Suppress, ...], file: str) -> tuple[Suppression, ...]:
    """Return what may break; one whose day has come is an error."""
    today = dt.datetime.now(dt.UTC).date()
    for one in given:
        if one.rule not in RULES:
            message = f"{file}: suppress: there is no rule {quoted(one.rule)}"
            raise _refused("E0003", message, "rules are C101 to C123")
        if one.until < today or not one.reason.strip():
            message = f"{file}: the suppression of {one.rule} for {quoted(one.target)}"
            ended = f"{message} ended on {one.until}" if one.reason.strip() else f"{message}: why?"
            raise _refused("E0003", ended, "mend what it hides, or give it a reason and a day")
    return tuple(Suppression(one.rule, one.target, one.reason) for one in given)


def _is_identifier(word: str) -> bool:
    return word.isascii() and word.isidentifier() and word not in names.KEYWORDS


def _module_of(out: Path) -> str:
    """Return what `out` is imported as: upwards while there is an `__init__.py`."""
    parts = [out.name]
    for folder in out.parents:
        if not (folder / "__init__.py").is_file():
            break
        parts.append(folder.name)
    return ".".join(reversed(parts))


def _refused(code: str, message: str, help_: str | None = None) -> SchemaError:
    return SchemaError([Diagnostic(code, message, None, help_)])


def main(*, check: bool, config: Path | None) -> int:
    """Run, print what there is to say, and return the exit code of the process.

    Diagnostics go to standard error, the one line of success to standard output.
    """
    started = time.perf_counter()
    try:
        report = run(configure(config), check=check)
    except SchemaError as error:
        print(spell(error.diagnostics, error.texts), file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:  # noqa: BLE001  a defect of ours must end in code 3, whatever it is
        traceback.print_exc()
        print("batpak gen: internal error; nothing of yours was changed", file=sys.stderr)
        return INTERNAL
    if check and report.drift:
        print(spell(report.drift, {}), file=sys.stderr)
        return FINDINGS
    if report.warnings:
        print(spell(report.warnings, report.texts), file=sys.stderr)
    print(summary(report, time.perf_counter() - started, check=check))
    return CLEAN


def exit_code(error: SchemaError) -> int:
    """Return 1 for findings, 2 if the run could not be made, 3 for a defect of the generator."""
    codes = {diagnostic.code for diagnostic in error.diagnostics}
    if "E0705" in codes:
        return INTERNAL
    return COULD_NOT_RUN if codes & _COULD_NOT_RUN else FINDINGS


def summary(report: Report, seconds: float, *, check: bool) -> str:
    """Return the line of success: `1 package, 4 events: 9 files written, 0 removed, …`."""
    head = f"{counted(report.packages, 'package')}, {counted(report.events, 'event')}: "
    if check:
        return f"{head}{counted(report.unchanged, 'file')} up to date ({seconds:.2f} s)"
    return (
        f"{head}{counted(len(report.written), 'file')} written, {len(report.removed)} removed,"
        f" {report.unchanged} unchanged ({seconds:.2f} s)"
    )


def counted(number: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
