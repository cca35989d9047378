r"""Patterns: what is refused, what is printed, and that matching takes linear time.

Without these tests a pattern could say one thing in the schema and another in generated code, or
a text of a stranger could keep a writer busy for ever.
"""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batpak_codegen.pattern import CHARS_MAX, DEPTH_MAX, Pattern, PatternError, read


def refused(source: str) -> PatternError:
    with pytest.raises(PatternError) as caught:
        read(source)
    return caught.value


@pytest.mark.parametrize(
    ("source", "regex"),
    [
        ("[A-Z0-9-]{3,32}", "[A-Z0-9-]{3,32}+"),
        (r"[^@\s]+@[^@\s]+", r"[^@\s]++@[^@\s]++"),
        (r"\d{4}-\d{2}", r"\d{4}+-\d{2}+"),
        ("(ab?c|cd)*", "(?>ab?+c|cd)*+"),
        ("(a{2}){3}", "(?:a{2}+){3}+"),
        ("(a?|b)c", "(?>b|a?+)c"),
        ("x{2,}", "x{2,}+"),
        ("(abc)?", "(?:abc)?+"),
        (r"[\]\-a^&[:]".replace("[:", r"\[:"), r"[\]\-a\^\&\[:]"),
        (r"a\.b\-c\@", r"a\.b-c@"),
        (".", "."),
    ],
)
def test_what_was_read_is_printed_so_that_nothing_is_given_back(source: str, regex: str) -> None:
    assert read(source).regex == regex


@pytest.mark.parametrize(
    ("source", "fits", "fits_not"),
    [
        ("[A-Z0-9-]{3,5}", ["ABC", "A-9", "ABCDE"], ["AB", "ABCDEF", "abc", "ABC\n"]),
        ("(a?|b)c", ["c", "ac", "bc"], ["abc", "a", ""]),
        (r"\w+\s\d", ["a_Z9 1"], ["é 1", "a\u00a01", "a \u0661"]),
        (".*", ["", "a b"], ["a\nb"]),
        (r"\[\]\\", ["[]\\"], ["[]"]),
        ("(ab?|cd){1,2}", ["a", "ab", "abcd", "cdcd"], ["", "aaa", "cda b"]),
        ("[^a]", ["b", "\n", "\U0001f600"], ["a", ""]),
    ],
)
def test_a_pattern_matches_the_whole_text_and_its_classes_are_ascii(
    source: str, fits: list[str], fits_not: list[str]
) -> None:
    found = read(source)

    assert [text for text in fits if not found.matches(text)] == []
    assert [text for text in fits_not if found.matches(text)] == []


@pytest.mark.parametrize(
    ("source", "place", "other"),
    [
        (".*foo", "f", "*"),
        ("(a+)+", "+", "+"),
        (r"\w+\w", r"\w", "+"),
        ("(ab|ac)", "a", "a"),
        ("a?ab", "a", "a"),
        ("[a-f]{1,3}[f-z]", "[f-z]", "{1,3}"),
        ("(a{1,2})*", "*", "{1,2}"),
        ("(a|b?)*", "*", "a|b?"),
        ("(a*)?", "?", "*"),
        (r"(\d|[0-4]x)", "[0-4]", r"\d"),
    ],
)
def test_an_ambiguous_pattern_is_refused_with_both_places(
    source: str, place: str, other: str
) -> None:
    found = refused(source)

    assert found.code == "E0305"
    assert found.other is not None
    assert found.place != found.other
    assert source[slice(*found.place)] == place
    assert source[slice(*found.other)] == other


@pytest.mark.parametrize("source", ["(a?|b?)c", "(|a)", "(x(a?|b?))*"])
def test_which_of_two_empty_branches_was_taken_would_be_ambiguous(source: str) -> None:
    assert refused(source).code in ("E0305", "E0306")


@pytest.mark.parametrize("source", ["a{3}a", "([ab]{2}){2}b", "(a|b)(a|b)", "a?b?c?", "(ab)+c"])
def test_what_is_counted_and_what_differs_is_no_ambiguity(source: str) -> None:
    assert read(source).source == source


BAD = {
    "^a$": "^", "a**": "*", "a+?": "?", "a++": "+", "(?:a)": "(?", "(?=a)": "(?", "(?P<n>a)": "(?",
    r"(a)\1": r"\1", r"\bx": r"\b", r"\W": r"\W", r"\u0041": r"\u", "a|": "", "()": ")", "(": "",
    "a)": ")", "(a": "(", "[a": "[", "[]": "[]", "[z-a]": "z-a", r"[a-\d]": r"a-\d", "[[a]]": "[",
    "{2}": "{", "a{,3}": "{", "a{3,2}": "{3,2}", "a{0}": "{0}", "a{1001}": "{1001}", "]": "]",
    "}": "}", "a{2}{3}": "{", "": "", "a\\": "\\",
}  # fmt: skip


@pytest.mark.parametrize("source", BAD)
def test_what_is_not_in_the_subset_is_refused_where_it_stands(source: str) -> None:
    found = refused(source)

    assert found.code == "E0306"
    assert source[slice(*found.place)] == BAD[source]


def test_patterns_are_short_and_shallow() -> None:
    assert refused("a" * (CHARS_MAX + 1)).code == "E0306"
    assert refused("(" * (DEPTH_MAX + 2) + "a" + ")" * (DEPTH_MAX + 2)).code == "E0306"
    assert read("(" * DEPTH_MAX + "a" + ")" * DEPTH_MAX).regex == "a"


# The classic ways to make a backtracking matcher run for ever, 200 and more of them.
_ATOMS = ["a", "[a-z]", r"\w", r"\d", ".", "[^b]", "(ab)", "(a|b)", r"\s", "[0-9a]", "(abc?)", "é"]
_LOOPS = ["({0}+)+", "({0}*)*", "({0}+)*", "({0}*)+", "({0}{{1,9}})+", "({0}+){{2,}}"]
_PAIRS = ["{0}*{0}*", "{0}+{0}+", "({0}|{0})*", "({0}|{0}{0})+", "{0}*{0}", "({0}?){{20}}"]
_MIXED = [
    "(a|aa)+", "(a|a?)+", "(.*)*", "(.*a){20}", "(a+b?)+", r"([a-z]+\s?)+", r"\d+\d+\d+", ".*.*=.*",
    r"(\w+\s?)+", r"([^@]+)+@", r"(([a-z])+.)+[A-Z]", r"(a|b|ab)*", r"^(a+)+$", r"(x+x+)+y",
    r"([a-zA-Z]+)*", r"(a*)*b", r"(.|\s)*", r"([a-z]*)*x", r"(([^/]+)/?)*", r"(\s*\w+\s*)*",
    r"([0-9]+-?)+", r"(a?){30}a{30}", "(ab*)*b", "(ba*b?)*", "(a{0,5}){0,5}", "((a|b)*c?)*",
    "(.*,)*.*", r"\w*\d*\w*", r"[a-z]+[a-z0-9]*", "(a+a)+", "(aa*)+", "(a|b+)*b", "(a*b*)*",
    "(a+|b)*", "(a|(b|a))*", "(ab|a)b?", "(a*|b)*", "((a*))*", "(a{2,3})+", "(a{1,}){1,}",
    "x*x", "x?x", "x{1,2}x", "(xy?)*y", "(x|xy)+", "(x+|y+)+", "[xy]*[yz]*", "[xy]+x", r"\s*\n?\s*",
    r"\d*\.?\d*", r"(\.\d+)*\.\d*", r"(\w+\.)*\w+", r"(-?\w+)*", r"(\w|-)+\w", r"(/[^/]*)*/?",
    "(a|ab)(c|bcd)d*", "(a?b?)*", "(a?b?){5}", "(a?b)*a?b", "(ab?)*b?", "((ab)*a?)*", "(a.?)*",
    r"(\S+)+", r".+.+", "(foo|foobar)+", "(..?)+", "(.{1,3})*", "(.?){9}", "[^x]*y", "(a[ab]*)*",
    "([ab]*a)*", "(z|[a-z])*", "(z*|[y-z])", "((x?)y?)*x", "(1|11)*", "(0|[0-9]0?)*", "(b*a)*b*a",
]  # fmt: skip
CATASTROPHES = sorted(
    {
        *(shape.format(atom) for shape, atom in itertools.product(_LOOPS + _PAIRS, _ATOMS)),
        *_MIXED,
    }
)


def test_two_hundred_classic_catastrophes_are_refused() -> None:
    accepted = []
    for source in CATASTROPHES:
        try:
            read(source)
        except PatternError:
            continue
        accepted.append(source)

    assert len(CATASTROPHES) >= 200
    assert accepted == []


LONG = [
    ("[a-z]+", "a"), ("(ab|cd)*", "abcd"), ("(ab?c)*d", "abcac"), (r"(\w+ )*-", "word "),
    ("[^@]+@[^@]+", "a"), ("(a{3}b)*c", "aaab"), ("((a|b){2}c)*", "abcbac"), (".*", "z"),
    ("(x(y|z?)w)*", "xywxwxzw"), ("(a{1,1000}b)*", "a" * 1000 + "b"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "part"), LONG)
def test_matching_is_linear_in_the_text(source: str, part: str) -> None:
    found = read(source)
    text = part * (100_000 // len(part)) + "!"
    found.matches(text)  # compiled

    best = min(_seconds(found, text) for _ in range(3))

    assert best < 0.05


def _seconds(pattern: Pattern, text: str) -> float:
    begin = time.perf_counter()
    pattern.matches(text)
    return time.perf_counter() - begin


ATOMS = st.sampled_from(["a", "b", "c", "[ab]", "[^a]", "[b-c]", ".", r"\w"])
QUANTIFIERS = st.sampled_from(["", "", "?", "*", "+", "{2}", "{1,2}", "{2,}", "{0,3}"])
SOURCES = st.recursive(
    st.builds(str.__add__, ATOMS, QUANTIFIERS),
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map("".join)
        | st.builds(
            "({}){}".format, st.lists(inner, min_size=1, max_size=3).map("|".join), QUANTIFIERS
        )
    ),
    max_leaves=6,
)
TEXTS = ["".join(text) for n in range(6) for text in itertools.product("abc", repeat=n)]


@given(SOURCES)
def test_a_pattern_that_is_accepted_means_what_re_means_by_it(source: str) -> None:
    try:
        found = read(source)
    except PatternError:
        assume(False)
    plain = re.compile(source, re.ASCII)

    matching = [text for text in TEXTS if plain.fullmatch(text)]

    assert [text for text in TEXTS if found.matches(text)] == matching
    assert all(found.shortest <= len(text) for text in matching)
    assert all(found.longest is None or len(text) <= found.longest for text in matching)
