"""Proves that a condition is accepted only if it can be answered: names, types, nulls, digits.

Without it a gate could compare what never compares, read a null, or need more digits than the
run time has, and the mistake would show as a denial in production instead of a line at `check`.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import batpak_codegen.expr.algebra as algebra
from batpak_codegen.diagnostic import Findings
from batpak_codegen.expr.algebra import Digits
from batpak_codegen.expr.emit import compile_condition
from batpak_codegen.types import ListOf, OptionalOf, Scalar, Type
from tests.unit.codegen.expr_world import ENUMS, EVENT, SCOPE, condition, node_of


def refused(text: str) -> tuple[str, str, str | None, str]:
    """Code, message, help and the text above the caret."""
    findings = Findings()
    found = compile_condition(node_of(text), SCOPE, ENUMS, findings)
    assert found is None
    (only,) = findings.diagnostics
    assert only.span is not None
    return only.code, only.message, only.help, text[only.span.column - 1 : only.span.end_column - 1]


WIDE = Context(prec=1000, traps=[Inexact])

MISTAKES = [
    ("order == 1", "E0502", "unknown name `order`",
     "names here: event, state, Currency, Carrier", "order"),
    ("ctx.limit > 1", "E0502", "unknown name `ctx`",
     "a gate with `context:` sees one", "ctx"),
    ("gift", "E0502", "unknown name `gift`", "did you mean `event.gift`?", "gift"),
    ("len == 1", "E0502", "unknown name `len`", "call it: len(...)", "len"),
    ("c.Currency.EUR == 1", "E0502", "unknown name `c`",
     "enums of an import stand here without it: Currency.EUR", "c"),
    ("event.note is null", "E0508", "`is` compares with None only", "write None", "null"),
    ("evnt.gift", "E0502", "unknown name `evnt`", "did you mean `event`?", "evnt"),
    ("event.gift == true", "E0502", "unknown name `true`", "did you mean `True`?", "true"),
    ("Currency == event.amount.currency", "E0502", "`Currency` is not a member of Currency",
     "write Currency.EUR", "Currency"),
    ("event.amuont == state.total", "E0503", "OrderPaid has no field `amuont`",
     "did you mean `amount`?", "amuont"),
    ("event.lines.length > 0", "E0503", "a list<OrderLine> has no fields",
     "write `len(event.lines)`", "length"),
    ("event.note == 'x'", "E0504", "`event.note` may be null (string?)",
     "guard it: event.note is not None and ...", "event.note"),
    ("event.address.city == 'x'", "E0504", "`event.address` may be null (Address?)",
     "guard it: event.address is not None and ...", "event.address"),
    ("event.express", "E0504", "`event.express` may be null (bool?)",
     "guard it: event.express is not None and ...", "event.express"),
    ("event.amount.amount", "E0505", "this is a decimal, a bool is needed",
     "compare it: event.amount.amount > 0", "event.amount.amount"),
    ("event.gift and event.lines", "E0505", "this is a list<OrderLine>, a bool is needed",
     "write `len(event.lines) > 0`", "event.lines"),
    ("not event.note", "E0505", "this is a string?, a bool is needed",
     "write `event.note is not None`", "event.note"),
    ("event.amount > 0", "E0506",
     "`event.amount` is a Money, `0` is an int; they cannot be compared",
     "event.amount.amount > 0", "event.amount > 0"),
    ("0 < event.amount", "E0506",
     "`0` is an int, `event.amount` is a Money; they cannot be compared",
     "0 < event.amount.amount", "0 < event.amount"),
    ("event.paid_at < '2024-01-02'", "E0506",
     "`event.paid_at` is a timestamp, `'2024-01-02'` is a string; they cannot be compared",
     "write timestamp('2024-01-02')", "event.paid_at < '2024-01-02'"),
    ("event.amount < state.total", "E0506", "a Money has no order", None,
     "event.amount < state.total"),
    ("event.carrier < Carrier.POST", "E0506", "a Carrier has no order", None,
     "event.carrier < Carrier.POST"),
    ("event.trace == event.order_id", "E0506",
     "`event.trace` is a uuid, `event.order_id` is an OrderId; they cannot be compared",
     None, "event.trace == event.order_id"),
    ("event.weight > 1", "E0506",
     "`event.weight` is a float, `1` is an int; they cannot be compared",
     "a float is compared with floats only; make it a Python gate", "event.weight > 1"),
    ("event.note == None", "E0506", "null is compared by `is None` only",
     "write `event.note is None`", "event.note == None"),
    ("event.sku is None", "E0506", "`event.sku` is a string, it is never null", None,
     "event.sku is None"),
    ("1 in event.sku", "E0506", "only text can be in a string, this is an int", None, "1"),
    ("1 in event.count", "E0506", "`in` needs a list, a set, a map or text, this is an int", None,
     "event.count"),
    ("event.sku + 'x' == 'ax'", "E0507", "`+` is not defined for a string and a string", None,
     "event.sku + 'x'"),
    ("event.count // state.pieces > 1", "E0507", "`//` is not defined for an int and an int",
     "an int can be divided by an int literal that is not 0", "event.count // state.pieces"),
    ("event.count % 0 == 1", "E0507", "`%` is not defined for an int and an int",
     "an int can be divided by an int literal that is not 0", "event.count % 0"),
    ("-event.took < event.took", "E0507", "`-` is not defined for a duration", None, "event.took"),
    ("len(event.count) > 1", "E0507", "`len` is not defined for an int", None, "len(event.count)"),
    ("any(any(True for x in event.tags) for y in event.tags)", "E0508", "loops do not nest",
     "write two conditions, joined by `and`", "any(True for x in event.tags)"),
    ("any(True for x in event.labels)", "E0508",
     "a loop goes over a list or set, this is a map<string>", None, "event.labels"),
    ("any(True for state in event.tags)", "E0508", "the loop variable `state` hides another name",
     "call it something else, like line", "any(True for state in event.tags)"),
    ("any(True for X in event.tags)", "E0508", "`X` is not a name for a loop variable",
     "write it like a field: line, unit_price", "any(True for X in event.tags)"),
    ("event.count.startswith('1')", "E0508", "an int has no `startswith`", None,
     "event.count.startswith('1')"),
    ("event.amount.currency == 'eux'", "E0509", "'eux' is not a value of Currency",
     "did you mean 'eur'?", "'eux'"),
    ("event.carrier in ['dhl', 'zzz']", "E0509", "'zzz' is not a value of Carrier",
     "values: 'dhl', 'post'", "'zzz'"),
    ("Currency.EUX == event.amount.currency", "E0509", "Currency has no member `EUX`",
     "did you mean `EUR`?", "EUX"),
    ("event.rate > decimal('x')", "E0501", "`x` is not a decimal",
     "write digits, and a point if needed: decimal('10.50')", "'x'"),
    ("event.took > duration('P1W')", "E0501", "`P1W` is not a duration",
     "write ISO 8601 in days and smaller: duration('P1DT12H')", "'P1W'"),
    ("event.paid_at > timestamp('2024-01-02')", "E0501", "`2024-01-02` is not a timestamp",
     "write RFC 3339 with an offset: timestamp('2024-01-02T03:04:05Z')", "'2024-01-02'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "words", "way", "above"), MISTAKES, ids=[row[0] for row in MISTAKES]
)
def test_a_mistake_has_its_code_its_words_its_place_and_a_way_out(
    text: str, code: str, words: str, way: str | None, above: str
) -> None:
    assert (code, words, way, above) == refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "event.note is not None and len(event.note) < 9",
        "event.note is None or len(event.note) < 9",
        "not (event.note is None or event.limit is None) and len(event.note) < event.limit",
        "not (event.note is not None and event.gift) or len(event.note) < 9",
        "len(event.note) < 9 if event.note is not None else event.gift",
        "event.gift if event.note is None or event.gift else len(event.note) < 9",
        "event.address is not None and event.address.zip is not None and event.gift",
        "event.address is not None and event.address.city == 'x'",
        "not (event.address is None or event.address.zip is None) and len(event.address.zip) > 1",
        "any(len(text) > 1 for text in event.notes if text is not None)",
        "any(line.note is not None and line.note in event.tags for line in event.lines)",
        "event.limit is not None and sum(line.quantity for line in event.lines) < event.limit",
    ],
)
def test_what_is_known_not_to_be_null_may_be_used(text: str) -> None:
    assert text == condition(text).source


@pytest.mark.parametrize(
    "text",
    [
        "event.note is not None or len(event.note) < 9",
        "event.note is None and len(event.note) < 9",
        "len(event.note) < 9 and event.note is not None",
        "not (event.note is not None and event.gift) and len(event.note) < 9",
        "not (event.note is None and event.gift) and len(event.note) < 9",
        "(event.note is not None or event.gift) and len(event.note) < 9",
        "len(event.note) < 9 if event.note is None else event.gift",
        "(event.note is not None if event.gift else event.gift) and len(event.note) < 9",
        "any(event.note is not None for tag in event.tags) and len(event.note) < 9",
        "any(t is not None for t in event.notes) and any(len(t) > 1 for t in event.notes)",
        "any(len(text) > 1 for text in event.notes if text is None)",
        "event.address is not None and len(event.address.zip) > 1",
    ],
)
def test_what_may_still_be_null_may_not_be_used(text: str) -> None:
    assert refused(text)[0] == "E0504"


@pytest.mark.parametrize(
    "text",
    [
        "decimal('1.0') * decimal('-0.5') > 0",
        "duration('-P1DT2H3M4.5S') < duration('PT0S')",
        "timestamp('2024-01-02T03:04:05.123456+14:00') < event.paid_at",
    ],
)
def test_constants_are_read(text: str) -> None:
    assert text == condition(text).source


@pytest.mark.parametrize(
    "text",
    [
        "event.rate > decimal('1e3')",
        "event.rate > decimal('')",
        "event.rate > decimal('\u0661')",
        "event.rate > decimal('1_0')",
        "event.took > duration('P')",
        "event.took > duration('PT')",
        "event.took > duration('P1Y')",
        "event.took > duration('P9999999999D')",
        "event.paid_at > timestamp('2024-01-02T03:04:05')",
        "event.paid_at > timestamp('2024-02-30T03:04:05Z')",
        "event.paid_at > timestamp('0001-01-01T00:00:00+10:00')",
        "event.paid_at > timestamp('2024-01-02T03:04:05.1234567Z')",
    ],
)
def test_a_constant_that_is_none_is_refused(text: str) -> None:
    assert refused(text)[0] == "E0501"


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("event.amount.amount > 1", False),
        ("min(event.rate, 1) > decimal('0.5')", False),
        ("any(price > 1 for price in event.prices)", False),
        ("event.count + 1 > 2", False),
        ("event.rate + 1 > 2", True),
        ("-event.rate < 2", True),
        ("abs(event.rate) < 2", True),
        ("sum(price for price in event.prices) < 2", True),
        ("sum(code for code in event.codes) < 2", False),
        ("any(price * 2 > 1 for price in event.prices)", True),
    ],
)
def test_decimal_arithmetic_asks_for_the_exact_context(text: str, exact: bool) -> None:
    assert exact == condition(text).exact


def test_arithmetic_that_may_outgrow_the_exact_context_is_refused() -> None:
    five = " * ".join(["event.amount.amount"] * 5)  # 5 times 18 digits

    assert condition(f"{five} > 0").exact
    assert (refused(f"{five} + 1 > 0")[:3]) == (
        "E0511",
        "this may have 91 digits, 90 are allowed",
        "multiply fewer decimals",
    )
    assert refused(f"{five} * event.quantity > 0")[0] == "E0511"
    assert refused(f"sum(price * {five} for price in event.prices) > 0")[0] == "E0511"


def _leaf(whole: int, scale: int, n: int) -> tuple[Digits, Decimal]:
    with localcontext(WIDE):
        return Digits(whole, scale), Decimal(n % 10 ** (whole + scale)).scaleb(-scale)


def _tree(draw_depth: int) -> st.SearchStrategy[tuple[Digits, Decimal]]:
    """Values together with the bound that the checker derives for them."""
    leaf = st.builds(
        lambda whole, scale, n: (
            Digits(whole, scale),
            Decimal(n % 10 ** (whole + scale)).scaleb(-scale),
        ),
        st.integers(1, 19),
        st.integers(0, 9),
        st.integers(0, 10**40) | st.just(10**28 - 1),
    )
    if draw_depth == 0:
        return leaf
    part = _tree(draw_depth - 1)
    return leaf | st.builds(_combined, part, st.sampled_from("+-*"), part)


def _combined(
    a: tuple[Digits, Decimal], operator: str, b: tuple[Digits, Decimal]
) -> tuple[Digits, Decimal]:
    bound = algebra.combined(a[0], operator, b[0])
    with localcontext(WIDE):
        results = {"+": a[1] + b[1], "-": a[1] - b[1], "*": a[1] * b[1]}
    return bound, results[operator]


@settings(max_examples=100, deadline=None)
@given(_tree(3))
def test_the_bound_of_digits_is_never_exceeded(found: tuple[Digits, Decimal]) -> None:
    bound, value = found

    _, digits, exponent = value.as_tuple()

    assert isinstance(exponent, int)
    assert len(digits) <= bound.whole + bound.scale or not value
    assert -exponent <= bound.scale


def test_what_the_front_passes_is_all_that_is_known() -> None:
    findings = Findings()
    scope: dict[str, Type] = {"event": EVENT}

    found = compile_condition(node_of("order.pieces > 0"), scope, {}, findings)

    assert found is None
    assert findings.diagnostics[0].help == "names here: event"


def test_types_are_told_apart_by_what_they_are_and_not_by_their_limits() -> None:
    wide, narrow = ListOf(Scalar("i64"), max_length=3), ListOf(Scalar("u8"))

    assert algebra.same(wide, narrow)
    assert not algebra.same(wide, OptionalOf(narrow))
    assert algebra.spelled(narrow) == "list<int>"
