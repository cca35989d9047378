"""Each small program prints what it says that it prints.

They are what people read to learn one thing; without this the one thing would stop being true.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from small.__main__ import PROGRAMS, program

EXAMPLE = Path(__file__).parents[2] / "examples" / "small"
LINES_MAX = 60


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_small_program_prints_what_its_docstring_says(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (EXAMPLE / "small" / f"{name}.py").read_text(encoding="utf-8")
    doc = text.split('"""')[1]
    told = doc.partition(f"$ python -m small {name}\n")[2]

    program(name)(tmp_path)

    assert capsys.readouterr().out.splitlines() == told.splitlines()
    assert len(text.splitlines()) <= LINES_MAX


def test_the_list_of_examples_has_every_folder() -> None:
    readme = (EXAMPLE.parent / "README.md").read_text(encoding="utf-8")

    folders = sorted(path.parent.name for path in EXAMPLE.parent.glob("*/pyproject.toml"))

    assert sorted(re.findall(r"^\| \[(\w+)\]\(\1\)", readme, re.MULTILINE)) == folders


def test_the_readme_lists_every_program_with_what_it_teaches() -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")

    listed = [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")]

    assert sorted(listed) == PROGRAMS
