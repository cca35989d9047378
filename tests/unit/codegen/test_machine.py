"""Proves that a machine is a machine: one start, every state reachable, every step determined.

Without it a state could be unreachable, a move ambiguous, or a field of a state filled from
nowhere, and generated code would not type-check, or worse, would.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.codegen.project_world import DOORS, changed, door, pointed, refused

WRONG = [
    # one initial state
    ("E0401", {"{initial: true}": "{initial: false}"}, "Door", "initial: true"),
    ("E0401", {"{data: {width: i32}}": "{initial: true, data: {width: i32}}"}, "Shut", None),
    ("E0401", {"{initial: true}": "{initial: true, data: {a: i8}}"}, "Planned", "only the key"),
    # every state reachable, final states final
    ("E0402", {"      Wall:": "      Lost: {}\n      Wall:"}, "Lost", None),
    ("E0403", {"Opened, gates": "Opened}\n      x: {from: Wall, to: Wall, event: Opened, gates"},
     "Wall", None),
    # one move per state and event
    ("E0404", {"event: Closed}": "event: Bricked}", "[Planned, Shut]": "[Open, Shut]"},
     "Open", "own"),
    ("E0404", {"from: Open,": "from: Opn,"}, "Opn", "did you mean `Open`?"),
    ("E0404", {"to: Wall": "to: Wal"}, "Wal", "did you mean `Wall`?"),
    ("E0404", {"from: Open,": "from: [],"}, "close_it", "from"),
    # the key
    ("E0405", {"event: Closed}": "event: Clsed}"}, "Clsed", "did you mean `Closed`?"),
    ("E0405", {"Closed: {id: 3, fields: {door_id: DoorId, ": "Closed: {id: 3, fields: {"},
     "Closed", "add `door_id`"),
    ("E0405", {"{id: 3, fields: {door_id: DoorId": "{id: 3, fields: {door_id: uuid"},
     "Closed", None),
    ("E0406", {'"door:{door_id}"': '"batpak:{door_id}"'}, '"batpak:{door_id}"', "prefix"),
    ("E0406", {'"door:{door_id}"': '"door:{door_id}:x"'}, '"door:{door_id}:x"', "prefix"),
    ("E0406", {'"door:{door_id}"': '"Door:{door_id}"'}, '"Door:{door_id}"', "prefix"),
    ("E0407", {"DoorId: {id: door}": "DoorId: {alias: date}"}, '"door:{door_id}"', "integer"),
    ("E0407", {"DoorId: {id: door}": "DoorId: {alias: string}"}, '"door:{door_id}"', "pattern"),
    *(
        ("E0407", {"DoorId: {id: door}": f"DoorId: {{alias: string, pattern: '{pattern}'}}"},
         '"door:{door_id}"', "pattern")
        for pattern in ("[a-z]+", "[a-z]{0,9}", "[a-z.]{1,9}", "[^a]{1,9}", "a/b", "é{999}")
    ),
    # extends
    ("E0409", {"extends: Shut": "extends: Sht"}, "Sht", "did you mean `Shut`?"),
    ("E0409", {"Shut: {data": "Shut: {extends: Open, data"}, "Shut", None),
    ("E0202", {"data: {side: Side,": "data: {width: i32, side: Side,"}, "width", None),
    ("E0202", {"data: {side: Side,": "data: {door_id: DoorId, side: Side,"}, "door_id", None),
    ("E0311", {"data: {side: Side,": "data: {state: Side, side: Side,"}, "state", "stored"),
    ("E0311", {"data: {side: Side,": "data: {side: {type: Side, wire: state},"}, "state", "stored"),
    ("E0311", {"data: {side: Side,": "data: {side: {type: Side, wire: width},"}, "width", None),
    ("E0311", {"data: {side: Side,": "data: {side: {type: Side, wire: door_id},"}, "door_id", None),
    # every field of a target has an origin
    ("E0410", {"      Wall: {final: true}": "      Wall: {final: true, data: {width: i32}}"},
     "Wall", "add it to Bricked"),
    ("E0410", {"Open: {extends: Shut, data: {side: Side, at": "Open: {data: {width: i64, at"},
     "Open", None),
    ("E0106", {'"door:{door_id}"': '"door:{door_id}"\n    scope: a/b'}, "a/b", "without"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "changes", "above", "answer"), WRONG)
def test_a_machine_that_is_none_is_refused_where_it_is_wrong(
    tmp_path: Path, code: str, changes: dict[str, str], above: str, answer: str | None
) -> None:
    text = changed(DOORS, changes)

    found = refused(tmp_path, text)

    assert {d.code for d in found} == {code}
    assert pointed(text, found[0]) == above
    assert answer is None or answer in (found[0].help or "")


def test_a_machine_without_moves_is_told_that_nothing_names_its_key(tmp_path: Path) -> None:
    head, _, _ = DOORS.partition("    states:")
    text = f"{head}    states: {{Planned: {{initial: true}}}}\n    moves: {{}}\n"

    (found,) = refused(tmp_path, text)

    assert found.code == "E0405"


def test_two_machines_cannot_share_an_entity_prefix(tmp_path: Path) -> None:
    other = """batpak: 1
package: house.gates
category: 4
events: {Made: {id: 1, fields: {gate_id: uuid}}}
machines:
  Gate:
    entity: "door:{gate_id}"
    states: {New: {initial: true}, Done: {final: true}}
    moves: {make: {from: New, to: Done, event: Made}}
"""

    (found,) = refused(tmp_path, DOORS, other)

    assert found.code == "E0408"
    assert [place.note for place in found.also] == ["Door"]


def test_text_that_fits_into_a_coordinate_can_name_an_entity(tmp_path: Path) -> None:
    text = "DoorId: {alias: string, pattern: '[A-Z]{2}(-[0-9]{1,9})?'}"

    machine = door(tmp_path, changed(DOORS, {"DoorId: {id: door}": text}))

    assert machine.key.name == "door_id"


def test_the_key_is_first_in_every_state_and_extended_data_before_own(tmp_path: Path) -> None:
    machine = door(tmp_path)

    states = {state.name: [field.name for field in state.fields] for state in machine.states}

    assert states == {
        "Planned": ["door_id"],
        "Shut": ["door_id", "width"],
        "Open": ["door_id", "width", "side", "at"],
        "Wall": ["door_id"],
    }


def test_target_data_comes_from_the_event_first_and_from_the_source_otherwise(
    tmp_path: Path,
) -> None:
    machine = door(tmp_path)

    origins = {move.name: dict(move.origins) for move in machine.moves}

    assert origins["open_it"] == {
        "door_id": "event",
        "width": "state",
        "side": "event",
        "at": "event",
    }
    assert origins["close_it"] == {"door_id": "event", "width": "state"}


@pytest.mark.parametrize(
    ("event", "state", "origin"),
    [
        ("Width", "i32", "event"),  # an alias is what it stands for
        ("{type: i32, le: 9}", "i32", "event"),  # constraints do not make another type
        ("i64", "i32", "state"),  # another width does, so the source's is kept
        ("i32?", "i32", "state"),
    ],
)
def test_an_event_field_counts_if_name_and_type_are_the_same(
    tmp_path: Path, event: str, state: str, origin: str
) -> None:
    text = changed(
        DOORS,
        {
            "  Side: {enum": "  Width: {alias: i32}\n  Side: {enum",
            "Closed: {id: 3, fields: {door_id: DoorId,": (
                f"Closed: {{id: 3, fields: {{door_id: DoorId, width: {event},"
            ),
            "Shut: {data: {width: i32}}": f"Shut: {{data: {{width: {state}}}}}",
        },
    )

    (close_it,) = (move for move in door(tmp_path, text).moves if move.name == "close_it")

    assert dict(close_it.origins)["width"] == origin


def test_events_are_in_the_order_in_which_moves_name_them(tmp_path: Path) -> None:
    text = changed(DOORS, {"brick_up: {from: [Planned, Shut]": "brick_up: {from: [Shut, Planned]"})

    machine = door(tmp_path, text)

    assert machine.events == ("Fitted", "Opened", "Closed", "Bricked")
    assert machine.moves[-1].sources == ("Planned", "Shut")


def test_a_long_chain_of_extending_states_is_refused_and_not_climbed(tmp_path: Path) -> None:
    chain = "".join(f"      S{n}: {{extends: S{n + 1}}}\n" for n in range(200))
    moves = "".join(f"      m{n}: {{from: Planned, to: S{n}, event: E{n}}}\n" for n in range(201))
    events = "".join(f"  E{n}: {{id: {n + 9}, fields: {{door_id: DoorId}}}}\n" for n in range(201))
    text = changed(
        DOORS,
        {
            "machines:": f"{events}machines:",
            "      Wall:": f"{chain}      S200: {{}}\n      Wall:",
            "      brick_up:": f"{moves}      brick_up:",
        },
    )

    found = refused(tmp_path, text)

    assert {(d.code, d.message[:18]) for d in found} == {("E0105", "states extend each")}


@pytest.mark.parametrize("what", ["states", "moves"])
def test_a_machine_that_would_be_too_deep_for_python_is_refused(tmp_path: Path, what: str) -> None:
    """A union of thousands of classes is code that Python's own parser cannot read."""
    events = "".join(f"  E{n}: {{id: {n + 9}, fields: {{door_id: DoorId}}}}\n" for n in range(4000))
    states = "".join(f"      S{n}: {{}}\n" for n in range(4000))
    moves = "".join(f"      m{n}: {{from: Shut, to: Wall, event: E{n}}}\n" for n in range(4000))
    more = {"moves": {"      brick_up:": f"{moves}      brick_up:"}}
    more["states"] = {"      Wall:": f"{states}      Wall:"}
    text = changed(DOORS, {"machines:": f"{events}machines:", **more[what]})

    (found,) = refused(tmp_path, text)

    assert found.code == "E0105"
    assert found.message.startswith(f"a machine has at most 256 {what}, this one has ")
