"""Mutants: one small change to a module each, of the kind that a slip of the hand makes.

    comparison     < becomes <=, != and False; likewise the others; `is`, `in` are negated
    arithmetic     + and -, * and //, << and >>, & and | for each other
    condition      an operand of and/or left out, `and` for `or`, a `not` more or less
    constant       one more, one less; the other bool; one bit of a literal of bytes
    value          None returned, one arm of a conditional, an end of a slice left out
    call           a keyword left out, two neighbours exchanged, max for min, all for any
    statement      left out; a loop without a round; an exception no longer caught or turned

What only a reader sees is left alone: docstrings, annotations, texts of messages, log lines.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import CodeType
from typing import Final, NamedTuple

_COMPARED: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop] | bool, ...]]] = {
    ast.Lt: (ast.LtE, ast.NotEq, False),
    ast.LtE: (ast.Lt, ast.Eq, True),
    ast.Gt: (ast.GtE, ast.NotEq, False),
    ast.GtE: (ast.Gt, ast.Eq, True),
    ast.Eq: (ast.LtE, ast.GtE, False),
    ast.NotEq: (ast.Lt, ast.Gt, True),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
_CALLED: Final = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
_TEXTS: Final = {"detail", "text", "extra"}  # names of what only a reader sees
_CONTEXT: Final = 9  # tokens shown on each side of a change


class Mutant(NamedTuple):
    """One change."""

    function: str  # qualified name of the outermost function; "" where a module or class is made
    change: str  # with `function` its name, as long as the source around it stays
    line: int
    lines: range  # of the statement: a test that runs none of them cannot see the change
    code: Callable[[], CodeType]  # compiles the changed module


class _Place(NamedTuple):
    """Where a node hangs."""

    holder: ast.AST
    field: str
    at: int | None  # if the field is a list

    def put(self, node: ast.AST) -> None:
        """Hang another one there."""
        if self.at is None:
            setattr(self.holder, self.field, node)
        else:
            getattr(self.holder, self.field)[self.at] = node


class _Scope(NamedTuple):
    """The function that is looked at."""

    name: str
    outermost: str
    node: ast.FunctionDef | None
    bound: frozenset[str]  # names that are bound more than once, so each may be left out
    yields: int


def mutants(source: str, path: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    search = _Search(ast.parse(source), path)
    return sorted(search.found, key=lambda mutant: mutant.line)


class _Search:
    """One walk over a module."""

    def __init__(self, tree: ast.Module, path: str) -> None:
        self.found: list[Mutant] = []
        self._tree, self._path = tree, path
        self._seen: dict[tuple[str, str], int] = {}
        self._block(tree, "body", _Scope("", "", None, frozenset(), 0))

    # ------------------------------------------------------------------------------ statements

    def _block(self, holder: ast.AST, field: str, scope: _Scope) -> None:
        for index, statement in enumerate(getattr(holder, field)):
            self._statement(statement, _Place(holder, field, index), scope)

    def _statement(self, node: ast.stmt, place: _Place, scope: _Scope) -> None:
        if isinstance(node, ast.ClassDef):
            self._block(node, "body", scope._replace(name=f"{scope.name}{node.name}."))
            return
        if isinstance(node, ast.FunctionDef):
            self._function(node, scope)
            return
        if _is_for_readers(node):
            return
        if scope.node is not None:
            for new in _without(node, scope):
                self._add(node, place, new, node, scope)
        for field, value in ast.iter_fields(node):
            if field == "annotation":
                continue
            if field in ("body", "orelse", "finalbody"):
                self._block(node, field, scope)
            elif field in ("handlers", "items"):
                for part in value:
                    self._part(part, node, scope)
            else:
                self._children(node, field, node if _is_simple(node) else None, node, scope)

    def _function(self, node: ast.FunctionDef, scope: _Scope) -> None:
        for field in ("defaults", "kw_defaults"):
            self._children(node.args, field, None, node, scope)
        name = f"{scope.name}{node.name}"
        bound = [one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)]
        bound += [
            one.id
            for one in ast.walk(node)
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
        ]
        again = frozenset(one for one in bound if bound.count(one) > 1)
        yields = sum(isinstance(one, ast.Yield) for one in ast.walk(node))
        inner = _Scope(f"{name}.<locals>.", scope.outermost or name, node, again, yields)
        self._block(node, "body", inner)

    def _part(self, part: ast.AST, statement: ast.stmt, scope: _Scope) -> None:
        """A handler of a `try`, or an item of a `with`."""
        if isinstance(part, ast.ExceptHandler):
            if part.type is not None:
                self._add(
                    part.type,
                    _Place(part, "type", None),
                    ast.Tuple([], ast.Load()),
                    part.type,
                    scope,
                )
                if isinstance(part.type, ast.Tuple):
                    for index in range(len(part.type.elts)):
                        fewer = part.type.elts[:index] + part.type.elts[index + 1 :]
                        new = ast.Tuple(fewer, ast.Load())
                        self._add(part.type, _Place(part, "type", None), new, part.type, scope)
            self._block(part, "body", scope)
        else:
            self._children(part, "context_expr", None, statement, scope)

    # ----------------------------------------------------------------------------- expressions

    def _children(
        self, holder: ast.AST, field: str, unit: ast.AST | None, statement: ast.stmt, scope: _Scope
    ) -> None:
        """Look at the expressions in one field. The unit is what a change is shown in."""
        value = getattr(holder, field)
        for index, node in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(node, ast.AST):
                place = _Place(holder, field, index if isinstance(value, list) else None)
                self._expression(node, place, unit or node, statement, scope)

    def _expression(
        self, node: ast.AST, place: _Place, unit: ast.AST, statement: ast.stmt, scope: _Scope
    ) -> None:
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.keyword) and node.arg in _TEXTS
        ):
            return
        if isinstance(node, ast.expr):
            news = [*_changed(node), *(_negated(node) if _is_condition(place) else ())]
            if isinstance(place.holder, ast.Return) and not isinstance(node, ast.Constant):
                news.append(ast.Constant(None))
            if isinstance(place.holder, ast.For) and place.field == "iter":
                news.append(ast.Tuple([], ast.Load()))
            for new in news:
                self._add(node, place, new, unit, scope, statement)
        for field, _ in ast.iter_fields(node):
            if field not in ("annotation", "ctx", "ops", "op"):
                self._children(node, field, unit, statement, scope)

    def _add(
        self,
        old: ast.AST,
        place: _Place,
        new: ast.AST,
        unit: ast.AST,
        scope: _Scope,
        statement: ast.stmt | None = None,
    ) -> None:
        ast.copy_location(new, old)
        before = _text(unit)
        if unit is old:
            after = _text(new)
        else:
            place.put(new)
            after = _text(unit)
            place.put(old)
        if after == before:
            return
        change = _difference(before, after)
        times = self._seen[scope.name, change] = self._seen.get((scope.name, change), 0) + 1
        shown = change if times == 1 else f"{change} (no. {times})"

        def code() -> CodeType:
            place.put(new)
            try:
                tree = ast.fix_missing_locations(self._tree)
                return compile(tree, self._path, "exec", dont_inherit=True)
            finally:
                place.put(old)

        first: int = getattr(old, "lineno", 0)
        lines = _lines(statement or old)
        self.found.append(Mutant(scope.outermost, shown, first, lines, code))


# ------------------------------------------------------------------------------ what is changed


def _without(node: ast.stmt, scope: _Scope) -> Iterator[ast.stmt]:
    """A statement left out, where the module would still make sense without."""
    function = scope.node
    assert function is not None
    is_last = function.body[-1] is node
    match node:
        case ast.Expr(value=ast.Yield()):
            if scope.yields > 1:
                yield ast.Pass()
        case ast.Expr():
            if "super()" not in ast.unparse(node):
                yield ast.Pass()
        case ast.Raise() | ast.Break() | ast.Continue():
            yield ast.Pass()
        case ast.Return():
            if not is_last:
                yield ast.Pass()
        case ast.Assign() | ast.AugAssign() | ast.AnnAssign(value=ast.expr()):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if function.name != "__init__" and all(
                isinstance(target, ast.Attribute | ast.Subscript)
                or (isinstance(target, ast.Name) and target.id in scope.bound)
                for whole in targets
                for target in (whole.elts if isinstance(whole, ast.Tuple) else [whole])
            ):
                yield ast.Pass()
            if isinstance(node, ast.AugAssign) and type(node.op) in _COMPUTED:
                yield ast.AugAssign(node.target, _COMPUTED[type(node.op)](), node.value)
        case ast.With():
            for index, item in enumerate(node.items):
                if item.optional_vars is None:
                    others = node.items[:index] + node.items[index + 1 :]
                    yield (
                        ast.With(others, node.body)
                        if others
                        else ast.If(ast.Constant(True), node.body, [])
                    )
        case _:
            pass


def _changed(node: ast.expr) -> Iterator[ast.expr]:
    """The other expressions that could stand here."""
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Constant(value=bytes(raw)):
            yield ast.Constant(bytes([raw[0] ^ 1]) + raw[1:] if raw else b"\0")
        case ast.Compare():
            yield from _compared(node)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for index in range(len(values)):
                fewer = values[:index] + values[index + 1 :]
                yield fewer[0] if len(fewer) == 1 else ast.BoolOp(op, fewer)
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) in _COMPUTED and not (_is_text(left) or _is_text(right)):
                yield ast.BinOp(left, _COMPUTED[type(op)](), right)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert(), operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.Call():
            yield from _called(node)
        case ast.Slice(lower=lower, upper=upper, step=step):
            if lower is not None:
                yield ast.Slice(None, upper, step)
            if upper is not None:
                yield ast.Slice(lower, None, step)
        case _:
            pass


def _compared(node: ast.Compare) -> Iterator[ast.expr]:
    for index, op in enumerate(node.ops):
        for other in _COMPARED[type(op)]:
            if not isinstance(other, bool):
                ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                yield ast.Compare(node.left, ops, node.comparators)
            elif len(node.ops) == 1:
                yield ast.Constant(other)


def _called(node: ast.Call) -> Iterator[ast.expr]:
    called, given, named = node.func, node.args, node.keywords
    if isinstance(called, ast.Name) and called.id in _CALLED:
        yield ast.Call(ast.Name(_CALLED[called.id], ast.Load()), given, named)
    elif isinstance(called, ast.Name) and called.id == "suppress":
        yield ast.Call(called, [], [])
    elif not (isinstance(called, ast.Name) and called.id == "isinstance"):
        for index, (one, two) in enumerate(pairwise(given)):
            if not isinstance(one, ast.Starred | ast.Constant) and not isinstance(
                two, ast.Starred | ast.Constant
            ):
                yield ast.Call(called, [*given[:index], two, one, *given[index + 2 :]], named)
    for index, keyword in enumerate(named):
        if keyword.arg not in _TEXTS:
            yield ast.Call(called, given, named[:index] + named[index + 1 :])


def _negated(node: ast.expr) -> Iterator[ast.expr]:
    """The opposite of a condition that no other change turns around."""
    if not isinstance(node, ast.Compare | ast.Constant | ast.UnaryOp):
        yield ast.UnaryOp(ast.Not(), node)


# ---------------------------------------------------------------------------- what stands where


def _is_condition(place: _Place) -> bool:
    return place.field == "test" or (
        place.field == "ifs" and isinstance(place.holder, ast.comprehension)
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_simple(node: ast.stmt) -> bool:
    return not hasattr(node, "body")


def _is_for_readers(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
            return True
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in _TEXTS
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))):
            return True
        case _:
            return False


def _lines(node: ast.AST) -> range:
    """The lines of a statement; of a compound one, those in front of its blocks."""
    first: int = getattr(node, "lineno", 0)
    last: int = getattr(node, "end_lineno", None) or first
    body = getattr(node, "body", None)
    if isinstance(body, list) and body and not isinstance(node, ast.FunctionDef):
        last = max(first, body[0].lineno - 1) if not isinstance(node, ast.With) else last
    return range(first, last + 1)


# ----------------------------------------------------------------------------- how it is shown


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Pass):
        return "(nothing)"
    if isinstance(node, ast.With):
        return "with " + ", ".join(ast.unparse(item) for item in node.items)
    if isinstance(node, ast.If) and isinstance(node.test, ast.Constant):
        return "(no with)"
    return " ".join(ast.unparse(node).split())


def _difference(before: str, after: str) -> str:
    """Two texts as one, with a little of what stands around."""
    old, new = (re.findall(r"\w+|\s+|[^\w\s]", text) for text in (before, after))
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    tail = 0
    while tail < min(len(old), len(new)) - same and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    first = max(0, same - _CONTEXT)
    front = "… " if first else ""
    shown = []
    for tokens in (old, new):
        stop = len(tokens) - tail + _CONTEXT
        end = " …" if stop < len(tokens) else ""
        shown.append(front + "".join(tokens[first:stop]).strip() + end)
    return f"{shown[0]}  ->  {shown[1]}"
