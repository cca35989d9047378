"""Proves that a caret stands under the very character of a Python string that is meant.

Without it a message about a condition would point beside it as soon as the string is written in
several pieces, with an escape, or behind a character that takes more than one byte.
"""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from batpak_codegen.diagnostic import Findings
from batpak_codegen.nodes import MapNode, TextNode
from batpak_codegen.schema import Site
from batpak_codegen.source.python.places import Places

LETTERS = st.sampled_from("abcxyz é漢{}=.")
ESCAPES = st.sampled_from(["\\n", "\\x41", "\\u00e9", "\\101", "\\\\", "\\N{BULLET}", "\\\n"])
PIECES = st.lists(LETTERS | ESCAPES, max_size=12)


@st.composite
def literals(draw: st.DrawFn) -> str:
    """One string literal in some spelling."""
    quotes = draw(st.sampled_from(['"', "'", '"""', "'''"]))
    pieces = draw(PIECES)
    if draw(st.booleans()):  # raw: no escapes
        body = "".join(piece for piece in pieces if len(piece) == 1)
        return f"{draw(st.sampled_from(['r', 'R']))}{quotes}{body}{quotes}"
    if len(quotes) == 3:
        pieces = [draw(st.sampled_from([piece, "\n  "])) for piece in pieces]
    return f"{quotes}{''.join(pieces)}{quotes}"


def text_of(source: str) -> tuple[TextNode, Places]:
    places = Places("m.py", source, Findings())
    call = next(node for node in ast.walk(places.tree) if isinstance(node, ast.Call))
    value = ast.literal_eval(call.args[1])
    return places.text(value, call.args[1], places.start), places


@given(st.lists(literals(), min_size=1, max_size=3), st.sampled_from([" ", "\n    "]))
def test_every_character_is_found_where_it_stands(parts: list[str], between: str) -> None:
    node, places = text_of(f"f('é漢', ({between.join(parts)}))\n")

    for index, letter in enumerate(node.value):
        span = node.locate(index, index + 1)
        shown = places.rows[span.line - 1][span.column - 1 :]
        assert shown.startswith((letter, "\\")) or letter == "\n"


def test_a_value_that_was_computed_stands_where_its_expression_does() -> None:
    places = Places("m.py", "f(a, ('x' + 'y'))\n", Findings())
    call = next(iter(places.calls.values()))

    node = places.text("xy", call.args[1], places.start)

    assert node.locate(0, 1) == node.span == places.span(call.args[1])
    assert (node.span.column, node.span.end_column) == (7, 16)


def test_a_site_without_columns_is_a_line() -> None:
    places = Places("m.py", "if 1:\n   f(a)\n", Findings())
    site = Site("m", 2, None, None, None)

    assert places.call(site) is None
    assert (places.line_of(site).line, places.line_of(site).column) == (2, 4)


def test_a_key_that_stands_twice_is_found_although_python_has_dropped_it() -> None:
    findings = Findings()
    places = Places("m.py", "f({'a': 1, 'a': 2})\n", findings)
    (argument,) = next(iter(places.calls.values())).args

    node = places.data({"a": 2}, argument, places.start)

    assert isinstance(node, MapNode)
    assert [(found.code, found.span and found.span.column) for found in findings.diagnostics] == [
        ("E0102", 12)
    ]
