"""`batpak demo` tells its whole story, from a folder that has nothing to do with it.

It is the first command of the README; without this it would be the first to break unseen.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests import warm

STORY = (
    r"2 packages, 4 events: \d+ files written",
    r"mypy --strict: .* no error",
    r'"PlacedOrder" has no attribute "ship"',
    r"refused by paid_in_full",
    r"killed \(SIGKILL\) after \d+ receipts",
    r"every receipt is there, byte for byte",
    r"verified: \d+ events",
    r"projected: \d+ orders, 65.00 EUR",
    r"the store lies in .*shop\.store",
)


def test_the_demo_goes_from_a_schema_to_a_killed_process_and_back(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "160", "NO_COLOR": "1"}

    ran = subprocess.run(
        [sys.executable, "-m", "batpak", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    place = 0
    for part in STORY:
        found = re.compile(part).search(ran.stdout, place)
        assert found, f"{part!r} is not told after {ran.stdout[:place][-80:]!r}"
        place = found.end()
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 1, "one folder, where the demo says"
    store = next(tmp_path.glob("*/orders/shop.store"))
    verified = warm.run(["-m", "batpak", "verify", store], tmp_path)
    assert verified.returncode == 0
    assert "all well" in verified.stdout
