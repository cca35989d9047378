"""Projections: the events that are folded, and the state that they are folded into.

Rules: docs/reference/schema-language.md, "Projections".
"""

from __future__ import annotations

from typing import Final

from batpak_codegen.context import Unchecked
from batpak_codegen.declarations import ProjectionDecl, SchemaFile
from batpak_codegen.diagnostic import Findings
from batpak_codegen.fields import Resolver, doc_of
from batpak_codegen.ir import ProjectionDef
from batpak_codegen.listed import Offer
from batpak_codegen.nodes import TextNode
from batpak_codegen.types import FieldType

VERSION_MAX: Final = 2**31 - 1
_STATE: Final = Unchecked("a state is whatever its fold returns", "see to it in the fold")


def link_projections(
    file: SchemaFile, offer: Offer, resolver: Resolver, findings: Findings
) -> tuple[ProjectionDef, ...]:
    """Return the projections that a package declares.

    Args:
        file: What declares them.
        offer: The events that they may list.
        resolver: Knows all types.
        findings: Gets everything that is wrong: E0405, E0106, E0303, and the codes of types.
    """
    return tuple(
        ProjectionDef(
            name.value,
            _version(decl, findings),
            offer.listed("projection", name, decl.events, findings),
            _state(file.package.value, name, decl, resolver, findings),
            doc_of(decl.doc),
        )
        for name, decl in file.projections
    )


def _version(decl: ProjectionDecl, findings: Findings) -> int:
    if decl.version is None:
        return 1
    if not 1 <= decl.version.value <= VERSION_MAX:
        message = f"versions count from 1 to {VERSION_MAX}"
        findings.add("E0106", message, decl.version.span)
    return decl.version.value


def _state(
    package: str, name: TextNode, decl: ProjectionDecl, resolver: Resolver, findings: Findings
) -> tuple[FieldType, ...]:
    if not decl.state:
        message = f"the state of projection {name.value} has no field"
        findings.add("E0106", message, name.span, help="name what the events add up to")
    for node, field in decl.state:
        _STATE.refuse(node, field, findings)
    return resolver.fields(package, decl.state)
