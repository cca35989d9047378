"""inject: what the system refuses a real process, by `strace`, by limits, by a disk that is full.

The package is as it is, on a real disk: nothing stands between it and the system. `strace` attaches
to a child and refuses the n-th call of a name, or kills at it; its log shows what was called after.
What cannot be done here (no `strace`, no right to trace or to mount) is counted as skipped.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from typing import Final
from unittest.mock import patch

from batpak.config import Limits, StoreConfig
from batpak.disk import posix
from batpak.store import Store
from tests.proof.child import (
    Child,
    Ended,
    Kept,
    Opened,
    Reached,
    Refused,
    Seen,
    Stored,
    Tell,
    Told,
    Work,
    picture,
)
from tests.proof.family import Job, Size, Tally
from tests.proof.strace import Rule, SystemCall, traced, unable

CONFIG: Final = StoreConfig(limits=Limits(segment_max_bytes=4 << 10))
UNITS: Final = ((900,), (10, 10, 10), (1_500,), (2_500,), (10,), (900, 900), (100,), (2_000,))
"""Sizes of what a program appends: several files, and batches."""

# ------------------------------------------------------------------------------------ the program


def hardy(path: Path, first: int, tell: Tell, *, mapped: bool = True) -> None:
    """In the child: append, whatever was refused before; then read, sync and close.

    Args:
        path: Of the store.
        first: The number of the first unit.
        tell: Who hears of it.
        mapped: As files are written here. Else by position, as where no room is promised.
    """
    work = Work(tell, path, first)
    with nullcontext() if mapped else patch("batpak.disk.posix._can_reserve", by_position):
        opened: list[Store] = []
        work.ask("open", lambda: opened.append(work.open(CONFIG)))
        for store in opened:
            for sizes in UNITS:
                work.attempt(store, *sizes)
            work.ask("read", partial(show, tell, store))
            work.ask("sync", store.sync)
            work.ask("close", store.close)


def show(tell: Tell, store: Store) -> None:
    """Read, and tell."""
    tell(picture(store))


def by_position(fd: int) -> bool:  # noqa: ARG001  wherever it is
    """Stands for the look whether a file system promises room."""
    return False


def abandoned(path: Path, tell: Tell) -> None:
    """In the child: two units, and then it is gone without a close."""
    work = Work(tell, path, 0)
    store = work.open(CONFIG)
    work.store(store, 900)
    work.store(store, 10, 10)
    os._exit(0)


# ------------------------------------------------------------------------------- what must hold

SYNCS: Final = ("fsync", "fdatasync")
STOPPING: Final = ("DurabilityUnknown", "StorePoisoned")


def hold(kept: Kept, rule: Rule, ended: Ended, calls: list[SystemCall]) -> bool:
    """Hold a child, what it called, and the store it left, against what is promised.

    Returns:
        Whether anything was done to it.
    """
    done = [call for call in calls if "INJECTED" in call.result]
    killed = rule.what == "signal=KILL"
    assert ended.status == (-9 if killed and ended.was_killed else 0), f"status {ended.status}"
    refusals = ended.of(Refused)
    untyped = [one for one in refusals if not one.typed]
    assert not untyped, f"not typed: {untyped}"
    never_synced_again(calls)
    if any(call.name in SYNCS and not call.path.endswith(".tmp") for call in done):
        assert refusals, "nobody was told of a sync that failed"  # a temporary is made once more
        assert refusals[0].code == rule.code, f"{refusals[0]}"
    if any(call.name == "fdatasync" for call in done):
        assert refusals[0].error == "DurabilityUnknown", f"{refusals[0]}"
    stopped(ended)
    new = kept.hold(ended)
    gone = {one.unit for one in refusals if one.error != "DurabilityUnknown"}
    assert not gone & set(new), "what was refused is there"
    reads_went_on(ended, spared=rule.call in ("openat", "newfstatat"))
    silent = not any(one.what in ("open", "close") for one in refusals)
    poisoned = any(one.error in STOPPING for one in refusals)
    goes_on(kept, clean=silent and not poisoned and not ended.was_killed)
    return bool(done) or ended.was_killed


def never_synced_again(calls: list[SystemCall]) -> None:
    """After a sync that failed there is none on the same descriptor."""
    failed: set[str] = set()
    for call in calls:
        if call.name == "close":
            failed.discard(call.fd)
        elif call.name in SYNCS:
            assert call.fd not in failed, f"a sync that failed was tried again: {call.path}"
            if call.result.startswith("-1"):
                failed.add(call.fd)


def stopped(ended: Ended) -> None:
    """Once a handle has stopped writing, nothing more is acknowledged, and it says why."""
    stop = False
    for told in ended.told:
        if isinstance(told, Stored):
            assert not stop, f"unit {told.unit} was acknowledged after the handle had stopped"
        elif isinstance(told, Refused) and told.what == "append":
            assert not stop or told.error == "StorePoisoned", f"{told}"
            stop = stop or told.error in STOPPING


def reads_went_on(ended: Ended, *, spared: bool) -> None:
    """Whatever was refused, a read shows what was acknowledged, and nothing else."""
    seen, opened, stored = ended.of(Seen), ended.of(Opened), ended.of(Stored)
    if not opened or ended.was_killed or (spared and not seen):
        return
    assert seen, "a read was refused"
    if stored:
        due = Seen(stored[-1].first + len(stored[-1].hashes), stored[-1].hashes[-1])
    else:
        due = Seen(opened[0].count, opened[0].head)
    assert seen[0] == due, "a read has shown another log"


def goes_on(kept: Kept, *, clean: bool = True) -> None:
    """The store opens, takes an event and a batch, and closes.

    Args:
        kept: The store.
        clean: Whether a close has said that it was closed.
    """
    told: list[Told] = []
    work = Work(told.append, kept.path, kept.next_unit)
    with work.open(CONFIG) as store:
        work.store(store, 10)
        work.store(store, 700, 700)
        assert store.open_report.clean or not clean, "a close that said nothing has not closed it"
    kept.hold(Ended(told, 0, hung=False))


# ---------------------------------------------------------------------------------- injections

EIO: Final = "error=EIO"
ENOSPC: Final = "error=ENOSPC"
EMFILE: Final = "error=EMFILE"
KILL: Final = "signal=KILL"
NOTHING: Final = "retval=0"  # a write that takes no byte; other counts would be lies

RULES: Final = (
    *(Rule("fdatasync", EIO, when) for when in ("1", "3", "6", "3+")),
    Rule("fdatasync", ENOSPC, "4"),
    *(Rule("fsync", EIO, when) for when in ("2", "4", "7", "9", "10", "13", "16", "7+")),
    *(Rule("fallocate", ENOSPC, when) for when in ("1", "1+", "2+")),
    *(Rule("pwrite64", ENOSPC, when) for when in ("3", "6", "6+")),
    *(Rule("pwrite64", NOTHING, when) for when in ("2", "4", "6+")),
    *(Rule("ftruncate", EIO, when) for when in ("1", "2", "2+")),
    *(Rule("renameat", EIO, when) for when in ("1", "2", "4", "3+")),
    *(Rule("openat", EMFILE, when) for when in ("5", "12", "15+")),
    *(Rule("newfstatat", EIO, when) for when in ("10", "25", "36", "40")),
    *(Rule("flock", "error=ENOLCK", when) for when in ("1", "2")),
    *(Rule(call, KILL, "2") for call in ("fdatasync", "fsync", "renameat", "pwrite64")),
)
"""Each meets a call; later ones than these are met when it may take long."""


def injections(
    tally: Tally, size: Size, *, used: bool = False, mapped: bool = True, step: int = 1
) -> None:
    """Do to a program whatever the rules say.

    Args:
        tally: Where it is written down.
        size: The rules above, or every call of each of the names until none is left.
        used: Whether the store is one whose last writer was killed.
        mapped: As `hardy` has it.
        step: By default every so many of the rules.
    """
    why = unable()
    if why:
        tally.count(f"skipped: {why}")
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = (Path(folder) / f"store {n}" for n in count())

        def meets(rule: Rule) -> bool:
            met = True
            with tally.case(rule):
                met = injected(next(paths), rule, used=used, mapped=mapped)
            tally.count("injections", int(met))
            return met

        if size is Size.DEFAULT:
            rules = [rule for rule in RULES if mapped or rule.call != "fallocate"]
            idle = [rule for rule in rules[::step] if not meets(rule)]
            with tally.case("every rule"):
                assert not idle, f"there was no such call: {idle}"
            return
        for call, what in sorted({(rule.call, rule.what) for rule in RULES}):
            for sticky in ("", "+"):
                for n in count(1):
                    if not meets(Rule(call, what, f"{n}{sticky}")):
                        break


def injected(path: Path, rule: Rule, *, used: bool, mapped: bool) -> bool:
    """One injection into the life of a new store; whether there was such a call."""
    kept = Kept(path)
    if used:
        kept.hold(Child(partial(abandoned, path)).end())
    work = partial(hardy, path, kept.next_unit, mapped=mapped)
    ended, calls = traced(work, rule, path.with_suffix(".log"))
    return hold(kept, rule, ended, calls)


# -------------------------------------------------------------------------------------- limits


def limits(tally: Tally, size: Size) -> None:
    """Files may not grow, or there are no descriptors; then there is no such limit any more."""
    with tempfile.TemporaryDirectory() as folder:
        paths = (Path(folder) / f"store {n}" for n in count())
        step = 1 if size is Size.LONG else 12
        by_frame = [(False, room) for room in range(0, 300, 4 * step)]
        for mapped, room in by_frame + [(True, room) for room in range(0, 200, 5 * step)]:
            with tally.case(f"no file over {room}, {'mapped' if mapped else 'by position'}"):
                kept = Kept(next(paths))
                kept.hold(Child(partial(abandoned, kept.path)).end())
                work = partial(cramped, kept.path, kept.next_unit, room=room, mapped=mapped)
                spared(kept, Child(work).end(), errno.EFBIG)
                tally.count("limits")
        for spare in range(0, 16, 1 if size is Size.LONG else 4):
            with tally.case(f"{spare} descriptors left"):
                kept = Kept(next(paths))
                kept.hold(Child(partial(abandoned, kept.path)).end())
                work = partial(crowded, kept.path, kept.next_unit, spare=spare)
                spared(kept, Child(work).end(), errno.EMFILE)
                tally.count("limits")


def cramped(path: Path, first: int, tell: Tell, *, room: int, mapped: bool) -> None:
    """In the child: the newest file may grow by so many bytes, or a new one be so large."""
    work = Work(tell, path, first)
    with nullcontext() if mapped else patch("batpak.disk.posix._can_reserve", by_position):
        store = work.open(CONFIG)
        newest = max(path.glob("*.fbat"))
        with limit(resource.RLIMIT_FSIZE, room + (0 if mapped else newest.stat().st_size)):
            for sizes in UNITS:
                work.attempt(store, *sizes)
            work.ask("read", partial(show, tell, store))
        tell(Reached("freed"))
        for sizes in UNITS:
            work.attempt(store, *sizes)
        store.close()


def crowded(path: Path, first: int, tell: Tell, *, spare: int) -> None:
    """In the child: there are so many descriptors, for an open, and then for appends."""
    work = Work(tell, path, first)
    opened: list[Store] = []
    with limit(resource.RLIMIT_NOFILE, free_descriptor() + spare):
        work.ask("open", lambda: opened.append(work.open(CONFIG)))
    store = opened[0] if opened else work.open(CONFIG)
    tell(picture(store))
    with limit(resource.RLIMIT_NOFILE, free_descriptor() + spare // 5):
        for sizes in UNITS:
            work.attempt(store, *sizes)
    tell(Reached("freed"))
    for sizes in UNITS:
        work.attempt(store, *sizes)
    store.close()


@contextmanager
def limit(which: int, most: int) -> Generator[None]:
    """Inside the block the system gives no more."""
    soft, hard = resource.getrlimit(which)
    resource.setrlimit(which, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(which, (soft, hard))


def free_descriptor() -> int:
    """The lowest number that no descriptor has."""
    fd = os.dup(0)
    os.close(fd)
    return fd


def spared(kept: Kept, ended: Ended, code: int) -> None:
    """What the system would not give was refused with a type; nothing was torn; all goes on."""
    assert ended.status == 0, f"{ended.told[-1:]}"
    refusals = ended.of(Refused)
    for one in refusals:
        assert (one.error, one.code) == ("StorageFailed", code), f"{one}"
    freed = ended.told.index(Reached("freed"))
    late = [told for told in ended.told[freed:] if isinstance(told, Refused)]
    assert not late, f"refused when there was room again: {late}"
    new = kept.hold(ended)
    assert not {one.unit for one in refusals} & set(new), "what was refused is there"
    with Store.open_read_only(kept.path) as reader:
        assert reader.open_report.clean
        assert reader.open_report.torn is None
    goes_on(kept)


# ----------------------------------------------------------------------------------- a full disk

FULL: Final = 2 << 20  # bytes
BALLAST: Final = 160 << 10  # of them are freed each time

_CLONE_NEWNS: Final = 0x20000
_MS_PRIVATE: Final = 0x44000  # and everything below


def full_disk(tally: Tally, size: Size) -> None:
    """A small disk of its own fills up, again and again, under one handle."""
    rounds = 8 if size is Size.LONG else 3
    with tempfile.TemporaryDirectory() as folder:
        for mapped in (True, False):
            for config in (StoreConfig(), CONFIG):
                name = f"{'mapped' if mapped else 'by position'}, {config.limits.segment_max_bytes}"
                work = partial(fill, Path(folder), config=config, mapped=mapped, rounds=rounds)
                with tally.case(name):
                    ended = Child(work).end()
                    if ended.told == [MAY_NOT_MOUNT]:
                        tally.count("skipped: no right to mount")
                        continue
                    assert ended.status == 0, f"{ended.told[-1:]}"
                    tally.count("disks filled", rounds)


MAY_NOT_MOUNT: Final = Reached("may not mount")


def fill(folder: Path, tell: Tell, *, config: StoreConfig, mapped: bool, rounds: int) -> None:
    """In the child: append until the disk is full, read, make room, go on; then open again."""
    if not mounted(folder):
        tell(MAY_NOT_MOUNT)
        return
    told: list[Told] = []
    kept = Kept(folder / "store")
    ballast = [folder / f"ballast {n}" for n in range(rounds)]
    for file in ballast:
        file.write_bytes(bytes(BALLAST))
    posix._file_systems.cache_clear()  # it has a file system more
    with nullcontext() if mapped else patch("batpak.disk.posix._can_reserve", by_position):
        work = Work(told.append, kept.path, 0)
        store = work.open(config)
        for n, file in enumerate(ballast):
            sizes = islice(cycle((900, 60_000, 4_000, 30_000, 15)), n, None)
            while work.attempt(store, next(sizes)):
                pass
            last, shown = told[-1], store.count()
            assert isinstance(last, Refused)
            assert (last.error, last.code) == ("StorageFailed", errno.ENOSPC), f"{last}"
            assert len(list(store.query())) == shown
            file.unlink()
            assert work.attempt(store, 900), f"with room again: {told[-1]}"
            assert store.count() == shown + 1
            assert store.verify().ok
        store.close()
    kept.hold(Ended(told, 0, hung=False))
    assert kept.acknowledged > 2 * rounds


def mounted(folder: Path) -> bool:
    """Put a small disk at a place, for this process only. False: it may not."""
    libc = ctypes.CDLL(None)
    return bool(
        libc.unshare(_CLONE_NEWNS) == 0
        and libc.mount(b"none", b"/", None, _MS_PRIVATE, None) == 0
        and libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=%d" % FULL) == 0
    )


JOBS: Final = [
    Job("inject", "a new store", injections),
    Job("inject", "a store to recover", partial(injections, used=True, step=4)),
    Job("inject", "by position", partial(injections, mapped=False, step=4)),
    Job("inject", "limits", limits),
    Job("inject", "a full disk", full_disk),
]
