"""Proves what a schema leaves to the user: which methods there are, and who needs them.

Without it a machine could ask for hooks it never calls, a gate that two machines ask could be two
methods, or two machines could give one name to different things.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak_codegen import hook
from batpak_codegen.render import render
from tests.unit.codegen.project_world import DOORS, changed, linked, package, refused

PYTHON = changed(
    DOORS,
    {
        "    require: state.width > 50 and event.side == 'in'\n": "",
        "    deny: {code: NARROW, message": "    python: {NARROW",
        "brick_up: {": "brick_up: {evolve: python, ",
        "Wall: {final: true}": "Wall: {final: true, data: {bricks: i64, width: i32}}",
    },
)


def test_python_gates_come_first_and_steps_after_them(tmp_path: Path) -> None:
    found = hook.hooks(package(tmp_path, PYTHON))

    assert [item.method for item in found] == ["gate_wide", "evolve_door_brick_up"]
    gate, step = found
    assert gate.codes == ("NARROW",)
    assert gate.parameters == (
        ("state", (hook.Name("door_states", "Shut"),)),
        ("event", (hook.Name("events", "Opened"),)),
    )
    assert gate.result == hook.Name("hooks", "WideVerdict")
    assert step.codes == ()
    assert step.parameters == (
        ("state", (hook.Name("door_states", "Planned"), hook.Name("door_states", "Shut"))),
        ("event", (hook.Name("events", "Bricked"),)),
    )
    assert step.result == hook.Name("door_states", "Wall")
    assert step.doc == (
        "Planned, Shut + Bricked -> Wall. Runs on every load.\n\n"
        "Not derivable: ``bricks``, ``width``."
    )


def test_a_machine_without_anything_by_hand_takes_no_hooks(tmp_path: Path) -> None:
    files = render(linked(tmp_path, DOORS))

    assert "doors/hooks.py" not in files
    assert "def __init__(self, ledger: Ledger) -> None:" in files["doors/door_machine.py"]


def test_only_what_calls_a_hook_takes_hooks(tmp_path: Path) -> None:
    text = changed(
        PYTHON,
        {
            "event: Closed}": "event: Closed, gates: [closing]}",
            "gates:\n  wide": "gates:\n  closing: {event: Closed, require: 'True',"
            " deny: {code: A, message: a}}\n  wide",
        },
    )

    files = render(linked(tmp_path, text))

    machine = files["doors/door_machine.py"]
    assert "def __init__(self, ledger: Ledger, hooks: DoorsHooks) -> None:" in machine
    assert "self.open_it_gates: Final = OpenItDoorGates(hooks)" in machine
    assert "self.close_it_gates: Final = CloseItDoorGates()" in machine
    assert "(Shut, Bricked): hooks.evolve_door_brick_up," in machine
    assert "def _evolve_brick_up" not in machine


def test_a_step_without_gates_needs_hooks_all_the_same(tmp_path: Path) -> None:
    text = changed(DOORS, {"brick_up: {": "brick_up: {evolve: python, "})

    files = render(linked(tmp_path, text))

    assert "hooks: DoorsHooks" in files["doors/door_machine.py"]
    assert "hooks" not in files["doors/door_gates.py"]
    assert "Verdict" not in files["doors/hooks.py"]
    assert '"""Planned, Shut + Bricked -> Wall. Runs on every load."""' in files["doors/hooks.py"]


def test_a_gate_that_several_ask_is_one_method(tmp_path: Path) -> None:
    text = changed(
        PYTHON,
        {
            "    machine: Door\n": "",
            "{state.width}": "{event.at}",
            "gates:\n  wide": "policies: {Opening: {event: Opened, gates: [wide]}}\ngates:\n  wide",
        },
    )

    found = package(tmp_path, text)

    assert [item.method for item in hook.hooks(found)] == ["gate_wide", "evolve_door_brick_up"]
    assert [gate.name for gate in found.policies[0].gates] == ["wide"]


def test_a_gate_that_nobody_asks_is_left_to_nobody(tmp_path: Path) -> None:
    text = changed(PYTHON, {", gates: [wide]": "", "brick_up: {evolve: python, ": "brick_up: {"})
    text = changed(text, {", data: {bricks: i64, width: i32}": ""})

    assert hook.hooks(package(tmp_path, text)) == ()


@pytest.mark.parametrize(
    ("module", "parts", "file"),
    [
        ("shop.gen", ("orders",), "shop/orders_hooks.py"),
        ("shop.app.gen", ("a", "b"), "shop/app/a_b_hooks.py"),
        ("gen", ("orders",), "orders_hooks.py"),
    ],
)
def test_the_users_file_stands_beside_the_generated_package(
    module: str, parts: tuple[str, ...], file: str
) -> None:
    assert hook.user_file(module, parts) == file


def test_names_that_hooks_need_are_taken(tmp_path: Path) -> None:
    text = changed(PYTHON, {"  Side: {": "  WideVerdict: {id: a}\n  Side: {"})
    other = changed(PYTHON, {"  Side: {": "  DoorsHooks: {id: a}\n  Side: {"})

    assert [d.code for d in refused(tmp_path, text)] == ["E0411"]
    assert [d.code for d in refused(tmp_path, other)] == ["E0411"]


def test_an_imported_type_called_like_the_hooks_gets_another_name(tmp_path: Path) -> None:
    words = "batpak: 1\npackage: house.words\ntypes:\n  DoorsHooks: {enum: {A: a, B: b}}\n"
    text = changed(
        PYTHON,
        {
            "category: 0x3\n": "category: 0x3\nimports: [house.words]\n",
            "Closed: {id: 3, fields: {": "Closed: {id: 3, fields: {kind: words.DoorsHooks, ",
            "event: Closed}": "event: Closed, gates: [closing]}",
            "gates:\n  wide": "gates:\n  closing: {event: Closed, require: event.kind == 'a',"
            " deny: {code: A, message: a}}\n  wide",
        },
    )

    files = render(linked(tmp_path, text, words))

    assert "import DoorsHooks as WordsDoorsHooks" in files["doors/door_gates.py"]
    assert "event.kind == WordsDoorsHooks.A" in files["doors/door_gates.py"]
