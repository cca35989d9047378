"""Whether any test notices a mutant: each is tried in a fork of one warm process.

    warm    pytest has collected the tests of a room. A first round runs each in a fork of its own
            and takes down how long it took and which lines of the room it ran
    try     in a fork: the function gets the code of the mutant, then the tests that ran its lines
            come in turn, those first that were quick to notice others, until one fails
    fresh   what is not inside a function was already run when the room was imported, so such a
            mutant is put in place of the source before anything is imported, and collected anew

A fork in which nothing is heard for several times what a test takes has an endless loop or waits
for ever, and is ended: timed out. A fork that dies was noticed too.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from importlib.machinery import SourceFileLoader
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import hypothesis
import pytest

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.rooms import Room

if TYPE_CHECKING:
    from _typeshed import TraceFunction

BYTES_MAX: Final = 4 << 30  # of address space; a mutant may ask for memory without end
START_S: Final = 60.0  # until the tests are collected
_FORK: Final = multiprocessing.get_context("fork")


class Verdict(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"


class Broken(Exception):
    """The tests of a room do not pass on the room as it is."""


class _Test(NamedTuple):
    """What the first round has found of one test."""

    name: str
    seconds: float
    lines: frozenset[int]

    @property
    def patience(self) -> float:
        """Seconds after which it will not end any more. The first round is traced, thus slow."""
        return 5 + 2 * self.seconds


def verdicts(
    root: Path, room: Room, wanted: Callable[[Mutant], bool]
) -> Iterator[tuple[Mutant, Verdict]]:
    """Try the wanted mutants of one room.

    Raises:
        Broken: The tests do not pass without any mutant, so nothing can be learned.
    """
    path = root / room.path
    made = [one for one in mutants(path.read_text(encoding="utf-8"), str(path)) if wanted(one)]
    tests: list[_Test] = []
    with _child(lambda say: _warm(root, room, made, say)) as heard:
        for message in heard(None):
            if isinstance(message, str):
                raise Broken(message)
            if isinstance(message, _Test):
                tests.append(message)
            else:
                index, verdict = message
                yield made[index], verdict
    tests.sort(key=lambda test: (not test.lines, test.seconds))
    for mutant in made:
        if not mutant.function:
            yield mutant, _fresh(root, room, mutant, tests)


# ---------------------------------------------------------------------------------- the first way


def _warm(root: Path, room: Room, made: Sequence[Mutant], say: Connection) -> None:
    """Collect the tests, run them once, try every mutant of a function."""
    with tempfile.TemporaryDirectory() as place:
        code = _pytest(root, room.tests, place, _Round(root / room.path, made, say))
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        say.send(f"the tests cannot be collected: {room.tests}")


class _Failures:
    """Counts the reports of failures."""

    def __init__(self) -> None:
        self.count = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.count += report.failed


class _Round(_Failures):
    """Takes the place of the loop over the tests."""

    def __init__(self, path: Path, made: Sequence[Mutant], say: Connection) -> None:
        super().__init__()
        self._path, self._made, self._say = str(path), made, say
        self._kills: Counter[tuple[str, str]] = Counter()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        tests: list[_Test] = []
        for item in session.items:
            test = self._first(item)
            if test is None:
                return True
            tests.append(test)
            self._say.send(test)
        functions = _functions(self._path)
        for index, mutant in enumerate(self._made):
            if mutant.function:
                verdict = self._try(mutant, functions, tests, items)
                self._say.send((index, verdict))
        return True

    def _first(self, item: pytest.Item) -> _Test | None:
        """Run a test as it is, and see which lines of the room it runs."""

        def work(say: Connection) -> None:
            began = time.monotonic()
            with _traced(self._path) as lines:
                item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            seconds = time.monotonic() - began
            say.send(f"{item.nodeid} fails" if self.count else (seconds, frozenset(lines)))

        with _child(work) as heard:
            for message in heard(120.0):
                if not isinstance(message, str):
                    return _Test(item.nodeid, *message)
                self._say.send(message)
        return None

    def _try(
        self,
        mutant: Mutant,
        functions: dict[tuple[str, int], FunctionType],
        tests: Sequence[_Test],
        items: dict[str, pytest.Item],
    ) -> Verdict:
        """Whether any of the tests that run the lines of a mutant fails with it."""
        kills, name = self._kills, mutant.function
        concerned = [test for test in tests if not test.lines.isdisjoint(mutant.lines)]
        concerned.sort(key=lambda test: (-kills[name, test.name], test.seconds))

        def work(say: Connection) -> None:
            for code in _codes(mutant.code()):
                function = functions.get((code.co_qualname, code.co_firstlineno))
                if function is not None and code.co_qualname == name:
                    function.__code__ = code
            for test in concerned:
                say.send(test)
                item = items[test.name]
                item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
                if self.count:
                    return
            say.send(None)

        verdict, killer = _heard_of(work, 5.0)
        if killer is not None:
            kills[name, killer.name] += 1
        return verdict


def _codes(code: CodeType) -> Iterator[CodeType]:
    """All code inside some code."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _functions(path: str) -> dict[tuple[str, int], FunctionType]:
    """The functions of a module that are alive, by name and line: a property is two of one name."""
    return {
        (one.__code__.co_qualname, one.__code__.co_firstlineno): one
        for one in gc.get_objects()
        if isinstance(one, FunctionType) and one.__code__.co_filename == path
    }


@contextmanager
def _traced(path: str) -> Iterator[set[int]]:
    """Take down the lines of one file that are run, in every thread."""
    lines: set[int] = set()

    def line(frame: FrameType, event: str, _: object) -> TraceFunction:
        if event == "line":
            lines.add(frame.f_lineno)
        return line

    def call(frame: FrameType, _: str, __: object) -> TraceFunction | None:
        return line if frame.f_code.co_filename == path else None

    threading.settrace(call)
    sys.settrace(call)
    try:
        yield lines
    finally:
        if sys.gettrace() is not call:  # the test has traced by itself: any line may be its
            lines.update(range(1, Path(path).read_text(encoding="utf-8").count("\n") + 2))
        sys.settrace(None)
        threading.settrace(None)


# --------------------------------------------------------------------------------- the second way


def _fresh(root: Path, room: Room, mutant: Mutant, tests: Sequence[_Test]) -> Verdict:
    """Whether any test fails with a mutant that was there from the import on."""
    path = str(root / room.path)

    def work(say: Connection) -> None:
        code = mutant.code()
        get_code = SourceFileLoader.get_code

        def changed(loader: SourceFileLoader, name: str) -> CodeType | None:
            return code if loader.get_filename(name) == path else get_code(loader, name)

        setattr(SourceFileLoader, "get_code", changed)  # noqa: B010  in this fork only; typed so
        with tempfile.TemporaryDirectory() as place:
            passed = _pytest(root, room.tests, place, _InTurn(tests, say))
        if passed is pytest.ExitCode.OK:
            say.send(None)
        elif passed not in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):
            say.send(f"pytest ends with {passed!r}")

    return _heard_of(work, START_S)[0]


class _InTurn(_Failures):
    """Runs the tests in a given order, and says which one is coming."""

    def __init__(self, tests: Sequence[_Test], say: Connection) -> None:
        super().__init__()
        self._tests, self._say = tests, say

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        for test in self._tests:
            item = items.get(test.name)
            if item is None:  # its parameters are made by the room
                raise session.Failed(f"{test.name} is gone")
            self._say.send(test)
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            if self.count:
                raise session.Failed(test.name)
        return True


# ----------------------------------------------------------------------------------- both ways


def _pytest(root: Path, tests: Sequence[str], place: str, plugin: object) -> int:
    """One session: no cache, no examples kept, nothing that differs from one run to the next."""
    os.chdir(root)
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    )
    hypothesis.settings.load_profile("mutation")
    given = ["-p", "no:cacheprovider", "-p", "no:xdist", "-o", "timeout=0", "--tb=no", "-q"]
    given += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is imported: here
    given += ["-o", "tmp_path_retention_policy=failed", f"--basetemp={place}/tests"]
    return pytest.main([*given, f"--rootdir={root}", *tests], plugins=[plugin])


def _heard_of(work: Callable[[Connection], None], start_s: float) -> tuple[Verdict, _Test | None]:
    """What became of a fork that says which test is next, and None after the last."""
    test: _Test | None = None
    with _child(work) as heard:
        try:
            for message in heard(start_s):
                if message is None:
                    return Verdict.SURVIVED, None
                if isinstance(message, str):
                    raise Broken(message)
                test = message
        except TimeoutError:
            return Verdict.TIMED_OUT, test
    return Verdict.KILLED, test


@contextmanager
def _child(
    work: Callable[[Connection], None],
) -> Iterator[Callable[[float | None], Iterator[Any]]]:
    """Do some work in a fork; hear what it says, if it is not silent for too many seconds.

    It and whatever it has started are gone afterwards.
    """
    reading, writing = _FORK.Pipe(duplex=False)

    def be() -> None:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (BYTES_MAX, BYTES_MAX))
        reading.close()
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        try:
            work(writing)
        except Exception:  # noqa: BLE001  no test raises here: pytest has caught those
            writing.send(traceback.format_exc())
        writing.close()
        os._exit(0)

    def heard(patience: float | None) -> Iterator[Any]:
        with suppress(EOFError):
            while reading.poll(patience):
                message = reading.recv()
                if patience is not None and isinstance(message, _Test):
                    patience = message.patience
                yield message
            raise TimeoutError

    process = _FORK.Process(target=be)
    process.start()
    assert process.pid is not None
    writing.close()
    try:
        yield heard
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()
        reading.close()
