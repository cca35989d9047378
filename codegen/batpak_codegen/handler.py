"""Handler groups: events that are handled together, of this package and of those it imports.

Rules: docs/reference/schema-language.md, "Handlers".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from batpak_codegen.declarations import SchemaFile
from batpak_codegen.diagnostic import Findings, Place, did_you_mean, quoted
from batpak_codegen.ir import HandlerDef
from batpak_codegen.nodes import TextNode

ALL: Final = "all"
EVENTS_MAX: Final = 256  # a union of very many classes is too deep for Python's parser


def link_handlers(
    file: SchemaFile,
    imports: Mapping[str, str],
    files: Mapping[str, SchemaFile],
    findings: Findings,
) -> tuple[HandlerDef, ...]:
    """Return the groups that a package declares.

    Args:
        file: What declares them.
        imports: Alias → package, as far as they exist.
        files: All packages.
        findings: Gets everything that is wrong: E0405, E0105.
    """
    package = file.package.value
    events = {name.value: (package, name.value) for name, _ in file.events}
    for alias, home in imports.items():
        events |= {f"{alias}.{name.value}": (home, name.value) for name, _ in files[home].events}
    groups: list[HandlerDef] = []
    for name, nodes in file.handlers:
        if [node.value for node in nodes] == [ALL]:
            found = [event for event in events.values() if event[0] == package]
        else:
            found = _found(nodes, events, package, findings)
        if not found and not any(node.value != ALL for node in nodes):
            message = f"handler group {name.value} has no events"
            findings.add("E0405", message, name.span, help="name the first one")
        if len(found) > EVENTS_MAX:
            message = f"a handler group has at most {EVENTS_MAX} events, {name.value} {len(found)}"
            findings.add("E0105", message, name.span, help="split it into groups")
            found = found[:EVENTS_MAX]
        groups.append(HandlerDef(name.value, (*dict.fromkeys(found),)))
    return tuple(groups)


def _found(
    nodes: tuple[TextNode, ...],
    events: Mapping[str, tuple[str, str]],
    package: str,
    findings: Findings,
) -> list[tuple[str, str]]:
    first: dict[tuple[str, str], TextNode] = {}
    for node in nodes:
        event = events.get(node.value)
        if event is None:
            hint = did_you_mean(node.value, events) or "write all, or a list of events"
            message = f"{package} has no event {quoted(node.value)}"
            findings.add("E0405", message, node.span, help=hint)
        elif first.setdefault(event, node) is not node:
            also = [Place(first[event].span, node.value)]
            message = f"{quoted(node.value)} is in this group twice"
            findings.add("E0405", message, node.span, also=also)
    return [*first]
