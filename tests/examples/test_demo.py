"""`batpak demo` tells its whole story, from a folder that has nothing to do with it.

It is the first command of the README; without this it would be the first to break unseen, and the
picture of it in the README would show what once was. On a difference the fresh picture is written
*and* the test fails: the fix is already in the work tree.
"""

from __future__ import annotations

import html
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests import warm

PICTURE = Path(__file__).parents[2] / "docs/pictures/demo.svg"
SHOWN = ("\n3 ", "\n╭")  # from the type checker on; the schema and the farewell are too long for it
STORY = (
    r"2 packages, 4 events: \d+ files written",
    r"mypy --strict: .* no error",
    r'"PlacedOrder" has no attribute "ship"',
    r"refused by paid_in_full",
    r"killed \(SIGKILL\) after \d+ receipts",
    r"every receipt is there, byte for byte",
    r"verified: \d+ events",
    r"projected: \d+ orders, 65.00 EUR",
    r"the store lies in .*shop\.store",
)


class Told(NamedTuple):
    code: int
    errors: str
    text: Text  # in color
    folder: Path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("demo")
    environment = {**os.environ, "TMPDIR": str(folder), "COLUMNS": "160", "FORCE_COLOR": "1"}
    environment.pop("NO_COLOR", None)
    ran = subprocess.run(
        [sys.executable, "-m", "batpak", "demo"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Told(ran.returncode, ran.stderr, Text.from_ansi(ran.stdout), folder)


def test_the_demo_goes_from_a_schema_to_a_killed_process_and_back(told: Told) -> None:
    assert (told.code, told.errors) == (0, "")
    place = 0
    for part in STORY:
        found = re.compile(part).search(told.text.plain, place)
        assert found, f"{part!r} is not told after {told.text.plain[:place][-80:]!r}"
        place = found.end()
    left = [path.name for path in told.folder.iterdir()]
    assert len(left) == 1, "one folder, where the demo says"
    store = next(told.folder.glob("*/orders/shop.store"))
    verified = warm.run(["-m", "batpak", "verify", store], told.folder)
    assert verified.returncode == 0
    assert "all well" in verified.stdout


def test_the_picture_shows_what_the_demo_says(told: Told) -> None:
    begin = told.text.plain.index(SHOWN[0])
    end = told.text.plain.index(SHOWN[1], begin)
    fresh = recorded(told.text[begin:end])

    stale = PICTURE.read_text(encoding="utf-8") if PICTURE.is_file() else ""
    if words(stale) != words(fresh):
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(fresh, encoding="utf-8")
    assert words(stale) == words(fresh)


def recorded(text: Text) -> str:
    """Return a picture of a terminal that shows a command and what it has printed."""
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "dim"), "batpak demo\n", ("…", "dim")), text)
    svg = console.export_svg(title="batpak demo", theme=MONOKAI, unique_id="demo")
    fonts = r"\s*@font-face \{.*?\}"  # fetched from elsewhere: a picture asks nobody for anything
    return re.sub(fonts, "", svg, flags=re.DOTALL).replace("Fira Code, ", "")


def words(svg: str) -> str:
    """Return what a picture says but for its numbers, which are times and counts of that run."""
    lines = re.findall(r"<text [^>]*>(.*?)</text>", svg)
    return re.sub(r"\d+", "0", html.unescape("\n".join(lines)))
