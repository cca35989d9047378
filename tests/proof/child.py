"""Programs that run in child processes: how they are started, what they tell, and what must hold.

A child is a fork of whoever runs a job, so it runs the same engine, whatever has been done to it.
It tells each thing that it was told by the store over a pipe, the moment it knows; whatever ends it
then, `Kept` holds what was told against what is there.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from batpak.append import AppendReceipt, BatchItem
from batpak.config import StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError
from batpak.event import StoredEvent
from batpak.payload import EventPayload
from batpak.platform import REAL, Platform
from batpak.reader import StoreReader
from batpak.store import Store
from tests.facts import Said

T = TypeVar("T")

PATIENCE_S: Final = 20.0  # longer than anything here takes
OPEN_S_MAX: Final = 2.0
EVENTS_MAX: Final = 300
FILES_MAX: Final = 20
BYTES_MAX: Final = 2 << 20

# ----------------------------------------------------------------------------- what a child tells


class Opened(Struct, frozen=True, tag=True):
    """An open for writing has returned."""

    count: int  # events, with the one that says so, if there is one
    head: str  # hash of the last
    took_s: float
    clean: bool


class Stored(Struct, frozen=True, tag=True):
    """A unit was acknowledged: an event, or a batch."""

    unit: int
    first: int  # sequence
    hashes: list[str]
    replayed: bool = False


class Refused(Struct, frozen=True, tag=True):
    """A call has raised."""

    what: str
    error: str  # the class
    typed: bool
    text: str
    code: int | None = None  # the errno
    unit: int = -1  # if it was about one


class Seen(Struct, frozen=True, tag=True):
    """What a read has shown."""

    count: int
    head: str


class Reached(Struct, frozen=True, tag=True):
    """The program has come to a point with a name."""

    where: str


Told: TypeAlias = Opened | Stored | Refused | Seen | Reached
Tell: TypeAlias = Callable[[Told], None]

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Told).decode


def line_of(told: Told) -> bytes:
    """What goes over the pipe: short enough to arrive as a whole, or not at all."""
    return _encode(told) + b"\n"


def heard(data: bytes) -> list[Told]:
    """What was told; a last line may be cut."""
    return [_decode(line) for line in data.split(b"\n")[:-1]]


def refused(what: str, error: BaseException, unit: int = -1) -> Refused:
    """An exception, as it is told."""
    typed, cause = isinstance(error, BatpakError), getattr(error, "cause", error)
    code = getattr(cause, "errno", None)
    return Refused(what, type(error).__name__, typed, str(error)[:300], code, unit)


# ----------------------------------------------------------------------------------- the process


class Ended(NamedTuple):
    """A child that is gone."""

    told: list[Told]
    status: int  # of its exit, or the signal, negative
    hung: bool

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it, when it was due."""
        return self.status == -signal.SIGKILL and not self.hung

    def of(self, kind: type[T]) -> list[T]:
        return [one for one in self.told if isinstance(one, kind)]


class Child:
    """A forked process that does one thing.

    Nothing of its parent runs in it but that: it ends by `os._exit`, whatever happens.

    Args:
        work: What it does. What it raises is told, and is exit status 1.
    """

    def __init__(self, work: Callable[[Tell], None]) -> None:
        self._pipe, end = os.pipe()
        with warnings.catch_warnings():
            # Later Pythons warn where there are threads: their locks stay locked in the child. It
            # takes none of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _work(work, end)
        os.close(end)

    def end(self, kill_after_s: float | None = None, *, once_open: bool = False) -> Ended:
        """Listen until it has ended.

        Args:
            kill_after_s: When it is killed. None: when it hangs.
            once_open: Whether the time begins with the first word that it tells.
        """
        wait_s = PATIENCE_S if kill_after_s is None or once_open else kill_after_s
        due = time.monotonic() + wait_s
        data, late = b"", False
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while True:
            wait_ms = None if late else max(0.0, due - time.monotonic()) * 1000
            if not poll.poll(wait_ms):
                os.kill(self.pid, signal.SIGKILL)
                late = True
                continue
            some = os.read(self._pipe, 1 << 16)
            if not some:
                break
            if not data and once_open:
                due = time.monotonic() + (kill_after_s or 0.0)
            data += some
        os.close(self._pipe)
        _, status = os.waitpid(self.pid, 0)
        hung = late and kill_after_s is None
        return Ended(heard(data), os.waitstatus_to_exitcode(status), hung)


def _work(work: Callable[[Tell], None], pipe: int) -> NoReturn:
    """In the child."""
    status = 1
    try:
        logging.disable(logging.CRITICAL)  # what is refused on purpose is no news

        def tell(told: Told) -> None:
            os.write(pipe, line_of(told))

        try:
            work(tell)
            status = 0
        except BaseException as error:  # noqa: BLE001  nothing of the parent may run here
            tell(refused("the program", error))
    finally:
        os._exit(status)


# ---------------------------------------------------------------------------------- the programs


class Work:
    """A program at work on a store.

    Args:
        tell: Who hears what the store answers.
        path: Of the store.
        first: The number of its first unit.
        platform: The world.
    """

    def __init__(self, tell: Tell, path: Path, first: int, platform: Platform = REAL) -> None:
        self.tell, self.path, self.platform = tell, path, platform
        self.unit = first

    def open(self, config: StoreConfig) -> Store:
        """Open it, and tell."""
        began = time.monotonic()
        store = Store.open(self.path, config, platform=self.platform)
        took_s = time.monotonic() - began
        now = picture(store)
        self.tell(Opened(now.count, now.head, took_s, store.open_report.clean))
        return store

    def store(self, store: Store, *sizes: int, keyed: bool = False) -> None:
        """Append the next unit, an event or a batch of several, and tell."""
        unit = self.unit
        self.unit += 1
        self.tell(append(store, unit, sizes, keyed=keyed))

    def attempt(self, store: Store, *sizes: int) -> bool:
        """Likewise; also tell of a refusal, and whether it was none."""
        unit = self.unit
        try:
            self.store(store, *sizes)
        except Exception as error:  # noqa: BLE001  also one that is not typed, which is a finding
            self.tell(refused("append", error, unit))
            return False
        return True

    def ask(self, what: str, call: Callable[[], object]) -> None:
        """Call something else, and tell of a refusal."""
        try:
            call()
        except Exception as error:  # noqa: BLE001  likewise
            self.tell(refused(what, error))


def append(store: Store, unit: int, sizes: tuple[int, ...], *, keyed: bool = False) -> Stored:
    """Append a unit, as an event or as a batch; its receipts."""
    items = [
        BatchItem(
            Coordinate(f"writer:{(unit + n) % 3}", "acme"),
            Said(text=f"{unit} {n} {len(sizes)} {'x' * size}"),
        )
        for n, size in enumerate(sizes)
    ]
    key = f"unit {unit}" if keyed else None
    receipts: tuple[AppendReceipt, ...]
    payload = items[0].payload
    if len(items) == 1 and isinstance(payload, Said):
        receipts = (store.append(items[0].coord, payload, idempotency_key=key),)
    else:
        receipts = store.append_batch(items, idempotency_key=key)
    hashes = [one.event_hash.hex() for one in receipts]
    assert [one.sequence for one in receipts] == list(
        range(receipts[0].sequence, receipts[0].sequence + len(sizes))
    )
    return Stored(unit, receipts[0].sequence, hashes, receipts[0].replayed)


def picture(store: StoreReader) -> Seen:
    """The end of a log, as it is now."""
    last = list(store.query(reverse=True, limit=1))
    if not last:
        return Seen(0, "")
    return Seen(last[0].sequence + 1, last[0].event_hash.hex())


# ---------------------------------------------------------------------------------- what must hold


class Kept:
    """One store through many stops: all that was told of it, and all that was seen in it.

    Args:
        path: Of the store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hashes: list[str] = []  # of every event that a reader was shown
        self.units: set[int] = set()  # the units that are there
        self.acknowledged = 0

    @property
    def next_unit(self) -> int:
        """A number that no unit has."""
        return max(self.units, default=-1) + 1

    @property
    def is_large(self) -> bool:
        """Whether to go on with another one, since all of it is read after each kill."""
        sizes = [file.stat().st_size for file in self.path.glob("*.fbat")]
        return len(self.hashes) > EVENTS_MAX or len(sizes) > FILES_MAX or sum(sizes) > BYTES_MAX

    def hold(self, ended: Ended, *, writers: int = 1) -> list[int]:
        """Hold the store against what a child was told; the units that are new.

        Every event that was ever shown or acknowledged is there and equal; sequences and versions
        have no gap; units are whole, in order; `verify` finds nothing. What was written and not
        acknowledged is at most one unit of each writer.
        """
        assert not ended.hung, "the child has not ended by itself"
        before = len(self.hashes)
        events = self.read() if self.exists() else []
        there = {event.sequence: event.event_hash.hex() for event in events}
        hashes = [  # what was dropped has been shown before
            there.get(n) or (self.hashes[n] if n < before else "never shown")
            for n in range(max(there, default=-1) + 1)
        ]
        assert hashes[:before] == self.hashes, "what a reader was shown is gone, or another"
        for opened in ended.of(Opened):
            assert opened.took_s < OPEN_S_MAX, f"an open took {opened.took_s:.1f} s"
            assert hashes[opened.count - 1] == opened.head, "a writer has opened another log"
            assert opened.count >= before, "a writer has opened an older log"
        told = ended.of(Stored)
        for one in told:
            found = hashes[one.first : one.first + len(one.hashes)]
            assert found == one.hashes, f"unit {one.unit} was acknowledged and is not there"
        units = list(whole([event for event in events if event.sequence >= before]))
        assert len(set(units)) == len(units), "a unit is there twice"
        assert not self.units & set(units), "a unit is there for the second time"
        acknowledged = {one.unit for one in told}
        assert acknowledged <= self.units | set(units), "a unit is there under another number"
        extra = [unit for unit in units if unit not in acknowledged]
        assert len(extra) <= writers, f"nobody was told of {extra}"
        if writers == 1:
            assert units == sorted(units), "the order has changed"
            assert extra in ([], units[-1:]), "a unit was not acknowledged, and a later one was"
        self.hashes, self.units = hashes, self.units | set(units)
        self.acknowledged += len(told)
        return units

    def exists(self) -> bool:
        """Whether the creation of a store had gone so far that it has a HEAD."""
        return bool(self.hashes) or (self.path / "HEAD").exists()

    def read(self) -> list[StoredEvent[EventPayload]]:
        """All events, as a reader sees them; they are sound."""
        began = time.monotonic()
        with Store.open_read_only(self.path) as reader:
            took_s = time.monotonic() - began
            events = list(reader.query())
            report, dropped = reader.verify(), reader.stats().dropped
        assert took_s < OPEN_S_MAX, f"an open took {took_s:.1f} s"
        assert report.ok, f"{report.findings}"
        sequences = [event.sequence for event in events]
        assert sequences == sorted(set(sequences)), "out of order"
        assert len(events) + dropped == max(sequences, default=-1) + 1, "a gap"
        versions: dict[str, int] = {}
        gaps = 0
        for event in events:
            entity = event.coordinate.entity
            gap = event.version - versions.get(entity, 0) - 1
            assert gap >= 0, f"version {event.version} of {entity}"
            versions[entity], gaps = event.version, gaps + gap
        assert gaps == dropped, "versions are missing"
        return events


def whole(events: list[StoredEvent[EventPayload]]) -> Iterator[int]:
    """The units that some events are; each has to be whole. The store's own events are none."""
    texts = [event.payload.text for event in events if isinstance(event.payload, Said)]
    at = 0
    while at < len(texts):
        unit, _, count, pad = texts[at].split(" ", 3)
        assert not pad.strip("x"), "another text"
        for n in range(int(count)):
            found = texts[at + n].split(" ", 3)[:3] if at + n < len(texts) else "the end"
            assert found == [unit, str(n), count], f"item {n} of unit {unit} is {found}"
        at += int(count)
        yield int(unit)
