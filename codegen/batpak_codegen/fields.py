"""Fields and named types: looked up, options checked, defaults read, nothing recursive.

Every type is resolved once. What could not be resolved is reported once and is None from then
on, so that one mistake does not come back as ten.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from batpak_codegen.declarations import FieldDecl, SchemaFile, TypeDecl
from batpak_codegen.diagnostic import Findings, Place, SchemaError, Span, did_you_mean, quoted
from batpak_codegen.ir import Named, TypeDef
from batpak_codegen.limits import count, is_empty
from batpak_codegen.literal import Misfit, number, read
from batpak_codegen.nodes import TextNode
from batpak_codegen.pattern import PatternError
from batpak_codegen.pattern import read as read_pattern
from batpak_codegen.slots import Entries, Int
from batpak_codegen.stored import distinct, tags
from batpak_codegen.types import (
    SCALARS,
    AliasType,
    Bounds,
    EnumType,
    FieldType,
    GenericExpr,
    IdType,
    ListOf,
    MapOf,
    NameExpr,
    OptionalExpr,
    OptionalOf,
    Scalar,
    SetOf,
    StructType,
    Tag,
    Type,
    TypeExpr,
    UnionType,
    bare,
    parse_type,
)

PRECISION_MAX: Final = 38
SCALE_MAX: Final = 18
NESTING_MAX: Final = 32  # of named types; keeps every walk over a type shallow
LENGTH_MAX: Final = 2**31 - 1

INTEGERS: Final = frozenset(["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"])
_LIMITS: Final = ("ge", "gt", "le", "lt")
_LENGTHS: Final = ("min_length", "max_length")
_DIGITS: Final = ("precision", "scale")
_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(INTEGERS, _LIMITS),
    "f64": _LIMITS,
    "decimal": _LIMITS + _DIGITS,
    **dict.fromkeys(("bytes", "list", "set", "map"), _LENGTHS),
    "string": (*_LENGTHS, "pattern"),
}


class Resolver:
    """Looks types up, over all packages."""

    def __init__(
        self,
        files: Mapping[str, SchemaFile],
        imports: Mapping[str, Mapping[str, str]],
        findings: Findings,
    ) -> None:
        """Take package → file, and package → alias → imported package."""
        self._decls = {
            package: {name.value: (name, decl) for name, decl in file.types}
            for package, file in files.items()
        }
        self._imports = imports
        self._findings = findings
        self._done: dict[tuple[str, str], Named | None] = {}
        self._open: list[tuple[str, str]] = []
        self._depth: dict[tuple[str, str], int] = {}
        self._tags: Mapping[str, Mapping[str, Tag]] = {
            package: tags(decls, findings) for package, decls in self._decls.items()
        }

    def type_defs(self, package: str) -> dict[str, TypeDef]:
        """Return what could be resolved of the types of a package, in declared order."""
        found: dict[str, TypeDef] = {}
        for name, (_, decl) in self._decls[package].items():
            if type_ := self.named(package, name):
                found[name] = TypeDef(type_, doc_of(decl.doc))
        return found

    def named(self, package: str, name: str) -> Named | None:
        """Return the type of that name, which must be declared, or None if it is broken."""
        key = (package, name)
        if key not in self._done:
            self._open.append(key)
            node, decl = self._decls[package][name]
            self._done[key] = self._define(package, node, decl)
            self._open.pop()
        return self._done[key]

    def _define(self, package: str, name: TextNode, decl: TypeDecl) -> Named | None:
        if decl.alias is not None:
            of = self._alias(package, decl.alias)
            return AliasType(package, name.value, of) if of else None
        if decl.struct is not None:
            fields = self.fields(package, decl.struct)
            complete = len(fields) == len(decl.struct)
            tag = self._tags[package].get(name.value)
            return StructType(package, name.value, fields, tag) if complete else None
        if decl.enum is not None:
            members = tuple((member.value, text.value) for member, text in decl.enum)
            return EnumType(package, name.value, members, bool(decl.open and decl.open.value))
        if decl.union is not None:
            return self._union(package, name.value, decl.union)
        return IdType(package, name.value, decl.id.value) if decl.id is not None else None

    def _union(self, package: str, name: str, entries: Entries[TextNode]) -> UnionType | None:
        """Return a union if all of its members are structs; `tags` reported what is not."""
        known = (member for _, member in entries if member.value in self._tags[package])
        found = [self._descend((package, member.value), member.span) for member in known]
        members = tuple(member for member in found if isinstance(member, StructType))
        return UnionType(package, name, members) if len(members) == len(entries) else None

    def _alias(self, package: str, decl: FieldDecl) -> Type | None:
        found = self._type(package, decl)
        if isinstance(found, OptionalOf):
            hint = "write `Name?` where it may be null"
            self._findings.add("E0310", "an alias is never null", decl.type.span, help=hint)
            return None
        return found

    def fields(self, package: str, entries: Entries[FieldDecl]) -> tuple[FieldType, ...]:
        """Return the fields that could be resolved; fewer than declared if something is wrong."""
        if not distinct(entries, self._findings):
            return ()
        found = (self._field(package, name, decl) for name, decl in entries)
        return tuple(field for field in found if field)

    def _field(self, package: str, name: TextNode, decl: FieldDecl) -> FieldType | None:
        type_ = self._type(package, decl)
        if type_ is None:
            return None
        doc, wire = doc_of(decl.doc), decl.wire.value if decl.wire else None
        if decl.default is None:
            optional = isinstance(type_, OptionalOf)
            return FieldType(name.value, type_, doc, has_default=optional, wire=wire)
        try:
            value = read(type_, decl.default)
        except Misfit as misfit:
            message = f"{quoted(decl.default.value)} is not a value of {spelled(type_)}"
            self._findings.add("E0304", message, decl.default.span, help=str(misfit))
            return None
        return FieldType(name.value, type_, doc, has_default=True, default=value, wire=wire)

    def _type(self, package: str, decl: FieldDecl) -> Type | None:
        """Resolve the type of a field with its options."""
        try:
            expression = parse_type(decl.type)
        except SchemaError as error:
            self._findings.diagnostics += error.diagnostics
            return None
        found = self._outer(package, expression, decl)
        if found is not None and isinstance(expression, OptionalExpr):
            return OptionalOf(found)
        return found

    def _outer(self, package: str, expression: TypeExpr, decl: FieldDecl) -> Type | None:
        """Resolve everything but the `?`; options belong to this level, not to items."""
        if isinstance(expression, OptionalExpr):
            expression = expression.of
        base = _base(expression)
        fine = self._options_fit(base, decl)
        if isinstance(expression, NameExpr) and base in SCALARS.values():
            return self._scalar(base, expression.span, decl) if fine else None
        if isinstance(expression, GenericExpr):
            found = self._container(package, expression, _lengths(decl))
            return found if fine and self._fill(found, decl) else None
        return self._reference(package, expression) if fine else None

    def _fill(self, found: Type | None, decl: FieldDecl) -> bool:
        """Whether a set has enough values for its `min_length`."""
        if not isinstance(found, SetOf) or decl.min_length is None:
            return True
        values, wanted = count(found.item), decl.min_length
        if values is None or values >= wanted.value:
            return True
        message = f"{spelled(found.item)} has {values} value{'s' * (values != 1)}: no set fits"
        self._findings.add("E0303", message, wanted.span)
        return False

    def _inner(self, package: str, expression: TypeExpr) -> Type | None:
        """Resolve a type that stands inside another one and has no options."""
        if isinstance(expression, OptionalExpr):
            of = self._inner(package, expression.of)
            return OptionalOf(of) if of else None
        if isinstance(expression, GenericExpr):
            return self._container(package, expression, (None, None))
        base = _base(expression)
        if base not in SCALARS.values():
            return self._reference(package, expression)
        if base != "decimal":
            return Scalar(base)
        hint = "name it: Price: {alias: decimal, precision: 18, scale: 2}"
        message = "a decimal inside a list, set or map needs precision and scale"
        self._findings.add("E0303", message, expression.span, help=hint)
        return None

    def _container(
        self, package: str, expression: GenericExpr, lengths: tuple[int | None, int | None]
    ) -> Type | None:
        item = self._inner(package, expression.item)
        if item is None:
            return None
        if expression.base == "list":
            return ListOf(item, *lengths)
        if expression.base == "map":
            return MapOf(item, *lengths)
        of = bare(item)
        if isinstance(of, EnumType | IdType):
            return SetOf(item, *lengths)
        if isinstance(of, Scalar) and of.name in INTEGERS | {"string", "uuid"}:
            return SetOf(item, *lengths)
        message = f"a set cannot hold {spelled(item)}"
        hint = "it holds text, integers, uuids, ids or enums; use a list"
        self._findings.add("E0312", message, expression.item.span, help=hint)
        return None

    def _reference(self, package: str, expression: TypeExpr) -> Named | None:
        name = _base(expression)
        alias, dot, bare_name = name.rpartition(".")
        target = self._imports[package].get(alias) if dot else package
        if target is None:
            message, known = f"`{alias}` is not imported", list(self._imports[package])
            hint = f"imports here: {', '.join(known)}" if known else "add it to imports:"
            self._findings.add("E0302", message, expression.span, help=hint)
            return None
        if target not in self._decls:  # the import itself was reported
            return None
        if bare_name not in self._decls[target]:
            known = list(self._decls[target])
            words = known if dot else [*known, *SCALARS]
            close = did_you_mean(bare_name, words, f"{alias}." if dot else "")
            if not dot:
                close = self._offered(package, bare_name) or close
            self._findings.add("E0302", f"unknown type `{name}`", expression.span, help=close)
            return None
        return self._descend((target, bare_name), expression.span)

    def _offered(self, package: str, name: str) -> str | None:
        """Return the hint for a type of an import that was written without its package."""
        for alias, home in self._imports[package].items():
            if name in self._decls.get(home, ()):
                return f"did you mean `{alias}.{name}`?"
        return None

    def _descend(self, key: tuple[str, str], span: Span) -> Named | None:
        """Resolve a type that another one names, unless that would never end."""
        if key in self._open:
            self._recursion(key, span)
            return None
        if len(self._open) > NESTING_MAX:
            self._too_deep(span)
            return None
        found = self.named(*key)
        if self._open:
            depth = self._depth.get(key, 1) + 1
            if depth > NESTING_MAX:
                self._too_deep(span)
                return None
            self._depth[self._open[-1]] = max(depth, self._depth.get(self._open[-1], 1))
        return found

    def _too_deep(self, span: Span) -> None:
        message = f"types are nested more than {NESTING_MAX} levels deep"
        self._findings.add("E0105", message, span)

    def _recursion(self, key: tuple[str, str], span: Span) -> None:
        cycle = [*self._open[self._open.index(key) :], key]
        message = "a type cannot contain itself: " + " -> ".join(name for _, name in cycle)
        place = Place(self._decls[key[0]][key[1]][0].span, key[1])
        hint = "refer to the other one by its id"
        self._findings.add("E0308", message, span, help=hint, also=[place])

    def _options_fit(self, base: str, decl: FieldDecl) -> bool:
        """Whether every option that is given may be; the others are reported."""
        allowed = _OPTIONS.get(base, ())
        before = len(self._findings.diagnostics)
        for option in (*_LIMITS, *_LENGTHS, "pattern", *_DIGITS):
            given: TextNode | Int | None = getattr(decl, option)
            if given is not None and option not in allowed:
                hint = f"options of {base}: {', '.join(allowed)}" if allowed else None
                if base not in SCALARS.values() and not allowed:
                    hint = f"constraints belong to the definition of {base}"
                message = f"`{option}` does not apply to {base}"
                self._findings.add("E0303", message, given.span, help=hint)
        low, high = decl.min_length, decl.max_length
        for length in (low, high):
            if length and not 0 <= length.value <= LENGTH_MAX:
                message = f"a length is 0..{LENGTH_MAX}"
                self._findings.add("E0106", message, length.span)
        if low and high and low.value > high.value:
            message = "min_length is above max_length: no value fits"
            self._findings.add("E0303", message, low.span)
        return len(self._findings.diagnostics) == before

    def _scalar(self, base: str, span: Span, decl: FieldDecl) -> Scalar | None:
        limits: dict[str, Decimal] = {}
        for option in _LIMITS:
            given: TextNode | None = getattr(decl, option)
            if given is None:
                continue
            limit = number(given.value)
            if limit is None or (base in INTEGERS and limit % 1 != 0):
                kind = "a whole number" if base in INTEGERS else "a number like -1.5"
                message = f"`{option}` is {quoted(given.value)}, which is not {kind}"
                self._findings.add("E0106", message, given.span)
                return None
            limits[option] = limit
        low, high = _lengths(decl)
        bounds = Bounds(
            limits.get("ge"), limits.get("gt"), limits.get("le"), limits.get("lt"), low, high
        )
        if base == "decimal":
            return self._decimal(span, decl, bounds)
        if decl.pattern is not None:
            return self._matching(decl.pattern, bounds)
        found = Scalar(base, bounds)
        return self._met(found, decl)

    def _met(self, found: Scalar, decl: FieldDecl) -> Scalar | None:
        """Return a type that some value meets the limits of."""
        if not is_empty(found):
            return found
        self._findings.add("E0303", "no value is within these limits", decl.span)
        return None

    def _matching(self, pattern: TextNode, bounds: Bounds) -> Scalar | None:
        """Return the type of text that matches a pattern."""
        try:
            read = read_pattern(pattern.value)
        except PatternError as error:
            place = pattern.locate(*error.place)
            also = [Place(pattern.locate(*error.other), "and here")] if error.other else []
            self._findings.add(error.code, error.message, place, help=error.help, also=also)
            return None
        low, high = bounds.min_length or 0, bounds.max_length
        long = high is not None and read.shortest > high
        if long or (read.longest is not None and read.longest < low):
            message = "no text has these lengths and matches the pattern"
            self._findings.add("E0303", message, pattern.span)
            return None
        return Scalar("string", msgspec.structs.replace(bounds, pattern=pattern.value))

    def _decimal(self, span: Span, decl: FieldDecl, bounds: Bounds) -> Scalar | None:
        precision, scale = decl.precision, decl.scale
        if precision is None or scale is None:
            hint = "for example {type: decimal, precision: 18, scale: 2}"
            self._findings.add("E0303", "a decimal needs precision and scale", span, help=hint)
            return None
        fine = 1 <= precision.value <= PRECISION_MAX and 0 <= scale.value <= SCALE_MAX
        if not fine or scale.value > precision.value:
            message = f"precision {precision.value} with scale {scale.value} is out of range"
            hint = f"precision is 1..{PRECISION_MAX}, scale 0..{SCALE_MAX} and not above it"
            self._findings.add("E0303", message, precision.span, help=hint)
            return None
        return self._met(Scalar("decimal", bounds, precision.value, scale.value), decl)


def _base(expression: TypeExpr) -> str:
    """Return the word that decides which options apply: `i64`, `list`, `common.Money`."""
    if isinstance(expression, OptionalExpr):
        return _base(expression.of)
    if isinstance(expression, GenericExpr):
        return expression.base
    return SCALARS.get(expression.name, expression.name)


def _lengths(decl: FieldDecl) -> tuple[int | None, int | None]:
    low, high = decl.min_length, decl.max_length
    return low.value if low else None, high.value if high else None


def doc_of(node: TextNode | None) -> str | None:
    """Return the words of a `doc:` key, without blank edges."""
    return (node.value.strip() or None) if node else None


def spelled(type_: Type) -> str:
    """Spell a type as a schema does; for messages."""
    if isinstance(type_, OptionalOf):
        return f"{spelled(type_.of)}?"
    if isinstance(type_, ListOf | SetOf | MapOf):
        word = {ListOf: "list", SetOf: "set", MapOf: "map"}[type(type_)]
        return f"{word}<{spelled(type_.item)}>"
    return type_.name


def same(left: Type, right: Type) -> bool:
    """Whether two types have the same values; names of aliases and constraints do not count."""
    return _shape(left) == _shape(right)


def _shape(type_: Type) -> str:
    type_ = bare(type_)
    if isinstance(type_, Scalar):
        return (
            f"decimal({type_.precision},{type_.scale})" if type_.scale is not None else type_.name
        )
    if isinstance(type_, ListOf | SetOf | MapOf):
        return f"{type(type_).__name__}<{_shape(type_.item)}>"
    if isinstance(type_, OptionalOf):
        return f"{_shape(type_.of)}?"
    return f"{type_.package}.{type_.name}"
