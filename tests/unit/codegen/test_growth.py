"""Proves that the work of a run grows as the project does.

Without these tests every package could do something for all the others, which nobody sees in a
project of three and which takes minutes in one of hundreds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from batpak_codegen.config import configure
from batpak_codegen.run import run
from tests.bench import domain


def calls(work: Callable[[], object]) -> int:
    """How many Python functions are called, which no load of the machine changes."""
    count = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def generated(folder: Path, events: int) -> int:
    config = configure(domain.project(folder, events) / "pyproject.toml")
    return calls(lambda: run(config, check=False))


@pytest.mark.parametrize(("per_package", "events"), [(2, 80), (400, 100)])
def test_twice_the_project_is_at_most_twice_the_work(
    per_package: int, events: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "EVENTS_PER_PACKAGE", per_package)
    generated(tmp_path / "warm", 1)
    few = generated(tmp_path / "few", events)
    many = generated(tmp_path / "many", 2 * events)
    assert many <= 2 * few
