"""What the checkers are shown, in one run of each, and what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.typing.checked import ROOT, Found, ended, run_mypy, start_pyright
from tests.typing.growing import grow

CASES = sorted((ROOT / "tests/typing/cases").glob("*.py"))
LEGAL = [ROOT / "tests/typing/legal.py"]
GENERATED = sorted((ROOT / "tests/golden/cases_out").glob("*/expected/**/*.py"))


class Checked(NamedTuple):
    """What one checker rejected of all that it was shown."""

    checker: str
    found: Found

    def within(self, files: list[Path]) -> Found:
        """What it rejected of some files."""
        return {place: codes for place, codes in self.found.items() if place[0] in files}


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that grows: before, when its schema has grown, and when its user has followed."""
    folder = tmp_path_factory.mktemp("projects")
    grow(folder)
    return folder


@pytest.fixture(scope="session")
def runs(projects: Path) -> Iterator[dict[str, Callable[[], Found]]]:
    """Both checkers. Pyright begins at once, so that they run beside each other."""
    files = [*CASES, *LEGAL, *GENERATED, *sorted(projects.glob("*/*.py"))]
    pyright = start_pyright(files, projects)
    yield {
        "mypy": lambda: run_mypy(files, projects),
        "pyright": lambda: ended(pyright, len(files)),
    }
    pyright.kill()
    pyright.wait()


@pytest.fixture(scope="session", params=["mypy", "pyright"])
def checked(request: pytest.FixtureRequest, runs: dict[str, Callable[[], Found]]) -> Checked:
    """What one checker says."""
    return Checked(request.param, runs[request.param]())
