"""A project on disk whose schema is changed again and again, as a user changes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batpak_codegen import run, versions
from batpak_codegen.config import Config, configure
from batpak_codegen.diagnostic import Diagnostic, SchemaError
from tests import warm

TABLE = '[tool.batpak]\nout = "shop/gen"\npackage_root = "shop"\ntests = "tests/batpak"\n'
HEAD = "batpak: 1\npackage: shop.orders\ncategory: 0x2\n"
LOCK = "schemas/batpak.lock"


class World:
    """A project below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "schemas").mkdir()
        (root / "shop").mkdir()
        (root / "shop" / "__init__.py").touch()
        self.table()

    def table(self, more: str = "") -> None:
        (self.root / "pyproject.toml").write_text(TABLE + more)

    @property
    def config(self) -> Config:
        return configure(self.root / "pyproject.toml")

    @property
    def lines(self) -> list[str]:
        """The facts of the lock."""
        lines = (self.root / LOCK).read_text().splitlines()
        return [line for line in lines if not line.startswith("#")]

    def schema(self, body: str) -> None:
        (self.root / "schemas" / "orders.batpak.yaml").write_text(HEAD + body)

    def freeze(self, body: str | None = None) -> None:
        """Write a schema, freeze it and generate its code, as a release does."""
        if body is not None:
            self.schema(body)
        versions.lock(self.config, check=False)
        run.run(self.config, check=False)

    def refused(self, body: str) -> tuple[Diagnostic, ...]:
        """What `gen` says about a schema."""
        self.schema(body)
        with pytest.raises(SchemaError) as caught:
            run.run(self.config, check=True)
        return caught.value.diagnostics

    def breaks(self, body: str, against: str = "lock") -> tuple[Diagnostic, ...]:
        """What `compat` says about a schema."""
        self.schema(body)
        return self.breaks_now(against)

    def breaks_now(self, against: str = "lock") -> tuple[Diagnostic, ...]:
        """What `compat` says about the schema that is there."""
        return versions.compat(self.config, against).diagnostics

    def python(self, code: str) -> str:
        """Run a program with the generated code of this moment; return what it prints."""
        path = os.pathsep.join([str(self.root), *sys.path])
        ran = warm.run(["-c", code], self.root, os.environ | {"PYTHONPATH": path})
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def batpak(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        path = os.pathsep.join([str(self.root), *sys.path])
        env = os.environ | {"PYTHONPATH": path, "COLUMNS": "200", "GITHUB_ACTIONS": ""}
        return warm.run(["-m", "batpak", *words], self.root, env)

    def git(self, *words: str) -> str:
        ran = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


def codes(found: tuple[Diagnostic, ...]) -> list[str]:
    return [diagnostic.code for diagnostic in found]
