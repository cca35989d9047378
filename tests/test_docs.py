"""Every code block of the README, the tutorials and the how-to guides runs.

Without this, the first thing a newcomer types would be the last thing anybody tested. The blocks
of a page run in order in one empty folder; the tutorial is one story, its pages in the order of
their names:

- a block with `title="path"` is written to that file;
- `diff` with a title changes that file: the lines it takes have to be there, once;
- `python` runs as a script of its own, after the page's earlier `python` blocks in the same run;
- `console` runs each line after `$ ` and compares what it prints; `...` stands for anything, and
  so does the time in `(0.05 s)`; `cd FOLDER` holds for the rest of the page;
- `text` is a picture and does not run.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests import warm

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r'^(?P<mark><!-- the two lines -->\n)?```(?P<info>[a-z]*)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
CD = re.compile(r"cd (?P<folder>\S+)")
SHELL = set("|&;<>()$`*?~=")  # what makes a line of a console more than a program and its words
PROGRAMS = {"python": [], "batpak": ["-m", "batpak"], "pytest": ["-m", *warm.PYTEST]}
TIME = re.compile(r"\(\d+\.\d\d s\)")
CACHE = TemporaryDirectory(prefix="batpak-docs-mypy-")
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


def stories() -> dict[str, list[Path]]:
    """What runs in one folder: each page by itself, and the pages of the tutorial."""
    told: dict[str, list[Path]] = {}
    for page in filter(with_code, PAGES):
        whole = page.parent if page.parent.name == "tutorial" else page
        told.setdefault(name(whole), []).append(page)
    return told


@pytest.mark.parametrize("pages", stories().values(), ids=stories())
def test_every_block_of_the_page_runs(pages: list[Path], tmp_path: Path) -> None:
    python: list[str] = []
    folder = tmp_path
    for block in (block for page in pages for block in blocks(page)):
        if block.title is not None:
            target = folder / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            is_diff = block.language == "diff"
            text = changed(target.read_text("utf-8"), block.text) if is_diff else block.text
            target.write_text(text, encoding="utf-8")
        elif block.language == "python":
            python.append(block.text)
        elif block.language == "console":
            for command, expected in commands(block.text):
                if inside := CD.fullmatch(command):
                    folder /= inside["folder"]
                assert_prints(command if not inside else "true", expected, folder)
        else:
            assert block.language == "text", f"a `{block.language}` block that nothing runs"
    if python:
        (folder / "page.py").write_text("\n".join(python), encoding="utf-8")
        assert_prints("python page.py", None, folder)


def changed(text: str, diff: str) -> str:
    """Return what a diff makes of a text. Hunks are parted by lines that begin with `@@`."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] or "\n" for line in lines if line[0] != out) for out in "+-")
        assert f"\n{text}".count(f"\n{old}") == 1, f"not there once:\n{old}"
        text = f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]
    return text


def test_a_diff_changes_the_lines_that_it_shows_and_no_others() -> None:
    text = "one\ntwo\n\nthree\ntwo\n"

    assert changed(text, "-one\n+1\n two\n") == "1\ntwo\n\nthree\ntwo\n"
    assert changed(text, " one\n@@\n-three\n+3\n+4\n") == "one\ntwo\n\n3\n4\ntwo\n"
    with pytest.raises(AssertionError, match="not there once"):
        changed(text, "-two\n+2\n")
    with pytest.raises(AssertionError, match="not there once"):
        changed(text, "-three\n-four\n")


def commands(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def assert_prints(command: str, expected: str | None, folder: Path) -> None:
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "MYPY_CACHE_DIR": CACHE.name,  # the library is read once, not by each page again
    }
    program, *words = [""] if SHELL & set(command) else shlex.split(command)
    if program in PROGRAMS:
        ran = warm.run([*PROGRAMS[program], *words], folder, env, one_stream=True)
    else:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert expected is not None or ran.returncode == 0, ran.stdout
    if expected is not None:
        pattern = re.sub(r"([\[\]*?])", r"[\1]", TIME.sub("...", expected.strip()))
        pattern = pattern.replace("...", "*")
        assert fnmatchcase(ran.stdout.strip(), pattern), f"$ {command}\n{ran.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = [link["path"] for link in LINK.finditer(page.read_text(encoding="utf-8"))]

    missing = [link for link in links if link and not (page.parent / link).exists()]

    assert missing == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != ROOT], ids=name)
def test_a_link_of_the_site_stays_on_the_site(page: Path) -> None:
    links = [link["path"] for link in LINK.finditer(page.read_text(encoding="utf-8"))]

    outside = [
        link
        for link in links
        if link and not (page.parent / link).resolve().is_relative_to(ROOT / "docs")
    ]

    assert outside == []  # name the file in code instead: the site has only pages


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r": (\S+\.md)$", nav, re.MULTILINE)

    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.parent != ROOT}

    assert set(listed) == {page for page in pages if not re.match(r"adr/\d", page)}
    assert len(listed) == len(set(listed))


def test_the_first_page_of_the_site_links_to_all_that_the_navigation_does() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").partition("## Every page\n")[2]

    listed = re.findall(r"^      - (.+): (\S+\.md)$", nav, re.MULTILINE)

    assert re.findall(r"\[([^\]]+)\]\((\S+\.md)\)", page) == listed
