"""One run of the generator: load, link, render, write; each stage only if the last was clean.

The result is a pure function of the schemas and the configuration. Nothing is written before
everything is known to be right.
"""

from __future__ import annotations

import sys
import time
import tomllib
import traceback
from collections.abc import Mapping
from os.path import realpath
from pathlib import Path
from typing import Final

from msgspec import Struct, ValidationError, convert
from msgspec.structs import replace

from batpak_codegen import names
from batpak_codegen.contract_tests import render_tests
from batpak_codegen.diagnostic import Diagnostic, SchemaError, quoted
from batpak_codegen.diagnostic import render as spell
from batpak_codegen.installed import installed_kinds
from batpak_codegen.link import link
from batpak_codegen.places import HOOKS, hooks_files, hooks_pattern, inside, module_of, test_files
from batpak_codegen.render import render
from batpak_codegen.source.load import load
from batpak_codegen.user_file import owed, prepare, save
from batpak_codegen.write import Plan, plan, write

PYPROJECT: Final = "pyproject.toml"
KEYS: Final = ("schemas", "out", "out_module", "package_root", "system", "hooks", "tests")
_MINIMAL: Final = 'at least: [tool.batpak] out = "myapp/gen"'

CLEAN, FINDINGS, COULD_NOT_RUN, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 130
_ENVIRONMENT: Final = "E0001 E0002 E0003 E0004 E0005 E0006 E0008 E0703 E0704"
_COULD_NOT_RUN: Final = frozenset(_ENVIRONMENT.split())


class Config(Struct, frozen=True):
    """`[tool.batpak]` of one project. Paths are relative to `root`, with slashes."""

    root: Path
    schemas: tuple[str, ...]
    out: str
    out_module: str
    package_root: str = ""
    system: bool = False
    hooks: str = "{package}_hooks.py"  # with everything but `{package}` filled in
    tests: str | None = None


class _Keys(Struct):
    """What stands in the table; the types are checked by the conversion."""

    out: str
    schemas: tuple[str, ...] = ("schemas",)
    out_module: str = ""
    package_root: str = ""
    system: bool = False
    hooks: str = HOOKS
    tests: str | None = None


class Report(Struct, frozen=True):
    """What a run did; with `check`, what it would have done and why.

    `written` and `removed` are paths below `out`, and below the root if they are of tests; so are
    `yours`, the users' files that were made or extended. `drift` says the same to a reader, and
    `warnings` what may be wrong, in files whose `texts` are here.
    """

    packages: int
    events: int
    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    drift: tuple[Diagnostic, ...]
    yours: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    texts: Mapping[str, str] = {}

    @property
    def changed(self) -> tuple[str, ...]:
        """All paths that were out of date."""
        return tuple(sorted((*self.written, *self.removed, *self.yours)))


def run(config: Config, *, check: bool, stubs: bool = True) -> Report:
    """Generate the code of a project.

    Args:
        config: What to read and where to write.
        check: Write nothing; compare, and say in `drift` what is out of date.
        stubs: Append to users' files what is missing there; else they are not looked at.

    Raises:
        SchemaError: What one stage found; nothing was written.
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
    except SchemaError as error:
        error.texts = loaded.texts
        raise
    paths = hooks_files(config.hooks, project.parts)
    modules = {n: module_of(p, config.out, config.out_module) for n, p in paths.items()}
    project = replace(project, hooks=modules)
    files = render(project)
    out = config.root / config.out
    planned = plan(out, files)
    tests = render_tests(project, test_files([*project.parts])) if config.tests else {}
    tested = _plan_tests(config, tests)
    yours = prepare(config.root, owed(project, files, paths) if stubs else ())
    if not check:
        write(out, files, planned)
        if config.tests:
            write(config.root / config.tests, tests, tested)
        save(config.root, yours.changes)
    below = f"{config.tests}/"
    return Report(
        len(project.packages),
        sum(len(package.events) for package in project.packages),
        tuple(sorted((*planned.missing, *planned.changed)))
        + tuple(below + path for path in sorted((*tested.missing, *tested.changed))),
        planned.stale + tuple(below + path for path in tested.stale),
        planned.unchanged + tested.unchanged,
        (
            *planned.drift(config.out),
            *tested.drift(below.rstrip("/")),
            *(change.drift() for change in yours.changes),
        ),
        tuple(change.path for change in yours.changes),
        yours.orphans,
        yours.texts,
    )


def _plan_tests(config: Config, tests: Mapping[str, str]) -> Plan:
    """Compare generated tests with the disk; below their directory, marked files are others'."""
    if not config.tests:
        return Plan((), (), (), 0)
    planned = plan(config.root / config.tests, tests)
    ours = (path for path in planned.stale if "/" not in path and path.startswith("test_"))
    return replace(planned, stale=(*ours,))


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
    for key in table:
        if key not in KEYS:
            hint = f"keys: {', '.join(KEYS)}"
            raise _refused("E0002", f"{file}: unknown key {quoted(key)} in [tool.batpak]", hint)
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
    hooks = hooks_pattern(root, out, given.hooks)
    tests = inside(root, out, "tests", given.tests) if given.tests else None
    return Config(root, given.schemas, out, module, given.package_root, given.system, hooks, tests)


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


def main(*, check: bool, config: Path | None, stubs: bool = True) -> int:
    """Run, print what there is to say, and return the exit code of the process.

    Diagnostics go to standard error, the one line of success to standard output.
    """
    started = time.perf_counter()
    try:
        report = run(configure(config), check=check, stubs=stubs)
    except SchemaError as error:
        print(spell(error.diagnostics, error.texts), file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:  # noqa: BLE001  a defect of ours must end in code 3, whatever it is
        traceback.print_exc()
        print("batpak gen: internal error; nothing of yours was changed", file=sys.stderr)
        return INTERNAL
    if report.warnings:
        print(spell(report.warnings, report.texts), file=sys.stderr)
    if check and report.drift:
        print(spell(report.drift, {}), file=sys.stderr)
        return FINDINGS
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
    head = f"{_count(report.packages, 'package')}, {_count(report.events, 'event')}: "
    if check:
        return f"{head}{_count(report.unchanged, 'file')} up to date ({seconds:.2f} s)"
    yours = f" {len(report.yours)} of yours extended," if report.yours else ""
    return (
        f"{head}{_count(len(report.written), 'file')} written, {len(report.removed)} removed,"
        f"{yours} {report.unchanged} unchanged ({seconds:.2f} s)"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
