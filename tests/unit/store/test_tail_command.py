"""`batpak tail`: what it prints, and that a writer does not mind. Likewise the other commands.

Would slip through without it: events in the wrong order, a trace where somebody pressed Ctrl-C.
"""

from __future__ import annotations

import gc
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import typer
from msgspec.structs import replace
from typer.testing import CliRunner

from batpak.cli.decode import decode
from batpak.cli.main import main
from batpak.cli.stores import verify
from batpak.cli.tail import tail
from batpak.config import Durability
from batpak.store import Store
from tests.facts import FAST, SMALL, USER, Counted

app = typer.Typer()
app.command()(tail)
app.command()(verify)
app.command()(decode)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "s", FAST) as opened:
        for n in range(12):
            opened.append(USER, Counted(n=n))
        yield opened


def run(*words: str) -> list[str]:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_the_last_events_are_printed_beside_a_writer(store: Store, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    lines = run("tail", path)

    assert [line.split()[0] for line in lines] == [str(n) for n in range(2, 12)]
    assert lines[-1].endswith(f'Counted  {USER}  {{"n": 11}}')
    assert run("tail", path, "-n", "0") == []
    assert len(run("tail", path, "--number", "99")) == store.count()


def test_json_has_the_line_that_dump_and_export_write(store: Store, tmp_path: Path) -> None:
    only = [json.loads(line) for line in run("tail", str(tmp_path / "s"), "-n", "1", "--json")]

    assert [(one["sequence"], one["payload"]) for one in only] == [(11, {"n": 11})]
    assert only[0]["event_id"] == str(store.get(11).event_id)


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """No `__del__` of another test runs meanwhile: a Ctrl-C that comes in one of those is lost."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage")
def test_a_follower_prints_what_comes_until_ctrl_c(store: Store, tmp_path: Path) -> None:
    def write() -> None:
        time.sleep(0.1)
        store.append(USER, Counted(n=12))
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    writer = threading.Thread(target=write)
    writer.start()
    done = CliRunner().invoke(app, ["tail", str(tmp_path / "s"), "-f", "-n", "1"])
    writer.join()

    assert done.exit_code == 130
    assert [line.split()[0] for line in done.output.splitlines()] == ["11", "12"]


@pytest.mark.usefixtures("no_garbage")
def test_a_follower_goes_on_through_closes_opens_and_compactions(tmp_path: Path) -> None:
    path, config = tmp_path / "s", replace(SMALL, durability=Durability.OS)

    def write() -> None:
        for _ in range(3):
            with Store.open(path, config) as store:
                for _ in range(40):
                    store.append(USER, Counted(n=store.frontier().visible))
                store.compact()
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    Store.open(path, config).close()
    writer = threading.Timer(0.05, write)
    writer.start()
    done = CliRunner().invoke(app, ["tail", str(path), "-f"])
    writer.join()

    assert done.exit_code == 130
    assert [int(line.split()[0]) for line in done.output.splitlines()] == list(range(120))


def test_a_follower_of_a_store_that_is_removed_says_so_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s"
    with Store.open(path, FAST) as store:
        store.append(USER, Counted(n=0))
    monkeypatch.setattr(sys, "argv", ["batpak", "tail", str(path), "-f"])
    removal = threading.Timer(0.2, lambda: path.rename(tmp_path / "elsewhere"))
    removal.start()
    with pytest.raises(SystemExit) as end:
        main()
    removal.join()

    told = capsys.readouterr()
    assert end.value.code == 2
    assert len(told.out.splitlines()) == 1
    assert told.err.splitlines() == [
        f"batpak: {path}: the store that was observed is not there any more",
        "  hint: observe it again once it is there",
    ]


@contextmanager
def in_a_shell(command: str, path: Path) -> Generator[subprocess.Popen[str]]:
    """A follower in a process of its own, once it has printed what there is."""
    program = "from batpak_command.main import main; main()"
    words = [sys.executable, "-c", program, "tail", "-f", str(path)]
    shell = ["bash", "-c", command.format(tail=shlex.join(words))]
    with subprocess.Popen(
        shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code"),
    [("exec {tail}", 130), ("set -o pipefail; {tail} | cat", 130), ("{tail} | head -n 3", 0)],
)
def test_a_follower_in_a_pipe_ends_without_a_trace(
    command: str, code: int, store: Store, tmp_path: Path
) -> None:
    with in_a_shell(command, tmp_path / "s") as process:
        for _ in range(3):
            store.append(USER, Counted(n=store.count()))
            time.sleep(0.1)
        if code:
            os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (code, "")


@pytest.mark.slow
def test_a_follower_prints_an_event_within_200_ms(store: Store, tmp_path: Path) -> None:
    took: list[float] = []
    with in_a_shell("exec {tail} -n 1", tmp_path / "s") as process:
        assert process.stdout is not None
        for _ in range(100):
            time.sleep(0.02)
            began = time.perf_counter()
            store.append(USER, Counted(n=store.count()))
            assert f'"n": {store.count() - 1}' in process.stdout.readline()
            took.append(time.perf_counter() - began)

    assert sorted(took)[98] < 0.2, f"{max(took)} s"


def test_verify_and_decode_work_beside_a_writer(store: Store, tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    assert "12 events in 1 segment, all well" in run("verify", path)[0]
    assert json.loads("".join(run("decode", path, "3", "--plain")))["payload"] == {"n": 3}
    assert store.count() == 12
