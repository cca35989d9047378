"""The stamp: how `gen` knows that there is nothing to do, before it imports the compiler.

`.batpak/stamp` beside the configuration holds digests of everything the last run read and wrote,
and which generator that was. If all of it is as it was, the run would change nothing. The stamp
is a cache: it may be deleted at any time, `--check` never reads it, git does not see it.
This module imports the standard library only; that is what it is for.
"""

from __future__ import annotations

import json
import os
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from batpak_codegen.config import Config
    from batpak_codegen.run import Report

PLACE: Final = ".batpak/stamp"
_PYPROJECT: Final = "pyproject.toml"


class Told(NamedTuple):
    """What the last run counted, and its warnings as they were printed: plain, and in color."""

    counted: str
    warnings: str
    colored: str


def unchanged(file: Path | None = None, start: Path | None = None) -> Told | None:
    """Return what the last run told, if a run now would find everything as it left it.

    Args:
        file: The configuration that the user named, or None for the nearest one.
        start: Where to look from; default: here.
    """
    try:
        file = file or _nearest((start or Path.cwd()).absolute())
        if file is None:
            return None
        root = file.absolute().parent
        held = json.loads((root / PLACE).read_bytes())
        if held["file"] != file.name or held["generator"] != _generator():
            return None
        if held["until"] is not None and held["until"] < _today():
            return None
        found = _inputs(root, file.name, held["schemas"], held["files"])
        if held["inputs"] != _digests(found, root):
            return None
        out = root / held["out"]
        if held["outputs"] != _digests(_outputs(out), root):
            return None
        if held["beside"] != _digests((root / path for path in held["beside"]), root):
            return None
        return Told(*map(str, held["told"]))
    except (OSError, ValueError, KeyError, TypeError):  # none, half a one, of another make
        return None


def write(config: Config, report: Report, before: Mapping[str, str], begun: int) -> None:
    """Leave a stamp behind a run that has written everything.

    A file that cannot be written is no stamp, and no reason to fail.

    Args:
        config: Of the run.
        report: What it did.
        before: `digests` from before the run: what changed meanwhile was perhaps not read.
        begun: When that was, in nanoseconds.
    """
    place = config.root / PLACE
    with suppress(OSError):
        read = [config.root / path for path in report.read]
        read = [path for path in read if path.is_file()]
        if any(path.stat().st_mtime_ns >= begun for path in read):
            place.unlink(missing_ok=True)
            return
        counted = f"{report.packages} package{'s' * (report.packages != 1)}, "
        counted += f"{report.events} event{'s' * (report.events != 1)}: "
        counted += f"0 files written, 0 removed, {len(report.files)} unchanged"
        told = Told(counted, _spelled(report), _spelled(report, color=True))
        outputs = _outputs(config.root / config.out)
        paths = (config.root / path for path in report.beside)
        beside = [*(path for path in paths if path.is_file()), *read]
        held = {
            "file": config.file,
            "generator": _generator(),
            "schemas": config.schemas,
            "files": _files(config),
            "inputs": before,
            "until": None if config.until is None else config.until.isoformat(),
            "out": config.out,
            "outputs": _digests(outputs, config.root),
            "beside": _digests(beside, config.root),
            "told": told,
        }
        place.parent.mkdir(exist_ok=True)
        fresh = place.with_name(f"stamp.{os.getpid()}")
        fresh.write_text(json.dumps(held), encoding="utf-8")
        fresh.replace(place)


def _spelled(report: Report, *, color: bool = False) -> str:
    if not report.warnings:
        return ""
    from batpak_codegen.formats import spell

    return spell(report.warnings, report.texts, color=color)


def digests(config: Config) -> dict[str, str]:
    """Return the digest of every file that a run reads; nothing if one cannot be read."""
    try:
        return _digests(inputs(config), config.root)
    except OSError:
        return {}


def inputs(config: Config) -> list[Path]:
    """Return every file that a run reads, as far as the configuration tells.

    It does not tell what schema modules import; a run does.
    """
    return _inputs(config.root, config.file, config.schemas, _files(config))


def _files(config: Config) -> list[str]:
    """Return where the lock is, and where schema modules may be."""
    modules = [name.replace(".", "/") for name in config.python_schemas]
    return [config.lock, *(f"{name}{end}" for name in modules for end in (".py", "/__init__.py"))]


def _inputs(root: Path, file: str, schemas: Iterable[str], files: Iterable[str]) -> list[Path]:
    more = [path for path in (root / name for name in files) if path.is_file()]
    return [root / file, *_below([*(root / path for path in schemas), *more])]


def _nearest(start: Path) -> Path | None:
    """Return the configuration that a run without `--config` would find."""
    for folder in (start, *start.parents):
        path = folder / _PYPROJECT
        with suppress(OSError, ValueError, AttributeError):
            if "batpak" in tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}):
                return path
        if (folder / ".git").exists():
            return None
    return None


def _below(paths: Iterable[Path]) -> list[Path]:
    """Return the files at or below `paths`, sorted."""
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found |= {Path(at, name) for at, _, names in os.walk(path) for name in names}
        else:
            found.add(path)
    return sorted(found)


def _outputs(out: Path) -> Iterator[Path]:
    """Yield what `gen` looks at below `out`: the Python files, and the mark of typed packages."""
    for folder, folders, names in os.walk(out):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        yield from (
            Path(folder, name) for name in sorted(names) if name.endswith((".py", ".typed"))
        )


def _digests(paths: Iterable[Path], root: Path) -> dict[str, str]:
    return {
        os.path.relpath(path, root): blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for path in paths
    }


def _today() -> str:
    """Return the day that `until` of a suppression is held against."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def _generator() -> str:
    """Return what tells one make of the generator from another: its files, as they lie there."""
    digest = blake2b(digest_size=16)
    home = Path(__file__).parent
    for path in _below([home]):
        if path.suffix in (".py", ".jinja"):
            told = path.stat()
            name = path.relative_to(home).as_posix()
            digest.update(f"{name} {told.st_size} {told.st_mtime_ns}\n".encode())
    return digest.hexdigest()
