"""What is stored under which key: the fields of a struct, and the tags of unions.

A struct that a union names carries its tag in its class, and so wherever it is stored. That is
why the members of a union are structs of its own package, and why a struct has one tag.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from batpak_codegen.declarations import FieldDecl, TypeDecl
from batpak_codegen.diagnostic import Findings, Place, did_you_mean, quoted
from batpak_codegen.nodes import TextNode
from batpak_codegen.slots import Entries
from batpak_codegen.types import Tag

TAG_KEY: Final = "type"
MEMBERS_MIN: Final = 2
MEMBERS_MAX: Final = 64

Decls: TypeAlias = Mapping[str, tuple[TextNode, TypeDecl]]


def key_of(name: TextNode, decl: FieldDecl) -> TextNode:
    """Return the key that a field is stored under, with its place."""
    return decl.wire or name


def distinct(entries: Entries[FieldDecl], findings: Findings) -> bool:
    """Whether no two fields are stored under one key; those that are, are reported."""
    first: dict[str, tuple[TextNode, FieldDecl]] = {}
    fine = True
    for name, decl in entries:
        key = key_of(name, decl)
        other, known = first.setdefault(key.value, (name, decl))
        if other is not name:
            message = f"{other.value} and {name.value} are both stored as {quoted(key.value)}"
            also = [Place(key_of(other, known).span, other.value)]
            findings.add("E0311", message, key.span, help="give one another key", also=also)
            fine = False
    return fine


def tags(decls: Decls, findings: Findings) -> dict[str, Tag]:
    """Return the tag of every struct of a package that a union names; what is wrong is reported."""
    found: dict[str, Tag] = {}
    places: dict[str, Place] = {}
    for name, decl in decls.values():
        if decl.union is None:
            continue
        _count(name, decl.union, findings)
        key = decl.tag.value if decl.tag else TAG_KEY
        for tag, member in _structs(decl.union, decls, findings):
            mine = Tag(key, tag.value)
            other = found.setdefault(member.value, mine)
            place = places.setdefault(member.value, Place(tag.span, f"{name.value}: {tag.value}"))
            if place.span is tag.span:
                _no_field_called(key, member, decls, findings, name)
            if other != mine:
                message = f"{member.value} has the tag `{other.key}: {other.value}` already"
                hint = "its class carries the tag, so it has one; make a struct of its own"
                findings.add("E0307", message, member.span, help=hint, also=[place])
    return found


def _no_field_called(
    key: str, member: TextNode, decls: Decls, findings: Findings, union: TextNode
) -> None:
    for name, decl in decls[member.value][1].struct or ():
        if key_of(name, decl).value == key:
            message = f"{member.value}.{name.value} is stored as {quoted(key)}, like the tag"
            hint = f"rename the field, or write `tag: another_key` in {union.value}"
            also = [Place(union.span, union.value)]
            findings.add("E0311", message, key_of(name, decl).span, help=hint, also=also)


def _count(name: TextNode, union: Entries[TextNode], findings: Findings) -> None:
    if not MEMBERS_MIN <= len(union) <= MEMBERS_MAX:
        limits = f"{MEMBERS_MIN} to {MEMBERS_MAX}"
        message = f"a union has {limits} members, {name.value} has {len(union)}"
        hint = "write them as tag: Struct"
        findings.add("E0307", message, name.span, help=hint)


def _structs(
    union: Entries[TextNode], decls: Decls, findings: Findings
) -> Iterator[tuple[TextNode, TextNode]]:
    """Yield the members that are structs of this package; the others are reported."""
    for tag, member in union:
        if member.value in decls and decls[member.value][1].struct is not None:
            yield tag, member
        elif member.value in decls:
            message = f"{member.value} is no struct"
            hint = "wrap it: a member of a union is a struct with a field"
            findings.add("E0307", message, member.span, help=hint)
        elif "." in member.value:
            message = f"{quoted(member.value)} is a struct of another package"
            hint = "the class of a member carries its tag: wrap it in a struct of this package"
            findings.add("E0307", message, member.span, help=hint)
        else:
            message = f"unknown type {quoted(member.value)}"
            structs = [name for name, (_, decl) in decls.items() if decl.struct is not None]
            findings.add("E0302", message, member.span, help=did_you_mean(member.value, structs))
