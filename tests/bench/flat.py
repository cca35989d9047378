"""Memory of the read side over many events: does it grow with the log?

    python tests/bench/flat.py [--events 10000000]

One process writes the log and then reads it in every way there is. Behind every tenth its anonymous
resident size is looked at: what is mapped of files does not count, everything on the heap does.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table

if __name__ == "__main__":
    ROOT = Path(__file__).absolute().parents[2]
    sys.path[0:1] = [str(ROOT), str(ROOT / "examples" / "orders")]

from batpak import (
    AtLeastOnce,
    BatchItem,
    Durability,
    EventKind,
    EventPayload,
    Form,
    RawProjection,
    Region,
    Step,
    Store,
    StoreConfig,
    StoredEvent,
    override,
)
from shop.gen.orders import OrderPaid
from tests.bench import work
from tests.bench.fresh import anonymous_bytes

BATCH = 250
TENTHS = 10
MIB = 1 << 20
Passed = Callable[[int], None]  # so many more events
Way = Callable[[Store, int, Passed], None]


class Number(Struct, frozen=True):
    number: int = 0


class Counting(RawProjection[Number]):
    """How many events there are."""

    KINDS: ClassVar[frozenset[EventKind]] = frozenset({OrderPaid.KIND})

    @override
    def initial(self) -> Number:
        return Number()

    @override
    def apply(self, state: Number, _event: StoredEvent[bytes], /) -> Number:
        return Number(state.number + 1)


def append(store: Store, count: int, passed: Passed) -> None:
    items = [BatchItem(place, payload) for place, payload in work.make(BATCH).placed]
    for _ in range(count // BATCH):
        store.append_batch(items)
        passed(BATCH)


def scan(store: Store, _count: int, passed: Passed) -> None:
    for number, _ in enumerate(store.query(form=Form.RAW), 1):
        if number % BATCH == 0:
            passed(BATCH)


def pull(store: Store, _count: int, passed: Passed) -> None:
    with store.cursor_guaranteed() as cursor:
        while events := cursor.poll_batch(BATCH):
            passed(len(events))


def handle(store: Store, count: int, passed: Passed) -> None:
    left = count

    def count_down(
        events: Sequence[StoredEvent[EventPayload]], _witness: AtLeastOnce | None
    ) -> Step | None:
        nonlocal left
        left -= len(events)
        passed(len(events))
        return None if left else Step.STOP

    store.cursor_worker(Region.all(), count_down, batch_size=BATCH).join()


def project(store: Store, count: int, passed: Passed) -> None:
    for before, upto in pairwise((0, count // TENTHS, count)):  # from the beginning each time
        state = store.project(Counting(), Region.all(), upto=upto)
        assert state == Number(upto)
        passed(upto - before)


WAYS: dict[str, Way] = {
    "append in batches": append,
    "query, raw": scan,
    "pull with a cursor": pull,
    "handle with a worker": handle,
    "project a region": project,
}


def sizes(store: Store, count: int, way: Way) -> list[int]:
    """The size behind the tenths."""
    seen: list[int] = []
    done = 0

    def passed(number: int) -> None:
        nonlocal done
        before, done = done, done + number
        if before * TENTHS // count != done * TENTHS // count:
            seen.append(anonymous_bytes())

    way(store, count, passed)
    return seen


def main(
    events: Annotated[int, typer.Option(min=TENTHS * BATCH, help="So many.")] = 10_000_000,
) -> None:
    """Write so many events, read them in every way, and say what that takes of memory."""
    count = events // (TENTHS * BATCH) * TENTHS * BATCH
    config = StoreConfig(lifecycle_events=False, durability=Durability.OS)
    table = Table(title=f"anonymous memory, {count:,} events", title_justify="left")
    for name in ("", "after a tenth, MiB", "at most", "at the end", "events a second"):
        table.add_column(name, justify="right" if name else "left")
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        Store.open(Path(folder, "store"), config) as store,
    ):
        for name, way in WAYS.items():
            began = time.perf_counter()
            found = sizes(store, count, way)
            rate = count / (time.perf_counter() - began)
            figures = [f"{size / MIB:.1f}" for size in (found[0], max(found), found[-1])]
            table.add_row(name, *figures, f"{rate:,.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
