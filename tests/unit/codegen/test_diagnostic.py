"""Findings are collected, ordered, and printed with the line and a caret under the right columns.

Without these tests the message would be right and the place wrong, or a hostile file could steer
the terminal of the person who reads about it.
"""

from __future__ import annotations

import pytest

from batpak_codegen.diagnostic import (
    NAMES_MAX,
    Diagnostic,
    Findings,
    Place,
    SchemaError,
    Span,
    closest,
    did_you_mean,
    quoted,
    render,
)


def span(line: int, column: int, end_column: int, path: str = "s.yaml") -> Span:
    return Span(path, line, column, line, end_column)


def test_a_diagnostic_has_position_frame_places_and_a_way_out() -> None:
    text = "a: b\nevents:\n  E: {id: 0x003}\n"
    found = Diagnostic(
        "E0203",
        "kind 0x2003 is used twice",
        span(3, 11, 16),
        "take another",
        (Place(span(9, 9, 14, "other.yaml"), "ReturnOpened"),),
    )

    assert render([found], {"s.yaml": text}) == (
        "s.yaml:3:11: error[E0203] kind 0x2003 is used twice\n"
        "      3 |   E: {id: 0x003}\n"
        "        |           ^^^^^\n"
        "    also: other.yaml:9:9  ReturnOpened\n"
        "        = help: take another"
    )


def test_without_a_text_there_is_no_frame_and_without_a_place_no_position() -> None:
    found = [Diagnostic("E0005", "cannot read this", span(1, 1, 2)), Diagnostic("E0004", "none")]

    assert render(found, {}) == "s.yaml:1:1: error[E0005] cannot read this\nerror[E0004] none"


def test_a_span_of_several_lines_is_marked_to_the_end_of_the_first() -> None:
    shown = render([Diagnostic("E", "m", Span("s", 1, 4, 3, 2))], {"s": "a: b c\nd\ne\n"})

    assert shown.splitlines()[2] == "        |    ^^^"


@pytest.mark.parametrize("place", [span(1, 7, 8), span(1, 50, 60), span(2, 1, 2), span(9, 1, 2)])
def test_a_place_past_the_end_is_still_printed(place: Span) -> None:
    assert render([Diagnostic("E", "m", place)], {"s.yaml": "a: b c\n"}).startswith("s.yaml:")


def test_of_a_long_line_what_stands_around_the_caret_is_shown() -> None:
    text = "x" * 100_000 + "here" + "y" * 100_000

    row, caret = render([Diagnostic("E", "m", span(1, 100_001, 100_005))], {"s.yaml": text}).split(
        "\n"
    )[1:]

    first = caret.index("^")
    assert row[first : first + 4] == "here"
    assert len(row) < 200


def test_nothing_that_steers_a_terminal_is_printed() -> None:
    evil = "\x1b[2Jä\u202e\ud800"
    found = Diagnostic("E", evil, span(1, 1, 3, evil), evil, (Place(span(1, 1, 2, evil), evil),))

    shown = render([found], {evil: evil})

    assert all(character.isprintable() for character in shown.replace("\n", ""))
    assert "ä" in shown


def test_quoted_text_is_short() -> None:
    assert quoted("x" * 1_000_000) == "`" + "x" * 63 + "…`"


def test_findings_come_in_the_order_of_the_files() -> None:
    findings = Findings()
    findings.add("E3", "no place", None)
    findings.add("E2", "later", span(9, 1, 2, "a.yaml"))
    findings.add("E1", "other file", span(1, 1, 2, "b.yaml"))
    findings.add("E0", "first", span(1, 5, 6, "a.yaml"))

    with pytest.raises(SchemaError) as caught:
        findings.finish()

    assert [found.code for found in caught.value.diagnostics] == ["E0", "E2", "E1", "E3"]


def test_without_findings_a_phase_goes_on() -> None:
    Findings().finish()


def test_a_phase_ends_at_its_limit() -> None:
    findings = Findings(limit=3)
    findings.add("E", "once", None)
    findings.add("E", "again", None)

    with pytest.raises(SchemaError) as caught:
        findings.add("E", "and again", None)

    assert len(caught.value.diagnostics) == 3


def test_the_text_of_the_error_stays_short() -> None:
    error = SchemaError([Diagnostic("E", "again")] * 1_000)

    assert str(error).endswith("and 980 more")


def test_a_hint_names_the_one_that_was_probably_meant_and_nothing_otherwise() -> None:
    assert did_you_mean("Mony", ["Sku", "Money"], "common.") == "did you mean `common.Money`?"
    assert did_you_mean("Zebra", ["Sku", "Money"]) is None


def test_of_very_many_names_only_the_first_are_compared() -> None:
    """A schema of a thousand mistakes among ten thousand names would take hours otherwise."""
    many = (f"name{number}" for number in range(10**9))

    close = closest(f"name_{NAMES_MAX - 1}", many)

    assert close == f"name{NAMES_MAX - 1}"
    assert next(many) == f"name{NAMES_MAX}"


def test_a_phase_ends_at_its_limit_also_if_findings_came_by_another_door() -> None:
    findings = Findings(limit=3)
    findings.diagnostics += [Diagnostic("E0001", "one")] * 5

    with pytest.raises(SchemaError):
        findings.add("E0001", "another", None)
