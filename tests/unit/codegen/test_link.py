"""Proves that everything a schema names exists, is unique and fits, and that all mistakes show.

Without it a kind could be given out twice, a default could be refused at the first append, or a
name could hide another one in a generated module, and the first to know would be a user's code.
"""

from __future__ import annotations

import ast
import datetime as dt
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.link import RESERVED, link
from batpak_codegen.types import FieldType, ListOf, OptionalOf, Scalar, SetOf, StructType
from tests.unit.codegen.project_world import (
    DOORS,
    changed,
    files_of,
    linked,
    package,
    pointed,
    refused,
)

CASES = Path(__file__).parents[2] / "golden" / "cases_out"
GENERATED = sorted(CASES.glob("*/expected/**/*.py"))
HEAD = "batpak: 1\npackage: house.doors\ncategory: 0x3\n"


def field(folder: Path, declaration: str) -> FieldType:
    text = f"{HEAD}types:\n  T: {{struct: {{f: {declaration}}}}}\n"
    (found,) = (d.type for d in package(folder, text).types if isinstance(d.type, StructType))
    return found.fields[0]


# code, what stands in place of `i32` in the field, text above the caret, a word of the answer
WRONG_FIELDS = [
    ("E0302", "Colr", "Colr", "did you mean `Colour`?"),
    ("E0302", "other.Colour", "other.Colour", "imports:"),
    ("E0303", "decimal", "decimal", "precision: 18"),
    ("E0303", "{type: decimal, precision: 39, scale: 2}", "39", "1..38"),
    ("E0303", "{type: decimal, precision: 38, scale: 19}", "38", "0..18"),
    ("E0303", "{type: decimal, precision: 2, scale: 3}", "2", "not above it"),
    ("E0303", "list<decimal>", "decimal", "name it"),
    ("E0303", "{type: bool, ge: 1}", "1", None),
    ("E0303", "{type: string, ge: 1}", "1", "min_length"),
    ("E0303", "{type: Colour, max_length: 1}", "1", "definition of Colour"),
    ("E0303", "{type: string, min_length: 4, max_length: 3}", "4", None),
    ("E0303", "{type: i8, ge: 128}", "{type: i8, ge: 128}", None),
    ("E0303", "{type: u8, gt: 4, lt: 5}", "{type: u8, gt: 4, lt: 5}", None),
    *(
        ("E0303", empty, empty, None)
        for empty in (
            "{type: decimal, precision: 2, scale: 0, ge: 150}",
            "{type: decimal, precision: 4, scale: 2, gt: 1.23, lt: 1.24}",
            "{type: decimal, precision: 4, scale: 2, ge: 1.231, le: 1.239}",
            "{type: float, ge: 2, le: 1}",
            "{type: float, gt: 1, lt: 1}",
            "{type: float, ge: 0, lt: 0}",
        )
    ),
    ("E0303", "{type: set<Colour>, min_length: 3}", "3", None),
    ("E0303", "{type: set<i8>, min_length: 300}", "300", None),
    ("E0303", "{type: set<u8>?, min_length: 257}", "257", None),
    ("E0106", "{type: i8, ge: 1.5}", "1.5", None),
    ("E0106", "{type: f64, ge: 1e5}", "1e5", None),
    ("E0106", "{type: string, max_length: -1}", "-1", None),
    ("E0312", "set<f64>", "f64", "use a list"),
    ("E0312", "set<string?>", "string?", "use a list"),
    ("E0304", "{type: i8, default: 128}", "128", "-128..127"),
    ("E0304", "{type: i8, ge: 0, default: -1}", "-1", "0..127"),
    ("E0304", "{type: i8, default: 010}", "010", "whole number"),
    ("E0304", "{type: bool, default: yes}", "yes", "true or false"),
    ("E0304", "{type: bool, default: 'true'}", "'true'", "plain"),
    ("E0304", "{type: string, default: null}", "null", "with ?"),
    ("E0304", "{type: string, max_length: 2, default: abc}", "abc", "length"),
    ("E0304", "{type: f64, default: .inf}", ".inf", "finite"),
    ("E0304", "{type: f64, default: 1e999}", "1e999", "finite"),
    ("E0304", "{type: f64, le: 1, default: 1.5}", "1.5", "limits"),
    ("E0304", "{type: decimal, precision: 4, scale: 2, default: '1.234'}", "'1.234'", "digits"),
    ("E0304", "{type: decimal, precision: 4, scale: 2, default: '123'}", "'123'", "digits"),
    ("E0304", "{type: decimal, precision: 4, scale: 2, default: NaN}", "NaN", "number like"),
    ("E0304", "{type: Colour, default: RED}", "RED", "red"),
    ("E0304", "{type: date, default: 2023-02-29}", "2023-02-29", "date like"),
    ("E0304", "{type: timestamp, default: '2024-01-01T00:00:00'}", "'2024-01-01T00:00:00'", "zone"),
    ("E0304", "{type: duration, default: P1M}", "P1M", "ISO 8601"),
    ("E0304", "{type: uuid, default: abc}", "abc", "UUID"),
    ("E0304", "{type: bytes, default: abc}", "abc", "no literals"),
    ("E0304", "{type: list<string>, default: abc}", "abc", "no literals"),
    ("E0310", "i32??", "??", "one ?"),
]


@pytest.mark.parametrize(("code", "declaration", "above", "answer"), WRONG_FIELDS)
def test_a_wrong_field_is_found_where_it_stands(
    tmp_path: Path, code: str, declaration: str, above: str, answer: str | None
) -> None:
    text = (
        f"{HEAD}types:\n  Colour: {{enum: {{RED: red}}}}\n  T: {{struct: {{f: {declaration}}}}}\n"
    )

    (found,) = refused(tmp_path, text)

    assert (found.code, pointed(text, found)) == (code, above)
    assert answer is None or answer in (found.help or "")


@pytest.mark.parametrize(
    "declaration",
    [
        "{type: decimal, precision: 2, scale: 0, ge: 99}",
        "{type: decimal, precision: 4, scale: 2, gt: 1.22, lt: 1.24}",
        "{type: float, ge: 1, le: 1}",
        "{type: float, gt: 9007199254740993, lt: 9007199254740997}",
        "{type: set<i8>, min_length: 256}",
        "{type: set<string>, min_length: 5}",
    ],
)
def test_limits_that_one_value_meets_are_fine(tmp_path: Path, declaration: str) -> None:
    assert field(tmp_path, declaration).name == "f"


READ = [
    ("{type: i8, default: -1_0}", -10),
    ("{type: string, default: 'null'}", "null"),
    ("{type: string, default: 'a\"b'}", 'a"b'),
    ("{type: f64, default: 1}", 1.0),
    ("{type: decimal, precision: 6, scale: 2, default: '-1.5'}", Decimal("-1.50")),
    ("{type: decimal, precision: 6, scale: 2, default: '-0'}", Decimal("0.00")),
    ("{type: decimal, precision: 6, scale: 0, default: 12}", Decimal(12)),
    ("{type: date, default: 2024-02-29}", dt.date(2024, 2, 29)),
    (
        "{type: timestamp, default: '2024-01-01T01:30:00+01:30'}",
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    ),
    ("{type: duration, default: -P1DT1.5S}", -dt.timedelta(days=1, seconds=1, microseconds=500000)),
    ("{type: uuid, default: 0000000000000000000000000000000a}", UUID(int=10)),
    ("{type: 'i8?', default: null}", None),
    ("i8?", None),
]


@pytest.mark.parametrize(("declaration", "value"), READ)
def test_a_default_is_a_value_of_exactly_the_type(
    tmp_path: Path, declaration: str, value: object
) -> None:
    found = field(tmp_path, declaration)

    assert found.has_default
    assert found.default == value
    assert type(found.default) is type(value)
    assert str(found.default) == str(value)


def test_types_are_trees_of_what_they_are_made_of(tmp_path: Path) -> None:
    found = field(tmp_path, "{type: 'list<set<u8>?>?', max_length: 3}")

    assert found.type == OptionalOf(ListOf(OptionalOf(SetOf(Scalar("u8"))), max_length=3))


@pytest.mark.parametrize(
    "types",
    [
        "  A: {struct: {a: A}}",
        "  A: {struct: {b: list<B>}}\n  B: {alias: 'map<A>'}",
        "  A: {alias: B}\n  B: {alias: C}\n  C: {alias: A}",
    ],
)
def test_a_type_that_contains_itself_is_refused_once(tmp_path: Path, types: str) -> None:
    (found,) = refused(tmp_path, f"{HEAD}types:\n{types}\n")

    assert found.code == "E0308"
    assert "A" in found.message


def test_a_tower_of_types_is_refused_and_not_climbed(tmp_path: Path) -> None:
    tower = [f"  T{n}: {{struct: {{f: T{n + 1}, g: T{n + 1}}}}}" for n in range(2000)]
    types = "\n".join([*tower, "  T2000: {struct: {f: i8}}"])

    found = refused(tmp_path, f"{HEAD}types:\n{types}\n")

    assert {d.code for d in found} == {"E0105"}


@pytest.mark.parametrize(
    ("declaration", "code", "above"),
    [
        ("id: 0x1000", "E0204", "0x1000"),
        ("id: -1", "E0204", "-1"),
        ("id: 9, category: 0x0", "E0204", "0x0"),
        ("id: 9, category: 0xd", "E0204", "0xd"),
        ("id: 9, category: 16", "E0204", "16"),
        ("id: 2", "E0203", "2"),
        ("id: 9, version: 1001", "E0106", "1001"),
        ("id: 9, version: 0", "E0106", "0"),
    ],
)
def test_a_kind_is_in_range_and_given_once(
    tmp_path: Path, declaration: str, code: str, above: str
) -> None:
    text = changed(DOORS, {"machines:": f"  Painted: {{{declaration}, fields: {{}}}}\nmachines:"})

    (found,) = refused(tmp_path, text)

    assert (found.code, pointed(text, found)) == (code, above)


def test_a_category_of_a_file_is_refused_once_and_not_for_every_event(tmp_path: Path) -> None:
    text = changed(DOORS, {"category: 0x3": "category: 0x0"})

    found = [(one.code, pointed(text, one)) for one in refused(tmp_path, text)]

    assert found == [("E0204", "0x0")]


def test_kinds_are_unique_over_all_packages_and_both_places_are_shown(tmp_path: Path) -> None:
    other = "batpak: 1\npackage: house.roof\nevents:\n  Leaked: {id: 3, category: 3, fields: {}}\n"

    (found,) = refused(tmp_path, DOORS, other)

    assert found.code == "E0203"
    assert "0x3003" in found.message
    assert [place.note for place in found.also] == ["Closed"]
    assert found.help == "`batpak id next house.roof.Leaked` proposes 0xac9"


def test_an_event_without_any_category_is_told_where_to_write_it(tmp_path: Path) -> None:
    text = changed(DOORS, {"category: 0x3\n": ""})

    found = refused(tmp_path, text)

    assert {d.code for d in found} == {"E0109"}
    assert {pointed(text, d) for d in found} == {"Fitted", "Opened", "Closed", "Bricked"}


@pytest.mark.parametrize(
    ("imports", "code"),
    [
        ("[house.rof]", "E0207"),
        ("[house.roof, house.roof]", "E0202"),
        ("[house.roof as r, house.doors as r]", "E0202"),
        ("[house.doors]", "E0206"),
    ],
)
def test_imports_are_packages_with_different_names(tmp_path: Path, imports: str, code: str) -> None:
    roof = "batpak: 1\npackage: house.roof\n"
    text = changed(DOORS, {"category: 0x3\n": f"category: 0x3\nimports: {imports}\n"})

    found = refused(tmp_path, text, roof)

    assert code in {d.code for d in found}


def test_a_cycle_of_packages_is_printed(tmp_path: Path) -> None:
    packages = [
        f"batpak: 1\npackage: house.p{n}\nimports: [house.p{(n + 1) % 3}]\n" for n in range(3)
    ]

    (found,) = refused(tmp_path, *packages)

    assert found.code == "E0206"
    assert found.message.count("->") == 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"  Side: {": "  Fitted: {struct: {a: i8}}\n  Side: {"}, "E0202"),
        ({"  Side: {": "  FITTED: {id: a}\n  Side: {"}, "E0202"),
        ({"  Side: {": "  DoorEvent: {id: a}\n  Side: {"}, "E0411"),
        ({"  Side: {": "  DoorListener: {id: a}\n  Side: {"}, "E0411"),
        ({"  Side: {": "  DoorScenario: {id: a}\n  Side: {"}, "E0411"),
        ({"  Side: {": "  OpenItDoor: {id: a}\n  Side: {"}, "E0411"),
        ({"  Side: {": "  DoorMachine: {id: a}\n  Side: {"}, "E0411"),
        ({"  Side: {": "  Wall: {id: a}\n  Side: {"}, "E0411"),
        ({"  Side: {": "  Mapping: {id: a}\n  Side: {"}, "E0411"),
        ({"brick_up:": "shut:"}, "E0411"),
    ],
)
def test_no_generated_name_hides_another(
    tmp_path: Path, changes: dict[str, str], code: str
) -> None:
    text = changed(DOORS, changes)

    found = refused(tmp_path, text)

    assert {d.code for d in found} == {code}


def test_every_mistake_of_the_phase_is_reported_and_none_twice(tmp_path: Path) -> None:
    text = changed(
        DOORS,
        {
            "width: i32}}\n  Opened": "width: Wdth}}\n  Opened",
            "id: 2,": "id: 1,",
            "to: Wall,": "to: Wal,",
            "deny: {code": "x-note: 1\n    deny: {code",
            "state.width > 50": "state.widht > 50",
        },
    )

    found = refused(tmp_path, text)

    assert sorted(d.code for d in found) == ["E0203", "E0302", "E0404"]


def test_an_imported_type_whose_name_is_taken_gets_another_one(tmp_path: Path) -> None:
    roof = "batpak: 1\npackage: house.roof\ntypes: {Side: {enum: {N: n}}, Tile: {id: tile}}\n"
    text = changed(
        DOORS,
        {
            "category: 0x3\n": "category: 0x3\nimports: [house.roof as top_floor]\n",
            "Fitted: {id: 1, fields: {": "Fitted: {id: 1, fields: {x: top_floor.Side, ",
        },
    )

    found = package(tmp_path, text, roof)

    assert found.renamed == {("house.roof", "Side"): "TopFloorSide"}


@pytest.mark.parametrize(
    "name", ["OpenDoor", "DoorState", "DoorData", "DoorMachine", "FitDoor", "OpenItDoorGates"]
)
def test_an_imported_type_cannot_hide_a_class_of_a_machine(tmp_path: Path, name: str) -> None:
    roof = f"batpak: 1\npackage: house.roof\ntypes: {{{name}: {{enum: {{N: n}}}}}}\n"
    text = changed(DOORS, {"category: 0x3\n": "category: 0x3\nimports: [house.roof]\n"})

    found = package(tmp_path, text, roof)

    assert found.renamed == {("house.roof", name): f"Roof{name}"}


@pytest.mark.parametrize("name", ["house", "garden.doors", "housedoors"])
def test_a_package_outside_the_root_is_refused(tmp_path: Path, name: str) -> None:
    (found,) = refused(tmp_path, f"batpak: 1\npackage: {name}\n")

    assert found.code == "E0208"


@pytest.mark.parametrize(
    "name", ["house.registry", "house.doors.types", "house.doors.door_machine"]
)
def test_a_package_cannot_hide_a_generated_module(tmp_path: Path, name: str) -> None:
    (found,) = refused(tmp_path, DOORS, f"batpak: 1\npackage: {name}\n")

    assert found.code == "E0411"


def test_only_the_system_may_use_the_reserved_categories(tmp_path: Path) -> None:
    text = "batpak: 1\npackage: batpak.system\nevents: {Ended: {id: 1, category: 0, fields: {}}}\n"
    files = files_of(tmp_path, text)

    found = link(files, out_module="batpak", system=True)

    assert [event.kind for event in found.packages[0].events] == [1]
    with pytest.raises(SchemaError, match="E0208"):
        link(files, out_module="gen")
    with pytest.raises(SchemaError, match="E0208"):
        linked(tmp_path, changed(text, {"batpak.system": "house.doors"}), system=True)


def test_what_a_definition_needs_is_defined_before_it(tmp_path: Path) -> None:
    types = """types:
  T: {struct: {side: {type: Turn, default: in}}}
  Pairs: {alias: list<Pair>}
  Pair: {struct: {a: i8}}
  Turn: {alias: Side}
  Side: {enum: {IN: in}}
  Wide: {alias: i32}
"""

    found = [definition.type.name for definition in package(tmp_path, HEAD + types).types]

    assert found == ["Wide", "Side", "Turn", "T", "Pair", "Pairs"]


def test_names_that_generated_code_imports_cannot_be_declared() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in GENERATED]
    imported = {
        alias.name
        for node in [node for tree in trees for node in ast.walk(tree)]
        if isinstance(node, ast.ImportFrom) and node.level == 0
        for alias in node.names
        if alias.name[0].isupper()
    }

    assert {"KIND", "POLICY", "STATE"} <= RESERVED
    assert imported - RESERVED == set()
