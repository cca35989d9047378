"""Runs a small program in a folder that is gone afterwards: `python -m small quickstart`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from tempfile import TemporaryDirectory
from typing import cast

from small import __path__ as here

PROGRAMS = sorted(one.name for one in iter_modules(here) if not one.ispkg and one.name[0] != "_")


def program(name: str) -> Callable[[Path], None]:
    """Return the `main` of a small program, which takes a folder for its stores."""
    return cast("Callable[[Path], None]", import_module(f"small.{name}").main)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in PROGRAMS:
        with TemporaryDirectory(prefix="batpak-small-") as folder:
            program(sys.argv[1])(Path(folder))
    else:
        print(*PROGRAMS, sep="\n")
