"""What an installation holds and what an import costs.

Without this, one stray import would make every program that stores an event load pydantic, and a
file left out of the wheel would be found by the first user.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = {
    "typer",
    "rich",
    "pydantic",
    "jinja2",
    "yaml",
    "libcst",
    "cryptography",
    "asyncio",
    "sqlite3",
}
ALLOWED = {"msgspec", "blake3"}


def loaded_by(statement: str) -> set[str]:
    script = (
        f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    return set(ran.stdout.split())


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("statement", ["from batpak import *", "from batpak.abi import *"])
def test_importing_the_runtime_loads_no_extra(statement: str) -> None:
    loaded = roots(loaded_by(statement))

    assert loaded & EXTRAS == set()
    assert loaded >= {"batpak", "msgspec", "blake3"}


def test_what_events_import_loads_no_engine() -> None:
    loaded = loaded_by("from batpak import EventKind, EventPayload, FormerPayload, abi, override")

    rooms = {name.split(".")[1] for name in loaded if name.startswith("batpak.")}
    assert not rooms & {"disk", "journal", "index", "commit", "read", "store", "guard", "signing"}
    assert len(rooms) < 20


def test_the_generator_does_not_load_the_runtime() -> None:
    loaded = loaded_by("import batpak_codegen.run")

    assert "batpak" not in roots(loaded)


def test_the_runtime_depends_on_msgspec_and_blake3_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    names = {re.split(r"[^A-Za-z0-9_-]", need)[0] for need in project["dependencies"]}

    assert names == ALLOWED


def test_nothing_committed_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    places = re.compile(
        r"/(?:home|root|Users)/\w|(?:index-url|extra-index-url|registry)\s*=\s*\S*://"
    )

    guilty = [
        name
        for name in listed
        if Path(name).suffix in {".py", ".md", ".toml", ".yaml", ".cfg", ""}
        and name != "tests/test_packaging.py"
        and places.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]

    assert guilty == []
