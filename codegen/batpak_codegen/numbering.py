"""`batpak id`: the number of a new event, and the numbers in use.

Works on the texts of schemas, not on what they mean: an event whose number is missing or taken is
what it is for, and a schema with such an event means nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from msgspec import Struct

from batpak_codegen import names
from batpak_codegen.diagnostic import Diagnostic, SchemaError, did_you_mean, quoted
from batpak_codegen.ids import propose
from batpak_codegen.ir import Project
from batpak_codegen.nodes import MapNode, Node, TextNode
from batpak_codegen.slots import whole_number
from batpak_codegen.source import yaml_text
from batpak_codegen.splice import Edit, Offsets, apply, last_line


class Proposal(Struct, frozen=True):
    """A free number for an event of one file, and that file with the number in it."""

    number: int
    path: str
    text: str


def next_id(name: str, texts: Mapping[str, str]) -> Proposal:
    """Propose the number of an event: one that is new, or one that needs another number.

    Args:
        name: `shop.orders.OrderReturned`.
        texts: Path as it is printed → text, of all schemas of the project.

    Raises:
        SchemaError: E0101 to E0110, a text that cannot be read; E0201, not the name of an event;
            E0207, no such package; E0109, no category; E0203, no number is free.
    """
    package, _, event = name.rpartition(".")
    if problem := names.package(package) or names.class_name(event):
        hint = "write the full name: shop.orders.OrderReturned"
        _refuse("E0201", f"bad name {quoted(name)}: {problem}", hint)
    roots = {path: yaml_text.parse(text, path) for path, text in texts.items()}
    homes = {_text(root, "package"): path for path, root in roots.items()}
    if package not in homes:
        near = did_you_mean(package, homes)
        _refuse("E0207", f"there is no package {quoted(package)}", near)
    path = homes[package]
    root = roots[path]
    category = _category(_value(_value(root, "events"), event), root)
    if category is None:
        hint = "write category: 0x2 at the top of the file"
        _refuse("E0109", f"package {package} has no category", hint)
    number = propose(name, _taken(roots.values(), category, (root, event)))
    if number is None:
        hint = "give the event a category of its own"
        _refuse("E0203", f"all ids of category {category:#x} are taken", hint)
    text = _written(texts[path], root, event, f"0x{number:03x}")
    return Proposal(number, path, text)


def listed(project: Project) -> str:
    """Return the numbers in use: kind, event and version, in the order of kinds."""
    rows = sorted(
        (event.kind, f"{package.name}.{event.name}", event.version)
        for package in project.packages
        for event in package.events
    )
    width = max((len(name) for _, name, _ in rows), default=0)
    return "".join(f"0x{kind:04x}  {name:<{width}}  v{version}\n" for kind, name, version in rows)


def _refuse(code: str, message: str, hint: str | None) -> NoReturn:
    raise SchemaError([Diagnostic(code, message, None, hint)])


def _value(node: Node | None, key: str) -> Node | None:
    """Return what stands under a key, if `node` is a map that has it."""
    entries = node.entries if isinstance(node, MapNode) else ()
    return next((value for name, value in entries if name.value == key), None)


def _text(node: Node | None, key: str) -> str:
    found = _value(node, key)
    return found.value if isinstance(found, TextNode) else ""


def _category(event: Node | None, root: Node) -> int | None:
    own = whole_number(_text(event, "category"))
    return whole_number(_text(root, "category")) if own is None else own


def _taken(roots: Iterable[Node], category: int, but: tuple[Node, str]) -> set[int]:
    """Return the ids of a category that are in use, also by retired events.

    `but` is the event that gets a number: its file and name.
    """
    taken: set[int] = set()
    for root in roots:
        events = _value(root, "events")
        for name, event in events.entries if isinstance(events, MapNode) else ():
            number = whole_number(_text(event, "id"))
            if number is not None and _category(event, root) == category:
                taken |= {number} if (root, name.value) != but else set()
        retired = _value(root, "retired")
        if isinstance(retired, MapNode) and _category(None, root) == category:
            numbers = (whole_number(key.value) for key, _ in retired.entries)
            taken |= {number for number in numbers if number is not None}
    return taken


def _written(text: str, root: Node, event: str, number: str) -> str:
    """Return the file with the number: put in its place, or with a new event at the end."""
    offsets = Offsets(text)
    events = _value(root, "events")
    declared = _value(events, event)
    if isinstance(declared, MapNode):
        return apply(text, [_set_id(declared, number, offsets)])
    if not isinstance(events, MapNode):
        return f"{text.rstrip()}\n\nevents:\n{_stanza(event, number, 2)}"
    if offsets.is_flow(events):
        start = offsets.end(events) - 1
        comma = ", " if events.entries else ""
        return apply(text, [Edit(start, start, f"{comma}{event}: {{id: {number}, fields: {{}}}}")])
    indent = events.entries[0][0].span.column - 1
    line = last_line(events, offsets)
    at = offsets.at(line + 1, 1)
    end = "" if text[:at].endswith("\n") else "\n"
    return apply(text, [Edit(at, at, f"{end}\n{_stanza(event, number, indent)}")])


def _stanza(event: str, number: str, indent: int) -> str:
    margin = " " * indent
    return f"{margin}{event}:\n{margin}  id: {number}\n{margin}  fields: {{}}\n"


def _set_id(event: MapNode, number: str, offsets: Offsets) -> Edit:
    found = _value(event, "id")
    if found is not None:
        return Edit(offsets.start(found), offsets.end(found), number)
    start = offsets.start(event)
    if offsets.is_flow(event):
        comma = ", " if event.entries else ""
        return Edit(start + 1, start + 1, f"id: {number}{comma}")
    return Edit(start, start, f"id: {number}\n{' ' * (event.span.column - 1)}")
