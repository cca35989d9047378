"""A small world for expressions: a scope, values for it, a naive evaluator, random conditions.

The evaluator works on the tree as it was read, on plain data: structs are dicts, enums their
stored text, decimals fractions. It shares nothing with the checker or with generated code.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from batpak_codegen.diagnostic import Findings, Span
from batpak_codegen.expr import nodes
from batpak_codegen.expr.emit import Condition, Message, compile_condition, compile_message
from batpak_codegen.nodes import TextNode
from batpak_codegen.types import (
    AliasType,
    EnumType,
    FieldType,
    IdType,
    ListOf,
    MapOf,
    OptionalOf,
    Scalar,
    SetOf,
    StructType,
    Type,
)

TEXT, INT, BOOL = Scalar("string"), Scalar("i64"), Scalar("bool")
AMOUNT = AliasType("shop.common", "Amount", Scalar("decimal", precision=18, scale=2))
CURRENCY = EnumType("shop.common", "Currency", (("EUR", "eur"), ("USD", "usd"), ("NOK", "nok")))
CARRIER = EnumType("shop.orders", "Carrier", (("DHL", "dhl"), ("POST", "post")))


def struct(name: str, **fields: Type) -> StructType:
    return StructType("shop.orders", name, tuple(FieldType(n, t) for n, t in fields.items()))


MONEY = struct("Money", amount=AMOUNT, currency=CURRENCY)
LINE = struct(
    "OrderLine", sku=TEXT, quantity=Scalar("i32"), unit_price=MONEY, note=OptionalOf(TEXT)
)
ADDRESS = struct("Address", city=TEXT, zip=OptionalOf(TEXT))
EVENT = struct(
    "OrderPaid",
    order_id=IdType("shop.orders", "OrderId", "order"),
    trace=Scalar("uuid"),
    amount=MONEY,
    rate=Scalar("decimal", precision=6, scale=4),
    quantity=Scalar("u8"),
    count=INT,
    sku=TEXT,
    note=OptionalOf(TEXT),
    limit=OptionalOf(INT),
    gift=BOOL,
    express=OptionalOf(BOOL),
    carrier=CARRIER,
    fallback=OptionalOf(CARRIER),
    weight=Scalar("f64"),
    paid_at=Scalar("timestamp"),
    took=Scalar("duration"),
    day=Scalar("date"),
    raw=Scalar("bytes"),
    lines=ListOf(LINE),
    tags=SetOf(TEXT),
    codes=ListOf(Scalar("i32")),
    prices=ListOf(AMOUNT),
    notes=ListOf(OptionalOf(TEXT)),
    carriers=ListOf(CARRIER),
    labels=MapOf(TEXT),
    address=OptionalOf(ADDRESS),
)
STATE = struct("Placed", total=MONEY, pieces=INT, placed_at=Scalar("timestamp"), buyer=TEXT)
SCOPE: Mapping[str, Type] = {"event": EVENT, "state": STATE}
ENUMS = {"Currency": CURRENCY, "Carrier": CARRIER}


def node_of(text: str) -> TextNode:
    return TextNode(text, Span("a.batpak.yaml", 1, 1, 1, len(text) + 1))


def condition(text: str, enums: Mapping[str, EnumType] = ENUMS) -> Condition:
    """Compile `text`, which is right."""
    findings = Findings()
    found = compile_condition(node_of(text), SCOPE, enums, findings)
    assert found is not None, findings.diagnostics
    return found


def message(text: str) -> Message:
    """Compile `text`, which is right."""
    findings = Findings()
    found = compile_message(node_of(text), SCOPE, findings)
    assert found is not None, findings.diagnostics
    return found


# The toy twin.

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
_LOOPS: dict[str, Callable[[list[Any]], Any]] = {"any": any, "all": all, "sum": sum}
_CALLS: dict[str, Callable[..., Any]] = {"len": len, "abs": abs, "min": min, "max": max}
_CONSTANTS: dict[str, Callable[[str], Any]] = {
    "decimal": Fraction,
    "duration": lambda text: msgspec.convert(text, timedelta),
    "timestamp": lambda text: msgspec.convert(text, datetime),
}


def evaluate(node: nodes.Expression, names: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """What `node` says about plain data."""
    match node:
        case nodes.Int() | nodes.Text() | nodes.Bool():
            return node.value
        case nodes.Path() if node.names[0] in ENUMS:
            return dict(ENUMS[node.names[0]].members)[node.names[1]]
        case nodes.Path():
            value: Any = names
            for name in node.names:
                value = value[name]
            return value
        case nodes.Constant():
            return _CONSTANTS[node.function](node.text.value)
        case nodes.ListOf():
            return [evaluate(item, names) for item in node.items]
        case nodes.Call():
            return _CALLS[node.function](*(evaluate(a, names) for a in node.arguments))
        case nodes.Loop():
            results = []
            for item in evaluate(node.over, names):
                inner = {**names, node.variable: item}
                if node.condition is None or evaluate(node.condition, inner):
                    results.append(evaluate(node.body, inner))
            return _LOOPS[node.function](results)
        case nodes.Affix():
            of, end = evaluate(node.of, names), node.text.value
            return len(end) <= len(of) and end == (
                of[: len(end)] if node.method == "startswith" else of[len(of) - len(end) :]
            )
        case nodes.Not():
            return not evaluate(node.operand, names)
        case nodes.Negative():
            return -evaluate(node.operand, names)
        case nodes.Arithmetic():
            total = evaluate(node.first, names)
            for sign, operand in node.rest:
                total = _OPERATORS[sign](total, evaluate(operand, names))
            return total
        case nodes.Compare():
            left = evaluate(node.first, names)
            for sign, operand in node.rest:
                right = evaluate(operand, names)
                if not _OPERATORS[sign](left, right):
                    return False
                left = right
            return True
        case nodes.IsNone():
            return (evaluate(node.operand, names) is None) != node.negated
        case nodes.Junction():
            answers = (evaluate(operand, names) for operand in node.operands)
            return all(answers) if node.operator == "and" else any(answers)
        case nodes.Conditional():
            return evaluate(node.body if evaluate(node.test, names) else node.orelse, names)
        case _:
            raise TypeError(node)


# Values: plain for the twin, real for generated code.


def _enum(type_: EnumType) -> type[Enum]:
    make = cast("Any", Enum)  # type checkers know this call with literals only
    return cast("type[Enum]", make(type_.name, list(type_.members)))


PYTHON_ENUMS = {name: _enum(type_) for name, type_ in ENUMS.items()}


def _plain(type_: Type) -> st.SearchStrategy[Any]:
    """Values of a type, as the twin sees them."""
    match type_:
        case AliasType():
            return _plain(type_.of)
        case OptionalOf():
            return st.none() | _plain(type_.of)
        case ListOf():
            return st.lists(_plain(type_.item), max_size=3)
        case SetOf():
            return st.frozensets(_plain(type_.item), max_size=3)
        case MapOf():
            return st.dictionaries(_WORDS, _plain(type_.item), max_size=2)
        case StructType():
            return st.fixed_dictionaries({f.name: _plain(f.type) for f in type_.fields})
        case EnumType():
            return st.sampled_from([value for _, value in type_.members])
        case IdType():
            return st.uuids()
        case Scalar(name="decimal", precision=int(precision), scale=int(scale)):
            edge = 10**precision - 1
            return st.integers(-edge, edge).map(lambda n: Fraction(n, 10**scale))
        case _:
            return _SCALARS[type_.name]


_WORDS = st.sampled_from(["", "a", "ab", "abc", "b\u00e9", "it's", 'say "x"', "back\\slash"])
_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": _WORDS,
    "bool": st.booleans(),
    "u8": st.integers(0, 255),
    "i32": st.integers(-3, 3) | st.integers(-(2**31), 2**31 - 1),
    "i64": st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    "f64": st.floats(-5, 5),
    "uuid": st.sampled_from([UUID(int=1), UUID(int=2)]),
    "bytes": st.binary(max_size=2),
    "date": st.dates(date(2024, 1, 1), date(2024, 1, 5)),
    "timestamp": st.sampled_from([datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 5)]),
    "duration": st.integers(-5, 5).map(lambda hours: timedelta(hours=hours)),
}
WORLDS = st.fixed_dictionaries({"event": _plain(EVENT), "state": _plain(STATE)})


def real(type_: Type, value: Any) -> Any:  # noqa: ANN401  it is data
    """A plain value as generated code gets it."""
    match type_:
        case AliasType():
            return real(type_.of, value)
        case OptionalOf():
            return None if value is None else real(type_.of, value)
        case ListOf():
            return tuple(real(type_.item, item) for item in value)
        case SetOf():
            return frozenset(real(type_.item, item) for item in value)
        case StructType():
            return SimpleNamespace(**{f.name: real(f.type, value[f.name]) for f in type_.fields})
        case EnumType():
            return PYTHON_ENUMS[type_.name](value)
        case Scalar(name="decimal", scale=int(scale)):
            return Decimal(value.numerator * (10**scale // value.denominator)).scaleb(-scale)
        case _:
            return value


# Random well-typed conditions, as text.

Paths = dict[str, list[str]]  # kind → paths of that kind that are not null here
PATHS: Paths = {
    "int": ["event.quantity", "event.count", "state.pieces"],
    "decimal": ["event.amount.amount", "event.rate", "state.total.amount"],
    "text": ["event.sku", "state.buyer"],
    "bool": ["event.gift"],
    "carrier": ["event.carrier"],
    "currency": ["event.amount.currency", "state.total.currency"],
    "timestamp": ["event.paid_at", "state.placed_at"],
    "duration": ["event.took"],
    "date": ["event.day"],
    "float": ["event.weight"],
    "uuid": ["event.trace"],
    "id": ["event.order_id"],
    "money": ["event.amount", "state.total"],
    "texts": ["event.tags"],
    "sized": ["event.sku", "event.lines", "event.tags", "event.labels"],
}
OPTIONAL = {
    "event.note": "text",
    "event.limit": "int",
    "event.express": "bool",
    "event.fallback": "carrier",
}
LITERALS = {
    "int": ["0", "1", "2", "3", "255", "18446744073709551615"],
    "decimal": ["decimal('0.10')", "decimal('-12.5')", "decimal('0')"],
    "text": ["''", "'a'", '"it\'s"', "'\\\\'", "'\u00e9'"],
    "bool": ["True", "False"],
    "carrier": ["Carrier.DHL", "Carrier.POST"],
    "currency": ["Currency.EUR", "Currency.NOK"],
    "timestamp": ["timestamp('2024-01-02T00:00:00Z')", "timestamp('2024-01-02T02:00:00+02:00')"],
    "duration": ["duration('PT1H')", "duration('-P1DT0.5S')"],
}
LOOPS: dict[str, tuple[str, Paths]] = {
    "line": (
        "event.lines",
        {
            "int": ["line.quantity"],
            "decimal": ["line.unit_price.amount"],
            "text": ["line.sku"],
            "currency": ["line.unit_price.currency"],
            "money": ["line.unit_price"],
        },
    ),
    "tag": ("event.tags", {"text": ["tag"]}),
    "code": ("event.codes", {"int": ["code"]}),
    "price": ("event.prices", {"decimal": ["price"]}),
    "one": ("event.carriers", {"carrier": ["one"]}),
}
_ORDERED = ["int", "decimal", "text", "timestamp", "duration", "date", "float"]


class Writer:
    """Writes one random condition."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def pick(self, *choices: str) -> str:
        return str(self.draw(st.sampled_from(choices)))

    def value(self, kind: str, depth: int, paths: Paths, *, looping: bool) -> str:
        """Something of `kind`; parentheses wherever they could be needed."""
        leaves = [*paths.get(kind, []), *LITERALS.get(kind, [])]
        shape = self.pick("leaf", "leaf", "if", kind) if depth > 0 else "leaf"

        def part(of: str) -> str:
            return self.value(of, depth - 1, paths, looping=looping)

        if shape == "if":
            test = self.bool(depth - 1, paths, looping=looping)
            return f"({part(kind)} if {test} else {part(kind)})"
        if shape == "int":
            return self.number(part, paths, looping=looping, decimal=False)
        if shape == "decimal":
            return self.number(part, paths, looping=looping, decimal=True)
        if shape == "timestamp":
            return f"({part('timestamp')} {self.pick('+', '-')} {part('duration')})"
        if shape == "duration" and self.draw(st.booleans()):
            return f"({part('timestamp')} - {part('timestamp')})"
        if shape == "duration":
            return f"({part('duration')} {self.pick('+', '-')} {part('duration')})"
        if shape == "bool":
            return f"({self.bool(depth - 1, paths, looping=looping)})"
        return self.pick(*leaves)

    def number(
        self, part: Callable[[str], str], paths: Paths, *, looping: bool, decimal: bool
    ) -> str:
        kind = "decimal" if decimal else "int"
        other = self.pick("int", kind)
        shape = self.pick("run", "run", "neg", "abs", "min", "sum", "len", "div")
        if shape == "sum" and not looping:
            body, tail = self.loop(kind, paths)
            return f"sum({body} {tail})"
        if shape == "neg":
            return f"-{part(kind)}"
        if shape == "abs":
            return f"abs({part(kind)})"
        if shape == "min":
            return f"{self.pick('min', 'max')}({part(kind)}, {part(other)})"
        if shape == "len" and not decimal:
            return f"len({self.pick(*paths['sized'])})"
        if shape == "div" and not decimal:
            return f"({part('int')} {self.pick('//', '%')} {self.pick('3', '10')})"
        sides = self.draw(st.permutations([part(kind), part(other)]))
        return f"({sides[0]} {self.pick('+', '-', '*')} {sides[1]})"

    def loop(self, kind: str, paths: Paths) -> tuple[str, str]:
        fitting = [name for name, (_, more) in LOOPS.items() if kind in more or kind == "bool"]
        name = self.pick(*fitting)
        over, more = LOOPS[name]
        inner = {k: more.get(k) or paths.get(k, []) for k in {*paths, *more}}
        body = (
            self.bool(1, inner, looping=True)
            if kind == "bool"
            else self.value(kind, 1, inner, looping=True)
        )
        tail = f"for {name} in {over}"
        if self.draw(st.booleans()):
            tail += f" if {self.bool(1, inner, looping=True)}"
        return body, tail

    def bool(self, depth: int, paths: Paths, *, looping: bool) -> str:
        def part(of: str) -> str:
            return self.value(of, depth - 1, paths, looping=looping)

        def deeper(known: Paths = paths) -> str:
            return self.bool(depth - 1, known, looping=looping)

        if depth <= 0:
            kind = self.pick(*_ORDERED[:5])
            return f"{self.value(kind, 0, paths, looping=looping)} {self.pick('<', '==')} " + part(
                kind
            )
        shape = self.pick("cmp", "cmp", "chain", "and", "not", "in", "null", "null", "loop", "more")
        if shape == "cmp":
            return self.comparison(part)
        if shape == "chain":
            a, b = self.pick("<", "<=", "==", "!="), self.pick(">", ">=", "==")
            return f"{part('int')} {a} {part('decimal')} {b} {part('int')}"
        if shape == "and":
            word = self.pick("and", "or")
            return f"({deeper()} {word} {deeper()} {word} {deeper()})"
        if shape == "not":
            return f"not ({deeper()})"
        if shape == "in":
            return self.membership(part)
        if shape == "loop" and not looping:
            body, tail = self.loop("bool", paths)
            return f"{self.pick('any', 'all')}({body} {tail})"
        if shape == "more":
            return self.pick(
                "event.sku.startswith('a')",
                "state.buyer.endswith('\\'s')",
                "event.address is not None and event.address.zip is not None"
                " and len(event.address.zip) < 3",
                "event.amount == state.total",
                "event.lines == event.lines",
                "event.codes != [1, 2]",
                "event.carriers == [Carrier.DHL]",
            )
        return self.narrowed(deeper, paths)

    def comparison(self, part: Callable[[str], str]) -> str:
        kind = self.pick(*_ORDERED, "carrier", "currency", "uuid", "id", "money", "bool")
        if kind == "carrier" and self.draw(st.booleans()):
            literal = self.pick("'dhl'", "'post'")
            return f"{part('carrier')} {self.pick('==', '!=')} {literal}"
        signs = ("<", "<=", ">", ">=", "==", "!=") if kind in _ORDERED else ("==", "!=")
        return f"{part(kind)} {self.pick(*signs)} {part(kind)}"

    def membership(self, part: Callable[[str], str]) -> str:
        word = self.pick("in", "not in")
        return self.pick(
            f"{part('text')} {word} event.tags",
            f"{part('text')} {word} event.labels",
            f"{part('text')} {word} event.notes",
            f"{part('text')} {word} {part('text')}",
            f"{part('int')} {word} event.codes",
            f"{part('int')} {word} event.prices",
            f"{part('carrier')} {word} ['dhl', {part('carrier')}]",
            f"'dhl' {word} event.carriers",
            f"{part('int')} {word} [{part('int')}, {part('decimal')}, 3]",
            f"{part('text')} {word} [{part('text')}]",
        )

    def narrowed(self, deeper: Callable[[Paths], str], paths: Paths) -> str:
        """One of the ways to look at what may be null."""
        path = self.pick(*OPTIONAL)
        kind = OPTIONAL[path]
        if path in paths[kind]:
            return f"{path} == {path}"
        known = {**paths, kind: [path]}
        shape = self.pick("and", "or", "not", "if", "else", "only")
        return {
            "and": lambda: f"({path} is not None and {deeper(known)})",
            "or": lambda: f"({path} is None or {deeper(known)})",
            "not": lambda: f"(not ({path} is None or {deeper(paths)}) and {deeper(known)})",
            "if": lambda: f"({deeper(known)} if {path} is not None else {deeper(paths)})",
            "else": lambda: f"({deeper(paths)} if {path} is None else {deeper(known)})",
            "only": lambda: f"{path} is {self.pick('', 'not ')}None",
        }[shape]()


@st.composite
def conditions(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """Well-typed conditions over `SCOPE`."""
    return Writer(draw).bool(draw(st.integers(1, 3)), PATHS, looping=False)
