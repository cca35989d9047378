"""Proves that every message and every generated file is what somebody once read and found right.

Without these cases a code could change its meaning, a caret could slip, a hint could go, or
generated code could grow a line for one feature, and no assertion about data would notice.
`cases` are named after the code they produce;
`case.py` says what is in a folder. `pytest tests/golden --update` writes the answer of today.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.golden.case import ask, expect, expected

HERE = Path(__file__).parent
CASES = sorted((HERE / "cases").iterdir())
CODE = re.compile(r"\[([CEW]\d{3,4})\]")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_gets_exactly_this_answer(
    case: Path, tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)  # it would choose another format

    answer = ask(case, tmp_path)

    if pytestconfig.getoption("--update", default=False):
        expect(case, answer)
    err, out = case / "expected.err", case / "expected.out"
    assert answer.err == (err.read_text(encoding="utf-8") if err.exists() else "")
    assert answer.out == (out.read_text(encoding="utf-8") if out.exists() else answer.out)
    for path, text in expected(case).items():
        assert answer.files.get(path) == text, path
    assert answer.status in ((1, 2) if "error[" in answer.err else (0,))
    assert err.exists() or out.exists() or expected(case), "a case expects something"


def _codes(case: Path) -> set[str]:
    texts = [case / "expected.err", case / "expected.out"]
    return {code for file in texts if file.exists() for code in CODE.findall(file.read_text())}


def test_every_case_is_named_after_a_code_that_it_produces() -> None:
    for case in (HERE / "cases").iterdir():
        assert case.name.partition("_")[0].upper() in _codes(case), case.name
