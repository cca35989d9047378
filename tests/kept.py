"""What a test changes for the whole process, put back behind it."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from batpak import registry


@contextmanager
def kept_classes() -> Generator[None]:
    """Forget the classes that are registered inside the block."""
    tables = [
        cast("dict[Any, Any]", one)
        for one in (registry._BY_KIND, registry._BY_CLASS, registry._FORMER)
    ]
    before = [table.copy() for table in tables]
    try:
        yield
    finally:
        for table, known in zip(tables, before, strict=True):
            table.clear()
            table.update(known)


@contextmanager
def switching_every(seconds: float) -> Generator[None]:
    """Inside the block a thread that wants to run gets the interpreter so soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
