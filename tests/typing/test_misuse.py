"""Programs that must not type-check, line by line, under mypy --strict and pyright strict.

Without this, a change of a signature could quietly turn a promise of the generated code into
`Any`: everything would still run, and nothing would be checked. An error that was not expected
fails as loudly as one that is missing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests/typing/cases").glob("*.py"))
LEGAL = [
    *sorted((ROOT / "tests/golden/cases_out/gates/expected").rglob("*.py")),
    ROOT / "tests/unit/codegen/gates_world.py",
]
"""What the cases lean on: no line of it is rejected."""
MARK = re.compile(r"# E: ([\w,-]+) \| ([\w,-]+)$")
ANSWER = re.compile(r"^(?P<path>.*\.py):(?P<line>\d+): error: .*\[(?P<code>[\w-]+)\]$")

Found = dict[tuple[str, int], set[str]]
"""(file name, line) -> codes."""


def expected(checker: int) -> Found:
    found: Found = {}
    for case in CASES:
        for number, line in enumerate(case.read_text(encoding="utf-8").splitlines(), 1):
            mark = MARK.search(line)
            if mark and mark[checker] != "-":
                found[case.name, number] = set(mark[checker].split(","))
    return found


def mypy_errors() -> Found:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"]
    ran = subprocess.run(
        [*command, *(str(file.relative_to(ROOT)) for file in (*CASES, *LEGAL))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ran.stderr, ran.stderr
    found: Found = defaultdict(set)
    for line in ran.stdout.splitlines():
        if answer := ANSWER.match(line):
            found[Path(answer["path"]).name, int(answer["line"])].add(answer["code"])
    return found


def pyright_errors() -> Found:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    ran = subprocess.run(
        [*command, *(str(file.relative_to(ROOT)) for file in (*CASES, *LEGAL))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found: Found = defaultdict(set)
    for item in json.loads(ran.stdout)["generalDiagnostics"]:
        if item["severity"] == "error":
            line = item["range"]["start"]["line"] + 1
            found[Path(item["file"]).name, line].add(item.get("rule", ""))
    return found


def differences(wanted: Found, found: Found) -> list[str]:
    return [
        f"{name}:{line}: want {sorted(wanted.get((name, line), ()))},"
        f" found {sorted(found.get((name, line), ()))}"
        for name, line in sorted(wanted.keys() | found.keys())
        if not wanted.get((name, line), set()) & found.get((name, line), set())
    ]


def test_mypy_rejects_exactly_the_marked_lines() -> None:
    wanted = expected(1)

    found = mypy_errors()

    assert len(wanted) >= 10
    assert differences(wanted, found) == []


@pytest.mark.timeout(300)
def test_pyright_rejects_exactly_the_marked_lines() -> None:
    wanted = expected(2)

    found = pyright_errors()

    assert len(wanted) >= 10
    assert differences(wanted, found) == []
