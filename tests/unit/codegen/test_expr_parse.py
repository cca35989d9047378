"""Proves that expression text becomes exactly the tree of the grammar, or one clear error.

Without it Python's own grammar could slip in (a subscript, a lambda, a look-alike letter), runs
could bind the wrong way round, and a hostile text could cost more than a moment.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batpak_codegen.diagnostic import Findings
from batpak_codegen.expr.emit import compile_condition, compile_message
from batpak_codegen.expr.layout import SCHEMA
from batpak_codegen.expr.nodes import (
    Arithmetic,
    Compare,
    Conditional,
    Expression,
    ExpressionError,
    Int,
    IsNone,
    Junction,
    Negative,
    Not,
    Path,
    Text,
)
from batpak_codegen.expr.parse import parse
from tests.unit.codegen.expr_world import ENUMS, SCOPE, conditions, node_of

RUNAWAY_S = 1.0  # of CPU time: a moment takes milliseconds, an exponential parser takes for ever


def path(*names: str) -> Path:
    return Path(names, (0,) * len(names), start=0, end=0)


def number(value: int) -> Int:
    return Int(value, start=0, end=0)


def error_of(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    return caught.value


def both(operator: str, *operands: Expression) -> Junction:
    return Junction(operator, operands, start=0, end=0)


def run(first: Expression, *rest: tuple[str, Expression]) -> Arithmetic:
    return Arithmetic(first, rest, start=0, end=0)


def chain(first: Expression, *rest: tuple[str, Expression]) -> Compare:
    return Compare(first, rest, start=0, end=0)


def choice(body: Expression, test: Expression, orelse: Expression) -> Conditional:
    return Conditional(body, test, orelse, start=0, end=0)


def text(value: str) -> Text:
    return Text(value, start=0, end=0)


A, B, C = path("a"), path("b"), path("c")
NOT_C, MINUS_C = Not(C, start=0, end=0), Negative(C, start=0, end=0)
TREES: list[tuple[str, Expression]] = [
    ("a or b and not c", both("or", A, both("and", B, NOT_C))),
    ("a and (b and c)", both("and", A, B, C)),
    ("(a or b) and c", both("and", both("or", A, B), C)),
    ("a - b + c", run(A, ("-", B), ("+", C))),
    ("(a - b) - c", run(A, ("-", B), ("-", C))),
    ("a - (b - c)", run(A, ("-", run(B, ("-", C))))),
    ("a + b * -c", run(A, ("+", run(B, ("*", MINUS_C))))),
    ("a < b == c", chain(A, ("<", B), ("==", C))),
    ("(a < b) == c", chain(chain(A, ("<", B)), ("==", C))),
    ("a not in b", chain(A, ("not in", B))),
    ("a + b is not None", IsNone(run(A, ("+", B)), True, start=0, end=0)),
    ("a if b else b if c else 1_000", choice(A, B, choice(B, C, number(1000)))),
    ("'it\\'s' == \"\\\"\"", chain(text("it's"), ("==", text('"')))),
    ("a . b\n  .c", path("a", "b", "c")),
]


@pytest.mark.parametrize(("written", "tree"), TREES, ids=[row[0] for row in TREES])
def test_text_becomes_the_tree_of_the_grammar(written: str, tree: Expression) -> None:
    assert tree == parse(written)


def test_true_is_not_one() -> None:
    assert parse("True") != parse("1")


def test_positions_are_those_of_the_text() -> None:
    node = parse("  a.b ==\n sum(x for x in c.d)")

    assert isinstance(node, Compare)
    assert (node.start, node.end) == (2, 29)
    assert isinstance(node.first, Path)
    assert node.first.starts == (2, 4)


@settings(max_examples=100, deadline=None)
@given(conditions())
def test_what_is_printed_reads_back_as_the_same_tree(text: str) -> None:
    tree = parse(text)

    printed = SCHEMA.text(tree)

    assert tree == parse(printed)
    assert printed == SCHEMA.text(parse(printed))


WORDS: list[tuple[str, str, str, str | None]] = [
    ("event.a / 2 > 0", "E0507", "`/` is not in the language", "multiply the other side instead"),
    ("event.a > 10.5", "E0510", "float literals are not exact", "write decimal('10.5')"),
    ("event.a > 1e999999999", "E0510", "float literals are not exact",
     "write decimal('...') with plain digits"),
    ("event.a > 010", "E0501", "`010` is not a number here", "write 10"),
    ("event.a >", "E0501", "the expression ends where a value should stand", None),
    ("event.a in (1, 2)", "E0508", "tuples are not in the language", "write a list: [a, b]"),
    ("event.a is 3", "E0508", "`is` compares with None only", "write `==`"),
    ("event.a = 3", "E0508", "`=` is not in the language", "write `==` to compare"),
    ("event.a && event.b", "E0507", "`&&` is not in the language", "write `and`"),
    ("lenn(event.a) > 1", "E0508", "`lenn` is not a function of the language",
     "did you mean `len`?"),
    ("event.a.startwith('x')", "E0508", "calling `startwith` is not in the language",
     "did you mean `startswith`?"),
    ("sum(event.lines) > 0", "E0508", "`sum` takes a loop", "sum(... for item in event.items)"),
    ("min(event.a) > 0", "E0508", "`min` takes two values or more", None),
    ("event.a == 'x\\q'", "E0501", "unknown escape `\\q`",
     "only \\\\ \\' \\\" \\n \\t are known; other characters stand for themselves"),
    ("event.a == 'x", "E0501", "this text has no closing quote on its line", None),
    ("[] == event.a", "E0501", "an empty list has no type", None),
    ("event.a == b c", "E0501", "expected an operator or the end, found `c`", None),
    ("1 not 2", "E0501", "expected `in` after `not`, found `2`", None),
    ("(event.a", "E0501", "the expression ends where `)` should stand", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "words", "way"), WORDS, ids=[row[0] for row in WORDS])
def test_an_error_says_what_is_wrong_and_what_to_write(
    text: str, code: str, words: str, way: str | None
) -> None:
    error = error_of(text)

    assert (code, words, way) == (error.code, error.message, error.help)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("event.a / 2", "/"),
        ("event.a > 10.5", "10.5"),
        ("lenn(event.a)", "lenn"),
        ("event.a.lower()", "lower"),
        ("event.a is 3", "3"),
        ("event.a[0] > 1", "event.a["),
        ("event.a > 1 and", "d"),
    ],
)
def test_the_caret_stands_under_the_culprit(text: str, piece: str) -> None:
    error = error_of(text)

    assert piece == text[error.start : error.end]


@pytest.mark.parametrize(
    "text",
    [
        "1 == " + " " * 4096 + "1",
        "(" * 33 + "1" + ")" * 33,
        "(" * 4000,
        "not " * 33 + "a",
        "-" * 33 + "1",
        "[" * 1000,
        "1 if a else " * 33 + "1",
        " and ".join(["a"] * 256),
        "[" + "1," * 255 + "1]",
        "a == 18446744073709551616",
        "a == " + "9" * 4000,
        "a == '" + "x" * 1025 + "'",
        "a == '" + "\u20ac" * 342 + "'",
    ],
)
def test_a_text_beyond_the_limits_is_refused_as_such(text: str) -> None:
    assert error_of(text).code == "E0511"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 31 + "1" + ")" * 31,
        "not " * 31 + "a",
        " and ".join(["a"] * 255),
        " + ".join(["1"] * 255),
        "a == 18446744073709551615",
        "a == '" + "x" * 1024 + "'",
    ],
)
def test_a_text_at_the_limits_is_read(text: str) -> None:
    tree = parse(text)

    assert tree == parse(SCHEMA.text(tree))


ESCAPES = """
event.__class__
event.__class__.__mro__ == 1
event.sku.__class__.__base__.__subclasses__()
().__class__
''.__class__ == 1
'{0.__class__}'.format(event) == 'x'
(1).__class__
1 .__class__
[].__class__
[1].__class__
event.sku.format(event) == 'x'
event.sku.join(event.tags) == 'x'
__import__('os').system('true')
__import__
__builtins__.open
eval('1')
exec('1')
open('/etc/passwd')
getattr(event, 'sku')
lambda: True
lambda x: x
(lambda: True)()
f'{event.sku}' == 'x'
rb'x' == event.sku
event.sku == f"{__import__('os')}"
(x := event.sku) == 'a'
event.lines[0].sku == 'a'
event.sku[::-1] == 'a'
event.sku['a']
event.count ** 99999999 > 0
event.count / 2 > 0
event.count << 99999999 > 0
[x for x in event.tags] == ['a']
{x for x in event.tags} == event.tags
{'a': 1} == event.labels
len(x for x in event.tags) > 0
any([x for x in event.tags])
any(x == 'a' for x in event.tags for y in event.tags)
any(x == 'a' for x in [event.sku])
any(event == 1 for event in event.tags)
any(len == 'a' for len in event.tags)
any(abi == 'a' for abi in event.tags)
any(x.y for x.y in event.tags)
any(x, for x in event.tags)
all(True for _ in event.tags)
await event.gift
yield event.gift
\uff45vent.gift
event.g\u0131ft
event.gi\ufb01
\u0435vent.gift
event.sku == ''' or True or '''
event.sku == 'a' 'b'
event.sku == 'a' # or True
event.gift; True
event.gift \\
event.gift,
*event.tags
print(event.gift)
min(*event.codes) > 0
min(event.count, event.count, key=len) > 0
event.sku(1)
event.gift()()
event.sku.startswith(event.sku)
event.sku.startswith('a', 1)
event.sku.startswith
event.gift if event.gift
not
event.gift or or event.gift
`event.gift`
$event.gift
event.gift ? True
event?.gift
event->gift
@event.gift
event.gift is not True
0x10 > event.count
1j == event.count
...
decimal(event.sku) > 0
decimal('NaN') > 0
decimal('1e9999') > 0
decimal('Infinity') > 0
hooks.gift
abi.text(event.gift) == 'x'
Currency.__members__ == 1
Currency.EUR.value == 'eur'
Currency['EUR'] == event.amount.currency
type(event) == event
import os
""".strip().splitlines()


@pytest.mark.parametrize("text", ESCAPES)
def test_ways_out_of_the_sandbox_are_refused(text: str) -> None:
    findings = Findings()

    found = compile_condition(node_of(text), SCOPE, ENUMS, findings)

    assert found is None
    assert [diagnostic.code[:3] for diagnostic in findings.diagnostics] == ["E05"]


PIECES = """event state ctx . .amount .note .lines sku Currency .EUR and or not in is None True if
else for x sum any all len abs min decimal duration timestamp ( ) [ ] , + - * / // % ** == != < <=
> >= = := 'eur' 'PT1H' "x" ' " 0 7 010 1.5 1e9 0x1 { } : ; # @ \\ lambda _ __class__ f'"""
SPACED = st.sampled_from(
    [*PIECES.split(), "event.note", "state.total", "event.lines", *" \n\u00e9\u202e\x00\ud800"]
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(SPACED, max_size=60).map(" ".join)
    | st.lists(SPACED, max_size=40).map("".join)
    | st.text()
)
@example("(" * 4096)
@example("- " * 2048)
@example("not " * 1024)
@example("1 + " * 1023 + "1")
@example("x." * 2047 + "x")
@example("[" + "event.sku, " * 370 + "1]")
@example("'" + "\\'" * 2000)
@example("event." + "a" * 4000)
@example("event.amount.currency == '" + "e" * 1000 + "'")
@example("a" * 4096)
@example("9" * 4096)
@example("1e" + "9" * 4000)
@example(" and ".join(["event.sku == 'a'"] * 85))
@example(" + ".join(["event.count"] * 254) + " > 0")
@example(" or ".join(["event.note is not None and event.note != 'x'"] * 42))
@example("{" * 4096)
@example("{event.sku}" * 300)
def test_any_text_gives_a_diagnostic_and_takes_a_moment(text: str) -> None:
    findings = Findings()
    start = time.process_time()

    found = compile_condition(node_of(text), SCOPE, ENUMS, findings)
    compile_message(node_of(text), SCOPE, Findings())

    assert (found is None) == bool(findings.diagnostics)
    assert time.process_time() - start < RUNAWAY_S
