"""Nodes become the models of one file, or findings in our own words at the right place.

Without these tests a misspelled key would be ignored, a quoted `"true"` would count as true, or a
person would be shown the inside of the validation library.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak_codegen.declarations import SchemaFile, read_file
from batpak_codegen.diagnostic import Diagnostic, Findings, SchemaError
from batpak_codegen.source import yaml_text

HEAD = "batpak: 1\npackage: shop.orders\n"


def read(text: str) -> SchemaFile:
    findings = Findings()
    file = read_file(yaml_text.parse(text, "s.yaml"), findings)
    findings.finish()
    assert file is not None
    return file


def findings_of(text: str) -> tuple[Diagnostic, ...]:
    findings = Findings()
    file = read_file(yaml_text.parse(text, "s.yaml"), findings)
    assert file is None
    return SchemaError(findings.diagnostics).diagnostics


def finding(text: str) -> Diagnostic:
    (found,) = findings_of(text)
    return found


def place(found: Diagnostic) -> tuple[str, int, int]:
    assert found.span is not None
    return found.code, found.span.line, found.span.column


def test_a_file_is_read_in_declared_order_with_places() -> None:
    file = read(
        HEAD
        + "$schema: ./batpak-v1.json\nx-team: {any: [thing]}\ncategory: 0x2\n"
        + "imports: [shop.common, shop.money as m]\n"
        + "events:\n  B: {id: 0x01, fields: {}}\n"
        + "  A:\n    id: 1_0\n    fields:\n"
        + "      z: string\n      a: {type: i8, le: 3, default: 1}\n"
    )

    assert file.path == "s.yaml"
    assert file.category is not None
    assert file.category.value == 2
    assert [node.value for node in file.imports] == ["shop.common", "shop.money as m"]
    assert [(name.value, event.id.value) for name, event in file.events] == [("B", 1), ("A", 10)]
    fields = file.events[1][1].fields
    assert [(name.value, field.type.value) for name, field in fields] == [
        ("z", "string"),
        ("a", "i8"),
    ]
    default = fields[1][1].default
    assert default is not None
    assert (default.value, default.span.line, default.span.column) == ("1", 13, 37)


def test_the_options_of_an_alias_stand_beside_it() -> None:
    file = read(
        HEAD + "types:\n  A: {doc: Words., alias: decimal, precision: 18, scale: 2, ge: 0}\n"
    )

    ((_, type_),) = file.types
    alias = type_.alias
    assert alias is not None
    assert type_.doc is not None
    assert alias.precision is not None
    assert alias.ge is not None
    assert (alias.type.value, alias.precision.value, alias.ge.value) == ("decimal", 18, "0")


def test_a_machine_with_its_gates_is_read() -> None:
    file = read(
        HEAD
        + "machines:\n  Order:\n    entity: 'order:{id}'\n    states:\n"
        + "      Draft: {initial: true}\n"
        + "      Paid: {final: true, extends: Draft, data: {at: timestamp}}\n    moves:\n"
        + "      pay: {from: Draft, to: Paid, event: OrderPaid, gates: [ok]}\n"
        + "      again: {from: [Draft, Paid], to: Paid, event: OrderPaid}\n"
        + "gates:\n  ok:\n    event: OrderPaid\n    require: event.a == 1\n"
        + "    deny: {code: NOT_ONE, message: not one}\n"
    )

    ((_, machine),) = file.machines
    assert [name.value for name, _ in machine.states] == ["Draft", "Paid"]
    assert machine.states[0][1].initial is not None
    assert machine.states[0][1].data == ()
    assert [[node.value for node in move.from_] for _, move in machine.moves] == [
        ["Draft"],
        ["Draft", "Paid"],
    ]
    assert [len(move.gates) for _, move in machine.moves] == [1, 0]
    assert file.gates[0][1].deny is not None
    assert file.gates[0][1].deny.code.value == "NOT_ONE"


EVENT = HEAD + "events:\n  E: {id: 1, fields: {a: %s}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("package: a\n", ("E0109", 1, 1)),
        ("batpak: 2\npackage: a\n", ("E0106", 1, 9)),
        ('batpak: "1"\npackage: a\n', ("E0106", 1, 9)),
        ("batpak: 1\n", ("E0109", 1, 1)),
        ("[a]\n", ("E0106", 1, 1)),
        ("just text\n", ("E0106", 1, 1)),
        (HEAD + "evnts: {}\n", ("E0108", 3, 1)),
        (HEAD + "from_: {}\n", ("E0108", 3, 1)),
        (HEAD + "span: {}\n", ("E0108", 3, 1)),
        (HEAD + "path: x\n", ("E0108", 3, 1)),
        (HEAD + "category: 010\n", ("E0106", 3, 11)),
        (HEAD + "category: 1.0\n", ("E0106", 3, 11)),
        (HEAD + "category: 99999999999999999999\n", ("E0106", 3, 11)),
        (HEAD + f"category: {'9' * 5_000}\n", ("E0106", 3, 11)),
        (HEAD + "category: [1]\n", ("E0106", 3, 11)),
        (HEAD + "doc: {a: b}\n", ("E0106", 3, 6)),
        (HEAD + "imports: shop.common\n", ("E0106", 3, 10)),
        (HEAD + "imports: [../x]\n", ("E0201", 3, 11)),
        (HEAD + "imports: [a as B]\n", ("E0201", 3, 11)),
        (HEAD + "imports: [[a]]\n", ("E0106", 3, 11)),
        (HEAD + "events: []\n", ("E0106", 3, 9)),
        (HEAD + "events:\n  E: {fields: {}}\n", ("E0109", 4, 3)),
        (HEAD + "events:\n  E: {id: 1}\n", ("E0109", 4, 3)),
        (HEAD + "events:\n  E: text\n", ("E0106", 4, 6)),
        (HEAD + "events:\n  e: {id: 1, fields: {}}\n", ("E0201", 4, 3)),
        (EVENT % "[string]", ("E0106", 4, 26)),
        (EVENT % "{typ: string, type: i8}", ("E0108", 4, 27)),
        (EVENT % "{doc: x}", ("E0109", 4, 23)),
        (EVENT % "{type: string, max_length: '3'}", ("E0106", 4, 53)),
        (EVENT % "string, self: i8", ("E0201", 4, 34)),
        (EVENT % "string, int: i8", ("E0313", 4, 34)),
        (EVENT % "string, b__c: i8", ("E0201", 4, 34)),
        (HEAD + "types:\n  A: {}\n", ("E0109", 4, 3)),
        (HEAD + "types:\n  A: {doc: x}\n", ("E0109", 4, 3)),
        (HEAD + "types:\n  A: {alias: i8, id: a}\n", ("E0108", 4, 18)),
        (HEAD + "types:\n  A: {alias: i8, default: 1}\n", ("E0108", 4, 18)),
        (HEAD + "types:\n  A: {alias: i8, max_lenght: 1}\n", ("E0108", 4, 18)),
        (HEAD + "types:\n  A: {struct: {}}\n", ("E0106", 4, 15)),
        (HEAD + "types:\n  A: {struct: [a]}\n", ("E0106", 4, 15)),
        (HEAD + "types:\n  A: {struct: {a: i8}, ge: 1}\n", ("E0108", 4, 24)),
        (HEAD + "types:\n  A: {enum: {}}\n", ("E0106", 4, 13)),
        (HEAD + "types:\n  A: {enum: [A]}\n", ("E0106", 4, 13)),
        (HEAD + "types:\n  A: {enum: {a: a}}\n", ("E0201", 4, 14)),
        (HEAD + "types:\n  A: {enum: {A: {}}}\n", ("E0106", 4, 17)),
        (HEAD + "types:\n  A: {enum: {A: ''}}\n", ("E0106", 4, 17)),
        (HEAD + 'types:\n  A: {enum: {A: "a\\nb"}}\n', ("E0106", 4, 17)),
        (HEAD + f"types:\n  A: {{enum: {{A: {'é' * 65}}}}}\n", ("E0106", 4, 17)),
        (HEAD + "types:\n  A: {enum: {A: a, B: a}}\n", ("E0309", 4, 23)),
        (HEAD + "types:\n  A: {id: Order}\n", ("E0201", 4, 11)),
        (HEAD + "types:\n  Ab: {id: a}\n  AB: {id: b}\n", ("E0202", 5, 3)),
    ],
)
def test_what_does_not_fit_is_one_finding_at_its_place(
    text: str, expected: tuple[str, int, int]
) -> None:
    found = finding(text)

    assert place(found) == expected
    for word in ("pydantic", "Input", "validation", "instance", "Field required", "extra"):
        assert word not in f"{found.message} {found.help}"


@pytest.mark.parametrize("value", ['"true"', "'true'", "True", "yes", "1", "on", "null", "{}"])
def test_only_plain_true_and_false_are_booleans(value: str) -> None:
    text = f"machines:\n  M: {{entity: a, states: {{S: {{initial: {value}}}}}, moves: {{}}}}\n"

    assert place(finding(HEAD + text))[0] == "E0106"


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [("fieldz", "fields"), ("versoin", "version"), ("category_", "category"), ("ID", None)],
)
def test_an_unknown_key_comes_with_the_nearest_one(key: str, suggestion: str | None) -> None:
    found = finding(HEAD + f"events:\n  E: {{id: 1, fields: {{}}, {key}: x}}\n")

    assert found.message == f"unknown key `{key}`"
    assert found.help is not None
    if suggestion:
        assert found.help == f"did you mean `{suggestion}`?"
    else:
        keys = "id, category, version, doc, deprecated, fields, upcasts, reserved"
        assert found.help == f"keys here: {keys}"


def test_everything_wrong_with_a_file_is_reported_at_once() -> None:
    text = "package: ../up\ntypes: {a: {}}\nevents: {E: {id: x}}\ngates: {g: {deny: {code: no}}}\n"

    found = [place(diagnostic)[:2] for diagnostic in findings_of(text)]

    assert found == [
        ("E0109", 1),  # batpak
        ("E0201", 1),  # ../up
        ("E0109", 2),  # one of alias, struct, enum, id
        ("E0201", 2),  # a
        ("E0109", 3),  # fields
        ("E0106", 3),  # x
        ("E0109", 4),  # event
        ("E0109", 4),  # message
        ("E0201", 4),  # no
    ]


def test_a_phase_ends_at_the_limit_of_findings() -> None:
    text = HEAD + "events:\n" + "".join(f"  E{n}: {{x: 1}}\n" for n in range(1_000))

    with pytest.raises(SchemaError) as caught:
        read_file(yaml_text.parse(text, "s.yaml"), Findings(limit=10))

    assert len(caught.value.diagnostics) == 10


WORDS = """
    batpak package doc category imports types events machines gates alias struct enum id fields
    type states moves entity from to event deny code message require initial x-y E e A a
"""
KEYS = st.sampled_from(WORDS.split())
TREES = st.recursive(
    st.sampled_from(["1", "a", "A", "E", "true", "'x'", "string", "shop", "null", "0x2"]),
    lambda inner: (
        st.dictionaries(KEYS, inner, max_size=5).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
        | st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    ),
    max_leaves=25,
)


@given(TREES)
def test_any_tree_is_a_file_or_findings_with_places(text: str) -> None:
    findings = Findings()
    try:
        file = read_file(yaml_text.parse(text, "s.yaml"), findings)
    except SchemaError as error:
        assert error.diagnostics[0].code == "E0110"  # noqa: PT017  raising is one way out of two
        return

    assert (file is None) == bool(findings.diagnostics)
    assert all(found.span for found in findings.diagnostics)
