"""Proves what a gate may look at: its event, and what all states it is asked in have in common.

Without it a gate could be listed by a move of another event, or read a field that one of the
source states does not have, and would fail when it is asked.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.codegen.project_world import DOORS, changed, door, pointed, refused

WRONG = [
    ("E0514", {"gates: [wide]": "gates: [wde]"}, "wde", "did you mean `wide`?"),
    ("E0514", {"gates: [wide]": "gates: [wide, wide]"}, "wide", None),
    ("E0514", {"event: Closed}": "event: Closed, gates: [wide]}"}, "wide", None),
    ("E0514", {"    event: Opened\n": "    event: Opnd\n"}, "wide", None),
    ("E0514", {"machine: Door": "machine: Dor"}, "wide", None),
    ("E0503", {"state.width > 50": "state.side > 50"}, "side", None),
    ("E0502", {"    machine: Door\n": ""}, "state", "`machine:`"),
    ("E0503", {"only {state.width}": "only {state.door}"}, "door", None),
    ("E0505", {"state.width > 50 and event.side == 'in'": "state.width"}, "state.width", None),
]


@pytest.mark.parametrize(("code", "changes", "above", "answer"), WRONG)
def test_a_gate_that_does_not_fit_is_refused(
    tmp_path: Path, code: str, changes: dict[str, str], above: str, answer: str | None
) -> None:
    text = changed(DOORS, changes)

    found = refused(tmp_path, text)

    assert found[0].code == code
    assert pointed(text, found[0]) == above
    assert answer is None or answer in (found[0].help or "")


def test_state_is_what_all_sources_have_in_common(tmp_path: Path) -> None:
    both = {"from: Shut, to: Open, event: Opened": "from: [Shut, Open], to: Open, event: Opened"}
    fits = changed(DOORS, both)
    reads_more = changed(fits, {"state.width > 50": "state.side == 'in'"})

    (gate,) = door(tmp_path, fits).gates
    found = refused(tmp_path, reads_more)

    assert gate.states == ("Shut", "Open")
    assert [d.code for d in found] == ["E0503"]


def test_a_field_of_two_types_is_not_in_common(tmp_path: Path) -> None:
    event = "  Widened: {id: 7, fields: {door_id: DoorId, width: i64}}\n"
    move = "      widen: {from: Shut, to: Wide, event: Widened}\n"
    text = changed(
        DOORS,
        {
            "from: Shut, to: Open, event: Opened": "from: [Shut, Wide], to: Open, event: Opened",
            "      Wall:": "      Wide: {data: {width: i64}}\n      Wall:",
            "      brick_up:": f"{move}      brick_up:",
            "  Bricked: {": f"{event}  Bricked: {{",
            "Opened: {id: 2, fields: {door_id: DoorId,": (
                "Opened: {id: 2, fields: {door_id: DoorId, width: i32,"
            ),
        },
    )

    found = refused(tmp_path, text)

    assert {d.code for d in found} == {"E0503"}


def test_a_gate_that_no_move_lists_is_checked_all_the_same(tmp_path: Path) -> None:
    unused = changed(DOORS, {", gates: [wide]": ""})
    wrong = changed(unused, {"event.side == 'in'": "event.sde == 'in'"})

    machine = door(tmp_path, unused)
    (found,) = refused(tmp_path, wrong)

    assert machine.gates == ()
    assert found.code == "E0503"


def test_gates_come_in_the_order_of_their_declarations(tmp_path: Path) -> None:
    first = "  first:\n    event: Opened\n    require: event.side == 'out'\n"
    text = changed(
        DOORS,
        {
            "gates:\n  wide": f"gates:\n{first}    deny: {{code: A, message: b}}\n  wide",
            "[wide]": "[wide, first]",
        },
    )

    machine = door(tmp_path, text)

    assert [gate.name for gate in machine.gates] == ["first", "wide"]
    assert [move.gates for move in machine.moves if move.gates] == [("wide", "first")]
    assert machine.gates[0].states == ("Shut",)
