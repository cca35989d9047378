"""Programs that start with the libraries loaded, for tests that start hundreds of them.

    ran = warm.run(["-m", "batpak", "gen"], cwd=folder)

A process of its own, which has imported the command line, the compiler and pytest but no schema, no
payload class and no test, is forked for each program. So a program sees what one that was started
the usual way would see, without the second that importing takes. What has to be the real thing
(the script `batpak`, how long it takes, signals) is started as a user starts it, in
test_command_line and in `.ci/run`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
PYTEST = [  # hypothesis is imported before pytest is asked to rewrite it
    *("pytest", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
]
LOADED = [
    "batpak.cli.main",
    "batpak.store",
    "batpak.testing.contract",
    "batpak_codegen.commands",
    "hypothesis.strategies",
    "jinja2",
    "libcst",
    "pydantic",
    "pytest",
    "rich.progress",
    "yaml",
]


def run(
    words: Sequence[str | Path],
    cwd: Path,
    env: Mapping[str, str] = os.environ,
    *,
    one_stream: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run `python WORDS`, WORDS being `-m MODULE …`, `-c CODE …` or `SCRIPT …`.

    Args:
        words: After the interpreter.
        cwd: Where.
        env: With which environment; PYTHONPATH of it comes before the library's.
        one_stream: Whether errors are printed among what is printed.
    """
    arguments = [str(word) for word in words]
    with TemporaryDirectory(prefix="batpak-warm-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        asked = [arguments, str(cwd), dict(env), str(out), None if one_stream else str(err)]
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        print(json.dumps(asked), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        stderr = "" if one_stream else err.read_text("utf-8")
        return subprocess.CompletedProcess(arguments, code, out.read_text("utf-8"), stderr)


@cache
def _server() -> subprocess.Popen[str]:
    """The process that is forked. It ends when nobody can write to it any more."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "codegen")])
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


def _serve() -> list[str]:
    """Fork for each line that comes. Returns in a child: what it is to run."""
    for name in LOADED:
        importlib.import_module(name)
    importlib.import_module("batpak.cli.main").application()
    gc.freeze()  # a child that collects, or ends, leaves the pages of what is loaded alone
    for line in sys.stdin:
        words, cwd, env, out, err = json.loads(line)
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        _become(cwd, env, out, err)
        return list(words)
    os._exit(0)


def _become(cwd: str, env: dict[str, str], out: str, err: str | None) -> None:
    """Take the place, the environment and the streams of a program of its own."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, path in ((0, os.devnull), (1, out), (2, err or out)):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file = os.open(path, flags, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.path[:] = [
        *filter(None, env.get("PYTHONPATH", "").split(os.pathsep)),
        *sys.path[1:],  # all but the folder that this file was started in
    ]


def _run(words: list[str]) -> None:
    first, *others = words
    if first == "-m":
        sys.path.insert(0, str(Path.cwd()))
        sys.argv = others
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *others[1:]]
        exec(compile(others[0], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102  as asked
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(first).resolve().parent))
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _run(_serve())
