"""Proves what other programs read about a finding: positions in their units, fixes, annotations.

Without it an editor would underline the wrong letters behind an emoji, a code scanner would drop
the whole report, and a message with a line end could write a second annotation.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from batpak_codegen.console import choose_color, choose_format
from batpak_codegen.diagnostic import Diagnostic, Findings, Place, SchemaError, Span
from batpak_codegen.formats import FORMATS, Format, spell

TEXT = "a: 1\nbé😀: strng\n"
WORD = Diagnostic(
    "E0302",
    "unknown type `strng`",
    Span("s/a b.batpak.yaml", 2, 6, 2, 11),
    "did you mean `string`?",
    (Place(Span("s/a b.batpak.yaml", 1, 1, 1, 2), "the first one"),),
)
NOWHERE = Diagnostic("E0004", "no schemas", None, "their names end in .batpak.yaml")
WARNING = Diagnostic("W0402", "nothing uses this gate", Span("s/a b.batpak.yaml", 1, 1, 1, 2))
TEXTS = {"s/a b.batpak.yaml": TEXT}


def told(form: Format, *found: Diagnostic, reason: str | None = "schema") -> str:
    return spell(found, TEXTS, form, reason=reason)


def test_json_has_every_place_in_every_unit() -> None:
    (item,) = json.loads(told("json", WORD))["diagnostics"]

    assert item["start"] == {"line": 2, "column": 6, "utf16_column": 7, "offset": 14}
    assert item["end"] == {"line": 2, "column": 11, "utf16_column": 12, "offset": 19}
    assert TEXT.encode()[item["start"]["offset"] : item["end"]["offset"]] == b"strng"
    assert item["also"][0]["note"] == "the first one"
    assert (item["path"], item["severity"]) == ("s/a b.batpak.yaml", "error")


def test_json_is_a_document_also_when_nothing_was_found() -> None:
    assert json.loads(told("json", reason=None)) == {
        "version": 1,
        "reason": None,
        "diagnostics": [],
    }
    (item,) = json.loads(told("json", NOWHERE))["diagnostics"]
    assert (item["path"], item["start"], item["fix"]) == (None, None, None)


def test_a_fix_is_offered_when_the_help_leaves_no_choice() -> None:
    (fixed,) = json.loads(told("json", WORD))["diagnostics"]
    elsewhere = Diagnostic("E0302", WORD.message, Span("s/a b.batpak.yaml", 2, 1, 2, 11), WORD.help)
    (open_,) = json.loads(told("json", elsewhere))["diagnostics"]

    start, end = fixed["fix"]["start"]["offset"], fixed["fix"]["end"]["offset"]
    changed = TEXT.encode()[:start] + fixed["fix"]["text"].encode() + TEXT.encode()[end:]
    assert changed.decode() == TEXT.replace("strng", "string")
    assert open_["fix"] is None  # the span is more than the word


def test_sarif_has_what_its_schema_demands() -> None:
    document = json.loads(told("sarif", WORD, NOWHERE, WARNING))

    (run,) = document["runs"]
    assert (document["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[result["ruleIndex"]] for result in run["results"]] == ["E0302", "E0004", "W0402"]
    assert [result["level"] for result in run["results"]] == ["error", "error", "warning"]
    word, nowhere, _ = run["results"]
    where = word["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"] == "s/a%20b.batpak.yaml"
    assert where["region"] == {"startLine": 2, "startColumn": 6, "endLine": 2, "endColumn": 11}
    assert word["relatedLocations"][0]["message"]["text"] == "the first one"
    assert word["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"] == {
        "text": "string"
    }
    assert "locations" not in nowhere


def test_an_annotation_is_one_line_whatever_the_text_says() -> None:
    nasty = Diagnostic("E0102", "50% of\r\n::error::x", Span("a,b:c\n.yaml", 1, 2, 3, 4), "no")

    (line,) = told("github", nasty).split("\n")

    assert line == (
        "::error title=E0102,file=a%2Cb%3Ac%0A.yaml,line=1,col=2,endLine=3,endColumn=4"
        "::50%25 of\ufffd%0A::error::x%0Ahelp: no"
    )
    assert told("github", WARNING).startswith("::warning title=W0402,")


def test_concise_is_one_line_each() -> None:
    assert told("concise", WORD, NOWHERE).split("\n") == [
        "s/a b.batpak.yaml:2:6: error[E0302] unknown type `strng`",
        "error[E0004] no schemas",
    ]


def test_color_changes_nothing_but_colors() -> None:
    plain = spell([WORD, WARNING, NOWHERE], TEXTS)
    colored = spell([WORD, WARNING, NOWHERE], TEXTS, color=True)

    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    assert colored.count("\x1b[1;31m") == 4  # two errors, and two carets
    assert "\x1b[1;33mwarning[W0402]" in colored


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_sends_control_characters(form: Format) -> None:
    nasty = Diagnostic("E0102", "a\x1b[2Jb", Span("s/a b.batpak.yaml", 1, 1, 1, 2), "c\x07")

    shown = told(form, nasty)

    assert not any(c in shown for c in "\x1b\x07")


def test_in_a_workflow_of_github_its_format_is_chosen_unless_another_is_named() -> None:
    assert choose_format(None, {"GITHUB_ACTIONS": "true"}) == "github"
    assert choose_format("json", {"GITHUB_ACTIONS": "true"}) == "json"
    assert choose_format(None, {}) == "text"


def test_color_needs_a_terminal_that_did_not_refuse_it(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        assert not choose_color("auto", file, {})
        assert choose_color("always", file, {"NO_COLOR": "1"})
        assert not choose_color("never", file, {})


def test_warnings_alone_do_not_end_a_phase() -> None:
    findings = Findings()
    findings.put(WARNING)
    findings.finish()
    findings.put(NOWHERE)

    with pytest.raises(SchemaError) as caught:
        findings.finish()

    assert {found.code for found in caught.value.diagnostics} == {"W0402", "E0004"}
