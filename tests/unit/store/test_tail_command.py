"""`batpak tail`: what it prints, and that a writer does not mind. Likewise the other commands.

Would slip through without it: events in the wrong order, a trace where somebody pressed Ctrl-C.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from batpak.cli.decode import decode
from batpak.cli.stores import verify
from batpak.cli.tail import tail
from batpak.store import Store
from tests.facts import FAST, USER, Counted

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


def test_verify_and_decode_work_beside_a_writer(store: Store, tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    assert "12 events in 1 segment, all well" in run("verify", path)[0]
    assert json.loads("".join(run("decode", path, "3", "--plain")))["payload"] == {"n": 3}
    assert store.count() == 12
