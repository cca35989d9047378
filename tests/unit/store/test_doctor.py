"""`batpak doctor` and `batpak repair`: each thing that can be the matter is told, with its way out.

Would slip through without it: damage that ends with exit code 0, advice that does not help, a look
that changes what it looks at.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import pytest
import typer
from typer.testing import CliRunner

from batpak.cli import care, stores
from batpak.cli.care import compact, doctor, repair
from batpak.cli.doctor import Remark, Weight, examine
from batpak.cli.main import main
from batpak.errors import StorageFailed
from batpak.journal import header
from batpak.report import Progress
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from tests.facts import PLAIN, SMALL, USER, Counted, Said

app = typer.Typer()
app.command()(doctor)
app.command()(repair)
app.command()(compact)
app.command()(stores.verify)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "s", SMALL) as opened:
        for n in range(60):
            opened.append(USER, Counted(n=n))
    return tmp_path / "s"


def flip(store: Path, name: str = "000002.fbat") -> None:
    data = bytearray((store / name).read_bytes())
    data[len(data) // 2] ^= 1
    (store / name).write_bytes(data)


def said(remarks: list[Remark]) -> str:
    return "\n".join(f"{one.weight.name} {one.what}: {one.advice}" for one in remarks)


def test_a_store_that_is_well_is_fine_and_exits_with_0(store: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in [store, *store.iterdir()]}

    done = CliRunner().invoke(app, ["doctor", str(store)])

    assert done.exit_code == 0
    assert "60 events in 3 segments, and all of it verifies" in done.output
    assert "MiB are free" in done.output
    assert {path: path.stat().st_mtime_ns for path in [store, *store.iterdir()]} == before


def tear(store: Path) -> None:
    """Half a frame at the end of a store that was not closed."""
    sim = SimPlatform()
    opened = Store.open("store", PLAIN, platform=sim)
    opened.append(USER, Said(text="x" * 500))
    at = max(n for n, one in enumerate(sim.operations) if one.kind == "write")
    torn = sim.crash(CrashModel.ORDERED, at, len(sim.operations[at].data) // 2)
    opened.close()
    shutil.rmtree(store)
    store.mkdir()
    for path, data in torn.files().items():
        (store / path.removeprefix("store/")).write_bytes(data)


def add_aliens(store: Path) -> None:
    for n in range(7):
        (store / f"note{n}.txt").touch()


def add_exhibit(store: Path) -> None:
    (store / "quarantine").mkdir()
    (store / "quarantine" / "000001-9-1.bin").write_bytes(b"torn")


def flip_end(store: Path, *numbers: int) -> None:
    for number in numbers:
        file = store / f"{number:06}.fbat"
        data = bytearray(file.read_bytes())
        data[-100] ^= 1
        file.write_bytes(data)


HARMS: Final[list[tuple[Callable[[Path], object], str]]] = [
    (add_aliens, "NOTE not of the store: note0.txt, note1.txt, "),
    (add_exhibit, "NOTE 4 bytes in quarantine/"),
    (lambda store: (store / "HEAD.tmp").touch(), "replacement: HEAD.tmp"),
    (lambda store: (store / ".batpak.lock").unlink(), "NOTE there is no lock file"),
    (lambda store: flip_end(store, 1), "1 footer is not what the frames say: the next writable"),
    (lambda store: flip_end(store, 1, 2), "2 footers are not what the frames say: the next wri"),
    (lambda store: flip(store, "HEAD"), "DAMAGE "),
    (flip, "DAMAGE "),
    (lambda store: os.truncate(store / "000001.fbat", 4), "nothing that a repair could keep"),
    (lambda store: (store / "000003.fbat").unlink(), "which gives up events 41 to 59"),
    (tear, "being written when the writer stopped"),
    (tear, "its last writer was stopped before it closed it"),
]


@pytest.mark.parametrize(("harm", "told"), HARMS)
def test_what_is_the_matter_is_told(store: Path, harm: Callable[[Path], object], told: str) -> None:
    harm(store)
    files = sorted(store.rglob("*"))

    assert told in said(examine(store))
    assert sorted(store.rglob("*")) == files


def test_a_store_that_is_written_is_examined_as_far_as_it_goes(store: Path) -> None:
    with Store.open(store, SMALL) as writer:
        writer.append(USER, Counted(n=60))
        add_aliens(store)
        (store / "HEAD.tmp").touch()  # as while its writer exchanges it
        remarks = examine(store)
        done = CliRunner().invoke(app, ["doctor", str(store)])

    assert done.exit_code == 0
    assert "61 events in 3 segments, and all of it verifies" in done.output
    assert f"NOTE process {os.getpid()} has it open for writing" in said(remarks)
    assert "NOTE not of the store: note0.txt" in said(remarks)
    assert {one.weight for one in remarks} == {Weight.FINE, Weight.NOTE}
    assert "HEAD.tmp" not in said(remarks)
    assert "quarantine" not in said(remarks)


def test_damage_of_a_store_that_is_written_is_told_beside_its_writer(store: Path) -> None:
    with Store.open(store, SMALL):
        flip(store)
        done = CliRunner().invoke(app, ["doctor", str(store)])
        flip(store)  # for the writer

    assert done.exit_code == 3
    assert "000002.fbat:" in done.output
    assert "close the store there" in done.output


def test_repair_does_not_send_to_itself_where_it_can_keep_nothing(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(store / "000001.fbat", 0)
    monkeypatch.setattr("sys.argv", ["batpak", "repair", str(store)])

    with pytest.raises(SystemExit) as ended:
        main()

    _, _, hint = capsys.readouterr().err.partition("hint: ")
    assert ended.value.code == 3
    assert hint.startswith("restore a snapshot; there is nothing that a repair could keep")


def test_repair_beside_a_writer_says_who_it_is_and_what_can_be_asked(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["batpak", "repair", str(store)])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    with Store.open(store, SMALL), pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    _, _, told = capsys.readouterr().err.rpartition("\x1b")  # behind the bar
    assert f"in use by process {os.getpid()}" in " ".join(told.split())
    assert "`batpak doctor` examines it" in " ".join(told.split())
    assert max(len(line) for line in told.splitlines() if str(store) not in line) <= 60


def test_a_dry_run_is_the_default_and_does_not_go_with_consent(store: Path) -> None:
    flip(store)
    files = {path: path.read_bytes() for path in store.iterdir()}

    plain = CliRunner().invoke(app, ["repair", str(store)])
    dry = CliRunner().invoke(app, ["repair", str(store), "--dry-run"])
    both = CliRunner().invoke(app, ["repair", str(store), "--dry-run", "--accept-loss"])

    assert (dry.exit_code, dry.output) == (plain.exit_code, plain.output) == (3, plain.output)
    assert both.exit_code == 2
    assert "give one" in both.output
    assert {path: path.read_bytes() for path in store.iterdir()} == files


@pytest.mark.parametrize("words", [("repair", "--accept-loss"), ("compact",)])
def test_a_directory_without_a_store_is_left_as_it_is(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(app, [words[0], str(tmp_path), *words[1:]])

    assert isinstance(done.exception, StorageFailed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["doctor", "repair", "verify"])
@pytest.mark.parametrize("is_open", [False, True])
def test_what_takes_long_shows_how_far_it_is(
    store: Path, monkeypatch: pytest.MonkeyPatch, command: str, is_open: bool
) -> None:
    said = list[tuple[int, int]]()

    @contextmanager
    def bar(what: str) -> Generator[Progress]:
        assert str(store) in what
        yield lambda done, total: said.append((done, total))

    monkeypatch.setattr(care, "bar", bar)
    monkeypatch.setattr(stores, "bar", bar)
    with Store.open(store, SMALL) if is_open else nullcontext():
        CliRunner().invoke(app, [command, str(store)])

    if command == "repair" and is_open:
        assert not said
    else:
        assert said[0][0] == 0
        assert said[-1][0] == said[-1][1] > 0


def test_a_store_of_a_newer_release_is_no_damage(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header, "VERSION", 1)

    (remark,) = examine(store)

    assert remark.weight is Weight.TROUBLE
    assert "version 2" in remark.what


def test_a_store_whose_creation_was_interrupted_cannot_be_read_and_is_completed_by_an_open(
    tmp_path: Path,
) -> None:
    Store.open(tmp_path / "s", PLAIN).close()
    (tmp_path / "s/HEAD").unlink()
    with pytest.raises(StorageFailed):
        Store.open_read_only(tmp_path / "s")

    done = CliRunner().invoke(app, ["doctor", str(tmp_path / "s")])

    assert done.exit_code == 1
    assert "its creation was interrupted" in done.output
    assert "`Store.open` completes it" in done.output
    Store.open(tmp_path / "s", PLAIN).close()
    assert CliRunner().invoke(app, ["doctor", str(tmp_path / "s")]).exit_code == 0


def test_an_empty_directory_and_none_are_told_apart(tmp_path: Path) -> None:
    assert said(examine(tmp_path)).startswith("TROUBLE there is no store here")
    with pytest.raises(StorageFailed):
        examine(tmp_path / "none")


def test_little_room_is_trouble(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(care, "FREE_BYTES_MIN", 1 << 70)

    assert CliRunner().invoke(app, ["doctor", str(store)]).exit_code == 1


def test_damage_exits_with_3_and_json_has_all_of_it(store: Path) -> None:
    flip(store)

    done = CliRunner().invoke(app, ["doctor", str(store), "--json"])

    assert done.exit_code == 3
    remarks = json.loads(done.output)["remarks"]
    assert {"damage", "fine"} == {one["weight"] for one in remarks}


# ----------------------------------------------------------------------------------------- repair


def test_repair_says_what_would_go_and_exits_with_3(store: Path) -> None:
    flip(store)
    files = {path: path.read_bytes() for path in store.iterdir()}

    done = CliRunner().invoke(app, ["repair", str(store)])

    assert done.exit_code == 3
    assert "what would be given up: events 34 to 59" in done.output
    assert "nothing was changed" in done.output
    assert {path: path.read_bytes() for path in store.iterdir()} == files


def test_with_consent_it_is_done_and_a_second_time_there_is_nothing_to_do(store: Path) -> None:
    flip(store)

    done = CliRunner().invoke(app, ["repair", str(store), "--accept-loss", "--json"])
    again = CliRunner().invoke(app, ["repair", str(store), "--accept-loss"])

    assert done.exit_code == again.exit_code == 0
    report = json.loads(done.output)
    assert report["repaired"] is True
    assert (report["events"], report["last_lost"]) == (34, 59)
    assert all((store / name).is_file() for name in report["quarantine"])
    assert "all 35 events verify; there is nothing to repair" in again.output
    assert "before it closed it, or was a repair: the next" in said(examine(store))


def test_one_event_that_would_go_and_none_that_stays_are_told_as_that(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as opened:
        opened.append(USER, Counted(n=1))
    flip_end(tmp_path / "s", 1)
    Store.open(tmp_path / "empty", PLAIN).close()

    done = CliRunner().invoke(app, ["repair", str(tmp_path / "s")])
    fine = CliRunner().invoke(app, ["repair", str(tmp_path / "empty")])

    assert "what stays: 0 events" in done.output
    assert "would be given up: event 0;" in done.output
    told = said(examine(tmp_path / "s"))
    assert "what verifies before that: 0 events" in told
    assert "which gives up event 0" in told
    assert "no event is in it; there is nothing to repair" in fine.output


def test_what_was_moved_is_named_for_people_too(store: Path) -> None:
    flip(store)

    done = CliRunner().invoke(app, ["repair", str(store), "--accept-loss"])

    assert "what is kept: 34 events" in done.output
    assert f"{store}/quarantine/000003-0-1.bin" in done.output


def test_a_checkpoint_is_reset_and_not_repaired(store: Path) -> None:
    with Store.open(store, SMALL) as opened:
        for name in ("a", "b"):
            opened.cursor_guaranteed(checkpoint_id=name).close()
            opened.reset_cursor(name, position=50)
    files = {file: file.read_bytes() for file in store.glob("*.fbat")}
    flip(store, "cursors/a.ckpt")

    told, code = said(examine(store)), CliRunner().invoke(app, ["verify", str(store)]).exit_code
    done = CliRunner().invoke(app, ["repair", str(store), "--accept-loss"])
    with Store.open(store, SMALL):
        beside = said(examine(store))

    assert code == 3
    for one in (told, beside):
        assert "1 checkpoint is wrong: its consumer is refused: `Store.reset_cursor`" in one
        assert "repair" not in one
    assert done.exit_code == 0
    assert "all 60 events verify; there is nothing to repair" in done.output
    assert {file: file.read_bytes() for file in store.glob("*.fbat")} == files
    with Store.open(store, SMALL) as opened:
        opened.reset_cursor("a", position=50)
    assert examine(store)[0].weight is Weight.FINE


def test_what_is_ahead_of_a_log_that_was_cut_is_told_with_its_way_out(store: Path) -> None:
    with Store.open(store, SMALL) as opened:
        for name in ("a", "b"):
            opened.reset_cursor(name, position=60)
    flip(store)
    before = said(examine(store))

    CliRunner().invoke(app, ["repair", str(store), "--accept-loss"])

    assert "which gives up events 34 to 59" in before
    told = said(examine(store))
    assert "2 checkpoints are wrong: their consumers are refused" in told
    assert "batpak repair" not in told


def test_a_lost_head_costs_no_event_that_is_known_of(store: Path) -> None:
    (store / "HEAD").unlink()

    done = CliRunner().invoke(app, ["repair", str(store)])

    assert done.exit_code == 3
    assert "would be given up: no event that is known of" in done.output
