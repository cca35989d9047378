"""Proves that two readings of one expression agree: the printed Python and the evaluator.

Examples of gates are judged by the evaluator when a schema is checked, and events by the Python
when they are stored. If the two could differ, an example would prove nothing; if the context of a
thread could change either, a policy would depend on who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from batpak import abi
from batpak.exact import exact
from batpak_codegen.diagnostic import Findings
from batpak_codegen.expr.emit import Condition, compile_condition, compile_value
from batpak_codegen.expr.evaluate import NotGiven, Record, TooLong, Value, evaluate
from batpak_codegen.types import (
    AliasType,
    EnumType,
    ListOf,
    MapOf,
    OptionalOf,
    Scalar,
    SetOf,
    StructType,
    Type,
)
from tests.unit.codegen.expr_world import (
    BOOL,
    CARRIER,
    ENUMS,
    EVENT,
    INT,
    PATHS,
    PYTHON_ENUMS,
    SCOPE,
    STATE,
    TEXT,
    WORLDS,
    Writer,
    condition,
    conditions,
    node_of,
    real,
)

FIVE_DIGITS = Context(prec=5, traps=[])
MEMBERS = {(enum.package, enum.name): enum for enum in ENUMS.values()}
DECIMAL = Scalar("decimal", precision=38, scale=10)


def record(where: str, type_: Type, value: Any) -> Value:  # noqa: ANN401  it is data
    """A plain value of the world as the evaluator takes it."""
    match type_:
        case AliasType() | OptionalOf():
            return None if value is None else record(where, type_.of, value)
        case ListOf():
            return tuple(record(where, type_.item, item) for item in value)
        case SetOf():
            return frozenset(record(where, type_.item, item) for item in value)
        case MapOf():
            return {key: record(where, type_.item, item) for key, item in value.items()}
        case StructType():
            names = tuple(field.name for field in type_.fields)
            parts = {
                f.name: record(f"{where}.{f.name}", f.type, value[f.name]) for f in type_.fields
            }
            return Record(where, names, parts)
        case _:
            return value


def evaluated(found: Condition, world: Mapping[str, Any]) -> Value:
    names = {name: record(name, type_, world[name]) for name, type_ in SCOPE.items()}
    return evaluate(found.node, names, MEMBERS)


def printed(found: Condition, world: Mapping[str, Any]) -> object:
    """Run the printed Python as generated code does, in a thread that rounds to five digits."""
    lines = ["def step(event, state):", "    return dict("]
    lines += [f"        {found.argument('value', 8)},", "    )"]
    names: dict[str, Any] = {**PYTHON_ENUMS, "abi": abi, "Decimal": Decimal}
    exec("\n".join(lines), names)  # noqa: S102  what is tested is code
    step: Callable[..., dict[str, object]] = names["step"]
    event, state = real(EVENT, world["event"]), real(STATE, world["state"])
    with localcontext(FIVE_DIGITS):
        return (exact(step) if found.exact else step)(event, state)["value"]


@settings(max_examples=100, deadline=None)
@given(conditions(), WORLDS)
def test_the_evaluator_agrees_with_the_printed_condition_under_any_context(
    text: str, world: dict[str, Any]
) -> None:
    findings = Findings()
    found = compile_condition(node_of(text), SCOPE, ENUMS, findings)
    # A random text may ask twice whether something is null, or multiply too much.
    assume(not any("never null" in d.message or d.code == "E0511" for d in findings.diagnostics))
    assert found is not None, findings.diagnostics

    try:
        expected = evaluated(found, world)
    except OverflowError:
        with pytest.raises(OverflowError):
            printed(found, world)
        return

    assert printed(found, world) is expected


KINDS: dict[str, Type] = {
    "int": INT,
    "decimal": DECIMAL,
    "text": TEXT,
    "bool": BOOL,
    "carrier": CARRIER,
    "timestamp": Scalar("timestamp"),
    "duration": Scalar("duration"),
}


@st.composite
def values(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[str, Type]:
    """Random expressions, and what a field that takes their value may be."""
    kind = draw(st.sampled_from([*KINDS, "int", "decimal"]))
    text = Writer(draw).value(kind, draw(st.integers(0, 3)), PATHS, looping=False)
    wanted = DECIMAL if kind == "int" and draw(st.booleans()) else KINDS[kind]
    return text, OptionalOf(wanted) if draw(st.booleans()) else wanted


@settings(max_examples=100, deadline=None)
@given(values(), WORLDS)
def test_the_evaluator_agrees_with_the_printed_value_under_any_context(
    written: tuple[str, Type], world: dict[str, Any]
) -> None:
    text, wanted = written
    findings = Findings()
    found = compile_value(node_of(text), wanted, SCOPE, ENUMS, findings)
    assume(not any("never null" in d.message or d.code == "E0511" for d in findings.diagnostics))
    assert found is not None, findings.diagnostics

    try:
        expected = evaluated(found, world)
    except OverflowError:
        with pytest.raises(OverflowError):
            printed(found, world)
        return

    value = printed(found, world)
    assert getattr(value, "value", value) == expected  # an enum is what is stored
    is_decimal = isinstance(value, Decimal)
    assert is_decimal == (wanted in (DECIMAL, OptionalOf(DECIMAL)))


def test_what_was_not_given_may_be_missing_until_it_is_looked_at() -> None:
    found = condition("event.gift or event.amount.amount > 0")
    money = Record("event.amount", ("amount", "currency"), {"currency": "eur"})

    def answer(**event: Value) -> Value:
        return evaluate(found.node, {"event": Record("event", (), event)}, MEMBERS)

    assert answer(gift=True) is True
    for event, path in ({"gift": False}, "event.amount"), ({}, "event.gift"):
        with pytest.raises(NotGiven) as caught:
            answer(**event)
        assert caught.value.path == path
    with pytest.raises(NotGiven) as caught:
        answer(gift=False, amount=money)
    assert caught.value.path == "event.amount.amount"


def test_a_part_that_is_missing_cannot_be_compared() -> None:
    found = condition("event.amount == state.total")
    whole = Record(
        "state.total", ("amount", "currency"), {"amount": Fraction(1), "currency": "eur"}
    )
    part = Record("event.amount", ("amount", "currency"), {"amount": Fraction(1)})
    other = Record("event.amount", ("amount", "currency"), {"amount": Fraction(2)})

    def answer(amount: Record) -> Value:
        event, state = (
            Record("event", (), {"amount": amount}),
            Record("state", (), {"total": whole}),
        )
        return evaluate(found.node, {"event": event, "state": state}, MEMBERS)

    with pytest.raises(NotGiven) as caught:
        answer(part)
    assert caught.value.path == "event.amount.currency"
    assert answer(other) is False  # that one is decided before


def test_a_name_that_is_not_given_at_all_is_named() -> None:
    with pytest.raises(NotGiven) as caught:
        evaluate(condition("state.pieces > 1").node, {}, MEMBERS)

    assert caught.value.path == "state"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 < 2 < 2", False),
        ("7 // 2 == 3 and -7 // 2 == -4 and -7 % 3 == 2", True),
        ("decimal('0.1') + decimal('0.2') == decimal('0.3')", True),
        ("'' in 'ab' and 'b' in 'ab' and 'ba' not in 'ab'", True),
        ("2 in [1, decimal('2.0')]", True),
        ("abs(-3) == max(1, decimal('3'))", True),
        ("duration('P1D') == duration('PT24H')", True),
        ("timestamp('2024-01-02T02:00:00+02:00') == timestamp('2024-01-02T00:00:00Z')", True),
        ("'large' if 1 > 2 else 'small'", "small"),
    ],
)
def test_constants_mean_what_they_say(text: str, value: object) -> None:
    wanted = TEXT if isinstance(value, str) else BOOL
    findings = Findings()
    found = compile_value(node_of(text), wanted, SCOPE, ENUMS, findings)
    assert found is not None, findings.diagnostics

    assert evaluate(found.node, {}, MEMBERS) == value


def test_a_time_that_leaves_its_range_has_no_value() -> None:
    found = condition("event.paid_at + event.took > timestamp('2024-01-01T00:00:00Z')")
    late = datetime(9999, 12, 31, 23, tzinfo=UTC)
    event = Record("event", (), {"paid_at": late, "took": timedelta(hours=2)})

    with pytest.raises(OverflowError):
        evaluate(found.node, {"event": event}, MEMBERS)


@pytest.mark.parametrize(
    "text",
    [
        "all(code in event.codes for code in event.codes)",
        "sum(code * code + code for code in event.codes) > 0",
        "event.codes == event.codes and event.codes == event.codes",
    ],
)
def test_an_expression_that_takes_too_long_is_given_up(text: str) -> None:
    codes = tuple(range(6_000))

    with pytest.raises(TooLong):
        evaluate(condition(text).node, {"event": Record("event", (), {"codes": codes})}, MEMBERS)


@pytest.mark.parametrize(
    ("text", "wanted", "message"),
    [
        ("event.amount.amount", INT, "this is a decimal, an int is needed"),
        ("event.note", TEXT, "`event.note` may be null (string?)"),
        ("event.limit", OptionalOf(DECIMAL), "this is an int?, a decimal? is needed"),
        ("event.carrier", TEXT, "this is a Carrier, a string is needed"),
        ("'dhx'", CARRIER, "'dhx' is not a value of Carrier"),
        ("'dhl' if event.gift else event.sku", CARRIER, "this is a string, a Carrier is needed"),
        ("None", INT, "`None` is no value; it stands in `is None` only"),
        ("event.lines", ListOf(INT), "this is a list<OrderLine>, a list<int> is needed"),
        ("event.tags", ListOf(TEXT), "this is a set<string>, a list<string> is needed"),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(
    text: str, wanted: Type, message: str
) -> None:
    findings = Findings()

    assert compile_value(node_of(text), wanted, SCOPE, ENUMS, findings) is None

    assert [found.message for found in findings.diagnostics] == [message]


@pytest.mark.parametrize(
    ("text", "wanted", "python"),
    [
        ("event.note", OptionalOf(TEXT), "event.note"),
        ("None", OptionalOf(TEXT), "None"),
        ("event.quantity", DECIMAL, "Decimal(event.quantity)"),
        ("'dhl'", OptionalOf(CARRIER), "Carrier.DHL"),
        ("'dhl' if event.gift else 'post'", CARRIER, "Carrier.DHL if event.gift else Carrier.POST"),
        ("[1, 2]", ListOf(INT), "(1, 2)"),
        ("event.note if event.note is not None else ''", TEXT,
         'event.note if event.note is not None else ""'),
    ],
)  # fmt: skip
def test_a_value_that_fits_is_printed_as_its_field_needs_it(
    text: str, wanted: Type, python: str
) -> None:
    found = compile_value(node_of(text), wanted, SCOPE, ENUMS, Findings())

    assert found is not None
    assert found.argument("field", 8) == f"field={python}"


def test_an_enum_type_is_known_by_package_and_name() -> None:
    other = EnumType("elsewhere", "Carrier", CARRIER.members)
    findings = Findings()

    assert compile_value(node_of("event.carrier"), other, SCOPE, ENUMS, findings) is None

    assert findings.diagnostics[0].code == "E0412"
