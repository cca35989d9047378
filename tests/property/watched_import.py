"""A program: import generated projects, and print every audit event beyond the imports themselves.

Source is read and compiled first; then all modules of a project are executed by an importer that
touches no file, so that whatever opens, compiles, runs or connects is the generated code's doing.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

import hypothesis.strategies  # noqa: F401  imported before anybody watches

import batpak
import batpak.abi
import batpak.testing.given
import batpak.testing.scenario
from batpak import registry
from batpak.override import override

WORDS = "__future__ abc batpak collections datetime decimal gen hypothesis importlib"
MORE = "re msgspec typing uuid"
KNOWN = frozenset([*WORDS.split(), *MORE.split()])
FRAMES = "sys._getframe sys._getframemodulename"
QUIET = frozenset(["import", "exec", *FRAMES.split(), "object.__getattr__", "sys.excepthook"])


class Project(MetaPathFinder, Loader):
    """The modules of one project, compiled."""

    def __init__(self, out: Path) -> None:
        self.codes: dict[str, CodeType] = {}
        self.packages: set[str] = set()
        for path in sorted(out.rglob("*.py")):
            parts = ["gen", *path.relative_to(out).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
                self.packages.add(".".join(parts))
            self.codes[".".join(parts)] = compile(path.read_bytes(), str(path), "exec")

    @override
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  the protocol's
        target: ModuleType | None = None,  # noqa: ARG002  the protocol's
    ) -> ModuleSpec | None:
        if fullname not in self.codes:
            return None
        is_package = fullname in self.packages
        return importlib.util.spec_from_loader(fullname, self, is_package=is_package)

    @override
    def exec_module(self, module: ModuleType) -> None:
        exec(self.codes[module.__name__], module.__dict__)  # noqa: S102  what is tested


class Watch:
    """Notes what happens while a project is imported."""

    def __init__(self) -> None:
        self.codes: frozenset[CodeType] | None = None
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.codes is None:
            return
        strange = event not in QUIET
        if event == "exec":
            strange = arguments[0] not in self.codes
        elif event == "import":
            strange = str(arguments[0]).partition(".")[0] not in KNOWN
        if strange:
            self.seen.append(f"{event} {arguments!a}"[:300])


def forget(known: Mapping[int, object]) -> None:
    """Forget a project: its modules and its events."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "gen"]:
        del sys.modules[name]
    for kind in [kind for kind in registry._BY_KIND if kind not in known]:
        del registry._BY_CLASS[registry._BY_KIND.pop(kind).cls]


def main() -> None:
    watch = Watch()
    sys.addaudithook(watch)
    known = dict(registry._BY_KIND)
    modules = 0
    for line in sys.stdin:
        project = Project(Path(line.rstrip("\n")))
        sys.meta_path.insert(0, project)
        watch.codes = frozenset(project.codes.values())
        for name in project.codes:
            importlib.import_module(name)
            modules += 1
        watch.codes = None
        sys.meta_path.remove(project)
        forget(known)
        for event in watch.seen:
            print(f"{line.rstrip()}: {event}")
        watch.seen.clear()
    print(f"imported {modules}, {batpak.__name__} stands")


if __name__ == "__main__":
    main()
