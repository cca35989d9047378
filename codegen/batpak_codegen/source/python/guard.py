"""What a schema module may not do while it is loaded, and what it is seen doing.

It may not read generated code, by import or as a file: what is generated would depend on what was
generated before. Every file of the project that it reads is noted, for those who watch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from inspect import currentframe
from pathlib import Path
from types import ModuleType
from typing import NoReturn

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override  # pydantic brings it


_OURS = frozenset(  # in our own repository the root of the project is above us
    file for module in sys.modules.values() if (file := getattr(module, "__file__", None))
)


class OutRefused(ImportError):
    """A schema module reached for the generated package."""


class Guard(MetaPathFinder):
    """Stands before all other finders, and behind every opening of a file."""

    def __init__(self, root: str, out: str, out_module: str) -> None:
        self.root, self.out, self.out_module = _real(root), _real(out), out_module
        self.read: set[str] = set()
        self.refused: list[tuple[str, int]] = []
        self.message = f"schema modules cannot use the generated package {out_module}"

    def install(self) -> None:
        """Begin; it cannot be undone."""
        sys.meta_path.insert(0, self)
        sys.addaudithook(self.seen)

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse the generated package; leave everything else to the finders behind."""
        if f"{fullname}.".startswith(f"{self.out_module}."):
            self.refuse()
        return None

    def seen(self, event: str, arguments: tuple[object, ...]) -> None:
        """Note a file that is opened; refuse one below `out`."""
        if event != "open" or not isinstance(arguments[0], str | bytes):
            return
        path = _real(os.fsdecode(arguments[0]))
        if path.startswith(self.out + os.sep):
            self.refuse()
        self.note(path)

    def refuse(self) -> NoReturn:
        """Raise, and keep the line that asked: a module might swallow the exception."""
        frame = currentframe()
        while frame and not self.own(frame.f_code.co_filename):
            frame = frame.f_back
        if frame:
            self.refused.append((_real(frame.f_code.co_filename), frame.f_lineno))
        raise OutRefused(self.message)

    def own(self, filename: str) -> str | None:
        """Return the path of a file of code that belongs to the project; not one of ours."""
        path = _real(filename)
        is_ours = not Path(filename).is_absolute() or path in _OURS
        return None if is_ours or not path.startswith(self.root + os.sep) else path

    def note(self, path: str) -> None:
        """Note a file of the project; what is installed does not change under a watch."""
        is_ours = path.startswith(self.root + os.sep)
        if is_ours and not path.startswith(_real(sys.prefix) + os.sep) and path[-4:] != ".pyc":
            self.read.add(path)

    def files(self) -> tuple[str, ...]:
        """Return what was read, relative to the root: also modules that came from a cache."""
        for module in list(sys.modules.values()):
            origin = getattr(getattr(module, "__spec__", None), "origin", None)
            if isinstance(origin, str):
                self.note(_real(origin))
        paths = (path for path in self.read if Path(path).is_file())
        return tuple(
            sorted(os.path.relpath(path, self.root).replace(os.sep, "/") for path in paths)
        )


@cache  # a traceback may be long
def _real(path: str) -> str:
    return os.path.realpath(path)
