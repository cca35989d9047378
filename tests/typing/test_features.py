"""What the golden features generate is clean under both checkers, strict.

What a feature expects is a part of what it generates, so nobody else checks the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.case import ask

ROOT = Path(__file__).parents[2]
FEATURES = sorted((ROOT / "tests/golden/features").iterdir())
MYPY = ["--strict", "--enable-error-code", "deprecated", "--no-error-summary"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_both_find_nothing_in_what_golden_features_generate(tmp_path: Path) -> None:
    for case in FEATURES:
        ask(case, tmp_path / "whole" / case.name)
        for out in (tmp_path / "whole" / case.name).rglob("gen"):
            shutil.copytree(out, tmp_path / "gens" / case.name)
    home = tmp_path / "gens"
    files = len(list(home.rglob("*.py")))
    known = [str(ROOT), str(ROOT / "codegen")]
    strict = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": known}
    (home / "pyrightconfig.json").write_text(json.dumps(strict))
    bases = ["--explicit-package-bases", "--namespace-packages", "--cache-dir", str(tmp_path)]
    environment = os.environ | {"MYPYPATH": os.pathsep.join([str(home), *known])}

    one = [sys.executable, "-m", "mypy", *MYPY, *bases, "."]
    mypy = subprocess.run(
        one, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    other = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    pyright = subprocess.run(other, cwd=home, capture_output=True, text=True, check=False)

    assert (mypy.stdout, mypy.returncode) == ("", 0), mypy.stderr
    found = json.loads(pyright.stdout)
    assert found["summary"]["filesAnalyzed"] >= files > 300
    assert [item["message"] for item in found["generalDiagnostics"]] == []
