"""exit: the ways in which a process that has a store open comes to its end.

One interpreter is started afresh and forks a child for each way, which returns to the end of the
program: so each ends as a program does, with whatever runs then. What a child was told it writes to
a file; what it may not lose is held against that.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from batpak.config import Durability, Limits, StoreConfig
from batpak.errors import BatpakError, StoreLocked
from batpak.store import Store
from tests.facts import USER, Said
from tests.proof.child import PATIENCE_S, Ended, Kept, Tell, Told, append, heard, line_of
from tests.proof.family import Job, Size, Tally

CONFIG: Final = StoreConfig(limits=Limits(segment_max_bytes=16 << 10))
QUEUED: Final = 300
DRAIN_S_MAX: Final = 5.0
ROOT: Final = Path(__file__).parents[2]
KEPT: Final[list[object]] = []  # stores that are there until the interpreter ends


def opened(path: Path, config: StoreConfig = CONFIG) -> Store:
    """A store that nobody closes."""
    store = Store.open(path, config)
    KEPT.append(store)
    return store


def fill(store: Store, tell: Tell, first: int = 0, number: int = 3) -> None:
    for unit in range(first, first + number):
        tell(append(store, unit, (100,)))


def queue(store: Store) -> None:
    """Many submissions that nobody waits for."""
    for unit in range(QUEUED):
        KEPT.append(store.submit(USER, Said(text=f"{unit} 0 1 ")))


# ---------------------------------------------------------------------------------------- the ways


def comes_to_its_end(path: Path, tell: Tell) -> None:
    fill(opened(path), tell)


def says_exit(path: Path, tell: Tell) -> None:
    fill(opened(path), tell)
    sys.exit(3)


def raises(path: Path, tell: Tell) -> None:
    fill(opened(path), tell)
    raise RuntimeError("on purpose")


def says_exit_in_a_thread(path: Path, tell: Tell) -> None:
    store = opened(path)

    def work() -> None:
        fill(store, tell)
        sys.exit(3)  # which ends the thread, and nothing else

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    fill(store, tell, first=3)


def is_gone_at_once(path: Path, tell: Tell) -> None:
    fill(opened(path), tell)
    os._exit(7)


def has_daemon_threads(path: Path, tell: Tell) -> None:
    store, units = opened(path), count()

    def work() -> None:
        with suppress(BatpakError):  # what it is told when the files are given back under it
            for unit in units:
                tell(append(store, unit, (100,)))

    for _ in range(WRITERS):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.02)


def has_a_thread_that_goes_on(path: Path, tell: Tell) -> None:
    store = opened(path)

    def work() -> None:
        for unit in range(20):
            time.sleep(0.001)
            fill(store, tell, unit, 1)

    threading.Thread(target=work).start()


def has_submissions_in_line(path: Path, tell: Tell) -> None:  # noqa: ARG001  nobody was told
    queue(opened(path))


def takes_warnings_for_errors(path: Path, tell: Tell) -> None:  # noqa: ARG001  likewise
    queue(opened(path))
    warnings.simplefilter("error")


def has_not_synced_yet(path: Path, tell: Tell) -> None:
    config = StoreConfig(
        durability=Durability.INTERVAL, sync_every_ms=60_000, sync_every_n_events=1_000_000
    )
    fill(opened(path, config), tell)


def is_interrupted(path: Path, tell: Tell) -> None:
    fill(opened(path), tell)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(PATIENCE_S)


def is_interrupted_at_its_end(path: Path, tell: Tell) -> None:
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    store = opened(path)
    fill(store, tell, QUEUED)
    queue(store)
    signal.setitimer(signal.ITIMER_REAL, 0.002)


def is_told_to_stop(path: Path, tell: Tell) -> None:
    def stop(*_: object) -> None:
        sys.exit(4)

    signal.signal(signal.SIGALRM, stop)
    store = opened(path)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    for unit in count():
        fill(store, tell, unit, 1)


def ends_in_a_callback(path: Path, tell: Tell) -> None:
    store = opened(path)
    fill(store, tell)
    ticket = store.submit(USER, Said(text="3 0 1 "))
    ticket.add_done_callback(lambda: os._exit(5))
    time.sleep(PATIENCE_S)


def closes_at_its_end(path: Path, tell: Tell) -> None:
    store = opened(path)
    atexit.register(store.close)
    fill(store, tell)


def appends_at_its_end(path: Path, tell: Tell) -> None:
    """When some Pythons start no thread any more; a file is full, and another one begins."""
    store = opened(path)

    def late() -> None:
        for unit in range(10):
            tell(append(store, unit, (3_000,)))
        ticket = store.submit(USER, Said(text="10 0 1 "))
        ticket.result()
        store.close()

    atexit.register(late)


def is_ended_without_its_exit_hook(path: Path, tell: Tell) -> None:
    """What a Ctrl-C does to it; then the store is collected when no thread runs any more."""
    store = opened(path, StoreConfig(durability=Durability.OS, limits=CONFIG.limits))
    fill(store, tell)
    sys.setswitchinterval(PATIENCE_S)
    for unit in range(3, 13):
        KEPT.append(store.submit(USER, Said(text=f"{unit} 0 1 {'x' * 3_000}")))
    atexit.unregister(vars(weakref.finalize)["_exitfunc"].__get__(None, weakref.finalize))


def loses_a_handle(path: Path, tell: Tell) -> None:
    store = Store.open(path, CONFIG)
    fill(store, tell)
    del store
    gc.collect()
    with Store.open(path, CONFIG) as again:
        fill(again, tell, first=3)


def has_a_forked_child_that_ends(path: Path, tell: Tell) -> None:
    store = opened(path)
    fill(store, tell)
    queued = [store.submit(USER, Said(text=f"{unit} 0 1 ")) for unit in range(3, 50)]
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
    if os.fork() == 0:
        return  # to the end of the program, as the parent's would have been
    os.wait()
    for ticket in queued:
        ticket.result()
    fill(store, tell, first=50)
    assert store.count() == 1 + 53
    store.close()


def spawns(path: Path, tell: Tell) -> None:
    spawn = multiprocessing.get_context("spawn")
    with Store.open(path, CONFIG) as store:
        refused = ""
        try:
            spawn.Process(target=comes_to_its_end, args=(store, tell)).start()
        except TypeError as error:
            refused = str(error)
        assert "open the path" in refused, "a handle has travelled"
        other = spawn.Process(target=is_locked_out, args=(path,))
        other.start()
        other.join(PATIENCE_S)
        assert other.exitcode == LOCKED, f"{other.exitcode}"
        fill(store, tell)


LOCKED: Final = 9


def is_locked_out(path: Path) -> None:
    """In a process that was spawned."""
    try:
        Store.open(path, CONFIG)
    except StoreLocked as error:
        sys.exit(LOCKED if error.holder_pid == os.getppid() else 1)


class Way(NamedTuple):
    """How a process ends, and what is to be seen of that."""

    work: Callable[[Path, Tell], None]
    status: int | None = 0  # None: it depends on the moment
    unclosed: bool = True  # whether it says that a store was not closed
    units: int = 3  # that have to be there, also if nobody was told
    extra: int = 0  # that may be there without an acknowledgement
    says: str = ""  # part of what it writes to stderr; anything else there is wrong


WRITERS: Final = 3
WAYS: Final = (
    Way(comes_to_its_end),
    Way(says_exit, status=3),
    Way(raises, status=1, says="RuntimeError: on purpose"),
    Way(says_exit_in_a_thread, units=6),
    Way(is_gone_at_once, status=7, unclosed=False),
    Way(has_daemon_threads, units=1, extra=WRITERS),
    Way(has_a_thread_that_goes_on, units=20),
    Way(has_submissions_in_line, units=QUEUED, extra=QUEUED),
    Way(takes_warnings_for_errors, units=QUEUED, extra=QUEUED, says="ResourceWarning: unclosed"),
    Way(has_not_synced_yet),
    Way(is_interrupted, status=-signal.SIGINT, says="KeyboardInterrupt"),
    Way(is_interrupted_at_its_end, status=None, extra=QUEUED, says="KeyboardInterrupt"),
    Way(is_told_to_stop, status=4, units=1, extra=1),
    Way(ends_in_a_callback, status=5, unclosed=False, units=4, extra=1),
    Way(closes_at_its_end, unclosed=False),
    Way(appends_at_its_end, unclosed=False, units=11, extra=1),
    Way(is_ended_without_its_exit_hook, extra=10),
    Way(loses_a_handle, units=6),
    Way(has_a_forked_child_that_ends, unclosed=False, units=53, extra=47),
    Way(spawns, unclosed=False),
)


# ------------------------------------------------------------------------------- in the interpreter


class Outcome(msgspec.Struct, frozen=True):
    """How a process has ended."""

    way: str
    status: int
    took_s: float


def main(folder: str) -> None:
    """Fork a child for each way, one after the other, and write down how it ended.

    In a child this returns, so that it comes to the end of the program.
    """
    outcomes: list[Outcome] = []
    for way in WAYS:
        name = way.work.__name__
        began, child = time.monotonic(), os.fork()
        if child == 0:
            errors = os.open(f"{folder}/{name}.stderr", os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(errors, 2)
            told = os.open(f"{folder}/{name}.told", os.O_WRONLY | os.O_CREAT, 0o600)
            way.work(Path(folder) / name, writer(told))
            return
        status = wait(child, began)
        outcomes.append(Outcome(name, status, time.monotonic() - began))
    (Path(folder) / "outcomes").write_bytes(msgspec.json.encode(outcomes))


def writer(fd: int) -> Tell:
    """What writes down what it is told."""

    def tell(told: Told) -> None:
        os.write(fd, line_of(told))

    return tell


def wait(child: int, began: float) -> int:
    """How a process ends, within our patience."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - began > PATIENCE_S:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


# ------------------------------------------------------------------------------- what must hold

PROGRAM: Final = "import sys; from tests.proof import exits; exits.main(sys.argv[1])"


def ends(tally: Tally, size: Size) -> None:
    """Let processes end in all those ways."""
    for _ in range(20 if size is Size.LONG else 1):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-W", "always::ResourceWarning", "-c", PROGRAM, folder],
                cwd=ROOT,
                env={"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'codegen'}", "PATH": os.defpath},
                capture_output=True,
                text=True,
                timeout=3 * PATIENCE_S,
                check=False,
            )
            with tally.case("the interpreter"):
                assert (done.returncode, done.stderr) == (0, ""), done.stderr[-500:]
            data = (Path(folder) / "outcomes").read_bytes()
            outcomes = msgspec.json.decode(data, type=list[Outcome])
            for way, outcome in zip(WAYS, outcomes, strict=True):
                with tally.case(f"a process {outcome.way.replace('_', ' ')}"):
                    hold(Path(folder) / outcome.way, way, outcome)
                tally.count("exits")


def hold(path: Path, way: Way, outcome: Outcome) -> None:
    """Hold what a process left against what it was told."""
    assert outcome.took_s < DRAIN_S_MAX, f"it took {outcome.took_s:.1f} s"
    assert way.status in (None, outcome.status), f"status {outcome.status}"
    said = path.with_suffix(".stderr").read_text(encoding="utf-8")
    if way.status is not None:
        assert ("ResourceWarning: unclosed store" in said) == way.unclosed, f"it said: {said}"
        assert way.says in said, f"it said: {said}"
    strange = [word for word in ("Traceback", "Exception", "Fatal") if word in said]
    assert way.says or not strange, f"it said: {said[-400:]}"
    kept = Kept(path)
    told = heard(path.with_suffix(".told").read_bytes())
    kept.hold(Ended(told, 0, hung=False), writers=way.extra)
    assert len(kept.units) >= way.units, f"{len(kept.units)} of {way.units} units are there"
    with Store.open(path, CONFIG) as store:
        append(store, kept.next_unit, (10, 10))
        assert store.verify().ok


JOBS: Final = [Job("exit", "all ways to end", ends)]
