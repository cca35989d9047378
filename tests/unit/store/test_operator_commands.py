"""`batpak show`, `why`, `impact`, `entity`, `diff`, `snapshot`, `fork`, `compact`, `bench`.

Would slip through without it: a tree that hangs an event on the wrong cause, a `diff` that calls
two histories the same, a copy of a running store that is not whole.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from batpak.append import POLICY
from batpak.cli import events, show
from batpak.cli.main import application, main
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import EventNotFound
from batpak.guard.stamp import PolicyStamp
from batpak.ids import EventId
from batpak.region import Region
from batpak.store import Store
from tests import warm
from tests.facts import FAST, USER, Counted, Said

ROOT = Path(__file__).parents[3]
LONG = "order:01a2015aa0167080bd632dd79ea66884"
TINY = StoreConfig(
    lifecycle_events=False, durability=Durability.OS, limits=Limits(segment_max_bytes=4 << 10)
)


def run(*words: object) -> Result:
    return CliRunner().invoke(application(), [str(word) for word in words])


def ok(*words: object) -> str:
    done = run(*words)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def told(*words: object) -> Any:  # noqa: ANN401  what JSON says
    return json.loads(ok(*words, "--json"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Open while the commands run: 0 caused 1 and 2, 2 caused 3; 4 is alone."""
    with Store.open(tmp_path / "s", FAST) as opened:
        root = opened.append(USER, Counted(n=0)).event_id
        opened.append(USER, Counted(n=1), caused_by=root)
        second = opened.append(USER, Said(text="two"), caused_by=root).event_id
        raw = {"app.trace": b"abc"}
        opened.append(USER, Counted(n=3), caused_by=second, extensions=raw, idempotency_key="k")
        opened.append(Coordinate("user:2", "acme"), Said(text="\x9b31m"))
        yield opened


def test_an_event_is_shown_with_its_links_by_sequence_or_id(store: Store, tmp_path: Path) -> None:
    event = store.get(2)
    text = ok("show", tmp_path / "s", 2)
    found = told("show", tmp_path / "s", event.event_id)

    assert text.startswith("event 2  Said\n")
    assert "caused by     0  Counted  user:1@acme" in text
    assert "caused        event 3" in text
    assert found["payload"] == {"text": "two"}
    assert found["caused"] == [3]
    assert found["event_hash"] == event.event_hash.hex()
    assert "+ app.trace   3 bytes" in ok("show", tmp_path / "s", 3)
    assert told("show", tmp_path / "s", 3)["extensions"] == {"app.trace": b"abc".hex()}


def test_a_stamp_says_which_gates_permitted_an_event() -> None:
    stamp = PolicyStamp("shop.pay", bytes(32), ("paid", "open")).to_bytes()

    assert show.about_extensions({POLICY: stamp})["permitted by"] == "shop.pay: paid, open"
    assert "malformed" in show.about_extensions({POLICY: b"\xc1"})


@pytest.mark.parametrize(
    "words", [["tail"], ["dump"], ["why", "1"], ["impact", "0"], ["entity", LONG]], ids=str
)
@pytest.mark.parametrize("columns", [80, 160])
def test_a_row_is_as_wide_as_the_terminal_and_shows_where_ids_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], columns: int
) -> None:
    with Store.open(tmp_path / "s", FAST) as opened:
        root = opened.append(Coordinate(LONG, "acme.shop"), Said(text="x" * 200))
        opened.append(Coordinate(LONG, "acme.shop"), Said(text="y"), caused_by=root)
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", str(columns))):
        monkeypatch.setenv(name, value)  # as on a terminal
    events.is_narrow.cache_clear()

    command, *rest = words
    rows = re.sub(r"\x1b\[[0-9;]*m", "", ok(command, tmp_path / "s", *rest)).splitlines()

    events.is_narrow.cache_clear()
    name = LONG if columns == 160 else f"{LONG[:13]}…{LONG[-6:]}"
    assert all(len(line) <= columns for line in rows)
    assert sum(name in line for line in rows) == 2


@pytest.mark.parametrize("command", ["show", "why", "impact"])
def test_an_event_that_is_not_there_ends_with_2(store: Store, tmp_path: Path, command: str) -> None:
    assert isinstance(run(command, tmp_path / "s", 99).exception, EventNotFound)
    assert isinstance(
        run(command, tmp_path / "s", EventId(store.store_id)).exception, EventNotFound
    )
    assert run(command, tmp_path / "s", "last").exit_code == 2


@pytest.mark.usefixtures("store")
def test_causes_are_drawn_up_to_the_root(tmp_path: Path) -> None:
    lines = ok("why", tmp_path / "s", 3).splitlines()

    assert [line.split("  ")[0] for line in lines[:3]] == [
        "3",
        "├── because of 2",
        "├── because of 0",
    ]
    assert lines[3:] == ["└── which nothing caused"]
    assert [one["sequence"] for one in told("why", tmp_path / "s", 3)["entries"]] == [3, 2, 0]
    assert "--limit shows more" in ok("why", tmp_path / "s", 3, "--limit", 1)


@pytest.mark.usefixtures("store")
def test_what_an_event_caused_hangs_on_its_cause(tmp_path: Path) -> None:
    lines = [line.split("  ")[0] for line in ok("impact", tmp_path / "s", 0).splitlines()]

    assert lines == ["0", "├── 1", "└── 2", ""]
    assert "    └── 3" in ok("impact", tmp_path / "s", 0)
    assert "it caused nothing" in ok("impact", tmp_path / "s", 4)
    found = told("impact", tmp_path / "s", 0, "--limit", 2)
    assert [(one["sequence"], one["depth"]) for one in found["caused"]] == [(1, 1), (2, 1)]
    assert found["truncated"]


def test_a_row_of_a_drawing_is_all_there_in_a_pipe_and_no_depth_hides_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path / "s", FAST) as opened:
        last = None
        for n in range(60):
            last = opened.append(Coordinate(LONG, "a" * 60), Counted(n=n), caused_by=last).event_id

    for words in (["impact", tmp_path / "s", 0], ["why", tmp_path / "s", 59]):
        rows = ok(*words).splitlines()
        assert sum(f"{LONG}@{'a' * 60}  2" in row for row in rows) == 60
        assert "…" not in "".join(rows)

    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    monkeypatch.setenv("COLUMNS", "80")
    rows = re.sub(r"\x1b\[[0-9;]*m", "", ok("impact", tmp_path / "s", 0)).splitlines()
    assert len(rows) == 60
    assert max(map(len, rows)) <= 80


def test_a_graph_of_50_events_is_drawn_in_100_ms(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as opened:
        ids = [opened.append(USER, Counted(n=0)).event_id]
        for n in range(1, 50):
            ids.append(opened.append(USER, Counted(n=n), caused_by=ids[n // 2]).event_id)
    ok("impact", tmp_path / "s", 0)

    fastest = 9.0
    for _ in range(3):
        began = time.process_time()
        assert len(ok("impact", tmp_path / "s", 0).splitlines()) == 50
        fastest = min(fastest, time.process_time() - began)

    assert fastest < 0.2  # 0.1, and as much again for putting the command line together


def test_states_and_names_come_from_the_project_in_this_folder(tmp_path: Path) -> None:
    orders, path = ROOT / "examples" / "orders", str(tmp_path / "shop.store")
    ran = warm.run(["-m", "shop.app", path], orders)
    assert ran.returncode == 0, ran.stderr
    with Store.observe(path) as observer:
        name = next(iter(observer.entities("order")))

    lines = warm.run(["-m", "batpak", "entity", path, name], orders).stdout.splitlines()
    assert [line.split()[2] for line in lines[::2]] == ["OrderPlaced", "OrderPaid", "OrderShipped"]
    assert [line.split()[1] for line in lines[1::2]] == ["Placed", "Paid", "Shipped"]
    assert '"tracking": "JD0001"' in lines[-1]
    paid = warm.run(["-m", "batpak", "show", path, "2"], orders).stdout
    assert "permitted by  shop.orders.Order.pay: paid_in_full" in paid

    plain = warm.run(["-m", "batpak", "entity", path, name], tmp_path).stdout.splitlines()
    assert [line.split()[2] for line in plain] == ["OrderPlaced", "OrderPaid", "OrderShipped"]
    assert '"tracking": "JD0001"' in plain[-1]


def test_code_that_cannot_be_imported_is_told_and_the_event_shown(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.batpak]\nschemas = ["schemas"]\nout = "nowhere/gen"\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    done = run("show", tmp_path / "s", 0)

    assert done.exit_code == 0
    assert "shown as it is stored: " in done.stderr
    assert done.stdout.startswith("event 0  Counted")
    assert store.count() == 5


def test_nothing_that_moves_or_turns_a_line_comes_out_of_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, path = "x\x1b[31m\x9b31m\u202e\u2028y", tmp_path / "s\u202e"
    with Store.open(path, FAST) as opened:
        opened.append(Coordinate("a\u202e:1", "s\u2028"), Said(text=bad))
    told = [ok("tail", path), ok("dump", path), ok("show", path, 0), ok("decode", path, 0)]
    told += [ok("show", path, 0, "--json"), ok("verify", path), ok("stat", path)]
    monkeypatch.setattr("sys.argv", ["batpak", "show", str(path), "9"])
    with pytest.raises(SystemExit):
        main()
    told += [ok("entity", path, "a\u202e:1"), run("entity", path, "b\u202e").stderr]
    monkeypatch.setattr("sys.argv", ["batpak", "stat", "no\u202e"])
    with pytest.raises(SystemExit):
        main()
    told += [capsys.readouterr().err]

    for text in told:
        assert text.replace("\n", "").isprintable(), text
    assert json.loads(told[4])["entity"] == "a\u202e:1"
    assert json.loads(told[3])["payload"]["text"] == bad


def test_one_of_a_thing_is_told_in_the_singular(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", FAST) as opened:
        opened.append(USER, Said(text="x"))
    copy, new = tmp_path / "copy", tmp_path / "new"

    told = [ok("export", tmp_path / "s", tmp_path / "lines")]
    told += [ok("import", tmp_path / "lines", new, "--namespace", "a")]
    told += [ok("doctor", tmp_path / "s"), ok("repair", tmp_path / "s")]
    told += [ok("snapshot", tmp_path / "s", copy), ok("diff", tmp_path / "s", copy)]

    assert "✓ 1 event imported" in told[1]
    assert not [text for text in told if "1 events" in text or "1 files" in text]
    assert "no event of '' is in" in run("entity", tmp_path / "s", "").stderr


@pytest.mark.usefixtures("store")
def test_a_row_has_no_control_character_of_a_payload(tmp_path: Path) -> None:
    assert "\\u009b31m" in ok("entity", tmp_path / "s", "user:2")
    assert "\x9b" not in ok("show", tmp_path / "s", 4)
    assert len(ok("entity", tmp_path / "s", "user:1", "-n", 2).splitlines()) == 2
    assert run("entity", tmp_path / "s", "user:3").exit_code == 2


def test_two_histories_are_the_same_up_to_where_they_part(store: Store, tmp_path: Path) -> None:
    assert "5 events" in ok("snapshot", tmp_path / "s", tmp_path / "copy")
    assert "has nothing more" in ok("diff", tmp_path / "s", tmp_path / "copy")

    store.append(USER, Counted(n=5))
    done = run("diff", tmp_path / "s", tmp_path / "copy", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["common"], found["one"]["events"], found["other"]["events"]) == (5, 1, 0)

    with Store.open(tmp_path / "copy", FAST) as copy:
        for n in range(3):
            copy.append(USER, Counted(n=100 + n))
    done = run("diff", tmp_path / "s", tmp_path / "copy")
    assert done.exit_code == 1
    assert "5 events are the same in both by their hashes" in done.stdout
    assert f"{tmp_path / 'copy'} has 3 more" in done.stdout


def test_a_copy_that_is_damaged_is_the_same_by_its_hashes_and_no_more_is_said(
    tmp_path: Path,
) -> None:
    with Store.open(tmp_path / "a", TINY) as store:
        for n in range(60):
            store.append(USER, Counted(n=n))
    ok("snapshot", tmp_path / "a", tmp_path / "copy")  # closed, so that every footer is in it
    file = tmp_path / "copy" / "000001.fbat"
    data = bytearray(file.read_bytes())
    data[data.index(b"\x81\xa1n\x03")] ^= 1
    file.write_bytes(data)

    said = ok("diff", tmp_path / "a", tmp_path / "copy")

    assert "60 events are the same in both by their hashes\n" in said
    assert "`batpak verify` checks the bytes" in said
    assert run("verify", tmp_path / "copy").exit_code == 3


@pytest.mark.parametrize("command", ["snapshot", "fork"])
def test_a_copy_of_damage_is_made_and_says_what_checks_it(tmp_path: Path, command: str) -> None:
    with Store.open(tmp_path / "a", TINY) as store:
        for n in range(60):
            store.append(USER, Counted(n=n))
    file = tmp_path / "a" / "000001.fbat"
    data = bytearray(file.read_bytes())
    data[data.index(b"\x81\xa1n\x03")] ^= 1
    file.write_bytes(data)

    said = ok(command, tmp_path / "a", tmp_path / "copy")

    assert "bytes are copied as they are; `batpak verify` checks them" in said
    assert run("verify", tmp_path / "copy").exit_code == 3


def test_prose_ends_where_a_terminal_of_80_columns_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = replace(TINY, lifecycle_events=True)
    for name, many in (("s", 60), ("t", 61), ("u", 60)):
        with Store.open(name, config) as opened:
            for n in range(many):
                opened.append(Coordinate(f"user:{'long' * 30}", "acme"), Counted(n=n))
            Path(f"{name}.note").write_text(str(opened.checkpoint()))
    Path("s/a strange file").touch()
    Path("s/another one, whose name is somewhat longer").touch()
    file = Path("u/000002.fbat")
    file.write_bytes(file.read_bytes()[:-100])

    def lines(*words: str) -> list[str]:
        env = {"FORCE_COLOR": "1", "COLUMNS": "80"}
        done = CliRunner().invoke(application(), words, env=env)
        assert done.stdout, done.exception
        return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).splitlines()

    for words in (
        ["doctor", "s"],
        ["doctor", "u"],
        ["repair", "u"],
        ["repair", "s"],
        ["compact", "s"],
        ["compact", "s"],
        ["diff", "s", "t"],
        ["verify", "s", "--since", "t.note"],
        ["verify", "s", "--since", "s.note"],
        ["stat", "s"],
        ["snapshot", "s", "v"],
        ["fork", "s", "w"],
    ):
        found = [
            line for line in lines(*words) if "head " not in line and str(tmp_path) not in line
        ]
        assert max(map(len, found)) <= 80, found


@pytest.mark.usefixtures("store")
def test_stores_that_have_nothing_in_common_say_so(tmp_path: Path) -> None:
    with Store.open(tmp_path / "other", FAST) as other:
        other.append(USER, Counted(n=0))
    found = json.loads(run("diff", tmp_path / "s", tmp_path / "other", "--json").stdout)

    assert (found["common"], found["one"]["events"], found["other"]["events"]) == (0, 5, 1)


def test_a_fork_is_observed_before_and_after_it_went_its_own_way(
    store: Store, tmp_path: Path
) -> None:
    found = told("fork", tmp_path / "s", tmp_path / "f")
    assert found["origin"] == str(store.store_id) != found["store_id"]
    assert "has nothing more" in ok("diff", tmp_path / "s", tmp_path / "f")

    with Store.open(tmp_path / "f", FAST) as forked, Store.observe(tmp_path / "f") as observer:
        forked.append(USER, Counted(n=5))
        observer.refresh()
        assert observer.count() == 6
        assert observer.store_id == forked.store_id


def test_a_snapshot_beside_a_writer_has_no_checkpoint_ahead_of_it(
    store: Store, tmp_path: Path
) -> None:
    with Store.observe(tmp_path / "s") as observer:
        store.append(USER, Counted(n=5))
        with store.cursor_guaranteed(Region.all(), checkpoint_id="mine") as cursor:
            assert len(cursor.poll_batch(10)) == 6
            cursor.commit()
        seen: list[tuple[int, int]] = []
        report = observer.snapshot(
            tmp_path / "copy", cursors=True, progress=lambda done, total: seen.append((done, total))
        )

    assert report.sequence == 6
    assert seen
    assert seen[-1][0] == seen[-1][1] > 0
    with Store.open(tmp_path / "copy", FAST) as copy:
        with copy.cursor_guaranteed(Region.all(), checkpoint_id="mine") as cursor:
            assert cursor.position == 6
        assert copy.verify().ok


def test_complete_files_are_merged(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", TINY) as opened:
        for n in range(60):
            opened.append(USER, Counted(n=n))
        assert run("compact", tmp_path / "s").exception is not None  # it is open
    copy = shutil.copytree(tmp_path / "s", tmp_path / "copy")
    found = told("compact", tmp_path / "s")

    assert ok("compact", copy).startswith(f"✓ {copy}  ")
    assert found["outcome"] == "performed"
    assert found["segments_after"] == 1 < found["segments_before"]
    assert "all well" in ok("verify", tmp_path / "s")
    assert "nothing to do" in ok("compact", tmp_path / "s")


def test_an_erased_event_is_told_as_a_tombstone_everywhere(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", TINY) as opened:
        for n in range(60):
            opened.append(USER, Counted(n=n))
        opened.compact(tombstone=lambda event: event.sequence == 1)

    line = json.loads(ok("dump", tmp_path / "s", "--json").splitlines()[1])
    assert (line["event"], line["payload"]["kind"]) == ("Tombstoned", int(Counted.KIND))
    assert "  Tombstoned  " in ok("dump", tmp_path / "s").splitlines()[1]
    assert told("show", tmp_path / "s", 1)["event"] == "Tombstoned"
    copied = told("import", tmp_path / "s", tmp_path / "t", "--namespace", "s")
    assert (copied["imported"], copied["skipped_reserved"]) == (59, 2)  # and Compacted


def test_a_benchmark_leaves_nothing_behind(tmp_path: Path) -> None:
    rates = told("bench", tmp_path, "--seconds", "0.01")["rates"]

    assert all(rate["per_second"] > 0 for rate in rates)
    assert {"append, COMMIT", "read", "verify"} <= {rate["what"] for rate in rates}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("store")
def test_progress_is_for_terminals(tmp_path: Path) -> None:
    done = run("export", tmp_path / "s", tmp_path / "lines.jsonl")

    said = f"✓ {tmp_path / 'lines.jsonl'}  5 events\n"
    assert (done.exit_code, done.stdout, done.stderr) == (0, said, "")
    assert len((tmp_path / "lines.jsonl").read_text().splitlines()) == 5
