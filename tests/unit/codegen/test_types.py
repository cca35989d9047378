"""The type of a field, from text to a tree; and what is said about types of other languages.

Without these tests `list<string?>` could mean something else than it says, a caret could stand
under the wrong part, and a person who writes `Optional[str]` would not be told what we call it.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak_codegen.diagnostic import Diagnostic, SchemaError, Span
from batpak_codegen.nodes import TextNode
from batpak_codegen.types import (
    SCALARS,
    GenericExpr,
    NameExpr,
    OptionalExpr,
    TypeExpr,
    parse_type,
    translate,
)


def node(text: str) -> TextNode:
    return TextNode(text, Span("s.yaml", 3, 11, 3, 11 + len(text)))


def at(column: int, width: int) -> Span:
    return Span("s.yaml", 3, column, 3, column + width)


def finding(text: str) -> Diagnostic:
    with pytest.raises(SchemaError) as caught:
        parse_type(node(text))
    (found,) = caught.value.diagnostics
    return found


def spell(type_: TypeExpr) -> str:
    match type_:
        case NameExpr():
            return type_.name
        case GenericExpr():
            return f"{type_.base}<{spell(type_.item)}>"
        case OptionalExpr():
            return f"{spell(type_.of)}?"


def test_a_type_is_a_tree_with_places() -> None:
    assert parse_type(node("list<common.Money?>")) == GenericExpr(
        "list", OptionalExpr(NameExpr("common.Money", at(16, 12)), at(16, 13)), at(11, 19)
    )


BASES = st.sampled_from([*SCALARS, "Money", "common.Money", "HTTP2"])
TYPES = st.recursive(
    BASES,
    lambda inner: st.builds(
        "{}<{}{}>".format,
        st.sampled_from(["list", "set", "map"]),
        inner,
        st.sampled_from(["", "?"]),
    ),
    max_leaves=4,
)


@given(TYPES, st.sampled_from(["", "?"]))
def test_every_type_is_read_as_it_is_spelled(text: str, mark: str) -> None:
    assert spell(parse_type(node(text + mark))) == text + mark


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("str", "string"),
        ("String[]", "list<string>"),
        ("datetime", "timestamp"),
        ("list[str]", "list<string>"),
        ("List[Money]", "list<Money>"),
        ("Optional[X]", "X?"),
        ("typing.Optional[X]", "X?"),
        ("X | None", "X?"),
        ("None | str", "string?"),
        ("Union[str, None]", "string?"),
        ("string | null", "string?"),
        ("map<string, i64>", "map<i64>"),
        ("Dict[str, List[UUID]]", "map<list<uuid>>"),
        ("tuple[int, ...]", "list<int>"),
        ("frozenset[X]", "set<X>"),
        ("decimal(18,2)", "{type: decimal, precision: 18, scale: 2}"),
        ("varchar(20)", "{type: string, max_length: 20}"),
        ("Vec<Option<u8>>", "list<u8?>"),
        ("list< string >", "list<string>"),
        ("timedelta", "duration"),
        ("boolean", "bool"),
    ],
)
def test_a_foreign_spelling_is_refused_with_ours_as_the_fix(text: str, ours: str) -> None:
    found = finding(text)

    assert (found.code, found.help) == ("E0301", f"write {ours}")


@pytest.mark.parametrize("text", ["", "?", "<", "list", "list<", "list<>", "list<i8", "list<i8>>"])
@pytest.mark.parametrize("tail", ["", " "])
def test_what_is_no_type_is_refused(text: str, tail: str) -> None:
    assert finding(text + tail).code == "E0301"


@pytest.mark.parametrize("text", ["dict", "tuple", "i8 i8", "X y", "list<i8>.x", "é", "a-b", "1"])
def test_what_has_no_spelling_here_is_refused_without_a_fix(text: str) -> None:
    found = finding(text)

    assert found.help is None or not found.help.startswith("write")


def test_null_twice_is_its_own_mistake() -> None:
    found = finding("list<i8??>")

    assert (found.code, found.span) == ("E0310", at(18, 2))


def test_a_word_that_is_no_type_gets_a_suggestion_at_its_place() -> None:
    found = finding("list<strin>")

    assert (found.code, found.span) == ("E0302", at(16, 5))
    assert found.help == "did you mean `string`?"


@pytest.mark.parametrize("text", ["list<" * 50, "list<" * 17 + "i8" + ">" * 17, "x" * 100_000])
def test_size_and_depth_are_limited(text: str) -> None:
    assert finding(text).code in ("E0301", "E0302")


@given(st.text(st.sampled_from("listmap<>[]?|, .()ABab0é\n"), max_size=40) | st.text(max_size=20))
def test_any_text_is_a_type_or_one_finding(text: str) -> None:
    try:
        found = parse_type(node(text))
    except SchemaError as error:
        codes = [diagnostic.code for diagnostic in error.diagnostics]
    else:
        codes = []
        assert spell(found) == text

    assert codes in ([], ["E0301"], ["E0302"], ["E0310"])


@given(st.text(st.sampled_from("listmaprOo<>[]?|, .()NneABab0"), max_size=30))
def test_what_a_hint_proposes_is_a_type(text: str) -> None:
    ours = translate(text)

    if ours and not ours.startswith("{"):
        assert spell(parse_type(node(ours))) == ours
