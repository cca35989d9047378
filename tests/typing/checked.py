"""One run of mypy and one of pyright, over everything that tests of types look at.

The files of the repository are checked where they are, generated projects in a folder of their own.
Both checkers take long to begin and little for one more file, so nothing here starts them twice.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from mypy import api

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"# (?P<kind>E|\+)(?P<row>\d*): (?P<mypy>[\w,-]+) \| (?P<pyright>[\w,-]+)$")
ANSWER = re.compile(r"^(?P<path>.*\.py):(?P<line>\d+): error: .*\[(?P<code>[\w-]+)\]$")

Found: TypeAlias = Mapping[tuple[Path, int], set[str]]
"""(file, line) -> codes."""


def marked(files: Sequence[Path], checker: str, kind: str = "E") -> Found:
    """What a checker has to reject, by the marks in some files."""
    found: dict[tuple[Path, int], set[str]] = {}
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            mark = MARK.search(line)
            if mark and mark["kind"] == kind and mark[checker] != "-":
                found[file, number] = set(mark[checker].split(","))
    return found


def differences(wanted: Found, found: Found) -> list[str]:
    """Every line that is rejected and should not be, or is not, or is for another reason."""
    return [
        f"{file.name}:{line}: want {sorted(wanted.get((file, line), ()))},"
        f" found {sorted(found.get((file, line), ()))}"
        for file, line in sorted(wanted.keys() | found.keys())
        if not wanted.get((file, line), set()) & found.get((file, line), set())
    ]


def run_mypy(files: Sequence[Path], projects: Path) -> Found:
    """What mypy rejects, by the configuration of this repository.

    It keeps what it learns of the standard library and of batpak in the temporary directory, so
    the second run takes a fraction of a second.
    """
    cache = Path(tempfile.gettempdir()) / f"batpak-mypy-{version('mypy')}-{os.getuid()}"
    options = ["--config-file", "pyproject.toml", "--cache-dir", str(cache), "--no-error-summary"]
    with contextlib.chdir(ROOT), _environment("MYPYPATH", f"{ROOT}{os.pathsep}{projects}"):
        out, error, _ = api.run([*options, "--hide-error-context", *map(str, files)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # mypy leaves its cache open, which Python says from 3.13 on
    assert not error, error
    found: dict[tuple[Path, int], set[str]] = defaultdict(set)
    for line in out.splitlines():
        if answer := ANSWER.match(line):
            found[ROOT / answer["path"], int(answer["line"])].add(answer["code"])
    return found


def start_pyright(files: Sequence[Path], projects: Path) -> subprocess.Popen[str]:
    """Let pyright begin, by the configuration of this repository, which ends in `ended`."""
    settings = {
        "include": [os.path.relpath(file, projects) for file in files],
        "extraPaths": [
            *map(str, (ROOT, ROOT / "codegen", *sorted(ROOT.glob("examples/*")))),
            str(projects),
        ],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
    }
    config = projects / "pyrightconfig.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    return subprocess.Popen(
        [*command, "--project", str(config)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )


def ended(pyright: subprocess.Popen[str], files: int) -> Found:
    """What pyright rejects."""
    out, _ = pyright.communicate()
    answer = json.loads(out)
    assert answer["summary"]["filesAnalyzed"] >= files
    found: dict[tuple[Path, int], set[str]] = defaultdict(set)
    for item in answer["generalDiagnostics"]:
        if item["severity"] == "error":
            line = item["range"]["start"]["line"] + 1
            found[Path(item["file"]), line].add(item.get("rule", ""))
    return found


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    yield
    if before is None:
        del os.environ[name]
    else:
        os.environ[name] = before
