"""What is different since a lock, for people: events, versions, fields, machines.

A lock knows what was stored, not what was documented: words, gates and moves are not in it, nor
when a kind was retired.
"""

from __future__ import annotations

from collections.abc import Iterator

from batpak_codegen.catalog import Block, Cell, Heading, Mono, Paragraph, Table, anchor, difference
from batpak_codegen.difference import changes
from batpak_codegen.freeze import Freeze, Promise
from batpak_codegen.ir import PackageDef, Project
from batpak_codegen.lock import Lock

ANCHOR = "changes-since"  # no package can be called so


def changelog(project: Project, freezing: Freeze, base: Lock, against: str) -> list[Block]:
    """Return the section of the page that stands first.

    Args:
        project: What the schemas say, with its past.
        freezing: What they promise.
        base: What was promised then.
        against: How that is called.
    """
    rows = [
        row for package in project.packages for row in _package(package, project, freezing, base)
    ]
    rows += [row for package in project.packages for row in _machines(package, base)]
    told: Block = Paragraph("Nothing that is stored has changed.")
    if rows:
        told = Table(("What", "Change"), tuple(rows))
    return [Heading(1, f"Changes since {against}", ANCHOR), told, *_retired(project, base)]


def _package(
    package: PackageDef, project: Project, freezing: Freeze, base: Lock
) -> Iterator[tuple[Cell, str]]:
    for promise in freezing.promises.values():
        if promise.package == package.name:
            name = Mono(promise.name, anchor(package, promise.name))
            for words in _event(promise, project, freezing, base):
                yield name, words


def _event(promise: Promise, project: Project, freezing: Freeze, base: Lock) -> Iterator[str]:
    full, names = f"{promise.package}.{promise.name}", base.kinds.get(promise.kind, {})
    versions = base.versions().get(promise.kind, {})
    if not versions:
        yield f"new, kind 0x{promise.kind:04x}"
        return
    if full not in names:
        yield f"was called {next(iter(names))}"
    then = max(versions)
    if then > promise.version:
        yield f"version {promise.version}, which was {then}"
    elif then < promise.version:
        for hop in project.pasts[promise.package].hops:
            if hop.event == promise.name and hop.version >= then:
                yield f"version {hop.version} to {hop.version + 1}: {difference(hop)}"
    else:
        revisions = versions[then]
        head = revisions[max(revisions)][0]
        for change in changes(base, freezing.lock, head.shape, promise.shape):
            yield f"{change.path} {change.words}"


def _machines(package: PackageDef, base: Lock) -> Iterator[tuple[Cell, str]]:
    for machine in package.machines:
        if f"{package.name}.{machine.name}" not in base.entities:
            words = f"new, lives in {machine.prefix}:{{{machine.key.name}}}"
            yield Mono(machine.name, anchor(package, machine.name)), words


def _retired(project: Project, base: Lock) -> list[Block]:
    retired = sorted(
        f"{name} (0x{kind:04x})"
        for package in project.packages
        for kind, name in package.retired
        if kind in base.kinds
    )
    return [Paragraph(f"Retired by now: {', '.join(retired)}.")] if retired else []
