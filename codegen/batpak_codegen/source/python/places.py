"""Where things stand in a Python module: spans of its syntax, and text that knows its columns.

`ast` counts columns in bytes from 0; a span counts code points from 1.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping

from batpak_codegen.diagnostic import Findings, Span
from batpak_codegen.nodes import MapNode, Node, Run, SeqNode, TextNode
from batpak_codegen.schema import Site
from batpak_codegen.source.python.values import is_list, is_map, value_text

RUNS_CHARS_MAX = 8192  # of values whose inner places are kept
SOMEWHERE = ">"  # the style of text whose inner places are not known
QUOTED = '"'

_STRING = re.compile(r"(?P<prefix>[A-Za-z]*)(?P<quotes>'''|\"\"\"|'|\")")
_PIECE = re.compile(r"\\(?:\n|[0-7]{1,3}|x..|u.{4}|U.{8}|N\{[^}]*\}|.)|[^\\\n]*\n|[^\\\n]+")
_RAW_PIECE = re.compile(r"[^\n]*\n|[^\n]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Places:
    """One module: its path as it is printed, its text, its syntax."""

    def __init__(self, path: str, text: str, findings: Findings) -> None:
        self.path, self.findings = path, findings
        self.rows = text.split("\n")
        self.tree = ast.parse(text)
        self.start = Span(path, 1, 1, 1, 2)
        self.calls = {
            (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset): node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call)
        }

    def span(self, node: ast.AST | None) -> Span:
        """Return where a node of the syntax stands; the first character of all for None."""
        if not isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.arg | ast.alias):
            return self.start
        line, end = node.lineno, node.end_lineno or node.lineno
        last = self.column(end, node.end_col_offset or 0)
        return Span(self.path, line, self.column(line, node.col_offset), end, last)

    def column(self, line: int, offset: int) -> int:
        """Return the column that is `offset` bytes into a line."""
        row = self.rows[line - 1] if line <= len(self.rows) else ""
        return (
            offset if row.isascii() else len(row.encode()[:offset].decode("utf-8", "ignore"))
        ) + 1

    def name(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Span:
        """Return where the name of a class or function stands in its first line."""
        row = self.rows[node.lineno - 1]
        begin = row.find(node.name, self.column(node.lineno, node.col_offset) - 1 + len("def"))
        return Span(self.path, node.lineno, begin + 1, node.lineno, begin + 1 + len(node.name))

    def key(self, keyword: ast.keyword) -> Span:
        """Return where the word before `=` stands."""
        column = self.column(keyword.lineno, keyword.col_offset)
        width = len(keyword.arg or "")
        return Span(self.path, keyword.lineno, column, keyword.lineno, column + width)

    def call(self, site: Site) -> ast.Call | None:
        """Return the call that was made there."""
        at = (site.line, site.end_line, site.column, site.end_column)
        return self.calls.get(at)  # type: ignore[arg-type]  # a site without columns finds nothing

    def line_of(self, site: Site) -> Span:
        """Return the line of a call whose syntax is not known."""
        line = min(site.line or 1, len(self.rows))
        row = self.rows[line - 1]
        begin = len(row) - len(row.lstrip())
        return Span(self.path, line, begin + 1, line, max(len(row), begin + 1) + 1)

    def plain(self, value: str, span: Span, style: str = "") -> TextNode:
        """Return text that stands at `span` as a whole."""
        if _SURROGATE.search(value):
            self.findings.add("E0105", "a lone surrogate is no character", span)
            value = "?"
        return TextNode(value, span, style)

    def text(self, value: str, at: ast.AST | None, span: Span) -> TextNode:
        """Return text that was written as a string, knowing its columns if `at` is that string."""
        span = self.span(at) if at else span
        if isinstance(at, ast.Constant) and at.value == value and len(value) <= RUNS_CHARS_MAX:
            runs, spelled = self._runs(span)
            if spelled == value:
                plain = self.plain(value, span, QUOTED)
                return TextNode(plain.value, span, QUOTED, runs)
        return self.plain(value, span, SOMEWHERE)

    def data(self, value: object, at: ast.AST | None, span: Span) -> Node:
        """Return the node of plain data: maps, lists and scalars, each with its own place."""
        span = self.span(at) if at else span
        if is_map(value):
            self.refuse_doubles(at)
            return self.map(value, at, span)
        if is_list(value):
            places = at.elts if isinstance(at, ast.List | ast.Tuple) else []
            inner = places if len(places) == len(value) else [None] * len(value)
            nodes = (self.data(item, place, span) for item, place in zip(value, inner, strict=True))
            return SeqNode(tuple(nodes), span)
        if isinstance(value, str):
            return self.text(value, at, span)
        text = value_text(value)
        if text is None:
            shown = type(value).__name__
            self.findings.add("E0106", f"a {shown} cannot stand in a schema", span)
            return TextNode("?", span, SOMEWHERE)
        return self.plain(text.text, span, SOMEWHERE if text.quoted else "")

    def map(self, value: Mapping[object, object], at: ast.AST | None, span: Span) -> MapNode:
        """Return the node of a map in which no key was seen to stand twice."""
        pairs: list[tuple[ast.expr | None, ast.expr | None]] = [(None, None)] * len(value)
        if isinstance(at, ast.Dict) and None not in at.keys and len(at.keys) == len(value):
            pairs = list(zip(at.keys, at.values, strict=True))
        entries: list[tuple[TextNode, Node]] = []
        for (key, item), (key_at, item_at) in zip(value.items(), pairs, strict=True):
            name = self.data(key, key_at, span)
            if not isinstance(name, TextNode):
                self.findings.add("E0104", "a key is text", name.span)
                continue
            node = self.data(item, item_at, span)
            entries.append((name, headed(node, name.span)))
        return MapNode(tuple(entries), span)

    def refuse_doubles(self, at: ast.AST | None) -> None:
        """Report every key that stands in a display for a second time."""
        for key in doubles(at):
            self.findings.add("E0102", "this key stands twice", self.span(key))

    def _runs(self, span: Span) -> tuple[tuple[Run, ...], str]:
        """Lay the strings at `span` beside their lines; return the runs, and the text they make."""
        rows = self.rows[span.line - 1 : span.end_line]
        rows[-1] = rows[-1][: span.end_column - 1]
        rows[0] = "(" + rows[0][span.column - 1 :]
        rows[-1] += ")"
        runs: list[Run] = []
        parts: list[str] = []
        offset = 0
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO("\n".join(rows)).readline))
        except (tokenize.TokenError, SyntaxError):
            return (), ""
        for token in tokens:
            if token.type != tokenize.STRING:
                continue
            line, column = span.line + token.start[0] - 1, token.start[1] + 1
            if token.start[0] == 1:
                column += span.column - 2  # for the bracket that was put before
            for piece, line_, column_ in _pieces(token.string, line, column):
                runs.append(Run(offset, line_, column_))
                offset += len(piece)
                parts.append(piece)
        return tuple(runs), "".join(parts)


def _pieces(token: str, line: int, column: int) -> Iterator[tuple[str, int, int]]:
    """Yield each piece of a string literal that goes side by side with its line, and its place."""
    match = _STRING.match(token)
    if not match:
        return
    body = token[match.end() : len(token) - len(match["quotes"])]
    column += match.end()
    is_raw = "r" in match["prefix"].lower()
    for found in (_RAW_PIECE if is_raw else _PIECE).finditer(body):
        piece = found[0]
        yield (piece if is_raw or piece[0] != "\\" else _unescaped(piece)), line, column
        if piece.endswith("\n"):
            line, column = line + 1, 1
        else:
            column += len(piece)
    yield "", line, column  # so that an escape at the end has its width


def _unescaped(piece: str) -> str:
    try:
        value = ast.literal_eval(f"'''{piece}'''" if piece != "\\'" else '"\'"')
    except (SyntaxError, ValueError):
        return piece
    return value if isinstance(value, str) else piece


def doubles(at: ast.AST | None) -> Iterator[ast.Constant]:
    """Yield the keys of a display that stand there a second time: Python would drop the first."""
    seen: set[object] = set()
    for key in at.keys if isinstance(at, ast.Dict) else ():
        if isinstance(key, ast.Constant):
            if key.value in seen:
                yield key
            seen.add(key.value)


def headed(node: Node, head: Span) -> Node:
    """Return a map with the key it hangs on; anything else as it is."""
    return MapNode(node.entries, node.span, head) if isinstance(node, MapNode) else node
