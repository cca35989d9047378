"""Proves that compiled conditions and messages say what the schema said, and how they look.

Without it a parenthesis too few would change a policy silently, a rounding context could let a
sum pass, and generated files would be hard to read or change shape from run to run.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from decimal import Context, Decimal, Inexact, localcontext
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from batpak_codegen.diagnostic import Findings
from batpak_codegen.expr.emit import Condition, compile_condition, compile_message
from batpak_codegen.expr.parse import parse
from tests.unit.codegen.expr_world import (
    ENUMS,
    EVENT,
    PYTHON_ENUMS,
    SCOPE,
    STATE,
    WORLDS,
    condition,
    conditions,
    evaluate,
    message,
    node_of,
    real,
)

EXACT = Context(prec=100, traps=[Inexact])
NONE_AT_ALL = Context(prec=1, traps=[Inexact])  # any arithmetic shows
ABI = SimpleNamespace(
    text=lambda value: f"<{value}>",
    decimal=Decimal,
    duration=lambda text: msgspec.convert(text, timedelta),
    timestamp=lambda text: msgspec.convert(text, datetime),
)


def answer(found: Condition, world: dict[str, Any], *, levels: int = 0) -> object:
    """Run a compiled condition as generated code does, at some depth of indentation."""
    lines = ["def judge(event, state):"]
    lines += ["    " * (level + 1) + "if True:" for level in range(levels)]
    margin = "    " * (levels + 1)
    lines += [f"{margin}if {found.layout(len(margin))}:", f"{margin}    return True"]
    lines += ["    return False"]
    names: dict[str, Any] = dict(PYTHON_ENUMS)
    names |= {"abi": ABI} if found.abi else {}
    names |= {"Decimal": Decimal} if found.needs_decimal else {}
    exec("\n".join(lines), names)  # noqa: S102  what is tested is code
    event, state = real(EVENT, world["event"]), real(STATE, world["state"])
    with localcontext(EXACT if found.exact else NONE_AT_ALL):
        return names["judge"](event, state)


@settings(max_examples=100, deadline=None)
@given(conditions(), WORLDS, st.sampled_from([0, 3, 16]))
def test_a_compiled_condition_answers_what_the_schema_asks(
    text: str, world: dict[str, Any], levels: int
) -> None:
    findings = Findings()
    found = compile_condition(node_of(text), SCOPE, ENUMS, findings)
    # A random text may ask twice whether something is null, or multiply too much.
    assume(not any("never null" in d.message or d.code == "E0511" for d in findings.diagnostics))
    assert found is not None, findings.diagnostics

    try:
        expected = evaluate(parse(text), world)
    except OverflowError:
        with pytest.raises(OverflowError):
            answer(found, world)
        return

    assert expected == answer(found, world, levels=levels)
    assert found.written == parse(found.source)


@settings(max_examples=100, deadline=None)
@given(conditions(), st.sampled_from([0, 16, 40]))
def test_a_source_in_pieces_is_the_source(text: str, indent: int) -> None:
    findings = Findings()
    found = compile_condition(node_of(text), SCOPE, ENUMS, findings)
    assume(found is not None)
    assert found is not None

    laid_out = found.source_layout(indent)

    assert found.source == eval(laid_out, {})  # noqa: S307  what is tested is code
    assert all(len(line) <= 100 for line in laid_out.splitlines()[1:])


def if_statement(text: str, indent: int = 4) -> str:
    return f"{' ' * indent}if {condition(text).layout(indent)}:"


def source_argument(text: str) -> str:
    return f"{' ' * 16}source={condition(text).source_layout(16)},"


LINES_ADD_UP = (
    "event.amount.amount == sum(line.unit_price.amount * line.quantity for line in event.lines)"
    " and all(line.unit_price.currency == event.amount.currency for line in event.lines)"
)


def test_a_short_condition_stands_on_one_line() -> None:
    text = "'support' in event.tags or event.paid_at - state.placed_at <= duration('PT24H')"

    shown = if_statement(text)

    assert shown == (
        '    if "support" in event.tags or event.paid_at - state.placed_at <='
        ' abi.duration("PT24H"):'
    )


def test_a_long_condition_has_an_operand_per_line() -> None:
    shown = if_statement(LINES_ADD_UP)

    assert (
        shown
        == """\
    if (
        event.amount.amount
        == sum((line.unit_price.amount * line.quantity for line in event.lines), Decimal(0))
        and all(line.unit_price.currency == event.amount.currency for line in event.lines)
    ):"""
    )


def test_a_long_source_breaks_where_a_reader_would() -> None:
    shown = source_argument(LINES_ADD_UP)

    assert (
        shown
        == """\
                source=(
                    "event.amount.amount == sum(line.unit_price.amount * line.quantity"
                    " for line in event.lines)"
                    " and all(line.unit_price.currency == event.amount.currency"
                    " for line in event.lines)"
                ),"""
    )


def test_brackets_that_are_too_long_open_up() -> None:
    names = ", ".join(f"'{c * 24}'" for c in "abcd")
    text = (
        f"not any(min(line.quantity, event.quantity) > 3 and line.sku in [{names}]"
        " for line in event.lines"
        " if line.unit_price.currency in ['eur', 'nok'] or line.quantity > 1000)"
    )

    shown = if_statement(text)

    assert (
        shown
        == """\
    if (
        not any(
            min(line.quantity, event.quantity) > 3
            and line.sku
            in (
                "aaaaaaaaaaaaaaaaaaaaaaaa",
                "bbbbbbbbbbbbbbbbbbbbbbbb",
                "cccccccccccccccccccccccc",
                "dddddddddddddddddddddddd",
            )
            for line in event.lines
            if line.unit_price.currency in (Currency.EUR, Currency.NOK) or line.quantity > 1000
        )
    ):"""
    )


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("event.amount.currency == 'eur'", "event.amount.currency == Currency.EUR"),
        ("'dhl' != event.carrier", "Carrier.DHL != event.carrier"),
        ("'dhl' in event.carriers", "Carrier.DHL in event.carriers"),
        ("event.carrier in ['dhl']", "event.carrier in (Carrier.DHL,)"),
        (
            "event.carrier == ('dhl' if event.gift else event.carrier)",
            "event.carrier == (Carrier.DHL if event.gift else event.carrier)",
        ),
        ("min(event.count, event.rate) > 1", "min(Decimal(event.count), event.rate) > 1"),
        (
            "(event.rate if event.gift else 0) > 1",
            "(event.rate if event.gift else Decimal(0)) > 1",
        ),
        ("sum(code for code in event.codes) > 1", "sum(code for code in event.codes) > 1"),
        (
            "sum(price for price in event.prices) > 1",
            "sum((price for price in event.prices), Decimal(0)) > 1",
        ),
        (
            "any(True for tag in event.tags if (event.gift if tag == '' else event.gift))",
            'any(True for tag in event.tags if (event.gift if tag == "" else event.gift))',
        ),
        ("((event.gift)) and (not (event.gift))", "event.gift and not event.gift"),
        (
            "(event.gift or event.gift) and event.gift",
            "(event.gift or event.gift) and event.gift",
        ),
        ("(event.count < 1) == event.gift", "(event.count < 1) == event.gift"),
        ("-(event.count + 1) * 2 < 1", "-(event.count + 1) * 2 < 1"),
        ("event.count - (1 - 2) < 1", "event.count - (1 - 2) < 1"),
        (
            "event.sku == 'it\\'s \u20ac \\\\ {x} \\n'",
            'event.sku == "it\'s \\u20ac \\\\ {x} \\n"',
        ),
    ],
)
def test_python_has_members_tuples_decimals_and_no_needless_parenthesis(
    text: str, python: str
) -> None:
    assert python == condition(text).layout(4)


def test_a_condition_says_what_it_needs() -> None:
    found = condition(
        "event.carrier == 'dhl' and event.rate > decimal('0.5') and event.took < duration('PT1H')"
        " and min(event.rate, 1) > 0"
    )

    assert {"event"} == found.roots
    assert {("shop.orders", "Carrier")} == found.enums
    assert {"decimal", "duration"} == found.abi
    assert found.needs_decimal
    assert not found.exact


def test_a_loop_variable_is_no_root() -> None:
    assert {"state"} == condition(["state.pieces > 1", " any(x > 1 for x in [1])"][0]).roots
    assert {"event"} == condition("any(code > 1 for code in event.codes)").roots


def test_a_member_goes_by_the_name_under_which_the_enum_is_imported() -> None:
    enums = {"CommonCurrency": ENUMS["Currency"]}

    found = condition("event.amount.currency == 'eur'", enums)

    assert found.layout(4) == "event.amount.currency == CommonCurrency.EUR"
    assert {("shop.common", "Currency")} == found.enums


def test_two_spellings_of_one_condition_have_one_source() -> None:
    a = condition('( event.sku=="a" )and(event . count>1_0)')
    b = condition("event.sku == 'a' and event.count > 10")

    assert a.source == b.source == "event.sku == 'a' and event.count > 10"


def test_compiling_raises_no_audit_event() -> None:
    seen: list[str] = []
    watching = False

    def hook(name: str, _: tuple[object, ...]) -> None:
        if watching:
            seen.append(name)

    sys.addaudithook(hook)
    watching = True
    for text in (LINES_ADD_UP, "__import__('os').system('true')", "event.sku == '{0}'"):
        found = compile_condition(node_of(text), SCOPE, ENUMS, Findings())
        compile_message(node_of(f"x {{event.sku}} {text}"), SCOPE, Findings())
        if found:
            found.layout(4)
    watching = False

    assert seen == []


# Messages.


def shown(text: str, indent: int) -> str:
    return message(text).layout(indent)


def test_a_message_prints_paths_through_one_function() -> None:
    text = "paid {event.amount.amount} for an order of {state.total.amount}"

    assert shown(text, 8) == (
        'f"paid {abi.text(event.amount.amount)} for an order of {abi.text(state.total.amount)}"'
    )
    assert {"event", "state"} == message(text).roots
    assert message(text).uses_text


def test_a_long_message_breaks_before_a_space() -> None:
    text = "{event.amount.amount} is over the limit of {state.total.amount}"

    assert shown(text, 16) == (
        'f"{abi.text(event.amount.amount)} is over the limit of"\n'
        '                f" {abi.text(state.total.amount)}"'
    )


def test_a_message_without_paths_is_a_plain_literal() -> None:
    found = message("no {{braces}} here")

    assert found.layout(8) == '"no {braces} here"'
    assert found.parts == ("no {braces} here",)
    assert not found.uses_text


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["{event.sku}", "{state.pieces}", "{{", "}}", " ", '"', "'", "\\", "\u20ac"]
        )
        | st.text("abc .,{}\"'\\\n", max_size=9).map(
            lambda text: text.replace("{", "{{").replace("}", "}}")
        ),
        max_size=60,
    ),
    st.sampled_from([0, 16, 60]),
)
def test_a_message_reads_as_it_was_written(pieces: list[str], indent: int) -> None:
    text = "".join(pieces)
    names = {
        "abi": ABI,
        "event": SimpleNamespace(sku="S"),
        "state": SimpleNamespace(pieces=7),
    }
    said = text.rstrip() if "\n" in text else text
    expected = said.replace("{event.sku}", "\0").replace("{state.pieces}", "\1")
    expected = expected.replace("{{", "{").replace("}}", "}")

    found = eval(f"({message(text).layout(indent)})", names)  # noqa: S307  what is tested is code

    assert expected.replace("\0", "<S>").replace("\1", "<7>") == found


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{event.amount}", "E0512",
         "`{event.amount}` is a Money; a message can hold text, numbers, ids, enums and times"),
        ("{event.gift}", "E0512",
         "`{event.gift}` is a bool; a message can hold text, numbers, ids, enums and times"),
        ("{event.tags}", "E0512",
         "`{event.tags}` is a set<string>; a message can hold text, numbers, ids, enums and times"),
        ("{event.note}", "E0504", "`event.note` may be null (string?)"),
        ("{event.address.city}", "E0504", "`event.address` may be null (Address?)"),
        ("{event.amuont}", "E0503", "OrderPaid has no field `amuont`"),
        ("{order.x}", "E0502", "unknown name `order`"),
        ("{Currency.EUR}", "E0502", "unknown name `Currency`"),
        ("{event.sku!r}", "E0512", "a message can hold paths only, like {event.order_id}"),
        ("{event.rate:.2f}", "E0512", "a message can hold paths only, like {event.order_id}"),
        ("{len(event.sku)}", "E0512", "a message can hold paths only, like {event.order_id}"),
        ("{event.__class__}", "E0503", "OrderPaid has no field `__class__`"),
        ("{}", "E0512", "a message can hold paths only, like {event.order_id}"),
        ("a { b", "E0512", "a lone `{` in a message"),
        ("a } b", "E0512", "a lone `}` in a message"),
        ("{{event.sku}", "E0512", "a lone `}` in a message"),
        ("a \x00", "E0512", "a character that cannot be seen"),
        ("x" * 5000, "E0511", "the message has more than 4096 bytes"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_said_is_refused(text: str, code: str, words: str) -> None:
    findings = Findings()

    found = compile_message(node_of(text), SCOPE, findings)

    assert found is None
    assert (code, words) == (findings.diagnostics[0].code, findings.diagnostics[0].message)


def test_every_mistake_in_a_message_is_reported_at_its_place() -> None:
    findings = Findings()

    compile_message(node_of("{event.amuont} and {order} }"), SCOPE, findings)

    found = [(d.code, d.span.column) for d in findings.diagnostics if d.span]
    assert found == [("E0503", 8), ("E0502", 21), ("E0512", 28)]
