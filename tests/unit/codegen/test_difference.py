"""What the rules call readable is readable, by the codec itself and not by another set of rules.

Random shapes are changed at random. If the rules find no break, bytes of the one must decode as
the other; without this, a rule could be wrong in a way that no row of a table shows.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from types import GenericAlias
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import defstruct

from batpak_codegen.diagnostic import Findings
from batpak_codegen.difference import changes
from batpak_codegen.frozen_bytes import payload
from batpak_codegen.lock import Lock, read
from batpak_codegen.shape import INTEGERS, Box, Frozen, Maybe, Plain, Ref, Shape, ShapeField

WORLD = """\
wire 1
type s.Money#1 {amount:decimal(9.2),note:string?}
type s.Money#2 {amount:decimal(9.2),note:string?,tax:i64=3}
type s.Money#3 {amount:decimal(9.2),tax:i64}
enum s.Side closed IN=in
enum s.Side#2 closed IN=in
enum s.Side#2 closed OUT=out
enum s.Side#3 closed AA=out
tag s.Pay card s.Money#1
tag s.Pay#2 bank s.Money#2
tag s.Pay#2 card s.Money#2
tag s.Pay#3 bank s.Money#1
id s.Id thing
"""
LOCK: Lock = read(WORLD, "batpak.lock", Findings())
PYTHON: dict[str, type] = {
    "bool": bool,
    "string": str,
    "bytes": bytes,
    "f64": float,
    "decimal": Decimal,
    "uuid": UUID,
    "timestamp": dt.datetime,
    "date": dt.date,
    "duration": dt.timedelta,
    **dict.fromkeys(INTEGERS, int),
}
NAMED = [Ref("s.Money", 1), Ref("s.Money", 2), Ref("s.Money", 3), Ref("s.Side"), Ref("s.Side", 2)]
NAMED += [Ref("s.Side", 3), Ref("s.Pay"), Ref("s.Pay", 2), Ref("s.Pay", 3), Ref("s.Id")]


def python(type_: Frozen) -> Any:  # noqa: ANN401  a type, or a union of types
    """The type that generated code would have for a frozen one."""
    if isinstance(type_, Maybe):
        return python(type_.of) | None
    if isinstance(type_, Box):
        item = python(type_.item)
        if type_.base == "map":
            return GenericAlias(dict, (str, item))
        return GenericAlias(tuple, (item, ...))
    if isinstance(type_, Plain):
        return PYTHON[type_.name]
    if type_ in LOCK.enums:
        return Enum("Made", LOCK.enums[type_].stored)
    if type_ in LOCK.types:
        return struct(next(iter(LOCK.types[type_].values())).shape)
    if type_ in LOCK.tags:
        made: Any = None
        for tag, members in sorted(LOCK.tags[type_].items()):
            shape = next(iter(LOCK.types[max(members)].values())).shape
            member = struct(shape, tag)
            made = member if made is None else made | member
        return made
    return UUID


def struct(shape: Shape, tag: str | None = None) -> Any:  # noqa: ANN401  a class made here
    fields: list[Any] = []
    for field in shape:
        if field.may_be_absent:
            default = None if field.default is None else msgspec.json.decode(field.default)
            fields.append((field.name, python(field.type), default))
        else:
            fields.append((field.name, python(field.type)))
    return defstruct("Made", fields, kw_only=True, tag=tag, tag_field="type" if tag else None)


SCALARS = st.sampled_from([Plain(name) for name in PYTHON if name != "decimal"])
INNER = SCALARS | st.just(Plain("decimal", 9, 2)) | st.sampled_from(NAMED)
TYPES: st.SearchStrategy[Frozen] = (
    INNER | st.builds(Box, st.sampled_from(["list", "map"]), INNER) | st.builds(Maybe, INNER)
)
FIELDS = st.builds(ShapeField, st.sampled_from("abcd"), TYPES) | st.builds(
    ShapeField,
    st.sampled_from("abcd"),
    st.just(Plain("i64")),
    default=st.sampled_from(["1", "2"]),
)
SHAPES: st.SearchStrategy[Shape] = st.lists(
    FIELDS, max_size=4, unique_by=lambda field: field.name
).map(tuple)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Shape, Shape]:
    """Two shapes, mostly equal."""
    old: Shape = draw(SHAPES)
    other: Shape = draw(SHAPES)
    fresh = {field.name: field for field in other}
    new: list[ShapeField] = []
    for field in old:
        kin = [ref for ref in NAMED if isinstance(field.type, Ref) and ref.name == field.type.name]
        if draw(st.booleans()) and kin:
            new.append(ShapeField(field.name, draw(st.sampled_from(kin))))
        else:
            new.append(fresh.pop(field.name, field) if draw(st.booleans()) else field)
    if draw(st.booleans()):
        known = {field.name for field in new}
        new += [field for field in fresh.values() if field.name not in known][:1]
    if draw(st.booleans()) and new:
        new.pop()
    return old, tuple(new)


def decodes(data: bytes, shape: Shape) -> bool:
    try:
        msgspec.msgpack.decode(data, type=struct(shape))
    except msgspec.ValidationError:
        return False
    return True


def nulled(data: bytes, shape: Shape) -> bytes:
    """The same value with null wherever it may be."""
    value = msgspec.msgpack.decode(data)
    for field in shape:
        if isinstance(field.type, Maybe):
            value[field.name] = None
    return msgspec.msgpack.encode(value)


@settings(max_examples=400, deadline=None)
@given(edits())
def test_what_the_rules_call_readable_decodes(edit: tuple[Shape, Shape]) -> None:
    old, new = edit
    found = changes(LOCK, LOCK, old, new)

    for data in (payload(LOCK, old, {}), nulled(payload(LOCK, old, {}), old)):
        assert decodes(data, old)
        assert any(change.backward for change in found) or decodes(data, new)
    for data in (payload(LOCK, new, {}), nulled(payload(LOCK, new, {}), new)):
        assert any(change.full for change in found) or decodes(data, old)


@given(SHAPES)
def test_nothing_has_changed_between_a_shape_and_itself(shape: Shape) -> None:
    assert changes(LOCK, LOCK, shape, shape) == []
