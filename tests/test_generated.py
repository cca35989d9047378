"""Committed generated code is what the schemas say today.

Without this, `batpak/system.py` or an example could drift from its schema, and the first user to
regenerate would get somebody else's change. On a difference the fresh text is written *and* the
test fails: the fix is already in the work tree.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from batpak_codegen import run, versions
from batpak_codegen.config import configure

ROOT = Path(__file__).parents[1]
PROJECTS = [ROOT, *sorted(path.parent for path in ROOT.glob("examples/*/schemas"))]


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_generated_files_are_current(project: Path) -> None:
    config = configure(project / "pyproject.toml")

    stale = run.run(config, check=True)

    if stale.changed:
        run.run(config, check=False)
    assert stale.changed == ()


def test_the_system_module_is_made_by_the_same_command_as_everything_else(tmp_path: Path) -> None:
    (tmp_path / "batpak").mkdir()
    (tmp_path / "batpak" / "__init__.py").touch()
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    run.run(configure(tmp_path / "pyproject.toml"), check=False)

    fresh = (tmp_path / "batpak" / "system.py").read_text(encoding="utf-8")
    assert fresh == (ROOT / "batpak" / "system.py").read_text(encoding="utf-8")


def test_our_own_events_are_frozen() -> None:
    config = configure(ROOT / "pyproject.toml")

    assert versions.lock(config, check=True).diagnostics == ()
