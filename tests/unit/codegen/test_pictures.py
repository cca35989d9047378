"""Proves what diagrams, the catalog and the IR say, and that they always say the same.

Without it a gate could be missing on an edge, or a tool that builds on the IR would break unseen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from batpak_codegen.catalog import Heading, Table, catalog, markdown
from batpak_codegen.commands import docs
from batpak_codegen.config import Config, configure
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.graph import graph
from batpak_codegen.ir import Project
from batpak_codegen.page import html
from batpak_codegen.plain import plain, project_json
from batpak_codegen.run import understand
from tests.unit.codegen.project_world import DOORS, changed, linked

ROOT = Path(__file__).parents[3]

MERMAID = """\
---
title: house.doors.Door
---
stateDiagram-v2
    [*] --> Planned
    Planned --> Shut: fit
    Shut --> Open: open_it #91;wide#93;
    Open --> Shut: close_it
    Planned --> Wall: brick_up
    Shut --> Wall: brick_up
    Wall --> [*]
"""
TEXT = """\
house.doors.Door  door:{door_id}
  Planned  (initial)
    fit       -> Shut  Fitted
    brick_up  -> Wall  Bricked
  Shut
    open_it   -> Open  Opened   if wide
    brick_up  -> Wall  Bricked
  Open
    close_it  -> Shut  Closed
  Wall  (final)
"""


def test_mermaid_has_every_move_and_the_gates_on_its_edge(tmp_path: Path) -> None:
    assert graph(linked(tmp_path, DOORS), "mermaid") == MERMAID


def test_text_has_the_moves_below_the_state_they_leave(tmp_path: Path) -> None:
    assert graph(linked(tmp_path, DOORS), "text") == TEXT


def test_dot_marks_initial_and_final_states(tmp_path: Path) -> None:
    drawn = graph(linked(tmp_path, DOORS), "dot").splitlines()

    assert drawn[0] == 'digraph "house.doors.Door" {'
    assert '    "Planned" [style=bold];' in drawn
    assert '    "Wall" [peripheries=2];' in drawn
    assert '    "Shut" -> "Open" [label="open_it [wide]"];' in drawn
    assert drawn[-1] == "}"


def test_json_has_every_machine_with_its_states_and_moves(tmp_path: Path) -> None:
    (machine,) = json.loads(graph(linked(tmp_path, DOORS), "json"))

    assert (machine["package"], machine["machine"]) == ("house.doors", "Door")
    assert machine["states"][0] == {"name": "Planned", "initial": True, "final": False}
    moves = {move["name"]: move for move in machine["moves"]}
    assert moves["brick_up"]["from"] == ["Planned", "Shut"]
    assert moves["open_it"]["gates"] == ["wide"]


def test_one_machine_is_named_short_or_in_full(tmp_path: Path) -> None:
    ROOFS = changed(DOORS, {"house.doors": "house.roofs", "0x3": "0x4", '"door:': '"roof:'})  # noqa: N806
    one, two = linked(tmp_path, DOORS), linked(tmp_path, DOORS, ROOFS)

    assert graph(one, "text", "Door") == graph(two, "text", "house.doors.Door") == TEXT
    assert graph(two, "text").count("(initial)") == 2
    with pytest.raises(SchemaError, match="several machines or projections"):
        graph(two, "text", "Door")
    with pytest.raises(SchemaError, match="there is no machine or projection") as caught:
        graph(one, "text", "house.doors.Dor")
    assert caught.value.diagnostics[0].help == "did you mean `house.doors.Door`?"


FOLDED = """\
house.doors.Width  version 3
  Fitted
  house.roofs.Opened
    -> width, rows
"""
FOLDS = """\
projections:
  Width:
    doc: How "wide".
    version: 3
    events: [Fitted, roofs.Opened]
    state: {width: i32?, rows: list<i32>}
"""


def folding(folder: Path) -> Project:
    roofs = changed(DOORS, {"house.doors": "house.roofs", "0x3": "0x4", '"door:': '"roof:'})
    doors = changed(DOORS, {"category: 0x3\n": "category: 0x3\nimports: [house.roofs]\n"})
    return linked(folder, doors + FOLDS, roofs)


def test_a_projection_is_drawn_with_the_events_that_lead_to_it(tmp_path: Path) -> None:
    project = folding(tmp_path)

    assert graph(project, "text", "Width") == FOLDED
    assert graph(project, "mermaid", "house.doors.Width").splitlines()[3:] == [
        "flowchart LR",
        '    state["Width"]',
        '    e0(["Fitted"]) --> state',
        '    e1(["house.roofs.Opened"]) --> state',
    ]
    assert graph(project, "dot", "Width").splitlines() == [
        'digraph "house.doors.Width" {',
        "    rankdir=LR;",
        '    "house.doors.Width" [shape=cylinder, tooltip="How \\"wide\\"."];',
        '    "Fitted" -> "house.doors.Width";',
        '    "house.roofs.Opened" -> "house.doors.Width";',
        "}",
    ]
    assert json.loads(graph(project, "json", "Width")) == [
        {
            "package": "house.doors",
            "projection": "Width",
            "version": 3,
            "events": ["Fitted", "house.roofs.Opened"],
            "state": ["width", "rows"],
        }
    ]
    assert FOLDED in graph(project, "text")


def test_the_catalog_has_what_a_projection_folds_and_into_what(tmp_path: Path) -> None:
    page = markdown(catalog(folding(tmp_path)))

    assert '### Projection Width\n\nHow "wide".\n\nVersion 3. It folds:' in page
    assert "| [`Fitted`](#house.doors.Fitted) |" in page
    assert "| [`house.roofs.Opened`](#house.roofs.Opened) |" in page
    assert "| `rows` | `list<i32>` |" in page


def test_the_catalog_has_a_heading_for_everything_that_is_declared(tmp_path: Path) -> None:
    blocks = catalog(linked(tmp_path, DOORS))

    headings = [block.text for block in blocks if isinstance(block, Heading)]
    assert headings == [
        "house.doors",
        *(f"Event {name}" for name in ("Fitted", "Opened", "Closed", "Bricked")),
        "Machine Door",
        *(f"State {name}" for name in ("Planned", "Shut", "Open", "Wall")),
        "Gate wide",
        "Type DoorId",
        "Type Side",
    ]


def test_rules_of_fields_are_told_in_words(tmp_path: Path) -> None:
    fields = """{a: {type: i32, ge: 1, lt: 9}, b: {type: "string?", max_length: 1},
      c: {type: list<i8>, min_length: 2}, d: {type: decimal, precision: 5, scale: 2},
      e: {type: bool, default: true}, f: {type: Side, default: in, doc: Where.},
      g: {type: string, pattern: '[a-z]+', wire: from}, h: {type: duration, default: PT90S}}"""
    text = changed(DOORS, {"{door_id: DoorId, width: i32}}\n  Opened": f"{fields}}}\n  Opened"})
    text = text.partition("machines:")[0]

    (table,) = [
        block
        for block in catalog(linked(tmp_path, text))
        if isinstance(block, Table) and len(block.rows) == 8
    ]

    assert [row[2] for row in table.rows] == [
        ">= 1, < 9",
        "at most 1 character, may be null",
        "at least 2 items",
        "5 digits, 2 of them decimals",
        "default true",
        "default in",
        "matches [a-z]+, stored as from",
        "default PT90S",
    ]
    assert table.rows[5][3] == "Where."


def test_types_say_what_is_stored_of_them(tmp_path: Path) -> None:
    types = "types:\n  Why: {open: true, enum: {LATE: late}}\n  Card: {struct: {last4: string}}\n"
    types += "  Cash: {struct: {given: i64}}\n  Way: {union: {card: Card, cash: Cash}, tag: kind}\n"

    page = markdown(catalog(linked(tmp_path, f"batpak: 1\npackage: house.doors\n{types}")))

    assert "Open: a stored value that is not here is read as UNRECOGNIZED." in page
    assert "which one is stored under kind." in page


def test_gates_are_shown_with_their_condition_and_what_they_say(tmp_path: Path) -> None:
    page = markdown(catalog(linked(tmp_path, DOORS)))

    assert "    state.width > 50 and event.side == 'in'" in page
    assert "It denies with NARROW: only {state.width} wide" in page


def test_the_catalog_is_written_or_printed(tmp_path: Path) -> None:
    (tmp_path / "doors.batpak.yaml").write_text(DOORS)
    config = Config(tmp_path, (".",), "gen", "gen", "house")

    printed = docs(config, "md", None)
    for form in ("md", "html"):
        docs(config, form, tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b" / "catalog.md").read_text() == printed.product
    assert (tmp_path / "a" / "b" / "catalog.html").read_text().startswith("<!doctype html>")
    with pytest.raises(SchemaError, match="E0703"):
        docs(config, "md", tmp_path / "doors.batpak.yaml")


def test_the_ir_says_of_each_record_what_it_is_and_has_no_positions(tmp_path: Path) -> None:
    document = json.loads(project_json(linked(tmp_path, DOORS)))

    assert document["format"] == 1
    package = document["project"]["packages"][0]
    assert (package["is"], package["events"][0]["is"]) == ("PackageDef", "EventDef")
    condition = package["machines"][0]["gates"][0]["condition"]
    assert condition["node"]["is"] == "Junction"
    assert condition["roots"] == ["event", "state"]
    assert '"start"' not in json.dumps(document)


def test_what_json_cannot_say_is_a_defect_and_no_surprise() -> None:
    with pytest.raises(TypeError, match="no JSON for object"):
        plain(object())


@pytest.mark.parametrize("case", ["everything", "shop"])
def test_bytes_do_not_depend_on_the_seed_of_hashes(case: str) -> None:
    folder = ROOT / "tests" / "golden" / "cases_out" / case
    program = (
        "import sys, pathlib; from batpak_codegen.run import understand;"
        "from batpak_codegen.config import configure; from batpak_codegen.plain import *;"
        "from batpak_codegen import catalog, page, graph;"
        f"p, _ = understand(configure(pathlib.Path({str(folder / 'pyproject.toml')!r})));"
        "print(project_json(p), page.html(catalog.catalog(p)), graph.graph(p, 'mermaid'))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(said) == 1


def test_every_golden_schema_has_a_page() -> None:
    for file in sorted((ROOT / "tests" / "golden" / "cases_out").glob("*/pyproject.toml")):
        project, _ = understand(configure(file))

        assert html(catalog(project)).count("<h2") == len(project.packages)
