"""YAML text to nodes: libyaml's events, a composer of ours, and everything we refuse.

Only a small part of YAML is left: maps with text keys, lists and scalars. Whatever could share,
inject, hide or multiply structure is an error here, before it means anything; limits are checked
event by event, so a bomb ends before it unfolds. Rules and codes:
docs/reference/schema-language.md, "From text to nodes".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

import yaml

from batpak_codegen.diagnostic import (
    FINDINGS_MAX,
    Diagnostic,
    Findings,
    Place,
    SchemaError,
    Span,
    quoted,
)
from batpak_codegen.nodes import MapNode, Node, Run, SeqNode, TextNode
from batpak_codegen.types import translate

BYTES_MAX = 1 << 20
DEPTH_MAX = 32
EVENTS_MAX = 200_000
RUNS_CHARS_MAX = 8192  # of values whose inner places are kept

INVISIBLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f"  # C0 but for line feed, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the direction of what follows
    "\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]"  # line breaks to some readers; no characters
)
_ESCAPES = {"'": "'", '"': "\\"}
_PIECES = {  # of a quoted scalar: one escape, or what needs none
    "'": re.compile(r"''|[^']+"),
    '"': re.compile(r"\\(?:x..|u.{4}|U.{8}|.)?|[^\\]+"),
}
_INDICATORS = "\n,:-?[{"  # something stands before every event
_FLOOD = f"more than {EVENTS_MAX:,} keys, values and brackets"
_WAYS_OUT = {
    "mapping values are not allowed": "text with `: ` in it needs quotes",
    "cannot start any token": "text that begins like this needs quotes",
    "did not find expected key": "a key should stand here: check the indentation and the quotes",
    "did not find expected": "check the indentation, the brackets and the quotes",
}


def parse(text: str, path: str) -> Node:
    """Compose the one document of `text`.

    Args:
        text: With line feeds only, without a byte order mark.
        path: As it is printed: relative, with slashes.

    Raises:
        SchemaError: Everything that was found in this text (E0001, E0101 to E0110).
    """
    if not yaml.__with_libyaml__:
        message = "PyYAML was built without libyaml"
        hint = "install a wheel of PyYAML: `pip install --force-reinstall pyyaml`"
        raise SchemaError([Diagnostic("E0001", message, help=hint)])
    findings = Findings(FINDINGS_MAX)
    if len(text) > BYTES_MAX:
        findings.stop("E0105", "a schema file has at most 1 MiB", Span(path, 1, 1, 1, 2))
    for match in INVISIBLE.finditer(text):
        _refuse_character(match, path, findings)
    findings.finish()
    if sum(map(text.count, _INDICATORS)) > EVENTS_MAX:
        _refuse_flood(text, path, findings)
    root = _Composer(text, path, findings).document()
    findings.finish()
    return root


def _refuse_flood(text: str, path: str, findings: Findings) -> None:
    """Count the events of a text that looks like too many, before a node is made of any.

    Whatever else is wrong is left to the composer, which comes to it as soon as this does.
    """
    loader = yaml.CLoader(text)
    depth = 0
    try:
        for _ in range(EVENTS_MAX):
            event = loader.get_event()
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH_MAX or isinstance(event, yaml.DocumentEndEvent):
                return
    except yaml.YAMLError:
        return
    findings.stop("E0105", _FLOOD, Span(path, 1, 1, 1, 2))


def _refuse_character(match: re.Match[str], path: str, findings: Findings) -> None:
    line = match.string.count("\n", 0, match.start()) + 1
    column = match.start() - (match.string.rfind("\n", 0, match.start()) + 1) + 1
    at = Span(path, line, column, line, column + 1)
    if match[0] == "\t":
        findings.add("E0105", "a tab; YAML is laid out with spaces", at)
    elif match[0] == "\r":
        findings.add("E0105", "a carriage return without a line feed", at)
    else:
        findings.add("E0105", f"invisible character U+{ord(match[0]):04X}", at)


class _Composer:
    """Builds nodes from events. `keys` is the way from the root to where it stands."""

    def __init__(self, text: str, path: str, findings: Findings) -> None:
        self.rows = text.split("\n")
        self.path = path
        self.findings = findings
        self.next_event: Callable[[], yaml.Event | None] = yaml.CLoader(text).get_event
        self.count = 0
        self.keys: list[str] = []
        self.in_expression = False  # whether the last value that was begun is an expression
        self.last: yaml.Event | None = None

    def document(self) -> Node:
        """Compose the whole text, which is one document."""
        self.take()
        start = self.take()
        if not isinstance(start, yaml.DocumentStartEvent):
            self.findings.stop("E0101", "the file is empty", Span(self.path, 1, 1, 1, 2))
        if start.version or start.tags:
            self.findings.add("E0104", "directives are not used here", self.span(start, start))
        root = self.node(self.take(), None)
        self.take()
        more = self.take()
        if not isinstance(more, yaml.StreamEndEvent):
            message = "a second document; one file is one package"
            self.findings.stop("E0105", message, self.span(more, more))
        return root

    def take(self) -> yaml.Event:
        """Return the next event; count it, and refuse what shares or tags structure."""
        try:
            event = self.next_event()
        except yaml.YAMLError as error:
            self.refuse_syntax(error)
        if event is None:  # after the end of the stream
            raise EOFError
        self.count += 1
        if self.count > EVENTS_MAX:
            self.findings.stop("E0105", _FLOOD, self.span(event, event))
        self.last = event
        return event

    def node(self, event: yaml.Event, head: TextNode | None) -> Node:
        """Compose what begins with `event`; `head` is the key it is the value of."""
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        if not isinstance(event, yaml.CollectionStartEvent):
            return self.refuse_sharing("alias", event)
        if event.anchor is not None or event.tag is not None:
            self.refuse_sharing("tag" if event.anchor is None else "anchor", event)
        if len(self.keys) >= DEPTH_MAX:
            message = f"nested deeper than {DEPTH_MAX}"
            self.findings.stop("E0105", message, self.span(event, event))
        if head and self.in_expression:
            self.refuse_expression(self.span(event, event))
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(event, head)
        return self.sequence(event)

    def sequence(self, start: yaml.Event) -> SeqNode:
        items: list[Node] = []
        self.keys.append("")
        while not isinstance(event := self.take(), yaml.SequenceEndEvent):
            items.append(item := self.node(event, None))
            if _is_empty(item):
                self.findings.add("E0107", "a list item without a value", item.span)
        self.keys.pop()
        return SeqNode(tuple(items), self.span(start, event))

    def mapping(self, start: yaml.Event, head: TextNode | None) -> MapNode:
        entries: dict[str, tuple[TextNode, Node]] = {}
        before: Node | None = None
        while not isinstance(event := self.take(), yaml.MappingEndEvent):
            self.keys.append("")
            key = self.node(event, None)
            name = key if isinstance(key, TextNode) else None
            self.begin_value(name.value if name else "")
            value = self.node(self.take(), name)
            self.keys.pop()
            if self.accepts(key, value, before) and name:
                first = entries.setdefault(name.value, (name, value))[0]
                if first is not name:
                    self.refuse_twice(name, first)
            before = value
        span = self.span(start, event)
        return MapNode(tuple(entries.values()), span, head.span if head else None)

    def refuse_twice(self, name: TextNode, first: TextNode) -> None:
        also = [Place(first.span, "the first one")]
        match self.keys:
            case ["gates", _, "python"]:
                message = f"code {quoted(name.value)} is there twice"
                hint = "a code has one message: name the other case otherwise"
                self.findings.add("E0517", message, name.span, help=hint, also=also)
            case _:
                message = f"key {quoted(name.value)} is there twice"
                self.findings.add("E0102", message, name.span, also=also)

    def begin_value(self, key: str) -> None:
        """Note where the next value stands, and whether that is the slot of an expression."""
        self.keys[-1] = key
        self.in_expression = False
        if key in ("require", "message"):
            match self.keys:
                case ["gates", _, "require"] | ["gates", _, "deny", "message"]:
                    self.in_expression = True
                case _:
                    pass

    def accepts(self, key: Node, value: Node, before: Node | None) -> bool:
        """Judge one entry of a map; `before` is the value of the entry before it."""
        if not isinstance(key, TextNode):
            self.findings.add("E0104", "a key is text", key.span)
            return False
        if key.value == "<<" and not key.style:
            self.findings.add("E0104", "nothing is merged; write it out", key.span)
            return False
        if not _is_empty(value):
            return True
        if key.value.endswith((">", ")", "]")) and isinstance(before, TextNode):
            ours = translate(f"{before.value}, {key.value}")
            start = before.span
            where = Span(
                self.path, start.line, start.column, key.span.end_line, key.span.end_column
            )
            hint = f"write {ours}" if ours else "types have no commas"
            self.findings.add("E0103", "YAML cuts this type in two at the comma", where, help=hint)
        elif _is_empty(key):
            self.findings.add("E0107", "an entry without a key and a value", key.span)
        else:
            message = f"{quoted(key.value)} has no value"
            hint = "write null where null is meant, or leave the key out"
            self.findings.add("E0107", message, key.span, help=hint)
        return False

    def scalar(self, event: yaml.ScalarEvent) -> TextNode:
        if event.anchor is not None or event.tag is not None:
            self.refuse_sharing("tag" if event.anchor is None else "anchor", event)
        span = self.span(event, event)
        value, style = event.value, event.style or ""
        if style == '"' and (match := INVISIBLE.search(value)):
            self.findings.add("E0105", f"invisible character U+{ord(match[0]):04X}", span)
        if self.in_expression and not style:
            self.refuse_cut(span)
        if "\n" in value:
            value = value.rstrip()
        node = TextNode(value, span, style)
        if node.is_side_by_side or len(value) > RUNS_CHARS_MAX:
            return node
        return TextNode(value, span, style, _runs(node, self.rows))

    def span(self, first: yaml.Event, last: yaml.Event) -> Span:
        start: _Mark | None = first.start_mark
        end: _Mark | None = last.end_mark
        if start is None or end is None:  # the parser always sets both
            return Span(self.path, 1, 1, 1, 2)
        return Span(self.path, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def refuse_cut(self, span: Span) -> None:
        """Refuse a plain expression that ends in a comment: the ` #` may be part of it."""
        if span.end_line > len(self.rows):  # libyaml ends an unfinished file one line too far
            return
        row = self.rows[span.end_line - 1]
        rest = row[span.end_column - 1 :].lstrip(" ")
        if rest.startswith("#"):
            column = len(row) - len(rest) + 1
            self.refuse_expression(
                Span(self.path, span.end_line, column, span.end_line, len(row) + 1)
            )

    def refuse_sharing(self, kind: str, event: yaml.Event) -> TextNode:
        """Refuse anchors, aliases and tags: nothing in a schema is shared or typed by YAML."""
        span = self.span(event, event)
        if self.in_expression:
            self.refuse_expression(span)
        message = f"YAML's {kind} is not used here"
        self.findings.add("E0104", message, span, help="write the value out, or quote it")
        return TextNode("?", span, "'")

    def refuse_expression(self, span: Span) -> NoReturn:
        self.findings.stop(
            "E0110", "this looks like an expression", span, help="quote it, or put it after `>-`"
        )

    def refuse_syntax(self, error: yaml.YAMLError) -> NoReturn:
        """Say in which place libyaml gave up; nothing after it can be understood."""
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        if problem == "found unexpected end of stream":
            mark, problem = getattr(error, "context_mark", mark), "this quote is never closed"
        line = min(mark.line, len(self.rows) - 1) if mark else 0
        column = min(mark.column, len(self.rows[line])) if mark else 0
        where = Span(self.path, line + 1, column + 1, line + 1, column + 2)
        if (
            self.in_expression
            and self.last
            and line + 1 == self.span(self.last, self.last).end_line
        ):
            self.refuse_expression(where)
        hint = next((way for words, way in _WAYS_OUT.items() if words in problem), None)
        self.findings.stop("E0101", f"not YAML: {problem}", where, help=hint)


class _Mark(Protocol):
    """What libyaml says about a place; both count from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


def _is_empty(node: Node) -> bool:
    return isinstance(node, TextNode) and not node.value and not node.style


def _runs(node: TextNode, rows: Sequence[str]) -> tuple[Run, ...]:
    """Lay the value of a scalar beside the lines it came from; () if that does not work out.

    Quotes and block markers are skipped, lines are stripped as YAML strips them, and between two
    lines any blanks of the value are the fold.
    """
    value, span, style = node.value, node.span, node.style
    is_block, quotes = style in ("|", ">"), len(style) if style in _PIECES else 0
    runs: list[Run] = []
    offset = 0
    for line in range(span.line + is_block, span.end_line + 1):
        if offset >= len(value):
            break
        row = rows[line - 1]
        if line == span.end_line and not is_block:
            row = row[: span.end_column - 1 - quotes]
        begin = span.column - 1 + quotes if line == span.line else len(row) - len(row.lstrip(" "))
        if line > span.line and begin < len(row):
            offset += len(value[offset:]) - len(value[offset:].lstrip(" \n"))
        content = row[begin:].rstrip(" ") if is_block or line < span.end_line else row[begin:]
        for piece in _PIECES[style].findall(content) if quotes else [content] if content else []:
            runs.append(Run(offset, line, begin + 1))
            begin += len(piece)
            if quotes and piece[0] == _ESCAPES[style]:
                offset += piece != "\\"
            elif value.startswith(piece, offset):
                offset += len(piece)
            else:
                return ()
        if quotes and content:  # so that an escape at the end has its width
            runs.append(Run(offset, line, begin + 1))
    return tuple(runs) if offset >= len(value) else ()
