"""One command, one table: this engine beside sqlite3 in WAL mode and a plain file.

    python tests/bench/run.py [--events 20000] [--rounds 5]

Every contender does the same work in the same run: encode the same payloads, make ids and hashes,
store them under the same durability, keep what the same questions need. Rounds are interleaved;
the figures are medians, the ratios are medians of the ratios of each round. Nothing here gates
the test suite: machines are noisy, ratios of one run are not.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import blake3
import msgspec
from rich.console import Console
from rich.table import Table

from batpak import Coordinate, Durability, Store, StoreConfig, new_id

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "orders"))
from shop.app import Ledger
from shop.gen.common import Currency, Money
from shop.gen.orders import OrderId, OrderPaid

ENTITIES = 1000
SCOPE = "shop.orders"
ENCODE = msgspec.msgpack.Encoder(
    order="deterministic", uuid_format="bytes", decimal_format="string"
).encode
DECODE = msgspec.msgpack.Decoder(OrderPaid).decode
ONE_TABLE = """
create table events (
    sequence integer primary key, event_id blob, entity text, version integer, scope text,
    kind integer, wall_ns integer, prev_hash blob, hash blob, payload blob)
"""
INDEXES = """
create unique index by_id on events (event_id);
create unique index by_entity on events (entity, version);
create index by_kind on events (kind, sequence);
create index by_scope on events (scope, sequence);
"""


def payloads(count: int) -> list[tuple[str, OrderPaid]]:
    """Payments spread over ENTITIES orders, made before any clock starts."""
    ids = [new_id(OrderId) for _ in range(ENTITIES)]
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return [
        (
            f"order:{ids[n % ENTITIES].hex}",
            OrderPaid(
                order_id=ids[n % ENTITIES],
                payment_id=UUID(int=n),
                amount=Money(amount=Decimal(n).scaleb(-2), currency=Currency.EUR),
                paid_at=at + dt.timedelta(seconds=n),
            ),
        )
        for n in range(count)
    ]


# ---------------------------------------------------------------------------------- contenders

Work = list[tuple[str, OrderPaid]]


@contextmanager
def sqlite(folder: Path, *, full: bool, indexed: bool) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "events.db", isolation_level=None)) as db:
        db.execute("pragma journal_mode=wal")
        db.execute(f"pragma synchronous={'full' if full else 'normal'}")
        db.execute(ONE_TABLE)
        if indexed:
            db.executescript(INDEXES)
        yield db


def sqlite_append(work: Work, folder: Path, *, full: bool, indexed: bool) -> float:
    """Encode, id, version, both hashes, one transaction per event: what an append has to do."""
    with sqlite(folder, full=full, indexed=indexed) as db:
        heads: dict[str, tuple[int, bytes]] = {}
        log_prev = bytes(32)
        began = time.perf_counter()
        for sequence, (entity, payload) in enumerate(work):
            data = ENCODE(payload)
            count, prev = heads.get(entity, (0, bytes(32)))
            content = blake3.blake3(data).digest()
            chained = blake3.blake3(log_prev + prev + entity.encode() + content).digest()
            db.execute(
                "insert into events values (?,?,?,?,?,?,?,?,?,?)",
                (
                    sequence,
                    new_id(UUID_OF).bytes,
                    entity,
                    count + 1,
                    SCOPE,
                    int(OrderPaid.KIND),
                    time.time_ns(),
                    prev,
                    chained,
                    data,
                ),
            )
            heads[entity] = count + 1, chained
            log_prev = chained
        return time.perf_counter() - began


def UUID_OF(value: UUID) -> UUID:  # noqa: N802  stands where an id type stands
    return value


def batpak_append(work: Work, folder: Path, durability: Durability) -> float:
    config = StoreConfig(durability=durability)
    with Store.open(folder / "store", config) as store:
        coordinates = {entity: Coordinate(entity, SCOPE) for entity, _ in work[:ENTITIES]}
        append = store.append
        began = time.perf_counter()
        for entity, payload in work:
            append(coordinates[entity], payload)
        return time.perf_counter() - began


def plain_append(work: Work, folder: Path, *, sync: bool, size: int) -> float:
    """Write as many bytes as a frame has, and nothing else: the physical limit."""
    frame = os.urandom(size)
    fd = os.open(folder / "plain", os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        began = time.perf_counter()
        for _ in work:
            os.write(fd, frame)
            if sync:
                os.fdatasync(fd)
        return time.perf_counter() - began
    finally:
        os.close(fd)


# --------------------------------------------------------------------------------------- reads


def batpak_scan(store: Store) -> int:
    return sum(1 for _ in store.by_fact(OrderPaid))


def sqlite_scan(db: sqlite3.Connection) -> int:
    """Decode every payload; the header columns come along, as they do in a StoredEvent."""
    count = 0
    for row in db.execute("select * from events order by sequence"):
        DECODE(row[9])
        count += 1
    return count


def plain_scan(path: Path) -> int:
    return sum(len(path.read_bytes()) for path in sorted(path.glob("*.fbat")))


def batpak_replay(store: Store, entities: list[str]) -> Decimal:
    ledger = Ledger()
    accounts = (store.project(ledger, entity) for entity in entities)
    return sum((account.received for account in accounts if account), Decimal(0))


def sqlite_replay(db: sqlite3.Connection, entities: list[str]) -> Decimal:
    total = Decimal(0)
    for entity in entities:
        rows = db.execute("select payload from events where entity = ? order by version", (entity,))
        for (data,) in rows:
            total += DECODE(data).amount.amount
    return total


# --------------------------------------------------------------------------------------- table


@dataclass
class Line:
    """One row of the table: what it measures, and the seconds of each contender per round."""

    what: str
    count: int
    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def took(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)

    def per_second(self, name: str) -> float:
        return self.count / statistics.median(self.seconds[name])

    def ratio(self, name: str) -> float:
        ours = self.seconds["batpak"]
        return statistics.median(b / a for a, b in zip(ours, self.seconds[name], strict=True))


def timed(run: Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def append_lines(work: Work, rounds: int, size: int) -> list[Line]:
    loose = Line("append, no sync", len(work))
    strict_work = work[: max(200, len(work) // 20)]
    strict = Line("append, durable", len(strict_work))
    contenders: list[tuple[Line, str, Callable[[Path], float]]] = [
        (loose, "batpak", lambda f: batpak_append(work, f, Durability.OS)),
        (loose, "sqlite, one table", lambda f: sqlite_append(work, f, full=False, indexed=False)),
        (loose, "sqlite, indexed", lambda f: sqlite_append(work, f, full=False, indexed=True)),
        (loose, "plain file", lambda f: plain_append(work, f, sync=False, size=size)),
        (strict, "batpak", lambda f: batpak_append(strict_work, f, Durability.COMMIT)),
        (
            strict,
            "sqlite, one table",
            lambda f: sqlite_append(strict_work, f, full=True, indexed=False),
        ),
        (
            strict,
            "sqlite, indexed",
            lambda f: sqlite_append(strict_work, f, full=True, indexed=True),
        ),
        (strict, "plain file", lambda f: plain_append(strict_work, f, sync=True, size=size)),
    ]
    for number in range(rounds + 1):
        for line, name, run in contenders:
            folder = Path(tempfile.mkdtemp(prefix="batpak-bench-", dir="."))
            gc.collect()
            seconds = run(folder)
            shutil.rmtree(folder)
            if number:  # the first round warms up
                line.took(name, seconds)
    return [loose, strict]


def read_lines(work: Work, rounds: int) -> list[Line]:
    scan, replay = Line("scan, every event typed", len(work)), Line("typed replay", len(work))
    entities = [entity for entity, _ in work[:ENTITIES]]
    folder = Path(tempfile.mkdtemp(prefix="batpak-bench-", dir="."))
    batpak_append(work, folder, Durability.OS)
    sqlite_append_into(work, folder)
    try:
        with (
            Store.open(folder / "store") as store,
            closing(sqlite3.connect(folder / "events.db")) as db,
        ):
            if batpak_replay(store, entities) != sqlite_replay(db, entities):
                sys.exit("the contenders disagree about the sum: nothing was measured")
            for number in range(rounds + 1):
                for line, name, run in (
                    (scan, "batpak", lambda: batpak_scan(store)),
                    (scan, "sqlite, indexed", lambda: sqlite_scan(db)),
                    (scan, "plain file", lambda: plain_scan(folder / "store")),
                    (replay, "batpak", lambda: batpak_replay(store, entities)),
                    (replay, "sqlite, indexed", lambda: sqlite_replay(db, entities)),
                ):
                    seconds = timed(run)
                    if number:
                        line.took(name, seconds)
    finally:
        shutil.rmtree(folder)
    return [scan, replay]


def sqlite_append_into(work: Work, folder: Path) -> None:
    sqlite_append(work, folder, full=False, indexed=True)


def frame_bytes(work: Work) -> int:
    """How many bytes one of these events takes in a segment, header and hashes included."""
    folder = Path(tempfile.mkdtemp(prefix="batpak-bench-", dir="."))
    batpak_append(work[:1000], folder, Durability.OS)
    size = sum(path.stat().st_size for path in (folder / "store").glob("*.fbat"))
    shutil.rmtree(folder)
    return size // 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    work = payloads(options.events)
    size = frame_bytes(work)
    lines = append_lines(work, options.rounds, size) + read_lines(work, options.rounds)

    table = Table(
        title=f"{options.events:,} events of {size} stored bytes, median of {options.rounds}"
    )
    table.add_column("work")
    table.add_column("contender")
    table.add_column("events/s", justify="right")
    table.add_column("µs each", justify="right")
    table.add_column("batpak is", justify="right")
    for line in lines:
        for name in line.seconds:
            rate = line.per_second(name)
            ratio = "" if name == "batpak" else f"{line.ratio(name):.2f}× as fast"
            table.add_row(line.what, name, f"{rate:,.0f}", f"{1e6 / rate:.2f}", ratio)
            line.what = ""
        table.add_section()
    console = Console()
    console.print(table)
    console.print(
        f"Python {platform.python_version()}, msgspec {version('msgspec')}, SQLite "
        f"{sqlite3.sqlite_version} (WAL; NORMAL without sync, FULL durable), "
        f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
        highlight=False,
    )


if __name__ == "__main__":
    main()
