"""Ctrl-C at random moments of append, batch, query, wait and close: always KeyboardInterrupt.

Without it an interrupt could leave a lane that nobody holds and nobody gets, half a frame that a
later open refuses, or an event that its writer is never told of.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("ctrl_c.py")
ROOT = Path(__file__).parents[2]


def run(path: Path, count: int, seed: int) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, str(CHILD), str(path), str(count), str(seed)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'codegen'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(
    ("seed", "times"),
    [
        (1, 300),
        pytest.param(1, 1000, marks=pytest.mark.slow),
        pytest.param(2, 1000, marks=pytest.mark.slow),
    ],
)
def test_hundreds_of_interrupts_leave_a_store_that_works_and_a_log_that_is_whole(
    tmp_path: Path, seed: int, times: int
) -> None:
    answer = run(tmp_path / "store", times, seed)

    assert answer["findings"] == []
    assert answer["lost"] == []
    assert answer["unannounced"] == []
    assert answer["dense"]
    assert answer["ok"]
    interrupted = answer["interrupted"]
    assert isinstance(interrupted, dict)
    assert sum(interrupted.values()) > 0.9 * times
