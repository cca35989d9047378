"""A child under `strace`: something is done to its calls of the system, and all of them are seen.

The tracer attaches to a child that waits for it, so the first call that counts is the first of the
program's, and nothing of the package has to be changed or started anew.
"""

from __future__ import annotations

import ctypes
import errno
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.proof.child import PATIENCE_S, Child, Ended, Tell


class Rule(NamedTuple):
    """What is done to which call of the system."""

    call: str
    what: str
    when: str  # n, or n+ for that one and all after it

    @property
    def code(self) -> int | None:
        """The errno, if it is refused."""
        _, _, name = self.what.partition("error=")
        return getattr(errno, name) if name else None


class SystemCall(NamedTuple):
    """A call that was seen."""

    name: str
    arguments: str
    result: str

    @property
    def fd(self) -> str:
        """The number of the descriptor it is about."""
        return self.arguments.partition("<")[0]

    @property
    def path(self) -> str:
        """Of what the descriptor leads to."""
        return self.arguments.partition("<")[2].partition(">")[0]


CALLS: Final = (
    "openat", "close", "fsync", "fdatasync", "pwrite64", "ftruncate", "fallocate", "renameat",
    "unlinkat", "mkdirat", "flock", "newfstatat",
)  # fmt: skip
_BEGUN: Final = re.compile(r"(\d+) +(\w+)\((.*?)(?: <unfinished \.\.\.>|\) += (.*))")
_ENDED: Final = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>.*\) += (.*)")
_PR_SET_PTRACER: Final = 0x59616D61
_ANY: Final = ctypes.c_ulong(-1)


def traced(work: Callable[[Tell], None], rule: Rule, log: Path) -> tuple[Ended, list[SystemCall]]:
    """A child to whose calls something is done, and those that it made.

    Raises:
        PermissionError: This process may not trace.
    """
    ours, its = socket.socketpair()

    def held(tell: Tell) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)  # where only parents may trace
        its.send(b"ready")
        its.recv(2)
        work(tell)

    child = Child(held)
    ours.recv(5)
    options = ["-f", "-y", "-p", str(child.pid), "-o", str(log), "-e", f"trace={','.join(CALLS)}"]
    inject = f"inject={rule.call}:{rule.what}:when={rule.when}"
    with subprocess.Popen(
        ["strace", *options, "-e", inject], stderr=subprocess.PIPE, text=True
    ) as tracer:
        assert tracer.stderr is not None
        first = tracer.stderr.readline()
        ours.send(b"go")
        ended = child.end()
        tracer.wait(PATIENCE_S)
    ours.close()
    its.close()
    if "not permitted" in first:
        raise PermissionError(errno.EPERM, first)
    assert "attached" in first, first
    return ended, list(parsed(log.read_text(encoding="utf-8", errors="replace")))


def parsed(log: str) -> Iterator[SystemCall]:
    """The calls of a log, in the order in which they began; one that never returned has no result.

    Calls of several threads are cut in two: the second half is put to the first.
    """
    found: list[SystemCall] = []
    pending: dict[str, int] = {}
    for line in log.splitlines():
        begun, ended = _BEGUN.match(line), _ENDED.match(line)
        if begun is not None:
            pending[begun[1]] = len(found)
            found.append(SystemCall(begun[2], begun[3], begun[4] or ""))
        elif ended is not None and ended[1] in pending:
            at = pending[ended[1]]
            found[at] = found[at]._replace(result=ended[3])
    yield from found


def nothing(tell: Tell) -> None:
    """In the child: no call at all."""


def unable() -> str:
    """Why nothing can be injected here; empty: it can."""
    if shutil.which("strace") is None:
        return "there is no strace"
    with tempfile.TemporaryDirectory() as folder:
        try:
            traced(nothing, Rule("fsync", "error=EIO", "1"), Path(folder) / "log")
        except PermissionError:
            return "no right to trace"
    return ""
