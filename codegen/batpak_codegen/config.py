"""`[tool.batpak]` of a project: what to read, where to write, and what may not break.

Every key is checked here, so that nobody else has to ask whether a path leads out of the project.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os.path import realpath
from pathlib import Path
from typing import Final

from msgspec import Struct, ValidationError, convert
from msgspec.structs import fields, replace

from batpak_codegen import names
from batpak_codegen.codes.table import CODES
from batpak_codegen.compat import Mode, Suppression
from batpak_codegen.diagnostic import Diagnostic, SchemaError, did_you_mean, quoted
from batpak_codegen.places import HOOKS, hooks_pattern, inside
from batpak_codegen.promises import Terms

PYPROJECT: Final = "pyproject.toml"
LOCK: Final = "batpak.lock"
KEYS: Final = (
    *("schemas", "python_schemas", "out", "out_module", "package_root", "system", "hooks", "tests"),
    *("lock", "mode", "modes", "suppress", "ignore", "warnings_as_errors"),
)
_WARNINGS: Final = [code for code in CODES if code.startswith("W")]
_RULES: Final = [code for code in CODES if code.startswith("C")]
_PATH: Final = "a path below the configuration file, with slashes"
_MINIMAL: Final = 'at least: [tool.batpak] out = "myapp/gen"'


class Config(Struct, frozen=True):
    """`[tool.batpak]` of one project. Paths are relative to `root`, with slashes.

    `file` is the name of the file that says so, in `root`; `ignore` are codes of warnings; `until`
    is the first day on which a suppression ends, and with it what this says.
    """

    root: Path
    schemas: tuple[str, ...]
    out: str
    out_module: str
    package_root: str = ""
    system: bool = False
    hooks: str = "{package}_hooks.py"  # with everything but `{package}` filled in
    tests: str | None = None
    lock: str = LOCK
    terms: Terms = Terms()
    ignore: tuple[str, ...] = ()
    warnings_as_errors: bool = False
    file: str = PYPROJECT
    python_schemas: tuple[str, ...] = ()
    until: dt.date | None = None


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
    hooks: str = HOOKS
    tests: str | None = None
    lock: str | None = None
    mode: Mode = "backward_transitive"
    modes: dict[str, Mode] = {}
    suppress: tuple[_Suppress, ...] = ()
    ignore: tuple[str, ...] = ()
    warnings_as_errors: bool = False
    python_schemas: tuple[str, ...] = ()


_TAKES: Final[Mapping[object, str]] = {
    str: "text in quotes",
    str | None: "text in quotes",
    bool: "true or false",
    tuple[str, ...]: 'a list of texts: ["…"]',
    Mode: "backward_transitive or full_transitive",
    dict[str, Mode]: "a table of packages and modes",
    tuple[_Suppress, ...]: "tables with `rule`, `target`, `reason` and a date, `until`",
}


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
    hint = "go to the folder of the project, or begin one: batpak init"
    raise _refused("E0003", f"no {PYPROJECT} with [tool.batpak] here or above", hint)


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
    if "out" not in table:
        raise _refused("E0003", f"{file}: [tool.batpak] has no `out`", _MINIMAL)
    if misfits := [*_misfits(table, file)]:
        raise SchemaError(misfits)
    given = convert(table, _Keys)
    out = given.out
    if out.startswith(("/", "~")) or "\\" in out or ".." in out.split("/"):
        raise _refused("E0704", f"{file}: out {quoted(out)} leads out of the project", _PATH)
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
        hooks_pattern(root, out, given.hooks),
        inside(root, out, "tests", given.tests) if given.tests else None,
        _lock(root, out, given, file),
        Terms(given.mode, given.modes, _suppressions(given.suppress, file)),
        given.ignore,
        given.warnings_as_errors,
        file,
        _module_names(given.python_schemas, file),
        min((one.until for one in given.suppress), default=None),
    )


def allowing(config: Config, modules: Sequence[str]) -> Config:
    """Return the configuration with more schema modules that may be loaded.

    Raises:
        SchemaError: E0003 for one that cannot be imported.
    """
    more = _module_names(tuple(modules), "--allow-import")
    return replace(config, python_schemas=tuple(dict.fromkeys((*config.python_schemas, *more))))


def _module_names(modules: tuple[str, ...], file: str) -> tuple[str, ...]:
    for module in modules:
        if not all(map(_is_identifier, module.split("."))):
            message = f"{file}: schema module {quoted(module)} cannot be imported"
            raise _refused("E0003", message, "name it as an import does: shop.schema")
    return modules


def _unknown(key: str, file: str) -> Diagnostic:
    hint = did_you_mean(key, KEYS) or f"keys: {', '.join(KEYS)}"
    return Diagnostic("E0002", f"{file}: unknown key {quoted(key)} in [tool.batpak]", None, hint)


def _misfits(table: Mapping[str, object], file: str) -> Iterator[Diagnostic]:
    for field in fields(_Keys):
        if field.name in table:
            try:
                convert(table[field.name], field.type)
            except ValidationError:
                message = f"{file}: `{field.name}` takes {_TAKES[field.type]}"
                yield Diagnostic("E0003", message)


def _refuse_ignored(codes: Iterable[str], file: str) -> None:
    for code in codes:
        if code not in _WARNINGS:
            message = f"{file}: {quoted(code)} cannot be ignored"
            hint = did_you_mean(code, _WARNINGS) if code.startswith("W") else None
            other = "ignore lists codes of warnings, like W0402"
            raise _refused("E0003", message, hint or other)


def _lock(root: Path, out: str, given: _Keys, file: str) -> str:
    """Return where the lock is; if nobody says, in the first directory of schemas."""
    if given.lock:
        lock = _below(root, given.lock, f"lock {quoted(given.lock)}", file, _PATH)
    else:
        first = given.schemas[0] if given.schemas else "."
        folder = first if (root / first).is_dir() else Path(first).parent.as_posix()
        hint = f'say where the lock file is: lock = "{LOCK}"'
        lock = _below(root, f"{folder}/{LOCK}", f"schemas {quoted(first)}", file, hint)
    if f"{lock}/".startswith(f"{out}/"):
        message = f"{file}: lock {quoted(lock)} is inside out"
        raise _refused("E0003", message, f"everything in {out} is generated; say another place")
    return lock


def _below(root: Path, path: str, what: str, file: str, hint: str) -> str:
    if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/"):
        raise _refused("E0704", f"{file}: {what} leads out of the project", hint)
    if not Path(realpath(root / path)).is_relative_to(realpath(root)):
        message = f"{file}: {what} is behind a link that leads out of the project"
        raise _refused("E0704", message)
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _suppressions(given: tuple[_Suppress, ...], file: str) -> tuple[Suppression, ...]:
    """Return what may break; one whose day has come is an error."""
    today = dt.datetime.now(dt.UTC).date()
    for one in given:
        if one.rule not in _RULES:
            message = f"{file}: suppress: there is no rule {quoted(one.rule)}"
            raise _refused("E0003", message, f"rules are {_RULES[0]} to {_RULES[-1]}")
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
