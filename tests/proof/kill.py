"""kill: SIGKILL of a real process on a real disk, at every kind of call and at random times.

What is written survives a kill at every level of durability, so here nothing may be gone that was
acknowledged or only seen; a store goes through all the kills of its job. The points are calls of
the disk's seam, before and after: what lies between two of them changes nothing on the disk.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Final, NamedTuple

from batpak.config import Durability, Limits, StoreConfig
from batpak.errors import IdempotencyConflict
from batpak.event import StoredEvent
from batpak.platform import REAL, Platform
from batpak.store import Store
from batpak.testing.disk import Call
from batpak.testing.faults import Kind
from batpak.testing.watched import watched
from tests.facts import Said
from tests.proof import moving
from tests.proof.child import (
    Child,
    Ended,
    Kept,
    Reached,
    Refused,
    Stored,
    Tell,
    Work,
    append,
    refused,
)
from tests.proof.family import SEED, Job, Size, Tally

SMALL: Final = Limits(segment_max_bytes=4 << 10)
DEFAULT: Final = StoreConfig()
ROTATING: Final = StoreConfig(limits=SMALL)
FAST: Final = StoreConfig(durability=Durability.OS, limits=Limits(segment_max_bytes=64 << 10))

WRITERS: Final = 3
MANY: Final = 2_000  # events; the store has been through dozens of kills then

POINTS: Final[tuple[Kind, ...]] = (
    "open_dir", "lock", "create", "append", "subdir", "reserve", "write", "sync", "truncate",
    "close", "replace", "syncdir", "unlink",
)  # fmt: skip
"""Calls before or after which the disk is another one than at any other point."""
SOMETIMES: Final[set[Kind]] = {"subdir", "unlink"}  # only where there is something to recover

# ---------------------------------------------------------------------------------- the programs


def singles(work: Work) -> None:
    """The default settings: every append is synced."""
    with work.open(DEFAULT) as store:
        for size in (10, 300, 40, 2_000, 5):
            work.store(store, size)


def batches(work: Work) -> None:
    """Batches of 1 to 50; a file ends behind, and one batch is larger than a file."""
    with work.open(ROTATING) as store:
        for sizes in ([40] * 7, [5] * 50, [1_500, 10, 3_000], [10]):
            work.store(store, *sizes)


def rotations(work: Work) -> None:
    """A new file every few events, and a thread that seals the old ones."""
    with work.open(ROTATING) as store:
        for size in (1_800, 1_800, 900, 3_900, 1_800, 2_000):
            work.store(store, size)


def reopened(work: Work) -> None:
    """Closed in order and opened again; one file is large enough for a footer of its own."""
    for size in (10, 270_000):
        with work.open(DEFAULT) as store:
            work.store(store, size)
            work.store(store, 10, 10)


def copied(work: Work) -> None:
    """Files are merged, and the store is copied, over and over to the same name."""
    copy = copy_of(work.path)
    shutil.rmtree(copy, ignore_errors=True)
    with work.open(ROTATING) as store:
        for size in (1_800, 2_900, 40, 3_900):
            work.store(store, size)
        store.compact()
        store.snapshot(copy)
        work.store(store, 10)


def thinned(work: Work) -> None:
    """Older events are dropped, or their payloads erased; then the store is forked."""
    copy = copy_of(work.path)
    shutil.rmtree(copy, ignore_errors=True)
    with work.open(ROTATING) as store:
        old = store.frontier().visible

        def goes(event: StoredEvent[bytes]) -> bool:
            return event.sequence < old and event.sequence % 3 == 1 and event.kind == Said.KIND

        for size in (1_800, 2_900, 40, 3_900):
            work.store(store, size)
        if work.unit % 2:
            store.compact(tombstone=goes)
        else:  # the last of an entity stays, and so shows how many there were
            store.compact(retain=lambda event: not goes(event))
        store.fork(copy)
        work.store(store, 10)


def copy_of(path: Path) -> Path:
    """Where a store is copied to."""
    return path.with_name(f"copy of {path.name}")


def require_copy(path: Path) -> None:
    """The copy is whole, or not there; it is the beginning of the store."""
    copy = copy_of(path)
    if not copy.exists():
        return
    with Store.open_read_only(copy) as whole, Store.open_read_only(path) as store:
        assert whole.verify().ok
        assert whole.open_report.clean
        records = [event.record for event in whole.query()]
        assert records == [event.record for event in store.query(limit=len(records))]
    assert len(list(path.parent.glob(f"{copy.name}.tmp-*"))) < 2, "drafts are left for ever"


def require_fork(path: Path) -> None:
    """As a copy, and another store."""
    require_copy(path)
    copy = copy_of(path)
    if copy.exists():
        with Store.open_read_only(copy) as fork, Store.open_read_only(path) as store:
            assert fork.store_id != store.store_id, "not a store of its own"


def recovery(work: Work) -> None:
    """No more than an open of what a killed process has left, and a close."""
    work.open(ROTATING).close()


Program = Callable[[Work], None]


class Point(NamedTuple):
    """Where a program is killed."""

    kind: Kind
    n: int  # the first is 1
    moment: str  # before or after


MOMENTS: Final = ("before", "after")


def killed_at(point: Point, tell: Tell) -> Platform:
    """The real disk, on which the process dies at some call."""
    numbers = count(1)

    def hook(call: Call) -> None:
        if call.kind == point.kind and next(numbers) == point.n:
            tell(Reached(str(call)))
            os.kill(os.getpid(), signal.SIGKILL)

    return watched(REAL, before=hook) if point.moment == "before" else watched(REAL, after=hook)


def killed(program: Program, kept: Kept, point: Point) -> Ended:
    """A child that dies at a point, if it comes there."""
    first = kept.next_unit
    ended = Child(lambda tell: program(Work(tell, kept.path, first, killed_at(point, tell)))).end()
    assert not ended.of(Refused), f"{ended.of(Refused)}"
    assert ended.status == (-signal.SIGKILL if ended.of(Reached) else 0), f"{ended}"
    return ended


# -------------------------------------------------------------------------------- at named points


def at_calls(
    tally: Tally,
    size: Size,
    program: Program,
    *,
    after: Program | None = None,
    require: Callable[[Path], None] | None = None,
) -> None:
    """Kill a program at its calls, kind by kind, n rising until it comes to its end.

    Args:
        tally: Where it is written down.
        size: How many of the calls.
        program: What is killed.
        after: What is killed each time before, somewhere, so that there is something to recover.
        require: What is asked besides.
    """
    rng = random.Random(SEED)  # noqa: S311  points, not secrets
    kinds: set[Kind] = set()
    turns = cycle(MOMENTS)
    with tempfile.TemporaryDirectory() as folder:
        stores = (Kept(Path(folder) / f"store {n}") for n in count())
        kept = next(stores)
        for kind in POINTS:
            for n in numbers(size):
                deaths = 0
                moments = MOMENTS if size is Size.LONG else (next(turns),)
                for moment in moments:
                    point = Point(kind, n, moment)
                    with tally.case(point):
                        if after is not None:
                            mess(tally, kept, after, rng)
                        ended = killed(program, kept, point)
                        kept.hold(ended)
                        if require is not None:
                            require(kept.path)
                        deaths += ended.was_killed
                tally.count("kills", deaths)
                kinds |= {kind} if deaths else set()
                if kept.is_large:
                    kept = next(stores)
                if deaths < len(moments):
                    break
    with tally.case("every kind of call"):
        missed = set(POINTS) - kinds - (SOMETIMES if after is None else set())
        assert not missed, f"nothing was killed at {missed}"


def numbers(size: Size) -> Iterator[int]:
    """All calls, or the first, second, fourth and so on."""
    n = 1
    while True:
        yield n
        n += 1 if size is Size.LONG else n


def mess(tally: Tally, kept: Kept, program: Program, rng: random.Random) -> None:
    """Kill a program somewhere in its appends; leave half a frame, and a file that has no name yet.

    Both are what a kill can leave that comes a little later or earlier.
    """
    ended = killed(program, kept, Point("write", rng.randrange(8, 12), "after"))
    tally.count("kills", int(ended.was_killed))
    file = max(kept.path.glob("*.fbat"))
    data = file.read_bytes()
    offsets = list(frames(data))
    torn = data[offsets[-2] : (offsets[-2] + offsets[-1]) // 2] if len(offsets) > 1 else b"torn"
    with file.open("r+b") as out:
        out.seek(offsets[-1])
        out.write(torn)
    (kept.path / "HEAD.tmp").write_bytes(b"half a HEAD")
    kept.hold(ended)


def frames(data: bytes) -> Iterator[int]:
    """Where the frames of a file begin, and where the last one ends; by their lengths."""
    at: int = 12 + struct.unpack_from(">I", data, 4)[0]
    yield at
    while data[at + 8 : at + 11] == b"\x95\xc4\xa6":
        at += 8 + struct.unpack_from(">I", data, at)[0]
        yield at


# ------------------------------------------------------------------------------------ an import


def imports(tally: Tally, size: Size) -> None:
    """Kill an import at its calls: whole batches are there, and another import completes it."""
    turns = cycle(MOMENTS)
    with tempfile.TemporaryDirectory() as folder:
        for kind in POINTS:
            for n in numbers(size):
                point, path = Point(kind, n, next(turns)), Path(folder) / f"{kind} {n}"
                with tally.case(point):
                    ended = Child(partial(bring, path, point)).end()
                    assert not ended.of(Refused), f"{ended.of(Refused)}"
                    assert ended.status == (-signal.SIGKILL if ended.of(Reached) else 0), f"{ended}"
                    with Store.open(path, moving.CONFIG) as store:
                        moving.again(store)
                tally.count("kills", int(ended.was_killed))
                if not ended.was_killed:
                    break


def bring(path: Path, point: Point, tell: Tell) -> None:
    """In the child."""
    with Store.open(path, moving.CONFIG, platform=killed_at(point, tell)) as store:
        store.import_events(moving.EVENTS, namespace="there", chunk=moving.BATCH - 1)


# ------------------------------------------------------------------------------ at random times


def at_any_time(tally: Tally, size: Size) -> None:
    """Kill three threads that append for ever, at two levels of durability, whatever they do."""
    rng = random.Random(SEED)  # noqa: S311  moments, not secrets
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder) / "store")
        for n in range(1_000 if size is Size.LONG else 12):
            config, first, after_s = (FAST, DEFAULT)[n % 2], kept.next_unit, rng.uniform(0, 0.01)
            with tally.case(f"kill {n}, after {after_s * 1000:.1f} ms"):
                child = Child(partial(for_ever, kept.path, first, config))
                ended = child.end(after_s, once_open=n % 5 > 0)
                assert not ended.of(Refused), f"{ended.of(Refused)}"
                assert ended.was_killed, f"{ended.status}"
                kept.hold(ended, writers=WRITERS)
                tally.count("kills")
                tally.count("acknowledged", len(ended.of(Stored)))
            if len(kept.hashes) > MANY:
                kept = Kept(Path(folder) / f"store {n}")


def for_ever(path: Path, first: int, config: StoreConfig, tell: Tell) -> None:
    """In the child: several threads append events and batches until it is killed."""
    store = Work(tell, path, first).open(config)
    units = count(first)

    def write() -> None:
        try:
            for unit in units:
                tell(append(store, unit, (100,) * (unit % 4 * 2 + 1)))
        except Exception as error:  # noqa: BLE001  a finding
            tell(refused("append", error))

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -------------------------------------------------------------------------- one key, one event


def retries(tally: Tally, size: Size) -> None:
    """Units with keys, old and new ones in any order, again and again; footers are spoiled between.

    A key that was used is known for ever, also if nobody was told: what is repeated is there once.
    """
    rng = random.Random(SEED)  # noqa: S311  moments, not secrets
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder) / "store")
        for n in range(200 if size is Size.LONG else 20):
            known, first, seed = set(kept.units), kept.next_unit, rng.getrandbits(32)
            with tally.case(f"kill {n}, seed {seed}"):
                child = Child(partial(repeat, kept.path, first, seed))
                ended = child.end(rng.uniform(0, 0.015), once_open=True)
                assert not ended.of(Refused), f"{ended.of(Refused)}"
                assert ended.was_killed, f"{ended.status}"
                kept.hold(ended)
                for one in ended.of(Stored):
                    assert one.replayed == (one.unit in known), f"{one.unit} is known, or not"
                    known.add(one.unit)
                    tally.count("retries", int(one.replayed))
                spoil(kept.path, rng)
                with Store.open(kept.path, FAST) as store:
                    for unit in rng.choices(sorted(kept.units), k=100) if kept.units else ():
                        again = keyed(store, unit)
                        assert again.replayed, f"unit {unit} was stored twice"
                        there = kept.hashes[again.first : again.first + len(again.hashes)]
                        assert there == again.hashes, f"unit {unit} was another one"
                        tally.count("retries")
                tally.count("kills")
        with tally.case("at the end"), Store.open(kept.path, FAST) as store:
            assert kept.units == set(range(len(kept.units)))
            for unit in range(0, len(kept.units), 7):
                conflicts(store, unit)
            assert store.verify().ok


def repeat(path: Path, first: int, seed: int, tell: Tell) -> None:
    """In the child: a new unit, then some older ones once more, until it is killed."""
    rng = random.Random(seed)  # noqa: S311  numbers, not secrets
    store = Work(tell, path, first).open(FAST)
    for unit in count(first):
        for again in (unit, *(rng.randrange(unit + 1) for _ in range(4))):
            tell(keyed(store, again))


def keyed(store: Store, unit: int) -> Stored:
    """A unit with a key of its own, for the first time or again."""
    return append(store, unit, (300,) * (unit % 3 + 1), keyed=True)


def conflicts(store: Store, unit: int) -> None:
    """Another content under the key of a unit is refused."""
    try:
        append(store, unit, (301,) * (unit % 3 + 1), keyed=True)
    except IdempotencyConflict:
        return
    raise AssertionError(f"the key of unit {unit} is free")


def spoil(path: Path, rng: random.Random) -> None:
    """Spoil or cut away what is derived: everything behind the frames of a sealed file."""
    for file in sorted(path.glob("*.fbat"))[:-1]:
        data = file.read_bytes()
        *_, end = frames(data)
        if rng.random() < 0.5:
            file.write_bytes(data[:end])
        elif len(data) > end:
            at = rng.randrange(end, len(data))
            file.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])


JOBS: Final = [
    Job("kill", "singles, at their calls", partial(at_calls, program=singles)),
    Job("kill", "batches, at their calls", partial(at_calls, program=batches)),
    Job("kill", "rotations, at their calls", partial(at_calls, program=rotations)),
    Job("kill", "close and open, at their calls", partial(at_calls, program=reopened)),
    Job(
        "kill",
        "a merge and a copy, at their calls",
        partial(at_calls, program=copied, require=require_copy),
    ),
    Job(
        "kill",
        "removals and a fork, at their calls",
        partial(at_calls, program=thinned, require=require_fork),
    ),
    Job("kill", "an import, at its calls", imports),
    Job("kill", "recovery, at its calls", partial(at_calls, program=recovery, after=batches)),
    Job("kill", "three writers, at any time", at_any_time),
    Job("kill", "retries, at any time", retries),
]
