"""Text leaves the generator as identifiers, ASCII literals and docstrings, and as nothing else.

Without these tests a docstring, a message or a file name in somebody's pull request could end a
string early and become code, or come out of the generated file as another text than went in.
"""

from __future__ import annotations

import ast
import inspect
from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batpak_codegen.text import (
    Code,
    Fragment,
    Ident,
    Literal,
    code,
    doc,
    ident,
    lit,
    python_literal,
)

Value: TypeAlias = str | bytes | int | float | bool | tuple["Value", ...] | None

NASTY = [
    '"""',
    '"',
    "'",
    "\\",
    'end"',
    '"start',
    '\\"""',
    "# -*- coding: utf-7 -*-",
    "a\rb",
    "a\r\nb",
    "\n",
    "a\n",
    " a",
    "a\n  b",
    "a\n\n\nb ",
    "tab\there",
    "nul\0",
    "\ud800",
    "\ud83d\ude00",
    "naïve",
    "\u202eevil",
    "\u2028",
    "{{ x }}{% y %}",
    '""")\nimport os\n"""',
    "x" * 300,
]
ANY_TEXT = st.text(st.characters()) | st.sampled_from(NASTY)
PLAIN = st.lists(st.from_regex(r"[!-~]([ -~]{0,30}[!-~])?", fullmatch=True), min_size=1, max_size=4)


def constant(docstring: str) -> str:
    """The value of a docstring as Python reads it, before anybody cleans it."""
    (statement,) = ast.parse(docstring).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Constant)
    assert isinstance(statement.value.value, str)
    return statement.value.value


@given(
    st.recursive(
        ANY_TEXT
        | st.binary()
        | st.integers()
        | st.booleans()
        | st.none()
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda items: st.lists(items, max_size=3).map(tuple),
        max_leaves=5,
    )
)
@example('it\'s "both"')
@example(-0.0)
def test_a_literal_is_ascii_and_evaluates_to_the_value(value: Value) -> None:
    text = python_literal(value)

    assert text.isascii()
    assert "\n" not in text
    assert ast.literal_eval(text) == value
    assert repr(ast.literal_eval(text)) == repr(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("eur", '"eur"'),
        ("it's", '"it\'s"'),
        ('say "hi"', "'say \"hi\"'"),
        ("é", '"\\xe9"'),
        (b"a'b\x00", 'b"a\'b\\x00"'),
        (("a",), '("a",)'),
        ((), "()"),
        (None, "None"),
        (True, "True"),
        (-3, "-3"),
    ],
)
def test_a_literal_looks_as_a_formatter_would_leave_it(value: Value, text: str) -> None:
    assert lit(value) == Literal(text)


def test_a_subclass_of_a_built_in_type_has_no_literal() -> None:
    class Sly(str):
        __slots__ = ()

    with pytest.raises(TypeError):
        lit(Sly("x"))


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_what_is_not_finite_has_no_literal(value: float) -> None:
    with pytest.raises(ValueError, match="no literal"):
        lit(value)


@given(ANY_TEXT)
def test_a_module_has_exactly_the_docstring_that_was_meant(text: str) -> None:
    source = f"# coding-free line\n{doc(text)}\n"

    assert source.isascii()
    assert ast.get_docstring(ast.parse(source), clean=False) == text


@given(ANY_TEXT | PLAIN.map("\n".join), st.sampled_from([4, 8]))
def test_a_class_has_the_docstring_that_was_meant_and_keeps_its_body(
    text: str, indent: int
) -> None:
    margin = " " * indent
    source = f"if 1:\n{margin}class C:\n{margin * 2}{doc(text, 2 * indent)}\n{margin * 2}x = 1\n"

    (outer,) = ast.parse(source).body

    assert isinstance(outer, ast.If)
    (klass,) = outer.body
    assert isinstance(klass, ast.ClassDef)
    assert len(klass.body) == 2
    assert ast.get_docstring(klass) == inspect.cleandoc(text)


def test_plain_text_looks_as_typed_by_hand() -> None:
    assert str(doc('Says "hi" to all.', 4)) == '"""Says "hi" to all."""'
    assert str(doc("One.\n\nTwo.\n  Three.", 4)) == ('"""One.\n\n    Two.\n      Three.\n    """')


@pytest.mark.parametrize("text", [text for text in NASTY if set(text) & set('"\\\r\n\0é')])
def test_text_that_is_not_plain_stays_on_one_line(text: str) -> None:
    written = str(doc(text, 4))

    assert "\n" not in written
    assert constant(written) == text


@pytest.mark.parametrize("text", ["", "1a", "a-b", "a b", "class", "ﬁ", "a.b", "a\n", "None"])
def test_what_is_no_identifier_is_a_defect(text: str) -> None:
    with pytest.raises(ValueError, match="not an identifier"):
        ident(text)


def test_code_from_beyond_ascii_is_a_defect() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        code("é = 1")


def test_fragments_print_their_text_and_are_no_strings() -> None:
    fragments: list[Fragment] = [ident("a"), lit(1), doc("D."), code("x = 1")]

    assert [str(fragment) for fragment in fragments] == ["a", "1", '"""D."""', "x = 1"]
    assert not any(isinstance(fragment, str) for fragment in fragments)
    assert len({*fragments, Ident("a"), Code("a")}) == 5
