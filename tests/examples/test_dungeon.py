"""The dungeon example tells its story, and its own tests pass.

It is what somebody copies who writes a machine by hand; without this it would rot.
"""

from __future__ import annotations

from pathlib import Path

from batpak import Store
from dungeon.app import CELLAR, enter
from dungeon.door import BrokenDoor, DoorMachine
from tests import warm

EXAMPLE = Path(__file__).parents[2] / "examples" / "dungeon"


def test_the_story_is_the_one_that_the_readme_tells(tmp_path: Path) -> None:
    with Store.open(tmp_path / "dungeon.store") as store:
        said = enter(DoorMachine(store))

    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    told = readme.partition("$ python -m dungeon.app\n")[2].partition("```")[0]
    assert said == told.splitlines()


def test_the_second_run_finds_what_the_first_one_stored(tmp_path: Path) -> None:
    for said in (8, 1):
        with Store.open(tmp_path / "dungeon.store") as store:
            doors = DoorMachine(store)
            assert len(enter(doors)) == said
            assert isinstance(doors.load(CELLAR), BrokenDoor)


def test_the_tests_of_the_example_pass() -> None:
    done = warm.run(["-m", *warm.PYTEST, "-q", "tests"], EXAMPLE)

    assert done.returncode == 0, done.stdout
