"""Contexts: what a caller passes to gates. Never stored, so nothing is promised about them."""

from __future__ import annotations

from msgspec import Struct

from batpak_codegen.declarations import FieldDecl, SchemaFile
from batpak_codegen.diagnostic import Findings
from batpak_codegen.fields import Resolver
from batpak_codegen.ir import ContextDef
from batpak_codegen.nodes import TextNode

_CHECKED = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")  # at append only


class Unchecked(Struct, frozen=True):
    """Fields of what no append takes: why what is asked of them would mean nothing."""

    why: str
    instead: str

    def refuse(self, name: TextNode, decl: FieldDecl, findings: Findings) -> bool:
        """Report, as E0303, that a field asks for what only happens to events; say if it did."""
        if decl.wire is not None:
            message = f"`wire` of {name.value} means nothing: {self.why}"
            findings.add("E0303", message, decl.wire.span, help="leave it out")
            return True
        for option in _CHECKED:
            given = getattr(decl, option)
            if given is not None:
                message = f"`{option}` of {name.value} would never be checked: {self.why}"
                findings.add("E0303", message, given.span, help=self.instead)
                return True
        return False


_CONTEXT = Unchecked("a context is not stored", "test it in a gate")


def link_contexts(
    file: SchemaFile, resolver: Resolver, findings: Findings
) -> dict[str, ContextDef | None]:
    """Return the contexts of a file; None for one that is broken and was reported."""
    found: dict[str, ContextDef | None] = {}
    for name, entries in file.contexts:
        if not entries:
            message = f"context {name.value} has no field"
            findings.add("E0106", message, name.span, help="leave it out: gates need none")
        refused = [_CONTEXT.refuse(node, decl, findings) for node, decl in entries]
        fields = resolver.fields(file.package.value, entries)
        complete = entries and not any(refused) and len(fields) == len(entries)
        found[name.value] = ContextDef(name.value, fields) if complete else None
    return found
