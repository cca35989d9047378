"""Proves that policies, contexts and examples mean what they say once a schema is linked.

Without it a policy could judge another event than it is for, a gate could look at a context that
nobody passes, and an example could be right about values that nobody wrote.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from batpak_codegen.example import examples
from batpak_codegen.ir import GateDef, PackageDef
from batpak_codegen.render import render
from tests.unit.codegen.project_world import DOORS, changed, linked, package, pointed, refused

DESK = changed(
    DOORS,
    {
        "events:\n": "contexts:\n  Desk: {open: bool, fee: {type: decimal, precision: 4, scale: 1},"
        " note: string?}\nevents:\n",
        "  Bricked: {id": "  Rung: {id: 9, fields: {door_id: DoorId, price: {type: decimal,"
        " precision: 9, scale: 2}, tags: set<string>, times: {type: i32, default: 1}}}\n"
        "  Bricked: {id",
        "gates:\n  wide": "policies:\n  Bell: {doc: Who may ring., event: Rung, gates: [rung]}\n"
        "gates:\n"
        "  rung:\n"
        "    event: Rung\n"
        "    context: Desk\n"
        "    require: ctx.open and event.price >= ctx.fee and event.times < 3\n"
        '    deny: {code: SHUT, message: "{event.price}"}\n'
        "    examples:\n"
        "      - {expect: permit, event: {price: 2, tags: [a, a]}, ctx: {open: true, fee: 1.5}}\n"
        "      - {expect: SHUT, event: {}, ctx: {open: false}}\n"
        "  wide",
    },
)
WRONG = [
    ("E0303", {"open: bool": "open: {type: string, min_length: 1}"}, "1", "test it in a gate"),
    ("E0106", {"Desk: {open: bool, fee: {type: decimal, precision: 4, scale: 1}, note: string?}":
               "Desk: {}"}, "Desk", "gates need none"),
    ("E0302", {"open: bool": "open: Boolean"}, "Boolean", None),
    ("E0504", {"ctx.open and": "ctx.note == 'x' and"}, "ctx.note", "guard it"),
    ("E0512", {'message: "{event.price}"': 'message: "{event.tags}"'}, "event.tags", None),
    ("E0202", {"contexts:\n": "contexts:\n  Side: {a: bool}\n"}, "Side", None),
    ("E0411", {"contexts:\n": "contexts:\n  Shut: {a: bool}\n"}, "Shut", None),
    ("E0411", {"  Bell: {doc": "  DoorMachine: {doc"}, "Door", None),
    ("E0411", {"  Bell: {doc": "  Denial: {doc"}, "Denial", "another name"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "changes", "above", "answer"), WRONG)
def test_a_policy_or_context_that_cannot_be_is_refused(
    tmp_path: Path, code: str, changes: dict[str, str], above: str, answer: str | None
) -> None:
    text = changed(DESK, changes)

    found = refused(tmp_path, text)

    assert found[0].code == code
    assert above in (pointed(text, d) for d in found)
    assert answer is None or answer in (found[0].help or "")


def gate_of(found: PackageDef) -> GateDef:
    (policy,) = found.policies
    (gate,) = policy.gates
    return gate


def test_a_policy_passes_the_context_of_its_gates_on(tmp_path: Path) -> None:
    found = package(tmp_path, DESK)

    assert [(p.name, p.event, p.context, p.doc) for p in found.policies] == [
        ("Bell", "Rung", "Desk", "Who may ring.")
    ]
    assert [context.name for context in found.contexts] == ["Desk"]
    assert gate_of(found).states == ()


def test_examples_are_a_table_of_what_was_given_and_what_it_stands_for(tmp_path: Path) -> None:
    table = examples(package(tmp_path, DESK))

    assert [(gate.name, example.code) for gate, example in table] == [
        ("rung", None),
        ("rung", "SHUT"),
    ]
    (_, first), (_, second) = table
    assert first.event.type.name == "Rung"
    assert first.event.fields == {"price": Decimal("2.00"), "tags": frozenset({"a"}), "times": 1}
    assert str(first.event.fields["price"]) == "2.00"
    assert first.ctx is not None
    assert first.ctx.fields == {"open": True, "fee": Decimal("1.5")}
    assert first.state is None
    assert second.event.fields == {"times": 1}  # it is read, and it has a default


def test_the_state_of_an_example_goes_by_the_name_of_its_state(tmp_path: Path) -> None:
    example = "    examples: [{expect: permit, event: {side: in}, state: {width: 51}}]\n"
    text = changed(DOORS, {"    deny: {code: NARROW": f"{example}    deny: {{code: NARROW"})

    ((_, found),) = examples(package(tmp_path, text))

    assert found.state is not None
    assert (found.state.type.name, found.state.fields) == ("Shut", {"width": 51})


def test_examples_of_a_gate_that_nobody_asks_are_judged_all_the_same(tmp_path: Path) -> None:
    example = "    examples: [{expect: permit, event: {side: out}, state: {width: 51}}]\n"
    text = changed(DOORS, {"    deny: {code: NARROW": f"{example}    deny: {{code: NARROW"})
    unused = changed(text, {", gates: [wide]": ""})

    assert [d.code for d in refused(tmp_path, unused)] == ["E0515"]


def test_a_move_passes_the_context_of_its_gates_on(tmp_path: Path) -> None:
    text = changed(
        DESK,
        {
            "gates: [wide]": "gates: [wide, staffed]",
            "  wide:\n": "  staffed: {event: Opened, context: Desk, require: ctx.open,"
            " deny: {code: SHUT, message: shut}}\n  wide:\n",
        },
    )

    found = package(tmp_path, text)
    files = render(linked(tmp_path, text))

    (machine,) = found.machines
    assert [move.context for move in machine.moves if move.gates] == ["Desk"]
    assert "class OpenItDoorGates(GateSet[Desk, Shut, Opened]):" in files["doors/door_gates.py"]
    assert "def judge_wide(ctx: object, state: Shut, event: Opened)" in files["doors/door_gates.py"]
    assert (
        "def judge_staffed(ctx: Desk, state: object, event: object)"
        in (files["doors/door_gates.py"])
    )


@pytest.mark.parametrize("name", ["contexts", "hooks", "policies"])
def test_a_package_cannot_hide_the_modules_of_gates(tmp_path: Path, name: str) -> None:
    inner = f"batpak: 1\npackage: house.doors.{name}\ndoc: Hidden.\n"

    assert [d.code for d in refused(tmp_path, DESK, inner)] == ["E0411"]
