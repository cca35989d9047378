"""Proves that what is probably not meant is said, and that saying it ends nothing.

Without it a gate that nobody lists would look like a policy that is in force, and a state without
a way out would be found by the first customer who is stuck in it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak_codegen.__main__ import main
from batpak_codegen.config import Config
from batpak_codegen.diagnostic import Diagnostic, Findings, SchemaError, render
from batpak_codegen.run import CLEAN, run
from tests.unit.codegen.project_world import DOORS, changed, linked, pointed, refused

QUIET = changed(DOORS, {"from: [Planned, Shut]": "from: [Planned, Shut, Open]"})
ADVICE = [
    # a way to a final state
    ("W0401", {"from: [Planned, Shut, Open]": "from: Planned"}, ["Shut", "Open"], None),
    ("W0401", {"to: Open,": "to: Lost,", "      Wall:": "      Lost: {}\n      Wall:",
               "      Open: {extends: Shut, data: {side: Side, at: timestamp}}\n": "",
               "from: Open,": "from: Shut,", "Shut, Open]": "Shut]"}, ["Lost"], "final: true"),
    ("W0401", {"Wall: {final: true}": "Wall: {}"}, ["Wall"], "final: true"),
    # gates that nobody asks
    ("W0402", {", gates: [wide]": ""}, ["wide"], "list it under gates:"),
    # events that nothing mentions
    ("W0403", {"  Bricked: {id": "  Rung: {id: 9, fields: {door_id: DoorId}}\n  Bricked: {id"},
     ["Rung"], "give it a move"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "changes", "above", "way"), ADVICE)
def test_what_is_probably_not_meant_is_said_where_it_stands(
    tmp_path: Path, code: str, changes: dict[str, str], above: list[str], way: str | None
) -> None:
    text = changed(QUIET, changes)

    found = linked(tmp_path, text).warnings

    assert {d.code for d in found} == {code}
    assert [pointed(text, d) for d in found] == above
    assert {d.severity for d in found} == {"warning"}
    assert all(d.help is None if way is None else way in (d.help or "") for d in found)


def test_a_project_in_order_gets_no_advice(tmp_path: Path) -> None:
    assert linked(tmp_path, QUIET).warnings == ()


def test_a_machine_may_go_round_for_ever(tmp_path: Path) -> None:
    text = changed(
        QUIET, {"Wall: {final: true}": "Wall: {}", "[Planned, Shut, Open]": "[Planned, Shut, Wall]"}
    )

    assert linked(tmp_path, text).warnings == ()


def test_a_gate_or_an_event_of_a_policy_is_used(tmp_path: Path) -> None:
    text = changed(
        QUIET,
        {
            ", gates: [wide]": "",
            "    machine: Door\n": "",
            "state.width > 50 and event.side": "event.side",
            "{state.width} wide": "{event.side} wide",
            "  Bricked: {id": "  Rung: {id: 9, fields: {door_id: DoorId}}\n  Bricked: {id",
            "gates:\n  wide": "policies:\n  Bell: {event: Rung, gates: [rung]}\n"
            "  Side: {event: Opened, gates: [wide]}\ngates:\n"
            "  rung: {event: Rung, require: 'True', deny: {code: A, message: a}}\n  wide",
        },
    )
    text = changed(text, {"  Side: {event": "  Sides: {event"})

    assert linked(tmp_path, text).warnings == ()


def test_events_of_a_package_without_machines_are_for_plain_appends(tmp_path: Path) -> None:
    text = "batpak: 1\npackage: house.notes\ncategory: 1\nevents: {Noted: {id: 1, fields: {}}}\n"

    assert linked(tmp_path, text).warnings == ()


def test_advice_is_printed_as_a_warning_and_the_run_is_clean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.batpak]\nout = "gen"\n')
    text = changed(QUIET, {", gates: [wide]": ""})
    (tmp_path / "schemas" / "doors.batpak.yaml").write_text(text)

    code = main(["--config", str(tmp_path / "pyproject.toml")])

    assert code == CLEAN
    printed = capsys.readouterr()
    assert "warning[W0402] no move and no policy asks gate wide" in printed.err
    assert printed.err.count("^^^^") == 1
    assert printed.out.startswith("1 package, 4 events:")
    report = run(Config(tmp_path, ("schemas",), "gen", "gen"), check=True)
    assert [d.code for d in report.warnings] == ["W0402"]


def test_a_project_with_an_error_is_refused_and_gets_no_advice_yet(tmp_path: Path) -> None:
    text = changed(QUIET, {", gates: [wide]": "", "to: Wall": "to: Wal"})

    assert {d.code for d in refused(tmp_path, text)} == {"E0404"}


def test_a_warning_alone_does_not_end_a_phase() -> None:
    findings = Findings()
    findings.put(Diagnostic("W0402", "never asked", None))
    findings.finish()

    findings.add("E0514", "no such gate", None)
    with pytest.raises(SchemaError) as caught:
        findings.finish()

    assert render(caught.value.diagnostics, {}) == (
        "error[E0514] no such gate\nwarning[W0402] never asked"
    )
