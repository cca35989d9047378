"""Nodes to checked nodes: every name known, every type fits, every null guarded.

The checker rewrites what one spelling of the schema leaves open: a text literal that meets an
enum becomes the member, an int where all others are decimals is converted, a sum of decimals
starts at a decimal. After it, evaluation fails only where a timestamp or duration leaves its range.
Rules and messages: docs/reference/schema-language.md, "Gates".
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from batpak_codegen.diagnostic import did_you_mean
from batpak_codegen.expr import algebra, constants
from batpak_codegen.expr.algebra import Digits
from batpak_codegen.expr.layout import SCHEMA
from batpak_codegen.expr.nodes import (
    Affix,
    Arithmetic,
    AsDecimal,
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
    Member,
    Negative,
    Not,
    Null,
    Path,
    Text,
)
from batpak_codegen.expr.operands import (
    NO_DIGITS,
    NO_FACTS,
    Enums,
    Facts,
    Typed,
    alike,
    boolean,
    counted,
    cut,
    elsewhere,
    fitted,
    guess,
    listed,
    meet,
    member_of,
    number,
    present,
)
from batpak_codegen.expr.parse import FUNCTIONS
from batpak_codegen.names import KEYWORDS, LOWER
from batpak_codegen.types import ListOf as ListType
from batpak_codegen.types import MapOf, OptionalOf, SetOf, StructType, Type, bare

_TAKEN = frozenset(["event", "state", "ctx", "hooks", "abi", *FUNCTIONS, *KEYWORDS])


@dataclass(frozen=True, slots=True)
class Checked:
    """A condition with every choice made; `exact` if decimals are added or multiplied in it."""

    node: Expression
    exact: bool


def check(node: Expression, scope: Mapping[str, Type], enums: Enums) -> Checked:
    """Check a condition and return it resolved.

    Args:
        node: What `parse` returned.
        scope: Name → type of what an expression may start with: `event`, `state`.
        enums: Name → enum, for every enum whose members may be named; the names are those that
            generated code knows the enums by.

    Raises:
        ExpressionError: The first thing found, codes E0502 to E0511.
    """
    checker = _Checker(scope, enums)
    return Checked(boolean(checker.typed(node)).node, checker.exact)


def check_value(node: Expression, wanted: Type, scope: Mapping[str, Type], enums: Enums) -> Checked:
    """Check what is to be a value of `wanted`, which `None` is too if that may be null.

    Raises:
        ExpressionError: As `check`; E0412 for a value of another type.
    """
    if isinstance(node, Null) and isinstance(bare(wanted), OptionalOf):
        return Checked(node, exact=False)
    checker = _Checker(scope, enums)
    return Checked(fitted(checker.typed(node), wanted, enums).node, checker.exact)


def check_path(path: Path, scope: Mapping[str, Type]) -> Type:
    """The type of a path in a message, where nothing is narrowed.

    Raises:
        ExpressionError: E0502, E0503 or E0504.
    """
    return _Checker(scope, {}).typed(path).type


class _Checker:
    def __init__(self, scope: Mapping[str, Type], enums: Enums) -> None:
        self.scope = dict(scope)
        self.enums = enums
        self.facts: Facts = {}
        self.looping = False
        self.exact = False

    def typed(self, node: Expression) -> Typed:
        """The type of any node. An optional type is possible; `present` rules it out."""
        match node:
            case Int():
                return Typed(node, algebra.INT, Digits(len(str(node.value))))
            case Text():
                return Typed(node, algebra.TEXT)
            case Bool():
                return Typed(node, algebra.BOOL)
            case Path():
                return self.path(node)
            case Constant():
                return Typed(node, *constants.check(node))
            case ListOf():
                return self.list_(node)
            case Call():
                return self.call(node)
            case Loop():
                return self.loop(node)
            case Affix():
                return self.affix(node)
            case Not():
                operand = boolean(self.typed(node.operand))
                opposite = replace(node, operand=operand.node)
                return Typed(opposite, algebra.BOOL, NO_DIGITS, operand.if_false, operand.if_true)
            case Negative():
                operand = number(self.typed(node.operand), "-")
                checked = replace(node, operand=operand.node)
                return self.bounded(Typed(checked, operand.type, operand.digits))
            case Arithmetic():
                return self.arithmetic(node)
            case Compare():
                return self.compare(node)
            case IsNone():
                return self.is_none(node)
            case Junction():
                return self.junction(node)
            case Conditional():
                return self.conditional(node)
            case Null():
                raise ExpressionError.at(
                    node, "E0506", "`None` is no value; it stands in `is None` only"
                )
            case Member() | AsDecimal():
                raise TypeError(f"checked already: {node!r}")

    def path(self, node: Path) -> Typed:
        root = node.names[0]
        if root not in self.scope:
            return self.enum_member(node)
        type_ = self.facts.get((root,), bare(self.scope[root]))
        for depth in range(1, len(node.names)):
            before = replace(
                node,
                names=node.names[:depth],
                starts=node.starts[:depth],
                end=_end(node, depth - 1),
            )
            owner = bare(present(Typed(before, type_)).type)
            name, place = node.names[depth], (node.starts[depth], _end(node, depth))
            if not isinstance(owner, StructType):
                message = f"{algebra.described(owner)} has no fields"
                raise ExpressionError("E0503", message, *place, counted(name, before, owner))
            found = owner.field(name)
            if found is None:
                fields = [known.name for known in owner.fields]
                message = f"{owner.name} has no field `{name}`"
                raise ExpressionError("E0503", message, *place, guess(name, "fields", fields))
            type_ = self.facts.get(node.names[: depth + 1], bare(found.type))
        return Typed(node, type_, algebra.digits(type_))

    def enum_member(self, node: Path) -> Typed:
        root, *members = node.names
        place = (node.start, _end(node, 0))
        enum = self.enums.get(root)
        if enum is None:
            known = [*self.scope, *self.enums, "True", "False", "None"]
            here = listed("names here", [*self.scope, *self.enums])
            way = did_you_mean(root, known) or elsewhere(node, self.scope, self.enums) or here
            raise ExpressionError("E0502", f"unknown name `{cut(root)}`", *place, way)
        known = [member for member, _ in enum.members]
        if len(members) != 1:
            message = f"`{SCHEMA.text(node)}` is not a member of {enum.name}"
            raise ExpressionError.at(
                node, "E0502", message, f"write {root}.{known[0]}" if known else None
            )
        if members[0] not in known:
            message = f"{enum.name} has no member `{members[0]}`"
            way = guess(members[0], "members", known)
            raise ExpressionError("E0509", message, node.starts[1], node.end, way)
        return Typed(member_of(enum, root, members[0], node), enum)

    def list_(self, node: ListOf) -> Typed:
        items, item = alike([self.typed(item) for item in node.items], self.enums)
        checked = replace(node, items=tuple(item.node for item in items))
        return Typed(checked, ListType(item))

    def call(self, node: Call) -> Typed:
        arguments = [present(self.typed(argument)) for argument in node.arguments]
        first = arguments[0]
        if node.function == "len":
            if not algebra.sized(first.type):
                message = f"`len` is not defined for {algebra.described(first.type)}"
                raise ExpressionError.at(node, "E0507", message)
            return Typed(replace(node, arguments=(first.node,)), algebra.INT, Digits(19))
        if node.function == "abs":
            number(first, "abs")
            checked = replace(node, arguments=(first.node,))
            return self.bounded(Typed(checked, first.type, first.digits))
        found, type_ = alike(arguments, self.enums)
        if not algebra.ordered(type_):
            raise ExpressionError.at(node, "E0506", f"{algebra.described(type_)} has no order")
        bound = found[0].digits
        for argument in found[1:]:
            bound |= argument.digits
        return Typed(replace(node, arguments=tuple(a.node for a in found)), type_, bound)

    def loop(self, node: Loop) -> Typed:
        if self.looping:
            raise ExpressionError.at(
                node, "E0508", "loops do not nest", "write two conditions, joined by `and`"
            )
        over = present(self.typed(node.over))
        of = bare(over.type)
        if not isinstance(of, ListType | SetOf):
            message = f"a loop goes over a list or set, this is {algebra.described(over.type)}"
            raise ExpressionError.at(node.over, "E0508", message)
        self.variable(node)
        self.scope[node.variable], self.looping = bare(of.item), True
        condition, facts = None, NO_FACTS
        if node.condition is not None:
            checked = boolean(self.typed(node.condition))
            condition, facts = checked.node, checked.if_true
        with self.narrowed(facts):
            body = self.typed(node.body)
            total = node.function == "sum"
            body = number(body, "sum") if total else boolean(body)
        self.looping = False
        del self.scope[node.variable]
        exact = total and algebra.kind(body.type) == "decimal"
        result = replace(node, body=body.node, condition=condition, exact=exact)
        if not total:
            return Typed(result, algebra.BOOL)
        return self.bounded(Typed(result, body.type, algebra.summed(body.digits, of)))

    def variable(self, node: Loop) -> None:
        """A loop variable is a lower-case name that hides no other."""
        name = node.variable
        if name in self.scope or name in self.enums or name in _TAKEN:
            message = f"the loop variable `{name}` hides another name"
            raise ExpressionError.at(node, "E0508", message, "call it something else, like line")
        if not LOWER.fullmatch(name) or "__" in name or name.endswith("_"):
            message = f"`{cut(name)}` is not a name for a loop variable"
            raise ExpressionError.at(
                node, "E0508", message, "write it like a field: line, unit_price"
            )

    def affix(self, node: Affix) -> Typed:
        of = present(self.typed(node.of))
        if algebra.kind(of.type) != "string":
            message = f"{algebra.described(of.type)} has no `{node.method}`"
            raise ExpressionError.at(node, "E0508", message)
        return Typed(node, algebra.BOOL)

    def arithmetic(self, node: Arithmetic) -> Typed:
        total = present(self.typed(node.first))
        first, rest = total.node, list[tuple[str, Expression]]()
        for operator, operand in node.rest:
            right = present(self.typed(operand))
            type_: Type | None
            if operator in ("//", "%"):
                whole = algebra.kind(total.type) == algebra.kind(right.type) == "int"
                literal = isinstance(operand, Int) and operand.value != 0
                type_ = algebra.INT if whole and literal else None
                way = "an int can be divided by an int literal that is not 0"
            else:
                type_ = algebra.arithmetic(total.type, operator, right.type)
                way = None
            if type_ is None:
                a, b = algebra.described(total.type), algebra.described(right.type)
                message = f"`{operator}` is not defined for {a} and {b}"
                raise ExpressionError("E0507", message, node.start, operand.end, way)
            rest.append((operator, right.node))
            bound = algebra.combined(total.digits, operator, right.digits)
            run = Arithmetic(first, tuple(rest), start=node.start, end=operand.end)
            total = self.bounded(Typed(run, type_, bound))
        return total

    def bounded(self, typed: Typed) -> Typed:
        """Note decimal arithmetic; refuse it if it may need more digits than there will be."""
        if algebra.kind(typed.type) != "decimal":
            return typed
        self.exact = True
        total = typed.digits.whole + typed.digits.scale
        if total > algebra.DIGITS_MAX:
            message = f"this may have {total} digits, {algebra.DIGITS_MAX} are allowed"
            raise ExpressionError.at(typed.node, "E0511", message, "multiply fewer decimals")
        return typed

    def compare(self, node: Compare) -> Typed:
        for operator, operand in node.rest:
            if isinstance(operand, Null) or isinstance(node.first, Null):
                value = node.first if isinstance(operand, Null) else operand
                test = "is not None" if operator in ("!=", "not in") else "is None"
                way = f"write `{SCHEMA.text(value)} {test}`"
                raise ExpressionError.at(node, "E0506", "null is compared by `is None` only", way)
        left = self.typed(node.first)
        operands = [left]
        for operator, operand in node.rest:
            if operator in ("in", "not in") and isinstance(operand, ListOf):
                left, right = self.listed(left, operand)
            elif operator in ("in", "not in"):
                left, right = self.contained(left, self.typed(operand))
            else:
                right = self.typed(operand)
                left, right = meet(left, operator, right, self.enums)
                if operator not in ("==", "!=") and not algebra.ordered(left.type):
                    message = f"{algebra.described(left.type)} has no order"
                    raise ExpressionError("E0506", message, left.node.start, right.node.end)
            if len(operands) > 1 and not algebra.same(left.type, operands[-1].type):
                shown = cut(SCHEMA.text(left.node))
                message = f"{shown} is text for what is before it, and a member for `{operator}`"
                way = "compare in two steps, joined by `and`"
                raise ExpressionError.at(operands[-1].node, "E0506", message, way)
            operands[-1:] = [left, right]
            left = right
        rest = zip((operator for operator, _ in node.rest), operands[1:], strict=True)
        checked = tuple((operator, operand.node) for operator, operand in rest)
        return Typed(replace(node, first=operands[0].node, rest=checked), algebra.BOOL)

    def listed(self, left: Typed, node: ListOf) -> tuple[Typed, Typed]:
        """The operands of `in [...]`: one type for the element and everything in the list."""
        (left, *items), item = alike([left, *(self.typed(item) for item in node.items)], self.enums)
        checked = replace(node, items=tuple(item.node for item in items))
        return left, Typed(checked, ListType(item))

    def contained(self, left: Typed, right: Typed) -> tuple[Typed, Typed]:
        """The operands of `in`: element and list or set, text and text, text and map."""
        present(left)
        of = bare(present(right).type)
        if isinstance(of, MapOf) or algebra.kind(of) == "string":
            if algebra.kind(left.type) != "string":
                message = f"only text can be in {algebra.described(of)}"
                raise ExpressionError.at(
                    left.node, "E0506", f"{message}, this is {algebra.described(left.type)}"
                )
            return left, right
        if not isinstance(of, ListType | SetOf):
            message = f"`in` needs a list, a set, a map or text, this is {algebra.described(of)}"
            raise ExpressionError.at(right.node, "E0506", message)
        item = bare(of.item)
        item = item.of if isinstance(item, OptionalOf) else item  # null is never the element
        return meet(left, "in", Typed(right.node, item), self.enums)[0], right

    def is_none(self, node: IsNone) -> Typed:
        if isinstance(node.operand, Null):
            raise ExpressionError.at(
                node.operand, "E0506", "`None` is no value; it stands in `is None` only"
            )
        operand = self.typed(node.operand)
        if not isinstance(operand.type, OptionalOf):
            shown = cut(SCHEMA.text(node.operand))
            message = f"`{shown}` is {algebra.described(operand.type)}, it is never null"
            raise ExpressionError.at(node, "E0506", message)
        checked = replace(node, operand=operand.node)
        if not isinstance(node.operand, Path):
            return Typed(checked, algebra.BOOL)
        facts = {node.operand.names: bare(operand.type.of)}
        if node.negated:
            return Typed(checked, algebra.BOOL, NO_DIGITS, if_true=facts)
        return Typed(checked, algebra.BOOL, NO_DIGITS, if_false=facts)

    def junction(self, node: Junction) -> Typed:
        """`and`: each operand is looked at only if those before it are true; `or`: if false."""
        known: dict[tuple[str, ...], Type] = {}
        operands: list[Expression] = []
        conjunction = node.operator == "and"
        for operand in node.operands:
            with self.narrowed(known):
                checked = boolean(self.typed(operand))
            operands.append(checked.node)
            known.update(checked.if_true if conjunction else checked.if_false)
        result = replace(node, operands=tuple(operands))
        if conjunction:
            return Typed(result, algebra.BOOL, NO_DIGITS, if_true=known)
        return Typed(result, algebra.BOOL, NO_DIGITS, if_false=known)

    def conditional(self, node: Conditional) -> Typed:
        test = boolean(self.typed(node.test))
        with self.narrowed(test.if_true):
            body = self.typed(node.body)
        with self.narrowed(test.if_false):
            orelse = self.typed(node.orelse)
        if algebra.same(body.type, orelse.type):
            type_ = body.type  # both may be null
        else:
            (body, orelse), type_ = alike([body, orelse], self.enums)
        checked = replace(node, body=body.node, test=test.node, orelse=orelse.node)
        return Typed(checked, type_, body.digits | orelse.digits)

    @contextmanager
    def narrowed(self, facts: Facts) -> Generator[None, None, None]:
        """Inside, these paths are known not to be null."""
        outer = self.facts
        self.facts = {**outer, **facts}
        yield
        self.facts = outer


def _end(path: Path, depth: int) -> int:
    """Where the name at `depth` ends."""
    return path.starts[depth] + len(path.names[depth])
