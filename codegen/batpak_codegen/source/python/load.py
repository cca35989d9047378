"""Schema modules to root nodes: a child process loads them, and only data comes back.

The modules are code of the project's, named in its configuration. Still, loading one must end, say
what is wrong with it, and leave nothing behind; so it has a process and ten seconds.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from batpak_codegen.diagnostic import FINDINGS_MAX, Diagnostic, Findings, SchemaError, Span, quoted
from batpak_codegen.nodes import Node, SeqNode, TextNode
from batpak_codegen.source.python.answer import Answer, Request
from batpak_codegen.source.yaml_text import DEPTH_MAX, INVISIBLE

SECONDS_MAX: Final = 10
GRACE_SECONDS: Final = 1  # for saying where it hangs, before the process is killed
ANSWER_BYTES_MAX: Final = 64 << 20
COLUMNS_MAX: Final = 1 << 20
_PROGRAM: Final = (
    "import sys; sys.path[:] = sys.argv[2:];"
    " from batpak_codegen.source.python.child import main; main(sys.argv[1])"
)


def load_modules(
    modules: Sequence[str],
    root: Path,
    out: Path,
    out_module: str,
    seconds: int = SECONDS_MAX,
    *,
    are_models: bool = False,
) -> Answer:
    """Load schema modules and return their root nodes; or Pydantic models, for a first schema.

    Args:
        modules: Names, as they are imported.
        root: Where they are looked for first; printed paths are relative to it.
        out: Directory of generated code, which no schema module may read.
        out_module: What it is imported as.
        seconds: How long all of them may take.
        are_models: They know nothing of schemas.

    Raises:
        SchemaError: What is wrong with them, with the texts to point at.
    """
    search = list(
        dict.fromkeys([str(root), *(str(Path(path).absolute()) for path in sys.path if path)])
    )
    reader, writer = os.pipe()
    request = Request(
        tuple(dict.fromkeys(modules)),
        str(root),
        tuple(search),
        str(out),
        out_module,
        seconds,
        writer,
        are_models,
    )
    try:
        try:
            child = _start(request, search, root)
        finally:
            os.close(writer)
        try:
            said = _listen(reader, time.monotonic() + seconds + GRACE_SECONDS)
        finally:
            _end(child)
    finally:
        os.close(reader)
    answer = _understood(said, child.returncode, seconds)
    if answer.found:
        raise SchemaError(answer.found, answer.texts)
    judge = _Judge(answer)
    for root_node in answer.roots:
        judge.node(root_node, 0)
    if judge.findings.diagnostics:
        raise SchemaError(judge.findings.diagnostics, answer.texts)
    return answer


class _Said(msgspec.Struct, frozen=True):
    """What came through the pipe, and why nothing more did."""

    data: bytes
    too_long: bool = False
    too_much: bool = False


def _start(request: Request, search: list[str], root: Path) -> subprocess.Popen[bytes]:
    """Start the child: no input, no output but the answer, its own group, a fixed hash seed."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    own = [path for path in search if path != str(root)] + [str(root)]
    return subprocess.Popen(  # noqa: S603  this interpreter, with arguments of ours
        [
            sys.executable,
            "-s",
            "-P",
            "-B",
            "-X",
            "utf8",
            "-c",
            _PROGRAM,
            msgspec.json.encode(request).decode(),
            *own,
        ],
        cwd=root,
        env=inherited | {"PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[request.answer],
        start_new_session=True,
    )


def _listen(reader: int, deadline: float) -> _Said:
    """Return what the child says until it closes its end."""
    parts: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0 and selector.select(left):
            part = os.read(reader, 1 << 16)
            size += len(part)
            if not part or size > ANSWER_BYTES_MAX:
                return _Said(b"".join(parts), too_much=bool(part))
            parts.append(part)
    return _Said(b"".join(parts), too_long=True)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it has started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _understood(said: _Said, code: int, seconds: int) -> Answer:
    """Return the answer, or what there is to say if none came."""
    begun, nul, data = said.data.partition(b"\0")
    names = begun.decode("utf-8", "replace").split("\n")
    name = quoted(names[-2]) if len(names) > 1 else "a schema module"
    hint = "a schema module defines classes; it computes nothing"
    if said.too_long:
        message = f"{name} cannot be loaded: it is still running after {seconds} s"
    elif said.too_much:
        message = f"{name} says more than {ANSWER_BYTES_MAX >> 20} MiB"
    elif not nul:
        how = f"signal {-code}" if code < 0 else f"code {code}"
        message = f"{name} cannot be loaded: it ends the process with {how}"
    else:
        try:
            return msgspec.msgpack.decode(data, type=Answer)
        except (msgspec.DecodeError, RecursionError):
            message = f"{name} says what nobody understands: it disturbs the process that loads it"
    raise SchemaError([Diagnostic("E0111", message, None, hint)])


class _Judge:
    """What came back is data of a stranger: text is held to the rules of any schema text."""

    def __init__(self, answer: Answer) -> None:
        self.findings = Findings(FINDINGS_MAX)
        self.rows = {path: text.count("\n") + 1 for path, text in answer.texts.items()}

    def node(self, node: Node, depth: int) -> None:
        """Judge a node and everything in it."""
        self.place(node.span)
        if depth > DEPTH_MAX:
            self.findings.stop("E0105", f"more than {DEPTH_MAX} levels", node.span)
        if isinstance(node, TextNode):
            self.text(node)
        elif isinstance(node, SeqNode):
            for item in node.items:
                self.node(item, depth + 1)
        else:
            for key, value in node.entries:
                self.node(key, depth + 1)
                self.node(value, depth + 1)

    def text(self, node: TextNode) -> None:
        if match := INVISIBLE.search(node.value):
            message = f"invisible character U+{ord(match[0]):04X}"
            self.findings.add("E0105", message, node.span)

    def place(self, span: Span) -> None:
        """Refuse a place that is in no file: a caret could not be drawn there."""
        fine = 0 < span.line <= self.rows.get(span.path, 0) and span.end_line >= span.line
        if not fine or not 0 < span.column <= COLUMNS_MAX:
            message = "a schema module disturbs the process that loads it"
            self.findings.stop("E0111", message, None)
