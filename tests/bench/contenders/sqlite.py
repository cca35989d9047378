"""sqlite3 in WAL mode: NORMAL against no sync, FULL against durable.

*One table* is the least that keeps an event. *Indexed* answers what the store answers: by id, by
entity and version, by kind, scope and correlation. *Raw* inserts bytes that were encoded before the
clock started, without id, version or hash: what the library can do, not what the job needs.

Closing is inside the timer, as it is for everybody: it moves the log into the database.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from tests.bench.work import Prepared, Work, decode, encode

FILE: Final = "events.db"
_TABLE: Final = """
create table events (
    sequence integer primary key, event_id blob, entity text, version integer, scope text,
    kind integer, wall_ns integer, correlation_id blob, hash blob, payload blob)
"""
_INDEXES: Final = """
create unique index by_id on events (event_id);
create unique index by_entity on events (entity, version);
create index by_kind on events (kind, sequence);
create index by_scope on events (scope, sequence);
create index by_correlation on events (correlation_id, sequence);
"""
_INSERT: Final = "insert into events values (?,?,?,?,?,?,?,?,?,?)"
_MAPPED_BYTES: Final = 4 << 30


def create(folder: Path, *, full: bool = False, indexed: bool = False) -> sqlite3.Connection:
    db = sqlite3.connect(folder / FILE, isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute(f"pragma synchronous={'full' if full else 'normal'}")
    db.execute(_TABLE)
    if indexed:
        db.executescript(_INDEXES)
    return db


def append(work: Work, folder: Path, *, full: bool = False, indexed: bool = False) -> float:
    """One transaction for each event."""
    db, prepared = create(folder, full=full, indexed=indexed), Prepared()
    execute, row = db.execute, prepared.row
    began = time.perf_counter()
    for entity, payload in work.pairs:
        execute(_INSERT, row(entity, payload))
    db.close()
    return time.perf_counter() - began


def append_batches(work: Work, folder: Path, size: int, *, indexed: bool = False) -> float:
    """One transaction and one `executemany` for each batch."""
    db, prepared = create(folder, indexed=indexed), Prepared()
    row, pairs = prepared.row, work.pairs
    began = time.perf_counter()
    for start in range(0, len(pairs), size):
        rows = [row(entity, payload) for entity, payload in pairs[start : start + size]]
        db.execute("begin")
        db.executemany(_INSERT, rows)
        db.execute("commit")
    db.close()
    return time.perf_counter() - began


def append_raw(work: Work, folder: Path, size: int = 1) -> float:
    """Bytes into one column. With `size` above 1, `executemany` in one transaction each."""
    data = [(encode(payload),) for _, payload in work.pairs]
    db = sqlite3.connect(folder / FILE, isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=normal")
    db.execute("create table raw (sequence integer primary key, payload blob)")
    insert = "insert into raw (payload) values (?)"
    began = time.perf_counter()
    if size == 1:
        for values in data:
            db.execute(insert, values)
    else:
        for start in range(0, len(data), size):
            db.execute("begin")
            db.executemany(insert, data[start : start + size])
            db.execute("commit")
    db.close()
    return time.perf_counter() - began


def fill(work: Work, folder: Path, count: int) -> None:
    """Make an indexed database of `count` events, to read from."""
    prepared = Prepared()
    with closing(create(folder, indexed=True)) as db:
        db.execute("begin")
        db.executemany(_INSERT, (prepared.row(*pair) for pair in work.over(count)))
        db.execute("commit")


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """A database as fast as it reads: mapped, nothing left in the log."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as db:
        db.execute(f"pragma mmap_size={_MAPPED_BYTES}")
        yield db


def ids(db: sqlite3.Connection) -> list[bytes]:
    return [row[0] for row in db.execute("select event_id from events order by sequence")]


def get(db: sqlite3.Connection, wanted: list[bytes]) -> None:
    execute = db.execute
    for event_id in wanted:
        decode(execute("select * from events where event_id = ?", (event_id,)).fetchone()[9])


def streams(db: sqlite3.Connection, entities: list[str], columns: str) -> int:
    """Every event of each entity, typed; `columns` says how much of the row comes along."""
    count = 0
    text = f"select {columns} from events where entity = ? order by version"  # noqa: S608  ours
    for entity in entities:
        for row in db.execute(text, (entity,)):
            decode(row[-1])
            count += 1
    return count


def scan(db: sqlite3.Connection, columns: str) -> int:
    count = 0
    for row in db.execute(f"select {columns} from events order by sequence"):  # noqa: S608  ours
        decode(row[-1])
        count += 1
    return count
