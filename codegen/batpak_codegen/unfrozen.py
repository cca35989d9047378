"""What is not frozen yet: lines that the lock lacks, and bytes that generated tests would read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from batpak_codegen.config import Config
from batpak_codegen.diagnostic import Diagnostic, SchemaError, quoted
from batpak_codegen.freeze import Freeze
from batpak_codegen.frozen_bytes import payload
from batpak_codegen.promises import Settled
from batpak_codegen.shape import ShapeField


class Unfrozen(Struct, frozen=True):
    """Lines for the lock, and path → rows for a file of frozen bytes; of whom kinds are."""

    lines: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """The same to a reader."""
        rest = [line for line in self.lines if not line.startswith(("shape", "wire"))]
        shapes = [line.split(" ")[1:3] for line in self.lines if line.startswith("shape")]
        found = [f"{self.names[kind]} {revision} ({kind})" for kind, revision in shapes]
        found += [f"`{' '.join(line.split(' ')[:3])}`" for line in rest if not shapes]
        found += [
            f"{path} ({len(rows)} line{'s' * (len(rows) != 1)})" for path, rows in self.rows.items()
        ]
        return tuple(
            Diagnostic("E0809", f"{what} is not frozen", None, "run batpak lock and commit it")
            for what in found
        )


def unfrozen(config: Config, settled: Settled) -> Unfrozen:
    """Return what `batpak lock` would write.

    Raises:
        SchemaError: E0005, a file of frozen bytes cannot be read.
    """
    rows = _rows(config.root, config.tests, settled) if config.tests else {}
    kinds = settled.freezing.lock.kinds
    names = {f"0x{kind:04x}": name for kind, (name, *_) in kinds.items()}
    return Unfrozen(settled.freezing.added, rows, names)


def _rows(root: Path, tests: str, settled: Settled) -> dict[str, tuple[str, ...]]:
    lock, declared = settled.freezing.lock, settled.freezing.declared
    shapes = _promised(settled.freezing)
    found: dict[str, tuple[str, ...]] = {}
    for package in settled.project.packages:
        path = f"{tests}/{package.name.replace('.', '_')}.frozen"
        known = _known(root / path)
        kinds = {
            kind
            for kind, names in lock.kinds.items()
            for name in names
            if name.rpartition(".")[0] == package.name
        }
        rows = tuple(
            f"0x{kind:04x} {version}.{revision} {payload(lock, shape, declared).hex()}"
            for (kind, version, revision), shape in sorted(shapes.items())
            if kind in kinds and f"0x{kind:04x} {version}.{revision}" not in known
        )
        if rows:
            found[path] = rows
    return found


def _promised(freezing: Freeze) -> dict[tuple[int, int, int], tuple[ShapeField, ...]]:
    """Return every frozen shape; what is declared now has its fields in declared order."""
    lock = freezing.lock
    found = {key: next(iter(shapes.values())).shape for key, shapes in lock.shapes.items()}
    for promise in freezing.promises.values():
        found[promise.kind, promise.version, promise.revision] = promise.shape
    return found


def _known(path: Path) -> set[str]:
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {quoted(path.name)}: {error}"
        raise SchemaError([Diagnostic("E0005", message)]) from error
    return {row.rpartition(" ")[0] for row in rows if not row.startswith("#")}
