"""Which numbers are taken: by events, by events that are gone, and by installed distributions.

A kind means one event for as long as a stored event lives, so a number is never given again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from batpak_codegen.declarations import SchemaFile
from batpak_codegen.diagnostic import Findings, Place, Span
from batpak_codegen.ids import TYPE_ID_MAX, propose
from batpak_codegen.ir import EventDef
from batpak_codegen.nodes import TextNode
from batpak_codegen.slots import whole_number

SYSTEM_CATEGORIES: Final = frozenset({0x0, 0xD})
CATEGORY_MAX: Final = 0xF


def _declared(file: SchemaFile) -> Iterator[int]:
    """Yield what the events of a file ask for."""
    for _, event in file.events:
        if category := event.category or file.category:
            yield category.value << 12 | event.id.value


class Kinds:
    """Every number of a project, with the place that has it."""

    def __init__(
        self, files: Sequence[SchemaFile], installed: Mapping[int, Place], findings: Findings
    ) -> None:
        """Take in the numbers that are gone; `installed` are those of other distributions."""
        self._findings = findings
        self._installed = installed
        self._events: dict[int, Place] = {}
        self._retired: dict[int, Place] = {}
        self._declared = frozenset(kind for file in files for kind in _declared(file))
        self._by_package = {file.package.value: tuple(self._gone(file)) for file in files}

    def retired(self, package: str) -> tuple[tuple[int, str], ...]:
        """Return the kinds that a package has given up, with the names they had."""
        return self._by_package[package]

    def claim(self, event: EventDef, package: str, name: TextNode, span: Span) -> None:
        """Take the number of an event of a package, which stands at `span`."""
        kind, full = event.kind, f"{package}.{event.name}"
        gone = self._retired.get(kind)
        if gone:
            message = f"kind 0x{kind:04x} is retired: stored events still have it"
            self._findings.add("E0205", message, span, help=self._free(event, full), also=[gone])
            return
        other = self._events.get(kind) or self._installed.get(kind)
        if other:
            message = f"kind 0x{kind:04x} is used twice"
            self._findings.add("E0203", message, span, help=self._free(event, full), also=[other])
        self._events.setdefault(kind, Place(span, name.value))

    def _free(self, event: EventDef, name: str) -> str | None:
        known = (*self._declared, *self._retired, *self._installed)
        taken = {kind & TYPE_ID_MAX for kind in known if kind >> 12 == event.category}
        free = propose(name, taken)
        return None if free is None else f"`batpak id next {name}` proposes 0x{free:03x}"

    def _gone(self, file: SchemaFile) -> Iterator[tuple[int, str]]:
        names = {name.value: name for name, _ in (*file.events, *file.types)}
        for number, name in file.retired:
            kind = self._kind_of(file, number)
            if kind is None:
                continue
            other = self._retired.get(kind) or self._installed.get(kind)
            if other:
                message = f"kind 0x{kind:04x} is given up twice"
                self._findings.add("E0205", message, number.span, also=[other])
            self._retired.setdefault(kind, Place(number.span, f"retired {name.value}"))
            if name.value in names:
                message = f"{name.value} is retired and declared as well"
                also = [Place(names[name.value].span, name.value)]
                hint = "the name of a stored event is not given again"
                self._findings.add("E0202", message, name.span, help=hint, also=also)
            yield kind, f"{file.package.value}.{name.value}"

    def _kind_of(self, file: SchemaFile, node: TextNode) -> int | None:
        """Return the kind: a number up to 0xFFF is an id in the category of the file."""
        number = whole_number(node.value) or 0
        if number <= TYPE_ID_MAX and file.category is None:
            hint = "write category: 0x2 at the top of the file, or the whole kind"
            message = f"retired {node.value} has no category"
            self._findings.add("E0109", message, node.span, help=hint)
            return None
        category = file.category.value if file.category else 0
        kind = number if number > TYPE_ID_MAX else category << 12 | number
        if not 0 <= number <= 0xFFFF or kind >> 12 in SYSTEM_CATEGORIES:
            hint = "it is an id of this file's category, or a whole kind like 0x2006"
            message = f"kind {node.value} is out of range"
            self._findings.add("E0204", message, node.span, help=hint)
            return None
        return kind
