"""Proves that loading a schema module ends, says what is wrong, and leaves nothing behind.

Without it a module that loops would hang a build, one that exits would end it in silence, and
generated code could depend on what was generated before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batpak_codegen.__main__ import main as spare
from batpak_codegen.config import Config, configure
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.run import run
from tests.unit.codegen.python_world import HEAD, HEAD_LINES, loaded, refused

FINE = HEAD + "class Opened(Event, id=1):\n    width: int\n"

HERE, UNLOADED = "doors.py:{}:1: error[E0111] ", "`doors` cannot be loaded: "
OUT = HERE + "schema modules cannot use the generated package gen"
HOSTILE = {  # what a module does -> what a person reads; {} is the line it does that on
    "1 / 0": HERE + UNLOADED + "ZeroDivisionError: division by zero",
    "raise SystemExit(0)": HERE + UNLOADED + "it exits",
    "raise KeyboardInterrupt": HERE + UNLOADED + "KeyboardInterrupt:",
    "raise ValueError('\\ud800\\x1b[2J')": HERE + UNLOADED + "ValueError: ?",
    "import absent": HERE + UNLOADED + "ModuleNotFoundError: No module named 'absent'",
    "import os; os._exit(0)": "error[E0111] " + UNLOADED + "it ends the process with code 0",
    "import os; os._exit(7)": "error[E0111] " + UNLOADED + "it ends the process with code 7",
    "import os; os.abort()": "error[E0111] " + UNLOADED + "it ends the process with signal 6",
    "x = (": "doors.py:{}:5: error[E0101] not Python: '(' was never closed",
    "import gen.orders": OUT,
    "import gen": OUT,
    "open('gen/orders.py')": OUT,
    "import ast; ast.walk = None": "error[E0111] ",
    "Declared.made.clear()": "doors.py:1:1: error[E0109] this module declares no package",
    "f = lambda: f(); f()": HERE + UNLOADED + "RecursionError: ",
    "import os; [os.write(n, b'\\0?') for n in range(3, 60) if os.path.exists(f'/dev/fd/{n}')]": (
        "error[E0111] `doors` says what nobody understands"
    ),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_module_gets_a_typed_answer(attack: str, tmp_path: Path) -> None:
    (tmp_path / "gen").mkdir()
    (tmp_path / "gen" / "orders.py").touch()
    head = "from batpak_codegen.schema import Declared\n" if attack.startswith("Decl") else ""

    text = refused(tmp_path, FINE + head + attack + "\n")

    line = FINE.count("\n") + head.count("\n") + 1
    assert text.startswith(HOSTILE[attack].format(line)), text
    assert text.replace("\n", "").isprintable()


STILL = UNLOADED + "it is still running"
LOOPS = {
    "while True: pass": HERE + STILL,
    "import time; time.sleep(99)": HERE + STILL,
    "import signal; signal.alarm(0); signal.pause()": "error[E0111] " + STILL,
    "import os; os.fork() or os.execvp('sleep', ['sleep', '99'])": "error[E0111] " + STILL,
}


@pytest.mark.parametrize("attack", LOOPS)
def test_a_module_that_never_ends_is_ended(attack: str, tmp_path: Path) -> None:
    started = time.monotonic()

    text = refused(tmp_path, FINE + attack + "\n", seconds=3)

    assert text.startswith(LOOPS[attack].format(FINE.count("\n") + 1)), text
    assert time.monotonic() - started < 60


def test_a_swallowed_refusal_is_a_refusal(tmp_path: Path) -> None:
    text = refused(tmp_path, FINE + "try:\n    import gen\nexcept ImportError:\n    pass\n")

    assert text.startswith(f"doors.py:{HEAD_LINES + 4}:5: error[E0111] schema modules cannot use")


NOISE = (
    "import os, sys\nprint('x' * 10**7)\nsys.stderr.write('y' * 10**7)\nos.write(1, b'z' * 10**6)\n"
)
THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=[99]).start()\n"
AT_EXIT = "import atexit, time\natexit.register(time.sleep, 99)\n"
ASKS = "try:\n    input()\nexcept EOFError:\n    pass\n"


@pytest.mark.parametrize("noise", [NOISE, THREAD, AT_EXIT, ASKS])
def test_what_a_module_does_besides_does_not_matter(
    noise: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()

    text = refused(tmp_path, FINE + noise)

    assert text == ""
    assert capfd.readouterr() == ("", "")
    assert time.monotonic() - started < 8


def test_loading_changes_nothing_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "doors.py").write_text(FINE)

    loaded(tmp_path, "doors")

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["doors.py"]
    assert "doors" not in sys.modules


def test_a_module_that_nobody_named_is_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "doors.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + FINE)
    (tmp_path / "a.batpak.yaml").write_text("batpak: 1\npackage: house.a\n")

    run(Config(tmp_path, (".",), "gen", "gen"), check=True)

    assert not (tmp_path / "ran").exists()


def test_every_file_that_was_read_is_known(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("3")
    (tmp_path / "help.py").write_text("MOST = 3\n")
    (tmp_path / "unused.py").write_text("")
    text = FINE + "import help\nopen('words.txt').read()\n"
    (tmp_path / "doors.py").write_text(text)
    command = [sys.executable, "-c", "import help"]  # so that it comes from the cache
    subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, check=True)

    assert loaded(tmp_path, "doors").read == ("doors.py", "help.py", "words.txt")


def test_the_environment_does_not_change_what_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = FINE + "class A(Struct):\n    n: Annotated[str, Field(description=str(hash('x')))]\n"
    (tmp_path / "doors.py").write_text(text)

    first = loaded(tmp_path, "doors")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("PYTHONSTARTUP", "nowhere.py")

    assert loaded(tmp_path, "doors").roots == first.roots
    assert os.environ["PYTHONHASHSEED"] == "7"


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"E0111: module `shop\.schema` is not there"):
        loaded(tmp_path, "shop.schema")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SchemaError, match="E0111: module `folder` is not a Python file"):
        loaded(tmp_path, "folder")


def test_all_modules_are_tried_before_anything_is_said(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("1 / 0\n")
    (tmp_path / "two.py").write_text("x = (\n")

    with pytest.raises(SchemaError) as caught:
        loaded(tmp_path, "one", "two")

    assert [found.code for found in caught.value.diagnostics] == ["E0111", "E0101"]


def test_the_configuration_names_modules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "pyproject.toml"
    config.write_text('[tool.batpak]\nschemas = []\nout = "gen"\npython_schemas = ["doors"]\n')
    (tmp_path / "doors.py").write_text(FINE)

    assert configure(config).python_schemas == ("doors",)
    assert spare(["--config", str(config)]) == 0
    assert spare(["--check", "--config", str(config)]) == 0
    assert capsys.readouterr().err == ""
    assert "(doors.py)" in (tmp_path / "gen/house/doors/events.py").read_text()

    (tmp_path / "doors.py").write_text("1 / 0\n")
    assert spare(["--check", "--config", str(config)]) == 1
    config.write_text('[tool.batpak]\nout = "gen"\npython_schemas = ["../doors"]\n')
    assert spare(["--check", "--config", str(config)]) == 2
    assert "schema module `../doors` cannot be imported" in capsys.readouterr().err


def test_a_module_can_be_allowed_for_one_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "pyproject.toml"
    config.write_text('[tool.batpak]\nschemas = []\nout = "gen"\n')
    (tmp_path / "doors.py").write_text(FINE)

    assert spare(["--config", str(config)]) == 2
    assert "E0004" in capsys.readouterr().err
    assert spare(["--config", str(config), "--allow-import", "doors"]) == 0
    assert spare(["--config", str(config), "--allow-import", "doors", "--check"]) == 0
    assert spare(["--config", str(config), "--allow-import", "no-module"]) == 2
    assert "--allow-import: schema module `no-module`" in capsys.readouterr().err
