"""`batpak bench`: what a store does here, beside what the disk does without one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from batpak import codec
from batpak.append import BatchItem, RawPayload
from batpak.cli.options import AsJson
from batpak.config import Durability, StoreConfig
from batpak.coordinate import Coordinate
from batpak.disk.whole import write_all
from batpak.kind import EventKind
from batpak.platform import REAL
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from batpak.wire import RAW

BATCH: Final = 100
READ_EVENTS: Final = 10_000  # at least so many are there to be read
KIND: Final = EventKind.custom(0xF, 0xFFF)
PLACE: Final = Coordinate("bench:1", "bench")
PAYLOAD: Final = codec.encode({"text": "x" * 200, "number": 1})


class Rate(NamedTuple):
    """How often something was done in a second."""

    what: str
    per_second: float
    base: str  # what it is held against


def bench(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIRECTORY", help="On the disk in question; a folder of its own is made there."
        ),
    ] = Path(),
    *,
    seconds: Annotated[float, typer.Option(min=0.01, max=3600, help="For each of the rows.")] = 0.5,
    as_json: AsJson = False,
) -> None:
    """Measure appends, reads and a verification on this machine, in this directory.

    Payloads have about 220 bytes, one thread does one thing at a time. Each row is held against a
    plain file, into which as many bytes are written, and synced if the row syncs.
    """
    with tempfile.TemporaryDirectory(prefix="batpak-bench-", dir=directory) as folder:
        rates = list(_rates(Path(folder), int(seconds * 1e9)))
    known = {rate.what: rate.per_second for rate in rates}
    if as_json:
        told = [
            {"what": one.what, "per_second": one.per_second, "base": one.base or None}
            for one in rates
        ]
        typer.echo(json.dumps({"payload_bytes": len(PAYLOAD), "rates": told}, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("events/s", justify="right")
    table.add_column("of a plain file", justify="right")
    for one in rates:
        ratio = f"{one.per_second / known[one.base]:.0%}" if one.base else ""
        table.add_row(one.what, f"{one.per_second:,.0f}", ratio)
    Console(highlight=False).print(table)


def _rates(folder: Path, time_ns: int) -> Iterator[Rate]:
    synced, written, together = "write and sync", "write", f"write and sync, {BATCH} at once"
    yield Rate(synced, _plain(folder / "synced", PAYLOAD, time_ns, sync=True), "")
    rate = BATCH * _plain(folder / "together", PAYLOAD * BATCH, time_ns, sync=True)
    yield Rate(together, rate, "")
    yield Rate(written, _plain(folder / "written", PAYLOAD, time_ns, sync=False), "")
    store = folder / "store"
    for level in sorted(Durability, reverse=True):
        with Store.open(store, StoreConfig(durability=level)) as opened:
            rate = _rate(lambda: opened.append_raw(PLACE, KIND, PAYLOAD), time_ns)
        base = synced if level is Durability.COMMIT else written
        yield Rate(f"append, {level.name}", rate, base)
    batch = [BatchItem(PLACE, RawPayload(KIND, PAYLOAD))] * BATCH
    with Store.open(store) as opened:
        rate = BATCH * _rate(lambda: opened.append_batch(batch), time_ns)
        yield Rate(f"append, batches of {BATCH}", rate, together)
        while opened.count() < READ_EVENTS:
            opened.append_batch(batch)
        count = opened.count()
        rate = count * _rate(lambda: sum(1 for _ in opened.query(form=RAW)), time_ns)
        yield Rate("read", rate, "")
    yield Rate("verify", count * _rate(lambda: verify_path(store, REAL), time_ns), "")


def _plain(folder: Path, data: bytes, time_ns: int, *, sync: bool) -> float:
    """How often these bytes go to the end of a file."""
    with (
        closing(REAL.open_dir(str(folder), create=True)) as place,
        closing(place.create("plain")) as file,
    ):
        size = 0

        def write() -> None:
            nonlocal size
            write_all(file, size, data)
            size += len(data)
            if sync:
                file.sync(data_only=True)

        return _rate(write, time_ns)


def _rate(act: Callable[[], object], time_ns: int) -> float:
    """How often a second something can be done, tried for some time."""
    act()
    count, clock = 0, REAL.monotonic_ns
    started = now = clock()
    while now - started < time_ns:
        act()
        count, now = count + 1, clock()
    return count / ((now - started) / 1e9)
