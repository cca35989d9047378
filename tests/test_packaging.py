"""What an installation holds and what an import costs.

Without this, one stray import would make every program that stores an event load pydantic, and a
file left out of the wheel would be found by the first user.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
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
BROUGHT = {  # by each extra, of what one of them brings
    "": set[str](),
    "cli": {"typer", "rich"},
    "gen": {"typer", "rich", "jinja2", "yaml", "libcst"},
    "sign": {"cryptography"},
}
MISSING = {  # a command that an extra does not bring, and the one that does
    "": (["verify", "x.store"], "batpak[cli]"),
    "cli": (["check"], "batpak[gen]"),
    "gen": (["key", "new", "k.pem"], "batpak[sign]"),
    "sign": (["verify", "x.store"], "batpak[cli]"),
}


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


def built(source: Path, out: Path, *targets: str) -> list[Path]:
    """Build from a folder, as `pip` and `build` do, but without fetching anything."""
    pytest.importorskip("hatchling", reason="the extra dev brings it")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", out, *targets],
        cwd=source,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
        check=True,
        capture_output=True,
    )
    return sorted(out.iterdir())


def checkout(target: Path) -> Path:
    """Copy what git knows."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in listed:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
    return target


def test_the_wheel_holds_types_templates_licences_and_no_test(tmp_path: Path) -> None:
    (wheel,) = built(ROOT, tmp_path, "-t", "wheel")

    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read("batpak-0.1.0.dist-info/METADATA").decode()
    licences = {name for name in names if "/licenses/" in name}
    assert names >= {"batpak/py.typed", "batpak_codegen/py.typed", "batpak_command/main.py"}
    assert "batpak_codegen/templates/machine.py.jinja" in names
    assert {Path(name).name for name in licences} == {"LICENSE-MIT", "LICENSE-APACHE"}
    assert not {name.partition("/")[0] for name in names} & {"tests", "docs", "schemas"}
    assert "License-Expression: MIT OR Apache-2.0\n" in metadata
    assert "Classifier: Typing :: Typed\n" in metadata
    assert "Project-URL" not in metadata
    needs = re.findall(r"^Requires-Dist: ([a-z0-9-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert set(needs) == ALLOWED


@pytest.mark.slow
def test_wheel_and_sdist_are_the_same_bytes_wherever_they_are_built(tmp_path: Path) -> None:
    one, two = checkout(tmp_path / "one"), checkout(tmp_path / "other-name")
    for path in two.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)

    first = built(one, tmp_path / "a")
    second = built(two, tmp_path / "b")

    wheel, sdist = first
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    (again,) = built(folder, tmp_path / "c", "-t", "wheel")
    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("extra", BROUGHT, ids=lambda extra: extra or "bare")
def test_each_extra_alone_installs_and_says_what_is_missing(tmp_path: Path, extra: str) -> None:
    (wheel,) = built(ROOT, tmp_path / "dist", "-t", "wheel")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    what = f"{wheel}[{extra}]" if extra else str(wheel)
    subprocess.run([python, "-m", "pip", "install", "-q", what], check=True, capture_output=True)

    def ran(*words: str | Path) -> tuple[int, str]:
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    script = python.with_name("batpak")
    command, needed = MISSING[extra]
    code, text = ran(script, *command)

    assert ran(script, "--version") == (0, "batpak 0.1.0\n")
    assert ran(python, "-I", "-c", "from batpak import *; from batpak.abi import *") == (0, "")
    assert {
        name
        for name in set().union(*BROUGHT.values())
        if not ran(python, "-Ic", f"import {name}")[0]
    } == BROUGHT[extra]
    assert (code, needed in text, "Traceback" in text) == (2, True, False)
