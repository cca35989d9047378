"""Handler groups: events that are handled together, of this package and of those it imports.

Rules: docs/reference/schema-language.md, "Handlers".
"""

from __future__ import annotations

from typing import Final

from batpak_codegen.declarations import SchemaFile
from batpak_codegen.diagnostic import Findings
from batpak_codegen.ir import HandlerDef
from batpak_codegen.listed import Offer

EVENTS_MAX: Final = 256  # a union of very many classes is too deep for Python's parser


def link_handlers(file: SchemaFile, offer: Offer, findings: Findings) -> tuple[HandlerDef, ...]:
    """Return the groups that a package declares.

    Args:
        file: What declares them.
        offer: What they may list.
        findings: Gets everything that is wrong: E0405, E0105.
    """
    groups: list[HandlerDef] = []
    for name, nodes in file.handlers:
        found = offer.listed("handler group", name, nodes, findings)
        if len(found) > EVENTS_MAX:
            message = f"a handler group has at most {EVENTS_MAX} events, {name.value} {len(found)}"
            findings.add("E0105", message, name.span, help="split it into groups")
            found = found[:EVENTS_MAX]
        groups.append(HandlerDef(name.value, found))
    return tuple(groups)
