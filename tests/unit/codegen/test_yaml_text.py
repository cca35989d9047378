"""YAML text becomes nodes, and everything that could share, hide or multiply structure is refused.

Without these tests a schema could carry a bomb, a key that silently wins over another, or text
that a reader does not see, and a caret could stand under the wrong word.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import cache

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from batpak_codegen.diagnostic import FINDINGS_MAX, Diagnostic, SchemaError
from batpak_codegen.nodes import MapNode, Node, SeqNode, TextNode
from batpak_codegen.source import yaml_text

MIB = 1 << 20


def findings(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SchemaError) as caught:
        yaml_text.parse(text, "s.yaml")
    return caught.value.diagnostics


def parsed_or_refused(text: str) -> Node | None:
    """What the text says, or None if it was refused with a code of this house."""
    try:
        return yaml_text.parse(text, "s.yaml")
    except SchemaError as error:
        codes = {found.code for found in error.diagnostics}
    assert codes
    assert all(re.fullmatch(r"E01(0[1-57]|10)", code) for code in codes)
    return None


def value_of(text: str, *keys: str) -> TextNode:
    node: Node = yaml_text.parse(text, "s.yaml")
    for key in keys:
        assert isinstance(node, MapNode)
        node = next(value for name, value in node.entries if name.value == key)
    assert isinstance(node, TextNode)
    return node


def scalars(node: Node) -> Iterator[TextNode]:
    match node:
        case TextNode():
            yield node
        case SeqNode():
            for item in node.items:
                yield from scalars(item)
        case MapNode():
            for key, value in node.entries:
                yield key
                yield from scalars(value)


def test_yaml_never_decides_a_type() -> None:
    text = "{a: NO, b: 1.10, c: 010, d: 2:30, e: 2024-01-02, f: on, g: null, h: ~, i: string?}"

    node = yaml_text.parse(text, "s.yaml")

    assert isinstance(node, MapNode)
    values = [value.value for _, value in node.entries if isinstance(value, TextNode)]
    assert values == ["NO", "1.10", "010", "2:30", "2024-01-02", "on", "null", "~", "string?"]


def test_columns_count_code_points() -> None:
    node = value_of("äöü: {\U0001d4b3é: word}\n", "äöü", "\U0001d4b3é")

    assert (node.span.line, node.span.column, node.span.end_column) == (1, 11, 15)


def test_multi_line_text_is_stripped_at_the_end() -> None:
    assert value_of("doc: |\n  one\n  two\n\n", "doc").value == "one\ntwo"


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3\n", "E0102", 3, 1),
        ("a: {b: 1, b: 2}\n", "E0102", 1, 11),
        ("a: {type: map<string, i64>}\n", "E0103", 1, 11),
        ("a: {type: decimal(18, 2)}\n", "E0103", 1, 11),
        ("a: &x b\n", "E0104", 1, 4),
        ("a: b\nc: *x\n", "E0104", 2, 4),
        ("a: !x b\n", "E0104", 1, 4),
        ("a: !!python/object:os.system b\n", "E0104", 1, 4),
        ("a: ! b\n", "E0104", 1, 4),
        ("<<: {a: b}\n", "E0104", 1, 1),
        ("? [a]\n: b\n", "E0104", 1, 3),
        ("? {a: b}\n: b\n", "E0104", 1, 3),
        ("%YAML 1.1\n---\na: b\n", "E0104", 1, 1),
        ("a: b\n---\nc: d\n", "E0105", 2, 1),
        ("a:\n\tb: c\n", "E0105", 2, 1),
        ("a: b\tc\n", "E0105", 1, 5),
        ("a: b\x00c\n", "E0105", 1, 5),
        ("a: b\x85c\n", "E0105", 1, 5),
        ("a: b\u202ec\n", "E0105", 1, 5),
        ("a: b\u2028c\n", "E0105", 1, 5),
        ("a: b\rc: d\n", "E0105", 1, 5),
        ("a: b\ufeff\n", "E0105", 1, 5),
        ("a: b\ud800\n", "E0105", 1, 5),
        ('a: "b\\u202ec"\n', "E0105", 1, 4),
        ('a: "b\\tc"\n', "E0105", 1, 4),
        ('a: "b\\0c"\n', "E0105", 1, 4),
        ('a: "b\\rc"\n', "E0105", 1, 4),
        ("a:\nb: c\n", "E0107", 1, 1),
        ("a: {b: }\n", "E0107", 1, 5),
        ("a:\n- b\n-\n", "E0107", 3, 2),
        ("a: b: c\n", "E0101", 1, 5),
        ("a: @b\n", "E0101", 1, 4),
        ("a: [b\n", "E0101", 2, 1),
        ("a: 'b\n", "E0101", 1, 4),
        ('a: "\\ud800"\n', "E0101", 1, 7),
        ("", "E0101", 1, 1),
        ("# nothing\n", "E0101", 1, 1),
    ],
)
def test_what_is_not_in_the_profile_is_refused_where_it_stands(
    text: str, code: str, line: int, column: int
) -> None:
    first = findings(text)[0]

    assert first.span is not None
    assert (first.code, first.span.line, first.span.column) == (code, line, column)


def test_a_double_key_names_both_places() -> None:
    (found,) = findings("a: 1\nb: 2\na: 3\n")

    assert [(place.span.line, place.span.column) for place in found.also] == [(1, 1)]


def test_a_split_type_is_put_together_in_the_hint() -> None:
    assert findings("{type: map<string, i64>}")[0].help == "write map<i64>"


def test_all_findings_of_a_text_are_reported_at_once() -> None:
    codes = [found.code for found in findings("a: &x b\nb:\nc: {d: 1, d: 2}\ne: !y f\n")]

    assert codes == ["E0104", "E0107", "E0102", "E0104"]


GATE = "gates:\n  g:\n    require: {}\n"


@pytest.mark.parametrize(
    "expression",
    [
        "!event.a",
        "&event.a",
        "*event.a",
        "@event",
        "`event`",
        "%event",
        "event.a == {'x': 1}",
        'event.a == "x # y"',
        "event.a # why",
        "{event.a} == 1",
        "[event.a]",
        "event.a == b: c",
    ],
)
def test_an_expression_that_yaml_would_read_its_own_way_is_refused(expression: str) -> None:
    assert findings(GATE.format(expression))[0].code == "E0110"


@pytest.mark.parametrize(
    "text", ["paid {event.a} # {event.b}", "{event.a} is over", "a: {event.b}"]
)
def test_a_message_that_yaml_would_read_its_own_way_is_refused(text: str) -> None:
    assert findings(f"gates:\n  g:\n    deny:\n      message: {text}\n")[0].code == "E0110"


def test_a_field_may_be_called_message() -> None:
    text = "events:\n  E:\n    fields:\n      message: {type: string}\n      require: i8 # why\n"

    assert value_of(text, "events", "E", "fields", "message", "type").value == "string"


@pytest.mark.parametrize(
    "text",
    [
        "gates: {g: {require: event.alpha == 'beta'}}\n",
        "gates: {g: {require: 'event.alpha == 1'}}\n",
        "gates: {g: {require: \"event.alpha == 'beta'\"}}\n",
        "gates:\n  g:\n    require: 'event.alpha == ''beta'' and gamma'\n",
        'gates:\n  g:\n    require: "event.alpha == \\"beta\\" and \\x67amma"\n',
        "gates:\n  g:\n    require: >-\n      event.alpha\n      == 'beta'\n      and gamma\n",
        "gates:\n  g:\n    require: >-  # why\n      event.alpha\n\n        == 'beta'\n    \n",
        "gates:\n  g:\n    require: |\n      event.alpha\n        == 'beta'\n      and gamma\n",
        "gates:\n  g:\n    require: >2-\n        event.alpha\n      == 'beta'\n",
        "gates:\n  g:\n    require: event.alpha\n      == 'beta'\n      and gamma\n",
        "gates:\n  g:\n    require: 'event.alpha\n      == ''beta''\n\n      and gamma'\n",
        'gates:\n  g:\n    require: "event.alpha \\\n      == \\"beta\\"\n      and gamma"\n',
    ],
)
def test_a_caret_inside_an_expression_stands_under_its_word(text: str) -> None:
    node = value_of(text, "gates", "g", "require")
    rows = text.split("\n")

    for word in ("event", "alpha", "beta", "gamma"):
        if word in node.value:
            at = node.locate(node.value.index(word), node.value.index(word) + len(word))
            shown = rows[at.line - 1][at.column - 1 : at.end_column - 1]
            assert shown.replace("\\x67", "g") == word
            assert at.end_line == at.line


def test_an_escape_is_underlined_whole() -> None:
    node = value_of('a: "x\\u00e9y"\n', "a")

    at = node.locate(1, 2)

    assert (at.column, at.end_column) == (6, 12)


def test_a_caret_past_the_end_stands_after_the_last_character() -> None:
    at = value_of("a: >-\n  one\n  two\n", "a").locate(7, 7)

    assert (at.line, at.column, at.end_column) == (3, 6, 7)


BLANK = st.text(st.sampled_from(" ab'\"\\é:#-\n"), max_size=40)


@given(BLANK, st.sampled_from(["'", '"', "|", ">", None]), st.integers(20, 60))
def test_every_place_inside_a_scalar_is_right_or_the_whole_of_it(
    value: str, style: str | None, width: int
) -> None:
    text = yaml.safe_dump({"k": value}, default_style=style, width=width, allow_unicode=True)
    text = text.replace("? ", "").replace("\n: ", ": ") if text.startswith("? ") else text
    rows = text.split("\n")

    root = parsed_or_refused(text)

    for node in scalars(root) if root else ():
        for index, character in enumerate(node.value):
            at = node.locate(index, index + 1)
            if at != node.span and character not in " \n" and at.end_column == at.column + 1:
                assert rows[at.line - 1][at.column - 1] == character


@cache
def slowness() -> float:
    """How much slower than the machine of the bar this one is now, at least 1."""
    text = "a: [" + "a," * 50_000 + "]"
    start = time.process_time()
    for _ in yaml.parse(text, Loader=yaml.CLoader):
        pass
    return max(1.0, (time.process_time() - start) / 0.04)


BOMBS = {
    "items": "a: [" + "a," * 524_280,
    "empty lists": "a: [" + "[]," * 174_763,
    "pairs": "a: {" + "a: ," * 200_000,
    "open brackets": "[" * MIB,
    "open braces": "{" * MIB,
    "dashes": "- " * (MIB // 2),
    "question marks": "? " * (MIB // 2),
    "one key again": "a: b\n" * 200_000,
    "anchors": "a: &a b\n" * 130_000,
    "laughs": "a: &a [x]\n" + "".join(f"b{i}: &b{i} [*a, *a, *a]\n" for i in range(999)),
    "tags": "".join(f"a{i}: !x b\n" for i in range(80_000)),
    "no values": "".join(f"k{i}:\n" for i in range(99_999)),
    "tabs": "\t" * MIB,
    "control characters": "\x01" * MIB,
    "carriage returns": "\r" * MIB,
    "documents": "--- a\n" * 170_000,
    "line feeds": "\n" * MIB,
    "spaces": " " * MIB,
    "comments": "#\n" * (MIB // 2),
    "directives": "%TAG ! tag:x,2000:\n" * 50_000,
    "colons": ":" * MIB,
    "commas": "[" + "," * (MIB - 1),
    "quotes": '"' * MIB,
    "a long key": "x" * (MIB - 10) + ": a",
    "deep blocks": "".join(" " * i + "a:\n" for i in range(1_400)),
    "deep flow": "a: " + "{a: " * 40 + "}" * 40,
    "broad and deep": ("[" * 31) * 1_000,
    "too long": "a: " + "x" * MIB,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_in_a_typed_error_before_it_unfolds(name: str) -> None:
    allowed = 0.5 * slowness()

    start = time.process_time()
    found = findings(BOMBS[name])
    seconds = time.process_time() - start

    assert len(found) <= FINDINGS_MAX
    assert seconds < allowed


@given(st.text(st.sampled_from("ab01 :-?[]{},#&*!|>'\"%@`\\\n\t\r.<é\u202e"), max_size=60))
def test_any_text_is_nodes_or_a_typed_error(text: str) -> None:
    root = parsed_or_refused(text)

    for node in scalars(root) if root else ():
        assert node.locate(0, len(node.value)).path == "s.yaml"


@given(st.text(max_size=200))
def test_any_unicode_is_nodes_or_a_typed_error(text: str) -> None:
    parsed_or_refused(text)
