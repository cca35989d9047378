"""Proves that generated tests pass on what is generated, and fail when somebody edits it.

Without these tests a strategy could make values that an append refuses, or a contract test could
pass whatever the generated code does.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from batpak_codegen.config import configure
from batpak_codegen.run import run
from tests import warm
from tests.unit.codegen.project_world import DOORS, changed

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "golden" / "cases_out"
FEW = """\
from hypothesis import Phase, settings
options = dict(deadline=None, derandomize=True, phases=[Phase.generate])
settings.register_profile("few", max_examples={examples}, **options)
settings.load_profile("few")
"""
JUDGED = changed(
    DOORS,
    {
        "    deny: {code: NARROW": "    examples:\n"
        "      - {expect: permit, event: {side: in}, state: {width: 51}}\n"
        "      - {expect: NARROW, event: {side: out}, state: {width: 51}}\n"
        "      - {expect: NARROW, event: {side: in}, state: {width: 50}}\n"
        "    deny: {code: NARROW"
    },
)
TABLE = '[tool.batpak]\nout = "house/gen"\npackage_root = "house"\ntests = "tests"\n'


def pytest_in(folder: Path, *words: str, examples: int = 25) -> tuple[int, str]:
    """Run the tests of a project as its owner would, with fewer examples."""
    (folder / "tests" / "conftest.py").write_text(FEW.format(examples=examples))
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    path = os.pathsep.join([str(folder), str(ROOT), str(ROOT / "codegen")])
    env = os.environ | {"PYTHONPATH": path}
    done = warm.run(["-m", *warm.PYTEST, "-q", "tests", *words], folder, env)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "root"), [("shop", "shop"), ("everything", "world")])
def test_what_is_generated_keeps_its_own_contract(name: str, root: str, tmp_path: Path) -> None:
    shutil.copytree(CASES / name / "expected", tmp_path / root / "gen")
    shutil.copytree(CASES / name / "expected_tests", tmp_path / "tests")

    code, output = pytest_in(tmp_path, examples=5)

    assert code == 0, output
    assert " passed" in output


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "doors.batpak.yaml").write_text(JUDGED)
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "__init__.py").touch()
    run(configure(start=tmp_path), check=False)
    return tmp_path


LARGE = """\
batpak: 1
package: house.large
category: 0x4
types:
  One: {struct: {a: i64, b: string, c: uuid, d: timestamp}}
  Two: {struct: {a: One, b: One, c: One, d: One}}
  Three: {struct: {a: Two, b: Two, c: Two, d: Two}}
  Four: {struct: {a: Three, b: Three, c: Three, d: Three}}
events:
  Many: {id: 1, fields: {all: {type: list<i64>, min_length: 100000}}}
  Long:
    id: 2
    fields:
      data: {type: bytes, min_length: 2000000}
      text: {type: string, min_length: 100000, max_length: 100001}
  Keyed: {id: 3, fields: {all: {type: map<i64?>, min_length: 5000}}}
  Deep: {id: 4, fields: {one: Four, two: Four}}
"""


def test_what_is_large_survives_as_well(project: Path) -> None:
    (project / "schemas" / "large.batpak.yaml").write_text(LARGE)
    run(configure(start=project), check=False)

    code, output = pytest_in(project, examples=5)

    assert code == 0, output


EDITS = {
    "an edge is gone": (
        "door_machine.py",
        "        (Shut, Bricked): Edge(WallDoor),\n",
        "",
        "test_door_has_these_edges_and_no_other",
    ),
    "an edge leads elsewhere": (
        "door_machine.py",
        "Edge(WallDoor)",
        "Edge(ShutDoor)",
        "test_door_has_these_edges_and_no_other",
    ),
    "a kind is another one": (
        "events.py",
        "EventKind.custom(0x3, 0x004)",
        "EventKind.custom(0x3, 0x005)",
        "test_every_kind_is_the_kind_of_one_event",
    ),
    "a move leads elsewhere": (
        "door_machine.py",
        "            ShutDoor,\n            Closed(",
        "            WallDoor,\n            Closed(",
        "test_door_walks_along_its_edges",
    ),
    "a gate permits more": (
        "door_gates.py",
        "state.width > 50",
        "state.width >= 50",
        "test_wide_answers_as_its_examples_say",
    ),
    "a gate denies with another code": (
        "door_gates.py",
        '        "NARROW",',
        '        "WIDE",',
        "test_wide_answers_as_its_examples_say",
    ),
    "a gate fails": (
        "door_gates.py",
        "state.width > 50",
        "state.side > 50",
        "test_wide_answers_as_its_examples_say",
    ),
    "a gate is not asked": (
        "door_gates.py",
        '                "wide",\n',
        '                "narrow",\n',
        "test_wide_answers_as_its_examples_say",
    ),
    "a check refuses": ("checks.py", "-2147483648, 2147483647", "0, 1", "test_fitted_survives"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_generated_code_is_found(project: Path, name: str) -> None:
    file, old, new, failing = EDITS[name]
    path = project / "house" / "gen" / "doors" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

    code, output = pytest_in(project, "-k", failing)

    assert code == 1
    assert f"FAILED tests/test_house_doors.py::{failing}" in output


GIVEN = """\
batpak: 1
package: house.bells
category: 0x5
types:
  BellId: {id: bell}
  Tone: {enum: {LOW: low, HIGH: high}}
  Fee: {struct: {amount: {type: decimal, precision: 6, scale: 2}, tone: Tone, note: string}}
contexts:
  Desk: {open: bool, fees: list<Fee>, names: "map<i64?>", free: set<string>, none: set<i64>}
events:
  Rung:
    id: 1
    fields: {bell_id: BellId, on: date, at: timestamp, took: duration, tones: list<Tone>,
             note: string?, times: {type: i32, default: 2}, f: f64, by: uuid, deprecated: bool}
gates:
  rung:
    event: Rung
    context: Desk
    require: >-
      ctx.open and sum(fee.amount for fee in ctx.fees) == decimal('1.50') and 'ann' in ctx.names
      and len(ctx.names) == 2 and 'y' in ctx.free and len(ctx.none) == 0 and event.note is None
      and event.times == 2 and event.took <= duration('PT1H') and len(event.tones) == 1
      and all(tone == 'low' for tone in event.tones) and event.f <= event.f
      and event.at >= timestamp('2026-01-01T00:00:00Z') and event.bell_id == event.bell_id
      and event.on == event.on and event.by == event.by
    deny: {code: SHUT, message: shut}
    examples:
      - expect: permit
        event: {bell_id: 00000000-0000-0000-0000-000000000007, on: 2026-01-02,
                at: 2026-01-01T00:00:00+00:00, took: -PT1S, tones: [low], note: null, f: 1.5,
                by: 00000000000000000000000000000007}
        ctx: {open: true, fees: [{amount: 1, tone: low}, {amount: 0.5}], none: [],
              names: {ann: 1, "b'\\"": null}, free: [y, x]}
      - {expect: SHUT, event: {}, ctx: {open: false}}
  asked: {event: Rung, python: {NO: no}}
policies:
  First: {event: Rung, gates: [asked, rung]}
  Second: {event: Rung, gates: [rung]}
"""
RINGING = """\
from typing import final
from house.gen.bells import hooks as h

@final
class Mine(h.BellsHooks):
    @h.override
    def gate_asked(self, event: h.Rung, /) -> h.AskedVerdict:
        raise RuntimeError
"""


def test_examples_of_values_of_every_type_hold_in_every_set_that_asks_the_gate(
    project: Path,
) -> None:
    (project / "schemas" / "bells.batpak.yaml").write_text(GIVEN)
    run(configure(start=project), check=False)
    (project / "house" / "bells_hooks.py").write_text(RINGING)

    code, output = pytest_in(project, examples=1)

    assert code == 0, output
    text = (project / "tests" / "test_house_bells.py").read_text()
    assert text.count("contract.answers(") == 4
    assert text.index("policies.Second()") < text.index("policies.First(hooks)")


HOOKS = """\
from typing import final
from house.gen.doors import hooks as h

@final
class Mine(h.DoorsHooks):
    {init}
    @h.override
    def evolve_door_close_it(self, state: h.Open, event: h.Closed, /) -> h.Shut:
        {answer}
"""
WRITTEN = {
    "what gen has just scaffolded": (None, "8 passed, 1 skipped"),
    "a step": (
        ("", "return h.Shut(door_id=state.door_id, width=state.width)"),
        "8 passed, 1 skipped",
    ),
    "a step to another state": (("", "return state"), "gave Open"),
    "hooks with an argument": (
        ("def __init__(self, n: int) -> None: ...", "return n"),
        "2 skipped",
    ),
    "hooks that are not whole": (("@property", "return state"), "0 whole subclasses"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_machine_walks_with_the_hooks_of_its_user(project: Path, name: str) -> None:
    written, said = WRITTEN[name]
    schema = project / "schemas" / "doors.batpak.yaml"
    schema.write_text(
        schema.read_text().replace("event: Closed}", "event: Closed, evolve: python}")
    )
    run(configure(start=project), check=False)
    file = project / "house" / "doors_hooks.py"
    if written:
        text = HOOKS.format(init=written[0], answer=written[1])
        if name == "hooks that are not whole":
            text = text.replace("    @property\n    @h.override\n    def evolve", "    def almost")
        file.write_text(text)

    _, output = pytest_in(project)

    assert said in output, output


def test_frozen_bytes_are_read_when_there_are_any(project: Path) -> None:
    door_id = "a7646f6f725f6964" + "c410" + "00" * 15 + "2a"
    file = project / "tests" / "house_doors.frozen"
    file.write_text(f"# Frozen bytes\n0x3004 1.1 81{door_id}\n0x3fff 7.1 80\n")

    code, output = pytest_in(project)

    assert code == 0, output
    assert "skipped" not in output

    file.write_text(f"0x3004 1.1 80\n0x3001 1.1 81{door_id}\n")
    code, output = pytest_in(project)

    assert code == 1
    assert "current_version[0x3004-1.1]" in output
    assert "2 failed" in output


def test_tests_are_written_checked_and_removed_with_their_package(project: Path) -> None:
    tests = project / "tests"
    (tests / "golden").mkdir()
    others = tests / "golden" / "test_of_somebody.py"
    others.write_bytes((tests / "test_house_doors.py").read_bytes())
    (tests / "test_mine.py").write_text("def test_it() -> None: ...\n")
    (project / "schemas" / "doors.batpak.yaml").rename(project / "doors.txt")
    roof = "batpak: 1\npackage: house.roof\ncategory: 4\nevents: {Leaked: {id: 1, fields: {}}}\n"
    (project / "schemas" / "roof.batpak.yaml").write_text(roof)

    checked = run(configure(start=project), check=True)
    report = run(configure(start=project), check=False)

    assert "tests/test_house_doors.py" in checked.removed
    assert "tests/test_house_roof.py" in checked.written
    assert "tests/test_house_roof.py is missing" in [d.message for d in checked.drift]
    assert report.changed == checked.changed
    assert sorted(path.name for path in tests.iterdir()) == [
        "golden",
        "test_house_roof.py",
        "test_mine.py",
    ]
    assert others.exists()
    assert run(configure(start=project), check=True).drift == ()


def test_without_a_place_for_them_there_are_none(project: Path) -> None:
    (project / "pyproject.toml").write_text(TABLE.replace('tests = "tests"\n', ""))
    shutil.rmtree(project / "tests")

    report = run(configure(start=project), check=False)

    assert report.changed == ()
    assert not (project / "tests").exists()
