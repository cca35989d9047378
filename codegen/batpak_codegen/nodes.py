"""What a schema text is made of before anything means anything: maps, lists and text.

YAML never decides a type: `NO`, `1.10`, `010` and `on` are text with a position. The slot a
node stands in converts it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TypeAlias

from msgspec import Struct

from batpak_codegen.diagnostic import Span


class Run(Struct, frozen=True, gc=False):
    """From `offset` in a value on, value and file go side by side, up to the next run.

    One code point of the value is one column of the file, except the last one before the next
    run, which may be an escape of several columns or the fold of a line.
    """

    offset: int
    line: int
    column: int


class TextNode(Struct, frozen=True, gc=False, tag="text"):
    """A scalar. `style` is the YAML style: "" plain, "'" and '"' quoted, "|" and ">" block.

    `runs` say where the parts of `value` stand in the file, in order of offset. There are none
    if value and file go side by side from the first character to the last, as in a plain or
    quoted scalar on one line without escapes, and none if the places are not known.
    """

    value: str
    span: Span
    style: str = ""
    runs: tuple[Run, ...] = ()

    def locate(self, start: int, end: int) -> Span:
        """Where the code points `start` to `end` of `value` stand in the file.

        The span ends on the line it begins on, so that a caret can be drawn. If the places inside
        the value are not known, it is the span of the whole scalar.
        """
        runs = self.runs
        if not runs:
            if not self.is_side_by_side:
                return self.span
            runs = (Run(0, self.span.line, self.span.column + len(self.style)),)
        first = bisect_right(runs, start, key=_offset) - 1
        last = bisect_right(runs, max(end - 1, start), key=_offset) - 1
        line, column = runs[first].line, runs[first].column + start - runs[first].offset
        while runs[last].line != line:
            last -= 1
        run, after = runs[last], runs[last + 1 : last + 2]
        limit = after[0].offset if after else len(self.value)
        if end < limit:
            stop = run.column + end - run.offset
        elif after and after[0].line == line:  # an escape is as wide as the next run is away
            stop = after[0].column
        else:
            stop = run.column + len(self.value[run.offset : limit].rstrip())
        return Span(self.span.path, line, column, line, max(stop, column + 1))

    @property
    def is_side_by_side(self) -> bool:
        """Whether the value stands on one line of the file as it is, between its quotes if any."""
        span, quotes = self.span, 2 * len(self.style)
        is_row = span.end_line == span.line and self.style not in ("|", ">")
        return is_row and span.end_column - span.column - quotes == len(self.value)


def _offset(run: Run) -> int:
    return run.offset


class SeqNode(Struct, frozen=True, gc=False, tag="list"):
    """A list, in block or flow style."""

    items: tuple[Node, ...]
    span: Span


class MapNode(Struct, frozen=True, gc=False, tag="map"):
    """Keys are text and unique; order is the file's. `head` is the key the map hangs on."""

    entries: tuple[tuple[TextNode, Node], ...]
    span: Span
    head: Span | None = None


Node: TypeAlias = TextNode | SeqNode | MapNode
