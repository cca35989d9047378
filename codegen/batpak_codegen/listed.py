"""Lists of events, of this package and of those it imports: handler groups, projections.

Rules: docs/reference/schema-language.md, "Handlers".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from batpak_codegen.declarations import SchemaFile
from batpak_codegen.diagnostic import Findings, Place, did_you_mean, quoted
from batpak_codegen.nodes import TextNode

ALL: Final = "all"


class Offer:
    """The events that a package may list."""

    def __init__(
        self, file: SchemaFile, imports: Mapping[str, str], files: Mapping[str, SchemaFile]
    ) -> None:
        """Take what lists them, alias → package as far as they exist, and all packages."""
        self.package = file.package.value
        self.events = {name.value: (self.package, name.value) for name, _ in file.events}
        for alias, home in imports.items():
            names = (name.value for name, _ in files[home].events)
            self.events |= {f"{alias}.{name}": (home, name) for name in names}

    def listed(
        self, noun: str, name: TextNode, nodes: Sequence[TextNode], findings: Findings
    ) -> tuple[tuple[str, str], ...]:
        """Return the events of a list, each as (package, name); `all` are those of the package.

        Args:
            noun: What has the list: `handler group`.
            name: Its name.
            nodes: What stands in it.
            findings: Gets E0405: no event, one that is unknown, one that is there twice.
        """
        if [node.value for node in nodes] == [ALL]:
            found = [event for event in self.events.values() if event[0] == self.package]
        else:
            found = self._found(noun, nodes, findings)
        if not found and not any(node.value != ALL for node in nodes):
            message = f"{noun} {name.value} has no events"
            findings.add("E0405", message, name.span, help="name the first one")
        return tuple(dict.fromkeys(found))

    def _found(
        self, noun: str, nodes: Sequence[TextNode], findings: Findings
    ) -> list[tuple[str, str]]:
        first: dict[tuple[str, str], TextNode] = {}
        for node in nodes:
            event = self.events.get(node.value)
            if event is None:
                hint = did_you_mean(node.value, self.events) or "write all, or a list of events"
                message = f"{self.package} has no event {quoted(node.value)}"
                findings.add("E0405", message, node.span, help=hint)
            elif first.setdefault(event, node) is not node:
                also = [Place(first[event].span, node.value)]
                message = f"{quoted(node.value)} is in this {noun} twice"
                findings.add("E0405", message, node.span, also=also)
        return [*first]
