"""Where files go that are not below `out`: users' hooks files, and generated tests.

Paths are relative to the project, with slashes. Both are text of the configuration, so both are
held to stay inside the project and out of `out`, in which everything is ours.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from os.path import realpath
from pathlib import Path
from typing import Final

from batpak_codegen.diagnostic import Diagnostic, SchemaError, quoted
from batpak_codegen.names import KEYWORDS

HOOKS: Final = "{out}/../{package}_hooks.py"


def inside(root: Path, out: str, key: str, path: str) -> str:
    """Return a path of the configuration in its shortest form.

    Raises:
        SchemaError: E0704, it leads out of the project; E0003, into `out`.
    """
    short = posixpath.normpath(path)
    away = path.startswith(("/", "~")) or "\\" in path or short.split("/")[0] == ".."
    if away or not Path(realpath(root / short)).is_relative_to(realpath(root)):
        hint = "a path below the configuration file, with slashes"
        raise _refused("E0704", f"{key} {quoted(path)} leads out of the project", hint)
    if posixpath.commonpath([short, out]) == out:
        hint = f"everything in {out} is generated; choose another place"
        raise _refused("E0003", f"{key} {quoted(path)} is inside out", hint)
    return short


def elsewhere(root: Path, out: str, other: Path) -> Path:
    """Return another output directory as it is, absolute.

    Raises:
        SchemaError: E0006, it holds the one of the project or is inside it: of two that are
            nested, each would take the other's files for stale ones of its own.
    """
    own, real = Path(realpath(root / out)), Path(realpath(other))
    if real != own and (own.is_relative_to(real) or real.is_relative_to(own)):
        where = "inside" if real.is_relative_to(own) else "around"
        message = f"{quoted(str(other))} is {where} {out}, where the project has its own"
        raise _refused("E0006", message, "choose a directory beside it")
    return other.absolute()


def hooks_pattern(root: Path, out: str, pattern: str) -> str:
    """Return `hooks` with everything but `{package}` filled in.

    Raises:
        SchemaError: E0003, it names one file for all packages, or none of Python; as `inside`.
    """
    filled = pattern.replace("{out}", out)
    name = filled.rpartition("/")[2]
    if "{package}" not in name or set("{}") & set(filled.replace("{package}", "")):
        hint = f'like hooks = "{HOOKS}"'
        raise _refused("E0003", f"hooks {quoted(pattern)} has no {{package}} in its name", hint)
    if not name.endswith(".py"):
        raise _refused("E0003", f"hooks {quoted(pattern)} is no Python file", "end it with .py")
    return inside(root, out, "hooks", filled)


def hooks_files(pattern: str, packages: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return package → its hooks file; `packages` says where each goes below `out`.

    Raises:
        SchemaError: E0003, two packages would share a file.
    """
    found = {name: pattern.replace("{package}", "_".join(at)) for name, at in packages.items()}
    return _apart("hooks", found)


def test_files(packages: Sequence[str]) -> dict[str, str]:
    """Return package → its test file, below the directory of tests.

    Raises:
        SchemaError: E0003, two packages would share a file.
    """
    found = {name: f"test_{name.replace('.', '_')}.py" for name in packages}
    return _apart("tests", found)


def _apart(key: str, files: dict[str, str]) -> dict[str, str]:
    owner: dict[str, str] = {}
    for package, path in files.items():
        if owner.setdefault(path, package) != package:
            message = f"{key}: packages {owner[path]} and {package} would share {quoted(path)}"
            raise _refused("E0003", message, "rename one of them")
    return files


def module_of(path: str, out: str, out_module: str) -> str:
    """Return what a file is imported as, beside an `out` that is imported as `out_module`.

    Raises:
        SchemaError: E0003, it cannot be imported from where `out` is.
    """
    depth = len(out_module.split("."))
    parts = out.split("/")
    above = parts[:-depth] if parts[-depth:] == out_module.split(".") else []
    words = path.removesuffix(".py").split("/")
    names = words[len(above) :]
    if words[: len(above)] != above or not all(map(_is_name, names)):
        hint = f"put it beside {out}"
        raise _refused("E0003", f"hooks {quoted(path)} cannot be imported", hint)
    return ".".join(names)


def _is_name(word: str) -> bool:
    return word.isascii() and word.isidentifier() and word not in KEYWORDS


def _refused(code: str, message: str, hint: str) -> SchemaError:
    return SchemaError([Diagnostic(code, message, None, hint)])
