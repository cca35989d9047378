"""Expression text to nodes, by recursive descent: one function per rule, its docstring the rule.

Nothing here knows types or names, and nothing is ever given to Python's own parser. Runs of one
operator come out flat, so depth is what the author nested.
"""

from __future__ import annotations

from batpak_codegen.diagnostic import did_you_mean
from batpak_codegen.expr.nodes import (
    Affix,
    Arithmetic,
    Bool,
    Call,
    Compare,
    Conditional,
    Constant,
    Expression,
    ExpressionError,
    Int,
    IsNone,
    Junction,
    ListOf,
    Loop,
    Negative,
    Not,
    Null,
    Path,
    Text,
    walk,
)
from batpak_codegen.expr.tokens import Token, Tokens
from batpak_codegen.names import KEYWORDS

NODES_MAX = 256

CONSTANTS = ("decimal", "duration", "timestamp")
LOOPS = ("any", "all", "sum")
SINGLE = ("len", "abs")
SEVERAL = ("min", "max")
FUNCTIONS = (*SINGLE, *SEVERAL, *LOOPS, *CONSTANTS)
AFFIXES = ("startswith", "endswith")

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_WORDS = frozenset(["and", "or", "not", "in", "is", "if", "else", "for", "True", "False", "None"])
_INSTEAD = {
    "lambda": "write the condition itself",
    "await": "what is not in the event or the state cannot be read",
    "yield": "write the condition itself",
    "assert": "write the condition itself",
    "del": "nothing can be changed here",
}


def parse(text: str) -> Expression:
    """Read one whole expression.

    Raises:
        ExpressionError: Codes E0501, E0507, E0508, E0510 and, for the limits (4 KiB of text,
            256 nodes, 32 levels, integers of 64 bits, text literals of 1 KiB), E0511.
    """
    tokens = Tokens(text)
    node = expression(tokens)
    if tokens.token.kind != "end":
        raise _left_over(tokens)
    size = sum(1 for _ in walk(node))
    if size > NODES_MAX:
        message = f"too large: {size} parts, {NODES_MAX} are allowed"
        raise ExpressionError("E0511", message, 0, len(text), "split it")
    return node


def expression(tokens: Tokens) -> Expression:
    """expr = or [ "if" or "else" expr ]"""  # noqa: D403, D415  a grammar rule
    with tokens.nested():
        body = disjunction(tokens)
        if not tokens.at("if"):
            return body
        tokens.take()
        test = disjunction(tokens)
        tokens.expect("else", "`else`")
        orelse = expression(tokens)
        return Conditional(body, test, orelse, start=body.start, end=orelse.end)


def disjunction(tokens: Tokens) -> Expression:
    """or = and { "or" and }"""  # noqa: D403, D415  a grammar rule
    operands = [conjunction(tokens)]
    while tokens.at("or"):
        tokens.take()
        operands.append(conjunction(tokens))
    return _junction("or", operands)


def conjunction(tokens: Tokens) -> Expression:
    """and = not { "and" not }"""  # noqa: D403, D415  a grammar rule
    operands = [negation(tokens)]
    while tokens.at("and"):
        tokens.take()
        operands.append(negation(tokens))
    return _junction("and", operands)


def negation(tokens: Tokens) -> Expression:
    """not = "not" not | cmp"""  # noqa: D403, D415  a grammar rule
    if not tokens.at("not"):
        return comparison(tokens)
    start = tokens.take().start
    with tokens.nested():
        operand = negation(tokens)
    return Not(operand, start=start, end=operand.end)


def comparison(tokens: Tokens) -> Expression:
    """cmp = sum { ("==" | "!=" | "<" | "<=" | ">" | ">=" | ["not"] "in") sum }
    | sum "is" ["not"] "None"
    """  # noqa: D205, D403, D415  a grammar rule
    first = sum_(tokens)
    if tokens.at("is"):
        return _is_none(tokens, first)
    rest: list[tuple[str, Expression]] = []
    while operator := _comparison_operator(tokens):
        rest.append((operator, sum_(tokens)))
    if tokens.at("is"):
        message = "`is None` cannot end a chain"
        token = tokens.token
        raise ExpressionError("E0501", message, token.start, token.end, "put parentheses around it")
    return Compare(first, tuple(rest), start=first.start, end=rest[-1][1].end) if rest else first


def _comparison_operator(tokens: Tokens) -> str | None:
    if tokens.at("not"):
        tokens.take()
        tokens.expect("in", "`in` after `not`")
        return "not in"
    return tokens.take().text if tokens.at(*_COMPARISONS, "in") else None


def _is_none(tokens: Tokens, operand: Expression) -> IsNone:
    tokens.take()
    negated = tokens.at("not")
    if negated:
        tokens.take()
    if not tokens.at("None"):
        token = tokens.token
        way = f"write `{'!=' if negated else '=='}`"
        if token.text.lower() in ("null", "none", "nil"):
            way = "write None"
        message = "`is` compares with None only"
        raise ExpressionError("E0508", message, token.start, token.end, way)
    return IsNone(operand, negated, start=operand.start, end=tokens.take().end)


def sum_(tokens: Tokens) -> Expression:
    """sum = prod { ("+" | "-") prod }"""  # noqa: D403, D415  a grammar rule
    first = product(tokens)
    rest: list[tuple[str, Expression]] = []
    while tokens.at("+", "-"):
        rest.append((tokens.take().text, product(tokens)))
    return _run(first, rest, ("+", "-"))


def product(tokens: Tokens) -> Expression:
    """prod = unary { ("*" | "//" | "%") unary }"""  # noqa: D403, D415  a grammar rule
    first = unary(tokens)
    rest: list[tuple[str, Expression]] = []
    while tokens.at("*", "//", "%"):
        rest.append((tokens.take().text, unary(tokens)))
    return _run(first, rest, ("*", "//", "%"))


def unary(tokens: Tokens) -> Expression:
    """unary = "-" unary | atom"""  # noqa: D403, D415  a grammar rule
    if not tokens.at("-"):
        return atom(tokens)
    start = tokens.take().start
    with tokens.nested():
        operand = unary(tokens)
    return Negative(operand, start=start, end=operand.end)


def atom(tokens: Tokens) -> Expression:
    """atom = INT | STRING | "True" | "False" | "None" | path | Enum "." MEMBER | call | list
    | "(" expr ")"
    """  # noqa: D205, D403, D415  a grammar rule
    token = tokens.token
    node: Expression
    if token.kind == "int":
        tokens.take()
        node = Int(int(token.text), start=token.start, end=token.end)
    elif token.kind == "text":
        node = string(tokens, "text")
    elif tokens.at("("):
        node = _parenthesised(tokens)
    elif tokens.at("["):
        node = list_(tokens)
    elif token.kind == "name":
        node = named(tokens)
    else:
        raise tokens.unexpected("a value")
    _refuse_suffix(tokens, node)
    return node


def _parenthesised(tokens: Tokens) -> Expression:
    tokens.take()
    node = expression(tokens)
    if tokens.at(","):
        token = tokens.token
        message = "tuples are not in the language"
        raise ExpressionError("E0508", message, token.start, token.end, "write a list: [a, b]")
    if tokens.at("for"):
        raise _loop_outside(tokens)
    tokens.expect(")", "`)`")
    return node


def string(tokens: Tokens, expected: str) -> Text:
    """Take a text literal."""
    if tokens.token.kind != "text":
        raise tokens.unexpected(expected)
    token = tokens.take()
    return Text(token.text, start=token.start, end=token.end)


def list_(tokens: Tokens) -> ListOf:
    """list = "[" expr { "," expr } "]" """  # noqa: D210, D403, D415  a grammar rule
    start = tokens.take().start
    if tokens.at("]"):
        raise ExpressionError("E0501", "an empty list has no type", start, tokens.token.end)
    items = _several(tokens)
    if tokens.at("for"):
        raise _loop_outside(tokens)
    return ListOf(items, start=start, end=tokens.expect("]", "`,` or `]`").end)


def _several(tokens: Tokens) -> tuple[Expression, ...]:
    items = [expression(tokens)]
    while tokens.at(","):
        tokens.take()
        items.append(expression(tokens))
    return tuple(items)


def named(tokens: Tokens) -> Expression:
    """path = ("event" | "state" | "ctx" | loopvar) { "." field }, or a constant, or a call"""  # noqa: D403, D415
    first = tokens.token
    word, span = first.text, (first.start, first.end)
    if word in ("True", "False"):
        tokens.take()
        return Bool(word == "True", start=first.start, end=first.end)
    if word == "None":
        tokens.take()
        return Null(start=first.start, end=first.end)
    if word in _WORDS:
        raise tokens.unexpected("a value")
    if word in KEYWORDS:
        message = f"`{word}` is not in the language"
        raise ExpressionError("E0508", message, *span, _INSTEAD.get(word))
    path = _path(tokens)
    if not tokens.at("("):
        return path
    return call(tokens, first) if len(path.names) == 1 else affix(tokens, path)


def _path(tokens: Tokens) -> Path:
    parts = [tokens.take()]
    while tokens.at("."):
        tokens.take()
        if tokens.token.kind != "name":
            raise tokens.unexpected("a field")
        parts.append(tokens.take())
    return Path(
        tuple(part.text for part in parts),
        tuple(part.start for part in parts),
        start=parts[0].start,
        end=parts[-1].end,
    )


def call(tokens: Tokens, function: Token) -> Expression:
    """call = ("len" | "abs") "(" expr ")" | ("min" | "max") "(" expr "," expr { "," expr } ")"
    | loop | constant
    """  # noqa: D205, D403, D415  a grammar rule
    name, start = function.text, function.start
    if name not in FUNCTIONS:
        way = did_you_mean(name, FUNCTIONS) or f"there are {', '.join(FUNCTIONS)}"
        message = f"`{name}` is not a function of the language"
        raise ExpressionError("E0508", message, start, function.end, way)
    tokens.take()
    if name in CONSTANTS:
        text = string(tokens, f"text: {name}('...')")
        return Constant(name, text, start=start, end=tokens.expect(")", "`)`").end)
    if name in LOOPS:
        return loop(tokens, function)
    arguments = _several(tokens)
    if tokens.at("for"):
        raise _loop_outside(tokens)
    end = tokens.expect(")", "`,` or `)`").end
    if (name in SINGLE) != (len(arguments) == 1):
        count = "one value" if name in SINGLE else "two values or more"
        raise ExpressionError("E0508", f"`{name}` takes {count}", start, end)
    return Call(name, arguments, start=start, end=end)


def loop(tokens: Tokens, function: Token) -> Loop:
    """loop = ("any" | "all" | "sum") "(" expr "for" loopvar "in" path [ "if" expr ] ")" """  # noqa: D210, D403, D415
    name = function.text
    body = expression(tokens)
    if not tokens.at("for"):
        if not tokens.at(")", ","):
            raise tokens.unexpected("`for`")
        message, way = f"`{name}` takes a loop", f"{name}(... for item in event.items)"
        raise ExpressionError("E0508", message, function.start, tokens.token.end, way)
    tokens.take()
    variable = _loop_variable(tokens)
    over = _loop_path(tokens)
    condition: Expression | None = None
    if tokens.at("if"):
        tokens.take()
        condition = expression(tokens)
    if tokens.at("for", "if"):
        token = tokens.token
        message = "a loop has one `for` and at most one `if`"
        raise ExpressionError(
            "E0508", message, token.start, token.end, "join conditions with `and`"
        )
    end = tokens.expect(")", "`if` or `)`").end
    return Loop(name, body, variable, over, condition, start=function.start, end=end)


def _loop_variable(tokens: Tokens) -> str:
    token = tokens.token
    if token.kind != "name" or token.text in KEYWORDS:
        raise tokens.unexpected("the name of a loop variable")
    tokens.take()
    if tokens.at(","):
        message = "a loop has one variable"
        raise ExpressionError("E0508", message, tokens.token.start, tokens.token.end)
    tokens.expect("in", "`in`")
    return token.text


def _loop_path(tokens: Tokens) -> Path:
    token = tokens.token
    if token.kind == "end":
        raise tokens.unexpected("a path")
    path = _path(tokens) if token.kind == "name" and token.text not in KEYWORDS else None
    if path is None or tokens.at("(", "[", "+", "-", "*", "or", "and"):
        message = "a loop goes over a path, like event.lines"
        raise ExpressionError("E0508", message, token.start, max(token.end, tokens.before))
    return path


def affix(tokens: Tokens, path: Path) -> Affix:
    """affix = path "." ("startswith" | "endswith") "(" STRING ")" """  # noqa: D210, D403, D415
    *names, method = path.names
    if method not in AFFIXES:
        way = did_you_mean(method, AFFIXES) or "values have fields, not methods"
        message = f"calling `{method}` is not in the language"
        raise ExpressionError("E0508", message, path.starts[-1], path.end, way)
    tokens.take()
    text = string(tokens, f"one text literal: {method}('...')")
    end = tokens.expect(")", "`)`").end
    last = path.starts[-2] + len(names[-1])
    of = Path(tuple(names), path.starts[:-1], start=path.start, end=last)
    return Affix(of, method, text, start=path.start, end=end)


def _junction(operator: str, operands: list[Expression]) -> Expression:
    """A flat run: `(a and b) and c` says what `a and b and c` says."""
    if len(operands) == 1:
        return operands[0]
    flat: list[Expression] = []
    for operand in operands:
        same = isinstance(operand, Junction) and operand.operator == operator
        flat += operand.operands if isinstance(operand, Junction) and same else (operand,)
    return Junction(operator, tuple(flat), start=operands[0].start, end=operands[-1].end)


def _run(
    first: Expression, rest: list[tuple[str, Expression]], level: tuple[str, ...]
) -> Expression:
    """A flat run from the left: `(a - b) - c` says what `a - b - c` says."""
    if not rest:
        return first
    start, end = first.start, rest[-1][1].end
    if isinstance(first, Arithmetic) and first.rest[0][0] in level:
        return Arithmetic(first.first, (*first.rest, *rest), start=start, end=end)
    return Arithmetic(first, tuple(rest), start=start, end=end)


def _refuse_suffix(tokens: Tokens, node: Expression) -> None:
    token = tokens.token
    if token.start != token.end and tokens.at("[", "(", "."):
        message, way = {
            "[": ("subscripts are not in the language", "use `in`, `any(...)` or a field"),
            "(": ("a value cannot be called", "write an operator before the parenthesis"),
            ".": ("only paths have fields and methods", "start at a name, like event.total"),
        }[token.text]
        raise ExpressionError("E0508", message, node.start, token.end, way)


def _loop_outside(tokens: Tokens) -> ExpressionError:
    token = tokens.token
    message = "a loop stands in any(...), all(...) or sum(...) only"
    return ExpressionError("E0508", message, token.start, token.end)


def _left_over(tokens: Tokens) -> ExpressionError:
    token = tokens.token
    if tokens.at("for"):
        return _loop_outside(tokens)
    if tokens.at(","):
        message = "tuples are not in the language"
        return ExpressionError("E0508", message, token.start, token.end, "write a list: [a, b]")
    if token.kind == "name" and token.text in KEYWORDS - _WORDS:
        message = f"`{token.text}` is not in the language"
        return ExpressionError("E0508", message, token.start, token.end)
    return tokens.unexpected("an operator or the end")
