"""One run of the generator: load, link, render, write; each stage only if the last was clean.

The result is a pure function of the schemas and the configuration. Nothing is written before
everything is known to be right.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from batpak_codegen.config import Config
from batpak_codegen.contract_tests import render_tests
from batpak_codegen.diagnostic import Diagnostic, SchemaError, did_you_mean, quoted
from batpak_codegen.installed import installed_kinds
from batpak_codegen.ir import Project
from batpak_codegen.link import link
from batpak_codegen.places import elsewhere, hooks_files, module_of, test_files
from batpak_codegen.promises import Settled, Terms, read_lock, settle
from batpak_codegen.render import render
from batpak_codegen.source.load import Loaded, Modules, load
from batpak_codegen.unfrozen import unfrozen
from batpak_codegen.user_file import owed, prepare, save
from batpak_codegen.write import Plan, plan, refuse_nested, write

CLEAN, FINDINGS, COULD_NOT_RUN, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 130
_ENVIRONMENT: Final = "E0001 E0002 E0003 E0004 E0005 E0006 E0008 E0703 E0704"
_COULD_NOT_RUN: Final = frozenset(_ENVIRONMENT.split())


class Report(Struct, frozen=True):
    """What a run did; with `check`, what it would have done and why.

    `written` and `removed` are paths below `out`, which is below the root, or absolute; `yours` are
    the users' files that were made or extended. What is in `beside`, tests and users' files, is
    below the root instead. `drift` says the same to a reader. `warnings` are about the schemas,
    whose `texts` are by path. `files` are the texts of all that belongs there. `read` are other
    files that the run depends on.
    """

    out: str
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
    yours: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """All paths that were out of date."""
        return tuple(sorted((*self.written, *self.removed, *self.yours)))


@contextmanager
def _uncollected() -> Generator[None]:
    """Keep the garbage collector out: nearly all that a run makes lives until it ends.

    That is a fifth of its time. Also, CPython 3.11 refuses a text that it parses (SystemError) if
    a collection in the middle of it runs code that parses as well.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_uncollected()
def run(
    config: Config,
    *,
    check: bool,
    package: str | None = None,
    stubs: bool = True,
    out: Path | None = None,
    release: bool = False,
    vet: Callable[[Report], None] | None = None,
) -> Report:
    """Generate the code of a project.

    Args:
        config: What to read and where to write.
        check: Write nothing; compare, and say in `drift` what is out of date.
        package: Look at the files of this package below `out` only.
        stubs: Append to users' files what is missing there; else they are not looked at.
        out: Instead of where the configuration says, and only there: neither users' files nor
            tests are looked at.
        release: Warnings are errors, and so is what is not frozen, and stubs that users have not
            filled in.
        vet: Is shown the report before anything is written, and may refuse it.

    Raises:
        SchemaError: What one stage found, or `vet` raised; nothing was written.
    """
    if release:
        config = replace(config, warnings_as_errors=True)
    found, loaded = unbroken(config)
    paths = hooks_files(config.hooks, found.project.parts)
    modules = {n: module_of(p, config.out, config.out_module) for n, p in paths.items()}
    project = replace(found.project, hooks=modules)
    files = render(project)
    below = config.out if out is None else str(elsewhere(config.root, config.out, out))
    refuse_nested(config.root / below, below)
    planned = plan(config.root / below, files)
    whole = package is None and out is None
    owing = owed(project, files, paths) if release or (stubs and whole) else []
    yours = prepare(config.root, owing)
    orphans = [one for one in yours.orphans if one.code not in config.ignore]
    unready = [replace(one, is_error=True) for one in orphans if config.warnings_as_errors]
    if release:
        unready = [*unready, *yours.unwritten, *unfrozen(config, found).findings]
    if unready:
        raise SchemaError(unready, {**found.texts, **yours.texts})
    if not whole:
        config = replace(config, tests=None)
    tests = render_tests(project, test_files([*project.parts])) if config.tests else {}
    tested = _plan_tests(config, tests) if config.tests else Plan((), (), (), 0)
    if package is not None:
        folder = _folder(project, package)
        files = {path: text for path, text in files.items() if path.startswith(folder)}
        planned = planned.below(folder, len(files))
    beside = {f"{config.tests}/{path}": text for path, text in tests.items()}
    drift = [*planned.drift(below), *tested.drift(config.tests or "")]
    report = Report(
        out=below,
        packages=len(project.packages),
        events=sum(len(package.events) for package in project.packages),
        written=(*sorted((*planned.missing, *planned.changed)), *_tests(config, tested, "written")),
        removed=(*planned.stale, *_tests(config, tested, "removed")),
        unchanged=planned.unchanged + tested.unchanged,
        drift=(*drift, *(change.drift() for change in yours.changes)),
        warnings=(*project.warnings, *orphans),
        texts={**found.texts, **yours.texts},
        files={**files, **beside, **{c.path: c.new.decode("utf-8") for c in yours.changes}},
        beside=(*beside, *_tests(config, tested, "removed"), *(file.path for file in owing)),
        yours=tuple(change.path for change in yours.changes),
        read=(config.lock, *loaded.read),
    )
    if vet is not None:
        vet(report)
    if not check:
        write(config.root / below, files, planned)
        if config.tests:
            write(config.root / config.tests, tests, tested)
        save(config.root, yours.changes)
    return report


def _tests(config: Config, tested: Plan, what: Literal["written", "removed"]) -> list[str]:
    paths = tested.stale if what == "removed" else (*tested.missing, *tested.changed)
    return [f"{config.tests}/{path}" for path in sorted(paths)]


def _plan_tests(config: Config, tests: Mapping[str, str]) -> Plan:
    """Compare generated tests with the disk; below their directory, marked files are others'."""
    planned = plan(config.root / (config.tests or ""), tests)
    ours = (path for path in planned.stale if "/" not in path and path.startswith("test_"))
    return replace(planned, stale=(*ours,))


def _folder(project: Project, package: str) -> str:
    """Return where the files of a package go below `out`, with a slash at the end."""
    if package not in project.parts:
        hint = did_you_mean(package, project.parts) or f"packages: {', '.join(project.parts)}"
        message = f"there is no package {quoted(package)}"
        raise SchemaError([Diagnostic("E0003", message, None, hint)])
    return "".join(f"{part}/" for part in project.parts[package])


def understand(config: Config) -> tuple[Project, Mapping[str, str]]:
    """Do everything before rendering: return what the schemas mean, and the texts they are.

    Raises:
        SchemaError: What one stage found; what would break is found by the last.
    """
    found, _ = unbroken(config)
    return found.project, found.texts


@_uncollected()
def unbroken(config: Config) -> tuple[Settled, Loaded]:
    """Do the same, and return all of what is known.

    Raises:
        SchemaError: What one stage found; what would break is found by the last.
    """
    found, loaded = settled(config)
    if found.verdict.breaks:
        raise SchemaError(found.verdict.breaks, found.texts)
    return found, loaded


def settled(
    config: Config, terms: Terms | None = None, *, is_locking: bool = False
) -> tuple[Settled, Loaded]:
    """Read the schemas, and hold them against the lock. What breaks is in the verdict.

    Args:
        config: Of the project.
        terms: What may break; default: as it is configured.
        is_locking: As `promises.settle` takes it.

    Raises:
        SchemaError: What one stage found.
    """
    loaded = read(config)
    project = linked(config, loaded)
    _refuse_strangers(config, project)
    base, text = read_lock(config.root, config.lock)
    terms = terms or config.terms
    found = settle(project, loaded, base, text, terms, is_locking=is_locking)
    warnings = (*found.project.warnings, *_heeded(config, found.refolded, found.texts))
    return replace(found, project=replace(found.project, warnings=warnings)), loaded


def _heeded(
    config: Config, warnings: Iterable[Diagnostic], texts: Mapping[str, str]
) -> tuple[Diagnostic, ...]:
    """Return the warnings that the configuration does not ignore.

    Raises:
        SchemaError: It takes them for errors.
    """
    heeded = tuple(one for one in warnings if one.code not in config.ignore)
    if heeded and config.warnings_as_errors:
        raise SchemaError((replace(one, is_error=True) for one in heeded), texts)
    return heeded


def _refuse_strangers(config: Config, project: Project) -> None:
    """Refuse modes of packages that are none: what was meant would go by its default."""
    for package in config.terms.modes:
        if package not in project.parts:
            message = f"{config.file}: modes: there is no package {quoted(package)}"
            hint = did_you_mean(package, project.parts) or f"packages: {', '.join(project.parts)}"
            raise SchemaError([Diagnostic("E0003", message, None, hint)])


def read(config: Config) -> Loaded:
    """Read the schemas of a project, in YAML and in Python.

    Raises:
        SchemaError: What is wrong with them.
    """
    return load([config.root / path for path in config.schemas], config.root, _modules(config))


def linked(config: Config, loaded: Loaded) -> Project:
    """Link what was read, without a look at what was promised.

    Warnings that the configuration ignores are left out.

    Raises:
        SchemaError: What is wrong; with `warnings_as_errors`, also warnings.
    """
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
    return replace(project, warnings=_heeded(config, project.warnings, loaded.texts))


def _modules(config: Config) -> Modules | None:
    if not config.python_schemas:
        return None
    return Modules(config.python_schemas, config.root / config.out, config.out_module)


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
    yours = f" {len(report.yours)} of yours extended," if report.yours else ""
    return (
        f"{head}{counted(len(report.written), 'file')} written, {len(report.removed)} removed,"
        f"{yours} {report.unchanged} unchanged ({seconds:.2f} s)"
    )


def counted(number: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
