"""The process that loads schema modules. Only this one runs code of a schema; it sends data back.

Before each module it writes its name and a line feed, so that the one that waits knows which module
never came back; in the end a NUL and the answer.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import traceback
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import NoReturn

import msgspec

from batpak_codegen.diagnostic import Diagnostic, Findings, SchemaError, Span, quoted
from batpak_codegen.nodes import MapNode
from batpak_codegen.source.python.answer import Answer, Model, Request
from batpak_codegen.source.python.guard import Guard, OutRefused
from batpak_codegen.source.python.models import read_models
from batpak_codegen.source.python.places import Places
from batpak_codegen.source.python.tree import trees

SOURCE_BYTES_MAX = 1 << 20
MESSAGE_CHARS_MAX = 300


class TooLong(BaseException):
    """The time for loading is over; no `except Exception` of a module swallows it."""


def main(request: str) -> NoReturn:
    """Load what the request names, send the answer, and end at once, whatever else still runs."""
    asked = msgspec.json.decode(request, type=Request)
    encode, write = msgspec.msgpack.encode, os.write  # before modules can put others in place
    data = memoryview(b"\0" + encode(_Child(asked).answer()))
    while data:
        data = data[write(asked.answer, data) :]
    os._exit(0)


class _Child:
    def __init__(self, asked: Request) -> None:
        self.asked = asked
        self.findings = Findings()
        self.texts: dict[str, str] = {}
        self.guard = Guard(asked.root, asked.out, asked.out_module)

    def answer(self) -> Answer:
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(self.asked.seconds)
        sys.path[:] = self.asked.search
        self.guard.install()
        try:
            if self.asked.are_models:
                return self._answer(models=self._models())
            roots = self._trees()
        except SchemaError as error:
            return self._answer(found=error.diagnostics)
        except BaseException as error:  # noqa: BLE001  a module may have changed what we use
            self._refuse(error, "the classes of the schema cannot be read")
            return self._answer(found=tuple(self.findings.diagnostics))
        return self._answer(roots=roots)

    def _answer(
        self,
        *,
        roots: tuple[MapNode, ...] = (),
        found: tuple[Diagnostic, ...] = (),
        models: tuple[Model, ...] = (),
    ) -> Answer:
        signal.alarm(0)
        return Answer(roots, self.texts, self.guard.files(), found, models)

    def _trees(self) -> tuple[MapNode, ...]:
        roots = tuple(trees(self._modules(), self.findings))
        self.findings.finish()
        return roots

    def _models(self) -> tuple[Model, ...]:
        loaded = self._modules().values()
        return tuple(model for module, _ in loaded for model in read_models(module))

    def _modules(self) -> dict[str, tuple[ModuleType, Places]]:
        loaded: dict[str, tuple[ModuleType, Places]] = {}
        for name in self.asked.modules:
            os.write(self.asked.answer, name.encode() + b"\n")
            if found := self._load(name):
                loaded[name] = found
        self._refuse_out()
        self.findings.finish()
        return loaded

    def _load(self, name: str) -> tuple[ModuleType, Places] | None:
        """Import one module, and read its text."""
        try:
            spec = importlib.util.find_spec(name)
            places = self._places(name, spec)
            return (importlib.import_module(name), places) if places else None
        except BaseException as error:  # noqa: BLE001  a module may raise anything
            if not (isinstance(error, OutRefused) and self.guard.refused):  # reported in the end
                self._refuse(error, f"{quoted(name)} cannot be loaded")
            return None

    def _refuse_out(self) -> None:
        for path, line in dict.fromkeys(self.guard.refused):
            hint = "what is generated may not depend on what was generated before"
            self.findings.add("E0111", self.guard.message, self._line(path, line), help=hint)

    def _places(self, name: str, spec: ModuleSpec | None) -> Places | None:
        path = spec.origin if spec else None
        if not path or not path.endswith(".py") or not Path(path).is_file():
            what = "is not a Python file" if spec else "is not there"
            here = self._printed(".")
            home = "the root of the project" if here == "." else here
            hint = f"a module is named as `import` would name it in {home}"
            self.findings.add("E0111", f"module {quoted(name)} {what}", None, help=hint)
            return None
        with Path(path).open("rb") as file:
            data = file.read(SOURCE_BYTES_MAX + 1)
        printed = self._printed(path)
        if len(data) > SOURCE_BYTES_MAX:
            start = Span(printed, 1, 1, 1, 2)
            self.findings.add("E0105", "a schema module has at most 1 MiB", start)
            return None
        text = importlib.util.decode_source(data)
        self.texts[printed] = text
        return Places(printed, text, self.findings)

    def _printed(self, path: str) -> str:
        return os.path.relpath(os.path.realpath(path), self.guard.root).replace(os.sep, "/")

    def _refuse(self, error: BaseException, what: str) -> None:
        """Report an exception where it came from: the last line of a file of the project."""
        if isinstance(error, SyntaxError) and error.filename:
            self._refuse_syntax(error)
            return
        words = " ".join(f"{type(error).__name__}: {error}".split())[:MESSAGE_CHARS_MAX]
        words = words.encode("utf-8", "replace").decode()  # no lone surrogates
        hint = None
        if isinstance(error, TooLong):
            words = f"it is still running here after {self.asked.seconds} s"
            hint = "a schema module defines classes; it computes nothing"
        elif isinstance(error, SystemExit):
            words = "it exits"
        self.findings.add("E0111", f"{what}: {words}", self._where(error), help=hint)

    def _refuse_syntax(self, error: SyntaxError) -> None:
        span = None
        path = os.path.realpath(error.filename or "")
        if path.startswith(self.guard.root + os.sep) or error.filename == "<unknown>":
            printed = next(reversed(self.texts)) if error.filename == "<unknown>" else ""
            printed = printed or self._printed(path)
            line, column = error.lineno or 1, max(error.offset or 1, 1)
            span = Span(printed, line, column, line, column + 1)
        self.findings.add("E0101", f"not Python: {error.msg}", span)

    def _where(self, error: BaseException) -> Span | None:
        found: tuple[str, int] | None = None
        for frame, line in traceback.walk_tb(error.__traceback__):
            if path := self.guard.own(frame.f_code.co_filename):
                found = path, line
        return self._line(*found) if found else None

    def _line(self, path: str, line: int) -> Span:
        printed = self._printed(path)
        if printed not in self.texts:
            self._note(path, printed)
        rows = self.texts.get(printed, "").split("\n")
        row = rows[line - 1] if line <= len(rows) else ""
        column = len(row) - len(row.lstrip()) + 1
        return Span(printed, line, column, line, max(len(row.rstrip()), column) + 1)

    def _note(self, path: str, printed: str) -> None:
        try:
            with Path(path).open("rb") as file:
                self.texts[printed] = importlib.util.decode_source(file.read(SOURCE_BYTES_MAX))
        except (OSError, UnicodeDecodeError, SyntaxError):
            return


def _too_long(_: int, __: FrameType | None) -> NoReturn:
    raise TooLong
