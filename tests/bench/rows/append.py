"""Appending: single, in batches, durable; what it takes on disk, and the longest wait."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from batpak import Durability
from tests.bench import latency, peers
from tests.bench.contenders import batpak_store, plain, sqlite
from tests.bench.line import OURS, AtMost, Line, Times, Unit
from tests.bench.rounds import Contender, Plan, measure

ONE_TABLE = "sqlite NORMAL, one table"
INDEXED = "sqlite NORMAL, indexed"
SAVE = "eventsourcing save, SQLite NORMAL"
PLAIN = "plain os.write, 288 B"
PLAIN_SYNC = "plain write + fdatasync, 288 B"
BATCH = 1000
SLOWER = 4  # a peer that takes ten times as long gets a quarter of the events
STALL_BYTES = 64 << 20  # of the segment that seals while somebody appends: the default size


def single(plan: Plan) -> list[Line]:
    """One append at a time, no sync. Sealing and closing are inside the timer."""
    work, few = plan.work, plan.work.first(len(plan.work) // SLOWER)
    line = Line(
        "append",
        "append one, no sync; sealing and close included",
        OURS,
        aims=[
            Times(OURS, INDEXED, 10),
            Times(OURS, ONE_TABLE, 3),
            Times(OURS, SAVE, 20),
            Times(OURS, PLAIN, 1 / 9, "≤ 9× its time"),
        ],
    )
    before_close: list[float] = []

    def ours(folder: Path) -> float:
        whole, appended = batpak_store.append(work, folder, Durability.OS)
        before_close.append(appended)
        return each(whole, len(work))

    contenders: list[Contender] = [
        (OURS, plan.fresh(ours)),
        (ONE_TABLE, plan.fresh(lambda f: each(sqlite.append(work, f), len(work)))),
        (INDEXED, plan.fresh(lambda f: each(sqlite.append(work, f, indexed=True), len(work)))),
        ("sqlite NORMAL, raw", plan.fresh(lambda f: each(sqlite.append_raw(work, f), len(work)))),
    ]
    if peers.has("lmdb"):
        from tests.bench.contenders import lmdb_log

        contenders += [
            ("lmdb log", plan.fresh(lambda f: each(lmdb_log.append(work, f), len(work)))),
            (
                "lmdb log, two indexes",
                plan.fresh(lambda f: each(lmdb_log.append(work, f, indexed=True), len(work))),
            ),
            ("lmdb, raw", plan.fresh(lambda f: each(lmdb_log.append_raw(work, f), len(work)))),
        ]
    if peers.has("eventsourcing"):
        from tests.bench.contenders import eventsourcing_app as app

        contenders += [
            (SAVE, plan.fresh(lambda f: each(app.save(few, f), len(few)))),
            (
                "eventsourcing insert, raw, SQLite",
                plan.fresh(lambda f: each(app.insert(few, f), len(few))),
            ),
            ("eventsourcing save, in memory", lambda: each(app.save(few, None), len(few))),
        ]
    contenders.append((PLAIN, plan.fresh(lambda f: each(plain.append(len(work), f), len(work)))))
    measure(line, plan.rounds, contenders)
    kept = statistics.median(before_close[1:])  # the first warmed up
    line.remarks[OURS] = f"without the close {each(kept, len(work)):.2f} µs"
    return [line]


def batches(plan: Plan) -> list[Line]:
    """A thousand events a batch, no sync."""
    work = plan.work
    few = work.first(max(BATCH, len(work) // SLOWER))
    line = Line(
        "batch",
        f"append batches of {BATCH:,}, no sync; close included",
        OURS,
        aims=[Times(OURS, INDEXED, 3.5), Times(OURS, ONE_TABLE, 1)],
    )
    contenders: list[Contender] = [
        (
            OURS,
            plan.fresh(lambda f: each(batpak_store.append_batches(work, f, BATCH), len(work))),
        )
    ]
    contenders += [
        (ONE_TABLE, plan.fresh(lambda f: each(sqlite.append_batches(work, f, BATCH), len(work)))),
        (
            INDEXED,
            plan.fresh(
                lambda f: each(sqlite.append_batches(work, f, BATCH, indexed=True), len(work))
            ),
        ),
        (
            "sqlite NORMAL, raw",
            plan.fresh(lambda f: each(sqlite.append_raw(work, f, BATCH), len(work))),
        ),
    ]
    if peers.has("eventsourcing"):
        from tests.bench.contenders import eventsourcing_app as app

        contenders.append(
            (SAVE, plan.fresh(lambda f: each(app.save_batches(few, f, BATCH), len(few))))
        )
    contenders.append(
        (
            "plain os.write of a batch",
            plan.fresh(lambda f: each(plain.append(len(work), f, per_write=BATCH), len(work))),
        )
    )
    return [measure(line, plan.rounds, contenders)]


def durable(plan: Plan) -> list[Line]:
    """One append at a time, each synced before the next."""
    work = plan.durable
    count = len(work)
    line = Line(
        "durable",
        "append one, durable; close included",
        OURS,
        aims=[Times(OURS, PLAIN_SYNC, 0.95)],
    )
    contenders: list[Contender] = [
        (
            OURS,
            plan.fresh(lambda f: each(batpak_store.append(work, f, Durability.COMMIT)[0], count)),
        ),
        (
            "sqlite FULL, one table",
            plan.fresh(lambda f: each(sqlite.append(work, f, full=True), count)),
        ),
        (
            "sqlite FULL, indexed",
            plan.fresh(lambda f: each(sqlite.append(work, f, full=True, indexed=True), count)),
        ),
    ]
    if peers.has("lmdb"):
        from tests.bench.contenders import lmdb_log

        contenders.append(
            (
                "lmdb sync, two indexes",
                plan.fresh(
                    lambda f: each(lmdb_log.append(work, f, sync=True, indexed=True), count)
                ),
            )
        )
    if peers.has("eventsourcing"):
        from tests.bench.contenders import eventsourcing_app as app

        contenders.append(
            (
                "eventsourcing save, SQLite FULL",
                plan.fresh(lambda f: each(app.save(work, f, full=True), count)),
            )
        )
    contenders += [
        (PLAIN_SYNC, plan.fresh(lambda f: each(plain.append(count, f, sync=True), count))),
        (
            "… into a file zeroed before",
            plan.fresh(lambda f: each(plain.overwrite(count, f), count)),
        ),
    ]
    return [measure(line, plan.rounds, contenders)]


def disk(plan: Plan) -> list[Line]:
    """Bytes an event takes once the store is closed, footers included."""
    work = plan.work
    line = Line(
        "disk",
        f"on disk, for a payload of {work.payload_bytes():.0f} bytes",
        OURS,
        Unit.BYTES,
        per_second=False,
        aims=[AtMost(OURS, 480, "≤ 480 B")],
    )

    def ours(folder: Path) -> float:
        batpak_store.fill(work, folder, len(work))
        return batpak_store.stored_bytes(folder) / len(work)

    def theirs(folder: Path) -> float:
        sqlite.fill(work, folder, len(work))
        return (folder / sqlite.FILE).stat().st_size / len(work)

    return [measure(line, 1, [(OURS, plan.fresh(ours)), ("sqlite, indexed", plan.fresh(theirs))])]


def stall(plan: Plan) -> list[Line]:
    """The longest single append of a run in which a full segment seals behind the appender."""
    line = Line(
        "stall",
        f"longest append while a segment of {STALL_BYTES >> 20} MiB seals",
        OURS,
        Unit.MILLISECONDS,
        per_second=False,
        aims=[AtMost(OURS, 50, "≤ 50 ms")],
    )
    remarks: list[str] = []

    def ours(folder: Path) -> float:
        taken: list[float] = []
        took, clock = taken.append, time.perf_counter
        store = batpak_store.create(folder, segment_bytes=STALL_BYTES)
        with store:
            events = plan.work.placed_over(_events_to_rotate(plan))
            for coordinate, payload in events:
                began = clock()
                store.append(coordinate, payload)
                took(clock() - began)
        if batpak_store.segments(folder) < 2:
            raise RuntimeError("no segment was sealed: the line would mean nothing")
        remarks.append(latency.describe(taken))
        return max(taken) * 1e3

    measure(line, min(plan.rounds, 3), [(OURS, plan.fresh(ours))])
    line.remarks[OURS] = remarks[-1]
    return [line]


def _events_to_rotate(plan: Plan) -> int:
    """So many that a segment fills up and the next one is well under way when its seal ends."""
    with plan.folder() as folder:
        few = plan.work.first(1000)
        batpak_store.append(few, folder, Durability.OS)
        return int(STALL_BYTES / (batpak_store.stored_bytes(folder) / len(few)) * 1.5)


def each(seconds: float, count: int) -> float:
    """Microseconds an event."""
    return seconds / count * 1e6
