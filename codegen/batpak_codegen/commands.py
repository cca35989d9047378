"""What the commands do: a configuration in, what there is to say out."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from batpak_codegen import canary, catalog, numbering, page, stamp, versions, whole_file
from batpak_codegen.canonical import canonical
from batpak_codegen.captures import captures
from batpak_codegen.changelog import changelog
from batpak_codegen.config import Config, allowing
from batpak_codegen.console import Outcome, Reason
from batpak_codegen.diagnostic import Diagnostic, SchemaError, printable
from batpak_codegen.run import Report, counted, run, summary, unbroken, understand
from batpak_codegen.source import yaml_text
from batpak_codegen.source.load import read_texts
from batpak_codegen.unsealed import unsealed


class Request(Struct, frozen=True):
    """What `gen` was asked for.

    `check`, `diff` and `list_outputs` write nothing. With `out` only that other folder counts, with
    `package` only the files of that package. Without `stubs` users' files are left alone, without
    `tests` generated tests. `modules` are schema modules to load beside those of the configuration;
    `release` accepts nothing that is unfinished.
    """

    check: bool = False
    diff: bool = False
    list_outputs: bool = False
    package: str | None = None
    out: Path | None = None
    depfile: Path | None = None
    stubs: bool = True
    tests: bool = True
    modules: tuple[str, ...] = ()
    release: bool = False


def gen(config: Config, request: Request) -> Outcome:
    """Write what is out of date; or say what is, in the form that was asked for.

    Raises:
        SchemaError: What one stage found; nothing was written.
    """
    started = time.perf_counter()
    dry = request.check or request.diff or request.list_outputs
    begun, before = time.time_ns(), stamp.digests(config)
    config = allowing(config, request.modules)
    if not request.tests:
        config = replace(config, tests=None)
    report = run(
        config,
        check=dry,
        package=request.package,
        stubs=request.stubs,
        out=request.out,
        release=request.release,
        vet=lambda report: _refuse_depfile(request.depfile, report, config),
    )
    if request.depfile is not None:
        _write_depfile(request.depfile, report, config)
    if request.list_outputs:
        listed = "".join(f"{_shown(path, report)}\n" for path in sorted(report.files))
        return Outcome(product=listed, diagnostics=report.warnings, texts=report.texts)
    if dry:
        return _compared(report, config, request, time.perf_counter() - started)
    if replace(request, depfile=None, release=False) == Request():
        stamp.write(config, report, before, begun)
    said = summary(report, time.perf_counter() - started, check=False)
    details = [f"{_shown(path, report)} written" for path in report.written]
    details += [f"{path} extended" for path in report.yours]
    details += [f"{_shown(path, report)} removed" for path in report.removed]
    return Outcome("", said, tuple(details), report.warnings, report.texts, read=report.read)


def _shown(path: str, report: Report) -> str:
    """Return a path of a report as it is below the root, or absolute."""
    return path if path in report.beside else f"{report.out}/{path}"


def _compared(report: Report, config: Config, request: Request, seconds: float) -> Outcome:
    reason: Reason | None = "drift" if report.drift else None
    product = _diff(report, config) if request.diff else ""
    told = report.drift if request.check or not request.diff else ()
    said = "" if report.drift else summary(report, seconds, check=True)
    return Outcome(product, said, (), (*told, *report.warnings), report.texts, reason)


def _diff(report: Report, config: Config) -> str:
    """Return what `gen` would change, as a unified diff."""
    lines: list[str] = []
    for path in report.changed:
        shown = _shown(path, report)
        file = config.root / shown
        old = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        new = report.files.get(path, "")
        before = f"a/{shown}" if old else "/dev/null"
        after = f"b/{shown}" if path in report.files else "/dev/null"
        rows = old.splitlines(keepends=True), new.splitlines(keepends=True)
        lines += difflib.unified_diff(*rows, before, after)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _refuse_depfile(file: Path | None, report: Report, config: Config) -> None:
    """Refuse a depfile that would take the place of something else, before anything is written."""
    if file is None:
        return
    others = [config.root / path for path in (*report.read, *report.beside)]
    others += (config.root / _shown(path, report) for path in report.files)
    if file.resolve() in {path.resolve() for path in (*others, *stamp.inputs(config))}:
        message = f"{printable(str(file))} is what a run reads or writes, and no depfile"
        raise SchemaError([Diagnostic("E0003", message, None, "name a file of its own")])


def _write_depfile(file: Path, report: Report, config: Config) -> None:
    """Write what each output is made from, the way `make` and `ninja` read it."""
    targets = [config.root / _shown(path, report) for path in sorted(report.files)]
    read = [config.root / path for path in report.read]
    yours = {config.root / path for path in report.yours}
    inputs = {*stamp.inputs(config), *(path for path in read if path.is_file())}
    made = " ".join(_escaped(path) for path in targets if path not in yours)
    sources = " ".join(map(_escaped, sorted(inputs)))
    try:
        file.write_text(f"{made}: {sources}\n", encoding="utf-8")
    except OSError as error:
        message = f"cannot write {printable(str(file))}: {error.strerror}"
        raise SchemaError([Diagnostic("E0703", message)]) from error


def _escaped(path: Path) -> str:
    return str(path).replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ")


def check(
    config: Config, paths: Sequence[Path] = (), *, release: bool = False, types: bool = False
) -> Outcome:
    """Do everything that can find an error of the schemas, and write nothing.

    Args:
        config: Which schemas there are; all of them are read, since they import each other.
        paths: Files or folders; findings elsewhere are only counted.
        release: Accept nothing that is unfinished; for that, users' files are read as well.
        types: Also ask the type checkers that are here whether they see the generated types.

    Raises:
        SchemaError: What one stage found.
    """
    started = time.perf_counter()
    try:
        if release:
            run(config, check=True, release=True)
        project, texts = understand(config)
    except SchemaError as error:
        if not paths:
            raise
        raise SchemaError(_near(error.diagnostics, config, paths), error.texts) from error
    events = sum(len(package.events) for package in project.packages)
    seconds = time.perf_counter() - started
    head = f"{counted(len(project.packages), 'package')}, {counted(events, 'event')}"
    details = tuple(f"{path} read" for path in sorted(texts) if texts[path])
    found = _near(project.warnings, config, paths) if paths else project.warnings
    said = f"{head}: all well ({seconds:.2f} s)"
    if not types:
        return Outcome("", said, details, found, texts)
    blind, lost, open_ = canary.sing(config, project), captures(config), unsealed(config, project)
    texts = {**texts, **lost.texts, **open_.texts}
    loose = [one for one in (*lost.found, *open_.found) if one.code not in config.ignore]
    strict = config.warnings_as_errors
    found = (*found, *(replace(one, is_error=strict or one.is_error) for one in loose), *blind)
    if blind or (strict and loose):
        return Outcome("", "", details, found, texts, "schema")
    return Outcome("", said, details, found, texts)


def fmt(config: Config, paths: Sequence[Path], *, check: bool) -> Outcome:
    """Bring schemas into their one order and spelling.

    Args:
        config: Which schemas there are.
        paths: Files or folders; none: all schemas.
        check: Write nothing; say which would change.

    Raises:
        SchemaError: A file cannot be read or replaced, or is no YAML; E0703, one was saved by
            somebody else since it was read.
    """
    started = time.perf_counter()
    named = [path.absolute() for path in paths]
    texts = read_texts(named or [config.root / path for path in config.schemas], config.root)
    shaped = {path: canonical(text, path) for path, text in texts.items()}
    changed = [path for path in texts if shaped[path] != texts[path]]
    if check and changed:
        hint = "run batpak fmt"
        message = "is not in the order and spelling of batpak fmt"
        found = tuple(Diagnostic("E0706", f"{path} {message}", None, hint) for path in changed)
        return Outcome(diagnostics=found, reason="drift")
    for path in changed:
        whole_file.edit(config.root / path, shaped[path], texts[path])
    seconds = time.perf_counter() - started
    rest = f"{len(texts) - len(changed)} unchanged ({seconds:.2f} s)"
    said = f"{counted(len(changed), 'file')} formatted, {rest}"
    return Outcome("", said, tuple(f"{path} formatted" for path in changed))


def next_id(config: Config, name: str, *, write: bool) -> Outcome:
    """Propose the number of an event; with `write`, put it into the schema.

    Raises:
        SchemaError: The name is none, the package is unknown, or no number is free.
    """
    texts = read_texts([config.root / path for path in config.schemas], config.root)
    found = numbering.next_id(name, texts)
    if write:
        yaml_text.parse(found.text, found.path)
        whole_file.edit(config.root / found.path, found.text, texts[found.path])
    return Outcome(f"0x{found.number:03x}\n")


def docs(
    config: Config, form: Literal["md", "html"], out: Path | None, against: str | None = None
) -> Outcome:
    """Write the catalog, as one file in `out`, or to standard output.

    Args:
        config: Which schemas there are.
        form: In which language.
        out: The folder of the file, or None.
        against: Begin with what is different since then: `lock`, `git:REF` or a directory.

    Raises:
        SchemaError: What one stage found; E0703, the file cannot be written; E0003, there is
            nothing to compare with.
    """
    found, _ = unbroken(config)
    project, texts = found.project, found.texts
    blocks = catalog.catalog(project)
    if against is not None:
        base = found.freezing.base
        if against != "lock":
            base, _ = versions.promised(config, against, base)
        blocks = [*changelog(project, found.freezing, base, against), *blocks]
    text = catalog.markdown(blocks) if form == "md" else page.html(blocks)
    if out is None:
        return Outcome(text, "", (), project.warnings, texts)
    file = out / f"catalog.{form}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {printable(str(file))}: {error.strerror}"
        raise SchemaError([Diagnostic("E0703", message)]) from error
    return Outcome("", f"{file} written", (), project.warnings, texts)


def _near(
    found: tuple[Diagnostic, ...], config: Config, paths: Sequence[Path]
) -> tuple[Diagnostic, ...]:
    """Return what was found in some files; of the rest, how much it is."""
    wanted = [path.resolve() for path in paths]

    def here(diagnostic: Diagnostic) -> bool:
        if diagnostic.span is None:
            return True
        file = (config.root / diagnostic.span.path).resolve()
        return any(file.is_relative_to(path) for path in wanted)

    shown = tuple(diagnostic for diagnostic in found if here(diagnostic))
    rest = [diagnostic for diagnostic in found if not here(diagnostic)]
    if rest and not shown:
        message = f"{counted(len(rest), 'finding')} in other files"
        shown = (Diagnostic(rest[0].code, message, None, "run batpak check without a path"),)
    return shown
