"""Programs that use a store, and the diary in which each writes down what it did and was told.

Every capability that changes what is on the disk has its program here; the families run them all.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from batpak.append import AppendReceipt, BatchItem
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import StorageFailed, StorePoisoned
from batpak.event import StoredEvent
from batpak.fence import VisibilityFence
from batpak.guard.proposal import Proposal
from batpak.payload import EventPayload
from batpak.pipeline import Pipeline
from batpak.report import CompactionReport
from batpak.store import Store
from batpak.testing.faults import Part, Partial
from batpak.testing.platform import SimPlatform
from batpak.wire import Form
from tests.facts import Said

LARGE: Final = 270_000  # bytes: a file with such an event has a footer also if it is the last one


def config_of(durability: Durability, *, lifecycle_events: bool = False) -> StoreConfig:
    """Small files, so that a short program has several."""
    return StoreConfig(
        lifecycle_events=lifecycle_events,
        durability=durability,
        sync_every_n_events=4,
        limits=Limits(segment_max_bytes=4 << 10),
    )


class Diary:
    """What a program has done, in order, and what it knows of it.

    A unit is what is stored whole or not at all: the texts of one event, or of a batch.
    """

    def __init__(self, sim: SimPlatform, config: StoreConfig) -> None:
        self.sim, self.config = sim, config
        self.units: list[list[str]] = []
        self.answered: list[tuple[int, int]] = []  # after so many operations: units acknowledged
        self.durable: list[tuple[int, int]] = []  # likewise, and known to be durable
        self.refused: dict[int, int] = {}  # unit -> after so many operations its refusal was told
        self._left: list[VisibilityFence] = []  # open: likewise
        self.dropped: list[str] = []  # what a compaction was asked to drop …
        self.erased: list[str] = []  # … or to erase
        self.gone_at: int | None = None  # after so many operations it had answered
        self._killed: list[Store] = []  # kept, since whoever collects one would end it in order

    def open(self) -> Store:
        return Store.open("store", self.config, platform=self.sim)

    def store(self, store: Store, *sizes: int, keyed: bool = False) -> None:
        """Append one event, or a batch of several."""
        self.unit(sizes)
        self.attempt(partial(self._write, store, len(self.units) - 1, keyed=keyed))

    def _write(self, store: Store, number: int, *, keyed: bool) -> tuple[AppendReceipt, ...]:
        items, key = self.items(number), f"unit {number}" if keyed else None
        payload = items[0].payload
        if len(items) == 1 and isinstance(payload, Said):
            return (store.append(items[0].coord, payload, idempotency_key=key),)
        return store.append_batch(items, idempotency_key=key)

    def again(self, store: Store, number: int) -> None:
        """Repeat a unit that was stored with a key: that is no second one, even if it is gone."""
        receipts = self._write(store, number, keyed=True)
        assert all(receipt.replayed for receipt in receipts), f"unit {number} is stored twice"

    def bypass(self, store: Store, size: int, why: int) -> None:
        """Store an event past all gates; the second text of the unit is that of its audit."""
        item, audit = self.unit((size, why))
        assert isinstance(item.payload, Said)
        assert isinstance(audit.payload, Said)
        reason = Unjudged(audit.payload.text)
        receipt = Pipeline.bypass(Proposal(item.payload), reason, approved_by="ada")
        self.attempt(partial(Pipeline.commit_bypass, receipt, store, item.coord))

    def fence(self, store: Store, *sizes: int) -> None:
        """Store a unit with a fence: the first event alone, the others as a batch."""
        first, *rest = self.unit(sizes)
        payload = first.payload
        assert isinstance(payload, Said)

        def write() -> None:
            with store.visibility_fence() as fence:
                cause = fence.append(first.coord, payload)
                fence.append_batch(rest, caused_by=cause)

        self.attempt(write)

    def give_up(self, store: Store, *, leave_open: bool = False) -> None:
        """Stage something of which nothing may ever be seen."""
        with suppress(StorePoisoned):
            fence = store.visibility_fence()
            fence.append(Coordinate("writer:0", "acme"), Said(text="never"))
            if leave_open:
                self._left.append(fence)
            else:
                fence.cancel()

    def attempt(self, write: Callable[[], object]) -> None:
        """Store the newest unit."""
        write()
        self.told(durable=self.config.durability is Durability.COMMIT)

    def store_together(self, store: Store, *units: tuple[int, ...]) -> None:
        """Submit several units, so that one group has them all, and wait for them."""
        tickets = [store.submit_batch(self.unit(sizes)) for sizes in units]
        for ticket in tickets:
            ticket.result()
        self.told(durable=self.config.durability is Durability.COMMIT)

    def refuse(self, store: Store, *units: tuple[int, ...]) -> None:
        """Submit several units whose write is refused when half of it is done."""
        first = len(self.units)
        tickets = [store.submit_batch(self.unit(sizes)) for sizes in units]
        self.sim.fail_at(1, Partial(Part.HALF, errno.EIO), kind="write")
        for number, ticket in enumerate(tickets, first):
            assert isinstance(ticket.exception(), StorageFailed), "it was not refused"
            self.refused[number] = len(self.sim.operations)

    def compact(self, store: Store) -> None:
        """Make one file of all that are complete."""
        self.sim.run_background()
        self.rewrite(store.compact)

    def rewrite(self, compact: Callable[[], CompactionReport]) -> None:
        """Do what changes files and no event but those that are to go."""
        report = compact()
        if report.dropped or report.erased:
            self.gone_at = len(self.sim.operations)

    def drop(self, store: Store, *sizes: int) -> None:
        """Drop the texts of so many bytes; one removal in a program."""
        goes = self._removal(store, sizes, self.dropped)
        self.rewrite(partial(store.compact, retain=lambda event: not goes(event), form=Form.TYPED))

    def erase(self, store: Store, *sizes: int) -> None:
        """Erase them, likewise."""
        goes = self._removal(store, sizes, self.erased)
        self.rewrite(partial(store.compact, tombstone=goes, form=Form.TYPED))

    def _removal(
        self, store: Store, sizes: tuple[int, ...], gone: list[str]
    ) -> Callable[[StoredEvent[EventPayload]], bool]:
        """Whether an event is to go. Who asks that lets others go on, and complete files."""
        meanwhile = [1500, 2900, 35]

        def goes(event: StoredEvent[EventPayload]) -> bool:
            payload = event.payload
            if meanwhile:
                self.store(store, meanwhile.pop())
            if not isinstance(payload, Said) or payload.text.count("x") not in sizes:
                return False
            gone.append(payload.text)
            return True

        return goes

    def sync(self, store: Store) -> None:
        store.sync()
        self.told(durable=True)

    def close(self, store: Store) -> None:
        store.close()
        self.told(durable=True)

    def kill(self, store: Store) -> None:
        """The process is gone: its lock with it, and nobody closes anything."""
        self._killed.append(store)
        self.sim.disk.locks.clear()

    def told(self, *, durable: bool) -> None:
        now = len(self.sim.operations), len(self.units)
        self.answered.append(now)
        if durable:
            self.durable.append(now)

    def units_at(self, at: int, count: int | None = None) -> list[list[str]]:
        """Which of the first units there may be after so many operations: not the refused."""
        return [
            unit
            for number, unit in enumerate(self.units[:count])
            if number not in self.refused or self.refused[number] > at
        ]

    def unit(self, sizes: tuple[int, ...]) -> list[BatchItem]:
        number = len(self.units)
        self.units.append([f"{number} {n} " + "x" * size for n, size in enumerate(sizes)])
        return self.items(number)

    def items(self, number: int) -> list[BatchItem]:
        """What is stored of a unit."""
        return [
            BatchItem(Coordinate(f"writer:{(number + n) % 3}", "acme"), Said(text=text))
            for n, text in enumerate(self.units[number])
        ]


@dataclass(frozen=True)
class Unjudged:
    """Why nobody judged a unit."""

    justification: str
    reason: str = "proof"


Program = Callable[[Diary], None]


def singles(diary: Diary) -> None:
    with diary.open() as store:
        for n in range(8):
            diary.store(store, 100 * n)
        diary.sync(store)


def batches(diary: Diary) -> None:
    with diary.open() as store:
        diary.store(store, 10, 10, 10)
        diary.store(store, 1500, 20, 900)
        diary.store(store, 50)
        diary.store(store, 5, 5, 5, 5, 5)


def groups(diary: Diary) -> None:
    """Several units in one write; one of them ends behind the size at which a file does."""
    with diary.open() as store:
        diary.store_together(store, (10,), (20, 30), (5,))
        diary.store_together(store, (900, 900), (10,), (2500,), (10, 10, 10))
        diary.store_together(store, (10,), (10,))


def rotations(diary: Diary) -> None:
    """Several files; a batch that is larger than one; the sealer has its turns."""
    with diary.open() as store:
        for n in range(4):
            diary.store(store, 1500)
            diary.store(store, 10)
            if n == 2:
                diary.sim.run_background()
        diary.store(store, 3000, 10, 3000)
        diary.store(store, 20)
        diary.store(store, 20, 20)
        diary.sim.run_background()


def reopened(diary: Diary) -> None:
    for n in range(3):
        store = diary.open()
        diary.store(store, 700 * n)
        diary.store(store, 10, 1200)
        diary.close(store)


def footed(diary: Diary) -> None:
    """The last file has a footer when it is closed, and the next writer begins another one."""
    for _ in range(2):
        store = diary.open()
        diary.store(store, 10)
        diary.store(store, LARGE)
        diary.close(store)
    with diary.open() as store:
        diary.store(store, 10, 20)


def keyed(diary: Diary) -> None:
    with diary.open() as store:
        for n in range(6):
            diary.store(store, *([300] * (n % 3 + 1)), keyed=True)


def abandoned(diary: Diary) -> None:
    """Each process is killed and the next one recovers what it left; the last closes."""
    for n in range(4):
        store = diary.open()
        diary.store(store, 10, 900)
        diary.store(store, 300 * n)
        diary.kill(store)
    with diary.open() as store:
        diary.store(store, 10)


def bypassed(diary: Diary) -> None:
    """Events and their audits, on both sides of the end of a file."""
    with diary.open() as store:
        diary.bypass(store, 10, 20)
        diary.store(store, 30)
        diary.bypass(store, 1500, 2200)
        diary.bypass(store, 10, 10)


def fenced(diary: Diary) -> None:
    """Groups that nobody may see in part, some of them larger than a file, and some given up."""
    store = diary.open()
    diary.fence(store, 10, 20, 30)
    diary.give_up(store)
    diary.store(store, 10)
    diary.fence(store, 900, 2500, 10)
    diary.fence(store, 1500, 10, 1500, 3000, 20)
    diary.give_up(store, leave_open=True)
    diary.kill(store)
    with diary.open() as store:
        diary.fence(store, 700)
        diary.store(store, 10, 10)


def refused(diary: Diary) -> None:
    """Writes that a disk refuses half-way; what comes next is as large as the first of them."""
    with diary.open() as store:
        diary.store(store, 30)
        diary.refuse(store, (20,), (30,), (40, 40))
        diary.store(store, 20)
        diary.refuse(store, (300,), (10,), (10,))
        diary.store(store, 300)
        diary.store(store, 10, 10)


def compacted(diary: Diary) -> None:
    """Files are merged, merged again, and lose some of their events, while others are added."""
    store = diary.open()
    for n in range(4):
        diary.store(store, 1900 + n)
        diary.store(store, 10, 20)
    diary.compact(store)
    for _ in range(3):
        diary.store(store, 2500, 30)
    diary.drop(store, 20, 1901, 1903)
    diary.store(store, 40)
    diary.close(store)
    with diary.open() as store:
        for _ in range(2):
            diary.store(store, 3000)
        diary.compact(store)
        diary.store(store, 50)


def erased(diary: Diary) -> None:
    """Payloads go, also of the file that grows; their events are merged, and their keys stay."""
    store = diary.open()
    diary.store(store, 1900, keyed=True)
    diary.store(store, 10, 20, keyed=True)
    diary.store(store, 2500)
    diary.store(store, 20, 30, keyed=True)
    diary.erase(store, 20, 1900)
    for number in (0, 1, 3):
        diary.again(store, number)
    diary.store(store, 40)
    diary.close(store)
    with diary.open() as store:
        diary.store(store, 3000)
        diary.compact(store)
        diary.again(store, 3)


def mixed(diary: Diary) -> None:
    """Some of everything."""
    store = diary.open()
    diary.store(store, 200, keyed=True)
    diary.store_together(store, (10,), (600, 20))
    diary.store(store, 1200, 1200, 1200)
    diary.sync(store)
    diary.store(store, 30)
    diary.close(store)
    with diary.open() as store:
        diary.store(store, 10, keyed=True)
        diary.sim.run_background()
        diary.store(store, 2500)
        diary.store_together(store, (40, 40), (10,))


PROGRAMS: Final[dict[str, Program]] = {
    program.__name__: program
    for program in (
        singles,
        batches,
        groups,
        rotations,
        reopened,
        footed,
        keyed,
        abandoned,
        bypassed,
        fenced,
        refused,
        compacted,
        erased,
        mixed,
    )
}


def played(
    program: str, durability: Durability, *, mapped: bool, seed: int, lifecycle: bool = False
) -> Diary:
    """The diary of one whole run on a machine that nothing happens to."""
    sim = SimPlatform(seed=seed, mapped=mapped)
    diary = Diary(sim, config_of(durability, lifecycle_events=lifecycle))
    PROGRAMS[program](diary)
    return diary
