"""The rows of the read model are what the log adds up to, whenever its program dies.

It is what people copy who have a database beside the log; without this it would count twice.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from batpak import AtLeastOnce, Durability, EventPayload, Store, StoreConfig, StoredEvent
from batpak.sqlite import Effects
from depot.app import Desk, Rows, Stock, Writer, kept_current, last_of, rebuild, report, tell
from depot.gen.goods import GoodsBroken, GoodsReceived, GoodsSold

EXAMPLE = Path(__file__).parents[2] / "examples" / "read_model"
QUICK = StoreConfig(durability=Durability.OS)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "depot.db"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "depot.store", QUICK) as opened:
        yield opened


def trade(store: Store) -> list[Stock]:
    """Let something happen, and say what the rows are then."""
    for _ in range(20):
        report(store, GoodsReceived(sku="lamp", quantity=5))
        report(store, GoodsSold(sku="lamp", quantity=3, cents=300))
        report(store, GoodsReceived(sku="vase", quantity=2))
        report(store, GoodsBroken(sku="vase", quantity=1))
    return [Stock("lamp", 40, 60, 6000), Stock("vase", 20, 0, 0)]


def rows(store: Store, table: Path) -> list[Stock]:
    return Desk(store, table).best_sellers(100, as_of=last_of(store))


def test_the_desk_shows_what_was_reported_before_it_was_asked(store: Store, table: Path) -> None:
    desk = Desk(store, table)
    with kept_current(store, table):
        for sold in range(1, 6):
            at = report(store, GoodsSold(sku="lamp", quantity=1, cents=10))
            assert desk.best_sellers(1, as_of=at) == [Stock("lamp", -sold, sold, 10 * sold)]
        assert desk.running_out(below=-4) == desk.best_sellers(1)
        assert desk.running_out(below=-5) == []


def test_rows_that_were_written_by_an_earlier_run_are_current_at_once(
    store: Store, table: Path
) -> None:
    wanted = trade(store)
    for _ in range(2):
        with kept_current(store, table):
            assert rows(store, table) == wanted


def test_a_writer_that_fails_before_the_commit_or_after_it_counts_each_event_once(
    store: Store, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, add = Writer.write, Rows.on_goods_broken
    failures: list[str] = []

    def fail_after(
        writer: Writer, events: Sequence[StoredEvent[EventPayload]], witness: AtLeastOnce
    ) -> None:
        write(writer, events, witness)
        if "after" not in failures:
            failures.append("after")
            raise RuntimeError("between the rows and the checkpoint")

    def fail_before(rows: Rows, event: StoredEvent[GoodsBroken]) -> None:
        add(rows, event)
        if "before" not in failures:
            failures.append("before")
            raise RuntimeError("between the rows and their commit")

    wanted = trade(store)
    monkeypatch.setattr(Rows, "on_goods_broken", fail_before)
    with kept_current(store, table):
        assert rows(store, table) == wanted
    monkeypatch.setattr(Writer, "write", fail_after)
    wanted = [Stock(row.sku, *(2 * n for n in row[1:])) for row in trade(store)]
    with kept_current(store, table):
        assert rows(store, table) == wanted

    assert failures == ["before", "after"]


def test_a_program_that_is_killed_counts_each_event_once(tmp_path: Path, table: Path) -> None:
    with Store.open(tmp_path / "depot.store", QUICK) as store:
        wanted = trade(store)
    paths = (str(tmp_path / "depot.store"), str(table))
    child = """
import os, signal, sys
from pathlib import Path
from batpak import Store
from depot.app import Writer, kept_current
write = Writer.write
def die(writer, events, witness):
    write(writer, events, witness)
    os.kill(os.getpid(), signal.SIGKILL)
Writer.write = die
with Store.open(sys.argv[1]) as store, kept_current(store, Path(sys.argv[2])):
    signal.pause()
"""
    killed = subprocess.run([sys.executable, "-c", child, *paths], cwd=EXAMPLE, check=False)
    assert killed.returncode == -signal.SIGKILL

    with Store.open(tmp_path / "depot.store", QUICK) as store:
        assert store.cursor_checkpoints() == (), "it was killed too late"
        assert written(table), "it was killed too early"
        with kept_current(store, table):
            assert rows(store, table) == wanted


def written(table: Path) -> bool:
    with closing(sqlite3.connect(table)) as database:
        return database.execute("SELECT * FROM stock").fetchone() is not None


def test_a_table_is_built_anew_from_the_log(store: Store, table: Path) -> None:
    wanted = trade(store)
    with kept_current(store, table):
        assert rows(store, table) == wanted
    with closing(sqlite3.connect(table)) as database, database:
        database.execute("UPDATE stock SET sold = 1000 WHERE sku = 'vase'")

    rebuild(store, table)

    with kept_current(store, table):
        assert rows(store, table) == wanted


def test_a_rebuild_that_dies_half_way_leaves_rows_that_are_right(
    store: Store, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_effects: Effects, _checkpoint_id: str) -> int:
        raise RuntimeError("half way")

    wanted = trade(store)
    with kept_current(store, table):
        assert rows(store, table) == wanted
    with monkeypatch.context() as patched:
        patched.setattr(Effects, "forget", fail)
        with pytest.raises(RuntimeError, match="half way"):
            rebuild(store, table)

    with kept_current(store, table):
        assert rows(store, table) == wanted


def test_the_story_is_the_one_that_the_readme_tells(tmp_path: Path, store: Store) -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    told = readme.partition("depot.db\n")[2].partition("```")[0].splitlines()
    done = subprocess.run(
        [sys.executable, "-m", "depot.app", tmp_path / "other.store", tmp_path / "other.db"],
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == told, done.stderr
    assert tell(store, tmp_path / "depot.db") == told[:-1]
