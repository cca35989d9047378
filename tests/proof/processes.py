"""fork: several processes and one store; forks, races for the lock, and a lock that is stolen.

Every case runs in a child of its own, which tells what went wrong; so nothing that hangs there, or
ends there, is felt here.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final, cast
from uuid import UUID

from msgspec import Struct

from batpak.append import AppendReceipt, BatchItem
from batpak.config import Durability, Limits, StoreConfig
from batpak.errors import ForkedStoreError, StorageFailed, StoreLocked, StorePoisoned
from batpak.event import StoredEvent
from batpak.guard.verdict import Denial
from batpak.ids import EventId
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.projection import Projection
from batpak.read.reactor import Reactor
from batpak.reader import _give_back
from batpak.region import Region
from batpak.report import HealthState, Watermark
from batpak.store import Store
from tests.facts import USER, Counted
from tests.proof.child import Child, Kept, Reached, Stored, Tell, Work, append
from tests.proof.family import Job, Size, Tally

SMALL: Final = StoreConfig(limits=Limits(segment_max_bytes=16 << 10))
LOCK: Final = ".batpak.lock"
SOON_S: Final = 1.0

# ------------------------------------------------------------------------------------------ forks


class Number(Struct, frozen=True):
    """How many events of an entity there are."""

    n: int


class Numbers(Projection[Number]):
    @override
    def initial(self) -> Number:
        return Number(0)

    @override
    def apply(self, state: Number, event: StoredEvent[EventPayload], /) -> Number:
        return Number(max(state.n, event.version))


ID: Final = EventId(UUID(int=7 << 76))
CALLS: Final[dict[str, Callable[[Store], object]]] = {
    "append": lambda store: store.append(USER, Counted(n=1)),
    "append_raw": lambda store: store.append_raw(USER, Counted.KIND, b"\x81\xa1n\x01"),
    "append_batch": lambda store: store.append_batch([BatchItem(USER, Counted(n=1))]),
    "append_denial": lambda store: store.append_denial(USER, cast("Denial", None)),
    "submit": lambda store: store.submit(USER, Counted(n=1)),
    "submit_batch": lambda store: store.submit_batch([BatchItem(USER, Counted(n=1))]),
    "try_submit": lambda store: store.try_submit(USER, Counted(n=1)),
    "try_submit_batch": lambda store: store.try_submit_batch([BatchItem(USER, Counted(n=1))]),
    "outbox": lambda store: store.outbox(),
    "visibility_fence": lambda store: store.visibility_fence(),
    "pressure": lambda store: store.pressure(),
    "import_events": lambda store: store.import_events([], namespace="mine"),
    "sync": lambda store: store.sync(),
    "checkpoint": lambda store: store.checkpoint(),
    "compact": lambda store: store.compact(),
    "get": lambda store: store.get(0),
    "entries": lambda store: list(store.entries()),
    "query": lambda store: list(store.query()),
    "stream": lambda store: list(store.stream("user:1")),
    "by_scope": lambda store: list(store.by_scope("acme")),
    "by_fact": lambda store: list(store.by_fact(Counted)),
    "by_correlation": lambda store: list(store.by_correlation(ID)),
    "page": lambda store: store.page(),
    "count": lambda store: store.count(Region.all()),
    "version": lambda store: store.version("user:1"),
    "entities": lambda store: list(store.entities()),
    "project": lambda store: store.project(Numbers(), "user:1"),
    "project_if_changed": lambda store: store.project_if_changed(Numbers(), "user:1", since=0),
    "watch_projection": lambda store: store.watch_projection(Numbers(), "user:1").next(0),
    "rebuild_projection": lambda store: store.rebuild_projection(Numbers(), "user:1"),
    "subscribe_lossy": lambda store: store.subscribe_lossy().recv(0),
    "cursor_guaranteed": lambda store: store.cursor_guaranteed().poll(),
    "cursor_worker": lambda store: store.cursor_worker(Region.all(), lambda _, __: None),
    "react": lambda store: store.react(cast("Reactor[EventPayload]", None)),
    "cursor_checkpoints": lambda store: store.cursor_checkpoints(),
    "reset_cursor": lambda store: store.reset_cursor("mine", position=0),
    "wait_for": lambda store: store.wait_for(Watermark.VISIBLE, 1 << 40, timeout_s=0),
    "applier": lambda store: store.applier("mine"),
    "once_moved": lambda store: store.once_moved(lambda: None),
    "walk_ancestors": lambda store: store.walk_ancestors(ID),
    "why": lambda store: store.why(ID),
    "impact": lambda store: list(store.impact(ID)),
    "verify": lambda store: store.verify(),
    "verify_receipt": lambda store: store.verify_receipt(cast("AppendReceipt", None)),
    "prove": lambda store: store.prove(ID),
    "frontier": lambda store: store.frontier(),
    "fork": lambda store: store.fork("elsewhere"),
    "snapshot": lambda store: store.snapshot("elsewhere"),
    "stats": lambda store: store.stats(),
    "describe": lambda store: store.describe(),
    "diagnostics": lambda store: store.diagnostics(),
}
"""Everything that can be asked of a store, but for how it ends and what is known without asking."""


def forks(tally: Tally, size: Size, *, durability: Durability) -> None:
    """Fork a process that appends in several threads; in the child nothing works but the end."""
    with tally.case("every call is tried"):
        public = {name for name in dir(Store) if callable(getattr(Store, name))}
        missed = {name for name in public if not name.startswith("_")} - set(CALLS)
        assert missed == {"open", "open_read_only", "observe", "close"}, f"{missed}"
    config = StoreConfig(durability=durability, limits=SMALL.limits)
    for _ in range(14 if size is Size.LONG else 1):  # one child has not the time for all of them
        number = 25 if size is Size.LONG else 20
        with tempfile.TemporaryDirectory() as folder, tally.case("forks"):
            kept = Kept(Path(folder) / "store")
            ended = Child(partial(forking, kept.path, config, number)).end()
            assert ended.status == 0, f"{ended.told[-1:]}"
            kept.hold(ended, writers=0)
            tally.count("forks", ended.told.count(FORKED))
            tally.count("acknowledged", kept.acknowledged)


FORKED: Final = Reached("a child has ended")


def forking(path: Path, config: StoreConfig, number: int, tell: Tell) -> None:
    """In the child: a store under load, and children of its own."""
    store = Work(tell, path, 0).open(config)
    units, done = count(), threading.Event()
    tell(append(store, next(units), (10,)))

    def write() -> None:
        while not done.is_set():
            tell(append(store, next(units), (100,) * 3))
            time.sleep(0.0005)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for n in range(number):
            ended = Child(partial(orphan, store, ENDINGS[n % len(ENDINGS)])).end()
            assert (ended.status, ended.hung) == (0, False), f"{ended}"
            refused_soon(path, config)
            tell(FORKED)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert store.verify().ok
    tell(append(store, next(units), (10,)))
    store.close()


def orphan(store: Store, end: Callable[[Store], object], tell: Tell) -> None:
    """In the child of the child: a handle that is another process's."""
    for _ in range(2):  # also after what would end it
        for name, call in CALLS.items():
            opener: int | None = None
            try:
                call(store)
            except ForkedStoreError as error:
                opener = error.opener_pid
            assert opener == os.getppid(), f"{name} works in a forked child"
        assert store.health.state is HealthState.FORKED
        end(store)
    tell(FORKED)


def leave(store: Store) -> None:
    """End without a word."""


def collect(store: Store) -> None:
    """What happens when nobody can reach it any more."""
    _give_back(store._opened, store._opener_pid)


ENDINGS: Final[tuple[Callable[[Store], object], ...]] = (Store.close, leave, collect)


def refused_soon(path: Path, config: StoreConfig) -> int | None:
    """Nobody else gets the store now, and is told so at once; by whom it is held."""
    began, holder = time.monotonic(), None
    try:
        Store.open(path, config).close()
    except StoreLocked as error:
        holder = error.holder_pid
    else:
        raise AssertionError("there are two writers")
    assert time.monotonic() - began < SOON_S
    return holder


# ------------------------------------------------------------------------------------------ races


def races(tally: Tally, size: Size) -> None:
    """Processes that open one store at the same moment: one of them gets it."""
    crowd, rounds = (50, 200) if size is Size.LONG else (8, 10)
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder) / "store")
        for n in range(rounds):
            with tally.case(f"race {n}"):
                begin, over = os.pipe(), os.pipe()
                work = partial(contend, kept.path, n, begin, over)
                children = [Child(work) for _ in range(crowd)]
                for fd in (*begin, *over):
                    os.close(fd)
                race(kept, children)
                tally.count("races")


def race(kept: Kept, children: list[Child]) -> None:
    """One winner; the others were told who, or that somebody is about to be."""
    ended = {child.pid: child.end() for child in children}
    assert all(one.status == 0 for one in ended.values()), f"{ended}"
    winners = [pid for pid, one in ended.items() if one.of(Stored)]
    assert len(winners) == 1, f"{len(winners)} have opened it"
    for pid in ended.keys() - winners:
        [told] = ended[pid].of(Reached)
        assert told.where in ("None", str(winners[0])), f"{told.where} is not {winners[0]}"
    kept.hold(ended[winners[0]], writers=0)


def contend(
    path: Path, unit: int, begin: tuple[int, int], over: tuple[int, int], tell: Tell
) -> None:
    """In the child: open as soon as everybody is there; who has it waits until the others gave up.

    A pipe ends when nobody holds its other end any more.
    """
    os.close(begin[1])
    os.read(begin[0], 1)
    began = time.monotonic()
    try:
        store = Store.open(path, SMALL)
    except StoreLocked as error:
        took_s, holder = time.monotonic() - began, error.holder_pid
        assert took_s < SOON_S, f"it took {took_s:.1f} s to be refused"
        tell(Reached(str(holder)))
        return
    tell(append(store, unit, (10,)))
    os.close(over[1])
    os.read(over[0], 1)
    store.close()


# ------------------------------------------------------------------------------------ stolen locks


def is_removed(lock: Path, victim: Path) -> None:  # noqa: ARG001  all have both
    lock.unlink()


def is_another_file(lock: Path, victim: Path) -> None:
    lock.unlink()
    lock.write_bytes(victim.read_bytes())


def is_a_link(lock: Path, victim: Path) -> None:
    lock.unlink()
    lock.symlink_to(victim)


def is_a_fifo(lock: Path, victim: Path) -> None:  # noqa: ARG001  likewise
    lock.unlink()
    os.mkfifo(lock)


def is_a_directory(lock: Path, victim: Path) -> None:  # noqa: ARG001  likewise
    lock.unlink()
    lock.mkdir()


THEFTS: Final = (is_removed, is_another_file, is_a_link, is_a_fifo, is_a_directory)
LEAVE_ROOM_FOR_ANOTHER: Final = (is_removed, is_another_file)


def thefts(tally: Tally, size: Size) -> None:
    """The lock file is taken away, or is another thing, while it is held."""
    with tempfile.TemporaryDirectory() as folder:
        for theft in THEFTS * (10 if size is Size.LONG else 1):
            for durability in Durability:
                name = f"the lock {theft.__name__.replace('_', ' ')}, {durability.name}"
                with tally.case(name), tempfile.TemporaryDirectory(dir=folder) as place:
                    kept = Kept(Path(place) / "store")
                    config = StoreConfig(durability=durability, limits=SMALL.limits)
                    ended = Child(partial(stolen, kept.path, config, theft)).end()
                    assert ended.status == 0, f"{ended.told[-1:]}"
                    kept.hold(ended, writers=0)
                    tally.count("thefts")


def stolen(
    path: Path, config: StoreConfig, theft: Callable[[Path, Path], None], tell: Tell
) -> None:
    """In the child: one writer whose lock is gone, and another who may have come since."""
    lock, victim = path / LOCK, path.parent / "victim"
    victim.write_bytes(b"of somebody else")
    first = Store.open(path, config)
    tell(append(first, 0, (10,)))
    theft(lock, victim)

    began, second = time.monotonic(), None
    with suppress(StorageFailed):
        second = Store.open(path, config)
    assert time.monotonic() - began < SOON_S, "an open has waited for something"
    assert (second is not None) == (theft in LEAVE_ROOM_FOR_ANOTHER)

    before = tree(path) if second else {}
    stops(first, config, tell if second is None else unheard)
    assert first.count() == len(list(first.query()))
    with suppress(StorePoisoned):
        first.close()
    if second is not None:
        assert tree(path) == before, "the first writer has touched the files of the second"
    else:
        lock.rmdir() if lock.is_dir() else lock.unlink()
        second = Store.open(path, config)
    tell(append(second, 100, (10, 10)))
    assert second.verify().ok
    second.close()
    assert victim.read_bytes() == b"of somebody else"


def stops(store: Store, config: StoreConfig, tell: Tell) -> None:
    """A handle whose lock is gone syncs nothing more, and begins no file; so it ends soon."""
    for unit in range(1, 20):
        try:
            stored = append(store, unit, (3_000,))
        except StorePoisoned:
            assert store.health.state is HealthState.POISONED
            return
        tell(stored)
        assert config.durability is not Durability.COMMIT, "a writer without a lock has synced"
    raise AssertionError("a writer goes on without a lock")


def unheard(told: object) -> None:
    """What a writer was told whose file is no longer the store's."""


def tree(path: Path) -> dict[str, bytes]:
    """All files of a directory."""
    return {
        one.name: one.read_bytes() for one in path.iterdir() if stat.S_ISREG(one.lstat().st_mode)
    }


JOBS: Final = [
    *(
        Job("fork", f"forks under load, {level.name}", partial(forks, durability=level))
        for level in Durability
    ),
    Job("fork", "races for the lock", races),
    Job("fork", "stolen locks", thefts),
]
