"""Every code block of the README, the tutorials and the how-to guides runs.

Without this, the first thing a newcomer types would be the last thing anybody tested. The blocks
of a page run in order in one empty folder:

- a block with `title="path"` is written to that file;
- `python` runs as a script of its own, after the page's earlier `python` blocks in the same run;
- `console` runs each line after `$ ` and compares what it prints; `...` stands for anything;
- `text` is a picture and does not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r'^(?P<mark><!-- the two lines -->\n)?```(?P<info>[a-z]*)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?://)(?P<path>[^)#]*)(?:#[^)]*)?\)")


class Block(NamedTuple):
    language: str
    title: str | None
    text: str


def blocks(page: Path) -> Iterator[Block]:
    for fence in FENCE.finditer(page.read_text(encoding="utf-8")):
        if not fence["mark"]:  # those two lines install; .ci/run runs them in a fresh clone
            yield Block(fence["info"], fence["title"], fence["text"])


def with_code(page: Path) -> bool:
    return any(block.language != "text" for block in blocks(page))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if with_code(page)], ids=name)
def test_every_block_of_the_page_runs(page: Path, tmp_path: Path) -> None:
    python: list[str] = []
    for block in blocks(page):
        if block.title is not None:
            target = tmp_path / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            python.append(block.text)
        elif block.language == "console":
            for command, expected in commands(block.text):
                assert_prints(command, expected, tmp_path)
        else:
            assert block.language == "text", f"a `{block.language}` block that nothing runs"
    if python:
        (tmp_path / "page.py").write_text("\n".join(python), encoding="utf-8")
        assert_prints("python page.py", None, tmp_path)


def commands(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def assert_prints(command: str, expected: str | None, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert expected is not None or ran.returncode == 0, ran.stdout
    if expected is not None:
        pattern = re.sub(r"([\[\]*?])", r"[\1]", expected.strip()).replace("...", "*")
        assert fnmatchcase(ran.stdout.strip(), pattern), f"$ {command}\n{ran.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = [link["path"] for link in LINK.finditer(page.read_text(encoding="utf-8"))]

    missing = [link for link in links if link and not (page.parent / link).exists()]

    assert missing == []
