"""How deep lists, sets and maps are in each other, also where a name stands between them.

Generated checks go through them in loops within loops, and Python compiles only so many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from batpak_codegen.declarations import FieldDecl, SchemaFile
from batpak_codegen.diagnostic import Findings

CONTAINERS_MAX: Final = 16


def refuse_deep(
    files: Mapping[str, SchemaFile],
    imports: Mapping[str, Mapping[str, str]],
    findings: Findings,
) -> None:
    """Report every field that is too deep because of what it names: E0105.

    Args:
        files: Package → what it says.
        imports: Package → alias → imported package.
        findings: Gets what is wrong; not what only names something that is.
    """
    aliases = {
        (package, name.value): decl.alias
        for package, file in files.items()
        for name, decl in file.types
        if decl.alias is not None
    }
    for package, file in files.items():
        for decl in _declared(file):
            home: str | None = package
            depth, node = _split(decl)
            inner = 0
            for _ in aliases:  # at most once each: an alias that names itself is refused elsewhere
                prefix, dot, name = node.rpartition(".")
                home = imports[home].get(prefix) if dot and home else home
                target = aliases.get((home or "", name))
                if target is None or inner > CONTAINERS_MAX:
                    break
                more, node = _split(target)
                inner += more
            if inner <= CONTAINERS_MAX < inner + depth:
                message = f"lists, sets and maps are nested more than {CONTAINERS_MAX} levels deep"
                hint = "count those in the aliases that it names; put a struct in between"
                findings.add("E0105", message, decl.type.span, help=hint)


def _declared(file: SchemaFile) -> Iterator[FieldDecl]:
    """Yield everything in a file that has a type."""
    for _, type_ in file.types:
        if type_.alias is not None:
            yield type_.alias
        yield from (decl for _, decl in type_.struct or ())
    for _, event in file.events:
        yield from (decl for _, decl in event.fields)
    for _, context in file.contexts:
        yield from (decl for _, decl in context)
    for _, projection in file.projections:
        yield from (decl for _, decl in projection.state)
    for _, machine in file.machines:
        for _, state in machine.states:
            yield from (decl for _, decl in state.data)


def _split(decl: FieldDecl) -> tuple[int, str]:
    """Return how many containers a type is written with, and the name inside them."""
    written = decl.type.value
    return written.count("<"), written.rpartition("<")[2].rstrip(">?")
