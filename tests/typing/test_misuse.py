"""Programs that must not type-check, line by line, under mypy --strict and pyright strict.

Without this, a change of a signature could quietly turn a promise of the generated code into
`Any`: everything would still run, and nothing would be checked. An error that was not expected
fails as loudly as one that is missing.

`cases/` holds the misuse. Its marks have the number of their row in the table of misuse that the
design of the typed domain lists, where they are one of these; what goes beyond it has none.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.typing.checked import MARK, differences, marked
from tests.typing.conftest import CASES, GENERATED, LEGAL, Checked
from tests.typing.growing import AGES

ROWS = 85


def test_exactly_the_marked_lines_are_rejected(checked: Checked) -> None:
    wanted = marked(CASES, checked.checker)

    assert differences(wanted, checked.within(CASES)) == []


def test_every_row_of_the_table_is_a_case() -> None:
    lines = [line for case in CASES for line in case.read_text(encoding="utf-8").splitlines()]
    marks = [mark for line in lines if (mark := MARK.search(line))]
    rows = Counter(int(mark["row"]) for mark in marks if mark["row"])

    assert rows.keys() == set(range(1, ROWS + 1))
    assert max(rows.values()) == 1
    assert len(rows) >= 40
    assert len(marks) >= 150


def test_no_line_of_what_is_legal_is_rejected(checked: Checked) -> None:
    assert differences({}, checked.within(LEGAL)) == []


def test_generated_code_is_clean_as_it_is_emitted(checked: Checked) -> None:
    """Whoever turns strict mode on would get findings in files that are not theirs to change."""
    assert len(GENERATED) > 50
    assert differences({}, checked.within(GENERATED)) == []


def test_a_schema_that_grows_is_rejected_wherever_it_is_not_handled_yet(
    checked: Checked, projects: Path
) -> None:
    files = {age: sorted((projects / age).glob("*.py")) for age in AGES}
    wanted = marked(files["grown"], checked.checker, "+")

    assert differences({}, checked.within(files["fair"])) == []
    assert differences(wanted, checked.within(files["grown"])) == []
    assert differences({}, checked.within(files["handled"])) == []
    assert len(wanted) == 10
