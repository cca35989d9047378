"""Every change class, in the mode in which it breaks and in the one in which it does not.

Without this table a rule could turn round, and a change that hides history would pass as fine.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak_codegen import versions
from batpak_codegen.config import configure
from batpak_codegen.diagnostic import SchemaError
from tests.unit.codegen.version_world import World, codes

FULL = 'mode = "full_transitive"\n'
TYPES = """\
types:
  OrderId: {id: order}
  Other: {id: other}
  Side: {enum: {IN: in, OUT: out}}
  Reason: {open: true, enum: {LATE: late}}
  Money: {struct: {cents: i64, note: string?}}
  Card: {struct: {last4: string}}
  Bank: {struct: {iban: string}}
  Pay: {union: {card: Card, bank: Bank}}
"""
FIELDS = (
    "a: string, b: string?, c: {type: i32, default: 1}, d: f64, e: {type: decimal, precision: 9,"
    " scale: 2}, f: list<string>, s: Side, r: Reason, m: Money, p: Pay, i: OrderId, u: uuid"
)
MACHINE = """\
machines:
  Door:
    entity: "door:{i}"
    states: {New: {initial: true}, Done: {final: true}}
    moves: {go: {from: New, to: Done, event: Seen}}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def schema(fields: str = FIELDS, types: str = TYPES, event: str = "Seen: {id: 1, fields: ") -> str:
    return f"{types}events:\n  {event}{{{fields}}}}}\n{MACHINE}"


ROWS = [  # rule, what is replaced, by what, breaks backward, breaks full
    ("C101", "a: string", "a: string, z: i64?", False, False),
    ("C101", "a: string", "a: string, z: {type: i64, default: 4}", False, False),
    ("C102", "a: string", "a: string, z: i64", True, True),
    ("C103", "b: string?, ", "", False, False),
    ("C103", "a: string, ", "", False, True),
    ("C104", "a: string", "z: string", True, True),
    ("C105", "a: string", "a: string?", False, True),
    ("C106", "b: string?", "b: string", True, True),
    ("C107", "c: {type: i32", "c: {type: i64", False, False),
    ("C107", "c: {type: i32", "c: {type: i8", False, False),
    ("C108", "c: {type: i32, default: 1}", "c: f64", True, True),
    ("C108", "d: f64", "d: i64", True, True),
    ("C109", "a: string", "a: uuid", True, True),
    ("C109", "a: string", "a: Side", True, True),
    ("C110", "precision: 9, scale: 2", "precision: 8, scale: 3", False, False),
    ("C111", "a: string", "a: bytes", True, True),
    ("C111", "f: list<string>", "f: set<string>", True, True),
    ("C111", "m: Money", "m: Pay", True, True),
    ("C112", "OUT: out}", "OUT: out, UP: up}", False, True),
    ("C112", "LATE: late}", "LATE: late, LOST: lost}", False, False),
    ("C113", "IN: in, OUT: out", "IN: in", True, True),
    ("C113", "IN: in, OUT: out", "IN: in, OUT: off", True, True),
    ("C114", "card: Card, bank: Bank", "card: Card, bank: Bank, gift: Gift", False, True),
    ("C114", "card: Card, bank: Bank", "cart: Card, bank: Bank", True, True),
    ("C115", "default: 1}", "default: 2}", True, True),
    ("C116", "Side: {enum", "Side: {open: true, enum", False, False),
    ("C117", "a: string, b: string?", "b: string?, a: {type: string, max_length: 3}", False, False),
    ("C102", "cents: i64, note", "cents: i64, tax: i64, note", True, True),
    ("C106", "note: string?", "note: string", True, True),
    ("C111", "iban: string", "iban: bytes", True, True),
    ("C111", "f: list<string>", "f: list<bytes>", True, True),
    ("C120", "a: string", "a: {type: string, wire: z}", True, True),
    ("C120", "b: string?, ", "b: {type: string?, wire: y}, z: i64?, ", True, True),
    ("C120", "{id: order}", "{id: ordre}", True, True),
    ("C120", 'entity: "door:', 'entity: "gate:', True, True),
    ("C121", "Seen: {id: 1", "Saw: {id: 2", True, True),
    ("C111", "u: uuid", "u: OrderId", False, False),  # an id is a UUID to those who read it
    ("C104", "a: string", "z: {type: string, wire: a}", False, False),  # the stored key is the same
]


@pytest.mark.parametrize(("rule", "old", "new", "backward", "full"), ROWS)
def test_a_change_breaks_exactly_what_the_table_says(
    world: World, rule: str, old: str, new: str, *, backward: bool, full: bool
) -> None:
    gift = TYPES.replace("  Pay:", "  Gift: {struct: {code: string}}\n  Pay:")
    world.freeze(schema(types=gift))
    changed = schema(types=gift).replace(old, new).replace("event: Saw", "event: Seen")
    if "Saw" in changed:
        changed = changed.replace("event: Seen", "event: Saw")
    assert changed != schema(types=gift)

    found = codes(world.breaks(changed))
    world.table(FULL)
    found_full = codes(world.breaks(changed))

    assert found == ([rule] if backward else [])
    assert (rule in found_full) is full
    assert bool(found_full) is full


def test_a_name_that_was_free_for_a_while_may_not_hold_something_else(world: World) -> None:
    world.freeze(schema())
    world.freeze(schema(FIELDS.replace("b: string?, ", "")))

    (found,) = world.breaks(schema(FIELDS.replace("b: string?", "b: i64?")))

    assert found.code == "C122"
    assert "uses a name again that held something else" in found.message
    assert found.help == (
        "choose a name that was never used, or raise the version to 2 and write upcasts: {1: …}"
    )


def test_a_revision_reads_all_older_ones_not_only_the_last(world: World) -> None:
    world.freeze(schema("i: OrderId, a: string?"))
    world.freeze(schema("i: OrderId"))

    assert codes(world.breaks(schema("i: OrderId, a: string"))) == ["C102", "C122"]


def test_a_rename_is_told_as_one_beside_fields_that_are_optional_and_new(world: World) -> None:
    world.freeze(schema("i: OrderId, a: string"))
    world.freeze(schema("i: OrderId, a: string, n: i64?"))

    (found,) = world.breaks(schema("i: OrderId, z: string, n: i64?, m: string?"))

    assert found.code == "C104"
    assert found.message.startswith("Seen: z was called a; events of revision 1.2")


@pytest.mark.parametrize(
    ("was", "now", "rules"),
    [
        ("a: string, b: string", "z: string", ["C102"]),  # either may have been z
        ("a: string", "z: string, y: string", ["C102", "C102"]),
        ("a: string, b: i64", "z: string, y: i64", ["C104", "C104"]),
        ("a: string?, b: i64", "z: string?, b: i64, y: i64", ["C102"]),  # old events may lack a
    ],
)
def test_fields_are_paired_as_a_rename_only_where_their_types_leave_no_doubt(
    world: World, was: str, now: str, rules: list[str]
) -> None:
    world.freeze(schema(f"i: OrderId, {was}"))

    assert codes(world.breaks(schema(f"i: OrderId, {now}"))) == rules


def test_a_hop_mitigates_and_is_cited_and_in_full_mode_does_not_help_old_code(
    world: World,
) -> None:
    world.freeze(schema("i: OrderId, a: string"))
    world.schema(
        schema(
            "i: OrderId, z: string",
            event="Seen: {id: 1, version: 2, upcasts: {1: [{rename: {a: z}}]}, fields: ",
        )
    )

    fine = versions.compat(world.config)
    full = versions.compat(world.config, mode="full_transitive")

    assert fine.reason is None
    assert fine.summary.splitlines() == [
        "Seen: z was called a [C104], mitigated by Seen.upcasts[1]",
        "compatible with lock",
    ]
    assert codes(full.diagnostics) == ["C104"]
    assert (
        full.diagnostics[0].message == "Seen: z was called a; code of version 1 refuses version 2"
    )
    assert full.diagnostics[0].help == "a hop helps new code only: in this mode, use a new event"


def test_modes_are_per_package(world: World) -> None:
    world.freeze(schema())
    changed = schema().replace("a: string", "a: string?")
    world.table('modes = {"shop.orders" = "full_transitive"}\n')

    assert codes(world.breaks(changed)) == ["C105"]


def test_a_break_is_suppressed_until_its_day_and_then_an_error(world: World) -> None:
    world.freeze(schema())
    rule = '[[tool.batpak.suppress]]\nrule = "C115"\ntarget = "shop.orders.Seen"\nreason = "r"\n'
    world.table(f"{rule}until = 2999-01-01\n")

    assert world.breaks(schema().replace("default: 1}", "default: 2}")) == ()

    for more, said in (
        ("until = 2020-01-01\n", "ended on 2020-01-01"),
        ("until = 'soon'\n", "suppress"),
    ):
        world.table(rule + more)
        with pytest.raises(SchemaError, match=said) as caught:
            configure(world.root / "pyproject.toml")
        assert codes(caught.value.diagnostics) == ["E0003"]
    world.table(rule.replace("C115", "C999") + "until = 2999-01-01\n")
    with pytest.raises(SchemaError, match="there is no rule `C999`"):
        configure(world.root / "pyproject.toml")


def test_compat_compares_with_a_directory_of_schemas(world: World, tmp_path: Path) -> None:
    other = tmp_path / "old"
    other.mkdir()
    world.schema(schema())
    (other / "orders.batpak.yaml").write_text(
        (world.root / "schemas" / "orders.batpak.yaml").read_text()
    )
    (tmp_path / "empty").mkdir()

    assert world.breaks(schema(), str(other)) == ()
    assert codes(world.breaks(schema(FIELDS.replace("a: string", "a: bytes")), str(other))) == [
        "C111"
    ]
    for nothing in ("empty", "nowhere"):
        with pytest.raises(SchemaError) as caught:
            versions.compat(world.config, str(tmp_path / nothing))
        assert codes(caught.value.diagnostics) == ["E0003"]
