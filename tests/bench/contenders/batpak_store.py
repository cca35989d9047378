"""This store, through its public interface and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from batpak import (
    BatchItem,
    Coordinate,
    Durability,
    EventId,
    Limits,
    Store,
    StoreConfig,
    StoreReader,
)
from shop.gen.orders import OrderPaid
from tests.bench.work import Work

FOLDER: Final = "store"
BATCH_MAX: Final = 4096
_FILL: Final = 1000  # events of one batch while a store is made to read from


def config(durability: Durability, *, segment_bytes: int | None = None) -> StoreConfig:
    """Everything at its default but the durability, the size of a batch and of a segment."""
    limits = Limits(batch_max_items=BATCH_MAX)
    if segment_bytes is not None:
        limits = msgspec.structs.replace(limits, segment_max_bytes=segment_bytes)
    return StoreConfig(durability=durability, limits=limits)


def create(
    folder: Path, durability: Durability = Durability.OS, *, segment_bytes: int | None = None
) -> Store:
    return Store.open(folder / FOLDER, config(durability, segment_bytes=segment_bytes))


def append(work: Work, folder: Path, durability: Durability) -> tuple[float, float]:
    """One append for each event: seconds with the close, which seals, and seconds without."""
    store = create(folder, durability)
    one = store.append
    began = time.perf_counter()
    for coordinate, payload in work.placed:
        one(coordinate, payload)
    appended = time.perf_counter()
    store.close()
    return time.perf_counter() - began, appended - began


def append_batches(work: Work, folder: Path, size: int) -> float:
    """One `append_batch` for each `size` events; making the items is inside the timer."""
    store, placed = create(folder), work.placed
    began = time.perf_counter()
    for start in range(0, len(placed), size):
        store.append_batch([BatchItem(at, fact) for at, fact in placed[start : start + size]])
    store.close()
    return time.perf_counter() - began


def fill(work: Work, folder: Path, count: int, *, segment_bytes: int | None = None) -> None:
    """Make a closed store of `count` events, to read from."""
    with create(folder, segment_bytes=segment_bytes) as store:
        append_over(store, work, count)


def append_over(store: Store, work: Work, count: int) -> None:
    """Append `count` events as fast as this store can."""
    events: Iterator[tuple[Coordinate, OrderPaid]] = work.placed_over(count)
    while placed := list(islice(events, _FILL)):
        store.append_batch([BatchItem(at, fact) for at, fact in placed])


def ids(store: StoreReader) -> list[EventId]:
    return [event.event_id for event in store.by_fact(OrderPaid)]


def get(store: StoreReader, wanted: Sequence[EventId]) -> None:
    one = store.get
    for event_id in wanted:
        one(event_id).payload  # noqa: B018  decoded, whenever it is that a store does that


def streams(store: StoreReader, entities: Sequence[str]) -> int:
    """Every event of each entity, typed."""
    count = 0
    for entity in entities:
        for event in store.stream(entity):
            event.payload  # noqa: B018
            count += 1
    return count


def scan(store: StoreReader) -> int:
    count = 0
    for event in store.query():
        event.payload  # noqa: B018
        count += 1
    return count


def stored_bytes(folder: Path) -> int:
    """Of all segments, footers included."""
    return sum(path.stat().st_size for path in (folder / FOLDER).glob("*.fbat"))


def segments(folder: Path) -> int:
    return len(list((folder / FOLDER).glob("*.fbat")))
