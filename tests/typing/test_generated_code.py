"""Generated code is clean under both checkers, as it is emitted.

Without this, somebody who generates code and turns strict mode on would get findings in files that
are not theirs to change. mypy sees these files whenever it runs over the tests; pyright does not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = sorted((ROOT / "tests/golden/cases_out").glob("*/expected"))
MYPY = ["--strict", "--enable-error-code", "deprecated", "--no-error-summary"]


def test_mypy_strict_finds_nothing_in_generated_code() -> None:
    for folder in GENERATED:  # one by one: each is a project of its own
        command = [sys.executable, "-m", "mypy", *MYPY, str(folder.relative_to(ROOT))]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

        assert ran.stdout == ""
        assert ran.returncode == 0, ran.stderr


@pytest.mark.timeout(300)
def test_pyright_strict_finds_nothing_in_generated_code() -> None:
    files = [str(path.relative_to(ROOT)) for folder in GENERATED for path in folder.rglob("*.py")]
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]

    ran = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False)

    found = json.loads(ran.stdout)
    assert found["summary"]["filesAnalyzed"] >= len(files)
    assert [item["message"] for item in found["generalDiagnostics"]] == []
