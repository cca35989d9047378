"""What can stand in one slot of a schema file: text, numbers, flags, lists, names, entries.

A reader gets a node and returns what fills the slot, or reports what is wrong with it and returns
that Diagnostic, which no slot accepts. See `declarations`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from pydantic import BeforeValidator, ValidationInfo

from batpak_codegen import names
from batpak_codegen.diagnostic import Diagnostic, Findings, Place, Span, quoted
from batpak_codegen.nodes import MapNode, Node, SeqNode, TextNode

X = TypeVar("X")
Reader: TypeAlias = Callable[[object, ValidationInfo], object]

ENUM_VALUE_BYTES_MAX = 128
INT_BITS_MAX = 64


class Int(msgspec.Struct, frozen=True):
    """A whole number: `12`, `1_000`, `0x2`."""

    value: int
    span: Span


class Bool(msgspec.Struct, frozen=True):
    """A plain `true` or `false`."""

    value: bool
    span: Span


_INT = re.compile(r"(?P<hex>0x[0-9a-fA-F]+)|[+-]?(0|[1-9][0-9_]*)")


def refuse(
    info: ValidationInfo,
    code: str,
    message: str,
    span: Span,
    hint: str | None = None,
    also: tuple[Place, ...] = (),
) -> Diagnostic:
    """Report what cannot fill its slot, and return what takes its place there."""
    diagnostic = Diagnostic(code, message, span, hint, also)
    if isinstance(info.context, Findings):
        info.context.put(diagnostic)
    return diagnostic


def misfit(info: ValidationInfo, node: Node, wanted: str, hint: str | None = None) -> Diagnostic:
    """Report a node of the wrong kind."""
    kind = {MapNode: "a map", SeqNode: "a list", TextNode: "text"}[type(node)]
    return refuse(info, "E0106", f"this must be {wanted}, not {kind}", node.span, hint)


def _not(node: TextNode, wanted: str) -> str:
    is_ = "in quotes is text," if node.style else "is"
    return f"{quoted(node.value)} {is_} not {wanted}"


def _text(node: object, info: ValidationInfo) -> object:
    hint = "put quotes around it, if it is text"
    return misfit(info, node, "text", hint) if isinstance(node, MapNode | SeqNode) else node


def whole(node: object, info: ValidationInfo) -> object:
    """Read a whole number."""
    if isinstance(node, MapNode | SeqNode):
        return misfit(info, node, "a whole number")
    if not isinstance(node, TextNode):
        return node
    number = whole_number(node.value)
    if node.style or number is None:
        hint = "write it like 12, -3, 1_000 or 0x2f; a leading 0 is not octal"
        return refuse(info, "E0106", _not(node, "a whole number"), node.span, hint)
    if number.bit_length() > INT_BITS_MAX:
        return refuse(info, "E0106", "this number has more than 64 bits", node.span)
    return Int(number, node.span)


def kind_number(text: str) -> str | None:
    """Keys of `retired`: numbers, as `whole_number` reads them."""
    return None if whole_number(text) is not None else "this is a number like 0x006"


def whole_number(text: str) -> int | None:
    """The whole number that a plain text is, or None."""
    match = _INT.fullmatch(text) if len(text) <= INT_BITS_MAX else None
    if not match:
        return None
    return int(text, 16) if match["hex"] else int(text.replace("_", ""))


def _bool(node: object, info: ValidationInfo) -> object:
    if isinstance(node, MapNode | SeqNode):
        return misfit(info, node, "true or false")
    if not isinstance(node, TextNode):
        return node
    if node.style or node.value not in ("true", "false"):
        return refuse(info, "E0106", _not(node, "true or false"), node.span)
    return Bool(node.value == "true", node.span)


def listed(node: object, info: ValidationInfo) -> object:
    """Read a list."""
    if isinstance(node, TextNode):
        hint = f"write [{node.value}]" if names.REFERENCE.fullmatch(node.value) else None
        return misfit(info, node, "a list", hint)
    if isinstance(node, MapNode):
        return misfit(info, node, "a list")
    return node.items if isinstance(node, SeqNode) else node


def one_or_list(node: object, info: ValidationInfo) -> object:
    """Read a list; one text alone is a list of it."""
    return (node,) if isinstance(node, TextNode) else listed(node, info)


def named(rule: names.Rule) -> Reader:
    """Return a reader of text that must follow the rule of some kind of name."""

    def read(node: object, info: ValidationInfo) -> object:
        if isinstance(node, TextNode) and (problem := rule(node.value)):
            return refuse(info, "E0201", f"bad name {quoted(node.value)}", node.span, problem)
        return _text(node, info)

    return read


def import_line(node: object, info: ValidationInfo) -> object:
    """Read `shop.common` or `shop.common as sc`."""
    if isinstance(node, TextNode):
        package, as_, alias = node.value.partition(" as ")
        if names.package(package) or (as_ and names.lower_name(alias)):
            message = f"bad import {quoted(node.value)}"
            hint = "write shop.common or shop.common as sc"
            return refuse(info, "E0201", message, node.span, hint)
    return _text(node, info)


def entries(rule: names.Rule) -> Reader:
    """Return a reader of a map from declared names to what they stand for, in declared order."""

    def read(node: object, info: ValidationInfo) -> object:
        if isinstance(node, TextNode | SeqNode):
            return misfit(info, node, "a map", "an empty one is {}")
        return tuple(_pairs(node, rule, info)) if isinstance(node, MapNode) else node

    return read


def _pairs(node: MapNode, rule: names.Rule, info: ValidationInfo) -> Iterator[tuple[object, Node]]:
    first: dict[str, TextNode] = {}
    for key, value in node.entries:
        other = first.setdefault(key.value.casefold(), key)
        yield _declared(key, rule, other, info), value


def _declared(key: TextNode, rule: names.Rule, other: TextNode, info: ValidationInfo) -> object:
    if problem := rule(key.value):
        return refuse(info, "E0201", f"bad name {quoted(key.value)}", key.span, problem)
    if other is not key:
        message = f"name {quoted(key.value)} is taken"
        hint = "names may not differ in case only: their module names would be the same"
        return refuse(info, "E0202", message, key.span, hint, (Place(other.span, other.value),))
    if rule in (names.field_name, names.move_name) and names.hides_a_type(key.value):
        noun = "field" if rule is names.field_name else "move"
        message = f"a {noun} may not be called {quoted(key.value)}"
        hint = "the generated annotations use that word; choose another name"
        return refuse(info, "E0313", message, key.span, hint)
    return key


def members(node: object, info: ValidationInfo) -> object:
    """Read the members of an enum; the stored texts are checked here because they are final."""
    if not isinstance(node, MapNode):
        return entries(names.member_name)(node, info)
    if not node.entries:
        return refuse(info, "E0106", "an enum has at least one member", node.span)
    first: dict[str, TextNode] = {}
    pairs = _pairs(node, names.member_name, info)
    return tuple((key, _stored(value, first, info)) for key, value in pairs)


def _stored(value: Node, first: dict[str, TextNode], info: ValidationInfo) -> object:
    if not isinstance(value, TextNode):
        return value
    text = value.value
    if not text or not text.isprintable() or len(text.encode()) > ENUM_VALUE_BYTES_MAX:
        message = "a stored value is 1 to 128 bytes of printable text"
        return refuse(info, "E0106", message, value.span)
    other = first.setdefault(text, value)
    if other is not value:
        message = f"stored value {quoted(text)} is used twice"
        return refuse(info, "E0309", message, value.span, also=(Place(other.span, text),))
    return value


Text: TypeAlias = Annotated[TextNode, BeforeValidator(_text)]
WholeNumber: TypeAlias = Annotated[Int, BeforeValidator(whole)]
Flag: TypeAlias = Annotated[Bool, BeforeValidator(_bool)]
Entries: TypeAlias = tuple[tuple[TextNode, X], ...]
