"""Changing a schema as text: every byte that is not meant to change stays, comments above all.

Edits are made at the positions of nodes. What comes out is read again and compared with what went
in, so a defect here ends in an error and never in a changed meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from msgspec import Struct

from batpak_codegen.nodes import MapNode, Node, SeqNode, TextNode
from batpak_codegen.slots import whole_number

_INK: Final = re.compile(r"\S")
_COMMENT: Final = re.compile(r"(?<!\S)#.*")
Meaning: TypeAlias = "str | list[Meaning] | dict[str, Meaning]"


class Edit(Struct, frozen=True):
    """Put `text` where the characters `start` to `end` of a file are."""

    start: int
    end: int
    text: str


class Offsets:
    """Line and column, both from 1, to the offset in a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0]
        for row in text.split("\n"):
            self.starts.append(self.starts[-1] + len(row) + 1)

    def at(self, line: int, column: int) -> int:
        """Return the offset of a place; a line behind the last one is the end."""
        return min(self.starts[min(line, len(self.starts)) - 1] + column - 1, len(self.text))

    def start(self, node: Node) -> int:
        """Return where a node begins."""
        return self.at(node.span.line, node.span.column)

    def end(self, node: Node) -> int:
        """Return where a node ends."""
        return self.at(node.span.end_line, node.span.end_column)

    def is_flow(self, node: MapNode | SeqNode) -> bool:
        """Whether a map or list is written in brackets."""
        return self.text.startswith(("{", "["), self.start(node))


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with the edits made; they do not overlap."""
    for edit in sorted(edits, key=lambda one: (one.start, one.end), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def last_line(node: Node, offsets: Offsets) -> int:
    """Return the last line on which something of a node stands."""
    if isinstance(node, MapNode) and node.entries and not offsets.is_flow(node):
        return last_line(node.entries[-1][1], offsets)
    if isinstance(node, SeqNode) and node.items and not offsets.is_flow(node):
        return last_line(node.items[-1], offsets)
    line = node.span.end_line - (node.span.end_column == 1)
    rows = offsets.text.split("\n")
    while line > node.span.line and not rows[line - 1].strip():
        line -= 1
    return line


def meaning(node: Node) -> Meaning:
    """Return what a node says, without order of keys and spelling of whole numbers."""
    if isinstance(node, MapNode):
        return {_value(key): meaning(value) for key, value in node.entries}
    if isinstance(node, SeqNode):
        return [meaning(item) for item in node.items]
    return _value(node)


def _value(node: TextNode) -> str:
    number = None if node.style else whole_number(node.value)
    return node.value if number is None else str(number)


def comments(root: Node, offsets: Offsets) -> list[tuple[int, str]]:
    """Return the comments of a file, and where each begins; `#` inside text is none."""
    pieces: list[str] = []
    done = 0
    for node in _texts(root):
        start = offsets.start(node)
        if node.style in ("|", ">"):  # its head may have a comment
            start = offsets.at(node.span.line + 1, 1)
        end = max(offsets.end(node), start)
        pieces += [offsets.text[done:start], _INK.sub("x", offsets.text[start:end])]
        done = end
    bare = "".join((*pieces, offsets.text[done:]))
    return [(found.start(), found[0].rstrip()) for found in _COMMENT.finditer(bare)]


def _texts(node: Node) -> Iterator[TextNode]:
    if isinstance(node, TextNode):
        yield node
    elif isinstance(node, SeqNode):
        for item in node.items:
            yield from _texts(item)
    else:
        for key, value in node.entries:
            yield key
            yield from _texts(value)
